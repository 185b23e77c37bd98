"""Element types by name, and arrays in files and in device memory with their type kept.

Numpy has no bf16, e4m3, e5m2, e2m1 and e8m0; ml_dtypes adds them. Safetensors knows them all. An .npy file
of such an array does not: `np.save` writes nameless bytes (`V2`). Here they are written as a record with one field
that carries the name, `[('bfloat16', '<u2')]`, which any numpy reads (`a["bfloat16"]` are the bits, and
`a["bfloat16"].view(ml_dtypes.bfloat16)` the values) and from which the type comes back without a second file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from ..isa.host_arrays import HOST_NAMES, host_dtype, pack_e2m1, unpack_e2m1
from .exits import InputError
from .output import atomic

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """A type of array elements: its name here, in numpy (or ml_dtypes) and in safetensors."""

    name: str
    numpy: str
    safetensors: str
    narrow: bool = False
    """It is one of ml_dtypes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of host arrays; for e2m1 one byte an element."""
        return host_dtype(self.name) if self.narrow else np.dtype(self.numpy)

    @property
    def packed(self) -> bool:
        """Whether device memory holds two elements in a byte, the first in the low half."""
        return self.name == "e2m1"


_SAFETENSORS = {"bf16": "BF16", "e4m3": "F8_E4M3", "e5m2": "F8_E5M2", "e2m1": "F4", "e8m0": "F8_E8M0"}
ELEMENTS = {
    element.name: element
    for element in (
        *(Element(f"u{bits}", f"uint{bits}", f"U{bits}") for bits in (8, 16, 32, 64)),
        *(Element(f"s{bits}", f"int{bits}", f"I{bits}") for bits in (8, 16, 32, 64)),
        *(Element(f"f{bits}", f"float{bits}", f"F{bits}") for bits in (16, 32, 64)),
        *(Element(name, HOST_NAMES[name], stored, narrow=True) for name, stored in _SAFETENSORS.items()),
    )
}
"""Every type a buffer can have, by name."""
_BY_NUMPY = {element.numpy: element for element in ELEMENTS.values()}
_BY_SAFETENSORS = {element.safetensors: element for element in ELEMENTS.values()}


METADATA = "__metadata__"
"""What a safetensors file calls the text it holds beside its tensors."""


def element(name: str) -> Element:
    """The element type called `name`; ValueError that lists them all if there is none."""
    if name not in ELEMENTS:
        raise ValueError(f"unknown type '{name}': one of {', '.join(ELEMENTS)}")
    return ELEMENTS[name]


def element_of(dtype: np.dtype[Any]) -> Element | None:
    """The element type of a dtype, whatever its byte order."""
    return _BY_NUMPY.get("uint8" if dtype.name == "bool" else dtype.name)


# ---- device memory ---------------------------------------------------------------------------------------------------


def device_layout(kind: Element, shape: Shape) -> tuple[Shape, np.dtype[Any]]:
    """Shape and dtype of the buffer that holds such an array; ValueError if it cannot be packed."""
    if not kind.packed:
        return shape, kind.dtype
    if not shape or shape[-1] % 2:
        raise ValueError(f"{kind.name} lies two to a byte: the last extent of the shape must be even, not {shape}")
    return (*shape[:-1], shape[-1] // 2), np.dtype(np.uint8)


def to_device(array: Array, kind: Element) -> Array:
    """A host array as it lies in device memory."""
    return pack_e2m1(array) if kind.packed else array


def from_device(array: Array, kind: Element) -> Array:
    """The inverse of `to_device`."""
    return unpack_e2m1(array) if kind.packed else array


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_npy(path: Path, wanted: Element | None = None) -> tuple[Array, Element]:
    """The array of an .npy file and its type.

    Nameless bytes (`V1`, `V2`), which is what `np.save` makes of ml_dtypes arrays, are taken as `wanted`. Raises
    InputError.
    """
    _check_npy_type(path, wanted)
    try:
        content: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # what Python's parser and zipfile raise for a bad header, besides ValueError
        raise InputError(f"{path}: not an array in .npy format: {error}") from None
    if not isinstance(content, np.ndarray):
        raise InputError(f"{path}: an .npz archive; save one array with np.save")
    loaded = cast("Array", content)
    if loaded.dtype.names and len(loaded.dtype.names) == 1 and loaded.dtype.names[0] in _BY_NUMPY:
        kind = _BY_NUMPY[loaded.dtype.names[0]]
        if loaded.dtype.itemsize == kind.dtype.itemsize:
            return np.ascontiguousarray(loaded).view(kind.dtype).reshape(loaded.shape), kind
    if loaded.dtype.kind == "V" and loaded.dtype.names is None:
        return _nameless(path, loaded, wanted), wanted  # pyright: ignore[reportReturnType]
    kind = element_of(loaded.dtype)
    if kind is None:
        raise InputError(f"{path}: holds {loaded.dtype}, which no kernel can use; convert it with .astype")
    return loaded.view(np.uint8) if loaded.dtype == bool else loaded, kind


def _nameless(path: Path, loaded: Array, wanted: Element | None) -> Array:
    if wanted is None:
        raise InputError(
            f"{path}: holds {loaded.dtype.itemsize}-byte values without a type, as np.save writes ml_dtypes arrays; "
            f"name it, npy:{path}:TYPE with TYPE one of {', '.join(e.name for e in ELEMENTS.values() if e.narrow)}"
        )
    if wanted.dtype.itemsize != loaded.dtype.itemsize:
        raise InputError(f"{path}: holds {loaded.dtype.itemsize}-byte values, which are no {wanted.name}")
    return np.ascontiguousarray(loaded).view(wanted.dtype).reshape(loaded.shape)


def _check_npy_type(path: Path, wanted: Element | None) -> None:
    """Refuse what `np.save` makes of e5m2: a header, `<f1`, that numpy itself cannot read."""
    with open(path, "rb") as file:
        head = file.read(256)
    if b"'<f1'" in head and head.startswith(b"\x93NUMPY"):
        raise InputError(
            f"{path}: np.save wrote e5m2 values in a form that numpy cannot read back; save {path.stem}.safetensors "
            "with safetensors.numpy.save_file, or the view array.view([('float8_e5m2', 'u1')])"
        )


def tensor_names(path: Path) -> list[str]:
    """The tensors of a safetensors file. Raises InputError."""
    return list(_header(path)[0])


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of its tensors, and where their bytes begin."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, 100_000_000):
            raise InputError(f"{path}: not a safetensors file")
        try:
            header = json.loads(file.read(length))
            return {key: value for key, value in header.items() if key != METADATA}, 8 + length
        except (ValueError, AttributeError, RecursionError):
            raise InputError(f"{path}: not a safetensors file: its header is no JSON object") from None


def read_safetensors(path: Path, name: str) -> tuple[Array, Element]:
    """The tensor `name` of a safetensors file, mapped, and its type. Raises InputError."""
    tensors, begin = _header(path)
    if name not in tensors:
        near = get_close_matches(name, tensors, n=1)
        listed = ", ".join(sorted(tensors)[:8]) + (", ..." if len(tensors) > 8 else "")
        raise InputError(
            f"{path}: has no tensor '{name}': " + (f"did you mean '{near[0]}'?" if near else f"it has {listed}")
        )
    try:
        entry = tensors[name]
        kind, shape = entry["dtype"], tuple(int(extent) for extent in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: its header describes tensor '{name}' badly") from None
    place = begin + start, begin + end
    return _tensor(path, name, ("U8" if kind == "BOOL" else kind, shape), place, path.stat().st_size)


def _tensor(
    path: Path, name: str, type_: tuple[str, Shape], place: tuple[int, int], size: int
) -> tuple[Array, Element]:
    kind, shape = _BY_SAFETENSORS.get(type_[0]), type_[1]
    if kind is None:
        raise InputError(f"{path}: tensor '{name}' is of type {type_[0]}, which no kernel can use")
    start, end = place
    try:
        stored, dtype = device_layout(kind, shape)
    except ValueError as error:
        raise InputError(f"{path}: tensor '{name}': {error}") from None
    wanted = math.prod(stored) * dtype.itemsize
    if not 0 <= start <= end <= size or end - start != wanted:
        raise InputError(
            f"{path}: tensor '{name}' should have {wanted} bytes, its header gives it bytes {start} to {end} of {size}"
        )
    data = np.memmap(path, np.uint8, "r", start, wanted) if wanted else np.empty(0, np.uint8)
    if start % dtype.itemsize:
        data = np.array(data)
    return from_device(np.asarray(data).view(dtype).reshape(stored), kind), kind


# ---- writing ---------------------------------------------------------------------------------------------------------

SUFFIXES = (".npy", ".safetensors")


def check_target(path: str) -> None:
    """Refuse a file to save to before the run, not after it; InputError."""
    if Path(path).suffix not in SUFFIXES:
        raise InputError(f"{path}: arrays are saved as {' or '.join(SUFFIXES)}")
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: the folder {folder} cannot be written")


def save(arrays: Mapping[str, tuple[str, Array, Element]]) -> None:
    """Save (path, array, type) by buffer name. Buffers with the same .safetensors path share the file."""
    together: dict[str, dict[str, tuple[Array, Element]]] = {}
    for name, (path, array, kind) in arrays.items():
        if path.endswith(".safetensors"):
            together.setdefault(path, {})[name] = (array, kind)
        else:
            with atomic(path) as file:
                write_npy(file, array, kind)
    for path, tensors in together.items():
        with atomic(path) as file:
            file.write(_safetensors(tensors))


def write_npy(file: IO[bytes], array: Array, kind: Element) -> None:
    """Write an array as .npy, a narrow one as a record with one named field."""
    if kind.narrow:
        bits = np.dtype(f"<u{kind.dtype.itemsize}")
        array = np.ascontiguousarray(array).view([(kind.numpy, bits)]).reshape(array.shape)
    np.lib.format.write_array(file, array, allow_pickle=False)


def _safetensors(tensors: Mapping[str, tuple[Array, Element]]) -> bytes:
    from safetensors import TensorSpec, serialize

    alive: list[Array] = []
    specs: dict[str, TensorSpec] = {}
    for name, (array, kind) in tensors.items():
        if name == METADATA:
            raise InputError(f"a .safetensors file has something else called '{name}': give the tensor another name")
        shape, _ = device_layout(kind, array.shape)
        stored = np.ascontiguousarray(to_device(array, kind))  # at least one axis, even where the array has none
        alive.append(stored)
        dtype = "float4_e2m1fn_x2" if kind.packed else kind.numpy
        specs[name] = TensorSpec(dtype=dtype, shape=shape, data_ptr=stored.ctypes.data, data_len=stored.nbytes)
    return bytes(serialize(specs))


_EXTENTS = re.compile(r"[0-9]+(?:x[0-9]+)*")


def parse_shape(text: str) -> Shape:
    """`1000` or `32x32` as extents; ValueError."""
    if not _EXTENTS.fullmatch(text):
        raise ValueError(f"'{text}' is no shape: write 1000 or 32x32")
    return tuple(int(extent) for extent in text.split("x"))


def described(kind: Element | None, shape: Shape | None) -> str:
    """`bf16 70x80`, or as much of it as is known."""
    extents = "a scalar" if shape == () else "x".join(map(str, shape or ()))
    return " ".join(part for part in (kind.name if kind else "", extents) if part)
