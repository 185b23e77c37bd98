// Attention without ever holding all scores: out = softmax(q * k' * scale) * v, for heads of 64 or 128 elements; in binary32
// on the lanes, or of bfloat16 on the matrix unit. With `causal`, query i meets the keys up to i + keys - queries, so the
// last query meets all. Query heads share the heads of k and v in groups.
//
// Who does what. A block of 4 warps does the queries of a head, in binary32 4, one for each warp, in bfloat16 64, 16 for
// each. Keys and values come in tiles of 32 through TSM, for all warps; while they work on a tile, the next one is on its
// way. In binary32 the query lies in scalar registers, lane j finds the score of the tile's key j, and has 2 or 4
// neighbouring elements of the result. In bfloat16 all is in fragments of the matrix unit: the scores of 16 queries and
// 16 keys, as they come out of it, go in again as factors of the values.
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
// In binary32, sums of products are fma by fma, from +0 or from acc on; total = fma(total, c, v.red.add.f32 of p). Keys that
// a query does not meet have no part in anything, whatever they hold. In bfloat16, p is rounded for the product with v, and
// sums of products are in blocks of 16, as the matrix unit has them. There are 4 totals, of the keys j with j % 8 / 2 = 0 to
// 3: each is multiplied by c, then its p are added; at the end (0 + 1) + (2 + 3). Keys that a query does not meet have a p
// of 0, so their values must be finite; tiles that none of a warp's 16 queries meets have no part.
//
// So the result is defined to the bit.
//
// Launch: grid (ceil(queries / 4), query heads) in binary32 and (ceil(queries / 64), query heads) in bfloat16, block 128.
// keys at least 1, with `causal` at least queries; arrays at multiples of 16.

        .arch   ppu0015
        .include "index.inc"
        .include "loop.inc"
        .include "block.inc"

        .equ    KEYS, 32                        // per tile

// What both kinds have in common; QUERIES, per block, and BYTES, of an element, are theirs.
        .macro  common
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
        .maxntid 128

        .equ    LINE, BYTES * SIZE              // bytes of a row
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
        .reg    number  = sreg43                // of the warp's first query
        .reg    count   = sreg44                // of keys that the warp's last query meets in the tile
        .reg    pitch   = sreg45                // bytes from key to key
        .reg    k_tile  = sreg46
        .reg    v_tile  = sreg47
        .reg    limit   = sreg48                // keys that the warp's last query meets
        .reg    top     = sreg49
        .reg    k_at    = sreg[52:53]
        .reg    v_at    = sreg[54:55]
        .reg    step    = sreg[56:57]           // bytes from tile to tile
        .reg    begin   = sreg[58:59]           // bytes before the block's or the warp's first query, in q and in out
        .reg    from    = sreg[60:61]

        v.mov.b32       tid, %tid.x
        v.mov.b32       lane, %laneid
        s.mov.b32       k_tile, k_tile_at
        s.mov.b32       v_tile, v_tile_at
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, QUERIES
        s.mov.b32       number, %warpid
        s.mull.i32      number, number, QUERIES / 4
        s.add.i32       number, number, first
        s.add.i32       last, first, QUERIES - 1
        meets_keys      last
        s.add.i32       limit, number, QUERIES / 4 - 1
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
        .endm

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

// ---- binary32 --------------------------------------------------------------------------------------------------------

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
        .equ    QUERIES, 4
        .equ    BYTES, 4
        .equ    SIZE, \size
        common

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

// ---- bfloat16 --------------------------------------------------------------------------------------------------------
//
// Of a fragment of scores or results, a lane has rows lane / 4 (H = 0) and 8 below (H = 1), columns 2 * (lane % 4) (E = 0)
// and the next (E = 1), and those 8 further (G = 1), in register 4G + 2H + E. As a factor, 2G + H is a pair of columns.

