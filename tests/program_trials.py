"""A run of every program that shows what each of its waits is for, and what its launch file should leave.

`TRIALS[name](chip, random)` gives found and expected arrays, in the same order. `FILES[name](args, buffers, launch)`
gives the content of the checked buffers, from the arguments, the initial buffers and the shape of the first launch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from program_samples import floats

from m890 import Chip
from m890.programs import mandelbrot, matmul_f32, saxpy, stencil9, transpose
from m890.programs import sum as total
from m890.tools.launchfile import LaunchSpec

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


# ---- waits -----------------------------------------------------------------------------------------------------------

LONG = 2 * 16 * 64 + 303


@trial
def saxpy_(chip, random):
    x = floats(random, LONG, "normal")
    found = [saxpy.launch(chip, 2.0, x, x, block=64, grid=1, x4=x4) for x4 in (False, True)]
    return found, [saxpy.reference(2.0, x, x)] * 2


@trial
def sum_(chip, random):
    x = floats(random, LONG, "normal")
    return [total.launch(chip, x, block=64)], [total.reference(x, block=64)]


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


# ---- launch files ----------------------------------------------------------------------------------------------------


@files
def saxpy_file(args, buffers, launch):
    return {"y": saxpy.reference(args["a"], buffers["x"], buffers["y"])}


@files
def sum_file(args, buffers, launch):
    return {"total": total.reference(buffers["x"], block=launch.block[0], grid=launch.grid[0]).reshape(1)}


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
