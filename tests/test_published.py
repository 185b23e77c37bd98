"""Every published mnemonic assembles in its published spelling and says its source.

Matrix loads and what only the 810E has are not in the table yet.
"""

import pytest
from one import word_of

from m890.isa import ISA

PUBLISHED = {
    "control": "s.nop s.cbr s.cbr.az s.cbr.nz simt.exit s.exit simt.rcbr.n",
    "masks": "s.lop.emsk",
    "waits": "s.wait",
    "barriers and fences": """
        s.blksyn s.blksyn.defer vmem.fence.blk smem.fence.blk smem.fence.sys vmem.wbinv.kp0 smem.wbinv.kp0""",
    "scalar": """
        s.mov.b32 s.add.i32 s.mull.i32 s.mulh s.mulw.u64.u32 s.and.b32 s.or.b32 s.min.i32 s.cmp.eq.i32 s.csel.b32
        s.shll.b32 s.shrl.b32 s.shrl.b64 s.cnvt.i64.i32 s.bfi.b32""",
    "vector moves": "v.mov.b32 v.mov.alllane.b32 v.mov.v2s v.mov.s2v v.tid.init v.reg.dchk",
    "vector integer": """
        v.add.i32 v.add.co.u32 v.add.ci.u32 v.madl.i32 v.madw.i64.i32 v.mull.i32 v.mulh v.min.i32 v.max.i32 v.shll.b32
        v.shrl.b32 v.shra.i32 v.and.b32 v.or.b32 v.xor v.xnor v.not v.lop3.b32 v.bfi.b32 v.bfe.b32 v.byte.prmt.b32""",
    "compare and select": "v.cmp.gt.u32 v.ucmp.ne.f32 v.ucmp.gt.f32 v.csel.b32",
    "vector float": """
        v.add.f32 v.mul.f32 v.fma.f32.rtte v.exp2.f32 v.add.f16x2 v.mul.f16x2 v.fma.f16x2""",
    "conversion": """
        v.cnvt.bf16.f32.rtte v.cnvt.f32.i32.rtte v.cnvt.i32.f32.rtte v.pcnvt.bf16x2 v.pcnvt.f16x2 v.pcnvt.b16.u8x2""",
    "matrix": """
        v.mma.f32.bf16.m16n16k16 v.mma.f32.f16.m16n16k16 v.mma.f32.tf32.m16n16k8 v.mma.i32.i8.i8.m16n16k32
        v.mma.i32.u8.i8.m16n16k32""",
    "global memory": """
        vmem.ld.b8 vmem.ld.b16 vmem.ld.b32 vmem.ld.b32x2 vmem.ld.b32x4 vmem.ld.b32.sign vmem.ld.b32x4.kp1
        vmem.ld.b32.sign.kp1 vmem.st.b16 vmem.st.b32 vmem.st.b32x2 vmem.st.b32x4 vmem.prefetch""",
    "scalar memory": "smem.ld.b32 smem.st.b32",
    "TSM": "tsm.ld.b16 tsm.ld.b32 tsm.ld.b32x2 tsm.ld.b32x4 tsm.st.b16 tsm.st.b32 tsm.st.b32x4",
    "asynchronous copies": """
        vmem.ld.tsm.b32x4.kp1 vmem.ld.tsm.zfill.b32x4.kp1 vmem.acp.commit.grp vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16.kp1
        vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b32.kp1 vmem.aiu.ld.tsm.l1.t0.p0.s0.m0.2d.b16.kp1
        vmem.aiu.ld.tsm.l1.t0.p0.s0.m0.2d.b32.kp1""",
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
        ("v.ucmp.ge.f16x2.ftz sreg4, sreg5, vreg1, vreg2", "v.cmp.geu.f16x2.ftz sreg4, sreg5, vreg1, vreg2"),
        ("v.ucmp.ne.b16x2.bf16x2 vreg0, vreg1, vreg2", "v.cmp.neu.b16x2.bf16x2 vreg0, vreg1, vreg2"),
    ],
)
def test_other_spellings_assemble_and_print_as_the_usual_one(spelling: str, text: str) -> None:
    assert ISA.text(word_of(spelling)) == text
    assert word_of(text) == word_of(spelling)
