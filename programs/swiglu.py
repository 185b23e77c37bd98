"""swiglu: the gate of a feed-forward layer, silu(gate) * up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .activation import silu
from .binary32 import F32, canonical, f32

if TYPE_CHECKING:
    from ..emulator.chip import Chip


def reference(gate: npt.ArrayLike, up: npt.ArrayLike) -> F32:
    """silu(gate) * up, each operation rounded to binary32."""
    with np.errstate(all="ignore"):
        return canonical(silu(f32(gate)) * f32(up))


def launch(chip: Chip, gate: npt.ArrayLike, up: npt.ArrayLike, *, block: int = 128, grid: int = 8) -> F32:
    """The same on the chip."""
    gate, up = f32(gate), f32(up)
    if gate.shape != up.shape:
        raise ValueError(f"gate and up have one shape, not {gate.shape} and {up.shape}")
    with chip.to_device(gate) as device_gate, chip.to_device(up) as device_up, chip.empty(gate.shape) as target:
        load(chip, "swiglu")["swiglu"][grid, block](gate.size, device_gate, device_up, target)
        return target.copy_to_host()
