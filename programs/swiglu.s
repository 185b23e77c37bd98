// y = silu(gate) * up, element by element, where silu(g) = g / (1 + e^-g).
//
// e^-g is 2^(g * -log2(e)), and every operation is rounded once, so the result is defined to the bit. Far below 0 the
// power is infinite and its reciprocal 0; of -inf it is then NaN.
//
// Launch: one-dimensional, any grid.

        .arch   ppu0015
        .include "index.inc"
        .include "loop.inc"

        .kernel swiglu
        .param  u32 n
        .param  ptr gate                        // f32
        .param  ptr up                          // f32
        .param  ptr target                      // f32; may be gate or up

        .equ    MINUS_LOG2_E, 0xbfb8aa3b        // -1.4426950

        .reg    i       = vreg0
        .reg    g       = vreg1
        .reg    u       = vreg2
        .reg    y       = vreg3
        .reg    threads = sreg38
        .reg    entry   = sreg39

        global_x        i
        grid_threads    threads
        grid_stride     each, i, n, entry
        vmem.ld.b32     g, [0x0 + i * 0x4] @gate
        vmem.ld.b32     u, [0x0 + i * 0x4] @up
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        v.mul.f32       y, g, MINUS_LOG2_E
        v.exp2.f32      y, y
        v.add.f32       y, y, 1.0
        v.rcp.f32       y, y
        v.mul.f32       y, y, g
        v.mul.f32       y, y, u
        vmem.st.b32     y, [0x0 + i * 0x4] @target
        grid_stride_end each, i, threads, entry
        simt.exit
