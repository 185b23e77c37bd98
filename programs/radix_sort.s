// Sorts n 32-bit keys, each with a value, ascending and stable: four passes, one for each byte of the keys, lowest first.
// A pass moves every key behind all keys with a smaller digit and behind those with the same digit that stood before it.
// It takes three launches:
//
//      radix_count     how often every digit occurs in the part of every warp
//      radix_scan      where in the result these begin: sums over all parts before, digit by digit
//      radix_move      every key and its value to its place
//
// Parts are stretches of `part` keys, one per warp, so that the order of the keys is that of the parts. In `counts` digit
// comes first, then warp: what lies before an entry are all smaller digits, and the same digit in earlier parts.
//
// Within a warp: 32 keys at a time. v.match.any gives every lane the mask of the lanes that have the same digit; its bits
// below the lane are its rank among them, and all its bits how far the digit's counter moves on. Counters lie in TSM,
// 256 for each warp, which no other warp touches: no atomic operations, and no barriers.
//
// Launch: radix_count and radix_move with the same one-dimensional grid and a block of 32 * W, W up to 32; a multiple of
// 32 as part, with which the warps of the grid cover n. radix_scan: one block of 32.

        .include "index.inc"
        .include "loop.inc"
        .include "warp.inc"

        .equ    DIGITS, 256

// What count and move have in common: the warp's counters in TSM, its part of the keys, and its column of `counts`.
        .macro  begin_part
        .maxntid 1024
        .tsm    4 * DIGITS * 32 counters
        .reg    lane    = vreg0
        .reg    i       = vreg1                 // the lane's key
        .reg    key     = vreg2
        .reg    digit   = vreg3
        .reg    peers   = vreg4                 // lanes that have the same digit
        .reg    count   = vreg5
        .reg    at      = vreg6                 // place in `counts`
        .reg    warp    = sreg38
        .reg    warps   = sreg39
        .reg    start   = sreg40
        .reg    end     = sreg41                // number of keys of the part, then the first one behind it
        .reg    mine    = sreg42                // the warp's counters in TSM
        .reg    entry   = sreg43

        v.mov.b32       lane, %laneid
        s.mov.b32       mine, %warpid
        s.mull.i32      mine, mine, 4 * DIGITS
        s.add.i32       mine, mine, counters
        global_warp     warp
        grid_warps      warps
        tile_bounds     warp, part, n, start, end
        s.add.i32       end, end, start
        v.add.i32       i, lane, start
        v.mull.i32      at, lane, warps
        v.add.i32       at, at, warp                    // digit `lane` of this warp
        .endm

// peers and count for the keys of the active lanes.
        .macro  match_digits
        v.shrl.b32      digit, key, shift
        v.and.b32       digit, digit, DIGITS - 1
        v.match.any.b32 peers, digit
        v.popc.b32      count, peers
        .endm

        .kernel radix_count
        .param  u32 n
        .param  u32 part                        // keys of a warp
        .param  u32 shift                       // bits below the digit
        .param  ptr keys
        .param  ptr counts                      // u32, DIGITS x warps
        .reg    step    = sreg45                // DIGITS / 32 digits: from one of a lane's digits to its next
        .reg    seen    = vreg7

radix_count:
        begin_part
        v.mov.b32       count, 0
        .rept   DIGITS / 32, D
        tsm.st.b32      count, [mine + bytes(4 * 32 * \D) + lane * 0x4]
        .endr

        grid_stride     each, i, end, entry
        vmem.ld.b32     key, [0x0 + i * 0x4] @keys
        s.wait          vldcnt(0), tsmcnt(0)            // the last round's store may still read its registers
        match_digits
        tsm.ld.b32      seen, [mine + digit * 0x4]
        s.wait          tsmcnt(0)
        v.add.i32       count, count, seen
        tsm.st.b32      count, [mine + digit * 0x4]     // all peers store the same
        grid_stride_end each, i, 32, entry

        s.shll.b32      step, warps, 5
        s.wait          tsmcnt(0)                       // the last store may still read `count`
        .rept   DIGITS / 32, D
        tsm.ld.b32      count, [mine + bytes(4 * 32 * \D) + lane * 0x4]
        s.wait          tsmcnt(0)
        vmem.st.b32     count, [0x0 + at * 0x4] @counts
        v.add.i32       at, at, step
        s.wait          vstcnt(0)
        .endr
        simt.exit

// counts[i] becomes the sum of counts[0] to counts[i - 1]. One warp is enough: there are 256 for each of some warps.
        .kernel radix_scan
        .param  u32 n
        .param  ptr counts
        .reqntid 32
        .reg    lane    = vreg0
        .reg    i       = vreg1
        .reg    count   = vreg2
        .reg    sum     = vreg3
        .reg    t       = vreg4
        .reg    before  = sreg38                // sum of all that lie before these 32
        .reg    here    = sreg39
        .reg    first   = sreg40
        .reg    off     = sreg41

radix_scan:
        v.mov.b32       lane, %laneid
        v.mov.b32       i, lane
        s.mov.b32       before, 0
        s.mov.b32       first, 0
        for_scalar      each, first, n
        v.mov.b32       count, 0
        inside          i, n, off
        vmem.ld.b32     count, [0x0 + i * 0x4] @counts
        restore         off
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read `sum`
        v.mov.b32       sum, count
        warp_scan       sum, lane, t
        v.mov.v2s       here, sum, 31                   // of all 32
        v.sub.i32       sum, sum, count
        v.add.i32       sum, sum, before
        s.add.i32       before, before, here
        inside          i, n, off
        vmem.st.b32     sum, [0x0 + i * 0x4] @counts
        restore         off
        v.add.i32       i, i, 32
        for_scalar_end  each, first, 32
        simt.exit

        .kernel radix_move
        .param  u32 n
        .param  u32 part
        .param  u32 shift
        .param  ptr keys
        .param  ptr values
        .param  ptr counts                      // sums
        .param  ptr keys_to
        .param  ptr values_to
        .reg    value   = vreg7
        .reg    place   = vreg8
        .reg    below   = vreg9                 // %lanemask_lt
        .reg    rank    = vreg10
        .reg    step    = sreg45

radix_move:
        begin_part
        v.mov.b32       below, %lanemask_lt
        s.shll.b32      step, warps, 5
        .rept   DIGITS / 32, D
        vmem.ld.b32     count, [0x0 + at * 0x4] @counts
        v.add.i32       at, at, step
        s.wait          vldcnt(0)
        tsm.st.b32      count, [mine + bytes(4 * 32 * \D) + lane * 0x4]
        s.wait          tsmcnt(0)
        .endr

        grid_stride     each, i, end, entry
        s.wait          vstcnt(0)                       // the last round's stores may still read their registers
        vmem.ld.b32     key, [0x0 + i * 0x4] @keys
        vmem.ld.b32     value, [0x0 + i * 0x4] @values
        s.wait          vldcnt(1), tsmcnt(0)
        match_digits
        tsm.ld.b32      place, [mine + digit * 0x4]
        v.and.b32       rank, peers, below
        v.popc.b32      rank, rank
        s.wait          vldcnt(0), tsmcnt(0)
        v.add.i32       count, count, place
        tsm.st.b32      count, [mine + digit * 0x4]     // all peers store the same
        v.add.i32       place, place, rank
        vmem.st.b32     key, [0x0 + place * 0x4] @keys_to
        vmem.st.b32     value, [0x0 + place * 0x4] @values_to
        grid_stride_end each, i, 32, entry
        simt.exit
