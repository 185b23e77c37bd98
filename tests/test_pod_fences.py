"""What a forgotten fence between chips does: what seeds find of it, and what they cannot."""

import numpy as np
import pytest

import m890

SEEDS = range(1, 21)
UNTIL_SET = """
        .macro  until_set flag          // chip 1 waits for the flag and reads the data
1:      smem.ld.b32     sreg41, [0x0] @\\flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg41, 1b
        vmem.ld.b32     vreg3, [0x0 + vreg0 * 0x4] @data
        s.wait          vldcnt(0)
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @found
        s.wait          vstcnt(0)
        simt.exit
        .endm
"""
ROUND = (
    UNTIL_SET
    + """
        .kernel round                   // chip 0 stores data on chip 1 and tells chip 2, which tells chip 1
        .param  ptr data                // of chip 1
        .param  ptr first               // flag of chip 2
        .param  ptr second              // flag of chip 1
        .param  ptr found               // what chip 1 has read
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, 1
        v.mov.b32       vreg2, 0
        s.cmp.eq.u32    scc, %chip, 1
        s.cbr.nz        scc, reads
        s.cmp.eq.u32    scc, %chip, 2
        s.cbr.nz        scc, tells
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @data
        FENCE
        v.cmp.eq.u32    sreg42, vreg0, 0
        s.lop.emsk      sreg43, sreg42 # 0x8
        vmem.st.b32     vreg1, [0x0 + vreg2 * 0x4] @first
        s.wait          vstcnt(0)
        simt.exit
tells:  smem.ld.b32     sreg41, [0x0] @first
        s.wait          sldcnt(0)
        s.cbr.az        sreg41, tells
        v.cmp.eq.u32    sreg42, vreg0, 0
        s.lop.emsk      sreg43, sreg42 # 0x8
        vmem.st.b32     vreg1, [0x0 + vreg2 * 0x4] @second
        s.wait          vstcnt(0)
        simt.exit
reads:  until_set       second
"""
)
NEIGHBOUR = (
    UNTIL_SET
    + """
        .kernel neighbour               // chip 0 stores data on chip 1 and tells it so
        .param  ptr data
        .param  ptr flag
        .param  ptr found
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, 1
        v.mov.b32       vreg2, 0
        s.cmp.eq.u32    scc, %chip, 1
        s.cbr.nz        scc, reads
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @data
        v.cmp.eq.u32    sreg42, vreg0, 0
        s.lop.emsk      sreg43, sreg42 # 0x8
        vmem.st.b32     vreg1, [0x0 + vreg2 * 0x4] @flag
        s.wait          vstcnt(0)
        simt.exit
reads:  until_set       flag
"""
)


def found_by(source, chips, flags, seed, **options):
    """What chip 1 finds of the 32 ones that chip 0 has stored there."""
    pod = m890.Pod(chips=chips, seed=seed, **options)
    pod.enable_peer_access()
    buffers = [pod.symmetric(32, np.uint32, name=name) for name in ("data", *flags, "found")]
    for buffer in buffers:
        buffer.fill(0)
    owners = [1, *((2, 1) if len(flags) == 2 else (1,)), 1]
    kernel = next(iter(module := pod.assemble(source)))
    module[kernel][1, 32](*(buffer[owner] for buffer, owner in zip(buffers, owners, strict=True)))
    return buffers[-1][1].copy_to_host()


@pytest.mark.parametrize("topology", ["switch", "ring", "full"])
def test_seeds_find_a_missing_fence_where_the_news_goes_by_a_third_chip(topology):
    joined = getattr(m890.Topology, topology)(m890.profile("M890"), 3)
    without, fenced = ROUND.replace("FENCE", ""), ROUND.replace("FENCE", "vmem.fence.sys")
    assert found_by(without, 3, ("first", "second"), 0, topology=joined).all()
    wrong = [seed for seed in SEEDS if not found_by(without, 3, ("first", "second"), seed, topology=joined).all()]
    assert 1 <= len(wrong) < len(SEEDS)
    for seed in SEEDS:
        assert found_by(fenced, 3, ("first", "second"), seed, topology=joined).all()


def test_a_missing_fence_between_two_chips_is_never_seen():
    """Packets of one chip to another keep their order, so what is told after the data comes after it."""
    for seed in SEEDS:
        assert found_by(NEIGHBOUR, 2, ("flag",), seed).all()
