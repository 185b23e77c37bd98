"""However a pod's work is divided over threads and processes, the same comes of it, to the picosecond."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pod_split
import pytest

from m890 import LinkFault, Pod, Topology, profile
from m890.emulator.pod.exchange import Alone
from m890.emulator.pod.ranks import MOST_ENTRIES, Journal, difference

pytest.importorskip("mpi4py", reason="comes with the extra m890[mpi], which the Makefile installs")
PROGRAM = Path(pod_split.__file__)
MPIEXEC = Path(sys.executable).with_name("mpiexec")
M890 = Path(sys.executable).with_name("m890")


@pytest.fixture(scope="module")
def alone():
    """What comes of it on one thread of one process."""
    return json.loads(json.dumps(pod_split.run()))


def mpiexec(ranks, *command, code=0, **options):
    """Run a command in so many processes, to end with this exit code, or with any if it is None."""
    found = subprocess.run(
        [MPIEXEC, "-n", str(ranks), *command], capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert code in (None, found.returncode), (found.returncode, found.stdout, found.stderr)
    return found


def test_it_computes_what_it_should(alone):
    np.testing.assert_array_equal(alone["rows"], pod_split.last_rows())
    np.testing.assert_array_equal(alone["last"], pod_split.last_rows()[0])
    assert sorted(alone["texts"].splitlines()) == [f"chip {chip}: {pod_split.TURNS}" for chip in range(pod_split.CHIPS)]
    assert all(time > 0 for time in alone["times"])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(alone, threads):
    assert json.loads(json.dumps(pod_split.run(threads=threads))) == alone


@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_change_nothing(alone, ranks):
    assert json.loads(mpiexec(ranks, sys.executable, PROGRAM).stdout) == alone


@pytest.mark.parametrize("changed", [{"timing": "late"}, {"seed": 1}, {"seed": 2}, {"seed": 3, "timing": "late"}])
def test_threads_change_nothing_in_other_modes(alone, changed):
    first, second = pod_split.run(**changed), pod_split.run(**changed, threads=2)
    assert first == second
    assert first["memory"] == alone["memory"]


@pytest.mark.parametrize("quantum", [1, 64, 1000, 1_000_000])
def test_quanta_change_the_times_and_not_the_bits(alone, quantum):
    assert pod_split.run(quantum=quantum)["memory"] == alone["memory"]


@pytest.mark.slow
def test_compiling_on_the_way_changes_nothing(alone, tmp_path):
    """A handler is compiled when it is first reached, between two instructions of a quantum."""
    cold = dict(os.environ, M890_CACHE_DIR=str(tmp_path))
    assert json.loads(mpiexec(2, sys.executable, PROGRAM, env=cold).stdout) == alone


# The command under mpiexec.

LAUNCH = """\
chips = 3
[buffers.x]
chip = "all"
type = "f32"
shape = [32]
[[launch]]
object = "k.s"
grid = 1
block = 32
args = { x = "x" }
[[check]]
buffer = "x"
expect = "full:2.5"
[save]
x = "x.npy"
"""
FILL = """\
        .data
line:   .asciz  "chip %d\\n"
        .text
        .kernel fill
        .param  ptr x
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, 2.5
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.mov.b32       sreg20, %chip
        s.print         line, sreg[20:20]
        simt.exit
"""
ENDLESS = FILL.replace("simt.exit", "again: s.add.i32 sreg20, sreg20, 1\ns.cbr again")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A folder with a launch file for three chips."""
    monkeypatch.chdir(tmp_path)
    Path("job.toml").write_text(LAUNCH)
    Path("k.s").write_text(FILL)
    return tmp_path


@pytest.mark.slow
def test_one_rank_prints_and_saves(job):
    found = mpiexec(3, M890, "run", "job.toml")
    assert found.stdout.count("chip 0\nchip 1\nchip 2\n") == 1
    assert found.stdout.count("check x  PASS  96 elements") == 1
    np.testing.assert_array_equal(np.load("x.npy"), np.full((3, 32), 2.5, np.float32))
    result = json.loads(mpiexec(2, M890, "run", "job.toml", "--json").stdout)
    assert result["printed"] == "chip 0\nchip 1\nchip 2\n"
    assert json.loads(mpiexec(3, M890, "run", "job.toml", "--json").stdout)["icn"] == result["icn"]


