"""What the message of a deadlock says that a loop finds in memory."""

import numpy as np
import pytest

from m890 import Chip, Deadlock
from m890.emulator import livelock

LOOP = """
        .kernel k
        .param  ptr x
        v.mov.b32       vreg0, %laneid
        v.shll.b32      vreg1, vreg0, 1
        s.mov.b32       sreg40, 3
        s.mov.b32       emsk, {lanes}
again:  {load}
        s.wait          vldcnt(0), sldcnt(0)
        {more}
        s.cbr           again
"""


def finds(monkeypatch: pytest.MonkeyPatch, load: str, lanes: int = 1, more: str = "s.nop") -> str:
    """What is said behind `it loops` of a warp that loads so for ever from x, where x[i] = 100 + i."""
    monkeypatch.setattr(livelock, "PATIENCE", 1 << 12)
    chip = Chip()
    x = chip.to_device(100 + np.arange(64, dtype=np.uint32), name="x")
    with pytest.raises(Deadlock) as caught:
        chip.assemble(LOOP.format(load=load, lanes=lanes, more=more))["k"][1, 32](x)
    (place,) = caught.value.places
    return place.waits_for.partition("(it loops")[2]


@pytest.mark.parametrize(
    ("load", "lanes", "elements"),
    [
        ("smem.ld.b32 sreg41, [0x8] @x", 1, [2]),
        ("smem.ld.b32 sreg41, [0x4 + sreg40 * 0x4] @x", 1, [4]),
        ("vmem.ld.b32 vreg2, [0x0 + vreg0 * 0x4] @x", 0b101, [0, 2]),
        ("vmem.ld.b32x2 vreg[2:3], [bytes(128) + vreg1 * 0x4] @x", 0b10, [34, 35]),
        ("vmem.ld.b32.acquire.sys vreg2, [0xc] @x", 0xFFFFFFFF, [3]),
    ],
)
def test_a_loop_finds_what_memory_holds(monkeypatch: pytest.MonkeyPatch, load: str, lanes: int, elements: list[int]):
    words = [f"{100 + element:#x} at byte {4 * element} of 'x'" for element in elements]
    assert finds(monkeypatch, load, lanes) == f", finds {', '.join(words)})"


def test_many_words_are_counted(monkeypatch: pytest.MonkeyPatch):
    found = finds(monkeypatch, "vmem.ld.b32 vreg2, [0x0 + vreg0 * 0x4] @x", 0xFFFFFFFF)
    assert found.endswith("0x67 at byte 12 of 'x', 28 words more)")


def test_a_half_is_read_as_a_half(monkeypatch: pytest.MonkeyPatch):
    assert finds(monkeypatch, "vmem.ld.b16 vreg2, [0x4] @x") == ", finds 0x65 at byte 4 of 'x')"


@pytest.mark.parametrize(
    "more",
    [
        "v.xor.b32 vreg0, vreg0, 1",  # another address in each round
        "v.mov.b32 vreg0, vreg0",
        "s.mov.b32 emsk, 3",
        "s.lop.emsk sreg42, sreg40 # 0x8",
    ],
)
def test_nothing_is_said_where_the_loop_changes_the_address(monkeypatch: pytest.MonkeyPatch, more: str):
    assert finds(monkeypatch, "vmem.ld.b32 vreg2, [0x0 + vreg0 * 0x4] @x", 1, more) == ")"
