"""Launch files: what they may say, what they do, and what is said about mistakes in them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from launchfile_runs import folder as folder
from launchfile_runs import run

from m890.tools import initial
from m890.tools.arrays import (
    ELEMENTS,
    Element,
    device_layout,
    read_safetensors,
    save,
)
from m890.tools.job import Job
from m890.tools.launchfile import read

COPY = """\
        .arch   ppu0015
        .kernel copy
        .param  u32 n
        .param  ptr x
        .param  ptr y
        v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff
        s.mov.b32       sreg20, %blkid.x
        s.mull.i32      sreg20, sreg20, %ntid.x
        v.add.i32       vreg0, vreg0, sreg20
        v.cmp.lt.u32    sreg21, vreg0, n
        s.lop.emsk      sreg22, sreg21 # 0x8
        vmem.ld.b8      vreg1, [0x0 + vreg0 * 0x1] @x
        s.wait          vldcnt(0)
        vmem.st.b8      vreg1, [0x0 + vreg0 * 0x1] @y
        s.or.b32        emsk, emsk, sreg22
        simt.exit
"""


WHOLE = """\
profile = "M890"
chips = 1
quantum = 4096
timing = "eager"
seed = 0

[buffers.x]
type = "f32"
shape = [16, 4]
init = "rand:7"
chip = 0

[buffers.y]
type = "f32"
shape = [16, 4]

[[launch]]
object = "copy.s"
kernel = "copy"
grid = [1]
block = [256]
tsm = 0
chips = "all"
args = { n = 256, x = "x", y = "y" }

[[check]]
buffer = "y"
expect = "rand:7"
rtol = 0
atol = 0
nan_equal = true

