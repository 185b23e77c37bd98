"""Python values as kernel arguments: bytes of the kernel-argument memory (KM) and preloaded registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..isa.program import SCALAR_TYPES, Kernel, Parameter
from .buffers import Buffer
from .faults import LaunchError
from .hbm import Hbm

if TYPE_CHECKING:
    from .pod.pod import Pod

_RANGES = {name: (np.iinfo(kind).min, np.iinfo(kind).max) for name, kind in SCALAR_TYPES.items() if kind.kind in "iu"}


def pack(kernel: Kernel, arguments: Sequence[Any], hbm: Hbm, pod: Pod | None = None) -> np.ndarray:
    """All arguments as KM bytes. Raises LaunchError naming the parameter and what it takes.

    Buffers are on the chip of `hbm` or, if it belongs to one, elsewhere in its `pod`.
    """
    if len(arguments) != len(kernel.params):
        wanted = ", ".join(f"{p.type} {p.name}{f'[{p.count}]' if p.count > 1 else ''}" for p in kernel.params)
        raise LaunchError(
            f"kernel '{kernel.name}' takes {len(kernel.params)} arguments ({wanted}), {len(arguments)} were given"
        )
    last = kernel.params[-1] if kernel.params else None
    memory = np.zeros(last.offset + last.size if last else 0, np.uint8)
    for parameter, value in zip(kernel.params, arguments, strict=True):
        memory[parameter.offset : parameter.offset + parameter.size] = _bytes(kernel, parameter, value, hbm, pod)
        if isinstance(value, Buffer):
            value.given_as(f"argument '{parameter.name}' of kernel '{kernel.name}'")
    return memory


def _bytes(kernel: Kernel, parameter: Parameter, value: Any, hbm: Hbm, pod: Pod | None) -> np.ndarray:
    where = f"kernel '{kernel.name}', argument '{parameter.name}'"
    if parameter.count > 1:
        return _array(where, parameter, value)
    if parameter.type == "ptr":
        return np.array([_pointer(where, value, hbm, pod)], np.uint64).view(np.uint8)
    if isinstance(value, Buffer):
        raise LaunchError(f"{where} is of type {parameter.type} and takes a number, not a buffer")
    with np.errstate(over="ignore"):
        return np.array([_number(where, parameter.type, value)], SCALAR_TYPES[parameter.type]).view(np.uint8)


def _pointer(where: str, value: Any, hbm: Hbm, pod: Pod | None) -> int:
    if isinstance(value, Buffer):
        if value.freed:
            raise LaunchError(f"{where}: {value.name} is freed already")
        if value.hbm is not hbm and not (pod and pod.owns(value)):
            raise LaunchError(f"{where}: buffer {value.name} lives on another Chip: use this chip's to_device or empty")
        return value.address
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if not 0 <= int(value) < 1 << 64:
            raise LaunchError(f"{where}: the address {int(value):#x} does not fit in 64 bits")
        return int(value)
    if isinstance(value, np.ndarray):
        raise LaunchError(f"{where} takes device memory, not a numpy array: pass chip.to_device(array)")
    raise LaunchError(f"{where} takes a buffer or an address, not {type(value).__name__}")


def _number(where: str, kind: str, value: Any) -> Any:
    if not _is_number(value):
        raise LaunchError(f"{where} is of type {kind} and takes a number, not {type(value).__name__}")
    if np.ndim(value) != 0:
        raise LaunchError(f"{where} is of type {kind} and takes one number, not an array of shape {np.shape(value)}")
    if kind == "bf16":
        return _bf16(float(value))
    if kind in _RANGES:
        if isinstance(value, float | np.floating) and not float(value).is_integer():
            raise LaunchError(f"{where} is of type {kind}; {value} is not a whole number")
        low, high = _RANGES[kind]
        if not low <= int(value) <= high:
            raise LaunchError(f"{where} is of type {kind}; {value} is outside {low} to {high}")
        return int(value)
    try:
        return float(value)
    except OverflowError as error:
        raise LaunchError(f"{where} is of type {kind}; {value} is too large for it") from error


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes | memoryview | complex | np.complexfloating):
        return False
    return bool(np.isscalar(value)) or isinstance(value, np.ndarray | np.generic)


def _bf16(value: float) -> int:
    import ml_dtypes

    return int(np.array(value, ml_dtypes.bfloat16).view(np.uint16))


def _array(where: str, parameter: Parameter, value: Any) -> np.ndarray:
    kind = SCALAR_TYPES[parameter.type]
    items = np.asarray(value)
    if items.dtype.itemsize == 2 and kind == np.uint16 and items.dtype.kind not in "iu":
        items = items.view(np.uint16)
    if items.shape != (parameter.count,):
        raise LaunchError(f"{where} takes {parameter.count} values of type {parameter.type}, got shape {items.shape}")
    if items.dtype == kind:
        return np.ascontiguousarray(items).view(np.uint8)
    try:
        with np.errstate(over="ignore"):
            values = [_number(where, parameter.type, item) for item in items.tolist()]
            return np.array(values, kind).view(np.uint8)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, LaunchError) else LaunchError(f"{where}: {error}") from error


def preloaded(kernel: Kernel, memory: np.ndarray) -> list[tuple[int, int]]:
    """(sreg, 32-bit value) of every argument that sits in registers at entry."""
    values: list[tuple[int, int]] = []
    for parameter in kernel.params:
        if parameter.sreg is None:
            continue
        raw = memory[parameter.offset : parameter.offset + parameter.size].tobytes()
        number = int.from_bytes(raw, "little", signed=parameter.type.startswith("s"))
        values.append((parameter.sreg, number & 0xFFFFFFFF))
        if parameter.size == 8:
            values.append((parameter.sreg + 1, number >> 32 & 0xFFFFFFFF))
    return values
