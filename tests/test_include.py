"""The macros of programs/include/: found from everywhere, described, and each against numpy or plain Python."""

import json
import re

import numpy as np
import pytest
from command_line import m890
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m890 import AssemblyError, Chip
from m890.isa.assembler import assemble
from m890.isa.source import LIBRARY, included_by
from m890.tools.library import macros, macros_of

FILES = sorted(LIBRARY.glob("*.inc"))
CHIPS = [Chip(timing="eager"), Chip(timing="late")]
INCLUDES = "".join(f'.include "{file.name}"\n' for file in FILES)
words = st.integers(0, 2**32 - 1)


def run(body, *arrays, block=None, grid=1, scalars=()):
    """A kernel around `body` on arrays of 32-bit elements, one per thread: vreg1, vreg2, ... come in, vreg1 goes out.

    vreg0 is the thread's number in a one-dimensional grid, and the scalars are n0, n1, ...
    """
    size = len(arrays[0])
    text = INCLUDES + ".kernel k\n"
    text += "".join(f".param u32 n{place}\n" for place in range(len(scalars)))
    text += "".join(f".param ptr in{place}\n" for place in range(len(arrays)))
    text += ".param ptr y\n.tsm 4 * 1024 shared\nglobal_x vreg0, sreg40\n"
    text += "".join(f"vmem.ld.b32 vreg{place + 1}, [vreg0 * 0x4] @in{place}\n" for place in range(len(arrays)))
    text += f"s.wait vldcnt(0)\n{body}\nvmem.st.b32 vreg1, [vreg0 * 0x4] @y\nsimt.exit\n"
    results = []
    for chip in CHIPS:
        buffers = [chip.to_device(array) for array in arrays]
        out = chip.to_device(np.zeros(size, np.uint32))
        chip.assemble(text, "k.s")["k"][grid, block or size // grid](*scalars, *buffers, out)
        results.append(out.copy_to_host())
    np.testing.assert_array_equal(*results)
    return results[0]


def numbers(seed, size=64):
    """Unsigned numbers of all lengths, the greatest and the least among them."""
    random = np.random.default_rng(seed)
    found = random.integers(0, 1 << 32, size, np.uint32) >> random.integers(0, 32, size, np.uint32)
    found[:3] = 0, 0xFFFFFFFF, 0x80000000
    return found


# ---- finding them ---------------------------------------------------------------------------------------------------

USE = '.include "index.inc"\n.kernel k\nglobal_x vreg0\nsimt.exit\n'


def test_found_without_a_path():
    assert list(Chip().assemble(USE)) == ["k"]


def test_found_from_the_shell(tmp_path):
    (tmp_path / "k.s").write_text(USE)
    m890("asm", str(tmp_path / "k.s"), "-o", str(tmp_path / "k.hgbin"))


SUPPOSED = {  # what the example at the head of a file has from the kernel around it, if it is not a whole one
    "activation.inc": "",
    "divide.inc": "",
    "fragments.inc": ".reg half = sreg40\n.reg lane = vreg1\n.reg tile = sreg41\n",
    "hash.inc": "",
    "lock.inc": ".param ptr locks\n",
    "loop.inc": ".param u32 n\n.reg i = vreg0\n.reg step = sreg40\n.reg entry = sreg41\n",
    "minmax.inc": "".join(f".reg {name} = vreg{n}\n" for n, name in enumerate(("best", "best_at", "value", "at"), 4)),
    "warp.inc": "",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_example_at_its_head_assembles(file):
    example = re.search(r"(?m)^(?://      .*\n)+", file.read_text(encoding="utf-8"))
    assert example, "no example"
    lines = [line.removeprefix("//").replace("...", "") for line in example[0].splitlines(keepends=True)]
    if file.name in SUPPOSED:
        start = max(place for place, line in enumerate(lines) if ".include" in line) + 1
        lines[start:start] = [".kernel k\n", SUPPOSED[file.name]]
    assert list(assemble("".join(lines) + "simt.exit\n", file.name).kernels)


def test_described_in_the_shell():
    page = m890("isa", "block_reduce").stdout
    assert page.startswith("block_reduce combine, value, tid, at, v, s\n")
    assert '.include "block.inc"' in page
    assert json.loads(m890("isa", "block_reduce", "--json").stdout)["file"] == "block.inc"


def test_a_file_of_ones_own_comes_first(tmp_path):
    other = ".macro global_x to\ns.trap\n.endm\n"
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "index.inc").write_text(other)
    name = str(tmp_path / "near" / "k.s")
    assert len(assemble(USE, name).kernels["k"].words) == 5
    assert len(assemble(USE, name, include=[tmp_path / "far"]).kernels["k"].words) == 2
    (tmp_path / "near" / "index.inc").write_text(other)
    assert len(assemble(USE, name).kernels["k"].words) == 2


def test_a_misspelt_name():
    with pytest.raises(AssemblyError, match=r"did you mean index\.inc.*\? searched the library"):
        assemble('.include "indx.inc"\n')


def test_a_macro_whose_file_is_not_included():
    with pytest.raises(AssemblyError, match=r'a macro of the library: \.include "index\.inc"'):
        assemble(".kernel k\nglobal_x vreg0\nsimt.exit\n")


@pytest.mark.parametrize("arch", ["ppu001", "ppu0015"])
def test_a_macro_of_which_each_architecture_has_its_own(arch):
    with pytest.raises(AssemblyError, match=r'a macro of the library: \.include "fragments\.inc"'):
        assemble(".kernel k\nfragment_registers at, bt\nsimt.exit\n", arch=arch)
    assert macros()["fragment_registers"].file == "fragments.inc"
    assert included_by("gemm_store.inc") == "gemm_store.inc"


def test_all_together_do_not_collide():
    assert assemble(INCLUDES * 2 + ".kernel k\nsimt.exit\n").kernels


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_macro_is_described(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith("// ")
    assert f'//      .include "{included_by(file.name)}"' in text
    macros = macros_of(text)
    assert [macro.name for macro in macros] == re.findall(r"^\s+\.macro\s+(\w+)", text, re.MULTILINE)
    assert all(macro.paragraphs[0] for macro in macros)


# ---- index.inc, loop.inc --------------------------------------------------------------------------------------------


def test_coordinates():
    text = """.kernel k
        .param  u32 width
        .param  u32 height
        .param  ptr y
        global_xy       vreg0, vreg1, sreg40
        v.madl.i32      vreg2, vreg1, width, vreg0
        inside_2d       vreg0, width, vreg1, height, sreg41, sreg42
        vmem.st.b32     vreg2, [vreg2 * 0x4] @y
        restore         sreg41
        simt.exit
    """
    for chip in CHIPS:
        y = chip.to_device(np.full((13, 37), 7, np.uint32))
        chip.assemble(INCLUDES + text)["k"][(5, 4), (8, 4)](37, 13, y)
        np.testing.assert_array_equal(y.copy_to_host().reshape(-1), np.arange(37 * 13))


@pytest.mark.parametrize(("n", "grid", "block"), [(0, 2, 32), (1, 1, 1), (1000, 3, 48), (95, 3, 32), (96, 3, 32)])
def test_every_element_has_one_turn(n, grid, block):
    """By lanes with a grid-stride loop, and by warps with a scalar one."""
    text = """.kernel lanes
        .param  u32 n
        .param  ptr x
        global_x        vreg0
        grid_threads    sreg40
        grid_stride     each, vreg0, n, sreg41
        vmem.ld.b32     vreg1, [vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        v.add.i32       vreg1, vreg1, 1
        vmem.st.b32     vreg1, [vreg0 * 0x4] @x
        s.wait          vstcnt(0)
        grid_stride_end each, vreg0, sreg40, sreg41
        v.mov.b32       vreg1, %tid.x                   // all lanes are back
        simt.exit
        .kernel warps
        .param  u32 n
        .param  ptr x
        global_warp     sreg40
        grid_warps      sreg41
        for_scalar      each, sreg40, n
        smem.ld.b32     sreg42, [sreg40 * 0x4] @x
        s.wait          sldcnt(0)
        s.add.i32       sreg42, sreg42, 1
        smem.st.b32     sreg42, [sreg40 * 0x4] @x
        s.wait          sstcnt(0)
        for_scalar_end  each, sreg40, sreg41
        simt.exit
    """
    for chip in CHIPS:
        for name in ("lanes", "warps"):
            x = chip.to_device(np.arange(n, dtype=np.uint32))
            chip.assemble(INCLUDES + text)[name][grid, block](n, x)
            np.testing.assert_array_equal(x.copy_to_host(), np.arange(n) + 1)


@given(number=st.integers(0, 3000), size=st.integers(1, 3000), n=words)
@example(number=3, size=100, n=350)
@example(number=4, size=100, n=350)
@settings(max_examples=25, derandomize=True)
def test_tile_bounds(number, size, n):
    body = """
        s.mov.b32       sreg43, n0
        s.mov.b32       sreg44, n1
        tile_bounds     sreg43, sreg44, n2, sreg41, sreg42
        v.cmp.eq.u32    scc, vreg0, 0
        v.mov.b32       vreg1, sreg41
        v.mov.b32       vreg2, sreg42
        v.csel.b32      vreg1, vreg1, vreg2, scc
    """
    found = run(body, np.zeros(2, np.uint32), scalars=(number, size, n))
    start = min(number * size, n)
    assert found.tolist() == [start, min(n, number * size + size) - start]


# ---- block.inc ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 2, 31, 32, 33, 100, 256, 1000, 1024])
def test_block_reduce_and_broadcast(block):
    x = np.random.default_rng(block).integers(0, 1 << 32, 2 * block, np.uint32)
    body = """
        .reg    v = vreg[4:5]
        .reg    s = sreg[44:46]
        v.mov.b32       vreg3, %tid.x
        block_reduce    v.xor.b32, vreg1, vreg3, shared, v, s
        block_broadcast vreg1, vreg3, shared
        block_reduce    v.max.u32, vreg2, vreg3, shared, v, s
        block_broadcast vreg2, vreg3, shared
        v.xor.b32       vreg1, vreg1, vreg2
    """
    found = run(body, x, x[::-1].copy(), grid=2, block=block)
    xor = np.bitwise_xor.reduce(x.reshape(2, block), 1)
    np.testing.assert_array_equal(
        found.reshape(2, block), (xor ^ x[::-1].reshape(2, block).max(1))[:, None] | np.zeros((2, block), np.uint32)
    )


# ---- warp.inc --------------------------------------------------------------------------------------------------------


def test_warp_scan():
    x = np.random.default_rng(0).integers(0, 1 << 32, 64, np.uint32)
    found = run("v.mov.b32 vreg3, %laneid\nwarp_scan vreg1, vreg3, vreg4", x, block=64)
    np.testing.assert_array_equal(found, x.reshape(2, 32).cumsum(1, dtype=np.uint32).reshape(-1))


def test_warp_positions():
    mask = 0x80F5_0013
    found = run(f"s.mov.b32 sreg40, {mask:#x}\nwarp_positions sreg40, vreg1", np.zeros(32, np.uint32))
    assert found.tolist() == [(mask & (1 << lane) - 1).bit_count() for lane in range(32)]


# ---- divide.inc, minmax.inc, hash.inc -------------------------------------------------------------------------------

divisors = st.one_of(
    st.integers(1, 2**32 - 1),
    st.integers(1, 200),
    st.builds(lambda bit, by: max(1, min(2**32 - 1, (1 << bit) + by)), st.integers(0, 32), st.integers(-2, 2)),
)


@given(divisor=divisors, seed=words, unit=st.sampled_from("vs"))
@example(divisor=1, seed=0, unit="v")
@example(divisor=7, seed=0, unit="v")
@example(divisor=2**32 - 1, seed=0, unit="s")
@settings(max_examples=60, derandomize=True)
def test_division_by_a_constant(divisor, seed, unit):
    """Numbers around multiples of the divisor, where a quotient would be wrong first."""
    random = np.random.default_rng(seed)
    multiples = divisor * random.integers(0, (1 << 32) // divisor + 1, 32, np.uint64)
    n = np.concatenate(
        [numbers(seed, 32), np.clip(multiples.astype(np.int64) + random.integers(-2, 3, 32), 0, 2**32 - 1)]
    )
    n = n.astype(np.uint32)
    if unit == "v":
        body = f"""
            divide_by       v, vreg3, vreg1, {divisor}, vreg4
            remainder_by    v, vreg5, vreg1, {divisor}, vreg4
        """
    else:
        n[:] = n[int(random.integers(64))]
        body = f"""
            v.mov.v2s       sreg40, vreg1, 0
            divide_by       s, sreg41, sreg40, {divisor}, sreg42
            remainder_by    s, sreg43, sreg40, {divisor}, sreg42
            v.mov.b32       vreg3, sreg41
            v.mov.b32       vreg5, sreg43
        """
    np.testing.assert_array_equal(run(body + "v.mov.b32 vreg1, vreg3", n), n // np.uint32(divisor))
    np.testing.assert_array_equal(run(body + "v.mov.b32 vreg1, vreg5", n), n % np.uint32(divisor))


@pytest.mark.parametrize("divisor", ["0", "-1", "1 << 32"])
def test_divisors_that_are_refused(divisor):
    with pytest.raises(AssemblyError, match="takes a divisor from 1") as caught:
        assemble(INCLUDES + f".kernel k\ndivide_by v, vreg1, vreg0, {divisor}, vreg2\nsimt.exit\n")
    assert "called at" in str(caught.value)


@given(seed=words, low=st.integers(-1000, 0), high=st.integers(0, 1000))
@settings(max_examples=10, derandomize=True)
def test_least_and_greatest(seed, low, high):
    a, b = numbers(seed), numbers(seed + 1)
    signed = a.view(np.int32)
    found = run(f"clamp v, i32, vreg1, vreg1, {low}, {high}", a)
    np.testing.assert_array_equal(found.view(np.int32), np.clip(signed, low, high))
    found = run("order_two i32, vreg1, vreg2, vreg3", a, b)
    np.testing.assert_array_equal(found.view(np.int32), np.minimum(signed, b.view(np.int32)))
    found = run("order_two u32, vreg1, vreg2, vreg3\nv.mov.b32 vreg1, vreg2", a, b)
    np.testing.assert_array_equal(found, np.maximum(a, b))
    found = run(
        "v.mov.b32 vreg3, 10\nv.mov.b32 vreg4, 20\nkeep_less u32, vreg1, vreg3, vreg2, vreg4\nv.mov.b32 vreg1, vreg3",
        a,
        b,
    )
    np.testing.assert_array_equal(found, np.where(b < a, 20, 10))
    found = run("v.mov.b32 vreg3, vreg1\nabsolute v, vreg1, vreg3, vreg2", a)
    np.testing.assert_array_equal(found.view(np.int32), np.where(signed < 0, -signed, signed))


def plain_mix(x):
    x ^= x >> 16
    x = x * 0x85EBCA6B % 2**32
    x ^= x >> 13
    x = x * 0xC2B2AE35 % 2**32
    return x ^ x >> 16


def plain_xorshift(x):
    x ^= x << 13 & 0xFFFFFFFF
    x ^= x >> 17
    return x ^ x << 5 & 0xFFFFFFFF


def plain_fnv1a(text):
    found = 0x811C9DC5
    for byte in text:
        found = (found ^ byte) * 0x01000193 % 2**32
    return found


def test_hashes():
    x = numbers(5)
    np.testing.assert_array_equal(run("mix v, vreg1, vreg2", x), [plain_mix(int(n)) for n in x])
    np.testing.assert_array_equal(run("xorshift v, vreg1, vreg2", x), [plain_xorshift(int(n)) for n in x])
    np.testing.assert_array_equal(run("v.mov.b32 vreg2, vreg1\nswap_bytes v, vreg1, vreg2, vreg3", x), x.byteswap())
    body = "v.mov.b32 vreg1, FNV_BASIS\n" + "".join(f"fnv1a v, vreg1, {byte}\n" for byte in b"foobar")
    assert set(run(body, x).tolist()) == {plain_fnv1a(b"foobar")} == {0xBF9CF968}
