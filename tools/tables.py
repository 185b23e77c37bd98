"""The tables in hand-written pages that are made from the program: `python -m m890.tools.tables docs/*.md`.

A page has a line `<!-- table: NAME -->` before such a table and `<!-- end -->` behind it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from ..isa.directives import REFERENCE
from ..programs import NAMES, module, source
from .initial import FORM_MEANINGS, FORMS
from .launchfile_keys import KEYS
from .library import files, macros_of, title

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A markdown table."""
    lines = [heads, ["---"] * len(heads), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    return "<br>".join(f"`{line.replace(' ', chr(0xA0)) if line[0] == ' ' else line}`" for line in text.splitlines())


def directives() -> str:
    """Every directive."""
    rows = [
        (_code(entry.syntax.replace(" or ", "\n")), entry.meaning, _code(entry.example)) for entry in REFERENCE.values()
    ]
    return table(("directive", "meaning", "example"), rows)


def launch_keys() -> str:
    """Every key of a launch file."""
    parts: list[str] = []
    for name, keys in KEYS.items():
        rows = [(f"`{key}`", entry.takes, _default(entry.default), entry.meaning) for key, entry in keys.items()]
        parts += [
            f"`{name}`" if name else "At the top of the file:",
            table(("key", "takes", "default", "meaning"), rows),
        ]
    return "\n\n".join(parts)


def _default(text: str) -> str:
    if not text:
        return "must be given"
    return text if " " in text else f"`{text}`"


def init_forms() -> str:
    """Every form of `init` and `--arg`."""
    return table(("form", "what the buffer holds"), [(f"`{FORMS[name]}`", FORM_MEANINGS[name]) for name in FORMS])


def library() -> str:
    """Every macro of programs/include/, by file."""
    parts: list[str] = []
    for file, text in files().items():
        rows = [(f"`{macro.usage}`", macro.paragraphs[0]) for macro in macros_of(text)]
        parts += [f"`{file}`: {title(text)}", table(("macro", "meaning"), rows)]
    return "\n\n".join(parts)


def programs() -> str:
    """Every program: its module's first line, its kernels, and the chips that it is for."""
    rows = []
    for name in NAMES:
        summary = (import_module(f"..programs.{name}", __package__).__doc__ or "").split("\n", 1)[0]
        kernels = ", ".join(f"`{kernel}`" for kernel in module(name).kernels)
        chips = "M890" if ".arch" in source(name) else "both"
        rows.append((f"[{name}](../programs/{name}.s)", summary.partition(": ")[2], chips, kernels))
    return table(("program", "what it does", "chips", "kernels"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "directives": directives,
    "library": library,
    "programs": programs,
    "launch_keys": launch_keys,
    "init_forms": init_forms,
}


def filled(page: str) -> str:
    """A page with its tables as they should be."""
    return _PLACE.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}", page)


def main(files: Sequence[str]) -> int:
    """Put the tables into the pages named."""
    for file in files:
        path = Path(file)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

__all__ = ["TABLES", "filled", "main", "table"]
