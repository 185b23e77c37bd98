"""Lane kinds: how an instruction body reads the bits of a register.

A body such as `def v_add_f32(a: F32, b: F32) -> F32: return a + b` names, for every operand, how its bits
are to be read. The classes are never instantiated. Under numpy a lane value is an array with one element
per lane (32 for a vector operand, 1 for a scalar one), or two per lane if registers hold packed halves; in the
compiled core it is an LLVM vector of the same length. The operators are declared here for the reader and the
type checker alone.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from . import formats
from .formats import Format

LANES = 32
"""Lanes of a warp (published)."""


class LaneKind(type):
    """Metaclass that lets the compiled core recognise a lane kind used as a value in a body."""

    dtype: np.dtype[Any]
    words: int
    per_word: int
    format: Format | None
    flushes: bool
    align: int | None
    sign: int

    def __repr__(cls) -> str:
        return cls.__name__

    def takes(cls, suffix: str) -> bool:
        """Whether a float suffix changes values of this kind: `.ftz` only those that it is defined for."""
        return cls.format is not None and (suffix != "ftz" or cls.flushes)


class Lanes(metaclass=LaneKind):  # noqa: PLW1641 (never instantiated)
    """One value per lane."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint32)
    words: ClassVar[int] = 1
    """Registers that hold a value."""
    per_word: ClassVar[int] = 1
    """Elements in a register: with two, a value has twice as many elements as there are lanes, low half first."""
    format: ClassVar[Format | None] = None
    """What float the elements are: such sources take `!x` and `|x|`, and NaN results become the canonical one."""
    flushes: ClassVar[bool] = False
    """Whether `.ftz` means this kind of source and result."""
    align: ClassVar[int | None] = None
    """What the first register of a range is a multiple of, if not of `words`."""
    sign: ClassVar[int] = 0
    """The bits of a register that `!` flips, where the body takes registers apart itself."""

    if TYPE_CHECKING:

        def __add__(self, other: Self | int | float) -> Self: ...
        def __radd__(self, other: int | float) -> Self: ...
        def __sub__(self, other: Self | int | float) -> Self: ...
        def __rsub__(self, other: int | float) -> Self: ...
        def __mul__(self, other: Self | int | float) -> Self: ...
        def __rmul__(self, other: int | float) -> Self: ...
        def __truediv__(self, other: Self | float) -> Self: ...
        def __rtruediv__(self, other: float) -> Self: ...
        def __and__(self, other: Self | int) -> Self: ...
        def __or__(self, other: Self | int) -> Self: ...
        def __xor__(self, other: Self | int) -> Self: ...
        def __lshift__(self, other: Self | int) -> Self: ...
        def __rshift__(self, other: Self | int) -> Self: ...
        def __invert__(self) -> Self: ...
        def __neg__(self) -> Self: ...
        def __lt__(self, other: Self | int | float) -> Mask: ...
        def __le__(self, other: Self | int | float) -> Mask: ...
        def __gt__(self, other: Self | int | float) -> Mask: ...
        def __ge__(self, other: Self | int | float) -> Mask: ...
        def __eq__(self, other: Any) -> Mask: ...  # pyright: ignore[reportIncompatibleMethodOverride]
        def __ne__(self, other: Any) -> Mask: ...  # pyright: ignore[reportIncompatibleMethodOverride]


class Mask(Lanes):
    """One truth value per lane; in a scalar register, bit L belongs to lane L."""

    dtype = np.dtype(np.bool_)


class B32(Lanes):
    """32 bits whose meaning the instruction does not look at; never canonicalised."""


class U32(Lanes):
    """Unsigned 32-bit integers, wrapping."""


class S32(Lanes):
    """Signed 32-bit integers, two's complement, wrapping."""

    dtype = np.dtype(np.int32)


class F32(Lanes):
    """IEEE-754 binary32."""

    dtype = np.dtype(np.float32)
    format = formats.F32
    flushes = True


class F16(Lanes):
    """IEEE-754 binary16 in the low half of a register, as its bits."""

    format = formats.F16


class BF16(Lanes):
    """bfloat16 in the low half of a register, as its bits."""

    format = formats.BF16


class TF32(Lanes):
    """binary32 without its last 13 bits, as its bits."""

    format = formats.TF32


class E4M3(Lanes):
    """An 8-bit float with 3 bits of mantissa, no infinity, in the low byte of a register, as its bits."""

    format = formats.E4M3


class E5M2(Lanes):
    """An 8-bit float with 2 bits of mantissa in the low byte of a register, as its bits."""

    format = formats.E5M2


class E2M1(Lanes):
    """A 4-bit float with 1 bit of mantissa, no infinity and no NaN, in the low bits of a register."""

    format = formats.E2M1


class F16x2(Lanes):
    """Two IEEE-754 binary16 in a register, as their bits."""

    dtype = np.dtype(np.uint16)
    per_word = 2
    format = formats.F16
    flushes = True


class BF16x2(Lanes):
    """Two bfloat16 in a register, as their bits."""

    dtype = np.dtype(np.uint16)
    per_word = 2
    format = formats.BF16


class U16x2(Lanes):
    """Two unsigned 16-bit integers in a register, wrapping."""

    dtype = np.dtype(np.uint16)
    per_word = 2


class S16x2(Lanes):
    """Two signed 16-bit integers in a register, two's complement, wrapping."""

    dtype = np.dtype(np.int16)
    per_word = 2


class U64(Lanes):
    """Unsigned 64-bit integers in register pairs, low word first."""

    dtype = np.dtype(np.uint64)
    words = 2


class S64(Lanes):
    """Signed 64-bit integers in register pairs, low word first."""

    dtype = np.dtype(np.int64)
    words = 2


class F64(Lanes):
    """IEEE-754 binary64: an intermediate of bodies, never an operand."""

    dtype = np.dtype(np.float64)
    words = 2


@cache
def register_range(words: int, sign: int = 0) -> LaneKind:
    """The kind of an operand of a matrix instruction, load or store: registers whose bits the body takes apart itself.

    Ranges start at an even register: published listings have `vreg[110:113]` as an operand of v.mma and
    `vreg[102:105]` as one of tsm.ld.swzl.
    """
    body = {"words": words, "align": min(words, 2), "sign": sign}
    return LaneKind(f"Registers{words}Sign{sign:08x}", (Lanes,), body)


class Table:
    """Constants that lanes look up by number: binary64 values, a power of two of them."""

    def __init__(self, values: tuple[float, ...]):
        self.values = np.array(values, np.float64)
        self._digest = sha256(self.values.tobytes()).hexdigest()

    def __repr__(self) -> str:
        """Stands for the values where compiled code is identified."""
        return f"Table({self._digest})"
