"""Machine code on disk is never stale, whatever is edited; damaged or missing entries are compiled again.

Copies of the package are edited and run in processes of their own with one M890_CACHE_DIR. Edits are appended,
so that they do not depend on how the sources are written.
"""

import ast
import importlib
import json
import math
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import m890.emulator
import m890.isa
from m890.emulator.codegen import fingerprint
from m890.emulator.codegen.compiler import type_of_static
from m890.emulator.codegen.recipes import COMPLETE, FAST, ISSUE, Recipe, key_of
from m890.isa import ISA
from m890.isa.fields import Field

TESTS = Path(__file__).parent
ADD, MIN, BFE, LESS, GREATER = (
    "v.add.i32 vreg8, vreg0, vreg4",
    "v.min.f32 vreg8, vreg0, vreg4",
    "v.bfe.u32 vreg8, vreg0, vreg4, c0x1",
    "s.cmp.lt.u32 sreg8, sreg0, sreg4",
    "s.cmp.gt.u32 sreg8, sreg0, sreg4",
)
TEXTS = (ADD, MIN, BFE, LESS, GREATER)
ALL = 0xFFFFFFFF
RESULTS = [0x3F000000 + 0x40800000, 0x3F000000, 0, ALL, 0]
PROGRAM = """
import json, sys
import m890.isa
from one import bench, row_of
assert m890.isa.__file__.startswith(sys.argv[2])
found = []
for text in json.loads(sys.argv[1]):
    one = bench().one(text)
    for base in (0, 256):
        bench().rows[base], bench().rows[base + 4] = 0x3F000000, 0x40000000
    if text.startswith("v.add.i32"):
        bench().rows[260] = 0x40800000
    assert one.run() == 1
    found.append(int(bench().rows[row_of(one.decoded.values[0]), 0]))
print(json.dumps(found))
"""


class Copy:
    """A copy of the package that can be edited, and a cache folder."""

    def __init__(self, path: Path):
        self.path, self.cache = path, path / "cache"
        for name, module in (("isa", m890.isa), ("emulator", m890.emulator)):
            assert module.__path__
            shutil.copytree(module.__path__[0], path / "m890" / name, ignore=shutil.ignore_patterns("__pycache__"))
        (path / "m890" / "__init__.py").write_text("")

    def append(self, file: str, text: str) -> None:
        """Add code at the end of a source file."""
        place = self.path / "m890" / file
        place.write_text(place.read_text() + "\n\n" + text + "\n")

    def run(self, texts: tuple[str, ...] = TEXTS, cache: Path | None = None) -> list[int]:
        """The result of each instruction, from a new process."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.path}{os.pathsep}{TESTS}",
            "M890_CACHE_DIR": str(cache or self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(texts), str(self.path)],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def files(self) -> set[str]:
        """Names of the objects in the cache."""
        return {file.name for file in self.cache.glob("*.o")}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_edits_take_effect(copy: Copy) -> None:
    """A helper below a helper, a static of one member of a family, a new instruction: each compiles itself alone."""
    assert copy.run() == RESULTS
    before = copy.files()
    assert stat.S_IMODE(copy.cache.stat().st_mode) == 0o700
    assert copy.run() == RESULTS
    assert copy.files() == before, "nothing is compiled twice"

    copy.append("isa/numerics.py", "def bit_field_mask(position, length):\n    return position | ~position")
    copy.append("isa/numerics.py", "def smaller(a, b):\n    return larger(a, b)")
    changed = [RESULTS[0], 0x40000000, 0x3F000000, *RESULTS[3:]]  # position 0, and every length is the whole word
    assert copy.run() == changed
    assert len(copy.files() - before) == 2
    before = copy.files()

    copy.append("isa/integer.py", STATIC)
    changed[3] = 0
    assert copy.run() == changed
    # s.cmp.lt has become s.cmp.gt, whose machine code is there
    assert copy.files() == before

    copy.append("isa/integer.py", NEW)
    assert copy.run((*TEXTS, "v.thrice.i32 vreg8, vreg0")) == [*changed, 3 * 0x3F000000 & ALL]
    assert len(copy.files() - before) == 1


STATIC = """
from .spec import ISA
for _instruction in ISA:
    if _instruction.mnemonic == "s.cmp.lt.u32":
        _instruction.bindings = tuple(
            b._replace(static=8) if b.name == "relation" else b for b in _instruction.bindings
        )
"""
NEW = """
_free = next(n for n in range(0x3FF, 0, -1) if n not in ISA.by_opcode)
@insn("v.thrice.i32 {d:vreg}, {a:vsrc}", opcode=_free, tag="defined", ex="a=2 | d=6", immediate=False)
def v_thrice(a: U32) -> U32:
    '''d = 3 * a.'''
    return a + a + a
