"""Chip profiles: numbers as published, tags and sources on all, user profiles from TOML."""

import copy
import pickle
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from m890 import Chip, Fault, LaunchError, MemoryLimit
from m890.emulator.profiles import ENTRIES, M890, PROFILES, Fact, Profile, profile
from m890.isa.assembler import assemble


@pytest.mark.parametrize(
    ("name", "entry", "value", "unit", "tag"),
    [
        ("M890", "arch", "ppu0015", "", "published"),
        ("M890", "arch_number", 150, "", "published"),
        ("M890", "capability", "8.9", "", "published"),
        ("M890", "hbm_bytes", 147_456 * 1024 * 1024, "B", "published"),
        ("M890", "hbm_copy_bandwidth", 2172e9, "B/s", "measured"),
        ("M890", "compute_units", 39, "CU", "measured"),
        ("M890", "matrix_rate_f8", 2.0, "x FP16", "published"),
        ("M890", "matrix_rate_f4", 4.0, "x FP16", "published"),
        ("M890", "domain_chips", 64, "chips", "published"),
        ("M890", "rack_chips", 128, "chips", "published"),
        ("M890", "all_reduce_1mb", 26.8e-6, "s", "published"),
        ("M890", "icn_retries", 8, "retries", "published"),
        ("810E", "arch", "ppu001", "", "published"),
        ("810E", "arch_number", 100, "", "published"),
        ("810E", "hbm_bytes", 98_304 << 20, "B", "published"),
        ("810E", "compute_units", 64, "CU", "published"),
        ("810E", "clock", 1.7e9, "Hz", "published"),
        ("810E", "matrix_peak_f16", 118.7e12, "FLOP/s", "published"),
        ("810E", "icn_links", 7, "links", "published"),
        ("810E", "icn_link_bandwidth", 50e9, "B/s", "published"),
        ("810E", "board_power", 400.0, "W", "published"),
    ],
)
def test_numbers_of_one_chip(name: str, entry: str, value: object, unit: str, tag: str):
    fact = profile(name).fact(entry)
    assert (fact.value, fact.unit, fact.tag) == (value, unit, tag)
    assert getattr(profile(name), entry) == value


@pytest.mark.parametrize("one", PROFILES.values(), ids=PROFILES)
def test_numbers_of_both_chips(one: Profile):
    assert (one.warp_size, one.max_threads, one.max_block) == (32, 1024, (1024, 1024, 128))
    assert one.max_grid == (2**31 - 1,) * 3
    assert (one.warps_per_cu, one.blocks_per_cu) == (64, 64)
    assert (one.vregs_per_cu, one.vregs_per_lane, one.usable_vregs_per_lane) == (131_072, 256, 255)
    assert (one.tsm_bytes, one.tsm_unit, one.tsm_banks, one.tsm_bank_bytes) == (262_144, 128, 32, 4)
    assert (one.constant_bytes, one.parameter_bytes) == (0, 32_764)


@pytest.mark.parametrize("one", PROFILES.values(), ids=PROFILES)
def test_every_fact_has_tag_source_and_meaning(one: Profile):
    facts = dict(one.facts())
    assert list(facts) == list(ENTRIES)
    for name, fact in facts.items():
        assert isinstance(fact, Fact)
        assert fact.tag in {"published", "measured", "defined"}, name
        assert fact.source, name
        assert fact.meaning, name
        assert fact.value == getattr(one, name)
        assert fact.value is not None or fact.source in {"not found in public", "does not exist on this chip"}


def test_inferred_numbers_count_as_defined():
    assert M890.fact("matrix_peak_f16").tag == "defined"
    assert M890.matrix_peak_f16 == pytest.approx(356.1e12)
    assert M890.fact("clock").tag == "defined"
    assert 1.0e9 <= M890.clock <= 1.3e9


def test_wiring_of_the_810e():
    wiring = profile("810E").icn_wiring
    links = Counter[int]()
    for a, b, count in wiring:
        assert 0 <= a < b < 8
        links.update({a: count, b: count})
    assert len({(a, b) for a, b, _ in wiring}) == len(wiring) == 14
    assert all(links[chip] <= profile("810E").icn_links for chip in range(8))
    assert (0, 6, 2) in wiring
    assert (4, 5, 2) in wiring
    assert M890.icn_wiring == ()


def test_icn_bandwidth():
    assert M890.icn_bandwidth == 400e9
    assert profile("810E").icn_bandwidth == 350e9


