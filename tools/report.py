"""What `m890 run` says of an outcome: as lines, or as JSON."""

from __future__ import annotations

from dataclasses import asdict

from .checks import Checked
from .counts import Line
from .exits import Code, code_of, message_of
from .icn_table import lines
from .job import Job
from .outcome import Launched, Outcome, Relied
from .output import counted, duration, say, say_json, style
from .vary import Varied


def end_line(outcome: Outcome) -> None:
    """After what the kernels printed, the result or an error begins a line."""
    if outcome.texts and not outcome.texts[-1].endswith("\n"):
        say("")


def print_json(
    outcome: Outcome,
    relied: list[Relied] | None,
    varied: list[Varied] | None,
    counts: list[Line] | None,
) -> None:
    """All of it, with what was asked for beside it."""
    result = outcome.as_dict()
    for name, asked in (("fidelity", relied), ("varied", varied), ("counts", counts)):
        if asked is not None:
            result[name] = [asdict(one) for one in asked]
    say_json(result)


def print_failure(outcome: Outcome, error: Exception) -> None:
    """What was done until the error, and the error with its fields, as JSON."""
    code = code_of(error)
    if code is Code.BUG:
        return
    fields = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    say_json(
        {
            **outcome.as_dict(),
            "passed": False,
            "error": {"kind": type(error).__name__, "exit_code": int(code), "text": message_of(error), **fields},
        }
    )


def print_lines(outcome: Outcome, job: Job, relied: list[Relied] | None, varied: list[Varied] | None) -> None:
    """A line for each launch, check and variation; below a check that fails, where to look."""
    for launch in outcome.launches:
        _say_launch(launch)
    for check in outcome.checks:
        _say_check(check, job)
    _say_varied(varied or [], job)
    if relied is not None:
        _say_relied(relied)


def print_links(outcome: Outcome) -> None:
    """What has passed the links of a pod."""
    say("\n".join(lines(outcome.counters)) if outcome.counters else "one chip has no links")


def _say_launch(launch: Launched) -> None:
    grid, block = _extents(launch.grid), _extents(launch.block)
    executed = counted(launch.instructions, "instruction")
    modelled = duration(launch.modelled)
    pod = f"  {counted(launch.chips, 'chip')}, modelled {modelled}" if modelled else ""
    compiled = f"  ({launch.compile_seconds:.3f} s to compile, once)" if launch.compile_seconds >= 0.0005 else ""
    say(f"{launch.kernel}  grid {grid}  block {block}{pod}  {executed}{compiled}  {launch.seconds:.3f} s")


def _extents(extents: tuple[int, ...]) -> str:
    """Extents without the ones at their end."""
    while len(extents) > 1 and extents[-1] == 1:
        extents = extents[:-1]
    return "x".join(map(str, extents))


def _say_check(check: Checked, job: Job) -> None:
    verdict = style("PASS", fg="green", bold=True) if check.passed else style("FAIL", fg="red", bold=True)
    elements = counted(check.elements, "element")
    text = f"check {check.buffer}  {verdict}  {elements}, max abs error {check.max_abs_error:g}"
    if check.first:
        index, found, expected = check.first
        place = ", ".join(map(str, index))
        text += f", {check.differing:,} differ, first [{place}]: {found!r}, expected {expected!r}"
    say("\n  ".join([text, *_hints(check, job)]))


EARLY = "a register or bytes of TSM read before the s.wait"


def _hints(check: Checked, job: Job) -> list[str]:
    """Where to look when a check fails."""
    if check.passed:
        return []
    hints: list[str] = []
    if job.changed:
        hints.append(f"{', '.join(job.changed)}: what is expected may be for what the launch file says itself")
    eager = job.timing == "eager"
    if check.poison:
        hints.append(f"{check.poison:,} hold poison: memory nothing wrote, or {EARLY}")
    elif check.nan and not eager:
        hints.append(f"{check.nan:,} are nan: nan may come from poison: {EARLY}")
    tries = ["--timing late for a missing s.wait"] if eager else []
    tries += ["--seed 1, 2, 3, ... for a missing barrier"] if job.seed == 0 else []
    if tries:
        both = ", or --vary 5 for both" * (len(tries) > 1)
        hints.append(f"try {' and '.join(tries)}{both}: a result that changes shows one")
    return hints


def _say_varied(varied: list[Varied], job: Job) -> None:
    for one in varied:
        flags = f"--timing {one.timing}" if one.timing != job.timing else f"--seed {one.seed}"
        verdict = style("SAME", fg="green", bold=True) if one.same else style("DIFFERS", fg="red", bold=True)
        found = [*one.error.split("\n")[:2], *(f"{name}: {text}" for name, text in one.differs.items())]
        say("\n  ".join([f"vary {flags}  {verdict}", *(text.strip() for text in found if text)]))
    if any(one.timing != job.timing and not one.same for one in varied):
        say("a result that changes with the timing shows a missing s.wait, or a read of what nothing has written yet")
    if any(one.timing == job.timing and not one.same for one in varied):
        missing, order = "barrier, fence or flag" if job.chips > 1 else "barrier", "the order of blocks or atomics"
        say(f"a result that changes with the seed shows a missing {missing}, or depends on {order}")


def _say_relied(relied: list[Relied]) -> None:
    if not relied:
        say("every instruction in use is published or measured")
        return
    say(f"{counted(len(relied), 'instruction')} in use whose meaning is defined by this project:")
    for one in relied:
        say(f"  {one.mnemonic}  {one.words} in {one.kernel}  {one.source or 'defined here'}")
