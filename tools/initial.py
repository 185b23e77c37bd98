"""What a buffer holds before a run: the `init` forms of launch files and of `--arg`, see FORM_MEANINGS.

TYPE and SHAPE (`1000`, `32x32`) are needed where nothing else says them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ..emulator.host_memory import HostMemory
from ..isa.host_arrays import HOST_NAMES, narrow
from .arrays import ELEMENTS, Array, Element, Shape, element, parse_shape, read_npy, read_safetensors
from .exits import InputError

FORMS = {
    "npy": "npy:PATH[:TYPE]",
    "safetensors": "safetensors:FILE:NAME",
    "zeros": "zeros[:TYPE:SHAPE]",
    "full": "full:V[:TYPE:SHAPE]",
    "arange": "arange[:TYPE:SHAPE]",
    "rand": "rand:SEED[:TYPE:SHAPE]",
}
"""The forms by their first word, as they are written."""
FORM_MEANINGS = {
    "npy": "an array file: its type and shape, or TYPE for bytes without a type; `x.npy` alone is the same",
    "safetensors": "a tensor of a file",
    "zeros": "zeros",
    "full": "every element is V",
    "arange": "0, 1, 2, ... in row-major order",
    "rand": "random numbers, the same everywhere: floats in [-1, 1), integers take all values of their type",
}
FILES = ("npy", "safetensors")


@dataclass(frozen=True, slots=True)
class Init:
    """A parsed form. `what` is V, SEED or the tensor's NAME; `path` is set where a file is read."""

    form: str
    text: str
    what: Any = None
    path: Path | None = None
    type: Element | None = None
    shape: Shape | None = None


WORKING_BYTES = 24
"""Host bytes an element needs, at most, while its initial value is made."""


def looks_like_init(text: str) -> bool:
    """Whether a value of `--arg` means a buffer: it begins with a form, or is the name of an array file."""
    return text.partition(":")[0] in FORMS or text.endswith(".npy")


def parse(text: str, folder: Path) -> Init:
    """A form as text; paths are relative to `folder`. Raises ValueError that says what is allowed."""
    form, _, rest = text.partition(":")
    if form not in FORMS and text.endswith(".npy"):
        form, rest = "npy", text
    if form not in FORMS:
        near = get_close_matches(form, FORMS, n=1)
        hint = f"did you mean {FORMS[near[0]]}?" if near else f"use one of {', '.join(FORMS.values())}"
        raise ValueError(f"'{text}' is no way to fill a buffer: {hint}")
    if form == "npy":
        return _file(text, rest, folder)
    if form == "safetensors":
        file, _, name = rest.rpartition(":")
        if not file or not name:
            raise ValueError(f"'{text}': write {FORMS[form]}")
        return Init(form, text, name, folder / file)
    what = None
    if form in ("full", "rand"):
        first, _, rest = rest.partition(":")
        what = _number(text, form, first)
    kind, shape = _type_and_shape(text, form, rest)
    return Init(form, text, what, None, kind, shape)


def _file(text: str, rest: str, folder: Path) -> Init:
    path, _, kind = rest.rpartition(":")
    if path and kind in ELEMENTS:
        return Init("npy", text, None, folder / path, ELEMENTS[kind])
    if not rest:
        raise ValueError(f"'{text}': write {FORMS['npy']}")
    return Init("npy", text, None, folder / rest)


def _number(text: str, form: str, first: str) -> int | float:
    try:
        value = number(first)
    except ValueError:
        raise ValueError(f"'{text}': write {FORMS[form]}, with a number where '{first}' stands") from None
    if form == "rand" and not (isinstance(value, int) and 0 <= value < 1 << 64):
        raise ValueError(f"'{text}': a seed is a whole number from 0, not {first}")
    return value


def _type_and_shape(text: str, form: str, rest: str) -> tuple[Element | None, Shape | None]:
    if not rest:
        return None, None
    kind, colon, shape = rest.partition(":")
    if not colon:
        raise ValueError(
            f"'{text}': write {FORMS[form]}, for example {form}{':7' * (form in ('full', 'rand'))}:f32:1000"
        )
    try:
        return element(kind), parse_shape(shape)
    except ValueError as error:
        raise ValueError(f"'{text}': {error}") from None


def number(text: str) -> int | float:
    """`12`, `0xff`, `1.5`, `inf`, `nan` as a number; ValueError."""
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


