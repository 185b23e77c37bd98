"""`m890 run --counts`: against what a trace of the same run says, line by line."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from command_line import m890

from m890.isa import ISA
from m890.programs import FOLDER
from m890.tools import counts

TRACED = re.compile(r"(?:c\d )?\(\d+,\d+,\d+\) w\d+ ([0-9a-f]{8}) +\S+ (\S+) +(\S+)")


@pytest.mark.parametrize("name", ["saxpy", "softmax", "all_reduce"])
def test_counts_are_those_of_the_trace(name: str, tmp_path: Path):
    file, trace = FOLDER / f"{name}.toml", tmp_path / "trace.txt"
    result = json.loads(m890("run", str(file), "--trace", str(trace), "--counts", "--json").stdout)
    executed, lanes, mnemonics = Counter[str](), Counter[str](), dict[str, str]()
    for line in trace.read_text().splitlines():
        found = TRACED.match(line)
        assert found, line
        executed[found[2]] += 1
        lanes[found[2]] += int(found[1], 16).bit_count()
        mnemonics.setdefault(found[2], found[3])
    shown = result["counts"]
    assert {line["place"]: line["instructions"] for line in shown} == executed
    assert {line["place"]: line["lanes"] for line in shown} == lanes
    assert {line["mnemonic"].removesuffix(" ...") for line in shown} <= ISA.by_mnemonic.keys()
    assert sum(executed.values()) == sum(launch["instructions"] for launch in result["launches"])
    assert [line["instructions"] for line in shown] == sorted(executed.values(), reverse=True)


def test_the_table_has_shares_and_lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ten rounds of two instructions in one line, with three lanes."""
    source = tmp_path / "k.s"
    source.write_text(
        ".macro two\nv.add.i32 vreg0, vreg0, 1\nv.sub.i32 vreg1, vreg0, 1\n.endm\n"
        ".kernel k\ns.mov.b32 emsk, 7\ns.mov.b32 sreg20, 10\nagain:\n.rept 2\nv.mov.b32 vreg0, 1\n.endr\ntwo\n"
        "s.sub.i32 sreg20, sreg20, 1\ns.cbr.nz sreg20, again\ns.exit\n"
    )
    flags = "run", str(source), "--grid", "1", "--block", "32", "--counts"
    lines = m890(*flags).stdout.splitlines()
    assert lines[1].split() == ["instructions", "share", "lanes", "line"]
    assert lines[2].split() == ["20", "31.7%", "3.0", "k.s:10", "v.mov.b32", "in", "k"]
    assert lines[3].split() == ["10", "15.9%", "3.0", "k.s:2", "v.add.i32", "in", "k"]
    assert ["1", "1.6%", "32.0", "k.s:6", "s.mov.b32", "in", "k"] in [line.split() for line in lines]
    monkeypatch.setattr(counts, "MOST", 2)
    assert m890(*flags).stdout.splitlines()[-1].split() == ["52.4%", "6", "lines", "more"]
    monkeypatch.undo()
    source.write_text(".macro do op\n\\op vreg0, 1, 1\n.endm\n.kernel k\ndo v.add.i32\ndo v.sub.i32\ns.exit\n")
    assert m890(*flags).stdout.splitlines()[2].split() == ["2", "66.7%", "32.0", "k.s:2", "v.add.i32", "...", "in", "k"]