// Scores of 32 keys: T, 16 of them, by fragments of the query, which lie in registers, and of keys, which lie as they are.
        .macro  score_tile
        .rept   2, T
        .rept   SIZE / 16, C
        tsm.ld.mat.b32x4 b[4*\C:4*\C+3], [k_tile + bytes(32*\C) + k_row\T * 0x1]
        .endr
        .rept   8, R
        v.mov.b32       s[8*\T+\R], 0
        .endr
        s.wait          tsmcnt(0)
        .rept   SIZE / 16, C
        v.mma.f32.bf16.m16n16k16 s[8*\T:8*\T+7], q[4*\C:4*\C+3], b[4*\C:4*\C+3], s[8*\T:8*\T+7]
        .endr
        .endr
        .rept   16, R
        v.mul.f32       s[\R], s[\R], scale
        .endr
        .endm

// -inf for the scores of keys that a query does not meet; the tile begins with the key base - KEYS or limit - count.
        .macro  leave_out
        s.sub.i32       t, limit, count
        v.add.i32       at, pair, t
        .rept   2, T
        .rept   2, G
        .rept   2, E
        v.add.i32       key_number, at, 16*\T + 8*\G + \E
        .rept   2, H
        v.cmp.lt.u32    off, key_number, met[\H]
        v.csel.b32      s[8*\T+4*\G+2*\H+\E], s[8*\T+4*\G+2*\H+\E], lowest, off
        .endr
        .endr
        .endr
        .endr
        .endm

// The softmax's part of half the rows: p in place of the scores, and their pairs as factors.
        .macro  powers H
        v.mov.b32       new, most[\H]
        .rept   4, C
        v.max.f32       new, new, s[4*\C+2*\H]
        v.max.f32       new, new, s[4*\C+2*\H+1]
        .endr
        .rept   2, K
        v.shuffle.bfly.b32 at, new, 1 << \K
        v.max.f32       new, new, at
        .endr
        v.sub.f32       factor, most[\H], new
        v.exp2.f32      factor, factor
        v.mov.b32       most[\H], new
        v.mul.f32       sum[\H], sum[\H], factor
        .rept   4, C
        .rept   2, E
        v.sub.f32       s[4*\C+2*\H+\E], s[4*\C+2*\H+\E], new
        v.exp2.f32      s[4*\C+2*\H+\E], s[4*\C+2*\H+\E]
        v.add.f32       sum[\H], sum[\H], s[4*\C+2*\H+\E]
        .endr
        v.pcnvt.bf16x2  p[2*\C+\H], s[4*\C+2*\H], s[4*\C+2*\H+1]
        .endr
        .rept   SIZE / 8, C
        v.mul.f32       acc[4*\C+2*\H], acc[4*\C+2*\H], factor
        v.mul.f32       acc[4*\C+2*\H+1], acc[4*\C+2*\H+1], factor
        .endr
        .endm

