"""Conversions of one number: between floats of all formats, integers of all widths, and within one format to integers.

Opcodes 0x160 to 0x16f and 0x210 to 0x213. The latter are f32 from i32 and u32, i32 and u32 from f32; the others are
0x160 + the result's type, with the source's type in bits 3:0. Types are numbered f32 f16 bf16 tf32 e4m3 e5m2 e2m1 e8m0
i8 u8 i16 u16 i32 u32 i64 u64. A narrow source is the low bits of its register, the rest is not looked at; a narrow
result leaves the rest zero, for i8 and i16 copies of the sign. A conversion that is not here is made of two that are:
the first one is exact or, from integers to e4m3, e5m2, e2m1 and e8m0 by way of f32, rounds as the second one does.
`.ftz` is about numbers with the exponents of binary32: sources, and results in f32, bf16 and tf32; subnormal results in
f16, e4m3, e5m2 and e2m1 stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import formats
from .fields import ROUNDING, Field
from .formats import Format
from .lanes import BF16, E2M1, E4M3, E5M2, F16, F32, F64, S32, S64, TF32, U32, U64
from .numerics import (
    ROUNDINGS,
    RTP,
    RTTE,
    RTZ,
    clamp_to_integer,
    convert,
    keep_finite,
    narrow,
    reinterpret,
    round_integral,
    where,
)
from .rounding import (
    clamp_to_s64,
    clamp_to_u64,
    extend,
    from_integer,
    integral,
    narrow_to,
    power_of,
    scale_of,
    to_odd,
    widen_from,
)
from .spec import Item, Result, insn
from .tags import LISTED, TIX, defined

SLOT = defined("slot of v.cnvt.bf16.f32.rtte")

TYPES = ("f32", "f16", "bf16", "tf32", "e4m3", "e5m2", "e2m1", "e8m0",
         "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
SOURCE_TYPE = Field(3, 0)
"""The source's type in the word, part of the second opcode."""
KINDS: dict[str, Any] = {"f32": F32, "f16": F16, "bf16": BF16, "tf32": TF32, "e4m3": E4M3, "e5m2": E5M2, "e2m1": E2M1}
INTEGERS: dict[str, Any] = {"i32": S32, "u32": U32, "i64": S64, "u64": U64}
"""The integers that fill registers."""
LIMITS = {name: (-float(1 << (bits - 1)) if signed else 0.0, float(1 << (bits - signed)) - 1.0)
          for name, bits, signed in (("i8", 8, 1), ("u8", 8, 0), ("i16", 16, 1), ("u16", 16, 0),
                                     ("i32", 32, 1), ("u32", 32, 0))}
"""The ends of the range of each integer of at most 32 bits."""


def _place(result: str, source: str, rounding: int = RTTE) -> dict[str, Any]:
    """The bits of a conversion: it has no immediate form, whose place the source's type takes."""
    return {"opcode": 0x160 + TYPES.index(result), "immediate": False,
            "fixed": {SOURCE_TYPE: TYPES.index(source), ROUNDING: rounding}}


