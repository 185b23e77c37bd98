// Rotary position embedding: in every head of every token, the elements i and i + half are turned as a point of the
// plane by the angle position * base^(-i / half), where half is half the head's size and the position the token's own.
//
// A warp does a token; its lanes take turns at the pairs, and a lane that has the sine and cosine of a pair turns it in
// all heads. Sine and cosine are rounded once, so what is defined to the bit is all of this, every operation rounded:
//
//      angle = position * exp2(i * step), where step is -log2(base) / half
//      first = fma(first, cosine, -(second * sine)),  second = fma(second, cosine, first * sine)
//
// Launch: one-dimensional, any grid, a block of whole warps.

        .include "index.inc"
        .include "loop.inc"

        .kernel rotary
        .param  u32 tokens
        .param  u32 heads
        .param  u32 half                        // half the elements of a head
        .param  f32 step                        // -log2(base) / half
        .param  ptr positions                   // u32, of every token
        .param  ptr source                      // f32, tokens x heads x (2 * half)
        .param  ptr target                      // the same shape; may be source

        .reg    pair    = vreg1
        .reg    angle   = vreg2
        .reg    sine    = vreg3
        .reg    cosine  = vreg4
        .reg    first   = vreg5
        .reg    second  = vreg6
        .reg    left    = vreg7                 // what first and second become
        .reg    right   = vreg8
        .reg    token   = sreg38
        .reg    warps   = sreg39
        .reg    entry   = sreg40
        .reg    position = sreg41
        .reg    head    = sreg42
        .reg    pitch   = sreg43                // bytes of a token
        .reg    part    = sreg[44:45]           // bytes of half a head
        .reg    begin   = sreg[46:47]           // bytes before the token
        .reg    from    = sreg[48:49]           // address of the head's first half
        .reg    to      = sreg[50:51]
        .reg    from2   = sreg[52:53]           // of its second half
        .reg    to2     = sreg[54:55]

        s.shll.b32      part[0], half, 2
        s.mov.b32       part[1], 0
        s.mull.i32      pitch, part[0], heads
        s.shll.b32      pitch, pitch, 1
        global_warp     token
        grid_warps      warps

        for_scalar      each, token, tokens
        smem.ld.b32     position, [0x0 + token * 0x4] @positions
        s.mulw.u64.u32  begin, token, pitch
        s.wait          sldcnt(0)

        v.mov.b32       pair, %laneid
        grid_stride     turn, pair, half, entry
        v.cnvt.f32.u32.rtte angle, pair
        v.mul.f32       angle, angle, step
        v.exp2.f32      angle, angle
        v.cnvt.f32.u32.rtte sine, position
        v.mul.f32       angle, angle, sine
        v.sin.f32       sine, angle
        v.cos.f32       cosine, angle

        s.add.i64       from, source, begin
        s.add.i64       to, target, begin
        s.mov.b32       head, 0
        for_scalar      of, head, heads
        s.add.i64       from2, from, part
        s.add.i64       to2, to, part
        vmem.ld.b32     first, [0x0 + pair * 0x4] @from
        vmem.ld.b32     second, [0x0 + pair * 0x4] @from2
        s.wait          vldcnt(0), vstcnt(0)            // the last stores may still read left and right
        v.mul.f32       left, second, sine
        v.fma.f32.rtte  left, first, cosine, !left
        v.mul.f32       right, first, sine
        v.fma.f32.rtte  right, second, cosine, right
        vmem.st.b32     left, [0x0 + pair * 0x4] @to
        vmem.st.b32     right, [0x0 + pair * 0x4] @to2
        s.add.i64       from, from2, part
        s.add.i64       to, to2, part
        for_scalar_end  of, head
        grid_stride_end turn, pair, 32, entry

        for_scalar_end  each, token, warps
        simt.exit
