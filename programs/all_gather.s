// target[c * n + i] = source[i] of chip c, on every chip.
//
// source has n elements, target n for each chip; target is symmetric. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  get_source place
        get_piece       source, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  put_to_all place
        put_everywhere  part, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  all_gather name
        collective      \name
        .param  ptr source
        .param  ptr target
        .reg    part    = sreg[50:51]
        collective_begin
        pod_barrier     flags, mark, v, s               // all targets may be written
        part_address    part, target, %chip
        in_rounds       get_source, put_to_all
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all parts have come
        simt.exit
        .endm

        .equ    TYPE, F32
        all_gather      all_gather_b32
        .equ    TYPE, F16
        all_gather      all_gather_b16
