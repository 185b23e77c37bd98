// Random numbers from linear-feedback shift registers: out[k * threads + t] is number k of thread t.
//
// The register shifts right; if a 1 falls out, the bits of TAPS are flipped. With these taps it passes through all
// 2^32 - 1 states except 0 before it repeats. One step makes one bit of randomness, so a number takes 32 steps.
//
// Threads must not walk the same stretch of the same cycle: each begins at a mix of seed and thread number. Two of them
// begin within 2^20 numbers of each other with a probability of about 2^20 * threads^2 / 2^32.
//
// Launch: any one-dimensional grid and block.

        .include "index.inc"
        .include "hash.inc"

        .equ    TAPS, 0xa3000000                // x^32 + x^30 + x^26 + x^25 + 1

// x = the state after one step.
        .macro  step x, t
        v.and.b32       \t, \x, 1
        v.sub.i32       \t, 0, \t                       // all ones if a 1 falls out
        v.and.b32       \t, \t, TAPS
        v.shrl.b32      \x, \x, 1
        v.xor.b32       \x, \x, \t
        .endm

        .kernel lfsr
        .param  u32 count                       // numbers per thread
        .param  u32 seed
        .param  ptr out                         // u32, count x threads

        .reg    at      = vreg0                 // place of the thread's next number
        .reg    state   = vreg1
        .reg    t       = vreg2
        .reg    result  = vreg3
        .reg    threads = sreg38
        .reg    k       = sreg39

lfsr:   global_x        at
        grid_threads    threads
        v.add.i32       state, at, seed
        mix             v, state, t
        v.max.u32       state, state, 1                 // 0 would stay 0 for ever

        s.mov.b32       k, 0
again:  s.cmp.ge.u32    scc, k, count
        s.cbr.nz        scc, done
        .rept   32
        step            state, t
        .endr
        s.wait          vstcnt(0)                       // the last round's store may still read `result`
        v.mov.b32       result, state
        vmem.st.b32     result, [0x0 + at * 0x4] @out
        v.add.i32       at, at, threads
        s.add.i32       k, k, 1
        s.cbr           again
done:   simt.exit
