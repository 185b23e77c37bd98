"""The pieces a program is made of. Each can be deleted, and stands for itself: what it needs in registers it sets."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import Any, NamedTuple

from m890.isa import ISA
from m890.isa.addresses import AddressKind
from m890.isa.operands import EMSK, LANE_SPECIALS, SCC, VCC, Address, OperandError, Register, RegisterKind, Value
from m890.isa.spec import Form

from . import samples
from .samples import ADDRESS, DATA, GIVEN, INDEX, OWN, OWN_TSM, SAVED, SCALAR_INDEX, TABLE, TAKEN

SLICE = 512
"""Bytes that the table has, and each warp for itself, in HBM and in TSM."""
REACH = 256
"""Index times scale is below this, and so is the offset."""


class Loop(NamedTuple):
    """The item begins a loop over the next `items`: so many turns for all lanes, or a number for each lane."""

    items: int
    turns: int
    by_lane: bool


@dataclass
class Item:
    """Words that stay together. The last one may jump over the next `skip` items."""

    words: list[int]
    skip: int | None = None
    loop: Loop | None = None
    barrier: bool = False
    clock: bool = False
    """Only one timing gives this result."""


@cache
def forms_of(mnemonic: str) -> list[Form]:
    """All forms of a mnemonic, suffixes aside."""
    return [form for form in ISA.forms() if form.instruction.mnemonic == mnemonic]


@lru_cache(maxsize=1 << 15)
def encode(mnemonic: str, *values: Value, immediate: bool = False) -> int:
    """One word; the first form that takes these operands."""
    for form in forms_of(mnemonic):
        if form.immediate == immediate and len(form.instruction.kinds) == len(values):
            with suppress(OperandError):
                return form.encode(values, (False,) * len(form.room))
    raise KeyError(mnemonic)


def s(number: int, words: int = 1) -> Register:
    return Register("s", number, words)


def v(number: int, words: int = 1) -> Register:
    return Register("v", number, words)


def data(random: Random, bank: str) -> Register:
    return Register(bank, random.choice(DATA[bank]))


def mask(random: Random) -> Register:
    """A register whose bits may serve as a mask."""
    return random.choice([data(random, "s"), data(random, "s"), s(VCC), s(SCC), s(EMSK)])


# Computing.


def plain(random: Random, form: Form) -> Item:
    """One instruction that only computes."""
    return Item([samples.sampler(form)(random)])


def fresh(random: Random) -> Item:
    """A special value in a register."""
    bank = random.choice("sv")
    return Item([encode(f"{bank}.mov.b32", data(random, bank), random.choice(samples.VALUES), immediate=True)])


@cache
def clock_forms() -> list[Form]:
    """Forms that read a clock."""
    return [form for form in forms_of("s.mov.b64") if not samples.is_plain(form)]


def clock(random: Random) -> Item:
    """The count of instructions."""
    form, d = clock_forms()[0], random.choice(samples.data("s", 2))
    return Item([form.encode((d, s(0xD2, 2)), ())], clock=True)


# Masks, branches, loops, ends.


def lop(random: Random) -> Item:
    d = random.choice([data(random, "s"), s(VCC)])
    return Item([encode("s.lop.emsk", d, mask(random), random.choice([8, 14, 4, random.getrandbits(4)]))])


def all_lanes() -> int:
    return encode("s.mov.b32", s(EMSK), 0xFFFFFFFF, immediate=True)


def restore(random: Random) -> Item:
    """All lanes of the path run again."""
    return Item([all_lanes()])


def branch(random: Random, operation: str) -> Item:
    """A jump forward, of the path or of some of its lanes."""
    operands = () if operation == "s.cbr" else (mask(random),)
    return Item([encode(operation, *operands, 0)], skip=random.choice([0, 1, 2, 3, 5, 8, 13]))


def loop(random: Random) -> Item:
    return Item([], loop=Loop(random.choice([1, 2, 4, 8]), random.randint(1, 3), random.random() < 0.4))


def some_end(random: Random) -> Item:
    """A few lanes end, or the warp does: mostly not."""
    few = random.choice([1, 0x80000000, 0x10100, random.getrandbits(32) & random.getrandbits(32)])
    if random.random() < 0.2:
        over = encode("s.cbr.nz", mask(random), 1)
        return Item([over, encode("s.exit")])
    masked = encode("s.mov.b32", s(SAVED), few, immediate=True)
    drop = encode("s.lop.emsk", s(SAVED), s(SAVED), 8)
    return Item([masked, drop, encode("simt.exit"), all_lanes()])


def idle(random: Random) -> Item:
    return Item([encode("s.nop")])


def wait(random: Random, form: Form) -> Item:
    """A wait or a fence that need not be there."""
    return Item([form.encode(tuple(kind.sample(random, False) for kind in form.instruction.kinds), ())])


@cache
def wait_forms() -> list[Form]:
    """Forms that only wait."""
    return [
        form
        for form in ISA.forms()
        if any(part in form.instruction.mnemonic for part in ("s.wait", ".fence.", ".wbinv."))
    ]


def barrier(random: Random, name: str) -> Item:
    return Item([encode(name)], barrier=True)


def exchange(random: Random) -> Item:
    """Every warp gives a register to its neighbour: TSM between two barriers."""
    index = encode("v.mov.b32", v(INDEX), s(LANE_SPECIALS["%laneid"][0]))
    give = encode("tsm.st.b32", data(random, "v"), Address(0, v(INDEX), 2, s(GIVEN)))
    take = encode("tsm.ld.b32", data(random, "v"), Address(0, v(INDEX), 2, s(TAKEN)))
    return Item([index, give, encode("s.blksyn"), take, encode("s.blksyn")], barrier=True)


# Memory.


@cache
def access_forms() -> tuple[Form, ...]:
    """All loads and stores."""
    return tuple(form for form in ISA.forms() if form.instruction.access is not None)


def access(random: Random, form: Form) -> Item:
    """A load or store inside the warp's own bytes (loads: the table's, too), with what makes the address."""
    instruction = form.instruction
    assert instruction.access
    size, store = instruction.access.size, instruction.access.store
    kind = next(kind for kind in instruction.kinds if isinstance(kind, AddressKind))
    other = next(kind for kind in instruction.kinds if not isinstance(kind, AddressKind))
    assert isinstance(other, RegisterKind)
    suffixes = tuple(random.random() < 0.3 for _ in form.room)
    signed = any(on and suffix.name == "sign" for suffix, on in zip(instruction.suffixes, suffixes, strict=True))
    registers = samples.data(other.bank, other.words) if store else samples.written(other.bank, other.words)
    words, at = _address(random, kind, size, store, signed)
    values = {kind.name: at, other.name: random.choice(registers)}
    ordered = tuple(values[kind.name] for kind in instruction.kinds)
    return Item([*words, form.encode(ordered, suffixes)])


def _address(random: Random, kind: AddressKind, size: int, store: bool, signed: bool) -> tuple[list[int], Address]:
    base = OWN if store or random.random() < 0.6 else TABLE
    offset = size * random.randrange(REACH // size)
    if kind.index_bank is None:
        return _lane_addresses(random, size, base), Address(_field(offset), None, 0, v(ADDRESS, 2))
    if kind.inside:
        return _tsm_address(random, size, offset)
    words, index, scale = _index(random, kind.index_bank, size, signed)
    offset += REACH // 2 if signed and index else 0
    return words, Address(_field(offset), index, scale, s(base, 2))


def _field(offset: int) -> int:
    """An offset of bytes, in units of 128 where it can be."""
    return offset if offset % 128 else 0x800 | offset // 128


def _index(random: Random, bank: str, size: int, signed: bool) -> tuple[list[int], Register | None, int]:
    """Words that make an index below REACH, and its scale; signed ones are around zero."""
    if random.random() < 0.15:
        return [], None, 0
    scale = random.choice([size.bit_length() - 1, random.randrange(6)])
    step = max(1, size >> scale)
    below = ((REACH >> scale) - 1) & ~(step - 1)
    register = v(INDEX) if bank == "v" else s(SCALAR_INDEX)
    words = [encode(f"{bank}.and.b32", register, data(random, bank), below, immediate=True)]
    if signed:
        words.append(encode(f"{bank}.sub.i32", register, register, REACH // 2 >> scale, immediate=True))
    return words, register, scale


def _lane_addresses(random: Random, size: int, base: int) -> list[int]:
    pair = v(ADDRESS, 2)
    return [
        encode("v.and.b32", v(INDEX), data(random, "v"), REACH - 1 & ~(size - 1), immediate=True),
        encode("v.cnvt.u64.u32", pair, v(INDEX)),
        encode("v.add.i64", pair, pair, s(base, 2)),
    ]


def _tsm_address(random: Random, size: int, offset: int) -> tuple[list[int], Address]:
    words, index, scale = _index(random, "v", size, False)
    if index and scale == 0 and random.random() < 0.5:
        return [*words, encode("v.add.i32", index, index, s(OWN_TSM))], Address(_field(offset), index, 0, None)
    return words, Address(_field(offset), index, scale, s(OWN_TSM))


# All of them.

Maker = Callable[[Random], Item]
ACCESSES = 0.15
"""How many items are loads and stores."""
CONTROLS = 0.15


def controls() -> list[tuple[int, Maker]]:
    """Everything else, and how often it comes."""
    return [
        (30, fresh),
        (40, lop),
        (35, restore),
        *[(8, _with(branch, name)) for name in ("s.cbr", "s.cbr.az", "s.cbr.nz")],
        *[(18, _with(branch, name)) for name in ("simt.rcbr", "simt.rcbr.n")],
        (15, loop),
        (3, some_end),
        (3, idle),
        *[(1, _with(wait, form)) for form in wait_forms()],
        *[(4, _with(barrier, name)) for name in ("s.blksyn", "s.blksyn.defer")],
        (8, exchange),
        (5, clock),
    ]


def nothing(random: Random) -> Item:
    """No word at all: what a deleted item becomes."""
    return Item([])


@cache
def makers() -> tuple[Maker, ...]:
    """What an item may be: an index into this and a seed are one item. The first is nothing."""
    computing = [_with(plain, form) for form in samples.plain_forms()]
    accesses = [_with(access, form) for form in access_forms()]
    total = len(computing) * 4 // 3
    accesses *= max(1, round(total * ACCESSES / len(accesses)))
    wheel = [maker for weight, maker in controls() for _ in range(weight)]
    wheel *= max(1, round(total * CONTROLS / len(wheel)))
    return (nothing, *computing, *accesses, *wheel)


def _with(make: Callable[[Random, Any], Item], what: Any) -> Maker:
    return lambda random: make(random, what)
