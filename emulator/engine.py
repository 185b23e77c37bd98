"""The compiled machine of one process: the core's functions and the handlers, compiled or from the cache."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

from .codegen.cache import ObjectCache
from .codegen.fingerprint import fingerprint
from .codegen.handlers import Handlers
from .machine import aiu, awbar, core, jumps, links, observed, remote, resolve, window


class Engine:
    """Machine code by name. One per process is enough (`engine()`); it holds no machine state."""

    def __init__(self, cache: ObjectCache | None = None):
        self.cache = cache or ObjectCache()
        self.handlers = Handlers(self.cache)

    @cached_property
    def run(self) -> Callable[[int], int]:
        """`core.run`, called without the interpreter lock."""
        return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(self.address(core.run))

    @cached_property
    def links(self) -> dict[str, Callable[..., int]]:
        """`begin`, `run` and `finish` of `links`, called without the interpreter lock."""
        return {name: _callable(self.address(getattr(links, name)), count) for name, count in _LINKS.items()}

    @cached_property
    def window(self) -> Callable[[int], int]:
        """`window.run`, called without the interpreter lock."""
        return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(self.address(window.run))

    def address(self, function: Callable[..., Any]) -> int:
        """The address of a function of the core: `i64` arguments and result."""
        assert isinstance(function, FunctionType)
        key = fingerprint("core", function)
        found = self.cache.load(key)
        return self.cache.make(key, lambda: _compiled(key, function)) if found is None else found

    @cached_property
    def observed(self) -> dict[str, int]:
        """Addresses of the functions the core calls where operations may be outstanding."""
        return {name: self.address(getattr(observed, name)) for name in ("access", "wait", "finish", "emit")}

    @cached_property
    def remote(self) -> int:
        """Address of accesses to other chips' memory."""
        return self.address(remote.issue)

    @cached_property
    def cubes(self) -> dict[str, int]:
        """Addresses of AIU copies: in the fast build, in the others, and of those issued earlier."""
        return {name: self.address(getattr(aiu, name)) for name in ("copy_cube", "issue_cube", "move_cube")}

    @cached_property
    def awbars(self) -> dict[str, int]:
        """Addresses of asynchronous barriers, in the fast build and in the others."""
        return {name: self.address(getattr(awbar, name)) for name in ("act", "act_observed")}

    @cached_property
    def resolve(self) -> int:
        """Address of the slow path of HBM addresses."""
        return self.address(resolve.resolve)

    @cached_property
    def resolve_tsm(self) -> int:
        """Address of the slow path of TSM offsets."""
        return self.address(resolve.resolve_tsm)

    @cached_property
    def resolve_private(self) -> int:
        """Address of the slow path of offsets in private memory."""
        return self.address(resolve.resolve_private)

    @cached_property
    def jump(self) -> int:
        """Address of the way from a code address to its record."""
        return self.address(jumps.jump)

    @cached_property
    def not_compiled(self) -> int:
        """Address of the handler that asks for compilation."""
        return self.address(core.not_compiled)

    @cached_property
    def fail(self) -> int:
        """Address of the handler of words that cannot run."""
        return self.address(core.fail)


def _compiled(key: str, function: FunctionType) -> bytes:
    from .codegen.glue import compile_function  # imports numba, which a warm start does without

    return compile_function(key, function)


_LINKS = {"begin": 3, "run": 1, "finish": 4}
"""Functions of `links` that Python calls, and how many arguments they take."""


def _callable(address: int, count: int) -> Callable[..., int]:
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(address)


_shared: list[Engine] = []


def engine() -> Engine:
    """The process's engine."""
    if not _shared:
        _shared.append(Engine())
    return _shared[0]
