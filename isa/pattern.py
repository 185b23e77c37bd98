"""Patterns: the text of an instruction with its operands in braces, and what an operand's name and kind become."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from . import addresses, fields, number_kinds, operands, registers
from .fields import Field
from .lanes import S64, LaneKind
from .matrix_operands import MatrixKind, SwizzledAddress
from .operands import Kind
from .source_kind import Source, SourceFlags
from .suffixes import SUFFIXES, Suffix
from .swizzle import slice_rows, tile_rows

_PLACE = re.compile(r"\{(\w+):([^}]+)\}")
_SUFFIX = re.compile(r"\{(\w+)\}")
_WRITTEN = ("vreg!", "sreg!")
"""Kinds of operands that are both read and written."""
_SOURCE_KINDS = ("vsrc", "ssrc", "vreg?", "sreg?", "imm")
_NEGATIONS = {"": fields.NEGATE, "36": (Field(34, 34), Field(35, 35), Field(36, 36))}
"""Where matrix operands are negated; those with a fourth register have their bits in the place of the rounding."""
_NAMED_FIELDS = {
    "": fields.DESTINATION,
    "d": fields.DESTINATION,
    "s0": fields.SOURCES[0],
    "s1": fields.SOURCES[1],
    "s2": fields.SOURCES[2],
}
_VMEM: dict[str, Any] = {"index_bank": "v", "base_bank": "s", "base_words": 2}
_VMEM64: dict[str, Any] = {"index_bank": None, "base_bank": "v", "base_words": 2}
_TSM: dict[str, Any] = {"index_bank": "v", "base_bank": "s", "base_words": 1}
_SMEM: dict[str, Any] = {"index_bank": "s", "base_bank": "s", "base_words": 2}
_OTHERS: dict[str, Callable[[str, str], Kind]] = {
    "number": lambda name, where: number_kinds.Number(name, _place(where)),
    "target": lambda name, where: number_kinds.Target(name, Field(19, 0)),
    "data": lambda name, where: number_kinds.DataAddress(name),
    "vlist": lambda name, where: operands.RegisterList(name, "v"),
    "slist": lambda name, where: operands.RegisterList(name, "s"),
    "code": lambda name, where: number_kinds.CodeTarget(name),
    "lane": lambda name, where: number_kinds.Lane(name),
    "waits": lambda name, where: addresses.Waits(name),
    "clock": lambda name, where: operands.NamedKind(name, registers.CLOCKS, 2, fields.SOURCES[0]),
    "lanespecial": lambda name, where: operands.NamedKind(name, registers.LANE_SPECIALS, 1, fields.SOURCES[0]),
    "vmem": lambda name, where: addresses.AddressKind(name, **_VMEM),
    "vmem64": lambda name, where: addresses.AddressKind(name, **_VMEM64),
    "vmem_hint": lambda name, where: addresses.AddressKind(name, **_VMEM),
    "vmem_element": lambda name, where: addresses.ElementAddress(name, int(where), **_VMEM),
    "vmem64_element": lambda name, where: addresses.ElementAddress(name, int(where), **_VMEM64),
    "tsm_element": lambda name, where: addresses.ElementAddress(name, int(where), **_TSM),
    "smem": lambda name, where: addresses.AddressKind(name, **_SMEM),
    "state": lambda name, where: operands.RegisterKind(name, "v", 2, fields.DESTINATION, written=True),
    "waited": lambda name, where: operands.RegisterKind(name, "s", 1, fields.DESTINATION, written=True),
    "tsm_target": lambda name, where: addresses.TsmTarget(name),
    "swizzled": lambda name, where: SwizzledAddress(name, tile_rows(int(where))),
    "sliced": lambda name, where: SwizzledAddress(name, slice_rows(int(where))),
    "tsm": lambda name, where: addresses.AddressKind(name, **_TSM),
}
_KINDS = ("vreg", "sreg", "ivreg", "matrix", *_WRITTEN, *_SOURCE_KINDS, *_OTHERS)
_READ_ELSEWHERE = ("target", "waits", "data", "vmem_hint", "state", "waited")
"""Operands that the schedule may read or write instead of the body, or nobody."""


def mnemonic_of(pattern: str) -> str:
    """The mnemonic, without the suffixes it may have."""
    return _SUFFIX.sub("", pattern.partition(" ")[0])


def suffixes_of(pattern: str) -> tuple[Suffix, ...]:
    """The suffixes the mnemonic may have; raises TypeError when one is unknown."""
    names = _SUFFIX.findall(pattern.partition(" ")[0])
    for name in names:
        if name not in SUFFIXES:
            raise TypeError(f"{pattern}: no suffix is called {name}; there are {', '.join(SUFFIXES)}")
    return tuple(SUFFIXES[name] for name in names)


def operands_text(pattern: str, texts: Mapping[str, str]) -> str:
    """What stands behind the mnemonic, each operand replaced by its text."""
    return _PLACE.sub(lambda found: texts[found[1]], pattern.partition(" ")[2])


def operand_kinds(pattern: str, hints: dict[str, Any], results: tuple[Any, ...], immediate: bool) -> tuple[Kind, ...]:
    """The kind of each operand, in order; `hints` and `results` are what the body's annotations say of them.

    With `immediate` the last of one or two sources may be an immediate.
    """
    places = _PLACE.findall(pattern)
    sources = [name for name, kind in places if kind.split("@")[0] in _SOURCE_KINDS]
    matrices = [name for name, kind in places if kind.split("@")[0] == "matrix"]
    outputs = iter(kind for kind in results if isinstance(kind, LaneKind))
    made: list[Kind] = []
    for name, text in places:
        kind, _, where = text.partition("@")
        if kind == "ivreg":
            written = name not in hints
            made.append(operands.IndexedKind(name, written=written))
            _ = next(outputs) if written else None
        elif kind in _WRITTEN or (kind in ("vreg", "sreg") and name not in hints):
            output = next(outputs)
            made.append(
                operands.RegisterKind(name, kind[0], _words(output), _place(where), written=True, align=output.align)
            )
        elif kind == "matrix":
            position, hint = matrices.index(name), hints[name]
            negate = _NEGATIONS[where][position] if hint.sign else None
            made.append(MatrixKind(name, position, hint.words, hint.align, negate))
        elif kind in ("vreg", "sreg"):
            made.append(_range(name, kind[0], _place(where), hints[name]))
        elif kind in ("vreg?", "sreg?"):
            place = fields.SOURCES[sources.index(name)]
            made.append(operands.RegisterKind(name, kind[0], _words(hints[name]), place, written=False))
        elif kind in ("vsrc", "ssrc", "imm"):
            bank = "v" if kind == "imm" else kind[0]
            made.append(_source(name, bank, where, hints[name], sources, immediate))
        else:
            made.append(_OTHERS[kind](name, where))
    return tuple(made)


def check_operands(pattern: str, hints: dict[str, Any], results: tuple[Any, ...]) -> None:
    """Refuse, with a TypeError, operands of an unknown kind and those that the body does not read or return."""
    written = 0
    for name, text in _PLACE.findall(pattern):
        kind = text.split("@", maxsplit=1)[0]
        if kind not in _KINDS:
            raise TypeError(f"{pattern}: no operand kind is called {kind}; there are {', '.join(_KINDS)}")
        is_result = kind in _WRITTEN or (kind in ("vreg", "sreg", "ivreg") and name not in hints)
        written += is_result
        if not is_result and name not in hints and kind not in _READ_ELSEWHERE:
            raise TypeError(f"{pattern}: the body does not read {name}")
    returned = sum(isinstance(kind, LaneKind) for kind in results)
    if written != returned:
        raise TypeError(f"{pattern}: {written} operands are written, the body returns {returned} lane values")


def _place(where: str) -> Field:
    """A field by its name, or by its highest and lowest bit."""
    high, _, low = where.partition(":")
    return _NAMED_FIELDS[where] if where in _NAMED_FIELDS else Field(int(high), int(low or high))


def _words(hint: Any) -> int:
    return getattr(hint, "words", 1)


def _range(name: str, bank: str, place: Field, hint: Any) -> operands.RegisterKind:
    """Registers that are read; scalar ranges start at a multiple of their length, whatever is in them."""
    align = getattr(hint, "align", None) if bank == "v" else None
    return operands.RegisterKind(name, bank, _words(hint), place, written=False, align=align)


def _source(name: str, bank: str, where: str, hint: LaneKind, sources: list[str], immediate: bool) -> Source:
    floating = hint.format is not None
    flags = SourceFlags(
        either=bank == "v",
        last=immediate and len(sources) < 3 and name == sources[-1],
        signed=floating,
        float=floating,
        sources=len(sources),
        lowest_immediate=0 if hint.words == 2 and hint is not S64 else -(1 << 31),
    )
    usual = where or bank
    return Source(name, sources.index(name), usual, hint.words, flags=flags)
