"""Every wait, fence, flag and barrier of the collectives left out, in turn, those in the macros they use included."""

import re
from functools import cache

import numpy as np
import pytest
from collective_trials import SOURCES, TRIALS, few_cores
from test_programs_waits import INCLUDE

from m890 import Limits, M890Error, programs
from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.topology import Topology
from m890.emulator.pod.pod import Pod
from m890.isa.assembler import assemble
from m890.isa.source import LIBRARY
from m890.programs.binary32 import bits

ORDER = re.compile(
    r"\bs\.wait\b.*|\bvmem\.fence\.sys\b|\bs\.blksyn\b|\bs\.cbr\s+\.Lwait\S+"
    r"|(?<!macro  )\bpod_(?:tell|await|barrier)\b.*"
)
"""What orders something; `s.cbr .Lwait` is the loop of those that wait for a flag."""
CHIPS = 3
USERS = {"pod.inc": ("meet",), "collective.inc": ("all_reduce", "all_gather")}
"""Programs that between them use all of a file of macros."""


@cache
def texts(name):
    """The files of a trial's program: its own and what it and these include, by name."""
    found, wanted = {f"{name}.s": SOURCES.get(name) or programs.source(name)}, [f"{name}.s"]
    while wanted:
        for file in INCLUDE.findall(found[wanted.pop()]):
            if file not in found:
                found[file] = (LIBRARY / file).read_text()
                wanted.append(file)
    return found


def places():
    """Where something stands, comments aside: programs that use it, file, line."""
    files = {f"{name}.s": ((name,), texts(name)[f"{name}.s"]) for name in TRIALS if name not in SOURCES}
    files |= {file: (names, texts(names[0])[file]) for file, names in USERS.items()}
    return [
        pytest.param(
            names, file, number, id=f"{file}-{number + 1}", marks=[] if file == "pod.inc" else pytest.mark.slow
        )
        for file, (names, text) in files.items()
        for number, line in enumerate(text.splitlines())
        if ORDER.search(line.partition("//")[0])
    ]


def without(name, file, number, folder):
    """The program without what one line of one of its files has; None if it does not use that."""
    for other, text in texts(name).items():
        lines = text.splitlines()
        if other == file:
            code, slashes, comment = lines[number].partition("//")
            lines[number] = ORDER.sub("", code) + slashes + comment
        (folder / other).write_text("\n".join(lines))
    own = folder / f"{name}.s"
    found, whole = assemble(own.read_text(), str(own)), assemble(texts(name)[f"{name}.s"], f"{name}.s")
    changed = any(len(kernel.words) != len(whole.kernels[other].words) for other, kernel in found.kernels.items())
    return found if changed else None


def pods():
    """Pods on which something may go wrong: either timing, many orders, and a link far slower than the others.

    That one chip hears from another late makes the latter late for the third.
    """
    chip = few_cores("M890", launch_overhead=1e-9, icn_link_bandwidth=80e9)
    limits = Limits(instructions=2_000_000)
    topology = Topology.full(chip, CHIPS)
    for seed in range(8):
        for timing in ("late", "eager"):
            slow = LinkFault(tail=seed % CHIPS, head=(seed + 1 + seed // CHIPS % 2) % CHIPS, slow=1000.0, both=False)
            faults = [slow] if seed else []
            yield Pod(
                chip, CHIPS, topology=topology, timing=timing, seed=seed, quantum=64, faults=faults, limits=limits
            )


def goes_wrong(name, module, pod, seed, monkeypatch):
    """Whether the program's trial fails with this module in its place."""
    for holder in ("pod_group", "barrier"):
        monkeypatch.setattr(f"m890.programs.{holder}.load", lambda pod, name: pod.load(module))
    try:
        found, expected = TRIALS[name](pod, np.random.default_rng(seed))
    except M890Error:
        return True
    return any(not np.array_equal(bits(one), bits(other)) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("names", "file", "line"), places())
def test_everything_that_orders_is_needed(names, file, line, monkeypatch, tmp_path):
    """On some pod the result must become wrong, or the launch fail."""
    modules = {name: without(name, file, line, tmp_path) for name in names}
    assert any(modules.values())
    assert any(
        goes_wrong(name, module, pod, line, monkeypatch) for pod in pods() for name, module in modules.items() if module
    )


@pytest.mark.slow
def test_trials_pass_on_these_pods():
    for pod in pods():
        for name, trial in TRIALS.items():
            for found, expected in zip(*trial(pod, np.random.default_rng(1)), strict=True):
                np.testing.assert_array_equal(bits(found), bits(expected), err_msg=name)
