"""The readable machine, a word at a time: what an instruction does to the registers of a warp.

Registers are rows of 32 words, one for each lane, as in the compiled core: rows 0 to 255 are the scalar operand
numbers (sregs, emsk, special registers), each with its value in every lane; then come the vector registers.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .effects import Effect, Emsk, Fault, Stop
from .lanes import LANES, LaneKind, Mask
from .number_kinds import CodeTarget, Target
from .operands import IndexedKind, NamedKind, RegisterKind
from .reference import ALL, Modifiers, evaluate
from .registers import EMSK, INDEX_REGISTER, LANE_SPECIALS, ONE, SCALAR_ROWS, UNIFORM_SPECIALS, ZERO, Register
from .source_kind import Source
from .spec import ISA, Decoded


def entry_rows(vregs: int = 256) -> np.ndarray:
    """Rows for one warp with 32 threads, alone in its grid: emsk and special registers are set, all else is 0."""
    rows = np.zeros((SCALAR_ROWS + vregs, LANES), np.uint32)
    lanes = np.arange(LANES, dtype=np.uint64)
    bit = np.uint64(1) << lanes
    masks = {"eq": bit, "lt": bit - 1, "le": 2 * bit - 1, "gt": ~(2 * bit - 1), "ge": ~(bit - 1)}
    for name in ("%tid.x", "%laneid"):
        rows[LANE_SPECIALS[name][0]] = lanes
    for name, mask in masks.items():
        rows[LANE_SPECIALS[f"%lanemask_{name}"][0]] = mask & np.uint64(ALL)
    for name in ("%ntid.y", "%ntid.z", "%nblkid.x", "%nblkid.y", "%nblkid.z", "%nwarpid", "%nchips"):
        rows[UNIFORM_SPECIALS[name][0]] = 1
    rows[UNIFORM_SPECIALS["%ntid.x"][0]] = LANES
    rows[EMSK], rows[ONE] = ALL, 1
    return rows


def row_of(register: Register, rows: np.ndarray) -> int:
    """The row of a register's first word; of ivreg the one that x0 selects."""
    if register.bank == "i":
        return SCALAR_ROWS + int(rows[INDEX_REGISTER, 0])
    return register.number + (SCALAR_ROWS if register.bank == "v" else 0)


def step(word: int | Decoded, rows: np.ndarray, path: int = ALL) -> dict[Any, Any]:
    """Do an instruction of a warp whose running path has the lanes of `path`: changes `rows`, uint32 of (rows, 32).

    Returns what it asks for besides, by the kind of effect: `Next`, `Jump` and `Split` say where to go on, a `Stop` is
    for the schedule, a `Fault` that is not 0 says that it faults, and then nothing is written. Raises DecodeError for
    a word that is no instruction, ValueError for one that loads or stores, IndexError for a register without a row.
    """
    decoded = ISA.decode(word) if isinstance(word, int) else word
    instruction = decoded.form.instruction
    emsk = int(rows[EMSK, 0])
    results = evaluate(instruction, inputs_of(decoded, rows, path), emsk, modifiers_of(decoded))
    kinds = instruction.results
    effects: dict[Any, Any] = {
        kind: result if kind is Stop else np.asarray(result)
        for kind, result in zip(kinds, results, strict=bool(kinds))
        if issubclass(kind, Effect | Stop)
    }
    if Fault in effects and effects[Fault].any():
        return effects
    destinations = [v for k, v in zip(instruction.kinds, decoded.values, strict=True) if k.role == "destination"]
    written = [pair for pair in zip(kinds, results, strict=bool(kinds)) if isinstance(pair[0], LaneKind)]
    for register, (kind, result) in zip(destinations, written, strict=False):  # some are for the schedule to write
        assert isinstance(register, Register)
        active = ALL if instruction.all_lanes else emsk
        mask = emsk if kind is Mask and instruction.lanes == LANES else ALL
        _write(rows, register, words_of(result), active, mask, path)
    if Emsk in effects:
        rows[EMSK] = int(effects[Emsk].ravel()[0])
    return effects


