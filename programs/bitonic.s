// Sorts every row of a matrix in place, ascending, by a bitonic network in TSM; a block does a row.
//
// The network: for k = 2, 4, ... size, turn the row into bitonic sequences of k and merge each, in steps j = k/2, ... 1.
// A step compares elements i and i + j and swaps them if they stand in the wrong order: ascending where bit k of i is
// 0, descending where it is 1, so that two neighbours make the next bitonic sequence. Which elements are compared does
// not depend on the data, so there is no divergence; threads that have no pair in a step are those of a small size.
//
// A row has `width` elements, size is the power of two that holds it; the places behind are filled with the greatest
// number and stay behind. size is at most 2 * threads of the block... each thread does pairs tid, tid + ntid, ...
//
// Three kernels, for u32, i32 and f32. The latter sorts by the total order of IEEE-754: -NaN, -inf, ... -0, +0, ... NaN.
//
// Launch: a block for each row, one-dimensional. size: a power of two from 2 to 4096, at least width.

        .include "block.inc"
        .include "minmax.inc"

// f32 bits as integers in the same order, and back: for negative numbers all bits but the sign are flipped.
        .macro  ordered x, t
        v.shra.i32      \t, \x, 31
        v.and.b32       \t, \t, 0x7fffffff
        v.xor.b32       \x, \x, \t
        .endm

// type: what v.min and v.max compare as. greatest: what fills up the row. float: whether elements are turned into
// ordered integers on their way.
        .macro  bitonic type, greatest, float
        .param  u32 width
        .param  u32 size
        .param  ptr x                           // rows x width, 32-bit elements
        .tsm    4 * 4096 row

        .reg    tid     = vreg0
        .reg    i       = vreg1                 // an element, or the first of a pair
        .reg    pair    = vreg2                 // number of the pair
        .reg    a       = vreg3                 // its elements
        .reg    b       = vreg4
        .reg    t       = vreg5
        .reg    up      = vreg6                 // bit k of i
        .reg    entry   = sreg38
        .reg    start   = sreg[40:41]           // address of the row
        .reg    half    = sreg42                // pairs in the row
        .reg    k       = sreg43
        .reg    j       = sreg44
        .reg    low     = sreg45                // j - 1: the bits of i below bit j
        .reg    off     = sreg46
        .reg    high    = sreg47

        v.mov.b32       tid, %tid.x
        s.mov.b32       entry, emsk
        s.shll.b32      k, width, 2
        s.mov.b32       j, %blkid.x
        s.mulw.u64.u32  start, j, k
        s.add.i64       start, start, x
        s.shrl.b32      half, size, 1

        // Into TSM, filled up to size.
        v.mov.b32       i, tid
in:     v.cmp.lt.u32    off, i, size
        s.mov.b32       emsk, off
        s.cbr.az        emsk, loaded
        s.wait          tsmcnt(0)                       // the last round's store may still read `a`
        v.mov.b32       a, \greatest
        v.cmp.lt.u32    scc, i, width
        s.lop.emsk      off, scc # 0x8
        vmem.ld.b32     a, [0x0 + i * 0x4] @start
        s.wait          vldcnt(0)
        .if \float
        ordered         a, t
        .endif
        s.or.b32        emsk, emsk, off
        tsm.st.b32      a, [row + i * 0x4]
        v.add.i32       i, i, %ntid.x
        s.cbr           in
loaded: s.mov.b32       emsk, entry

        s.mov.b32       k, 2
merge:  s.cmp.gt.u32    scc, k, size
        s.cbr.nz        scc, sorted
        s.shrl.b32      j, k, 1
step:   s.cbr.az        j, merged
        s.sub.i32       low, j, 1
        s.not.b32       high, low
        block_sync                                      // the last step's stores have arrived
        v.mov.b32       pair, tid
pairs:  v.cmp.lt.u32    off, pair, half
        s.mov.b32       emsk, off
        s.cbr.az        emsk, stepped

        // i = pair with a 0 put in at bit j.
        v.and.b32       t, pair, low
        v.and.b32       i, pair, high
        v.add.i32       i, i, i
        v.or.b32        i, i, t
        v.add.i32       t, i, j
        s.wait          tsmcnt(0)                       // stores of the last round may still read a and b
        tsm.ld.b32      a, [row + i * 0x4]
        tsm.ld.b32      b, [row + t * 0x4]
        v.and.b32       up, i, k
        v.cmp.eq.u32    scc, up, 0
        s.wait          tsmcnt(0)
        order_two       \type, a, b, up
        v.csel.b32      up, a, b, scc
        v.csel.b32      b, b, a, scc
        tsm.st.b32      up, [row + i * 0x4]
        tsm.st.b32      b, [row + t * 0x4]
        v.add.i32       pair, pair, %ntid.x
        s.cbr           pairs
stepped:
        s.mov.b32       emsk, entry
        s.shrl.b32      j, j, 1
        s.cbr           step
merged: s.shll.b32      k, k, 1
        s.cbr           merge

        // Back to memory.
sorted: block_sync
        v.mov.b32       i, tid
out:    v.cmp.lt.u32    off, i, width
        s.mov.b32       emsk, off
        s.cbr.az        emsk, done
        s.wait          vstcnt(0)                       // the last round's store may still read `a`
        tsm.ld.b32      a, [row + i * 0x4]
        s.wait          tsmcnt(0)
        .if \float
        ordered         a, t
        .endif
        vmem.st.b32     a, [0x0 + i * 0x4] @start
        v.add.i32       i, i, %ntid.x
        s.cbr           out
done:   s.mov.b32       emsk, entry
        simt.exit
        .endm

        .kernel bitonic_u32
        bitonic         u32, 0xffffffff, 0

        .kernel bitonic_i32
        bitonic         i32, 0x7fffffff, 0

        .kernel bitonic_f32
        bitonic         i32, 0x7fffffff, 1
