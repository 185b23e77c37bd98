"""Matrix instructions of the Tensor Cell: D = A * B + C on fragments that all 32 lanes of a warp hold together.

The mnemonic names the result type, the source types and the shape; shape and types give the number of registers. A is
m x k, B is k x n, C and D are m x n. Which lane holds which element is drawn for every shape under "Lane maps". A
range starts at an even register. Opcodes 0x180 to 0x19f on ppu0015, 0x1a0 to 0x1bf on ppu001.

Products are exact. A sum starts at +0 and takes them in the order of k, each addition rounded to binary32, to nearest
even; C is added last. Accumulators of 16 bits are widened, and the result is rounded to them once. Integer results are
exact and wrap at 32 bits, with `.sat` they are clamped once. Every NaN that results is the canonical one. The
accumulation order is that of the vendor's software model; it is not claimed for the chip's last bit.

All 32 lanes must be on, else the warp faults with code 3, invalid warp sync, and nothing is written.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .effects import Fault
from .exceptions import INVALID_WARP_SYNC
from .fields import SATURATE, SECOND_OPCODE, Field
from .lanes import U32, LaneKind, Lanes, register_range
from .matrix import (
    SHAPES,
    SMALL,
    SPARSE_SHAPES,
    SPARSE_TYPES,
    TYPES,
    MatrixForm,
    forms,
    multiply,
    multiply_scaled,
    multiply_sparse,
    sparse_forms,
)
from .spec import insn
from .tags import Known, defined, published

A = TypeVar("A", bound=Lanes)
B = TypeVar("B", bound=Lanes)
C = TypeVar("C", bound=Lanes)
D = TypeVar("D", bound=Lanes)
S = TypeVar("S", bound=Lanes)

FIRST = {"ppu0015": 0x180, "ppu001": 0x1A0}
"""The first opcode of each architecture: one opcode for each combination of types, shapes in the second opcode."""
FIRST_SPARSE = 0x1B0
SPARSE_SHAPE = Field(4, 2)
PUBLISHED = {
    "v.mma.f32.bf16.m16n16k16", "v.mma.f32.f16.m16n16k16", "v.mma.f16.f16.m16n16k16", "v.mma.f32.tf32.m16n16k8",
    "v.mma.i32.i8.i8.m16n16k32", "v.mma.i32.u8.i8.m16n16k32",
}
ONES = {
    "f32": "1.0", "tf32": "1.0", "f16": "0x3c003c00", "bf16": "0x3f803f80", "e4m3": "0x38383838", "e5m2": "0x3c3c3c3c",
    "f4": "0x22222222", "i8": "0x01010101", "u8": "0x01010101",
}
"""A register full of ones, by format."""


def _known(form: MatrixForm) -> Known:
    if form.mnemonic in PUBLISHED:
        return published("listings; lane maps ACT")
    return defined("slots of the published forms; shapes and lane maps ACT")


def _kinds(form: MatrixForm) -> dict[str, LaneKind]:
    return {
        "A": register_range(form.a.words, form.left.register_sign),
        "B": register_range(form.b.words, form.right.register_sign),
        "C": register_range(form.d.words, form.result.register_sign),
        "D": register_range(form.d.words),
        "S": register_range(2),
    }


def _example(form: MatrixForm) -> str:
    """All ones: every element of D is the number of products, and one more from C."""
    total = form.b.rows + 1
    known = {"f32": ("1.0", f"{total}.0"), "i32": ("1", str(total)), "f16": ("0x3c003c00", _halves(total))}
    one, sums = known[form.result.name]

    def full(words: int, text: str) -> str:
        return ":".join([text] * words)

    more = " s=0x80808080:0x7e7e7e7e select=0" if form.scaled else ""
    if form.sparse:
        more = " e=0x44444444" + (" select=0" if form.lanes_per_column < 4 else "")
    return (
        f"a={full(form.a.words, ONES[form.left.name])} b={full(form.b.words, ONES[form.right.name])} "
        f"c={full(form.d.words, one)}{more} | d={full(form.d.words, sums)}"
    )


def _halves(number: int) -> str:
    """A small integer as two binary16 numbers in a register."""
    power = number.bit_length() - 1
    return f"{(power + 15 << 10 | (number << 10 - power) & 0x3FF) * 0x10001:#010x}"


def _common(form: MatrixForm, opcode: int) -> dict[str, Any]:
    return {
        "opcode": opcode, "operand_types": _kinds(form), "architectures": (form.arch,), "form": form,
        "ex": _example(form), "fault": INVALID_WARP_SYNC, "all_lanes": True, **_known(form),
    }


def _register(form: MatrixForm, opcode: int, shape: int) -> None:
    @insn(f"{form.mnemonic} {{d:vreg}}, {{a:matrix}}, {{b:matrix}}, {{c:matrix}}",
          fixed={SECOND_OPCODE: shape, SATURATE: int(form.saturate)}, **_common(form, opcode))
    def v_mma(a: A, b: B, c: C, emsk: U32, form: MatrixForm) -> tuple[D, Fault]:
        """D = A * B + C: {form.left.name} times {form.right.name}, accumulated as {form.result.name}."""
        return multiply(a, b, c, form), ~emsk


def _register_sparse(form: MatrixForm, opcode: int, shape: int) -> None:
    choices = {1: ", {select:number@1:0}", 2: ", {select:number@0}", 4: ""}[form.lanes_per_column]
    static: dict[str, Any] = {} if choices else {"select": 0}

    @insn(f"{form.mnemonic} {{d:vreg}}, {{a:matrix@36}}, {{b:matrix@36}}, {{c:matrix@36}}, {{e:vreg@13:6}}{choices}",
          fixed={SPARSE_SHAPE: shape, SATURATE: int(form.saturate)}, **_common(form, opcode), **static)
    def v_mma_sp(a: A, b: B, c: C, e: U32, select: U32, emsk: U32, form: MatrixForm) -> tuple[D, Fault]:
        """D = A * B + C, B sparse: {form.left.name} times {form.right.name}, accumulated as {form.result.name}.

        Of every 4 values along k, B has 2, in the registers of a B half as long. In `e`, bits 16*h to 16*h + 15 of
        a lane are for column p + 8*h: 4 bits for every 4 values of k, of which bits 1:0 are the place of the first
        value and bits 3:2 that of the second. A lane says it for 16 values of k; lane 4*p + j has the first ones,
        where j is `select` times the number of lanes that a column needs. Products with what B leaves out do not
        exist: an infinity of A there has no effect.
        """
        return multiply_sparse(a, b, c, e, select, form), ~emsk


def _register_scaled(form: MatrixForm, opcode: int) -> None:
    width = "4:0" if form.n == 8 else "3:0"

    @insn(f"{form.mnemonic} {{d:vreg}}, {{a:matrix@36}}, {{b:matrix@36}}, {{c:matrix@36}}, {{s:vreg@13:6}}, "
          f"{{select:number@{width}}}", **_common(form, opcode))
    def v_mma_mx(a: A, b: B, c: C, s: S, select: U32, emsk: U32, form: MatrixForm) -> tuple[D, Fault]:
        """D = (A * scales of A) * (B * scales of B) + C; a scale belongs to 32 values along k.

        `s` is a pair of registers, the scales of A and of B, as E8M0 bytes: 0x7f is 1, 0xff NaN. Of the first one
        the lanes with lane % 4 == `select` bits 1:0 count, of the second those with lane % 4 == bits 3:2. The
        lane 4*p + that number has in its bytes 0 and 1 the scales of row p, for k below 32 and from 32 on, and
        in bytes 2 and 3 those of row p + 8. Columns of B likewise; with 8 columns, bit 4 picks bytes 0 and 1 or
        bytes 2 and 3. Four matrix instructions can so share one register of scales. A scaled element is a
        binary32 number: only a scale of 2^126 or more can make it infinite. Of the 8 elements in a register the
        first is in the low bits.
        """
        return multiply_scaled(a, b, c, s, select, form), ~emsk


def _register_all() -> None:
    for arch, first in FIRST.items():
        for number, types in enumerate(TYPES[arch]):
            for form in forms(arch, *types):
                known = (SMALL, *SHAPES[arch, form.left.bits])
                shape = known.index((form.m, form.n, form.k))
                if form.scaled:
                    _register_scaled(form, first + number + shape - 1)
                else:
                    _register(form, first + number, shape)
    for number, types in enumerate(SPARSE_TYPES):
        for form in sparse_forms(*types):
            shape = SPARSE_SHAPES[form.left.bits].index((form.m, form.n, form.k))
            _register_sparse(form, FIRST_SPARSE + number, shape)


_register_all()
