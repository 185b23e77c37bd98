"""The items a program is made of. Each can be deleted, and stands for itself: what it needs in registers it sets."""

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from model.meaning import ARCH

from m890.isa import ISA
from m890.isa.matrix_operands import MatrixKind
from m890.isa.number_kinds import CodeTarget
from m890.isa.operands import RegisterKind
from m890.isa.program import CODE_BASE
from m890.isa.registers import VCC, Register
from m890.isa.spec import Form

from . import samples
from .accesses import access, access_forms, burst, copies, prefetch
from .copies import awbar, copy_cube
from .pieces import Item, Loop, all_lanes, data, encode, forms_of, mask, s, v
from .samples import ADDRESS, DATA, FAR, SAVED
from .together import (
    assertion,
    barrier,
    exchange,
    forms_with,
    indexed,
    indexed_forms,
    named_barrier,
    printing,
    sleep,
    warp_sync,
)

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


@cache
def matrix_forms(arch: str) -> tuple[Form, ...]:
    """Matrix instructions of an architecture."""
    forms = (form for form in ISA.forms() if any(isinstance(kind, MatrixKind) for kind in form.instruction.kinds))
    return tuple(form for form in forms if arch in form.instruction.architectures)


def matrix(random: Random, form: Form) -> Item:
    """A matrix instruction: all lanes must have come, and be on."""
    values = list[Any]()
    for kind in form.instruction.kinds:
        if not isinstance(kind, RegisterKind):
            values.append(kind.sample(random, False))
            continue
        register = v(random.randrange(0, len(DATA["v"]) - kind.words + 1, 2), kind.words)
        negate = isinstance(kind, MatrixKind) and bool(kind.negate) and random.random() < 0.2
        values.append(register._replace(negate=negate))
    return Item([encode("s.blksyn"), all_lanes(), form.encode(tuple(values), ())], barrier=True, full=True)


@cache
def older_forms() -> tuple[Form, ...]:
    """Accesses and copies that only the older chip has."""
    forms = (form for form in ISA.forms() if ARCH not in form.instruction.architectures)
    return tuple(form for form in forms if form.instruction.access or form.instruction.cube is not None)


def older(random: Random, form: Form) -> Item:
    """One of them; of its copies, some are waited for."""
    if form.instruction.access:
        return access(random, form)
    item = copy_cube(random, form)
    if random.random() < 0.5:
        item.words += [encode("vmem.acp.commit.grp"), encode("s.wait", (("commit_group", 0),))]
    return item


def any_matrix(random: Random) -> Item:
    """One of them: they are many, and slow."""
    return matrix(random, random.choice(matrix_forms(ARCH)))


def restore(random: Random) -> Item:
    """All lanes of the path run again."""
    return Item([all_lanes()])


def branch(random: Random, operation: str) -> Item:
    """A jump forward, of the path or of some of its lanes."""
    operands = () if operation == "s.cbr" else (mask(random),)
    return Item([encode(operation, *operands, 0)], skip=random.choice([0, 1, 2, 3, 5, 8, 13]))


CODE_HIGH = CODE_BASE >> 32


def far_jump(random: Random, form: Form) -> Item:
    """A jump forward to a code address: in the word, or in registers that are set before."""
    skip, kinds = random.choice([0, 1, 2, 3, 5]), form.instruction.kinds
    result = [random.choice(samples.data("s", 2))] if kinds[0].role == "destination" else []
    if any(isinstance(kind, CodeTarget) for kind in kinds):
        return Item([form.encode((*result, 0), ())], skip, address=0)
    bank = form.instruction.kinds[-1].bank
    low = Register(bank, ADDRESS if bank == "v" else FAR)
    words = [
        encode(f"{bank}.mov.b32", low, 0, immediate=True),
        encode(f"{bank}.mov.b32", low._replace(number=low.number + 1), CODE_HIGH, immediate=True),
        form.encode((*result, low._replace(count=2)), ()),
    ]
    return Item(words, skip, address=0)


def loop(random: Random) -> Item:
    return Item([], loop=Loop(random.choice([1, 2, 4, 8]), random.randint(1, 3), random.random() < 0.4))


def some_end(random: Random) -> Item:
    """A few lanes end, or the warp does: mostly not."""
    few = random.choice([1, 0x80000000, 0x10100, random.getrandbits(32) & random.getrandbits(32)])
    if random.random() < 0.2:
        over = encode("s.cbr.nz", mask(random), 1)
        return Item([over, encode("s.exit")], ends=True)
    masked = encode("s.mov.b32", s(SAVED), few, immediate=True)
    drop = encode("s.lop.emsk", s(SAVED), s(SAVED), 8)
    return Item([masked, drop, encode("simt.exit"), all_lanes()], ends=True)


def idle(random: Random, name: str) -> Item:
    return Item([encode(name)])


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
        *[(3, _with(far_jump, form)) for form in forms_with("s.call", "s.ret", "s.cbr.ind", "simt.cbr.ind")],
        (15, loop),
        (4, any_matrix),
        (3, some_end),
        *[(2, _with(idle, name)) for name in ("s.nop", "v.reg.dchk")],
        *[(1, _with(wait, form)) for form in wait_forms()],
        *[(4, _with(barrier, name)) for name in ("s.blksyn", "s.blksyn.defer")],
        (8, exchange),
        *[(1, _with(named_barrier, form)) for form in forms_with("s.bar.")],
        *[(1, _with(sleep, form)) for form in forms_with("s.sleep")],
        *[(1, _with(warp_sync, form)) for form in forms_with("s.warp.sync")],
        *[(2, _with(assertion, form)) for form in forms_with("v.assert")],
        *[(1, _with(printing, form)) for form in forms_with("v.print", "s.print")],
        *[(3, _with(indexed, form)) for form in indexed_forms()],
        *[(2, _with(prefetch, form)) for form in forms_with("vmem.prefetch")],
        *[(6, _with(burst, space)) for space in ("global", "tsm", "private")],
        (16, copies),
        (4, _with(idle, "vmem.acp.commit.grp")),
        *[(1, _with(copy_cube, form)) for form in here(forms_with("vmem.aiu."))],
        *[(1, _with(awbar, form)) for form in here(forms_with("tsm.awbar.", "vmem.acp.awbar."))],
        (5, clock),
    ]


def here(forms: tuple[Form, ...]) -> list[Form]:
    """Those that only have to be made: of the architecture of random programs, and not among those that compute."""
    plain = samples.plain_forms()
    return [form for form in forms if ARCH in form.instruction.architectures and form not in plain]


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
