// Inclusive scans: y[i] = x[0] + ... + x[i], or with segments the sum from the last head at or before i.
//
// Three kinds of launches, by scan.py: `scan_*` or `segmented_*` scans each block by itself and leaves its total;
// the same kernel scans the totals (a block with a head is itself a head, for nothing is carried over it); `carry_*`
// adds to every block what came before it, up to the block's first head.
//
// Within a block: the lanes of a warp add what lies 1, 2, 4, 8 and 16 lanes below, as far as that belongs to their
// segment; the first warp does the same with the warps' totals; every warp adds what came before it. Float addition is
// not associative: this is the order, and scan.py has it in numpy.

// Grid and block are one-dimensional, with as many threads as elements or more.

// acc = what add makes of acc over the lanes start to lane. start: the first lane of the lane's segment.
        .macro  across add
        .equ    STEP, 1
        .rept   5
        v.shuffle.up.b32 other, acc, STEP
        v.add.i32       first, start, STEP
        v.cmp.ge.u32    inside, lane, first
        s.lop.emsk      off, inside # 0x8
        \add            acc, other, acc
        s.or.b32        emsk, emsk, off
        .equ    STEP, 2 * STEP
        .endr
        .endm

// start = the lane of the last head at or below each lane, or 0. heads: a mask.
        .macro  starts heads
        v.mov.b32       start, %lanemask_le
        v.and.b32       start, start, \heads
        v.bfind.u32     start, start                    // -1 where there is no head
        v.max.i32       start, start, 0
        .endm

        .macro  kernel name, add, segmented
        .kernel \name
        .param  u32 n
        .param  ptr x
        .if     \segmented
        .param  ptr heads                       // not 0 where a segment begins; element 0 needs no head
        .param  ptr has_head                    // for each block 1 if it has a head, else 0, written
        .endif
        .param  ptr y                           // written, may be x
        .param  ptr totals                      // for each block the sum of its last segment, written
        .param  ptr front                       // for each block its elements before its first head, written
        .maxntid 1024
        .tsm    4 * 32 sums                     // of the warps; then what came before each one's end
        .tsm    4 * 32 masks                    // heads of each warp

        .reg    tid     = vreg0
        .reg    i       = vreg1
        .reg    lane    = vreg2
        .reg    acc     = vreg3
        .reg    start   = vreg4
        .reg    other   = vreg5
        .reg    first   = vreg6
        .reg    own     = vreg7                 // the first warp's scan, while it scans the warps' totals
        .reg    flag    = vreg8
        .reg    warp    = vreg9
        .reg    entry   = sreg38                // the lanes the warp began with
        .reg    off     = sreg39
        .reg    inside  = sreg40
        .reg    here    = sreg41                // heads of this warp
        .reg    open    = sreg42                // lanes before the warp's first head
        .reg    warps   = sreg43                // warps of the block whose totals others need: all but the last
        .reg    least   = sreg44

        v.mov.b32       tid, %tid.x
        v.mov.b32       lane, %laneid
        v.mov.b32       warp, %warpid
        s.mov.b32       off, %blkid.x
        s.mull.i32      off, off, %ntid.x
        v.add.i32       i, tid, off
        s.mov.b32       entry, emsk
        v.mov.b32       acc, 0
        v.mov.b32       flag, 0

        v.cmp.lt.u32    inside, i, n
        s.lop.emsk      off, inside # 0x8
        vmem.ld.b32     acc, [0x0 + i * 0x4] @x
        .if     \segmented
        vmem.ld.b32     flag, [0x0 + i * 0x4] @heads
        .endif
        s.wait          vldcnt(0)
        s.mov.b32       emsk, entry

        // 1. The warp.
        v.cmp.ne.u32    here, flag, 0
        starts          here
        v.mov.b32       first, %lanemask_le
        v.and.b32       first, first, here
        v.cmp.eq.u32    open, first, 0
        across          \add

        v.cmp.eq.u32    inside, lane, 31                // of the last warp nobody needs the total
        s.lop.emsk      off, inside # 0x8
        tsm.st.b32      acc, [sums + warp * 0x4]
        s.mov.b32       emsk, entry
        v.cmp.eq.u32    inside, lane, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       flag, here
        tsm.st.b32      flag, [masks + warp * 0x4]
        s.mov.b32       emsk, entry
        s.wait          tsmcnt(0)                       // a barrier does not wait for stores under way
        s.blksyn

        // 2. The first warp: the totals, and the place of the block's first head.
        s.cmp.ne.u32    scc, %warpid, 0
        s.cbr.nz        scc, 1f
        v.mov.b32       own, acc
        s.sub.i32       warps, %nwarpid, 1
        v.cmp.le.u32    inside, lane, warps
        s.lop.emsk      off, inside # 0x8
        tsm.ld.b32      flag, [masks + lane * 0x4]
        s.wait          tsmcnt(0)
        v.cmp.ne.u32    here, flag, 0
        v.brev.b32      other, flag
        v.clz.b32       other, other                    // the warp's first head
        v.shll.b32      first, lane, 5
        v.add.i32       other, other, first
        v.mov.b32       first, %ntid.x
        v.csel.b32      other, other, first, here
        v.red.min.u32   least, other
        v.cmp.eq.u32    inside, lane, 0
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       first, %blkid.x
        v.mov.b32       other, least
        vmem.st.b32     other, [0x0 + first * 0x4] @front
        .if     \segmented
        s.cmp.lt.u32    scc, least, %ntid.x
        s.csel.b32      least, 1, 0, scc
        v.mov.b32       flag, least
        vmem.st.b32     flag, [0x0 + first * 0x4] @has_head
        .endif
        s.mov.b32       emsk, entry

        v.cmp.lt.u32    inside, lane, warps
        s.lop.emsk      off, inside # 0x8
        s.cbr.az        emsk, 2f                        // only one warp
        tsm.ld.b32      acc, [sums + lane * 0x4]
        starts          here
        s.wait          vstcnt(0), tsmcnt(0)            // other goes on to be used
        across          \add
        tsm.st.b32      acc, [sums + lane * 0x4]
        s.wait          tsmcnt(0)
