"""nbody: bodies under gravity, one step of time after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, f32, fma, rsqrt

if TYPE_CHECKING:
    from ..emulator.chip import Chip

SOFTENING = 1e-3


def reference(
    bodies: npt.ArrayLike, velocities: npt.ArrayLike, dt: float, *, steps: int = 1, softening: float = SOFTENING
) -> tuple[F32, F32]:
    """Bodies (n, 4: x, y, z, mass) and velocities (n, 4) after some steps; forces added up in the bodies' order."""
    bodies, velocities, dt = f32(bodies).copy(), f32(velocities).copy(), f32(dt)
    for _ in range(steps):
        acceleration = np.zeros((len(bodies), 3), np.float32)
        for other in bodies:
            with np.errstate(all="ignore"):
                apart = canonical(other[:3] - bodies[:, :3])
                square = np.full(len(bodies), softening, np.float32)
                for axis in range(3):
                    square = fma(apart[:, axis], apart[:, axis], square)
                inverse = rsqrt(square)
                weight = canonical(inverse * inverse * inverse * other[3])
            acceleration = fma(apart, weight[:, None], acceleration)
        velocities[:, :3] = fma(acceleration, dt, velocities[:, :3])
        bodies[:, :3] = fma(velocities[:, :3], dt, bodies[:, :3])
    return bodies, velocities


def launch(
    chip: Chip,
    bodies: npt.ArrayLike,
    velocities: npt.ArrayLike,
    dt: float,
    *,
    steps: int = 1,
    softening: float = SOFTENING,
    block: int = 128,
) -> tuple[F32, F32]:
    """The same on the chip: a launch for each step."""
    bodies, velocities = f32(bodies), f32(velocities)
    if bodies.shape[1:] != (4,) or velocities.shape != bodies.shape:
        raise ValueError(f"four numbers for each body, not {bodies.shape} and {velocities.shape}")
    n = len(bodies)
    kernel = load(chip, "nbody")["nbody"]
    with (
        chip.to_device(bodies) as old,
        chip.empty(bodies.shape) as new,
        chip.to_device(velocities) as device_velocities,
    ):
        for _ in range(steps):
            kernel[max(1, -(-n // block)), block](n, float(f32(softening)), float(f32(dt)), old, device_velocities, new)
            old, new = new, old
        return old.copy_to_host(), device_velocities.copy_to_host()
