// target = the transpose of source, 32-bit elements of any kind, through TSM.
//
// A warp reads a row of 32 consecutive elements with one access, and wants to write 32 consecutive ones too. The
// element it reads from a row belongs into a column, so the block turns a tile of 32 x 32 in TSM: rows go in,
// columns come out, and both sides of HBM see whole rows.
//
// TSM has 32 banks of 4 bytes. In a tile with rows of 32 words a column lies in a single bank, and reading it
// takes 32 turns; rows of 33 words put the column's elements into 32 different banks.
//
// Launch: grid (ceil(columns / 32), ceil(rows / 32)), block any multiple of 32. Warp w does rows w, w + warps, ...
// of the tile. rows and columns need not be multiples of 32; rows * columns is at most 2^32.

        .kernel transpose
        .param  u32 rows                        // of source
        .param  u32 columns                     // of source
        .param  ptr source                      // rows x columns, row-major
        .param  ptr target                      // columns x rows, row-major

        .equ    TILE, 32
        .equ    PITCH, 4 * (TILE + 1)           // bytes from one row of the tile to the next
        .tsm    TILE * PITCH tile

        .reg    lane    = vreg0
        .reg    across  = vreg1                 // the lane's column in source, later in target
        .reg    index   = vreg2                 // of an element in source or target
        .reg    value   = vreg3
        .reg    slant   = vreg4                 // lane * (TILE + 1): word offset of the tile's row `lane`
        .reg    row     = sreg38                // of the tile
        .reg    top     = sreg39                // first row of the tile in source = first column in target
        .reg    left    = sreg40                // first column of the tile in source = first row in target
        .reg    here    = sreg41                // the warp's row in source, later in target
        .reg    start   = sreg42                // index of that row's first element
        .reg    at      = sreg43                // byte offset in the tile
        .reg    inside  = sreg44
        .reg    off     = sreg45

transpose:
        v.mov.b32       lane, %laneid
        s.mov.b32       top, %blkid.y
        s.shll.b32      top, top, 5
        s.mov.b32       left, %blkid.x
        s.shll.b32      left, left, 5

        // In: rows of source. The ragged right edge is the same in every row, so one mask serves the loop; the
        // ragged bottom ends the loop.
        v.add.i32       across, lane, left
        v.cmp.lt.u32    inside, across, columns
        s.lop.emsk      off, inside # 0x8
        s.mov.b32       row, %warpid
in:     s.cmp.ge.u32    scc, row, TILE
        s.cbr.nz        scc, turn
        s.add.i32       here, top, row
        s.cmp.ge.u32    scc, here, rows
        s.cbr.nz        scc, turn
        s.mull.i32      start, here, columns
        v.add.i32       index, across, start
        s.wait          tsmcnt(0)                       // the last round's store may still read `value`
        vmem.ld.b32     value, [0x0 + index * 0x4] @source
        s.mull.i32      at, row, PITCH
        s.add.i32       at, at, tile
        s.wait          vldcnt(0)
        tsm.st.b32      value, [at + lane * 0x4]
        s.add.i32       row, row, %nwarpid
        s.cbr           in

        // The tile is complete when every warp's stores are, and every warp has come here.
turn:   s.or.b32        emsk, emsk, off
        s.wait          tsmcnt(0)
        s.blksyn

        // Out: row `row` of target's tile is column `row` of the tile in TSM.
        v.mull.i32      slant, lane, TILE + 1
        v.add.i32       across, lane, top
        v.cmp.lt.u32    inside, across, rows
        s.lop.emsk      off, inside # 0x8
        s.mov.b32       row, %warpid
out:    s.cmp.ge.u32    scc, row, TILE
        s.cbr.nz        scc, done
        s.add.i32       here, left, row
        s.cmp.ge.u32    scc, here, columns
        s.cbr.nz        scc, done
        s.shll.b32      at, row, 2
        s.add.i32       at, at, tile
        s.wait          vstcnt(0)                       // as above
        tsm.ld.b32      value, [at + slant * 0x4]
        s.mull.i32      start, here, rows
        v.add.i32       index, across, start
        s.wait          tsmcnt(0)
        vmem.st.b32     value, [0x0 + index * 0x4] @target
        s.add.i32       row, row, %nwarpid
        s.cbr           out

done:   s.or.b32        emsk, emsk, off
        simt.exit
