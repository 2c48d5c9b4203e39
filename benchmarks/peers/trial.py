"""A short look at the CometBFT peer, to see that it is at its best before anything is compared with it.

Latency counts from the moment a transaction was due to the moment a node had written its block.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.load import percentile
from benchmarks.peers.cometbft import SETTINGS, CometBFT, generate
from benchmarks.peers.peer import PeerUnavailable
from benchmarks.peers.wire import Answer, CommitReader, Transactions

TICK_S: Final = 0.01
"""Open loop: what fell due since the last tick goes out as one batch, to the nodes in turn."""
MAX_PAUSE_S: Final = 0.1
DRAIN_S: Final = 5.0


class Trial:
    """What one run sent and saw."""

    def __init__(self, endpoints: list[str], transactions: Transactions) -> None:
        self.endpoints, self.transactions = endpoints, transactions
        self.due_ns: dict[bytes, int] = {}
        self.latencies_ms: list[float] = []
        self.answers: Counter[Answer] = Counter()
        self.blocks = 0
        self.last_ns = 0
        self._arrived = asyncio.Event()

    async def listen(self, session: aiohttp.ClientSession, ready: asyncio.Event) -> None:
        reader = CommitReader()
        async with session.get(f"{self.endpoints[0]}/commits") as stream:
            ready.set()
            async for piece in stream.content.iter_any():
                for commit in reader.feed(piece):
                    self.blocks += 1
                    self.last_ns = commit.at_ns
                    for nonce in commit.nonces:
                        if (due := self.due_ns.pop(nonce, None)) is not None:
                            self.latencies_ms.append((commit.at_ns - due) / 1e6)
                    self._arrived.set()

    async def send(self, session: aiohttp.ClientSession, url: str, first: int, due_ns: list[int]) -> None:
        for index, due in enumerate(due_ns, first):
            self.due_ns[self.transactions.nonce(index)] = due
        body = self.transactions.batch(first, len(due_ns))
        async with session.post(f"{url}/batch", data=body) as reply:
            answers = await reply.read()
        self.answers.update(map(Answer, answers))
        for index, answer in enumerate(answers, first):
            if answer != Answer.ACCEPTED:
                self.due_ns.pop(self.transactions.nonce(index), None)

    async def one_at_a_time(self, session: aiohttp.ClientSession) -> None:
        """To the nodes in turn, each some time after the one before it is written.

        Without the pause every transaction would come just after a block has begun and wait for the whole of it.
        """
        pauses = random.Random(1)
        for index in range(len(self.transactions)):
            self._arrived.clear()
            await self.send(session, self.endpoints[index % len(self.endpoints)], index, [time.time_ns()])
            while self.due_ns:
                await self._arrived.wait()
                self._arrived.clear()
            await asyncio.sleep(pauses.uniform(0, MAX_PAUSE_S))

    async def at_rate(self, session: aiohttp.ClientSession, rate: float) -> None:
        begin, sent, turn = time.time_ns(), 0, 0
        async with asyncio.TaskGroup() as group:
            while sent < len(self.transactions):
                due = min(len(self.transactions), int((time.time_ns() - begin) * rate / 1e9))
                if due > sent:
                    moments = [begin + int(i * 1e9 / rate) for i in range(sent, due)]
                    url = self.endpoints[turn % len(self.endpoints)]
                    group.create_task(self.send(session, url, sent, moments))
                    sent, turn = due, turn + 1
                await asyncio.sleep(TICK_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.due_ns:
                    await asyncio.sleep(TICK_S)


async def run(trial: Trial, rate: float) -> None:
    limits = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(limit=0)) as session:
        ready = asyncio.Event()
        listener = asyncio.create_task(trial.listen(session, ready))
        await ready.wait()
        await (trial.at_rate(session, rate) if rate else trial.one_at_a_time(session))
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener


def cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_s() -> float:
    """Seconds of CPU that everything on this machine has used."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def measure(peer: CometBFT, transactions: Transactions, rate: float, say: Callable[[str], None]) -> None:
    trial = Trial(peer.endpoints, transactions)
    before, own, machine, begin_ns = cpu_s(peer.pids), time.process_time(), machine_s(), time.time_ns()
    asyncio.run(run(trial, rate))
    seconds, cpu = (trial.last_ns - begin_ns) / 1e9, cpu_s(peer.pids) - before
    # Figures say little when others were busy on the same cores, and averages of load tell it too late.
    others = max(0.0, machine_s() - machine - cpu - (time.process_time() - own)) * 1e9 / (time.time_ns() - begin_ns)
    ordered, done = sorted(trial.latencies_ms), len(trial.latencies_ms)
    offered = f"{rate:.0f}/s" if rate else "one at a time"
    told = ", ".join(f"{answer.name.lower()} {count}" for answer, count in sorted(trial.answers.items()))
    say(
        f"{peer.name}, {offered}: {done / max(seconds, 1e-9):.0f}/s committed, "
        f"p50/p95/p99 {percentile(ordered, 50):.0f}/{percentile(ordered, 95):.0f}/{percentile(ordered, 99):.0f} ms, "
        f"{cpu * 1000 / max(done, 1):.2f} CPU s per 1,000, {trial.blocks / max(seconds, 1e-9):.1f} blocks/s "
        f"with transactions, {told}, others used {others:.1f} cores"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.trial", description=__doc__)
    parser.add_argument("--setting", choices=SETTINGS, default="tuned-app-mempool")
    parser.add_argument("--rate", type=float, default=0.0, help="transactions per second; 0: one at a time (default)")
    parser.add_argument("--count", type=int, default=200, help="how many transactions (default %(default)s)")
    parser.add_argument("--validators", type=int, default=4)
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="weal-peer-") as folder:
            path = Path(folder) / "transactions"
            generate(path, options.count)
            with CometBFT(options.validators, options.setting, Path(folder) / "net") as peer:
                measure(peer, Transactions.read(path), options.rate, print)
    except PeerUnavailable as reason:
        print(reason)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
