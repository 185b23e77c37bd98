"""The instruction table: one `@insn` per instruction, everything else derived from it.

`@insn` joins a text pattern, an opcode and a body. Operand kinds come from the pattern, their widths and
modifiers from the body's annotations; encoder, decoder, assembler, disassembler, manual, dispatch, fuzz
samples and tests are loops over `ISA`. A bad table cannot be imported: `Table.check` sees to it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import numpy as np
import numpy.typing as npt

from . import fields
from .effects import IMPLICIT
from .exceptions import INVALID_INSTRUCTION
from .fields import Field, OperandError
from .lanes import Lanes
from .operands import Kind, Value
from .pattern import check_operands, mnemonic_of, operand_kinds, operands_text, suffixes_of
from .program import ARCHITECTURES
from .source_kind import Source
from .suffixes import ORDER, Suffix
from .tags import TAGS

Item = TypeVar("Item", bound=Lanes)
"""Annotation of a family's body that `@insn(..., Item=U32)` fills in."""
Result = TypeVar("Result", bound=Lanes)
"""The same for its result, where that is of another kind: `@insn(..., Result=F16)`."""


class Access(NamedTuple):
    """How an instruction uses memory: which space, counted by which counter, how many bytes a lane."""

    space: str
    counter: str
    size: int
    store: bool
    atomic: bool = False
    """Reads, computes and writes in one: a store that may give back what was there."""
    to: str = ""
    """The operand with the TSM offsets that the bytes are copied to, of an asynchronous copy."""
    counted: str = ""
    """The operand that says how many bytes each lane reads, where that is not always all."""
    rows: int = 0
    """Of an access by the whole warp: how many lanes give the address of a row; the other lanes repeat theirs,"""
    step: int = 0
    """as many bytes further."""

    @property
    def alignment(self) -> int:
        """Bytes an address must be a multiple of."""
        return self.size


class Binding(NamedTuple):
    """One parameter of a body: an operand, an implicit register, or a static value of the family."""

    name: str
    kind: Any
    operand: int | None
    static: Any


@dataclass(eq=False, slots=True)
class Instruction:
    """One instruction: its text, its bits, its meaning and where each of these is known from."""

    pattern: str
    mnemonic: str
    opcode: int
    fixed: int
    kinds: tuple[Kind, ...]
    suffixes: tuple[Suffix, ...]
    body: Callable[..., Any]
    bindings: tuple[Binding, ...]
    results: tuple[Any, ...]
    tag: str
    source: str
    architectures: tuple[str, ...]
    examples: tuple[str, ...]
    access: Access | None
    all_lanes: bool
    """Whether the result is written to lanes that are off, too."""
    fault: int
    """The published exception of the lanes in a `Fault` result."""
    also: tuple[str, ...] = ()
    """Other spellings of the mnemonic, which assemble but are never printed."""
    forms: tuple[Form, ...] = field(default=(), repr=False)

    @property
    def page(self) -> str:
        """The manual's text on this instruction."""
        return inspect.cleandoc(self.body.__doc__ or "").format_map(_Statics(self.bindings))

    @property
    def lanes(self) -> int:
        """1 for a scalar instruction, 32 for a vector one."""
        return 1 if self.mnemonic.startswith(("s.", "smem.", "simt.")) else 32

    @property
    def cube(self) -> int | None:
        """What an AIU copy does, as isa.aiu says; None for other instructions."""
        return next((binding.static for binding in self.bindings if binding.name == "cube"), None)

    @property
    def awbar(self) -> int | None:
        """What it does to an asynchronous barrier, as isa.awbar says; None for other instructions."""
        return next((binding.static for binding in self.bindings if binding.name == "awbar"), None)

    def operand(self, name: str) -> Kind:
        """The operand kind called `name` in the pattern."""
        return next(kind for kind in self.kinds if kind.name == name)

    def __repr__(self) -> str:
        return f"<{self.mnemonic}>"


