"""Arithmetic in binary32 on 16-bit sources: they are widened, exactly, and the result is rounded once.

Opcodes 0x254 to 0x259. A 16-bit source is the low half of its register.
"""

from __future__ import annotations

from typing import Any

from . import formats
from .fields import ROUNDING
from .floating import rounded_fma, rounded_sum
from .formats import Format
from .lanes import BF16, F16, F32
from .numerics import ROUNDINGS, RTTE
from .rounding import widen_from
from .spec import Item, insn
from .tags import TIX


def _arithmetic(suffix: str, rounding: int, number: int, name: str, item: type[Any]) -> None:
    common: dict[str, Any] = {"fixed": {ROUNDING: rounding}, "rounding": rounding, "Item": item,
                              "format": formats.FORMATS[name], **TIX}
    text = name if rounding == RTTE else f"{name}.{suffix}"
    one = formats.FORMATS[name].one

    @insn(f"v.add.f32.{text}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x254 + number,
          ex=f"a={one:#x} b=2.25 | d=3.25", **common)
    def v_add(a: Item, b: F32, format: Format, rounding: int) -> F32:
        """d = a + b, rounded once."""
        return rounded_sum(widen_from(a, format), b, rounding)

    @insn(f"v.sub.f32.{text}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x256 + number,
          ex=f"a={one:#x} b=2.25 | d=-1.25", **common)
    def v_sub(a: Item, b: F32, format: Format, rounding: int) -> F32:
        """d = a - b, rounded once."""
        return rounded_sum(widen_from(a, format), -b, rounding)

    @insn(f"v.fma.f32.{name}.{suffix}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x258 + number,
          ex=f"a={one:#x} b={one:#x} c=2.25 | d=3.25", **common)
    def v_fma(a: Item, b: Item, c: F32, format: Format, rounding: int) -> F32:
        """d = a * b + c, rounded once; a and b are 16-bit floats."""
        return rounded_fma(widen_from(a, format), widen_from(b, format), c, rounding)


for _suffix, _code in ROUNDINGS.items():
    for _number, (_name, _item) in enumerate((("f16", F16), ("bf16", BF16))):
        _arithmetic(_suffix, _code, _number, _name, _item)
