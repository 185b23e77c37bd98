"""Helpers of the instruction families: how one body becomes a scalar and a vector instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .spec import insn

Body = Callable[..., Any]


def both(
    name: str, operands: str, *, scalar: int, vector: int, scalar_known: tuple[str, str], vector_known: tuple[str, str],
    also: str = "", **rest: Any,
) -> Callable[[Body], Body]:
    """Register one body as `s.NAME` and as `v.NAME`; `D` and `S` in `operands` stand for the two banks' kinds.

    `scalar_known` and `vector_known` are (tag, source) of each; `also` is another spelling of NAME.
    """

    def register(body: Body) -> Body:
        for unit, opcode, known in (("s", scalar, scalar_known), ("v", vector, vector_known)):
            text = operands.replace("D", f"{unit}reg").replace("S", f"{unit}src")
            insn(f"{unit}.{name} {text}", opcode=opcode, tag=known[0], source=known[1],
                 also=(f"{unit}.{also}",) if also else (), **rest)(body)
        return body

    return register
