// C = A * B in binary32, on the lanes (no matrix unit): A is M x K, B is K x N, C is M x N, row-major, any sizes.
//
// Who does what. A warp computes 8 rows by 64 columns of C: each lane two columns, 32 apart, of all 8 rows, in 16
// accumulators. W warps of a block stand below each other, so the block computes 8*W rows by 64 columns.
//
// Where operands come from. For one k the warp needs 64 elements of B, one per lane and column group, and 8 of A,
// each the same for all lanes. So B goes through TSM, 32 rows at a time, shared by all warps of the block; and A is
// loaded by the scalar unit, whose registers an FMA can take as they are. Each element of B feeds 8 FMAs, each of A
// feeds 2 (of 32 lanes), and four k at a time share one wait: 64 FMAs to 21 other instructions.
//
// Edges. Columns behind N are loaded as zero and never stored; rows behind M repeat the last row and are never
// stored; so the inner loop needs no mask. Rows behind K may not be made up, for 0 * inf is NaN: what is left of K
// after steps of 4 is done in steps of 1.
//
// Order: C[m, n] = fma(A[m, k], B[k, n], ...) with k ascending from 0, beginning at +0. The result is defined to the
// bit and does not depend on the block.
//
// Launch: grid (ceil(N / 64), ceil(M / (8*W))), block 32*W, W from 1 to 32. M, N, K at least 1; A a multiple of 16.

        .kernel matmul_f32
        .param  u32 m
        .param  u32 n
        .param  u32 k
        .param  ptr a
        .param  ptr b
        .param  ptr c

        .equ    ROWS, 8                         // of C per warp
        .equ    DEPTH, 32                       // rows of B in TSM
        .equ    PITCH, 64 * 4                   // bytes of a row of B in TSM
        .tsm    DEPTH * PITCH tile

        .reg    lane    = vreg0
        .reg    column  = vreg1                 // of the lane's first column group; the second is 32 further
        .reg    b0      = vreg2                 // an element of B of either group, on the way to TSM
        .reg    b1      = vreg3
        .reg    acc     = vreg[16:31]           // acc[2 * row + group]
        .reg    bs      = vreg[32:39]           // bs[2 * step + group]: B of four k

        .reg    row     = sreg38                // the warp's first row of C
        .reg    in0     = sreg39                // lanes whose first column exists
        .reg    in1     = sreg40                // lanes whose second column exists
        .reg    off     = sreg41
        .reg    width   = sreg42                // bytes of a row of B and of C
        .reg    base    = sreg43                // first k of the tile in TSM
        .reg    end     = sreg44                // the first k behind it
        .reg    even    = sreg45                // end of the steps of four
        .reg    kk      = sreg46                // the current k
        .reg    at      = sreg47                // byte offset in TSM
        .reg    r       = sreg48
        .reg    byrow   = sreg49                // not 0: rows of A begin at multiples of 16
        .reg    from    = sreg[50:51]           // address of a row of B or C
        .reg    t       = sreg[52:53]
        .reg    as      = sreg[64:95]           // as[4 * row + step]: A of 8 rows and four k
        .reg    arow    = sreg[96:111]          // addresses of 8 rows of A

matmul_f32:
        v.mov.b32       lane, %laneid
        s.mov.b32       t[0], %blkid.x
        s.shll.b32      t[0], t[0], 6
        v.add.i32       column, lane, t[0]
        v.cmp.lt.u32    in0, column, n
        v.add.i32       b0, column, 32
        v.cmp.lt.u32    in1, b0, n
        s.mov.b32       row, %blkid.y                   // row = (blkid.y * warps + warpid) * 8
        s.mull.i32      row, row, %nwarpid
        s.add.i32       row, row, %warpid
        s.mull.i32      row, row, ROWS
        s.shll.b32      width, n, 2
        s.and.b32       byrow, k, 3
        s.cmp.eq.u32    byrow, byrow, 0

        // Addresses of the warp's rows of A, 64 bits wide. Those behind the last row repeat it: a warp below C
        // still has its share of B to load, so it goes along.
        s.sub.i32       r, m, 1
        .rept   ROWS, R
        s.add.i32       t[0], row, \R
        s.min.u32       t[0], t[0], r
        s.mulw.u64.u32  t, t[0], k
        s.shll.b64      t, t, 2
        s.add.i64       arow[2*\R:2*\R+1], a, t
        .endr

        .rept   2 * ROWS, I
        v.mov.b32       acc[\I], 0
        .endr
        s.mov.b32       base, 0

        // ---- for each tile of B ----------------------------------------------------------------------------------
tiles:  s.sub.i32       end, k, base
        s.min.u32       end, end, DEPTH
        s.and.b32       even, end, 0xfffffffc
        s.add.i32       even, even, base
        s.add.i32       end, end, base

        // Rows base + warpid, base + warpid + warps, ... of B go to TSM, once nobody reads the old ones any more.
        s.blksyn
        s.add.i32       kk, base, %warpid
