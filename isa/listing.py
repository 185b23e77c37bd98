"""Listings of the vendor's tools, as source text: what is no instruction becomes the directive it stands for.

    Disassembly of section .text.kernel.saxpy:          .kernel saxpy
    0000000000000110 <scale>:                           .func scale (in .text), or a label
    ; /tmp/saxpy.cu:27                                  .loc 27, "/tmp/saxpy.cu"
          50: c9 00 04 00 e0 00 01 c9   vmem.ld...      as it is: the assembler compares bytes and text

    HGBAT-INFO: Binary Function "f" after disassembly {          .func f, or .kernel f if it was listed as one
          00000008:     s.wait pipe_flush                         the same without its address

Every line stays a line, so that messages name the right one. Lines that are none of these are left alone: what a
listing does not say, such as .param, can be added. In a listing without sections of kernels those in .text are kernels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .program import ARCHITECTURES, NOP
from .strings import escape

KERNEL_SECTION = ".text.kernel."
ARCHITECTURE_OF = {f"{number / 100}": name for name, number in ARCHITECTURES.items()}
"""Architectures by the number that the tools call them: 1.5 and 1.0."""

_SECTION = re.compile(r"Disassembly of section (\S+):\s*")
_HEADER = re.compile(r"[0-9A-Fa-f]{8,16}\s+<?([A-Za-z_.$][\w.$]*)>?:\s*")
_OTHER = re.compile(r"\S+ contents:\s*|.*:\s+file format \S+\s*")
_FILE = re.compile(r"ELF FILE \d+(?::| \(PPU (?P<arch>[\d.]+)\).*)\s*")
_LINE = re.compile(r"\s*;\s*(\S.*):(\d+)\s*")
_WORD = re.compile(r"\s*([0-9A-Fa-f]+):\s+((?:[0-9A-Fa-f]{2}\s+){8})")
_LOCAL = re.compile(r"L?BB\d+_\d+|\.L.*")
_ANALYSER = re.compile(r"HGBAT-INFO:.*")
_LISTED = re.compile(r"HGBAT-INFO: Func \d+ \(kernel\): (\S+)\s*")
_ANALYSED = re.compile(r'HGBAT-INFO: (?:Binary Function )?"([A-Za-z_.$][\w.$]*)" .*\{\s*')
_FACT = re.compile(r"\s+[A-Z][\w ]*?\s*: \S+\s*|\}\s*")
_ADDRESS = re.compile(r"\s+[0-9A-Fa-f]{8}:(?=\s+[a-z])")
_NOPS = {NOP.to_bytes(8, order) for order in ("little", "big")}


class Gap(NamedTuple):
    """Words that a listing leaves out: before which line (from 0), and how many."""

    line: int
    words: int


def is_listing(lines: Sequence[str]) -> bool:
    """Whether a text has lines that only listings have."""
    marks = (_SECTION, _HEADER, _ANALYSER)
    return any(line[:1] in "D0H" and any(mark.fullmatch(line) for mark in marks) for line in lines)


def word_of(content: str) -> tuple[int, int]:
    """The word that eight bytes in hex are, lowest first and highest first."""
    data = bytes.fromhex(content)
    return int.from_bytes(data, "little"), int.from_bytes(data, "big")


@dataclass
class Listing:
    """A listing being read; `lines` gives its lines as source, `gaps` what it leaves out."""

    texts: Sequence[str]

    def __post_init__(self) -> None:
        self.gaps: list[Gap] = []
        self.kernels_in_text = not any(
            line.startswith(f"Disassembly of section {KERNEL_SECTION}") for line in self.texts
        )
        self.kernels = {match[1] for line in self.texts if (match := _LISTED.fullmatch(line))}
        self.section = ".text"
        self.function = ""
        self.arch = ""
        self.next: int | None = None

    def lines(self) -> Iterator[str]:
        """The lines as source text."""
        for number, line in enumerate(self.texts):
            yield self._line(number, line)

    def _line(self, number: int, line: str) -> str:
        if match := _SECTION.fullmatch(line):
            return self._begin(match[1])
        if match := _FILE.fullmatch(line):
            return self._architecture(ARCHITECTURE_OF.get(match["arch"] or "", ""))
        if _OTHER.fullmatch(line):
            return self._begin("")
        if _ANALYSER.fullmatch(line):
            match = _ANALYSED.fullmatch(line)
            self.function = match[1] if match else ""
            return f"{'.kernel' if self.function in self.kernels else '.func'} {self.function}" if match else ""
        if not self.section.startswith(".text") or _FACT.fullmatch(line) or line.strip() == f"{self.function}:":
            return ""
        if match := _HEADER.fullmatch(line):
            return self._name(match[1])
        if match := _LINE.fullmatch(line):
            return f'.loc {match[2]}, "{escape(match[1].encode())}"' if self.function else ""
        if match := _WORD.match(line):
            return self._word(number, line, int(match[1], 16), bytes.fromhex(match[2]))
        line = _ADDRESS.sub(lambda found: " " * len(found[0]), line)
        return "" if line.strip() == "..." else line

    def _begin(self, section: str) -> str:
        """A section: that of a kernel begins it; those without code are passed over."""
        self.section, self.function, self.next = section, "", None
        if not section.startswith(KERNEL_SECTION):
            return ""
        self.function = section.removeprefix(KERNEL_SECTION)
        return f".kernel {self.function}"

    def _architecture(self, arch: str) -> str:
        """The first file says which architecture it is for."""
        first = arch and not self.arch
        self.arch = self.arch or arch
        return f".arch {arch}" if first else ""

    def _name(self, name: str) -> str:
        """What begins here: a function, the kernel of the section, or a label."""
        if name in (self.section, self.function):
            return ""
        if self.function and (self.section != ".text" or _LOCAL.fullmatch(name)):
            return f"{name}:"
        self.function, self.next = name, None
        return f"{'.kernel' if self.kernels_in_text else '.func'} {name}"

    def _word(self, number: int, line: str, address: int, content: bytes) -> str:
        """An instruction stays as it is; what .text begins with is there anyhow."""
        if not self.function and content in _NOPS:
            return ""
        if self.next is not None and address != self.next:
            self.gaps.append(Gap(number, (address - self.next) // 8))
        self.next = address + 8
        return line
