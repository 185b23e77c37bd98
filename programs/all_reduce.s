// target[i] = the sum of source[i] over all chips of the pod, on every chip.
//
// all_reduce_one_shot_TYPE: every chip reads all sources and adds them up itself. The fewest steps, but every chip takes
// in all others' arrays: for few bytes.
//
// all_reduce_two_shot_TYPE: every chip adds up its share of the elements, and stores the sums on all chips. Two steps,
// in which a chip takes in 2 (n - 1) / n times the array.
//
// Both add in the order of the chips' numbers (include/collective.inc): all chips have the same bits, defined to the last.
// all_reduce_ring has another order (ring.inc).
//
// source and target are symmetric and different. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  add_up_here
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_piece       target
        .endm

        .macro  add_up_for_all
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_everywhere  target
        .endm

        .macro  all_reduce name, body, shared
        collective      \name
        .param  ptr source
        .param  ptr target
        pod_barrier     flags, mark, v, s               // all sources are there
        in_pieces       \body, \shared
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all have read, all sums have come
        simt.exit
        .endm

        .equ    TYPE, F32
        all_reduce      all_reduce_one_shot_f32, add_up_here, 0
        all_reduce      all_reduce_two_shot_f32, add_up_for_all, 1
        .equ    TYPE, I32
        all_reduce      all_reduce_one_shot_i32, add_up_here, 0
        all_reduce      all_reduce_two_shot_i32, add_up_for_all, 1
        .equ    TYPE, F16
        all_reduce      all_reduce_one_shot_f16, add_up_here, 0
        all_reduce      all_reduce_two_shot_f16, add_up_for_all, 1
        .equ    TYPE, BF16
        all_reduce      all_reduce_one_shot_bf16, add_up_here, 0
        all_reduce      all_reduce_two_shot_bf16, add_up_for_all, 1
