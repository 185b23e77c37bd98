"""The body under numpy and the compiled handler are one function: all forms, suffixes, modifiers and lanes.

Every instruction without memory access is run on all pairs of special values and on random bits, in every shape
that a word can give it: suffixes, `!` and `|x|`, the other bank's sources, immediates, named scalar
destinations, destination equal to a source, some lanes off. After each step all registers are compared.
"""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from one import ALL, One, assert_rows, bench, lane_mask, predict, row_of, stop

from m890.isa import ISA
from m890.isa.addresses import AddressKind
from m890.isa.effects import Stop
from m890.isa.fields import OperandError
from m890.isa.lanes import LANES
from m890.isa.matrix_operands import MatrixKind
from m890.isa.number_kinds import CodeTarget, Number, Target
from m890.isa.operands import IndexedKind, Kind, NamedKind, RegisterKind
from m890.isa.registers import CLOCKS, EMSK, INDEX_REGISTER, IVREG, ONE, SCC, UNIFORM_SPECIALS, VCC, ZERO, Register
from m890.isa.source_kind import Source

FLOATS = [
    0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x3F000000, 0x40000000,  # 0 1 0.5 2
    0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,  # around the smallest normal numbers
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F000000, 0x7F800000, 0xFF800000,  # around infinity
    0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF, 0x7FFFFFFF, 0xFFFFFFFF,  # quiet and signalling NaNs
    0x3F7FFFFF, 0x3F800001, 0x4B000000, 0x4B7FFFFF, 0x4B800001, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0x4F7FFFFF,
    0x4F800000, 0x3F000001, 0x3FC00000, 0x40200000, 0xC0200000, 0x5F000000, 0xDF000001,
]  # fmt: skip
INTEGERS = [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 255, 256, 0x1FF, 0xFFFF, 0x10000, 0x7FFFFFFE, 0x7FFFFFFF,
            0x80000000, 0x80000001, 0xAAAAAAAA, 0xFF00FF00, 0xFFFFFFE0, 0xFFFFFFFE, 0xFFFFFFFF]  # fmt: skip
MASKS = [ALL, 0, 1, 0x80000000, 0x55555555, 0xFFFF0000, 0x7FFFFFFE]
IMMEDIATES = [0, 1, 31, 32, 33, 64, 255, 0x1F00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800001, 0x3F800000]
ALL_VALUES = np.array(FLOATS + INTEGERS, np.uint32)


def has_control(instruction: Any) -> bool:
    """Whether the instruction does more than compute (its examples cover that; see test_paths)."""
    points = any(isinstance(kind, AddressKind) for kind in instruction.kinds)
    return points or Stop in instruction.results


def branches(form: Any) -> bool:
    """Whether it has a target, which in a random word lies anywhere."""
    return any(isinstance(kind, Target | CodeTarget) for kind in form.instruction.kinds)


def is_matrix(instruction: Any) -> bool:
    """Whether it works on fragments of matrices: test_matrix compares those."""
    return any(isinstance(kind, MatrixKind) for kind in instruction.kinds)


FORMS = [form for form in ISA.forms() if not has_control(form.instruction) and not is_matrix(form.instruction)]


def plain(form: Any) -> list[Any]:
    """Operands of our choosing: all registers apart."""
    values: list[Any] = []
    for place, kind in enumerate(form.instruction.kinds):
        if isinstance(kind, Source) and form.immediate and kind.flags.last:
            values.append(1)
        elif isinstance(kind, IndexedKind):
            values.append(IVREG)
        elif isinstance(kind, NamedKind):
            values.append(Register("s", *next(iter(kind.names.values()))))
        elif isinstance(kind, Source):
            values.append(Register(kind.usual, 4 * place, kind.words))
        elif isinstance(kind, RegisterKind):
            values.append(Register(kind.bank, 4 * place, kind.words))
        elif isinstance(kind, Target):
            values.append(7)
        elif isinstance(kind, CodeTarget):
            values.append(0x38)
        elif isinstance(kind, Number):
            values.append(0x15 & (1 << kind.field.width) - 1)
        else:
            raise AssertionError(f"no value for an operand of kind {type(kind).__name__}")
    return values


