// target[i] = the sum of source[i] over all chips of the pod, on every chip. Three ways.
//
// all_reduce_one_shot_TYPE: every chip reads all sources and adds them up itself. Least steps, n times the traffic: for
// few bytes.
//
// all_reduce_two_shot_TYPE: every chip adds up its share of the elements and stores the sums on all chips. Each link
// carries 2 (n - 1) / n times the bytes, in two steps.
//
// Both add in the order of the chips' numbers (include/collective.inc): all chips have the same bits, defined to the last.
//
// Arrays are symmetric and at multiples of 16; target is not source. flags: include/pod.inc, 0 at first. A launch meets two
// barriers, with mark and mark + 1: mark grows by 2 from launch to launch.
//
// Launch: on all chips, the same one-dimensional grid of whole warps.

        .arch   ppu0015
        .include "index.inc"
        .include "loop.inc"
        .include "pod.inc"
        .include "collective.inc"

        .macro  collective_kernel name
        .kernel \name
        .param  u32 n                           // elements
        .param  u32 mark
        .param  ptr source
        .param  ptr target
        .param  ptr flags

        .reg    i       = vreg0                 // the lane's piece
        .reg    t       = vreg1
        .reg    v       = vreg[4:7]
        .reg    got     = vreg[32:63]
        .reg    sums    = vreg[64:71]
        .reg    threads = sreg38
        .reg    entry   = sreg39
        .reg    pieces  = sreg40                // whole ones
        .reg    last    = sreg41                // and one behind the last element's number
        .reg    s       = sreg[42:47]
        .reg    to      = sreg[48:49]
        .reg    first   = sreg50
        .reg    off     = sreg51

        whole_pieces
        s.shrl.b32      pieces, n, log2(EACH)
        .endm

// The elements behind the last whole piece: a lane of the first warp for each.
        .macro  single_tail name
        single_elements
        s.mov.b32       first, %blkid.x
        s.or.b32        first, first, %warpid
        s.cmp.ne.u32    scc, first, 0
        s.cbr.nz        scc, \name
        whole_pieces
        s.shll.b32      first, pieces, log2(EACH)
        single_elements
        v.mov.b32       i, %laneid
        v.add.i32       i, i, first
        inside          i, n, off
        .endm

        .macro  one_shot name
        collective_kernel \name
        pod_barrier     flags, mark, v, s               // all sources are there
        global_x        i
        grid_threads    threads
        grid_stride     each, i, pieces, entry
        sum_of_chips    source, i, got, sums, t, s, to
        s.wait          vstcnt(0)
        narrow_sums     sums, got
        put_piece       got, i, target
        grid_stride_end each, i, threads, entry

        single_tail     all
        sum_of_chips    source, i, got, sums, t, s, to
        s.wait          vstcnt(0)
        narrow_sums     sums, got
        put_piece       got, i, target
        restore         off
all:    s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // nobody still reads the source
        simt.exit
        .endm

        .macro  two_shot name
        collective_kernel \name
        pod_barrier     flags, mark, v, s               // all sources are there
        s.add.i32       s[0], pieces, %nchips
        s.sub.i32       s[0], s[0], 1
        s.div.u32       s[0], s[0], %nchips             // pieces of a share
        s.mull.i32      first, s[0], %chip
        s.add.i32       last, first, s[0]
        s.min.u32       last, last, pieces
        global_x        i
        v.add.i32       i, i, first
        grid_threads    threads
        grid_stride     each, i, last, entry
        sum_of_chips    source, i, got, sums, t, s, to
        s.wait          vstcnt(0)
        narrow_sums     sums, got
        put_everywhere  got, i, target, s[0], to
        grid_stride_end each, i, threads, entry

        s.cmp.ne.u32    scc, %chip, 0                   // the last elements are the first chip's
        s.cbr.nz        scc, all
        single_tail     all
        sum_of_chips    source, i, got, sums, t, s, to
        s.wait          vstcnt(0)
        narrow_sums     sums, got
        put_everywhere  got, i, target, s[0], to
        restore         off
all:    s.add.i32       mark, mark, 1
        pod_barrier     flags, mark, v, s               // all sums have come
        simt.exit
        .endm

        .equ    TYPE, F32
        one_shot        all_reduce_one_shot_f32
        two_shot        all_reduce_two_shot_f32
        .equ    TYPE, I32
        one_shot        all_reduce_one_shot_i32
        two_shot        all_reduce_two_shot_i32
        .equ    TYPE, F16
        one_shot        all_reduce_one_shot_f16
        two_shot        all_reduce_two_shot_f16
        .equ    TYPE, BF16
        one_shot        all_reduce_one_shot_bf16
        two_shot        all_reduce_two_shot_bf16
