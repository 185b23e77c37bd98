"""The readable machine: one instruction on numpy values, straight from its body.

`evaluate` is what the compiled core is compared with, and what runs the manual's examples. It knows one
warp, one instruction, no schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from .effects import Effect, Stop
from .lanes import LANES, LaneKind, Mask
from .numerics import RESULT_SUFFIXES, canonical, flush, mask_bits
from .program import CODE_BASE
from .spec import Instruction
from .widths import Width

ALL = 0xFFFFFFFF


@dataclass(slots=True)
class At:
    """Where a memory instruction points: one byte offset per lane into `memory`, and the active lanes."""

    memory: np.ndarray
    offsets: np.ndarray
    active: np.ndarray


def load(at: At, width: Width) -> Any:
    """What the active lanes' addresses hold, extended to registers; lanes that are off read as 0."""
    words = [np.zeros(len(at.offsets), np.uint32) for _ in range(width.kind.words)]
    kind = np.dtype(f"{'i' if width.signed else 'u'}{width.item}")
    for lane in np.flatnonzero(at.active):
        start = int(at.offsets[lane])
        items = at.memory[start : start + width.size].view(kind)
        for word, item in zip(words, items, strict=True):
            word[lane] = int(item) & ALL
    return words[0] if len(words) == 1 else tuple(words)


def load_first(at: At, count: Any, width: Width) -> Any:
    """The first `count` bytes that the active lanes' addresses hold, then zeros up to the width."""
    words = [np.zeros(len(at.offsets), np.uint32) for _ in range(width.kind.words)]
    for lane in np.flatnonzero(at.active):
        start, read = int(at.offsets[lane]), min(int(np.asarray(count)[lane]), width.size)
        data = at.memory[start : start + read].tobytes().ljust(width.size, b"\0")
        for word, item in zip(words, np.frombuffer(data, np.uint32), strict=True):
            word[lane] = item
    return words[0] if len(words) == 1 else tuple(words)


def store(at: At, value: Any, width: Width) -> None:
    """Write the active lanes' registers to their addresses, in lane order."""
    words = cast("tuple[Any, ...]", value if isinstance(value, tuple) else (value,))
    for lane in np.flatnonzero(at.active):
        data = b"".join(int(word[lane]).to_bytes(4, "little")[: width.item] for word in words)
        start = int(at.offsets[lane])
        at.memory[start : start + width.size] = np.frombuffer(data, np.uint8)


def atomic(at: At, item: Any, update: Callable[[Any, Any], Any], a: Any) -> Any:
    """What the active lanes' addresses held, each replaced by `update(held, a)`, lane after lane."""
    return _one_by_one(at, item, lambda held, lane: update(held, np.asarray(a)[lane]))


def compare_exchange(at: At, item: Any, a: Any, b: Any) -> Any:
    """What the active lanes' addresses held, replaced by b where it was a, lane after lane."""
    wanted, given = np.asarray(a), np.asarray(b)
    return _one_by_one(at, item, lambda held, lane: np.where(held == wanted[lane], given[lane], held))


def _one_by_one(at: At, item: Any, update: Callable[[np.ndarray, slice], Any]) -> np.ndarray:
    found = np.zeros(len(at.offsets), item.dtype)
    for lane in np.flatnonzero(at.active):
        start, one = int(at.offsets[lane]), slice(lane, lane + 1)
        place = at.memory[start : start + item.dtype.itemsize]
        held = place.view(item.dtype).copy()
        found[one] = held
        place[:] = np.asarray(update(held, one), item.dtype).view(np.uint8)
    return found


@dataclass(frozen=True, slots=True)
class Modifiers:
    """What a word adds to its instruction: negated and absolute operands by name, and suffixes by name."""

    negate: frozenset[str] = frozenset()
    absolute: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()


