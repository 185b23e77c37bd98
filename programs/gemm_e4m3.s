// C = A * B in e4m3 with binary32 sums, on the matrix unit: gemm.inc says how, gemm_store.inc how it ends,
// gemm_split.inc how parts are added.
//
// Blocks of 32 k are added up by one instruction. The letters: how A and B lie, n as M x K and K x N, t transposed.
// Launch: as gemm.inc says. epilogue is 0, 1 for GELU or 2 for SiLU.

        .arch   ppu0015
        .include "gemm.inc"
        .include "gemm_split.inc"

        .macro  product name, across_a, across_b
        gemm            \name, 8, f32.e4m3.e4m3.m16n16k32, \across_a, \across_b
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store
        .endm

        product         gemm_e4m3_nn, 0, 1
        product         gemm_e4m3_nt, 0, 0
        product         gemm_e4m3_tn, 1, 1
        product         gemm_e4m3_tt, 1, 0

        gemm_sum        gemm_e4m3_sum, v.add.f32, -0.0
        gemm_sum_activation
        gemm_sum_store