def _roundings(suffix: str, rounding: int) -> None:
    """Every conversion that rounds, in one rounding."""
    near = rounding in (RTTE, RTZ)

    for name in ("f16", "bf16", "tf32"):
        suffixes = ("{ftz}{sat}" if name == "f16" else "{ftz}") + ("{relu}{satfinite}" if near else "")

        @insn(f"v.cnvt.{name}.f32.{suffix}{suffixes} {{d:vreg}}, {{a:vsrc}}", Result=KINDS[name], rounding=rounding,
              ex=f"a=-1.5 | d={_bits(name, -1.5):#x}", format=formats.FORMATS[name], **_place(name, "f32", rounding),
              **(LISTED if name == "bf16" and rounding == RTTE else TIX))
        def narrow_f32(a: F32, format: Format, rounding: int) -> Result:
            """d = a rounded once; too large as IEEE-754 says, with .satfinite the largest number of its sign."""
            return narrow_to(a, format, rounding)

    for name, source in (("bf16", "f16"), ("f16", "bf16")):

        @insn(f"v.cnvt.{name}.{source}.{suffix} {{d:vreg}}, {{a:vsrc}}", Item=KINDS[source], Result=KINDS[name],
              ex=f"a={_bits(source, -1.5):#x} | d={_bits(name, -1.5):#x}", source_format=formats.FORMATS[source],
              format=formats.FORMATS[name], rounding=rounding, **_place(name, source, rounding), **TIX)
        def cross(a: Item, source_format: Format, format: Format, rounding: int) -> Result:
            """d = a in the other 16-bit format, rounded once; too large as IEEE-754 says."""
            return narrow_to(widen_from(a, source_format), format, rounding)

    _from_integers(suffix, rounding)
    _to_integers(suffix, rounding)

    @insn(f"v.rnd.f32.{suffix}{{ftz}} {{d:vreg}}, {{a:vsrc}}", rounding=rounding,
          ex=("a=-2.0 | d=-2.0", "a=-0.0 | d=-0.0"), **_place("f32", "f32", rounding), **TIX)
    def rnd_f32(a: F32, rounding: int) -> F32:
        """d = a rounded to an integer, as a float; a zero has a's sign."""
        return integral(a, rounding)

    for name in ("f16", "bf16"):

        @insn(f"v.rnd.{name}.{suffix} {{d:vreg}}, {{a:vsrc}}", Item=KINDS[name], format=formats.FORMATS[name],
              ex=f"a={_bits(name, -2.0):#x} | d={_bits(name, -2.0):#x}", rounding=rounding,
              **_place(name, name, rounding), **TIX)
        def rnd_half(a: Item, format: Format, rounding: int) -> Item:
            """d = a rounded to an integer, as a float; a zero has a's sign."""
            return narrow_to(integral(widen_from(a, format), rounding), format, rounding)


def _from_integers(suffix: str, rounding: int) -> None:
    for number, name in enumerate(("i32", "u32")):

        @insn(f"v.cnvt.f32.{name}.{suffix} {{d:vreg}}, {{a:vsrc}}", opcode=0x210 + number, fixed={ROUNDING: rounding},
              Item=INTEGERS[name], ex="a=-3 | d=-3.0" if name == "i32" else "a=3 | d=3.0", rounding=rounding,
              **(LISTED if name == "i32" and rounding == RTTE else TIX))
        def to_f32(a: Item, rounding: int) -> F32:
            """d = the integer a as binary32, rounded once."""
            return narrow(convert(a, F64), rounding)

    for name in ("i64", "u64"):

        @insn(f"v.cnvt.f32.{name}.{suffix} {{d:vreg}}, {{a:vsrc}}", Item=INTEGERS[name], ex="a=3 | d=3.0",
              rounding=rounding, **_place("f32", name, rounding), **TIX)
        def wide_to_f32(a: Item, rounding: int) -> F32:
            """d = the integer a, a register pair, as binary32, rounded once."""
            return narrow(from_integer(a, rounding), rounding)

    for result in ("f16", "bf16", "tf32"):
        for name, item in INTEGERS.items():
            common: dict[str, Any] = {
                "Item": item, "Result": KINDS[result], "format": formats.FORMATS[result],
                "rounding": rounding, "ex": f"a=3 | d={_bits(result, 3.0):#x}", **_place(result, name, rounding),
                **(SLOT if result == "tf32" else TIX)}
            if name.endswith("32"):

                @insn(f"v.cnvt.{result}.{name}.{suffix} {{d:vreg}}, {{a:vsrc}}", **common)
                def to_half(a: Item, format: Format, rounding: int) -> Result:
                    """d = the integer a as a float, rounded once; too large as IEEE-754 says."""
                    return narrow_to(to_odd(convert(a, F64)), format, rounding)
            else:

                @insn(f"v.cnvt.{result}.{name}.{suffix} {{d:vreg}}, {{a:vsrc}}", **common)
                def wide_to_half(a: Item, format: Format, rounding: int) -> Result:
                    """d = the integer a, a pair, as a float, rounded once; too large as IEEE-754 says."""
                    return narrow_to(to_odd(from_integer(a, rounding)), format, rounding)


