"""Asynchronous barriers against a plain model: random operations of a warp's lanes, misuse, and warps that meet.

The model is a class with counters; the program stores what each operation gives back.
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from model.awbar import MOST, Awbar, Misuse

from m890.emulator.chip import Chip
from m890.emulator.faults import Deadlock, Fault
from m890.emulator.launch import Limits
from m890.emulator.shape import Shape
from m890.isa import ISA

LANES, ALL = 32, 0xFFFFFFFF
TIMINGS = ("eager", "late")


class Step(NamedTuple):
    """An operation: its name, the active lanes, the count, the object of each lane, whether an arrival has a result."""

    name: str
    mask: int
    count: int
    objects: str
    result: bool = True

    @property
    def mnemonic(self) -> str:
        copies = self.name.removeprefix("copies")
        return f"vmem.acp.awbar.arrive{copies}.b64" if copies != self.name else f"tsm.awbar.{self.name}.b64"

    @property
    def operands(self) -> str:
        """What stands around the address: d a state, m a mask, n the count, s a state that is read."""
        if self.name.startswith("arrive"):
            return "dn" if self.result else "n"
        if "wait" in self.name:
            return "mn" if "parity" in self.name else "ms"
        return "n" if self.name in ("init", "expect_tx", "complete_tx") else ""


ARRIVALS = [
    f"arrive{drop}{no_complete}{relaxed}"
    for drop in ("", "_drop") for no_complete in ("", ".nocomplete") for relaxed in ("", ".relaxed")
]  # fmt: skip
ARRIVALS += ["arrive.expect_tx", "arrive.expect_tx.relaxed"]
TESTS = ["test_wait", "try_wait", "test_wait.parity", "try_wait.parity"]
NAMES = ["init", "inval", "expect_tx", "complete_tx", *ARRIVALS, *TESTS, "copies", "copies.noinc"]
OBJECTS = {"one": lambda lane: 0, "third": lambda lane: lane % 3, "last": lambda lane: 2}


def text_of(steps: list[Step]) -> str:
    """A program that stores 32 words for each step: pending from the state, or the mask of a test."""
    lines: list[str] = []
    for number, step in enumerate(steps):
        operands, immediate = step.operands, step.objects == "last"
        at = {"one": "vreg2", "third": "vreg1", "last": "sreg50" if operands else "0x10"}[step.objects]
        first = {"d": ["vreg[20:21]"], "m": ["sreg51"]}.get(operands[:1], [])
        last = {"n": [f"{step.count:#x}" if immediate else "vreg6"], "s": ["vreg[20:21]"]}.get(operands[-1:], [])
        lines.append(f"v.mov.alllane.b32 vreg6, {step.count:#x}")
        lines += [f"s.mov.b32 emsk, {step.mask:#x}", f"{step.mnemonic} {', '.join([*first, at, *last])}"]
        if "d" in operands:
            lines.append("tsm.awbar.pending_count.b64 vreg5, vreg[20:21]")
        elif "m" in operands:
            lines.append("v.mov.b32 vreg5, sreg51")
        if set("dm") & set(operands):
            lines.append(f"vmem.st.b32 vreg5, [bytes({128 * number}) + vreg0 * 0x4] @out\ns.wait vstcnt(0)")
    body = "\n".join(lines)
    return f"""
        .arch ppu0015
        .kernel k
        .param ptr out
        .tsm 64
        v.mov.b32 vreg0, %laneid
        v.rem.u32 vreg1, vreg0, 0x3
        v.shll.b32 vreg1, vreg1, 0x3
        v.mov.b32 vreg2, 0x0
        v.mov.b32 vreg20, 0x0
        v.mov.b32 vreg21, 0x0
        s.mov.b32 sreg50, 0x10
        {body}
        s.exit
    """


@dataclass
class Model:
    """Three objects and the states the lanes hold, as phases."""

    objects: list[Awbar] = field(default_factory=lambda: [Awbar(), Awbar(), Awbar()])
    states: list[int] = field(default_factory=lambda: [0] * LANES)

    def do(self, step: Step) -> np.ndarray | None:
        """What the step stores; raises Misuse with the lane, nothing having changed."""
        kept = [replace(one) for one in self.objects], list(self.states)
        found, waited = np.zeros(LANES, np.uint32), 0
        for lane in range(LANES):
            if step.mask >> lane & 1:
                one = self.objects[OBJECTS[step.objects](lane)]
                try:
                    answer = self.one(one, step, lane)
                except Misuse:
                    self.objects, self.states = kept
                    raise Misuse(lane) from None
                if isinstance(answer, bool):
                    waited |= answer << lane
                elif answer is not None:
                    self.states[lane], found[lane] = answer
        if step.name in TESTS:
            return np.array([waited if step.mask >> lane & 1 else 0 for lane in range(LANES)], np.uint32)
        return found if "d" in step.operands else None

    def one(self, one: Awbar, step: Step, lane: int) -> Any:
        """One lane: None, a truth value, or (phase, pending) before."""
        name, count = step.name, step.count
        if name == "init":
            return one.init(count)
        if name == "inval":
            return one.inval()
        if name in ("expect_tx", "complete_tx"):
            one.transfer(count if name == "expect_tx" else -count)
            return None
        if name in ("copies", "copies.noinc"):
            return one.copied(name == "copies.noinc")
        if name in TESTS:
            one.need(one.valid)
            return (one.phase - (count if "parity" in name else self.states[lane])) % 2 == 1
        before = one.phase, one.pending
        if "expect_tx" in name:
            one.transfer(count, arrives=True)
        else:
            one.arrive(count, drop="_drop" in name, no_complete=".nocomplete" in name)
        return before if step.result else None


@cache
def chip(timing: Any) -> Chip:
    return Chip(timing=timing, limits=Limits(instructions=100_000))


def check(steps: list[Step], timing: str) -> None:
    """The program stores what the model says, or faults where it does."""
    model, wanted, fault = Model(), np.zeros((len(steps), LANES), np.uint32), None
    for number, step in enumerate(steps):
        try:
            found = model.do(step)
        except Misuse as misuse:
            fault = misuse.args[0]
            break
        wanted[number] = found if found is not None else 0
    out = chip(timing).to_device(np.zeros((len(steps), LANES), np.uint32))
    kernel = chip(timing).assemble(text_of(steps))["k"]
    if fault is None:
        kernel[1, LANES](out)
    else:
        with pytest.raises(Fault) as raised:
            kernel[1, LANES](out)
        assert (raised.value.code, raised.value.lanes) == (2, (fault,)), steps
        assert "TSM offset" in raised.value.detail
    assert np.array_equal(out.view(), wanted), steps
    tsm = kernel.plan(Shape((1, 1, 1), (LANES, 1, 1), 0)).tsm_of(0)[:24].view(np.int64)
    valid = [bool(word >> 62 == -2) for word in tsm.tolist()]
    assert valid == [one.valid for one in model.objects]
    pending = [word & MOST for word, good in zip(tsm.tolist(), valid, strict=True) if good]
    assert pending == [one.pending for one in model.objects if one.valid]


COUNTS = st.sampled_from([1, 1, 1, 2, 3, 5, 32, MOST])
STEPS = st.builds(
    Step,
    st.sampled_from(NAMES[1:]),
    st.one_of(st.just(1), st.just(7), st.integers(0, ALL)),
    COUNTS,
    st.sampled_from(list(OBJECTS)),
    st.booleans(),
)


@pytest.mark.parametrize("timing", TIMINGS)
@given(
    counts=st.tuples(*[st.sampled_from([1, 2, 5, 40, 100, MOST])] * 3),
    steps=st.lists(STEPS, min_size=1, max_size=8),
)
@settings(max_examples=60)
def test_random_operations(timing: str, counts: tuple[int, int, int], steps: list[Step]) -> None:
    first = [Step("init", 1 << lane, count, "third") for lane, count in enumerate(counts)]
    check(first + steps, timing)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize(("objects", "count"), [("third", 10), ("last", 30)])
@pytest.mark.parametrize(("name", "result"), [*[(n, True) for n in NAMES], *[(n, False) for n in ARRIVALS]])
def test_every_operation(name: str, result: bool, objects: str, count: int, timing: str) -> None:
    """By three lanes, each with its own object or all with one; the other form of the word has an immediate.

    Then arrivals that complete the phase, the next one if some have dropped out, and tests around them.
    """
    first = [Step("init", 1 << lane, count, "third") for lane in range(3)]
    arrive, complete = Step("arrive", 7, 8, objects), Step("complete_tx", 7, 2, objects)
    parities = [Step("test_wait.parity", 7, parity, objects) for parity in (0, 1)]
    after = [arrive, parities[0], complete, Step("test_wait", 7, 0, objects), parities[0], arrive, parities[1]]
    check([*first, Step(name, 7, 2, objects, result), *after], timing)


def test_every_form_is_an_operation() -> None:
    """None of the table is left out of the test above."""
    tested = {Step(name, 7, 2, "last", result).mnemonic for name in NAMES for result in (True, False)}
    known = {i.mnemonic for i in ISA if ".awbar." in i.mnemonic}
    assert known - tested == {"tsm.awbar.pending_count.b64"}, "which every arrival with a result is followed by"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([Step("arrive", 1, 1, "one")], "there is no initialised awbar"),
        ([Step("init", 1, 0, "one")], "a count is 1 to 1048575"),
        ([Step("init", 1, 1 << 20, "one")], "a count is 1 to 1048575"),
        ([Step("init", 1, 2, "one"), Step("arrive", 1, 3, "one")], "more arrivals than are pending"),
        ([Step("init", 1, 2, "one"), Step("arrive_drop", 1, 2, "one")], "nobody would be expected any more"),
        ([Step("init", 1, 2, "one"), Step("arrive.nocomplete", 1, 2, "one")], "the arrival completes the phase"),
        ([Step("init", 1, 2, "one"), Step("expect_tx", 3, MOST, "one")], "more than 1048575 bytes"),
        (
            [Step("init", 1, 2, "one"), Step("inval", 1, 0, "one"), Step("test_wait", 1, 0, "one")],
            "no initialised awbar",
        ),
    ],
)
def test_misuse_says_what_is_wrong(steps: list[Step], says: str) -> None:
    for timing in TIMINGS:
        check(steps, timing)
        with pytest.raises(Fault, match=says):
            chip(timing).assemble(text_of(steps))["k"][1, LANES](chip(timing).to_device(np.zeros(1024, np.uint32)))


@pytest.mark.parametrize(("offset", "code"), [(4, 10), (64, 9), (57, 9), (0xFFFFFFF8, 9)])
def test_places_that_are_none(offset: int, code: int) -> None:
    text = text_of([Step("init", ALL, 1, "third")]).replace("v.mov.b32 vreg2, 0x0", f"v.mov.b32 vreg1, {offset:#x}")
    with pytest.raises(Fault) as found:
        chip("eager").assemble(text)["k"][1, LANES](chip("eager").to_device(np.zeros(1024, np.uint32)))
    assert (found.value.code, len(found.value.lanes)) == (code, 32)
    says = "is not a multiple of 8" if code == 10 else "is outside of the block's 64 bytes"
    assert found.value.detail.endswith(f"{offset:#x} {says}")


def rows(text: str) -> str:
    return f"""
        .arch ppu0015
        .kernel k
        .param ptr x
        .param ptr out
        .tsm 1024
        v.mov.b32 vreg0, %laneid
        v.shll.b32 vreg1, vreg0, 0x2
        s.shll.b32 sreg40, %warpid, 0x7
        v.add.i32 vreg1, vreg1, sreg40
        s.mov.b32 sreg60, emsk
        s.mov.b32 sreg59, 0x200
        s.cbr.nz %warpid, go
        s.mov.b32 emsk, 0x1
        tsm.awbar.init.b64 sreg59, {{count}}
        s.mov.b32 emsk, sreg60
