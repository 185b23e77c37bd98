"""AIU copies: cubes of a tensor, row after row, from and to TSM."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from m890.isa.aiu import IM2COL, IM2COL_AT, PACKED, PACKED_AT, TILE, TILE_AT, Layout
from m890.isa.registers import Register

from .integer import signed, signed_wide
from .machine import ALL, EMSK, Fault, Memory, Warp
from .meaning import warp
from .outstanding import Operation, poison_byte, start

SIZES = {"b8": 1, "b16": 2, "b32": 4}
MOST = 1 << 16
LAYOUTS = {"2d": (TILE, TILE_AT), "5d.im2col": (IM2COL, IM2COL_AT), "3d": (PACKED, PACKED_AT)}
Row = tuple[int, int, int, int]
"""A row's place: n, d, h, w."""


@dataclass
class Copy:
    """One copy: the mnemonic's choices, the words by name, and the rows in order as (n, d, h, w) with their dims."""

    type: str
    linear: int
    padding: int
    mode: int
    form: str
    words: dict[str, int]
    at: dict[str, int]
    rows: list[tuple[int, int, int, int]]
    dims: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    @property
    def name(self) -> str:
        return f"l{self.linear}.t0.p{self.padding}.s{self.mode}.m0.{self.form}.{self.type}"

    @property
    def size(self) -> int:
        return SIZES[self.type]

    def offset(self, row: int, byte: int) -> int:
        """Where in TSM a byte of a row goes."""
        if self.linear:
            return self.at["tsm"] + row * self.words["cube_c"] * self.size + byte
        if self.form == "3d":  # four rows of a slice in a line, turned; halves exchanged in odd lines
            padded = -(-len(self.rows) // 8) * 8
            part, inside = divmod(byte, 32)
            turn = {0: 0, 1: 2, 2: 1, 3: 3}[part % 4]
            half = (inside // 16 + row // 4) % 2
            place = part * padded * 32 + row // 4 * 128 + (turn + row) % 4 * 32 + half * 16
            return self.at["tsm"] + place + inside % 16
        pitch = 64 if self.mode else 128
        plain = self.at["tsm"] + row * pitch + byte
        line, piece, rest = plain // 128, plain % 128 // 16, plain % 16
        piece ^= line % 4 if self.mode else line % 8
        return 128 * line + 16 * piece + rest

    def source(self, row: int, c: int) -> int | None:
        """The offset of an element from the base, None outside the tensor."""
        place = list(self.rows[row])
        if self.padding:
            place[1:] = [min(max(x, 0), dim - 1) for x, dim in zip(place[1:], self.dims[1:], strict=True)]
        c += self.at.get("start_c", 0)
        if any(not 0 <= x < dim for x, dim in zip(place, self.dims, strict=True)) or not 0 <= c < self.words["dim_c"]:
            return None
        return sum(x * stride for x, stride in zip(place, self.strides, strict=True)) + c * self.size

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in TSM."""
        found = self.words["cube_c"] * self.size
        return -(-found // 32) * 32 if self.form == "3d" and not self.linear else found

    @property
    def reserved(self) -> int:
        """Bytes in TSM from the offset on."""
        if self.linear:
            return len(self.rows) * self.row_bytes
        if self.form == "3d":
            return -(-len(self.rows) // 8) * 8 * self.row_bytes
        return len(self.rows) * (64 if self.mode else 128)

    def span(self, row: int) -> tuple[int, int] | None:
        """From where to where the row lies, from the base on; None if it is outside."""
        found = [source for c in range(self.words["cube_c"]) if (source := self.source(row, c)) is not None]
        return (found[0], found[-1] + self.size) if found else None

    def load(self, tensor: Any, tsm: bytearray) -> None:
        """Put the cube into TSM. The tensor is something with a byte for each offset from the base."""
        row_bytes = self.words["cube_c"] * self.size
        for row in range(len(self.rows)):
            for byte in range(self.row_bytes):
                source = self.source(row, byte // self.size) if byte < row_bytes else None
                tsm[self.offset(row, byte)] = 0 if source is None else tensor[source + byte % self.size]

    def store(self, tensor: Any, tsm: bytes) -> None:
        """Put TSM into the cube."""
        for row in range(len(self.rows)):
            for c in range(self.words["cube_c"]):
                source = self.source(row, c)
                for byte in range(self.size if source is not None else 0):
                    assert source is not None
                    tensor[source + byte] = tsm[self.offset(row, c * self.size + byte)]


# From the words of a descriptor to a copy.


class Name(NamedTuple):
    """What a mnemonic says."""

    way: str
    linear: int
    padding: int
    mode: int
    form: str
    type: str


def names() -> dict[str, Name]:
    """All of them."""
    found = {}
    for form in LAYOUTS:
        for linear, mode in ((0, 0), (1, 0)) if form == "3d" else ((0, 0), (0, 1), (1, 0)):
            for type_ in SIZES:
                for way, padding in (("ld", 0), ("ld", 1), ("st", 0)):
                    if way == "ld" or form == "2d":
                        name = Name(way, linear, padding, mode, form, type_)
                        found[f"{way}.tsm.l{linear}.t0.p{padding}.s{mode}.m0.{form}.{type_}"] = name
    return found


def values(warp: Warp, layout: Layout, first: Register) -> dict[str, int]:
    """The values of a descriptor by name; signed, but for addresses and offsets."""
    words = warp.s[first.number : first.number + layout.words]
    if any(words[layout.used :]):
        raise Fault(15)
    found = {}
    for item in layout.items:
        place = layout.places[item.name]
        word = words[place] | (words[place + 1] << 32 if item.words == 2 else 0)
        plain = item.name in ("base", "tsm")
        found[item.name] = word if plain else signed_wide(word) if item.words == 2 else signed(word)
    return found


def cube(name: Name, words: dict[str, int], at: dict[str, int]) -> Copy:
    """The copy that these values tell, its sizes checked."""
    need(all(value >= 0 for key, value in words.items() if key.startswith("dim_")))
    need(all(1 <= value <= MOST for key, value in words.items() if key.startswith("cube_") or key == "pixels"))
    need(all(value >= 1 for key, value in words.items() if key.startswith("step_")))
    need(bool(name.linear) or words["cube_c"] * SIZES[name.type] <= 128 >> name.mode)
    rows, dims, strides = SHAPES[name.form](name, words, at)
    if words["base"] % 32 or any(stride % 32 for stride in strides):
        raise Fault(12)
    return Copy(name.type, name.linear, name.padding, name.mode, name.form, words, at, rows, dims, strides)


def need(condition: bool) -> None:
    if not condition:
        raise Fault(15)


Shape = tuple[list[Row], Row, Row]
"""Rows in order, the sizes of the tensor, and its strides."""


def tile(name: Name, words: dict[str, int], at: dict[str, int]) -> Shape:
    n, w = (range(at[f"start_{axis}"], at[f"start_{axis}"] + words[f"cube_{axis}"]) for axis in "nw")
    strides = words["stride_n"], 0, 0, words["stride_w"]
    return [(a, 0, 0, b) for a in n for b in w], (words["dim_n"], 1, 1, words["dim_w"]), strides


def column(name: Name, words: dict[str, int], at: dict[str, int]) -> Shape:
    """w goes first; an axis that has come to its end begins anew, and the next one goes on."""
    place = [at[f"start_{axis}"] for axis in "whdn"]
    rows: list[Row] = []
    for _ in range(words["pixels"]):
        w, h, d, n = place
        rows.append((n, d + at["offset_d"], h + at["offset_h"], w + at["offset_w"]))
        for number, axis in enumerate("whdn"):
            place[number] += words[f"step_{axis}"]
            if axis == "n" or place[number] < words[f"dim_{axis}"] + words[f"upper_{axis}"]:
                break
            place[number] = words[f"lower_{axis}"]
    dims, strides = (tuple(words[f"{what}_{axis}"] for axis in "ndhw") for what in ("dim", "stride"))
    return rows, dims, strides  # type: ignore[return-value]


def packed(name: Name, words: dict[str, int], at: dict[str, int]) -> Shape:
    """A tensor without gaps; a cube begins in its first n."""
    h, w = (range(at[f"start_{axis}"], at[f"start_{axis}"] + words[f"cube_{axis}"]) for axis in "hw")
    row = words["dim_c"] * SIZES[name.type]
    plane = row * words["dim_w"]
    rows = [(n, 0, y, x) for n in range(words["cube_n"]) for y in h for x in w]
    return rows, (words["cube_n"], 1, words["dim_h"], words["dim_w"]), (plane * words["dim_h"], 0, plane, row)


SHAPES = {"2d": tile, "5d.im2col": column, "3d": packed}


@dataclass
class Bytes:
    """Memory from an address on."""

    memory: Memory
    base: int

    def __getitem__(self, offset: Any) -> Any:
        return self.memory.load(self.base + offset, 1)

    def __setitem__(self, offset: int, value: int) -> None:
        self.memory.store(self.base + offset, 1, value)


@warp("vmem.aiu.{name}", name=names())
def copy(warp: Warp, d: Register, p: Register, *, name: Name) -> None:
    if warp.s[EMSK] != ALL:
        raise Fault(3)
    layout, position = LAYOUTS[name.form]
    found = cube(name, values(warp, layout, d), values(warp, position, p))
    first = found.at["tsm"]
    if first % (4 if name.linear else 128):
        raise Fault(10)
    if first + found.reserved > len(warp.tsm.areas[0]):
        raise Fault(14)
    base = found.words["base"]
    spans = [(base + span[0], base + span[1]) for row in range(len(found.rows)) if (span := found.span(row))]
    for low, high in spans:
        warp.hbm.check_bytes(low, high - low)
    out, tsm, tensor = name.way == "st", warp.tsm.areas[0], Bytes(warp.hbm, base)

    def complete() -> None:
        (found.store if out else found.load)(tensor, tsm)

    def poison() -> None:
        for row in range(0 if out else len(found.rows)):
            for byte in range(0, found.row_bytes - 3, 4):
                word = found.offset(row, byte) // 4 * 4
                tsm[word : word + 4] = bytes(poison_byte(n) for n in range(4))

    operation = Operation("commit_group", warp.hbm, [], 0, out, complete, poison, into=not out, cube=True)
    operation.touched = range(min(s[0] for s in spans), max(s[1] for s in spans)) if spans else ()
    operation.there = range(first, first + found.reserved)
    start(warp, operation)
