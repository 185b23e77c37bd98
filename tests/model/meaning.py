"""From a word to a step: which operands a function of a family reads, and where its results go.

`@lanes` registers a function of one lane's values: its parameters are the names of operands in the manual, its result
goes to the destination (a tuple to several). It is called for each active lane, or once for a scalar instruction.
`@warp` registers a function of the whole warp, which does everything by itself.

A name in braces stands for the alternatives given, and `{unit}` for s and v: `@lanes("{unit}.mulh.{read}", read={"u32":
..., "i32": ...})`. The chosen alternative is the value of the keyword parameter of that name, if there is one.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import product
from string import Formatter
from typing import Any, NamedTuple

from m890.isa import ISA
from m890.isa.operands import Kind, RegisterKind
from m890.isa.registers import LANE_SPECIALS, Register
from m890.isa.spec import Decoded

from .formats import Format, Pair
from .machine import ALL, EMSK, LANES, ONE, ZERO, Warp, lanes_of

Step = Callable[[Warp], Any]
UNITS = {"s": "s", "v": "v"}
LANE_NUMBERS = {number for number, _ in LANE_SPECIALS.values()}


Floats = Format | Pair


class Meaning(NamedTuple):
    """What a mnemonic does."""

    function: Callable[..., Any]
    parameters: tuple[str, ...]
    """The operands of a function of one lane; empty for one of the warp."""
    whole: bool
    """Whether the function is one of the whole warp."""
    everywhere: bool
    """Whether lanes that are off are written, too."""
    sources: Mapping[str, Floats]
    """The format of each float source, which the modifiers and .ftz need."""
    result: Floats | None


MEANINGS: dict[str, Meaning] = {}
"""What each mnemonic does, without its optional suffixes."""


def lanes(
    pattern: str,
    *,
    sources: Floats | Mapping[str, Floats] | None = None,
    result: Floats | None = None,
    everywhere: bool = False,
    **alternatives: Mapping[str, Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of one lane's values; `sources` is the format of all of them, or of those it names."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for mnemonic, chosen in _spelled(pattern, alternatives):
            bound, names = _bind(function, chosen)
            _enter(mnemonic, Meaning(bound, names, False, everywhere, _formats(names, sources), result))
        return function

    return register


def _formats(names: tuple[str, ...], given: Floats | Mapping[str, Floats] | None) -> Mapping[str, Floats]:
    if given is None or isinstance(given, Mapping):
        return given or {}
    return dict.fromkeys(names, given)


def warp(
    pattern: str, sources: Mapping[str, Floats] | None = None, **alternatives: Mapping[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of the warp.

    Its other parameters are operands as they are decoded; `suffixes`, the names of those that the word has, memory
    order included; and `read`, a function for each source that gives its value in every lane.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for mnemonic, chosen in _spelled(pattern, alternatives):
            bound, names = _bind(function, chosen)
            _enter(mnemonic, Meaning(bound, names[1:], True, False, sources or {}, None))
        return function

    return register


def _enter(mnemonic: str, meaning: Meaning) -> None:
    assert mnemonic not in MEANINGS, f"{mnemonic} stands twice in the model"
    MEANINGS[mnemonic] = meaning


def _spelled(pattern: str, alternatives: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    names = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    choices = [alternatives.get(name, UNITS) for name in names]
    spelled = []
    for keys in product(*choices):
        chosen = {name: choice[key] for name, choice, key in zip(names, choices, keys, strict=True)}
        spelled.append((pattern.format(**dict(zip(names, keys, strict=True))), chosen))
    return spelled


def _bind(function: Callable[..., Any], chosen: dict[str, Any]) -> tuple[Callable[..., Any], tuple[str, ...]]:
    parameters = inspect.signature(function).parameters.values()
    wanted = {p.name: chosen[p.name] for p in parameters if p.kind == p.KEYWORD_ONLY}
    names = tuple(p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD)
    return (partial(function, **wanted) if wanted else function), names


ARCH = "ppu0015"


@lru_cache(maxsize=1 << 16)
def decode(word: int, arch: str = ARCH) -> Decoded:
    """A word taken apart by the table."""
    return ISA.decode(word, arch)


@lru_cache(maxsize=1 << 16)
def step_of(word: int, arch: str = ARCH) -> Step:
    """The step of a word."""
    decoded = decode(word, arch)
    instruction = decoded.form.instruction
    meaning = MEANINGS[instruction.mnemonic]
    if meaning.whole:
        return _whole(meaning, decoded)
    return _vector(meaning, decoded) if instruction.lanes == LANES else _scalar(meaning, decoded)


def _operands(decoded: Decoded) -> dict[str, tuple[Kind, Any]]:
    pairs = zip(decoded.form.instruction.kinds, decoded.values, strict=True)
    return {kind.name: (kind, value) for kind, value in pairs}


def _suffixes(decoded: Decoded) -> set[str]:
    chosen = zip(decoded.form.instruction.suffixes, decoded.suffixes, strict=True)
    return {suffix.name for suffix, on in chosen if on} | {decoded.order}


def _whole(meaning: Meaning, decoded: Decoded) -> Step:
    values: dict[str, Any] = {name: value for name, (_, value) in _operands(decoded).items()}
    values = {name: value for name, value in values.items() if name in meaning.parameters}
    if "suffixes" in meaning.parameters:
        values["suffixes"] = _suffixes(decoded)
    if "arch" in meaning.parameters:
        values["arch"] = decoded.form.instruction.architectures[0]
    if "read" in meaning.parameters:
        values["read"] = {
            name: _modified(_reader(kind, value, LANES), value, meaning.sources.get(name), False)
            for name, (kind, value) in _operands(decoded).items()
            if kind.role != "destination" and isinstance(value, Register | int)
        }
    return partial(meaning.function, **values)


# Values that come from registers.


def scalar_value(number: int, words: int) -> Callable[[Warp], int]:
    """A reader of one or two scalar registers."""
    if number in (ZERO, ONE):
        return lambda warp: number - ZERO
    if words == 1:
        return lambda warp: warp.s[number]
    return lambda warp: warp.s[number] | warp.s[number + 1] << 32


def vector_values(number: int, words: int) -> Callable[[Warp], list[int]]:
    """A reader of one or two vector registers."""
    if words == 1:
        return lambda warp: warp.v[number]
    return lambda warp: [low | high << 32 for low, high in zip(warp.v[number], warp.v[number + 1], strict=True)]


def mask_bits(number: int) -> Callable[[Warp], list[int]]:
    """A reader of a scalar register that is a mask."""
    return lambda warp: [warp.s[number] >> lane & 1 for lane in range(LANES)]


def lane_values(register: Register) -> Callable[[Warp], list[int]]:
    """A reader of a register of either bank, one word for each lane."""
    if register.bank == "v":
        return vector_values(register.number, 1)
    read = scalar_value(register.number, 1)
    return lambda warp: [read(warp)] * LANES


def _reader(kind: Any, value: Any, lanes: int) -> Callable[[Warp], Any]:
    words = getattr(kind, "words", 1)
    if not isinstance(value, Register):
        constant = value & ((1 << 32 * words) - 1)
        row = [constant] * lanes
        return (lambda warp: constant) if lanes == 1 else (lambda warp: row)
    if value.bank == "v":
        return vector_values(value.number, words)
    if value.bank == "i":
        return lambda warp: warp.v[warp.indexed()]
    if value.number in LANE_NUMBERS:
        return lambda warp: warp.special[value.number]
    if lanes > 1 and type(kind) is RegisterKind:
        return mask_bits(value.number)
    read = scalar_value(value.number, words)
    return read if lanes == 1 else lambda warp: [read(warp)] * lanes


def _modified(read: Callable[[Warp], list[int]], value: Any, fmt: Floats | None, flush: bool) -> Any:
    """The source modifiers, in the manual's order: absolute value, negation, flush."""
    if fmt is not None and fmt.mask != ALL:
        whole, mask = read, fmt.mask
        read = lambda warp: [x & mask for x in whole(warp)]  # noqa: E731
    if isinstance(value, Register) and (value.negate or value.absolute):
        assert fmt is not None, "a float source"
        sign, keep, flip = fmt.sign, ~fmt.sign if value.absolute else -1, fmt.sign if value.negate else 0
        assert sign
        plain = read
        read = lambda warp: [x & keep ^ flip for x in plain(warp)]  # noqa: E731
    if flush and fmt is not None:
        kept = read
        read = lambda warp: [fmt.flush(x) for x in kept(warp)]  # noqa: E731
    return read