def _to_integers(suffix: str, rounding: int) -> None:
    for name, (low, high) in LIMITS.items():
        place = _place(name, "f32", rounding)
        if name.endswith("32"):
            place = {"opcode": 0x212 + ("i32", "u32").index(name), "fixed": {ROUNDING: rounding}}

        @insn(f"v.cnvt.{name}.f32.{suffix}{{ftz}} {{d:vreg}}, {{a:vsrc}}", ex=("a=3.0 | d=3", "a=nan | d=0"),
              low=low, high=high, rounding=rounding, **place,
              **(LISTED if name == "i32" and rounding == RTTE else TIX))
        def f32_to(a: F32, rounding: int, low: float, high: float) -> U32:
            """d = a rounded to an integer; out of range goes to the nearest end, NaN gives 0."""
            return clamp_to_integer(round_integral(convert(a, F64), rounding), low, high)

    for source in ("f16", "bf16"):
        for name in ("i32", "u32"):
            low, high = LIMITS[name]

            @insn(f"v.cnvt.{name}.{source}.{suffix} {{d:vreg}}, {{a:vsrc}}", Item=KINDS[source], low=low, high=high,
                  ex=(f"a={_bits(source, 3.0):#x} | d=3", "a=0x7fff | d=0"), format=formats.FORMATS[source],
                  rounding=rounding, **_place(name, source, rounding), **TIX)
            def half_to(a: Item, format: Format, rounding: int, low: float, high: float) -> U32:
                """d = a rounded to an integer; out of range goes to the nearest end, NaN gives 0."""
                return clamp_to_integer(round_integral(convert(widen_from(a, format), F64), rounding), low, high)

    for name, result, clamp in (("i64", S64, clamp_to_s64), ("u64", U64, clamp_to_u64)):

        @insn(f"v.cnvt.{name}.f32.{suffix}{{ftz}} {{d:vreg}}, {{a:vsrc}}", Result=result, clamp=clamp,
              ex=("a=3.0 | d=3", "a=nan | d=0x8000000000000000"), rounding=rounding,
              **_place(name, "f32", rounding), **TIX)
        def f32_to_wide(a: F32, rounding: int, clamp: Any) -> Result:
            """d = a rounded to an integer, a pair; out of range goes to the nearest end, NaN gives 1 << 63."""
            return clamp(round_integral(convert(a, F64), rounding))

        for source in ("f16", "bf16"):

            @insn(f"v.cnvt.{name}.{source}.{suffix} {{d:vreg}}, {{a:vsrc}}", Item=KINDS[source], Result=result,
                  ex=(f"a={_bits(source, 3.0):#x} | d=3", "a=0x7fff | d=0x8000000000000000"), clamp=clamp,
                  format=formats.FORMATS[source], rounding=rounding, **_place(name, source, rounding), **TIX)
            def half_to_wide(a: Item, format: Format, rounding: int, clamp: Any) -> Result:
                """d = a rounded to an integer, a pair; out of range goes to the nearest end, NaN gives 1 << 63."""
                return clamp(round_integral(convert(widen_from(a, format), F64), rounding))


def _bits(name: str, value: float) -> int:
    """A number that every format has, as its bits: for the examples."""
    format = formats.FORMATS[name]
    mantissa, exponent = abs(value), format.bias
    while mantissa >= 2:
        mantissa, exponent = mantissa / 2, exponent + 1
    magnitude = exponent << format.low | int((mantissa - 1) * (1 << format.mantissa)) << format.padding
    return magnitude | (format.sign if value < 0 else 0)


for _suffix, _code in ROUNDINGS.items():
    _roundings(_suffix, _code)


for _name in ("f16", "bf16", "tf32", "e4m3", "e5m2", "e2m1"):

    @insn(f"v.cnvt.f32.{_name}{'{ftz}' if _name in ('bf16', 'tf32') else ''} {{d:vreg}}, {{a:vsrc}}", Item=KINDS[_name],
          format=formats.FORMATS[_name], ex=f"a={_bits(_name, -1.5):#x} | d=-1.5", **_place("f32", _name),
          **(LISTED if _name == "f16" else TIX if _name == "bf16" else SLOT))
    def widen(a: Item, format: Format) -> F32:
        """d = a as binary32, exactly."""
        return widen_from(a, format)