def content(init: Init, kind: Element | None, shape: Shape | None) -> tuple[Array | None, Element, Shape]:
    """The host array of a form (None for zeros), its type and its shape.

    `kind` and `shape` are what the user says beside the form. Raises InputError if they disagree with the form or
    are missing, and for files.
    """
    if init.path is not None:
        return _read(init, init.path, kind, shape)
    if kind is not None and init.type is not None and kind != init.type:
        raise InputError(f"'{init.text}' does not have the type given beside it, {kind.name}")
    _check_shape(init, shape)
    kind, shape = kind or init.type, init.shape if shape is None else shape
    if kind is None or shape is None:
        raise InputError(
            f"'{init.text}' says no type and shape: write {FORMS[init.form].replace('[', '').replace(']', '')}"
        )
    try:
        return _make(init, kind, shape), kind, shape
    except (OverflowError, ValueError) as error:
        raise InputError(f"'{init.text}': {error}") from None


def content_by_chip(
    init: Init, kind: Element | None, shape: Shape | None, chips: int
) -> tuple[Array | None, Element, Shape]:
    """What each of `chips` chips has, as one array with the chips first, its type, and the shape of each part.

    The form makes all parts as one array. A file has the chips as its first axis, or is the same for all if it has
    `shape`. None and raised errors are as those of `content`.
    """
    if init.path is None:
        part = init.shape if shape is None else shape
        _check_shape(init, shape, ", what each chip has")
        whole = None if part is None else (chips, *part)
        array, kind, _ = content(replace(init, shape=None), kind, whole)
        return array, kind, part or ()
    array, kind, found = content(init, kind, None)
    assert array is not None
    if shape is not None and found == shape:
        return np.broadcast_to(array, (chips, *shape)), kind, shape
    if found[:1] != (chips,) or (shape is not None and found[1:] != shape):
        wanted = f"{[chips, *shape]} or {list(shape)}" if shape is not None else f"[{chips}, ...]"
        made = found[0] if shape is not None and found[1:] == shape else 0
        hint = f"; it is made for {made} chip{'s' * (made > 1)}: --chips {made}" if made else ""
        raise InputError(f"{init.path}: has shape {list(found)}, not {wanted}: a buffer on {chips} chips{hint}")
    return array, kind, found[1:]


def _check_shape(init: Init, shape: Shape | None, what: str = "") -> None:
    """Refuse a form whose own shape is not the one given beside it."""
    if init.shape is not None and shape is not None and init.shape != shape:
        raise InputError(
            f"'{init.text}' does not have the shape given beside it: {list(init.shape)}, not {list(shape)}{what}"
        )


def _read(init: Init, path: Path, kind: Element | None, shape: Shape | None) -> tuple[Array, Element, Shape]:
    array, found = read_npy(path, init.type or kind) if init.form == "npy" else read_safetensors(path, init.what)
    if kind is not None and found != kind:
        raise InputError(f"{path}: holds {found.name}, not {kind.name}; convert it with .astype before saving it")
    if init.type is not None and found != init.type:
        raise InputError(f"{path}: holds {found.name}, not {init.type.name}")
    if shape is not None and array.shape != shape:
        raise InputError(f"{path}: has shape {list(array.shape)}, not {list(shape)}")
    return array, found, array.shape


def _make(init: Init, kind: Element, shape: Shape) -> Array | None:
    if init.form == "zeros":
        return None
    HostMemory().check(WORKING_BYTES * math.prod(shape))
    if init.form == "full":
        return np.full(shape, _elements(init.what, kind), kind.dtype)
    if init.form == "arange":
        return _elements(np.arange(math.prod(shape)), kind).reshape(shape)
    return random(init.what, kind, shape)


def _elements(values: Any, kind: Element) -> Array:
    """Numbers as elements of a type, rounded as a chip does it; ValueError and OverflowError for a wrong integer."""
    if kind.name in HOST_NAMES:
        return narrow(values, kind.name)
    if isinstance(values, float) and kind.name.startswith(("u", "s")):
        if not values.is_integer():
            raise ValueError(f"{kind.name} needs a whole number, not {values}")
        values = int(values)
    with np.errstate(over="ignore"):
        return np.array(values, kind.dtype)


def random(seed: int, kind: Element, shape: Shape) -> Array:
    """Numbers from the raw stream of PCG64, which numpy never changes; see the module for their range."""
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    if kind.name.startswith(("u", "s")):
        values = raw.astype(kind.dtype)
    elif kind.name == "e8m0":
        values = (raw >> np.uint64(56)).astype(np.uint8).clip(0, 254).view(kind.dtype)
    elif kind.name == "f64":
        values = (raw >> np.uint64(11)) * 2.0**-52 - 1
    else:
        values = ((raw >> np.uint64(40)) * 2.0**-23 - 1).astype(np.float32).astype(kind.dtype)
    return values.reshape(shape)
