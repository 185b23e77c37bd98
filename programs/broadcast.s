// target[i] = source[i] of the chip `root`, on every chip.
//
// Every chip fetches its share of the elements from the root, and stores it on all chips: so the root sends each element
// once or twice instead of to every chip.
//
// source and target are symmetric and different. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  get_source place
        get_piece       there, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  put_to_all place
        put_everywhere  target, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  broadcast name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  u32 root
        .reg    there   = sreg[50:51]
        collective_begin
        peer_address    there, source, root
        pod_barrier     flags, mark, v, s               // the source is there, all targets may be written
        in_rounds       get_source, put_to_all, share_of_chip
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // the source is read, all shares have come
        simt.exit
        .endm

        .equ    TYPE, F32
        broadcast       broadcast_b32
        .equ    TYPE, F16
        broadcast       broadcast_b16
