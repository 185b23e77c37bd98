"""Times of a pod have 64 bits: what could need more is refused, or reckoned in parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m890 import Pod
from m890.emulator.machine import window
from m890.emulator.machine.state import WORK_BITS
from m890.emulator.pod.pod import MOST_QUANTUM


def test_a_quantum_has_a_limit():
    assert Pod(chips=1, quantum=MOST_QUANTUM).meeting.quantum_ps > 0
    with pytest.raises(ValueError, match=f"quantum is at most {MOST_QUANTUM}, not {MOST_QUANTUM + 1}"):
        Pod(chips=1, quantum=MOST_QUANTUM + 1)


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 42))
def test_the_time_of_matrix_instructions_does_not_overflow(work, rate):
    """A quantum of the largest instructions on the slowest chip of a profile; numpy warns of overflow."""
    assert window.work_time(np.int64(work), np.int64(rate)) == work * rate >> WORK_BITS
