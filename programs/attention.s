// Attention without ever holding all scores: out = softmax(q * k' / sqrt(size)) * v, for heads of size 64 or 128 in
// binary32, on the lanes. The kernels take powers of two, so `scale` is log2(e) / sqrt(size). With `causal`, query i meets the keys up to i + keys - queries, so the last query meets all.
// Query heads share the heads of k and v in groups. (flash_attention.s is the like for bfloat16, on the matrix unit.)
//
// Who does what. A block of 4 warps does 4 queries of a head, one for each warp. Keys and values come in tiles of 32
// through TSM, for all warps; while they work on a tile, the next one is on its way. The query lies in scalar
// registers, lane j finds the score of the tile's key j, and has 2 or 4 neighbouring elements of the result.
//
// The softmax goes along. With the tile the largest score so far may grow from m to n; then what was summed under m
// counts 2^(m - n) as much.
//
// Order, each operation rounded once; d and j ascend:
//
//      score = (sum of q[d] * k[j, d]) * scale;  n = max(m, max of the scores)
//      c = exp2(m - n);  p[j] = exp2(score[j] - n);  total = total of p, and what it was times c
//      acc = acc * c, and the sum of p[j] * v[j];  behind the last tile out = acc / total
//
// Sums of products are fma by fma, from +0 or from acc on; total = fma(total, c, v.red.add.f32 of p). Keys that a query
// does not meet have no part in anything, whatever they hold. So the result is defined to the bit.
//
// Launch: grid (ceil(queries / 4), query heads), block 128. keys at least 1, with `causal` at least queries; arrays at
// multiples of 16.

        .include "index.inc"
        .include "loop.inc"
        .include "block.inc"

        .equ    KEYS, 32                        // per tile

// to = how many keys the query `to` meets, or the last query if there are not so many. Scalar; overwrites t.
        .macro  meets_keys to
        s.sub.i32       t, queries, 1
        s.min.u32       \to, \to, t
        s.sub.i32       t, keys, t
        s.add.i32       \to, \to, t
        s.cmp.ne.u32    scc, causal, 0
        s.csel.b32      \to, \to, keys, scc
        .endm

// begin = bytes before the query of this number, in the block's head.
        .macro  bytes_before query_number
        s.mull.i32      begin[0], \query_number, heads
        s.add.i32       begin[0], begin[0], %blkid.y
        s.mov.b32       begin[1], LINE
        s.mulw.u64.u32  begin, begin[0], begin[1]
        .endm

// Which keys the warp meets in the tile that has just come: count; the next tile, if there is one, leaves memory.
        .macro  next_tile
        s.sub.i32       count, limit, base
        s.add.i32       base, base, KEYS
        s.cmp.ge.u32    scc, base, last
        s.cbr.nz        scc, fetched
        fetch
fetched:
        s.cmp.le.i32    scc, count, 0
        s.cbr.nz        scc, done
        .endm

// The tile that begins with the key `base` leaves memory; keys behind the last one are zeros.
        .macro  fetch
        .rept   PIECES, P
        .rept   4, W
        v.mov.b32       new_k[4*\P+\W], 0
        v.mov.b32       new_v[4*\P+\W], 0
        .endr
        s.add.i32       t, base, ROWS * \P
        v.add.i32       at, row, t
        inside          at, keys, off
        s.mull.i32      t, pitch, ROWS * \P
        v.add.i32       at, place, t
        vmem.ld.b32x4   new_k[4*\P:4*\P+3], [bytes(0) + at * 0x1] @k_at
        vmem.ld.b32x4   new_v[4*\P:4*\P+3], [bytes(0) + at * 0x1] @v_at
        restore         off
        .endr
        s.add.i64       k_at, k_at, step
        s.add.i64       v_at, v_at, step
        .endm

// It enters TSM, when every warp has done with the one before.
        .macro  keep
        s.wait          vldcnt(0)
        s.blksyn
        .rept   PIECES, P
        v.add.i32       at, to, ROWS * \P * PITCH
        tsm.st.b32x4    new_k[4*\P:4*\P+3], [k_tile + at * 0x1]
        tsm.st.b32x4    new_v[4*\P:4*\P+3], [v_tile + at * 0x1]
        .endr
        block_sync
        .endm