@pytest.mark.parametrize(
    ("name", "kind", "ratio"),
    [("M890", "f16", 1), ("M890", "e5m2", 2), ("M890", "e2m1", 4), ("M890", "tf32", 0.5), ("810E", "u8", 2)],
)
def test_matrix_peak(name: str, kind: str, ratio: float):
    assert profile(name).matrix_peak(kind) == ratio * profile(name).matrix_peak_f16


@pytest.mark.parametrize("one", PROFILES.values(), ids=PROFILES)
def test_every_matrix_type_has_a_peak(one: Profile):
    assert all(one.matrix_peak(kind) > 0 for kind in one.matrix_types)


def test_matrix_types_a_chip_lacks():
    with pytest.raises(ValueError, match="unknown matrix type of 810E 'e4m3'"):
        profile("810E").matrix_peak("e4m3")


def test_the_nearest_name_is_offered():
    with pytest.raises(ValueError, match="did you mean 'M890'"):
        profile("m980")
    with pytest.raises(ValueError, match="known are M890, 810E"):
        profile("zzz")
    with pytest.raises(ValueError, match="did you mean 'compute_units'"):
        M890.fact("compute_unit")


def test_profiles_are_values():
    with pytest.raises(FrozenInstanceError):
        M890.compute_units = 40  # type: ignore[misc]
    assert profile("810E") != M890
    for twin in (copy.deepcopy(M890), pickle.loads(pickle.dumps(M890)), M890.override("M890", {}, "nothing")):
        assert twin == M890
        assert hash(twin) == hash(M890)
        assert list(twin.facts()) == list(M890.facts())


def test_a_missing_entry_cannot_be_built():
    facts = dict(M890.facts())
    del facts["clock"]
    with pytest.raises(TypeError, match="clock"):
        Profile(name="x", **facts)


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_user_profile(toml):
    path = toml(
        """
        base = "M890"
        compute_units = 4
        clock = 1_000_000_000
        max_block = [512, 512, 64]
        hbm_copy_bandwidth = 1.5e12
        icn_wiring = [[0, 1, 2], [1, 2, 1]]
        matrix_types = ["f16"]
        board_power = 600
        """
    )
    mine = Profile.from_toml(path)
    assert mine.name == "mine"
    assert (mine.compute_units, mine.clock, mine.max_block) == (4, 1e9, (512, 512, 64))
    assert mine.icn_wiring == ((0, 1, 2), (1, 2, 1))
    assert (mine.matrix_types, mine.board_power) == (("f16",), 600.0)
    assert isinstance(mine.clock, float)
    fact = mine.fact("compute_units")
    assert (fact.unit, fact.tag, fact.source) == ("CU", "defined", f"user profile {path}")
    assert mine.fact("hbm_bytes") == M890.fact("hbm_bytes")


def test_the_profile_of_the_page(toml):
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    (block,) = [text.split("```")[0] for text in page.split("```toml\n")[1:]]
    half = profile(toml(block))
    assert (half.name, half.arch, half.compute_units, half.icn_wiring) == (
        "half",
        "ppu0015",
        20,
        ((0, 1, 2), (1, 2, 1)),
    )
    assert (half.clock, half.fact("clock").tag, half.fact("compute_units").tag) == (1.2e9, "measured", "defined")


def test_a_user_profile_may_say_who_knows_a_number(toml):
    path = toml('base = "M890"\ncompute_units = { value = 40, tag = "measured", source = "my card" }\n')
    fact = profile(path).fact("compute_units")
    assert (fact.value, fact.unit, fact.tag, fact.source) == (40, "CU", "measured", "my card")


def test_a_chip_takes_the_file_of_a_profile(toml):
    path = toml('base = "810E"\ncompute_units = 3\nhbm_bytes = 1_048_576\nmax_threads = 64\n')
    chip = Chip(str(path))
    assert (chip.profile.name, chip.profile.arch, chip.profile.compute_units) == ("mine", "ppu001", 3)
    with pytest.raises(MemoryLimit, match=r"HBM of chip 0: 2\.0 MiB more do not fit"):
        chip.empty(1 << 19)
    kernel = chip.assemble(".arch ppu001\n.kernel k\nsimt.exit\n")["k"]
    kernel[1, 64]()
    with pytest.raises(LaunchError, match="64"):
        kernel[1, 96]()
    with pytest.raises(OSError, match=r"none\.toml"):
        profile("none.toml")


