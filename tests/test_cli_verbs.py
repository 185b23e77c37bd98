"""The verbs beside run and isa: asm, dis, info, cache, completion, and their help."""

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import m890
from saxpy_folder import SAXPY
from saxpy_folder import folder as folder

from m890.tools.cli import VERBS, cli


def test_asm_writes_the_object_and_says_what_is_in_it(folder: Path):
    assert m890("asm", "saxpy.s").stdout == "saxpy.hgbin: saxpy: 14 words, 3 vregs, 48 sregs\n"
    assert Path("saxpy.hgbin").read_bytes().startswith(b"\x7fELF")
    found = json.loads(m890("asm", "saxpy.s", "-o", "two.hgbin", "--json").stdout)
    assert found["kernels"][0]["params"][3]["name"] == "y"
    assert found["object"] == "two.hgbin"
    assert Path("two.hgbin").read_bytes() == Path("saxpy.hgbin").read_bytes()
    assert m890("asm", "-", "-o", "-", input=SAXPY).stdout_bytes.startswith(b"\x7fELF")


def test_asm_reports_all_errors_and_writes_nothing(folder: Path):
    Path("bad.s").write_text(".kernel k\nv.addd.f32 vreg0, vreg1, vreg2\ns.mov.b32 sreg300, 0x1\nsimt.exit\n")
    result = m890("asm", "bad.s", code=3)
    assert not result.stdout
    assert "bad.s:2:1: error: unknown instruction" in result.stderr
    assert "bad.s:3:11: error" in result.stderr
    assert "m890: 2 errors, no object written" in result.stderr
    errors = json.loads(m890("asm", "bad.s", "--json", code=3).stdout)["errors"]
    assert [(error["line"], error["column"]) for error in errors] == [(2, 1), (3, 11)]
    assert sorted(os.listdir()) == ["bad.s", "saxpy.s", "x.npy"]


def test_a_text_that_does_not_say_which_is_for_the_chip_asked_for():
    Path("k.s").write_text(".kernel k\ns.mov.b32 sreg40, __HGGC_ARCH__\nsimt.exit\n")
    for options, arch in ([], "ppu0015"), (["--chip", "810E"], "ppu001"):
        assert json.loads(m890("asm", "k.s", "--json", *options).stdout)["arch"] == arch
        assert json.loads(m890("link", "k.s", "-o", "all.hgbin", "--json", *options).stdout)["arch"] == arch
    assert m890("run", "k.hgbin", "--chip", "810E", "--grid", "1", "--block", "1").exit_code == 0
    assert "did you mean 'M890'?" in m890("asm", "k.s", "--chip", "M89", code=2).stderr


def test_asm_warnings_are_no_errors():
    Path("warn.s").write_text(".kernel k\nv.mov.b32 vreg0, vreg9\nsimt.exit\n")
    result = m890("asm", "warn.s")
    assert "warn.s:2:18: warning: vreg9 is read but never written" in result.stderr
    assert json.loads(m890("asm", "warn.s", "--json").stdout)["warnings"][0]["severity"] == "warning"


def test_dis_assembles_back_to_the_same_bytes():
    m890("asm", "saxpy.s", "-o", "a.hgbin")
    text = m890("dis", "a.hgbin").stdout
    assert "v.fma.f32.rtte vreg2, vreg1, sreg7, vreg2" in text
    m890("asm", "-", "-o", "b.hgbin", input=text)
    assert Path("a.hgbin").read_bytes() == Path("b.hgbin").read_bytes()
    listing = m890("dis", "saxpy.s", "--addresses", "--bytes", "--no-lines", "--annotate").stdout
    assert "      50: 00 90 80 03 40 80 00 81  v.fma.f32.rtte" in listing
    assert ".loc" not in listing
    assert "did you mean 'saxpy'?" in m890("dis", "a.hgbin", "--kernel", "saxpi", code=2).stderr


def test_info_shows_profiles_with_tags_and_sources():
    both = m890("info").stdout
    assert both.splitlines()[0].split() == ["M890", "810E"]
    assert "144 GiB" in both
    assert "96 GiB" in both
    assert "published: survey: 147,456 MiB" in both
    one = m890("info", "810E").stdout
    assert "144 GiB" not in one
    fact = json.loads(m890("info", "M890", "--json").stdout)["M890"]["compute_units"]
    assert (fact["value"], fact["tag"]) == (39, "measured")
    Path("mine.toml").write_text('base = "810E"\nclock = { value = 1.5e9, tag = "measured", source = "my card" }\n')
    mine = m890("info", "M890", "mine.toml", "810E").stdout
    assert mine.splitlines()[0].split() == ["M890", "mine", "810E"]
    assert "measured: my card" in mine
    assert json.loads(m890("info", "mine.toml", "--json").stdout)["mine"]["clock"]["value"] == 1.5e9
    Path("mine.toml").write_text('base = "810E"\nclocks = 1.5e9\n')
    assert "mine.toml: unknown key 'clocks': did you mean 'clock'?" in m890("info", "mine.toml", code=3).stderr
    assert "did you mean 'M890'?" in m890("info", "M980", code=2).stderr
    assert "none.toml" in m890("info", "none.toml", code=3).stderr


def test_asm_counts_as_people_do():
    Path("many.s").write_text(".kernel k\n" + "nonsense\n" * 60)
    assert "m890: stopped after 50 errors, no object written" in m890("asm", "many.s", code=3).stderr
    Path("one.s").write_text(".kernel k\nsimt.exit\n")
    assert "one.hgbin: k: 1 word, 1 vreg, 48 sregs\n" in m890("asm", "one.s").stdout


def test_cache_counts_and_clears(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("M890_CACHE_DIR", str(folder / "cache"))
    found = json.loads(m890("cache", "--json").stdout)
    assert found == {"folder": str(folder / "cache"), "objects": 0, "bytes": 0, "removed": 0}
    (folder / "cache").mkdir()
    (folder / "cache" / "1.o").write_bytes(bytes(100))
    assert "1 objects, 100 bytes" in m890("cache").stdout
    assert "1 files removed" in m890("cache", "--clear").stdout
    assert not list((folder / "cache").iterdir())


def test_every_help_ends_with_examples():
    for verb in VERBS:
        text = m890(verb, "--help").stdout
        section = text.partition("\nExamples:\n")[2]
        assert section, verb
        assert all(line.startswith("  ") for line in section.splitlines())
    assert "Examples:\n  m890 run" in m890("--help").stdout


def test_version_and_unknown_verbs():
    assert re.fullmatch(r"m890 \d+\.\d+\.\d+\n", m890("--version").stdout)
    assert "did you mean 'run'?" in m890("rn", code=2).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str):
    assert "_M890_COMPLETE" in m890("completion", shell).stdout
    environment = {"_M890_COMPLETE": "bash_complete", "COMP_WORDS": "m890 isa v.fma.f32.rtt", "COMP_CWORD": "2"}
    result = CliRunner().invoke(cli, [], prog_name="m890", env=environment, complete_var="_M890_COMPLETE")
    assert "plain,v.fma.f32.rtte" in result.stdout
