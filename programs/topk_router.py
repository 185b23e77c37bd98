"""topk_router: the experts of every token, by the largest logits, with softmax weights and each expert's load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, LOG2_E, canonical, exp2, f32, lane_sum

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]

MOST_EXPERTS, MOST_CHOICES = 256, 32


def reference(logits: npt.ArrayLike, k: int) -> tuple[U32, F32, U32]:
    """The choices, their weights and the loads, by sorting; powers of two by way of binary64."""
    logits = f32(logits)
    with np.errstate(all="ignore"):
        below = np.signbit(logits) & ~np.isnan(logits)  # tells the zeros apart
        chosen = np.lexsort((below, -logits))[:, :k]  # stable; NaN last
        picked = np.take_along_axis(logits, chosen, 1)
        powers = exp2((picked - picked[:, :1]) * LOG2_E)
        lanes = np.pad(powers, ((0, 0), (0, 32 - k)), constant_values=-0.0)
        weights = canonical(powers / lane_sum(lanes)[:, None])
    loads = np.bincount(chosen.ravel(), minlength=logits.shape[1])
    return chosen.astype(np.uint32), weights, loads.astype(np.uint32)


def launch(chip: Chip, logits: npt.ArrayLike, k: int, *, block: int = 128, grid: int = 8) -> tuple[U32, F32, U32]:
    """The same on the chip: logits of tokens x experts, k of which every token chooses."""
    logits = f32(logits)
    if logits.ndim != 2 or not 1 <= k <= min(logits.shape[1], MOST_CHOICES) or logits.shape[1] > MOST_EXPERTS:
        raise ValueError(f"a matrix of up to 256 columns and k from 1 to 32 of them, not {logits.shape} and {k}")
    if block % 32:
        raise ValueError(f"a block is whole warps, not {block}")
    tokens, experts = logits.shape
    with (
        chip.to_device(logits) as source,
        chip.empty((tokens, k), np.uint32) as chosen,
        chip.empty((tokens, k)) as weights,
        chip.to_device(np.zeros(experts, np.uint32)) as loads,
    ):
        load(chip, "topk_router")["topk_router"][grid, block](tokens, experts, k, source, chosen, weights, loads)
        return chosen.copy_to_host(), weights.copy_to_host(), loads.copy_to_host()
