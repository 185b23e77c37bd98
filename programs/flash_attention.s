// Attention on the matrix unit: out = softmax(q * k' / sqrt(size)) * v for heads of size 64, 128 or 256, in bfloat16
// with binary32 sums and softmax. The kernels take powers of two, so `scale` is log2(e) / sqrt(size); with another one
// out = 2^(q * k' * scale) * v, each row divided by the sum of its powers.
//
// With `causal`, query i meets the keys up to i + keys - queries, so the last one meets all.
//
// Heads of q share those of k and v in groups. The queries of a group are rows of one matrix: row r is query r / group
// of the group's head r % group. So a single new token still fills as many rows as a group has heads.
//
// Who does what. A warp has 32 rows (16, if a head has 256 elements), a block of 4 warps the rows of one group. Keys
// and values come in tiles of 64 through TSM. The AIU copies them, each warp those of 16 keys, in columns of 64
// elements and swizzled. There are two tiles: while the warps work on one, the next one is on its way.
//
// Keys and values lie as arrays, or, for many sequences, in pages anywhere in a pool: a table has the numbers of each
// sequence's pages. A page is a plane of the AIU's tensor, which ends where the sequence does, so that what lies behind
// the last key is zero and never what the page had before.
//
// Order of the sums, each operation rounded once; d and j ascend. Of 32 keys at a time:
//
//      r[j] = sum of q[d] * k[j, d]            blocks of 16, as the matrix unit has them; -inf for keys not met
//      c = (max of r) * scale                  if c - m > 8: f = exp2(m - c), total = total * f, acc = acc * f, m = c
//      p[j] = exp2(fma(r[j], scale, -m))       total = total + p[j]
//      acc = acc + (sum of bf16(p[j]) * v[j])  16 keys at once
//      out = acc / total                       behind the last key
//
// m need not be the largest score: as long as p stays below 2^8, nothing is gained by dividing what there is by more.
// So most steps only look at the maxima of single lanes, which is all that the branch needs. It begins as the least
// number. There are 4 totals, of the keys j with j % 8 / 2 = 0 to 3; in the end (0 + 1) + (2 + 3). The values of keys
// that a query does not meet must be finite; 32 keys that none of a warp's rows meets have no part. The result is
// defined to the bit.
//
// Launch: block 128. Arrays: grid (ceil(queries * group / rows), heads / group), rows of a block being 128, or 64 for
// heads of 256; keys at least 1, with `causal` at least queries. Pages: the same with the sequences as the grid's z and
// the longest one's queries; a page has a multiple of 16 tokens. Arrays begin at multiples of 32. scale is log2(e) /
// sqrt(size), 0.18033688, 0.12751743 or 0.09016844 for 64, 128 or 256, and greater than 0 in any case.

        .arch   ppu0015
        .include "index.inc"
        .include "fragments.inc"

        .equ    TILE, 64                        // keys of a tile
        .equ    STEP, 32                        // keys of a step
        .equ    SHARE, TILE / 4                 // keys that a warp brings
        .equ    COLUMN, 64                      // elements of a row of a copy: 128 bytes
        .equ    COLUMN_BYTES, TILE * 128