go:     s.blksyn
        {text}
        simt.exit
    """


PRODUCED = rows("""
        s.mov.b32 sreg41, 0x0
        s.cbr.nz %warpid, consume
produce: v.add.i32 vreg5, vreg0, sreg41
        tsm.st.b32 vreg5, [0x0 + vreg0 * 0x4]
        {arrive}
        s.blksyn
        s.blksyn
        s.add.i32 sreg41, sreg41, 0x1
        s.cmp.lt.u32 scc, sreg41, 0x4
        s.cbr.nz scc, produce
        simt.exit
consume: s.and.b32 sreg42, sreg41, 0x1
poll:   tsm.awbar.{way}.parity.b64 sreg43, sreg59, sreg42
        s.cbr.az sreg43, poll
        tsm.ld.b32 vreg6, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        s.shll.b32 sreg44, sreg41, 0x5
        v.add.i32 vreg7, vreg0, sreg44
        vmem.st.b32 vreg6, [0x0 + vreg7 * 0x4] @out
        s.wait vstcnt(0)
        s.blksyn
        s.blksyn
        s.add.i32 sreg41, sreg41, 0x1
        s.cmp.lt.u32 scc, sreg41, 0x4
        s.cbr.nz scc, consume
""")


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("way", ["test_wait", "try_wait"])
def test_a_producer_and_a_consumer(way: str, timing: str) -> None:
    """An arrival makes seen what the warp has stored before, without a wait of its own."""
    text = PRODUCED.replace("{arrive}", "tsm.awbar.arrive.b64 sreg59, 1").replace("{way}", way).replace("{count}", "32")
    out = chip(timing).to_device(np.zeros((4, LANES), np.uint32))
    chip(timing).assemble(text)["k"][1, 64](out, out)
    assert np.array_equal(out.view(), np.arange(LANES) + np.arange(4)[:, None])


def test_a_relaxed_arrival_makes_nothing_seen() -> None:
    """Under late timing the consumer finds what was there before."""
    text = PRODUCED.replace("{arrive}", "tsm.awbar.arrive.relaxed.b64 sreg59, 1").replace("{way}", "test_wait")
    out = chip("late").to_device(np.zeros((4, LANES), np.uint32))
    chip("late").assemble(text.replace("{count}", "32"))["k"][1, 64](out, out)
    assert not np.array_equal(out.view()[0], np.arange(LANES))


COPIED = rows("""
        v.shrl.b32 vreg3, vreg1, 0x2
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg3 * 0x4] @x
        vmem.acp.awbar.arrive{noinc}.b64 512
        {own}
        s.cbr.az %warpid, end
