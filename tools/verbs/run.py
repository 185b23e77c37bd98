"""`m890 run`: a kernel with arguments from the command line, or a launch file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..exits import Code, InputError, Mistake
from ..flag_types import Coordinates, Extents, Named
from ..help import Verb

if TYPE_CHECKING:
    from ...emulator.pod.ranks import Ranks


VALUES = """
n=1000  a=-1.5  m=0xff     a number
w=1,2,3                    the numbers of an array parameter
x=x.npy  x=npy:x.npy       a buffer with the content of a file
x=npy:x.npy:bf16           the same, for bytes without a type
x=safetensors:m.st:w1      a tensor of a safetensors file
x=zeros:f32:1000           a buffer of zeros; shapes are 1000 or 32x32
x=full:1.5:f32:32x32       every element is 1.5
x=arange:s32:1000          0, 1, 2, ...
x=rand:7:f32:1000          random from seed 7: floats in [-1, 1), any integer
z=x                        the buffer of argument x once more
"""
LAUNCH_FILES = """
docs/launch-files.md has every key with its type, default and meaning. The least one:

[buffers.x]
init = "arange:f32:1000"

[[launch]]
object = "scale.s"
grid = 4
block = 256
args = { n = 1000, x = "x" }
"""
EXAMPLES = r"""
m890 run saxpy.s --grid 4 --block 256 --arg n=1000 --arg a=2.0 \
         --arg x=x.npy --arg y=zeros:f32:1000 --out y=y.npy