def modifiers_of(decoded: Decoded) -> Modifiers:
    """What a word adds to its instruction."""
    instruction = decoded.form.instruction
    named = [(k.name, v) for k, v in zip(instruction.kinds, decoded.values, strict=True) if isinstance(v, Register)]
    return Modifiers(
        frozenset(name for name, register in named if register.negate),
        frozenset(name for name, register in named if register.absolute),
        frozenset(suffix.name for suffix, on in zip(instruction.suffixes, decoded.suffixes, strict=True) if on),
    )


def inputs_of(decoded: Decoded, rows: np.ndarray, path: int = ALL) -> dict[str, Any]:
    """The bits of each operand that the body reads, as `evaluate` takes them."""
    instruction = decoded.form.instruction
    found: dict[str, Any] = {"lanes": np.array([path], np.uint32)}
    for binding in instruction.bindings:
        if binding.operand is None or binding.static is not None:
            continue
        kind, value = instruction.kinds[binding.operand], decoded.values[binding.operand]
        lanes = LANES if _reads_lanes(kind) else 1
        words = getattr(binding.kind, "words", 1)
        wide = np.uint64 if words == 2 else np.uint32
        if isinstance(value, Register) and value.number in (ZERO, ONE) and value.bank == "s":
            found[binding.name] = np.full(lanes, value.number - ZERO, wide)
        elif isinstance(value, Register):
            start = row_of(value, rows)
            if start + words > len(rows):
                raise IndexError(f"{kind.format(value)}: there is no row {start + words - 1}")
            found[binding.name] = bits_of(rows[start : start + words, :lanes], getattr(binding.kind, "dtype", None))
        elif not isinstance(value, int):
            raise ValueError(f"{instruction.mnemonic} accesses memory: reference.evaluate does, with an At")
        elif isinstance(kind, Target):
            found[binding.name] = np.array([1 + kind.distance(value)], np.uint64)
        elif isinstance(kind, CodeTarget):
            found[binding.name] = np.array([kind.distance(value) // 8], np.uint64)
        else:
            found[binding.name] = np.full(lanes, value & (1 << 64 if words == 2 else 1 << 32) - 1, wide)
    return found


def _reads_lanes(kind: Any) -> bool:
    if isinstance(kind, Source):
        return kind.flags.either
    if isinstance(kind, NamedKind):
        return kind.words == 1
    return isinstance(kind, IndexedKind) or (isinstance(kind, RegisterKind) and kind.bank == "v")


def bits_of(rows: np.ndarray, dtype: Any) -> Any:
    """Rows of words as the bits of one operand: pairs of 64-bit kinds joined, several registers a tuple."""
    if len(rows) == 1:
        return rows[0].copy()
    if np.dtype(dtype).itemsize == 8:
        return rows[0].astype(np.uint64) | rows[1].astype(np.uint64) << np.uint64(32)
    return tuple(row.copy() for row in rows)


def words_of(result: Any) -> list[np.ndarray]:
    """The opposite: one operand's bits as rows of words."""
    if isinstance(result, tuple):
        return [np.asarray(part, np.uint32) for part in cast("tuple[Any, ...]", result)]
    result = np.asarray(result)
    if result.dtype.itemsize == 8:
        return [result.astype(np.uint32), (result >> np.uint64(32)).astype(np.uint32)]
    return [result.astype(np.uint32)]


def lane_mask(mask: int) -> np.ndarray:
    """A mask as 32 truth values."""
    return (mask >> np.arange(LANES) & 1).astype(bool)


def _write(rows: np.ndarray, register: Register, parts: list[np.ndarray], active: int, mask: int, path: int) -> None:
    start = row_of(register, rows)
    if start + len(parts) > len(rows):
        raise IndexError(f"there is no row {start + len(parts) - 1} to write to")
    for place, part in enumerate(parts, start):
        if register.bank in "vi":
            rows[place] = np.where(lane_mask(active), part, rows[place])
        else:
            bits = int(part.ravel()[0]) & mask
            rows[place] = bits & path if register.number == EMSK else bits
