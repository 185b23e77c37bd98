// target[i * to_step] = source[i * from_step] for i below n: a column of a matrix, every third sample, a channel.
//
// Neighbouring lanes access memory `step` elements apart. For steps from 32 on, each lane's element lies in a line of
// memory of its own, and a warp moves 32 lines for 32 elements: this is what a strided access costs, and why transpose
// goes through TSM.
//
// Launch: any one-dimensional grid and block. Elements of 32 bits, offsets below 2^32 elements.

        .include "index.inc"
        .include "loop.inc"

        .kernel copy_strided
        .param  u32 n
        .param  u32 from_step                   // elements from one to the next
        .param  u32 to_step
        .param  ptr source
        .param  ptr target

        .reg    i       = vreg0
        .reg    from    = vreg1                 // i * from_step
        .reg    to      = vreg2                 // i * to_step
        .reg    value   = vreg3
        .reg    step    = sreg38                // threads of the grid,
        .reg    from_by = sreg39                // times from_step,
        .reg    to_by   = sreg40                // times to_step
        .reg    entry   = sreg41

copy_strided:
        global_x        i
        grid_threads    step
        v.mull.i32      from, i, from_step
        v.mull.i32      to, i, to_step
        s.mull.i32      from_by, step, from_step
        s.mull.i32      to_by, step, to_step

        grid_stride     each, i, n, entry
        s.wait          vstcnt(0)                       // the last round's store may still read `value`
        vmem.ld.b32     value, [0x0 + from * 0x4] @source
        s.wait          vldcnt(0)
        vmem.st.b32     value, [0x0 + to * 0x4] @target
        v.add.i32       from, from, from_by             // one addition a round instead of a multiplication
        v.add.i32       to, to, to_by
        grid_stride_end each, i, step, entry
        simt.exit
