"""`m890 perf`: modelled times of collectives, their columns, and the published ones they are to come near."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from collective_trials import few_cores
from command_line import m890

from m890.emulator.icn.topology import Topology
from m890.emulator.pod.pod import Pod
from m890.emulator.profiles import M890, profile
from m890.programs import all_reduce
from m890.programs.pod_group import TYPES, Group
from m890.tools.perf import COLLECTIVES, MODELLED, MOVED, Measurement, sizes
from m890.tools.verbs.perf import ALGORITHMS, ELEMENTS, NAMES


def perf(*arguments, code=0):
    return m890("perf", *arguments, code=code)


def test_columns():
    result = perf("all_reduce", "--chips", "2", "--min", "4", "--max", "64", "--factor", "4")
    title, names, units, *rows, average = result.stdout.splitlines()
    assert title == "all_reduce on 2 M890; times and bandwidths are modelled"
    assert names.split() == ["size", "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong"]
    assert units.split() == ["(B)", "(elements)", "(us)", "(GB/s)", "(GB/s)"]
    assert [row.split()[:5] for row in rows] == [[str(4 * n), str(n), "f32", "sum", "-1"] for n in (1, 4, 16)]
    assert all(row.split()[8:] == ["0", "one_shot", "moved"] for row in rows)
    assert average.startswith("average bus bandwidth")


@pytest.mark.parametrize("name", NAMES)
def test_every_collective(name):
    """Bandwidths follow from sizes and times, and nothing is wrong."""
    result = perf(name, "--chips", "3", "--min", "100", "--max", "5000", "--factor", "10", "--type", "bf16", "--json")
    report = json.loads(result.stdout)
    assert (report["collective"], report["chip"], report["chips"]) == (name, "M890", 3)
    factor = {"all_reduce": 4 / 3, "all_gather": 2 / 3, "reduce_scatter": 2 / 3, "all_to_all": 2 / 3}.get(name, 1)
    assert len(report["rows"]) == 2
    for row in report["rows"]:
        assert row["wrong"] == 0
        assert row["how"] == MOVED
        parts = 3 if any(COLLECTIVES[name].parts) else 1
        assert row["size"] == 2 * parts * row["count"]
        assert row["algbw"] == pytest.approx(row["size"] / row["seconds"])
        assert row["busbw"] == pytest.approx(factor * row["algbw"])


def test_chips_may_be_joined_otherwise(tmp_path):
    """A kind or a file; sizes that are modelled follow it, too."""
    sizes = ("--chips", "9", "--min", "2M", "--max", "2M", "--json")
    times = {}
    for kind in ("ring", "switch"):
        report = perf("all_reduce", "--chip", "810E", "--topology", kind, "--move", "64K", *sizes)
        result = json.loads(report.stdout)
        (row,) = result["rows"]
        assert (result["topology"], row["how"]) == (kind, MODELLED)
        times[kind] = row["seconds"]
    assert times["switch"] < times["ring"] / 1.5
    slow = tmp_path / "slow.toml"
    slow.write_text("links = [[0, 1], [1, 2]]\nlatency = 1e-3\n")
    lines = perf("send_recv", "--chips", "3", "--topology", str(slow), "--max", "8").stdout.splitlines()
    assert lines[0] == "send_recv on 3 M890, topology custom; times and bandwidths are modelled"
    assert float(lines[3].split()[5]) > 2000


def test_ranks_share_the_chips_and_one_speaks():
    pytest.importorskip("mpi4py", reason="comes with the extra m890[mpi], which the Makefile installs")
    folder = Path(sys.executable).parent
    job = [folder / "m890", "perf", "reduce", "--chips", "3", "--min", "4K", "--max", "64K", "--move", "16K"]
    alone, shared = (
        subprocess.run([*start, *job], capture_output=True, text=True, timeout=300, check=True).stdout
        for start in ([], [folder / "mpiexec", "-n", "2"])
    )
    assert shared == alone
    assert MODELLED in alone


def test_what_there_is():
    assert tuple(COLLECTIVES) == NAMES
    assert set(ELEMENTS) == set(TYPES)
    kinds = [
        (all_reduce.usual(size), all_reduce.usual(size, switched=False)) for size in (1, 1 << 15, 1 << 21, 1 << 30)
    ]
    assert kinds == [("one_shot",) * 2, ("two_shot",) * 2, ("two_shot", "ring"), ("ring",) * 2]
    assert {algorithm for pair in kinds for algorithm in pair} == set(ALGORITHMS)


def test_sizes():
    assert sizes(8, 100, 2) == [8, 16, 32, 64]
    assert sizes(8, 8, 2) == [8]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("all_reduce", "--min", "2M", "--max", "1K"), "less than"),
        (("reduce", "--algorithm", "ring"), "only"),
        (("reduce", "--min", "many"), "no number of bytes"),
        (("reduce", "--min", "0"), "no number of bytes"),
        (("reduce", "--chip", "M89"), "did you mean 'M890'"),
        (("reduce", "--chip", "810E", "--chips", "9"), "wiring joins 8 chips"),
        (("reduce", "--topology", "rings"), "there is switch, wired, ring, full"),
        (("scan",), "Invalid value"),
    ],
)
def test_mistakes(arguments, text):
    assert text in perf(*arguments, code=2).stderr


def test_what_is_modelled_is_near_what_is_moved():
    """A ring's steps on two chips for those of four, and in proportion for what has no steps."""
    for name, algorithm, size in (("all_reduce", "ring", 1 << 18), ("all_gather", None, 1 << 20)):
        moved = Measurement(name, M890, 4, algorithm=algorithm).row(size)
        modelled = Measurement(name, M890, 4, algorithm=algorithm, most_moved=size // 2).row(size)
        assert (moved.how, moved.wrong, modelled.how, modelled.wrong) == (MOVED, 0, MODELLED, None)
        assert modelled.seconds == pytest.approx(moved.seconds, rel=0.1)


def test_nothing_is_modelled_as_faster_than_the_links():
    """Four rings of one link each, and what was moved so small that most of its time was latency."""
    row = Measurement("all_reduce", profile("810E"), 8, algorithm="ring", most_moved=1 << 16).row(1 << 30)
    assert row.how == MODELLED
    assert 0.8 < row.busbw / (4 * profile("810E").icn_link_bandwidth) < 1


@pytest.mark.slow
def test_rings_over_links_of_their_own_are_faster():
    """On the 8 cards of the 810E: four rings beat one in the order of the numbers by far, and two shots."""
    wired, chip = Topology.wired(profile("810E"), 8), profile("810E")
    size, times = 4 << 20, {}
    for name, algorithm, orders in (
        ("rings", "ring", None),
        ("one", "ring", [tuple(range(8))]),
        ("two", "two_shot", None),
    ):
        pod = Pod(chip, 8, topology=wired)
        with Group(pod) as group:
            source, target = group.empty(size // 4, np.float32), group.empty(size // 4, np.float32)
            all_reduce.run(group, source, target, algorithm=algorithm, orders=orders)
        times[name] = pod.time
    assert times["rings"] < 0.6 * times["two"]
    assert times["rings"] < 0.5 * times["one"]


def test_a_longer_array_takes_longer():
    measurement = Measurement("all_reduce", few_cores("M890"), 4, algorithm="ring", most_moved=1 << 12)
    times = [measurement.row(size).seconds for size in sizes(1 << 10, 1 << 17, 2)]
    assert times == sorted(times)


# ---- the published times ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chips", [8, 16])
def test_small_all_reduces_take_what_was_measured(chips):
    row = Measurement("all_reduce", M890, chips).row(8)
    assert (row.how, row.wrong) == (MOVED, 0)
    assert row.seconds == pytest.approx(dict(M890.all_reduce_small_by_chips)[chips], rel=0.25)


def test_an_all_reduce_of_1_mib_takes_what_icn_md_says_which_is_less_than_was_measured():
    row = Measurement("all_reduce", M890, 8).row(1 << 20)
    assert (row.how, row.wrong, row.algorithm) == (MOVED, 0, "two_shot")
    assert row.seconds == pytest.approx(13.2e-6, rel=0.02)
    assert row.seconds < 0.6 * M890.all_reduce_1mb


@pytest.mark.slow
def test_large_all_reduces_have_the_bus_bandwidth_that_was_measured():
    eight = Measurement("all_reduce", M890, 8, most_moved=8 << 20)
    for size, measured in M890.all_reduce_bus_by_bytes:
        assert eight.row(size).busbw == pytest.approx(measured, rel=0.1)
    sixteen = Measurement("all_reduce", M890, 16, most_moved=8 << 20)
    assert sixteen.row(2 << 30).busbw == pytest.approx(M890.all_reduce_bus_16, rel=0.1)


@pytest.mark.slow
def test_16_mib_moved_are_as_fast_as_modelled():
    moved = Measurement("all_reduce", M890, 8).row(16 << 20)
    assert (moved.how, moved.wrong) == (MOVED, 0)
    assert moved.busbw == pytest.approx(dict(M890.all_reduce_bus_by_bytes)[16 << 20], rel=0.1)
    assert Measurement("all_reduce", M890, 8, most_moved=8 << 20).row(16 << 20).seconds == pytest.approx(
        moved.seconds, rel=0.03
    )