def read(kind: Any, bits: Any, lanes: int) -> Any:
    """Register bits (uint32 or, for pairs, uint64 per lane) as a lane value of `kind`."""
    if not isinstance(kind, LaneKind):
        return bits
    if kind is Mask:
        return (np.asarray(bits).ravel()[0] >> np.arange(lanes, dtype=np.uint32) & 1).astype(bool)
    if isinstance(bits, tuple):
        return cast(Any, bits)
    wide = np.asarray(bits, np.uint64 if kind.words == 2 else np.uint32)
    return (np.resize(wide, lanes) if kind.per_word > 1 else wide).view(kind.dtype)


def written(kind: LaneKind, value: Any, lanes: int, suffixes: frozenset[str]) -> Any:
    """A result as register bits: float suffixes applied, NaNs canonical, masks as one number (all ones when scalar)."""
    if isinstance(value, tuple):
        return cast(Any, value)
    value = np.asarray(value)
    if kind is Mask:
        return mask_bits(value) if lanes == LANES else np.where(value, ALL, 0).astype(np.uint32)
    value = np.broadcast_to(value, (lanes * kind.per_word,)).astype(kind.dtype)
    if kind.format is not None:
        value = value.view(f"u{kind.dtype.itemsize}")
        for suffix, function in RESULT_SUFFIXES.items():
            if suffix in suffixes and kind.takes(suffix):
                value = function(value, kind.format)
        value = canonical(value, kind.format)
    return value.view(np.uint64 if kind.dtype.itemsize == 8 else np.uint32)


def evaluate(
    instruction: Instruction, inputs: dict[str, Any], emsk: int = ALL, modifiers: Modifiers = Modifiers()
) -> tuple[Any, ...]:
    """The results of one instruction as register bits, one entry per result kind, lanes that are off included.

    `inputs` maps operand and implicit names to register bits: uint32 arrays of 32 (vector) or 1 (scalar),
    uint64 for pairs, tuples of arrays for x2 and x4, an `At` for an address. A Stop is returned as it is.
    """
    lanes = instruction.lanes
    implicit = {
        "emsk": np.array([emsk], np.uint32),
        "lanes": np.array([ALL], np.uint32),
        "laneid": np.arange(LANES, dtype=np.uint32),
        "following": np.array([0], np.uint64),
        "here": np.array([0], np.uint64),
        "after": np.array([CODE_BASE + 8], np.uint64),
    }
    arguments: list[Any] = []
    with np.errstate(all="ignore"):
        for binding in instruction.bindings:
            if binding.static is not None:
                arguments.append(binding.static)
                continue
            bits = inputs[binding.name] if binding.name in inputs else implicit[binding.name]
            arguments.append(_source(binding.kind, bits, lanes, binding.name, modifiers))
        returned = instruction.body(*arguments)
        if isinstance(returned, Stop) or not instruction.results:
            return (returned,)
        values: tuple[Any, ...] = returned if len(instruction.results) > 1 else (returned,)
        return tuple(
            _result(kind, value, lanes, modifiers) for kind, value in zip(instruction.results, values, strict=True)
        )


def _source(kind: Any, bits: Any, lanes: int, name: str, modifiers: Modifiers) -> Any:
    if name in modifiers.negate and kind.sign:
        sign = np.uint32(kind.sign)
        return bits ^ sign if kind.words == 1 else tuple(word ^ sign for word in bits)
    value = read(kind, bits, lanes)
    if not isinstance(kind, LaneKind) or kind.format is None:
        return value
    number = value.view(f"u{kind.dtype.itemsize}")
    number = number & ~np.array(kind.format.sign, number.dtype) if name in modifiers.absolute else number
    number = number ^ kind.format.sign if name in modifiers.negate else number
    number = flush(number, kind.format) if "ftz" in modifiers.suffixes and kind.takes("ftz") else number
    return number.view(kind.dtype)


def _result(kind: Any, value: Any, lanes: int, modifiers: Modifiers) -> Any:
    if issubclass(kind, Effect):
        return np.asarray(value)
    return written(kind, value, lanes, modifiers.suffixes)
