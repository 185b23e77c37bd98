"""The manual is the table's: it is up to date, complete, and every line of assembly in it assembles."""

import random
import re
from pathlib import Path

import pytest

from m890.isa import FAMILIES, ISA, matrix_loads, tensor
from m890.isa.assembler import assemble
from m890.isa.operands import RegisterKind
from m890.isa.registers import NAMED_SCALARS
from m890.tools import manual, manual_chapters, manual_entries
from m890.tools.manual_examples import sample

COMMITTED = Path(__file__).parents[1] / "docs" / "isa.md"
TEXT = manual.manual()


def assembles(text: str, arch: str = "ppu0015") -> None:
    assemble(f".arch {arch}\n.kernel one\n.param ptr x\n.equ n, 3\nloop: 1:\n{text}\n1:\n")


def test_the_committed_manual_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == TEXT, "run `make docs` and commit docs/isa.md"


def test_check_tells_whether_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual, "manual", lambda: TEXT)  # which takes a second
    path = tmp_path / "isa.md"
    assert manual.main(["--check", str(path)]) == 1
    assert manual.main([str(path)]) == 0
    assert manual.main(["--check", str(path)]) == 0
    path.write_text(TEXT.replace("saturate", "saturates"), encoding="utf-8")
    assert manual.main(["--check", str(path)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert manual.main([]) == 2


@pytest.mark.parametrize("option", ["--chek", "--help", "-h"])
def test_an_unknown_option_writes_no_file(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert manual.main([option]) == 2
    assert not list(tmp_path.iterdir())


def test_every_mnemonic_has_a_page() -> None:
    """A page names the mnemonic, its word and its meaning; suffixes stand in its usage."""
    for mnemonic in sorted({instruction.mnemonic for instruction in ISA}):
        pages = manual.pages_for(mnemonic)
        spelled = [name for name in ISA.by_mnemonic if name.startswith(f"{mnemonic}.")][:3]
        assert all(manual.pages_for(name) for name in spelled), mnemonic
        meant = {form.instruction for form, _ in ISA.by_mnemonic[mnemonic]}
        for instruction in meant:
            word = f"{instruction.forms[0].value:016x}"
            page = next(page for page in pages if word in page)
            assert instruction.page in page, instruction
            assert f"`{instruction.mnemonic}`" in page, instruction
            assert f"[`{instruction.mnemonic}`](#" in TEXT, instruction
            assert all(f"[{suffix.usage}]" in page for suffix in instruction.suffixes), instruction
            assert instruction.page in manual.page(instruction), instruction


def test_links_lead_somewhere() -> None:
    anchors = [manual.anchor(heading) for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= set(anchors)


def test_an_unknown_mnemonic_has_no_page() -> None:
    assert manual.pages_for("v.add.f33") == []


def test_examples_assemble() -> None:
    """Every example of the table is shown in some layout, and its text is the word of that instruction."""
    for instruction, example in [(each, example) for each in ISA for example in each.examples]:
        shown = [sample(form, example) for form in instruction.forms]
        assert any(shown), instruction
        for form, text in zip(instruction.forms, shown, strict=True):
            if text is not None:
                arch = instruction.architectures[0]
                word = int(assemble(f".arch {arch}\n.kernel one\n{text.text}\n").kernels["one"].words[0])
                found = ISA.decode(word, arch).form
                assert found is form, text.text


def test_all_assembly_in_the_manual_assembles() -> None:
    blocks = re.findall(r"Examples:\n\n```\n(.*?)```", TEXT, re.DOTALL)
    groups = [
        group
        for family in FAMILIES
        for group in manual_entries.entries(ISA)
        if manual_entries.chapter_of(group[0]) is family
    ]
    for block, group in zip(blocks, groups, strict=True):
        assembles(block, group[0].architectures[0])


def test_where_ranges_begin() -> None:
    """What the syntax chapter says: at a multiple of their size, in matrix instructions, loads and stores of 2."""
    (row,) = (line for line in manual_chapters.syntax().splitlines() if "`vreg[4:5]`" in line)
    assert "a multiple of how many they are; in matrix instructions, loads and stores of 2" in row
    for instruction in ISA:
        matrix = manual_entries.chapter_of(instruction) in (tensor, matrix_loads)
        for kind in instruction.kinds:
            if isinstance(kind, RegisterKind) and kind.words > 2:
                assert (kind.align or kind.words) == (2 if matrix else kind.words), instruction.mnemonic


def test_operand_texts_of_the_syntax_chapter_assemble() -> None:
    """Each text of the table is an operand of one of these."""
    rows = re.findall(r"^\| (`.*`) \| .* \|$", manual_chapters.syntax(), re.MULTILINE)
    uses = ("v.add.f32 vreg1, vreg2, {}", "v.add.f32 vreg1, {}, vreg2", "s.mov.b32 sreg40, {}", "s.cbr {}",
            "vmem.ld.b32 vreg1, {}", "vmem.ld.b32x2 {}, [0] @x", "smem.ld.b32x4 {}, [0] @x", "tsm.ld.b32 vreg1, {}",
            "s.wait {}", "s.lop.emsk sreg40, sreg41 {}")  # fmt: skip
    texts = [text.replace("\\|", "|") for row in rows for text in re.findall(r"`([^`]*)`", row)]
    assert len(texts) > 20
    for text in texts:
        text = text.replace("lo(x)", "lo(5)").replace("hi(x)", "hi(5)")
        for use in uses:
            try:
                assembles(use.format(text))
                break
            except ValueError:
                continue
        else:
            raise AssertionError(f"{text} is no operand")


def test_layouts_are_whole() -> None:
    """The columns of a layout cover every bit once, and the operands' bits are where they say."""
    for form in ISA.forms():
        columns = manual_entries.columns(form)
        bits = [bit for high, low, _ in columns for bit in range(high, low - 1, -1)]
        assert bits == list(range(63, -1, -1)), form
        word = form.sample(random.Random(1))
        for high, low, label in columns:
            value = word >> low & ((1 << high - low + 1) - 1)
            if re.fullmatch(r"0|[1-9]|0x[0-9a-f]+", label):
                assert value == int(label, 0), form
        named = {label for _, _, label in columns}
        for kind in form.instruction.kinds:
            if kind.name not in ("at", "counters") and kind.bits(form.immediate):
                assert kind.name in named, form


def test_folding() -> None:
    assert manual_entries.fold(["v.add.f32"]) == "v.add.f32"
    assert manual_entries.fold(["s.min.u32", "v.min.u32", "s.min.i32", "v.min.i32"]) == "{s,v}.min.{u32,i32}"
    assert manual_entries.fold(["v.add.f32", "v.add.f32.rtz"]) == "v.add.f32{,.rtz}"
    assert manual_entries.fold(["s.madw.u64.u32", "s.madw.i64.i32"]) == "s.madw.{u64.u32,i64.i32}"
    assert manual_entries.folds(["a.b.c", "d.e"]) == ["a.b.c", "d.e"]


def test_every_special_register_has_a_meaning() -> None:
    used = {name if name in manual_chapters.MEANINGS else name.rpartition(".")[0] for name in NAMED_SCALARS}
    assert used == set(manual_chapters.MEANINGS)