@pytest.mark.slow
def test_ranks_do_not_change_the_order_of_blocks(job):
    Path("k.s").write_text(FILL.replace("%chip", "%blkid.x"))
    Path("job.toml").write_text(LAUNCH.replace("grid = 1", "grid = 5"))
    blocks = "".join(f"chip {block}\n" for block in (3, 4, 0, 1, 2))  # Schedule.seeded(3): from 3 on, by steps of 1
    for ranks in (1, 2, 3):
        result = json.loads(mpiexec(ranks, M890, "run", "job.toml", "--seed", "3", "--json").stdout)
        assert result["printed"] == 3 * blocks


@pytest.mark.slow
def test_what_goes_wrong_is_said_once_and_ends_all(job):
    Path("job.toml").write_text(LAUNCH.replace("full:2.5", "full:3.5"))
    assert mpiexec(3, M890, "run", "job.toml", code=1).stdout.count("FAIL") == 1
    Path("job.toml").write_text(LAUNCH.replace("block = 32", "block = 64"))
    found = mpiexec(3, M890, "run", "job.toml", code=1)
    assert found.stderr.count("exception 11") == 1
    Path("job.toml").write_text(LAUNCH.replace("k.s", "none.s"))
    assert mpiexec(2, M890, "run", "job.toml", code=3).stderr.count("No such file") == 1
    Path("k.s").write_text(ENDLESS)
    Path("job.toml").write_text(LAUNCH)
    assert mpiexec(2, M890, "run", "job.toml", "--limit", "100000", code=5).stderr.count("limit of 100,000") == 1
    assert not Path("x.npy").exists() or np.load("x.npy").any()


def children(pid):
    """The processes below one, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("victim", ["rank", pytest.param("mpiexec", marks=pytest.mark.slow)])
def test_a_rank_that_dies_ends_the_run_and_leaves_nothing(job, victim):
    Path("k.s").write_text(ENDLESS)
    run = subprocess.Popen(
        [MPIEXEC, "-n", "3", M890, "run", "job.toml"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout
    assert run.stdout.readline().startswith("chip ")  # the ranks meet before one speaks: all of them run
    everything = [run.pid, *children(run.pid)]
    ranks = [pid for pid in everything if is_rank(pid)]
    assert len(ranks) == 3
    os.kill(ranks[1] if victim == "rank" else run.pid, signal.SIGKILL)
    said = "".join(run.communicate(timeout=300))
    assert run.returncode != 0
    if victim == "rank":
        assert "Killed (signal 9)" in said
    deadline = time.monotonic() + 120
    while any(alive(pid) for pid in everything) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in everything if alive(pid)]
    assert sorted(path.name for path in job.iterdir()) == ["job.toml", "k.s"]


def is_rank(pid):
    try:
        return b"job.toml" in Path(f"/proc/{pid}/cmdline").read_bytes() and b"mpiexec" not in _first(pid)
    except OSError:
        return False


def _first(pid):
    return b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2])


IN_STEP = """
import sys
import numpy as np
from m890 import LaunchError, LinkFault, Pod, Ranks
ranks = Ranks()
pod = Pod(chips=2, exchange=ranks)
pod.enable_peer_access()
x = pod.symmetric(64, np.uint32, name="x")
kernel = pod.assemble('''
        .kernel k
        .param ptr x
        .param u32 n
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, n
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        simt.exit
''')["k"]
kernel[1, 64](x, 1)
EACH
if ranks.rank == 0:
    print(x[1].copy_to_host().sum() if ranks.ranks == 1 else "all the same")
