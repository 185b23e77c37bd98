// C = A * B in signed 8-bit integers with 32-bit sums, on the matrix unit: gemm.inc says how, gemm_store.inc how it ends,
// gemm_split.inc how parts are added. Sums are exact, modulo 2^32.
//
// Blocks of 32 k are added up by one instruction. The letters: how A and B lie, n as M x K and K x N, t transposed.
// Launch: as gemm.inc says. epilogue is 0.

        .include "gemm.inc"
        .include "gemm_split.inc"

        .macro  product name, across_a, across_b
        gemm            \name, 8, i32.i8.i8.m16n16k32, \across_a, \across_b
        gemm_bias       v.add.i32
        gemm_store
        .endm

        product         gemm_s8_nn, 0, 1
        product         gemm_s8_nt, 0, 0
        product         gemm_s8_tn, 1, 1
        product         gemm_s8_tt, 1, 0

        gemm_sum        gemm_s8_sum, v.add.i32, 0
        gemm_sum_store
