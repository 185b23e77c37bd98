"""docs/support.md is made from the table and from a record of what the tests run; no form is untested."""

import json
from pathlib import Path

import pytest

from m890.isa import ISA
from m890.tools import support

ROOT = Path(__file__).parent.parent
RECORD = json.loads((ROOT / "tests" / "data" / "support.json").read_text(encoding="utf-8"))


def test_the_record_knows_every_form_and_no_other() -> None:
    assert set(RECORD) == {form.name for form in ISA.forms()}, "run `make support`"


def test_the_record_names_test_files_that_are_there() -> None:
    named = {name for files in RECORD.values() for name in files}
    assert named <= {path.stem for path in Path(__file__).parent.glob("test_*.py")}, "run `make support`"


def test_no_form_is_untested() -> None:
    assert not support.untested(RECORD)


def test_a_form_that_only_loops_over_the_table_run_is_untested() -> None:
    form = next(ISA.forms())
    assert form.name in support.untested({**RECORD, form.name: ["test_examples", "test_bodies", "test_words"]})
    assert form.name in support.untested({})


def test_the_committed_page_is_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed = ROOT / "docs" / "support.md"
    assert committed.read_text(encoding="utf-8") == support.page(RECORD), "run `make support`"
    assert support.main(["--check", str(ROOT / "tests" / "data" / "support.json"), str(committed)]) == 0
