"""Every published mnemonic of registers, masks and lanes assembles in its published spelling and says its source.

Memory, matrix and packed instructions have lists of their own beside their tests.
"""

import pytest
from one import word_of

from m890.isa import ISA

PUBLISHED = {
    "masks": "s.lop.emsk",
    "scalar": """
        s.mov.b32 s.add.i32 s.mull.i32 s.mulh s.mulw.u64.u32 s.and.b32 s.or.b32 s.min.i32 s.cmp.eq.i32 s.csel.b32
        s.shll.b32 s.shrl.b32 s.shrl.b64 s.cnvt.i64.i32 s.bfi.b32""",
    "vector moves": "v.mov.b32 v.mov.alllane.b32 v.mov.v2s v.mov.s2v v.tid.init v.reg.dchk",
    "vector integer": """
        v.add.i32 v.add.co.u32 v.add.ci.u32 v.madl.i32 v.madw.i64.i32 v.mull.i32 v.mulh v.min.i32 v.max.i32 v.shll.b32
        v.shrl.b32 v.shra.i32 v.and.b32 v.or.b32 v.xor v.xnor v.not v.lop3.b32 v.bfi.b32 v.bfe.b32 v.byte.prmt.b32""",
    "compare and select": "v.cmp.gt.u32 v.ucmp.ne.f32 v.ucmp.gt.f32 v.csel.b32",
    "between lanes": "v.shuffle.idx.b32 v.shuffle.bfly.b32 v.red.max.u32",
}
"""Names as published. Where the type is left out (v.xor, s.mulh) it is b32 or u32 here; v.bfe.b32 is v.bfe.u32."""


@pytest.mark.parametrize("mnemonic", [name for names in PUBLISHED.values() for name in names.split()])
def test_published_mnemonic(mnemonic: str) -> None:
    forms = [form for form, _ in ISA.by_mnemonic[mnemonic]]
    assert any(form.instruction.tag in ("published", "measured") for form in forms)


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("v.xor vreg1, vreg2, 7", "v.xor.b32 vreg1, vreg2, 0x7"),
        ("v.not vreg1, vreg2", "v.not.b32 vreg1, vreg2"),
        ("v.xnor vreg1, vreg2, sreg3", "v.xnor.b32 vreg1, vreg2, sreg3"),
        ("s.xor sreg1, sreg2, sreg3", "s.xor.b32 sreg1, sreg2, sreg3"),
        ("v.bfe.b32 vreg1, vreg2, vreg3, vreg4", "v.bfe.u32 vreg1, vreg2, vreg3, vreg4"),
        ("v.mulh vreg1, vreg2, vreg3", "v.mulh.u32 vreg1, vreg2, vreg3"),
        ("s.mulh sreg1, sreg2, sreg3", "s.mulh.u32 sreg1, sreg2, sreg3"),
        ("v.cmp.neu.f32 vcc, vreg1, 1.0", "v.ucmp.ne.f32 vcc, vreg1, 0x3f800000"),
        ("v.cmp.ltu.f32 sreg4, !vreg1, |vreg2|", "v.ucmp.lt.f32 sreg4, !vreg1, |vreg2|"),
    ],
)
def test_other_spellings_assemble_and_print_as_the_usual_one(spelling: str, text: str) -> None:
    assert ISA.text(word_of(spelling)) == text
    assert word_of(text) == word_of(spelling)