def test_instructions_follow_the_profile():
    """An instruction of the other chip is none here, whatever the object says."""
    module = assemble(".arch ppu001\n.kernel k\nsimt.exit\n")
    words = assemble(
        ".arch ppu0015\n.kernel k\nv.mma.f32.f16.m16n8k16 vreg[0:3], vreg[4:7], vreg[8:9], vreg[0:3]\nsimt.exit\n"
    )
    kernel = replace(module.kernels["k"], words=words.kernels["k"].words)
    with pytest.raises(Fault, match="exception 0, Invalid instruction"):
        Chip("810E").load(replace(module, kernels={"k": kernel}))["k"][1, 32]()
    with pytest.raises(LaunchError, match="the object is for ppu0015, 810E is ppu001"):
        Chip("810E").load(words)


def test_a_user_profile_may_have_a_name(toml):
    assert Profile.from_toml(toml('base = "810E"\nname = "half"\n')).name == "half"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compute_units = 4", 'say base = "M890"'),
        ("base = 890", 'say base = "M890"'),
        ('base = "other.toml"', "unknown profile 'other.toml'"),
        ('base = "M890"\nname = 1', "name: 1 should be of type str"),
        ('base = "M890"\nclock = { value = 1e9, source = "me" }', "clock: no tag: an entry is a value, or {"),
        ('base = "M890"\nclock = { value = 1e9, tag = "measured" }', "clock: no source"),
        ('base = "M890"\nclock = { tag = "measured", source = "me" }', "clock: no value"),
        (
            'base = "M890"\nclock = { value = 1, tag = "guessed", source = "me" }',
            "tag = 'guessed': there is published, m",
        ),
        ('base = "M890"\nclock = { value = 1, tag = "measured", source = "" }', "source = '' should say who knows it"),
        ('base = "M890"\nclock = { value = 1, tag = "measured", source = "me", unit = "Hz" }', "unknown key 'unit'"),
        ('base = "M890"\nclock = { value = "1", tag = "measured", source = "me" }', "'1' should be of type float"),
        ('base = "M890"\nclock = nan', "clock = nan is no finite number"),
        ('base = "M890"\nicn_latency = inf', "icn_latency = inf is no finite number"),
        ('base = "M980"', "did you mean 'M890'"),
        ('base = "M890"\ncompute_unit = 4', "unknown key 'compute_unit': did you mean 'compute_units'"),
        ('base = "M890"\nzzzzz = 4', "unknown key 'zzzzz'"),
        ('base = "M890"\nwarp_size = 64', "warp_size belongs to the architecture"),
        ('base = "M890"\nicn_link_bandwidth = "200 GB/s"', "'200 GB/s' should be of type float, in B/s"),
        ('base = "M890"\nicn_link_bandwidth = 200', "icn_link_bandwidth = 200.0 is below 1,000,000 B/s"),
        ('base = "M890"\ncompute_units = "many"', "'many' should be of type int"),
        ('base = "M890"\ncompute_units = 3.5', "3.5 should be of type int"),
        ('base = "M890"\ncompute_units = true', "True should be of type int"),
        ('base = "M890"\nclock = true', "True should be of type float"),
        ('base = "M890"\nhost_atomics = 1', "1 should be of type bool"),
        ('base = "M890"\ncompute_units = 0', "compute_units = 0 is below 1"),
        ('base = "M890"\nicn_latency = 2', "icn_latency = 2.0 is above 1"),
        ('base = "M890"\nicn_kind = "torus"', "icn_kind = 'torus': there is switch and links"),
        ('base = "M890"\nicn_retries = 1_000_000', "icn_retries = 1000000 is above 1000"),
        ('base = "M890"\nhbm_bytes = 1_000_000_000_000_000_000_000', "is above 1e+18"),
        ('base = "M890"\nmax_block = [1, 2]', "should have 3 numbers"),
        ('base = "M890"\nmax_block = 7', "7 should be of type list"),
        ('base = "M890"\nicn_wiring = [[0, 1]]', "should have 3 numbers"),
        ('base = "M890"\nicn_wiring = [[0, "a", 1]]', "'a' should be of type int"),
        ("base = ", "Invalid value"),
    ],
)
def test_errors_in_user_profiles_name_file_and_key(toml, text: str, message: str):
    with pytest.raises(ValueError, match=r"mine\.toml: ") as caught:
        Profile.from_toml(toml(text))
    assert message in str(caught.value)
