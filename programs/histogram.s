// How often every value from 0 to 255 occurs among n bytes.
//
// Every block counts in TSM, where additions of many lanes to one counter cost little, and adds its 256 counters to those
// in memory at the end: 256 atomic additions to memory per block instead of one for each byte. tsm.red and vmem.red
// return nothing, so nobody waits for them until the counters are read. Additions of whole numbers may come in any order.
//
// A lane loads 16 bytes at once. Lanes of a warp that hit the same counter are no mistake: each of them counts.
//
// bins is added to: zero it first. x is a multiple of 16. Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "loop.inc"
        .include "block.inc"

        .equ    BINS, 256

        .kernel histogram
        .param  u32 n                           // bytes
        .param  ptr x
        .param  ptr bins                        // u32, 256
        .tsm    4 * BINS counters

        .reg    tid     = vreg0
        .reg    i       = vreg1                 // the lane's group of 16 bytes
        .reg    one     = vreg2
        .reg    at      = vreg3                 // a counter
        .reg    count   = vreg4
        .reg    x4      = vreg[8:11]
        .reg    byte    = vreg[16:31]           // byte[4 * word + place]
        .reg    groups  = sreg38                // whole groups: n / 16
        .reg    threads = sreg39                // of the grid
        .reg    eight   = sreg40                // three-source instructions take no immediate
        .reg    sixteen = sreg41
        .reg    entry   = sreg42
        .reg    step    = sreg43                // threads of the block
        .reg    base    = sreg44                // counters: the address of an atomic has no offset

        .macro  count_bytes word                // four of them
        v.and.b32       byte[4*\word], x4[\word], 0xff
        v.bfe.u32       byte[4*\word+1], x4[\word], eight, eight
        v.bfe.u32       byte[4*\word+2], x4[\word], sixteen, eight
        v.shrl.b32      byte[4*\word+3], x4[\word], 24
        .rept   4, B
        tsm.red.add.i32 [base + byte[4*\word+\B] * 0x4], one
        .endr
        .endm

histogram:
        v.mov.b32       tid, %tid.x
        s.mov.b32       step, %ntid.x
        s.mov.b32       base, counters
        s.mov.b32       eight, 8
        s.mov.b32       sixteen, 16
        s.shrl.b32      groups, n, 4
        v.mov.b32       one, 1
        v.mov.b32       count, 0
        v.mov.b32       at, tid
        grid_stride     zero, at, BINS, entry
        tsm.st.b32      count, [counters + at * 0x4]
        grid_stride_end zero, at, step, entry
        block_sync

        global_x        i
        grid_threads    threads
        grid_stride     each, i, groups, entry
        vmem.ld.b32x4   x4, [0x0 + i * 0x10] @x
        s.wait          vldcnt(0)                       // `byte` may change at once: addresses are fixed at issue
        .rept   4, W
        count_bytes     \W
        .endr
        grid_stride_end each, i, threads, entry

        // The bytes behind the last whole group, by the first threads of the grid.
        global_x        i
        s.shll.b32      groups, groups, 4
        v.add.i32       i, i, groups
        grid_stride     rest, i, n, entry
        vmem.ld.b8      byte[0], [0x0 + i * 0x1] @x
        s.wait          vldcnt(0)
        tsm.red.add.i32 [base + byte[0] * 0x4], one
        grid_stride_end rest, i, threads, entry

        block_sync
        v.mov.b32       at, tid
        grid_stride     add, at, BINS, entry
        s.wait          vstcnt(0)
        tsm.ld.b32      count, [counters + at * 0x4]
        s.wait          tsmcnt(0)
        vmem.red.add.i32 [0x0 + at * 0x4] @bins, count
        grid_stride_end add, at, step, entry
        simt.exit
