// C = A * B in bfloat16 with binary32 sums, on the matrix unit: gemm.inc says how, gemm_store.inc how it ends,
// gemm_split.inc how parts are added. C is stored in binary32, or rounded once to bfloat16.
//
// Blocks of 16 k are added up by one instruction. The letters: how A and B lie, n as M x K and K x N, t transposed.
// Launch: as gemm.inc says. epilogue is 0, 1 for GELU or 2 for SiLU; + 4 to store C in bfloat16.

        .include "gemm.inc"
        .include "gemm_split.inc"

        .macro  product name, across_a, across_b
        gemm            \name, 16, f32.bf16.m16n16k16, \across_a, \across_b
        gemm_bias       v.add.f32
        gemm_activation
        gemm_store_narrow bf16
        gemm_store
        .endm

        product         gemm_bf16_nn, 0, 1
        product         gemm_bf16_nt, 0, 0
        product         gemm_bf16_tn, 1, 1
        product         gemm_bf16_tt, 1, 0

        gemm_sum        gemm_bf16_sum, v.add.f32, -0.0
        gemm_sum_activation
        gemm_sum_store_narrow bf16
        gemm_sum_store
