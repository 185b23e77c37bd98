// C = A * B in bfloat16 with binary32 sums, on the matrix unit: A is M x K, B is K x N, C is M x N, row-major.
//
// Who does what. A block of 4 warps computes 128 x 128 of C, each warp 64 x 64 of it: 16 accumulators of 16 x 16 in 128
// registers. For 16 values of k a warp loads 4 fragments of A and 4 of B from TSM, and multiplies each with each.
//
// Where operands come from. All threads together bring tiles of A (128 x 32) and of B (32 x 128) to TSM, 16 bytes at a
// time. There are two of each: while one is multiplied, the next one is on its way. tsm.ld.mat gives fragments of A
// as they lie; those of B it transposes, since B's rows run along n and its fragments along k.
//
// Edges. Rows and columns behind the end of a matrix are loaded as zeros, and what would lie behind the end of C is
// not stored. N and K are multiples of 8, so that 8 elements exist or do not exist together.
//
// Order: C[m, n] is the sum over blocks of 16 k; each block's products are added from +0 on with k ascending, each
// addition rounded once, and then to the blocks before it. The result is defined to the bit.
//
// Launch: grid (ceil(N / 128), ceil(M / 128)), block 128. M, N, K at least 1; A and B at multiples of 16.

        .arch   ppu0015
        .kernel gemm_bf16
        .maxntid 128
        .param  u32 m
        .param  u32 n
        .param  u32 k
        .param  ptr a
        .param  ptr b
        .param  ptr c

        .equ    TILE, 128                       // rows and columns of C per block
        .equ    DEPTH, 32                       // k per tile
        .equ    A_PITCH, 2 * DEPTH              // bytes of a row in TSM
        .equ    B_PITCH, 2 * TILE
        .equ    A_BYTES, TILE * A_PITCH
        .equ    STAGE, A_BYTES + DEPTH * B_PITCH
        .tsm    2 * STAGE

        .reg    tid     = vreg0
        .reg    lane    = vreg1
        .reg    a_from  = vreg2                 // byte offset of the thread's element in a tile of A, in memory
        .reg    b_from  = vreg3
        .reg    a_k     = vreg4                 // its k
        .reg    b_k     = vreg5                 // its k, of the first of four loads
        .reg    a_row   = vreg6                 // its row of A, of the first of four loads
        .reg    at0     = vreg7                 // where the lane's row of a fragment of A lies in TSM, for 16 k
        .reg    at1     = vreg8                 // for the next 16 k
        .reg    bt0     = vreg9
        .reg    bt1     = vreg10
        .reg    c_to    = vreg11                // byte offset of the lane's first element of C
        .reg    t0      = vreg12
        .reg    t1      = vreg13
        .reg    new_a   = vreg[32:47]           // what is on its way to TSM
        .reg    new_b   = vreg[48:63]
        .reg    as      = vreg[64:79]           // four fragments of A
        .reg    bs      = vreg[80:95]
        .reg    acc     = vreg[128:255]         // acc[8 * (4 * i + j) ...]: tile (i, j)

        .reg    row0    = sreg38                // the block's first row and column of C
        .reg    col0    = sreg39
        .reg    base    = sreg40                // first k of the tile on its way
        .reg    stage   = sreg41                // TSM offset of the tile that is multiplied
        .reg    next    = sreg42                // and of the one on its way
        .reg    whole   = sreg43                // not 0: the block's rows and columns all exist
        .reg    off     = sreg44
        .reg    in_n    = sreg45                // threads whose columns of B exist
        .reg    in_k    = sreg46
        .reg    mask    = sreg47
        .reg    wrow    = sreg48                // the warp's first row of C
        .reg    wcol    = sreg49
        .reg    r       = sreg50
        .reg    s       = sreg51
        .reg    t       = sreg[52:53]
        .reg    to      = sreg[54:55]
        .reg    a_step  = sreg[56:57]           // bytes from a tile to the next one
        .reg    b_step  = sreg[58:59]
        .reg    a_at    = sreg[60:67]           // addresses of the four parts of a tile
        .reg    b_at    = sreg[68:75]
        .reg    in_m    = sreg[76:79]           // threads whose row of A exists, for each of the four parts

