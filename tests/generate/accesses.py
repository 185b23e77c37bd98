"""Loads and stores whose addresses are always inside: of the warp's own bytes, loads also of the table's."""

from functools import cache
from random import Random
from typing import NamedTuple

from m890.isa import ISA
from m890.isa.addresses import AddressKind
from m890.isa.operands import Address, Register, RegisterKind
from m890.isa.spec import Form

from . import samples
from .pieces import Item, data, encode, s, v
from .samples import ADDRESS, INDEX, OWN, OWN_TSM, SCALAR_INDEX, TABLE

SLICE = 512
"""Bytes that the table has, and each warp for itself, in HBM and in TSM."""


class Place(NamedTuple):
    """Where an access may go: the index times its scale is below `reach`, and so is the offset."""

    base: int
    reach: int


@cache
def access_forms() -> tuple[Form, ...]:
    """All loads and stores."""
    return tuple(form for form in ISA.forms() if form.instruction.access is not None)


@cache
def _forms_in(space: str) -> list[Form]:
    return [form for form in access_forms() if form.instruction.access and form.instruction.access.space == space]


def access(random: Random, form: Form) -> Item:
    """A load or store."""
    assert form.instruction.access
    base = OWN if form.instruction.access.store or random.random() < 0.6 else TABLE
    return Item(_words(random, form, Place(base, random.choice([32, 256]))))


def burst(random: Random, space: str) -> Item:
    """Several accesses to the same few bytes, of which none waits for the one before."""
    forms = [random.choice(_forms_in(space)) for _ in range(random.randint(2, 5))]
    return Item([word for form in forms for word in _words(random, form, Place(OWN, 32))])


def _words(random: Random, form: Form, place: Place) -> list[int]:
    """The access, and before it what makes its address."""
    instruction = form.instruction
    assert instruction.access
    kind = next(kind for kind in instruction.kinds if isinstance(kind, AddressKind))
    other = next(kind for kind in instruction.kinds if not isinstance(kind, AddressKind))
    assert isinstance(other, RegisterKind)
    suffixes = tuple(random.random() < 0.3 for _ in form.room)
    signed = any(on and suffix.name == "sign" for suffix, on in zip(instruction.suffixes, suffixes, strict=True))
    allowed = samples.data if instruction.access.store else samples.written
    words, at = _address(random, kind, instruction.access.size, place, signed)
    values = {kind.name: at, other.name: random.choice(allowed(other.bank, other.words))}
    return [*words, form.encode(tuple(values[kind.name] for kind in instruction.kinds), suffixes)]


def _address(random: Random, kind: AddressKind, size: int, place: Place, signed: bool) -> tuple[list[int], Address]:
    offset = size * random.randrange(place.reach // size)
    if kind.index_bank is None:
        return _lane_addresses(random, size, place), Address(_field(offset), None, 0, v(ADDRESS, 2))
    words, index, scale = _index(random, kind.index_bank, size, place.reach, signed)
    if kind.inside:
        if index and scale == 0 and random.random() < 0.5:
            return [*words, encode("v.add.i32", index, index, s(OWN_TSM))], Address(_field(offset), index)
        return words, Address(_field(offset), index, scale, s(OWN_TSM))
    offset += place.reach // 2 if signed and index else 0
    return words, Address(_field(offset), index, scale, s(place.base, 2))


def _field(offset: int) -> int:
    """An offset of bytes, in units of 128 where it can be."""
    return offset if offset % 128 else 0x800 | offset // 128


def _index(random: Random, bank: str, size: int, reach: int, signed: bool) -> tuple[list[int], Register | None, int]:
    """Words that make an index, and its scale; signed ones are around zero."""
    if random.random() < 0.15:
        return [], None, 0
    scale = random.choice([size.bit_length() - 1, random.randrange(5)])
    step = max(1, size >> scale)
    below = ((reach >> scale) - 1) & ~(step - 1)
    register = v(INDEX) if bank == "v" else s(SCALAR_INDEX)
    words = [encode(f"{bank}.and.b32", register, data(random, bank), below, immediate=True)]
    if signed:
        words.append(encode(f"{bank}.sub.i32", register, register, reach // 2 >> scale, immediate=True))
    return words, register, scale


def _lane_addresses(random: Random, size: int, place: Place) -> list[int]:
    pair = v(ADDRESS, 2)
    return [
        encode("v.and.b32", v(INDEX), data(random, "v"), place.reach - 1 & ~(size - 1), immediate=True),
        encode("v.cnvt.u64.u32", pair, v(INDEX)),
        encode("v.add.i64", pair, pair, s(place.base, 2)),
    ]