2:      s.mov.b32       emsk, entry
        v.mov.b32       acc, own

        // 3. What came before the warp, for the lanes before its first head.
1:      s.blksyn
        s.cmp.eq.u32    scc, %warpid, 0
        s.cbr.nz        scc, 3f
        s.lop.emsk      off, open # 0x8
        v.sub.i32       first, warp, 1
        tsm.ld.b32      other, [sums + first * 0x4]
        s.wait          tsmcnt(0)
        \add            acc, other, acc
        s.mov.b32       emsk, entry

3:      v.cmp.lt.u32    inside, i, n
        s.lop.emsk      off, inside # 0x8
        vmem.st.b32     acc, [0x0 + i * 0x4] @y
        s.mov.b32       emsk, entry
        s.sub.i32       least, %ntid.x, 1
        v.cmp.eq.u32    inside, tid, least
        s.lop.emsk      off, inside # 0x8
        v.mov.b32       first, %blkid.x
        vmem.st.b32     acc, [0x0 + first * 0x4] @totals
        s.mov.b32       emsk, entry
        simt.exit
        .endm

        kernel          scan_u32, v.add.i32, 0
        kernel          scan_f32, v.add.f32, 0
        kernel          segmented_u32, v.add.i32, 1
        kernel          segmented_f32, v.add.f32, 1

// y[i] = carries[block - 1] + y[i] in every block but the first, for its elements before its first head.
        .macro  carry name, add
        .kernel \name
        .param  u32 n
        .param  ptr y
        .param  ptr carries                     // for each block the scan of the totals
        .param  ptr front
        .maxntid 1024

        .reg    tid     = vreg0
        .reg    i       = vreg1
        .reg    value   = vreg2
        .reg    block   = vreg3
        .reg    before  = vreg4
        .reg    count   = vreg5
        .reg    entry   = sreg38
        .reg    off     = sreg39
        .reg    inside  = sreg40

        s.mov.b32       entry, emsk
        s.cmp.eq.u32    scc, %blkid.x, 0
        s.cbr.nz        scc, 1f
        v.mov.b32       tid, %tid.x
        v.mov.b32       block, %blkid.x
        s.mov.b32       off, %blkid.x
        s.mull.i32      off, off, %ntid.x
        v.add.i32       i, tid, off
        vmem.ld.b32     count, [0x0 + block * 0x4] @front
        v.sub.i32       block, block, 1
        vmem.ld.b32     before, [0x0 + block * 0x4] @carries
        s.wait          vldcnt(0)
        v.cmp.lt.u32    inside, tid, count
        s.lop.emsk      off, inside # 0x8
        v.cmp.lt.u32    inside, i, n
        s.lop.emsk      off, inside # 0x8
        vmem.ld.b32     value, [0x0 + i * 0x4] @y
        s.wait          vldcnt(0)
        \add            value, before, value
        vmem.st.b32     value, [0x0 + i * 0x4] @y
1:      s.mov.b32       emsk, entry
        simt.exit
        .endm

        carry           carry_u32, v.add.i32
        carry           carry_f32, v.add.f32
