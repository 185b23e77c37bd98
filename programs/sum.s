// The sum of n floats, in two launches or in one:
//
//      sum         leaves one partial sum per block in `partial`; a second launch, of a single block, adds these up
//      sum_once    the same, but the block that is the last to be done adds up the partial sums itself
//
// Within a block: every thread sums its share in registers, then the threads' sums are added up in TSM.
//
// Float addition is not associative, so the order is part of what the kernels promise: the result depends on grid
// and block, and on nothing else. sum.py writes the same order down in numpy. So sum_once does not let blocks add to a
// sum in memory one by one: what is left to chance is which block is the last, not what it does.

        .include "index.inc"
        .include "loop.inc"
        .include "block.inc"

// Elements 4i to 4i+3 are group i. Thread t does groups t, t + threads, t + 2 * threads, ...; PIECES of them at a time, so
// that as many loads are under way at once, and into as many sums for each of the four places in a group: PIECES * 4 short
// chains of additions instead of one long one.
//
// x must be a multiple of 16; grid and block are one-dimensional; the grid has fewer than 2^28 threads.

        .equ    PIECES, 4

        .macro  add piece                       // v to acc, for one piece
        .rept   4, E
        v.add.f32       acc[4*\piece+\E], acc[4*\piece+\E], v[4*\piece+\E]
        .endr
        .endm

        .macro  single piece, number            // element `number` of the ragged group, if it has so many
        s.cmp.gt.u32    scc, ragged, \number
        s.cbr.az        scc, .Lsingle\@
        vmem.ld.b32     v[4*\piece+\number], [bytes(4 * \number) + i * 0x10] @x
.Lsingle\@:
        .endm

// The registers, and the sum of the block's share in acc[0] of thread 0.
        .macro  sum_of_share
        .maxntid 1024
        .tsm    4 * 1024 shared                 // one float per thread

        .reg    tid     = vreg0
        .reg    i       = vreg1                 // the lane's group
        .reg    place   = vreg2
        .reg    v       = vreg[16:31]           // v[4 * piece + place]: what is being added
        .reg    acc     = vreg[32:47]           // acc[4 * piece + place]
        .reg    spare   = vreg[4:5]
        .reg    threads = sreg38                // of the grid
        .reg    groups  = sreg39                // whole groups: n / 4
        .reg    ragged  = sreg40                // elements behind them: n % 4
        .reg    whole   = sreg41                // groups below this have PIECES - 1 whole ones ahead
        .reg    inside  = sreg42
        .reg    entry   = sreg43                // the lanes the warp began with
        .reg    off     = sreg44
        .reg    s       = sreg[45:47]
        .reg    from    = sreg[48:55]           // where the groups of each piece begin: x + 16 * threads * piece
        .reg    by      = sreg[56:57]           // 16 * threads
        .reg    stride  = sreg58                // PIECES * threads

        v.mov.b32       tid, %tid.x
        global_x        i
        grid_threads    threads
        s.shrl.b32      groups, n, 2
        s.and.b32       ragged, n, 3
        s.mov.b32       entry, emsk
        .rept   4 * PIECES, E
        v.mov.b32       acc[\E], 0
        .endr
        s.mulw.u64.u32  by, threads, 16
        s.mov.b64       from[0:1], x
        .rept   PIECES - 1, P
        s.add.i64       from[2*\P+2:2*\P+3], from[2*\P:2*\P+1], by
        .endr
        s.mull.i32      whole, threads, PIECES - 1
        s.mull.i32      stride, threads, PIECES
        s.max.u32       inside, groups, whole
        s.sub.i32       whole, inside, whole

        // While all lanes have all pieces.
