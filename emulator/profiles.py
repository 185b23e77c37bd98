"""What is known of each chip: every number once, with its unit, tag and source.

A `Profile` has one `Entry` per number. `profile.compute_units` is the plain value, `profile.fact("compute_units")`
the value with unit, tag and source. Tags: `published` by the vendor or in print, `measured` by someone with the card,
`defined` by this project because nothing public says it, among them numbers that can only be inferred. Sources are
the short names of docs/sources.md.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast, get_args, overload

from ..isa.program import MAX_PARAMETER_BYTES

T = TypeVar("T")
Tag = Literal["published", "measured", "defined"]
IcnKind = Literal["switch", "links"]


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One number (or word) of a chip: its value in `unit`, how it is known, who says so, and what it means.

    A value of None means that the number is not known and nothing needs it.
    """

    value: T
    unit: str
    tag: Tag
    source: str
    meaning: str = ""


def published(value: T, source: str) -> Fact[T]:
    """Make a fact the vendor or the press states; the entry it is assigned to adds unit and meaning."""
    return Fact(value, "", "published", source)


def measured(value: T, source: str) -> Fact[T]:
    """Make a fact somebody with the card observed."""
    return Fact(value, "", "measured", source)


def defined(value: T, source: str) -> Fact[T]:
    """Make a fact this project decides; `source` says why so."""
    return Fact(value, "", "defined", source)


UNKNOWN: Fact[Any] = defined(None, "not found in public")
NOT_ON_CHIP = "does not exist on this chip"


