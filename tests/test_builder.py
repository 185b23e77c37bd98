"""The builder: the same words as the assembler gives, for every instruction, and errors that help."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from m890.isa import ISA
from m890.isa.assembler import assemble
from m890.isa.builder import BuildError, FunctionBuilder, KernelBuilder, build_module
from m890.isa.number_kinds import Target

SAXPY = """
        .kernel saxpy
        .param  u32 n
        .param  f32 a
        .param  ptr x
        .param  ptr y
        .tsm    128
        .maxntid 256
        .reqntid 64, 2
start:  v.tid.init      vreg0, sreg[36:37]
        s.cbr.az        emsk, end
        s.mov.b32       sreg20, %blkid.x
        v.cmp.lt.u32    sreg21, vreg0, n
        s.lop.emsk      sreg22, sreg21 # 0x8
        vmem.ld.b32     vreg1, [bytes(0x1000) + vreg0 * 0x4] @x
        tsm.ld.b32      vreg3, [sreg20 + vreg0 * 0x4]
        s.wait          vldcnt(0), tsmcnt(1)
        s.wait          pipe_flush
        v.fma.f32.rtz.ftz vreg2, !vreg1, a, |vreg3|
        v.add.f32       vreg2, vreg2, 1.5
        v.add.i32       vreg2, vreg2.reuse, -1
        v.mov.b64       vreg[4:5], vreg[2:3]
        vmem.st.b32     vreg2, [vreg0 * 4] @y
        s.cbr           start
end:    simt.exit
"""


def saxpy() -> KernelBuilder:
    """The kernel above, built."""
    b = KernelBuilder("saxpy")
    n, a, x, y = b.param("u32", "n"), b.param("f32", "a"), b.param("ptr", "x"), b.param("ptr", "y")
    assert b.tsm(128) == 0
    b.maxntid(256)
    b.reqntid(64, 2)
    b.label("start")
    b.v_tid_init(b.vreg[0], b.sreg[36:37])
    b.s_cbr_az(b.emsk, "end")
    b.s_mov_b32(b.sreg[20], b.blkid_x)
    b.v_cmp_lt_u32(b.sreg[21], b.vreg[0], n)
    b.s_lop_emsk(b.sreg[22], b.sreg[21], 0x8)
    b.vmem_ld_b32(b.vreg[1], b.at(x, index=b.vreg[0], scale=4, offset=0x1000))
    b.tsm_ld_b32(b.vreg[3], b.at(b.sreg[20], index=b.vreg[0], scale=4))
    b.s_wait(vldcnt=0, tsmcnt=1)
    b.s_wait("pipe_flush")
    b.v_fma_f32_rtz_ftz(b.vreg[2], b.neg(b.vreg[1]), a, b.abs(b.vreg[3]))
    b.v_add_f32(b.vreg[2], b.vreg[2], 1.5)
    b.v_add_i32(b.vreg[2], b.reuse(b.vreg[2]), -1)
    b.v_mov_b64(b.vreg[4:5], b.vreg[2:3])
    b.vmem_st_b32(b.vreg[2], b.at(y, index=b.vreg[0], scale=4))
    b.s_cbr("start")
    b.label("end")
    b.simt_exit()
    return b


def test_same_as_the_assembler() -> None:
    built = build_module(saxpy()).kernels["saxpy"]
    written = assemble(SAXPY).kernels["saxpy"]
    assert built.words.tolist() == written.words.tolist()
    for part in ("name", "vregs", "sregs", "tsm", "private", "maxntid", "reqntid", "params", "labels"):
        assert getattr(built, part) == getattr(written, part), part
    assert [line.file for line in built.lines] == [__file__] * len(written.lines)
    assert [line.offset for line in built.lines] == [line.offset for line in written.lines]


def test_every_instruction_has_a_method() -> None:
    random = Random(2)
    for arch in ("ppu0015", "ppu001"):
        b, words = KernelBuilder("k", arch), []
        for form in ISA.forms():
            if arch not in form.instruction.architectures:
                continue
            for word in (form.sample(random) for _ in range(3)):
                decoded = ISA.decode(word)
                method = getattr(b, form.mnemonic(decoded.suffixes).replace(".", "_"))
                if form.instruction.mnemonic == "s.wait":
                    names = dict(decoded.values[0])  # type: ignore[call-overload]
                    functions = [name for name in names if name in ("pipe_flush", "vmem_wbinv", "smem_wbinv")]
                    method(*functions, **({} if functions else names))
                else:
                    method(*decoded.values)
                words.append(word)
        assert b.build().words.tolist() == words


def test_methods_are_found_and_described() -> None:
    b = KernelBuilder("k")
    assert {"v_fma_f32_rtz_ftz", "s_cbr_nz", "vmem_ld_b32x4_kp1", "tid_x", "emsk"} <= set(dir(b))
    assert "a + b" in (b.v_add_f32.__doc__ or "")
    assert b.tid_x == b.special("%tid.x")
    assert not hasattr(b, "_nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v_add_f23", "ppu0015 has no instruction v.add.f23; did you mean v_add_f32"),
        ("zzz", "ppu0015 has no instruction zzz$"),
    ],
)
def test_unknown_methods(name: str, message: str) -> None:
    with pytest.raises(AttributeError, match=message):
        getattr(KernelBuilder("k"), name)


def test_errors() -> None:
    b = KernelBuilder("k")
    with pytest.raises(BuildError, match=r"^v\.add\.f32, operand 1: expected a vector register, found the scalar"):
        b.v_add_f32(b.sreg[0], b.vreg[1], 1.5)
    with pytest.raises(BuildError, match=r"^v\.add\.f32: expected 3 operands, found 1; usage: v\.add\.f32 d, a, b"):
        b.v_add_f32(b.vreg[0])
    with pytest.raises(BuildError, match=r"three-source instructions take no immediate"):
        b.v_fma_f32_rtte(b.vreg[0], b.vreg[0], b.vreg[0], 2.0)
    with pytest.raises(BuildError, match=r"too large for f32"):
        b.v_add_f32(b.vreg[0], b.vreg[0], 1e39)
    with pytest.raises(BuildError, match=r"there is no vreg\[250:256\]"):
        b.vreg[250:256]
    with pytest.raises(BuildError, match=r"an offset of 2049 bytes cannot be encoded"):
        b.at(b.sreg[4:5], offset=2049)
    with pytest.raises(BuildError, match=r"scale 3 is not a power of two"):
        b.at(b.sreg[4:5], index=b.vreg[0], scale=3)
    with pytest.raises(BuildError, match=r"there is no parameter type f33"):
        b.param("f33", "x")
    with pytest.raises(BuildError, match=r"no counter is called vldcmt"):
        b.s_wait(vldcmt=0)
    b.label("here")
    with pytest.raises(BuildError, match=r"the label here stands twice"):
        b.label("here")
    b.s_cbr("nowhere")
    with pytest.raises(BuildError, match=r"the label nowhere is nowhere placed in kernel k"):
        b.build()


def test_modules() -> None:
    a, b = KernelBuilder("a"), KernelBuilder("b")
    b.registers(vregs=9, sregs=80)
    b.private(64)
    module = build_module(a, b)
    assert list(module.kernels) == ["a", "b"]
    assert (module.kernels["b"].vregs, module.kernels["b"].sregs, module.kernels["b"].private) == (9, 80, 64)
    with pytest.raises(BuildError, match="two kernels or functions have the same name"):
        build_module(a, KernelBuilder("a"))
    with pytest.raises(BuildError, match="one architecture, not ppu001, ppu0015"):
        build_module(a, KernelBuilder("c", "ppu001"))


def test_branches_count_as_in_text() -> None:
    b = KernelBuilder("k")
    for _ in range(3):
        b.s_nop()
    b.s_cbr("k0")
    b.label("k0")
    word = int(b.build().words[3])
    kind = ISA.decode(word).form.instruction.kinds[-1]
    assert isinstance(kind, Target)
    assert ISA.decode(word).values == (0,)


def test_functions_are_the_same_words_as_in_text() -> None:
    f = FunctionBuilder("twice")
    f.v_add_i32(f.vreg[0], f.vreg[0], f.vreg[0])
    f.s_cbr("end")
    f.s_nop()
    f.label("end")
    f.s_ret(f.sreg[38:39])
    b = KernelBuilder("k")
    b.s_call(b.sreg[38:39], "twice")
    b.s_call(b.sreg[38:39], "here")
    b.s_mov_b32(b.sreg[50], b.lo("twice", 8))
    b.s_mov_b32(b.sreg[51], b.hi("twice"))
    b.label("here")
    b.simt_exit()
    module = build_module(b, f)
    text = assemble(
        """
        .func twice
        v.add.i32 vreg0, vreg0, vreg0
        s.cbr end
        s.nop
