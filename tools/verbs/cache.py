"""`m890 cache`: the machine code kept on disk."""

from __future__ import annotations

import click

from ..help import Verb

EXAMPLES = r"""
m890 cache
m890 cache --clear
"""


@click.command("cache", cls=Verb, examples=EXAMPLES)
@click.option("--clear", is_flag=True, help="Remove everything.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(clear: bool, as_json: bool) -> None:
    """Show, or clear, the cache of compiled instructions.

    It is never stale: an object's name is a hash of all that it depends on. It lies in $M890_CACHE_DIR, by default
    $XDG_CACHE_HOME/m890 or ~/.cache/m890, and clearing it costs a second or so when the next kernel runs.
    """
    from ...emulator.codegen.cache import ObjectCache, folder
    from ..output import say, say_json

    place = folder()
    removed = ObjectCache(place).clear() if clear and place.is_dir() else 0
    sizes = [file.stat().st_size for file in place.glob("*.o")] if place.is_dir() else []
    if as_json:
        say_json({"folder": str(place), "objects": len(sizes), "bytes": sum(sizes), "removed": removed})
    elif clear:
        say(f"{place}: {removed} files removed")
    else:
        say(f"{place}: {len(sizes)} objects, {sum(sizes):,} bytes")