// Scores of the tile's keys, in as many lanes as there are keys that the query meets.
        .macro  score_keys
        v.mov.b32       score, 0
        .rept   SIZE / 16, C
        .rept   4, W
        tsm.ld.b32x4    part[4*\W:4*\W+3], [k_tile + bytes(64*\C + 16*\W) + k_row * 0x1]
        .endr
        s.wait          tsmcnt(0)
        .rept   16, D
        v.fma.f32.rtte  score, part[\D], q[16*\C+\D], score
        .endr
        .endr
        v.mul.f32       score, score, scale
        .endm

        .macro  on_lanes size, words
        .kernel attention_f32_\size
        .param  u32 queries
        .param  u32 keys
        .param  u32 heads                       // of q
        .param  u32 group                       // heads of q for one of k and v
        .param  u32 causal                      // 0 or 1
        .param  f32 scale                       // log2(e) / sqrt(size)
        .param  ptr query                       // queries x heads x size
        .param  ptr key                         // keys x (heads / group) x size
        .param  ptr value                       // likewise
        .param  ptr out                         // as q
        .reqntid 128

        .equ    SIZE, \size
        .equ    LINE, 4 * SIZE                  // bytes of a row
        .equ    PITCH, LINE + 16                // in TSM; lanes that read a column meet no other's bank
        .equ    ROWS, 128 / (LINE / 16)         // rows that 128 threads bring at once, 16 bytes each
        .equ    PIECES, KEYS / ROWS
        .tsm    KEYS * PITCH k_tile_at
        .tsm    KEYS * PITCH v_tile_at

        .reg    tid     = vreg0
        .reg    lane    = vreg1
        .reg    row     = vreg2                 // of the thread's first piece in a tile
        .reg    place   = vreg3                 // its bytes from the tile's begin, in memory
        .reg    to      = vreg4                 // in TSM
        .reg    at      = vreg5
        .reg    new_k   = vreg[192:223]
        .reg    new_v   = vreg[224:255]

        .reg    t       = sreg38
        .reg    off     = sreg39
        .reg    base    = sreg40                // first key of the tile on its way
        .reg    last    = sreg41                // keys that the block's last query meets
        .reg    first   = sreg42                // the block's first query
        .reg    number  = sreg43                // of the warp's query
        .reg    count   = sreg44                // of keys that the warp's query meets in the tile
        .reg    pitch   = sreg45                // bytes from key to key
        .reg    k_tile  = sreg46
        .reg    v_tile  = sreg47
        .reg    limit   = sreg48                // keys that the warp's query meets
        .reg    top     = sreg49
        .reg    k_at    = sreg[52:53]
        .reg    v_at    = sreg[54:55]
        .reg    step    = sreg[56:57]           // bytes from tile to tile
        .reg    begin   = sreg[58:59]           // bytes before the warp's query, in q and in out
        .reg    from    = sreg[60:61]
        .reg    k_row   = vreg6                 // the key of the lane, in TSM
        .reg    score   = vreg8
        .reg    p       = vreg9
        .reg    most    = vreg10                // the largest score so far; the same in all lanes, as the next three
        .reg    new     = vreg11
        .reg    factor  = vreg12
        .reg    sum     = vreg13
        .reg    one_p   = vreg14
        .reg    acc     = vreg[16:19]
        .reg    v_row   = vreg[20:23]
        .reg    part    = vreg[24:39]
        .reg    total   = sreg50
        .reg    j       = sreg51
        .reg    j_at    = sreg62                // its value, in TSM
        .reg    q       = sreg[64:191]

        v.mov.b32       tid, %tid.x
        v.mov.b32       lane, %laneid
        s.mov.b32       k_tile, k_tile_at
        s.mov.b32       v_tile, v_tile_at
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, 4
        s.mov.b32       number, %warpid
        s.add.i32       number, number, first
        s.add.i32       last, first, 3
        meets_keys      last
        s.mov.b32       limit, number
        meets_keys      limit

        // Where the thread's pieces come from and go to.
        v.shrl.b32      row, tid, log2(LINE / 16)
        v.and.b32       at, tid, LINE / 16 - 1
        v.shll.b32      at, at, 4
        s.div.u32       pitch, heads, group
        s.mull.i32      pitch, pitch, LINE
        v.mull.i32      place, row, pitch
        v.add.i32       place, place, at
        v.mull.i32      to, row, PITCH
        v.add.i32       to, to, at
        s.mov.b32       t, %blkid.y
        s.div.u32       t, t, group
        s.mull.i32      k_at[0], t, LINE
        s.mov.b32       k_at[1], 0
        s.add.i64       v_at, k_at, value
        s.add.i64       k_at, k_at, key
        s.mov.b32       t, KEYS
        s.mulw.u64.u32  step, pitch, t
        v.mull.i32      k_row, lane, PITCH
        s.sub.i32       t, queries, 1           // a warp behind the last query does as that does
        s.min.u32       t, t, number
        bytes_before    t
        s.add.i64       from, query, begin
        .rept   SIZE / 4, C
        smem.ld.b32x4   q[4*\C:4*\C+3], [bytes(16*\C)] @from
        .endr
        v.mov.b32       most, -inf
        v.mov.b32       sum, 0
        .rept   \words, W
        v.mov.b32       acc[\W], 0
        .endr
        s.mov.b32       base, 0
        fetch
        s.wait          sldcnt(0)

tile:   keep
        next_tile
        s.min.u32       count, count, KEYS
        inside          lane, count, off
        score_keys
        v.red.max.f32   top, score
        restore         off
        v.max.f32       new, most, top
        v.sub.f32       factor, most, new
        v.exp2.f32      factor, factor
        v.mov.b32       most, new
        inside          lane, count, off
        v.sub.f32       p, score, most
        v.exp2.f32      p, p
        v.red.add.f32   total, p
        restore         off
        v.fma.f32.rtte  sum, sum, factor, total
        .rept   \words, W
        v.mul.f32       acc[\W], acc[\W], factor
        .endr

        s.mov.b32       j, 0
        s.mov.b32       j_at, v_tile
        for_scalar      values, j, count
        tsm.ld.b32x\words v_row[0:\words-1], [j_at + lane * (4 * \words)]
        v.shuffle.idx.b32 one_p, p, j
        s.wait          tsmcnt(0)
        .rept   \words, W
        v.fma.f32.rtte  acc[\W], v_row[\W], one_p, acc[\W]
        .endr
        s.add.i32       j_at, j_at, PITCH
        for_scalar_end  values, j

done:   s.cmp.lt.u32    scc, base, last
        s.cbr.nz        scc, tile

        s.cmp.lt.u32    scc, number, queries
        s.cbr.az        scc, end
        .rept   \words, W
        v.div.f32       acc[\W], acc[\W], sum
        .endr
        s.add.i64       from, out, begin
        vmem.st.b32x\words acc[0:\words-1], [0x0 + lane * (4 * \words)] @from
end:    simt.exit
        .endm

        on_lanes        64, 2
        on_lanes        128, 4