end:    s.ret sreg[38:39]
        .kernel k
        s.call sreg[38:39], twice
        s.call sreg[38:39], here
        s.mov.b32 sreg50, lo(twice + 8)
        s.mov.b32 sreg51, hi(twice)
here:   simt.exit
        """
    )
    for name in ("words", "labels", "relocations", "vregs", "sregs"):
        for built, written in (
            (module.kernels["k"], text.kernels["k"]),
            (module.functions["twice"], text.functions["twice"]),
        ):
            assert np.array_equal(getattr(built, name), getattr(written, name)), name
    with pytest.raises(BuildError, match="k calls twice, which is nowhere"):
        build_module(b)
    wrong = KernelBuilder("wrong")
    wrong.s_cbr("twice")
    with pytest.raises(BuildError, match="the label twice is nowhere placed in kernel wrong"):
        wrong.build()


def test_words_as_they_stand() -> None:
    random = Random(1)
    words = [form.sample(random) for form in ISA.forms() if "ppu0015" in form.instruction.architectures][::50]
    words += [0, 0xFFFF_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF]
    b = KernelBuilder("k")
    for word in words:
        b.word(word)
    built = b.build()
    written = assemble("".join([".kernel k\n", *(f".quad {word}\n" for word in words)])).kernels["k"]
    assert built.words.tolist() == words
    assert (built.vregs, built.sregs) == (written.vregs, written.sregs)
    assert [line.file for line in built.lines] == [__file__]
    for bad in (-1, 1 << 64):
        with pytest.raises(BuildError, match="no word of 64 bits"):
            b.word(bad)


def test_a_scale_that_no_word_has():
    b = KernelBuilder("k")
    x = b.param("ptr", "x")
    with pytest.raises(BuildError, match="scale 0x10000 cannot be encoded; a power of two from 0x1 to 0x8000"):
        b.vmem_ld_b32(b.vreg[1], b.at(x, index=b.vreg[0], scale=0x10000))
