"""Launch files: buffers, launches, checks and what to save, in TOML; docs/launch-files.md describes them.

Paths of what is read are relative to the launch file. `read` checks everything that can be checked without running;
whatever is wrong ends in an InputError that names the file, the line, the key, and what is allowed there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

from .arrays import ELEMENTS, Element, Shape
from .exits import InputError
from .initial import Init, parse

TIMINGS = ("eager", "late")
Scalar = int | float
ArgumentValue = Scalar | str | list[Scalar]
"""A number, the name of a buffer, or the numbers of an array parameter."""


@dataclass(frozen=True, slots=True)
class BufferSpec:
    """`[buffers.NAME]`. Type and shape are None where a file says them."""

    name: str
    init: Init
    type: Element | None = None
    shape: Shape | None = None
    where: str = ""
    """The place of `init` in the launch file."""
    chip: int | None = 0
    """The chip it is on; None for all, each with a part of its own."""
    chip_where: str = ""


@dataclass(slots=True)
class LaunchSpec:
    """One `[[launch]]`; `where` is its place in the file. `kernel` is None for the only one of the object."""

    object: Path
    kernel: str | None
    grid: tuple[int, ...]
    block: tuple[int, ...]
    tsm: int
    args: dict[str, ArgumentValue]
    where: str
    object_where: str = ""
    cooperative: bool = False
    chips: tuple[int, ...] | None = None
    """The chips that run it; None for all."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One `[[check]]`: `buffer` must be within atol + rtol * |expected| of what `expect` gives."""

    buffer: str
    expect: Init
    rtol: float = 0.0
    atol: float = 0.0
    nan_equal: bool = True
    where: str = ""
    """The place of `expect` in the launch file."""
    chip: int | None = None
    """Of a buffer on all chips, the one to look at; None for all."""
    chip_where: str = ""


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One `[[fault]]`: the link's ends (a chip, or a switch "s0"), and the fields of a LinkFault."""

    link: tuple[object, object]
    state: dict[str, Any]
    where: str


@dataclass(slots=True)
class Job:
    """All that a run is asked for, by a launch file or by flags."""

    profile: str = "M890"
    chips: int = 1
    quantum: int = 4096
    timing: str = "eager"
    seed: int = 0
    threads: int = 1
    changed: tuple[str, ...] = ()
    """Flags that changed a launch of the file or its arguments."""
    topology: dict[str, Any] | None = None
    """`[topology]`; None for the profile's usual one."""
    topology_where: str = ""
    """The file that says it."""
    faults: list[FaultSpec] = field(default_factory=list[FaultSpec])
    folder: Path = Path()
    """Where a profile named by a relative path lies."""
    buffers: dict[str, BufferSpec] = field(default_factory=dict[str, BufferSpec])
    launches: list[LaunchSpec] = field(default_factory=list[LaunchSpec])
    checks: list[CheckSpec] = field(default_factory=list[CheckSpec])
    saves: dict[str, str] = field(default_factory=dict[str, str])


class Key(NamedTuple):
    """A key of a launch file: what it takes, its default as TOML ("" where it must be given), and what it means."""

    takes: str
    default: str
    meaning: str