[save]
y = "y.npy"
"""


SHORT = """\
[buffers.x]
init = "arange:u8:100"
[buffers.y]
type = "u8"
shape = [100]
[[launch]]
object = "copy.s"
grid = 1
block = 100
[launch.args]
n = 100
x = "x"
y = "y"
"""


def test_every_key_of_a_launch_file():
    result = run(WHOLE)
    assert "check y  PASS  64 elements, max abs error 0\n" in result.stdout
    assert np.array_equal(np.load("y.npy"), initial.random(7, ELEMENTS["f32"], (16, 4)))


def test_defaults_and_short_forms():
    run(SHORT, "--out", "y=y.npy")
    assert np.load("y.npy").tolist() == list(range(100))
    job = read(Path("job/job.toml"))
    assert (job.profile, job.timing, job.quantum) == (Job().profile, Job().timing, Job().quantum)
    (launch,) = job.launches
    assert (launch.object, launch.kernel, launch.grid, launch.tsm) == (Path("job/copy.s"), None, (1,), 0)
    assert launch.where == "job/job.toml:6: launch[0]"


def test_late_timing_and_poison_give_the_same():
    run(WHOLE, "--timing", "late")
    run(WHOLE.replace('"eager"', '"late"'), "--poison")
    run(WHOLE, "--poison")


def test_launches_run_in_order():
    second = SHORT.partition("[[launch]]")[2].replace('x = "x"', 'x = "y"').replace('y = "y"', 'y = "z"')
    text = (
        SHORT
        + "[[launch]]\n"
        + second
        + '[buffers.z]\ntype = "u8"\nshape = [100]\n[[check]]\nbuffer = "z"\nexpect = "arange"\n'
    )
    result = json.loads(run(text, "--json").stdout)
    assert [launch["kernel"] for launch in result["launches"]] == ["copy", "copy"]
    assert result["checks"][0]["passed"]


def test_flags_override_the_file():
    run(SHORT, "--arg", "x=full:9", "--arg", "n=10", "--out", "y=y.npy")
    assert np.load("y.npy").tolist() == [9] * 10 + [0] * 90
    run(SHORT, "--arg", "x=full:9:u8:50", "--arg", "n=50", "--out", "x=y.npy")
    assert np.load("y.npy").shape == (50,)
    np.save("x.npy", np.full(100, 3, np.uint8))
    run(SHORT, "--arg", "x=x.npy", "--arg", "y=x", "--out", "x=y.npy")
    assert np.load("y.npy").tolist() == [3] * 100
    assert "is for ppu0015, but 810E is ppu001: run it with --chip M890" in run(SHORT, "--chip", "810E", code=3).stderr
    assert (
        "launches no kernel 'other'"
        in run(SHORT.replace("grid", 'kernel = "copy"\ngrid'), "--kernel", "other", code=2).stderr
    )


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ("rand:1:f16:16x4", 2, "--arg x: buffer 'x' is f32 16x4, 'rand:1:f16:16x4' is f16 16x4: change [buffers.x]"),
        ("zeros:f32:64", 2, "buffer 'x' is f32 16x4, 'zeros:f32:64' is f32 64: change [buffers.x] of the launch file"),
        ("npy:x.npy:bf16", 2, "buffer 'x' is f32 16x4, 'npy:x.npy:bf16' is bf16: change"),
        ("half.npy", 3, "--arg x: half.npy: holds f16, not f32"),
        ("flat.npy", 3, "--arg x: flat.npy: has shape [64], not [16, 4]"),
        ("rand:7:f32:16x4", 0, ""),
        ("good.npy", 0, ""),
    ],
)
def test_an_argument_agrees_with_the_keys_of_its_buffer(form: str, code: int, message: str):
    good = initial.random(7, ELEMENTS["f32"], (16, 4))
    for name, array in (("half", good.astype(np.float16)), ("flat", good.reshape(64)), ("good", good)):
        np.save(f"{name}.npy", array)
    assert message in " ".join(run(WHOLE, "--arg", f"x={form}", code=code).stderr.split())


def test_a_failed_check_is_exit_code_1_and_still_saves():
    result = run(WHOLE.replace('expect = "rand:7"', 'expect = "rand:8"'), "--json", code=1)
    (check,) = json.loads(result.stdout)["checks"]
    assert not check["passed"]
    assert check["differing"] == 64
    assert check["first"]["index"] == [0, 0]
    assert Path("y.npy").exists()
    text = run(WHOLE.replace('expect = "rand:7"', 'expect = "zeros"'), code=1).stdout
    assert re.search(
        r"check y  FAIL  64 elements, max abs error 0\.9\d+, 64 differ, first \[0, 0\]: -?0\.\d+, expected 0", text
    )


def test_a_failed_check_names_poison():
    source = COPY.replace("        s.wait          vldcnt(0)\n", "").replace(
        "vmem.st.b8      vreg1", "v.mov.b32 vreg2, vreg1\nvmem.st.b32 vreg2"
    )
    Path("job/copy.s").write_text(source.replace("vreg0 * 0x1", "vreg0 * 0x4").replace("vmem.ld.b8", "vmem.ld.b32"))
    text = WHOLE.replace("n = 256", "n = 64")
    run(text)
    assert (
        "64 hold poison: memory nothing wrote, or a register or bytes of TSM read before the s.wait"
        in run(text, "--timing", "late", code=1).stdout
    )


def test_a_failed_check_says_where_to_look():
    late, seed = "--timing late for a missing s.wait", "--seed 1, 2, 3, ... for a missing barrier"
    text = WHOLE.replace('expect = "rand:7"', 'expect = "zeros"')
    assert (
        f"  try {late} and {seed}, or --vary 5 for both: a result that changes shows one\n" in run(text, code=1).stdout
    )
    assert f"  try {seed}: " in run(text, "--timing", "late", code=1).stdout
    assert f"  try {late}: " in run(text, "--seed", "3", code=1).stdout
    assert "try " not in run(text, "--seed", "3", "--timing", "late", code=1).stdout
    Path("job/copy.s").write_text(
        COPY.replace("        s.wait          vldcnt(0)\n", "        v.add.f32       vreg2, vreg1, vreg1\n")
        .replace("vmem.st.b8      vreg1", "vmem.st.b32     vreg2")
        .replace("vreg0 * 0x1", "vreg0 * 0x4")
        .replace("vmem.ld.b8", "vmem.ld.b32")
    )
    text = text.replace("n = 256", "n = 64")
    assert "nan may come from poison" not in run(text, code=1).stdout
    result = run(text, "--timing", "late", code=1).stdout
    assert "64 are nan: nan may come from poison: a register or bytes of TSM read before the s.wait" in result


def test_a_failed_check_says_that_flags_changed_the_launch():
    """First of all, since it is the likeliest reason."""
    hint = "what is expected may be for what the launch file says itself"
    first = run(WHOLE, "--arg", "n=100", "--grid", "2", "--arg", "x=zeros", code=1).stdout.splitlines()[2]
    assert first == f"  --grid, --arg n, --arg x: {hint}"
    assert hint not in run(WHOLE.replace('expect = "rand:7"', 'expect = "zeros"'), "--seed", "1", code=1).stdout


RACE = """
        .kernel race
        .param  ptr y
        .tsm    4 * 1024 shared
        v.mov.b32       vreg0, %tid.x
        v.and.b32       vreg1, vreg0, 31
        s.cmp.ne.u32    scc, %warpid, 0
        s.cbr.nz        scc, read
        tsm.st.b32      vreg0, [shared + vreg0 * 0x4]
        s.wait          tsmcnt(0)
