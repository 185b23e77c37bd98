"""Arrays of ml_dtypes types go to a chip and to files and come back as what they are, and kernels fill them."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from command_line import m890 as command
from safetensors.numpy import save_file

import m890
from m890.isa.host_arrays import NARROW_NAMES
from m890.tools.exits import InputError
from m890.tools.initial import content, parse

TYPES = {
    "f32": np.float32,
    "s8": np.int8,
    "u8": np.uint8,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", TYPES.values(), ids=TYPES)
def test_there_and_back(dtype: Any) -> None:
    """Whole, in parts, from any strides; another type is refused by name."""
    array = (np.arange(64, dtype=np.uint8) % 15 + 1).astype(np.float32).reshape(8, 8).astype(dtype)
    buffer = m890.Chip("M890").to_device(array)
    assert same_bits(buffer.copy_to_host(), array)
    assert same_bits(np.asarray(buffer), array)
    assert same_bits(buffer[2:4].copy_to_host(), array[2:4])
    buffer.copy_from_host(array[::-1])
    assert same_bits(buffer.copy_to_host(), array[::-1])
    out = np.zeros_like(array)
    assert same_bits(buffer.copy_to_host(out), array[::-1])
    buffer.fill(2.0)
    assert same_bits(buffer.copy_to_host(), np.full((8, 8), 2.0).astype(dtype))
    buffer.fill(np.float64(0.1))
    rounded = m890.narrow(0.1, NARROW_NAMES[array.dtype.name]) if array.dtype.name in NARROW_NAMES else dtype(0.1)
    assert same_bits(buffer.copy_to_host(), np.full((8, 8), rounded))
    how = r"m890\.narrow" if array.dtype.name in NARROW_NAMES else r"\.astype"
    with pytest.raises(TypeError, match=f"convert it with {how}"):
        buffer.copy_from_host(array.astype(np.float64))


def test_fill_rounds_as_the_chip() -> None:
    for name, value, wanted in (("e4m3", 500, 448), ("e5m2", -np.inf, -57344), ("e8m0", 0, 2.0**-127)):
        buffer = m890.Chip("M890").empty(3, TYPES[name])
        buffer.fill(value)
        assert (buffer.copy_to_host().astype(np.float64) == wanted).all()


KERNEL = """
.arch ppu0015
.kernel convert
.param ptr x
.param ptr y
        v.mov.b32       vreg1, %tid.x
        vmem.ld.b32     vreg2, [vreg1 * 4] @x
        s.wait          vldcnt(0)
        v.cnvt.{type}.f32.rtte vreg3, vreg2
        vmem.st.b{bits} vreg3, [vreg1 * {size}] @y
        simt.exit
"""


@pytest.mark.parametrize("name", ["f16", "bf16", "e4m3", "e5m2"])
def test_a_kernel_fills_one(name: str) -> None:
    dtype = np.dtype(TYPES[name])
    chip = m890.Chip("M890")
    values = np.random.default_rng(1).normal(0, 20, 256).astype(np.float32)
    x, y = chip.to_device(values), chip.empty(256, dtype)
    source = KERNEL.format(type=name, bits=8 * dtype.itemsize, size=dtype.itemsize)
    chip.assemble(source)["convert"][1, 256](x, y)
    assert same_bits(y.copy_to_host(), values.astype(dtype))


# ---- files: in by one, through device memory, out by another ---------------------------------------------------------

STORED = {
    "f32": "F32", "s8": "I8", "u8": "U8", "f16": "F16", "bf16": "BF16", "e4m3": "F8_E4M3", "e5m2": "F8_E5M2",
    "e2m1": "F4", "e8m0": "F8_E8M0",
}  # fmt: skip
"""What .safetensors files call the types."""
COPY = """
.arch ppu0015
.kernel copy
.param ptr x
.param ptr y
        v.mov.b32       vreg1, %tid.x
        vmem.ld.b8      vreg2, [vreg1] @x
        s.wait          vldcnt(0)
        vmem.st.b8      vreg2, [vreg1] @y
        simt.exit