def one_by_one(form: Any, base: list[Any]) -> list[list[Any]]:
    """Operand lists that differ from `base` in one operand each, in every way worth trying."""
    found = [base]
    for place, kind in enumerate(form.instruction.kinds):
        choices = alternatives(form, kind, base)
        found += [[*base[:place], choice, *base[place + 1 :]] for choice in choices]
    return found


def alternatives(form: Any, kind: Kind, base: list[Any]) -> list[Any]:
    """Other values of one operand."""
    if isinstance(kind, Source) and form.immediate and kind.flags.last:
        return (
            IMMEDIATES
            if kind.flags.lowest_immediate == 0 or kind.words == 1
            else [n - (n >> 31 << 32) for n in IMMEDIATES]
        )
    if isinstance(kind, NamedKind):
        return [Register("s", *place) for place in kind.names.values()]
    if isinstance(kind, Source):
        other = "s" if kind.usual == "v" else "v"
        constants = [Register("s", ZERO), Register("s", ONE)]
        named = [Register("s", n) for n in (EMSK, VCC, SCC, UNIFORM_SPECIALS["%blkid.x"][0])] if kind.words == 1 else []
        banks = [Register(other, 40, kind.words)] if kind.flags.either else []
        return [*banks, *[value for value in constants + named if kind.flags.either or kind.usual == "s"]]
    if isinstance(kind, RegisterKind) and kind.bank == "s" and kind.words == 1:
        return [Register("s", number) for number in (EMSK, VCC, SCC)]
    if isinstance(kind, RegisterKind) and kind.role == "destination":
        return [value for value in base if isinstance(value, Register) and value.bank == kind.bank]
    if isinstance(kind, Target | CodeTarget) or not isinstance(kind, Number):
        return []
    top = (1 << kind.field.width) - 1
    return [value for value in (0, top, 0x20, 3, 0x96) if value <= top]


def signs(form: Any, base: list[Any]) -> list[list[Any]]:
    """`!` and `|x|` on all float sources."""
    kinds = form.instruction.kinds
    able = [isinstance(kind, Source) and kind.flags.signed for kind in kinds]
    return [
        [
            value._replace(negate=negate, absolute=absolute) if can and isinstance(value, Register) else value
            for value, can in zip(base, able, strict=True)
        ]
        for negate, absolute in ((True, False), (False, True), (True, True))
        if any(able)
    ]


def family(form: Any) -> Any:
    """What forms have in common whose code differs in statics alone: roundings, relations."""
    instruction = form.instruction
    kinds = tuple((binding.name, binding.kind) for binding in instruction.bindings)
    return (
        form.immediate,
        instruction.lanes,
        instruction.body.__code__,
        kinds,
        instruction.results,
        instruction.suffixes,
    )


FIRST_OF_FAMILY = {id(form) for form in {family(form): form for form in reversed(FORMS)}.values()}


def words(form: Any) -> list[int]:
    """The words to try: each operand's alternatives, all suffixes, the modifiers; plain operands for all but the first.

    The members of a family share the code around the body: `test_random_words` (slow) tries it with each of them.
    """
    base = plain(form)
    if id(form) not in FIRST_OF_FAMILY:
        return [form.encode(tuple(base), (False,) * len(form.room))]
    lists = [(values, ()) for values in one_by_one(form, base) + signs(form, base)]
    lists += [(values, chosen) for chosen in form.choices() if any(chosen) for values in (base, *signs(form, base)[2:])]
    found: list[int] = []
    for values, chosen in lists:
        try:
            found.append(form.encode(tuple(values), chosen or (False,) * len(form.room)))
        except OperandError:
            continue  # the operand is not for this form: test_words has what is
    return list(dict.fromkeys(found))


def compare(one: One) -> None:
    """One step on the bench's rows as they are: the handler against the reference."""
    b = bench()
    b.rows[:] = state
    b.rows[one.places] = one.program.constants
    path = int(b.warp["lanes"])
    expected = predict(one, path)
    found = one.run()
    assert found == expected.reached, f"{one.text}: goes on at {found}, not {expected.reached}"
    if expected.taken is not None and found == stop(Stop.SPLIT):
        assert int(b.warp["taken"]) == expected.taken
    assert_rows(b.rows, expected.rows, one.text, state)


state = bench().rows.copy()
"""The rows before a step."""


