"""Integer division: quotients rounded toward zero, and remainders, of 32 and 64 bits.

Opcodes 0x310 to 0x31f. The vendor leaves open what division by zero gives; here all bits are set, in the quotient
and in the remainder. A remainder has the sign of the dividend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .families import both
from .lanes import F64, S32, S64, U32, U64
from .numerics import convert, reinterpret, unsigned_quotient, where
from .spec import Item
from .tags import TIX


def divide32(a: U32, b: U32) -> U32:
    """a / b rounded down; b is not 0. In binary64 the quotient's rounding error is far below 1 / b."""
    return convert(convert(a, F64) / convert(b, F64), U32)


def divide64(a: U64, b: U64) -> U64:
    """a / b rounded down; b is not 0."""
    return unsigned_quotient(a, b)


def signed_quotient(a: Any, b: Any, divide: Callable[[Any, Any], Any], size: type[Any], kind: type[Any]) -> Any:
    """a / b rounded toward zero, modulo 2**width; b is not 0. `size` is the unsigned kind of `kind`."""
    quotient = divide(reinterpret(where(a < 0, -a, a), size), reinterpret(where(b < 0, -b, b), size))
    return where((a ^ b) < 0, -reinterpret(quotient, kind), reinterpret(quotient, kind))


_OPERANDS = "{d:D}, {a:S}, {b:S}"
_TIX: dict[str, Any] = {"scalar_known": TIX, "vector_known": TIX}

for _width, _unsigned, _signed, _divide, _opcode in ((32, U32, S32, divide32, 0x310), (64, U64, S64, divide64, 0x318)):
    _common: dict[str, Any] = {**_TIX, "divide": _divide}
    _types: dict[str, Any] = {**_common, "size": _unsigned, "kind": _signed}

    @both(f"div.u{_width}", _OPERANDS, scalar=_opcode, vector=_opcode + 1, Item=_unsigned,
          ex=("a=7 b=2 | d=3", "a=7 b=0 | d=-1"), **_common)
    def div_unsigned(a: Item, b: Item, divide: Callable[[Item, Item], Item]) -> Item:
        """d = a / b rounded down; all ones where b = 0."""
        return where(b == 0, ~(a & 0), divide(a, where(b == 0, b | 1, b)))

    @both(f"rem.u{_width}", _OPERANDS, scalar=_opcode + 2, vector=_opcode + 3, Item=_unsigned,
          ex=("a=7 b=2 | d=1", "a=7 b=0 | d=-1"), **_common)
    def rem_unsigned(a: Item, b: Item, divide: Callable[[Item, Item], Item]) -> Item:
        """d = a - b * (a / b rounded down); all ones where b = 0."""
        return where(b == 0, ~(a & 0), a - b * divide(a, where(b == 0, b | 1, b)))

    @both(f"div.i{_width}", _OPERANDS, scalar=_opcode + 4, vector=_opcode + 5, Item=_signed,
          ex=("a=-7 b=2 | d=-3", "a=7 b=0 | d=-1"), **_types)
    def div_signed(a: Item, b: Item, divide: Callable[[Any, Any], Any], size: type[Any], kind: type[Any]) -> Item:
        """d = a / b rounded toward zero, modulo 2 to the width; all ones where b = 0."""
        return where(b == 0, ~(a & 0), signed_quotient(a, where(b == 0, b | 1, b), divide, size, kind))

    @both(f"rem.i{_width}", _OPERANDS, scalar=_opcode + 6, vector=_opcode + 7, Item=_signed,
          ex=("a=-7 b=2 | d=-1", "a=7 b=0 | d=-1"), **_types)
    def rem_signed(a: Item, b: Item, divide: Callable[[Any, Any], Any], size: type[Any], kind: type[Any]) -> Item:
        """d = a - b * (a / b rounded toward zero), of a's sign; all ones where b = 0."""
        return where(b == 0, ~(a & 0), a - b * signed_quotient(a, where(b == 0, b | 1, b), divide, size, kind))
