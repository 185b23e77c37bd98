"""The AIU: asynchronous copies of cubes of a tensor between global memory and TSM, issued once for a warp.

What a cube is stands in scalar registers: a descriptor `d` of the tensor, and a position `p` in it. The tables below
say it word by word: TILE and TILE_AT for `2d`, IM2COL and IM2COL_AT for `5d.im2col`, PACKED and PACKED_AT for `3d`;
`m890.TILE.pack(...)` and its siblings make the words on the host. Sizes, cubes and starts count elements, strides
bytes. The axes are c (elements of a row), w, h, d and n.

A cube's rows lie in TSM one behind the other, w fastest: packed (`l1`), or swizzled (`l0`) in rows of 128 bytes (`s0`)
or 64 bytes (`s1`), of which a cube need not fill the last bytes. On ppu001 a swizzled row is a multiple of 32 bytes,
filled up with zeros, and the rows a multiple of 8. Elements outside the tensor are zero (`p0`); with `p1` rows beyond
it along w, h and d repeat the nearest row.

All 32 lanes must be on, else the warp faults with code 3. A cube or descriptor that cannot be is fault 15, a base or
a stride that is no multiple of 32 bytes fault 12, a TSM offset that is no multiple of 128 bytes (packed: 4) fault 10,
a cube that leaves the block's TSM fault 14; rows outside of global memory fault as a load or a store, and those in
another chip's HBM are fault 17. Nothing has happened then. Groups, waits and timing are those of all asynchronous
copies. Opcodes 0x32d to 0x333.

The slots t and m of the mnemonics are 0 in all that is published. The vendor's virtual instruction set also knows a
`.stride` form on ppu001, whose meaning is not published; what its sources call a transposed copy is the same
instruction, with rows and columns exchanged by the program. None of this is modelled.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .effects import Stop
from .fields import Field
from .lanes import Lanes, register_range
from .spec import insn
from .tags import defined, published

D = TypeVar("D", bound=Lanes)
P = TypeVar("P", bound=Lanes)


class Item(NamedTuple):
    """One value of a descriptor: its name, its 32-bit words and what it is."""

    name: str
    words: int
    meaning: str


@dataclass(frozen=True)
class Layout:
    """Values in an aligned range of `words` scalar registers, one behind the other; the rest must be zero."""

    name: str
    words: int
    items: tuple[Item, ...]

    @property
    def places(self) -> dict[str, int]:
        """The first word of each value."""
        found: dict[str, int] = {}
        for item in self.items:
            found[item.name] = sum(other.words for other in self.items[: len(found)])
        return found

    @property
    def used(self) -> int:
        """How many words have a meaning."""
        return sum(item.words for item in self.items)

    def name_of(self, word: int) -> str:
        """The value that a word belongs to."""
        return next((item.name for item in reversed(self.items) if self.places[item.name] <= word < self.used), "")

    def pack(self, **values: int) -> np.ndarray:
        """The words, as uint32; what is not given is 0.

        Raises TypeError for what is no whole number, and ValueError for what does not fit or has no place.
        """
        found, known = np.zeros(self.words, np.uint32), {item.name: item for item in self.items}
        for name, given in values.items():
            if name not in known:
                raise ValueError(f"{self.name} has no {name}; it has {', '.join(known)}")
            try:
                value = operator.index(given)
            except TypeError:
                raise TypeError(f"{name} is a whole number, not {given!r}") from None
            bits = 32 * known[name].words
            if not -(1 << bits - 1) <= value < 1 << bits:
                raise ValueError(f"{name}={value} does not fit in {bits} bits")
            for word in range(known[name].words):
                found[self.places[name] + word] = value >> 32 * word & 0xFFFFFFFF
        return found


def _items(names: str, words: int, meanings: Mapping[str, str]) -> tuple[Item, ...]:
    return tuple(Item(name, words, meanings[name.partition("_")[0]]) for name in names.split())


_MEANINGS = {
    "base": "address of the tensor's first element, a multiple of 32",
    "stride": "bytes from one element of the axis to the next, a multiple of 32",
    "dim": "elements of the tensor",
    "cube": "elements of the cube, 1 to 65536",
    "lower": "first position of the column's box",
    "upper": "what the box is larger than the tensor at its end; less if negative",
    "pixels": "rows of the column, 1 to 65536",
    "step": "from one row of the column to the next, at least 1",
    "tsm": "TSM offset of the cube",
    "start": "where the cube begins in the tensor, or the column's first row",
    "offset": "added to the position of every row: the filter's element",
}
TILE = Layout("TILE", 16, (
    *_items("base stride_w stride_n", 2, _MEANINGS), *_items("dim_c dim_w dim_n cube_c cube_w cube_n", 1, _MEANINGS),
))
TILE_AT = Layout("TILE_AT", 4, _items("tsm start_c start_w start_n", 1, _MEANINGS))
IM2COL = Layout("IM2COL", 32, (
    *_items("base stride_w stride_h stride_d stride_n", 2, _MEANINGS),
    *_items("dim_c dim_w dim_h dim_d dim_n lower_w lower_h lower_d upper_w upper_h upper_d", 1, _MEANINGS),
    *_items("cube_c pixels step_w step_h step_d step_n", 1, _MEANINGS),
))
IM2COL_AT = Layout(
    "IM2COL_AT", 16, _items("tsm start_c start_w start_h start_d start_n offset_w offset_h offset_d", 1, _MEANINGS)
)
PACKED = Layout("PACKED", 16, (
    *_items("base", 2, _MEANINGS), *_items("dim_c dim_w dim_h cube_c cube_w cube_h cube_n", 1, _MEANINGS),
))
PACKED_AT = Layout("PACKED_AT", 4, _items("tsm start_c start_w start_h", 1, _MEANINGS))

LAYOUTS = (TILE, TILE_AT, IM2COL, IM2COL_AT, PACKED, PACKED_AT)
"""What the manual draws."""

SIZES = {"b8": 1, "b16": 2, "b32": 4}
SIZE, SWIZZLED, NEIGHBOUR, MODE, OUT, FORM = (
    Field(2, 0), Field(3, 3), Field(4, 4), Field(5, 5), Field(6, 6), Field(9, 8)
)
"""What the static `cube` of an instruction says: bytes of an element, l0, p1, s1, to global memory; and its form."""


class Form(NamedTuple):
    """A family of cubes: how the mnemonic ends, its number, opcode, architecture, descriptor and position."""

    name: str
    number: int
    opcode: int
    arch: str
    descriptor: Layout
    position: Layout
    text: str


FORMS = (
    Form("2d", 0, 0x32D, "ppu0015", TILE, TILE_AT, "the cube of cube_n times cube_w rows at `p`"),
    Form("5d.im2col", 1, 0x32E, "ppu0015", IM2COL, IM2COL_AT,
         "a column of `pixels` rows from `p` on, w fastest by step_w, each axis from lower up to dim + upper, then the "
         "next axis by its step"),
    Form("3d", 2, 0x330, "ppu001", PACKED, PACKED_AT,
         "the cube of cube_n times cube_h times cube_w rows at `p` of a tensor without gaps"),
)
STORE = 0x32F
_TYPE, _LINEAR, _PADDING, _MODE = Field(2, 1), Field(6, 6), Field(7, 7), Field(8, 8)
PUBLISHED = {f"vmem.aiu.ld.tsm.l{n}.t0.p0.s0.m0.2d.{name}" for n in (0, 1) for name in ("b16", "b32")}


def _cube(form: Form, type_: str, linear: int, padding: int, mode: int, out: bool) -> int:
    return (
        SIZE.put(SIZES[type_]) | SWIZZLED.put(1 - linear) | NEIGHBOUR.put(padding) | MODE.put(mode) | OUT.put(int(out))
        | FORM.put(form.number)
    )


def _register(form: Form, type_: str, linear: int, padding: int, mode: int, out: bool = False) -> None:
    way = "st" if out else "ld"
    name = f"vmem.aiu.{way}.tsm.l{linear}.t0.p{padding}.s{mode}.m0.{form.name}.{type_}"
    listed = name in PUBLISHED
    known = published("listings; operands defined, semantics TIX") if listed else defined("semantics TIX, ACT")
    common: dict[str, Any] = {
        "opcode": STORE if out else form.opcode, **known, "ex": "d=0 p=0 | stop=COPY",
        "fixed": {_TYPE: list(SIZES).index(type_), _LINEAR: linear, _PADDING: padding, _MODE: mode},
        "architectures": (form.arch,), "cube": _cube(form, type_, linear, padding, mode, out),
        "operand_types": {"D": register_range(form.descriptor.words), "P": register_range(form.position.words)},
        "what": form.text, "layout": form.descriptor, "position": form.position,
    }

    if out:

        @insn(f"{name}{{kp1}} {{d:sreg@s0}}, {{p:sreg@s1}}", **common)
        def aiu_st(d: D, p: P, cube: int, what: str, layout: Layout, position: Layout) -> Stop:
            """Global memory = {what}, from TSM; asynchronous. What lies outside the tensor is not stored."""
            return Stop.COPY

    else:

        @insn(f"{name}{{kp1}} {{d:sreg@s0}}, {{p:sreg@s1}}", **common)
        def aiu_ld(d: D, p: P, cube: int, what: str, layout: Layout, position: Layout) -> Stop:
            """TSM = {what}; asynchronous."""
            return Stop.COPY


for _form in FORMS:
    for _type in SIZES:
        for _linear, _mode in ((0, 0), (0, 1), (1, 0)) if _form.arch == "ppu0015" else ((0, 0), (1, 0)):
            for _padding in (0, 1):
                _register(_form, _type, _linear, _padding, _mode)
            if _form.number == 0:
                _register(_form, _type, _linear, 0, _mode, out=True)
