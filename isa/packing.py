"""Conversions that pack: two or four numbers into one register, and back.

Opcodes 0x170 to 0x17b by what is made; the source's type as in `convert`. The first source goes to the low end
(published for v.pcnvt.bf16x2 and f16x2; TIX writes its operands the other way round). Small floats are rounded to
nearest even, and what is too large or infinite becomes the largest number of its sign.
"""

from __future__ import annotations

from typing import Any

from . import formats
from .convert import LISTED, SOURCE_TYPE, TIX, TYPES
from .fields import ROUNDING, Field
from .formats import Format
from .lanes import F32, S32, U32, BF16x2, F16x2
from .numerics import ROUNDINGS, RTTE, keep_finite, rectify, reinterpret, where
from .rounding import narrow_to, widen_from
from .spec import Result, insn
from .tags import defined

SLOT = defined("slot of v.pcnvt.f16x2")
HALVES: dict[str, Any] = {"f16x2": F16x2, "bf16x2": BF16x2}
RELU = Field(4, 4)


def _of(name: str) -> Format:
    """The format of one element of a packed type."""
    return formats.FORMATS[name.partition("x")[0]]


def _place(number: int, source: str, rounding: int = RTTE) -> dict[str, Any]:
    return {"opcode": 0x170 + number, "immediate": False,
            "fixed": {SOURCE_TYPE: TYPES.index(source.partition("x")[0]), ROUNDING: rounding}}


def _small(number: int, source: str, relu: int) -> dict[str, Any]:
    place = _place(number, source)
    return {**place, "fixed": {**place["fixed"], RELU: relu}, "relu": relu, **TIX}


for _suffix, _code in ROUNDINGS.items():
    for _number, _name in enumerate(("bf16x2", "f16x2")):

        @insn(f"v.pcnvt.{_name}{'' if _code == RTTE else f'.{_suffix}'}{{relu}}{{satfinite}} "
              "{d:vreg}, {a:vsrc}, {b:vsrc}", rounding=_code, Result=HALVES[_name], kind=HALVES[_name],
              format=_of(_name), ex=f"a=1.0 b=-2.0 | d={0xC000 << 16 | _of(_name).one:#x}",
              **_place(_number, "f32", _code), **(LISTED if _code == RTTE else TIX))
        def pack_halves(a: F32, b: F32, format: Format, rounding: int, kind: type[Any]) -> Result:
            """d = a and b rounded once to 16-bit floats, a in the low half, b in the high one.

            Without a rounding suffix to nearest even. Too large as IEEE-754 says, with .satfinite the largest number.
            """
            return reinterpret(narrow_to(a, format, rounding) | (narrow_to(b, format, rounding) << 16), kind)


# Small floats.


def small(a: F32, format: Format, relu: int) -> U32:
    """a as a small float; with relu, negative numbers become 0."""
    bits = keep_finite(narrow_to(a, format, RTTE), format)
    return rectify(bits, format) if relu else bits


def small_pair(low: F32, high: F32, format: Format, relu: int) -> U32:
    """Two small floats beside each other, the first one lower."""
    return small(low, format, relu) | (small(high, format, relu) << format.width)


def small_halves(a: U32, source_format: Format, format: Format, relu: int) -> U32:
    """Both 16-bit floats of a register as small floats beside each other."""
    return small_pair(widen_from(a, source_format), widen_from(a >> 16, source_format), format, relu)


