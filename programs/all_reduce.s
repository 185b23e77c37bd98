// target[i] = the sum of source[i] over all chips of the pod, on every chip.
//
// all_reduce_one_shot_TYPE: every chip reads all sources and adds them up itself. The fewest steps, but every chip takes
// in all others' arrays: for few bytes.
//
// all_reduce_two_shot_TYPE: every chip adds up its share of the elements, and stores the sums on all chips. Two steps,
// in which a chip takes in 2 (n - 1) / n times the array.
//
// Both add in the order of the chips' numbers (include/collective.inc): all chips have the same bits, defined to the last.
//
// all_reduce_ring_TYPE: as much, but a chip sends to one neighbour only. A share of the array for each chip goes round:
// n - 1 steps in which each adds its own numbers, and n - 1 in which the sums go to all. A step is data, a fence and a
// flag. A sum begins at the chip at whose position its share has its number, and is rounded to the type at every step.
// With several rings each has a part of the array, so that all links of a chip can be used.
//
// source and target are symmetric and different. A launch of one_shot and two_shot meets two barriers, with mark and
// mark + 1; one of ring uses mark to mark + 2 * (chips - 1). rings: four u32 for each ring, the chip behind this one, that before it,
// and this one's position, then one of no use; the grid is a multiple of their number. Two chips at least.

        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  add_up_here
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_piece       target, out
        .endm

        .macro  add_up_for_all
        sum_of_chips    source
        s.wait          vstcnt(0)
        narrow_sums
        put_everywhere  target, out
        .endm

        .macro  all_reduce name, body, share
        collective      \name
        .param  ptr source
        .param  ptr target
        collective_begin
        pod_barrier     flags, mark, v, s               // all sources are there
        in_pieces       \body, \share
        s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all have read, all sums have come
        simt.exit
        .endm

// What each step does with a piece of the ring's share `chunk`: take it, and send it on.
        .macro  get_source place
        get_piece       source, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  get_target place
        get_piece       target, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  get_both place
        get_piece       target, got[4 * \place:4 * \place + 3], at[\place]
        get_piece       source, own[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  send place
        put_piece       there, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  add_and_send place
        clear_sums
        add_piece       got[4 * \place:4 * \place + 3]
        add_piece       own[4 * \place:4 * \place + 3]
        narrow_sums     got[4 * \place:4 * \place + 3]
        send            \place
        .endm

        .macro  add_send_and_keep place
        add_and_send    \place
        put_piece       target, got[4 * \place:4 * \place + 3], at[\place]
        .endm

        .macro  share_of_ring
        share_of        ring, ring_count
        share_of        chunk, %nchips
        .endm

// One step more is done: `next` has been told, and the chunk before this one is the next step's.
        .macro  ring_next
        s.add.i32       mark, mark, 1
        pod_tell        flags, next, mark, v, s
        s.add.i32       step, step, 1
        s.cmp.eq.u32    scc, chunk, 0
        s.csel.b32      chunk, %nchips, chunk, scc
        s.sub.i32       chunk, chunk, 1
        pod_await       flags, previous, mark, v, s
        .endm

        .macro  all_reduce_ring name
        collective      \name
        .param  ptr source
        .param  ptr target
        .param  ptr rings
        .param  u32 ring_count
        .reg    own     = vreg[96:127]
        .reg    there   = sreg[50:51]
        .reg    next    = sreg52
        .reg    previous = sreg53
        .reg    chunk   = sreg54
        .reg    spare   = sreg55
        .reg    ring    = sreg56
        .reg    block   = sreg57
        .reg    step    = sreg58
        .reg    steps   = sreg59

        s.mov.b32       s[0], %blkid.x
        s.div.u32       block, s[0], ring_count
        s.rem.u32       ring, s[0], ring_count
        s.mull.i32      block, block, %ntid.x
        v.mov.b32       thread, %tid.x
        v.add.i32       thread, thread, block           // of the ring
        s.mov.b32       threads, %nblkid.x
        s.div.u32       threads, threads, ring_count
        s.mull.i32      threads, threads, %ntid.x
        s.shll.b32      s[0], ring, 4
        smem.ld.b32x4   sreg[52:55], [0x0 + s[0] * 0x1] @rings
        s.wait          sldcnt(0)
        peer_address    there, target, next
        s.sub.i32       steps, %nchips, 1
        s.mov.b32       step, 0

        pod_tell        flags, previous, mark, v, s     // target may be written
        pod_await       flags, next, mark, v, s
        in_rounds       get_source, send, share_of_ring
        ring_next
add:    s.cmp.eq.u32    scc, step, steps
        s.cbr.nz        scc, sum
        in_rounds       get_both, add_and_send, share_of_ring
        ring_next
        s.cbr           add
sum:    in_rounds       get_both, add_send_and_keep, share_of_ring
        s.add.i32       steps, steps, steps
        ring_next
pass:   s.cmp.eq.u32    scc, step, steps
        s.cbr.nz        scc, done
        in_rounds       get_target, send, share_of_ring
        ring_next
        s.cbr           pass
done:   simt.exit
        .endm

        .macro  all_reduces type
        all_reduce      all_reduce_one_shot_\type, add_up_here, all_of_it
        all_reduce      all_reduce_two_shot_\type, add_up_for_all, share_of_chip
        all_reduce_ring all_reduce_ring_\type
        .endm

        .equ    TYPE, F32
        all_reduces     f32
        .equ    TYPE, I32
        all_reduces     i32
        .equ    TYPE, F16
        all_reduces     f16
        .equ    TYPE, BF16
        all_reduces     bf16
