// The sum of n floats, in two launches of one kernel.
//
// The first launch leaves one partial sum per block in `partial`; the second, of a single block, adds these up.
// Within a block: every thread sums its share in registers, then the threads' sums are added pairwise in TSM,
// halving their number from step to step.
//
// Float addition is not associative, so the order is part of what the kernel promises: the result depends on grid
// and block, and on nothing else. sum.py writes the same order down in numpy.

        .arch   ppu0015

// x must be a multiple of 16; grid and block are one-dimensional; the grid has fewer than 2^31 threads.

        .kernel sum
        .param  u32 n                           // floats in x
        .param  ptr x
        .param  ptr partial                     // one float per block, written
        .maxntid 1024
        .tsm    4 * 1024 shared                 // one float per thread

        .reg    tid     = vreg0
        .reg    i       = vreg1                 // the lane's group of four elements
        .reg    other   = vreg2                 // a partner's sum
        .reg    place   = vreg3
        .reg    v       = vreg[4:7]             // a group of x
        .reg    acc     = vreg[8:11]            // four sums, one per place in the group: four short chains of
                                                // additions instead of one long one
        .reg    first   = sreg38
        .reg    threads = sreg39                // of the grid
        .reg    groups  = sreg40                // whole groups: n / 4
        .reg    ragged  = sreg41                // elements behind them: n % 4
        .reg    inside  = sreg42
        .reg    entry   = sreg43                // the lanes the warp began with
        .reg    off     = sreg44
        .reg    count   = sreg45                // sums still to be added in this block
        .reg    half    = sreg46

sum:    v.mov.b32       tid, %tid.x
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %ntid.x
        v.add.i32       i, tid, first
        s.mov.b32       threads, %nblkid.x
        s.mull.i32      threads, threads, %ntid.x
        s.shrl.b32      groups, n, 2
        s.and.b32       ragged, n, 3
        s.mov.b32       entry, emsk
        v.mov.b32       acc[0], 0
        v.mov.b32       acc[1], 0
        v.mov.b32       acc[2], 0
        v.mov.b32       acc[3], 0

        // 1. Registers. Lanes that are done are switched off and stay off.
loop:   v.cmp.lt.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, rest
        vmem.ld.b32x4   v, [0x0 + i * 0x10] @x
        s.wait          vldcnt(0)
        v.add.f32       acc[0], acc[0], v[0]
        v.add.f32       acc[1], acc[1], v[1]
        v.add.f32       acc[2], acc[2], v[2]
        v.add.f32       acc[3], acc[3], v[3]
        v.add.i32       i, i, threads
        s.cbr           loop

        // The one lane of the grid that stopped at group n / 4 adds the elements of the ragged group.
rest:   s.mov.b32       emsk, entry
        v.cmp.eq.u32    inside, i, groups
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, fold

        .macro  single number
        s.cmp.gt.u32    scc, ragged, \number
        s.cbr.az        scc, fold
        vmem.ld.b32     v[0], [bytes(4 * \number) + i * 0x10] @x
        s.wait          vldcnt(0)
        v.add.f32       acc[\number], acc[\number], v[0]
        .endm
        single          0
        single          1
        single          2

fold:   s.mov.b32       emsk, entry
        v.add.f32       acc[0], acc[0], acc[1]
        v.add.f32       acc[2], acc[2], acc[3]
        v.add.f32       acc[0], acc[0], acc[2]

        // 2. TSM. With `count` sums left, thread t adds sum t + half to its own, half = ceil(count / 2). A step
        // reads only places from `half` on and writes only places below, so one barrier per step is enough.
        tsm.st.b32      acc[0], [shared + tid * 0x4]
        s.mov.b32       count, %ntid.x
step:   s.cmp.le.u32    scc, count, 1
        s.cbr.nz        scc, total
        s.wait          tsmcnt(0)                       // a barrier does not wait for stores under way
        s.blksyn
        s.add.i32       half, count, 1
        s.shrl.b32      half, half, 1
        v.add.i32       place, tid, half
        v.cmp.lt.u32    inside, place, count
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, next                      // this warp has nothing to add
        tsm.ld.b32      other, [shared + place * 0x4]
        s.wait          tsmcnt(0)
        v.add.f32       acc[0], acc[0], other
        tsm.st.b32      acc[0], [shared + tid * 0x4]
next:   s.mov.b32       emsk, entry                     // all lanes come to the next barrier
        s.mov.b32       count, half
        s.cbr           step

        // 3. Thread 0 has the block's sum still in its register.
total:  v.cmp.eq.u32    inside, tid, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       place, %blkid.x
        vmem.st.b32     acc[0], [0x0 + place * 0x4] @partial
        s.mov.b32       emsk, entry
        simt.exit
