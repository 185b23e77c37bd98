// y = silu(gate) * up, element by element, where silu(g) = g / (1 + e^-g); activation.inc has it. Every operation is
// rounded once, so the result is defined to the bit.
//
// Launch: one-dimensional, any grid.

        .include "index.inc"
        .include "loop.inc"
        .include "activation.inc"

        .kernel swiglu
        .param  u32 n
        .param  ptr gate                        // f32
        .param  ptr up                          // f32
        .param  ptr target                      // f32; may be gate or up

        .reg    i       = vreg0
        .reg    g       = vreg1
        .reg    u       = vreg2
        .reg    y       = vreg3
        .reg    t       = vreg[4:4]
        .reg    threads = sreg38
        .reg    entry   = sreg39

        global_x        i
        grid_threads    threads
        grid_stride     each, i, n, entry
        vmem.ld.b32     g, [0x0 + i * 0x4] @gate
        vmem.ld.b32     u, [0x0 + i * 0x4] @up
        s.wait          vldcnt(0), vstcnt(0)            // the last round's store may still read y
        silu            g, t
        v.mul.f32       y, g, u
        vmem.st.b32     y, [0x0 + i * 0x4] @target
        grid_stride_end each, i, threads, entry
        simt.exit
