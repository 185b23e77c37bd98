"""What the tests of collectives share: chips that issue little, so that waiting costs the host little, and trials.

`TRIALS[name](pod, random)` runs a collective as kernels do that follow one another without the host in between: what
is reduced or sent is written by a kernel before it, later on some chips than on others, and overwritten by one behind
it. It gives found and expected arrays. So a wait, fence, flag or barrier that is left out can go wrong.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from m890.emulator.pod.pod import PerChip, Pod, PodModule, SymmetricBuffer
from m890.emulator.profiles import Profile, profile
from m890.programs import (
    all_gather,
    all_reduce,
    all_to_all,
    barrier,
    broadcast,
    load,
    pod_group,
    reduce,
    reduce_scatter,
    send_recv,
)
from m890.programs.pod_group import Group
from m890.programs.ring_orders import rings

DTYPES = (np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


@cache
def few_cores(kind: str, **more: float) -> Profile:
    """A chip that starts a thousandth of the instructions: a warp that waits for a flag looks at it less often."""
    values: dict[str, Any] = {"compute_units": 4, "issue_width": 1, "clock": 5e7, **more}
    return profile(kind).override(f"slow {kind}", values, "tests")


def numbers(
    random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], kind: str = "normal"
) -> np.ndarray:
    """Elements of a type: `normal` ones, or any `bits`."""
    if kind == "bits":
        return random.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    values = 1000 * random.standard_normal(shape)
    return values.astype(np.float32).astype(dtype) if dtype.kind != "i" else values.astype(dtype)


MOVE = """
        .kernel move                            // target = source, or where that is 0, -1; after so many rounds
        .param  u32 delay
        .param  u32 words
        .param  ptr target
        .param  ptr source
        .reg    i = vreg0
        s.mov.b32       sreg40, 0
wait:   s.cmp.lt.u32    scc, sreg40, delay
        s.cbr.az        scc, go
        s.add.i32       sreg40, sreg40, 1
        s.cbr           wait
go:     v.mov.b32       i, %tid.x
        s.or.b32        sreg41, source[0], source[1]
next:   v.cmp.lt.u32    scc, i, words
        s.mov.b32       emsk, scc
        s.cbr.az        emsk, done
        v.mov.b32       vreg1, 0xffffffff
        s.cbr.az        sreg41, put
        vmem.ld.b32     vreg1, [0x0 + i * 0x4] @source
        s.wait          vldcnt(0)
put:    vmem.st.b32     vreg1, [0x0 + i * 0x4] @target
        s.wait          vstcnt(0)
        v.add.i32       i, i, %ntid.x
        s.cbr           next
done:   s.exit
"""
Arrays = list[np.ndarray]
Run = Callable[..., None]
TRIALS: dict[str, Callable[[Pod, np.random.Generator], tuple[Arrays, Arrays]]] = {}


class Between:
    """A collective between kernels of its chips."""

    def __init__(self, pod: Pod, random: np.random.Generator):
        self.pod, self.random, self.chips = pod, random, len(pod.chips)
        self.group, self.streams = Group(pod), pod.stream()
        self.move = pod.assemble(MOVE)["move"]

    def go(
        self, run: Run, x: np.ndarray, targets: tuple[int, ...], *arguments: Any, grid: int = 1, **options: Any
    ) -> np.ndarray:
        """The targets after run(group, source, target, *arguments), where the sources become x just before."""
        group = self.group
        staged, source = group.array(x), group.empty(x.shape[1:], x.dtype)
        target, result = group.empty(targets, x.dtype), group.empty(targets, x.dtype)
        self.enqueue(target, None, self.random.integers(0, 10_000, self.chips))
        self.enqueue(source, staged)
        run(group, source, target, *arguments, grid=grid, block=64, stream=self.streams, **options)
        self.enqueue(result, target)
        self.enqueue(source, None)
        self.enqueue(target, None)
        self.pod.synchronize()
        return result.copy_to_host()

    def assemble(self, name: str) -> PodModule:
        """A text of SOURCES, or what a test has put in its place."""
        return pod_group.load(self.pod, name) if pod_group.load is not load else self.pod.assemble(SOURCES[name])

    def enqueue(self, target: SymmetricBuffer, source: SymmetricBuffer | None, delays: Any = 0) -> None:
        delay = PerChip([int(number) for number in np.broadcast_to(delays, self.chips)])
        words = target[0].nbytes // 4
        self.move.launch(1, 64, (delay, words, target, 0 if source is None else source), stream=self.streams)


def trial(function: Callable[[Between], tuple[Arrays, Arrays]]) -> Callable[[Between], tuple[Arrays, Arrays]]:
    """Enter a trial; it is called as its program is."""

    def start(pod: Pod, random: np.random.Generator) -> tuple[Arrays, Arrays]:
        between = Between(pod, random)
        with between.group:
            return function(between)

    TRIALS[function.__name__.removesuffix("_")] = start
    return function


LONG = 3 * 2 * (8 * 64 + 20) * 4 + 38
"""Elements with which a ring's share of three chips takes a block's first warp two rounds, the second one."""


@trial
def all_reduce_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, LONG), DTYPES[0])
    orders, algorithms = rings(on.pod.icn.topology), ("one_shot", "two_shot", "ring")
    grid = len(orders)
    found = [on.go(all_reduce.run, x, (LONG,), algorithm=algorithm, grid=grid) for algorithm in algorithms]
    expected = [all_reduce.reference(x, algorithm=algorithm, orders=orders) for algorithm in algorithms]
    return found, [np.broadcast_to(one, x.shape) for one in expected]


@trial
def reduce_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, LONG), DTYPES[3])
    return [on.go(reduce.run, x, (LONG,), 1)[1]], [reduce.reference(x)]


@trial
def reduce_scatter_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, on.chips, LONG), DTYPES[1])
    return [on.go(reduce_scatter.run, x, (LONG,))], [reduce_scatter.reference(x)]


@trial
def all_gather_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, LONG), DTYPES[0])
    return [on.go(all_gather.run, x, (on.chips, LONG))], [all_gather.reference(x)]


@trial
def broadcast_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, LONG), DTYPES[0])
    return [on.go(broadcast.run, x, (LONG,), 1)], [broadcast.reference(x, 1)]


@trial
def all_to_all_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, on.chips, LONG), DTYPES[0])
    counts = on.random.integers(1, 40, (on.chips, on.chips))
    counts[:, 0] += counts.sum(1).max() - counts.sum(1)  # as many rows on each chip
    rows = numbers(on.random, (on.chips, int(counts[0].sum()), 70), DTYPES[0])
    ragged = on.go(all_to_all.ragged_run, rows, (int(counts.sum(0).max()), 70), counts)
    return (
        [on.go(all_to_all.run, x, x.shape[1:]), *(one[:n] for one, n in zip(ragged, counts.sum(0), strict=True))],
        [all_to_all.reference(x), *all_to_all.ragged_reference(list(rows), counts)],
    )


@trial
def send_recv_(on: Between) -> tuple[Arrays, Arrays]:
    x = numbers(on.random, (on.chips, LONG), DTYPES[0])
    receivers = [(chip + 1) % on.chips for chip in range(on.chips)]
    return [on.go(send_recv.run, x, (LONG,), receivers)], [send_recv.reference(x, receivers, np.zeros_like(x))]


MEET = """
        .include "pod.inc"

        .macro  all_meet
        pod_barrier     flags, mark, v, s
        .endm

        .macro  neighbours_meet
        pod_tell        flags, next, mark, v, s
        pod_await       flags, previous, mark, v, s
        .endm

        .macro  meet name, how                          // result = what the chip before this one has as source
        .kernel \\name
        .param  u32 n
        .param  u32 next
        .param  u32 previous
        .param  ptr flags
        .param  u32 mark
        .param  ptr source
        .param  ptr inbox
        .param  ptr result
        .reg    i = vreg0
        .reg    v = vreg[4:7]
        .reg    s = sreg[42:47]
        .reg    there = sreg[48:49]
        peer_address    there, inbox, next
        s.mov.b32       sreg40, emsk
        v.mov.b32       i, %tid.x
