"""barrier: no chip of a pod goes on before all have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import load
from .pod_group import Group

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod
    from ..emulator.streams import Stream


def launch(pod: Pod, *, grid: int = 1, block: int = 32) -> None:
    """Let all chips of a pod meet once."""
    with Group(pod) as group:
        run(group, grid=grid, block=block)


def run(group: Group, *, grid: int = 1, block: int = 32, stream: PerChip[Stream] | None = None) -> None:
    """The same, in streams if they are given."""
    load(group.pod, "barrier")["barrier"].launch(grid, block, (group.flags, group.marks(1)), stream=stream)
