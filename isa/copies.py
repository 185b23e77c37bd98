"""Asynchronous copies: global memory to TSM without a register between, by lanes.

A copy is outstanding from its issue on. `vmem.acp.commit.grp` closes a group of all copies that the warp has issued
since the last one; `s.wait commit_group(n)` waits until at most n of the closed groups are outstanding, the oldest
completing first and each as a whole. Copies that stand in no closed group are not waited for; they complete at the
latest when the warp ends. A 64th copy completes the oldest. Other warps may read what was copied after the wait and a
barrier. Until a copy completes, its bytes in TSM hold poison under late timing, for loads of the same warp, too; a
store to these bytes, or to its source, completes it first.

All lanes are checked before anything is copied: the offsets in TSM (exceptions 9, 10), then the source (11, 12, 20).
Both must be multiples of the bytes that a lane copies. Opcodes 0x328 to 0x32c; bits 4:1 hold the type as in vmem.ld.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .effects import Stop
from .lanes import U32
from .reference import load, load_first, store
from .spec import Access, insn
from .tags import defined, published
from .widths import TYPE, WIDTHS, Width

COPIED = tuple(width for width in WIDTHS if not width.signed)
"""What a lane can copy: 1, 2, 4, 8 or 16 bytes."""
SLOTS = defined("slots of the published forms; semantics TIX")


class Form(NamedTuple):
    """Where lanes read: the kind of the address, of the one without offset, and the opcodes of both forms."""

    at: str
    element: str
    opcodes: tuple[int, int]
    suffixes: str
    published: bool


FORMS = (
    Form("vmem", "vmem_element", (0x328, 0x329), "{sign}{kp1}", True),
    Form("vmem64", "vmem64_element", (0x32A, 0x32B), "{kp1}", False),
)


def _register(form: Form, width: Width) -> None:
    known: dict[str, Any] = SLOTS
    if form.published and width.name == "b32x4":
        known = published("listings; operands defined, semantics TIX")
    common: dict[str, Any] = {"fixed": {TYPE: width.code}, "width": width, **known}
    access = Access("global", "commit_group", width.size, False, to="to")
    data, part = width.example_bytes, width.example_bytes[:6]

    @insn(f"vmem.ld.tsm.{width.name}{form.suffixes} {{to:tsm_target}}, {{at:{form.at}}}", opcode=form.opcodes[0],
          access=access, ex=f"to=0 memory={data} | tsm={data}", **common)
    def ld_tsm(to: Any, at: Any, width: Any) -> None:
        """TSM at the offset in `to` = what the address holds; asynchronous. The highest lane at an offset wins."""
        store(to, load(at, width), width)

    if width.size < 4:
        return

    @insn(f"vmem.ld.tsm.zfill.{width.name}{{kp1}} {{to:tsm_target}}, {{at:{form.element}@{width.size}}}, {{n:vreg@s1}}",
          opcode=form.opcodes[1], access=access._replace(counted="n"),
          ex=(f"to=0 n=3 memory={data} tsm={'ff' * width.size} | tsm={part}{'00' * (width.size - 3)}",
              f"to=0 n=99 memory={data} | tsm={data}"), **common)
    def ld_tsm_zfill(to: Any, at: Any, n: U32, width: Any) -> None:
        """TSM at the offset in `to` = the first n bytes at the address, the rest zero; asynchronous.

        Only these n bytes must be in memory; if n is 0 the address may be any. If n is larger than what a
        lane copies, all are copied.
        """
        store(to, load_first(at, n, width), width)


for _form in FORMS:
    for _width in COPIED:
        _register(_form, _width)


@insn("vmem.acp.commit.grp", opcode=0x32C, **published("listings; semantics TIX"), ex="| stop=WAIT",
      commits=True)
def vmem_acp_commit_grp(commits: bool) -> Stop:
    """The copies that the warp has issued since the last vmem.acp.commit.grp are a group; there may be none.

    `s.wait commit_group(n)` waits for groups, oldest first, until at most n are outstanding.
    """
    return Stop.WAIT
