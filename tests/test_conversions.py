"""Conversions against tables of all numbers of a format, in every rounding; Python's integers for integers.

Every input of 16 bits or fewer is tried. Of binary32 inputs: all numbers of the narrower format, the midpoints between
them, what lies next to both, and random ones; `test_conversion_sweep` has all of them. `test_ml_dtypes` compares with
other people's arithmetic.
"""

import numpy as np
import pytest
from columns import same
from one import check
from small_floats import (
    EVERY_HALF,
    RANGES,
    ROUNDINGS,
    STANDARDS,
    clamped,
    decode,
    encode,
    f32_bits,
    f32_points,
    flushed,
    pack,
    rectified,
    value_of,
    whole,
)

from m890.isa import ISA

HALVES = ("f16", "bf16")
SMALL = ("e4m3", "e5m2", "e2m1")
JUNK = np.uint32(0xA5A50000)
"""What narrow sources have above them; it must not matter."""


# From binary32.


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ["f16", "bf16", "tf32"])
def test_f32_to_narrower(name: str, rounding: str) -> None:
    bits = f32_points(name)
    text = f"v.cnvt.{name}.f32.{rounding}"
    wanted = encode(name, value_of(bits), rounding)
    same(f"{text} vreg4, vreg0", [bits], wanted)
    same(f"{text}.ftz vreg4, vreg0", [bits], encode(name, value_of(flushed(bits)), rounding))
    if name == "f16":
        values = np.nan_to_num(value_of(bits), nan=0.0)
        same(f"{text}.sat vreg4, vreg0", [bits], encode(name, np.clip(values, 0, 1) + 0.0, rounding))
    same(f"{text} vreg4, !|vreg0|", [bits], encode(name, -np.abs(value_of(bits)), rounding))
    if rounding in ("rtte", "rtz"):
        finite = encode(name, value_of(bits), rounding, finite=True)
        same(f"{text}.relu vreg4, vreg0", [bits], rectified(name, wanted))
        same(f"{text}.satfinite vreg4, vreg0", [bits], finite)
        same(f"{text}.relu.satfinite vreg4, vreg0", [bits], rectified(name, finite))


@pytest.mark.parametrize("name", SMALL)
def test_f32_to_small(name: str) -> None:
    """They always saturate, infinity too."""
    bits = f32_points(name)
    wanted = encode(name, value_of(bits), finite=True)
    same(f"v.cnvt.{name}.f32.rtte vreg4, vreg0", [bits], wanted)
    same(f"v.cnvt.{name}.f32.rtte.ftz.relu vreg4, vreg0", [bits], rectified(name, wanted))


def test_f32_to_scale() -> None:
    """E8M0 holds 2 ** (n - 127), no zero, no sign."""
    powers = 2.0 ** np.arange(-127.0, 128.0)
    bits = np.concatenate([f32_points("bf16"), f32_bits(powers), f32_bits(powers) + 1, f32_bits(powers) - 1])
    values = value_of(bits)
    for rounding, side in (("rtz", "right"), ("rtp", "left")):
        place = np.searchsorted(powers, values, side) - (rounding == "rtz")
        wanted = np.where(np.isnan(values) | (values < 0), 255, np.clip(place, 0, 254))
        same(f"v.cnvt.e8m0.f32.{rounding} vreg4, vreg0", [bits], wanted)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_f32_to_integers(rounding: str) -> None:
    """Around each end of each range, ties, and random numbers; the 32-bit ones are in test_exact_f32 as well."""
    ends = np.array([float(end) for ends in RANGES.values() for end in ends])
    near = np.concatenate([ends, ends + 0.5, ends - 0.5, ends + 1, ends - 1, np.arange(-40, 40) / 8])
    bits = f32_bits(near).astype(np.int64)
    bits = np.concatenate([bits, bits + 1, bits - 1]) & 0xFFFFFFFF
    bits = np.concatenate([bits, f32_points("bf16")]).astype(np.uint32)
    values = whole(value_of(bits), rounding)
    for name, (low, high) in RANGES.items():
        register = "vreg[4:5]" if name.endswith("64") else "vreg4"
        wanted = clamped(values, low, high, 1 << 63 if name.endswith("64") else 0)
        same(f"v.cnvt.{name}.f32.{rounding} {register}, vreg0", [bits], wanted)
    same(f"v.rnd.f32.{rounding} vreg4, vreg0", [bits], f32_bits(values))
    same(f"v.rnd.f32.{rounding}.ftz vreg4, vreg0", [bits], f32_bits(whole(value_of(flushed(bits)), rounding)))


# From 16 bits and fewer, and from tf32: every input.

WIDTHS = {
    **{name: 16 for name in ("f16", "bf16", "i16", "u16")},
    **{name: 8 for name in ("e4m3", "e5m2", "e8m0", "i8", "u8")},
    "e2m1": 4,
    "tf32": 19,
}
"""Bits of the narrow sources; those of tf32 stand at the upper end of a register."""


