// y = a * x + y over n floats: the smallest kernel worth reading, in two versions.
//
//   saxpy       one element per thread; begins the way the vendor's compiler begins its kernels
//   saxpy_x4    four elements per load and store, and a loop, so that any grid covers any n
//
// Both keep lanes beyond the end of the arrays out of the way in mask style: a compare gives one bit per lane,
// s.lop.emsk combines it into the execution mask, and s.or.b32 restores the mask behind the region.

        .arch   ppu0015

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
// Elements 4i to 4i+3 are group i. Each thread does groups i, i + threads, i + 2 * threads, ...: one launch shape
// serves every n, and a warp that lives long costs less than many that start. If n is no multiple of 4, the last
// group is ragged: the one lane whose turn it would be does its one to three elements singly.
//
// x and y must be multiples of 16 (every allocation is), the grid one-dimensional, with fewer than 2^31 threads.

        .kernel saxpy_x4
        .param  u32 n
        .param  f32 a
        .param  ptr x
        .param  ptr y

        .reg    i       = vreg0                 // the lane's group
        .reg    xs      = vreg[4:7]
        .reg    ys      = vreg[8:11]
        .reg    results = vreg[12:15]
        .reg    first   = sreg38
        .reg    threads = sreg39                // of the whole grid
        .reg    groups  = sreg40                // whole groups: n / 4
        .reg    ragged  = sreg41                // elements behind them: n % 4
        .reg    inside  = sreg42
        .reg    entry   = sreg43                // the lanes the warp began with
        .reg    off     = sreg44                // what s.lop.emsk switched off; entry restores all at once

saxpy_x4:
        v.tid.init      i, sreg[36:37]
        v.and.b32       i, i, 0xfff
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %ntid.x
        v.add.i32       i, i, first
        s.mov.b32       threads, %nblkid.x
        s.mull.i32      threads, threads, %ntid.x
        s.shrl.b32      groups, n, 2
        s.and.b32       ragged, n, 3
        s.mov.b32       entry, emsk

        // A lane whose group lies behind the last whole one is switched off and stays off, since i only grows;
        // its i stays at the first group it did not do. The loop ends when no lane is left.
        //
        // A store may read its registers as late as it likes, up to the wait that covers it. With registers of their
        // own for the results, the store of one round goes on beside the loads of the next.
loop:   v.cmp.lt.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, rest
        vmem.ld.b32x4   xs, [0x0 + i * 0x10] @x
        vmem.ld.b32x4   ys, [0x0 + i * 0x10] @y
        s.wait          vldcnt(0), vstcnt(0)
        v.fma.f32.rtte  results[0], xs[0], a, ys[0]
        v.fma.f32.rtte  results[1], xs[1], a, ys[1]
        v.fma.f32.rtte  results[2], xs[2], a, ys[2]
        v.fma.f32.rtte  results[3], xs[3], a, ys[3]
        vmem.st.b32x4   results, [0x0 + i * 0x10] @y
        v.add.i32       i, i, threads
        s.cbr           loop

        // Of all lanes of the grid, exactly one stopped at group n / 4.
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