gemm_bf16:
        v.tid.init      tid, sreg[36:37]
        v.and.b32       tid, tid, 0xfff
        v.and.b32       lane, tid, 31
        s.mov.b32       row0, %blkid.y
        s.shll.b32      row0, row0, 7
        s.mov.b32       col0, %blkid.x
        s.shll.b32      col0, col0, 7

        // A thread loads 16 bytes of row tid / 4 + 32 * P of A, for P = 0 to 3, and of row tid / 16 + 8 * P of B.
        v.shrl.b32      a_row, tid, 2
        s.shll.b32      r, k, 1
        v.mull.i32      a_from, a_row, r
        v.add.i32       a_row, a_row, row0
        v.and.b32       t0, tid, 3
        v.shll.b32      a_k, t0, 3
        v.shll.b32      t0, t0, 4
        v.add.i32       a_from, a_from, t0
        v.shrl.b32      b_k, tid, 4
        s.shll.b32      s, n, 1
        v.mull.i32      b_from, b_k, s
        v.and.b32       t0, tid, 15
        v.shll.b32      t1, t0, 4
        v.add.i32       b_from, b_from, t1
        v.shll.b32      t0, t0, 3
        v.add.i32       t0, t0, col0
        v.cmp.lt.u32    in_n, t0, n

        .rept   4, P
        s.add.i32       t[0], row0, 32 * \P
        s.mulw.u64.u32  t, t[0], r
        s.add.i64       a_at[2*\P:2*\P+1], a, t
        v.add.i32       t0, a_row, 32 * \P
        v.cmp.lt.u32    in_m[\P], t0, m
        s.mov.b32       t[0], 8 * \P
        s.mulw.u64.u32  t, t[0], s
        s.add.i64       b_at[2*\P:2*\P+1], b, t
        s.shll.b32      t[0], col0, 1
        s.mov.b32       t[1], 0
        s.add.i64       b_at[2*\P:2*\P+1], b_at[2*\P:2*\P+1], t
        .endr
        s.mov.b32       a_step[0], A_PITCH
        s.mov.b32       a_step[1], 0
        s.shll.b32      t[0], n, 1
        s.mov.b32       t[1], DEPTH
        s.mulw.u64.u32  b_step, t[0], t[1]

        s.add.i32       t[0], row0, TILE
        s.cmp.le.u32    scc, t[0], m
        s.mov.b32       whole, scc
        s.add.i32       t[0], col0, TILE
        s.cmp.le.u32    scc, t[0], n
        s.and.b32       whole, whole, scc

        // The warp's part of C, and where the lane's row of each fragment lies: lane % 16 along, lane / 16 eight further.
        s.mov.b32       r, %warpid
        s.shrl.b32      wrow, r, 1
        s.shll.b32      wrow, wrow, 6
        s.and.b32       wcol, r, 1
        s.shll.b32      wcol, wcol, 6
        v.and.b32       t0, lane, 15
        v.shrl.b32      t1, lane, 4
        v.shll.b32      t1, t1, 4
        v.add.i32       at0, t0, wrow
        v.mull.i32      at0, at0, A_PITCH
        v.add.i32       at0, at0, t1
        v.add.i32       at1, at0, 32
        v.mull.i32      bt0, t0, B_PITCH
        v.add.i32       bt0, bt0, t1
        s.shll.b32      r, wcol, 1
        s.add.i32       r, r, A_BYTES
        v.add.i32       bt0, bt0, r
        v.add.i32       bt1, bt0, 16 * B_PITCH
        s.add.i32       wrow, wrow, row0
        s.add.i32       wcol, wcol, col0

        .rept   128, R
        v.mov.b32       acc[\R], 0
        .endr

        .macro  fetch                           // the tile at `base` leaves memory
        s.add.i32       t[0], base, DEPTH
        s.cmp.le.u32    scc, t[0], k
        s.and.b32       scc, scc, whole
        s.cbr.az        scc, edges\@
        .rept   4, P
        vmem.ld.b32x4   new_a[4*\P:4*\P+3], [bytes(0) + a_from * 0x1] @a_at[2*\P:2*\P+1]
        vmem.ld.b32x4   new_b[4*\P:4*\P+3], [bytes(0) + b_from * 0x1] @b_at[2*\P:2*\P+1]
        .endr
        s.cbr           fetched\@