def source_of(mnemonic: str) -> str:
    """The type of its source, "" if it is wide."""
    unit, operation, *types = mnemonic.split(".")
    if unit != "v" or operation not in ("cnvt", "rnd"):
        return ""
    name = types[operation == "cnvt"]
    return name if name in WIDTHS else ""


def narrow_values(name: str, bits: np.ndarray) -> np.ndarray:
    """What narrow sources stand for, in binary64."""
    if name == "e8m0":
        return np.where(bits == 255, np.nan, np.exp2(bits.astype(float) - 127))
    return decode(name, bits) if name in STANDARDS else np.array(signed(name, bits), float)


def wanted_of(result: str, values: np.ndarray, rounding: str) -> np.ndarray:
    """Numbers as the bits of a type."""
    if result in ("f16", "bf16"):
        return encode(result, values, rounding)
    if result == "f32":
        return f32_bits(values)
    return clamped(whole(values, rounding), *RANGES[result], 1 << 63 if result.endswith("64") else 0)


@pytest.mark.parametrize("mnemonic", [i.mnemonic for i in ISA if source_of(i.mnemonic)])
def test_every_narrow_source(mnemonic: str) -> None:
    """All conversions of the table that have one, with .ftz and without, whatever else is in the register."""
    source, parts = source_of(mnemonic), mnemonic.split(".")
    rounding, result = parts[-1] if parts[-1] in ROUNDINGS else "rtte", parts[2]
    bits = np.arange(1 << WIDTHS[source], dtype=np.uint32)
    junk = np.uint32(0x5A5A5A5A >> WIDTHS[source] << WIDTHS[source])
    given = bits << np.uint32(13) | junk & np.uint32(0x1FFF) if source == "tf32" else bits | junk
    values = narrow_values(source, bits << np.uint32(13) if source == "tf32" else bits)
    register = "vreg[4:5]" if result.endswith("64") else "vreg4"
    instruction = ISA.by_mnemonic[mnemonic][0][0].instruction
    for suffix in ("", *(f".{suffix.name}" for suffix in instruction.suffixes)):
        assert suffix in ("", ".ftz")
        values = value_of(flushed(f32_bits(values))) if suffix else values
        rounded = whole(values, rounding) if parts[1] == "rnd" else values
        same(f"{mnemonic}{suffix} {register}, vreg0", [given], wanted_of(result, rounded, rounding))


# From integers.


def integers(name: str) -> np.ndarray:
    """Values of a 32- or 64-bit type: its ends, all powers of two and their neighbours, ties, and random ones."""
    low, high = RANGES[name]
    bits = int(name[1:])
    random = np.random.default_rng(3)
    found = {low, high, low + 1, high - 1, 0}
    for power in range(bits + 1):
        found |= {sign * (1 << power) + offset for sign in (1, -1) for offset in (-1, 0, 1)}
        for digits in (8, 11, 24):  # halfway between two floats of so many bits, and next to it
            middle = ((int(random.integers(0, 1 << digits - 1)) | 1 << digits - 1) * 2 + 1) << power
            found |= {sign * middle + offset for sign in (1, -1) for offset in (-1, 0, 1)}
    found |= {
        int(random.integers(0, 1 << 64, dtype=np.uint64)) % (high - low + 1) + low >> n % bits for n in range(2000)
    }
    return np.array([value & (1 << bits) - 1 for value in sorted(found) if low <= value <= high], np.uint64)


def signed(name: str, bits: np.ndarray) -> list[int]:
    """Register bits as the integers they are."""
    width = int(name[1:])
    return [int(b) - (1 << width if name[0] == "i" and int(b) >> width - 1 else 0) for b in bits]