FREE = "NAME"
"""Stands for the keys of a table that may have any name."""
KEYS: dict[str, dict[str, Key]] = {
    "": {
        "profile": Key("text", '"M890"', "the chip: `M890`, `810E`, or a profile of your own, `FILE.toml`"),
        "chips": Key("whole number", "1", "number of chips; several can access each other's memory"),
        "quantum": Key("whole number", "4096", "instructions a chip runs at a time in a pod; no effect on one chip"),
        "threads": Key("whole number", "1", "host threads that run the chips; changes no result"),
        "timing": Key(
            "`eager` or `late`", '"eager"', "when loads and stores complete: at once, or as late as they may"
        ),
        "seed": Key(
            "whole number",
            "0",
            "order of blocks and warps: 0 one after the other, others interleaved, and packets delayed at random",
        ),
    },
    "[buffers.NAME]": {
        "type": Key(
            "type", "of `init`", "type of an element: `u8` to `u64`, `s8` to `s64`, `f16` to `f64`, `bf16`, ..."
        ),
        "shape": Key("whole numbers", "of `init`", "extents, `[32, 32]`; `1000` is `[1000]`"),
        "init": Key("init form", '"zeros"', "what the buffer holds at first, see below"),
        "chip": Key(
            'whole number or `"all"`',
            "0",
            "the chip whose HBM holds it; on all, it is at the same offset on each, `shape`, and that of a form, is "
            "what each has, and `init` fills all parts as one array, the chips its first axis (a file has that axis, "
            "or is the same for all)",
        ),
    },
    "[topology]": {
        "kind": Key("text", "of the profile", "`switch`, `wired`, `ring` or `full`"),
        "links": Key("list", "of `kind`", 'pairs of nodes and how many links join them, `[[0, 1, 2], [1, "s0"]]`'),
        "switches": Key("whole number", "0", "switches, called s0, s1, ... in `links`"),
        "bandwidth": Key("number", "of the profile", "of one of `links`, each way, in B/s"),
        "latency": Key("number", "of the profile", "of one of `links`, in s"),
    },
    "[[fault]]": {
        "link": Key("two nodes", "", 'the link that fails, as in `[0, 1]`; switches are "s0", "s1", ...'),
        "both": Key("true or false", "true", "whether the way back fails, too"),
        "slow": Key("number", "1.0", "what its bandwidth is divided by"),
        "dead": Key('whole number or `"all"`', "0", "parallel links of it that carry nothing"),
        "loss": Key("number", "0.0", "probability that a packet is lost, and must be sent again"),
        "drops": Key("whole number", "0", "transmissions that are lost next"),
        "at": Key(
            "number", "0.0", "modelled time in s from which on this holds, until another `[[fault]]` of the link"
        ),
        "after": Key("whole number", "0", "instead of `at`: packets that pass before"),
    },
    "[[launch]]": {
        "object": Key("path", "", "source or object file, relative to the launch file"),
        "kernel": Key("text", "the only one", "the kernel, where the file has several"),
        "grid": Key("1 to 3 whole numbers", "", "blocks of the grid, `[8, 8]`; `4` is `[4]`"),
        "block": Key("1 to 3 whole numbers", "", "threads of a block, `[16, 16]`; `256` is `[256]`"),
        "tsm": Key("whole number", "0", "bytes of TSM beyond the kernel's own `.tsm`"),
        "cooperative": Key("true or false", "false", "whether all blocks must be resident at once; else it is refused"),
        "args": Key("table", "{}", "a value for each parameter of the kernel, by name"),
        "chips": Key('`"all"` or whole numbers', '"all"', "which chips run it, side by side"),
    },
    "[launch.args]": {
        FREE: Key("number, numbers or text", "", "a number, the numbers of an array parameter, or a buffer's name"),
    },
    "[[check]]": {
        "buffer": Key("text", "", "the buffer to compare when all launches have ended"),
        "expect": Key("init form", "", "what it should hold, see below; type and shape are the buffer's"),
        "chip": Key("whole number", "all of them", "of a buffer on all chips, the one to compare"),
        "rtol": Key("number", "0.0", "relative tolerance"),
        "atol": Key(
            "number", "0.0", "absolute tolerance: `abs(found - expected) <= atol + rtol * abs(expected)` passes"
        ),
        "nan_equal": Key("true or false", "true", "whether NaN equals NaN"),
    },
    "[save]": {
        FREE: Key(
            "path", "", "save the buffer called NAME as `.npy` or `.safetensors`, relative to the current folder"
        ),
    },
}
"""Every key of a launch file by table; the reader and docs/launch-files.md are made from it."""
HABITS = {
    "file": "object",
    "source": "object",
    "module": "object",
    "threads": "block",
    "blocks": "grid",
    "arguments": "args",
    "shared": "tsm",
    "dtype": "type",
    "expected": "expect",
    "chip": "profile",
}
"""What else one may call a key."""


