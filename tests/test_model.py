"""The compiled core against the slow model: random programs agree on every bit of registers, masks, TSM and HBM.

A program that does not agree is reduced to the instructions that matter. `tests/model` is the model, `tests/generate`
makes the programs.
"""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from random import Random
from unittest.mock import Mock

import hypothesis.strategies as st
import pytest
from generate.compare import Program, core, difference, explain, forms_of, mismatch, name_of, prepare, run_model, sweep
from generate.items import makers, matrix, matrix_forms, older, older_forms
from generate.samples import COUNTERS, plain_forms
from hypothesis import given, settings
from model import MEANINGS, Block, Fault
from model.meaning import ARCH
from one import word_of

import m890
from m890.isa import ISA
from m890.isa.spec import Form

NOT_IN_PROGRAMS = {"s.trap": "ends the launch", "s.brkpt": "ends the launch"}
"""Forms that no random program has, and why: test_faults runs them."""


def test_every_form_has_a_meaning_and_every_meaning_a_form() -> None:
    assert {form.instruction.mnemonic for form in ISA.forms()} == set(MEANINGS)


def names(forms: Iterable[Form]) -> set[str]:
    return {name_of(form) for form in forms if ARCH in form.instruction.architectures}


def test_every_form_runs_on_both() -> None:
    """Also: an entry of NOT_IN_PROGRAMS that programs do have fails here. Matrix forms are in test_matrix_forms."""
    numbers = [makers().index(make) for make in dict.fromkeys(makers())]
    rare = numbers[len(plain_forms()) + 1 :]
    programs = [
        Program([(number, seed) for number in chosen[first : first + 50]], first + seed)
        for seed in range(10)
        for chosen in (numbers if seed < 2 else rare,)
        for first in range(0, len(chosen), 50)
    ]
    seen: set[str] = set()
    for program in programs:
        seen |= forms_of(program)
        assert not mismatch(program), explain(program)
    assert names(ISA.forms()) - names(matrix_forms(ARCH)) - seen == set(NOT_IN_PROGRAMS)


@pytest.mark.parametrize(("kind", "arch"), [("M890", "ppu0015"), ("810E", "ppu001")])
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_matrix_forms(kind: str, arch: str, every: int) -> None:
    """Every fifth, or all of them."""
    words = [matrix(Random(number), form).words[-1] for number, form in enumerate(matrix_forms(arch))][::every]
    for first in range(0, len(words), 20):
        program, some = Program([], 1), [*words[first : first + 20], word_of("s.exit")]
        start = prepare(program)
        differs = difference(core("eager", kind).run(program, some, start), run_model(program, some, start, kind=kind))
        assert not differs, "\n".join([differs, *(ISA.decode(word, arch).form.text(word) for word in some)])


@pytest.mark.parametrize("late", [False, True])
def test_accesses_of_the_older_chip(late: bool) -> None:
    """Matrix loads and AIU copies that ppu001 alone has, in any order, waited for or not."""
    forms, timing = older_forms(), "late" if late else "eager"
    for seed in range(12):
        random, program = Random(seed), Program([], 1)
        chosen = random.sample(forms, 6)
        words = [word for form in chosen for word in older(random, form).words] + [word_of("s.exit")]
        start = prepare(program)
        wanted = run_model(program, words, start, late, "810E")
        differs = difference(core(timing, "810E").run(program, words, start), wanted)
        assert not differs, "\n".join(
            [f"{seed}: {differs}", *(ISA.decode(word, "ppu001").form.text(word) for word in words)]
        )


FAULTS = {
    "s.trap": 256,
    "s.brkpt": 258,
    "s.mov.b32 emsk, 6; s.mov.b32 sreg20, 2; v.assert sreg20": 257,
    "s.mov.b32 emsk, 6; s.warp.sync 2; s.warp.sync 1": 3,
    "s.bar.sync 16": 2,
    "s.bar.sync 1, 48": 2,
    "s.bar.sync 1, 64": 2,
    "s.bar.arrive 1, 0": 2,
    "simt.rcbr.n c0x1, 1; s.bar.arrive 1, 32": 2,
    "simt.rcbr.n c0x1, 1; s.blksyn; s.blksyn": 2,
    "s.mov.b32 x0, 24; v.mov.b32 vreg1, ivreg": 5,
    "v.mov.b32 vreg1, %laneid; tsm.ld.b32 vreg2, [0x2 + vreg1 * 0x4]": 10,
    "v.mov.b32 vreg1, 0x8000; tsm.ld.b32 vreg2, [0x0 + vreg1 * 0x4]": 9,
    "v.mov.b32 vreg1, 1; vmem.ld.b32 vreg2, [0x0 + vreg1 * 0x1] @sreg[6:7]": 12,
    "v.mov.b32 vreg1, 1; vmem.st.b32 vreg2, [0x0 + vreg1 * 0x8000] @sreg[6:7]": 11,
    "vmem.ga.p.ld.b32 vreg2, [0x40]": 11,
    "smem.ld.b32 sreg20, [0xfff] @sreg[6:7]": 11,
    "s.nop": 16,
}
"""Instructions separated by semicolons, and the code they end with."""


