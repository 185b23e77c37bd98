// A 3-point stencil on a line: target[i] = left * x[i-1] + centre * x[i] + right * x[i+1]; both ends are copied. With
// weights d, 1 - 2d, d it is one step of the heat equation.
//
// Every element is needed three times. The block loads its stretch once, with the element before and the one behind it
// (the halo), into TSM, and all three reads come from there.
//
// Launch: grid ceil(n / block), one-dimensional, any block of up to 1024 threads.

        .include "index.inc"
        .include "block.inc"

        .kernel stencil3
        .param  u32 n
        .param  f32 left
        .param  f32 centre
        .param  f32 right
        .param  ptr source
        .param  ptr target                      // not source
        .maxntid 1024
        .tsm    4 * (1024 + 2) tile             // word t + 1 is the element of thread t

        .reg    tid     = vreg0
        .reg    i       = vreg1                 // the thread's element
        .reg    x       = vreg2
        .reg    l       = vreg3                 // its neighbours
        .reg    r       = vreg4
        .reg    y       = vreg5
        .reg    before  = vreg6                 // i - 1
        .reg    behind  = vreg7                 // i + 1
        .reg    entry   = sreg38                // the lanes of the warp,
        .reg    present = sreg39                // those whose element exists,
        .reg    first   = sreg40                // the first of the block, if it has an element before it,
        .reg    last    = sreg41                // the last, if it has one behind it
        .reg    limit   = sreg42

stencil3:
        v.mov.b32       tid, %tid.x
        global_x        i
        v.sub.i32       before, i, 1
        v.add.i32       behind, i, 1
        s.mov.b32       entry, emsk
        v.cmp.lt.u32    present, i, n
        v.cmp.lt.u32    first, before, n                // false for i = 0: i - 1 wraps around
        v.cmp.eq.u32    scc, tid, 0
        s.and.b32       first, first, scc
        v.cmp.lt.u32    last, behind, n
        s.sub.i32       limit, %ntid.x, 1
        v.cmp.eq.u32    scc, tid, limit
        s.and.b32       last, last, scc

        // Three loads under way at once, two of them in one lane of the block each.
        s.mov.b32       emsk, present
        vmem.ld.b32     x, [0x0 + i * 0x4] @source
        s.mov.b32       emsk, first
        vmem.ld.b32     l, [0x0 + before * 0x4] @source
        s.mov.b32       emsk, last
        vmem.ld.b32     r, [0x0 + behind * 0x4] @source
        s.wait          vldcnt(0)
        tsm.st.b32      r, [bytes(tile + 8) + tid * 0x4]
        s.mov.b32       emsk, first
        tsm.st.b32      l, [bytes(tile) + tid * 0x4]
        s.mov.b32       emsk, present
        tsm.st.b32      x, [bytes(tile + 4) + tid * 0x4]
        s.mov.b32       emsk, entry
        block_sync

        // i - 1 < n - 2 as unsigned numbers says 0 < i < n - 1. max keeps n - 2 from wrapping.
        s.max.u32       limit, n, 2
        s.sub.i32       limit, limit, 2
        v.mov.b32       y, x
        v.cmp.lt.u32    scc, before, limit
        s.mov.b32       emsk, scc
        tsm.ld.b32      l, [bytes(tile) + tid * 0x4]
        tsm.ld.b32      r, [bytes(tile + 8) + tid * 0x4]
        v.mul.f32       y, x, centre
        s.wait          tsmcnt(0)
        v.fma.f32.rtte  y, l, left, y
        v.fma.f32.rtte  y, r, right, y
        s.mov.b32       emsk, present
        vmem.st.b32     y, [0x0 + i * 0x4] @target
        s.mov.b32       emsk, entry
        simt.exit