edges\@:
        v.add.i32       t0, a_k, base
        v.cmp.lt.u32    in_k, t0, k
        .rept   4, P
        .rept   4, W
        v.mov.b32       new_a[4*\P+\W], 0
        v.mov.b32       new_b[4*\P+\W], 0
        .endr
        s.and.b32       mask, in_k, in_m[\P]
        s.lop.emsk      off, mask # 0x8
        vmem.ld.b32x4   new_a[4*\P:4*\P+3], [bytes(0) + a_from * 0x1] @a_at[2*\P:2*\P+1]
        s.or.b32        emsk, emsk, off
        s.add.i32       t[0], base, 8 * \P
        v.add.i32       t0, b_k, t[0]
        v.cmp.lt.u32    mask, t0, k
        s.and.b32       mask, mask, in_n
        s.lop.emsk      off, mask # 0x8
        vmem.ld.b32x4   new_b[4*\P:4*\P+3], [bytes(0) + b_from * 0x1] @b_at[2*\P:2*\P+1]
        s.or.b32        emsk, emsk, off
        .endr
fetched\@:
        .rept   4, P
        s.add.i64       a_at[2*\P:2*\P+1], a_at[2*\P:2*\P+1], a_step
        s.add.i64       b_at[2*\P:2*\P+1], b_at[2*\P:2*\P+1], b_step
        .endr
        .endm

        .macro  keep                            // and enters TSM
        s.wait          vldcnt(0)
        .rept   4, P
        tsm.st.b32x4    new_a[4*\P:4*\P+3], [next + bytes(2048 * \P) + tid * 0x10]
        tsm.st.b32x4    new_b[4*\P:4*\P+3], [next + bytes(A_BYTES + 2048 * \P) + tid * 0x10]
        .endr
        s.wait          tsmcnt(0)
        s.blksyn
        .endm

        .macro  multiply at, bt                 // 16 k of the tile in TSM
        .rept   4, I
        tsm.ld.mat.b32x4 as[4*\I:4*\I+3], [stage + bytes(16 * A_PITCH * \I) + \at * 0x1]
        tsm.ld.mat.trans.b32x4 bs[4*\I:4*\I+3], [stage + bytes(32 * \I) + \bt * 0x1]
        .endr
        s.wait          tsmcnt(0)
        .rept   4, I
        .rept   4, J
        v.mma.f32.bf16.m16n16k16 acc[32*\I+8*\J:32*\I+8*\J+7], as[4*\I:4*\I+3], bs[4*\J:4*\J+3], acc[32*\I+8*\J:32*\I+8*\J+7]
        .endr
        .endr
        .endm

        s.mov.b32       base, 0
        s.mov.b32       stage, STAGE
        s.mov.b32       next, 0
        fetch
        keep

tiles:  s.xor.b32       stage, stage, STAGE
        s.xor.b32       next, next, STAGE
        s.add.i32       base, base, DEPTH
        s.cmp.ge.u32    scc, base, k
        s.cbr.nz        scc, last
        fetch
        multiply        at0, bt0
        multiply        at1, bt1
        keep
        s.cbr           tiles

last:   multiply        at0, bt0
        multiply        at1, bt1

        // ---- C: lane 4p + q has columns 2q and 2q + 1 of row p, in each quarter of a 16 x 16 tile -----------------
        v.shrl.b32      t0, lane, 2
        v.mull.i32      c_to, t0, n
        v.and.b32       t1, lane, 3
        v.shll.b32      t1, t1, 1
        v.add.i32       c_to, c_to, t1
        v.shll.b32      c_to, c_to, 2
        s.mov.b32       to[0], wcol
        s.mov.b32       to[1], 0
        s.shll.b64      to, to, 2
        s.add.i64       to, to, c
        .rept   4, I
        .rept   2, H
        s.add.i32       r, wrow, 16 * \I + 8 * \H
        v.add.i32       t1, t0, r
        v.cmp.lt.u32    mask, t1, m
        s.lop.emsk      off, mask # 0x8
        s.mulw.u64.u32  t, r, n
        s.shll.b64      t, t, 2
        s.add.i64       t, t, to
        .rept   4, J
        .rept   2, G
        s.add.i32       s, wcol, 16 * \J + 8 * \G
        s.cmp.ge.u32    scc, s, n
        s.cbr.nz        scc, stored_\I\H
        vmem.st.b32x2   acc[32*\I+8*\J+2*\H+4*\G:32*\I+8*\J+2*\H+4*\G+1], [bytes(64 * \J + 32 * \G) + c_to * 0x1] @t
        .endr
        .endr
stored_\I\H:
        s.or.b32        emsk, emsk, off
        .endr
        .endr
        simt.exit
