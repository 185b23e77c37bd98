// Matrix products of a mixture of experts, in bfloat16: the tokens of each expert times its own matrix, in one launch.
//
// Tokens are sorted by their expert: those of expert e are rows offsets[e] to offsets[e + 1] - 1 of A, and of C. Expert e has
// the matrix B[e], K x N with rows of ldb elements (grouped_gemm_nn) or N x K (grouped_gemm_nt), one behind the other, and
// the bias bias[e], N numbers. An expert may have no tokens. gemm.inc says what is not said here.
//
// Who does what. The grid does not know how many tokens an expert has. Block y walks along the offsets, counting tiles
// of 128 rows, until it comes to the tile of its own number; a tile has rows of one expert only. If there are fewer
// tiles than blocks, the last blocks find nothing to do. M / 128 + the number of experts are always enough.
//
// Launch: grid (ceil(N / 128), tiles), block 128. offsets has experts + 1 numbers, ascending, of which the last is at most
// the rows of A and C. The parameter m is not used. epilogue is 0, 1 for GELU or 2 for SiLU; + 4 to store C in bfloat16.

        .include "gemm.inc"

        // The products of one step, but for rows that the expert has not: an expert often has few.
        .macro  grouped_multiply mma, step
        .rept   4, I
        s.cbr.az        have[\I], .Ldone\@
        .rept   4, J
        v.mma.\mma      acc[32*\I+8*\J:32*\I+8*\J+7], as[4*\I:4*\I+3], bs[4*\J:4*\J+3], acc[32*\I+8*\J:32*\I+8*\J+7]
        .endr
        .endr
.Ldone\@:
        .endm

        .macro  grouped name, across_b
        .kernel \name
        gemm_names
        .param  ptr offsets                     // u32
        .param  u32 experts

        .reg    expert  = sreg104
        .reg    tile    = sreg105               // of the expert
        .reg    tiles   = sreg106               // that it has
        .reg    first   = sreg107               // its first row
        .reg    at      = sreg[108:109]
        .reg    have    = sreg[104:107]         // whether the warp has rows in each of its four tiles of 16

        gemm_coordinates 16
        s.mov.b32       tile, %blkid.y
        s.mov.b32       expert, 0
        s.mov.b64       at, offsets
        smem.ld.b32     m, [0x0] @at
        s.wait          sldcnt(0)
find:   s.cmp.eq.u32    scc, expert, experts
        s.cbr.nz        scc, nothing
        s.mov.b32       first, m
        s.add.i64       at, at, 4
        smem.ld.b32     m, [0x0] @at
        s.wait          sldcnt(0)
        s.sub.i32       tiles, m, first
        s.add.i32       tiles, tiles, GEMM_SIDE - 1
        s.shrl.b32      tiles, tiles, log2(GEMM_SIDE)
        s.cmp.lt.u32    scc, tile, tiles
        s.cbr.nz        scc, found
        s.sub.i32       tile, tile, tiles
        s.add.i32       expert, expert, 1
        s.cbr           find
found:
        s.mull.i32      row0, tile, GEMM_SIDE   // m is the end of the expert's rows
        s.add.i32       row0, row0, first
        .if     \across_b
        s.mull.i32      s, expert, k
        .else
        s.mull.i32      s, expert, n
        .endif
        s.mulw.u64.u32  t, s, ldb
        s.shll.b64      t, t, 1
        s.add.i64       b, b, t
        s.or.b32        s, bias[0], bias[1]
        s.cbr.az        s, multiply
        s.mulw.u64.u32  t, expert, n
        s.shll.b64      t, t, 2
        s.add.i64       bias, bias, t
multiply:
        s.add.i32       s, row0, wrow
        .rept   4, I
        s.cmp.lt.u32    have[\I], s, m
        s.add.i32       s, s, 16
        .endr
        gemm_sums       16, f32.bf16.m16n16k16, 0, \across_b, multiply=grouped_multiply
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store_narrow bf16
        gemm_store
nothing:
        simt.exit
        .endm

        grouped         grouped_gemm_nn, 1
        grouped         grouped_gemm_nt, 0