read:   tsm.ld.b32      vreg3, [shared + vreg1 * 0x4]
        s.wait          tsmcnt(0)
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""


RACING = """
seed = 0

[buffers.y]
init = "zeros:u32:64"

[[launch]]
object = "race.s"
grid = 1
block = 64
args = { y = "y" }

[[check]]
buffer = "y"
expect = "npy:y.npy"
"""


def test_a_seed_chooses_a_schedule():
    Path("job/race.s").write_text(RACE)
    np.save("job/y.npy", np.tile(np.arange(32, dtype=np.uint32), 2))
    run(RACING)
    run(RACING, "--timing", "late")
    assert "FAIL" in run(RACING.replace("seed = 0", "seed = 1"), code=1).stdout
    assert "FAIL" in run(RACING, "--seed", "1", code=1).stdout
    run(RACING.replace("seed = 0", "seed = 1"), "--seed", "0")


def test_vary_says_which_timing_and_seed_change_the_result():
    Path("job/race.s").write_text(RACE)
    np.save("job/y.npy", np.tile(np.arange(32, dtype=np.uint32), 2))
    result = run(RACING, "--vary", "3", "--out", "y=found.npy", code=1)
    assert "check y  PASS" in result.stdout
    assert "vary --timing late  SAME\nvary --seed 1  DIFFERS\n  y: " in result.stdout
    assert "changes with the seed shows a missing barrier" in result.stdout
    assert "changes with the timing" not in result.stdout
    assert np.array_equal(np.load("found.npy"), np.load("job/y.npy"))  # what is saved is the first run's
    timing, *seeds = json.loads(run(RACING, "--vary", "3", "--json", code=1).stdout)["varied"]
    assert timing == {"timing": "late", "seed": 0, "error": "", "differs": {}}
    assert [(one["timing"], one["seed"]) for one in seeds] == [("eager", 1), ("eager", 2), ("eager", 3)]
    alone = run(RACING, "--seed", "1", "--out", "y=found.npy", code=1)
    wrong = np.flatnonzero(np.load("found.npy") != np.load("job/y.npy"))
    assert "FAIL" in alone.stdout
    assert seeds[0]["differs"]["y"].startswith(f"{len(wrong)} of 64 elements differ, first [{wrong[0]}]: ")
    Path("job/race.s").write_text(RACE.replace("read: ", "read:   s.blksyn\n      "))
    assert run(RACING, "--vary", "5").stdout.count("SAME") == 6


def test_vary_reports_errors_of_later_runs_and_nan_that_changes():
    """Without the wait the address is poison under late timing; without poison, NaN is the same as itself."""
    source = """
        .kernel race
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @y
        vmem.st.b32     vreg1, [0x0 + INDEX * 0x4] @y
        simt.exit
    """
    text = RACING.partition("[[check]]")[0]
    Path("job/race.s").write_text(source.replace("INDEX", "vreg1"))
    found = run(text, "--vary", "1", code=1).stdout
    assert "vary --timing late  DIFFERS\n  exception 11" in found
    assert re.search(r"\n  source .*race.s:6  vmem.st.b32", found)
    assert "vary --seed 1  SAME" in found
    assert "changes with the timing shows a missing s.wait" in found
    Path("job/race.s").write_text(source.replace("INDEX", "vreg0"))
    assert run(text.replace("zeros:u32", "full:nan:f32"), "--vary", "1").stdout.count("SAME") == 2