for _name in ("e4m3", "e5m2", "e2m1"):

    @insn(f"v.cnvt.{_name}.f32.rtte{{ftz}}{{relu}} {{d:vreg}}, {{a:vsrc}}", Result=KINDS[_name], rounding=RTTE,
          format=formats.FORMATS[_name], ex=f"a=-1.5 | d={_bits(_name, -1.5):#x}", **_place(_name, "f32"), **TIX)
    def narrow_to_small(a: F32, format: Format, rounding: int) -> Result:
        """d = a rounded once, to nearest even; too large and infinite become the largest number of their sign."""
        return keep_finite(narrow_to(a, format, rounding), format)


for _suffix, _code in (("rtz", RTZ), ("rtp", RTP)):

    @insn(f"v.cnvt.e8m0.f32.{_suffix} {{d:vreg}}, {{a:vsrc}}", rounding=_code,
          ex=("a=4.0 | d=129", "a=nan | d=0xff", "a=-4.0 | d=0xff"), **_place("e8m0", "f32", _code), **SLOT)
    def to_scale(a: F32, rounding: int) -> U32:
        """d = the power of two next to a, toward zero or up, as its exponent plus 127.

        Zero and what is too small give 0, what is too large and infinity 254, NaN and negative numbers 255.
        """
        return scale_of(a, rounding)


@insn("v.cnvt.f32.e8m0 {d:vreg}, {a:vsrc}", ex=("a=129 | d=4.0", "a=0xff | d=nan"), **_place("f32", "e8m0"), **SLOT)
def from_scale(a: U32) -> F32:
    """d = 2 ** (n - 127) of the low byte n of a; 255 is NaN."""
    return power_of(a)


# Small integers: exact to floats, from and to 32 bits.

for _name, _width, _signed in (("i8", 8, 1), ("u8", 8, 0), ("i16", 16, 1), ("u16", 16, 0)):

    @insn(f"v.cnvt.f32.{_name} {{d:vreg}}, {{a:vsrc}}", width=_width, signed=_signed, ex="a=0x70003 | d=3.0",
          **_place("f32", _name), **TIX)
    def small_to_f32(a: U32, width: int, signed: int) -> F32:
        """d = the integer in the low bits of a as binary32, exactly."""
        return convert(extend(a, width, signed), F32)

    for _result in ("f16", "bf16") if _width == 8 else ():

        @insn(f"v.cnvt.{_result}.{_name} {{d:vreg}}, {{a:vsrc}}", width=_width, signed=_signed, Result=KINDS[_result],
              format=formats.FORMATS[_result], ex=f"a=0x70003 | d={_bits(_result, 3.0):#x}", rounding=RTTE,
              **_place(_result, _name), **TIX)
        def small_to_half(a: U32, format: Format, width: int, signed: int, rounding: int) -> Result:
            """d = the integer in the low byte of a as a 16-bit float, exactly."""
            return narrow_to(convert(extend(a, width, signed), F32), format, rounding)

    _word = "i32" if _signed else "u32"

    @insn(f"v.cnvt.{_word}.{_name} {{d:vreg}}, {{a:vsrc}}", width=_width, signed=_signed, **TIX,
          ex="a=0xfffffffe | d=-2" if _signed else f"a=0xfffffffe | d={(1 << _width) - 2}", **_place(_word, _name))
    def extend_small(a: U32, width: int, signed: int) -> S32:
        """d = the integer in the low bits of a as 32 bits, extended by its sign or with zeros."""
        return extend(a, width, signed)

for _name, (_low, _high) in LIMITS.items():
    for _source in [source for source in INTEGERS if source != _name]:
        _range = np.iinfo(INTEGERS[_source].dtype)

        @insn(f"v.cnvt.{_name}.{_source}.sat {{d:vreg}}, {{a:vsrc}}", Item=INTEGERS[_source], ex="a=3 | d=3",
              low=max(int(_low), int(_range.min)), high=min(int(_high), int(_range.max)),
              **_place(_name, _source), **TIX)
        def shrink(a: Item, low: int, high: int) -> S32:
            """d = a if the narrower integer can hold it, else the nearest end of its range; i64 and u64 are pairs."""
            raised = where(a < low, a & 0 | low, a)
            return reinterpret(convert(where(raised > high, a & 0 | high, raised), U32), S32)
