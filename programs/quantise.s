// To eight and four bits and back.
//
// FP8: a tensor has one scale, its largest magnitude / 448, so that this becomes the largest e4m3 number; the scale is
// at least 2^-126. x becomes x / scale, rounded to binary32 and then to e4m3; y is the e4m3 number * scale. Three kernels:
// `largest` joins the magnitudes, NaNs left out, by an atomic maximum, which needs no order; `quantise_e4m3` and
// `dequantise_e4m3` follow.
//
// MX, as in the OCP specification: 32 elements in a row have one scale, the power of two 2^(floor(log2(largest)) - 2) as
// e8m0, at least 2^-127; what is then above 6 becomes 6. NaN in a block makes its scale NaN. A thread does 8 elements, so
// 4 lanes do a block; two elements lie in a byte, the first in the low half.
//
// Launch: one-dimensional, any grid, a block of whole warps. For MX, n is a multiple of 32, and arrays lie at multiples
// of 16.

        .include "index.inc"
        .include "loop.inc"

        .kernel largest
        .param  u32 n
        .param  ptr source                      // f32
        .param  ptr most                        // f32, one; 0 before

        .reg    i       = vreg0
        .reg    x       = vreg1
        .reg    part    = vreg2
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    all     = sreg40
        .reg    off     = sreg41

        global_x        i
        grid_threads    threads
        v.mov.b32       part, 0
        grid_stride     each, i, n, entry
        vmem.ld.b32     x, [0x0 + i * 0x4] @source
        s.wait          vldcnt(0)
        v.max.f32       part, part, |x|
        grid_stride_end each, i, threads, entry
        v.red.max.f32   all, part
        v.mov.b32       part, all
        v.mov.b32       x, %laneid
        inside          x, 1, off
        vmem.red.max.u32 [0x0] @most, part      // floats without a sign are in the order of their bits
        restore         off
        simt.exit

        .kernel quantise_e4m3
        .param  u32 n
        .param  ptr source                      // f32
        .param  ptr most                        // f32, one: of the kernel `largest`
        .param  ptr target                      // e4m3
        .param  ptr scale                       // f32, one, written

        .equ    LEAST_SCALE, 0x00800000         // 2^-126

        .reg    i       = vreg0
        .reg    x       = vreg1
        .reg    y       = vreg2
        .reg    s       = vreg3
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    top     = sreg40
        .reg    off     = sreg41

        smem.ld.b32     top, [0x0] @most
        global_x        i
        grid_threads    threads
        s.wait          sldcnt(0)
        v.mov.b32       s, top
        v.div.f32       s, s, 448.0
        v.max.f32       s, s, LEAST_SCALE
        v.cmp.eq.u32    off, i, 0
        s.lop.emsk      off, off # 0x8
        vmem.st.b32     s, [0x0] @scale
        restore         off

        grid_stride     each, i, n, entry
        vmem.ld.b32     x, [0x0 + i * 0x4] @source
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        v.div.f32       y, x, s
        v.cnvt.e4m3.f32.rtte y, y
        vmem.st.b8      y, [0x0 + i * 0x1] @target
        grid_stride_end each, i, threads, entry
        simt.exit

        .kernel dequantise_e4m3
        .param  u32 n
        .param  ptr source                      // e4m3
        .param  ptr scale                       // f32, one
        .param  ptr target                      // f32

        .reg    i       = vreg0
        .reg    x       = vreg1
        .reg    y       = vreg2
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    s       = sreg40

        smem.ld.b32     s, [0x0] @scale
        global_x        i
        grid_threads    threads
        s.wait          sldcnt(0)
        grid_stride     each, i, n, entry
        vmem.ld.b8      x, [0x0 + i * 0x1] @source
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        v.cnvt.f32.e4m3 y, x
        v.mul.f32       y, y, s
        vmem.st.b32     y, [0x0 + i * 0x4] @target
        grid_stride_end each, i, threads, entry
        simt.exit

        .kernel quantise_mxf4
        .param  u32 n
        .param  ptr source                      // f32
        .param  ptr target                      // e2m1, two in a byte
        .param  ptr scales                      // e8m0, a byte for 32 elements

        .reg    i       = vreg0                 // 8 elements
        .reg    most    = vreg1
        .reg    t       = vreg2
        .reg    scale   = vreg3
        .reg    packed  = vreg4
        .reg    block   = vreg5                 // 4 times 8 elements
        .reg    e8m0    = vreg6
        .reg    x       = vreg[8:15]
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    eights  = sreg40
        .reg    off     = sreg41
        .reg    bad     = sreg42                // lanes of blocks with a NaN

        global_x        i
        grid_threads    threads
        s.shrl.b32      eights, n, 3
        grid_stride     each, i, eights, entry
        vmem.ld.b32x4   x[0:3], [bytes(0) + i * 0x20] @source
        vmem.ld.b32x4   x[4:7], [bytes(16) + i * 0x20] @source
        s.wait          vldcnt(0), vstcnt(0)            // the last round's stores may still read packed and e8m0
        v.mov.b32       most, 0
        .rept   8, E
        v.max.f32.nan   most, most, |x[\E]|
        .endr
        .rept   2, K
        v.shuffle.bfly.b32 t, most, 1 << \K
        v.max.f32.nan   most, most, t
        .endr

        v.cmp.nan.f32   bad, most, most
        v.cnvt.e8m0.f32.rtz e8m0, most
        v.sub.i32       e8m0, e8m0, 2
        v.max.i32       e8m0, e8m0, 0
        v.mov.b32       t, 0xff
        v.csel.b32      e8m0, t, e8m0, bad
        v.cnvt.f32.e8m0 scale, e8m0
        v.mov.b32       packed, 0
        .rept   4, P
        v.div.f32       x[2*\P], x[2*\P], scale
        v.div.f32       x[2*\P+1], x[2*\P+1], scale
        v.pcnvt.e2m1x2  t, x[2*\P], x[2*\P+1]
        v.shll.b32      t, t, 8 * \P
        v.or.b32        packed, packed, t
        .endr
        vmem.st.b32     packed, [0x0 + i * 0x4] @target

        v.and.b32       t, i, 3
        inside          t, 1, off
        v.shrl.b32      block, i, 2
        vmem.st.b8      e8m0, [0x0 + block * 0x1] @scales
        restore         off
        grid_stride_end each, i, threads, entry
        simt.exit

        .kernel dequantise_mxf4
        .param  u32 n
        .param  ptr source                      // e2m1, two in a byte
        .param  ptr scales                      // e8m0, a byte for 32 elements
        .param  ptr target                      // f32

        .reg    i       = vreg0                 // 8 elements
        .reg    packed  = vreg1
        .reg    scale   = vreg2
        .reg    block   = vreg3                 // 4 times 8 elements
        .reg    t       = vreg4
        .reg    y       = vreg[8:15]
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    eights  = sreg40

        global_x        i
        grid_threads    threads
        s.shrl.b32      eights, n, 3
        grid_stride     each, i, eights, entry
        v.shrl.b32      block, i, 2
        vmem.ld.b32     packed, [0x0 + i * 0x4] @source
        vmem.ld.b8      scale, [0x0 + block * 0x1] @scales
        s.wait          vldcnt(0), vstcnt(0)            // the last round's stores may still read y
        v.cnvt.f32.e8m0 scale, scale
        .rept   8, E
        v.shrl.b32      t, packed, 4 * \E
        v.cnvt.f32.e2m1 t, t                    // of the low 4 bits
        v.mul.f32       y[\E], t, scale
        .endr
        vmem.st.b32x4   y[0:3], [bytes(0) + i * 0x20] @target
        vmem.st.b32x4   y[4:7], [bytes(16) + i * 0x20] @target
        grid_stride_end each, i, threads, entry
        simt.exit
