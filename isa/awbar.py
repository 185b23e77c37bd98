"""Asynchronous barriers: 64-bit objects in TSM that warps arrive at and test, without waiting at one place.

An awbar has a phase, how many arrivals the phase still waits for (pending), how many each phase has (expected, 1 to
1,048,575), and how many bytes are still to be transferred. When no arrival is pending and no byte is missing, the next
phase begins: pending becomes expected, and the parity of the phase changes. What the object looks like in memory is no
program's business.

The active lanes act one after the other, lane 0 first. `at` is the TSM offset of each lane's awbar, a multiple of 8.
These instructions act when they are issued and count in no counter. An arrival completes what the warp has outstanding
first, but for asynchronous copies; `.relaxed` does not. An awbar that has not been initialised, a count that is out of
range, more arrivals than are pending and a `.nocomplete` arrival that completes the phase are fault 2, invalid barrier
parameter; then no lane has done anything. Opcodes 0x3f0 to 0x3f6, told apart by 36:34.
"""

from __future__ import annotations

from .effects import Stop
from .fields import Field
from .lanes import U32, U64
from .numerics import convert
from .spec import insn
from .tags import TIX, defined

ACT = defined("semantics ACT")
_VARIANT = Field(36, 34)

# The object.

SIZE = 8
"""Bytes of it, which it is aligned to."""
COUNT_BITS = 20
MOST = (1 << COUNT_BITS) - 1
"""The largest count, of arrivals and of bytes."""
EXPECTED, PARITY, BYTES, VALID = COUNT_BITS, 2 * COUNT_BITS, 2 * COUNT_BITS + 1, 62
"""Where the fields begin; pending is at 0. Bytes are kept MOST higher, since they can be negative."""
VALID_TAG = -2
"""What an awbar has from bit VALID on, as a signed number."""


def packed(pending: int, expected: int, parity: int, count: int) -> int:
    """The object as a signed 64-bit number; `count` is in bytes."""
    return VALID_TAG << VALID | count + MOST << BYTES | parity << PARITY | expected << EXPECTED | pending


def is_valid(word: int) -> bool:
    """Whether it is an initialised awbar."""
    return word >> VALID == VALID_TAG


def pending_of(word: int) -> int:
    """Arrivals that its phase still waits for."""
    return word & MOST


def expected_of(word: int) -> int:
    """Arrivals of each phase."""
    return word >> EXPECTED & MOST


def parity_of(word: int) -> int:
    """0 in even phases, 1 in odd ones."""
    return word >> PARITY & 1


def bytes_of(word: int) -> int:
    """Bytes that are still to be transferred; negative if more have been than were announced."""
    return (word >> BYTES & (1 << COUNT_BITS + 1) - 1) - MOST


def after(pending: int, expected: int, parity: int, count: int) -> int:
    """The object with these values, in the next phase if nothing is left of this one."""
    if pending == 0 and count == 0:
        return packed(expected, expected, 1 - parity, 0)
    return packed(pending, expected, parity, count)


# What an instruction does: its static `awbar`.

INIT, INVAL, ARRIVE, EXPECT, COMPLETE, TEST, TEST_PARITY, COPIES = range(8)
OPERATION = Field(3, 0)
RELAXED, NO_COMPLETE, DROP, STATE, YIELDS, INCREMENT, ARRIVES = (Field(n, n) for n in range(4, 11))
"""An arrival that orders nothing, that must not complete, that leaves for good; whether there is a result `d`; a test
that lets others run; an arrival of copies that is not counted in expected; an announcement with an arrival."""
FINE, NOT_VALID, BAD_COUNT, TOO_MANY, NONE_LEFT, COMPLETES, BAD_BYTES = range(7)
REASONS = (
    "", "there is no initialised awbar", f"a count is 1 to {MOST}", "more arrivals than are pending",
    "nobody would be expected any more", "the arrival completes the phase", f"more than {MOST} bytes",
)
"""What is wrong with an operation, by number."""


@insn("tsm.awbar.init.b64 {at:vsrc@s}, {n:vsrc}", opcode=0x3F0, fixed={_VARIANT: 0}, **TIX, ex="at=0 n=3 | stop=AWBAR",
      awbar=INIT)
def init(at: U32, n: U32, awbar: int) -> Stop:
    """TSM at `at` = an awbar in phase 0 that n arrivals complete, each time."""
    return Stop.AWBAR


@insn("tsm.awbar.inval.b64 {at:vsrc@s}", opcode=0x3F0, fixed={_VARIANT: 1}, **TIX, ex="at=0 | stop=AWBAR", awbar=INVAL)
def inval(at: U32, awbar: int) -> Stop:
    """The memory of the awbar may be used for something else."""
    return Stop.AWBAR


@insn("tsm.awbar.expect_tx.b64 {at:vsrc@s}, {n:vsrc}", opcode=0x3F0, fixed={_VARIANT: 2}, **ACT,
      ex="at=0 n=64 | stop=AWBAR", awbar=EXPECT)
def expect_tx(at: U32, n: U32, awbar: int) -> Stop:
    """The phase waits for n more bytes."""
    return Stop.AWBAR


@insn("tsm.awbar.complete_tx.b64 {at:vsrc@s}, {n:vsrc}", opcode=0x3F0, fixed={_VARIANT: 3}, **ACT,
      ex="at=0 n=64 | stop=AWBAR", awbar=COMPLETE)