class Entry(Generic[T]):
    """A field of `Profile`: set with a `Fact[T]`, read as a `T`; owns the unit, the meaning and the bounds."""

    def __init__(
        self,
        unit: str,
        meaning: str,
        *,
        least: int = 0,
        most: float = 1e18,
        one_of: tuple[str, ...] = (),
        fixed: bool = False,
    ) -> None:
        self.unit = unit
        self.meaning = meaning
        self.least = least
        self.most = most
        self.one_of = one_of
        self.fixed = fixed
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name of the field."""
        self.name = name

    @overload
    def __get__(self, profile: None, owner: type) -> Entry[T]: ...
    @overload
    def __get__(self, profile: Profile, owner: type) -> T: ...
    def __get__(self, profile: Profile | None, owner: type) -> T | Entry[T]:
        """The value. On the class there is none, which tells `dataclass` that the field has no default."""
        if profile is None:
            raise AttributeError(self.name)
        return cast("T", profile.__dict__[self.name].value)

    def __set__(self, profile: Profile, fact: Fact[T]) -> None:
        """Keep `fact`; ValueError if a number in it is out of bounds, or a word is none of those there are."""
        if self.one_of and fact.value not in self.one_of:
            raise ValueError(f"{self.name} = {fact.value!r}: there is {' and '.join(self.one_of)}")
        for number in _numbers(fact.value):
            if not isfinite(number):
                raise ValueError(f"{self.name} = {number} is no finite number")
            if number < self.least:
                raise ValueError(f"{self.name} = {fact.value} is below {self.least:,} {self.unit}".rstrip())
            if number > self.most:
                raise ValueError(f"{self.name} = {fact.value} is above {self.most:g} {self.unit}".rstrip())
        profile.__dict__[self.name] = replace(fact, unit=self.unit, meaning=self.meaning)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of chip. Bandwidths are each way, in decimal units; `*_by_*` are rows of (what, ..., value)."""

    name: str

    arch: Entry[str] = Entry("", "architecture", fixed=True)
    arch_number: Entry[int] = Entry("", "value of __HGGC_ARCH__", fixed=True)
    capability: Entry[str] = Entry("", "compute capability")
    speed_ratio: Entry[float] = Entry("x 810E", "speed by the vendor's claim, metric not stated")

    hbm_kind: Entry[str] = Entry("", "kind of HBM")
    hbm_bytes: Entry[int] = Entry("B", "size of HBM", least=1)
    hbm_bandwidth: Entry[float] = Entry("B/s", "HBM bandwidth", least=10**6)
    hbm_copy_bandwidth: Entry[float | None] = Entry("B/s", "HBM bandwidth that copies reach")

    compute_units: Entry[int] = Entry("CU", "compute units of a chip", least=1)
    clock: Entry[float] = Entry("Hz", "clock of a compute unit", least=10**6)
    issue_width: Entry[int] = Entry("instructions", "warp instructions a compute unit starts in a cycle", least=1)
    launch_overhead: Entry[float] = Entry(
        "s", "from the launch of a kernel on an idle chip to its first instruction", most=1
    )
    warp_size: Entry[int] = Entry("lanes", "lanes of a warp", fixed=True)
    max_threads: Entry[int] = Entry("threads", "threads of a block", least=1)
    max_block: Entry[tuple[int, int, int]] = Entry("threads", "extent of a block in x, y, z", least=1)
    max_grid: Entry[tuple[int, int, int]] = Entry("blocks", "extent of a grid in x, y, z", least=1)
    warps_per_cu: Entry[int] = Entry("warps", "warps resident on a compute unit", least=1)
    blocks_per_cu: Entry[int] = Entry("blocks", "blocks resident on a compute unit", least=1)
    vregs_per_cu: Entry[int] = Entry("vregs", "vector registers of 32 bits of a compute unit, counted by lane", least=1)
    vregs_per_lane: Entry[int] = Entry("vregs", "vector registers a lane can have", least=1)
    usable_vregs_per_lane: Entry[int] = Entry("vregs", "vector registers the manual calls usable", least=1)

    tsm_bytes: Entry[int] = Entry("B", "TSM of a compute unit")
    tsm_unit: Entry[int] = Entry("B", "granularity of TSM allocation", least=1)
    tsm_banks: Entry[int] = Entry("banks", "banks of TSM", least=1)
    tsm_bank_bytes: Entry[int] = Entry("B", "width of a TSM bank", least=1)
    tsm_groups: Entry[int] = Entry("groups", "groups TSM is divided into", least=1)
    constant_bytes: Entry[int] = Entry("B", "constant memory")
    parameter_bytes: Entry[int] = Entry("B", "kernel parameters together", least=1)

    matrix_types: Entry[tuple[str, ...]] = Entry("", "element types of the matrix unit")
    matrix_sparse: Entry[bool] = Entry("", "2:4 sparse matrix forms exist")
    mx_block: Entry[int | None] = Entry("elements", "k-values that share one E8M0 scale")
    matrix_peak_f16: Entry[float] = Entry("FLOP/s", "peak rate of the FP16 matrix unit", least=10**9)
    matrix_seen_f16: Entry[float | None] = Entry("FLOP/s", "rate of an FP16 GEMM in a sample run")
    matrix_rate_bf16: Entry[float] = Entry("x FP16", "rate of BF16 matrices")
    matrix_rate_tf32: Entry[float] = Entry("x FP16", "rate of TF32 matrices")
    matrix_rate_f32: Entry[float] = Entry("x FP16", "rate of FP32 matrices")
    matrix_rate_f8: Entry[float] = Entry("x FP16", "rate of FP8 matrices (e4m3, e5m2)")
    matrix_rate_s8: Entry[float] = Entry("x FP16", "rate of INT8 matrices")
    matrix_rate_f4: Entry[float] = Entry("x FP16", "rate of MXFP4 matrices (e2m1)")

    icn_kind: Entry[IcnKind] = Entry("", "how chips are joined", one_of=get_args(IcnKind))
    icn_links: Entry[int] = Entry("links", "ICN links of a chip", least=1)
    icn_link_bandwidth: Entry[float] = Entry("B/s", "bandwidth of one ICN link, each way", least=10**6)
    icn_wiring: Entry[tuple[tuple[int, int, int], ...]] = Entry("links", "links between (chip, chip)")
    icn_latency: Entry[float] = Entry("s", "from chip to chip over one link, or through one switch, one way", most=1)
    icn_header_bytes: Entry[int] = Entry("B", "what every packet begins and ends with", most=1 << 12)
    icn_address_bytes: Entry[int] = Entry(
        "B", "more of that in a packet that asks for something: request, store, copy", most=1 << 12
    )
    icn_packet_bytes: Entry[int] = Entry("B", "most data of a packet of a copy engine", least=1, most=1 << 20)
    icn_line_bytes: Entry[int] = Entry("B", "most data of a packet of a load, store or atomic", least=1, most=1 << 20)
    icn_flit_bytes: Entry[int] = Entry("B", "a packet on the link is a multiple of this", least=1, most=1 << 12)
    icn_retries: Entry[int] = Entry("retries", "transmit retries of a packet before error 4480", most=1000)
    server_chips: Entry[int] = Entry("chips", "most chips in a server", least=1)
    domain_chips: Entry[int] = Entry("chips", "most chips in one ICN domain", least=1)
    rack_chips: Entry[int | None] = Entry("chips", "chips in a rack")
    switch_bandwidth: Entry[float | None] = Entry("bit/s", "bandwidth of an ICN switch")
    switch_latency: Entry[float | None] = Entry("s", "latency of an ICN switch, at most", most=1)
    peer_atomics: Entry[bool] = Entry("", "atomics reach a peer's memory, as loads and stores do")
    host_atomics: Entry[bool] = Entry("", "atomics reach host memory")

    icn_read_by_links: Entry[tuple[tuple[int, float], ...]] = Entry("B/s", "copies from a peer, by links between")
    icn_write_by_links: Entry[tuple[tuple[int, float], ...]] = Entry("B/s", "copies to a peer, by links between")
    all_reduce_small_by_chips: Entry[tuple[tuple[int, float], ...]] = Entry("s", "small all-reduce, by chips")
    all_reduce_1mb: Entry[float | None] = Entry("s", "all-reduce of 1 MB on 8 chips")
    all_reduce_bus_by_bytes: Entry[tuple[tuple[int, float], ...]] = Entry("B/s", "bus bandwidth on 8 chips, by bytes")
    all_reduce_bus_16: Entry[float | None] = Entry("B/s", "all-reduce bus bandwidth on 16 chips, size not stated")

    copy_engines: Entry[int] = Entry("engines", "copy engines of a chip", least=1)
    host_bandwidth: Entry[float] = Entry("B/s", "copies from and to host memory, each way", least=10**6)
    host_latency: Entry[float] = Entry("s", "from the start of such a copy to its first byte", most=1)
    pcie: Entry[str | None] = Entry("", "PCIe generation of the board")
    board_power: Entry[float | None] = Entry("W", "power of the board")

    def fact(self, name: str) -> Fact[Any]:
        """The fact behind attribute `name`, with unit, tag and source; KeyError if there is none."""
        return cast("Fact[Any]", self.__dict__[_known(name, ENTRIES, "profile entry")])

    def facts(self) -> Iterator[tuple[str, Fact[Any]]]:
        """Every name with its fact, in the order of the class."""
        return ((name, self.fact(name)) for name in ENTRIES)

    @property
    def icn_bandwidth(self) -> float:
        """B/s of all ICN links of a chip together, each way."""
        return self.icn_links * self.icn_link_bandwidth

    def matrix_peak(self, kind: str) -> float:
        """Peak FLOP/s (or OP/s) of matrices of element type `kind` ("f16", "e4m3", ...); ValueError if it has none."""
        _known(kind, self.matrix_types, f"matrix type of {self.name}")
        return self.matrix_rate({"e4m3": "f8", "e5m2": "f8", "e2m1": "f4", "u8": "s8"}.get(kind, kind))

    def matrix_rate(self, rate: str) -> float:
        """Peak FLOP/s (or OP/s) of matrices at one of isa.matrix.RATES; 0 if the chip has none such."""
        if rate == "f16":
            return self.matrix_peak_f16
        return self.matrix_peak_f16 * float(self.fact(f"matrix_rate_{rate}").value)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Profile:
        """Read a user's profile: `base = "M890"`, an optional `name`, and entries to override, in their units.

        An entry is a value, which becomes a `defined` fact with the file as its source, or a table
        `{ value = 40, tag = "measured", source = "my card" }`.

        Raises ValueError, naming file and key, for text that is no TOML, a missing or unknown base, an unknown or
        fixed key, a value of the wrong type or out of bounds, and a table without one of its three keys.
        """
        file = Path(path)
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
            base, name = table.pop("base", None), table.pop("name", file.stem)
            if not isinstance(base, str):
                raise ValueError('no base: say base = "M890", or another profile that has all other numbers')
            if not isinstance(name, str):
                raise ValueError(f"name: {name!r} should be of type str")
            return PROFILES[_known(base, PROFILES, "profile")].override(name, table, f"user profile {file}")
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def override(self, name: str, values: dict[str, Any], source: str) -> Profile:
        """A profile called `name` like this one but for `values`; those without tag and source become `defined` facts.

        Their source is then `source`. ValueError as for `from_toml`.
        """
        facts = dict(self.facts())
        for key, value in values.items():
            _known(key, ENTRIES, "key")
            if ENTRIES[key].fixed:
                raise ValueError(f"{key} belongs to the architecture and cannot be changed; choose another base")
            tag, origin = "defined", source
            if isinstance(value, dict):
                value, tag, origin = _stated(key, cast("dict[str, object]", value))
            facts[key] = Fact(_converted(key, value, self._exemplar(key)), "", tag, origin)
        return Profile(name=name, **cast("dict[str, Any]", facts))

    def _exemplar(self, key: str) -> object:
        """A value that shows the type of entry `key`: this profile's, or another's where that says nothing."""
        values = [getattr(one, key) for one in (self, *PROFILES.values())]
        return next((value for value in values if value), values[0])


