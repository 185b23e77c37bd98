// y = a * x + y over n floats: the smallest kernel worth reading, in two versions.
//
//   saxpy       one element per thread; begins the way the vendor's compiler begins its kernels
//   saxpy_x4    four elements per load and store, many loads under way at once, and a loop: any grid covers any n
//
// Both keep lanes beyond the end of the arrays out of the way in mask style: a compare gives one bit per lane,
// s.lop.emsk combines it into the execution mask, and s.or.b32 restores the mask behind the region.

// ---- one element per thread ------------------------------------------------------------------------------------
//
// Launch with at least n threads: grid = ceil(n / block), one-dimensional.

        .kernel saxpy
        .param  u32 n                           // elements of x and of y
        .param  f32 a
        .param  ptr x                           // n floats, read
        .param  ptr y                           // n floats, read and written

        .reg    i       = vreg0                 // the thread's element
        .reg    xi      = vreg1
        .reg    yi      = vreg2
        .reg    first   = sreg38                // the block's first element
        .reg    inside  = sreg39                // lanes with i < n
        .reg    off     = sreg40                // lanes switched off

saxpy:  v.tid.init      i, sreg[36:37]                  // the packed thread id of every lane:
        v.and.b32       i, i, 0xfff                     // tid.x is in its low 12 bits
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %ntid.x
        v.add.i32       i, i, first                     // i = blkid.x * ntid.x + tid.x

        v.cmp.lt.u32    inside, i, n
        s.lop.emsk      off, inside # 0x8               // emsk = emsk and inside

        vmem.ld.b32     xi, [0x0 + i * 0x4] @x          // both loads are under way at once,
        vmem.ld.b32     yi, [0x0 + i * 0x4] @y
        s.wait          vldcnt(0)                       // and neither register may be read before this
        v.fma.f32.rtte  yi, xi, a, yi                   // one rounding
        vmem.st.b32     yi, [0x0 + i * 0x4] @y

        s.or.b32        emsk, emsk, off                 // every lane leaves together
        simt.exit                                       // the end completes the store

// ---- four elements per access ----------------------------------------------------------------------------------
//
// Elements 4i to 4i+3 are group i. A warp takes a stretch of PIECES pieces of 32 groups, one group per lane and piece,
// starts all loads of the stretch, waits once, and goes on to the stretch `step` groups further. So one launch shape
// serves every n, and what a warp touches lies together: 2 KiB of each array.
//
// The last stretches do not reach from end to end: lanes leave the loop over stretches when their part of one is not
// whole, do what is there of it piece by piece, and if n is no multiple of 4, the lane whose turn it is does the last
// one to three elements singly.
//
// x and y must be multiples of 16 (every allocation is); grid and block one-dimensional, the block a multiple of 32,
// the grid of fewer than 2^29 threads.

        .kernel saxpy_x4
        .param  u32 n
        .param  f32 a
        .param  ptr x
        .param  ptr y

        .equ    PIECES, 4
        .equ    PIECE, 32                       // groups
        .equ    BYTES, 16 * PIECE               // of a piece in memory

        .reg    i       = vreg0                 // the lane's group in the first piece of its stretch
        .reg    xs      = vreg[16:31]           // xs[4 * piece + place]
        .reg    ys      = vreg[32:47]
        .reg    results = vreg[48:63]
        .reg    first   = sreg38
        .reg    step    = sreg39                // groups in a stretch of every warp of the grid
        .reg    groups  = sreg40                // whole groups: n / 4
        .reg    ragged  = sreg41                // elements behind them: n % 4
        .reg    whole   = sreg42                // stretches of a lane that begin below this are whole
        .reg    inside  = sreg43
        .reg    entry   = sreg44                // the lanes the warp began with
        .reg    off     = sreg45                // what s.lop.emsk switched off; entry restores all at once

        .macro  load piece
        vmem.ld.b32x4   xs[4*\piece:4*\piece+3], [bytes(BYTES * \piece) + i * 0x10] @x
        vmem.ld.b32x4   ys[4*\piece:4*\piece+3], [bytes(BYTES * \piece) + i * 0x10] @y
        .endm

        .macro  multiply_and_store piece
        .rept   4, E
        v.fma.f32.rtte  results[4*\piece+\E], xs[4*\piece+\E], a, ys[4*\piece+\E]
        .endr
        vmem.st.b32x4   results[4*\piece:4*\piece+3], [bytes(BYTES * \piece) + i * 0x10] @y
        .endm

saxpy_x4:
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %nwarpid
        s.add.i32       first, first, %warpid           // the warp's number in the grid,
        s.mull.i32      first, first, PIECES * PIECE    // and its first group
        v.mov.b32       i, %laneid
        v.add.i32       i, i, first
        s.mov.b32       step, %nblkid.x
        s.mull.i32      step, step, %nwarpid
        s.mull.i32      step, step, PIECES * PIECE
        s.shrl.b32      groups, n, 2
        s.and.b32       ragged, n, 3
        s.max.u32       whole, groups, (PIECES - 1) * PIECE
        s.sub.i32       whole, whole, (PIECES - 1) * PIECE
        s.mov.b32       entry, emsk

        // A lane whose stretch is not whole is switched off and stays off, since i only grows; its i stays there. The
        // loop ends when no lane is left.
        //
        // A store may read its registers as late as it likes, up to the wait that covers it. With registers of their
        // own for the results, the stores of one round go on beside the loads of the next.
loop:   v.cmp.lt.u32    inside, i, whole
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, parts
        .rept   PIECES, P
        load            \P
        .endr
        s.wait          vldcnt(0), vstcnt(0)
        .rept   PIECES, P
        multiply_and_store \P
        .endr
        v.add.i32       i, i, step
        s.cbr           loop

        // What there is of the stretch, in the same style: fewer than PIECES pieces, so no lane leaves its stretch.
parts:  s.mov.b32       emsk, entry
part:   v.cmp.lt.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, rest
        load            0
        s.wait          vldcnt(0), vstcnt(0)
        multiply_and_store 0
        v.add.i32       i, i, PIECE
        s.cbr           part

        // Of all lanes of the grid, exactly one has stopped at group n / 4.
rest:   s.mov.b32       emsk, entry
        v.cmp.eq.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, done

        .macro  single place                            // element `place` of the ragged group, if there is one
        s.cmp.gt.u32    scc, ragged, \place
        s.cbr.az        scc, done
        vmem.ld.b32     xs[0], [bytes(4 * \place) + i * 0x10] @x
        vmem.ld.b32     ys[0], [bytes(4 * \place) + i * 0x10] @y
        s.wait          vldcnt(0), vstcnt(0)
        v.fma.f32.rtte  results[0], xs[0], a, ys[0]
        vmem.st.b32     results[0], [bytes(4 * \place) + i * 0x10] @y
        .endm
        single          0
        single          1
        single          2

done:   s.mov.b32       emsk, entry
        simt.exit
