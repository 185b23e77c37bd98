"""Loads and stores whose addresses are always inside: of the warp's own bytes, loads also of the table's."""

from functools import cache
from random import Random
from typing import Any, NamedTuple

from model.meaning import ARCH

from m890.isa import ISA
from m890.isa.addresses import AddressKind, ElementAddress, TsmTarget
from m890.isa.matrix_operands import SwizzledAddress
from m890.isa.operands import Address, RegisterKind
from m890.isa.registers import ZERO, Register
from m890.isa.spec import Form

from . import samples
from .pieces import Item, all_lanes, data, encode, s, v
from .samples import ADDRESS, COUNT, INDEX, LENT, OWN, OWN_TSM, SCALAR_INDEX, TABLE, TARGET

SLICE, MOST_WARPS = 1024, 3
"""Bytes that the table has, and each warp for itself, in HBM and in TSM."""
AWBARS = (SLICE + 128) * MOST_WARPS
"""Where in TSM the awbars are, behind the warps' own bytes and what they give each other."""
PRIVATE = 64
"""Bytes of private memory of each lane."""


class Place(NamedTuple):
    """Where an access may go: the index times its scale is below `reach`, and so is the offset."""

    base: int | None
    reach: int


def _place(random: Random, form: Form, near: bool) -> Place:
    access = form.instruction.access
    assert access
    if access.space == "private":
        return Place(None, PRIVATE // 2)
    reach = 32 if near else random.choice([32, 256])
    if access.space == "tsm":
        return Place(OWN_TSM, reach)
    return Place(OWN if access.store or near or random.random() < 0.6 else TABLE, reach)


@cache
def access_forms() -> tuple[Form, ...]:
    """All loads, stores, atomics and copies by lanes."""
    forms = (form for form in ISA.forms() if ARCH in form.instruction.architectures)
    return tuple(form for form in forms if form.instruction.access is not None)


@cache
def _forms_in(space: str) -> list[Form]:
    """What a few lanes can do."""
    every = ((form, form.instruction.access) for form in access_forms())
    return [form for form, access in every if access and access.space == space and not access.rows]


def access(random: Random, form: Form) -> Item:
    """A load, a store, an atomic or a copy; if it is one of the whole warp, all lanes must have come, and be on."""
    words = _words(random, form, _place(random, form, False))
    if form.instruction.access and form.instruction.access.rows:
        return Item([encode("s.blksyn"), all_lanes(), *words], barrier=True, full=True)
    return Item(words)


def burst(random: Random, space: str) -> Item:
    """Several accesses to the same few bytes, of which none waits for the one before."""
    forms = [random.choice(_forms_in(space)) for _ in range(random.randint(2, 5))]
    return Item([word for form in forms for word in _words(random, form, _place(random, form, True))])


@cache
def _copies_and_neighbours() -> list[list[Form]]:
    """Copies by lanes, and what else touches the bytes they go to."""
    copies = [form for form in _forms_in("global") if form.instruction.access and form.instruction.access.to]
    return [copies, copies, _forms_in("tsm")]


def copies(random: Random) -> Item:
    """Several copies to and around the same few bytes of TSM, of which some are closed in groups and waited for."""
    words: list[int] = []
    for _ in range(random.randint(3, 7)):
        form = random.choice(random.choice(_copies_and_neighbours()))
        words += _words(random, form, _place(random, form, True))
        if random.random() < 0.4:
            words.append(encode("vmem.acp.commit.grp"))
        if random.random() < 0.3:
            words.append(encode("s.wait", (("commit_group", random.randrange(3)),)))
    return Item(words)


def prefetch(random: Random, form: Form) -> Item:
    """Any address will do."""
    at = Address(random.getrandbits(12), data(random, "v"), random.randrange(16), s(TABLE, 2))
    return Item([form.encode((at,), tuple(random.choice(suffix.values) for suffix in form.instruction.suffixes))])


def _words(random: Random, form: Form, place: Place) -> list[int]:
    """The access, and before it what makes its address."""
    instruction = form.instruction
    assert instruction.access
    suffixes = tuple(random.choice((0, 0, *suffix.values)) for suffix in instruction.suffixes)
    signed = any(on and suffix.name == "sign" for suffix, on in zip(instruction.suffixes, suffixes, strict=True))
    words, values = list[int](), list[Any]()
    size = instruction.access.size
    for kind in instruction.kinds:
        if isinstance(kind, SwizzledAddress):
            words, at = _swizzled(random, form)
            values.append(at)
        elif isinstance(kind, AddressKind):
            more, at = _address(random, kind, size, place, signed)
            words += more
            values.append(at)
        elif isinstance(kind, TsmTarget):
            within = encode("v.and.b32", v(TARGET), data(random, "v"), place.reach - 1 & ~(size - 1), immediate=True)
            words += [within, encode("v.add.i32", v(TARGET), v(TARGET), s(OWN_TSM))]
            values.append(v(TARGET))
        elif kind.name == instruction.access.counted:
            words.append(encode("v.and.b32", v(COUNT), data(random, "v"), 0x1F, immediate=True))
            values.append(v(COUNT))
        else:
            assert isinstance(kind, RegisterKind)
            allowed = samples.written if kind.role == "destination" else samples.data
            values.append(random.choice(allowed(kind.bank, kind.words)))
    return [*words, form.encode(tuple(values), suffixes)]


def _swizzled(random: Random, form: Form) -> tuple[list[int], Address]:
    """Tiles in rows of 128 or 64 bytes, from the warp's first byte on; strides are in units of 16 bytes. Or slices."""
    if ARCH not in form.instruction.architectures:
        point = encode("s.add.i32", s(SCALAR_INDEX), s(OWN_TSM), 256 * random.randrange(3), immediate=True)
        which = encode("s.mov.b32", s(LENT), random.randrange(8), immediate=True)
        return [point, which], Address(0, s(SCALAR_INDEX), 0, s(LENT))
    most = 2 if ".s1." in form.instruction.mnemonic else 4
    strides = random.randrange(most) | random.randrange(most) << 16
    words = [
        encode("s.shrl.b32", s(SCALAR_INDEX), s(OWN_TSM), 4, immediate=True),
        encode("s.mov.b32", s(LENT), strides, immediate=True),
    ]
    return words, Address(0, s(SCALAR_INDEX), 0, s(LENT))


def _address(random: Random, kind: AddressKind, size: int, place: Place, signed: bool) -> tuple[list[int], Address]:
    element = isinstance(kind, ElementAddress)
    offset = 0 if element else size * random.randrange(place.reach // size)
    if kind.index_bank is None:
        return _lane_addresses(random, size, place), Address(_field(offset), None, 0, v(ADDRESS, 2))
    words, index, scale = _index(random, kind.index_bank, size, place.reach, signed, element)
    if place.base is None:
        return words, Address(_field(offset), index, scale, random.choice([None, s(ZERO)]))
    if kind.inside:
        if index and scale == 0 and random.random() < 0.5:
            return [*words, encode("v.add.i32", index, index, s(OWN_TSM))], Address(_field(offset), index)
        return words, Address(_field(offset), index, scale, s(OWN_TSM))
    offset += place.reach // 2 if signed and index else 0
    return words, Address(_field(offset), index, scale, s(place.base, 2))


def _field(offset: int) -> int:
    """An offset of bytes, in units of 128 where it can be."""
    return offset if offset % 128 or not offset else 0x800 | offset // 128


def _index(
    random: Random, bank: str, size: int, reach: int, signed: bool, element: bool
) -> tuple[list[int], Register | None, int]:
    """Words that make an index, and its scale; signed ones are around zero."""
    if random.random() < 0.15:
        return [], None, 0
    own = size.bit_length() - 1
    scale = own if element else random.choice([own, random.randrange(5)])
    step = max(1, size >> scale)
    below = ((reach >> scale) - 1) & ~(step - 1)
    register = v(INDEX) if bank == "v" else s(SCALAR_INDEX)
    words = [encode(f"{bank}.and.b32", register, data(random, bank), below, immediate=True)]
    if signed:
        words.append(encode(f"{bank}.sub.i32", register, register, reach // 2 >> scale, immediate=True))
    return words, register, scale


def _lane_addresses(random: Random, size: int, place: Place) -> list[int]:
    assert place.base is not None
    pair = v(ADDRESS, 2)
    return [
        encode("v.and.b32", v(INDEX), data(random, "v"), place.reach - 1 & ~(size - 1), immediate=True),
        encode("v.cnvt.u64.u32", pair, v(INDEX)),
        encode("v.add.i64", pair, pair, s(place.base, 2)),
    ]
