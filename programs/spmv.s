// y = A * x for a sparse matrix A in CSR form: row r has the elements values[starts[r]] to values[starts[r + 1] - 1], in
// the columns given by `columns`.
//
// A lane does a row. Rows differ in length, so lanes leave the inner loop one by one, and the warp stays until its
// longest row is done. x is gathered: neighbouring lanes need elements that lie anywhere.
//
// Order: y[r] = fma(value, x[column], ...) along the row, beginning at +0, so the result is defined to the bit.
//
// Launch: any one-dimensional grid and block. Fewer than 2^32 elements.

        .include "index.inc"
        .include "loop.inc"

        .kernel spmv
        .param  u32 rows
        .param  ptr starts                      // u32, rows + 1
        .param  ptr columns                     // u32, one per element
        .param  ptr values                      // f32, one per element
        .param  ptr x
        .param  ptr y

        .reg    row     = vreg0
        .reg    k       = vreg1                 // the element
        .reg    end     = vreg2                 // the first behind the row
        .reg    column  = vreg3
        .reg    value   = vreg4
        .reg    other   = vreg5                 // the element of x
        .reg    sum     = vreg6
        .reg    step    = sreg38
        .reg    entry   = sreg39
        .reg    lanes   = sreg40                // those that have a row in this round

spmv:   global_x        row
        grid_threads    step
        grid_stride     each, row, rows, entry
        vmem.ld.b32     k, [0x0 + row * 0x4] @starts
        vmem.ld.b32     end, [bytes(4) + row * 0x4] @starts
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read `sum`
        v.mov.b32       sum, 0

        s.mov.b32       lanes, emsk
next:   inside          k, end, scc                     // a lane at the end of its row is off until all are
        s.cbr.az        emsk, store
        vmem.ld.b32     column, [0x0 + k * 0x4] @columns
        vmem.ld.b32     value, [0x0 + k * 0x4] @values
        s.wait          vldcnt(1)                       // the column: loads complete in order
        vmem.ld.b32     other, [0x0 + column * 0x4] @x
        v.add.i32       k, k, 1
        s.wait          vldcnt(0)
        v.fma.f32.rtte  sum, value, other, sum
        s.cbr           next

store:  s.mov.b32       emsk, lanes
        vmem.st.b32     sum, [0x0 + row * 0x4] @y
        grid_stride_end each, row, step, entry
        simt.exit
