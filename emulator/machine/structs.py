"""Structs of fixed size, whose fields stand where an aligned C struct has them."""

from __future__ import annotations

from typing import Any

import numpy as np


def struct(size: int, *fields: tuple[Any, ...]) -> np.dtype[Any]:
    """An aligned struct of exactly `size` bytes."""
    dtype = np.dtype(list(fields), align=True)
    assert dtype.itemsize <= size, dtype.itemsize
    parts: Any = dtype.fields
    layout: Any = {
        "names": list(parts),
        "formats": [part[0] for part in parts.values()],
        "offsets": [part[1] for part in parts.values()],
        "itemsize": size,
    }
    return np.dtype(layout)


def offset_of(dtype: np.dtype[Any], name: str) -> int:
    """Byte offset of a field."""
    fields: Any = dtype.fields
    return int(fields[name][1])
