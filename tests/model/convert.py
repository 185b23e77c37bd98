"""Conversions: of one number, and those that pack several into a register."""

from collections.abc import Callable
from itertools import product

from .floating import ROUNDING
from .formats import BF16, E2M1, E4M3, E5M2, F16, F32, MODES, TF32, Format, Pair, rounds_up
from .integer import Read, unsigned
from .meaning import lanes

NARROW = {"f16": F16, "bf16": BF16}
SMALL = {"e4m3": E4M3, "e5m2": E5M2, "e2m1": E2M1}


def convert(source: Format, result: Format, bits: int, mode: str) -> int:
    """A number in another format, rounded once; infinity stays infinity."""
    if source.is_nan(bits):
        return result.nan
    x = source.exact(bits)
    return result.infinite(x.negative) if x.m is None else result.round(x.negative, x.m, x.e, mode)


def to_small(source: Format, result: Format, bits: int) -> int:
    """To nearest even; what is infinite becomes the largest number of its sign."""
    return result.finite(convert(source, result, bits, "rtte"))


def to_integer(fmt: Format, bits: int, mode: str, low: int, high: int, nan: int) -> int:
    """Rounded to an integer, clamped to low and high."""
    if fmt.is_nan(bits):
        return nan
    x = fmt.exact(bits)
    if x.m is None:
        return low if x.negative else high
    whole = whole_part(x.negative, x.m, x.e, mode)
    return max(low, min(high, -whole if x.negative else whole))


def whole_part(negative: int, m: int, e: int, mode: str) -> int:
    """The magnitude m * 2**e rounded to an integer."""
    if e >= 0:
        return m << e
    whole, rest = m >> -e, m & (1 << -e) - 1
    return whole + rounds_up(negative, whole & 1, rest, 1 << -e - 1, mode)


def low_bits(width: int, sign: bool) -> Read:
    """Reads a narrow integer from the low bits of a register."""

    def read(x: int) -> int:
        part = x & (1 << width) - 1
        return part - (1 << width) if sign and part >> width - 1 else part

    return read


BITS = {"i8": 8, "u8": 8, "i16": 16, "u16": 16, "i32": 32, "u32": 32, "i64": 64, "u64": 64}
ENDS = {
    name: (-(1 << bits - 1), (1 << bits - 1) - 1) if name[0] == "i" else (0, (1 << bits) - 1)
    for name, bits in BITS.items()
}
READ = {name: low_bits(bits, name[0] == "i") for name, bits in BITS.items()}


# One number.


Floats = Format | Pair | None


def unary(mnemonic: str, change: Read, sources: Floats = None, result: Floats = None) -> None:
    """Register an instruction of one source."""
    lanes(mnemonic, sources=sources, result=result)(lambda a: change(a))


def binary(mnemonic: str, change: Callable[[int, int], int], sources: Floats = None, result: Floats = None) -> None:
    """Register an instruction of two sources."""
    lanes(mnemonic, sources=sources, result=result)(lambda a, b: change(a, b))


def then(first: Read, second: Read) -> Read:
    return lambda x: second(first(x))


def converter(source: Format, result: Format, mode: str) -> Read:
    return lambda bits: convert(source, result, bits, mode)


def shrinker(source: Format, result: Format) -> Read:
    return lambda bits: to_small(source, result, bits)


def integral(source: Format, mode: str, name: str) -> Read:
    low, high = ENDS[name]
    nan = 1 << 63 if BITS[name] == 64 else 0
    return lambda bits: to_integer(source, bits, mode, low, high, nan)


def floated(result: Format, mode: str, name: str) -> Read:
    read = READ[name]
    return lambda bits: result.round(read(bits) < 0, abs(read(bits)), 0, mode)


def clamped(source: str, result: str) -> Read:
    read, (low, high) = READ[source], ENDS[result]
    return lambda bits: max(low, min(high, read(bits)))


def rounded(fmt: Format, mode: str) -> Read:
    """A float rounded to an integer; a zero has the sign of what it came from."""

    def change(bits: int) -> int:
        if fmt.is_nan(bits):
            return fmt.nan
        x = fmt.exact(bits)
        return bits if x.m is None else fmt.round(x.negative, whole_part(x.negative, x.m, x.e, mode), 0, mode)

    return change


for _mode in MODES:
    for _name, _fmt in {**NARROW, "tf32": TF32}.items():
        unary(f"v.cnvt.{_name}.f32.{_mode}", converter(F32, _fmt, _mode), F32, _fmt)
    unary(f"v.cnvt.bf16.f16.{_mode}", converter(F16, BF16, _mode), F16, BF16)
    unary(f"v.cnvt.f16.bf16.{_mode}", converter(BF16, F16, _mode), BF16, F16)
    for _name, _fmt in {**NARROW, "f32": F32}.items():
        unary(f"v.rnd.{_name}.{_mode}", rounded(_fmt, _mode), _fmt, _fmt)
        for _whole in ("i32", "u32", "i64", "u64"):
            unary(f"v.cnvt.{_name}.{_whole}.{_mode}", floated(_fmt, _mode, _whole), None, _fmt)
            unary(f"v.cnvt.{_whole}.{_name}.{_mode}", integral(_fmt, _mode, _whole), _fmt)
    for _whole in ("i32", "u32", "i64", "u64"):
        unary(f"v.cnvt.tf32.{_whole}.{_mode}", floated(TF32, _mode, _whole), None, TF32)
    for _whole in ("i8", "u8", "i16", "u16"):
        unary(f"v.cnvt.{_whole}.f32.{_mode}", integral(F32, _mode, _whole), F32)