send:   v.cmp.lt.u32    scc, i, n
        s.mov.b32       emsk, scc
        s.cbr.az        emsk, sent
        vmem.ld.b32     vreg1, [0x0 + i * 0x4] @source
        s.wait          vldcnt(0), vstcnt(0)
        v.mov.b32       vreg2, vreg1
        vmem.st.b32     vreg2, [0x0 + i * 0x4] @there
        v.add.i32       i, i, %ntid.x
        s.cbr           send
sent:   s.mov.b32       emsk, sreg40
        \\how
        v.mov.b32       i, %tid.x
take:   v.cmp.lt.u32    scc, i, n
        s.mov.b32       emsk, scc
        s.cbr.az        emsk, taken
        vmem.ld.b32     vreg1, [0x0 + i * 0x4] @inbox
        s.wait          vldcnt(0), vstcnt(0)
        v.mov.b32       vreg2, vreg1
        vmem.st.b32     vreg2, [0x0 + i * 0x4] @result
        v.add.i32       i, i, %ntid.x
        s.cbr           take
taken:  s.exit
        .endm

        meet            all, all_meet
        meet            neighbours, neighbours_meet
"""
SOURCES = {"meet": MEET}
"""Texts of trials that are no programs."""


@trial
def meet_(on: Between) -> tuple[Arrays, Arrays]:
    """What has been stored before a barrier, or a flag, is used behind it. The first warp has more to store."""
    n, found = 3 * 96 + 20, []
    x = numbers(on.random, (on.chips, n), DTYPES[0])
    module = on.assemble("meet")
    following, before = ([(chip + step) % on.chips for chip in range(on.chips)] for step in (1, -1))
    neighbours = PerChip(following), PerChip(before)
    for name in ("all", "neighbours"):
        source, inbox, result = on.group.array(x), on.group.empty(n, x.dtype), on.group.empty(n, x.dtype)
        inbox.fill(0)
        module[name][1, 96](n, *neighbours, on.group.flags, on.group.marks(1), source, inbox, result)
        found.append(result.copy_to_host())
    return found, [np.roll(x, 1, axis=0)] * 2


@trial
def barrier_(on: Between) -> tuple[Arrays, Arrays]:
    """Each chip stores to its peer before, and reads its own after."""
    found, expected = [], []
    for _ in range(3):
        x = numbers(on.random, (on.chips, 64), DTYPES[0])
        staged, target, result = on.group.array(x), on.group.empty(64, DTYPES[0]), on.group.empty(64, DTYPES[0])
        on.enqueue(target, None)
        barrier.run(on.group, stream=on.streams)
        delays = on.random.integers(0, 3000, on.chips)
        for chip in range(on.chips):
            peer = (chip + 1) % on.chips
            values = int(delays[chip]), 64, target[peer], staged[chip]
            on.move.on(chip).launch(1, 64, values, stream=on.streams[chip])
        barrier.run(on.group, stream=on.streams)
        on.enqueue(result, target)
        on.pod.synchronize()
        found.append(result.copy_to_host())
        expected.append(np.roll(x, 1, axis=0))
    return found, expected
