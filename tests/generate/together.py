"""Items in which warps, lanes and the developer meet: barriers, exchange through TSM, assertions, prints, ivreg."""

from functools import cache
from random import Random

from m890.isa import ISA
from m890.isa.number_kinds import Number
from m890.isa.operands import Address
from m890.isa.program import DATA_BASE
from m890.isa.registers import INDEX_REGISTER, IVREG, LANE_SPECIALS, UNIFORM_SPECIALS, Register
from m890.isa.source_kind import Source
from m890.isa.spec import Form

from .pieces import Item, data, encode, forms_of, mask, s, v
from .samples import DATA, GIVEN, INDEX, LENT, SCALAR_INDEX, TAKEN

MOST_PRINTED = 3
TEXT_BYTES = 32
TEXTS = b"".join((f"{count}:" + "%x," * count).encode().ljust(TEXT_BYTES, b"\0") for count in range(MOST_PRINTED + 1))
"""The module's data: a text for each number of values."""


def printed(text: int, values: tuple[int, ...]) -> str:
    """What a print writes."""
    count = (text - DATA_BASE) // TEXT_BYTES
    return f"{count}:" + "".join(f"{value:x}," for value in values)


@cache
def forms_with(*starts: str) -> tuple[Form, ...]:
    """Forms by the start of their mnemonic."""
    return tuple(form for form in ISA.forms() if form.instruction.mnemonic.startswith(starts))


def barrier(random: Random, name: str) -> Item:
    """The block's barrier."""
    return Item([encode(name)], barrier=True)


def named_barrier(random: Random, form: Form) -> Item:
    """A named barrier for the whole block. An arrival stands between two other barriers: nobody comes twice."""
    b, warps, before, values = random.randrange(16), None, [], []
    for kind in form.instruction.kinds:
        if kind.name == "m":
            values.append(mask(random))
        elif isinstance(kind, Number) or (isinstance(kind, Source) and kind.flags.last and form.immediate):
            warps = random.randint(1, 3) if kind.name == "n" else warps
            values.append(b if kind.name == "b" else 32 * (warps or 1))
        elif kind.name == "b":
            before.append(encode("s.mov.b32", s(SCALAR_INDEX), b, immediate=True))
            values.append(s(SCALAR_INDEX))
        else:
            before.append(encode("s.shll.b32", s(LENT), s(UNIFORM_SPECIALS["%nwarpid"][0]), 5, immediate=True))
            values.append(s(LENT))
    words = [*before, form.encode(tuple(values), ())]
    if "arrive" in form.instruction.mnemonic:
        words = [encode("s.blksyn"), *words, encode("s.blksyn")]
    return Item(words, barrier=True, warps=warps)


def exchange(random: Random) -> Item:
    """Every warp gives a register to its neighbour: TSM between two barriers."""
    index = encode("v.mov.b32", v(INDEX), s(LANE_SPECIALS["%laneid"][0]))
    give = encode("tsm.st.b32", data(random, "v"), Address(0, v(INDEX), 2, s(GIVEN)))
    take = encode("tsm.ld.b32", data(random, "v"), Address(0, v(INDEX), 2, s(TAKEN)))
    return Item([index, give, encode("s.blksyn"), take, encode("s.blksyn")], barrier=True)


def sleep(random: Random, form: Form) -> Item:
    """Other warps run first; behind a barrier, where the warp has only one path."""
    n = random.randrange(100) if form.immediate else data(random, "s")
    return Item([encode("s.blksyn"), form.encode((n,), ())], barrier=True)


def _some_active(random: Random, operation: str) -> list[int]:
    """A mask with active lanes only (and), or with all of them (or)."""
    return [encode("v.activemask.b32", s(LENT)), encode(operation, s(LENT), s(LENT), data(random, "s"))]


def warp_sync(random: Random, form: Form) -> Item:
    if form.immediate:
        return Item([form.encode((0,), ())])
    return Item([*_some_active(random, "s.and.b32"), form.encode((s(LENT),), ())])


def assertion(random: Random, form: Form) -> Item:
    """One that holds."""
    values = (s(LENT), DATA_BASE)[: len(form.instruction.kinds)]
    return Item([*_some_active(random, "s.or.b32"), form.encode(values, ())])


def printing(random: Random, form: Form) -> Item:
    if len(form.instruction.kinds) == 1:
        return Item([form.encode((DATA_BASE,), ())])
    bank, count = form.instruction.mnemonic[0], random.randint(1, MOST_PRINTED)
    values = Register(bank, random.choice(DATA[bank][:-MOST_PRINTED]), count)
    return Item([form.encode((DATA_BASE + TEXT_BYTES * count, values), ())])


@cache
def indexed_forms() -> tuple[Form, ...]:
    """Forms that read or write the vector register that x0 selects."""
    return tuple(form for form in forms_of("v.mov.b32") if "ivreg" in form.instruction.pattern)


def indexed(random: Random, form: Form) -> Item:
    """x0 first, within the data registers."""
    select = encode("s.and.b32", s(INDEX_REGISTER), data(random, "s"), len(DATA["v"]) - 1, immediate=True)
    kinds = form.instruction.kinds
    plain = random.getrandbits(32) if form.immediate else data(random, "v")
    values = tuple(IVREG if "ivreg" in kind.summary() else plain for kind in kinds)
    return Item([select, encode("s.wait", (("pipe_flush", 0),)), form.encode(values, ())])