class _Statics(dict[str, Any]):
    def __init__(self, bindings: tuple[Binding, ...]):
        super().__init__({b.name: b.static for b in bindings})

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


@dataclass(eq=False, slots=True)
class Form:
    """An instruction in one layout: registers only, or with its last source as a 32-bit immediate."""

    instruction: Instruction
    immediate: bool
    mask: int
    value: int
    room: tuple[bool, ...]
    """Which suffixes this layout has a bit for (an immediate leaves none for .sat and .ftz)."""

    @property
    def name(self) -> str:
        """What no other form is called: the pattern, the architecture if it is one, and the immediate layout."""
        one = len(self.instruction.architectures) == 1
        where = f" on {self.instruction.architectures[0]}" if one else ""
        return f"{self.instruction.pattern}{where}{' (immediate)' if self.immediate else ''}"

    def encode(self, values: tuple[Value, ...], suffixes: tuple[int, ...]) -> int:
        """The word for parsed operands; raises OperandError with `.args[1]` the operand's index."""
        word = self.value
        for suffix, value in zip(self.instruction.suffixes, suffixes, strict=True):
            word |= suffix.place.put(value)
        for index, (kind, value) in enumerate(zip(self.instruction.kinds, values, strict=True)):
            try:
                word |= kind.encode(value, self.immediate)
            except OperandError as error:
                error.args = (error.args[0], index)
                raise
        return word

    def matches(self, words: Any) -> Any:
        """Whether words are valid in this form: fixed bits, reserved bits and operand ranges."""
        if isinstance(words, int):
            good = (words & self.mask) == self.value
        else:
            good = (words & np.uint64(self.mask)) == np.uint64(self.value)
        for suffix, able in zip(self.instruction.suffixes, self.room, strict=True):
            good = good & suffix.valid(words) if able else good
        for kind in self.instruction.kinds:
            good = good & kind.valid(words, self.immediate)
        return good

    def values(self, word: int) -> tuple[Value, ...]:
        """The operands of a word that matches."""
        return tuple(kind.decode(word, self.immediate) for kind in self.instruction.kinds)

    def suffixes(self, word: int) -> tuple[int, ...]:
        """The value of each mnemonic suffix in a word that matches; 0 is an absent one."""
        chosen = zip(self.instruction.suffixes, self.room, strict=True)
        return tuple(suffix.place.get(word) if able else 0 for suffix, able in chosen)

    def mnemonic(self, suffixes: tuple[int, ...]) -> str:
        """The mnemonic with its suffixes."""
        chosen = zip(self.instruction.suffixes, suffixes, strict=True)
        return self.instruction.mnemonic + "".join(suffix.text(value) for suffix, value in chosen)

    def spellings(self, suffixes: tuple[int, ...]) -> Iterator[str]:
        """The mnemonic with its suffixes in every way it may be written, the printed one first."""
        chosen = zip(self.instruction.suffixes, suffixes, strict=True)
        texts = [[suffix.text(value)] if value or not suffix.zero else ["", suffix.zero] for suffix, value in chosen]
        names = (self.instruction.mnemonic, *self.instruction.also)
        return ("".join(parts) for parts in itertools.product(names, *texts))

    def choices(self) -> Iterator[tuple[int, ...]]:
        """All combinations of suffix values that this layout has room for."""
        able = zip(self.instruction.suffixes, self.room, strict=True)
        return itertools.product(*[suffix.values if room else (0,) for suffix, room in able])

    def text(self, word: int, instead: Mapping[str, str] = MappingProxyType({})) -> str:
        """The word as assembly text; `instead` has other texts for operands by name."""
        parts = {
            kind.name: instead.get(kind.name) or kind.format(value)
            for kind, value in zip(self.instruction.kinds, self.values(word), strict=True)
        }
        mnemonic = self.mnemonic(self.suffixes(word))
        return f"{mnemonic} {operands_text(self.instruction.pattern, parts)}".rstrip()

    def sample(self, random: Any) -> int:
        """A random valid word of this form."""
        chosen = tuple(
            random.choice(suffix.values[1:]) if able and random.random() < 0.3 else 0
            for suffix, able in zip(self.instruction.suffixes, self.room, strict=True)
        )
        values = tuple(kind.sample(random, self.immediate) for kind in self.instruction.kinds)
        return self.encode(values, chosen)

    def __repr__(self) -> str:
        return f"<{self.instruction.mnemonic}{' imm' if self.immediate else ''}>"


