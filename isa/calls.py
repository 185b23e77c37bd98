"""Calls and indirect branches: to a place in the word, or to a code address in registers.

A code address is the guest's: of a kernel's word CODE_BASE + its offset, of a function's word TEXT_BASE + its offset
in `.text`. The whole path moves, active lanes or not. Opcodes 0x071 to 0x07f.
"""

from __future__ import annotations

from .effects import Jump, Next
from .fields import IMMEDIATE_FLAG
from .lanes import U64
from .spec import insn
from .tags import defined

DEFINED = defined("semantics of call, ret and brx in TIX")


@insn("s.call {d:sreg}, {target:code}", opcode=0x071, **DEFINED, fixed={IMMEDIATE_FLAG: 1},
      ex="target=0x10 | d=0x100000008 next=2")
def s_call(target: U64, after: U64) -> tuple[U64, Next]:
    """d = the address of the next instruction; go on at target, a function or a label.

    In the word target is its distance from the kernel's first word, in bytes. Outside of the loaded code: exception 16.
    """
    return after, target


@insn("s.call {d:sreg}, {a:sreg?}", opcode=0x072, **DEFINED,
      ex="a=0x100000010 | d=0x100000008 next=2")
def s_call_register(a: U64, after: U64) -> tuple[U64, Jump]:
    """d = the address of the next instruction; go on at address a. a is read before d is written.

    Outside of the loaded code: exception 16; no multiple of 8: exception 0.
    """
    return after, a


@insn("s.ret {a:sreg?}", opcode=0x073, **DEFINED, ex="a=0x100000018 | next=3")
def s_ret(a: U64) -> Jump:
    """Return: go on at address a, where s.call put it. Outside of the code: exception 16; no multiple of 8: 0."""
    return a


@insn("s.cbr.ind {a:sreg?}", opcode=0x074, **DEFINED, ex="a=0x100000018 | next=3")
def s_cbr_ind(a: U64) -> Jump:
    """Go on at address a. Outside of the loaded code: exception 16; no multiple of 8: exception 0."""
    return a


@insn("simt.cbr.ind {a:vreg?}", opcode=0x075, **DEFINED,
      ex=("a=0x100000018 | next=3", "a=0x100000018,0x0 emsk=1 | next=3", "a=0x100000018 emsk=0 | next=1"))
def simt_cbr_ind(a: U64) -> Jump:
    """Go on at the address that all active lanes have in a; with none active, straight on.

    Active lanes that differ: exception 1. Outside of the loaded code: 16; no multiple of 8: 0.
    """
    return a
