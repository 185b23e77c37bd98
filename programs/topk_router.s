// The router of a mixture of experts: for every token the k experts with the largest logits, largest first, and the
// softmax of these k logits as their weights; and for every expert how many tokens have chosen it.
//
// Ties go to the lower expert, -0 is below +0, and NaN below all numbers.
//
// A warp does a token: lane l holds the logits of the experts l, l + 32, ... as integers in the order of the floats.
// k times the lanes find the largest one left, and the lowest expert that has it; lane j keeps the j-th choice. Then
// lane 0's logit is the largest, and the weights are 2^((logit - largest) * log2(e)), divided by their sum in the order
// of v.red.add.f32. Every operation is rounded once.
//
// Launch: one-dimensional, any grid, a block of whole warps. At most 256 experts, k from 1 to 32 and not above experts.

        .include "index.inc"
        .include "loop.inc"

        .kernel topk_router
        .param  u32 tokens
        .param  u32 experts
        .param  u32 k
        .param  ptr logits                      // f32, tokens x experts
        .param  ptr chosen                      // u32, tokens x k
        .param  ptr weights                     // f32, tokens x k
        .param  ptr load                        // u32, experts; tokens are added

        .equ    SLOTS, 8                        // logits per lane
        .equ    LOG2_E, 0x3fb8aa3b              // 1.4426950
        .equ    TAKEN, 0                        // below the integers of all floats, which NaN is the lowest of
        .equ    OF_NAN, 1

        .reg    lane    = vreg0
        .reg    expert  = vreg1
        .reg    t       = vreg2
        .reg    best    = vreg3                 // the lane's largest
        .reg    at      = vreg4                 // whose it is
        .reg    choice  = vreg5                 // of lane j: the j-th
        .reg    logit   = vreg6                 // its logit, then the weight
        .reg    one     = vreg7
        .reg    keys    = vreg[16:23]
        .reg    token   = sreg38
        .reg    warps   = sreg39
        .reg    entry   = sreg40
        .reg    round   = sreg41
        .reg    most    = sreg42
        .reg    winner  = sreg43
        .reg    from    = sreg[44:45]
        .reg    offset  = sreg[46:47]           // bytes before the token's choices
        .reg    to      = sreg[48:49]
        .reg    pitch   = sreg50                // bytes of a token's logits
        .reg    mask    = sreg51
        .reg    total   = sreg52

        v.mov.b32       lane, %laneid
        v.mov.b32       one, 1
        s.shll.b32      pitch, experts, 2
        s.mov.b32       entry, emsk
        global_warp     token
        grid_warps      warps

        for_scalar      each, token, tokens
        s.mulw.u64.u32  from, token, pitch
        s.add.i64       from, from, logits
        .rept   SLOTS, S
        v.add.i32       expert, lane, 32 * \S
        inside          expert, experts, mask
        vmem.ld.b32     keys[\S], [0x0 + expert * 0x4] @from
        restore         mask
        .endr
        s.wait          vldcnt(0)

        .rept   SLOTS, S
        v.cmp.nan.f32   mask, keys[\S], keys[\S]
        v.shra.i32      t, keys[\S], 31         // negative: all bits turn, else the sign
        v.or.b32        t, t, 0x80000000
        v.xor.b32       keys[\S], keys[\S], t
        v.csel.b32      keys[\S], OF_NAN, keys[\S], mask
        v.add.i32       expert, lane, 32 * \S
        v.cmp.lt.u32    mask, expert, experts
        v.csel.b32      keys[\S], keys[\S], TAKEN, mask
        .endr

        s.wait          vstcnt(0)               // the last token's stores may still read choice and logit
        s.mov.b32       round, 0
        for_scalar      pick, round, k
        v.mov.b32       best, keys[0]
        v.mov.b32       at, lane
        .rept   SLOTS - 1, S
        v.add.i32       expert, lane, 32 * (\S + 1)
        v.cmp.gt.u32    mask, keys[\S + 1], best
        v.csel.b32      best, keys[\S + 1], best, mask
        v.csel.b32      at, expert, at, mask
        .endr
        v.red.max.u32   most, best
        v.cmp.eq.u32    mask, best, most
        s.lop.emsk      mask, mask # 0x8
        v.red.min.u32   winner, at
        restore         mask
        .rept   SLOTS, S
        v.add.i32       expert, lane, 32 * \S
        v.cmp.eq.u32    mask, expert, winner
        v.csel.b32      keys[\S], TAKEN, keys[\S], mask
        .endr
        v.cmp.eq.u32    mask, lane, round
        v.csel.b32      choice, winner, choice, mask
        v.csel.b32      logit, most, logit, mask
        for_scalar_end  pick, round

        inside          lane, k, mask
        v.shra.i32      t, logit, 31            // back to the float
        v.not.b32       t, t
        v.or.b32        t, t, 0x80000000
        v.xor.b32       logit, logit, t
        v.shuffle.idx.b32 t, logit, 0
        v.sub.f32       logit, logit, t
        v.mul.f32       logit, logit, LOG2_E
        v.exp2.f32      logit, logit
        v.red.add.f32   total, logit
        v.div.f32       logit, logit, total

        s.mulw.u64.u32  offset, token, k
        s.shll.b64      offset, offset, 2
        s.add.i64       to, chosen, offset
        vmem.st.b32     choice, [0x0 + lane * 0x4] @to
        s.add.i64       to, weights, offset
        vmem.st.b32     logit, [0x0 + lane * 0x4] @to
        vmem.red.add.i32 [0x0 + choice * 0x4] @load, one
        s.mov.b32       emsk, entry
        for_scalar_end  each, token, warps
        simt.exit