"""


def every_code(name: str) -> np.ndarray:
    """An array with every code of 4 and 8 bits, or 128 others."""
    dtype = np.dtype(TYPES[name])
    if name == "e2m1":
        return (np.arange(64, dtype=np.uint8) % 16).view(dtype).reshape(2, 32)
    count = 256 // dtype.itemsize
    return np.arange(256, dtype=np.uint8)[::-1].copy().view(dtype).reshape(2, count // 2)


def write_safetensors(path: Path, name: str, array: np.ndarray) -> None:
    """A file by the format's description: the header's length, the header, the bytes."""
    data = array.tobytes() if name != "e2m1" else m890.pack_e2m1(array).tobytes()
    entry = {"dtype": STORED[name], "shape": array.shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"made": "by hand"}, "x": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def read_safetensors(path: Path) -> tuple[str, list[int], bytes]:
    """Type, shape and bytes of tensor y."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entry = json.loads(content[8 : 8 + length])["y"]
    start, end = entry["data_offsets"]
    return entry["dtype"], entry["shape"], content[8 + length :][start:end]


def copied(x: str, y: str, kind: str, shape: str, size: int) -> None:
    """`m890 run` with x from a file, y to a file."""
    Path("copy.s").write_text(COPY)
    arguments = ["--grid", "1", "--block", str(size), "--arg", f"x={x}", "--arg", f"y=zeros:{kind}:{shape}"]
    command("run", "copy.s", *arguments, "--out", f"y={y}")


@pytest.mark.parametrize("name", TYPES)
def test_files_in_and_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type, shape and bits survive .safetensors in and out, .safetensors to .npy, and .npy to .safetensors."""
    monkeypatch.chdir(tmp_path)
    array = every_code(name)
    stored = m890.pack_e2m1(array) if name == "e2m1" else array
    shape = "x".join(map(str, array.shape))
    write_safetensors(Path("x.safetensors"), name, array)
    wanted = (STORED[name], list(array.shape), stored.tobytes())
    copied("safetensors:x.safetensors:x", "y.safetensors", name, shape, stored.nbytes)
    assert read_safetensors(Path("y.safetensors")) == wanted
    copied("safetensors:x.safetensors:x", "y.npy", name, shape, stored.nbytes)
    loaded = np.load("y.npy")
    dtype = np.dtype(TYPES[name])
    if loaded.dtype.names:
        assert loaded.dtype.names == (dtype.name,)
        loaded = loaded[dtype.name].view(dtype)
    assert same_bits(loaded, array)
    copied("y.npy", "z.safetensors", name, shape, stored.nbytes)
    assert read_safetensors(Path("z.safetensors")) == wanted
    if name != "e2m1":  # of the library's numpy interface only the packed bytes are known
        save_file({"x": array}, "theirs.safetensors")
        copied("safetensors:theirs.safetensors:x", "w.safetensors", name, shape, stored.nbytes)
        assert read_safetensors(Path("w.safetensors")) == wanted


@pytest.mark.parametrize("name", TYPES)
def test_python_reads_what_a_run_writes_and_the_other_way_round(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Type, shape and bits; in .npy, too. The files are those of test_files_in_and_out."""
    monkeypatch.chdir(tmp_path)
    array = every_code(name)
    stored = m890.pack_e2m1(array) if name == "e2m1" else array
    shape = "x".join(map(str, array.shape))
    m890.save_tensors("x.safetensors", {"x": array, "other": np.zeros(3, bool), "empty": np.zeros((0, 4), np.float32)})
    copied("safetensors:x.safetensors:x", "y.safetensors", name, shape, stored.nbytes)
    copied("safetensors:x.safetensors:x", "y.npy", name, shape, stored.nbytes)
    found = m890.load_tensors("x.safetensors")
    assert sorted(found) == ["empty", "other", "x"]
    assert found["other"].tolist() == [0, 0, 0]
    assert found["empty"].shape == (0, 4)
    for tensors in (found, m890.load_tensors(tmp_path / "y.safetensors"), m890.load_tensors("y.npy")):
        back = tensors["x" if "x" in tensors else "y"]
        assert back.dtype == array.dtype
        assert same_bits(back, array)
        assert back.flags.writeable
    m890.save_tensors("z.npy", {"any": array})
    copied("z.npy", "w.safetensors", name, shape, stored.nbytes)
    assert same_bits(m890.load_tensors("w.safetensors")["y"], array)