// The tile's values, whose fragments run along the keys: they are turned on their way.
        .macro  add_values
        .rept   2, T
        .rept   SIZE / 16, C
        tsm.ld.mat.trans.b32x4 b[4*\C:4*\C+3], [v_tile + bytes(32*\C) + v_row\T * 0x1]
        .endr
        s.wait          tsmcnt(0)
        .rept   SIZE / 16, C
        v.mma.f32.bf16.m16n16k16 acc[8*\C:8*\C+7], p[4*\T:4*\T+3], b[4*\C:4*\C+3], acc[8*\C:8*\C+7]
        .endr
        .endr
        .endm

        .macro  on_matrix_unit size
        .kernel attention_bf16_\size
        .equ    QUERIES, 64
        .equ    BYTES, 2
        .equ    SIZE, \size
        common

        .reg    k_row0  = vreg6                 // of the lane for tsm.ld.mat, for 16 keys each
        .reg    k_row1  = vreg7
        .reg    v_row0  = vreg8
        .reg    v_row1  = vreg9
        .reg    pair    = vreg10                // 2 * (lane % 4)
        .reg    lowest  = vreg11
        .reg    new     = vreg12                // the greatest score, after this tile
        .reg    factor  = vreg13
        .reg    key_number = vreg14
        .reg    own     = vreg[16:17]           // numbers of the lane's queries, for H = 0 and 1
        .reg    met     = vreg[18:19]           // how many keys they meet
        .reg    most    = vreg[20:21]
        .reg    sum     = vreg[22:23]
        .reg    part    = vreg[24:25]           // bytes from the block's first query to the lane's first elements
        .reg    p       = vreg[32:39]
        .reg    s       = vreg[40:55]
        .reg    b       = vreg[64:95]
        .reg    q       = vreg[96:127]
        .reg    acc     = vreg[128:191]

        // Rows for tsm.ld.mat: of keys 8 lanes have 8 rows, the next 8 the same rows 8 elements further; of values the
        // next 8 have the next 8 rows, and 16 lanes 8 elements further.
        v.and.b32       at, lane, 7
        v.shrl.b32      k_row0, lane, 4
        v.shll.b32      k_row0, k_row0, 3
        v.add.i32       k_row0, k_row0, at
        v.mull.i32      k_row0, k_row0, PITCH
        v.and.b32       at, lane, 8
        v.shll.b32      at, at, 1
        v.add.i32       k_row0, k_row0, at
        v.add.i32       k_row1, k_row0, 16 * PITCH
        v.and.b32       v_row0, lane, 15
        v.mull.i32      v_row0, v_row0, PITCH
        v.and.b32       at, lane, 16
        v.add.i32       v_row0, v_row0, at
        v.add.i32       v_row1, v_row0, 16 * PITCH

        v.and.b32       pair, lane, 3
        v.shll.b32      pair, pair, 1
        v.mov.b32       lowest, -inf
        bytes_before    first
        s.add.i64       from, query, begin
        .rept   2, H
        v.shrl.b32      at, lane, 2
        v.add.i32       at, at, 8*\H
        v.add.i32       own[\H], at, number
        s.sub.i32       t, queries, 1           // a row behind the last query does as that does
        v.min.u32       at, own[\H], t
        s.sub.i32       t, keys, t
        v.add.i32       met[\H], at, t
        s.cmp.ne.u32    scc, causal, 0
        v.mov.b32       new, keys
        v.csel.b32      met[\H], met[\H], new, scc
        v.sub.i32       at, at, first
        s.mull.i32      t, heads, LINE
        v.mull.i32      at, at, t
        v.shll.b32      part[\H], pair, 1
        v.add.i32       part[\H], part[\H], at
        .rept   SIZE / 16, C
        .rept   2, G
        vmem.ld.b32     q[4*\C+2*\G+\H], [bytes(32*\C+16*\G) + part[\H] * 0x1] @from
        .endr
        .endr
        v.mov.b32       most[\H], -inf
        v.mov.b32       sum[\H], 0
        .endr
        .rept   SIZE / 2, R
        v.mov.b32       acc[\R], 0
        .endr
        s.mov.b32       base, 0
        fetch

tile:   keep
        next_tile
        score_tile
        leave_out
        powers          0
        powers          1
        add_values
done:   s.cmp.lt.u32    scc, base, last
        s.cbr.nz        scc, tile

        s.add.i64       from, out, begin
        .rept   2, H
        .rept   2, K
        v.shuffle.bfly.b32 at, sum[\H], 1 << \K
        v.add.f32       sum[\H], sum[\H], at
        .endr
        inside          own[\H], queries, off
        .rept   SIZE / 8, C
        v.div.f32       acc[4*\C+2*\H], acc[4*\C+2*\H], sum[\H]
        v.div.f32       acc[4*\C+2*\H+1], acc[4*\C+2*\H+1], sum[\H]
        v.pcnvt.bf16x2  acc[4*\C+2*\H], acc[4*\C+2*\H], acc[4*\C+2*\H+1]
        vmem.st.b32     acc[4*\C+2*\H], [bytes(16*\C) + part[\H] * 0x1] @from
        .endr
        restore         off
        .endr
        simt.exit
        .endm

        on_matrix_unit  64
        on_matrix_unit  128
