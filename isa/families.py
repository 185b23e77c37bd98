"""Helpers of the instruction families: how one body becomes a scalar and a vector instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .spec import insn
from .tags import Known

Body = Callable[..., Any]
UNARY, BINARY, TERNARY = "{d:D}, {a:S}", "{d:D}, {a:S}, {b:S}", "{d:D}, {a:S}, {b:S}, {c:S}"
"""Operands for `both`: a destination and one, two or three sources."""


def both(
    name: str, operands: str, *, scalar: int, vector: int, scalar_known: Known, vector_known: Known,
    also: str = "", **rest: Any,
) -> Callable[[Body], Body]:
    """Register one body as `s.NAME` and as `v.NAME`; `D` and `S` in `operands` stand for the two banks' kinds.

    `scalar_known` and `vector_known` tell where each is known from; `also` is another spelling of NAME.
    """

    def register(body: Body) -> Body:
        for unit, opcode, known in (("s", scalar, scalar_known), ("v", vector, vector_known)):
            text = operands.replace("D", f"{unit}reg").replace("S", f"{unit}src")
            insn(f"{unit}.{name} {text}", opcode=opcode, **known,
                 also=(f"{unit}.{also}",) if also else (), **rest)(body)
        return body

    return register
