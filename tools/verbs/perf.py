"""`m890 perf`: how long collectives take in modelled time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..flag_types import Bytes
from ..help import Verb

if TYPE_CHECKING:
    from ...emulator.pod.ranks import Ranks
    from ..perf import Measurement, Row

NAMES = ("all_reduce", "all_gather", "broadcast", "reduce", "reduce_scatter", "all_to_all", "send_recv")
ALGORITHMS = ("one_shot", "two_shot", "ring")
ELEMENTS = ("f32", "bf16", "f16", "i32")

EXAMPLES = r"""
m890 perf all_reduce --chips 8 --max 64K
m890 perf all_reduce --chips 8 --min 16M --max 2G
m890 perf all_to_all --chip 810E --type bf16 --max 1M
m890 perf all_reduce --chip 810E --chips 16 --topology ring --max 1M
mpiexec -n 4 m890 perf all_reduce --chips 64 --max 1M
m890 perf all_reduce --algorithm two_shot --min 1M --max 16M --json
"""


@click.command("perf", cls=Verb, examples=EXAMPLES)
@click.argument("collective", type=click.Choice(NAMES))
@click.option("--chip", default="M890", help="The chip: M890, 810E, or a profile of your own, FILE.toml.")
@click.option("--chips", type=click.IntRange(1, 128), default=8, show_default=True, help="How many of them.")
@click.option(
    "--topology",
    metavar="KIND|FILE.toml",
    help="How chips are joined: switch, wired, ring, full, or a file with links; else as is usual for the chip.",
)
@click.option("--min", "least", type=Bytes(), default="8", show_default=True, help="First size.")
@click.option("--max", "most", type=Bytes(), default="16M", show_default=True, help="Last size.")
@click.option("--factor", type=click.IntRange(2), default=2, show_default=True, help="From one size to the next.")
@click.option("--type", "element", type=click.Choice(ELEMENTS), default="f32", show_default=True, help="Elements.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="Of all_reduce, instead of the usual one for a size.")
@click.option("--move", type=Bytes(), default="16M", show_default=True, help="Largest size that is moved.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Host threads; they change no time.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON, times in s and bandwidths in B/s.")
def command(
    collective: str, chip: str, chips: int, topology: str | None, least: int, most: int, factor: int, **how: Any
) -> None:
    """Time a collective on chips of a pod for sizes from --min to --max bytes.

    All times and bandwidths are modelled, from the profile of the chip and the links; they say nothing about this host.
    Sizes up to --move are moved and the result checked; larger ones are modelled from those, and say so.

    A size is that of the larger of a chip's arrays. algbw is size / time, busbw what a link carries at that speed. The
    usual algorithm of all_reduce: one_shot up to 16K, two_shot up to 4M (1M without a switch), above that ring.
    """
    from ..perf import sizes
    from ..ranks import together

    if most < least:
        raise click.UsageError(f"--max {most} is less than --min {least}")
    if how["algorithm"] and collective != "all_reduce":
        raise click.UsageError(f"--algorithm is for all_reduce; {collective} has one only")
    with together() as ranks:
        measurement = _measurement(collective, chip, chips, topology, how, ranks)
        _measure(measurement, sizes(least, most, factor), how["as_json"])


def _measurement(
    collective: str, chip: str, chips: int, topology: str | None, how: dict[str, Any], ranks: Ranks | None
) -> Measurement:
    from ...emulator.icn.topology import Topology
    from ..flags import topology_table
    from ..loading import find_profile
    from ..perf import Measurement

    try:
        profile = find_profile(chip)
        table = topology and topology_table(topology)
        measurement = Measurement(
            collective, profile, chips, how["element"], Topology.from_table(table, profile, chips) if table else None,
            how["algorithm"], how["threads"], how["move"], ranks,
        )  # fmt: skip
        measurement.joined(chips)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return measurement


def _measure(measurement: Measurement, sizes: list[int], as_json: bool) -> None:
    from ..output import say_json

    rows: list[Row] = []
    names = {
        "collective": measurement.name,
        "chip": measurement.profile.name,
        "chips": measurement.chips,
        "topology": measurement.joined(measurement.chips).name,
    }
    if not as_json:
        _head(measurement)
    for size in sizes:
        rows.append(measurement.row(size))
        if not as_json:
            _line(rows[-1])
    if as_json:
        say_json({**names, "rows": rows})
        return
    _foot(rows)


def _head(measurement: Measurement) -> None:
    from ..output import say, style

    joined = f", topology {measurement.topology.name}" if measurement.topology else ""
    chips = f"{measurement.chips} {measurement.profile.name}{joined}"
    say(f"{measurement.name} on {chips}; times and bandwidths are modelled")
    names = ("size", "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong")
    units = ("(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", "")
    say(style(_cells(names), bold=True))
    say(_cells(units).rstrip())


def _line(row: Row) -> None:
    from ..output import say

    wrong = "-" if row.wrong is None else row.wrong
    numbers = (f"{number:.2f}" for number in (row.seconds * 1e6, row.algbw / 1e9, row.busbw / 1e9))
    cells = _cells((row.size, row.count, row.type, row.redop, row.root, *numbers, wrong))
    say(" ".join(part for part in (cells, "", row.algorithm, row.how) if part or part is cells))


def _cells(values: tuple[object, ...]) -> str:
    widths = (12, 12, 6, 6, 5, 11, 8, 8, 7)
    return " ".join(f"{value!s:>{width}}" for value, width in zip(values, widths, strict=True))


def _foot(rows: list[Row]) -> None:
    from ..output import say

    say(f"average bus bandwidth {sum(row.busbw for row in rows) / len(rows) / 1e9:.2f} GB/s")
