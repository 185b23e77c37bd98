"""The chip or the pod that a job runs on."""

from __future__ import annotations

from typing import Any

from ..emulator.chip import Chip
from ..emulator.icn.faults import LinkFault
from ..emulator.icn.topology import Topology
from ..emulator.observe import Observer
from ..emulator.pod.exchange import Exchange
from ..emulator.pod.pod import Pod
from ..emulator.printing import Console
from ..emulator.profiles import Profile
from ..emulator.schedule import Schedule
from .exits import InputError
from .job import FaultSpec, Job, JobError
from .loading import find_profile


def chips_of(
    job: Job, *, poison: bool, observers: tuple[Observer, ...], console: Console, exchange: Exchange | None
) -> tuple[Chip, Pod | None]:
    """The first chip, and the pod that it is one of, if the job asks for more than a chip alone.

    Raises InputError for a profile that cannot be read, JobError for chips, topologies and faults that cannot be.
    """
    try:
        profile = find_profile(job.profile, job.folder)
    except ValueError as error:
        raise error if isinstance(error, InputError) else JobError("profile", str(error)) from None
    _check(job)
    settings: dict[str, Any] = {
        "timing": job.timing,
        "poison": poison or None,
        "observers": observers,
        "schedule": Schedule.seeded(job.seed),
        "console": console,
    }
    if job.chips == 1 and job.topology is None and not job.faults and exchange is None:
        return Chip(profile, **settings), None
    pod = _pod(job, profile, exchange, settings)
    return pod.chips[0], pod


def _pod(job: Job, profile: Profile, exchange: Exchange | None, settings: dict[str, Any]) -> Pod:
    topology = _topology(job, profile)
    faults = [_fault(spec, topology) for spec in job.faults]
    try:
        pod = Pod(
            profile,
            job.chips,
            topology=topology,
            faults=faults,
            quantum=job.quantum,
            seed=job.seed,
            threads=job.threads,
            exchange=exchange,
            **settings,
        )
    except ValueError as error:
        raise JobError("", str(error)) from None
    if job.chips > 1:
        pod.enable_peer_access()
    return pod


def _topology(job: Job, profile: Profile) -> Topology:
    """How a job's chips are joined; JobError."""
    try:
        if job.topology is None:
            return Topology.of(profile, job.chips)
        return Topology.from_table(job.topology, profile, job.chips)
    except ValueError as error:
        raise JobError(job.topology_where, str(error)) from None


def _fault(spec: FaultSpec, topology: Topology) -> LinkFault:
    """A fault of one of the topology's links; JobError."""
    try:
        tail, head = (topology.node(name) for name in spec.link)
        fault = LinkFault(tail=tail, head=head, **spec.state)
        fault.ways(topology)
    except ValueError as error:
        raise JobError(spec.where, str(error)) from None
    return fault


def _check(job: Job) -> None:
    """Refuse chips that are not there; JobError."""
    there = f"there is chip 0 to {job.chips - 1}" if job.chips > 1 else "there is one chip, 0"
    for buffer in job.buffers.values():
        if buffer.chip is not None and buffer.chip >= job.chips:
            where = buffer.chip_where or f"buffer '{buffer.name}'"
            raise JobError(where, f"chip {buffer.chip}: {there}; raise chips, or --chips")
    for launch in job.launches:
        if launch.chips is not None and (not launch.chips or max(launch.chips) >= job.chips):
            raise JobError(launch.where, f"chips {list(launch.chips)}: {there}; raise chips, or --chips")
        if launch.chips is not None and len(set(launch.chips)) < len(launch.chips):
            raise JobError(launch.where, f"chips {list(launch.chips)}: name each chip once")
    for check in job.checks:
        if check.chip is None:
            continue
        if job.buffers[check.buffer].chip is not None:
            raise JobError(check.chip_where, f"chip {check.chip}: buffer '{check.buffer}' is not on all chips")
        if check.chip >= job.chips:
            raise JobError(check.chip_where, f"chip {check.chip}: {there}; raise chips, or --chips")
