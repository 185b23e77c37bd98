"""What an item is, and words by mnemonic and operands."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import NamedTuple

from m890.isa import ISA
from m890.isa.fields import OperandError
from m890.isa.operands import Value
from m890.isa.registers import EMSK, SCC, VCC, Register
from m890.isa.spec import Form

from .samples import DATA


class Loop(NamedTuple):
    """The item begins a loop over the next `items`: so many turns for all lanes, or a number for each lane."""

    items: int
    turns: int
    by_lane: bool


@dataclass
class Item:
    """Words that stay together, of which the last one may jump over the next `skip` items."""

    words: list[int]
    skip: int | None = None
    address: int | None = None
    """The place of the word whose low half is the code address of the target; else the jump has its distance."""
    loop: Loop | None = None
    barrier: bool = False
    warps: int | None = None
    """Only for blocks of so many warps."""
    full: bool = False
    """Only where all warps have all their lanes to the end."""
    ends: bool = False
    """Some lanes may end."""
    clock: bool = False
    """Not part of the promise that both timings give the same."""


@cache
def forms_of(mnemonic: str) -> list[Form]:
    """All forms of a mnemonic, suffixes aside."""
    return [form for form in ISA.forms() if form.instruction.mnemonic == mnemonic]


@lru_cache(maxsize=1 << 15)
def encode(mnemonic: str, *values: Value, immediate: bool = False) -> int:
    """One word; the first form that takes these operands."""
    for form in forms_of(mnemonic):
        if form.immediate == immediate and len(form.instruction.kinds) == len(values):
            with suppress(OperandError):
                return form.encode(values, (0,) * len(form.room))
    raise KeyError(mnemonic)


def s(number: int, words: int = 1) -> Register:
    return Register("s", number, words)


def v(number: int, words: int = 1) -> Register:
    return Register("v", number, words)


def data(random: Random, bank: str) -> Register:
    return Register(bank, random.choice(DATA[bank]))


def mask(random: Random) -> Register:
    """A register whose bits may serve as a mask."""
    return random.choice([data(random, "s"), data(random, "s"), s(VCC), s(SCC), s(EMSK)])


def all_lanes() -> int:
    """All lanes of the path run again."""
    return encode("s.mov.b32", s(EMSK), 0xFFFFFFFF, immediate=True)
