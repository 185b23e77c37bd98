"""Modelled time of large products: that of the chip's matrix unit, so that M890 : 810E is 3 : 1 (docs/icn.md)."""

from pathlib import Path

import numpy as np
import pytest

from m890 import Pod, programs
from m890.programs import gemm_bf16, gemm_s8, gemm_tf32
from m890.programs.gemm import THREADS, Gemm, grid_of

TEXT = (Path(__file__).parents[1] / "docs" / "icn.md").read_text(encoding="utf-8")


def seconds(kind: str, product: Gemm, side: int) -> tuple[float, float, float]:
    """Of a square product: its launch, what the matrix unit needs at its peak, and all in modelled time."""
    pod = Pod(kind, chips=1)
    chip, stream = pod.chips[0], pod.chips[0].stream()
    a, b = (chip.to_device(np.ones((side, side), product.element)) for _ in "ab")
    c = chip.empty((side, side), product.sum_type)
    kernel = programs.load(chip, product.program)[f"{product.program}_nn"]
    begin = stream.record()
    kernel[grid_of(side, side), THREADS, stream](side, side, side, side, side, side, a, b, c, 0, 0, side)
    end = stream.record()
    stream.synchronize()
    assert (c.copy_to_host() == side).all()
    peak = chip.profile.matrix_peak(product.program.removeprefix("gemm_"))
    return chip.profile.launch_overhead, 2 * side**3 / peak, begin.elapsed(end)


@pytest.mark.parametrize(
    ("product", "side"),
    [
        (gemm_bf16.PRODUCT, 2048),
        pytest.param(gemm_bf16.PRODUCT, 4096, marks=pytest.mark.slow),
        pytest.param(gemm_tf32.PRODUCT, 1024, marks=pytest.mark.slow),
        pytest.param(gemm_s8.PRODUCT, 2048, marks=pytest.mark.slow),
    ],
    ids=lambda value: value.program if isinstance(value, Gemm) else str(value),
)
def test_m890_and_810e_are_three_to_one(product: Gemm, side: int) -> None:
    """But for the launch, which takes both chips as long, and less than a microsecond of other instructions."""
    rows = {kind: seconds(kind, product, side) for kind in ("M890", "810E")}
    for launch, work, total in rows.values():
        assert launch + work < total < launch + work + 1e-6
    (launch, work, total), (_, other_work, other) = rows.values()
    assert other_work / work == pytest.approx(3, rel=1e-9)
    assert (other - launch) / (total - launch) == pytest.approx(3, rel=0.03)
    assert other / total == pytest.approx((launch + 3 * work) / (launch + work), rel=0.03)
    assert side < 4096 or other / total == pytest.approx(3, rel=0.01)
    figures = " | ".join(f"{each * 1e6:.1f} us" for each in (total, other))
    assert f"| `{product.program}`, {side} x {side} x {side} | {figures} | {other / total:.2f} |" in TEXT
