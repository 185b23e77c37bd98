"""The arguments of a job's launches, checked against the parameters of their kernels before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from ..isa.program import Kernel, Parameter
from .job import ArgumentValue, BufferSpec, JobError, LaunchSpec
from .loading import nearest_of


def check_arguments(kernel: Kernel, launch: LaunchSpec, buffers: Mapping[str, BufferSpec]) -> None:
    """Refuse arguments that are unknown, missing or of the wrong kind; JobError."""
    params = {parameter.name: parameter for parameter in kernel.params}
    for name in launch.args:
        if name not in params:
            raise JobError(
                launch.where, f"kernel '{kernel.name}' has no parameter '{name}': {nearest_of(name, params)}"
            )
    missing = [parameter for parameter in kernel.params if parameter.name not in launch.args]
    if missing:
        listed = ", ".join(f"{parameter.name} ({_takes(parameter)})" for parameter in missing)
        raise JobError(
            launch.where, f"kernel '{kernel.name}' lacks {len(missing)} of {len(params)} arguments: {listed}"
        )
    for name, value in launch.args.items():
        problem = _problem(params[name], value, buffers)
        if problem:
            raise JobError(launch.where, f"kernel '{kernel.name}', argument '{name}': {problem}")


def _takes(parameter: Parameter) -> str:
    if parameter.count > 1:
        return f"{parameter.count} numbers, {parameter.type}"
    return "a buffer" if parameter.type == "ptr" else f"a number, {parameter.type}"


def _problem(parameter: Parameter, value: ArgumentValue, buffers: Mapping[str, BufferSpec]) -> str:
    """What is wrong with an argument, or nothing."""
    if isinstance(value, str):
        if value not in buffers:
            return f"takes {_takes(parameter)}, not '{value}'"
        return "" if parameter.type == "ptr" and parameter.count == 1 else f"takes {_takes(parameter)}, not a buffer"
    if parameter.count > 1:
        given = len(value) if isinstance(value, list) else 1
        return "" if given == parameter.count else f"takes {_takes(parameter)}; {given} given"
    return f"takes {_takes(parameter)}, not a list" if isinstance(value, list) else ""