class Decoded(NamedTuple):
    """A word taken apart."""

    form: Form
    values: tuple[Value, ...]
    suffixes: tuple[int, ...]
    """The value of each suffix of the instruction; 0 is an absent one."""

    @property
    def order(self) -> str:
        """The memory order its suffix names, such as "acquire"; "" without one."""
        chosen = zip(self.form.instruction.suffixes, self.suffixes, strict=True)
        text = "".join(suffix.text(value) for suffix, value in chosen if suffix.place == ORDER)
        return text.split(".")[1] if text else ""


class DecodeError(ValueError):
    """A word is no instruction. `code` is the published exception a machine raises when it meets it."""

    def __init__(self, message: str, code: int = INVALID_INSTRUCTION):
        super().__init__(message)
        self.code = code


class Table:
    """All instructions, by opcode and by mnemonic."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.by_opcode: dict[int, list[Form]] = {}
        self.by_mnemonic: dict[str, list[tuple[Form, tuple[int, ...]]]] = {}

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def forms(self) -> Iterator[Form]:
        """Every form of every instruction."""
        return itertools.chain.from_iterable(instruction.forms for instruction in self.instructions)

    def add(self, instruction: Instruction) -> None:
        """Enter an instruction; Table.check says later whether it fits the others."""
        self.instructions.append(instruction)
        for form in instruction.forms:
            self.by_opcode.setdefault(instruction.opcode, []).append(form)
            for chosen in form.choices():
                for spelling in form.spellings(chosen):
                    self.by_mnemonic.setdefault(spelling, []).append((form, chosen))

    def decode(self, word: int, arch: str | None = None) -> Decoded:
        """Take a word apart, as one architecture or any; raises DecodeError naming what is wrong with it."""
        if not 0 <= word < 1 << 64:
            raise DecodeError(f"{word:#x} is no word of 64 bits")
        candidates = self.by_opcode.get(fields.OPCODE.get(word), [])
        here = [form for form in candidates if arch is None or arch in form.instruction.architectures]
        if candidates and not here:
            nearest = _nearest(word, candidates).instruction
            of = ", ".join(nearest.architectures)
            raise DecodeError(f"{word:#018x} is no instruction of {arch}: {nearest.mnemonic} is one of {of}")
        for form in here:
            if (word & form.mask) == form.value:
                for suffix, able in zip(form.instruction.suffixes, form.room, strict=True):
                    if able and not suffix.valid(word):
                        raise _suffix_error(word, form, suffix)
                for kind in form.instruction.kinds:
                    if not kind.valid(word, form.immediate):
                        raise _operand_error(word, form, kind)
                return Decoded(form, form.values(word), form.suffixes(word))
        if not here:
            raise DecodeError(f"{word:#018x} is no instruction: opcode {fields.OPCODE.get(word):#05x} is not assigned")
        nearest = _nearest(word, here)
        wrong = (word ^ nearest.value) & nearest.mask
        where = ", ".join(str(bit) for bit in range(63, -1, -1) if wrong >> bit & 1)
        name = nearest.instruction.mnemonic
        raise DecodeError(f"{word:#018x} is no instruction: nearest is {name}, but for bits {where}")

    def decode_many(self, words: npt.ArrayLike) -> np.ndarray:
        """Index into list(forms()) for each word of 64 bits, or -1 where it is no instruction."""
        words = np.asarray(words, np.uint64)
        index = {id(form): n for n, form in enumerate(self.forms())}
        found = np.full(len(words), -1, np.int32)
        opcodes = fields.OPCODE.get(words)
        order = np.argsort(opcodes, kind="stable")
        starts = np.searchsorted(opcodes[order], np.arange(1025))
        for opcode, forms in self.by_opcode.items():
            places = order[starts[opcode] : starts[opcode + 1]]
            for form in forms:
                found[places[np.asarray(form.matches(words[places]), bool)]] = index[id(form)]
        return found

    def text(self, word: int) -> str:
        """A word as assembly text; raises DecodeError."""
        return self.decode(word).form.text(word)

    def check(self) -> None:
        """Refuse two forms that share a word; called once when the ISA is imported."""
        for forms in self.by_opcode.values():
            for a, b in itertools.combinations(forms, 2):
                shared = a.mask & b.mask & (a.value ^ b.value)
                apart = set(a.instruction.architectures).isdisjoint(b.instruction.architectures)
                if not shared and not apart:
                    raise TypeError(f"{a.instruction.pattern} and {b.instruction.pattern} overlap")
        seen: set[tuple[str, str]] = set()
        for instruction in self.instructions:
            here = {(instruction.pattern, arch) for arch in instruction.architectures}
            if here & seen:
                raise TypeError(f"{instruction.pattern} stands twice in the table")
            seen |= here


def _nearest(word: int, forms: list[Form]) -> Form:
    """The form whose fixed bits the word has but for the fewest."""
    return min(forms, key=lambda form: ((word ^ form.value) & form.mask).bit_count())


def _suffix_error(word: int, form: Form, suffix: Suffix) -> DecodeError:
    return DecodeError(
        f"{word:#018x} is no instruction: {form.instruction.mnemonic}: bits {suffix.place.high}:{suffix.place.low} "
        f"are {suffix.place.get(word)}, which is none of {', '.join(suffix.texts.values())}"
    )


def _operand_error(word: int, form: Form, kind: Kind) -> DecodeError:
    value = kind.decode(word, form.immediate)
    try:
        kind.encode(value, form.immediate)
    except OperandError as error:
        return DecodeError(f"{word:#018x} is no instruction: {form.instruction.mnemonic}: {error.args[0]}", error.code)
    return DecodeError(f"{word:#018x} is no instruction: {form.instruction.mnemonic}: operand {kind.name} is invalid")


ISA = Table()
"""The whole instruction set; filled when the families are imported by the package."""


def insn(
    pattern: str,
    *,
    opcode: int,
    tag: str,
    ex: str | tuple[str, ...],
    source: str = "",
    fixed: Mapping[Field, int] | None = None,
    access: Access | None = None,
    architectures: tuple[str, ...] = tuple(ARCHITECTURES),
    immediate: bool = True,
    all_lanes: bool = False,
    fault: int = 0,
    also: tuple[str, ...] = (),
    Item: Any = None,
    Result: Any = None,
    operand_types: Mapping[str, Any] | None = None,
    **statics: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated body as the meaning of `pattern`.

    `ex` is one or more examples `a=1.5 b=2.25 | d=3.75`: operand values before, results after. `statics`
    bind parameters of the body that are constants of this member of a family; `Item` and `Result` fill in the type
    variables of these names, `operand_types` others by their names. `immediate=False` forbids the immediate layout.
    `also` are other spellings of the mnemonic. Raises TypeError when the parts do not fit each other.
    """

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        examples = (ex,) if isinstance(ex, str) else ex
        _check_page(pattern, tag, source, examples, body)
        chosen = {"Item": Item, "Result": Result, **(operand_types or {})}
        kinds_of, results = _annotations(body, chosen)
        check_operands(pattern, kinds_of, results)
        kinds = operand_kinds(pattern, kinds_of, results, immediate and access is None)
        instruction = Instruction(
            pattern=pattern,
            mnemonic=mnemonic_of(pattern),
            opcode=opcode,
            fixed=sum(place.put(value) for place, value in (fixed or {}).items()),
            kinds=kinds,
            suffixes=suffixes_of(pattern),
            body=body,
            bindings=_bindings(pattern, kinds_of, kinds, statics),
            results=results,
            tag=tag,
            source=source,
            architectures=architectures,
            examples=examples,
            access=access,
            all_lanes=all_lanes,
            fault=fault,
            also=also,
        )
        fixed_bits = fields.OPCODE.mask | sum(place.mask for place in (fixed or {}))
        layouts = [True] if ":imm}" in pattern else _layouts(kinds)
        instruction.forms = tuple(_form(instruction, layout, fixed_bits) for layout in layouts)
        ISA.add(instruction)
        return body

    return register


