"""Words of a form with random operands, from registers kept for data.

Everything is encoded beforehand by the operand kinds of the table, so that a word is a few choices and one `or`.
"""

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from m890.isa import ISA
from m890.isa.fields import OperandError
from m890.isa.lanes import LaneKind
from m890.isa.matrix_operands import MatrixKind
from m890.isa.number_kinds import Number
from m890.isa.operands import IndexedKind, Kind, NamedKind, RegisterKind
from m890.isa.registers import CLOCKS, EMSK, ONE, SCC, UNIFORM_SPECIALS, VCC, ZERO, Register
from m890.isa.source_kind import Source
from m890.isa.spec import Form

VREGS, SREGS = 24, 96
DATA = {"v": range(16), "s": range(10, 28)}
"""Registers that hold data: any instruction may read and write them."""
INDEX, ADDRESS, LANE_COUNTERS, TARGET, COUNT = 16, 18, (20, 21), 22, 23
"""Vector registers of the generator: an index, a pair for an address, counters of loops by depth, where a copy goes and
how much of it there is."""
COUNTERS, SCALAR_INDEX, LENT, SAVED, LAST_EMSK = (28, 29), 32, 33, 34, 35
"""Scalar registers of the generator: counters of loops by depth, an index, two masks, emsk at the end."""
TABLE, OWN, OWN_TSM, GIVEN, TAKEN, AWBAR = 6, 38, 40, 41, 42, 43
"""Scalar registers that nothing writes: address pairs of the table and of the warp's own bytes; offsets in TSM of its
own bytes, of what it gives others, of what it takes from one, and of its awbar."""
FAR = 44
"""A pair of the generator for a code address."""
CUBES = {4: 64, 16: 48, 32: 64}
"""Where descriptors and positions of AIU copies stand, by their words: one of 16 or 32 and one of 4 or 16."""
PACKED_ID = 36

NAMED = (VCC, SCC)
FLOATS = [
    0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x3F000000, 0x40000000, 0x00000001, 0x80000001, 0x007FFFFF,
    0x00800000, 0x80800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF,
    0x3F7FFFFF, 0x3F800001, 0x4B000000, 0x4B7FFFFF, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0x4F7FFFFF, 0x3FC00000,
    0x40200000, 0xC0200000, 0x5F000000, 0x00FFFFFF, 0x33800000, 0xB3800001, 0x7E967699,
]  # fmt: skip
INTEGERS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 24, 31, 32, 33, 63, 64, 65, 128, 255, 256, 0x1FF, 0x808, 0x2010, 0xFFFF,
            0x10000, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xAAAAAAAA, 0xFF00FF00, 0xFFFFFFE0, 0xFFFFFFFE,
            0xFFFFFFFF]  # fmt: skip
VALUES = FLOATS + INTEGERS
"""Numbers at which instructions do something special."""


def value(random: Random) -> int:
    """A number for an operand: often a special one."""
    return random.choice(VALUES) if random.random() < 0.5 else random.getrandbits(32)


def data(bank: str, words: int) -> list[Register]:
    """The data registers, as aligned ranges of so many."""
    numbers = DATA[bank]
    return [Register(bank, n, words) for n in range(numbers.start, numbers.stop - words + 1) if n % words == 0]


def read(bank: str, words: int) -> list[Register]:
    """What a source may be: mostly data, now and then a constant or a special register."""
    found = data(bank, words)
    if bank == "v":
        return found
    if words == 1:
        uniform = [number for number, count in UNIFORM_SPECIALS.values() if count == 1]
        rare = [Register("s", number) for number in (*NAMED, *NAMED, EMSK, ZERO, ONE, PACKED_ID, *uniform)]
        return found * 3 + rare
    pair = [Register("s", n, 1) for n in (ZERO, ONE)] + [Register("s", PACKED_ID, 2), Register("s", 0xCE, 1)]
    return found + (pair if words == 2 else [])


