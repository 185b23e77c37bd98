// The largest value of every group and where it stands, under a lock for each group: best[g] is the pair of the largest
// values[i] with groups[i] = g, and the smallest i that has it.
//
// A pair must change as a whole, and no atomic operation compares floats and replaces two words. So each lane takes the
// lock of its group, reads the pair, compares, stores the pair if its own is better, and gives the lock back. Lanes of one
// warp that want the same lock have it one after the other; warps of all blocks compete for it.
//
// NaNs never win. best is -inf and 0xffffffff at first, locks are 0. Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "loop.inc"
        .include "lock.inc"

        .kernel lock
        .param  u32 n
        .param  ptr groups                      // u32, n
        .param  ptr values                      // f32, n
        .param  ptr best                        // f32 and u32, one pair per group
        .param  ptr locks                       // u32, one per group

        .reg    i       = vreg0
        .reg    group   = vreg1
        .reg    mine    = vreg[2:3]             // the lane's value and its place
        .reg    theirs  = vreg[4:5]             // the pair so far
        .reg    v       = vreg[8:10]
        .reg    step    = sreg38
        .reg    entry   = sreg39
        .reg    better  = sreg40
        .reg    equal   = sreg41
        .reg    holders = sreg42                // lanes that have their lock
        .reg    s       = sreg[44:46]

lock:   global_x        i
        grid_threads    step
        grid_stride     each, i, n, entry
        vmem.ld.b32     group, [0x0 + i * 0x4] @groups
        vmem.ld.b32     mine[0], [0x0 + i * 0x4] @values
        v.mov.b32       mine[1], i
        s.wait          vldcnt(0)

        lock_each       turn, group, locks, v, s
        vmem.ld.b32x2   theirs, [0x0 + group * 0x8] @best
        s.wait          vldcnt(0)
        v.cmp.gt.f32    better, mine[0], theirs[0]
        v.cmp.eq.f32    equal, mine[0], theirs[0]
        v.cmp.lt.u32    scc, mine[1], theirs[1]
        s.and.b32       equal, equal, scc
        s.or.b32        better, better, equal
        s.mov.b32       holders, emsk
        s.mov.b32       emsk, better
        vmem.st.b32x2   mine, [0x0 + group * 0x8] @best
        s.mov.b32       emsk, holders
        unlock_each     turn, group, locks, v, s

        grid_stride_end each, i, step, entry
        simt.exit