# Steps.


def _vector(meaning: Meaning, decoded: Decoded) -> Step:
    operands, suffixes = _operands(decoded), _suffixes(decoded)
    flush = "ftz" in suffixes
    readers = []
    for name in meaning.parameters:
        kind, value = operands[name]
        readers.append(_modified(_reader(kind, value, LANES), value, meaning.sources.get(name), flush))
    writers = [_writer(kind, value) for kind, value in operands.values() if kind.role == "destination"]
    function = meaning.function
    if meaning.result:
        function = _finished(function, meaning.result, suffixes)
    everywhere, single = meaning.everywhere, len(writers) == 1

    def step(warp: Warp) -> None:
        active = ALL if everywhere else warp.s[EMSK]
        columns = [read(warp) for read in readers]
        if active == ALL:
            results = list(map(function, *columns))
        else:
            results = [function(*[column[lane] for column in columns]) for lane in lanes_of(active)]
        if single:
            writers[0](warp, active, results)
            return
        for place, write in enumerate(writers):
            write(warp, active, [result[place] for result in results])

    return step


def _finished(function: Callable[..., int], fmt: Floats, suffixes: set[str]) -> Callable[..., int]:
    """What suffixes do to a result."""
    ways = {"ftz": fmt.flush, "sat": fmt.saturate, "relu": fmt.relu, "satfinite": fmt.finite}
    for name, change in ways.items():
        if name == "ftz" and isinstance(fmt, Format) and not fmt.like_binary32:
            continue
        if name in suffixes:
            function = _then(function, change)
    return function


