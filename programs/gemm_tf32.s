// C = A * B in tf32 with binary32 sums, on the matrix unit: gemm.inc says how, gemm_store.inc how it ends,
// gemm_split.inc how parts are added. Elements are binary32 numbers, of which the matrix unit
// takes the upper 19 bits.
//
// Blocks of 8 k are added up by one instruction. The letters: how A and B lie, n as M x K and K x N, t transposed.
// Launch: as gemm.inc says. epilogue is 0, 1 for GELU or 2 for SiLU.

        .include "gemm.inc"
        .include "gemm_split.inc"

        .macro  product name, across_a, across_b
        gemm            \name, 32, f32.tf32.m16n16k8, \across_a, \across_b
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store
        .endm

        product         gemm_tf32_nn, 0, 1
        product         gemm_tf32_nt, 0, 0
        product         gemm_tf32_tn, 1, 1
        product         gemm_tf32_tt, 1, 0

        gemm_sum        gemm_tf32_sum, v.add.f32, -0.0
        gemm_sum_activation
        gemm_sum_store
