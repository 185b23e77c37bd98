"""What came out of a job: its launches, checks and files, and what its kernels printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ..emulator.chip import LoadedKernel
from ..emulator.icn.counters import IcnCounters
from ..emulator.pod.pod import PodKernel
from ..isa.spec import Decoded
from .checks import Checked


@dataclass(frozen=True, slots=True)
class Launched:
    """One launch that ended; `tsm` is the kernel's own and what the launch adds. `seconds` are the host's.

    Beside these, compiling what was in no cache took `compile_seconds`.
    Of a pod, `chips` says how many ran it, `instructions` counts all of them, and `modelled` are seconds of the pod.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    tsm: int
    instructions: int
    seconds: float
    compile_seconds: float = 0.0
    chips: int = 1
    modelled: float | None = None


@dataclass(frozen=True, slots=True)
class Relied:
    """An instruction tagged `defined` that a kernel contains."""

    kernel: str
    mnemonic: str
    words: int
    source: str


@dataclass(slots=True)
class Outcome:
    """What came out of a job, as far as it went."""

    profile: str = ""
    launches: list[Launched] = field(default_factory=list[Launched])
    checks: list[Checked] = field(default_factory=list[Checked])
    saved: dict[str, str] = field(default_factory=dict[str, str])
    texts: list[str] = field(default_factory=list[str])
    counters: IcnCounters | None = None
    """What has passed the links of a pod."""

    @property
    def printed(self) -> str:
        """What the kernels printed."""
        return "".join(self.texts)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        checks = [asdict(check) for check in self.checks]
        for check in checks:
            first = check.pop("first")
            check["first"] = first and dict(zip(("index", "found", "expected"), first, strict=True))
        launches = [asdict(launch) for launch in self.launches]
        for launch in launches:
            if launch["modelled"] is None:
                del launch["modelled"], launch["chips"]
        return {
            "profile": self.profile,
            "passed": self.passed,
            "launches": launches,
            "checks": checks,
            "saved": self.saved,
            "printed": self.printed,
            **({} if self.counters is None else {"icn": asdict(self.counters)}),
        }


def relied_on(kernel: LoadedKernel | PodKernel) -> Iterator[Relied]:
    """Every instruction of a kernel that is this project's definition."""
    found: dict[tuple[str, str], int] = {}
    for decoded in (kernel.on(0) if isinstance(kernel, PodKernel) else kernel).program.decoded:
        if isinstance(decoded, Decoded) and decoded.form.instruction.tag == "defined":
            instruction = decoded.form.instruction
            place = (instruction.mnemonic, instruction.source)
            found[place] = found.get(place, 0) + 1
    for (mnemonic, source), words in sorted(found.items()):
        yield Relied(kernel.kernel.name, mnemonic, words, source)