poll:   tsm.awbar.test_wait.parity.b64 sreg43, sreg59, 0
        s.cbr.az sreg43, poll
        tsm.ld.b32 vreg6, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        vmem.st.b32 vreg6, [0x0 + vreg0 * 0x4] @out
end:    s.blksyn
""")


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("noinc", ["", ".noinc"])
def test_copies_arrive(noinc: str, timing: str) -> None:
    """The second warp reads what the first has copied, once all lanes' copies have arrived."""
    own = "" if noinc else "tsm.awbar.arrive.b64 sreg59, 1"
    text = COPIED.replace("{noinc}", noinc).replace("{own}", own).replace("{count}", "64")
    x = chip(timing).to_device(np.arange(64, dtype=np.uint32) * 7)
    out = chip(timing).to_device(np.zeros(LANES, np.uint32))
    chip(timing).assemble(text)["k"][1, 64](x, out)
    assert np.array_equal(out.view(), np.arange(LANES) * 7)


def test_waiting_for_nobody_is_a_deadlock_or_a_limit() -> None:
    text = rows("poll: tsm.awbar.try_wait.parity.b64 sreg43, sreg59, 0\ns.cbr.az sreg43, poll").replace("{count}", "1")
    out = chip("eager").to_device(np.zeros(LANES, np.uint32))
    from m890.emulator.faults import Timeout

    with pytest.raises((Deadlock, Timeout)):
        chip("eager").assemble(text)["k"][1, 32](out, out)
