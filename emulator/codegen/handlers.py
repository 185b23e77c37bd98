"""Handlers by recipe: from memory, from the cache on disk, or compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .cache import ObjectCache
from .recipes import Recipe, key_of


@dataclass(frozen=True)
class Handlers:
    """Compiled handlers by recipe, over a cache on disk."""

    cache: ObjectCache

    @cached_property
    def _found(self) -> dict[Recipe, int]:
        return {}

    def cached(self, recipe: Recipe) -> int | None:
        """The handler's address if it need not be compiled."""
        address = self._found.get(recipe)
        if address is None:
            address = self.cache.load(key_of(recipe))
            if address is not None:
                self._found[recipe] = address
        return address

    def get(self, recipe: Recipe) -> int:
        """The handler's address, compiling it if need be (20 to 100 ms)."""
        address = self.cached(recipe)
        if address is None:
            key = key_of(recipe)
            address = self._found[recipe] = self.cache.make(key, lambda: _compiled(key, recipe))
        return address


def _compiled(key: str, recipe: Recipe) -> bytes:
    from .glue import compile_handler  # imports numba, which a warm start does without

    return compile_handler(key, recipe)
