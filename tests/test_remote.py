"""Accesses to other chips' memory against the same accesses at home, and what orders them."""

import numpy as np
import pytest
from wired import Wired

COPY = """
        .kernel copy
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_loads_and_stores_reach_another_chip(timing: str) -> None:
    """Chip 0 copies from chip 1 to chip 2."""
    wired = Wired(3, timing=timing)
    data = np.arange(256, dtype=np.uint32) * 7
    x = wired.chips[1].to_device(data)
    y = wired.chips[2].to_device(np.zeros(256, np.uint32))
    kernel = wired.chips[0].assemble(COPY)["copy"]
    wired.run({0: (kernel, 1, 256, (x, y))})
    assert np.array_equal(y.copy_to_host(), data)
