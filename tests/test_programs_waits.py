"""Every wait and every barrier of every program left out, in turn, those in the macros it uses included.

Matrix products on both chips: these bring operands in another way.
"""

import re
from functools import cache

import numpy as np
import program_trials_gemm  # noqa: F401 - enters what it has
import program_trials_models  # noqa: F401
import program_trials_mx  # noqa: F401
import pytest
from collective_trials import TRIALS as COLLECTIVES
from program_trials import TRIALS

from m890 import AssemblyError, Chip, Limits, M890Error, Schedule, profile, programs
from m890.isa.assembler import assemble
from m890.isa.source import LIBRARY
from m890.programs.binary32 import bits

WAIT = re.compile(r"\bs\.wait\b[^/]*")
COUNTER = re.compile(r"(\w+)\(([\w -]+)\)")
BARRIER = re.compile(r"(?<!macro  )\b(?:s\.blksyn|block_sync)\b")
INCLUDE = re.compile(r'^\s*\.include\s+"([\w.]+)"', re.MULTILINE)
ALIKE = {"M890": {"gemm_e4m3", "gemm_f16", "gemm_tf32"}, "810E": {"gemm_f16", "gemm_tf32", "gemm_s8", "grouped_gemm"}}
"""Programs whose waits all stand in macros that gemm_bf16 and gemm_s8 use as well, or that were tried on the M890."""
NAMES = sorted(set(programs.NAMES) - set(COLLECTIVES))


@cache
def texts(name):
    """The files of a program: its own and what it and these include, by name."""
    found, wanted = {f"{name}.s": programs.source(name)}, [f"{name}.s"]
    while wanted:
        for file in INCLUDE.findall(found[wanted.pop()]):
            if file not in found:
                found[file] = (LIBRARY / file).read_text()
                wanted.append(file)
    return found


RUNS = [
    *(("M890", name) for name in NAMES),
    *(("810E", name) for name in programs.NAMES if "gemm.inc" in texts(name) and ".arch" not in programs.source(name)),
]
"""Programs with chips on which their waits are tried: those that bring operands in another way there, on both."""
SCHEDULES = tuple(map(Schedule.seeded, range(10)))
"""Orders in which warps run: what a user is told to try."""
SPINNING = (Schedule(1, 1, 5), Schedule(3, 1000, 5))
"""Orders in which paths of a warp interleave as well."""


def replacement(operation):
    """What is left of a wait or barrier that is left out: of block_sync the wait, which is left out on its own."""
    return "s.wait tsmcnt(0)" if operation == "block_sync" else ""


def assembled(name, arch, file, number, what, folder, replacement=replacement):
    """The program without the wait or barrier of one line of one of its files, or with another in its place."""
    for other, text in texts(name).items():
        lines = text.splitlines()
        if other == file:
            lines[number] = what.sub(lambda match: replacement(match[0]), lines[number])
        (folder / other).write_text("\n".join(lines))
    own = folder / f"{name}.s"
    return assemble(own.read_text(), str(own), arch=arch)


def places(what):
    """Where something stands, comments aside: chip, program, file, line."""
    found = []
    for kind, name in RUNS:
        for file, text in texts(name).items():
            lines = enumerate(text.splitlines())
            found += [(kind, name, file, number) for number, line in lines if what.search(line.partition("//")[0])]
    return [
        pytest.param(*place, id="-".join((*place[:3], str(place[3] + 1))), marks=[pytest.mark.slow] * is_alike)
        for place in found
        for is_alike in [place[1] in ALIKE[place[0]]]
    ]


def goes_wrong(name, module, chip, seed, monkeypatch):
    """Whether the program's trial fails with this module in its place."""
    whole = programs.module
    monkeypatch.setattr(programs, "module", lambda *asked: module if asked[0] == name else whole(*asked))
    try:
        found, expected = TRIALS[name](chip, np.random.default_rng(seed))
    except M890Error:
        return True
    return any(not np.array_equal(bits(one), bits(other)) for one, other in zip(found, expected, strict=True))


def is_used(name, module):
    """Whether the program has what was left out: it need not use every macro of a file."""
    whole = programs.module(name, module.arch).kernels
    return any(len(kernel.words) != len(whole[kernel.name].words) for kernel in module.kernels.values())


