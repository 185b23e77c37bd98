"""bfs: how many steps every vertex of a graph is away from one, level by level."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]
UNSEEN = np.uint32(0xFFFFFFFF)


def reference(starts: npt.ArrayLike, targets: npt.ArrayLike, source: int) -> U32:
    """Levels of all vertices, UNSEEN for those that cannot be reached: the textbook's queue."""
    starts, targets = np.asarray(starts).tolist(), np.asarray(targets).tolist()
    level: dict[int, int] = {source: 0}
    queue = deque([source])
    while queue:
        vertex = queue.popleft()
        for target in targets[starts[vertex] : starts[vertex + 1]]:
            if target not in level:
                level[target] = level[vertex] + 1
                queue.append(target)
    return np.array([level.get(vertex, UNSEEN) for vertex in range(len(starts) - 1)], np.uint32)


def launch(
    chip: Chip, starts: npt.ArrayLike, targets: npt.ArrayLike, source: int, *, block: int = 128, grid: int = 4
) -> U32:
    """The same on the chip: a launch for each level, until one finds nothing new."""
    starts, targets = whole(starts, np.uint32), whole(targets, np.uint32)
    vertices = len(starts) - 1
    if not 0 <= source < vertices:
        raise ValueError(f"the source is a vertex below {vertices}, not {source}")
    level = np.full(vertices, UNSEEN, np.uint32)
    level[source] = 0
    kernel = load(chip, "bfs")["bfs"]
    with (
        chip.to_device(starts) as device_starts,
        chip.to_device(targets) as device_targets,
        chip.to_device(level) as device_level,
        chip.to_device(np.full(vertices, source, np.uint32)) as frontier,
        chip.to_device(np.zeros(vertices, np.uint32)) as found,
        chip.to_device(np.zeros(1, np.uint32)) as size,
    ):
        count, depth = 1, 0
        while count:
            depth += 1
            size.fill(0)
            kernel[grid, block](count, depth, device_starts, device_targets, frontier, device_level, found, size)
            frontier, found, count = found, frontier, int(size.copy_to_host()[0])
        return device_level.copy_to_host()
