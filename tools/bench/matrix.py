"""Matrix instructions by themselves: four independent accumulators in turn, one warp, no memory."""

from __future__ import annotations

from collections.abc import Callable

from ...emulator.chip import Chip
from ...isa.matrix import MATRIX_FORMS, MatrixForm
from .measure import Result, medians

TURNS = 1_000
ROUNDS = 4
"""How often the loop's body has each of the four accumulators."""
ACCUMULATORS = 4


def _range(first: int, words: int) -> str:
    return f"vreg{first}" if words == 1 else f"vreg[{first}:{first + words - 1}]"


def kernel(form: MatrixForm) -> str:
    """A loop of matrix instructions on ones and zeros, scales 1."""
    a, b, d = form.a.words, form.b.words, form.d.words
    lines = [f".arch {form.arch}", ".kernel mma", ".param u32 turns", "s.mov.b32 sreg38, 0"]
    lines += [f"v.mov.b32 vreg{n}, {'0x7f7f7f7f' if n in (60, 61) else '0'}" for n in range(62)]
    lines += ["loop:"]
    for n in range(ROUNDS * ACCUMULATORS):
        total = _range(24 + 8 * (n % ACCUMULATORS), d)
        text = f"{form.mnemonic} {total}, {_range(4 * (n % 2), a)}, {_range(8 + 4 * (n // 2 % 2), b)}, {total}"
        lines += [text + (", vreg[60:61], 0" if form.scaled else "")]
    lines += ["s.add.i32 sreg38, sreg38, 1", "s.cmp.lt.u32 scc, sreg38, turns", "s.cbr.nz scc, loop", "simt.exit"]
    return "\n".join(lines)


def _measured(form: MatrixForm) -> Callable[[str, int | None], Result]:
    def measure(name: str, repeat: int | None) -> Result:
        """One matrix instruction in a loop. Unit: instruction."""
        chip = Chip("M890" if form.arch == "ppu0015" else "810E")
        configured = chip.assemble(kernel(form), "mma.s")["mma"][1, 32]
        configured(1)
        (seconds,) = medians(repeat, lambda: configured(TURNS))
        nanoseconds = seconds / (TURNS * ROUNDS * ACCUMULATORS) * 1e9
        return Result(name, seconds, unit_ns=nanoseconds, gflops=2 * form.m * form.n * form.k / nanoseconds, threads=1)

    return measure


_CHOSEN = [
    "v.mma.f32.bf16.m16n16k16", "v.mma.f32.f16.m16n16k16", "v.mma.f16.f16.m16n16k16", "v.mma.f32.bf16.m16n8k16",
    "v.mma.f32.tf32.m16n16k8", "v.mma.f32.f32.m16n16k8", "v.mma.f32.e4m3.e4m3.m16n16k32",
    "v.mma.f32.e5m2.e5m2.m16n16k32", "v.mma.f16.e4m3.e4m3.m16n16k32", "v.mma.i32.i8.i8.m16n16k32",
    "v.mma.i32.u8.i8.m16n16k32", "v.mma.mx.f32.f4.f4.m16n16k64",
]  # fmt: skip
ENTRIES: dict[str, Callable[[str, int | None], Result]] = {
    form.mnemonic[2:].replace(".", "_"): _measured(form)
    for form in MATRIX_FORMS
    if form.arch == "ppu0015" and form.mnemonic in _CHOSEN
}
