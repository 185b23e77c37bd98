"""Matrix loads against the published formulas, word by word, in plain Python."""

from typing import Any

import matrix_model as model
import numpy as np
import pytest
from one import ALL, FAST, ISSUE, One, bench, row_of, stop, word_of

import m890
from m890.isa import ISA
from m890.isa.effects import Stop
from m890.isa.fields import OperandError
from m890.isa.fragments import pack
from m890.isa.matrix import matrix_form
from m890.isa.operands import Address
from m890.isa.registers import Register

SIZE = 8192
BASE, INDEX, DATA = 44, 40, 8
LOADS = {(i.mnemonic, arch): i for i in ISA if i.access and i.access.rows for arch in i.architectures}


def load(mnemonic: str, arch: str = "ppu0015", build: str = FAST, scale: int = 0, data: int = DATA) -> One:
    """A load into vreg8 and on; plain addresses are vreg40 << scale plus sreg44, swizzled ones sreg40 and sreg44."""
    instruction = LOADS[mnemonic, arch]
    at = Address(0, Register(instruction.operand("at").index_bank, INDEX), scale, Register("s", BASE))
    words = instruction.kinds[0].words
    return bench().one(instruction.forms[0].encode((Register("v", data, words), at), ()), build)


def prepare(random: np.random.Generator) -> np.ndarray:
    """Random TSM and registers, all lanes on; the TSM."""
    b = bench()
    b.scramble(random)
    b.path(ALL)
    b.specials()
    return b.tsm(random.integers(0, 256, SIZE, np.uint8).tobytes())


def found(count: int, data: int = DATA) -> np.ndarray:
    start = row_of(Register("v", data))
    return bench().rows[start : start + count].copy()


def run(one: One, base: int, addresses: Any) -> int:
    """Run a plain load whose lanes point to `addresses`."""
    bench().rows[BASE] = base
    bench().rows[row_of(Register("v", INDEX))] = np.asarray(addresses, np.uint32) - np.uint32(base)
    return one.run()


def half(tsm: np.ndarray, address: int) -> int:
    return int(tsm[address]) | int(tsm[address + 1]) << 8


def word(tsm: np.ndarray, address: int) -> int:
    return half(tsm, address) | half(tsm, address + 2) << 16


