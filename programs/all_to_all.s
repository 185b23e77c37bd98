// target[c * n + i] on chip d = source[d * n + i] on chip c: every chip has n elements for every chip.
//
// all_to_all_ragged: chip c has `count[d]` elements for chip d, which begin at source[from[d]] and go to target[into[d]] there.
// What a mixture of experts does with its tokens, with a token's width as the unit of all three tables.
//
// target is symmetric. A launch meets two barriers, with mark and mark + 1.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

// A piece for each chip, eight of them under way at a time.
        .macro  exchange
        s.mov.b32       s[0], 0
.Lmore\@:
        s.wait          vstcnt(0)
        .rept   8, K
        s.add.i32       s[1], s[0], \K
        s.cmp.ge.u32    scc, s[1], %nchips
        s.cbr.nz        scc, .Lcome\@
        part_address    to, source, s[1]
        get_piece       to, 4 * \K
        .endr
.Lcome\@:
        s.wait          vldcnt(0)
        .rept   8, K
        s.add.i32       s[1], s[0], \K
        s.cmp.ge.u32    scc, s[1], %nchips
        s.cbr.nz        scc, .Lgone\@
        peer_address    to, part, s[1]
        put_piece       to, 4 * \K
        .endr
.Lgone\@:
        s.add.i32       s[0], s[0], 8
        s.cmp.lt.u32    scc, s[0], %nchips
        s.cbr.nz        scc, .Lmore\@
        .endm

        .macro  all_to_all name
        collective      \name
        .param  ptr source
        .param  ptr target
        .reg    part    = sreg[50:51]
        pod_barrier     flags, mark, v, s               // all targets may be written
        part_address    part, target, %chip
        in_pieces       exchange
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all parts have come
        simt.exit
        .endm

        .macro  copy_to_peer
        s.wait          vstcnt(0)
        get_piece       here
        s.wait          vldcnt(0)
        put_piece       there
        .endm

// to = base + number * width * bytes of an element.
        .macro  row_address to, base, number
        s.mulw.u64.u32  s[0:1], \number, width
        s.shll.b64      s[0:1], s[0:1], TYPE >= F16 ? 1 : 2
        s.add.i64       \to, s[0:1], \base
        .endm

        .macro  all_to_all_ragged name
        collective      \name                           // n, pieces: of one row
        .param  ptr source
        .param  ptr target
        .param  ptr count                               // u32, one for each chip
        .param  ptr from
        .param  ptr into
        .reg    here    = sreg[50:51]
        .reg    there   = sreg[52:53]
        .reg    peer    = sreg54
        .reg    rows    = sreg55
        .reg    width   = sreg56
        .reg    whole   = sreg57
        .reg    place   = sreg58
        s.mov.b32       width, n
        s.mov.b32       whole, pieces
        pod_barrier     flags, mark, v, s               // all targets may be written
        s.mov.b32       peer, 0
each:   s.cmp.ge.u32    scc, peer, %nchips
        s.cbr.nz        scc, done
        s.shll.b32      place, peer, 2
        smem.ld.b32     rows, [0x0 + place * 0x1] @count
        smem.ld.b32     s[2], [0x0 + place * 0x1] @from
        smem.ld.b32     s[3], [0x0 + place * 0x1] @into
        s.wait          sldcnt(0)
        row_address     here, source, s[2]
        row_address     to, target, s[3]
        peer_address    there, to, peer
        s.mull.i32      n, rows, width
        s.mull.i32      pieces, rows, whole
        in_pieces       copy_to_peer
        s.add.i32       peer, peer, 1
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
