"""What asynchronous copies are written in, as LLVM code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ...isa import reference
from .lowering import primitive
from .lowering_memory import load_rows, load_type


@primitive(reference.load_first, lambda at, count, width: load_type(at, width))
def _load_first(builder: Any, sig: Any, at: Any, count: Any, width_value: Any) -> Any:
    # A lane may read beyond its allocation here, but not beyond a page, since addresses are aligned.
    values = load_rows(builder, at, sig.args[2].value, sig.args[0].lanes)

    def every(number: int) -> ir.Constant:
        return ir.Constant(count.type, [number] * count.type.count)

    for word, value in enumerate(values):
        whole = builder.icmp_unsigned(">=", count, every(4 * word + 4))
        none = builder.icmp_unsigned("<=", count, every(4 * word))
        bits = builder.shl(builder.and_(count, every(3)), every(3))
        some = builder.sub(builder.shl(every(1), bits), every(1))
        kept = builder.select(whole, every(0xFFFFFFFF), builder.select(none, every(0), some))
        values[word] = builder.and_(value, kept)
    return values[0] if len(values) == 1 else cgutils.pack_array(builder, values)
