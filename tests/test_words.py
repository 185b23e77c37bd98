"""Words: the published ones, every form both ways, and what becomes of a word with one bit flipped."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from m890.isa import ISA, DecodeError, Form
from m890.isa.assembler import assemble

PUBLISHED = {
    0x0800000000000000: "s.nop",
    0x7F80000000000000: "simt.exit",
    0x5680402000000000: "v.mov.alllane.b32 vreg1, 0x0",
    0x57C0C90000000000: "v.tid.init vreg3, sreg[36:37]",
    0x9A00C0E000000FFF: "v.and.b32 vreg3, vreg3, 0xfff",
    0x2600092000000FFF: "s.and.b32 sreg0, sreg36, 0xfff",
    0x267C3C0007000000: "s.or.b32 emsk, emsk, sreg14",
    0x1C03808000002000: "s.lop.emsk sreg14, sreg2 # 0x8",
    0xBFD2028201808000: "v.cmp.gt.u32 sreg2, sreg10, vreg3.reuse",
    0xBFD2034001814000: "v.cmp.gt.u32 sreg5, sreg13, vreg3",
    0x08C4000001C00000: "s.wait vldcnt(7)",
    0x08F1000000000000: "s.wait pipe_flush",
    0x09000020300FFFFE: "s.cbr 0xffffe",
    0xC90100E0000400C9: "vmem.ld.b32x4.kp1 vreg[4:7], [0x0 + vreg3 * 0x10] @sreg[6:7]",
    0xC90500E0810400C9: "vmem.ld.b32x4.kp1 vreg[20:23], [0x810 + vreg3 * 0x10] @sreg[6:7]",
    0xCD0100E000040108: "vmem.st.b32x4 vreg[4:7], [0x0 + vreg3 * 0x10] @sreg[8:9]",
    0x5004002000000000: "v.mov.b32 vreg16, 0x0",
}
"""Published words beside their text (BIN, DG)."""

FORMS = list(ISA.forms())
PLACES = {id(form): place for place, form in enumerate(FORMS)}


def words_of(texts: list[str], arch: str = "ppu0015") -> list[int]:
    """The words of instruction texts, by the assembler, in kernels of some thousand lines."""
    words: list[int] = []
    for start in range(0, len(texts), 10_000):
        module = assemble("\n".join([f".arch {arch}", ".kernel k", *texts[start : start + 10_000]]))
        words += module.kernels["k"].words.tolist()
    return words


@pytest.mark.parametrize(("word", "text"), PUBLISHED.items(), ids=PUBLISHED.values())
def test_published_words_both_ways(word: int, text: str) -> None:
    assert ISA.text(word) == text
    assert words_of([text]) == [word]


def round_trip(forms: list[Form], samples: int) -> None:
    """Random valid words of every form go to text and back through the assembler."""
    random = Random(1)
    for arch in ("ppu0015", "ppu001"):
        chosen = [form for form in forms if arch in form.instruction.architectures]
        words = [form.sample(random) for form in chosen for _ in range(samples)]
        texts = [ISA.text(word) for word in words]
        for text, word, found in zip(texts, words, words_of(texts, arch), strict=True):
            assert found == word, f"{text}: {word:#018x} became {found:#018x}"


def reencodes(word: int) -> bool:
    """Whether a word is an instruction, which then must be that word again; anything else fails."""
    try:
        decoded = ISA.decode(word)
    except DecodeError:
        return False
    assert decoded.form.encode(decoded.values, decoded.suffixes) == word
    return True


def flips(forms: list[Form], samples: int, thorough: int) -> None:
    """Each single-bit flip of valid words: vectorised and scalar decoding agree, survivors are themselves.

    The words of all forms are decoded at once. A part of the survivors is decoded and encoded singly; all flips
    of `thorough` words of each form are, and those that are instructions are read back from their text, too.
    """
    random = Random(FORMS.index(forms[0]))
    words = np.array([[form.sample(random) for _ in range(samples)] for form in forms], np.uint64)
    flipped = words[:, :, None] ^ (np.uint64(1) << np.arange(64, dtype=np.uint64))
    found = ISA.decode_many(flipped.ravel()).reshape(flipped.shape)
    survivors = flipped[found >= 0]
    for word in survivors[:: max(1, len(survivors) // (len(forms) * samples))]:
        assert reencodes(int(word))
    first = flipped[:, :thorough].ravel().tolist()
    alive = [word for word in first if reencodes(word)]
    assert alive == flipped[:, :thorough][found[:, :thorough] >= 0].tolist()
    for arch in ("ppu0015", "ppu001"):
        same = [word for word in alive if arch in ISA.decode(word).form.instruction.architectures]
        assert words_of([ISA.text(word) for word in same], arch) == same


def random_words(count: int) -> None:
    """decode_many agrees with decode on random words, half of them with an opcode that exists."""
    generator = np.random.default_rng(7)
    opcodes = np.array(sorted(ISA.by_opcode), np.uint64)
    for start in range(0, count, 1 << 20):
        size = min(1 << 20, count - start)
        words = generator.integers(0, 1 << 64, size, np.uint64)
        known = generator.choice(opcodes, size // 2) << np.uint64(54)
        words[: size // 2] = (words[: size // 2] & np.uint64((1 << 54) - 1)) | known
        found = ISA.decode_many(words)
        valid = words[found >= 0]
        for word, place in zip(valid[:2000], found[found >= 0][:2000], strict=True):
            decoded = ISA.decode(int(word))
            assert PLACES[id(decoded.form)] == place
            assert decoded.form.encode(decoded.values, decoded.suffixes) == word
        for word in words[found < 0][:: max(1, size // 4000)]:
            with pytest.raises(DecodeError):
                ISA.decode(int(word))


def test_every_form_round_trips_through_text() -> None:
    round_trip(FORMS, 10)


def test_flipped_bits() -> None:
    flips(FORMS, 10, 1)


def test_random_words() -> None:
    random_words(100_000)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(FORMS), 20))
def test_every_form_round_trips_through_text_slow(start: int) -> None:
    round_trip(FORMS[start : start + 20], 1000)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(FORMS), 20))
def test_flipped_bits_slow(start: int) -> None:
    flips(FORMS[start : start + 20], 1000, 20)


@pytest.mark.slow
def test_random_words_slow() -> None:
    random_words(10_000_000)


def test_decode_errors_say_what_is_wrong() -> None:
    with pytest.raises(DecodeError, match=r"opcode 0x000 is not assigned"):
        ISA.decode(0x1234)
    with pytest.raises(DecodeError, match=r"nearest is s\.nop, but for bits 3"):
        ISA.decode(0x0800000000000008)
    with pytest.raises(DecodeError, match=r"not aligned"):
        ISA.decode(0xC90140E0000400C9)


def test_what_is_no_word_of_64_bits() -> None:
    for number in (-1, 1 << 64):
        with pytest.raises(DecodeError, match="is no word of 64 bits"):
            ISA.decode(number)
    words = [0x0800_0000_0000_0000, 0xFFFF_0000_0000_0000]
    names = [form.name for form in ISA.forms()]
    assert [names[index] if index >= 0 else "" for index in ISA.decode_many(words)] == ["s.nop", ""]
