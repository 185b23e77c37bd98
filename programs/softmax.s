// Softmax of every row of a matrix: y = exp(x - m) / sum of exp(x - m) over the row, where m is the row's maximum. Without
// m the result would be the same, but exp overflows for x above 88.
//
// A warp does a row. Its lanes take turns at the columns, and each keeps a maximum and a sum of its own; v.red joins the
// 32 of them at the end. Three passes over the row: the maximum; the powers, which go to y, and their sum; the division.
//
// exp(a) is 2^(a * log2(e)), for powers of two are what the chip computes.
//
// Order: lane l adds the columns l, l + 32, l + 64, ...; then v.red.add joins lanes l and l + 16, then those 8, 4, 2
// and 1 apart. So the result is defined to the bit.
//
// Launch: any one-dimensional grid, the block a multiple of 32.

        .include "index.inc"
        .include "loop.inc"

        .kernel softmax
        .param  u32 rows
        .param  u32 columns
        .param  ptr source                      // f32, rows x columns, row-major
        .param  ptr target                      // the same shape; may be source

        .equ    LOG2_E, 0x3fb8aa3b              // 1.4426950

        .reg    lane    = vreg0
        .reg    column  = vreg1
        .reg    x       = vreg2
        .reg    part    = vreg3                 // the lane's maximum, then its sum
        .reg    y       = vreg4
        .reg    total   = vreg5
        .reg    row     = sreg38
        .reg    warps   = sreg39
        .reg    entry   = sreg40
        .reg    pitch   = sreg41                // bytes of a row
        .reg    most    = sreg42                // the row's maximum
        .reg    from    = sreg[44:45]           // addresses of the row
        .reg    to      = sreg[46:47]

softmax:
        v.mov.b32       lane, %laneid
        s.shll.b32      pitch, columns, 2
        global_warp     row
        grid_warps      warps

        for_scalar      each, row, rows
        s.mulw.u64.u32  from, row, pitch
        s.add.i64       to, from, target
        s.add.i64       from, from, source

        v.mov.b32       part, -inf
        v.mov.b32       column, lane
        grid_stride     maximum, column, columns, entry
        vmem.ld.b32     x, [0x0 + column * 0x4] @from
        s.wait          vldcnt(0)
        v.max.f32       part, part, x
        grid_stride_end maximum, column, 32, entry
        v.red.max.f32   most, part

        v.mov.b32       part, 0
        v.mov.b32       column, lane
        grid_stride     power, column, columns, entry
        vmem.ld.b32     x, [0x0 + column * 0x4] @from
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        v.sub.f32       y, x, most
        v.mul.f32       y, y, LOG2_E
        v.exp2.f32      y, y
        v.add.f32       part, part, y
        vmem.st.b32     y, [0x0 + column * 0x4] @to
        grid_stride_end power, column, 32, entry
        v.red.add.f32   total, part

        // Every lane reads back what it stored itself.
        v.mov.b32       column, lane
        grid_stride     divide, column, columns, entry
        s.wait          vstcnt(0)
        vmem.ld.b32     y, [0x0 + column * 0x4] @to
        s.wait          vldcnt(0)
        v.div.f32       y, y, total
        vmem.st.b32     y, [0x0 + column * 0x4] @to
        grid_stride_end divide, column, 32, entry

        for_scalar_end  each, row, warps
        simt.exit
