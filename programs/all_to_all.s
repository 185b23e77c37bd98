// target[c * n + i] on chip d = source[d * n + i] on chip c: every chip has n elements for every chip.
//
// all_to_all_ragged: of rows of n elements, chip c has count[d] for chip d, which begin at row from[d] of its source and go
// to row into[d] of the target there. What a mixture of experts does with its tokens.
//
// A block works for one chip after the other, each block begins with another one. target is symmetric; count, from and
// into are each chip's own. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  get_here place
        get_piece       here, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  put_there place
        put_piece       there, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  exchange_names
        .reg    here    = sreg[50:51]
        .reg    there   = sreg[52:53]
        .reg    peer    = sreg54
        .reg    turn    = sreg55
        .reg    turns   = sreg56
        .reg    width   = sreg57
        .reg    whole   = sreg58
        .reg    place   = sreg59
        .endm

// The grid is `turns` groups of blocks, as many as there are chips or fewer: thread and threads are those of a group.
        .macro  exchange_begin
        s.mov.b32       turns, %nblkid.x
        s.min.u32       turns, turns, %nchips
        s.mov.b32       s[0], %blkid.x
        s.rem.u32       turn, s[0], turns
        s.div.u32       s[0], s[0], turns
        s.mull.i32      s[0], s[0], %ntid.x
        v.mov.b32       thread, %tid.x
        v.add.i32       thread, thread, s[0]
        s.mov.b32       s[0], %nblkid.x
        s.sub.i32       s[0], s[0], turn                // blocks of this group: those from `turn` on, every `turns`
        s.add.i32       s[0], s[0], turns
        s.sub.i32       s[0], s[0], 1
        s.div.u32       s[0], s[0], turns
        s.mull.i32      threads, s[0], %ntid.x
        .endm

        .macro  next_peer
each:   s.cmp.ge.u32    scc, turn, %nchips
        s.cbr.nz        scc, done
        s.add.i32       peer, turn, %chip
        s.rem.u32       peer, peer, %nchips
        s.add.i32       turn, turn, turns
        .endm

        .macro  all_to_all name
        collective      \name
        .param  ptr source
        .param  ptr target
        exchange_names
        exchange_begin
        pod_barrier     flags, mark, v, s               // all targets may be written
        next_peer
        part_address    here, source, peer
        part_address    to, target, %chip
        peer_address    there, to, peer
        in_rounds       get_here, put_there
        s.cbr           each
done:   s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all parts have come
        simt.exit
        .endm

        .macro  all_to_all_ragged name
        collective      \name                           // n, pieces: of one row
        .param  ptr source
        .param  ptr target
        .param  ptr count                               // u32, one for each chip
        .param  ptr from
        .param  ptr into
        exchange_names
        exchange_begin
        pod_barrier     flags, mark, v, s               // all targets may be written
        s.mov.b32       width, n
        s.mov.b32       whole, pieces
        next_peer
        s.mov.b32       n, width                        // part_address counts in rows
        s.shll.b32      place, peer, 2
        smem.ld.b32     sreg60, [0x0 + place * 0x1] @count
        smem.ld.b32     sreg61, [0x0 + place * 0x1] @from
        smem.ld.b32     sreg62, [0x0 + place * 0x1] @into
        s.wait          sldcnt(0)
        part_address    here, source, sreg61
        part_address    to, target, sreg62
        peer_address    there, to, peer
        s.mull.i32      n, width, sreg60
        s.mull.i32      pieces, whole, sreg60
        in_rounds       get_here, put_there
        s.cbr           each
done:   s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all rows have come
        simt.exit
        .endm

        .equ    TYPE, F32
        all_to_all      all_to_all_b32
        all_to_all_ragged all_to_all_ragged_b32
        .equ    TYPE, F16
        all_to_all      all_to_all_b16
        all_to_all_ragged all_to_all_ragged_b16
