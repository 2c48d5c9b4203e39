"""A load generator for cluster tests and benchmarks: several processes, transactions signed beforehand.

Each worker process owns the account key of one organisation, so its sequences never collide with another
worker's, and enrols members one by one: a real signed transaction that writes state. Two modes:

- *closed loop*: so many transactions are open at any time; the next one starts when one is final. Finds the
  throughput, and says nothing about the latency that a client sees at a given rate.
- *open loop*: so many transactions per second fall due, whatever the cluster does. Latency counts from the moment
  a transaction was due, so a cluster that stalls cannot hide its stall; what could not be sent at all, because
  the replay window of the key was full, is counted as `late`.

A worker remembers every transaction that a node called final, with the height and index it was told. Those
are the promises that tests hold the chain to.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import time
from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event as ProcessEvent
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from node.claims.builders import build_transaction
from node.claims.calendar import day_of, month_of
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import encode_transaction
from node.crypto import SigningKey

if TYPE_CHECKING:
    from node.client import Client
    from node.localnet import Localnet

PLAN: Final = "critical-illness"
AGE_MONTHS: Final = 30 * 12
WINDOW: Final = 1_000
"""Below the ledger's replay window of 1,024: no more of one key may be open between the oldest and the newest."""
VALID_FOR_MS: Final = 23 * 3_600_000
"""Chain time; the ledger takes at most a day."""
_RESULT_TIMEOUT_S: Final = 120.0


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker does. Everything in it can be sent to another process."""

    worker: int
    urls: list[str]
    """The nodes in the order in which this worker asks them; the first is asked until it fails."""
    genesis: bytes
    seed: bytes
    """Secret seed of the account key."""
    run: str
    """Makes the members of this run different people from those of every other run."""
    valid_until_ms: int
    birth_month: int
    batch: int
    """Transactions in one request."""
    batches_open: int
    """Closed loop: requests open at any time."""
    rate: float
    """Open loop: transactions per second; 0 for the closed loop."""
    transactions: int
    """Stop after so many; 0: until told to."""
    presigned: int
    """Signed before the start; more are signed on the way, in the same process."""
    timeout_s: float
    """How long one request may wait for finality, changes of node included."""


class WorkerReport(msgspec.Struct, kw_only=True):
    """What became of one worker's transactions."""

    worker: int
    sent: int = 0
    told: list[tuple[bytes, int, int]] = []
    """(id, height, index) of what was called final and carried out."""
    refused: dict[str, int] = {}
    """Final answers other than success, by text, and requests that failed, by kind."""
    open_ids: list[bytes] = []
    """Sent, and never called final: they may or may not be on the chain."""
    late: int = 0
    latencies_us: list[int] = []
    """One per batch."""
    started_ns: int = 0
    ended_ns: int = 0
    error: str = ""


