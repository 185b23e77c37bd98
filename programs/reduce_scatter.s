// target[i] = the sum of source[chip * n + i] over all chips: each chip gets one part of the sum.
//
// The sum is in the order of the chips' numbers (include/collective.inc), defined to the last bit.
//
// source has n elements for each chip, target n; source is symmetric. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  add_up
        sum_of_chips    part
        s.wait          vstcnt(0)
        narrow_sums
        put_piece       target, out
        .endm

        .macro  reduce_scatter name
        collective      \name
        .param  ptr source
        .param  ptr target
        .reg    part    = sreg[50:51]
        collective_begin
        pod_barrier     flags, mark, v, s               // all sources are there
        part_address    part, source, %chip
        in_pieces       add_up
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all have read
        simt.exit
        .endm

        .equ    TYPE, F32
        reduce_scatter  reduce_scatter_f32
        .equ    TYPE, I32
        reduce_scatter  reduce_scatter_i32
        .equ    TYPE, F16
        reduce_scatter  reduce_scatter_f16
        .equ    TYPE, BF16
        reduce_scatter  reduce_scatter_bf16