"""


def test_glue_counts(copy: Copy) -> None:
    """The code around the bodies is edited."""
    copy.run((LESS,))
    before = copy.files()
    copy.append("emulator/codegen/glue.py", "_Glue.scalar_bits = lambda self, kind, row, mask: ir.Constant(I32, 77)")
    assert copy.run((LESS,)) == [77]
    assert copy.files() - before


def test_code_generators_are_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Editing any module that writes LLVM code, or the kinds and codes it writes, changes every key."""
    folders = {name: Path(module.__path__[0]) for name, module in (("emulator", m890.emulator), ("isa", m890.isa))}
    files = folders["emulator"].rglob("*.py")
    writers = [f"emulator/{path.relative_to(folders['emulator'])}" for path in files if makes_code(path.read_text())]
    needed = [*writers, "emulator/machine/state.py", "emulator/codegen/recipes.py", "isa/lanes.py", "isa/effects.py"]
    assert "emulator/codegen/glue.py" in needed
    assert "emulator/codegen/lowering.py" in needed
    for name, folder in folders.items():
        shutil.copytree(folder, tmp_path / name)
    monkeypatch.setattr(fingerprint, "_ROOMS", tmp_path)
    seen = {fingerprint.sources()}
    for count, name in enumerate(dict.fromkeys(needed), 2):
        file = tmp_path / name
        file.write_text(file.read_text() + "# edited\n")
        seen.add(fingerprint.sources())
        assert len(seen) == count, f"{name} can be edited without any key changing"
    monkeypatch.undo()
    fingerprint.environment.cache_clear()
    assert not fingerprint.unchanged() or fingerprint.sources() in fingerprint.environment()


BUILT_IN_OTHERWISE = {
    "ROW_BYTES": "the bodies of matrix loads name it",
    "RATES": "a handler's key has the rate it counts at, and the core names how many there are",
    "PACKAGE": "a name",
}
"""Constants that machine code is made from without their files being covered, and why that is right."""


def test_constants_of_code_generators_are_covered() -> None:
    """Numbers that covered files take from others: the code is made from them, so their files must be covered, too."""
    found: set[str] = set()
    for name in fingerprint.LOWERING:
        module = importlib.import_module(f"m890.{name.removesuffix('.py').replace('/', '.')}")
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if isinstance(node, ast.ImportFrom) and node.level and node.module:
                source = f"{'.'.join(module.__name__.split('.')[1 : -node.level])}.{node.module}".lstrip(".")
                if f"{source.replace('.', '/')}.py" not in fingerprint.LOWERING:
                    values = {alias.name: getattr(module, alias.asname or alias.name, None) for alias in node.names}
                    found |= {name for name, value in values.items() if isinstance(value, int | str | tuple)}
    assert found == set(BUILT_IN_OTHERWISE)


def adder(number: int, scale: int = 1) -> Any:
    def add(a: int, b: int = scale) -> int:
        return a + number * b

    return add


def test_a_function_is_its_closure_and_defaults() -> None:
    """Members of a family share one source text; what they are bound to tells them apart."""
    key = fingerprint.fingerprint(adder(1))
    assert key == fingerprint.fingerprint(adder(1))
    assert key != fingerprint.fingerprint(adder(2))
    assert key != fingerprint.fingerprint(adder(1, 2))


def makes_code(source: str) -> bool:
    """Whether a module uses llvmlite's or numba's code generators."""
    return "from llvmlite import ir" in source or "import numba" in source or "from numba" in source


NOT_CODE = {
    "field",
    "allowed",
    "tables",
    "base_numbers",
    "index_numbers",
    "position",
    "names",
    "flags",
    "inside",
    "usual",
}
"""Attributes of operand kinds that the decoder uses up: they are in the record, not in the handler."""


def makeup(recipe: Recipe) -> Any:
    """All that makes a handler what it is, said independently of recipes.key_of."""
    instruction = recipe.instruction
    kinds = [
        (
            type(kind).__name__,
            kind.role,
            getattr(getattr(kind, "flags", None), "either", None),
            sorted(
                (name, value)
                for name, value in vars(kind).items()
                if name not in NOT_CODE and not isinstance(value, Field)
            ),
        )
        for kind in instruction.kinds
    ]
    bindings = [(b.name, repr(b.kind), b.operand, repr(b.static)) for b in instruction.bindings]
    body = instruction.body.__code__
    return (
        body.co_code,
        body.co_consts[1:],
        body.co_names,
        instruction.body.__qualname__,
        bindings,
        repr(instruction.results),
        instruction.access,
        instruction.all_lanes,
        instruction.lanes,
        kinds,
        recipe[1:],
    )


