"""The loop of a pod: chips run alone for a window, then meet, exchange packets and take up new work.

Nothing sent in a window can arrive before its end, for a window is no longer than the smallest latency of a link. So
what a chip does in it depends on nothing that happens elsewhere, and all that needs an order between chips gets it
here: results do not depend on which thread or rank runs a chip. Every rank keeps the streams of all chips and sees the
headers of all packets, and so computes the same links; only the machines of chips are with their owners.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from .. import report
from ..chip import Chip
from ..faults import Deadlock, Interrupted, LaunchError, WarpPlace
from ..icn.icn import Icn
from ..icn.topology import PICOSECONDS, picoseconds
from ..launch import POLL_SECONDS
from ..machine.wire import COPY, HEADER_BYTES, PACKET, STORE, raw_bytes
from ..streams import Kernel, Mark, Move, Stream, Task, Wait
from .exchange import Exchange, News
from .node import Node, Place, Status

NOTHING = np.zeros(0, PACKET)


class Meeting:
    """Where the chips of a pod meet. All stand at the border `now`; `latest` is the end of a task (picoseconds)."""

    def __init__(
        self,
        chips: list[Chip],
        icn: Icn,
        exchange: Exchange,
        quantum: int,
        threads: int,
        write: Callable[[str], object],
    ):
        profile = chips[0].profile
        self.quantum_ps = quantum_ps(profile, quantum)
        self.window_ps = max(1, icn.lookahead_ps // self.quantum_ps) * self.quantum_ps
        self.overhead = picoseconds(profile.launch_overhead)
        self.icn, self.exchange, self.threads = icn, exchange, threads
        self.write = write
        self.now = self.latest = 0
        self.places = [Place(chip) for chip in chips]
        self.owners = [exchange.owner(chip.index, len(chips)) for chip in chips]
        self.nodes = {
            chip.index: Node(chip, quantum, self.quantum_ps)
            for chip in chips
            if self.owners[chip.index] == exchange.rank
        }
        self.busy: dict[int, Stream] = {}
        """Streams with something to do, by number."""
        self.moves: dict[int, Move] = {}
        """Copies between chips by number."""
        self.ends: list[tuple[int, int, Move]] = []
        """Copies with the host: when they end."""
        self.payloads: dict[tuple[int, int], np.ndarray] = {}
        """The bytes of bursts on the links, by source and sequence number."""
        self.arrivals = np.zeros(0, np.int64)
        """Of packets that have left the links and may not have been taken in yet."""
        self.numbers = 0
        self.changed = False
        """Whether memory has changed in this window, or will in the next, by what is known to all ranks."""
        self.generation = self.since = 0
        """How often all has arrived that was under way when it was last counted, and in which window that was."""
        self.suspected = False
        """Whether all chips that run were found stuck once, and no memory has changed since."""
        self.under_way: Counter[int] = Counter()
        """Packets that have not arrived, by the window in which they were sent."""
        self.departures = np.zeros(0, np.int64)
        """Of those whose arrivals are known, in that order, the windows in which they were sent."""
        self._running = False
        self._polled = 0.0
        self._pool: ThreadPoolExecutor | None = None

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def run(self, done: Callable[[], bool]) -> None:
        """Go on until `done`, or until nothing is left to do. Raises what launches raise; all work is dropped then."""
        if self._running:
            raise LaunchError("the pod runs already: nothing that it calls, and no other thread, can make it run")
        self.exchange.agree("runs what it has enqueued")
        for place in self.places:
            place.ran = False
        self._running = True
        try:
            self._begin()
            while not done() and self._step():
                self._begin()
        except KeyboardInterrupt:
            places = self._places(looping=False)
            self.clear()
            raise Interrupted(places) from None
        except BaseException:
            self.clear()
            raise
        finally:
            self._running = False

    def _step(self) -> bool:
        """Go on to the next window, or run one; whether there was anything to do."""
        following = self._next()
        if following is None:
            if any(place.task for place in self.places):
                self._deadlock()
            return False
        if following >= self.now + self.window_ps:
            self.now = following // self.window_ps * self.window_ps
            self._deliver(NOTHING, self.now)
        else:
            self._window(self.now + self.window_ps)
        return True

    def _next(self) -> int | None:
        """When something happens next, if anything does."""
        if any(place.status == Status.RUNS for place in self.places):
            return self.now
        times = [max(self.now, int(self.arrivals.min()))] if len(self.arrivals) else []
        times += [] if self.icn.earliest is None else [max(self.now, self.icn.earliest)]
        times += [self.ends[0][0]] if self.ends else []
        for place in self.places:
            due = place.peer.due()
            times += [] if due is None else [max(due, self.now)]
            if not place.task and place.ready:
                times.append(min(place.ready)[0])
        return min(times) if times else None

    def _window(self, end: int) -> None:
        self._advance(end)
        for place in self.places:
            for moment, move, index in place.peer.send(self.now, end):
                move.copy.check()
                source = move.copy.source.chip
                assert source is not None
                if source in self.nodes:
                    self.nodes[source].send(move, index, moment)
        self._poll()
        self.now = end
        there = self.arrivals + self.quantum_ps <= end
        self.under_way = +(self.under_way - Counter(self.departures[there].tolist()))
        self.arrivals, self.departures = self.arrivals[~there], self.departures[~there]
        self._meet(end)  # which adds some that are in the past, where a quantum is longer than a way
        if not self.under_way or min(self.under_way) >= self.since:
            self.generation, self.since = self.generation + 1, end // self.window_ps

    # ---- streams -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """At a border: end copies, let streams go on, start kernels."""
        while self.ends and self.ends[0][0] <= self.now:
            end, _, move = heapq.heappop(self.ends)
            self._copy(move)
            self._end(move, end)
        for place in self.places:
            end = place.peer.arrived()
            while end is not None and end + self.quantum_ps <= self.now:
                move = place.peer.moves[0]
                self._end(move, end)
                place.peer.next()
                del self.moves[move.number]
                end = place.peer.arrived()
        while any([self._go_on(stream) for _, stream in sorted(self.busy.items())]):
            pass
        for place in self.places:
            if not place.task and place.ready and min(place.ready)[0] <= self.now:
                self._start(place)

    def _go_on(self, stream: Stream) -> bool:
        """Let a stream begin what it can; whether it got further."""
        further = False
        while stream.tasks:
            task = stream.tasks[0]
            ready = max(stream.time, task.queued)
            if isinstance(task, Mark):
                self._end(task, ready)
            elif isinstance(task, Wait):
                if task.mark.ended is None and not task.mark.dropped:
                    break
                self._end(task, max(ready, task.mark.ended or 0))
            else:
                if task.began is None:
                    task.began = ready
                    further = self._give(task, ready) or further
                if task.ended is None:
                    break
            further = True
        if not stream.tasks:
            del self.busy[stream.number]
        return further

    def _give(self, task: Task, ready: int) -> bool:
        """Hand a task to the chip or one of its copy engines; whether it has ended at once."""
        place = self.places[task.stream.chip.index]
        self.numbers += 1
        if isinstance(task, Kernel):
            place.ready.append((ready + self.overhead, self.numbers, task))
            return False
        assert isinstance(task, Move)
        if task.copy.nbytes == 0:
            self._end(task, ready)
            return True
        if task.copy.peers:
            self.moves[self.numbers] = task
            task.number = self.numbers
            asks = self.icn.topology.latency_ps(place.chip.index, task.copy.source.chip or 0) if task.pulls else 0
            place.peer.add(task, ready + asks)
        else:
            engine = place.into if task.copy.source.chip is None else place.out
            heapq.heappush(self.ends, (engine.begin(task, ready, place.chip.profile), self.numbers, task))
        return False

    def _start(self, place: Place) -> None:
        place.ready.sort()
        _, _, task = place.ready.pop(0)
        place.task, place.status, task.began = task, Status.RUNS, self.now
        self.changed = True
        if place.chip.index in self.nodes:
            self.nodes[place.chip.index].start(task, self.now)

    def _end(self, task: Task, moment: int) -> None:
        """A task, the first of its stream, has ended."""
        stream = task.stream
        task.ended = stream.time = moment
        self.latest = max(self.latest, moment)
        assert stream.tasks[0] is task
        stream.tasks.popleft()

    def _copy(self, move: Move) -> None:
        """Do a copy with the host, or within a chip, where the chip is; what comes to the host comes to all ranks."""
        self.changed = True
        copy = move.copy
        copy.check()
        chip = copy.target.chip if copy.source.chip is None else copy.source.chip
        assert chip is not None
        if copy.target.chip is None and self.exchange.ranks > 1:
            found = self.exchange.share(copy.source.view().tobytes() if chip in self.nodes else b"")[self.owners[chip]]
            copy.target.view()[...] = np.frombuffer(found, np.uint8).reshape(copy.target.rows, copy.target.width)
        elif chip in self.nodes:
            copy.do()

    # ---- a window ----------------------------------------------------------------------------------------------------

    def _advance(self, end: int) -> None:
        """Run the chips of this rank to the window's end, on all threads."""
        left = deque(node for node in self.nodes.values() if node.busy)

        def work() -> None:
            while left:
                try:
                    node = left.popleft()
                except IndexError:  # another thread was quicker
                    return
                node.advance(self.now, end, self.generation)

        self.places[0].chip.engine.window  # noqa: B018 (made ready here, not by several threads at once)
        helpers = min(self.threads, len(left)) - 1
        if helpers < 1:
            work()
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="m890")
        others = [self._pool.submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            wait(others)

    def _poll(self) -> None:
        """What is to be done now and then for launches that run."""
        now = time.monotonic()
        if now - self._polled < POLL_SECONDS:
            return
        self._polled = now
        for node in self.nodes.values():
            if node.run is not None and node.error is None:
                try:
                    node.run.check_seconds()
                    node.run.check()
                except Exception as error:
                    node.error = error

    def _meet(self, end: int) -> None:
        """Exchange packets, and learn what became of launches."""
        news = self.exchange.share_news(self._news())
        for _, text in sorted((text for one in news for text in one.texts), key=lambda pair: pair[0]):
            self.write(text)
        errors = [error for one in news for error in one.errors]
        if errors:
            raise min(errors, key=lambda pair: pair[0])[1]
        self._deliver(self._gather(news), end)
        for chip, status, ended, executed in (state for one in news for state in one.states):
            place = self.places[chip]
            task = place.task
            assert task is not None
            place.status = Status(status)
            if status == Status.FREE:
                task.launch.end()
                task.executed, place.task, place.ran = executed, None, True
                self._end(task, ended)
                self.changed = True
        self._judge(self.changed or any(one.changed for one in news))

    def _judge(self, changed: bool) -> None:
        """Raise Deadlock if all chips that run are found stuck twice, with no memory changed in between.

        What was under way the first time, an atomic that changes something perhaps, has arrived by the second.
        """
        self.changed = False
        running = [place for place in self.places if place.task]
        stuck = bool(running) and not changed and all(place.status == Status.STUCK for place in running)
        if stuck and self.suspected and not self.ends and not any(place.waits for place in self.places):
            self._deadlock()
        if changed or (stuck and not self.suspected):
            self.suspected = stuck
            for node in self.nodes.values():
                if node.run is not None:
                    node.run.watch.forget()
            for place in running:
                place.status = Status.RUNS if place.status == Status.STUCK else place.status

    def _news(self) -> News:
        """What happened on the chips of this rank."""
        sent: list[np.ndarray] = []
        news = News(NOTHING)
        for chip, node in self.nodes.items():
            if node.has_sent:
                packets, payloads = node.take_outbox()
                sent.append(packets)
                news.payloads |= {(chip, seq): payload for seq, payload in payloads.items()}
            if node.texts:
                news.texts += [(chip, text) for text in node.texts]
                node.texts.clear()
            news.changed |= node.take_changed()
            task = self.places[chip].task
            if node.error is not None:
                news.errors.append((chip, node.error))
            elif task is not None:
                news.states.append(self._state_of(chip, node))
        if sent:
            news.packets = np.concatenate(sent)
        return news

    def _state_of(self, chip: int, node: Node) -> tuple[int, int, int, int]:
        if node.ended is not None:
            (ended, executed), node.ended = node.ended, None
            return chip, Status.FREE, ended, executed
        return chip, Status.STUCK if node.stuck else Status.IDLE if node.state["idle"][0] else Status.RUNS, 0, 0

    def _gather(self, news: list[News]) -> np.ndarray:
        """The packets of all ranks, with all that is in them if they go to chips of this one."""
        self.payloads |= news[self.exchange.rank].payloads
        if self.exchange.ranks == 1:
            return news[0].packets
        packets = np.concatenate([one.packets for one in news])
        if len(packets):
            self._trade(news, packets)
        return packets

    def _deliver(self, packets: np.ndarray, until: int) -> None:
        """Put packets on the links, and what arrives before the end of the next window into the inboxes."""
        if not len(packets) and not self.icn.in_flight:
            return
        arrived = self.icn.inject(packets, until)
        self.under_way.update((packets["time"] // self.window_ps).tolist())
        if not len(arrived):
            return
        self.arrivals = np.concatenate([self.arrivals, arrived["arrival"]])
        self.departures = np.concatenate([self.departures, arrived["time"] // self.window_ps])
        self.changed |= bool(np.isin(arrived["kind"], (STORE, COPY)).any())
        for chip, node in self.nodes.items():
            mine = arrived[arrived["dst"] == chip]
            bursts: list[tuple[int, np.ndarray]] = []
            for index in np.flatnonzero(mine["kind"] == COPY):
                payload = self.payloads.pop((int(mine["src"][index]), int(mine["seq"][index])))
                mine["word"][index] = payload.ctypes.data
                bursts.append((int(mine["arrival"][index]), payload))
            node.deliver(mine, bursts)
        for packet in arrived[arrived["kind"] == COPY]:
            move = self.moves[-1 - int(packet["tag"])]
            self.places[move.stream.chip.index].peer.arrivals.append(int(packet["arrival"]))

    def _trade(self, news: list[News], packets: np.ndarray) -> None:
        """Fill in what is in packets from other ranks to this one."""
        me, owners = self.exchange.rank, np.array(self.owners)
        ranks = np.repeat(np.arange(len(news)), [len(one.packets) for one in news])
        to, raw = owners[packets["dst"]], raw_bytes(packets)
        parcels: list[Any] = []
        for rank in range(self.exchange.ranks):
            chosen = np.flatnonzero((ranks == me) & (to == rank) & (rank != me))
            copies = packets[chosen[packets["kind"][chosen] == COPY]]
            keys = [(int(packet["src"]), int(packet["seq"])) for packet in copies]
            parcels.append((raw[chosen, HEADER_BYTES:].tobytes(), {key: self.payloads.pop(key) for key in keys}))
        for rank, (data, bursts) in enumerate(self.exchange.trade(parcels)):
            self.payloads |= bursts
            chosen = np.flatnonzero((ranks == rank) & (to == me) & (rank != me))
            raw[chosen, HEADER_BYTES:] = np.frombuffer(data, np.uint8).reshape(len(chosen), raw.shape[1] - HEADER_BYTES)

    # ---- when it cannot go on ----------------------------------------------------------------------------------------

    def _deadlock(self) -> None:
        """Nothing is under way and no chip can go on: say who waits for what."""
        found: list[tuple[tuple[WarpPlace, ...], str]] = []
        for chip, node in self.nodes.items():
            if node.run is not None:
                looping, plan = self.places[chip].status == Status.STUCK, node.run.plan
                found.append((report.places(plan, looping=looping), report.hint_for_loop(plan)))
        everywhere = [entry for one in self.exchange.share(found) for entry in one]
        places = tuple(place for entry in everywhere for place in entry[0])
        hint = next((hint for _, hint in everywhere if hint != report.ENDLESS), report.ENDLESS)
        ended = [f"chip {place.chip.index}" for place in self.places if place.ran and not place.task]
        raise Deadlock(places=places, hint=f"{hint}; on {', '.join(ended)} the kernel has ended" if ended else hint)

    def _places(self, *, looping: bool) -> tuple[WarpPlace, ...]:
        runs = [node.run for node in self.nodes.values() if node.run is not None]
        return tuple(place for run in runs for place in report.places(run.plan, looping=looping))

    def clear(self) -> None:
        """Forget all work: streams are empty, nothing is under way. Memory, clocks and counters stay."""
        for place in self.places:
            place.clear()
        for node in self.nodes.values():
            node.clear()
        for stream in self.busy.values():
            stream.drop()
        self.busy, self.moves, self.ends, self.payloads = {}, {}, [], {}
        self.icn.clear()
        self.under_way.clear()
        self.suspected = False
        self.arrivals, self.departures = self.arrivals[:0], self.departures[:0]


def quantum_ps(profile: Any, quantum: int) -> int:
    """Modelled picoseconds in which all compute units together start so many instructions."""
    return max(1, round(quantum * PICOSECONDS / (profile.compute_units * profile.issue_width * profile.clock)))