def written(bank: str, words: int) -> list[Register]:
    """What a destination may be: data; rarely emsk."""
    found = data(bank, words)
    if bank == "s" and words == 1:
        found = found * 3 + [Register("s", number) for number in NAMED] * 3 + [Register("s", EMSK)]
    return found


def is_plain(form: Form) -> bool:
    """Whether a form only computes: it goes on behind itself, uses no memory, and does not read a clock."""
    instruction = form.instruction
    clock = any(isinstance(kind, NamedKind) and kind.names is CLOCKS for kind in instruction.kinds)
    clock = clock or any(isinstance(kind, IndexedKind) for kind in instruction.kinds)
    computes = instruction.results and all(isinstance(result, LaneKind) for result in instruction.results)
    matrix = any(isinstance(kind, MatrixKind) for kind in instruction.kinds)
    return bool(computes) and instruction.access is None and not clock and not matrix


@cache
def plain_forms() -> tuple[Form, ...]:
    """All forms that only compute."""
    return tuple(form for form in ISA.forms() if is_plain(form))


Choice = Callable[[Random], int]


@cache
def sampler(form: Form) -> Choice:
    """A function that gives random words of a form that only computes."""
    choices = [_choice(form, kind) for kind in form.instruction.kinds]
    variants = [form.value] * 3 + [form.value | bits for bits in _variants(form)]

    def sample(random: Random) -> int:
        word = random.choice(variants)
        for choice in choices:
            word |= choice(random)
        return word

    return sample


def _choice(form: Form, kind: Kind) -> Choice:
    """The operand's bits in place."""
    special = SPECIAL.get(form.instruction.mnemonic, {}).get(kind.name)
    if special is not None:
        encoded = [kind.encode(given, form.immediate) for given in special]
    elif isinstance(kind, Source) and kind.flags.last and form.immediate:
        return value
    elif isinstance(kind, Source):
        banks = "vs" if kind.flags.either and not form.immediate else kind.usual
        registers = [register for bank in banks for register in read(bank, kind.words)]
        usual = [register for register in registers if register.bank == "v"]
        encoded = _encoded(kind, registers + usual * 3, form)
    elif isinstance(kind, NamedKind):
        encoded = _encoded(kind, [Register("s", number, kind.words) for number, _ in kind.names.values()], form)
    elif isinstance(kind, RegisterKind):
        allowed = written if kind.role == "destination" else read
        encoded = _encoded(kind, allowed(kind.bank, kind.words), form)
    elif isinstance(kind, Number):
        return lambda random: kind.encode(kind.sample(random, form.immediate), form.immediate)
    else:
        raise TypeError(f"{form}: no samples of {kind.name}")
    return lambda random: random.choice(encoded)


SPECIAL: dict[str, dict[str, list[Any]]] = {"v.tid.init": {"a": [Register("s", PACKED_ID, 2)]}}
"""Operands that mean something only with the values named here."""


def _encoded(kind: Kind, registers: list[Register], form: Form) -> list[int]:
    found = []
    for register in registers:
        try:
            found.append(kind.encode(register, form.immediate))
        except OperandError:
            continue
    return found


def _variants(form: Form) -> list[int]:
    """The bits of a few sets of suffixes and modifiers: each is compiled for itself, so there are not many."""
    able = zip(form.instruction.suffixes, form.room, strict=True)
    places = [suffix.place.put(value) for suffix, room in able if room for value in suffix.texts]
    for kind in form.instruction.kinds:
        if isinstance(kind, Source) and kind.flags.signed and not (form.immediate and kind.flags.last):
            places += _modifiers(form, kind)
    if not places:
        return []
    random = Random(form.value)
    sets = [random.sample(places, random.randint(1, len(places))) for _ in range(2)]
    return [sum(chosen) for chosen in sets]


def _modifiers(form: Form, kind: Source) -> list[int]:
    plain = Register(kind.usual, 0, kind.words)
    found = []
    for changed in (plain._replace(negate=True), plain._replace(absolute=True)):
        try:
            found.append(kind.encode(changed, form.immediate) ^ kind.encode(plain, form.immediate))
        except OperandError:
            continue
    return found
