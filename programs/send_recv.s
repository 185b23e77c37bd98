// target[i] on chip `peer` of send = source[i] on the chip that sends. The other one runs recv with that one's number.
//
// The receiver says that target may be written, the sender that all has come; both with the same mark. Only these two
// chips take part.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  copy_to_peer
        s.wait          vstcnt(0)
        get_piece       source
        s.wait          vldcnt(0)
        put_piece       there
        .endm

        .macro  send name
        collective      \name
        .param  ptr source
        .param  ptr target                              // symmetric, or its counterpart on this chip
        .param  u32 peer
        .reg    there   = sreg[50:51]
        pod_await       flags, peer, mark, v, s
        peer_address    there, target, peer
        in_pieces       copy_to_peer
        pod_tell        flags, peer, mark, v, s
        simt.exit
        .endm

        .kernel recv
        .param  ptr flags
        .param  u32 mark
        .param  u32 peer
        .reg    v       = vreg[4:7]
        .reg    s       = sreg[42:47]
        pod_tell        flags, peer, mark, v, s
        pod_await       flags, peer, mark, v, s
        simt.exit

        .equ    TYPE, F32
        send            send_b32
        .equ    TYPE, F16
        send            send_b16
