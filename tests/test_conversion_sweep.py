"""Every binary32 input of every conversion: the record of the exhaustive run, a stratum of it, and the run itself."""

import json

import conversion_sweep
import numpy as np
import pytest
from conversion_sweep import CASES, RECORD, Inputs, plain_mnemonics, records, sweep
from small_floats import RANGES, ROUNDINGS, STANDARDS, clamped, encode, f32_points, value_of, whole

from m890.isa import ISA


def test_all_conversions_of_binary32_are_swept() -> None:
    """Those with one source; v.pcnvt has two, and the same functions."""
    names = {i.mnemonic for i in ISA if i.mnemonic.startswith(("v.cnvt.", "v.rnd.f32."))}
    assert {name for name in names if ".f32." in name.removeprefix("v.cnvt.f32")} == plain_mnemonics()


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", STANDARDS)
def test_the_reference_agrees_with_the_tables(name: str, rounding: str) -> None:
    """Two ways to round, both apart from isa/: sorted tables of all numbers, and shifts of significands."""
    bits = f32_points(name)
    for finite in (False, True):
        wanted = encode(name, value_of(bits), rounding, finite=finite)
        np.testing.assert_array_equal(Inputs(bits).narrow(name).bits(rounding, finite), wanted)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_the_reference_agrees_with_integers(rounding: str) -> None:
    bits = np.concatenate(
        [f32_points("bf16"), (np.float32(2.0) ** np.arange(-2, 80, dtype=np.float32)).view(np.uint32)]
    )
    for name, ends in RANGES.items():
        nan = 1 << 63 if name.endswith("64") else 0
        wanted = clamped(whole(value_of(bits), rounding), *ends, nan)
        np.testing.assert_array_equal(conversion_sweep.integer(name, rounding, Inputs(bits)), wanted)


@pytest.mark.parametrize("name", CASES)
def test_record_is_of_these_conversions(name: str) -> None:
    """What the exhaustive run proved is what stands in isa/ now: `make sweep` renews it."""
    kept = records()[name]
    assert kept["inputs"] == 1 << 32
    assert kept["wrong"] == 0
    assert kept["proves"] == conversion_sweep.MEANINGS[name], "a conversion has changed: run `make sweep`"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_stratum(name: str) -> None:
    """One input in 256."""
    found = sweep(name, start=77, stride=256)
    assert not found["first wrong"]
    assert found["inputs"] == 1 << 24


@pytest.mark.sweep
@pytest.mark.parametrize("name", CASES)
def test_every_input(name: str) -> None:
    """All of them, about a minute each; the record is written anew."""
    found = sweep(name)
    everything = {**records(), name: found}
    RECORD.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert not found["first wrong"]
    assert found["inputs"] == 1 << 32
