// The Mandelbrot set: for each pixel c of an image, how many steps of z = z * z + c, beginning at 0, keep |z| <= 2;
// at most `limit`.
//
// Neighbouring pixels may need three steps or three million, so lanes of a warp leave the loop one by one: control
// flow as divergent as it gets. Here it is written with simt.rcbr. A lane that jumps elsewhere waits there; the
// lanes at the lowest address run, and lanes that meet at an address run together again. So code that all lanes
// need stands below (behind) the loops, and nothing needs to be saved or restored.
//
// Pixels of the set itself would always cost `limit` steps. But an orbit that returns to an exact earlier value
// repeats for ever: such a lane knows its count. The kernel compares z with an older z, renewed each time the
// number of steps has doubled (Brent's cycle detection); results are the same as without.
//
// Launch with a grid of two-dimensional blocks of any shape that covers width x height. width * height < 2^32, and
// width and height up to 2^24 are exact in binary32.

        .kernel mandelbrot
        .param  u32 width
        .param  u32 height
        .param  u32 limit
        .param  f32 left                        // real part of the first column
        .param  f32 top                         // imaginary part of the first row
        .param  f32 pitch                       // from one pixel to the next, both ways
        .param  ptr steps                       // u32, height x width, row-major

        .reg    x       = vreg0                 // the pixel, then its index
        .reg    y       = vreg1
        .reg    cr      = vreg2                 // c
        .reg    ci      = vreg3
        .reg    zr      = vreg4                 // z
        .reg    zi      = vreg5
        .reg    rr      = vreg6                 // zr * zr
        .reg    ii      = vreg7                 // zi * zi
        .reg    t       = vreg8
        .reg    n       = vreg9                 // steps done
        .reg    due     = vreg10                // when to renew the older z
        .reg    oldr    = vreg11                // the older z
        .reg    oldi    = vreg12
        .reg    two     = sreg38                // 2.0: three-source instructions take no immediate
        .reg    first   = sreg39
        .reg    mask    = sreg40
        .reg    same    = sreg41

mandelbrot:
        v.mov.b32       x, %tid.x
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, %ntid.x
        v.add.i32       x, x, first
        v.mov.b32       y, %tid.y
        s.mov.b32       first, %blkid.y
        s.mull.i32      first, first, %ntid.y
        v.add.i32       y, y, first

        // simt.rcbr.n takes the branch in lanes whose bit is 0: those outside the image wait at the end.
        v.cmp.lt.u32    mask, x, width
        simt.rcbr.n     mask, end
        v.cmp.lt.u32    mask, y, height
        simt.rcbr.n     mask, end

        v.cnvt.f32.u32.rtte cr, x
        v.mov.b32       t, left
        v.fma.f32.rtte  cr, cr, pitch, t                // c = (left + x * pitch, top + y * pitch)
        v.cnvt.f32.u32.rtte ci, y
        v.mov.b32       t, top
        v.fma.f32.rtte  ci, ci, pitch, t
        v.madl.i32      x, y, width, x                  // from here on x is the pixel's index

        v.mov.b32       zr, 0
        v.mov.b32       zi, 0
        v.mov.b32       n, 0
        v.mov.b32       due, 4
        s.mov.b32       two, 2.0

        // Outer loop: 8, 16, 32 ... steps in all, or `limit`.
renew:  v.cmp.lt.u32    mask, n, limit
        simt.rcbr.n     mask, store
        v.mov.b32       oldr, zr
        v.mov.b32       oldi, zi
        v.add.i32       due, due, due
        v.min.u32       due, due, limit

        // Inner loop: one step.
step:   v.mul.f32       rr, zr, zr
        v.mul.f32       ii, zi, zi
        v.add.f32       t, rr, ii
        v.cmp.le.f32    mask, t, 4.0                    // false for NaN, which counts as escaped
        simt.rcbr.n     mask, store                     // escaped: wait there with the final n
        v.mul.f32       t, zr, zi
        v.sub.f32       zr, rr, ii
        v.add.f32       zr, zr, cr
        v.fma.f32.rtte  zi, t, two, ci                  // doubling is exact: one rounding, as in (t + t) + ci
        v.add.i32       n, n, 1
        v.cmp.eq.u32    mask, zr, oldr                  // the bits: equal values would not be enough for -0 and +0
        v.cmp.eq.u32    same, zi, oldi
        s.and.b32       same, same, mask
        simt.rcbr       same, member
        v.cmp.lt.u32    mask, n, due
        simt.rcbr       mask, step
        s.cbr           renew

        // Lanes that found a cycle meet here; they would go round until the limit.
member: v.mov.b32       n, limit

        // Here all lanes of the image meet, and store together.
store:  vmem.st.b32     n, [0x0 + x * 0x4] @steps

end:    simt.exit