ENTRIES: dict[str, Entry[Any]] = {
    field.name: cast("Entry[Any]", Profile.__dict__[field.name]) for field in fields(Profile) if field.name != "name"
}
"""Every entry of a profile by name, in the order they are printed."""


def profile(name: str | PathLike[str]) -> Profile:
    """The profile called `name`, or a user's in a file whose name ends in .toml.

    Raises ValueError with the nearest name if there is none, or for what is wrong in the file; OSError.
    """
    if str(name).endswith(".toml"):
        return Profile.from_toml(name)
    return PROFILES[_known(str(name), PROFILES, "profile")]


def _known(name: str, names: Iterable[str], kind: str) -> str:
    """Return `name` if it is one of `names`, else raise ValueError with the nearest of them."""
    choices = list(names)
    if name in choices:
        return name
    lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    listed = f"known are {', '.join(choices)}" if len(choices) < 20 else "`m890 info M890` lists them all"
    raise ValueError(f"unknown {kind} {name!r}: " + (f"did you mean {lower[near[0]]!r}?" if near else listed))


def _numbers(value: object) -> Iterator[float]:
    """All numbers in a value, those inside tuples included."""
    if isinstance(value, tuple):
        for part in cast("tuple[object, ...]", value):
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield value


def _stated(key: str, table: dict[str, object]) -> tuple[object, Tag, str]:
    """Value, tag and source of an entry that is a table."""
    wanted = ("value", "tag", "source")
    for name in table:
        if name not in wanted:
            raise ValueError(f"{key}: unknown key {name!r}: there is value, tag and source")
    for name in wanted:
        if name not in table:
            raise ValueError(f"{key}: no {name}: an entry is a value, or {{ value = ..., tag = ..., source = ... }}")
    tag, source = table["tag"], table["source"]
    if tag not in get_args(Tag):
        raise ValueError(f"{key}: tag = {tag!r}: there is {', '.join(get_args(Tag))}")
    if not isinstance(source, str) or not source.strip():
        raise ValueError(f"{key}: source = {source!r} should say who knows it")
    return table["value"], cast("Tag", tag), source


