"""The benchmarks run and say what they found in the promised shape. How long anything takes is not tested."""

import json
import os
import re

import click
import pytest

from m890.tools import bench
from m890.tools.bench.core import ALU
from m890.tools.bench.measure import Result, medians, one_core
from m890.tools.bench.table import heading, line
from m890.tools.output import duration

STABLE = {
    "saxpy_2e20",
    "saxpy_2e20_plain",
    "saxpy_2e24",
    "saxpy_2e24_plain",
    "sum_2e20",
    "histogram_2e20",
    "radix_sort_2e20",
    "matmul_f32_256",
    "attention_1024",
    "alu_loop",
    "compile_handler",
    "cold_run",
    "warm_run",
    "launches",
    "pod8_scaling",
    "observe_off",
    "late",
    "gemm_bf16_256",
    "gemm_f16_256",
    "gemm_e4m3_256",
    "gemm_s8_256",
}
NUMBERS = {"seconds", "numpy_seconds", "ratio", "unit_ns", "gflops", "threads", "cost"}


def run(capsys: pytest.CaptureFixture[str], name: str) -> dict[str, float]:
    bench.main([name], "-", repeat=1)
    (result,) = json.loads(capsys.readouterr().out)
    assert result.pop("name") == name
    assert set(result) <= NUMBERS
    assert all(value > 0 for value in result.values())
    return result


def test_names_are_stable():
    assert set(bench.ENTRIES) >= STABLE


def test_alone(capsys: pytest.CaptureFixture[str]):
    assert set(run(capsys, "alu_loop")) == {"seconds", "unit_ns", "threads"}


def test_shares(capsys: pytest.CaptureFixture[str]):
    bench.main(["alu_loop"], "-", repeat=20, shares=True)
    out, err = capsys.readouterr()
    (result,) = json.loads(out)
    assert set(result["shares"]) <= set(re.findall(r"[vs]\.[a-z0-9.]+|simt.exit", ALU))
    assert abs(sum(result["shares"].values()) - 1) < 1e-9
    assert max(result["shares"], key=result["shares"].__getitem__) in err


def test_beside_numpy(capsys: pytest.CaptureFixture[str]):
    result = run(capsys, "saxpy_2e20")
    assert set(result) == NUMBERS - {"cost"}
    assert result["ratio"] == result["numpy_seconds"] / result["seconds"]


@pytest.mark.parametrize("name", ["observe_off", "late"])
def test_cost(capsys: pytest.CaptureFixture[str], name: str):
    assert set(run(capsys, name)) == {"seconds", "unit_ns", "threads", "cost"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STABLE - {"alu_loop", "saxpy_2e20", "observe_off", "late"}))
def test_the_others(capsys: pytest.CaptureFixture[str], name: str):
    assert "seconds" in run(capsys, name)


def test_table_on_stdout_and_json_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path):
    bench.main(["alu_loop"], str(tmp_path / "results.json"), repeat=1)
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "benchmark"
    assert second.split()[0] == "alu_loop"
    assert [entry["name"] for entry in json.loads((tmp_path / "results.json").read_text())] == ["alu_loop"]


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(click.UsageError, match=r"'saxpy_20'.*saxpy_2e20") as caught:
        bench.main(["alu_loop", "saxpy_20"])
    assert caught.value.exit_code == 2


def test_a_failure_does_not_stop_the_others(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def broken(name: str, repeat: int | None) -> Result:
        raise ArithmeticError("wrong result")

    monkeypatch.setattr(bench, "ENTRIES", {"broken": broken, "fine": lambda name, repeat: Result(name, 1.0)})
    with pytest.raises(SystemExit) as caught:
        bench.main([], "-")
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert json.loads(out) == [{"name": "fine", "seconds": 1.0}]
    assert "broken: wrong result" in err


def test_measured_in_turn():
    calls = []
    times = medians(3, lambda: calls.append("a"), lambda: calls.append("b"))
    assert calls == ["a", "b"] * 3
    assert len(times) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this host cannot pin a process")
def test_the_core_is_given_back():
    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_columns_line_up():
    full = Result("x", 1.5, 0.001, 1234.5, 3.25, 0.001, 1, 0.5)
    assert line(full, 20).split() == ["x", "1.50", "s", "1.00", "ms", "1234", "3.25", "ns", "0.0010", "1", "0.500"]
    assert len(line(full, 20)) == len(heading(20))
    assert [duration(seconds) for seconds in (12.3, 0.9996, 4.5e-5, 2e-10, 0)] == [
        "12.3 s",
        "1.00 s",
        "45.0 us",
        "0.200 ns",
        "0 s",
    ]
