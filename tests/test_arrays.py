"""Arrays in files, .npy and .safetensors: types, shapes and bits survive; what cannot be read is refused."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from m890.tools import initial
from m890.tools.arrays import (
    ELEMENTS,
    Element,
    device_layout,
    element,
    from_device,
    read_npy,
    read_safetensors,
    save,
    to_device,
)
from m890.tools.exits import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder."""
    monkeypatch.chdir(tmp_path)


def samples(kind: Element, shape: tuple[int, ...]) -> np.ndarray:
    """An array with every bit pattern in it, as far as there is room."""
    count = int(np.prod(shape))
    if kind.packed:
        return (np.arange(count) % 16).astype(np.uint8).view(kind.dtype).reshape(shape)
    width = kind.dtype.itemsize
    return np.resize(np.arange(1 << min(16, 8 * width)), count).astype(f"u{width}").view(kind.dtype).reshape(shape)


@pytest.mark.parametrize("kind", ELEMENTS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_types_survive_files(kind: Element, suffix: str):
    array = samples(kind, (5, 64))
    path = Path(f"a.{suffix}")
    save({"a": (str(path), array, kind)})
    back, found = read_npy(path) if suffix == "npy" else read_safetensors(path, "a")
    assert found is kind
    assert back.dtype == kind.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_safetensors_files_are_those_of_the_library():
    from safetensors.numpy import load_file, save_file

    arrays = {"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 3), np.int64)}
    save_file(arrays, "theirs.safetensors")
    for name, array in arrays.items():
        assert np.array_equal(read_safetensors(Path("theirs.safetensors"), name)[0], array)
    save(
        {
            name: ("ours.safetensors", array, ELEMENTS[kind])
            for (name, array), kind in zip(arrays.items(), ("f32", "s64"), strict=True)
        }
    )
    assert all(np.array_equal(array, arrays[name]) for name, array in load_file("ours.safetensors").items())
    with pytest.raises(InputError, match="no tensor 'c': it has a, b"):
        read_safetensors(Path("ours.safetensors"), "c")
    content = Path("ours.safetensors").read_bytes()
    for end in range(0, len(content), 7):
        Path("cut.safetensors").write_bytes(content[:end])
        with pytest.raises(InputError, match="cut"):
            read_safetensors(Path("cut.safetensors"), "a")


def test_what_numpy_saves_of_narrow_types_needs_a_name():
    np.save("a.npy", np.arange(4).astype(ml_dtypes.bfloat16))
    with pytest.raises(InputError, match=r"without a type.*npy:a\.npy:TYPE with TYPE one of bf16"):
        read_npy(Path("a.npy"))
    assert read_npy(Path("a.npy"), element("bf16"))[0].astype(float).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="2-byte values, which are no e4m3"):
        read_npy(Path("a.npy"), element("e4m3"))
    array, kind, _ = initial.content(initial.parse("npy:a.npy:bf16", Path()), None, None)
    assert kind.name == "bf16"
    assert array is not None
    np.save("b.npy", np.arange(4).astype(ml_dtypes.float8_e5m2))
    with pytest.raises(InputError, match="numpy cannot read back"):
        read_npy(Path("b.npy"))


@pytest.mark.parametrize("header", ["{", "{'descr': (", "{'descr': '<i8' 3}", "(1 << 70)", "\\", "", "{" * 300])
def test_headers_that_are_no_python_are_refused(header: str):
    content = f"{header:<117}\n".encode()
    Path("a.npy").write_bytes(b"\x93NUMPY\1\0" + len(content).to_bytes(2, "little") + content + bytes(8))
    with pytest.raises(InputError, match=r"a\.npy: not an array in \.npy format"):
        read_npy(Path("a.npy"))


def test_other_files_are_refused_or_converted():
    np.save("a.npy", np.arange(4, dtype=">f4"))
    assert read_npy(Path("a.npy"))[1].name == "f32"
    np.save("a.npy", np.array([True, False]))
    assert read_npy(Path("a.npy"))[0].tolist() == [1, 0]
    np.save("a.npy", np.array([1j]))
    with pytest.raises(InputError, match="complex128, which no kernel can use"):
        read_npy(Path("a.npy"))
    np.save("a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"not an array in \.npy format"):
        read_npy(Path("a.npy"))
    np.savez("a.npz", a=np.arange(3))
    Path("a.npz").rename("a.npy")
    with pytest.raises(InputError, match=r"\.npz archive"):
        read_npy(Path("a.npy"))
    np.save("a.npy", np.zeros((2, 3), np.float64))
    init = initial.parse("a.npy", Path())
    with pytest.raises(InputError, match="holds f64, not f32; convert it"):
        initial.content(init, element("f32"), None)
    with pytest.raises(InputError, match=r"has shape \[2, 3\], not \[3, 2\]"):
        initial.content(init, None, (3, 2))


def test_e2m1_is_packed_low_half_first():
    array = np.array([[1, 2, 3, 15]], np.uint8).view(ml_dtypes.float4_e2m1fn)
    assert to_device(array, element("e2m1")).tolist() == [[0x21, 0xF3]]
    assert from_device(to_device(array, element("e2m1")), element("e2m1")).tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="last extent of the shape must be even"):
        device_layout(element("e2m1"), (2, 3))