def _check_page(pattern: str, tag: str, source: str, examples: tuple[str, ...], body: Callable[..., Any]) -> None:
    """Refuse an instruction that the manual could not tell about."""
    if tag not in TAGS:
        raise TypeError(f"{pattern}: tag must be one of {TAGS}")
    if tag != "defined" and not source:
        raise TypeError(f"{pattern}: a {tag} instruction names its source")
    if not examples or not body.__doc__:
        raise TypeError(f"{pattern}: an instruction needs a docstring and an example")


def _annotations(body: Callable[..., Any], chosen: dict[str, Any]) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Parameter kinds by name, and the kinds of the results; the type variables of a family filled in."""

    def kind_of(hint: Any) -> Any:
        return chosen[hint.__name__] if isinstance(hint, TypeVar) else hint

    hints = {name: kind_of(hint) for name, hint in inspect.get_annotations(body, eval_str=True).items()}
    result = hints.pop("return", None)
    if get_origin(result) is tuple:
        return hints, tuple(kind_of(part) for part in get_args(result))
    return hints, () if result is None else (result,)


def _bindings(
    pattern: str, hints: dict[str, Any], kinds: tuple[Kind, ...], statics: dict[str, Any]
) -> tuple[Binding, ...]:
    order = {kind.name: index for index, kind in enumerate(kinds)}
    bindings: list[Binding] = []
    for name, hint in hints.items():
        if name in statics:
            bindings.append(Binding(name, hint, None, statics[name]))
        elif name in order:
            bindings.append(Binding(name, hint, order[name], None))
        elif name in IMPLICIT:
            bindings.append(Binding(name, hint, None, None))
        else:
            raise TypeError(f"{pattern}: the body's parameter {name} is no operand, implicit register or static value")
    if set(statics) - set(hints):
        raise TypeError(f"{pattern}: the body has no parameters {sorted(set(statics) - set(hints))}")
    return tuple(bindings)


def _layouts(kinds: tuple[Kind, ...]) -> list[bool]:
    able = any(isinstance(kind, Source) and kind.flags.last for kind in kinds)
    return [False, True] if able else [False]


def _form(instruction: Instruction, immediate: bool, fixed_bits: int) -> Form:
    owned, free = fixed_bits, 0
    value = fields.OPCODE.put(instruction.opcode) | instruction.fixed
    if any(isinstance(kind, Source) and kind.flags.last for kind in instruction.kinds):
        owned |= fields.IMMEDIATE_FLAG.mask
        value |= fields.IMMEDIATE_FLAG.mask if immediate else 0
    for kind in instruction.kinds:
        bits = kind.bits(immediate)
        if bits & owned:
            raise TypeError(f"{instruction.pattern}: operand {kind.name} overlaps bits {bits & owned:#x}")
        owned, free = owned | bits, free | bits
    room = tuple(not suffix.place.mask & owned for suffix in instruction.suffixes)
    if not immediate and not all(room):
        raise TypeError(f"{instruction.pattern}: a suffix overlaps other bits")
    free |= sum(suffix.place.mask for suffix, able in zip(instruction.suffixes, room, strict=True) if able)
    mask = ~free & ((1 << 64) - 1)
    if value & ~mask:
        raise TypeError(f"{instruction.pattern}: fixed bits lie inside an operand")
    return Form(instruction, immediate, mask, value, room)


__all__ = ["ISA", "Access", "DecodeError", "Decoded", "Form", "Instruction", "Item", "Result", "insn"]