def _converted(key: str, value: object, like: object) -> object:
    """Turn a TOML value into the type of `like`, or raise ValueError.

    Lists become tuples; a list of numbers keeps its length, a list of lists or of words may change it.
    """
    if isinstance(like, tuple) and isinstance(value, list):
        parts, model = cast("list[object]", value), cast("tuple[object, ...]", like)
        if isinstance(model[0], int | float) and len(parts) != len(model):
            raise ValueError(f"{key}: {parts} should have {len(model)} numbers")
        models = model if len(parts) == len(model) else model[:1] * len(parts)
        return tuple(_converted(key, part, one) for part, one in zip(parts, models, strict=True))
    if isinstance(like, float) and type(value) is int:
        return float(value)
    wanted = "list" if isinstance(like, tuple) else type(like).__name__
    if type(value).__name__ != wanted:
        unit = f", in {ENTRIES[key].unit}" if wanted in ("int", "float") and ENTRIES[key].unit else ""
        raise ValueError(f"{key}: {value!r} should be of type {wanted}{unit}")
    return value


_COMMON: dict[str, Fact[Any]] = {
    "warp_size": published(32, "REF"),
    "max_threads": published(1024, "REF"),
    "max_block": published((1024, 1024, 128), "REF"),
    "max_grid": published((2**31 - 1,) * 3, "REF"),
    "warps_per_cu": published(64, "REF"),
    "blocks_per_cu": published(64, "REF"),
    "vregs_per_cu": published(131_072, "REF"),
    "vregs_per_lane": published(256, "REF"),
    "usable_vregs_per_lane": published(255, "REF"),
    "tsm_bytes": published(256 << 10, "REF"),
    "tsm_unit": published(128, "REF"),
    "tsm_banks": published(32, "REF"),
    "tsm_bank_bytes": published(4, "REF"),
    "constant_bytes": published(0, "REF: no constant memory"),
    "parameter_bytes": published(MAX_PARAMETER_BYTES, "REF"),
    "matrix_rate_bf16": defined(1.0, "not published: as FP16, whose width it has"),
    "matrix_rate_tf32": defined(0.5, "not published: half of FP16, twice its width"),
    "matrix_rate_f32": defined(0.25, "not published: half of TF32"),
    "matrix_rate_s8": defined(2.0, "not published: twice FP16, half its width"),
    "issue_width": defined(4, "ACU: a scheduler holds at most 16 of 64 warps, so four; each starts one in a cycle"),
    "launch_overhead": defined(2.6e-6, "docs/icn.md: what the small all-reduces of 8 and 16 M890 leave for it"),
    "icn_header_bytes": defined(10, "docs/icn.md: copies from a peer reach 96.4 % of the links"),
    "icn_address_bytes": defined(8, "docs/icn.md: copies to a peer reach 93.4 % of the links"),
    "icn_packet_bytes": defined(256, "docs/icn.md: only its ratio to the headers matters"),
    "icn_line_bytes": defined(128, "docs/icn.md: bus bandwidth of large all-reduces below that of copies"),
    "icn_flit_bytes": defined(2, "SMI: an ICN link is 16 bits wide"),
    "icn_retries": published(8, "GDB: XID 4480, default 8"),
    "peer_atomics": published(True, "survey"),
}
"""Both chips: the facts that hold for both, and what follows from the width of a type."""