def test_a_shape_that_does_not_fit_names_the_key():
    np.save("job/x.npy", np.zeros((3, 5), np.float32))
    message = run(WHOLE.replace('init = "rand:7"', 'init = "x.npy"'), code=3).stderr
    assert "job.toml:10: buffers.x.init: job/x.npy: has shape [3, 5], not [16, 4]" in message
    message = run(WHOLE.replace('expect = "rand:7"', 'expect = "x.npy"'), code=3).stderr
    assert "job.toml:28: check[0].expect: job/x.npy: has shape [3, 5], not [16, 4]" in message


@pytest.mark.parametrize("kind", [kind for kind in ELEMENTS.values() if kind.narrow], ids=lambda kind: kind.name)
def test_narrow_types_go_through_a_run(kind: Element):
    array = initial.random(7, kind, (4, 8))
    save({"x": ("job/x.npy", array, kind)})
    text = SHORT.replace('"arange:u8:100"', '"npy:x.npy"').replace(
        'type = "u8"\nshape = [100]', f'type = "{kind.name}"\nshape = [4, 8]'
    )
    check = '[[check]]\nbuffer = "y"\nexpect = "npy:x.npy"\n'
    size = int(np.prod(device_layout(kind, (4, 8))[0])) * device_layout(kind, (4, 8))[1].itemsize
    run(
        text.replace("n = 100", f"n = {size}").replace("block = 100", f"block = {size}") + check,
        "--out",
        "y=y.safetensors",
    )
    back, found = read_safetensors(Path("y.safetensors"), "y")
    assert found is kind
    assert back.tobytes() == array.tobytes()


