"""What goes wrong in a run, as Python exceptions: fields for programs, a laid-out text for people.

`Fault` is the guest's own error and carries the published exception code; `Timeout`, `Deadlock`, `LaunchError` and
`MemoryLimit` are the other ways a run can fail. All derive from `M890Error`, all survive pickling. The XIDs are those
of the driver guide for ppu0015.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from ..isa.exceptions import CODES, DEFINED_CODES
from ..isa.program import MacroCall

Dim3 = tuple[int, int, int]

ICN_UNREACHABLE, ICN_NO_PATH, ICN_RETRIES = 1157, 4224, 4480
XIDS: dict[int, str] = {
    ICN_UNREACHABLE: "ICN unreachable (icn_unreach_err)",
    3712: "ICN atomic: invalid PA (err_icn_atomic_invpa)",
    3713: "ICN atomic: ECC error (err_icn_atomic_ecc)",
    3714: "GID atomic: invalid PA (err_gid_atomic_invpa)",
    3715: "GID atomic: ECC error (err_gid_atomic_ecc)",
    3716: "ICN fence: invalid PA (err_icn_fence_invpa)",
    3717: "ICN fence: ECC error (err_icn_fence_ecc)",
    3718: "ICN fence: request unreachable (err_icn_fence_req_unreach)",
    3719: "ICN atomic: request unreachable (err_icn_atomic_req_unreach)",
    3720: "GID atomic: atomic error (err_gid_atomic_atmerr)",
    ICN_NO_PATH: "ICN switch: no path (rt_nopath)",
    4228: "ICN switch: destination mismatch (dst_not_match)",
    ICN_RETRIES: "ICN transmit retries exhausted (icn_c2c_tx)",
}
"""Published driver-level ICN errors (XID) of ppu0015: meaning, and the vendor's short name in parentheses."""


class M890Error(Exception):
    """Base of every error the emulator raises on purpose. Picklable with all fields of its subclasses."""

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild without calling the subclass's constructor, which may have keyword-only fields."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[M890Error], args: tuple[object, ...], state: dict[str, object]) -> M890Error:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class LaunchError(M890Error, ValueError):
    """A launch that cannot start: bad grid, block, TSM size or arguments."""


class Source(NamedTuple):
    """One line of a source file: its name, its number counted from 1, and its text ("" if not at hand).

    `calls` are the macros that it stands in, innermost first.
    """

    file: str
    line: int
    text: str = ""
    calls: tuple[MacroCall, ...] = ()

    def __str__(self) -> str:
        """`saxpy.s:14`."""
        return f"{self.file}:{self.line}"

    @property
    def brief(self) -> str:
        """`wait.inc:7 in macro wait, from saxpy.s:14`, which is where the outermost macro is called."""
        if not self.calls:
            return str(self)
        return f"{self} in macro {self.calls[0].macro}, from {self.calls[-1].file}:{self.calls[-1].line}"


class WarpPlace(NamedTuple):
    """Where one warp (or one path of it) stands; `waits_for` is free text.

    `pc` is a byte offset in its kernel or, if that is not empty, in the device function `function`.
    """

    block: Dim3
    warp: int
    lanes: tuple[int, ...]
    pc: int
    source: Source | None = None
    waits_for: str = ""
    kernel: str = ""
    chip: int = 0
    function: str = ""


