"""A chip that is asked for more than it can ask others itself answers all of it in time."""

import numpy as np
import pytest

from m890 import Pod

LOADS = """
        .kernel loads                   // every warp has 32 loads from another chip under way
        .param  ptr from
        v.mov.b32       vreg0, %tid.x
        s.mov.b32       sreg20, 3
again:
{loads}
        s.wait          vldcnt(0)
        s.sub.i32       sreg20, sreg20, 1
        s.cbr.nz        sreg20, again
        simt.exit
""".format(loads="\n".join(32 * ["        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @from"]))


WAIT = """
        .kernel wait                    // for the others to have begun
        s.mov.b32       sreg20, 300
again:  s.sub.i32       sreg20, sreg20, 1
        s.cbr.nz        sreg20, again
        simt.exit
"""


@pytest.mark.parametrize("push", [True, False])
def test_a_copy_to_a_chip_that_is_flooded_is_done_when_it_ends(push):
    """The answers to thousands of loads need more room than the chip's own requests may take."""
    pod = Pod(chips=4)
    pod.enable_peer_access()
    pod.meeting.nodes[0].port.chip["outbox_capacity"] = 16
    asked, big = pod.symmetric(1024, np.uint32), pod.symmetric(1 << 16, np.uint32)
    big.copy_from_host(np.arange(4 << 16, dtype=np.uint32).reshape(4, -1))
    loads, wait, streams = pod.assemble(LOADS)["loads"], pod.assemble(WAIT)["wait"], pod.stream()
    for chip in (2, 3):
        loads.on(chip)[4, 1024, streams[chip]](asked[0])
    stream = streams[1 if push else 0]
    wait.on(stream.chip.index)[1, 32, stream]()
    stream.copy(big[0], big[1])
    stream.synchronize()
    np.testing.assert_array_equal(big[0].copy_to_host(), np.arange(1 << 16, 2 << 16))
    pod.synchronize()
