// The sieve of Eratosthenes: composite[i] = 1 for every composite i below n, 0 for primes (and for 0 and 1).
//
// Every warp takes a base p, crosses out p * p, p * p + p, ... with 32 lanes at a time, and goes on to the base
// `warps of the grid` further. A base that is crossed out already has been dealt with by one of its prime factors.
//
// Other warps may be crossing out at the same moment. That is no harm: all write the same byte 1, and a warp that reads
// an old 0 crosses out numbers that are composite all the same. Elements are bytes, not bits, for a store of a byte
// leaves its neighbours alone.
//
// composite is zero at first. Launch: any one-dimensional grid, the block a multiple of 32. n at most 2^31.

        .include "index.inc"
        .include "loop.inc"

        .kernel sieve
        .param  u32 n
        .param  ptr composite                   // n bytes

        .reg    i       = vreg0                 // the lane's multiple of p
        .reg    one     = vreg1
        .reg    p       = sreg38
        .reg    square  = sreg[40:41]           // p * p, 64 bits wide
        .reg    seen    = sreg42                // composite[p]
        .reg    by      = sreg43                // 32 * p: from one multiple of a lane to its next
        .reg    warps   = sreg44
        .reg    entry   = sreg45
        .reg    n64     = sreg[46:47]

sieve:  global_warp     p
        s.add.i32       p, p, 2
        grid_warps      warps
        v.mov.b32       one, 1
        s.cnvt.u64.u32  n64, n

bases:  s.mulw.u64.u32  square, p, p
        s.cmp.ge.u64    scc, square, n64                // composites below n have a factor below their root
        s.cbr.nz        scc, done
        smem.ld.b8      seen, [0x0 + p * 0x1] @composite
        s.wait          sldcnt(0)
        s.cbr.nz        seen, next

        v.mov.b32       i, %laneid
        v.mull.i32      i, i, p
        v.add.i32       i, i, square[0]                 // p * p + lane * p: below 2^31 + 32 * 2^16
        s.shll.b32      by, p, 5
        grid_stride     cross, i, n, entry
        vmem.st.b8      one, [0x0 + i * 0x1] @composite
        grid_stride_end cross, i, by, entry

next:   s.add.i32       p, p, warps
        s.cbr           bases

done:   simt.exit
