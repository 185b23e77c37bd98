"""What a user waits for: compiling one handler, the first run ever, and every later one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from ...emulator.codegen.cache import ObjectCache
from ...emulator.decode import decode
from ...emulator.engine import Engine
from ...isa.assembler import assemble
from ...programs import path
from .measure import Result, medians, rounds, seconds_of

ONE = """
        .arch   ppu0015
        .kernel one
        v.fma.f32.rtte  vreg0, vreg1, vreg2, vreg0
        simt.exit
"""
RUN = "import sys; from {package}.cli import main; sys.argv[0] = 'm890'; main()"
COLD_ROUNDS = 5
"""A cold run takes seconds."""


def compile_handler(name: str, repeat: int | None) -> Result:
    """Compile the handler of v.fma.f32.rtte into an empty cache, numba being imported already."""
    kernel = assemble(ONE, "one.s").kernels["one"]

    def compile_one(folder: str) -> float:
        engine = Engine(ObjectCache(Path(folder)))
        recipe = decode(kernel, "ppu0015", engine).recipes[0]
        return seconds_of(lambda: engine.handlers.get(recipe))

    times: list[float] = []
    with TemporaryDirectory(prefix="m890-bench-") as folder:
        compile_one(os.path.join(folder, "first"))
        for count in rounds(repeat):
            times.append(compile_one(os.path.join(folder, str(count))))
    return Result(name, median(times), threads=1)


def cold_run(name: str, repeat: int | None) -> Result:
    """`m890 run saxpy.toml` with an empty cache: what the first run after `pip install` takes."""
    times: list[float] = []
    for _ in range(repeat or COLD_ROUNDS):
        with TemporaryDirectory(prefix="m890-bench-") as folder:
            times.append(seconds_of(lambda folder=folder: _run_saxpy(folder)))
    return Result(name, median(times), threads=1)


def warm_run(name: str, repeat: int | None) -> Result:
    """The same with a filled cache."""
    with TemporaryDirectory(prefix="m890-bench-") as folder:
        _run_saxpy(folder)
        (seconds,) = medians(repeat, lambda: _run_saxpy(folder))
    return Result(name, seconds, threads=1)


def _run_saxpy(cache: str) -> None:
    """Run the saxpy launch file in a process of its own, in a folder that is thrown away."""
    code, file = RUN.format(package=__package__.rpartition(".")[0]), str(path("saxpy", ".toml"))
    environment = {**os.environ, "M890_CACHE_DIR": cache}
    with TemporaryDirectory(prefix="m890-bench-") as here:
        done = subprocess.run(
            [sys.executable, "-c", code, "run", file],
            cwd=here,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"`m890 run {file}` ended with exit code {done.returncode}:\n{done.stderr.strip()}")


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {
    "compile_handler": compile_handler,
    "cold_run": cold_run,
    "warm_run": warm_run,
}
