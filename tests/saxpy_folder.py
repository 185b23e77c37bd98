"""A current folder with saxpy.s and x.npy in it, and the arguments that run it.

A test module that imports `folder` has such a folder for each of its tests.
"""

from pathlib import Path

import numpy as np
import pytest

SAXPY = """\
        .arch   ppu0015
        .kernel saxpy
        .param  u32 n
        .param  f32 a
        .param  ptr x
        .param  ptr y
saxpy:  v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff
        s.mov.b32       sreg20, %blkid.x
        s.mull.i32      sreg20, sreg20, %ntid.x
        v.add.i32       vreg0, vreg0, sreg20
        v.cmp.lt.u32    sreg21, vreg0, n
        s.lop.emsk      sreg22, sreg21 # 0x8
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.wait          vldcnt(0)
        v.fma.f32.rtte  vreg2, vreg1, a, vreg2
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.or.b32        emsk, emsk, sreg22
        simt.exit
"""
ARGS = ["--grid", "4", "--block", "256", "--arg", "n=1000", "--arg", "a=2", "--arg", "x=x.npy"]
RUN = ["run", "saxpy.s", *ARGS, "--arg", "y=full:1:f32:1000"]
X = np.linspace(-3, 5, 1000, dtype=np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with saxpy.s and x.npy, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M890_TRACEBACK", raising=False)
    (tmp_path / "saxpy.s").write_text(SAXPY)
    np.save("x.npy", X)
    return tmp_path
