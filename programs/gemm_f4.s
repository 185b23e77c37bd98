// C = A * B of MX blocks of four-bit floats (e2m1), with a scale (E8M0) for every 32 values of k: m890.mx_quantise makes
// both. A is M x K and B is N x K, two numbers to a byte, the first in the low half. gemm.inc says what is not said here.
// epilogue is 0, 1 for GELU or 2 for SiLU; + 4 to store C in bfloat16.
//
// Bytes. To copies a byte is an element, so k, lda and ldb count bytes, of two values of k, and so does depth, a multiple
// of 128. K in values is a multiple of 32: a block that is not full is filled with zeros.
//
// Scales. A row of A or B has k / 16 of them, in rows of a_pitch or b_pitch bytes, multiples of 8. With a tile of 256
// values of k come the 8 scales of each of its 128 rows, copied by lanes, a warp those of a quarter of the rows; what is
// outside the matrix is 0, which means 2^-127, and a zero stays one. A matrix instruction takes two scales of each of 16
// rows from every fourth lane. So with lane 4p + i holding row p (and p + 8) of tile i, a register has the scales of all
// four tiles of A, and `select` says which are meant; likewise B.

        .arch   ppu0015
        .include "gemm.inc"
        .include "gemm_split.inc"

        .equ    SCALES_TILE, 8 * GEMM_SIDE      // bytes of scales of a tile of A
        .equ    SCALES_SHIFT, log2(GEMM_STAGE / (2 * SCALES_TILE))

        .kernel gemm_f4
        gemm_names
        .param  ptr a_scales
        .param  ptr b_scales
        .param  u32 a_pitch                     // bytes from one row of scales to the next
        .param  u32 b_pitch
        .tsm    GEMM_STAGES * 2 * SCALES_TILE scales_room

        .reg    scales  = vreg[8:9]             // of A and B, for 64 k
        .reg    a_eight = vreg64                // which 8 scales the lane copies, and how many of them exist
        .reg    b_eight = vreg65
        .reg    a_count = vreg66
        .reg    b_count = vreg67
        .reg    a_to    = vreg68                // where to
        .reg    b_to    = vreg69
        .reg    a_scale = vreg70                // where the scales of the lane's row of fragments lie
        .reg    b_scale = vreg71
        .reg    loaded  = vreg[72:79]           // 8 scales of row p and of row p + 8, for A and for B
        .reg    a_rows  = sreg104               // lanes whose row exists
        .reg    b_rows  = sreg105
        .reg    left    = sreg106               // scales of a row that are not copied yet
        .reg    pair    = sreg[108:109]         // which bytes are two scales of row p and of row p + 8

        gemm_coordinates 8

        // A lane copies the scales of row 32 * warp + lane.
        .macro  f4_row eight, count, rows, to, first, number, pitch, at
        s.shrl.b32      s, part, log2(GEMM_LINE)
        v.add.i32       \to, lane, s
        v.add.i32       \eight, \to, \first
        v.cmp.lt.u32    \rows, \eight, \number
        s.shrl.b32      s, \pitch, 3
        v.mull.i32      \eight, \eight, s
        s.shrl.b32      s, base, log2(GEMM_LINE)
        v.add.i32       \eight, \eight, s
        v.shll.b32      \to, \to, 3
        v.add.i32       \to, \to, scales_room + \at
        .endm
        f4_row          a_eight, a_count, a_rows, a_to, row0, m, a_pitch, 0
        f4_row          b_eight, b_count, b_rows, b_to, col0, n, b_pitch, SCALES_TILE
        s.sub.i32       left, k, base
        s.shrl.b32      left, left, 4

        // Lane 4p + i multiplies with those of rows 16 * i + p and 8 further down.
        v.and.b32       v[0], lane, 3
        v.shll.b32      v[0], v[0], 4
        v.shrl.b32      v[1], lane, 2
        v.add.i32       v[0], v[0], v[1]
        v.shll.b32      v[0], v[0], 3
        v.add.i32       v[0], v[0], scales_room
        s.shll.b32      s, wrow, 3
        v.add.i32       a_scale, v[0], s
        s.shll.b32      s, wcol, 3
        v.add.i32       b_scale, v[0], s
        v.add.i32       b_scale, b_scale, SCALES_TILE
        s.mov.b32       pair[0], 0x5410
        s.mov.b32       pair[1], 0x7632

        // The next tiles leave memory, their scales first, so that gemm_copy closes the group of all.
        .macro  f4_copy bits, across_a, across_b
        s.cbr.az        copies, .Lscales\@
        s.shrl.b32      s, next, SCALES_SHIFT
        v.mov.b32       v[0], left
        v.csel.b32      a_count, v[0], 0, a_rows
        v.csel.b32      b_count, v[0], 0, b_rows
        v.add.i32       v[0], a_to, s
        v.add.i32       v[1], b_to, s
        vmem.ld.tsm.zfill.b32x2 v[0], [0x0 + a_eight * 0x8] @a_scales, a_count
        vmem.ld.tsm.zfill.b32x2 v[1], [0x0 + b_eight * 0x8] @b_scales, b_count
        v.add.i32       a_eight, a_eight, 1
        v.add.i32       b_eight, b_eight, 1
        s.sub.i32       left, left, 8
.Lscales\@:
        gemm_copy       \bits, \across_a, \across_b
        .endm

        // The scales of the tile that is there leave TSM for all its steps.
        .macro  f4_scales
        s.shrl.b32      s, stage, SCALES_SHIFT
        v.add.i32       v[0], a_scale, s
        v.add.i32       v[1], b_scale, s
        .rept   2, H
        tsm.ld.b32x2    loaded[2*\H:2*\H+1], [bytes(64 * \H) + v[0] * 0x1]
        tsm.ld.b32x2    loaded[4+2*\H:5+2*\H], [bytes(64 * \H) + v[1] * 0x1]
        .endr
        .endm

        .macro  f4_multiply mma, step
        .rept   2, P                            // the first wait was for them, too
        v.byte.prmt.b32 scales[\P], loaded[\step/2+4*\P], loaded[\step/2+4*\P+2], pair[\step % 2]
        .endr
        .rept   4, I
        .rept   4, J
        v.mma.\mma      acc[32*\I+8*\J:32*\I+8*\J+7], as[4*\I:4*\I+3], bs[4*\J:4*\J+3], acc[32*\I+8*\J:32*\I+8*\J+7], scales, \I + 4 * \J
        .endr
        .endr
        .endm

        gemm_sums       8, mx.f32.f4.f4.m16n16k64, 0, 0, f4_copy, f4_scales, f4_multiply
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store_narrow bf16
        gemm_store

        gemm_sum        gemm_f4_sum, v.add.f32, -0.0
        gemm_sum_activation
        gemm_sum_store_narrow bf16
        gemm_sum_store
