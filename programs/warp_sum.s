// The sum of n floats without a tree in shared memory: the lanes of a warp exchange registers.
//
// Both kernels do the same in two launches, as sum.s does: the first leaves one partial sum per block, the second, of a
// single block, adds these up. `warp_sum` joins the lanes of a warp by shuffles; `warp_sum_red` by the one instruction
// that does so. The order of the additions is the same, so the results are the same bits.
//
// Within a block: every thread adds up every threads-th element; then lanes L and L + 16 of a warp are added, then what
// is left at a distance of 8, 4, 2 and 1; then the warps' sums likewise, by the first warp.

// Grid and block are one-dimensional; the grid has fewer than 2^31 threads. Any block size will do: lanes that do not
// exist count as -0, which changes no sum.

        .macro  kernel name
        .kernel \name
        .param  u32 n
        .param  ptr x
        .param  ptr partial                     // one float per block, written
        .maxntid 1024
        .tsm    4 * 32 sums                     // one float per warp

        .reg    tid     = vreg0
        .reg    i       = vreg1
        .reg    acc     = vreg2
        .reg    value   = vreg3
        .reg    lane    = vreg4
        .reg    threads = sreg38                // of the grid
        .reg    inside  = sreg39
        .reg    entry   = sreg40                // the lanes the warp began with
        .reg    off     = sreg41
        .reg    warps   = sreg42                // of the block
        .reg    distance = sreg43
        .reg    highest = sreg44                // lane of the warp: no segments
        .reg    there   = sreg45                // lanes whose partner exists and is on
        .reg    nothing = sreg46                // -0, which changes no sum

        v.mov.b32       tid, %tid.x
        v.mov.b32       lane, %laneid
        s.mov.b32       off, %blkid.x
        s.mull.i32      off, off, %ntid.x
        v.add.i32       i, tid, off
        s.mov.b32       threads, %nblkid.x
        s.mull.i32      threads, threads, %ntid.x
        s.mov.b32       entry, emsk
        s.mov.b32       highest, 31
        s.mov.b32       nothing, -0.0
        v.mov.b32       acc, 0

        // 1. Registers. Lanes that are done are switched off and stay off.
1:      v.cmp.lt.u32    inside, i, n
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, 2f
        vmem.ld.b32     value, [0x0 + i * 0x4] @x
        s.wait          vldcnt(0)
        v.add.f32       acc, acc, value
        v.add.i32       i, i, threads
        s.cbr           1b
2:      s.mov.b32       emsk, entry
        .endm

// 2. and 3. The warp's sum goes to TSM; the first warp adds up as many as there are, and lane 0 writes the block's.
        .macro  finish across
        \across
        v.cmp.eq.u32    inside, lane, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       i, %warpid
        tsm.st.b32      acc, [sums + i * 0x4]
        s.mov.b32       emsk, entry
        s.wait          tsmcnt(0)                       // a barrier does not wait for stores under way
        s.blksyn
        s.cmp.ne.u32    scc, %warpid, 0
        s.cbr.nz        scc, 3f
        s.mov.b32       warps, %nwarpid
        v.cmp.lt.u32    inside, lane, warps
        s.lop.emsk      off, inside # 0x8
        tsm.ld.b32      acc, [sums + lane * 0x4]
        s.wait          tsmcnt(0)
        \across
        v.cmp.eq.u32    inside, lane, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       i, %blkid.x
        vmem.st.b32     acc, [0x0 + i * 0x4] @partial
3:      s.mov.b32       emsk, entry
        simt.exit
        .endm

// acc of lane 0 = the sum of acc over the active lanes, by shuffles. A lane without a partner adds -0.
        .macro  by_shuffles
        s.mov.b32       distance, 16
        .rept   5
        v.shuffle.down.b32 value, there, acc, distance, highest
        v.csel.b32      value, value, nothing, there
        v.add.f32       acc, acc, value
        s.shrl.b32      distance, distance, 1
        .endr
        .endm

// The same, in all active lanes, by one instruction.
        .macro  by_reduction
        v.red.add.f32   acc, acc
        .endm

        kernel          warp_sum
        finish          by_shuffles

        kernel          warp_sum_red
        finish          by_reduction
