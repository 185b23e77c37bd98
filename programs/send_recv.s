// Chips send to others and receive from others: target[i] on the chip peers[0] = source[i] here, and target[i] here comes
// from chip peers[1]. 0xffffffff stands for nobody: a chip may only send, or only receive.
//
// Both say who the other is: a receiver lets the sender know that its target may be written, the sender when all has come.
// No other chip takes part. mark and mark + 1 are the same on both. target is symmetric, or on a chip that only sends the
// counterpart of the receiver's.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        NOBODY = 0xffffffff

        .macro  get_source place
        get_piece       source, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  send place
        put_piece       there, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  send_recv name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  ptr peers                               // u32: receiver, sender
        .reg    there   = sreg[50:51]
        .reg    ready   = sreg52
        .reg    receiver = sreg54
        .reg    sender  = sreg55
        collective_begin
        smem.ld.b32x2   sreg[54:55], [0x0] @peers
        s.wait          sldcnt(0)
        s.mov.b32       ready, mark
        s.add.i32       mark, mark, 1
        s.cmp.eq.u32    scc, sender, NOBODY
        s.cbr.nz        scc, told
        pod_tell        flags, sender, ready, v, s      // target may be written
told:   s.cmp.eq.u32    scc, receiver, NOBODY
        s.cbr.nz        scc, sent
        pod_await       flags, receiver, ready, v, s
        peer_address    there, target, receiver
        in_rounds       get_source, send
        pod_tell        flags, receiver, mark, v, s     // all has come
sent:   s.cmp.eq.u32    scc, sender, NOBODY
        s.cbr.nz        scc, end
        pod_await       flags, sender, mark, v, s
end:    simt.exit
        .endm

        .equ    TYPE, F32
        send_recv       send_recv_b32
        .equ    TYPE, F16
        send_recv       send_recv_b16
