"""Suffixes: the optional parts of a mnemonic, each a field of the word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fields import FLUSH, SATURATE, Field


@dataclass(frozen=True, slots=True)
class Suffix:
    """An optional part of the mnemonic: a field of the word, and the text of each value it may have.

    Value 0 is written as nothing. A `hint` changes nothing that a handler does.
    """

    name: str
    place: Field
    texts: Mapping[int, str] = field(hash=False)
    hint: bool = False
    zero: str = ""
    """A text that value 0 may have in source."""

    @property
    def values(self) -> tuple[int, ...]:
        """The values the field may have."""
        return (0, *self.texts)

    @property
    def usage(self) -> str:
        """How the manual names it: its text, or what it chooses where there are several."""
        return next(iter(self.texts.values())) if len(self.texts) == 1 else f".{self.name.upper()}"

    def text(self, value: int) -> str:
        """How a value is written behind the mnemonic."""
        return self.texts[value] if value else ""

    def valid(self, words: Any) -> Any:
        """Whether the field's bits mean something: a truth value or an array of them."""
        if len(self.texts) == (1 << self.place.width) - 1:
            return True
        found = self.place.get(words)
        return found in self.values if isinstance(words, int) else np.isin(found, self.values)


_SCOPES = ("blk", "gpu", "sys")


def _orders(*names: str) -> dict[int, str]:
    """Memory orders with their scopes: the order in the field's upper two bits, the scope in the lower two."""
    return {
        order << 2 | scope: f".{name}.{word}"
        for order, name in enumerate(names, 1)
        for scope, word in enumerate(_SCOPES, 1)
    }


ORDER = Field(35, 32)
"""Memory order and scope of a load, store or atomic."""
SUFFIXES = {
    suffix.name: suffix
    for suffix in (
        Suffix("ftz", FLUSH, {1: ".ftz"}),
        Suffix("sat", SATURATE, {1: ".sat"}),
        Suffix("sign", Field(36, 36), {1: ".sign"}),
        Suffix("kp1", Field(0, 0), {1: ".kp1"}, hint=True, zero=".kp0"),
        Suffix("load_order", ORDER, {**_orders("relaxed", "acquire"), 12: ".volatile"}, hint=True),
        Suffix("store_order", ORDER, {**_orders("relaxed", "release"), 12: ".volatile"}, hint=True),
        Suffix("atomic_order", ORDER, _orders("acquire", "release", "acq_rel"), hint=True),
        Suffix("relu", Field(4, 4), {1: ".relu"}),
        Suffix("satfinite", Field(13, 13), {1: ".satfinite"}),
    )
}
