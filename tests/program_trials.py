"""A run of every program that shows what each of its waits is for, and what its launch file should leave.

`TRIALS[name](chip, random)` gives found and expected arrays, in the same order. `FILES[name](args, buffers, launch)`
gives the content of the checked buffers, from the arguments, the initial buffers and the shape of the first launch.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from program_samples import floats

from m890 import Chip, Limits, Schedule
from m890.programs import (
    bfs,
    bitonic,
    copy_strided,
    gather,
    hash,
    hash_table,
    histogram,
    layer_norm,
    lfsr,
    lock,
    mandelbrot,
    matmul_f32,
    nbody,
    radix_sort,
    ring,
    saxpy,
    scan,
    search,
    sieve,
    softmax,
    spmv,
    stencil3,
    stencil9,
    transpose,
    warp_sum,
)
from m890.programs import sum as total
from m890.programs.binary32 import bits
from m890.tools.job import LaunchSpec

Arrays = list[np.ndarray]
Trial = Callable[[Chip, np.random.Generator], tuple[Arrays, Arrays]]
FromFile = Callable[[Mapping[str, Any], Mapping[str, np.ndarray], LaunchSpec], dict[str, np.ndarray]]
TRIALS: dict[str, Trial] = {}
FILES: dict[str, FromFile] = {}


def trial(function: Trial) -> Trial:
    """Enter a trial; it is called as its program is."""
    TRIALS[function.__name__.removesuffix("_")] = function
    return function


def files(function: FromFile) -> FromFile:
    """Enter what a launch file leaves."""
    FILES[function.__name__.removesuffix("_file")] = function
    return function


def graph(random, vertices, edges):
    """A random graph as (starts, targets)."""
    sources = np.sort(random.integers(0, vertices, edges))
    starts = np.searchsorted(sources, np.arange(vertices + 1))
    return starts.astype(np.uint32), random.integers(0, vertices, edges, np.uint32)


# ---- waits -----------------------------------------------------------------------------------------------------------

LONG = 2 * 16 * 64 + 303


@trial
def saxpy_(chip, random):
    x = floats(random, LONG, "normal")
    found = [saxpy.launch(chip, 2.0, x, x, block=64, grid=1, x4=x4) for x4 in (False, True)]
    return found, [saxpy.reference(2.0, x, x)] * 2


@trial
def sum_(chip, random):
    """One round and several; and in one launch with so many blocks that other warps than the first add partial sums."""
    x = floats(random, 18_000, "normal")
    shapes = [{"block": 64}, {"block": 64, "grid": 1}, {"block": 64, "once": True}]
    shapes += [{"block": 128, "grid": 34, "once": True}]
    return [total.launch(chip, x, **shape) for shape in shapes], [total.reference(x, **shape) for shape in shapes]


@trial
def transpose_(chip, random):
    square = floats(random, (70, 70), "normal")
    return [transpose.launch(chip, square, block=64)], [transpose.reference(square)]


@trial
def matmul_f32_(chip, random):
    square = floats(random, (70, 70), "normal")
    parts = [(square[:, :k], square[:k]) for k in (70, 64)]
    found = [matmul_f32.launch(chip, *part, block=64) for part in parts]
    return found, [matmul_f32.reference(*part) for part in parts]


@trial
def stencil9_(chip, random):
    square, weights = floats(random, (70, 70), "normal"), (0.5, 0.25, 0.125)
    return [stencil9.launch(chip, square, weights)], [stencil9.reference(square, weights)]


@trial
def stencil3_(chip, random):
    x, weights = floats(random, 300, "normal"), (0.5, 0.25, 0.125)
    return [stencil3.launch(chip, x, weights, block=64)], [stencil3.reference(x, weights)]


@trial
def copy_strided_(chip, random):
    x, y = floats(random, (2, 1000), "normal")
    found = copy_strided.launch(chip, y, x, 2, 3, block=32, grid=1)
    return [found], [copy_strided.reference(y, x, 2, 3)]


@trial
def gather_(chip, random):
    """Long enough for whole stretches, several of them, and a ragged one of more than one piece."""
    x, order = floats(random, 600, "normal"), random.permutation(600)
    found = [gather.launch(chip, x, order, block=32, grid=1)]
    found += [gather.scatter(chip, np.zeros(600, np.float32), order, x, block=32, grid=1)]
    return found, [gather.reference(x, order), gather.scatter_reference(np.zeros(600, np.float32), order, x)]


@trial
def sieve_(chip, random):
    return [sieve.launch(chip, 5000, block=32, grid=1)], [sieve.reference(5000)]


@trial
def search_(chip, random):
    text = bytes(random.integers(0, 2, 1000, np.uint8))
    return [search.launch(chip, text, b"\0\1", block=32, grid=1)], [search.reference(text, b"\0\1")]


@trial
def spmv_(chip, random):
    dense = floats(random, (90, 40), "normal") * (random.random((90, 40)) < 0.2)
    matrix, x = spmv.csr(dense), floats(random, 40, "normal")
    return [spmv.launch(chip, matrix, x, block=32, grid=1)], [spmv.reference(matrix, x)]


@trial
def lfsr_(chip, random):
    return [lfsr.launch(chip, 3, 5, block=32, grid=1)], [lfsr.reference(3, 5, 32)]


@trial
def bitonic_(chip, random):
    x = floats(random, (2, 300), "bits")
    return [bitonic.launch(chip, x, block=64)], [bitonic.reference(x)]


@trial
def hash_(chip, random):
    strings = [random.bytes(length) for length in random.integers(0, 30, 90)]
    found = [hash.launch(chip, strings, kernel=kernel, block=32, grid=1) for kernel in ("crc32", "fnv1a")]
    return found, [hash.reference(strings), hash.fnv1a_reference(strings)]


@trial
def softmax_(chip, random):
    x = floats(random, (3, 150), "normal")
    return [softmax.launch(chip, x, block=32, grid=1)], [softmax.reference(x)]


@trial
def layer_norm_(chip, random):
    x, (gain, bias) = floats(random, (2, 150), "normal"), floats(random, (2, 150), "normal")
    found = layer_norm.launch(chip, x, gain, bias, 1e-5, block=128)  # four warps: the first may overtake another
    return [found], [layer_norm.reference(x, gain, bias, 1e-5, block=128)]


@trial
def nbody_(chip, random):
    bodies, velocities = floats(random, (2, 100, 4), "normal")
    return list(nbody.launch(chip, bodies, velocities, 0.01, block=64)), list(nbody.reference(bodies, velocities, 0.01))


@trial
def radix_sort_(chip, random):
    """Keys of all digits and of high ones: stores to counters that the next load does not touch."""
    keys, values = random.integers(0, 1 << 32, (2, 500), np.uint32), np.arange(500, dtype=np.uint32)
    keys[1] |= 0x80808080
    found = [array for part in keys for array in radix_sort.launch(chip, part, values, block=64, grid=2)]
    return found, [array for part in keys for array in radix_sort.reference(part, values)]


@trial
def histogram_(chip, random):
    x = random.integers(0, 256, 5005, np.uint8)
    return [histogram.launch(chip, x, block=64, grid=2)], [histogram.reference(x)]


@trial
def bfs_(chip, random):
    """From the vertex with most edges: one without any would leave nothing to do."""
    starts, targets = graph(random, 200, 500)
    source = int(np.argmax(np.diff(starts)))
    return [bfs.launch(chip, starts, targets, source, block=32, grid=1)], [bfs.reference(starts, targets, source)]


@trial
def hash_table_(chip, random):
    keys, values = random.integers(0, 100, 300), random.integers(0, 1 << 32, 300)
    queries = np.concatenate([np.arange(128), keys[:20]])  # the last round finds all it asks for
    found = hash_table.launch(chip, keys, values, queries, capacity=128, block=32, grid=1)
    return list(found), list(hash_table.reference(keys, values, queries))


@trial
def lock_(chip, random):
    """Many lanes and locks; and two warps in step, each of which wants next what the other has just had."""
    groups, values = random.integers(0, 20, 300), floats(random, 300, "close")
    in_step = Chip(timing="late", schedule=Schedule(1, 1, 5), limits=Limits(instructions=100_000))
    found = [*lock.launch(chip, groups, values, 20)]
    found += lock.launch(in_step, [0, 1, 1, 0], values[:4], 2, block=1, grid=2)
    return found, [*lock.reference(groups, values, 20), *lock.reference([0, 1, 1, 0], values[:4], 2)]


@trial
def ring_(chip, random):
    source = random.integers(0, 1 << 32, 300, np.uint32)
    return [ring.launch(chip, source, size=32)], [ring.reference(source)]


@trial
def warp_sum_(chip, random):
    x, kernels = floats(random, LONG, "normal"), ("warp_sum", "warp_sum_red")
    found = [warp_sum.launch(chip, x, block=80, kernel=kernel) for kernel in kernels]
    return found, [warp_sum.reference(x, block=80)] * 2


@trial
def scan_(chip, random):
    x, heads = floats(random, LONG, "normal"), random.random(LONG) < 0.01
    calls = [(x, None), (x, heads), (bits(x), None), (bits(x), heads)]
    return [scan.launch(chip, *call, block=80) for call in calls], [scan.reference(*call, block=80) for call in calls]


# ---- launch files ----------------------------------------------------------------------------------------------------


@files
def saxpy_file(args, buffers, launch):
    return {"y": saxpy.reference(args["a"], buffers["x"], buffers["y"])}


@files
def sum_file(args, buffers, launch):
    shape = {"block": launch.block[0], "grid": launch.grid[0]}
    found = {"total": total.reference(buffers["x"], **shape), "once": total.reference(buffers["x"], **shape, once=True)}
    return {name: value.reshape(1) for name, value in found.items()}


@files
def warp_sum_file(args, buffers, launch):
    found = warp_sum.reference(buffers["x"], block=launch.block[0], grid=launch.grid[0])
    return {"total": found.reshape(1)}


@files
def scan_file(args, buffers, launch):
    return {"y": scan.reference(buffers["x"], block=launch.block[0])}


@files
def transpose_file(args, buffers, launch):
    return {"target": transpose.reference(buffers["source"])}


@files
def matmul_f32_file(args, buffers, launch):
    return {"c": matmul_f32.reference(buffers["a"], buffers["b"])}


@files
def stencil9_file(args, buffers, launch):
    weights = (args["centre"], args["edge"], args["corner"])
    return {"target": stencil9.reference(buffers["source"], weights)}


@files
def mandelbrot_file(args, buffers, launch):
    view = mandelbrot.View(args["left"], args["top"], args["pitch"])
    return {"steps": mandelbrot.reference(args["width"], args["height"], args["limit"], view)}


@files
def stencil3_file(args, buffers, launch):
    weights = (args["left"], args["centre"], args["right"])
    return {"x": stencil3.reference(buffers["x"], weights, steps=2)}


@files
def copy_strided_file(args, buffers, launch):
    arrays = buffers["target"], buffers["source"]
    return {"target": copy_strided.reference(*arrays, args["to_step"], args["from_step"])}


@files
def gather_file(args, buffers, launch):
    gathered = gather.reference(buffers["source"], buffers["index"])
    return {"gathered": gathered, "back": buffers["source"]}


@files
def sieve_file(args, buffers, launch):
    return {"composite": sieve.reference(args["n"])}


@files
def search_file(args, buffers, launch):
    found = np.zeros(len(buffers["found"]) * 32, np.uint8)
    found[search.reference(buffers["text"].tobytes(), buffers["pattern"].tobytes())] = 1
    return {"found": np.packbits(found, bitorder="little").view(np.uint32)}


@files
def spmv_file(args, buffers, launch):
    matrix = spmv.Csr(buffers["starts"], buffers["columns"], buffers["values"])
    return {"y": spmv.reference(matrix, buffers["x"])}


@files
def lfsr_file(args, buffers, launch):
    return {"out": lfsr.reference(args["count"], args["seed"], launch.grid[0] * launch.block[0])}


@files
def bitonic_file(args, buffers, launch):
    return {"x": bitonic.reference(buffers["x"])}


@files
def hash_file(args, buffers, launch):
    starts, text = buffers["starts"].tolist(), buffers["bytes"].tobytes()
    return {"out": hash.reference([text[a:b] for a, b in pairwise(starts)])}


@files
def softmax_file(args, buffers, launch):
    return {"y": softmax.reference(buffers["x"])}


@files
def layer_norm_file(args, buffers, launch):
    arrays = buffers["x"], buffers["gain"], buffers["bias"]
    return {"y": layer_norm.reference(*arrays, args["epsilon"], block=launch.block[0])}


@files
def nbody_file(args, buffers, launch):
    bodies, velocities = nbody.reference(buffers["bodies"], buffers["velocities"], args["dt"])
    return {"moved": bodies, "velocities": velocities}


@files
def radix_sort_file(args, buffers, launch):
    keys, values = radix_sort.reference(buffers["keys"], buffers["values"])
    return {"keys": keys, "values": values}


@files
def histogram_file(args, buffers, launch):
    return {"bins": histogram.reference(buffers["x"])}


@files
def bfs_file(args, buffers, launch):
    level = bfs.reference(buffers["starts"], buffers["targets"], 9)
    assert (level == 1).sum() == 9
    return {"level": np.where(level <= 2, level, bfs.UNSEEN)}


@files
def hash_table_file(args, buffers, launch):
    sums, found = hash_table.reference(buffers["keys"], buffers["values"], buffers["queries"])
    return {"sums": sums, "found": found}


@files
def lock_file(args, buffers, launch):
    best, place = lock.reference(buffers["groups"], buffers["values"], 10)
    return {"best": np.stack([best.view(np.uint32), place], axis=1), "locks": np.zeros(10, np.uint32)}


@files
def ring_file(args, buffers, launch):
    return {"out": ring.reference(buffers["source"])}