MISTAKES = [
    ('profile = "M890"', 'profil = "M890"', r":1: profil: unknown key: did you mean 'profile'\?"),
    ("[[check]]", "[[checks]]", r":26: checks: unknown key: did you mean 'check'\?"),
    ("[save]", "[saves]", r":\d+: saves: unknown key: did you mean 'save'\?"),
    ("[buffers.", "[buffer.", r":\d+: buffer: unknown key: did you mean 'buffers'\?"),
    ('profile = "M890"', 'profile = "M8900"', "did you mean 'M890'"),
    ("chips = 1", "chips = 129", "a pod has 1 to 128 chips, not 129"),
    ("chips = 1", 'chips = 2\ntopology.kind = "star"', "topology: kind = 'star': there is switch, wired, ring, full"),
    ("chips = 1", "chips = 1\ntopology.knd = 1", r":3: topology.knd: unknown key: did you mean 'kind'\?"),
    ("chips = 1", "threads = 0", ":2: threads: a whole number from 1 belongs here, not 0"),
    ("chips = 1", "chips = 0", ":2: chips: a whole number from 1 belongs here, not 0"),
    ("quantum = 4096", "quantum = 1.5", ":3: quantum: a whole number from 1 belongs here, not 1.5"),
    ('timing = "eager"', 'timing = "slow"', ":4: timing: 'eager' or 'late', not 'slow'"),
    ("seed = 0", 'seed = "0"', ":5: seed: a whole number from 0 belongs here, not '0'"),
    ('type = "f32"', 'type = "float"', ":8: buffers.x.type: there is no type 'float': one of u8, u16"),
    ("shape = [16, 4]", "shape = [16, -4]", r":9: buffers.x.shape: whole numbers from 0 in \[...\] belong here"),
    ("shape = [16, 4]\ninit", "init", ":7: buffers.x.shape: missing; 'rand:7' does not say it"),
    ('init = "rand:7"', 'init = "random:7"', r":10: buffers.x.init: .*did you mean rand:SEED"),
    ('init = "rand:7"', 'init = "rand:7:f32:10"', "'rand:7:f32:10' does not have the shape given beside it"),
    ('init = "rand:7"', 'init = "npy:none.npy"', "job.toml:10: buffers.x.init: job/none.npy: No such file"),
    ('init = "rand:7"', "int = 7", r":10: buffers.x.int: unknown key: did you mean 'init'\?"),
    ('expect = "rand:7"', 'expect = "rand:7:f32:3"', r"job.toml:28: check\[0\].expect: .*does not have the shape"),
    ("chip = 0", "chip = 1", ":11: buffers.x.chip: chip 1: there is one chip, 0; raise chips"),
    ("chip = 0", 'chip = "one"', ":11: buffers.x.chip: a whole number from 0 belongs here, not 'one'"),
    ('object = "copy.s"', 'objekt = "copy.s"', r":18: launch\[0\].objekt: unknown key: did you mean 'object'\?"),
    ('object = "copy.s"', 'file = "copy.s"', r":18: launch\[0\].file: unknown key: did you mean 'object'\?"),
    ('object = "copy.s"\n', "", r":17: launch\[0\].object: missing: source or object file"),
    ('object = "copy.s"', 'object = "none.s"', r"job.toml:18: launch\[0\].object: job/none.s: No such file"),
    (
        'kernel = "copy"',
        'kernel = "coppy"',
        r":17: launch\[0\]: job/copy.s has no kernel 'coppy': did you mean 'copy'\?",
    ),
    ("grid = [1]", "grid = []", r":20: launch\[0\].grid: 1 to 3 whole numbers from 1"),
    ("grid = [1]", "grid = [1, 1, 1, 1]", r"launch\[0\].grid: 1 to 3 whole numbers"),
    ("block = [256]", "block = [2048]", r":17: launch\[0\]: .*block x is 2048, M890 takes 1 to 1024"),
    ("tsm = 0", "tsm = 300000", r":17: launch\[0\]: .*300000 bytes of TSM"),
    ('chips = "all"', "chips = [1]", r":17: launch\[0\]: chips \[1\]: there is one chip, 0"),
    ("rtol = 0", "chip = 0", r":29: check\[0\].chip: chip 0: buffer 'y' is not on all chips"),
    ("n = 256", "m = 256", r":17: launch\[0\]: kernel 'copy' has no parameter 'm': there is n, x, y"),
    ("n = 256, ", "", r"lacks 1 of 3 arguments: n \(a number, u32\)"),
    ("n = 256", "n = true", r":24: launch\[0\].args.n: a number, a list of numbers or the name of a buffer"),
    ("n = 256", 'n = "x"', "argument 'n': takes a number, u32, not a buffer"),
    ("n = 256", "n = -1", "-1 is outside 0 to 4294967295"),
    ('y = "y" }', 'y = "why" }', r":24: launch\[0\].args.y: there is no buffer 'why': one of x, y"),
    ('buffer = "y"', 'buffer = "z"', r":27: check\[0\].buffer: there is no buffer 'z'"),
    ("rtol = 0", "rtol = -1", r":29: check\[0\].rtol: a number from 0 belongs here, not -1"),
    ("nan_equal = true", "nan_equal = 1", r"check\[0\].nan_equal: true or false"),
    ('y = "y.npy"', 'z = "y.npy"', r":34: save.z: there is no buffer 'z'"),
    ('y = "y.npy"', 'y = "y.png"', "y.png: arrays are saved as .npy or .safetensors"),
    ("[[launch]]", "[launch]", r":17: launch: \[\[launch\]\], with double brackets"),
    ("[[launch]]", "[launch", "not a launch file in TOML: .*line 17"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES, ids=[wrong or right for right, wrong, _ in MISTAKES])
def test_a_mistake_names_file_line_and_key(right: str, wrong: str, message: str):
    assert right in WHOLE
    result = run(WHOLE.replace(right, wrong, 1), code=3)
    assert re.search(message, result.stderr), result.stderr
    assert not result.stdout


def test_an_empty_file_launches_nothing():
    assert "nothing to launch: add [[launch]]" in run("", code=3).stderr
