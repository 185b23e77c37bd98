"""Launch files: buffers, launches, checks and what to save, in TOML; docs/launch-files.md describes them.

Paths of what is read are relative to the launch file. `read` checks everything that can be checked without running;
whatever is wrong ends in an InputError that names the file, the line, the key, and what is allowed there.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

from .arrays import ELEMENTS
from .exits import InputError
from .job import TIMINGS, BufferSpec, CheckSpec, FaultSpec, Job, LaunchSpec
from .launchfile_table import Table


def read(path: Path) -> Job:
    """The job of a launch file. Raises InputError, OSError."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not a launch file in TOML: {error}") from None
    root = Table(path, text, (), document)
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


def _buffer(table: Table, folder: Path) -> BufferSpec:
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


def _fault(table: Table) -> FaultSpec:
    table.only("[[fault]]")
    link: Any = table.take("link")
    if not isinstance(link, list) or len(cast("list[object]", link)) != 2:
        table.fail("link", f"two nodes belong here, as in [0, 1], not {link!r}")
    state: dict[str, Any] = {name: table.number(name) for name in ("slow", "loss", "at")}
    state |= {name: table.whole(name) for name in ("drops", "after")}
    state |= {"dead": -1 if table.take("dead") == "all" else table.whole("dead"), "both": table.truth("both")}
    return FaultSpec(tuple(link), state, table.where)


def _launch(table: Table, folder: Path, buffers: dict[str, BufferSpec]) -> LaunchSpec:
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


def _check(table: Table, folder: Path, buffers: dict[str, BufferSpec]) -> CheckSpec:
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
