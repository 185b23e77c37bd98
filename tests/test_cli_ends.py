"""How commands end: exit codes, interruptions, files that are whole, and what goes to a terminal."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from command_line import COMMAND, m890, process
from saxpy_folder import RUN
from saxpy_folder import folder as folder

from m890.emulator.chip import LoadedKernel
from m890.emulator.engine import engine
from m890.emulator.faults import Fault, M890Error, MemoryLimit
from m890.tools import exits, output


def break_asm(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `m890 asm` raise."""

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("m890.tools.loading.read_bytes", fail)


def test_our_bugs_are_exit_code_70_with_a_traceback_in_a_file(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    break_asm(monkeypatch, KeyError("oops"))
    message = m890("asm", "saxpy.s", code=70).stderr
    assert "internal error: KeyError: 'oops'" in message
    assert "report it" in message
    (kept,) = folder.glob("m890-traceback-*.txt")
    assert str(kept) in message
    assert "KeyError: 'oops'" in kept.read_text()
    assert "Traceback" not in message
    monkeypatch.setenv("M890_TRACEBACK", "1")
    assert "Traceback" in m890("asm", "saxpy.s", code=70).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (MemoryError(), 5),
        (MemoryLimit(space="host memory", limit=1, in_use=1, requested=1), 5),
        (M890Error("the host refuses 147456 MiB of address space"), 5),
        (Fault(code=11), 1),
        (PermissionError(13, "Permission denied", "f"), 3),
        (exits.InputError("bad"), 3),
        (click.UsageError("bad"), 2),
    ],
)
def test_errors_have_their_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int):
    break_asm(monkeypatch, error)
    result = m890("asm", "saxpy.s", code=code)
    assert result.stderr
    assert not result.stdout


def test_files_appear_whole_or_not_at_all(folder: Path):
    target = folder / "out"

    def broken() -> None:
        with output.atomic(target) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not list(folder.glob("*out*"))
    target.write_bytes(b"old")
    target.chmod(0o640)
    with pytest.raises(RuntimeError):
        broken()
    assert target.read_bytes() == b"old"
    with output.atomic(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    link = folder / "link"
    link.symlink_to(target)
    with output.atomic(link) as file:
        file.write(b"newer")
    assert link.is_symlink()
    assert target.read_bytes() == b"newer"
    with output.atomic(os.devnull) as file:
        file.write(b"x")
    with pytest.raises(FileNotFoundError, match="none/out"), output.atomic("none/out"):
        pass


def test_colour_is_for_terminals_and_can_be_declined(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("bad.s").write_text("nonsense\n")
    assert "\x1b" not in m890("asm", "bad.s", code=3).stderr
    assert output.wants_colour() is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.wants_colour() is False
    assert "\x1b" not in m890("asm", "bad.s", code=3, color=True).stderr


def test_progress_shows_only_on_terminals_and_late(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(output, "time", clock)
    progress = output.Progress("k")
    assert not progress.active
    progress.active = True
    clock.now += 0.9 * output.SHOW_AFTER
    progress(1, 8)
    assert capsys.readouterr().err == ""
    clock.now += 0.1 * output.SHOW_AFTER
    progress(2, 8)
    progress.clear()
    assert capsys.readouterr().err == "\rk: 2 of 8 blocks (25 %)\x1b[K\r\x1b[K"


def test_compiling_is_announced_once_and_timed_apart(monkeypatch: pytest.MonkeyPatch):
    """A launch that compiles for a while; what it makes is kept nowhere."""
    cache, launch = engine().cache, LoadedKernel.launch
    monkeypatch.setattr(cache, "save", lambda key, data: 0)

    def compiles(*arguments, **named):
        for _ in range(3):
            cache.make("nothing", lambda: time.sleep(0.05) or b"")
        return launch(*arguments, **named)

    m890(*RUN)
    monkeypatch.setattr(LoadedKernel, "launch", compiles)
    (found,) = json.loads(m890(*RUN, "--json").stdout)["launches"]
    assert found["compile_seconds"] >= 0.15
    assert re.search(r"  \(\d+\.\d{3} s to compile, once\)  \d+\.\d{3} s$", m890(*RUN).stdout)
    monkeypatch.setattr(output, "SHOW_AFTER", 0.04)
    result = m890(*RUN)
    assert result.stderr.count("m890: compiling instructions that have not run here before") == 1
    assert cache.announce is None


@pytest.mark.smoke
def test_a_real_process_keeps_stdout_and_stderr_apart():
    done = process(*RUN, "--out", "y=y.npy", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["passed"]
    assert done.stderr.endswith("m890: saved y to y.npy\n")
    failed = process(*RUN[:-1], "y=zeros:f32:3")
    assert failed.returncode == 1
    assert not failed.stdout
    assert "Traceback" not in failed.stderr


def piped(arguments: str, reader: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its output going to another, whose exit code does not count."""
    command = f"{shlex.join(COMMAND)} {arguments} | {reader}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=300)


def test_a_reader_that_leaves_is_no_error():
    done = piped("isa --list", "head -1")
    assert done.returncode in (0, 141)
    assert done.stdout.count("\n") == 1
    assert not done.stderr


@pytest.mark.parametrize("arguments", ["--help", "run --help", "--version", "isa s.nop"])
def test_a_reader_that_is_gone_hears_nothing(arguments: str):
    done = piped(arguments, "true")
    assert done.returncode in (0, 141)
    assert not done.stderr


def test_ctrl_c_ends_a_run_with_one_line():
    text = (
        '.data\non: .asciz "on\\n"\n.text\n.kernel k\ns.print on\nagain: s.add.i32 sreg20, sreg20, 0x1\ns.cbr again\n'
    )
    Path("loop.s").write_text(text)
    arguments = ["run", "loop.s", "--grid", "1", "--block", "1", "--time-limit", "200"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=-1, stderr=-1, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "on\n"
        time.sleep(0.2)  # on a quiet machine it is in the loop by then; wherever it is, this must be what it says
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=300)
    assert running.returncode == 130
    assert not out
    *_, first, place = err.splitlines()  # before them it may say that it compiles, and that sreg20 is not written
    assert first == "m890: error: interrupted"
    where = r"pc 0x(0|8|10) \(loop.s:[567]\): block \(0,0,0\) warp 0 lanes 0"
    assert re.fullmatch(f"  1 warp at chip 0 kernel 'k' {where}", place)


def test_help_needs_no_compiler():
    code = "import sys; from m890.tools.cli import cli; cli(['--help'], standalone_mode=False); "
    code += "assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, stdout=subprocess.DEVNULL)
