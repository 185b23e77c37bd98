"""Every program against its numpy reference, bit for bit: shapes, values, block sizes, seeds, and both timings."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from program_samples import (
    MANY,
    MODES,
    SPECIAL,
    examples,
    flat_blocks,
    floats,
    kinds,
    plane_blocks,
    same_bits,
    seeds,
    warps,
)

from m890 import Chip, programs
from m890.isa.assembler import assemble
from m890.programs import mandelbrot, matmul_f32, saxpy, scan, stencil9, transpose, warp_sum
from m890.programs import sum as total
from m890.programs.binary32 import bits, canonical, fma


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    """A chip in each mode."""
    return Chip("M890", **MODES[request.param])


# ---- the programs ---------------------------------------------------------------------------------------------------


def check_saxpy(chip, n, kind, seed, block, grid, x4):
    random = np.random.default_rng(seed)
    x, y, a = floats(random, n, kind), floats(random, n, kind), floats(random, 1, kind)[0]
    found = saxpy.launch(chip, a, x, y, block=block, grid=grid, x4=x4)
    same_bits(found, saxpy.reference(a, x, y))


@examples()
@given(n=st.integers(0, 5000), kind=kinds, seed=seeds, block=flat_blocks)
@example(n=0, kind="normal", seed=0, block=256)
@example(n=1, kind="bits", seed=1, block=1)
def test_saxpy(chip, n, kind, seed, block):
    check_saxpy(chip, n, kind, seed, block, None, False)


@examples()
@given(n=st.integers(0, 5000), kind=kinds, seed=seeds, block=warps, grid=st.integers(1, 9) | st.none())
@example(n=0, kind="normal", seed=0, block=256, grid=None)
@example(n=3, kind="bits", seed=1, block=32, grid=1)
@example(n=512, kind="bits", seed=2, block=32, grid=5)
@example(n=2047, kind="bits", seed=3, block=32, grid=1)
def test_saxpy_x4(chip, n, kind, seed, block, grid):
    check_saxpy(chip, n, kind, seed, block, grid, True)


def test_saxpy_x4_at_every_ragged_end():
    chip = Chip(timing="late")
    for n in range(0, 1100, 5):
        check_saxpy(chip, n, "mixture", n, 32, 1, True)


def test_saxpy_of_all_special_values():
    chip, (x, y) = Chip(), (part.reshape(-1) for part in np.meshgrid(SPECIAL, SPECIAL))
    for a in SPECIAL:
        same_bits(saxpy.launch(chip, a, x, y), saxpy.reference(a, x, y))


@examples()
@given(n=st.integers(0, 6000), kind=kinds, seed=seeds, block=flat_blocks, grid=st.integers(1, 9) | st.none())
@example(n=0, kind="normal", seed=0, block=256, grid=None)
@example(n=1, kind="normal", seed=0, block=1, grid=1)
@example(n=5, kind="normal", seed=0, block=3, grid=2)
@example(n=4099, kind="normal", seed=0, block=1024, grid=1)
def test_sum(chip, n, kind, seed, block, grid):
    x = floats(np.random.default_rng(seed), n, kind)
    found = total.launch(chip, x, block=block, grid=grid)
    same_bits(found, total.reference(x, block=block, grid=grid))


@pytest.mark.parametrize("n", [1, 1000, 100_000])
def test_sum_is_about_the_exact_sum(n):
    x = floats(np.random.default_rng(n), n, "normal")
    assert abs(float(total.launch(Chip(), x)) - x.astype(np.float64).sum()) < 1e-6 * np.abs(x).astype(np.float64).sum()


WARP_SUMS = ("warp_sum", "warp_sum_red")


@examples()
@given(n=st.integers(0, 6000), kind=kinds, seed=seeds, block=flat_blocks, grid=st.integers(1, 9) | st.none())
@example(n=0, kind="normal", seed=0, block=256, grid=None)
@example(n=1, kind="bits", seed=0, block=1, grid=1)
@example(n=70, kind="special", seed=0, block=33, grid=2)
@example(n=4099, kind="normal", seed=0, block=1024, grid=1)
def test_warp_sum(chip, n, kind, seed, block, grid):
    """By shuffles and by one instruction: the same bits."""
    x = floats(np.random.default_rng(seed), n, kind)
    for kernel in WARP_SUMS:
        found = warp_sum.launch(chip, x, block=block, grid=grid, kernel=kernel)
        same_bits(found, warp_sum.reference(x, block=block, grid=grid))


def running_sums(words: list[int], heads: list[bool]) -> list[int]:
    """Scans of 32-bit integers, in plain Python."""
    sums, total = [], 0
    for word, head in zip(words, heads, strict=True):
        total = (0 if head else total) + word & 0xFFFFFFFF
        sums.append(total)
    return sums


scan_blocks = st.one_of(st.integers(2, 1024), st.sampled_from([2, 31, 32, 33, 64, 256, 1024]))
densities = st.sampled_from([None, 0.0, 0.001, 0.05, 0.5, 1.0])


@examples(20)
@given(n=st.integers(0, 5000), kind=kinds, seed=seeds, block=scan_blocks, density=densities)
@example(n=0, kind="normal", seed=0, block=256, density=0.5)
@example(n=1, kind="bits", seed=0, block=2, density=None)
@example(n=1500, kind="normal", seed=1, block=7, density=0.01)
@example(n=5000, kind="mixture", seed=2, block=64, density=0.002)
def test_scan(chip, n, kind, seed, block, density):
    random = np.random.default_rng(seed)
    x, heads = floats(random, n, kind), None if density is None else random.random(n) < density
    same_bits(scan.launch(chip, x, heads, block=block), scan.reference(x, heads, block=block))
    words = bits(x)
    found = scan.launch(chip, words, heads, block=block)
    np.testing.assert_array_equal(found, scan.reference(words, heads, block=block))
    assert found.tolist() == running_sums(words.tolist(), [False] * n if heads is None else heads.tolist())


extents = st.one_of(st.integers(1, 100), st.sampled_from([1, 31, 32, 33, 64, 65, 128]))


@examples()
@given(rows=extents, columns=extents, seed=seeds, block=warps)
@example(rows=1, columns=1, seed=0, block=32)
@example(rows=200, columns=1, seed=0, block=1024)
def test_transpose(chip, rows, columns, seed, block):
    source = np.random.default_rng(seed).integers(0, 1 << 32, (rows, columns), np.uint32)
    found = transpose.launch(chip, source, block=block)
    same_bits(found, transpose.reference(source))
    np.testing.assert_array_equal(found, source.T)


@examples()
@given(m=extents, n=extents, k=extents, kind=kinds, seed=seeds, block=warps)
@example(m=1, n=1, k=1, kind="bits", seed=0, block=32)
@example(m=64, n=64, k=64, kind="normal", seed=0, block=256)
@example(m=7, n=65, k=35, kind="special", seed=0, block=64)
@example(m=9, n=63, k=36, kind="special", seed=0, block=96)
def test_matmul_f32(chip, m, n, k, kind, seed, block):
    random = np.random.default_rng(seed)
    a, b = floats(random, (m, k), kind), floats(random, (k, n), kind)
    same_bits(matmul_f32.launch(chip, a, b, block=block), matmul_f32.reference(a, b))


def test_matmul_at_every_ragged_k():
    chip, random = Chip(timing="late"), np.random.default_rng(0)
    for k in range(1, 70):
        a, b = floats(random, (5, k), "mixture"), floats(random, (k, 33), "mixture")
        same_bits(matmul_f32.launch(chip, a, b, block=64), matmul_f32.reference(a, b))


def test_matmul_does_not_touch_what_is_not_its_own():
    """Rows and columns behind the edges belong to somebody else: the guard gap behind the buffer would fault."""
    chip, (m, n, k) = Chip(), (9, 65, 33)
    with chip.to_device(np.ones((m, k), np.float32)) as a, chip.to_device(np.ones((k, n), np.float32)) as b:
        around = chip.to_device(np.full((m + 2, n), 7, np.float32))
        kernel = programs.load(chip, "matmul_f32")["matmul_f32"]
        kernel[matmul_f32.grid_of(m, n, 64), 64](m, n, k, a, b, around[1 : m + 1])
    expected = np.full((m + 2, n), 7, np.float32)
    expected[1:-1] = k
    np.testing.assert_array_equal(around.copy_to_host(), expected)


@examples()
@given(height=extents, width=extents, kind=kinds, seed=seeds, block=plane_blocks())
@example(height=1, width=1, kind="bits", seed=0, block=(32, 8))
@example(height=2, width=50, kind="bits", seed=0, block=(32, 8))
@example(height=50, width=2, kind="bits", seed=0, block=(5, 7))
@example(height=3, width=3, kind="normal", seed=0, block=(1, 1))
def test_stencil9(chip, height, width, kind, seed, block):
    random = np.random.default_rng(seed)
    source = floats(random, (height, width), kind)
    weights = tuple(floats(random, 3, "normal" if seed % 2 else kind))
    same_bits(stencil9.launch(chip, source, weights, block=block), stencil9.reference(source, weights))


views = st.builds(
    mandelbrot.View,
    left=st.floats(-2.5, 1, width=32),
    top=st.floats(-1.5, 1, width=32),
    pitch=st.sampled_from([0.0, 1e-38, 1e-7, 1e-4, 0.01, 0.05, 1.0, 1e30, -0.03, float("inf"), float("nan")]),
)


@examples()
@given(width=st.integers(1, 70), height=st.integers(1, 20), limit=st.integers(0, 300), view=views, block=plane_blocks())
@example(width=60, height=40, limit=300, view=mandelbrot.View(), block=(32, 8))
@example(width=1, height=1, limit=0, view=mandelbrot.View(), block=(1, 1))
@example(width=2, height=1, limit=4, view=mandelbrot.View(), block=(2, 1))
def test_mandelbrot(chip, width, height, limit, view, block):
    found = mandelbrot.launch(chip, width, height, limit, view, block=block)
    same_bits(found, mandelbrot.reference(width, height, limit, view))


def test_mandelbrot_beyond_the_spin_limit():
    """One deep pixel keeps its warp busy for far more than 1,024 instructions; the others go ahead meanwhile."""
    view, size = mandelbrot.View(-0.7436439, 0.1318259, 2e-6), (40, 30, 20_000)
    found = mandelbrot.launch(Chip(), *size, view)
    same_bits(found, mandelbrot.reference(*size, view))
    assert found.max() > 1024


# ---- what the programs promise beside their values -------------------------------------------------------------------


@pytest.mark.parametrize("name", programs.NAMES)
def test_assembles_without_a_warning(name):
    warnings = []
    assemble(programs.source(name), f"{name}.s", warn=warnings.append)
    assert warnings == []


@pytest.mark.parametrize("name", programs.NAMES)
def test_has_all_its_parts(name):
    for suffix in (".s", ".py", ".toml"):
        assert programs.path(name, suffix).is_file()


def test_unknown_program():
    with pytest.raises(KeyError, match="saxpy, "):
        programs.path("sxapy")


def test_both_styles_of_divergence_appear():
    masks, branches = programs.source("saxpy"), programs.source("mandelbrot")
    assert "s.lop.emsk" in masks
    assert "simt.rcbr" not in masks
    assert "simt.rcbr" in branches
    assert "s.lop.emsk" not in branches


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (saxpy.launch, (1.0, np.zeros(3), np.zeros(4))),
        (lambda *arrays: saxpy.launch(*arrays, block=33), (1.0, np.zeros(3), np.zeros(3))),
        (total.launch, (np.zeros((2, 2)),)),
        (warp_sum.launch, (np.zeros((2, 2)),)),
        (scan.launch, (np.zeros(4),)),
        (scan.launch, (np.zeros(4, np.float32), [1, 0])),
        (lambda *arrays: scan.launch(*arrays, block=1), (np.zeros(4, np.float32),)),
        (transpose.launch, (np.zeros(4),)),
        (transpose.launch, (np.zeros((2, 2), np.float64),)),
        (matmul_f32.launch, (np.zeros((2, 3)), np.zeros((2, 3)))),
        (matmul_f32.launch, (np.zeros((2, 0)), np.zeros((0, 3)))),
        (stencil9.launch, (np.zeros(4), (1.0, 1.0, 1.0))),
    ],
)
def test_helpers_refuse_wrong_shapes(launch, arguments):
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments)


# ---- the tool the references stand on ------------------------------------------------------------------------------


@settings(max_examples=MANY, derandomize=True)
@given(words=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), kind=kinds, seed=seeds)
def test_fma_rounds_once(words, kind, seed):
    a, b, c = floats(np.random.default_rng(seed), 3, kind) if seed % 2 else np.array(words, np.uint32).view(np.float32)
    found = fma(a, b, c)
    if not np.isfinite([a, b, c]).all():
        with np.errstate(all="ignore"):
            same_bits(found, canonical(np.float64(a) * np.float64(b) + np.float64(c)))
        return
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        assert found == 0
    elif np.isfinite(found):
        error = abs(Fraction(float(found)) - exact)
        with np.errstate(all="ignore"):
            neighbours = np.nextafter(found, np.float32([-np.inf, np.inf]))
        for neighbour in neighbours:
            if np.isfinite(neighbour):
                other = abs(Fraction(float(neighbour)) - exact)
                assert error < other or (error == other and bits(found) % 2 == 0)
    else:
        assert abs(exact) >= Fraction(2) ** 128 - Fraction(2) ** 103


# ---- longer ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@examples(300)
@given(
    n=st.integers(0, 200_000),
    kind=kinds,
    seed=seeds,
    block=flat_blocks,
    grid=st.integers(1, 100) | st.none(),
    x4=st.booleans(),
)
def test_long_vectors(mode, n, kind, seed, block, grid, x4):
    chip, x = Chip(**MODES[mode]), floats(np.random.default_rng(seed), n, kind)
    check_saxpy(chip, n, kind, seed, -(-block // 32) * 32 if x4 else block, grid, x4)
    same_bits(total.launch(chip, x, block=block, grid=grid), total.reference(x, block=block, grid=grid))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@examples(150)
@given(
    m=st.integers(1, 300),
    n=st.integers(1, 300),
    k=st.integers(1, 300),
    kind=kinds,
    seed=seeds,
    block=warps,
    plane=plane_blocks(),
)
def test_large_matrices(mode, m, n, k, kind, seed, block, plane):
    chip, random = Chip(**MODES[mode]), np.random.default_rng(seed)
    a, b = floats(random, (m, k), kind), floats(random, (k, n), kind)
    same_bits(matmul_f32.launch(chip, a, b, block=block), matmul_f32.reference(a, b))
    same_bits(transpose.launch(chip, a, block=block), transpose.reference(a))
    weights = tuple(floats(random, 3, kind))
    same_bits(stencil9.launch(chip, b, weights, block=plane), stencil9.reference(b, weights))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@examples(60)
@given(
    width=st.integers(1, 150), height=st.integers(1, 100), limit=st.integers(0, 3000), view=views, block=plane_blocks()
)
def test_large_images(mode, width, height, limit, view, block):
    found = mandelbrot.launch(Chip(**MODES[mode]), width, height, limit, view, block=block)
    same_bits(found, mandelbrot.reference(width, height, limit, view))