_PEAK_810E = published(118.7e12, "survey: 1,945 P over 16,384 cards; format not stated, taken as FP16")

M890 = Profile(
    name="M890",
    **_COMMON,
    arch=published("ppu0015", "survey"),
    arch_number=published(150, "survey"),
    capability=published("8.9", "survey"),
    speed_ratio=published(3.0, "survey: vendor claim, metric not stated"),
    hbm_kind=published("HBM3", "survey"),
    hbm_bytes=published(147_456 << 20, "survey: 147,456 MiB"),
    hbm_bandwidth=measured(2.5e12, "survey: about 2.5 TB/s, assumed by kernel authors"),
    hbm_copy_bandwidth=measured(2.172e12, "survey: copies reach it"),
    compute_units=measured(39, "survey: 39 seen"),
    clock=defined(1.15e9, "survey: middle of the 1.0 to 1.3 GHz implied by measurements"),
    tsm_groups=published(4, "REF 5.5.2"),
    matrix_types=published(("f32", "tf32", "f16", "bf16", "e4m3", "e5m2", "s8", "u8", "e2m1"), "ACT, REF 5.5.2"),
    matrix_sparse=published(False, "ACT: no sparse forms"),
    mx_block=published(32, "ACT: E8M0 scale per 32"),
    matrix_peak_f16=defined(3.0 * _PEAK_810E.value, "inferred: 3 x 118.7 TFLOPS of the 810E"),
    matrix_seen_f16=published(325e12, "survey: sample run"),
    matrix_rate_f8=published(2.0, "survey: FP8 twice FP16"),
    matrix_rate_f4=published(4.0, "survey: FP4 four times FP16"),
    icn_kind=published("switch", "survey: ICN Switch 1.0, any to any"),
    icn_links=defined(1, "not published: modelled as one port into the switch"),
    icn_link_bandwidth=published(400e9, "survey: 800 GB/s = 400 each way"),
    icn_wiring=published((), "survey: switch"),
    icn_latency=defined(900e-9, "docs/icn.md: about 3 us a step of the measured ring all-reduce, three ways each"),
    server_chips=published(8, "survey: 8 per node"),
    domain_chips=published(64, "survey: 64 in one ICN domain"),
    rack_chips=published(128, "survey: 128 in a rack (AL128)"),
    switch_bandwidth=published(25.6e12, "press"),
    switch_latency=published(150e-9, "press: under 150 ns"),
    host_atomics=defined(False, "not stated for ppu0015: as ppu001"),
    icn_read_by_links=published(((1, 384e9),), "survey: one way, for every pair"),
    icn_write_by_links=published(((1, 384e9),), "survey: one way, for every pair"),
    all_reduce_small_by_chips=published(((8, 7.3e-6), (16, 10e-6)), "survey: about"),
    all_reduce_1mb=published(26.8e-6, "survey"),
    all_reduce_bus_by_bytes=published(((16 << 20, 217.8e9), (256 << 20, 325.8e9), (2 << 30, 333.7e9)), "survey"),
    all_reduce_bus_16=published(337.1e9, "survey"),
    copy_engines=defined(4, "not published: as the 810E"),
    host_bandwidth=defined(50e9, "not published: as the 810E"),
    host_latency=defined(2e-6, "not published: as the 810E"),
    pcie=UNKNOWN,
    board_power=UNKNOWN,
)

