"""Times of a pod have 64 bits: what could need more is refused, or reckoned in parts."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m890 import Pod
from m890.emulator.machine import links, window
from m890.emulator.machine.state import MATRIX_RATES, WORK_BITS
from m890.emulator.pod.pod import MOST_QUANTUM


def test_a_quantum_has_a_limit():
    assert Pod(chips=1, quantum=MOST_QUANTUM).meeting.quantum_ps > 0
    with pytest.raises(ValueError, match=f"quantum is at most {MOST_QUANTUM}, not {MOST_QUANTUM + 1}"):
        Pod(chips=1, quantum=MOST_QUANTUM + 1)


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 36))
def test_the_time_of_matrix_instructions_does_not_overflow(done, rate):
    """A quantum of the largest instructions on the slowest chip of a profile; numpy warns of overflow."""
    zeros = np.zeros(MATRIX_RATES, np.int64)
    matrix, matrix_ps = zeros.copy(), zeros.copy()
    matrix[1], matrix_ps[1] = done, rate
    launch = SimpleNamespace(matrix=matrix, matrix_ps=matrix_ps)
    chip = SimpleNamespace(launch=0, debt=0, quantum_ps=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "chip_at", lambda address: chip)
        patch.setattr(window, "launch_at", lambda address: launch)
        window.owe(0)
    assert chip.debt == done * rate >> WORK_BITS
    assert not launch.matrix.any()


@given(st.integers(0, 1 << 30), st.integers(1, 10**12))
def test_the_time_of_bytes_on_a_link_does_not_overflow(count, rate):
    """Of the longest burst in the smallest packets on the slowest link."""
    assert links.time_of(np.int64(count), np.int64(rate)) == -(-count * rate // 1000)
