"""The host's memory: how much of it this process may take, and address space that costs only what is touched."""

from __future__ import annotations

import gc
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from .faults import M890Error, MemoryLimit


class HostMemory:
    """The limit on what this process may take of the host's memory, checked long before the host runs out.

    `limit` is in bytes, by default 80 % of the physical memory (or of the control group's share of it); `hint` tells
    the user how to raise it.
    """

    def __init__(
        self, limit: int | None = None, hint: str = "raise the limit, or use fewer or smaller buffers"
    ) -> None:
        self.limit = physical_memory() * 4 // 5 if limit is None else limit
        self.hint = hint

    def in_use(self) -> int:
        """Resident bytes of this process now (its peak where the host has no /proc)."""
        try:
            return int(_statm().split()[1]) * mmap.PAGESIZE
        except OSError:
            import resource  # only where /proc is missing; not every platform has it

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak if sys.platform == "darwin" else peak * 1024

    def check(self, extra: int = 0) -> None:
        """Raise MemoryLimit if `extra` more bytes would pass the limit."""
        if self.in_use() + extra <= self.limit:
            return
        gc.collect()  # pods and their chips know each other: what is left of old ones may not have been noticed yet
        in_use = self.in_use()
        if in_use + extra > self.limit:
            raise MemoryLimit(space="host memory", limit=self.limit, in_use=in_use, requested=extra, hint=self.hint)


def _statm() -> bytes:
    """What Linux says of this process. By file number: Ctrl-C may leave a file object open, which warns of it."""
    number = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return os.read(number, 256)
    finally:
        os.close(number)


def physical_memory() -> int:
    """Bytes of memory this process can ever get: the host's, or its control group's limit if that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such group, or the word "max"
            continue
    return total


def reserve(size: int, purpose: str, otherwise: str) -> mmap.mmap:
    """Map `size` bytes of private zero pages that the host commits only when touched, one by one.

    M890Error, with what they are for and what can be done instead, if the host refuses.
    """
    if sys.platform == "win32":
        raise M890Error("HBM needs lazily committed memory (mmap), which this platform does not offer; use WSL")
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    with suppress(OSError):
        return mmap.mmap(-1, size, flags=flags)
    gc.collect()  # old pods have addresses, too
    try:
        return mmap.mmap(-1, size, flags=flags)
    except (OSError, OverflowError) as error:
        raise M890Error(
            f"the host refuses {size >> 20} MiB of address space for {purpose} ({error}); see `ulimit -v` and "
            f"/proc/sys/vm/overcommit_memory (2 forbids it), or {otherwise}"
        ) from error


def aligned_bytes(size: int, align: int = 64) -> np.ndarray:
    """Zeroed bytes at an aligned address; the host commits a page when it is touched."""
    raw = np.zeros(size + align, np.uint8)
    start = -raw.ctypes.data % align
    return raw[start : start + size]