loop:   v.cmp.lt.u32    inside, i, whole
        s.cmp.ne.u32    scc, inside, entry
        s.cbr.nz        scc, rest
        .rept   PIECES, P
        vmem.ld.b32x4   v[4*\P:4*\P+3], [0x0 + i * 0x10] @from[2*\P:2*\P+1]
        .endr
        s.wait          vldcnt(0)
        .rept   PIECES, P
        add             \P
        .endr
        v.add.i32       i, i, stride
        s.cbr           loop

        // What is left: fewer than PIECES groups of some lane. Whatever does not exist is added as zero, which changes
        // nothing: a sum that begins at +0 is never -0. One lane of the grid has the ragged group.
rest:   v.cmp.le.u32    inside, i, groups
        s.cbr.az        inside, fold                    // nothing is left for this warp
        .rept   PIECES, P
        .rept   4, E
        v.mov.b32       v[4*\P+\E], 0
        .endr
        inside          i, groups, off
        vmem.ld.b32x4   v[4*\P:4*\P+3], [0x0 + i * 0x10] @x
        restore         off
        v.cmp.eq.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        single          \P, 0
        single          \P, 1
        single          \P, 2
        restore         off
        v.add.i32       i, i, threads
        .endr
        s.wait          vldcnt(0)
        .rept   PIECES, P
        add             \P
        .endr

        // The sums of a place, then the four places, then the threads of the block.
fold:
        .rept   4, E
        v.add.f32       acc[\E], acc[\E], acc[4 + \E]
        v.add.f32       acc[8 + \E], acc[8 + \E], acc[12 + \E]
        v.add.f32       acc[\E], acc[\E], acc[8 + \E]
        .endr
        v.add.f32       acc[0], acc[0], acc[1]
        v.add.f32       acc[2], acc[2], acc[3]
        v.add.f32       acc[0], acc[0], acc[2]
        block_reduce    v.add.f32, acc[0], tid, shared, spare, s
        .endm

        .kernel sum
        .param  u32 n                           // floats in x
        .param  ptr x
        .param  ptr partial                     // one float per block, written

sum:    sum_of_share
        v.cmp.eq.u32    inside, tid, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       place, %blkid.x
        vmem.st.b32     acc[0], [0x0 + place * 0x4] @partial
        restore         off
        simt.exit

        .kernel sum_once
        .param  u32 n
        .param  ptr x
        .param  ptr partial                     // one float per block, for use in between
        .param  ptr done                        // u32: blocks that are done; 0 at first, and again at the end
        .param  ptr total                       // one float, written

        .reg    ticket  = vreg6
        .reg    last    = vreg7

sum_once:
        sum_of_share

        // Thread 0 stores the partial sum and counts the block. The release makes the sum arrive before it counts, the
        // acquire lets the last block see those of all others. inc goes from grid - 1 back to 0.
        v.cmp.eq.u32    inside, tid, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       place, %blkid.x
        vmem.st.b32     acc[0], [0x0 + place * 0x4] @partial
        s.sub.i32       s[0], %nblkid.x, 1
        v.mov.b32       last, s[0]
        vmem.atom.inc.u32.acq_rel.gpu ticket, [0x0] @done, last
        s.wait          vldcnt(0)
        restore         off
        block_broadcast ticket, tid, shared
        v.cmp.ne.u32    inside, ticket, s[0]
        s.cbr.nz        inside, others

        // Thread t adds the partial sums t, t + ntid, ...
        v.mov.b32       acc[0], 0
        v.mov.b32       place, tid
        s.mov.b32       threads, %ntid.x
        grid_stride     each, place, %nblkid.x, entry
        vmem.ld.b32     v[0], [0x0 + place * 0x4] @partial
        s.wait          vldcnt(0)
        v.add.f32       acc[0], acc[0], v[0]
        grid_stride_end each, place, threads, entry
        block_reduce    v.add.f32, acc[0], tid, shared, spare, s
        v.cmp.eq.u32    inside, tid, 0
        s.lop.emsk      off, inside # 0x8
        vmem.st.b32     acc[0], [0x0] @total
        restore         off
others: simt.exit