// What all kernels have in common. rows: times 16 rows for a warp. Behind it `queries` and `keys` are those of the
// sequence, and from `query` and `out` on begin its queries.
        .macro  begin_attention size, rows
        .reqntid 128
        .equ    SIZE, \size
        .equ    LINE, 2 * SIZE                  // bytes of a row of q, k, v and out
        .equ    ROWS, \rows
        .equ    HALVES, 2 * ROWS                // a lane has elements of so many rows
        .equ    DEPTHS, SIZE / 16
        .equ    TILE_BYTES, SIZE / COLUMN * COLUMN_BYTES
        .equ    STAGE, 2 * TILE_BYTES           // keys, then values
        .tsm    2 * STAGE

        .reg    lane    = vreg0
        .reg    k_row   = vreg[1:4]             // the lane's parts of fragments, for each 16 elements of a column
        .reg    v_row   = vreg[5:8]
        .reg    pair    = vreg9                 // 2 * (lane % 4)
        .reg    most    = vreg[10:13]           // m, for each half
        .reg    sum     = vreg[14:17]
        .reg    met     = vreg[18:21]           // keys that the row meets
        .reg    at      = vreg22
        .reg    b       = vreg[24:31]           // fragments of keys or values; else what is needed for a moment
        .reg    s       = vreg[32:63]           // scores, then p, for each 16 rows 16 * ROWS
        .reg    q       = vreg[64:127]
        .reg    acc     = vreg[128:255]

        .reg    t       = sreg32
        .reg    base    = sreg33                // first key of the tile
        .reg    ahead   = sreg34                // and of the one on its way
        .reg    last    = sreg35                // keys that the block's last row meets
        .reg    limit   = sreg38                // and the warp's
        .reg    free    = sreg39                // keys that all rows of the warp meet
        .reg    stage   = sreg40                // where the tile is in TSM
        .reg    first   = sreg41                // the block's first row
        .reg    mine    = sreg42                // the warp's
        .reg    rows_in = sreg43                // rows of all
        .reg    share   = sreg44                // first of the keys that the warp brings, in the tile
        .reg    next    = sreg45
        .reg    any     = sreg47
        .reg    over    = sreg48
        .reg    off     = sreg49
        .reg    from    = sreg[50:51]
        .reg    u       = sreg[52:53]
        .reg    lowest  = sreg54
        .reg    turn    = sreg55                // not 0 in the second step of a tile
        .reg    k_copy  = sreg[64:79]           // descriptors of the AIU
        .reg    v_copy  = sreg[80:95]
        .reg    place   = sreg[96:99]
        .endm

// to = the keys that row `to` meets, or that the last row meets if there are not so many. Scalar; overwrites t.
        .macro  meets to
        s.sub.i32       t, rows_in, 1
        s.min.u32       \to, \to, t
        s.div.u32       \to, \to, group
        s.sub.i32       t, keys, queries
        s.add.i32       \to, \to, t
        s.add.i32       \to, \to, 1
        s.cmp.ne.u32    scc, causal, 0
        s.csel.b32      \to, \to, keys, scc
        .endm

// What the block and the warp do, and the rows of q as fragments in registers.
        .macro  begin_rows
        v.mov.b32       lane, %laneid
        s.mull.i32      rows_in, queries, group
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, 64 * ROWS
        s.mov.b32       mine, %warpid
        s.mull.i32      share, mine, SHARE
        s.mull.i32      mine, mine, 16 * ROWS
        s.add.i32       mine, mine, first
        s.add.i32       last, first, 64 * ROWS - 1
        meets           last
        s.add.i32       limit, mine, 16 * ROWS - 1
        meets           limit
        s.cmp.lt.u32    scc, mine, rows_in
        s.csel.b32      limit, limit, 0, scc    // nothing behind the last row
        s.mov.b32       free, mine
        meets           free
        s.mov.b32       lowest, -inf

        s.mov.b32       t, 0
        fragment_places k_row, 16, 0, 0, t, lane, b // keys run along k, as rows of B, values across it
        fragment_places v_row, 16, 1, 0, t, lane, b
        v.and.b32       pair, lane, 3
        v.shll.b32      pair, pair, 1

        bytes_before    query
        .rept   HALVES, H
        own_row         b[0], \H
        s.sub.i32       t, rows_in, 1           // a row behind the last one does as that does
        v.min.u32       b[0], b[0], t
        v.div.u32       b[1], b[0], group
        s.sub.i32       t, keys, queries
        v.add.i32       met[\H], b[1], t
        v.add.i32       met[\H], met[\H], 1
        v.mov.b32       b[2], keys
        s.cmp.ne.u32    t, causal, 0
        v.csel.b32      met[\H], met[\H], b[2], t
        bytes_of_row
        .rept   DEPTHS, C
        .rept   2, G
        vmem.ld.b32     q[4*(DEPTHS*(\H/2)+\C)+2*\G+\H%2], [bytes(32*\C+16*\G) + at * 0x1] @from
        .endr
        .endr
        v.mov.b32       most[\H], -0x1.fffffep127
        v.mov.b32       sum[\H], 0
        .endr
        .rept   ROWS * SIZE / 4, R
        v.mov.b64       acc[2*\R:2*\R+1], 0
        .endr
        .endm

// to = the lane's row of a half.
        .macro  own_row to, half
        v.shrl.b32      \to, lane, 2
        s.add.i32       t, mine, 8 * \half
        v.add.i32       \to, \to, t
        .endm