def _then(function: Callable[..., int], change: Callable[[int], int]) -> Callable[..., int]:
    return lambda *values: change(function(*values))


def _writer(kind: Any, register: Register) -> Callable[[Warp, int, list[int]], None]:
    """Where the results of the active lanes go: vector registers, or a scalar one as a mask."""
    number, words = register.number, kind.words
    if register.bank == "s":
        return lambda warp, active, results: warp.set_scalar(
            number, sum(1 << lane for lane, holds in zip(lanes_of(active), results, strict=True) if holds)
        )

    if register.bank == "i":
        return lambda warp, active, results: write_vector(warp, warp.indexed(), 1, active, results)
    return lambda warp, active, results: write_vector(warp, number, words, active, results)


def write_vector(warp: Warp, number: int, words: int, active: int, results: list[int]) -> None:
    """Results of the active lanes, in their order, to one or more vector registers."""
    for word in range(words):
        parts = [result >> 32 * word & ALL for result in results] if word else [r & ALL for r in results]
        warp.v[number + word] = parts if active == ALL else _merged(warp.v[number + word], active, parts)


def _merged(old: list[int], active: int, new: list[int]) -> list[int]:
    row = old[:]
    for lane, value in zip(lanes_of(active), new, strict=True):
        row[lane] = value
    return row


def _scalar(meaning: Meaning, decoded: Decoded) -> Step:
    operands = _operands(decoded)
    readers = [_reader(*operands[name], 1) for name in meaning.parameters]
    kind, register = next(pair for pair in operands.values() if pair[0].role == "destination")
    function, number, words = meaning.function, register.number, kind.words

    def step(warp: Warp) -> None:
        result = function(*[read(warp) for read in readers])
        for word in range(words):
            warp.set_scalar(number + word, result >> 32 * word)

    return step