fill:   s.cmp.ge.u32    scc, kk, end
        s.cbr.nz        scc, filled
        s.mulw.u64.u32  from, kk, width
        s.add.i64       from, from, b
        s.wait          tsmcnt(0)                       // stores of the last round may still read b0 and b1
        v.mov.b32       b0, 0
        v.mov.b32       b1, 0
        s.lop.emsk      off, in0 # 0x8
        vmem.ld.b32     b0, [bytes(0) + column * 0x4] @from
        s.or.b32        emsk, emsk, off
        s.lop.emsk      off, in1 # 0x8
        vmem.ld.b32     b1, [bytes(128) + column * 0x4] @from
        s.or.b32        emsk, emsk, off
        s.sub.i32       at, kk, base
        s.mull.i32      at, at, PITCH
        s.wait          vldcnt(0)
        tsm.st.b32      b0, [at + bytes(tile) + lane * 0x4]
        tsm.st.b32      b1, [at + bytes(tile + 128) + lane * 0x4]
        s.add.i32       kk, kk, %nwarpid
        s.cbr           fill
filled: s.wait          tsmcnt(0)
        s.blksyn

        // ---- four k at a time ------------------------------------------------------------------------------------
        s.mov.b32       kk, base
        s.mov.b32       at, 0
        s.cmp.ge.u32    scc, kk, even
        s.cbr.nz        scc, singly

        .macro  load_b step
        tsm.ld.b32      bs[2 * \step], [at + bytes(tile + PITCH * \step) + lane * 0x4]
        tsm.ld.b32      bs[2 * \step + 1], [at + bytes(tile + PITCH * \step + 128) + lane * 0x4]
        .endm

        .macro  multiply step                           // all 16 accumulators, for k = kk + step
        .rept   ROWS, R
        v.fma.f32.rtte  acc[2*\R], bs[2 * \step], as[4*\R + \step], acc[2*\R]
        v.fma.f32.rtte  acc[2*\R+1], bs[2 * \step + 1], as[4*\R + \step], acc[2*\R+1]
        .endr
        .endm

        .macro  next_four again                         // what follows once four k of A are on their way
        .rept   4, S
        load_b          \S
        .endr
        s.wait          sldcnt(0), tsmcnt(0)
        .rept   4, S
        multiply        \S
        .endr
        s.add.i32       kk, kk, 4
        s.add.i32       at, at, 4 * PITCH
        s.cmp.lt.u32    scc, kk, even
        s.cbr.nz        scc, \again
        .endm

        s.cbr.az        byrow, odd_rows

        // K is a multiple of 4: one scalar load brings four k of a row of A.
quads:
        .rept   ROWS, R
        smem.ld.b32x4   as[4*\R:4*\R+3], [bytes(0) + kk * 0x4] @arow[2*\R:2*\R+1]
        .endr
        next_four       quads
        s.cbr           singly

        // Otherwise rows of A begin anywhere, and elements come one by one.
odd_rows:
        .rept   ROWS, R
        smem.ld.b32     as[4*\R], [bytes(0) + kk * 0x4] @arow[2*\R:2*\R+1]
        smem.ld.b32     as[4*\R+1], [bytes(4) + kk * 0x4] @arow[2*\R:2*\R+1]
        smem.ld.b32     as[4*\R+2], [bytes(8) + kk * 0x4] @arow[2*\R:2*\R+1]
        smem.ld.b32     as[4*\R+3], [bytes(12) + kk * 0x4] @arow[2*\R:2*\R+1]
        .endr
        next_four       odd_rows

        // ---- what is left of K, one k at a time ------------------------------------------------------------------
singly: s.cmp.ge.u32    scc, kk, end
        s.cbr.nz        scc, next
        .rept   ROWS, R
        smem.ld.b32     as[4*\R], [bytes(0) + kk * 0x4] @arow[2*\R:2*\R+1]
        .endr
        load_b          0
        s.wait          sldcnt(0), tsmcnt(0)
        multiply        0
        s.add.i32       kk, kk, 1
        s.add.i32       at, at, PITCH
        s.cbr           singly

next:   s.mov.b32       base, end
        s.cmp.lt.u32    scc, base, k
        s.cbr.nz        scc, tiles

        // ---- C ---------------------------------------------------------------------------------------------------
        .rept   ROWS, R
        s.add.i32       r, row, \R
        s.cmp.ge.u32    scc, r, m
        s.cbr.nz        scc, done
        s.mulw.u64.u32  from, r, width
        s.add.i64       from, from, c
        s.lop.emsk      off, in0 # 0x8
        vmem.st.b32     acc[2*\R], [bytes(0) + column * 0x4] @from
        s.or.b32        emsk, emsk, off
        s.lop.emsk      off, in1 # 0x8
        vmem.st.b32     acc[2*\R+1], [bytes(128) + column * 0x4] @from
        s.or.b32        emsk, emsk, off
        .endr
done:   simt.exit
