"""Kernels that several tests of pods run."""

import numpy as np

STORE = """
        .kernel store
        .param  ptr to
        .param  u32 more
        v.mov.b32       vreg0, %tid.x
        s.mov.b32       sreg20, %chip
        s.shll.b32      sreg20, sreg20, 8
        s.add.i32       sreg20, sreg20, more
        v.add.i32       vreg1, vreg0, sreg20
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
LOAD = """
        .kernel load
        .param  ptr from
        .param  ptr to
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @from
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
SIGNAL = """
        .kernel signal                  // chip 0 waits for the flag that chip 1 sets
        .param  ptr flag
        s.mov.b32       sreg20, %chip
        s.cmp.eq.u32    scc, sreg20, 0
        s.cbr.nz        scc, again
        s.mov.b32       sreg21, 1
        smem.st.b32     sreg21, [0x0] @flag
        simt.exit
again:  smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, again
        simt.exit
"""
LOOP = ".kernel loop\nagain: s.add.i32 sreg20, sreg20, 1\ns.cbr again\n"


def expected(chips, more=0, threads=64):
    return np.arange(threads) + 256 * np.arange(chips)[:, None] + more
