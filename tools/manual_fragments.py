"""Lane maps drawn as text: which lane and which register of a range hold each element of a matrix operand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from ..isa import Instruction
from ..isa.fragments import Fragment, places
from ..isa.matrix import MatrixForm

INTRO = """\
Each drawing has the elements of one operand, row by row; B is drawn by its columns, so that k runs to the right in A
and in B. `12:r3` is lane 12 of the fourth register of the range, `12:r3.1` the second element there. Where a cell has
several elements, the first one is in the low bits. Rows between those shown go on in steps of four lanes. Shapes that
begin with `sp.` are those with a sparse B, which has half of the k."""


class Operand(NamedTuple):
    """A fragment as it is drawn: its name, and whether its columns stand below each other."""

    name: str
    fragment: Fragment
    by_columns: bool


def form_of(instruction: Instruction) -> MatrixForm | None:
    """The matrix form behind an instruction, if it is one."""
    return next((b.static for b in instruction.bindings if isinstance(b.static, MatrixForm)), None)


def operands_of(form: MatrixForm) -> tuple[Operand, ...]:
    """What is drawn of a matrix instruction."""
    return Operand("A", form.a, False), Operand("B", form.b, True), Operand("C and D", form.d, False)


def title(operand: Operand) -> str:
    """What a drawing shows."""
    axes = {"A": "m x k", "B": "k x n"}.get(operand.name, "m x n")
    size = f"{operand.fragment.rows} x {operand.fragment.columns}"
    return f"{operand.name}, {axes} = {size}, {operand.fragment.bits}-bit elements"


def draw(operand: Operand, *, whole: bool = False) -> list[str]:
    """The lane map as lines of text; only some of its rows unless `whole`."""
    side, along = ("n", "k") if operand.by_columns else ("m", "k" if operand.name == "A" else "n")
    table = [_cells(operand, line) for line in _places(operand)]
    width = max(len(cell) for line in table for _, cell in line) + 2
    starts = [first for first, _ in table[0]] + [len(_places(operand)[0])]
    heads = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(starts)]
    lines = [f"{side} \\ {along}".ljust(8) + "".join(head.ljust(width) for head in heads)]
    shown = list(range(len(table))) if whole else _shown(len(table))
    for before, line in pairwise([-1, *shown]):
        lines += ["..."] if line > before + 1 else []
        lines.append(str(line).ljust(8) + "".join(cell.ljust(width) for _, cell in table[line]))
    return [line.rstrip() for line in lines]


def _places(operand: Operand) -> list[list[tuple[int, int, int]]]:
    """Register, lane and place in the register of each element, line by line."""
    row, column = places(operand.fragment)
    line, position = (column, row) if operand.by_columns else (row, column)
    found = np.zeros((line.max() + 1, position.max() + 1, 3), np.int64)
    found[line, position] = np.stack(np.indices(row.shape), axis=-1)
    return [[(int(r), int(lane), int(e)) for r, lane, e in each] for each in found]


def _cells(operand: Operand, line: list[tuple[int, int, int]]) -> list[tuple[int, str]]:
    """Where each cell of a line begins, and its text: all neighbours in one register of one lane are one cell."""
    cells: list[tuple[int, str]] = []
    for (register, lane), group in groupby(enumerate(line), lambda item: item[1][:2]):
        elements = list(group)
        part = "" if len(elements) == operand.fragment.width else f".{elements[0][1][2]}"
        cells.append((elements[0][0], f"{lane}:r{register}{part}"))
    return cells


def _shown(count: int) -> list[int]:
    """The first two and the last of each eight lines."""
    return [first + n for first in range(0, count, 8) for n in (0, 1, 7)]


def section(instructions: Iterable[Instruction]) -> str:
    """The manual's drawings of all operands of these instructions, each once; "" if none is a matrix instruction."""
    drawn: dict[tuple[str, Operand], list[str]] = {}
    for instruction in instructions:
        form = form_of(instruction)
        for operand in operands_of(form) if form else ():
            arch = "" if operand.by_columns else f" ({', '.join(instruction.architectures)})"
            names = drawn.setdefault((title(operand) + arch, operand), [])
            names.append(f"{'sp.' * form.sparse}m{form.m}n{form.n}k{form.k}" if form else "")
    if not drawn:
        return ""
    parts = ["### Lane maps", INTRO]
    for (name, operand), shapes in drawn.items():
        lines = "\n".join(["```", *draw(operand), "```"])
        parts += [f"{name}: {', '.join(dict.fromkeys(shapes))}", lines]
    return "\n\n".join(parts)