"""
AGAIN = "kernel[1, 64](x, 1)"
OTHERS = {
    "ends": ("if ranks.rank == 1: sys.exit(3)\n" + AGAIN, r"rank 1 ends where rank 0 launches k\[1, 64\] on chip 0"),
    "grid": (
        "kernel[1 + ranks.rank, 64](x, 1)",
        r"rank 1 launches k\[2, 64\] on chip 0 .* where rank 0 launches k\[1, 64\] on chip 0",
    ),
    "arguments": ("kernel[1, 64](x, ranks.rank)", r"rank 1 launches k\[1, 64\].*arguments .* where rank 0 launches"),
    "memory": (
        "if ranks.rank: pod.symmetric(8, name='y')\n" + AGAIN,
        r"rank 1 allocates 32 bytes at offset 0x[0-9a-f]+ of chip 0 as 'y' where rank 0 launches k",
    ),
    "fill": ("if ranks.rank: x.fill(1)\nx.copy_to_host()", "rank 1 fills 'x' of chip 0 where rank 0 copies 'x' of"),
    "copy": ("if ranks.rank: x[0].copy_to_host()\n" + AGAIN, "rank 1 copies 'x' of chip 0 to the host where rank 0"),
    "links": (
        "if ranks.rank: pod.icn.fail(LinkFault(tail=0, head='s0', slow=2.0))\n" + AGAIN,
        r"rank 1 lets links fail: \[LinkFault\(tail=0, head='s0', slow=2.0.* where rank 0 launches k",
    ),
    "too late": ("if ranks.rank: x.fill(1)", "rank 1 fills 'x' of chip 0 where rank 0 ends"),
    "caught": (
        "try:\n    kernel[1 + ranks.rank, 64](x, 1)\nexcept LaunchError:\n    pass\n" + AGAIN,
        r"rank 1 launches k\[2, 64\] on chip 0 .* where rank 0 launches k\[1, 64\] on chip 0",
    ),
}


@pytest.mark.parametrize(
    "what", ["grid", "ends", *(pytest.param(name, marks=pytest.mark.slow) for name in list(OTHERS)[2:])]
)
def test_ranks_that_do_different_things_say_which(what):
    """And end, all of them."""
    program, message = OTHERS[what]
    found = mpiexec(2, sys.executable, "-c", IN_STEP.replace("EACH", program), code=None)
    assert re.search(message, found.stderr), found.stderr
    assert (found.returncode == 0) == (what == "too late")


@pytest.mark.slow
def test_ranks_that_do_the_same_end_well():
    found = mpiexec(2, sys.executable, "-c", IN_STEP.replace("EACH", AGAIN))
    assert (found.stdout, found.stderr) == ("all the same\n", "")


def test_what_pods_of_ranks_must_have_in_common_is_noted():
    class Noting(Alone):
        def __init__(self):
            self.notes = []

        def note(self, what):
            self.notes.append(str(what))

    def notes(**options):
        noting = Noting()
        Pod("810E", 4, exchange=noting, **options).icn.fail(fault)
        return noting.notes

    fault = LinkFault(tail=0, head=1, slow=2.0)
    others = (
        {"seed": 1},
        {"quantum": 64},
        {"timing": "late"},
        {"topology": Topology.ring(profile("810E"), 4)},
        {"faults": [fault]},
    )
    found = [notes(), *(notes(**options) for options in others)]
    assert len({one[0] for one in found}) == len(found)
    assert all(one[-1].startswith("lets links fail: [LinkFault(tail=0") for one in found)


def test_the_first_difference_between_journals():
    journals = [Journal() for _ in range(3)]
    for number in range(2500):
        for rank, journal in enumerate(journals):
            journal.note(f"does {number if rank < 2 or number != 2400 else 'nothing'}")
    assert (journals[0].state() == journals[1].state()).all()
    assert not (journals[0].state() == journals[2].state()).all()
    assert difference(journals) == "rank 2 does nothing where rank 0 does 2400"
    journals[1].note("ends")
    assert difference(journals[:2]) == "rank 1 ends where rank 0 does no more"
    assert len(journals[0].entries) == MOST_ENTRIES


@pytest.mark.slow
def test_a_rank_that_fails_alone_says_so_and_ends_the_others(job):
    program = """
import sys
from m890 import Pod, Ranks
ranks = Ranks()
pod = Pod(chips=2, exchange=ranks)
if ranks.rank == 1:
    raise ValueError("the disk of rank 1 is full")
pod.assemble(".kernel k\\nagain: s.cbr again\\n")["k"][1, 32]()
"""
    found = mpiexec(2, sys.executable, "-c", program, code=None)
    assert found.returncode != 0
    assert "the disk of rank 1 is full" in found.stderr
