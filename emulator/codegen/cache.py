"""Machine code on disk and in memory: object files by fingerprint, loaded without numba.

The folder belongs to the user alone (mode 0700), since machine code in it is run. Files are written under
another name and renamed, so a reader never sees half of one; each carries a checksum, and one that does not
match is compiled again. A folder that cannot be written means no cache on disk.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import llvmlite.binding as llvm

from .fingerprint import unchanged

_MAGIC = b"m890obj1"


def folder() -> Path:
    """Where machine code is kept: M890_CACHE_DIR, else a folder in the user's cache directory."""
    chosen = os.environ.get("M890_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "m890"


class ObjectCache:
    """Compiled objects by key. `load` gives the address of the object's entry, or None if there is none."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folder()
        self.entries: dict[str, int] = {}
        self.usable = self._prepare()
        self.seconds = 0.0
        """How long this process has compiled."""
        self.announce: Callable[[], object] | None = None
        """Called before anything is compiled."""

    def _prepare(self) -> bool:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError:
            return False
        owned = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        return owned and not status.st_mode & 0o022 and os.access(self.path, os.W_OK)

    def load(self, key: str) -> int | None:
        """The entry's address, from memory or from disk."""
        if key in self.entries:
            return self.entries[key]
        if not self.usable:
            return None
        try:
            data = (self.path / f"{key}.o").read_bytes()
        except OSError:
            return None
        body = data[len(_MAGIC) + 32 :]
        if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != data[len(_MAGIC) : len(_MAGIC) + 32]:
            return None
        return self._add(key, body)

    def make(self, key: str, compiled: Callable[[], bytes]) -> int:
        """Compile an object, keep it, and return its entry's address."""
        if self.announce:
            self.announce()
        started = time.perf_counter()
        try:
            return self.save(key, compiled())
        finally:
            self.seconds += time.perf_counter() - started

    def save(self, key: str, data: bytes) -> int:
        """Keep an object and return its entry's address.

        It is not kept on disk if the compiler's sources have changed since this process read them.
        """
        if self.usable and unchanged():
            with suppress(OSError):
                handle, partial = tempfile.mkstemp(dir=self.path, prefix="partial-")
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(data).digest() + data)
                os.replace(partial, self.path / f"{key}.o")
        return self._add(key, data)

    def clear(self) -> int:
        """Remove all objects from the disk; how many there were."""
        files = [*self.path.glob("*.o"), *self.path.glob("partial-*")] if self.path.is_dir() else []
        for file in files:
            with suppress(OSError):
                file.unlink()
        return len(files)

    def _add(self, key: str, data: bytes) -> int:
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        self._engine.finalize_object()
        self.entries[key] = self._engine.get_function_address(symbol(key))
        return self.entries[key]

    @cached_property
    def _engine(self) -> llvm.ExecutionEngine:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def symbol(key: str) -> str:
    """The name of an object's entry."""
    return f"m890_{key}"
