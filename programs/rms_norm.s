// Root-mean-square normalisation of every row of a matrix: y = x / sqrt(mean(x^2) + epsilon) * gain, with gain of the
// column. In binary32, or of bfloat16 elements, which are widened, and y is rounded once.
//
// A warp does a row; its lanes take turns at the columns. Order: lane l adds the squares of the columns l, l + 32, ...,
// each rounded once together with its sum; v.red.add.f32 joins the lanes. Then y = (x * scale) * gain, with
// scale = 1 / sqrt(sum / columns + epsilon). So the result is defined to the bit.
//
// Launch: one-dimensional, any grid, a block of whole warps.

        .include "index.inc"
        .include "loop.inc"

// to = element `column` of the row at `address`, on its way; `widen` makes it binary32 once it is there.
        .macro  fetch to, address, wide
        .if     \wide
        vmem.ld.b32     \to, [0x0 + column * 0x4] @\address
        .else
        vmem.ld.b16     \to, [0x0 + column * 0x2] @\address
        .endif
        .endm

        .macro  widen x, wide
        .if     !\wide
        v.cnvt.f32.bf16 \x, \x
        .endif
        .endm

        .macro  kernel name, wide
        .kernel \name
        .param  u32 rows
        .param  u32 columns
        .param  f32 epsilon
        .param  ptr source                      // rows x columns, row-major
        .param  ptr gain                        // columns
        .param  ptr target                      // the same shape as source; may be source

        .reg    column  = vreg1
        .reg    x       = vreg2
        .reg    g       = vreg3
        .reg    y       = vreg4
        .reg    part    = vreg5                 // the lane's sum of squares
        .reg    scale   = vreg6
        .reg    row     = sreg38
        .reg    warps   = sreg39
        .reg    entry   = sreg40
        .reg    pitch   = sreg41                // bytes of a row
        .reg    total   = sreg42
        .reg    from    = sreg[44:45]           // addresses of the row
        .reg    to      = sreg[46:47]

        s.shll.b32      pitch, columns, \wide ? 2 : 1
        global_warp     row
        grid_warps      warps

        for_scalar      each, row, rows
        s.mulw.u64.u32  from, row, pitch
        s.add.i64       to, from, target
        s.add.i64       from, from, source

        v.mov.b32       part, 0
        v.mov.b32       column, %laneid
        grid_stride     square, column, columns, entry
        fetch           x, from, \wide
        s.wait          vldcnt(0)
        widen           x, \wide
        v.fma.f32.rtte  part, x, x, part
        grid_stride_end square, column, 32, entry
        v.red.add.f32   total, part
        v.cnvt.f32.u32.rtte scale, columns
        v.div.f32       scale, total, scale
        v.add.f32       scale, scale, epsilon
        v.rsqrt.f32     scale, scale

        v.mov.b32       column, %laneid
        grid_stride     norm, column, columns, entry
        fetch           x, from, \wide
        fetch           g, gain, \wide
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        widen           x, \wide
        widen           g, \wide
        v.mul.f32       y, x, scale
        v.mul.f32       y, y, g
        .if     \wide
        vmem.st.b32     y, [0x0 + column * 0x4] @to
        .else
        v.cnvt.bf16.f32.rtte y, y
        vmem.st.b16     y, [0x0 + column * 0x2] @to
        .endif
        grid_stride_end norm, column, 32, entry

        for_scalar_end  each, row, warps
        simt.exit
        .endm

        kernel  rms_norm_f32, 1
        kernel  rms_norm_bf16, 0