def fill(one: One, values: np.ndarray, random: np.random.Generator, turn: int) -> None:
    """Put values in the sources: pair number (32 * turn + lane) of all pairs, so that turns cover them all."""
    sources = [
        (place, value)
        for place, (kind, value) in enumerate(zip(one.instruction.kinds, one.decoded.values, strict=True))
        if isinstance(value, Register) and kind.role == "source" and (value.bank == "v" or value.number < 192)
    ]
    number = np.arange(LANES) + LANES * turn
    for n, (_, value) in enumerate(sources):
        index = number // len(values) ** n if n < 2 else random.integers(0, len(values), LANES)
        for word in range(value.count):
            lanes = (
                values[index % len(values)]
                if word == 0 or random.random() < 0.5
                else random.integers(0, 1 << 32, LANES, np.uint32)
            )
            state[row_of(value) + word] = lanes if value.bank == "v" else lanes[turn % LANES]


def prepare(random: np.random.Generator, emsk: int, path: int = ALL) -> None:
    """Random registers, an execution mask, and special registers."""
    b = bench()
    b.scramble(random)
    b.path(path, emsk & path)
    b.specials()
    b.rows[INDEX_REGISTER] = int(random.integers(0, 256))
    b.rows[VCC], b.rows[SCC] = (int(n) for n in random.integers(0, 1 << 32, 2))
    for number, _ in CLOCKS.values():
        b.rows[number : number + 2] = 77
    state[:] = b.rows


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_body_is_handler(form: Any) -> None:
    """All shapes of one form on special and random values."""
    random = np.random.default_rng(sum(form.instruction.pattern.encode()))
    floating = any(getattr(kind, "flags", None) and kind.flags.float for kind in form.instruction.kinds)
    values = np.array(FLOATS if floating else INTEGERS, np.uint32)
    sources = sum(kind.role == "source" for kind in form.instruction.kinds)
    pairs = max(8, len(values) ** min(sources, 2) // LANES + 1) if form.instruction.lanes == LANES else 64
    for shape, word in enumerate(words(form)):
        one = bench().one(word)
        for turn in range(pairs if shape == 0 else 4):
            path = ALL if turn % 3 else int(random.integers(0, 1 << 32))
            prepare(random, MASKS[turn % len(MASKS)] if turn % 4 else ALL, path)
            if turn % 3 != 2:
                fill(
                    one,
                    values if turn % 5 else ALL_VALUES,
                    random,
                    turn if shape == 0 else int(random.integers(0, pairs)),
                )
            compare(one)


BITS = st.one_of(st.sampled_from(FLOATS), st.sampled_from(INTEGERS), st.integers(0, ALL))


@given(form=st.sampled_from(FORMS), data=st.data())
@settings(max_examples=150)
def test_body_is_handler_for_any_state(form: Any, data: st.DataObject) -> None:
    """The same with values that hypothesis picks, and shrinks to a small example."""
    values = plain(form)
    one = bench().one(form.encode(tuple(values), (False,) * len(form.room)))
    prepare(np.random.default_rng(0), data.draw(st.integers(0, ALL), label="emsk"))
    for kind, value in zip(form.instruction.kinds, values, strict=True):
        if isinstance(value, Register) and value.number < 192:
            for word in range(value.count):
                lanes = data.draw(st.lists(BITS, min_size=1, max_size=4), label=f"{kind.name} word {word}")
                row = np.resize(np.array(lanes, np.uint32), LANES)
                state[row_of(value) + word] = row if value.bank == "v" else row[0]
    compare(one)


def test_lanes_that_are_off_keep_their_values() -> None:
    """Said outright, apart from the reference."""
    b = bench()
    one = b.one("v.add.i32 vreg3, vreg1, vreg2")
    for mask in MASKS:
        prepare(np.random.default_rng(mask), mask)
        before = b.rows.copy()
        assert one.run() == 1
        total = before[257] + before[258]
        assert b.rows[259].tolist() == np.where(lane_mask(mask), total, before[259]).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("form", [form for form in FORMS if not branches(form)], ids=repr)
def test_random_words(form: Any) -> None:
    """Random valid words: any registers and any combination of modifiers."""
    import random as python_random

    random, values = np.random.default_rng(1), python_random.Random(1)
    for _ in range(60):
        one = bench().one(form.sample(values))
        for turn in range(4):
            prepare(random, int(random.integers(0, 1 << 32)))
            fill(one, ALL_VALUES, random, turn)
            compare(one)
