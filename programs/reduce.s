// target[i] = the sum of source[i] over all chips, on the chip `root` alone.
//
// The sum is in the order of the chips' numbers (include/collective.inc), defined to the last bit.
//
// source is symmetric; target counts on the root only. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  add_up
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_piece       target
        .endm

        .macro  reduce name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  u32 root
        pod_barrier     flags, mark, v, s               // all sources are there
        s.cmp.ne.u32    scc, root, %chip
        s.cbr.nz        scc, done
        in_pieces       add_up
done:   s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // the root has read
        simt.exit
        .endm

        .equ    TYPE, F32
        reduce          reduce_f32
        .equ    TYPE, I32
        reduce          reduce_i32
        .equ    TYPE, F16
        reduce          reduce_f16
        .equ    TYPE, BF16
        reduce          reduce_bf16
