"""Several modules to one: kernels, functions and data side by side, and every address filled in anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from .callgraph import give_registers
from .program import Function, Kernel, Module, Relocation
from .relocations import DATA, apply, code_of, missing, moved, settle


class LinkError(ValueError):
    """Modules do not go together; every reason is a line."""


@dataclass(slots=True)
class _Input:
    """A module on its way into another: what its own names become there, and where its data goes."""

    file: str
    module: Module
    names: dict[str, str] = field(default_factory=dict[str, str])
    data: int = 0


def link(modules: Sequence[tuple[str, Module]]) -> Module:
    """One module of several, each with the name of its file; raises LinkError with everything that is wrong.

    Exported names must be unique, kernels too. A function or data symbol of one file alone gets another name (`f.1`)
    if it is taken. Data follow one another in the order of the files. The modules that were given do not change.
    """
    inputs = [_Input(file, module) for file, module in modules]
    problems = [*_problems(inputs)]
    if not inputs or problems:
        raise LinkError("\n".join(problems) or "there is nothing to link")
    linked = Module(inputs[0].module.arch)
    for item in inputs:
        _name(item, _taken(inputs, linked))
        _add_data(item, linked)
        linked.functions |= {item.names[name]: _function(item, code) for name, code in item.module.functions.items()}
        linked.kernels |= {name: _kernel(item, kernel) for name, kernel in item.module.kernels.items()}
        linked.exported |= item.module.exported
        linked.data_relocations += _relocations(item, item.module.data_relocations, item.data)
    lacking = [*_lacking(inputs, linked)]
    if lacking:
        raise LinkError("\n".join(lacking))
    _free_labels(linked)
    settle(linked)
    for kernel in linked.kernels.values():
        give_registers(kernel, linked.functions)
    apply(linked)
    return linked


def missing_text(module: Module) -> str:
    """What to say of a module that is not complete, or nothing."""
    needed = missing(module)
    if not needed:
        return ""
    names = ", ".join(f"{name} (in {place})" for name, place in sorted(needed.items()))
    return f"needs {names} of another object: m890 link THIS.hgbin OTHER.hgbin -o all.hgbin"


def _problems(inputs: Sequence[_Input]) -> Iterable[str]:
    """Different architectures, and names that two files give away."""
    arches = {item.module.arch: item.file for item in inputs}
    if len(arches) > 1:
        yield "; ".join(f"{file} is for {arch}" for arch, file in arches.items())
    owners: dict[str, tuple[str, str]] = {}
    for item in inputs:
        for name, what in _shared(item.module).items():
            if name in owners:
                first, file = owners[name]
                yield f"{name} is defined twice: {first} in {file}, {what} in {item.file}"
            owners.setdefault(name, (what, item.file))


def _shared(module: Module) -> dict[str, str]:
    """The names of a module that others see, and what they are."""
    found = dict.fromkeys(module.kernels, "a kernel")
    for name in sorted(module.exported):
        found[name] = "a function" if name in module.functions else "a data symbol"
    return found


def _taken(inputs: Sequence[_Input], linked: Module) -> set[str]:
    """The names that a file's own functions and data cannot have."""
    names = {*linked.functions, *linked.data_symbols, DATA}
    for item in inputs:
        names |= _shared(item.module).keys() | missing(item.module).keys()
    return names


def _name(item: _Input, taken: set[str]) -> None:
    """Give the functions and data symbols of a file the names they will have."""
    for name in [*item.module.functions, *item.module.data_symbols]:
        item.names[name] = name if name in item.module.exported else _free(name, taken)
        taken.add(item.names[name])


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, or the first of `name.1`, `name.2`, ... that is not taken."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    return found


def _add_data(item: _Input, linked: Module) -> None:
    align = item.module.data_alignment
    linked.data_alignment = max(linked.data_alignment, align)
    if item.module.data or item.module.data_symbols:
        linked.data += bytes(-len(linked.data) % align)
    item.data = len(linked.data)
    linked.data += item.module.data
    linked.data_symbols |= {item.names[name]: item.data + at for name, at in item.module.data_symbols.items()}


def _relocations(item: _Input, relocations: Iterable[Relocation], by: int = 0) -> tuple[Relocation, ...]:
    """A file's relocations with the names and places that its symbols have now; they have moved by so many bytes."""
    found: list[Relocation] = []
    for relocation in relocations:
        symbol = item.names.get(relocation.symbol, relocation.symbol)
        new = replace(relocation, symbol=symbol, offset=relocation.offset + by)
        found.append(moved(new, item.data) if symbol == DATA else new)
    return tuple(found)


def _function(item: _Input, code: Function) -> Function:
    relocations = _relocations(item, code.relocations)
    return replace(code, name=item.names[code.name], labels=dict(code.labels), relocations=relocations)


def _kernel(item: _Input, kernel: Kernel) -> Kernel:
    return replace(kernel, labels=dict(kernel.labels), relocations=_relocations(item, kernel.relocations))


def _lacking(inputs: Sequence[_Input], linked: Module) -> Iterable[str]:
    """What no file defines, with the files that need it and what may be meant."""
    for name in sorted(missing(linked)):
        needing = ", ".join(item.file for item in inputs if name in missing(item.module))
        yield f"{name} is not defined, {needing} needs it{_advice(name, inputs, linked)}"


def _advice(name: str, inputs: Sequence[_Input], linked: Module) -> str:
    for item in inputs:
        if name in item.module.functions or name in item.module.data_symbols:
            return f"; {item.file} has one of its own: write .globl {name} there"
    near = get_close_matches(name, linked.exported, n=1)
    return f"; did you mean {near[0]}?" if near else "; give the object that has it, too"


def _free_labels(linked: Module) -> None:
    """Labels that are called as a function is get another name: in text they would stand for it."""
    for code in code_of(linked):
        for name in code.labels.keys() & (linked.functions.keys() - {code.name}):
            code.labels[_free(name, {*linked.functions, *code.labels})] = code.labels.pop(name)