for _name, _fmt in {**NARROW, "tf32": TF32, **SMALL}.items():
    unary(f"v.cnvt.f32.{_name}", converter(_fmt, F32, "rtte"), _fmt, F32)
for _name, _fmt in SMALL.items():
    unary(f"v.cnvt.{_name}.f32.rtte", shrinker(F32, _fmt), F32, _fmt)
for _whole in ("i8", "u8", "i16", "u16"):
    unary(f"v.cnvt.f32.{_whole}", floated(F32, "rtte", _whole))
for (_name, _fmt), _whole in product(NARROW.items(), ("i8", "u8")):
    unary(f"v.cnvt.{_name}.{_whole}", floated(_fmt, "rtte", _whole))
for _wide, _whole in (("i32", "i8"), ("u32", "u8"), ("i32", "i16"), ("u32", "u16")):
    unary(f"v.cnvt.{_wide}.{_whole}", READ[_whole])
for _result, _source in product(BITS, ("i32", "u32", "i64", "u64")):
    if BITS[_result] < BITS[_source] or (BITS[_result] == BITS[_source] == 32 and _result != _source):
        unary(f"v.cnvt.{_result}.{_source}.sat", clamped(_source, _result))


@lanes("v.cnvt.e8m0.f32.{up}", up={"rtz": False, "rtp": True}, sources=F32)
def to_exponent(a: int, *, up: bool) -> int:
    """The power of two next to a number, as its exponent plus 127."""
    if F32.is_nan(a):
        return 0xFF
    x = F32.exact(a)
    if x.m == 0:
        return 0
    if x.negative:
        return 0xFF
    if x.m is None:
        return 254
    exponent = x.m.bit_length() - 1 + x.e
    exponent += up and x.m & (x.m - 1) != 0
    return max(0, min(254, exponent + 127))


@lanes("v.cnvt.f32.e8m0")
def from_exponent(a: int) -> int:
    number = a & 0xFF
    return F32.nan if number == 0xFF else F32.round(0, 1, number - 127, "rtte")


# Several numbers in a register.


def beside(*values: int, width: int = 16) -> int:
    """Numbers in one register, the first lowest."""
    return sum(value << width * place for place, value in enumerate(values))


def parts(bits: int, width: int, count: int) -> list[int]:
    """What `beside` put together."""
    return [bits >> width * place & (1 << width) - 1 for place in range(count)]


def joined(change: Read, width: int) -> Callable[[int, int], int]:
    return lambda a, b: beside(change(a), change(b), width=width)


def each(change: Read, width_in: int, width_out: int, count: int) -> Read:
    return lambda a: beside(*[change(part) for part in parts(a, width_in, count)], width=width_out)


def four(change: Read, width: int) -> Callable[[int, int], int]:
    return lambda a, b: beside(*[change(part) for part in parts(a, 16, 2) + parts(b, 16, 2)], width=width)


for (_name, _fmt), (_suffix, _mode) in product(NARROW.items(), ROUNDING.items()):
    binary(f"v.pcnvt.{_name}x2{_suffix}", joined(converter(F32, _fmt, _mode), 16), F32, Pair(_fmt))

for (_name, _fmt), _relu in product(SMALL.items(), ("", ".relu")):
    _size = 4 if _fmt is E2M1 else 8
    _end = _fmt.relu if _relu else unsigned
    binary(f"v.pcnvt.{_name}x2{_relu}", joined(then(shrinker(F32, _fmt), _end), _size), F32)
    for _source, _wide in NARROW.items():
        _shrink = then(shrinker(_wide, _fmt), _end)
        unary(f"v.pcnvt.{_name}x2.{_source}x2{_relu}", each(_shrink, 16, _size, 2))
        binary(f"v.pcnvt.{_name}x4.{_source}x2{_relu}", four(_shrink, _size))

for (_name, _fmt), (_source, _small) in product(NARROW.items(), SMALL.items()):
    _size = 4 if _small is E2M1 else 8
    unary(f"v.pcnvt.{_name}x2.{_source}x2", each(converter(_small, _fmt, "rtte"), _size, 16, 2))


@lanes("v.pcnvt.b16.{narrow}x2", narrow={"u8": "u8", "i8": "i8"})
def pack_bytes(a: int, b: int, c: int, *, narrow: str) -> int:
    change = clamped("i32", narrow)
    return beside(change(a) & 0xFF, change(b) & 0xFF, width=8) | (c & 0xFFFF) << 16


@lanes("v.pcnvt.{narrow}x2", narrow={"u16": "u16", "i16": "i16"})
def pack_halves(a: int, b: int, *, narrow: str) -> int:
    change = clamped("i32", narrow)
    return beside(change(a) & 0xFFFF, change(b) & 0xFFFF)