Z810E = Profile(
    name="810E",
    **_COMMON,
    arch=published("ppu001", "survey"),
    arch_number=published(100, "survey"),
    capability=published("8.0", "survey"),
    speed_ratio=defined(1.0, "the unit of the ratio"),
    hbm_kind=published("HBM2e", "survey"),
    hbm_bytes=published(98_304 << 20, "survey: 98,304 MiB"),
    hbm_bandwidth=defined(2.0e12, "not found in public: a round figure for HBM2e of this size"),
    hbm_copy_bandwidth=UNKNOWN,
    compute_units=published(64, "survey: 64 (another part has 72)"),
    clock=published(1.7e9, "survey"),
    tsm_groups=published(2, "REF 5.5.2"),
    matrix_types=published(("f32", "tf32", "f16", "bf16", "s8", "u8"), "HS, REF 5.5.2"),
    matrix_sparse=published(True, "HS: 2:4 along k"),
    mx_block=published(None, NOT_ON_CHIP),
    matrix_peak_f16=_PEAK_810E,
    matrix_seen_f16=UNKNOWN,
    matrix_rate_f8=published(0.0, NOT_ON_CHIP),
    matrix_rate_f4=published(0.0, NOT_ON_CHIP),
    icn_kind=published("links", "survey: card to card"),
    icn_links=published(7, "survey: 7 links, 700 GB/s both ways together"),
    icn_link_bandwidth=published(50e9, "survey: 50 GB/s each way"),
    icn_wiring=published(
        (
            *((0, 1, 2), (0, 3, 1), (0, 6, 2), (1, 2, 1), (1, 7, 2), (2, 3, 2), (2, 4, 1)),
            *((2, 5, 1), (3, 4, 1), (3, 5, 1), (4, 5, 2), (4, 7, 1), (5, 6, 1), (6, 7, 2)),
        ),
        "survey: 8-card example",
    ),
    icn_latency=defined(750e-9, "not published: as the M890's, less its switch"),
    server_chips=published(16, "survey: 8 or 16 per server"),
    domain_chips=defined(16, "without a switch the server is the domain"),
    rack_chips=UNKNOWN,
    switch_bandwidth=published(None, NOT_ON_CHIP),
    switch_latency=published(None, NOT_ON_CHIP),
    host_atomics=published(False, "survey: no atomics on host memory"),
    icn_read_by_links=published(((1, 48.2e9), (2, 96.3e9)), "survey: read"),
    icn_write_by_links=published(((1, 46.8e9), (2, 93.3e9)), "survey: write"),
    all_reduce_small_by_chips=defined((), UNKNOWN.source),
    all_reduce_1mb=UNKNOWN,
    all_reduce_bus_by_bytes=defined((), UNKNOWN.source),
    all_reduce_bus_16=UNKNOWN,
    copy_engines=published(4, "SMI: an instance of 64 CUs has 4"),
    host_bandwidth=defined(50e9, "not published: what copies reach over PCIe 5.0 x16, 63 GB/s on the wire"),
    host_latency=defined(2e-6, "not published: a round figure for PCIe"),
    pcie=published("5.0", "press"),
    board_power=published(400.0, "press; SMI shows 400 W"),
)

PROFILES: dict[str, Profile] = {one.name: one for one in (M890, Z810E)}
"""The built-in profiles by name."""
