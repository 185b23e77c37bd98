"""`m890 isa`: pages, and what a word finds."""

import json
import re

import pytest
from command_line import m890
from saxpy_folder import folder as folder

from m890.isa import ISA, aiu
from m890.isa.addresses import COUNTERS
from m890.isa.registers import CLOCKS, LANE_SPECIALS, NAMED_SCALARS
from m890.isa.suffixes import SUFFIXES
from m890.tools.lookup import SUBJECTS


def test_every_instruction_has_a_page_whose_fields_fill_the_word():
    from m890.tools import pages

    for instruction in ISA:
        assert pages.usage(instruction).startswith(instruction.mnemonic)
        for form in instruction.forms:
            seen = 0
            for part in pages.layout(form):
                mask = (1 << part.high + 1) - (1 << part.low)
                assert not seen & mask
                seen |= mask
            assert seen == (1 << 64) - 1
        assert pages.examples(instruction)
        for shown in pages.examples(instruction):
            assert shown.text.startswith(instruction.mnemonic)
            assert "{" not in str(shown)


def test_isa_prints_pages():
    page = m890("isa", "v.fma.f32.rtte").stdout
    for part in (
        "v.fma.f32.rtte[.ftz][.sat] d, a, b, c",
        "published (listings)",
        "63:54  opcode 0x204",
        "rounded once",
    ):
        assert part in page
    example = (
        r"v\.fma\.f32\.rtte +vreg4, vreg1, vreg2, vreg3 +// vreg1 = 1\.5, vreg2 = 2\.0, vreg3 = 0\.25 -> vreg4 = 3\.25"
    )
    assert re.search(example, page)
    assert m890("isa", "v.fma.f32.rtte.ftz").stdout == page
    listed = m890("isa", "--list").stdout.splitlines()
    assert len(listed) == len(set(listed)) > 1000
    assert {line.split()[0] for line in listed} == {instruction.mnemonic for instruction in ISA}
    assert all("v.cnvt" in line for line in m890("isa", "v.cnvt", "--list").stdout.splitlines())
    (found,) = json.loads(m890("isa", "v.fma.f32.rtte", "--json").stdout)
    assert found["opcode"] == 0x204
    assert found["words"][0]["fields"][0]["meaning"] == "opcode 0x204"
    assert "did you mean v.fma.f32.rtte" in m890("isa", "v.fma.f32.rte", code=2).stderr
    m890("isa", code=2)
    assert "no mnemonic contains 'zzz', and no description" in m890("isa", "zzz", "--list", code=2).stderr


@pytest.mark.parametrize(
    ("word", "first", "more"),
    [
        ("barrier", "s.blksyn\n", ["s.bar.sync b\n", "s.bar.arrive b, n"]),
        ("reduce", "vmem.red.", ["tsm.red.", "v.red."]),
        ("shuffle", "v.shuffle.{idx,up,down,bfly}.b32\n", []),
        ("shfl", "v.shuffle.{idx,up,down,bfly}.b32\n", []),
        ("Atomic", "vmem.atom.", ["tsm.atom."]),
        ("convert", "v.cnvt.", ["further entries"]),
        ("matrix", "tsm.ld.mat.", ["v.mma."]),
        ("reciprocal", "v.rcp", ["v.rsqrt"]),
        ("exponential", "v.exp2", []),
        ("swizzle", "", ["tsm.ld.swzl", "vmem.aiu.ld.tsm"]),
        ("fp8", "", ["v.cnvt.f32.{f16,bf16,tf32,e4m3", "v.mma"]),
        ("fragment", "", ["tsm.ld.mat", "v.mma"]),
        ("gather", "vmem.ld.{b8,", ["{vmem.ga.p,tsm}.ld."]),
        ("wgmma", "v.mma", []),
        ("%tid.x", "%tid.x\n", ["coordinate in its block, axis x", "v.mov.b32 vreg0, %tid.x"]),
        ("tid", "%tid.x\n", ["%tid.y", "%tid.z"]),
        ("%blkid.x", "%blkid.x\n", ["the same for all lanes"]),
        ("%clock64", "%clock64\n", ["s.mov.b64 sreg[40:41], %clock64"]),
        ("emsk", "emsk\n", ["execution mask"]),
        ("x0", "x0\n", ["`ivreg`"]),
        ("vldcnt", "vldcnt\n", ["vmem.ld", "s.wait vldcnt(0)"]),
    ],
)
def test_isa_looks_words_up(word: str, first: str, more: list[str]):
    found = m890("isa", word).stdout
    assert found.startswith(first)
    assert all(text in found for text in more)
    assert max(map(len, found.splitlines())) <= 100
    assert json.loads(m890("isa", word, "--json").stdout)