@pytest.mark.parametrize(("lines", "code"), FAULTS.items())
def test_faults(lines: str, code: int) -> None:
    program, words = Program([], 1), [word_of(line) for line in lines.split(";")]
    with pytest.raises(Fault) as modelled:
        run_model(program, words, prepare(program))
    with pytest.raises(m890.Fault) as found:
        core("eager").run(program, words, prepare(program))
    assert found.value.code == modelled.value.code == code


def test_more_operations_than_a_counter_can_have_outstanding() -> None:
    """The 64th completes the oldest: what is computed at the end sees one result among the poison."""
    texts = ([ISA.text(word) for word in make(Random(0)).words] for make in makers())
    load = next(n for n, lines in enumerate(texts) if lines and lines[-1].startswith("vmem.ld.b32"))
    for seed in range(0, 64, 4):
        loads = [(load, seed * 1000 + n) for n in range(61 + seed // 16)]
        program = Program(loads + [(n * 7 + 1, n) for n in range(60)], seed)
        assert not program.synchronised
        assert not mismatch(program), explain(program)


FOUND = {
    "a release completes a load of emsk: the lanes are those of the issue": (
        "s.mov.b32 emsk, 0xff; smem.ld.b32 emsk, [0x0] @sreg[6:7]; v.mov.b32 vreg1, 0;"
        "vmem.atom.add.i32.release.blk vreg2, [0x0 + vreg1 * 0x4] @sreg[38:39], vreg1;"
        "vmem.st.b32.release.blk vreg2, [0x0 + vreg1 * 0x4] @sreg[38:39]; s.exit"
    ),
    "an access with an order is counted, too": (
        "v.mov.b32 vreg1, 0; vmem.ld.b32 vreg2, [0x0 + vreg1 * 0x4] @sreg[38:39]; v.mov.b32 vreg3, 5;"
        "vmem.atom.add.i32 vreg4, [0x0 + vreg1 * 0x4] @sreg[38:39], vreg3;"
        "vmem.red.add.i32 [0x0 + vreg1 * 0x4] @sreg[38:39], vreg3;"
        "vmem.st.b32.release.blk vreg3, [0x0 + vreg1 * 0x4] @sreg[38:39];"
        "tsm.atom.add.i32 vreg5, [sreg40 + vreg1 * 0x4], vreg3;"
        "tsm.red.add.i32.acquire.blk [sreg40 + vreg1 * 0x4], vreg3;"
        "s.wait tsmcnt(1); v.mov.b32 vreg6, vreg5; s.exit"
    ),
    "a load of emsk that is outstanding when the warp ends does not bring it back": (
        "s.mov.b32 sreg34, 1; smem.st.b32 sreg34, [0x0] @sreg[38:39]; smem.ld.b32 emsk, [0x0] @sreg[38:39];"
        "s.mov.b32 emsk, 0; simt.exit; s.mov.b32 emsk, 0xffffffff; s.mov.b32 sreg35, 7; s.exit"
    ),
    "with no lane active a sum is -0": "s.mov.b32 emsk, 0; v.red.add.f32 sreg20, vreg1; s.exit",
}
"""What random programs have found, made small."""


@pytest.mark.parametrize("lines", FOUND.values(), ids=FOUND.keys())
def test_found(lines: str) -> None:
    program, words = Program([], 4), [word_of(line) for line in lines.split(";")]
    start = prepare(program)
    for timing in ("eager", "late"):
        differs = difference(
            core(timing).run(program, words, start), run_model(program, words, start, timing == "late")
        )
        assert not differs, f"{timing}: {differs}"


def test_both_may_end_in_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two warps come to one barrier for 64 and for 32 threads, as in the program of seed 22,715."""
    lines = f"s.mull.i32 sreg20, sreg{COUNTERS[0]}, -32; s.add.i32 sreg20, sreg20, 64; s.bar.sync 3, sreg20; s.exit"
    monkeypatch.setattr(Program, "words", lambda _: [word_of(line) for line in lines.split(";")])
    program = Program([], 20)
    assert program.warps == 2
    assert not mismatch(program)
    monkeypatch.setattr(Block, "come", Mock(side_effect=Fault(3)))
    assert mismatch(program) == "eager: core fault 2, model fault 3"


PIECE = st.tuples(st.integers(0, len(makers()) - 1), st.integers(0, (1 << 32) - 1))
"""A piece with number 0 is no instruction: making numbers smaller deletes pieces."""


@given(pieces=st.lists(PIECE, min_size=60, max_size=60), seed=st.integers(0, 1 << 16))
@settings(max_examples=400)
def test_random_programs(pieces: list[tuple[int, int]], seed: int) -> None:
    program = Program(pieces, seed)
    differs = mismatch(program)
    assert not differs, f"{differs}\n{program.listing()}"


CHUNK = 500


@pytest.mark.slow
@pytest.mark.parametrize("count", [50_000, pytest.param(100_000, marks=pytest.mark.sweep)])
def test_many_random_programs(count: int) -> None:
    """Of 50 to 500 instructions; every form at least once. Half of them take a quarter of an hour on two cores."""
    chunks = [range(first, first + CHUNK) for first in range(0, count, CHUNK)]
    seen: set[str] = set()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for reports, forms in pool.map(sweep, chunks):
            assert not reports, "\n\n".join(reports[:3])
            seen |= forms
    assert names(ISA.forms()) - seen == set(NOT_IN_PROGRAMS)