class LoadReport(msgspec.Struct, kw_only=True):
    """All workers together."""

    workers: list[WorkerReport]

    @property
    def told(self) -> dict[bytes, tuple[int, int]]:
        """Transaction id -> (height, index), as clients were told."""
        return {id: (height, index) for worker in self.workers for id, height, index in worker.told}

    @property
    def open_ids(self) -> set[bytes]:
        return {id for worker in self.workers for id in worker.open_ids}

    @property
    def sent(self) -> int:
        return sum(worker.sent for worker in self.workers)

    @property
    def late(self) -> int:
        return sum(worker.late for worker in self.workers)

    @property
    def refused(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for worker in self.workers:
            for text, count in worker.refused.items():
                total[text] = total.get(text, 0) + count
        return total

    @property
    def seconds(self) -> float:
        start = min(worker.started_ns for worker in self.workers)
        return (max(worker.ended_ns for worker in self.workers) - start) / 1e9

    def latency_ms(self, percent: float) -> float:
        """The percentile of the batches' latencies, from due to final."""
        values = sorted(value for worker in self.workers for value in worker.latencies_us)
        return percentile(values, percent) / 1e3


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile of rising values; 0 if there are none."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


class Enrolments:
    """Signed transactions of one key, each enrolling one new person, with rising sequences."""

    def __init__(self, spec: LoadSpec, first_sequence: int) -> None:
        self._spec, self._key, self._sequence = spec, SigningKey(spec.seed), first_sequence
        self._ready: deque[tuple[int, bytes, bytes]] = deque()

    def sign(self, count: int) -> None:
        spec = self._spec
        for sequence in range(self._sequence, self._sequence + count):
            person = sha256(f"{spec.run}/{spec.worker}/{sequence}".encode()).digest()
            action = Enrol(plan=PLAN, members=(NewMember(person=person, birth_month=spec.birth_month),))
            transaction = build_transaction(
                spec.genesis, self._key.public, sequence, spec.valid_until_ms, (action,), self._key.sign
            )
            self._ready.append((sequence, transaction.id, encode_transaction(transaction)))
        self._sequence += count

    def take(self, count: int) -> list[tuple[int, bytes, bytes]]:
        """(sequence, id, bytes) of the next ones."""
        if len(self._ready) < count:
            self.sign(max(count, 256))
        return [self._ready.popleft() for _ in range(count)]


class _Worker:
    """One process's loop."""

    def __init__(self, spec: LoadSpec, client: Client, source: Enrolments, stop: ProcessEvent, done: Any) -> None:
        self._spec, self._client, self._source, self._stop, self._done = spec, client, source, stop, done
        self.report = WorkerReport(worker=spec.worker)
        self._open: dict[int, bytes] = {}
        self._room = asyncio.Condition()
        self._taken = 0

    async def run(self) -> None:
        self.report.started_ns = time.time_ns()
        if self._spec.rate > 0:
            await self._open_loop()
        else:
            await asyncio.gather(*(self._closed_loop() for _ in range(self._spec.batches_open)))
        self.report.ended_ns = time.time_ns()
        self.report.open_ids += self._open.values()

    def _next_count(self) -> int:
        """How many the next request carries; 0: this worker is finished."""
        if self._stop.is_set():
            return 0
        left = self._spec.transactions - self._taken if self._spec.transactions else self._spec.batch
        count = min(self._spec.batch, left)
        self._taken += count
        return count

    def _has_room(self, count: int) -> bool:
        return not self._open or self._highest() + count - min(self._open) < WINDOW

    def _highest(self) -> int:
        return max(self._open)

    async def _closed_loop(self) -> None:
        while (count := self._next_count()) > 0:
            async with self._room:
                await self._room.wait_for(lambda: self._has_room(count))
                batch = self._claim(count)
            await self._send(batch, time.perf_counter_ns())

    async def _open_loop(self) -> None:
        loop = asyncio.get_running_loop()
        interval_s = self._spec.batch / self._spec.rate
        due_s, due_ns = loop.time(), time.perf_counter_ns()
        sending: set[asyncio.Task[None]] = set()
        while (count := self._next_count()) > 0:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if self._has_room(count):
                task = loop.create_task(self._send(self._claim(count), due_ns))
                sending.add(task)
                task.add_done_callback(sending.discard)
            else:
                self.report.late += count
            due_s += interval_s
            due_ns += int(interval_s * 1e9)
        await asyncio.gather(*sending)

    def _claim(self, count: int) -> list[tuple[int, bytes, bytes]]:
        batch = self._source.take(count)
        self._open.update({sequence: id for sequence, id, _ in batch})
        self.report.sent += count
        return batch

    async def _send(self, batch: list[tuple[int, bytes, bytes]], due_ns: int) -> None:
        from node.client.errors import ClientError

        try:
            outcomes = await self._client.submit([raw for _, _, raw in batch], timeout_s=self._spec.timeout_s)
        except ClientError as error:
            self._note(f"{type(error).__name__}: {error.detail}"[:200], len(batch))
            known = {str(record.get("id")): record for record in error.transactions}
            for sequence, id, _ in batch:
                record = known.get(id.hex(), {})
                if record.get("status") == "committed" and not record.get("code"):
                    self._told(sequence, id, int(record["height"]), int(record["index"]))
                else:
                    # Nobody knows what becomes of it; it must not hold up the window of those that follow.
                    self._open.pop(sequence, None)
                    self.report.open_ids.append(id)
            await self._tell_room()
            return
        self.report.latencies_us.append((time.perf_counter_ns() - due_ns) // 1_000)
        for (sequence, id, _), outcome in zip(batch, outcomes, strict=True):
            if outcome.succeeded and outcome.height >= 0:
                self._told(sequence, id, outcome.height, outcome.index)
            else:
                self._note(f"{outcome.status} {outcome.result} {outcome.detail}".strip()[:200], 1)
                self._open.pop(sequence, None)
        await self._tell_room()

    async def _tell_room(self) -> None:
        async with self._room:
            self._room.notify_all()

    def _told(self, sequence: int, id: bytes, height: int, index: int) -> None:
        self.report.told.append((id, height, index))
        self._open.pop(sequence, None)
        with self._done.get_lock():
            self._done.value += 1

    def _note(self, text: str, count: int) -> None:
        # A handful of texts is enough to see what went wrong; details with ids in them would be endless.
        key = text if text in self.report.refused or len(self.report.refused) < 20 else "others"
        self.report.refused[key] = self.report.refused.get(key, 0) + count


async def _work(spec: LoadSpec, ready: ProcessEvent, go: ProcessEvent, stop: ProcessEvent, done: Any) -> WorkerReport:
    from node.client import Client

    async with Client(spec.urls, timeout_s=10.0, patience_s=spec.timeout_s) as client:
        source = Enrolments(spec, await client.next_sequence(SigningKey(spec.seed).public))
        source.sign(spec.presigned)
        worker = _Worker(spec, client, source, stop, done)
        ready.set()
        while not go.is_set():
            if stop.is_set():
                return worker.report
            await asyncio.sleep(0.005)
        await worker.run()
        return worker.report


def _process(
    spec: LoadSpec, ready: ProcessEvent, go: ProcessEvent, stop: ProcessEvent, done: Any, results: Any
) -> None:
    try:
        report = asyncio.run(_work(spec, ready, go, stop, done))
    except Exception as error:  # noqa: BLE001 - the edge of a process: the parent raises it
        report = WorkerReport(worker=spec.worker, error=repr(error))
    ready.set()
    results.put(msgspec.msgpack.encode(report))


class Load:
    """A running load.

    with Load(net, rate=200) as load:
        load.wait_final(1_000)
        net.kill("a")
    report = load.report
    """

    def __init__(
        self,
        net: Localnet,
        *,
        rate: float = 0.0,
        batch: int = 1,
        batches_open: int = 8,
        transactions: int = 0,
        presigned: int = 0,
        organisations: Sequence[str] | None = None,
        urls: Sequence[str] | None = None,
        run: str = "load",
        timeout_s: float = 60.0,
    ) -> None:
        """`rate`, `batches_open`, `transactions` and `presigned` are for all workers together. One worker for each
        of `organisations` (all by default); its first node is its own organisation's, then the others'."""
        names = list(net.names if organisations is None else organisations)
        genesis = net.genesis()
        now_ms = chain_now_ms(net)
        shares = len(names)
        self._specs = [
            LoadSpec(
                worker=number,
                urls=list(urls) if urls is not None else _rotated(net.urls(), net.names.index(name)),
                genesis=genesis.digest,
                seed=net.key(name).seed,
                run=run,
                valid_until_ms=now_ms + VALID_FOR_MS * genesis.max_validity_ms // 86_400_000,
                birth_month=month_of(day_of(now_ms, 0)) - AGE_MONTHS,
                batch=batch,
                batches_open=max(1, batches_open // shares),
                rate=rate / shares,
                transactions=-(-transactions // shares),
                presigned=-(-presigned // shares),
                timeout_s=timeout_s,
            )
            for number, name in enumerate(names)
        ]
        # Spawned, not forked: the parent may hold event loops and threads.
        context = multiprocessing.get_context("spawn")
        self._go, self._stop = context.Event(), context.Event()
        self._done = context.Value("Q", 0)
        self._results: Any = context.Queue()
        self._ready = [context.Event() for _ in self._specs]
        self._processes: list[BaseProcess] = [
            context.Process(target=_process, args=(spec, ready, self._go, self._stop, self._done, self._results))
            for spec, ready in zip(self._specs, self._ready, strict=True)
        ]
        self._report: LoadReport | None = None

    def __enter__(self) -> Self:
        self.prepare()
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def prepare(self) -> None:
        """Start the workers and have them sign what is signed beforehand."""
        for process in self._processes:
            process.start()
        for ready in self._ready:
            if not ready.wait(_RESULT_TIMEOUT_S):
                raise TimeoutError("a load worker did not get ready")

    def begin(self) -> None:
        self._go.set()

    @property
    def final(self) -> int:
        """Transactions that clients were told are final, so far."""
        return int(self._done.value)

    @property
    def is_running(self) -> bool:
        return any(process.is_alive() for process in self._processes)

    def wait_final(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until `count` more transactions than now are final. Raises TimeoutError."""
        goal, end = self.final + count, time.monotonic() + timeout_s
        while self.final < goal:
            if time.monotonic() >= end:
                raise TimeoutError(f"{self.final} transactions are final after {timeout_s:g} s, {goal} were expected")
            if not self._results.empty() and not self.is_running:
                raise RuntimeError(f"the load ended early: {self.finish().refused}")
            time.sleep(0.01)

    def wait_finished(self, timeout_s: float) -> LoadReport:
        """Wait until every worker has sent all its transactions and they are final."""
        return self._collect(timeout_s)

    def finish(self) -> LoadReport:
        """Stop sending, wait for what is open, and collect."""
        self._stop.set()
        return self._collect(_RESULT_TIMEOUT_S)

    def _collect(self, timeout_s: float) -> LoadReport:
        if self._report is not None:
            return self._report
        reports: list[WorkerReport] = []
        try:
            for _ in self._processes:
                data = self._results.get(timeout=timeout_s)
                reports.append(msgspec.msgpack.decode(data, type=WorkerReport))
        except queue.Empty:
            raise TimeoutError(
                f"{len(reports)} of {len(self._processes)} load workers ended in {timeout_s:g} s"
            ) from None
        finally:
            for process in self._processes:
                process.join(5)
                if process.is_alive():
                    process.kill()
        broken = [report.error for report in reports if report.error]
        if broken:
            raise RuntimeError(f"a load worker failed: {broken[0]}")
        self._report = LoadReport(workers=sorted(reports, key=lambda report: report.worker))
        return self._report

    @property
    def report(self) -> LoadReport:
        return self.finish()


def _rotated(urls: Sequence[str], by: int) -> list[str]:
    return [*urls[by:], *urls[:by]]


def chain_now_ms(net: Localnet) -> int:
    """Chain time, as any node that answers tells it."""
    with net.client() as client:
        return int(client.status()["chain_now_ms"])
