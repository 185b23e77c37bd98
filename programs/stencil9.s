// A 9-point stencil on an image: each inner point becomes a weighted sum of itself and its eight neighbours,
//
//      corner  edge   corner
//      edge    centre edge
//      corner  edge   corner
//
// and the boundary is copied. The order of the nine terms is fixed (see below), so the result is defined to the bit.
//
// Launch with a grid of two-dimensional blocks of any shape that covers width x height. width * height < 2^32.

        .kernel stencil9
        .param  u32 width
        .param  u32 height
        .param  f32 centre
        .param  f32 edge
        .param  f32 corner
        .param  ptr source                      // height x width, row-major
        .param  ptr target                      // the same shape; not source

        .reg    x       = vreg0
        .reg    y       = vreg1
        .reg    here    = vreg2                 // index of the lane's point
        .reg    above   = vreg3                 // index of its neighbour up and to the left
        .reg    level   = vreg4                 // of the one to the left
        .reg    below   = vreg5                 // of the one down and to the left
        .reg    sum     = vreg6                 // begins as the point itself
        .reg    t       = vreg7
        .reg    p       = vreg[8:15]            // the neighbours, row by row, without the point itself
        .reg    first   = sreg38
        .reg    inside  = sreg39
        .reg    outer   = sreg40                // lanes outside the image
        .reg    rim     = sreg41                // lanes on the boundary
        .reg    inner   = sreg42                // inner points of a row, then of a column

stencil9:
        v.mov.b32       x, %tid.x
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %ntid.x
        v.add.i32       x, x, first
        v.mov.b32       y, %tid.y
        s.mov.b32       first, %blkid.y
        s.mull.i32      first, first, %ntid.y
        v.add.i32       y, y, first

        // Lanes outside the image have nothing to do; a warp of nothing else leaves at once.
        v.cmp.lt.u32    inside, x, width
        v.cmp.lt.u32    inner, y, height
        s.and.b32       inside, inside, inner
        s.lop.emsk      outer, inside # 0x8
        s.cbr.az        emsk, done

        v.madl.i32      here, y, width, x
        vmem.ld.b32     sum, [0x0 + here * 0x4] @source

        // Inner points: x - 1 < width - 2 as unsigned numbers says 0 < x < width - 1 in one compare. max keeps
        // width - 2 from wrapping in an image of a single column.
        s.max.u32       inner, width, 2
        s.sub.i32       inner, inner, 2
        v.sub.i32       t, x, 1
        v.cmp.lt.u32    inside, t, inner
        s.max.u32       inner, height, 2
        s.sub.i32       inner, inner, 2
        v.sub.i32       t, y, 1
        v.cmp.lt.u32    inner, t, inner
        s.and.b32       inside, inside, inner
        s.lop.emsk      rim, inside # 0x8
        s.cbr.az        emsk, store

        // An offset counts up from an index, so each row is addressed from its leftmost neighbour.
        v.sub.i32       level, here, 1
        v.sub.i32       above, level, width
        v.add.i32       below, level, width
        vmem.ld.b32     p[0], [bytes(0) + above * 0x4] @source
        vmem.ld.b32     p[1], [bytes(4) + above * 0x4] @source
        vmem.ld.b32     p[2], [bytes(8) + above * 0x4] @source
        vmem.ld.b32     p[3], [bytes(0) + level * 0x4] @source
        vmem.ld.b32     p[4], [bytes(8) + level * 0x4] @source
        vmem.ld.b32     p[5], [bytes(0) + below * 0x4] @source
        vmem.ld.b32     p[6], [bytes(4) + below * 0x4] @source
        vmem.ld.b32     p[7], [bytes(8) + below * 0x4] @source

        // Loads complete in order: with at most n still outstanding, all but the last n have arrived. So the sum
        // begins while most neighbours are still on their way.
        s.wait          vldcnt(8)
        v.mul.f32       sum, sum, centre
        s.wait          vldcnt(1)
        v.fma.f32.rtte  sum, p[1], edge, sum            // up, left, right, down
        v.fma.f32.rtte  sum, p[3], edge, sum
        v.fma.f32.rtte  sum, p[4], edge, sum
        v.fma.f32.rtte  sum, p[6], edge, sum
        v.fma.f32.rtte  sum, p[0], corner, sum          // the corners, row by row
        v.fma.f32.rtte  sum, p[2], corner, sum
        v.fma.f32.rtte  sum, p[5], corner, sum
        s.wait          vldcnt(0)
        v.fma.f32.rtte  sum, p[7], corner, sum

store:  s.or.b32        emsk, emsk, rim                 // boundary lanes still hold the point itself,
        s.wait          vldcnt(0)                       // and have not waited for it yet
        vmem.st.b32     sum, [0x0 + here * 0x4] @target

done:   s.or.b32        emsk, emsk, outer
        simt.exit
