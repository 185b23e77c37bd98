// Layer normalisation of every row of a matrix: y = (x - mean) / sqrt(variance + epsilon) * gain + bias, with mean and
// variance of the row, gain and bias of the column.
//
// A block does a row; its threads take turns at the columns. Mean and variance are sums over the block, one after the
// other: the variance is the mean of (x - mean)^2, which does not cancel as mean(x^2) - mean^2 would.
//
// Order: thread t adds the columns t, t + ntid, ...; then block_reduce joins the threads. So the result is defined to the
// bit, and depends on the block only.
//
// Launch: a block for each row, one-dimensional, up to 1024 threads.

        .include "index.inc"
        .include "loop.inc"
        .include "block.inc"

        .kernel layer_norm
        .param  u32 columns
        .param  f32 epsilon
        .param  ptr source                      // f32, rows x columns, row-major
        .param  ptr gain                        // f32, columns
        .param  ptr bias                        // f32, columns
        .param  ptr target                      // the same shape as source; may be source
        .maxntid 1024
        .tsm    4 * 1024 shared                 // a word per thread

        .reg    tid     = vreg0
        .reg    column  = vreg1
        .reg    x       = vreg2
        .reg    g       = vreg3
        .reg    b       = vreg4
        .reg    y       = vreg5
        .reg    mean    = vreg6
        .reg    scale   = vreg7                 // the sum of squares, then 1 / sqrt(variance + epsilon)
        .reg    count   = vreg8                 // columns as a float
        .reg    v       = vreg[10:11]
        .reg    entry   = sreg38
        .reg    threads = sreg39
        .reg    s       = sreg[40:42]
        .reg    from    = sreg[44:45]           // addresses of the row
        .reg    to      = sreg[46:47]

layer_norm:
        v.mov.b32       tid, %tid.x
        s.mov.b32       threads, %ntid.x
        v.cnvt.f32.u32.rtte count, columns
        s.shll.b32      s[0], columns, 2
        s.mov.b32       s[1], %blkid.x
        s.mulw.u64.u32  from, s[0], s[1]
        s.add.i64       to, from, target
        s.add.i64       from, from, source

        v.mov.b32       mean, 0
        v.mov.b32       column, tid
        grid_stride     add, column, columns, entry
        vmem.ld.b32     x, [0x0 + column * 0x4] @from
        s.wait          vldcnt(0)
        v.add.f32       mean, mean, x
        grid_stride_end add, column, threads, entry
        block_reduce    v.add.f32, mean, tid, shared, v, s
        v.div.f32       mean, mean, count
        block_broadcast mean, tid, shared

        v.mov.b32       scale, 0
        v.mov.b32       column, tid
        grid_stride     square, column, columns, entry
        vmem.ld.b32     x, [0x0 + column * 0x4] @from
        s.wait          vldcnt(0)
        v.sub.f32       x, x, mean
        v.fma.f32.rtte  scale, x, x, scale
        grid_stride_end square, column, threads, entry
        block_reduce    v.add.f32, scale, tid, shared, v, s
        v.div.f32       scale, scale, count
        v.add.f32       scale, scale, epsilon
        v.rsqrt.f32     scale, scale
        block_broadcast scale, tid, shared

        v.mov.b32       column, tid
        grid_stride     norm, column, columns, entry
        vmem.ld.b32     x, [0x0 + column * 0x4] @from
        vmem.ld.b32     g, [0x0 + column * 0x4] @gain
        vmem.ld.b32     b, [0x0 + column * 0x4] @bias
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        v.sub.f32       x, x, mean
        v.mul.f32       x, x, scale
        v.fma.f32.rtte  y, x, g, b
        vmem.st.b32     y, [0x0 + column * 0x4] @to
        grid_stride_end norm, column, threads, entry
        simt.exit