def test_a_page_has_what_its_chapter_says():
    page = " ".join(m890("isa", "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16").stdout.split())
    assert "All 32 lanes must be on" in page
    for layout, name in ((aiu.TILE, "d"), (aiu.TILE_AT, "p")):
        assert f"{name}: {layout.name}, {layout.words} words" in page
        assert all(f"{item.name} {item.meaning}" in page for item in layout.items)
    page = " ".join(m890("isa", "tsm.ld.mat.b32x4").stdout.split())
    assert "Each of the first 8, 16 or 32 lanes gives the address of one row" in page
    assert "lanes 4*r to 4*r + 3" in page
    page = " ".join(m890("isa", "v.mma.f32.bf16.m16n16k16").stdout.split())
    assert "12:r3 is lane 12 of the fourth register" in page
    (found,) = json.loads(m890("isa", "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16", "--json").stdout)
    assert found["descriptors"][0]["rows"][0] == ["0-1", aiu.TILE.items[0].name, aiu.TILE.items[0].meaning]
    assert found["chapter"]["heading"] == "The AIU"


def test_subjects_are_those_of_instructions():
    for subject, pattern in SUBJECTS.items():
        assert any(re.match(pattern, instruction.mnemonic) for instruction in ISA), subject


def test_a_list_of_what_a_word_finds():
    listed = {line.split()[0] for line in m890("isa", "matrix", "--list").stdout.splitlines()}
    assert {"tsm.ld.mat.b32x4", "v.mma.f32.bf16.m16n16k16"} <= listed


def test_isa_knows_every_named_register():
    for name in (*NAMED_SCALARS, *CLOCKS, *LANE_SPECIALS, *COUNTERS):
        assert m890("isa", name).stdout.startswith(f"{name}\n")


def test_isa_prints_directives():
    page = m890("isa", ".tsm").stdout
    assert page.startswith(".tsm BYTES [NAME]\n")
    assert ".tsm 32 * 4 tile" in page
    assert json.loads(m890("isa", ".tsm", "--json").stdout)["name"] == ".tsm"
    assert "here it is .tsm" in m890("isa", ".shared", code=2).stderr
    assert "did you mean .param" in m890("isa", ".parm", code=2).stderr
    assert "there are .arch, .kernel" in m890("isa", ".zzz", code=2).stderr


def test_isa_says_what_suffixes_mean_and_where_they_may_stand():
    page = m890("isa", "vmem.st.b32").stdout
    assert re.search(r"\.STORE_ORDER +memory order and scope of a store: .*\.release\.blk\s+9", page, re.DOTALL)
    assert ".ACQUIRE" not in page
    for word in (".release", ".release.gpu", "STORE_ORDER", ".STORE_ORDER"):
        assert "of vmem.st, tsm.st\n" in m890("isa", word).stdout
    assert "v.fma" in m890("isa", ".ftz").stdout
    assert "toward zero" in m890("isa", ".rtz").stdout
    assert "cache policy" in m890("isa", ".kp0").stdout
    assert ".set NAME, VALUE" in m890("isa", ".set").stdout  # a directive, not a suffix
    for suffix in SUFFIXES.values():
        for text in suffix.texts.values():
            assert suffix.usage in m890("isa", text).stdout


def test_isa_cuts_examples_that_have_many_values():
    long = "tsm.ld.mat.b32x4"
    (found,) = json.loads(m890("isa", long, "--json").stdout)
    assert len(str(found["examples"][0])) > 300
    assert max(map(len, m890("isa", long).stdout.splitlines())) < 210
    assert " ...\n" in m890("isa", long).stdout


def test_isa_says_where_an_instruction_is():
    where = {line.split()[0]: line.split()[2] for line in m890("isa", "tsm.ld", "--list").stdout.splitlines()}
    assert where["tsm.ld.mat.b32x4"] == "ppu0015"
    assert where["tsm.ld.ncom.b32x4"] == "ppu001"
    assert where["tsm.ld.b32"] == "both"
    (found,) = json.loads(m890("isa", "tsm.ld.ncom.b32x4", "--list", "--json").stdout)
    assert found["architectures"] == ["ppu001"]


def test_isa_finds_the_middle_of_a_mnemonic_and_habits_in_lists():
    assert "have it within: tsm.ld.mat.b32," in m890("isa", "ld.mat", code=2).stderr
    assert "here it is s.blksyn" in m890("isa", "bar.sync", code=2).stderr
    assert "here it is v.shuffle" in m890("isa", "v.shfl", "--list", code=2).stderr