FILLED = {
    "full:500:e4m3:2": [448, 448],
    "full:-inf:e5m2:2": [-57344, -57344],
    "full:nan:e2m1:2": [6, 6],
    "full:0:e8m0:2": [2.0**-127, 2.0**-127],
    "full:1e300:f16:2": [np.inf, np.inf],
    "full:1e39:f32:2": [np.inf, np.inf],
    "full:1.00048828125001:f16:1": [1 + 2.0**-10],
    "full:3.0:u8:2": [3, 3],
    "arange:e4m3:470": [*range(17), *np.repeat([448.0], 14)],
}
"""What buffers hold, narrow ones as the chip rounds: of an arange the first 17 and the last 14."""


@pytest.mark.parametrize("form", FILLED)
def test_forms_fill_as_the_chip_rounds(form: str, recwarn: pytest.WarningsRecorder) -> None:
    array, _, _ = content(parse(form, Path()), None, None)
    assert array is not None
    found = array.astype(np.float64)
    assert (np.r_[found[:17], found[-14:]] if len(found) > 17 else found).tolist() == FILLED[form]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("value", "says"), [("1.5", "whole number, not 1.5"), ("nan", "whole"), ("1e3", "1000"), ("-1", "-1")]
)
def test_an_integer_is_filled_with_integers_it_holds(value: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        content(parse(f"full:{value}:u8:2", Path()), None, None)


def test_a_tensor_of_half_a_byte_is_a_bad_file(tmp_path: Path) -> None:
    """Of an odd extent, which two to a byte cannot have."""
    write_safetensors(tmp_path / "x.safetensors", "u8", np.zeros(2, np.uint8))
    changed = (tmp_path / "x.safetensors").read_bytes().replace(b'"U8", "shape": [2]', b'"F4", "shape": [3]')
    (tmp_path / "x.safetensors").write_bytes(changed)
    with pytest.raises(InputError, match=r"x\.safetensors: tensor 'x': e2m1 lies two to a byte"):
        m890.load_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", [name for name in TYPES if name != "e2m1"])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_number_stays_without_axes(name: str, suffix: str, tmp_path: Path) -> None:
    array = np.asarray(2).astype(TYPES[name])
    m890.save_tensors(tmp_path / f"x{suffix}", {"x": array})
    assert same_bits(m890.load_tensors(tmp_path / f"x{suffix}")["x"], array)


def test_tensors_that_cannot_be_saved_or_loaded(tmp_path: Path) -> None:
    """Each says what to do."""
    with pytest.raises(ValueError, match=r"'x' holds complex128, which no kernel can use"):
        m890.save_tensors(tmp_path / "x.npy", {"x": 1j})
    with pytest.raises(ValueError, match=r"holds one array, not 2: save them as \.safetensors"):
        m890.save_tensors(tmp_path / "x.npy", {"x": 1, "y": 2})
    for function in (m890.load_tensors, lambda path: m890.save_tensors(path, {"x": 1})):
        with pytest.raises(ValueError, match=r"x\.bin: arrays are in files called \.npy or \.safetensors"):
            function(tmp_path / "x.bin")
    for array in (np.ones(3, ml_dtypes.float4_e2m1fn), ml_dtypes.float4_e2m1fn(1)):
        with pytest.raises(ValueError, match="the last extent of the shape must be even"):
            m890.save_tensors(tmp_path / "x.safetensors", {"x": array})
    with pytest.raises(ValueError, match="another name"):
        m890.save_tensors(tmp_path / "x.safetensors", {"__metadata__": 1})
    assert not (tmp_path / "x.safetensors").exists()
    with pytest.raises(FileNotFoundError):
        m890.load_tensors(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="no folder"):
        m890.save_tensors(tmp_path / "none" / "x.npy", {"x": 1})


def test_a_file_of_another_type_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two formats of 8 bits are not taken for each other."""
    monkeypatch.chdir(tmp_path)
    array = every_code("e4m3")
    save_file({"x": array}, "x.safetensors")
    Path("copy.s").write_text(COPY)
    Path("copy.toml").write_text("""
        [buffers.x]
        type = "e5m2"
        shape = [2, 128]
        init = "safetensors:x.safetensors:x"
        [buffers.y]
        type = "e5m2"
        shape = [2, 128]
        [[launch]]
        object = "copy.s"
        grid = [1]
        block = [256]
        args = { x = "x", y = "y" }
    """)
    assert "x.safetensors: holds e4m3, not e5m2" in command("run", "copy.toml", code=3).stderr
