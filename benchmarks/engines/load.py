"""The load on a network, in a process of its own: at a rate, so many open at a time, or one after the other.

Latency counts from the moment a transaction was due, so a network that stalls cannot hide its stall.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import queue
import random
import resource
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from benchmarks.engines.feeds import FEEDS, Feed
from benchmarks.load import percentile

TICK_S: Final = 0.005
"""What fell due since the last tick goes to one node as one batch; the nodes take turns."""
BATCH_MOST: Final = 1_000
"""What a node takes at once. More falls due where the generator itself has to wait for a processor."""
PAUSE_S: Final = 0.1
"""Where there are pauses: the longest."""
PATIENCE_S: Final = 10.0
"""One at a time: one that is not final by then counts as lost, and the next goes."""
DRAIN_S: Final = 6.0
BIN_MS: Final = 100
_READY_S: Final = 180.0
_USED_UP_S: Final = 600.0
"""Without an end in time, until the workload is used up: of an engine that takes seconds for some blocks, too."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one load process does."""

    engine: str
    urls: list[str]
    path: str
    mode: Literal["rate", "open", "single"]
    rate: float = 0.0
    """Transactions per second offered."""
    open: int = 0
    """Transactions open at any time, in batches of `batch`."""
    batch: int = 100
    seconds: float = 10.0
    """How long to offer; 0: until the workload is used up."""
    warm_up_s: float = 2.0
    """Of these first seconds no latency is kept and no commit counts for the rate."""
    first: int = 0
    """Transactions before this number were used already."""
    count: int = 0
    """Most transactions to use; 0: all."""
    pause_s: float = 0.0
    """One after the other: the next follows the last after at most so long, at random, the same for everybody."""


class Result(msgspec.Struct, kw_only=True):
    """What became of the load."""

    sent: int = 0
    refused: int = 0
    final: int = 0
    next: int = 0
    """First transaction of the workload that was not used."""
    seconds: float = 0.0
    """Of the time that counts: from the end of the warm-up to the end of the offer."""
    final_in_time: int = 0
    """Final within that time."""
    latencies_us: list[int] = []
    """Of those due in that time."""
    refusal_us: list[int] = []
    """How long the answer took, of those refused in that time."""
    bins: list[int] = []
    """Transactions final in each `BIN_MS` since the start of the offer."""
    longest_gap_ms: float = 0.0
    """Longest time without a commit, within the offer."""
    begun_ns: int = 0
    cpu_s: float = 0.0
    """Of the load process itself."""
    lost: int = 0
    """Accepted, and never told final."""

    def per_second(self) -> float:
        return self.final_in_time / max(self.seconds, 1e-9)

    def latency_ms(self, percent: float) -> float:
        return percentile(sorted(self.latencies_us), percent) / 1e3