// from = the address of the block's first query in an array, and its number in u[1]; of all heads.
        .macro  bytes_before array
        s.div.u32       u[1], first, group
        s.mov.b32       t, u[1]
        s.mull.i32      u[0], heads, LINE
        s.mulw.u64.u32  u, u[0], u[1]
        s.add.i64       from, \array, u
        s.mov.b32       u[1], t
        .endm

// at = bytes from there to the lane's first elements of row b[0], which is of query b[1].
        .macro  bytes_of_row
        v.mull.i32      at, b[1], group
        v.sub.i32       at, b[0], at
        s.mull.i32      t, group, %blkid.y
        v.add.i32       at, at, t               // the head
        v.sub.i32       b[1], b[1], u[1]
        v.mull.i32      b[1], b[1], heads
        v.add.i32       at, at, b[1]
        v.mull.i32      at, at, LINE
        v.add.i32       at, at, pair
        v.add.i32       at, at, pair
        .endm

// A descriptor for copies of the keys or values of 16 tokens. tokens: of a page; pages: how many.
        .macro  describe copy, array, tokens, pages
        s.mov.b32       u[0], %blkid.y
        s.mull.i32      u[0], u[0], LINE
        s.mov.b32       u[1], 0
        s.add.i64       \copy[0:1], \array, u
        s.div.u32       \copy[2], heads, group
        s.mull.i32      \copy[2], \copy[2], LINE
        s.mov.b32       \copy[3], 0             // stride_w
        s.mov.b32       u[0], \tokens
        s.mulw.u64.u32  \copy[4:5], \copy[2], u[0]
        s.mov.b32       \copy[6], SIZE
        s.mov.b32       \copy[7], \tokens       // dim_w
        s.mov.b32       \copy[8], \pages
        s.mov.b32       \copy[9], COLUMN
        s.mov.b32       \copy[10], SHARE
        s.mov.b32       \copy[11], 1
        .rept   4, W
        s.mov.b32       \copy[12+\W], 0
        .endr
        .endm

// ---- tiles -----------------------------------------------------------------------------------------------------------

// The warp's share of the tile `ahead` leaves memory. paged: its page is in the table.
        .macro  bring paged
        s.add.i32       place[2], ahead, share
        s.mov.b32       place[3], 0
        .if \paged
        find_page
        .endif
        s.mull.i32      t, share, 128
        s.add.i32       t, t, next
        .rept   SIZE / COLUMN, C
        s.add.i32       place[0], t, \C * COLUMN_BYTES
        s.mov.b32       place[1], COLUMN * \C
        vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16 k_copy, place
        s.add.i32       place[0], place[0], TILE_BYTES
        vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16 v_copy, place
        .endr
        vmem.acp.commit.grp
        .endm

// place = token and page of the key place[2]; the page ends where the sequence does.
        .macro  find_page
        s.div.u32       u[0], place[2], page
        s.mull.i32      t, u[0], page
        s.sub.i32       place[2], place[2], t
        s.sub.i32       t, keys, t
        s.max.i32       t, t, 0
        s.min.u32       k_copy[7], page, t
        s.mov.b32       v_copy[7], k_copy[7]
        s.min.u32       u[0], u[0], last_page
        smem.ld.b32     place[3], [0x0 + u[0] * 0x4] @pages_at
        s.wait          sldcnt(0)
        .endm

// Scores of 32 keys: T, 16 of them, by fragments of the rows, which lie in registers, and of keys.
        .macro  score_step
        .rept   8 * ROWS, R
        v.mov.b64       s[2*\R:2*\R+1], 0
        .endr
        .rept   2, T
        .rept   DEPTHS / 2, D
        .rept   2, E
        tsm.ld.mat.b32x4 b[4*\E:4*\E+3], [stage + bytes(2048*\T + (\D/2)*COLUMN_BYTES) + k_row[2*(\D%2)+\E] * 0x1]
        .endr
        s.wait          tsmcnt(0)
        .rept   2, E
        .rept   ROWS, R
        v.mma.f32.bf16.m16n16k16 s[16*\R+8*\T:16*\R+8*\T+7], q[4*(DEPTHS*\R+2*\D+\E):4*(DEPTHS*\R+2*\D+\E)+3], b[4*\E:4*\E+3], s[16*\R+8*\T:16*\R+8*\T+7]
        .endr
        .endr
        .endr
        .endr
        .endm

