// target[i] = the sum of source[i] over all chips, on the chip `root` alone.
//
// Every chip adds up its share of the elements, and stores the sums on the root. The sum is in the order of the chips'
// numbers (include/collective.inc), defined to the last bit.
//
// source is symmetric; target is the root's, or its counterpart. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  add_up
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_piece       there, out
        .endm

        .macro  reduce name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  u32 root
        .reg    there   = sreg[50:51]
        collective_begin
        peer_address    there, target, root
        pod_barrier     flags, mark, v, s               // all sources are there
        in_pieces       add_up, share_of_chip
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all have read, all sums have come
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