class _Run:
    """One offer."""

    def __init__(self, order: Order, feed: Feed) -> None:
        self._order, self._feed = order, feed
        self._due_ns: dict[int, int] = {}
        self._end = min(len(feed), order.first + order.count) if order.count else len(feed)
        self._next = order.first
        self._turn = 0
        self._changed = asyncio.Event()
        self.result = Result()
        self._counts_ns = self._last_ns = 0
        feed.on_final, feed.on_refused = self._final, self._refused

    def _final(self, numbers: Sequence[int], at_ns: int) -> None:
        result, due = self.result, self._due_ns
        known = 0
        for number in numbers:
            was_due = due.pop(number, None)
            if was_due is None:
                continue
            known += 1
            if was_due >= self._counts_ns:
                result.latencies_us.append((at_ns - was_due) // 1_000)
        if not known:
            return
        result.final += known
        if self._counts_ns <= at_ns < self._until_ns():
            result.final_in_time += known
        place = max(0, at_ns - result.begun_ns) // (BIN_MS * 1_000_000)
        result.bins += [0] * (place + 1 - len(result.bins))
        result.bins[place] += known
        if at_ns < self._until_ns():
            result.longest_gap_ms = max(result.longest_gap_ms, (at_ns - self._last_ns) / 1e6)
        self._last_ns = max(self._last_ns, at_ns)
        self._changed.set()

    def _refused(self, numbers: Sequence[int], at_ns: int) -> None:
        for number in numbers:
            was_due = self._due_ns.pop(number, None)
            if was_due is not None:
                self.result.refused += 1
                if was_due >= self._counts_ns and len(self.result.refusal_us) < 1_000_000:
                    self.result.refusal_us.append((at_ns - was_due) // 1_000)
        self._changed.set()

    def _until_ns(self) -> int:
        if not self._order.seconds:
            return 2**63
        return self.result.begun_ns + int(self._order.seconds * 1e9)

    def _take(self, count: int, due_ns: Sequence[int]) -> tuple[int, int]:
        """The next transactions of the workload: (first, count)."""
        first = self._next
        count = min(count, self._end - first)
        for number in range(first, first + count):
            self._due_ns[number] = due_ns[min(number - first, len(due_ns) - 1)]
        self._next += count
        self.result.sent += count
        return first, count

    def _node(self) -> int:
        alive = self._feed.alive
        if not alive:
            raise RuntimeError("no node takes transactions any more")
        self._turn += 1
        return alive[self._turn % len(alive)]

    async def run(self) -> Result:
        result = self.result
        result.begun_ns = self._last_ns = time.time_ns()
        self._counts_ns = result.begun_ns + int(self._order.warm_up_s * 1e9)
        before = resource.getrusage(resource.RUSAGE_SELF)
        await {"rate": self._at_rate, "open": self._keep_open, "single": self._one_by_one}[self._order.mode]()
        result.seconds = (min(time.time_ns(), self._until_ns()) - self._counts_ns) / 1e9
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._due_ns:
                    self._changed.clear()
                    await self._changed.wait()
        after = resource.getrusage(resource.RUSAGE_SELF)
        result.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        result.next, result.lost = self._next, len(self._due_ns)
        return result

    async def _at_rate(self) -> None:
        begun, offered = self.result.begun_ns, 0
        interval_ns = 1e9 / self._order.rate
        async with asyncio.TaskGroup() as group:
            while (now := time.time_ns()) < self._until_ns() and self._next < self._end:
                until = int((now - begun) / interval_ns)
                while offered < until:
                    due = min(until - offered, BATCH_MOST)
                    moments = [begun + int(number * interval_ns) for number in range(offered, offered + due)]
                    group.create_task(self._feed.send(self._node(), *self._take(due, moments)))
                    offered += due
                await asyncio.sleep(TICK_S)

    async def _keep_open(self) -> None:
        async with asyncio.TaskGroup() as group:
            while time.time_ns() < self._until_ns() and self._next < self._end:
                if len(self._due_ns) + self._order.batch <= self._order.open:
                    place = self._take(self._order.batch, [time.time_ns()])
                    group.create_task(self._feed.send(self._node(), *place))
                    await asyncio.sleep(0)
                else:
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await self._changed.wait()

    async def _one_by_one(self) -> None:
        pauses = random.Random(1)
        while time.time_ns() < self._until_ns() and self._next < self._end:
            await asyncio.sleep(pauses.uniform(0, self._order.pause_s))
            place = self._take(1, [time.time_ns()])
            await self._feed.send(self._node(), *place)
            while place[0] in self._due_ns:
                self._changed.clear()
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._changed.wait()
                except TimeoutError:
                    break


async def _work(order: Order, feed: Feed, ready: ProcessEvent, go: ProcessEvent) -> Result:
    await feed.open()
    ready.set()
    while not go.is_set():
        await asyncio.sleep(0.002)
    try:
        return await _Run(order, feed).run()
    finally:
        await feed.close()


def _process(data: bytes, ready: ProcessEvent, go: ProcessEvent, results: Any) -> None:
    import gc

    order = msgspec.msgpack.decode(data, type=Order)
    feed = FEEDS[order.engine](order.urls, Path(order.path))
    gc.freeze()  # the workload stays; looking through it again and again would be the generator's own stall
    try:
        results.put(msgspec.msgpack.encode(asyncio.run(_work(order, feed, ready, go))))
    except Exception as error:  # noqa: BLE001 - the edge of a process: the parent raises it
        ready.set()
        results.put(repr(error))


class Load:
    """A load process: made ready, then begun, then waited for."""

    def __init__(self, order: Order) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready, self._go = context.Event(), context.Event()
        self._results: Any = context.Queue()
        arguments = (msgspec.msgpack.encode(order), self._ready, self._go, self._results)
        self._process: BaseProcess = context.Process(target=_process, args=arguments)
        one_by_one_s = order.count * PATIENCE_S if order.mode == "single" else 0.0
        self._timeout_s = (order.seconds or _USED_UP_S) + one_by_one_s + DRAIN_S + _READY_S
        self._process.start()
        if not self._ready.wait(_READY_S):
            self._process.kill()
            raise TimeoutError("the load process did not get ready")

    def begin(self) -> None:
        self._go.set()

    def result(self) -> Result:
        """Wait for the end. Raises RuntimeError if the process failed."""
        try:
            data = self._results.get(timeout=self._timeout_s)
        except queue.Empty:
            raise TimeoutError(f"the load did not end within {self._timeout_s:g} s") from None
        finally:
            self._process.join(5)
            if self._process.is_alive():
                self._process.kill()
        if isinstance(data, str):
            raise RuntimeError(f"the load process failed: {data}")
        return msgspec.msgpack.decode(data, type=Result)