def read(path: Path) -> Job:
    """The job of a launch file. Raises InputError, OSError."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not a launch file in TOML: {error}") from None
    root = _Table(path, text, (), document)
    root.only("", "buffers", "launch", "check", "save", "topology", "fault")
    job = Job(
        profile=root.text("profile"),
        chips=root.whole("chips", least=1),
        quantum=root.whole("quantum", least=1),
        timing=root.one_of("timing", TIMINGS),
        seed=root.whole("seed"),
        threads=root.whole("threads", least=1),
        folder=path.parent,
    )
    if root.has("topology"):
        topology = root.table("topology")
        topology.only("[topology]")
        job.topology, job.topology_where = topology.values, str(path)
    job.faults = [_fault(table) for table in root.tables("fault")]
    for table in root.tables_by_name("buffers"):
        job.buffers[table.key] = _buffer(table, path.parent)
    job.launches = [_launch(table, path.parent, job.buffers) for table in root.tables("launch")]
    job.checks = [_check(table, path.parent, job.buffers) for table in root.tables("check")]
    saves = root.table("save")
    for name in saves.values:
        saves.known(name, job.buffers, "buffer")
        job.saves[name] = saves.text(name)
    if not job.launches:
        root.fail("launch", "nothing to launch: add [[launch]] with object, grid, block and args")
    return job


def _buffer(table: _Table, folder: Path) -> BufferSpec:
    table.only("[buffers.NAME]")
    kind = table.text("type", "")
    if kind:
        table.known(kind, ELEMENTS, "type", key="type", listed=True)
    shape = table.extents("shape", least=0, most=None) if table.has("shape") else None
    init = table.init("init", folder)
    chip = None if table.take("chip") == "all" else table.whole("chip")
    if init.path is None:
        for key, given in (("type", kind or init.type), ("shape", shape if shape is not None else init.shape)):
            if not given and given != ():
                table.fail(key, f"missing; '{init.text}' does not say it")
    return BufferSpec(
        table.key, init, ELEMENTS[kind] if kind else None, shape, table.at("init"), chip, table.at("chip")
    )


def _fault(table: _Table) -> FaultSpec:
    table.only("[[fault]]")
    link: Any = table.take("link")
    if not isinstance(link, list) or len(cast("list[object]", link)) != 2:
        table.fail("link", f"two nodes belong here, as in [0, 1], not {link!r}")
    state: dict[str, Any] = {name: table.number(name) for name in ("slow", "loss", "at")}
    state |= {name: table.whole(name) for name in ("drops", "after")}
    state |= {"dead": -1 if table.take("dead") == "all" else table.whole("dead"), "both": table.truth("both")}
    return FaultSpec(tuple(link), state, table.where)


def _launch(table: _Table, folder: Path, buffers: dict[str, BufferSpec]) -> LaunchSpec:
    table.only("[[launch]]")
    values = table.table("args")
    args = {name: values.argument(name, buffers) for name in values.values}
    chips = None if table.take("chips") == "all" else table.extents("chips", least=0, most=None)
    return LaunchSpec(
        object=folder / table.text("object"),
        kernel=table.text("kernel", "") or None,
        grid=table.extents("grid"),
        block=table.extents("block"),
        tsm=table.whole("tsm"),
        args=args,
        where=table.where,
        object_where=table.at("object"),
        cooperative=table.truth("cooperative"),
        chips=chips,
    )


def _check(table: _Table, folder: Path, buffers: dict[str, BufferSpec]) -> CheckSpec:
    table.only("[[check]]")
    name = table.text("buffer")
    table.known(name, buffers, "buffer", key="buffer")
    return CheckSpec(
        name,
        table.init("expect", folder),
        table.number("rtol"),
        table.number("atol"),
        table.truth("nan_equal"),
        table.at("expect"),
        table.whole("chip") if table.has("chip") else None,
        table.at("chip"),
    )


_MISSING = object()


class _Table:
    """A TOML table being read, with the keys that may stand in it."""

    def __init__(self, path: Path, text: str, keys: tuple[str | int, ...], values: dict[str, Any]) -> None:
        self.path, self.source, self.keys, self.values = path, text, keys, values
        self.allowed: dict[str, Key] = {}

    @property
    def key(self) -> str:
        """The last part of the table's name."""
        return str(self.keys[-1])

    @property
    def where(self) -> str:
        """`gemm.toml:12: launch[0]`."""
        return self._where(self.keys)

    def at(self, key: str) -> str:
        """`gemm.toml:13: launch[0].object`."""
        return self._where((*self.keys, key))

    def _where(self, keys: tuple[str | int, ...]) -> str:
        line = _line_of(self.source, keys)
        return f"{self.path}{f':{line}' if line else ''}: {_name(keys)}"

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self.values

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise InputError for a key of this table."""
        raise InputError(f"{self.at(key)}: {problem}")

    def only(self, sort: str, *tables: str) -> None:
        """Refuse keys that KEYS does not have for this sort of table, except `tables`."""
        self.allowed = KEYS[sort]
        names = [*self.allowed, *tables]
        for key in self.values:
            if key not in names:
                meant = HABITS.get(key)
                near = [meant] if meant in names else get_close_matches(key, names, n=1, cutoff=0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"allowed are {', '.join(names)}"
                self.fail(key, f"unknown key: {hint}")

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """The value of a key, or its default."""
        if key in self.values:
            return self.values[key]
        if default is not _MISSING:
            return default
        if not self.allowed[key].default:
            self.fail(key, f"missing: {self.allowed[key].meaning}")
        return tomllib.loads(f"default = {self.allowed[key].default}")["default"]

    def known(
        self, name: str, names: Iterable[str], what: str, *, key: str | None = None, listed: bool = False
    ) -> None:
        """Refuse a name that is none of `names`."""
        choices = list(names)
        if name not in choices:
            near = [] if listed else get_close_matches(name, choices, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(choices) or '(there are none)'}"
            self.fail(key or name, f"there is no {what} '{name}': {hint}")

    def text(self, key: str, default: Any = _MISSING) -> str:
        """A string."""
        value = self.take(key, default)
        if not isinstance(value, str):
            self.fail(key, f"a text in quotes belongs here, not {value!r}")
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(key)
        if value not in choices:
            self.fail(key, f"{' or '.join(repr(choice) for choice in choices)}, not {value!r}")
        return value

    def whole(self, key: str, *, least: int = 0) -> int:
        """A whole number."""
        value = self.take(key)
        if type(value) is not int or value < least:
            self.fail(key, f"a whole number from {least} belongs here, not {value!r}")
        return value

    def number(self, key: str) -> float:
        """A number that is not negative."""
        value = self.take(key)
        if type(value) not in (int, float) or not value >= 0:
            self.fail(key, f"a number from 0 belongs here, not {value!r}")
        return float(value)

    def truth(self, key: str) -> bool:
        """True or false."""
        value = self.take(key)
        if type(value) is not bool:
            self.fail(key, f"true or false belongs here, not {value!r}")
        return value

    def extents(self, key: str, *, least: int = 1, most: int | None = 3) -> tuple[int, ...]:
        """Extents: `[4]`, `[4, 2]`, or `4`."""
        value = self.take(key)
        parts = cast("list[object]", value) if isinstance(value, list) else [value]
        good = all(type(part) is int and part >= least for part in parts)
        if not good or (most is not None and not 1 <= len(parts) <= most):
            count = f"1 to {most} " if most else ""
            self.fail(key, f"{count}whole numbers from {least} in [...] belong here, not {value!r}")
        return cast("tuple[int, ...]", tuple(parts))

    def init(self, key: str, folder: Path) -> Init:
        """A form of `initial`."""
        text = self.text(key)
        try:
            return parse(text, folder)
        except ValueError as error:
            self.fail(key, str(error))

    def argument(self, key: str, buffers: dict[str, BufferSpec]) -> ArgumentValue:
        """A number, a list of numbers, or the name of a buffer."""
        value = self.take(key)
        if isinstance(value, str):
            self.known(value, buffers, "buffer", key=key)
            return value
        numbers = cast("list[object]", value) if isinstance(value, list) else [value]
        if any(type(part) not in (int, float) for part in numbers):
            self.fail(key, f"a number, a list of numbers or the name of a buffer belongs here, not {value!r}")
        return cast("ArgumentValue", value)

    def table(self, key: str) -> _Table:
        """A table inside this one; empty if it is not there."""
        value = self.take(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"a table [{_name((*self.keys, key))}] belongs here, not {value!r}")
        return _Table(self.path, self.source, (*self.keys, key), cast("dict[str, Any]", value))

    def tables_by_name(self, key: str) -> list[_Table]:
        """The tables `[key.NAME]`."""
        outer = self.table(key)
        return [outer.table(name) for name in outer.values]

    def tables(self, key: str) -> list[_Table]:
        """The tables `[[key]]`."""
        value = self.take(key, [])
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in cast("list[object]", value)):
            self.fail(key, f"[[{key}]], with double brackets, begins each of these")
        parts = cast("list[dict[str, Any]]", value)
        return [_Table(self.path, self.source, (key, index), part) for index, part in enumerate(parts)]


def _name(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\s\"'-]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNED = re.compile(r"\s*([\w.\s\"'-]+?)\s*=")


def _line_of(text: str, keys: tuple[str | int, ...]) -> int | None:
    """The line of a key, or of the nearest table around it; good for usual layouts, for tomllib tells no places."""
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    inside: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            inside = _parts(header[2])
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                inside = (*inside, counts[header[2]])
            elif inside[0] in counts:
                inside = (inside[0], counts[str(inside[0])], *inside[1:])
            for end in range(1, len(inside) + 1):  # a table begins where the first one inside it does
                lines.setdefault(inside[:end], number)
        elif assigned := _ASSIGNED.match(line):
            lines.setdefault((*inside, *_parts(assigned[1])), number)
    for end in range(len(keys), 0, -1):
        if keys[:end] in lines:
            return lines[keys[:end]]
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
