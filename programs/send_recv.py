"""send_recv: chips of a pod send arrays to others, and receive some."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .pod_group import ROUND, Array, Group, checked, collected, size_name

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream


NOBODY = 0xFFFFFFFF


def reference(arrays: npt.ArrayLike, receivers: Sequence[int | None], targets: npt.ArrayLike) -> Array:
    """The targets of all chips, chips x n, when chip c has sent its array to receivers[c], or to nobody."""
    found = np.array(targets)
    for sender, receiver in enumerate(receivers):
        if receiver is not None:
            found[receiver] = np.asarray(arrays)[sender]
    return found


def launch(
    pod: Pod,
    arrays: npt.ArrayLike,
    receivers: Sequence[int | None],
    targets: npt.ArrayLike,
    *,
    grid: int | None = None,
    block: int = 256,
) -> Array:
    """The same on the chips of a pod, for elements of 4 or 2 bytes; no chip receives twice."""
    arrays = checked(arrays, len(pod.chips))
    targets = checked(targets, len(pod.chips))
    return collected(pod, arrays, targets, partial(run, receivers=receivers, grid=grid, block=block))


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    receivers: Sequence[int | None],
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already. Raises ValueError for a chip that there is not, or twice."""
    sent = [(sender, group.chip(receiver)) for sender, receiver in enumerate(receivers) if receiver is not None]
    if len(receivers) != group.chips or len({receiver for _, receiver in sent}) != len(sent):
        raise ValueError(f"a receiver for each of {group.chips} chips, each at most once, not {list(receivers)}")
    to, of = [NOBODY] * group.chips, [NOBODY] * group.chips
    for sender, receiver in sent:
        to[sender], of[receiver] = receiver, sender
    n, kernel = source.shape[0], f"send_recv_{size_name(source.dtype)}"
    grid = grid or group.blocks(group.work(n, source.dtype), each=ROUND, block=block)
    peers = group.array(np.array([to, of], np.uint32).T, "peers")
    group.launch("send_recv", kernel, n, source, target, peers, grid=grid, block=block, stream=stream)
