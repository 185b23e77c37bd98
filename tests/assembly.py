"""Texts as the tests of the assembler want them."""

from __future__ import annotations

from m890.isa import ISA
from m890.isa.assembler import Diagnostic, assemble
from m890.isa.program import Kernel

SAXPY = """
        .arch   ppu0015
        .kernel saxpy
        .param  u32 n                // sreg6
        .param  f32 a                // sreg7
        .param  ptr x                // sreg[8:9]
        .param  ptr y                // sreg[10:11]
saxpy:  v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff          // tid.x
        s.mov.b32       sreg20, %blkid.x
        s.mull.i32      sreg20, sreg20, %ntid.x
        v.add.i32       vreg0, vreg0, sreg20         // i = blkid.x * ntid.x + tid.x
        v.cmp.lt.u32    sreg21, vreg0, n
        s.lop.emsk      sreg22, sreg21 # 0x8         // keep the lanes with i < n
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.wait          vldcnt(0)
        v.fma.f32.rtte  vreg2, vreg1, a, vreg2
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.or.b32        emsk, emsk, sreg22
        simt.exit
"""


def kernel(body: str, **options: object) -> Kernel:
    """The only kernel of a text that begins behind `.kernel k`."""
    return assemble(f".kernel k\n{body}", **options).kernels["k"]  # type: ignore[arg-type]


def texts(body: str) -> list[str]:
    """What the words of a kernel's text mean."""
    return [ISA.text(int(word)) for word in kernel(body).words]


def data(body: str) -> bytes:
    """The bytes of a `.data` text."""
    return assemble(f".data\n{body}").data


def value(expression: str) -> int:
    """A constant expression's value."""
    return int.from_bytes(data(f".quad {expression}"), "little", signed=True)


def warnings(text: str) -> list[Diagnostic]:
    """The warnings of a text."""
    found: list[Diagnostic] = []
    assemble(text, warn=found.append)
    return found