def halves_of(values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Integers as their nearest binary64 and the rest."""
    nearest = [float(value) for value in values]
    return np.array(nearest), np.array([float(value - int(n)) for value, n in zip(values, nearest, strict=True)])


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("source", ["i32", "u32", "i64", "u64"])
def test_integers_to_floats(source: str, rounding: str) -> None:
    bits = integers(source)
    values = signed(source, bits)
    register = "vreg[0:1]" if source.endswith("64") else "vreg0"
    for name in (*HALVES, "tf32"):
        hi, lo = halves_of(values)
        same(f"v.cnvt.{name}.{source}.{rounding} vreg4, {register}", [bits], encode(name, hi, rounding, lo))
    same(f"v.cnvt.f32.{source}.{rounding} vreg4, {register}", [bits], [f32_of(value, rounding) for value in values])


def f32_of(value: int, rounding: str) -> int:
    """An integer below 2 ** 64 as binary32 bits, rounded by Python's integers."""
    size, extra = abs(value), max(abs(value).bit_length() - 24, 0)
    kept, rest, half = size >> extra, size & (1 << extra) - 1, 1 << extra >> 1
    grows = {
        "rtte": rest > half or (rest == half and kept & 1),
        "rtta": rest >= half,
        "rtz": False,
        "rtn": value < 0,
        "rtp": value > 0,
    }[rounding]
    rounded = kept + (1 if rest and grows else 0) << extra
    return int(np.float32(rounded if value >= 0 else -rounded).view(np.uint32))


def test_integers_to_narrower_ones() -> None:
    """From 32 and 64 bits they saturate."""
    for name in ("i8", "u8", "i16", "u16", "i32", "u32"):
        low, high = RANGES[name]
        for source in ("i32", "u32", "i64", "u64"):
            if source != name:
                given = integers(source)
                wanted = [min(max(value, low), high) & 0xFFFFFFFF for value in signed(source, given)]
                register = "vreg[0:1]" if source.endswith("64") else "vreg0"
                same(f"v.cnvt.{name}.{source}.sat vreg4, {register}", [given], wanted)


# Packs.


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", HALVES)
def test_pack_halves(name: str, rounding: str) -> None:
    low = f32_points(name)
    high = np.random.default_rng(5).permutation(low)
    text = f"v.pcnvt.{name}x2" + ("" if rounding == "rtte" else f".{rounding}")
    wanted = [encode(name, value_of(bits), rounding) for bits in (low, high)]
    same(f"{text} vreg8, vreg0, vreg4", [low, high], pack(*wanted))
    finite = [encode(name, value_of(bits), rounding, finite=True) for bits in (low, high)]
    same(f"{text}.satfinite vreg8, vreg0, vreg4", [low, high], pack(*finite))
    same(f"{text}.relu vreg8, vreg0, vreg4", [low, high], pack(*(rectified(name, bits) for bits in wanted)))


@pytest.mark.parametrize("name", SMALL)
def test_pack_small(name: str) -> None:
    width = 4 if name == "e2m1" else 8
    low = f32_points(name)
    high = np.random.default_rng(5).permutation(low)
    wanted = [encode(name, value_of(bits), finite=True) for bits in (low, high)]
    positive = [rectified(name, bits) for bits in wanted]
    same(f"v.pcnvt.{name}x2 vreg8, vreg0, vreg4", [low, high], wanted[0] | wanted[1] << width)
    same(f"v.pcnvt.{name}x2.relu vreg8, vreg0, vreg4", [low, high], positive[0] | positive[1] << width)
    for half in HALVES:
        both = pack(EVERY_HALF, EVERY_HALF[::-1])
        codes = encode(name, decode(half, EVERY_HALF), finite=True)
        two = codes | codes[::-1] << width
        same(f"v.pcnvt.{name}x2.{half}x2 vreg8, vreg0", [both], two)
        four = two | np.roll(two, 7) << 2 * width
        same(f"v.pcnvt.{name}x4.{half}x2 vreg8, vreg0, vreg4", [both, np.roll(both, 7)], four)
        codes = rectified(name, codes)
        two = codes | codes[::-1] << width
        same(f"v.pcnvt.{name}x2.{half}x2.relu vreg8, vreg0", [both], two)
        four = two | np.roll(two, 7) << 2 * width
        same(f"v.pcnvt.{name}x4.{half}x2.relu vreg8, vreg0, vreg4", [both, np.roll(both, 7)], four)
        pairs = np.arange(1 << 2 * width, dtype=np.uint32)
        mask = (1 << width) - 1
        unpacked = [encode(half, decode(name, part)) for part in (pairs & mask, pairs >> width)]
        junk = pairs | np.uint32(0x5A5A5A5A >> 2 * width << 2 * width)
        same(f"v.pcnvt.{half}x2.{name}x2 vreg8, vreg0", [junk], pack(*unpacked))


def test_pack_integers() -> None:
    a = integers("i32")
    b, c = np.random.default_rng(6).permutation(a), np.random.default_rng(7).integers(0, 1 << 32, len(a), np.uint32)
    for name in ("u8", "i8", "u16", "i16"):
        low, high = RANGES[name]
        width = int(name[1:])
        first, second = (
            np.array([min(max(value, low), high) & (1 << width) - 1 for value in signed("i32", column)], np.uint32)
            for column in (a, b)
        )
        if width == 8:
            wanted = first | second << 8 | c << np.uint32(16)
            same(f"v.pcnvt.b16.{name}x2 vreg12, vreg0, vreg4, vreg8", [a, b, c], wanted)
        else:
            same(f"v.pcnvt.{name}x2 vreg12, vreg0, vreg4", [a, b], pack(first, second))
            same(f"v.pcnvt.{name}x2 vreg12, vreg0, {b[0]:#x}", [a], pack(first, np.full_like(first, second[0])))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_immediates(rounding: str) -> None:
    """The first conversions take one, as bits."""
    for name, value in (("i32", -16777217), ("u32", 0xFFFFFF7F)):
        wanted = f32_of(value, rounding)
        check(f"v.cnvt.f32.{name}.{rounding} vreg4, {value & 0xFFFFFFFF:#x}", vreg4=wanted)
        wanted = int(whole(np.array([-2.5]), rounding)[0]) if name == "i32" else 0
        check(f"v.cnvt.{name}.f32.{rounding} vreg4, 0xc0200000", vreg4=wanted)