// -inf for the scores of keys that a row does not meet.
        .macro  leave_out
        .rept   2, T
        .rept   2, G
        .rept   2, E
        s.add.i32       t, base, 16*\T + 8*\G + \E
        v.add.i32       at, pair, t
        .rept   HALVES, H
        v.cmp.lt.u32    t, at, met[\H]
        v.csel.b32      s[16*(\H/2)+8*\T+4*\G+2*(\H%2)+\E], s[16*(\H/2)+8*\T+4*\G+2*(\H%2)+\E], lowest, t
        .endr
        .endr
        .endr
        .endr
        .endm

// m, where a lane's scores have outgrown it by far; everything before counts less.
        .macro  keep_up
        s.mov.b32       any, 0
        .rept   HALVES, H
        .equ    S, 16*(\H/2) + 2*(\H%2)
        v.max3.f32      b[\H], s[S], s[S+1], s[S+4]
        v.max3.f32      b[\H], b[\H], s[S+5], s[S+8]
        v.max3.f32      b[\H], b[\H], s[S+9], s[S+12]
        v.max.f32       b[\H], b[\H], s[S+13]
        v.mul.f32       b[\H], b[\H], scale
        v.sub.f32       at, b[\H], most[\H]
        v.cmp.gt.f32    over, at, 8.0
        s.or.b32        any, any, over
        .endr
        s.cbr.az        any, steady\@
        .rept   HALVES, H
        .rept   2, K
        v.shuffle.bfly.b32 at, b[\H], 1 << \K
        v.max.f32       b[\H], b[\H], at
        .endr
        v.sub.f32       at, b[\H], most[\H]
        v.cmp.gt.f32    over, at, 8.0
        v.csel.b32      b[\H], b[\H], most[\H], over
        v.sub.f32       at, most[\H], b[\H]
        v.exp2.f32      at, at
        v.mov.b32       most[\H], b[\H]
        v.mul.f32       sum[\H], sum[\H], at
        .rept   SIZE / 8, C
        .rept   2, E
        v.mul.f32       acc[SIZE/2*(\H/2)+4*\C+2*(\H%2)+\E], acc[SIZE/2*(\H/2)+4*\C+2*(\H%2)+\E], at
        .endr
        .endr
        .endr
steady\@:
        .endm

// p in place of the scores, and their pairs as factors, 8 registers for each 16 rows.
        .macro  powers
        .rept   ROWS, R
        .rept   4, C
        .rept   2, H
        .equ    S, 16*\R + 4*\C + 2*\H
        .rept   2, E
        v.fma.f32.rtte  s[S+\E], s[S+\E], scale, !most[2*\R+\H]
        v.exp2.f32      s[S+\E], s[S+\E]
        v.add.f32       sum[2*\R+\H], sum[2*\R+\H], s[S+\E]
        .endr
        v.pcnvt.bf16x2  s[16*\R+2*\C+\H], s[S], s[S+1]
        .endr
        .endr
        .endr
        .endm

// The values of 32 keys, whose fragments run along the keys: they are transposed on their way.
        .macro  add_values
        .rept   2, T
        .rept   DEPTHS / 2, D
        .rept   2, E
        tsm.ld.mat.trans.b32x4 b[4*\E:4*\E+3], [stage + bytes(TILE_BYTES + 2048*\T + (\D/2)*COLUMN_BYTES) + v_row[2*(\D%2)+\E] * 0x1]
        .endr
        s.wait          tsmcnt(0)
        .rept   2, E
        .rept   ROWS, R
        .equ    A, SIZE/2*\R + 8*(2*\D+\E)
        v.mma.f32.bf16.m16n16k16 acc[A:A+7], s[16*\R+4*\T:16*\R+4*\T+3], b[4*\E:4*\E+3], acc[A:A+7]
        .endr
        .endr
        .endr
        .endr
        .endm

// All tiles, and the result.
        .macro  attend paged
        s.mov.b32       base, 0
        s.mov.b32       ahead, 0
        s.mov.b32       next, 0
        s.mov.b32       stage, STAGE
        bring           \paged
        s.wait          vldcnt(0)

