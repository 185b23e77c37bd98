"""`.hg_macros`: in which macros the lines of an object's line table stand, and where those are called.

A u4 counts the CALL rows, which follow; the RUN rows behind them say for the rows of the line table, by ascending
address, how many in succession stand in which call. Calls are in order of first appearance, an outer one before those
in it. An object none of whose lines stands in a macro has no such section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np

from .binary import Cursor, pack, unpack
from .descriptor import MAX_CALLS
from .elf import Strings, StringTable
from .program import Function, Line, MacroCall

COUNT_BYTES = 4
CALL = np.dtype([("macro", "<u4"), ("file", "<u4"), ("line", "<u4"), ("outer", "<u4")])
"""`outer` is the number of the call that this one stands in, from 1, or 0."""
RUN = np.dtype([("rows", "<u4"), ("call", "<u4")])

Numbered = list[tuple[MacroCall, int]]
"""Every call with the number of its outer one."""


def pack_calls(placed: Mapping[int, Function], strings: StringTable) -> bytes:
    """The section of kernels and functions by address, or nothing; names go to `strings`."""
    calls, runs = _tables([line for _, code in sorted(placed.items()) for line in code.lines])
    if not calls:
        return b""
    rows = [
        pack(
            CALL, {"macro": strings.add(call.macro), "file": strings.add(call.file), "line": call.line, "outer": outer}
        )
        for call, outer in calls
    ]
    rows += [pack(RUN, {"rows": count, "call": number}) for count, number in runs]
    return len(calls).to_bytes(COUNT_BYTES, "little") + b"".join(rows)


def _tables(lines: list[Line]) -> tuple[Numbered, list[tuple[int, int]]]:
    """The calls, and (rows, number of the call) for the lines in order."""
    numbers: dict[tuple[MacroCall, int], int] = {}
    stacks: dict[tuple[MacroCall, ...], int] = {(): 0}
    for line in lines:
        if line.calls not in stacks:
            outer = 0
            for call in reversed(line.calls):
                outer = numbers.setdefault((call, outer), len(numbers) + 1)
            stacks[line.calls] = outer
    runs = groupby(lines, key=lambda line: stacks[line.calls])
    return list(numbers), [(len(list(rows)), number) for number, rows in runs]


def unpack_calls(cursor: Cursor, strings: Strings, lines: dict[int, tuple[Line, ...]]) -> dict[int, tuple[Line, ...]]:
    """The lines by address with their macros; raises ObjectError for a section that writing them would not give."""
    count = cursor.integer(COUNT_BYTES)
    stacks: list[tuple[MacroCall, ...]] = [()]
    calls: Numbered = []
    for row in unpack(CALL, cursor.take(count * CALL.itemsize)):
        if row["outer"] >= len(stacks):
            raise cursor.place.error(f"has call {len(stacks)} in call {row['outer']}, which does not come before it")
        call = MacroCall(strings.text(row["macro"], cursor.place), strings.text(row["file"], cursor.place), row["line"])
        calls.append((call, row["outer"]))
        outer: int = row["outer"]
        stacks.append((call, *stacks[outer]))
        if len(stacks[-1]) > MAX_CALLS:
            raise cursor.place.error(f"has calls nested more than {MAX_CALLS} deep")
    if cursor.left % RUN.itemsize:
        raise cursor.place.error(f"has {cursor.left} bytes behind its calls, which is no number of runs")
    runs: list[tuple[int, int]] = [(run["rows"], run["call"]) for run in unpack(RUN, cursor.take(cursor.left))]
    total = sum(len(rows) for rows in lines.values())
    if sum(rows for rows, _ in runs) != total or any(number >= len(stacks) for _, number in runs):
        raise cursor.place.error(f"does not say for {total} lines in which of {count} calls they stand")
    every = iter([stacks[number] for rows, number in runs for _ in range(rows)])
    found = {
        address: tuple(replace(line, calls=next(every)) for line in rows) for address, rows in sorted(lines.items())
    }
    if _tables([line for rows in found.values() for line in rows]) != (calls, runs):
        raise cursor.place.error("does not have its calls in order, each of them once")
    return found