@pytest.mark.parametrize("build", [FAST, ISSUE])
@pytest.mark.parametrize(("name", "count"), [("b32", 1), ("b32x2", 2), ("b32x4", 4)])
def test_tiles(name: str, count: int, build: str) -> None:
    """Lane 4*row + j of register t has word j of a row of tile t; transposed, elements 2j and 2j + 1 of a column."""
    random = np.random.default_rng(count)
    for turn in range(4):
        tsm = prepare(random)
        rows = random.integers(0, SIZE // 16, 32) * 16 if turn else np.arange(32) * 16 + 512
        rows[8 * count :] = 1  # the other lanes' addresses do not count
        assert run(load(f"tsm.ld.mat.{name}", build=build), 16, rows) == 1
        straight = found(count)
        assert run(load(f"tsm.ld.mat.trans.{name}", build=build), 16, rows) == 1
        turned = found(count)
        for t, row, j in np.ndindex(count, 8, 4):
            assert straight[t, 4 * row + j] == word(tsm, rows[8 * t + row] + 4 * j)
            low, high = (half(tsm, rows[8 * t + 2 * j + n] + 2 * row) for n in (0, 1))
            assert turned[t, 4 * row + j] == low | high << 16


@pytest.mark.parametrize("build", [FAST, ISSUE])
@pytest.mark.parametrize(("name", "count"), [("b32", 1), ("b32x2", 2), ("b32x4", 4)])
def test_stores(name: str, count: int, build: str) -> None:
    """What a load brings a store puts back, in other places too; nothing else changes."""
    random = np.random.default_rng(count)
    for trans in ("", "trans."):
        for turn in range(3):
            tsm = prepare(random)
            rows = random.permutation(SIZE // 16)[:32] * 16 if turn else np.arange(32) * 16 + 512
            rows[8 * count :] = 1
            registers, expected = found(count), tsm.copy()
            for t, row, j in np.ndindex(count, 8, 8):
                at = (t, 4 * row + j // 2, j % 2) if not trans else (t, 4 * j + row // 2, row % 2)
                value = int(registers[at[0], at[1]]) >> 16 * at[2] & 0xFFFF
                place = rows[8 * t + row] + 2 * j
                expected[place : place + 2] = value & 0xFF, value >> 8
            assert run(load(f"tsm.st.mat.{trans}{name}", build=build), 16, rows) == 1
            np.testing.assert_array_equal(tsm, expected)


@pytest.mark.parametrize("build", [FAST, ISSUE])
@pytest.mark.parametrize(("mnemonic", "arch"), LOADS)
def test_ranges_start_at_an_even_register(mnemonic: str, arch: str, build: str) -> None:
    """A published listing has `tsm.ld.swzl` with vreg[102:105]: it does there what it does at vreg8."""
    rows, count = np.random.default_rng(1).permutation(SIZE // 32)[:32] * 32, LOADS[mnemonic, arch].kinds[0].words
    seen: list[Any] = []
    for data in (DATA, 102):
        tsm = prepare(np.random.default_rng(2))
        bench().rows[INDEX] = 256
        start = row_of(Register("v", data))
        bench().rows[start : start + count] = np.arange(count * 32).reshape(count, 32)
        assert run(load(mnemonic, arch, build, data=data), 16, rows) == 1
        seen.append((found(count, data).tobytes(), tsm.tobytes()))
    assert seen[0] == seen[1]
    if count > 1:
        with pytest.raises(OperandError, match="is not aligned") as caught:
            load(mnemonic, arch, build, data=103)
        assert caught.value.code == 7


def test_a_published_range_is_assembled() -> None:
    text = "tsm.ld.swzl.b32x4.s0.t1.trans0 vreg[102:105], [sreg21] @sreg41"
    assert ISA.text(word_of(text)) == text


def test_consecutive_rows_are_stored_as_one_block() -> None:
    tsm = prepare(np.random.default_rng(1))
    bench().rows[BASE] = 64
    bench().rows[row_of(Register("v", INDEX))] = np.arange(32)
    assert load("tsm.st.mat.b32x4", scale=4).run() == 1
    np.testing.assert_array_equal(found(4), tsm[64 : 64 + 512].view(np.uint32).reshape(4, 32))


@pytest.mark.parametrize(("name", "count"), [("b32x2", 2), ("b32x4", 4)])
def test_bytes_transposed(name: str, count: int) -> None:
    """Of each 16x16 tile of bytes, register 2t + h has columns 8h to 8h + 7, four rows in a word."""
    random = np.random.default_rng(count)
    tsm = prepare(random)
    rows = random.integers(0, SIZE // 16, 32) * 16
    assert run(load(f"tsm.ld.mat.m16n16.trans.{name}"), 0, rows) == 1
    registers = found(count)
    for r, column, j, e in np.ndindex(count, 8, 4, 4):
        byte = int(registers[r, 4 * column + j]) >> 8 * e & 0xFF
        assert byte == tsm[rows[16 * (r // 2) + 4 * j + e] + column + 8 * (r % 2)]


def test_consecutive_rows_are_one_block() -> None:
    """The fast path: addresses 16 bytes apart, given as an index with scale 16."""
    tsm = prepare(np.random.default_rng(1))
    bench().rows[BASE] = 64
    bench().rows[row_of(Register("v", INDEX))] = np.arange(32)
    assert load("tsm.ld.mat.b32x4", scale=4).run() == 1
    np.testing.assert_array_equal(found(4), tsm[64 : 64 + 512].view(np.uint32).reshape(4, 32))


def test_older_chip() -> None:
    """ncom is the plain form; mt1616 takes a row of 32 bytes from each of 16 lanes and transposes."""
    random = np.random.default_rng(2)
    tsm = prepare(random)
    rows = random.integers(0, SIZE // 16, 32) * 16
    assert run(load("tsm.ld.ncom.b32x4", "ppu001"), 0, rows) == 1
    for t, row, j in np.ndindex(4, 8, 4):
        assert found(4)[t, 4 * row + j] == word(tsm, rows[8 * t + row] + 4 * j)
    rows = 512 + 32 * np.arange(32)
    rows[16:] = 3
    assert run(load("tsm.ld.ncom.mt1616.b32x4", "ppu001"), 0, rows) == 1
    matrix = tsm[512:1024].view(np.uint16).reshape(16, 16)
    fragment = matrix_form("v.mma.f32.bf16.m16n16k16", "ppu001").b
    np.testing.assert_array_equal(found(4), pack(matrix, fragment))


def swizzled(p: int, lbo: int, sbo: int, mode: int, r: int, lane: int) -> int:
    """The published address of a word."""
    a = 16 * p + 16 * lbo * (r >> 1) + 16 * sbo * (r & 1) + (64 if mode else 128) * (lane >> 2) + 4 * (lane & 3)
    return a ^ (((a >> 7) & 3) << 4 if mode else ((a >> 7) & 7) << 4)


@pytest.mark.parametrize("mode", [0, 1])
def test_swizzled(mode: int) -> None:
    random = np.random.default_rng(mode)
    for lbo, sbo in ((1, 64), (64, 1), (0, 0), (7, -3), (-2, 5)):
        tsm = prepare(random)
        p = int(random.integers(64, 128))
        bench().rows[INDEX], bench().rows[BASE] = p, lbo & 0xFFFF | (sbo & 0xFFFF) << 16
        for trans in (0, 1):
            assert load(f"tsm.ld.swzl.b32x4.s{mode}.t1.trans{trans}").run() == 1
            registers = found(4)
            for r, row, j in np.ndindex(4, 8, 4):
                at = [swizzled(p, lbo, sbo, mode, r, 4 * (2 * j + n) + row // 2) + 2 * (row % 2) for n in (0, 1)]
                value = half(tsm, at[0]) | half(tsm, at[1]) << 16
                plain = word(tsm, swizzled(p, lbo, sbo, mode, r, 4 * row + j))
                assert registers[r, 4 * row + j] == (value if trans else plain)


def in_slices(row: int, byte: int, rows: int) -> int:
    """Where ppu001 puts a byte of a row of a cube."""
    part, inside = divmod(byte, 32)
    turn, half = {0: 0, 1: 2, 2: 1, 3: 3}[part % 4], (inside // 16 + row // 4) % 2
    return part * rows * 32 + row // 4 * 128 + (turn + row) % 4 * 32 + half * 16 + inside % 16


@pytest.mark.parametrize("trans", [0, 1])
def test_slices_of_the_older_chip(trans: int) -> None:
    """16 rows of a slice come back as the fragment of A, or transposed of B; or with tiles 1 and 2 exchanged."""
    random, rows, base = np.random.default_rng(trans), 24, 512
    cube = random.integers(0, 1 << 16, (rows, 5, 16), np.uint16)  # rows of 5 slices of 16 halves
    tsm = prepare(random)
    for row, byte in np.ndindex(rows, 160):
        tsm[base + in_slices(row, byte, rows)] = cube[row].view(np.uint8).ravel()[byte]
    form = matrix_form("v.mma.f32.bf16.m16n16k16", "ppu001")
    place, words = (model.place_b, form.b.words) if trans else (model.place_a, form.a.words)
    where = model.place_map(place, form, words, 16)
    for first, part, order in np.ndindex(2, 5, 2):
        bench().rows[INDEX] = base + part * rows * 32 + 8 * first * 32
        bench().rows[BASE] = part % 4 | 4 * order
        assert load(f"tsm.ld.swzl.b32x4.s0.t1.trans{trans}", "ppu001").run() == 1
        fragment = model.to_registers(cube[8 * first : 8 * first + 16, part], where, 16)
        np.testing.assert_array_equal(found(4), fragment[[0, 2, 1, 3]] if order else fragment)


@pytest.mark.parametrize("build", [FAST, ISSUE])
def test_faults(build: str) -> None:
    """Misaligned addresses, those that reach beyond the TSM, and lanes that are off, before any effect."""
    b, rows = bench(), np.arange(32) * 16
    for wrong, code in ((SIZE - 8, 9), (SIZE, 9), (8, 10), (0xFFFFFFF0, 9)):
        prepare(np.random.default_rng(3))
        one, before = load("tsm.ld.mat.b32x4", build=build), found(4)
        bad = rows.copy()
        bad[21] = wrong
        assert run(one, 0, bad) == stop(Stop.FAULT)
        assert int(b.warp["fault"]) == code
        np.testing.assert_array_equal(found(4), before)
    prepare(np.random.default_rng(4))
    b.path(ALL, ALL >> 1)
    before = found(4)
    assert run(load("tsm.ld.mat.trans.b32x4", build=build), 0, rows) == stop(Stop.FAULT)
    assert (int(b.warp["fault"]), int(b.warp["fault_lanes"])) == (3, 1 << 31)
    np.testing.assert_array_equal(found(4), before)


KERNEL = """
        .arch   ppu0015
        .kernel k
        .param  ptr x
        .param  ptr y
        .tsm    512 tile
        v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff
        vmem.ld.b32x4   vreg[4:7], [0x0 + vreg0 * 0x10] @x
        s.wait          vldcnt(0)
        tsm.st.b32x4    vreg[4:7], [vreg0 * 0x10]
        s.wait          tsmcnt(0)
        tsm.ld.mat.trans.b32x4 vreg[8:11], [vreg0 * 0x10]
        s.wait          tsmcnt(0)
        vmem.st.b32x4   vreg[8:11], [0x0 + vreg0 * 0x10] @y
        s.wait          vstcnt(0)
        simt.exit
"""


def test_both_timings() -> None:
    data = np.random.default_rng(5).integers(0, 1 << 32, 128, np.uint32)
    expected = data.view(np.uint16).reshape(4, 8, 8).transpose(0, 2, 1)
    for timing in ("eager", "late"):
        chip = m890.Chip(timing=timing)
        x, y = chip.to_device(data), chip.empty(128, np.uint32)
        chip.assemble(KERNEL)["k"][1, 32](x, y)
        registers = np.ascontiguousarray(y.copy_to_host().reshape(32, 4).T)
        np.testing.assert_array_equal(registers.view(np.uint16).reshape(4, 8, 8), expected)