tile:   s.wait          commit_group(0)
        s.blksyn                                // all have the tile, and nobody needs the one before
        s.add.i32       ahead, ahead, TILE
        s.xor.b32       next, next, STAGE
        s.xor.b32       stage, stage, STAGE
        s.cmp.ge.u32    scc, ahead, last
        s.cbr.nz        scc, brought
        bring           \paged
brought:
        s.mov.b32       turn, 0
step:   s.cmp.ge.i32    scc, base, limit
        s.cbr.nz        scc, done
        score_step
        s.add.i32       t, base, STEP
        s.cmp.le.i32    scc, t, free
        s.cbr.nz        scc, all_met
        leave_out
all_met:
        keep_up
        powers
        add_values
done:   s.add.i32       base, base, STEP
        s.xor.b32       turn, turn, STEP * 128  // bytes of 32 keys in a column
        s.xor.b32       stage, stage, STEP * 128
        s.cbr.nz        turn, step
        s.cmp.lt.u32    scc, base, last
        s.cbr.nz        scc, tile

        bytes_before    out
        .rept   HALVES, H
        .rept   2, K
        v.shuffle.bfly.b32 at, sum[\H], 1 << \K
        v.add.f32       sum[\H], sum[\H], at
        .endr
        own_row         b[0], \H
        inside          b[0], rows_in, off
        v.div.u32       b[1], b[0], group
        bytes_of_row
        .rept   SIZE / 8, C
        .equ    A, SIZE/2*(\H/2) + 4*\C + 2*(\H%2)
        v.div.f32       acc[A], acc[A], sum[\H]
        v.div.f32       acc[A+1], acc[A+1], sum[\H]
        v.pcnvt.bf16x2  acc[A], acc[A], acc[A+1]
        vmem.st.b32     acc[A], [bytes(16*\C) + at * 0x1] @from
        .endr
        restore         off
        .endr
        simt.exit
        .endm

// ---- kernels ---------------------------------------------------------------------------------------------------------

        .macro  on_arrays size, rows
        .kernel flash_attention_\size
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
        begin_attention \size, \rows
        begin_rows
        describe        k_copy, key, keys, 1
        describe        v_copy, value, keys, 1
        attend          0
        .endm

        on_arrays       64, 2
        on_arrays       128, 2
        on_arrays       256, 1

        .macro  on_pages size, rows
        .kernel flash_attention_paged_\size
        .param  u32 heads
        .param  u32 group
        .param  u32 causal
        .param  f32 scale
        .param  u32 page                        // tokens of a page
        .param  u32 pages                       // in the pool
        .param  u32 width                       // of the table
        .param  ptr query                       // queries of all sequences x heads x size
        .param  ptr key                         // pages x page x (heads / group) x size
        .param  ptr value                       // likewise
        .param  ptr out                         // as q
        .param  ptr starts                      // first query of each sequence, and behind the last one
        .param  ptr table                       // sequences x width: numbers of pages
        .param  ptr lengths                     // keys of each sequence
        begin_attention \size, \rows

        .reg    queries = sreg56
        .reg    keys    = sreg57
        .reg    last_page = sreg58              // of the sequence, in its row of the table
        .reg    sequence = sreg59
        .reg    pages_at = sreg[60:61]          // this row

        s.mov.b32       sequence, %blkid.z
        smem.ld.b32     keys, [0x0 + sequence * 0x4] @lengths
        smem.ld.b32     t, [0x0 + sequence * 0x4] @starts
        smem.ld.b32     queries, [bytes(4) + sequence * 0x4] @starts
        s.wait          sldcnt(0)
        s.sub.i32       queries, queries, t
        s.mull.i32      u[0], heads, LINE
        s.mulw.u64.u32  u, u[0], t
        s.add.i64       query, query, u
        s.add.i64       out, out, u
        s.shll.b32      u[0], width, 2
        s.mulw.u64.u32  u, u[0], sequence
        s.add.i64       pages_at, table, u
        s.sub.i32       last_page, keys, 1
        s.div.u32       last_page, last_page, page
        s.mull.i32      t, queries, group
        s.mov.b32       first, %blkid.x
        s.mull.i32      first, first, 64 * ROWS
        s.cmp.lt.u32    scc, first, t
        s.cbr.nz        scc, some
        s.exit
some:   begin_rows
        describe        k_copy, key, page, pages
        describe        v_copy, value, page, pages
        attend          1
        .endm

        on_pages        64, 2
        on_pages        128, 2
        on_pages        256, 1