@dataclass(eq=False, kw_only=True)
class Fault(M890Error):
    """The guest program did what the machine forbids; its launch ended before the instruction had any effect.

    `code` is one of `isa/exceptions.py` or an XID (`XIDS`). `lanes` are the faulting lanes and `threads`
    their (x, y, z) in the block, in the same order. `pc` is the byte offset in the kernel's section or, if
    that is not empty, in the device function `function`. `operands` maps
    the text of an operand to its bits, one int for the warp or a sequence indexed by lane. `addresses` maps a lane to
    the address it asked for. `detail` says what exactly is wrong, `hint` what to try. Place fields are None where the
    error has no such place (a link error reported by a chip). `peer` is the other chip, where it is about two.
    """

    code: int
    kernel: str = ""
    function: str = ""
    chip: int = 0
    peer: int | None = None
    cu: int | None = None
    block: Dim3 | None = None
    warp: int | None = None
    lanes: tuple[int, ...] = ()
    threads: tuple[Dim3, ...] = ()
    pc: int | None = None
    source: Source | None = None
    instruction: str = ""
    operands: Mapping[str, int | Sequence[int]] = field(default_factory=dict[str, int | Sequence[int]])
    addresses: Mapping[int, int] = field(default_factory=dict[int, int])
    detail: str = ""
    hint: str = ""

    @property
    def meaning(self) -> str:
        """The published text of `code`."""
        return CODES.get(self.code) or DEFINED_CODES.get(self.code) or XIDS.get(self.code) or "unknown code"

    def __str__(self) -> str:
        """Several lines: code and place, then source, instruction, threads, operands, addresses, detail, hint."""
        kind = "XID" if self.code in XIDS else "exception"
        rows = [
            ("source", f"{self.source}  {self.source.text.strip()}".rstrip() if self.source else ""),
            *(("", f"in macro {name}, called at {file}:{line}") for name, file, line in _calls(self.source)),
            ("instruction", self.instruction),
            ("lanes", ranges(self.lanes)),
            ("threads", _thread_ranges(self.threads)),
            ("operands", self._operand_text()),
            ("addresses", self._address_text()),
            ("detail", self.detail),
            ("hint", self.hint),
        ]
        head = f"{kind} {self.code}, {self.meaning}: {self._place_text()}"
        return "\n".join([head, *(f"  {name:<12} {text}" for name, text in rows if text)])

    def _place_text(self) -> str:
        parts = [f"kernel '{self.kernel}'"] if self.kernel else []
        parts.append(f"chip {self.chip}" + (f" to chip {self.peer}" if self.peer is not None else ""))
        parts += [f"CU {self.cu}"] if self.cu is not None else []
        parts += [f"block {_dim3_text(self.block)}"] if self.block is not None else []
        parts += [f"warp {self.warp}"] if self.warp is not None else []
        parts += [_pc_text(self.function, self.pc)] if self.pc is not None else []
        return ", ".join(parts)

    def _operand_text(self) -> str:
        """Operand values of the first faulting lane; lane 0 if no lane is named."""
        lane = self.lanes[0] if self.lanes else 0
        values = [f"{text} = {_lane_value(value, lane):#x}" for text, value in self.operands.items()]
        return f"{', '.join(values)} (lane {lane})" if values else ""

    def _address_text(self) -> str:
        """The first four addresses, then how many there are and between which bounds they lie."""
        shown = [f"lane {lane} {address:#x}" for lane, address in list(self.addresses.items())[:4]]
        if len(self.addresses) > len(shown):
            low, high = min(self.addresses.values()), max(self.addresses.values())
            shown.append(f"... {len(self.addresses)} lanes, {low:#x} to {high:#x}")
        return ", ".join(shown)


@dataclass(eq=False, kw_only=True)
class Timeout(M890Error):
    """A run reached its limit of instructions (of one launch) or of seconds (of host time); `places` are its warps."""

    limit: Literal["instructions", "seconds"]
    value: float
    places: tuple[WarpPlace, ...] = ()

    def __str__(self) -> str:
        """The limit, then where the warps stand."""
        head = f"the run reached its limit of {self.value:,} {self.limit} before the launch finished"
        return "\n".join([head, *_place_lines(self.places)])


