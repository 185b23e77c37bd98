"""One instruction on long columns of numbers, through its compiled handler."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from one import bench, row_of

from m890.isa.lanes import LANES
from m890.isa.registers import Register

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "eq": operator.eq,
    "le": operator.le,
    "gt": operator.gt,
    "ne": operator.ne,
    "ge": operator.ge,
}
"""The relations of comparisons by name."""


def run(text: str, *columns: Any) -> list[np.ndarray]:
    """The destinations' bits (uint32, or uint64 for pairs; masks as truth values) for columns of source bits.

    All cases go through the compiled handler, 32 a step. Sources and destinations are the instruction's own.
    """
    b, one = bench(), bench().one(text)
    b.path(0xFFFFFFFF)
    b.specials()
    registers = [(kind.role, value) for kind, value in zip(one.instruction.kinds, one.decoded.values, strict=True)]
    sources = [value for role, value in registers if role == "source" and isinstance(value, Register)]
    results = [value for role, value in registers if role == "destination" and isinstance(value, Register)]
    count = len(columns[0])
    steps = -(-count // LANES)
    given: list[tuple[int, np.ndarray]] = []
    for register, column in zip(sources, columns, strict=True):
        padded = np.zeros(steps * LANES, np.uint64)
        padded[:count] = np.asarray(column).astype(np.uint64)
        words = [(padded >> np.uint64(32 * word)).astype(np.uint32) for word in range(register.count)]
        given += [(row_of(register) + word, part.reshape(steps, LANES)) for word, part in enumerate(words)]
    places = [row_of(register) + word for register in results for word in range(register.count)]
    found = np.empty((len(places), steps, LANES), np.uint32)
    for step in range(steps):
        for row, values in given:
            b.rows[row] = values[step]
        one.run()
        for place, row in enumerate(places):
            found[place, step] = b.rows[row]
    columns_found = iter(found)
    return [_joined(register, columns_found)[:count] for register in results]


def _joined(register: Register, columns: Any) -> np.ndarray:
    parts = [next(columns) for _ in range(register.count)]
    if register.bank == "s":
        return (parts[0] >> np.arange(LANES, dtype=np.uint32) & 1).astype(bool).ravel()
    if len(parts) == 1:
        return parts[0].ravel()
    return (parts[0].astype(np.uint64) | parts[1].astype(np.uint64) << np.uint64(32)).ravel()


def same(text: str, columns: Any, wanted: Any, place: int = 0) -> None:
    """The instruction gives what is wanted for every case; the message shows the first that differs."""
    found = run(text, *columns)[place]
    wanted = np.asarray(wanted).astype(found.dtype)
    wrong = np.flatnonzero(found != wanted)
    if len(wrong):
        case = int(wrong[0])
        given = ", ".join(hex(int(column[case])) for column in columns)
        raise AssertionError(
            f"{text}: {given} gives {int(found[case]):#x}, not {int(wanted[case]):#x} ({len(wrong)} of {len(found)})"
        )


def agrees(text: str, columns: Sequence[Sequence[int]], expected: Callable[..., int]) -> None:
    """The instruction gives what a function of one case's bits says, for every case."""
    bits = [np.array([value & (1 << 64) - 1 for value in column], np.uint64) for column in columns]
    same(text, bits, np.array([expected(*case) for case in zip(*columns, strict=True)], np.uint64))
