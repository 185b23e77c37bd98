// target[i] = source[i] of the chip `root`, on every chip.
//
// target is symmetric; source counts on the root only. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  copy_to_all
        s.wait          vstcnt(0)
        get_piece       source
        s.wait          vldcnt(0)
        put_everywhere  target
        .endm

        .macro  broadcast name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  u32 root
        pod_barrier     flags, mark, v, s               // all targets may be written
        s.cmp.ne.u32    scc, root, %chip
        s.cbr.nz        scc, done
        in_pieces       copy_to_all
done:   s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all have come
        simt.exit
        .endm

        .equ    TYPE, F32
        broadcast       broadcast_b32
        .equ    TYPE, F16
        broadcast       broadcast_b16