@dataclass(eq=False, kw_only=True)
class Deadlock(M890Error):
    """No warp can go on: each of `places` waits for something that nothing left can bring about."""

    places: tuple[WarpPlace, ...]
    hint: str = ""

    def __str__(self) -> str:
        """How many warps wait, then where and for what."""
        head = f"deadlock: {_counted(len(self.places), 'warp')} waiting, none of which can go on"
        return "\n".join([head, *_place_lines(self.places), *([f"  hint: {self.hint}"] if self.hint else [])])


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a launch ran; `places` are its warps."""

    def __init__(self, places: tuple[WarpPlace, ...] = ()):
        super().__init__(places)
        self.places = places

    def __str__(self) -> str:
        """That it was interrupted, then where the warps stand."""
        return "\n".join(["interrupted", *_place_lines(self.places)])


@dataclass(eq=False, kw_only=True)
class MemoryLimit(M890Error):
    """`requested` more bytes of `space` ("host memory" or "HBM of chip C") do not fit within `limit` bytes."""

    space: str
    limit: int
    in_use: int
    requested: int
    hint: str = ""

    def __str__(self) -> str:
        """What was asked for, what is in use, the limit, and how to go on."""
        text = f"{self.space}: {_size_text(self.requested)} more do not fit: "
        text += f"{_size_text(self.in_use)} in use, limit {_size_text(self.limit)}"
        return f"{text}; {self.hint}" if self.hint else text


def ranges(numbers: Iterable[int]) -> str:
    """Write numbers as compressed ranges, sorted: (3, 4, 5, 12) gives "3-5,12"."""
    ordered = sorted(set(numbers))
    runs = [[n for _, n in run] for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _calls(source: Source | None) -> tuple[MacroCall, ...]:
    return source.calls if source else ()


def _thread_ranges(threads: Sequence[Dim3], most: int = 4) -> str:
    """Write threads as runs along x, at most `most` of them: "(3,0,0)-(7,0,0), (12,0,0)"."""
    runs: list[tuple[Dim3, Dim3]] = []
    for thread in threads:
        x, y, z = thread
        if runs and runs[-1][1] == (x - 1, y, z):
            runs[-1] = (runs[-1][0], thread)
        else:
            runs.append((thread, thread))
    texts = [_dim3_text(a) if a == b else f"{_dim3_text(a)}-{_dim3_text(b)}" for a, b in runs[:most]]
    more = [f"... {len(threads)} threads"] if len(runs) > most else []
    return ", ".join(texts + more)


def _place_lines(places: Sequence[WarpPlace], most: int = 8) -> list[str]:
    """One line for all warps that stand at the same pc and wait for the same, at most `most` lines."""
    groups: dict[tuple[object, ...], list[WarpPlace]] = {}
    for place in places:
        groups.setdefault((place.chip, place.kernel, place.function, place.pc, place.waits_for), []).append(place)
    lines = [_group_line(group) for group in list(groups.values())[:most]]
    more = [f"  ... and {_counted(len(groups) - most, 'further place')}"] if len(groups) > most else []
    return lines + more


def _group_line(group: Sequence[WarpPlace], most: int = 4) -> str:
    """One line: where, what for, and the first warps of the group, by block."""
    first = group[0]
    where = (
        f"chip {first.chip}"
        + (f" kernel '{first.kernel}'" if first.kernel else "")
        + f" {_pc_text(first.function, first.pc)}"
    )
    where += f" ({first.source.brief})" if first.source else ""
    waits = f" waiting for {first.waits_for}" if first.waits_for else ""
    blocks: dict[Dim3, list[WarpPlace]] = {}
    for place in group:
        blocks.setdefault(place.block, []).append(place)
    shown = list(blocks.items())[:most]
    warps = [f"block {_dim3_text(block)} warp {ranges(place.warp for place in here)}" for block, here in shown]
    warps += ["..."] if len(blocks) > most else []
    lanes = f" lanes {ranges(first.lanes)}" if len(group) == 1 and first.lanes else ""
    return f"  {_counted(len(group), 'warp')} at {where}{waits}: {'; '.join(warps)}{lanes}"


def _lane_value(value: int | Sequence[int], lane: int) -> int:
    return int(value) if isinstance(value, int) else int(value[lane])


def _pc_text(function: str, pc: int) -> str:
    return f"function {function} + {pc:#x}" if function else f"pc {pc:#x}"


def _dim3_text(dim3: Dim3) -> str:
    return f"({dim3[0]},{dim3[1]},{dim3[2]})"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _size_text(size: int) -> str:
    """Bytes in a unit a person can read; exact below 10 KiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= 10 * unit or (unit > 1 << 10 and size >= unit):
            return f"{size / unit:,.1f} {name}"
    return f"{size:,} bytes"
