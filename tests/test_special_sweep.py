"""Every input of every special function: the record of the exhaustive run, a stratum of it, and the run itself."""

import json

import pytest
import special_sweep
from special_sweep import FUNCTIONS, RECORD, records, sweep


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
    everything = {**records(), name: found.summary()}
    RECORD.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert not found.wrong
    assert found.inputs == 1 << 32
