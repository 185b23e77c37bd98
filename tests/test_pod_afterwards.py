"""What a fault leaves of a pod: nothing of the work it ended comes back later."""

import numpy as np
import pytest

from m890 import Fault, Pod

STORE_TWICE = """
        .kernel twice
        .param  ptr there
        .param  ptr here
        v.mov.b32       vreg0, %tid.x
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @there
        vmem.fence.sys
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @here
        simt.exit
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_packets_taken_before_a_fault_are_not_taken_again(timing):
    """Chip 1 has served stores of chip 0 when this faults; with the next packets it must not serve them once more."""
    pod = Pod(chips=2, timing=timing)
    pod.enable_peer_access()
    x, y = pod.symmetric(64, np.uint32), pod.symmetric(32, np.uint32)
    twice = pod.assemble(STORE_TWICE)["twice"].on(0)
    with pytest.raises(Fault):
        twice[1, 64](x[1], y[0])
    np.testing.assert_array_equal(x[1].copy_to_host(), np.arange(64))
    x.fill(7)
    twice[1, 32](y[1], y[0])
    np.testing.assert_array_equal(y[1].copy_to_host(), np.arange(32))
    assert (x[1].copy_to_host() == 7).all()