m890 run gemm.hgbin --kernel gemm --grid 8,8 --block 16,16 --tsm 4096 ... --json
m890 run gemm.toml --timing late --limit 1000000
m890 run gemm.toml --vary 5
m890 run gemm.toml --trace trace.txt --trace-block 0 --trace-warp 1
"""


@click.command("run", cls=Verb, examples=EXAMPLES, sections={"Values of --arg": VALUES, "Launch files": LAUNCH_FILES})
@click.argument("file", type=click.Path(), metavar="FILE|LAUNCH.toml")
@click.option("--kernel", metavar="NAME", help="The kernel, if FILE has several; of a launch file, only its launches.")
@click.option("--grid", type=Extents(), metavar="X[,Y[,Z]]", help="Blocks of the grid.")
@click.option("--block", type=Extents(), metavar="X[,Y[,Z]]", help="Threads of a block.")
@click.option("--tsm", type=click.IntRange(0), metavar="BYTES", help="Bytes of TSM beyond the kernel's own.")
@click.option("--cooperative", is_flag=True, help="Keep all blocks resident at once, or refuse.")
@click.option("--arg", "args", type=Named("NAME=VALUE"), multiple=True, help="An argument; its forms are listed below.")
@click.option(
    "--out", "outs", type=Named("NAME=FILE"), multiple=True, help="Save a buffer as .npy or .safetensors after the run."
)
@click.option("--chip", metavar="NAME|FILE.toml", help="M890 (default), 810E, or a profile of your own.")
@click.option("--chips", type=click.IntRange(1), help="Number of chips: a pod, where all can access all memory.")
@click.option(
    "--topology",
    metavar="KIND|FILE.toml",
    help="How chips are joined: switch, wired, ring, full, or a file with links.",
)
@click.option(
    "--timing",
    type=click.Choice(["eager", "late"]),
    help="When outstanding loads and stores complete: at once, or as late as they may.",
)
@click.option("--poison", is_flag=True, help="Fill registers, TSM and new memory with 0x7fff7fff.")
@click.option("--trace", metavar="FILE|-", help="Write a line for each executed instruction; slower.")
@click.option("--trace-block", type=Coordinates(), metavar="X[,Y[,Z]]", help="Trace only this block.")
@click.option("--trace-warp", type=click.IntRange(0), metavar="N", help="Trace only this warp of each block.")
@click.option("--trace-chip", type=click.IntRange(0), metavar="N", help="Trace only this chip of a pod.")
@click.option("--limit", type=click.IntRange(1), metavar="COUNT", help="Give up after so many instructions a launch.")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Give up after so much time."
)
@click.option("--quantum", type=click.IntRange(1), help="Instructions a chip of a pod runs at a time.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Order of blocks and warps: 0 (default) one after the other, 1, 2, 3, ... interleaved, beginning elsewhere; "
    "finds missing barriers, and kernels that rely on an order of blocks.",
)
@click.option(
    "--vary",
    type=click.IntRange(1),
    metavar="N",
    help="Then run it again under the other timing and with seeds 1 to N, and say which results differ.",
)
@click.option("--threads", type=click.IntRange(1), help="Host threads that run the chips of a pod.")
@click.option("-I", "include", multiple=True, metavar="DIR", help="Look for .include files here, too.")
@click.option("-D", "defines", multiple=True, metavar="NAME=VALUE", help="Define a symbol for the assembler.")
@click.option(
    "--fidelity",
    is_flag=True,
    help="List the instructions whose meaning this project defines, for want of a publication.",
)
@click.option(
    "--counts", is_flag=True, help="List the source lines that were executed most, and with how many lanes; slower."
)
@click.option("--icn", is_flag=True, help="Of a pod, list what has passed each link between chips.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(file: str, as_json: bool, fidelity: bool, **flags: Any) -> None:
    """Run a kernel, or everything a launch file asks for.

    FILE is a source, which is assembled first, or an object. --arg gives each of its parameters a value;
    the forms are listed below.

    Types are u8 to u64, s8 to s64, f16, f32, f64, bf16, e4m3, e5m2, e2m1 (two to a byte) and e8m0. bf16 and narrower
    keep their type in .safetensors; in .npy they are saved as a record with one field that is named by the type, which
    reads back as it was. np.save of an ml_dtypes array loses the type: name it, x=npy:x.npy:bf16.

    What a kernel prints (v.print, s.print) goes to stdout as it is printed, before the result; with --json it is the
    field "printed" of the result. A launch may print 1 MiB of text, and says what is missing beyond.

    With --chips a pod runs the kernel on all its chips: buffers of --arg are on each, at the same offset, and each has
    a part of its own. mpiexec -n 4 m890 run ... divides the chips among processes (pip install 'm890[mpi]').

    In a launch file, flags override keys of the same name, and --arg an argument or its buffer's content. Paths
    in a launch file are relative to it; where [save] and --out write is relative to the current folder.
    """
    from ..ranks import together

    with together() as ranks:
        _run(file, as_json, fidelity, ranks, flags)


def _run(file: str, as_json: bool, fidelity: bool, ranks: Ranks | None, flags: dict[str, Any]) -> None:
    from ..counts import LineCounts
    from ..flags import is_launch_file, job_of, options_of
    from ..outcome import Outcome
    from ..output import note, say, show
    from ..report import end_line, print_failure, print_json, print_lines, print_links
    from ..runner import Runner
    from ..trace import traced
    from ..vary import vary

    _check_flags(flags, as_json, ranks)
    outcome = Outcome()
    try:
        with _mistakes(is_launch_file(file)):
            job = job_of(file, flags)
            chosen = flags["trace_block"], flags["trace_warp"], flags["trace_chip"]
            with traced(flags["trace"], *chosen, job.chips) as observers:
                counts = LineCounts() if flags["counts"] else None
                options = options_of(flags, (*observers, *filter(None, [counts])), None if as_json else show, ranks)
                runner = Runner(job, options, outcome)
                for doubt in runner.buffers.doubts():
                    note(doubt)
                try:
                    runner.run()
                finally:
                    if not as_json:
                        end_line(outcome)
            varied = vary(job, options, runner.contents(job.buffers), flags["vary"]) if flags["vary"] else None
    except click.ClickException:
        raise
    except Exception as error:
        if as_json:
            print_failure(outcome, error)
        raise
    for trace in observers:
        if not trace.written:
            note("the trace is empty: no such block, warp or chip ran; they count from 0")
    relied = runner.fidelity() if fidelity else None
    if as_json:
        print_json(outcome, relied, varied, counts and counts.lines())
    else:
        print_lines(outcome, job, relied, varied)
        if flags["icn"]:
            print_links(outcome)
        if counts:
            say("\n".join(counts.table()))
    for name, path in outcome.saved.items():
        note(f"saved {name} to {path}")
    if not outcome.passed or any(not one.same for one in varied or []):
        raise SystemExit(Code.FAILED)


def _check_flags(flags: dict[str, Any], as_json: bool, ranks: Ranks | None) -> None:
    """Refuse flags that do nothing, or spoil the result."""
    for name in ("trace_block", "trace_warp", "trace_chip"):
        if flags[name] is not None and flags["trace"] is None:
            raise Mistake(f"--{name.replace('_', '-')} chooses what --trace writes: add --trace FILE, or --trace -")
    if flags["trace"] == "-" and as_json:
        raise Mistake("--json and --trace - both write to stdout: name a file for the trace")
    for name in ("trace", "vary", "counts"):
        if ranks is not None and ranks.ranks > 1 and flags[name]:
            raise Mistake(f"--{name} is for one process: run it without mpiexec")


@contextmanager
def _mistakes(in_file: bool) -> Generator[None, None, None]:
    """A launch that does not fit its kernel is a bad launch file, or bad usage if flags asked for it."""
    from ..job import JobError

    try:
        yield
    except click.UsageError as error:
        raise Mistake(error.format_message()) from None
    except JobError as error:
        raise InputError(str(error)) if in_file else Mistake(str(error)) from None
