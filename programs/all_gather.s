// target[c * n + i] = source[i] of chip c, on every chip.
//
// source has n elements, target n for each chip; target is symmetric. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  copy_to_all
        s.wait          vstcnt(0)
        get_piece       source
        s.wait          vldcnt(0)
        put_everywhere  part
        .endm

        .macro  all_gather name
        collective      \name
        .param  ptr source
        .param  ptr target
        .reg    part    = sreg[50:51]
        pod_barrier     flags, mark, v, s               // all targets may be written
        part_address    part, target, %chip
        in_pieces       copy_to_all
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all parts have come
        simt.exit
        .endm

        .equ    TYPE, F32
        all_gather      all_gather_b32
        .equ    TYPE, F16
        all_gather      all_gather_b16
