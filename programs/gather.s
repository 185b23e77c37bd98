// Copies by index, elements of 32 bits:
//
//      gather      target[i] = source[index[i]]
//      scatter     target[index[i]] = source[i]
//
// Two loads that depend on each other: the index must have arrived before the element can be asked for. A warp would
// wait twice for every element, so it takes PIECES pieces of 32 elements at a time and waits for all indices of a
// stretch, then for all elements.
//
// An index outside the array is a fault, which names the lane. If indices of a scatter repeat, the order in which warps
// run decides which element stays.
//
// Launch: any one-dimensional grid, the block a multiple of 32.

        .include "index.inc"
        .include "loop.inc"

        .equ    PIECES, 4
        .equ    BYTES, 4 * 32                   // of a piece

// The kernels differ in which side the index is on. Stretches from end to end are done by whole warps; what is left of
// the last one is done piece by piece, in the lanes that have an element.
        .macro  copy_by_index direction
        .param  u32 n
        .param  ptr index                       // u32
        .param  ptr source
        .param  ptr target

        .reg    i       = vreg0
        .reg    at      = vreg[4:7]             // indices of the stretch
        .reg    value   = vreg[8:11]
        .reg    start   = sreg38                // the warp's first element of the stretch
        .reg    step    = sreg39                // elements from stretch to stretch
        .reg    whole   = sreg40                // stretches that begin below this are whole
        .reg    off     = sreg41
        .reg    entry   = sreg42

        global_warp     start
        s.mull.i32      start, start, 32 * PIECES
        grid_warps      step
        s.mull.i32      step, step, 32 * PIECES
        s.max.u32       whole, n, 32 * PIECES - 1
        s.sub.i32       whole, whole, 32 * PIECES - 1
        v.mov.b32       i, %laneid
        v.add.i32       i, i, start

        for_scalar      stretch, start, whole
        .rept   PIECES, P
        vmem.ld.b32     at[\P], [bytes(BYTES * \P) + i * 0x4] @index
        .endr
        s.wait          vstcnt(0)                       // stores of the last round may still read `value`
        move_\direction 4
        v.add.i32       i, i, step
        for_scalar_end  stretch, start, step

        // The rest, for the one warp whose stretch it is: at most PIECES rounds of one piece.
        s.mov.b32       entry, emsk
        .rept   PIECES
        inside          i, n, off
        s.cbr.az        emsk, done
        vmem.ld.b32     at[0], [0x0 + i * 0x4] @index
        s.wait          vstcnt(0)
        move_\direction 1
        v.add.i32       i, i, 32
        .endr
done:   s.mov.b32       emsk, entry
        simt.exit
        .endm

// `pieces` elements whose indices are on their way to at[0], at[1], ...
        .macro  move_gather pieces
        s.wait          vldcnt(0)
        .rept   \pieces, P
        vmem.ld.b32     value[\P], [0x0 + at[\P] * 0x4] @source
        .endr
        s.wait          vldcnt(0)
        .rept   \pieces, P
        vmem.st.b32     value[\P], [bytes(BYTES * \P) + i * 0x4] @target
        .endr
        .endm

        .macro  move_scatter pieces
        .rept   \pieces, P
        vmem.ld.b32     value[\P], [bytes(BYTES * \P) + i * 0x4] @source
        .endr
        s.wait          vldcnt(0)                       // these and the indices
        .rept   \pieces, P
        vmem.st.b32     value[\P], [0x0 + at[\P] * 0x4] @target
        .endr
        .endm

        .kernel gather
        copy_by_index   gather

        .kernel scatter
        copy_by_index   scatter
