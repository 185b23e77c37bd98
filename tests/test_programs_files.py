"""The launch files of programs/: each runs as it stands, and what it expects is what the numpy reference says.

`python tests/test_programs_files.py` writes programs/data/ anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from m890 import programs
from m890.programs import mandelbrot, matmul_f32, saxpy, scan, stencil9, transpose, warp_sum
from m890.programs import sum as total
from m890.programs.binary32 import bits
from m890.tools.cli import cli
from m890.tools.initial import content
from m890.tools.launchfile import Job, read

MOST_BYTES = 50_000
SIGNAL = programs.path("saxpy").parent / "data" / "signal.npy"


def signal() -> np.ndarray:
    """A decaying chirp; multiplied and rounded by IEEE operations alone, so that every host makes the same bits."""
    time = np.arange(10_000) / 10_000
    wave = 4 * np.abs((time * time * 60) % 1 - 0.5) - 1  # a triangle of rising frequency
    return (wave * (1 - time)).astype(np.float32)


def inputs(job: Job) -> dict[str, np.ndarray]:
    found = {}
    for name, spec in job.buffers.items():
        array, kind, shape = content(spec.init, spec.type, spec.shape)
        found[name] = np.zeros(shape, kind.dtype) if array is None else array
    return found


def expected(name: str, job: Job) -> np.ndarray:
    """What the reference makes of a launch file's inputs and arguments."""
    launch, buffers = job.launches[0], inputs(job)
    args = launch.args
    match name:
        case "saxpy":
            return saxpy.reference(args["a"], buffers["x"], buffers["y"])
        case "sum":
            return total.reference(buffers["x"], block=launch.block[0], grid=launch.grid[0]).reshape(1)
        case "warp_sum":
            return warp_sum.reference(buffers["x"], block=launch.block[0], grid=launch.grid[0]).reshape(1)
        case "scan":
            return scan.reference(buffers["x"], block=launch.block[0])
        case "transpose":
            return transpose.reference(buffers["source"])
        case "matmul_f32":
            return matmul_f32.reference(buffers["a"], buffers["b"])
        case "stencil9":
            return stencil9.reference(buffers["source"], (args["centre"], args["edge"], args["corner"]))
        case "mandelbrot":
            view = mandelbrot.View(args["left"], args["top"], args["pitch"])
            return mandelbrot.reference(args["width"], args["height"], args["limit"], view)
    raise AssertionError(f"no reference for {name}")


def the_check(job: Job) -> Path:
    assert len(job.checks) == 1
    assert job.checks[0].rtol == job.checks[0].atol == 0
    assert job.checks[0].expect.path is not None
    return job.checks[0].expect.path


def write() -> None:
    np.save(SIGNAL, signal())
    for name in programs.NAMES:
        job = read(programs.path(name, ".toml"))
        np.save(the_check(job), expected(name, job))


def test_the_signal_is_what_it_says():
    np.testing.assert_array_equal(bits(np.load(SIGNAL)), bits(signal()))


@pytest.mark.parametrize("name", programs.NAMES)
def test_expected_file_is_what_the_reference_says(name):
    job = read(programs.path(name, ".toml"))
    committed = the_check(job)
    np.testing.assert_array_equal(bits(np.load(committed)), bits(expected(name, job)))
    assert committed.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("name", programs.NAMES)
def test_launch_file_runs_and_passes_its_check(name, timing):
    result = CliRunner().invoke(cli, ["run", str(programs.path(name, ".toml")), "--timing", timing, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [check["passed"] for check in report["checks"]] == [True]


def test_data_holds_nothing_else():
    used = {SIGNAL.name} | {the_check(read(programs.path(name, ".toml"))).name for name in programs.NAMES}
    assert {path.name for path in SIGNAL.parent.iterdir()} == used


if __name__ == "__main__":
    write()
