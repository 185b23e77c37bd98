"""Python functions to machine code: numba types and lowers them, LLVM links, optimises and emits one object.

Nothing here knows instructions. A `Unit` is one object under construction: LLVM code written by hand that
calls Python functions compiled by numba.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import codegen, compiler, cpu, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, CPUTarget
from numba.core.utils import threadsafe_cached_property

from . import lowering_copies as lowering_copies  # noqa: PLC0414 (it registers primitives)
from . import lowering_elementary as lowering_elementary  # noqa: PLC0414 (it registers primitives)
from . import lowering_matrix as lowering_matrix  # noqa: PLC0414 (it registers primitives)
from . import lowering_memory as lowering_memory  # noqa: PLC0414 (it registers primitives)
from . import lowering_raw as lowering_raw  # noqa: PLC0414 (it registers primitives)
from . import lowering_rows as lowering_rows  # noqa: PLC0414 (it registers primitives)
from . import lowering_scaled as lowering_scaled  # noqa: PLC0414 (it registers primitives)
from .cache import symbol
from .fingerprint import PACKAGE
from .lowering import PRIMITIVES, Builder, Constant, Value

_twins: dict[int, tuple[FunctionType, FunctionType]] = {}


def is_primitive(function: Any) -> bool:
    """Whether `lowering` gives this function a meaning of its own."""
    return function in PRIMITIVES


def twin(function: Callable[..., Any]) -> FunctionType:
    """A copy of a plain function in which the package's functions it names can be compiled by numba."""
    assert isinstance(function, FunctionType)
    kept = _twins.get(id(function))
    if kept is not None and kept[0] is function:
        return kept[1]
    scope = dict(function.__globals__)
    copied = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copied.__module__, copied.__qualname__ = function.__module__, function.__qualname__
    _twins[id(function)] = (function, copied)
    for name in function.__code__.co_names:
        value = scope.get(name)
        if isinstance(value, FunctionType) and value.__module__.startswith(PACKAGE) and not is_primitive(value):
            scope[name] = dispatcher(value)
    return copied


class _Library(codegen.JITCodeLibrary):
    """The LLVM code of one function, neither optimised nor linked: `Unit.emit` does both, once."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def add_linking_library(self, library: _Library) -> None:
        self._linking_libraries.append(library)

    def finalize(self) -> None:
        self._finalized = True

    def all(self, found: dict[int, _Library]) -> None:
        """Add this library and those it calls to `found`, by identity."""
        if id(self) not in found:
            found[id(self)] = self
            for library in self._linking_libraries:
                library.all(found)


class _Codegen(codegen.JITCPUCodegen):
    _library_class = _Library


class _Context(cpu.CPUContext):
    @global_compiler_lock
    def init(self) -> None:
        super().init()
        self._internal_codegen = _Codegen("m890")


class _Target(CPUTarget):
    """numba's CPU target with libraries of our own; other users of numba in the process keep theirs."""

    @threadsafe_cached_property
    def _toplevel_target_context(self) -> _Context:
        return _Context(self.typing_context, self._target_name)


_TARGET: Any = _Target("cpu")


class _Callee(CPUDispatcher):
    """A function that compiled code can call and Python cannot: no wrappers, and no machine code of its own."""

    targetdescr = _TARGET
    _compiler: Any

    def __init__(self, function: FunctionType):
        inline = self.folds = function.__module__.startswith(f"{PACKAGE}.isa")
        super().__init__(
            twin(function), targetoptions={"nopython": True, "forceinline": inline, "error_model": "numpy"}
        )
        self._compiler._customize_flags = _lean

    def get_call_template(self, args: Any, kws: Any) -> Any:
        if not self.folds:
            args = tuple(types.unliteral(argument) for argument in args)
        return super().get_call_template(args, kws)

    def add_overload(self, cres: Any) -> None:
        cres = cres._replace(entry_point=object())
        self.targetctx.insert_user_function(cres.entry_point, cres.fndesc, [cres.library])
        self.overloads[tuple(cres.signature.args)] = cres


def _lean(flags: Any) -> Any:
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.no_compile = True
    flags.no_rewrites = True
    flags.nrt = False
    flags.error_model = "numpy"
    return flags


_callees: dict[int, _Callee] = {}


def dispatcher(function: FunctionType) -> _Callee:
    """The package's function as one that compiled code can call."""
    copied = twin(function)
    if id(copied) not in _callees:
        _callees[id(copied)] = _Callee(function)
    return _callees[id(copied)]


class _NegativeZero(float):
    """-0.0 with a class of its own: numba takes types of equal values for one, whichever of them it met first."""


def type_of_static(value: Any) -> types.Type:
    """The type that carries a static value into a body: plain values are folded in, functions called."""
    if isinstance(value, FunctionType):
        return types.Dispatcher(dispatcher(value))
    if isinstance(value, bool | int | float | str):
        return types.Omitted(_NegativeZero(value) if repr(value) == "-0.0" else value)
    return Constant(value)


class Unit:
    """One object file under construction; its entry is `symbol(key)`."""

    def __init__(self, key: str, result: ir.Type, arguments: list[ir.Type]):
        self.context: Any = _TARGET.target_context
        _TARGET.typing_context.refresh()
        self.context.refresh()
        self.module = ir.Module(f"m890.{key}")
        self.module.triple = llvm.get_default_triple()
        self.entry = ir.Function(self.module, ir.FunctionType(result, arguments), symbol(key))
        self.builder: Builder = ir.IRBuilder(self.entry.append_basic_block())
        self._libraries: dict[int, _Library] = {}

    def call(
        self, function: Callable[..., Any], kinds: list[types.Type], values: list[Value]
    ) -> tuple[types.Type, Value]:
        """Call a Python function on values of the given types: the type and value it returns."""
        flags = _lean(compiler.Flags())
        flags.forceinline = True
        compiled = compiler.compile_extra(
            _TARGET.typing_context, self.context, twin(function), tuple(kinds), None, flags, {}
        )
        compiled.library.all(self._libraries)
        callee = self.context.declare_function(self.module, compiled.fndesc)
        result = compiled.signature.return_type
        _, value = self.context.call_conv.call_function(self.builder, callee, result, compiled.signature.args, values)
        return result, value

    def emit(self) -> bytes:
        """The finished object file."""
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=3,
            reloc="static",
            codemodel="large",
        )
        module = llvm.parse_assembly(str(self.module))
        for library in self._libraries.values():
            module.link_in(library._final_module.clone())
        module.data_layout = str(machine.target_data)
        for function in module.functions:
            if not function.is_declaration and not function.name.startswith("m890_"):
                function.linkage = "internal"
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        passes = llvm.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        return machine.emit_object(module)