for _number, _name in enumerate(("e4m3", "e5m2", "e2m1")):
    _format = formats.FORMATS[_name]
    for _relu, _text in ((0, ""), (1, ".relu")):
        _pair = _format.one | (0 if _relu else _format.one | _format.sign) << _format.width

        @insn(f"v.pcnvt.{_name}x2{_text}{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", format=_format,
              ex=f"a=1.0 b=-1.0 | d={_pair:#x}", **_small(2 + _number, "f32", _relu))
        def pack_small(a: F32, b: F32, format: Format, relu: int) -> U32:
            """d = a and b as small floats beside each other, a lower; the rest is zero."""
            return small_pair(a, b, format, relu)

        for _source in HALVES:
            _one = _of(_source).one
            _ones = f"{(_one | _of(_source).sign) << 16 | _one:#x}"

            @insn(f"v.pcnvt.{_name}x2.{_source}{_text} {{d:vreg}}, {{a:vsrc}}", format=_format,
                  source_format=_of(_source), ex=f"a={_ones} | d={_pair:#x}", **_small(2 + _number, _source, _relu))
            def pack_small_halves(a: U32, source_format: Format, format: Format, relu: int) -> U32:
                """d = the two 16-bit floats of a as small floats beside each other; the rest is zero."""
                return small_halves(a, source_format, format, relu)

            @insn(f"v.pcnvt.{_name}x4.{_source}{_text} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", format=_format,
                  source_format=_of(_source), ex=f"a={_ones} b=0 | d={_pair:#x}", **_small(5 + _number, _source, _relu))
            def pack_four(a: U32, b: U32, source_format: Format, format: Format, relu: int) -> U32:
                """d = the four 16-bit floats of a and b as small floats beside each other, a's lower."""
                high = small_halves(b, source_format, format, relu)
                return small_halves(a, source_format, format, relu) | (high << (2 * format.width))

    for _target, _result in (("bf16x2", 0), ("f16x2", 1)):
        _ones = (_of(_target).one | _of(_target).sign) << 16 | _of(_target).one

        @insn(f"v.pcnvt.{_target}.{_name}x2 {{d:vreg}}, {{a:vsrc}}", source_format=_format, format=_of(_target),
              rounding=RTTE, Result=HALVES[_target], kind=HALVES[_target], **_place(_result, _name), **TIX,
              ex=f"a={_format.one | (_format.one | _format.sign) << _format.width:#x} | d={_ones:#x}")
        def unpack_small(a: U32, source_format: Format, format: Format, rounding: int, kind: type[Any]) -> Result:
            """d = the two small floats in the low bits of a as 16-bit floats, in their order, exactly."""
            low = narrow_to(widen_from(a, source_format), format, rounding)
            high = narrow_to(widen_from(a >> source_format.width, source_format), format, rounding)
            return reinterpret(low | (high << 16), kind)


# Integers.


def clamped(a: S32, low: int, high: int) -> U32:
    """a, or the nearest end of the range, without the bits that the narrower integer does not have."""
    raised = where(a < low, a & 0 | low, a)
    return reinterpret(where(raised > high, a & 0 | high, raised), U32) & (high - low)


for _number, (_name, _low, _high) in enumerate((("u8x2", 0, 0xFF), ("i8x2", -0x80, 0x7F))):

    @insn(f"v.pcnvt.b16.{_name} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x178 + _number,
          low=_low, high=_high, **(LISTED if _name == "u8x2" else SLOT),
          ex=("a=7 b=300 c=0x2211 | d=" + ("0x2211ff07" if _low == 0 else "0x22117f07"), "a=-999 b=1 c=0 | d="
              + ("0x100" if _low == 0 else "0x180")))
    def pack_bytes(a: S32, b: S32, c: U32, low: int, high: int) -> U32:
        """d = the integers a in bits 7:0 and b in 15:8, at the nearest end if out of range; above, c's low half.

        So two of them pack four numbers. The mnemonic of u8x2 is published, its operands are inferred from TIX.
        """
        return clamped(a, low, high) | (clamped(b, low, high) << 8) | (c << 16)


for _number, (_name, _low, _high) in enumerate((("u16x2", 0, 0xFFFF), ("i16x2", -0x8000, 0x7FFF))):

    @insn(f"v.pcnvt.{_name} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x17A + _number, low=_low, high=_high, **TIX,
          ex="a=7 b=70000 | d=" + ("0xffff0007" if _low == 0 else "0x7fff0007"))
    def pack_words(a: S32, b: S32, low: int, high: int) -> U32:
        """d = the integers a in the low half and b in the high one, each at the nearest end if out of range."""
        return clamped(a, low, high) | (clamped(b, low, high) << 16)
