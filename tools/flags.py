"""The flags of `m890 run` as a job: put into the one of a launch file, or a job of their own."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..emulator.observe import Observer
from ..emulator.pod.exchange import Exchange
from .arrays import described
from .exits import InputError
from .initial import FORMS, Init, looks_like_init, number, parse
from .job import ArgumentValue, BufferSpec, Job, LaunchSpec
from .launchfile import read
from .loading import find_profile, nearest_of, parse_define
from .runner import Options


def is_launch_file(file: str) -> bool:
    """Whether FILE is a launch file, and no source or object."""
    return file.endswith(".toml")


def options_of(
    flags: Mapping[str, Any],
    observers: tuple[Observer, ...] = (),
    show: Callable[[str], object] | None = None,
    exchange: Exchange | None = None,
) -> Options:
    """What a run is told beside its job; a click.UsageError if a -D is none."""
    try:
        defines = dict(parse_define(text) for text in flags["defines"])
    except ValueError as error:
        raise click.UsageError(f"-D {error}") from None
    return Options(
        flags["limit"], flags["time_limit"], flags["poison"], flags["include"], defines, observers, show, exchange
    )


def job_of(file: str, flags: Mapping[str, Any]) -> Job:
    """The job of a launch file with flags put in, or of flags alone."""
    if is_launch_file(file):
        job = read(Path(file))
        given = [f"--{name}" for name in ("grid", "block", "tsm") if flags[name] is not None]
        job.changed = *given, *(f"--arg {name}" for name, _ in flags["args"])
        if flags["kernel"]:
            job.launches = [launch for launch in job.launches if launch.kernel in (flags["kernel"], None)]
            if not job.launches:
                raise click.UsageError(f"{file} launches no kernel '{flags['kernel']}'")
    else:
        asked = {"--grid": "how many blocks?", "--block": "how many threads has a block?"}
        missing = [flag for flag in asked if not flags[flag[2:]]]
        if missing:
            raise click.UsageError(f"{' and '.join(missing)} missing: {' '.join(asked[flag] for flag in missing)}")
        launch = LaunchSpec(Path(file), flags["kernel"], flags["grid"], flags["block"], 0, {}, "")
        job = Job(launches=[launch])
    if flags["chip"]:
        job.profile, job.folder = flags["chip"], Path()
        try:
            find_profile(job.profile)
        except InputError:
            raise
        except ValueError as error:
            raise click.UsageError(f"--chip: {error}") from None
    if flags["topology"]:
        job.topology = topology_table(flags["topology"])
        job.topology_where = "--topology" if "kind" in job.topology else flags["topology"]
    for name in ("chips", "quantum", "timing", "seed", "threads"):
        if flags[name] is not None:
            setattr(job, name, flags[name])
    for launch in job.launches:
        launch.grid, launch.block = flags["grid"] or launch.grid, flags["block"] or launch.block
        launch.tsm = launch.tsm if flags["tsm"] is None else flags["tsm"]
        launch.cooperative = launch.cooperative or flags["cooperative"]
        if launch.kernel is None:
            launch.kernel = flags["kernel"]
    _put_arguments(job, dict(flags["args"]))
    _put_saves(job, dict(flags["outs"]))
    return job


def topology_table(text: str) -> dict[str, Any]:
    """A kind of topology, or the content of a file; what is in it is checked when the pod is made."""
    if not text.endswith(".toml"):
        return {"kind": text}
    try:
        return tomllib.loads(Path(text).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{text}: {error}") from None


def _put_arguments(job: Job, args: Mapping[str, str]) -> None:
    """Buffers first, since `z=x` names one."""
    for name, text in args.items():
        if looks_like_init(text):
            _put_buffer(job, name, text)
    for name, text in args.items():
        if not looks_like_init(text):
            value = _value(name, text, job)
            for launch in _concerned(job, name):
                launch.args[name] = value


def _concerned(job: Job, name: str) -> list[LaunchSpec]:
    """The launches with such an argument; all, if none has one yet."""
    return [launch for launch in job.launches if name in launch.args] or job.launches


def _put_buffer(job: Job, name: str, text: str) -> None:
    """Fill the buffers that the argument names in the launch file, or a new one called like the argument."""
    try:
        init = parse(text, Path())
    except ValueError as error:
        raise click.UsageError(f"--arg {name}: {error}") from None
    complete = init.path is not None or init.type is not None
    for launch in _concerned(job, name):
        named = launch.args.get(name)
        buffer = launch.args[name] = named if isinstance(named, str) else name
        known = job.buffers.get(buffer)
        if known is None and not complete:
            raise click.UsageError(f"--arg {name}: '{text}' says no type and shape: write {FORMS[init.form]}")
        if known is None:
            job.buffers[buffer] = BufferSpec(buffer, init, chip=None if job.chips > 1 else 0)
            continue
        if not complete:
            init = replace(init, type=known.init.type, shape=known.init.shape)
        _check_agreement(name, known, init)
        job.buffers[buffer] = replace(known, init=init, where=f"--arg {name}")


def _check_agreement(name: str, known: BufferSpec, init: Init) -> None:
    """Refuse a form of another type or shape than the buffer's keys say; of a file it is seen when it is read."""
    pairs = (known.type, init.type), (known.shape, init.shape)
    if any(wanted is not None and given is not None and wanted != given for wanted, given in pairs):
        raise click.UsageError(
            f"--arg {name}: buffer '{known.name}' is {described(known.type, known.shape)}, '{init.text}' is "
            f"{described(init.type, init.shape)}: change [buffers.{known.name}] of the launch file"
        )


def _value(name: str, text: str, job: Job) -> ArgumentValue:
    """A number, several, or the name of a buffer."""
    if text in job.buffers:
        return text
    try:
        numbers = [number(part.strip()) for part in text.split(",")]
    except ValueError:
        forms = ", ".join(FORMS.values())
        raise click.UsageError(
            f"--arg {name}: '{text}' is neither a number nor a buffer: write a number, FILE.npy or one of {forms}"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def _put_saves(job: Job, outs: Mapping[str, str]) -> None:
    for name in outs:
        if name not in job.buffers:
            raise click.UsageError(f"--out {name}: no buffer is called '{name}': {nearest_of(name, job.buffers)}")
    job.saves.update(outs)
