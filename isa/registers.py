"""Registers: their banks, names and numbers, and how they are written."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np


class Register(NamedTuple):
    """`count` consecutive registers of bank "v" or "s"; named scalars such as emsk have numbers too.

    Bank "i" is ivreg alone: the vector register whose number is in x0.
    """

    bank: str
    number: int
    count: int = 1  # pyright: ignore[reportIncompatibleMethodOverride] (nobody counts in a register as in a tuple)
    negate: bool = False
    absolute: bool = False
    reuse: bool = False


LAST_SREG = 191
SCALAR_ROWS = 256
"""Rows of a warp that are scalar operand numbers; its vector registers stand behind them."""
EMSK, VCC, SCC = 0xF0, 0xF1, 0xF2
INDEX_REGISTER = 0xFE
IVREG = Register("i", 0)
ZERO, ONE = 0xF8, 0xF9
UNIFORM_SPECIALS: dict[str, tuple[int, int]] = {
    "%ntid.x": (0xC0, 1),
    "%ntid.y": (0xC1, 1),
    "%ntid.z": (0xC2, 1),
    "%blkid.x": (0xC3, 1),
    "%blkid.y": (0xC4, 1),
    "%blkid.z": (0xC5, 1),
    "%nblkid.x": (0xC6, 1),
    "%nblkid.y": (0xC7, 1),
    "%nblkid.z": (0xC8, 1),
    "%warpid": (0xC9, 1),
    "%nwarpid": (0xCA, 1),
    "%cuid": (0xCB, 1),
    "%ncuid": (0xCC, 1),
    "%chip": (0xCD, 1),
    "%gridid": (0xCE, 2),
    "%nchips": (0xD0, 1),
    "%tsmsize": (0xD1, 1),
}
"""Name to (scalar number, words): the same for every lane of a warp, fixed while it runs."""
CLOCKS: dict[str, tuple[int, int]] = {"%clock64": (0xD2, 2), "%globaltimer": (0xD4, 2)}
"""Uniform but changing: read by `s.mov.b64` alone."""
LANE_SPECIALS: dict[str, tuple[int, int]] = {
    "%tid.x": (0xF3, 1),
    "%tid.y": (0xF4, 1),
    "%tid.z": (0xF5, 1),
    "%laneid": (0xF6, 1),
    "%lanemask_eq": (0xF7, 1),
    "%lanemask_lt": (0xFA, 1),
    "%lanemask_le": (0xFB, 1),
    "%lanemask_gt": (0xFC, 1),
    "%lanemask_ge": (0xFD, 1),
}
"""One value per lane: read by `v.mov.b32` alone."""
NAMED_SCALARS: dict[str, tuple[int, int]] = {
    "emsk": (EMSK, 1),
    "vcc": (VCC, 1),
    "scc": (SCC, 1),
    "x0": (INDEX_REGISTER, 1),
    "c0x0": (ZERO, 1),
    "c0x1": (ONE, 1),
    **UNIFORM_SPECIALS,
    **CLOCKS,
    **LANE_SPECIALS,
}
_SCALAR_NAMES = {number: name for name, (number, _) in NAMED_SCALARS.items()}


def register_text(register: Register) -> str:
    """A register as it is written, modifiers included."""
    bank, number, count = register[:3]
    if bank == "i":
        return "ivreg"
    if bank == "s" and number in _SCALAR_NAMES:
        text = _SCALAR_NAMES[number]
    elif count == 1:
        text = f"{bank}reg{number}"
    else:
        text = f"{bank}reg[{number}:{number + count - 1}]"
    text = f"|{text}|" if register.absolute else text
    return f"{'!' if register.negate else ''}{text}{'.reuse' if register.reuse else ''}"


def number_table(numbers: set[int]) -> np.ndarray:
    """A table of 256 truth values: whether each 8-bit number is one of `numbers`."""
    table = np.zeros(256, bool)
    table[sorted(numbers)] = True
    table.flags.writeable = False  # operands of one sort share it
    return table


_SREGS = set(range(LAST_SREG + 1))
_CONSTANTS = {ZERO, ONE}
_UNIFORM = {number for number, words in UNIFORM_SPECIALS.values() if words == 1}
_UNIFORM_PAIRS = {number for number, words in UNIFORM_SPECIALS.values() if words == 2}


@cache
def numbers_of(bank: str, words: int, *, written: bool, align: int | None = None) -> np.ndarray:
    """Which 8-bit numbers name `words` registers of `bank`: a table of 256 truth values."""
    if bank == "v":
        return number_table(set(range(0, 257 - words, align or words)))
    if words > 1:
        pairs = {n for n in range(0, LAST_SREG + 2 - words, words)}
        return number_table(pairs if written else pairs | _CONSTANTS | (_UNIFORM_PAIRS if words == 2 else set()))
    named = {EMSK, VCC, SCC, INDEX_REGISTER}
    return number_table(_SREGS | named if written else _SREGS | named | _CONSTANTS | _UNIFORM)


BANK_NAMES = {"v": "vector register", "s": "scalar register"}


def pick(random: Random, allowed: np.ndarray) -> int:
    """A random number that a table of `number_table` allows."""
    return int(random.choice(np.flatnonzero(allowed).tolist()))