def complete_tx(at: U32, n: U32, awbar: int) -> Stop:
    """n bytes have been transferred: the phase waits for n fewer, and ends if nothing is left."""
    return Stop.AWBAR


for _flags in range(8):
    _relaxed, _no_complete, _drop = _flags & 1, _flags >> 1 & 1, _flags >> 2
    _name = f"tsm.awbar.arrive{'_drop' * _drop}{'.nocomplete' * _no_complete}{'.relaxed' * _relaxed}.b64"
    _what = ARRIVE | RELAXED.put(_relaxed) | NO_COMPLETE.put(_no_complete) | DROP.put(_drop)
    _more = "; they are expected no more in later phases" * _drop + "; they must not complete it" * _no_complete

    @insn(f"{_name} {{d:state}}, {{at:vsrc@s}}, {{n:vsrc}}", opcode=0x3F1, fixed={_VARIANT: _flags}, **TIX,
          ex="at=0 n=1 | stop=AWBAR", awbar=_what | STATE.put(1), more=_more)
    def arrive(at: U32, n: U32, awbar: int, more: str) -> Stop:
        """d = the awbar as it was, for test_wait; then n arrivals count in its phase{more}."""
        return Stop.AWBAR

    @insn(f"{_name} {{at:vsrc@s}}, {{n:vsrc}}", opcode=0x3F2, fixed={_VARIANT: _flags}, **TIX,
          ex="at=0 n=1 | stop=AWBAR", awbar=_what, more=_more)
    def arrive_only(at: U32, n: U32, awbar: int, more: str) -> Stop:
        """n arrivals count in the awbar's phase{more}."""
        return Stop.AWBAR


for _relaxed in (0, 1):

    @insn(f"tsm.awbar.arrive.expect_tx{'.relaxed' * _relaxed}.b64 {{d:state}}, {{at:vsrc@s}}, {{n:vsrc}}", opcode=0x3F3,
          fixed={_VARIANT: _relaxed}, **ACT, ex="at=0 n=64 | stop=AWBAR",
          awbar=EXPECT | ARRIVES.put(1) | STATE.put(1) | RELAXED.put(_relaxed))
    def arrive_expect(at: U32, n: U32, awbar: int) -> Stop:
        """d = the awbar as it was; then its phase waits for n more bytes, and one arrival counts."""
        return Stop.AWBAR

    @insn(f"tsm.awbar.arrive.expect_tx{'.relaxed' * _relaxed}.b64 {{at:vsrc@s}}, {{n:vsrc}}", opcode=0x3F3,
          fixed={_VARIANT: 2 + _relaxed}, **ACT, ex="at=0 n=64 | stop=AWBAR",
          awbar=EXPECT | ARRIVES.put(1) | RELAXED.put(_relaxed))
    def arrive_expect_only(at: U32, n: U32, awbar: int) -> Stop:
        """The awbar's phase waits for n more bytes, and one arrival counts."""
        return Stop.AWBAR


_WAYS = (("test_wait", ""), ("try_wait", "; unless that is all active lanes, others run first"))
for _yields, (_way, _then) in enumerate(_WAYS):

    @insn(f"tsm.awbar.{_way}.b64 {{d:waited}}, {{at:vsrc@s}}, {{state:vreg@s1}}", opcode=0x3F4,
          fixed={_VARIANT: 2 * _yields}, **TIX, ex="at=0 state=0 | stop=AWBAR", immediate=False,
          awbar=TEST | YIELDS.put(_yields), then=_then)
    def test_wait(at: U32, state: U64, awbar: int, then: str) -> Stop:
        """d = the lanes whose awbar has left the phase in which an arrival gave back `state`{then}."""
        return Stop.AWBAR

    @insn(f"tsm.awbar.{_way}.parity.b64 {{d:waited}}, {{at:vsrc@s}}, {{p:vsrc}}", opcode=0x3F4,
          fixed={_VARIANT: 2 * _yields + 1}, **TIX, ex="at=0 p=0 | stop=AWBAR",
          awbar=TEST_PARITY | YIELDS.put(_yields), then=_then)
    def test_wait_parity(at: U32, p: U32, awbar: int, then: str) -> Stop:
        """d = the lanes whose awbar has completed the phase with parity p (its lowest bit){then}."""
        return Stop.AWBAR


@insn("tsm.awbar.pending_count.b64 {d:vreg}, {state:vreg@s0}", opcode=0x3F5, **TIX, ex="state=0x8ffff00000c00005 | d=5")
def pending_count(state: U64) -> U32:
    """d = how many arrivals were pending before the `.nocomplete` arrival that gave back `state`."""
    return convert(state & MOST, U32)


for _noinc in (0, 1):

    @insn(f"vmem.acp.awbar.arrive{'.noinc' * _noinc}.b64 {{at:vsrc@s}}", opcode=0x3F6, fixed={_VARIANT: _noinc}, **TIX,
          ex="at=0 | stop=AWBAR", awbar=COPIES | INCREMENT.put(1 - _noinc),
          counts="as one of those expected" if _noinc else "beside those expected: pending is what it was")
    def copies_arrive(at: U32, awbar: int, counts: str) -> Stop:
        """One arrival when all asynchronous copies that the warp has issued have completed, {counts}.

        They complete at once, whether their group has been closed or not.
        """
        return Stop.AWBAR
