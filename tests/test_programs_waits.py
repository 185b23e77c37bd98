"""Every wait of every program left out, in turn, those in the macros it uses included."""

import re
from functools import cache

import numpy as np
import pytest
from program_trials import TRIALS

from m890 import Chip, Limits, M890Error, programs
from m890.isa.assembler import assemble
from m890.isa.source import LIBRARY
from m890.programs.binary32 import bits

WAIT = re.compile(r"\bs\.wait\b[^/]*")
INCLUDE = re.compile(r'^\s*\.include\s+"([\w.]+)"', re.MULTILINE)


def lines_with_waits(text):
    """The lines in which a wait stands, comments aside."""
    return [number for number, line in enumerate(text.splitlines()) if WAIT.search(line.partition("//")[0])]


def without_wait(text, number):
    lines = text.splitlines()
    lines[number] = WAIT.sub("", lines[number])
    return "\n".join(lines)


@cache
def texts(name):
    """The files of a program: its own and what it includes, by name."""
    own = programs.source(name)
    return {f"{name}.s": own} | {file: (LIBRARY / file).read_text() for file in INCLUDE.findall(own)}


def assembled(name, file, number, folder):
    """The program without the wait of one line of one of its files."""
    for other, text in texts(name).items():
        (folder / other).write_text(without_wait(text, number) if other == file else text)
    own = folder / f"{name}.s"
    return assemble(own.read_text(), str(own))


WAITS = [
    (name, file, line)
    for name in programs.NAMES
    for file, text in texts(name).items()
    for line in lines_with_waits(text)
]


@pytest.mark.parametrize(
    ("name", "file", "line"), WAITS, ids=[f"{name}-{file}-{line + 1}" for name, file, line in WAITS]
)
def test_every_wait_is_needed(name, file, line, monkeypatch, tmp_path):
    """Under late timing the result must become wrong, or the launch fail."""
    module = assembled(name, file, line, tmp_path)
    whole = programs.module(name).kernels
    if all(len(kernel.words) == len(whole[kernel.name].words) for kernel in module.kernels.values()):
        return  # a macro that this program does not use
    chip = Chip(timing="late", limits=Limits(instructions=3_000_000))
    monkeypatch.setattr(f"m890.programs.{name}.load", lambda chip, name: chip.load(module))
    try:
        found, expected = TRIALS[name](chip, np.random.default_rng(line))
    except M890Error:
        return
    assert any(not np.array_equal(bits(one), bits(other)) for one, other in zip(found, expected, strict=True))


def test_trials_pass_as_they_are():
    chip = Chip(timing="late")
    for name, trial in TRIALS.items():
        for found, expected in zip(*trial(chip, np.random.default_rng(0)), strict=True):
            np.testing.assert_array_equal(bits(found), bits(expected), err_msg=name)
