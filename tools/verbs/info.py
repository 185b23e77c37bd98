"""`m890 info`: what is known of the chips."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any, cast

import click

from ..help import Verb

if TYPE_CHECKING:
    from ...emulator.profiles import Fact, Profile

SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
BINARY = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


EXAMPLES = r"""
m890 info
m890 info M890
m890 info M890 mine.toml
m890 info 810E --json
"""


@click.command("info", cls=Verb, examples=EXAMPLES)
@click.argument("profiles", nargs=-1, metavar="[M890|810E|FILE.toml]...")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers in their units as JSON.")
def command(profiles: tuple[str, ...], as_json: bool) -> None:
    """Print chip profiles: every number with its tag and source, side by side if there are several.

    Tags: `published` by the vendor or in print, `measured` by someone with the card, `defined` by this project because
    nothing public says it. A profile of your own is a TOML file: base = "M890" and entries to override.
    """
    from ...emulator.profiles import PROFILES
    from ..loading import find_profile
    from ..output import say_json

    try:
        chosen = [find_profile(name) for name in profiles or PROFILES]
    except ValueError as error:
        if any(name.endswith(".toml") for name in profiles):
            raise
        raise click.UsageError(str(error)) from None
    if as_json:
        found = {one.name: {name: _fact(fact) for name, fact in one.facts()} for one in chosen}
        say_json(found)
    else:
        _print(chosen)


def _fact(fact: Fact[Any]) -> dict[str, Any]:
    return {"value": fact.value, "unit": fact.unit, "tag": fact.tag, "source": fact.source, "meaning": fact.meaning}


def _print(chosen: list[Profile]) -> None:
    from ..output import say, style

    first = max(len(name) for name, _ in chosen[0].facts()) + 2
    width = max(30, (max(100, shutil.get_terminal_size().columns) - first) // len(chosen) - 2)
    say(style(" " * first + "  ".join(f"{one.name:<{width}}" for one in chosen).rstrip(), bold=True))
    for name, fact in chosen[0].facts():
        say(f"{style(f'{name:<{first}}', bold=True)}{fact.meaning}")
        cells = [_cell(one.fact(name), width) for one in chosen]
        for row in range(max(len(cell) for cell in cells)):
            parts = [_padded(cell[row] if row < len(cell) else "", width) for cell in cells]
            say((" " * first + "  ".join(parts)).rstrip())


def _padded(text: str, width: int) -> str:
    """Pad to a width; the tag that begins a source gets its colour."""
    from ..output import TAG_COLOURS, style

    padded = f"{text:<{width}}"
    tag = text.partition(":")[0]
    return padded.replace(tag, style(tag, fg=TAG_COLOURS[tag]), 1) if tag in TAG_COLOURS else padded


def _cell(fact: Fact[Any], width: int) -> list[str]:
    """The lines of one fact: its value, then tag and source."""
    lines = textwrap.wrap(value_text(fact.value, fact.unit), width) or ["(none)"]
    return lines + textwrap.wrap(f"{fact.tag}: {fact.source}", width)


def value_text(value: Any, unit: str) -> str:
    """A value with its unit as people write it: `144 GiB`, `2.5 TB/s`, `26.8 us`."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        parts = cast("tuple[Any, ...]", value)
        if not parts:
            return "none"
        if isinstance(parts[0], tuple):
            return ", ".join(f"{'-'.join(map(str, row[:-1]))}: {value_text(row[-1], unit)}" for row in parts)
        return f"{' x '.join(map(str, parts))} {unit}" if isinstance(parts[0], int) else " ".join(parts)
    if isinstance(value, int | float):
        return _number(value, unit)
    return str(value)


def _number(value: int | float, unit: str) -> str:
    if unit == "B" and isinstance(value, int):
        for size, name in BINARY:
            if value >= size and value % (size >> 6 or 1) == 0:
                return f"{value / size:g} {name}"
    if unit == "s":
        for size, prefix in SMALL:
            if value >= size:
                return f"{value / size:g} {prefix}s"
    if unit in ("B/s", "bit/s", "FLOP/s", "Hz"):
        for size, prefix in SI:
            if value >= size:
                return f"{value / size:.4g} {prefix}{unit}"
    text = (
        f"{value:,}"
        if isinstance(value, int) and value >= 10_000
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return f"{text} {unit}".rstrip()