def test_either_zero_is_a_static_of_its_own() -> None:
    """numba takes types that compare equal for one: a handler with -0.0 must not get the 0.0 of another."""
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):
        kept, found = type_of_static(first), type_of_static(second)
        assert math.copysign(1.0, kept.value) == math.copysign(1.0, first)
        assert math.copysign(1.0, found.value) == math.copysign(1.0, second)


def test_equal_keys_mean_equal_code() -> None:
    """No two instructions share a key unless all that they are compiled from is the same."""
    found: dict[str, tuple[Recipe, Any]] = {}
    for instruction in ISA:
        builds = (FAST, ISSUE, COMPLETE) if instruction.access else (FAST,)
        suffixes: list[tuple[str, ...]] = [(), *[(suffix.name,) for suffix in instruction.suffixes]]
        for build in builds:
            for chosen in suffixes:
                for dense in (False, True) if instruction.access else (False,):
                    recipe = Recipe(instruction, build=build, suffixes=chosen, dense=dense)
                    other, made = found.setdefault(key_of(recipe), (recipe, makeup(recipe)))
                    assert made == makeup(recipe), f"{instruction.pattern} and {other.instruction.pattern} share a key"
    assert len(found) > len(list(ISA)) * 0.7


def test_damaged_entries_are_compiled_again(copy: Copy) -> None:
    """Truncated, empty, altered, not ours: each is replaced by a good one."""
    copy.run()
    good = {file.name: file.read_bytes() for file in copy.cache.glob("*.o")}
    assert len(good) >= 4
    damages = [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"\x7fELF" + data,
        lambda data: data[:100] + bytes([data[100] ^ 0x80]) + data[101:],
        lambda data: data[:8] + bytes(32) + data[40:],
    ]
    for place, name in enumerate(sorted(good)):
        (copy.cache / name).write_bytes(damages[place % len(damages)](good[name]))
    assert copy.run() == RESULTS
    assert copy.files() == set(good)
    for name, data in good.items():
        assert (copy.cache / name).read_bytes()[:8] == data[:8]
        assert len((copy.cache / name).read_bytes()) >= len(data) // 2
    stamps = {name: (copy.cache / name).stat().st_mtime_ns for name in good}
    assert copy.run() == RESULTS
    assert {name: (copy.cache / name).stat().st_mtime_ns for name in good} == stamps, "the replacements are good"
    assert not list(copy.cache.glob("partial-*"))

    # What lies in a folder that others can write is not even read.
    for entry in copy.cache.iterdir():
        entry.write_bytes(b"")
    copy.cache.chmod(0o777)
    assert copy.run() == RESULTS
    assert all(entry.stat().st_size == 0 for entry in copy.cache.iterdir())


def test_without_a_usable_folder(copy: Copy) -> None:
    """A path that cannot be a folder, one that others may write, one that is read-only: no cache, right results."""
    file = copy.path / "file"
    file.write_text("")
    shared = copy.path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    closed = copy.path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    for place in (file / "below", shared) if os.getuid() == 0 else (file / "below", shared, closed):
        assert copy.run((ADD, LESS), place) == [RESULTS[0], RESULTS[3]]
    assert not list(shared.iterdir())
    assert not list(closed.iterdir())


def test_suffixes_and_builds_have_keys_of_their_own() -> None:
    """What a word adds to its instruction is part of the key."""
    instruction = next(i for i in ISA if i.mnemonic == "v.add.f32")
    plain = Recipe(instruction)
    others = [
        plain._replace(suffixes=("ftz",)),
        plain._replace(suffixes=("sat",)),
        plain._replace(suffixes=("ftz", "sat")),
        plain._replace(negate=("a",)),
        plain._replace(negate=("b",)),
        plain._replace(absolute=("a",)),
        plain._replace(build=ISSUE),
    ]
    assert len({key_of(recipe) for recipe in (plain, *others)}) == len(others) + 1
    assert key_of(plain) == key_of(Recipe(instruction))


def test_keys_are_the_same_in_every_process() -> None:
    """Or nothing would be found again: every handler in the build without observers, every function of the core."""
    code = """
from m890.emulator.machine import aiu, awbar, core, jumps, observed, resolve
from m890.emulator.codegen.fingerprint import fingerprint
from m890.emulator.codegen.recipes import Recipe, key_of
from m890.isa import ISA
for instruction in ISA:
    print(instruction.mnemonic, key_of(Recipe(instruction)))
for function in (aiu.copy_cube, awbar.act, core.run, jumps.jump, observed.emit, resolve.resolve):
    print(function.__name__, fingerprint("core", function))
"""
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0].count("\n") > len(list(ISA))
    assert found[0] == found[1]
