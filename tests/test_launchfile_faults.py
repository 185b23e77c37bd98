"""`[[fault]]` in launch files, and what `--icn` lists."""

import json
import re
from pathlib import Path

import pytest
from launchfile_runs import folder as folder
from launchfile_runs import run

COPY = """
        .arch ppu001
        .kernel copy
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""
JOB = """
profile = "810E"
chips = 4
seed = 0
[topology]
links = [[0, 1, 2], [1, 2], [2, "s0"], [3, "s0"]]
switches = 1
[[fault]]
link = [2, "s0"]
slow = 4.0
[buffers.x]
init = "arange:f32:64"
[buffers.y]
type = "f32"
shape = [64]
chip = 3
[[launch]]
object = "copy.s"
grid = 1
block = 64
chips = [0]
args = { x = "x", y = "y" }
[[check]]
buffer = "y"
expect = "arange"
"""


def test_links_of_a_run():
    lines = run(JOB, "--icn").stdout.splitlines()
    assert re.split(r"\s{2,}", lines[2])[:4] == ["link", "packets", "user bytes", "overhead bytes"]
    rows = {row[0]: row[1:] for row in (re.split(r"\s{2,}", line) for line in lines[3:])}
    assert rows["chip 0 to chip 1 (2 links)"][:5] == ["2", "256", "36", "0", "0"]
    assert rows["switch 0 to chip 3"][:2] == ["2", "256"]
    times = {name: row[5].split() for name, row in rows.items()}
    busy = {name: float(time) * {"ns": 1e-9, "us": 1e-6}[unit] for name, (time, unit) in times.items()}
    assert busy["chip 2 to switch 0"] == pytest.approx(4 * busy["chip 1 to chip 2"], rel=0.01)
    assert "nothing has passed the links" in run(JOB.replace("chip = 3", "chip = 0"), "--icn").stdout
    alone = JOB.replace("chips = 4", "").replace("chip = 3", "")
    alone = alone[: alone.index("[topology]")] + alone[alone.index("[buffers.x]") :]
    assert "one chip has no links" in run(alone, "--icn").stdout
    links = json.loads(run(JOB, "--icn", "--json").stdout)["icn"]["links"]
    assert {link["tail"] for link in links if link["user_bytes"]} == {"chip 0", "chip 1", "chip 2", "switch 0"}


def test_topologies_of_a_run():
    def tails(*flags, text=JOB, code=0):
        result = run(text, "--json", *flags, code=code)
        return {link["tail"] for link in json.loads(result.stdout)["icn"]["links"] if link["user_bytes"]}

    whole = JOB.replace("slow = 4.0", "at = 1.0").replace('link = [2, "s0"]', "link = [0, 3]")
    assert tails("--topology", "ring", text=whole) == {"chip 0"}
    Path("line.toml").write_text("links = [[0, 3], [3, 2], [2, 1]]\n")
    assert tails("--topology", "line.toml", text=whole) == {"chip 0"}
    assert "topology: kind = 'star'" in run(JOB, "--topology", "star", code=3).stderr
    Path("line.toml").write_text("links = [[0, 3], [3, 2], [2, 1]\n")
    assert "line.toml: Unclosed array" in run(JOB, "--topology", "line.toml", code=3).stderr
    assert "none.toml" in run(JOB, "--topology", "none.toml", code=3).stderr
    unused = JOB.replace("switches = 1", "switches = 2")
    assert "job.toml: topology custom: no link to switch 1; add one, or leave it out" in run(unused, code=3).stderr
    Path("line.toml").write_text("links = [[0, 3], [3, 2], [2, 4]]\n")
    assert "line.toml: topology: links has [2, 4]: 4 is no node" in run(JOB, "--topology", "line.toml", code=3).stderr


def test_faults_of_a_run():
    lost = JOB.replace("slow = 4.0", "drops = 2\nboth = false")
    links = json.loads(run(lost, "--json").stdout)["icn"]["links"]
    assert [(link["tail"], link["retries"]) for link in links if link["retries"]] == [("chip 2", 2)]
    dead = run(JOB.replace("slow = 4.0", 'dead = "all"'), code=1)
    assert "XID 4224" in dead.stderr
    assert "no way from chip 0 to chip 3, on its way at chip 2; dead links: chip 2 to switch 0" in dead.stderr
    run(JOB.replace("slow = 4.0", 'dead = "all"\nat = 1.0'))
    run(JOB.replace("slow = 4.0", 'dead = "all"\nafter = 1000'))
    often = run(JOB.replace("slow = 4.0", "loss = 1"), code=1)
    assert "XID 4480" in often.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("slow =", "slwo =", r"job.toml:10: fault\[0\].slwo: unknown key: did you mean 'slow'\?"),
        ("slow = 4.0", 'slow = "4"', r":10: fault\[0\].slow: a number from 0 belongs here"),
        ("slow = 4.0", "slow = 0.5", r":8: fault\[0\]: slow = 0.5: it divides the bandwidth"),
        ("slow = 4.0", "loss = 2", r"fault\[0\]: loss = 2.0: a probability"),
        ("slow = 4.0", "dead = 3", r":8: fault\[0\]: dead = 3: from chip 2 to switch 0 parallel links number 1"),
        ("slow = 4.0", 'dead = "both"', r"fault\[0\].dead: a whole number from 0"),
        ("slow = 4.0", "both = 1", r"fault\[0\].both: true or false"),
        (
            'link = [2, "s0"]',
            'link = [2, "s1"]',
            r"fault\[0\]: 's1' is no node; there are chips 0 to 3 and switches",
        ),
        ('link = [2, "s0"]', "link = [0, 3]", r"fault\[0\]: topology custom has no link from chip 0 to chip 3"),
        ('link = [2, "s0"]', "link = 2", r":9: fault\[0\].link: two nodes belong here"),
        ('link = [2, "s0"]', "", r"fault\[0\].link: missing: the link that fails"),
        ("[[fault]]", "[fault]", r"\[\[fault\]\], with double brackets"),
    ],
)
def test_mistakes_in_faults(old: str, new: str, message: str):
    assert re.search(message, run(JOB.replace(old, new), code=3).stderr)
