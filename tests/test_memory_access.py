"""Loads and stores against a plain bytearray: every width, dense and scattered, in both builds."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from memory_model import (
    BUILDS,
    CONSTANT_BASE,
    MISALIGNED,
    ONE_BASE,
    OUT_OF_RANGE,
    SIZE,
    STORED,
    TSM_RANGE,
    TWO_BASE,
    WIDTH,
    WRITE_DENIED,
    Model,
    compare,
    fresh,
    instance,
    put_pair,
    random_bytes,
    registers_for,
)
from one import ALL, FAST, bench, lane_mask

from m890.isa import ISA
from m890.isa.lanes import LANES
from m890.isa.operands import Address
from m890.isa.registers import Register

WAYS = [(way, name) for way in ("ld", "st") for name in (WIDTH if way == "ld" else STORED)]
EMSKS = [ALL, 0, 1, 0x80000000, 0xFFFF, 0x0F0F0F0E]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_vmem_widths(way: str, name: str, build: str) -> None:
    """Consecutive, backward, scattered and equal indices; scales of one item and of others; all emsks."""
    size, b = WIDTH[name].size, bench()
    random = np.random.default_rng(size)
    count = SIZE // size
    patterns = [
        np.arange(LANES),
        np.arange(LANES) + 5,
        np.arange(LANES)[::-1],
        np.zeros(LANES, int),
        np.arange(LANES) // 3,
        np.arange(LANES) ^ 1,
        random.integers(0, count, LANES),
        np.arange(LANES) + count - LANES,
    ]
    for scale in sorted({size, 1, 2 * size}):
        one = instance(f"vmem.{way}.{name} {registers_for(name, 8)}, [0x0 + vreg3 * {scale:#x}] @sreg[6:7]", build)
        for turn, pattern in enumerate(patterns):
            for emsk in EMSKS[: 3 if turn else None]:
                model, arrays = fresh()
                b.scramble(random)
                index = pattern if scale == size else pattern * size // scale if scale == 1 else pattern // 2
                b.rows[256 + 3] = index
                put_pair(6, ONE_BASE)
                one.forget()
                for _ in range(2):  # the second time the record knows the allocation
                    addresses = [ONE_BASE + int(n) * scale for n in index]
                    assert compare(one, model, arrays, addresses, emsk) == 0
                    b.rows[264:268] += 1


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_vmem_ends(way: str, name: str, build: str) -> None:
    """The first and the last place of an allocation work; an item beyond either end faults, in one lane or in all."""
    size, b = WIDTH[name].size, bench()
    one = instance(f"vmem.{way}.{name}.sign {registers_for(name, 8)}, [0x0 + vreg3 * {size:#x}] @sreg[6:7]", build)
    count = SIZE // size
    for start, faults in (
        (0, False),
        (-1, True),
        (count - LANES, False),
        (count - LANES + 1, True),
        (count, True),
        (-LANES, True),
    ):
        for emsk in (ALL, 1, 0x80000000, 0x7FFFFFFE, 0):
            for known in (False, True):
                model, arrays = fresh()
                b.scramble(np.random.default_rng(3))
                put_pair(6, ONE_BASE)
                one.forget()
                if known:
                    b.rows[259] = np.arange(LANES)
                    assert compare(one, model, arrays, [ONE_BASE + size * n for n in range(LANES)], ALL) == 0
                b.rows[259] = (np.arange(LANES) + start).astype(np.uint32)
                code = compare(one, model, arrays, [ONE_BASE + size * (n + start) for n in range(LANES)], emsk)
                assert emsk != ALL or bool(code) == faults


@pytest.mark.parametrize("build", BUILDS)
def test_one_byte_past_the_end(build: str) -> None:
    """An allocation whose size is no multiple of the item: the access may not reach one byte beyond."""
    b = bench()
    for name, size in (("b16", 2), ("b32", 4), ("b32x2", 8), ("b32x4", 16)):
        one = instance(f"vmem.ld.{name} {registers_for(name, 8)}, [0x0] @sreg[6:7]", build)
        for length in range(size, 3 * size):
            content = random_bytes(length, 2)
            b.scramble(np.random.default_rng(4))
            arrays = b.memory((ONE_BASE, content))
            for address in range(ONE_BASE - size, ONE_BASE + 4 * size, size):
                one.forget()
                put_pair(6, address)
                model = Model({ONE_BASE: bytearray(content)})
                code = compare(one, model, arrays, [address] * LANES, ALL)
                assert code == (0 if ONE_BASE <= address <= ONE_BASE + length - size else OUT_OF_RANGE)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("way", ["ld", "st"])
def test_misaligned(way: str, build: str) -> None:
    """Every offset that is no multiple of the bytes moved, in all lanes or in one."""
    b = bench()
    for name in ("b16", "b32", "b32x2", "b32x4"):
        size = WIDTH[name].size
        one = instance(f"vmem.{way}.{name} {registers_for(name, 8)}, [0x0 + vreg3 * 0x1] @sreg[6:7]", build)
        for offset in range(1, size):
            for lane in (0, 31):
                model, arrays = fresh()
                b.scramble(np.random.default_rng(5))
                put_pair(6, ONE_BASE)
                index = np.arange(LANES) * size
                index[lane] += offset
                b.rows[259] = index
                one.forget()
                assert compare(one, model, arrays, [ONE_BASE + int(n) for n in index], ALL) == MISALIGNED
        model, arrays = fresh()
        put_pair(6, ONE_BASE + 1)
        b.rows[259] = np.arange(LANES) * size
        assert compare(one, model, arrays, [ONE_BASE + 1 + size * n for n in range(LANES)], ALL) == MISALIGNED


@pytest.mark.parametrize("build", BUILDS)
def test_read_only(build: str) -> None:
    """Loads read it, also after which a store through the same register still faults."""
    b = bench()
    for name in STORED:
        size = WIDTH[name].size
        model, arrays = fresh()
        b.scramble(np.random.default_rng(6))
        put_pair(6, CONSTANT_BASE)
        b.rows[259] = np.arange(LANES)
        addresses = [CONSTANT_BASE + size * n for n in range(LANES)]
        load = instance(f"vmem.ld.{name} {registers_for(name, 8)}, [0x0 + vreg3 * {size:#x}] @sreg[6:7]", build)
        store = instance(f"vmem.st.{name} {registers_for(name, 8)}, [0x0 + vreg3 * {size:#x}] @sreg[6:7]", build)
        for one in (load, store):
            one.forget()
        assert compare(load, model, arrays, addresses, ALL) == 0
        assert compare(store, model, arrays, addresses, ALL) == WRITE_DENIED
        assert compare(store, model, arrays, addresses, 0) == 0


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("unit", ["vmem", "tsm"])
def test_lanes_that_are_off_may_point_anywhere(unit: str, build: str) -> None:
    """Wild addresses in lanes that are off do not matter, at any width."""
    b = bench()
    random = np.random.default_rng(7)
    for way, name in WAYS:
        size = WIDTH[name].size
        at = "[0x0 + vreg3 * 0x1] @sreg[6:7]" if unit == "vmem" else "[sreg6 + vreg3 * 0x1]"
        one = instance(f"{unit}.{way}.{name} {registers_for(name, 8)}, {at}", build)
        for emsk in (1, 0x00010000, 0x0F0F0F0F, 0):
            model, arrays = fresh(SIZE if unit == "tsm" else None)
            b.scramble(random)
            base = 0 if unit == "tsm" else TWO_BASE
            put_pair(6, base)
            index = np.where(lane_mask(emsk), np.arange(LANES) * size, random.integers(0, 1 << 32, LANES))
            b.rows[259] = index.astype(np.uint32)
            one.forget()
            assert compare(one, model, arrays, [base + int(n) for n in index], emsk) == 0


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("unit", ["vmem", "tsm"])
def test_faults_are_precise(unit: str, build: str) -> None:
    """One lane of 32 is wrong: no lane stores or loads, whichever it is."""
    b = bench()
    for way, name in (("st", "b32"), ("ld", "b32x4"), ("st", "b32x2"), ("ld", "s8")):
        size = WIDTH[name].size
        at = f"[0x0 + vreg3 * {size:#x}] @sreg[6:7]" if unit == "vmem" else f"[0x0 + vreg3 * {size:#x}]"
        one = instance(f"{unit}.{way}.{name} {registers_for(name, 8)}, {at}", build)
        for lane in range(LANES):
            model, arrays = fresh(SIZE if unit == "tsm" else None)
            b.scramble(np.random.default_rng(lane))
            base = 0 if unit == "tsm" else ONE_BASE
            put_pair(6, base)
            index = np.arange(LANES)
            index[lane] = SIZE // size
            b.rows[259] = index
            one.forget()
            assert compare(one, model, arrays, [base + int(n) * size for n in index], ALL) in (OUT_OF_RANGE, TSM_RANGE)


def test_two_kinds_of_fault() -> None:
    """Lanes with different mistakes: the first one's code, with the lanes that share it."""
    b = bench()
    one = instance("vmem.ld.b32 vreg8, [0x0 + vreg3 * 0x1] @sreg[6:7]", FAST)
    for first, second, code in ((2, SIZE, MISALIGNED), (SIZE, 2, OUT_OF_RANGE)):
        model, arrays = fresh()
        put_pair(6, ONE_BASE)
        index = np.arange(LANES) * 4
        index[[5, 9]], index[[7, 30]] = first, second
        b.rows[259] = index
        assert compare(one, model, arrays, [ONE_BASE + int(n) for n in index], ALL) == code
        assert int(b.warp["fault_lanes"]) == 1 << 5 | 1 << 9


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("unit", ["vmem", "tsm"])
@pytest.mark.parametrize("name", STORED)
def test_highest_lane_wins(name: str, unit: str, build: str) -> None:
    """Lanes that store to one address: memory holds the highest active one's value."""
    b, size = bench(), WIDTH[name].size
    at = f"[0x0 + vreg3 * {size:#x}] @sreg[6:7]" if unit == "vmem" else f"[0x0 + vreg3 * {size:#x}]"
    one = instance(f"{unit}.st.{name} {registers_for(name, 8)}, {at}", build)
    for emsk in (ALL, 0x7FFFFFFF, 0x00FF00F0):
        model, arrays = fresh(SIZE if unit == "tsm" else None)
        b.scramble(np.random.default_rng(9))
        put_pair(6, 0 if unit == "tsm" else ONE_BASE)
        b.rows[259] = 3
        highest = emsk.bit_length() - 1
        expected = b"".join(
            int(b.rows[264 + n, highest]).to_bytes(4, "little")[: WIDTH[name].item]
            for n in range(size // WIDTH[name].item)
        )
        one.forget()
        assert compare(one, model, arrays, [(0 if unit == "tsm" else ONE_BASE) + 3 * size] * LANES, emsk) == 0
        assert arrays[0][3 * size : 4 * size].tobytes() == expected


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("unit", ["vmem", "tsm"])
@pytest.mark.parametrize("name", STORED)
def test_fours_of_lanes(name: str, unit: str, build: str) -> None:
    """Every four lanes store side by side, the fours anywhere and over each other; then one lane elsewhere or off."""
    b, size, random = bench(), WIDTH[name].size, np.random.default_rng(10)
    at = f"[0x0 + vreg3 * {size:#x}] @sreg[6:7]" if unit == "vmem" else f"[0x0 + vreg3 * {size:#x}]"
    one = instance(f"{unit}.st.{name} {registers_for(name, 8)}, {at}", build)
    base = 0 if unit == "tsm" else ONE_BASE
    for case in range(6):
        model, arrays = fresh(SIZE if unit == "tsm" else None)
        b.scramble(random)
        put_pair(6, base)
        index = (random.integers(0, 40, 8)[:, None] + np.arange(4)).ravel()
        if case == 4:
            index[random.integers(0, LANES)] = 45
        b.rows[259] = index
        one.forget()
        emsk = ALL ^ 1 << int(random.integers(0, LANES)) if case == 5 else ALL
        assert compare(one, model, arrays, [base + int(n) * size for n in index], emsk) == 0


@pytest.mark.parametrize("build", BUILDS)
def test_vmem_offsets_signs_and_bases(build: str) -> None:
    """Bytes and units of 128; a signed and an unsigned index; a base in a vreg pair; all wrap at 64 bits."""
    b = bench()

    def case(text: str, addresses: list[int], base: int, index: Any = 0, code: int = 0) -> None:
        one = instance(text, build)
        model, arrays = fresh()
        b.scramble(np.random.default_rng(10))
        put_pair(6, base & (1 << 64) - 1)
        b.rows[259] = np.asarray(index).astype(np.uint32)
        for lane in range(LANES):
            b.rows[256 + 12, lane], b.rows[256 + 13, lane] = addresses[lane] & ALL, addresses[lane] >> 32
        one.forget()
        for _ in range(2):  # the second time the record knows the allocation
            assert compare(one, model, arrays, addresses, ALL) == code

    steps = np.arange(LANES)
    case(
        "vmem.ld.b32 vreg8, [0x7fc + vreg3 * 0x4] @sreg[6:7]",
        [ONE_BASE + 4 * n for n in steps],
        ONE_BASE - 0x7FC,
        steps,
    )
    case(
        "vmem.ld.b32 vreg8, [0x810 + vreg3 * 0x4] @sreg[6:7]",
        [ONE_BASE + 4 * n for n in steps],
        ONE_BASE - 0x800,
        steps,
    )
    case(
        "vmem.st.b32 vreg8, [0xfff + vreg3 * 0x4] @sreg[6:7]",
        [ONE_BASE + 4 * n for n in steps],
        ONE_BASE - 0x7FF * 128,
        steps,
    )
    case("vmem.st.b32 vreg8, [0x800] @sreg[6:7]", [TWO_BASE] * LANES, TWO_BASE)
    backward = [ONE_BASE + 512 - 4 * n for n in steps]
    case("vmem.ld.b32.sign vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", backward, ONE_BASE + 512, -steps)
    forward = [ONE_BASE + 512 + 4 * (n - 16) for n in steps]
    case("vmem.ld.b32.sign vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", forward, ONE_BASE + 512, steps - 16)
    case("vmem.st.b32.sign.kp1 vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", forward, ONE_BASE + 512, steps - 16)
    far = [ONE_BASE + 4 * n for n in steps]
    case("vmem.ld.b32 vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", far, ONE_BASE - (0xFFFF0000 << 2), 0xFFFF0000 + steps)
    wraps = [(ONE_BASE + 4 * int(n)) & (1 << 64) - 1 for n in (0xFFFFFFF0 + steps) % (1 << 32)]
    case(
        "vmem.ld.b32 vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]",
        wraps,
        ONE_BASE,
        (0xFFFFFFF0 + steps) % (1 << 32),
        OUT_OF_RANGE,
    )
    scaled = [TWO_BASE + 4 * (n // 16) for n in steps]
    case("vmem.ld.b16 vreg8, [0x0 + vreg3 * 0x8000] @sreg[6:7]", scaled[:1] * LANES, TWO_BASE - 0x8000 * 3, 3)
    scattered = [[ONE_BASE, TWO_BASE][n % 2] + 16 * int(n) for n in steps]
    case("vmem.ld.b32x4 vreg[16:19], [0x0] @vreg[12:13]", scattered, 0)
    case("vmem.st.b32x2 vreg[16:17], [0x0] @vreg[12:13]", scattered, 0)
    case("vmem.st.b8 vreg16, [0x0] @vreg[12:13]", [(1 << 64) - 1 - n for n in range(LANES)], 0, code=OUT_OF_RANGE)
    offset = instance("vmem.ld.b32 vreg8, [0x814] @vreg[12:13]", build)
    model, arrays = fresh()
    put = [TWO_BASE + 4 * n - 0x14 * 128 for n in range(LANES)]
    b.rows[268], b.rows[269] = [n & ALL for n in put], [n >> 32 for n in put]
    assert compare(offset, model, arrays, [TWO_BASE + 4 * n for n in range(LANES)], ALL) == 0


@pytest.mark.parametrize("sign", ["", ".sign"])
def test_an_index_that_wraps_is_not_consecutive(sign: str) -> None:
    """Lanes whose index wraps point 16 GiB lower, though the row would fit the allocation that the record knows."""
    b = bench()
    one = instance(f"vmem.ld.b32{sign} vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", FAST)
    top = 0x80000000 if sign else 1 << 32
    model, arrays = fresh()
    b.scramble(np.random.default_rng(15))
    put_pair(6, ONE_BASE + 512 - 4 * top)
    one.forget()
    for start, code in ((top - 64, 0), (top - 16, OUT_OF_RANGE), (top - 32, 0), (top - 31, OUT_OF_RANGE)):
        index = [(start + lane) & ALL for lane in range(LANES)]
        b.rows[259] = index
        steps = [n - (n >> 31 << 32) if sign else n for n in index]
        assert compare(one, model, arrays, [ONE_BASE + 512 - 4 * top + 4 * n for n in steps], ALL) == code


@pytest.mark.parametrize("build", BUILDS)
def test_dense_across_two_allocations(build: str) -> None:
    """Two allocations that touch are still two: a row may lie half in each."""
    b = bench()
    for way in ("ld", "st"):
        one = instance(f"vmem.{way}.b32 vreg8, [0x0 + vreg3 * 0x4] @sreg[6:7]", build)
        contents = [random_bytes(64, 1), random_bytes(256, 2)]
        arrays = b.memory((ONE_BASE, contents[0]), (ONE_BASE + 64, contents[1]))
        model = Model({ONE_BASE: bytearray(contents[0]), ONE_BASE + 64: bytearray(contents[1])})
        b.scramble(np.random.default_rng(11))
        put_pair(6, ONE_BASE)
        b.rows[259] = np.arange(LANES)
        one.forget()
        for _ in range(2):
            assert compare(one, model, arrays, [ONE_BASE + 4 * n for n in range(LANES)], ALL) == 0


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_tsm(way: str, name: str, build: str) -> None:
    """Offsets in the block's share, wrapping at 32 bits; the last byte works, one beyond faults."""
    b, size = bench(), WIDTH[name].size
    random = np.random.default_rng(12)
    steps = np.arange(LANES)
    length = 1000
    last = length // size - LANES
    plain = instance(f"tsm.{way}.{name} {registers_for(name, 8)}, [0x0 + vreg3 * {size:#x}]", build)
    based = instance(f"tsm.{way}.{name} {registers_for(name, 8)}, [sreg6 + 0x20 + vreg3 * {size:#x}]", build)
    for one, base, index in (
        (plain, 0, steps),
        (plain, 0, steps + last),
        (plain, 0, steps + last + 1),
        (plain, 0, steps[::-1]),
        (plain, 0, steps // 2),
        (based, 0x20, steps),
        (based, 0xFFFFFFE0, steps),
        (based, 0xFFFFFFE0 - size, steps),
        (based, 1, steps),
        (plain, 0, -1 - steps),
        (plain, 0, random.integers(0, length // size, LANES)),
    ):
        for emsk in (ALL, 0x00FFFF00, 1, 0):
            model, arrays = fresh(length)
            b.scramble(random)
            b.rows[6] = base
            b.rows[259] = index.astype(np.uint32)
            start = base + 0x20 if one is based else 0
            addresses = [(start + (int(n) & ALL) * size) % (1 << 32) for n in index]
            compare(one, model, arrays, addresses, emsk)


def test_tsm_of_no_bytes() -> None:
    """A kernel without TSM: every active lane faults, none when emsk is empty."""
    one = instance("tsm.ld.b8 vreg8, [0x0 + vreg3 * 0x1]", FAST)
    model, arrays = fresh(0)
    bench().rows[259] = np.arange(LANES)
    assert compare(one, model, arrays, list(range(LANES)), ALL) == TSM_RANGE
    assert compare(one, model, arrays, list(range(LANES)), 0) == 0


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_smem(way: str, name: str, build: str) -> None:
    """One access a warp, whatever emsk is: base, offset and index; both ends, alignment, read-only."""
    b, size = bench(), WIDTH[name].size
    data = registers_for(name, 8, "s")
    texts = {
        0: f"smem.{way}.{name} {data}, [0x0] @sreg[6:7]",
        0x40: f"smem.{way}.{name} {data}, [0x40] @sreg[6:7]",
        0x800: f"smem.{way}.{name} {data}, [0x810 + sreg3 * {size:#x}] @sreg[6:7]",
    }
    for offset, text in texts.items():
        one = instance(text, build)
        for base, place in (
            (ONE_BASE, 0),
            (ONE_BASE, SIZE - size),
            (ONE_BASE, SIZE),
            (ONE_BASE, -size),
            (TWO_BASE, size // 2),
            (CONSTANT_BASE, 4 * size),
        ):
            for emsk in (ALL, 0, 2):
                model, arrays = fresh()
                b.scramble(np.random.default_rng(13))
                index = 3 if "sreg3" in text else 0
                b.rows[3] = 3
                put_pair(6, base + place - offset - index * size)
                one.forget()
                for _ in range(2):
                    compare(one, model, arrays, [base + place], emsk)


def test_load_into_its_own_address() -> None:
    """The destination holds the index, or the base pair: the address is read first."""
    b = bench()
    for text, destination in (
        ("vmem.ld.b32 vreg3, [0x0 + vreg3 * 0x4] @sreg[6:7]", 3),
        ("vmem.ld.b32x2 vreg[2:3], [0x0 + vreg3 * 0x4] @sreg[6:7]", 2),
    ):
        one = instance(text, FAST)
        model, arrays = fresh()
        put_pair(6, ONE_BASE)
        b.rows[259] = np.arange(LANES) * 2
        compare(one, model, arrays, [ONE_BASE + 8 * n for n in range(LANES)], ALL)
        assert b.rows[256 + destination].tobytes() != bytes(128)
    pair = instance("vmem.ld.b32x2 vreg[12:13], [0x0] @vreg[12:13]", FAST)
    model, arrays = fresh()
    b.rows[268], b.rows[269] = [(ONE_BASE + 8 * n) & ALL for n in range(LANES)], ONE_BASE >> 32
    assert compare(pair, model, arrays, [ONE_BASE + 8 * n for n in range(LANES)], ALL) == 0


FORMS = [
    form
    for form in ISA.forms()
    if form.instruction.access
    and not form.instruction.access.to
    and form.instruction.mnemonic.startswith(("vmem.ld.", "vmem.st."))
    and form.instruction.kinds[1].index_bank
]


@given(
    form=st.sampled_from(FORMS),
    build=st.sampled_from(BUILDS),
    sign=st.booleans(),
    scale=st.integers(0, 6),
    start=st.integers(-40, SIZE + 40),
    step=st.sampled_from([0, 1, 1, 1, 2, 3, -1]),
    odd=st.dictionaries(st.integers(0, 31), st.integers(-20, 1200), max_size=3),
    emsk=st.one_of(st.just(ALL), st.integers(0, ALL)),
    base=st.sampled_from([ONE_BASE, TWO_BASE, CONSTANT_BASE]),
    offset=st.integers(0, 0xFFF),
    known=st.booleans(),
)
@settings(max_examples=250)
def test_vmem_anywhere(
    form: Any,
    build: str,
    sign: bool,
    scale: int,
    start: int,
    step: int,
    odd: dict[int, int],
    emsk: int,
    base: int,
    offset: int,
    known: bool,
) -> None:
    """Rows of indices with a few odd ones, anywhere near an allocation."""
    b, words = bench(), form.instruction.kinds[0].words
    address = Address(offset, Register("v", 3), scale, Register("s", 6, 2))
    one = bench().one(form.encode((Register("v", 8, words), address), (sign, 0, 0)), build)
    model, arrays = fresh()
    b.scramble(np.random.default_rng(14))
    index = [odd.get(lane, step * lane) for lane in range(LANES)]
    b.rows[259] = [n & ALL for n in index]
    real = offset if offset < 0x800 else (offset & 0x7FF) * 128
    put_pair(6, base + start - real)
    addresses = [base + start + ((n if sign else n & ALL) << scale) for n in index]
    compare(one, model, arrays, addresses, emsk)
    if known:  # the record has met the allocation, and stores have been made
        compare(one, model, arrays, addresses, ~emsk & ALL)
