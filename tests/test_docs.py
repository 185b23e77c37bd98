"""The pages of docs/ that are written by hand: their programs run, their tables are those of the program."""

import re
import tomllib
from pathlib import Path

import pytest

from m890.isa.arithmetic import FUNCTIONS
from m890.isa.assembler import assemble
from m890.tools import tables
from m890.tools.launchfile import read
from m890.tools.launchfile_keys import KEYS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["assembly.md", "launch-files.md", "programs.md"])
def test_tables_are_up_to_date(page: str) -> None:
    assert "<!-- table: " in PAGES[page]
    assert tables.filled(PAGES[page]) == PAGES[page], f"run python -m m890.tools.tables docs/{page}"


def test_the_writer_fills_a_page(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("a\n<!-- table: init_forms -->\nstale\n<!-- end -->\nb\n")
    assert tables.main([str(page)]) == 0
    assert "stale" not in page.read_text()
    assert "arange[:TYPE:SHAPE]" in page.read_text()


@pytest.mark.parametrize(
    "program",
    [
        *(block for page in ("python.md", "fuzzing.md", "programs.md", "icn.md") for block in blocks(page, "python")),
        "\n".join(blocks("collectives.md", "python")),
    ],
)
def test_python_programs_run(program: str) -> None:
    exec(compile(program, "page.md", "exec"), {"__name__": "program"})


def test_the_page_of_fuzzing_names_what_there_is() -> None:
    from m890.isa.builder import KernelBuilder

    table = PAGES["fuzzing.md"].split("## The table")[0].split("| --- | --- |")[1]
    named = set(re.findall(r"`b\.(\w+)[(\[]", table))
    public = {name for name in vars(KernelBuilder) if not name.startswith("_")}
    assert named - {"s_cbr", "s_call"} == public - {"lo", "hi", "s_wait", "build"}


def test_the_page_of_python_names_what_there_is() -> None:
    import m890

    for name in ("Chip", "Buffer", "LoadedModule", "LoadedKernel", "Limits", "Schedule", "Fault", "Timeout", "Deadlock",
                 "LaunchError", "MemoryLimit", "AssemblyError", "ObjectError", "M890Error"):  # fmt: skip
        assert getattr(m890, name).__name__ in PAGES["python.md"]
    for kind in (m890.Fault, m890.Timeout, m890.Deadlock, m890.MemoryLimit):
        row = next(line for line in PAGES["python.md"].splitlines() if line.startswith(f"| `{kind.__name__}`"))
        assert all(f"`{field}`" in row for field in kind.__dataclass_fields__)


@pytest.mark.parametrize("program", blocks("assembly.md", "asm"))
def test_programs_of_the_assembly_page_assemble_without_warnings(program: str) -> None:
    warnings: list[object] = []
    assert assemble(program, warn=warnings.append).kernels
    assert not warnings


def test_every_function_is_described() -> None:
    assert all(f"`{name}(" in PAGES["assembly.md"] for name in FUNCTIONS)


@pytest.mark.parametrize("text", blocks("launch-files.md", "toml"))
def test_launch_files_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    assert read(tmp_path / "a.toml").launches


def test_defaults_of_keys_are_toml_or_words() -> None:
    for keys in KEYS.values():
        for key in keys.values():
            if key.default and " " not in key.default:
                tomllib.loads(f"x = {key.default}")
