"""Every input of every special function, and 10^8 divisions: the record of the run, a stratum of it, and the run."""

import json
from typing import Any

import division_sweep
import pytest
import special_sweep
from special_sweep import FUNCTIONS, RECORD, records, sweep


def keep(name: str, summary: dict[str, Any]) -> None:
    """Write what a run has found into the record."""
    everything = {**records(), name: summary}
    RECORD.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_record_is_of_these_functions(name: str) -> None:
    """What the exhaustive run proved is what stands in isa/ now: `make sweep` renews it."""
    kept = records()[name]
    assert kept["inputs"] == 1 << 32
    assert kept["wrong"] == 0
    assert kept["proves"] == special_sweep.MEANINGS[name], "isa/elementary.py has changed: run `make sweep`"


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_stratum(name: str) -> None:
    """One input in 256."""
    found = sweep(name, start=77, stride=256)
    assert not found.wrong
    assert found.inputs == 1 << 24


@pytest.mark.sweep
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_input(name: str) -> None:
    """All of them, some minutes a function; the record is written anew."""
    found = sweep(name)
    keep(name, found.summary())
    assert not found.wrong
    assert found.inputs == 1 << 32


def test_record_is_of_this_division() -> None:
    kept = records()["div"]
    assert kept["pairs"] >= 10**8
    assert kept["wrong"] == 0
    assert kept["proves"] == division_sweep.MEANING, "isa/elementary.py has changed: run `make sweep`"


@pytest.mark.slow
def test_stratum_of_divisions() -> None:
    """A block of each kind of pairs."""
    found = division_sweep.sweep(range(len(division_sweep.KINDS)))
    assert not found.wrong
    assert found.ties
    assert found.hardest[0] < 2.0**-24


@pytest.mark.sweep
def test_divisions() -> None:
    """All pairs, a minute; the record is written anew."""
    found = division_sweep.sweep()
    keep("div", found.summary())
    assert not found.wrong