@pytest.mark.parametrize(("kind", "name", "file", "line"), places(WAIT))
def test_every_wait_is_needed(kind, name, file, line, monkeypatch, tmp_path):
    """Under late timing the result must become wrong, or the launch fail."""
    chip = Chip(kind, timing="late", limits=Limits(instructions=3_000_000))
    module = assembled(name, chip.profile.arch, file, line, WAIT, tmp_path)
    assert not is_used(name, module) or goes_wrong(name, module, chip, line, monkeypatch)


def weaker(wait):
    """The wait with one counter less, if it has several, and with each count that is not 0 one larger, in turn."""
    counters = COUNTER.findall(wait)
    for own, (name, count) in enumerate(counters):
        others = counters[:own] + counters[own + 1 :]
        changed = [others] if others else []
        if count != "0" or name == "commit_group":
            changed.append([*others, (name, f"{count} + 1")])
        for each in changed:
            yield "s.wait " + ", ".join(f"{name}({count})" for name, count in each) + " "


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "file", "line"), places(WAIT))
def test_every_counter_and_count_of_a_wait_is_needed(kind, name, file, line, monkeypatch, tmp_path):
    """The same of waits that wait for less."""
    arch = profile(kind).arch
    whole = programs.module(name, arch).kernels
    for wait in weaker(WAIT.search(texts(name)[file].splitlines()[line])[0]):
        module = assembled(name, arch, file, line, WAIT, tmp_path, lambda _, wait=wait: wait)
        chip = Chip(kind, timing="late", limits=Limits(instructions=3_000_000))
        used = any(not np.array_equal(kernel.words, whole[kernel.name].words) for kernel in module.kernels.values())
        assert not used or goes_wrong(name, module, chip, line, monkeypatch), wait


@pytest.mark.parametrize(("kind", "name", "file", "line"), places(BARRIER))
def test_every_barrier_is_needed(kind, name, file, line, monkeypatch, tmp_path):
    """In some order of the warps the result must become wrong, or the launch fail."""
    module = assembled(name, profile(kind).arch, file, line, BARRIER, tmp_path)
    if is_used(name, module):
        limits = Limits(instructions=3_000_000)
        chips = (
            Chip(kind, timing=timing, schedule=order, limits=limits)
            for timing in ("late", "eager")
            for order in SCHEDULES
        )
        assert any(goes_wrong(name, module, chip, line, monkeypatch) for chip in chips)


@pytest.mark.parametrize("step", [-1, 3])
def test_no_program_relies_on_an_order_of_blocks(step):
    """Two blocks at a time, all that ring.s needs, beginning with the last one."""
    few = profile("M890").override("two blocks", {"compute_units": 2, "blocks_per_cu": 1}, "tests")
    chip = Chip(few, schedule=Schedule(first_block=-1, block_step=step), limits=Limits(instructions=3_000_000))
    for name, trial in TRIALS.items():
        passes(name, trial, chip)


def test_trials_pass_as_they_are():
    chips = [Chip(timing=timing, schedule=order) for timing in ("eager", "late") for order in SCHEDULES[:4]]
    for chip in (*chips, *(Chip(schedule=order) for order in (*SCHEDULES[4:], *SPINNING))):
        for name, trial in TRIALS.items():
            passes(name, trial, chip)


def test_trials_pass_on_the_other_chip():
    """All but those of programs that say for which chip they are."""
    for chip in (Chip("810E"), Chip("810E", timing="late"), Chip("810E", timing="late", schedule=SCHEDULES[1])):
        for name, trial in TRIALS.items():
            if ".arch" not in programs.source(name):
                passes(name, trial, chip)


def passes(name, trial, chip):
    for found, expected in zip(*trial(chip, np.random.default_rng(0)), strict=True):
        np.testing.assert_array_equal(bits(found), bits(expected), err_msg=name)


@pytest.mark.parametrize("name", [name for name in programs.NAMES if ".arch" in programs.source(name)])
def test_only_what_needs_a_chip_says_which(name):
    with pytest.raises(AssemblyError):
        assemble(programs.source(name).replace(".arch   ppu0015", ""), str(programs.path(name)), arch="ppu001")
