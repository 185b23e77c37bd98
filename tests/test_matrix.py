"""Matrix instructions: lane maps against the published formulas, results against exact arithmetic, bit for bit.

The compiled handlers run on registers that `matrix_model` fills and reads by formulas of its own.
"""

from typing import Any

import matrix_model as model
import ml_dtypes
import numpy as np
import pytest
from matrix_machine import (
    DENSE,
    FIRST,
    PARAMS,
    Machine,
    by_name,
    chosen_by,
    digits,
    form_of,
    maps,
    operands,
    random_scales,
    scale_lists,
    word_of,
)
from one import ALL, Bench, One, bench, predict

import m890
from m890.isa import ISA
from m890.isa.assembler import AssemblyError, assemble
from m890.isa.fragments import pack, places, unpack
from m890.isa.matrix import MATRIX_FORMS, MatrixForm, matrix_form
from m890.isa.registers import Register
from m890.tools.manual_fragments import draw, operands_of

ONE = {"f32": 0x3F800000, "f16": 0x3C00, "i32": 1}


# Lane maps.


@pytest.mark.parametrize("form", MATRIX_FORMS, ids=lambda form: f"{form.arch}-{form.mnemonic}")
def test_lane_maps_are_the_published_ones(form: MatrixForm) -> None:
    for fragment, formula in zip((form.a, form.b, form.d), maps(form), strict=True):
        for ours, theirs in zip(places(fragment), formula, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        flat = places(fragment)[0] * fragment.columns + places(fragment)[1]
        assert sorted(flat.ravel()) == list(range(fragment.rows * fragment.columns))


def test_pack_and_unpack() -> None:
    form = matrix_form("v.mma.f32.bf16.m16n16k16")
    matrix = np.arange(256).reshape(16, 16).astype(ml_dtypes.bfloat16)
    registers = pack(matrix, form.a)
    assert registers.shape == (4, 32)
    assert registers[2, 5] == int(matrix[1, 10].view(np.uint16)) | int(matrix[1, 11].view(np.uint16)) << 16
    np.testing.assert_array_equal(unpack(registers, form.a, ml_dtypes.bfloat16), matrix)
    mx = matrix_form("v.mma.mx.f32.f4.f4.m16n16k64")
    nibbles = np.arange(1024).reshape(64, 16).astype(np.uint8) % 16
    np.testing.assert_array_equal(unpack(pack(nibbles, mx.b), mx.b), nibbles)
    with pytest.raises(ValueError, match="16 x 16"):
        pack(matrix[:8], form.a)
    with pytest.raises(ValueError, match="16 bits"):
        pack(matrix.astype(np.float32), form.a)
    with pytest.raises(ValueError, match="4 registers"):
        unpack(registers[:2], form.a)
    with pytest.raises(ValueError, match="16 bits, which is not float32"):
        unpack(registers, form.a, np.float32)
    swapped = matrix.view(np.uint16).astype(">u2")
    np.testing.assert_array_equal(pack(swapped, form.a), registers)
    with pytest.raises(KeyError, match="ppu001"):
        matrix_form("v.mma.f32.e4m3.e4m3.m16n16k32", "ppu001")


@pytest.mark.parametrize("instruction", DENSE)
def test_every_element_is_where_it_should_be(instruction: Any) -> None:
    """One element at a time is 1, the other factor tells its k by digits of base 4 in three rows or columns."""
    machine, form = Machine(instruction), form_of(instruction)
    scales = np.full((2, 32), 0x7F7F7F7F, np.uint32)
    c = np.zeros((form.m, form.n), np.uint32)
    digit, one_a, one_b = digits(form.k), model.element(1, form.left.name), model.element(1, form.right.name)
    b = np.zeros((form.k, form.n), np.uint32)
    b[:, :3] = model.element(digit, form.right.name)
    for m, k in np.ndindex(form.m, form.k):
        a = np.zeros((form.m, form.k), np.uint32)
        a[m, k] = one_a
        found = model.numbers(machine.run(a, b, c, scales), form.result.name)
        assert found[m][:3] == digit[k].tolist()
        assert not any(map(any, found[:m] + found[m + 1 :]))
    a = np.zeros((form.m, form.k), np.uint32)
    a[:3] = model.element(digit.T, form.left.name)
    for k, n in np.ndindex(form.k, form.n):
        b = np.zeros((form.k, form.n), np.uint32)
        b[k, n] = one_b
        found = np.array(model.numbers(machine.run(a, b, c, scales), form.result.name))
        assert found[:3, n].tolist() == digit[k].tolist()
        assert not np.delete(found, n, axis=1).any()
    a, b = np.zeros((form.m, form.k), np.uint32), np.zeros((form.k, form.n), np.uint32)
    for m, n in np.ndindex(form.m, form.n):
        c = np.zeros((form.m, form.n), np.uint32)
        c[m, n] = ONE[form.result.name]
        np.testing.assert_array_equal(machine.run(a, b, c, scales), c)


# Results.


@pytest.mark.parametrize("instruction", PARAMS)
def test_results_are_exact(instruction: Any) -> None:
    form, random = form_of(instruction), np.random.default_rng(sum(instruction.mnemonic.encode()))
    for sort in ("near", "finite", "any"):
        a, b, c = operands(random, form, sort)
        if form.sparse:
            select = int(random.integers(0, 64 // form.k))
            e = random.integers(0, 1 << 32, (1, 32), np.uint32)
            found = Machine(instruction, select=select).run(a, b, c, e)
            chosen = chosen_by(form, e[0], select)
            np.testing.assert_array_equal(found, model.product(form, a, b, c, chosen=chosen))
            continue
        if not form.scaled:
            np.testing.assert_array_equal(Machine(instruction).run(a, b, c), model.product(form, a, b, c))
            continue
        scales = random_scales(random, *{"near": (120, 135), "finite": (0, 255), "any": (0, 256)}[sort])
        select = int(random.integers(0, 16 if form.n == 16 else 32))
        found = Machine(instruction, select=select).run(a, b, c, scales)
        np.testing.assert_array_equal(found, model.product(form, a, b, c, scale_lists(form, scales, select)))


def test_zeros_have_the_sign_of_the_sum() -> None:
    """A sum starts at +0, so it is -0 only where a product is rounded to -0; then C decides."""
    instruction = by_name("v.mma.f32.bf16.m16n16k16")
    machine, zero = Machine(instruction), np.zeros((16, 16), np.uint32)
    minus, tiny = zero | 0x8000, zero | 0x0001
    assert (machine.run(minus, zero | 0x3F80, zero | 0x80000000) == 0).all()
    tiny[:, :15] = 0x8000  # ends with -2**-133 * 2**-133
    other = zero | 0x8001
    assert (machine.run(tiny, other, zero | 0x80000000) == 0x80000000).all()
    assert (machine.run(tiny, other, zero) == 0).all()


def test_order_of_additions() -> None:
    """2**24 first, then ones that are lost each for itself; C comes last."""
    machine = Machine(by_name("v.mma.f32.f16.m16n16k16"))
    a, b = np.full((16, 16), 0x3C00, np.uint32), np.full((16, 16), 0x3C00, np.uint32)
    a[:, 0], b[0] = 0x6C00, 0x6C00  # 4096 * 4096
    c = np.full((16, 16), 0x4B800000, np.uint32)
    assert (machine.run(a, b, c).view(np.float32) == 2.0**25).all()
    assert (machine.run(a[:, ::-1], b[::-1], c).view(np.float32) == 2.0**25 + 16).all()


def test_saturation_happens_once() -> None:
    a, b = np.full((16, 32), 0x7F, np.uint32), np.full((32, 16), 0x7F, np.uint32)
    top = np.full((16, 16), 0x7FFFFFFF, np.uint32)
    assert (Machine(by_name("v.mma.i32.i8.i8.m16n16k32.sat")).run(a, b, top) == 0x7FFFFFFF).all()
    wrapped = (0x7FFFFFFF + 32 * 127 * 127) & ALL
    assert (Machine(by_name("v.mma.i32.i8.i8.m16n16k32")).run(a, b, top) == wrapped).all()
    b[16:] = 0x81  # -127: the sum is 0 although a partial sum with C would be out of range
    assert (Machine(by_name("v.mma.i32.i8.i8.m16n16k32.sat")).run(a, b, top) == 0x7FFFFFFF).all()


# The body under numpy, hosts without wide registers, the machine around it.


@pytest.mark.parametrize("instruction", PARAMS)
def test_body_is_handler(instruction: Any) -> None:
    """Also with bits that no test of numbers makes, and D in the registers of C, A or B."""
    random = np.random.default_rng(5)
    for names in ("", "c", "ab"):
        first = FIRST | dict.fromkeys(names[:1], 0)
        values = [
            Register("v", first[kind.name], kind.words) if kind.name in first else int(random.integers(0, 2))
            for kind in instruction.kinds
        ]
        one = bench().one(instruction.forms[0].encode(tuple(values), ()))
        for _ in range(3):
            bench().scramble(random)
            bench().path(ALL)
            bench().specials()
            expected = predict(one).rows
            assert one.run() == 1
            expected[one.places] = bench().rows[one.places]
            np.testing.assert_array_equal(bench().rows, expected)


def rebuilt(instruction: Any, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: Any) -> One:
    """The instruction compiled with a constant of the compiler replaced."""
    from m890.emulator.codegen.glue import compile_handler
    from m890.emulator.codegen.recipes import Recipe

    monkeypatch.setattr(module, name, value)
    key = f"test{name}{value}{abs(hash(instruction.mnemonic))}"
    code = compile_handler(key, Recipe(instruction))
    one = bench().one(word_of(instruction))
    one.handler = _function(bench().engine.handlers.cache._add(key, code))
    return one


def _function(address: int) -> Any:
    import ctypes

    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(address)


@pytest.mark.parametrize(("together", "mnemonic"), [(4, "v.mma.f32.bf16.m16n16k16"), (4, "v.mma.f32.tf32.m16n8k8")])
def test_hosts_with_fewer_registers(together: int, mnemonic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from m890.emulator.codegen import lowering_matrix

    machine = Machine(by_name(mnemonic))
    machine.one = rebuilt(by_name(mnemonic), monkeypatch, lowering_matrix, "TOGETHER", together)
    a, b, c = operands(np.random.default_rng(1), machine.form, "any")
    np.testing.assert_array_equal(machine.run(a, b, c), model.product(machine.form, a, b, c))


def test_hosts_without_binary16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every binary16 number in, and every rounding out, by integer code."""
    from m890.emulator.codegen import matrix_formats

    instruction = by_name("v.mma.f16.f16.m16n16k16")
    native, plain = Machine(instruction), Machine(instruction)
    plain.one = rebuilt(instruction, monkeypatch, matrix_formats, "HAS_HALF", False)
    unit = np.eye(16).astype(np.float16).view(np.uint16).astype(np.uint32)
    every = np.arange(1 << 16, dtype=np.uint32).reshape(-1, 16, 16)
    random = np.random.default_rng(2)
    for bits in every:
        a, c = random.permutation(np.stack([bits, every[random.integers(len(every))]]))
        np.testing.assert_array_equal(plain.run(a, unit, c), native.run(a, unit, c))
    for sort in ("near", "finite", "any"):
        a, b, c = operands(random, native.form, sort)
        np.testing.assert_array_equal(plain.run(a, b, c), model.product(native.form, a, b, c))


KERNEL = """
        .arch   {arch}
        .kernel k
        .param  ptr x
        .param  ptr y
        v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff
        vmem.ld.b32x4   vreg[4:7], [0x0 + vreg0 * 0x10] @x
        vmem.ld.b32x4   vreg[8:11], [bytes(0x200) + vreg0 * 0x10] @x
        {zero}
        s.wait          vldcnt(0)
        {mnemonic} vreg[16:23], vreg[4:7], vreg[8:11], vreg[16:23]
        vmem.st.b32x4   vreg[16:19], [0x0 + vreg0 * 0x10] @y
        vmem.st.b32x4   vreg[20:23], [bytes(0x200) + vreg0 * 0x10] @y
        s.wait          vstcnt(0)
        simt.exit
"""


def kernel_text(mnemonic: str, arch: str) -> str:
    zero = "\n".join(f"v.mov.b32 vreg{n}, 0" for n in range(16, 24))
    return KERNEL.format(arch=arch, zero=zero, mnemonic=mnemonic)


@pytest.mark.parametrize(("profile", "arch"), [("M890", "ppu0015"), ("810E", "ppu001")])
def test_a_launch_gives_the_same_in_both_timings(profile: str, arch: str) -> None:
    form, random = matrix_form("v.mma.f32.bf16.m16n16k16", arch), np.random.default_rng(4)
    a, b = (random.standard_normal((16, 16)).astype(ml_dtypes.bfloat16) for _ in range(2))
    memory = np.concatenate([pack(each, tile).T for each, tile in ((a, form.a), (b, form.b))])
    for timing in ("eager", "late"):
        chip = m890.Chip(profile, timing=timing)
        x, y = chip.to_device(memory.astype(np.uint32)), chip.empty(256, np.uint32)
        chip.assemble(kernel_text(form.mnemonic, arch))["k"][1, 32](x, y)
        found = unpack(y.copy_to_host().reshape(2, 32, 4).transpose(0, 2, 1).reshape(8, 32), form.d, np.float32)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5)


def test_a_launch_with_half_a_warp_faults() -> None:
    chip = m890.Chip()
    x, y = chip.to_device(np.zeros(256, np.uint32)), chip.empty(256, np.uint32)
    with pytest.raises(m890.Fault, match="exception 3, Invalid warp sync") as caught:
        chip.assemble(kernel_text("v.mma.f32.bf16.m16n16k16", "ppu0015"))["k"][1, 16](x, y)
    assert caught.value.code == 3


@pytest.mark.parametrize(
    "text", ["v.mma.f32.bf16.m16n16k16 vreg[16:23], vreg[0:3], vreg[4:7], vreg[16:23]", "tsm.ld.mat.b32 vreg0, [vreg8]"]
)
def test_what_needs_all_lanes_says_which_are_missing(text: str) -> None:
    """Lanes that are off, and lanes that the block does not have, differ in what to do."""
    source = f".kernel k\n.tsm 1024\nv.mov.b32 vreg8, 0\n{text}\nsimt.exit\n"
    with pytest.raises(m890.Fault, match="this instruction needs all 32 lanes of its warp: make the block") as caught:
        m890.Chip().assemble(source)["k"][1, 58]()
    assert caught.value.detail == "lanes 26-31 do not exist: the block has 58 threads"
    assert (caught.value.lanes, caught.value.threads) == (tuple(range(26, 32)), ())
    off = source.replace("v.mov", "s.mov.b32 emsk, 0xffff\nv.mov", 1)
    with pytest.raises(m890.Fault, match=r"detail +lanes 16-31 are off\n"):
        m890.Chip().assemble(off)["k"][1, 32]()
    with pytest.raises(m890.Fault) as caught:
        m890.Chip().assemble(off.replace("0xffff", "0x3ff7fff"))["k"][1, 26]()
    assert caught.value.detail == "lanes 26-31 do not exist: the block has 26 threads; lane 15 is off"


def test_text() -> None:
    """The operands of a published listing, modifiers, and what cannot stand there."""

    def word(operands: str, mnemonic: str = "v.mma.f32.bf16.m16n16k16") -> int:
        return int(assemble(f".arch ppu0015\n.kernel k\n{mnemonic} {operands}\n").kernels["k"].words[0])

    for text in (
        "vreg[16:23], vreg[110:113], vreg[102:105], vreg[16:23]",
        "vreg[16:23], !vreg[110:113].reuse, vreg[102:105].reuse, !vreg[16:23]",
    ):
        assert ISA.text(word(text)) == f"v.mma.f32.bf16.m16n16k16 {text}"
    for text, complaint in (
        ("vreg[16:23], vreg[111:114], vreg[102:105], vreg[16:23]", "not aligned"),
        ("vreg[16:23], vreg[110:111], vreg[102:105], vreg[16:23]", "where 4 belong"),
        ("vreg[16:23], |vreg[110:113]|, vreg[102:105], vreg[16:23]", "cannot stand here"),
        ("vreg[16:23], sreg[0:3], vreg[102:105], vreg[16:23]", "expected"),
    ):
        with pytest.raises(AssemblyError, match=complaint):
            word(text)
    with pytest.raises(AssemblyError, match="cannot stand here"):
        word("vreg[16:23], !vreg[110:113], vreg[102:105], vreg[16:23]", "v.mma.i32.i8.i8.m16n16k32")


def test_bench_is_left_usable() -> None:
    assert isinstance(bench(), Bench)


@pytest.mark.parametrize("form", MATRIX_FORMS, ids=lambda form: f"{form.arch}-{form.mnemonic}")
def test_drawn_lane_maps(form: MatrixForm) -> None:
    """What the manual draws, read back, is where the published formulas put the elements."""
    for operand, where in zip(operands_of(form), maps(form), strict=True):
        head, *lines = draw(operand, whole=True)
        starts = [int(text.partition("-")[0]) for text in head[6:].split()]
        for line, text in enumerate(lines):
            number, *cells = text.split()
            assert int(number) == line
            for start, cell in zip(starts, cells, strict=True):
                lane, _, rest = cell.partition(":r")
                register, _, part = rest.partition(".")
                at = int(register), int(lane), int(part or 0)
                first, second = int(where[0][at]), int(where[1][at])
                assert ((second, first) if operand.by_columns else (first, second)) == (line, start)


@pytest.mark.parametrize("mnemonic", ["v.mma.mx.f32.f4.f4.m16n16k64", "v.mma.f32.e4m3.e5m2.m16n16k32"])
def test_hosts_without_avx512(mnemonic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from m890.emulator.codegen import matrix_formats

    instruction = by_name(mnemonic)
    machine, form, random = Machine(instruction), form_of(instruction), np.random.default_rng(6)
    monkeypatch.setattr(matrix_formats, "HAS_TABLES", False)
    machine.one = rebuilt(instruction, monkeypatch, matrix_formats, "HAS_AVX512", False)
    for sort in ("near", "any"):
        a, b, c = operands(random, form, sort)
        scales = random_scales(random, 100, 256)
        lists = scale_lists(form, scales, 0) if form.scaled else None
        np.testing.assert_array_equal(machine.run(a, b, c, scales), model.product(form, a, b, c, lists))


@pytest.mark.parametrize("mnemonic", ["v.mma.i32.i8.i8.m16n16k32", "v.mma.i32.u8.i8.m16n8k16.sat"])
def test_hosts_without_sums_of_bytes(mnemonic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from m890.emulator.codegen import matrix_formats

    instruction = by_name(mnemonic)
    machine, form = Machine(instruction), form_of(instruction)
    machine.one = rebuilt(instruction, monkeypatch, matrix_formats, "HAS_DOT", False)
    a, b, c = operands(np.random.default_rng(7), form, "any")
    np.testing.assert_array_equal(machine.run(a, b, c), model.product(form, a, b, c))


@pytest.mark.parametrize("mnemonic", ["v.mma.mx.f32.f4.f4.m16n16k64", "v.mma.mx.f32.f4.f4.m16n8k64"])
@pytest.mark.parametrize("middle", [127, 80, 220])
@pytest.mark.parametrize("apart", [0, 5, 6, 12])
def test_scales_of_blocks_apart(mnemonic: str, middle: int, apart: int) -> None:
    """The two scales of each row and column differ by 2**apart: whether sums are rounded depends on that."""
    instruction = by_name(mnemonic)
    form, random = form_of(instruction), np.random.default_rng(apart)
    for _ in range(3):
        a, b, c = operands(random, form, "any")
        first = random.integers(middle - 3, middle + 4, (2, 32, 2))
        pairs = np.stack([first, first + apart * random.choice([-1, 1], (2, 1, 1))], axis=-1)
        scales = pairs.astype(np.uint8).reshape(2, 32, 4).view(np.uint32)[..., 0]
        select = int(random.integers(0, 16 if form.n == 16 else 32))
        found = Machine(instruction, select=select).run(a, b, 0 * c, scales)
        np.testing.assert_array_equal(found, model.product(form, a, b, 0 * c, scale_lists(form, scales, select)))
