"""Wrong and missing flags and files of `m890 run`: what is said, and the exit code."""

import json
from pathlib import Path

import pytest
from command_line import m890
from saxpy_folder import ARGS, RUN
from saxpy_folder import folder as folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--arg", "n=1.5"], "1.5 is not a whole number"),
        (["--arg", "n=x.npy"], "argument 'n': takes a number, u32, not a buffer"),
        (["--arg", "n=1,2"], "argument 'n': takes a number, u32, not a list"),
        (["--arg", "a=two"], "'two' is neither a number nor a buffer"),
        (["--arg", "xx=1"], "no parameter 'xx': did you mean 'x'?"),
        (["--arg", "y=zeros"], "write zeros[:TYPE:SHAPE]"),
        (["--arg", "y=zeroes:f32:10"], "'zeroes:f32:10' is neither a number nor a buffer"),
        (["--arg", "y=zeros:f33:10"], "unknown type 'f33'"),
        (["--arg", "y=zeros:f32:10,10"], "'10,10' is no shape"),
        (["--arg", "y=rand:-1:f32:10"], "a seed is a whole number from 0"),
        (["--arg", "y"], "write NAME=VALUE"),
        (["--grid", "0"], "'0' is no extent"),
        (["--grid", "1,2,3,4"], "is no extent"),
        (["--block", "2048"], "block x is 2048"),
        (["--chips", "129"], "a pod has 1 to 128 chips, not 129"),
        (["--chip", "M891"], "did you mean 'M890'?"),
        (["--kernel", "saxpi"], "did you mean 'saxpy'?"),
        (["--out", "z=z.npy"], "no buffer is called 'z'"),
        (["--timing", "never"], "'eager', 'late'"),
        (["-D", "=3"], "names no symbol"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(change: list[str], message: str):
    result = m890(*RUN, *change, code=2)
    assert message in result.stderr
    assert not result.stdout


def test_usage_errors_are_json_as_well_and_mistakes_are_one_line():
    for change, code in ((["--arg", "n=1.5"], 2), (["--grid", "0"], 2), (["--timing", "never"], 2)):
        result = m890(*RUN, *change, "--json", code=code)
        error = json.loads(result.stdout)["error"]
        assert error["exit_code"] == 2
        assert error["text"] in " ".join(result.stderr.split())
    mistake = m890(*RUN, "--arg", "xx=1", code=2).stderr
    assert mistake == "m890: error: kernel 'saxpy' has no parameter 'xx': did you mean 'x'?\n"
    assert "no instruction is called" in json.loads(m890("isa", "zzz", "--json", code=2).stdout)["error"]["text"]


def test_missing_parts_are_named():
    alone = m890("run", "saxpy.s", "--grid", "1", code=2).stderr
    assert alone == "m890: error: --block missing: how many threads has a block?\n"
    assert "--grid and --block missing" in m890("run", "saxpy.s", code=2).stderr
    message = m890("run", "saxpy.s", "--grid", "1", "--block", "1", "--arg", "n=1", code=2).stderr
    assert "lacks 3 of 4 arguments: a (a number, f32), x (a buffer), y (a buffer)" in " ".join(message.split())


def test_bad_files_are_exit_code_3():
    assert "nofile.s: No such file" in m890("run", "nofile.s", *ARGS, code=3).stderr
    assert "x2.npy: No such file" in m890(*RUN, "--arg", "x=x2.npy", code=3).stderr
    Path("x2.npy").write_bytes(b"nothing")
    assert "not an array in .npy format" in m890(*RUN, "--arg", "x=x2.npy", code=3).stderr
    assert "there is no folder" in m890(*RUN, "--out", "y=no/y.npy", code=3).stderr
    assert "saved as .npy or .safetensors" in m890(*RUN, "--out", "y=y.txt", code=3).stderr
    Path("saxpy.s").write_bytes(b"\xff\xfe")
    assert "neither an object file nor UTF-8 text" in m890(*RUN, code=3).stderr
    Path("saxpy.s").write_bytes(b"\x7fELF")
    assert "saxpy.s" in m890(*RUN, code=3).stderr
    m890(*RUN, "--chip", "none.toml", code=3)
