"""Arrays with their types from and to files, for Python: what `m890 run` reads and writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import SUFFIXES, Array, Element, check_target, element_of, read_npy, read_safetensors, save, tensor_names
from .exits import InputError


def load_tensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a .safetensors file by name, or that of an .npy file by the file's name without its suffix.

    Narrow floats have the dtypes of ml_dtypes; e2m1, two to a byte in the file, has a byte for each. Raises ValueError
    for a file that is none or has types that no kernel can use, OSError.
    """
    path = Path(path)
    _check_suffix(path)
    if path.suffix == ".npy":
        return {path.stem: np.array(read_npy(path)[0])}
    return {name: np.array(read_safetensors(path, name)[0]) for name in tensor_names(path)}


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, npt.ArrayLike]) -> None:
    """Save arrays by name as .safetensors, or a single one as .npy, so that `load_tensors` and `m890 run` read them.

    The file appears whole or not at all. Raises ValueError for arrays that cannot be saved, OSError.
    """
    path = Path(path)
    _check_suffix(path)
    check_target(str(path))
    if path.suffix == ".npy" and len(tensors) != 1:
        raise InputError(f"{path}: an .npy file holds one array, not {len(tensors)}: save them as .safetensors")
    arrays: dict[str, tuple[str, Array, Element]] = {}
    for name, values in tensors.items():
        array = np.asarray(values)
        kind = element_of(array.dtype)
        if kind is None:
            raise InputError(f"{path}: '{name}' holds {array.dtype}, which no kernel can use; convert it with .astype")
        arrays[name] = str(path), array.astype(kind.dtype, copy=False), kind
    save(arrays)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: arrays are in files called {' or '.join(SUFFIXES)}")
