"""What each stage of a transaction's life costs one node, alone on one core.

    python -m benchmarks.stages            half a minute; prints a table

Real parts, real databases, no network: a primary takes transactions into its pool, builds a block, and a backup
checks, executes and commits it. Enrolments of one member each: a signature, two new records, four changed ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.engines.document import put
from benchmarks.load import AGE_MONTHS, PLAN
from consensus.block import Block
from consensus.effects import Persist, PersistBlock
from consensus.messages import CommitCertificate, Phase
from consensus.types import ReplicaId, View
from node.block_rules import Verifier
from node.claims.application import Application
from node.claims.builders import build_transaction
from node.claims.calendar import day_of, month_of
from node.claims.genesis import Genesis
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import encode_transaction
from node.crypto import SigningKey
from node.executor import Executor
from node.genesis import domain, genesis_header, genesis_state_root, load_genesis, member_set
from node.keyfile import read_key
from node.localnet import layout
from node.mempool import Mempool, MempoolLimits
from node.state import StateDatabase
from node.store import BlockStore
from node.verification import TransactionVerifier

T = TypeVar("T")

NAMES: Final = ("a", "b", "c", "d")


class Part:
    """One node without network: pool, executor and both databases."""

    def __init__(
        self, folder: Path, genesis: Genesis, signatures: Verifier | None = None, cache_bytes: int = 128 << 20
    ) -> None:
        """`signatures`: who checks those of blocks, by default as in a node."""
        self.application = Application(genesis)
        members = member_set(genesis)
        header = genesis_header(genesis, members, genesis_state_root(self.application))
        self.blocks = BlockStore.open(folder / "blocks", genesis.digest)
        self.state = StateDatabase.open(folder / "state", genesis.digest, cache_bytes=cache_bytes)
        self.verifier = TransactionVerifier()
        self.executor = Executor(self.application, self.state, self.blocks, header, signatures or self.verifier)
        self.executor.replay()
        view = self.state.view()
        self.pool = Mempool(
            MempoolLimits(max_transactions=200_000, sender_share_bps=10_000, max_bytes=1 << 30),
            self.verifier,
            lambda transaction, now_ms: self.application.admit(view, transaction, now_ms),
            self.executor.locate,
        )

    def close(self) -> None:
        self.state.close()
        self.blocks.close()


class Stages:
    """Adds up the time of named stages."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self.ns: dict[str, int] = {}

    def run(self, name: str, work: Callable[..., T], *arguments: object, **named: object) -> T:
        began = self._clock()
        answer = work(*arguments, **named)
        self.ns[name] = self.ns.get(name, 0) + self._clock() - began
        return answer


def signed(genesis: Genesis, keys: Sequence[SigningKey], count: int) -> list[bytes]:
    """Enrolments of all keys in turn, each key's sequences rising."""
    month = month_of(day_of(genesis.time_ms, 0)) - AGE_MONTHS
    raws = []
    for number in range(count):
        key, sequence = keys[number % len(keys)], number // len(keys) + 1
        member = NewMember(person=sha256(b"stages %d" % number).digest(), birth_month=month)
        action = Enrol(plan=PLAN, members=(member,))
        until_ms = genesis.time_ms + genesis.max_validity_ms // 2
        transaction = build_transaction(genesis.digest, key.public, sequence, until_ms, (action,), key.sign)
        raws.append(encode_transaction(transaction))
    return raws


def measure(folder: Path, transactions: int, block: int) -> dict[str, float]:
    """Microseconds per transaction by stage, of the primary's way and of the backup's."""
    layout.create(folder / "net", NAMES)
    genesis = load_genesis(folder / "net" / layout.GENESIS_FILE)
    accounts = [read_key(folder / "net" / name / layout.ACCOUNT_KEY, None) for name in NAMES]
    nodes = [read_key(folder / "net" / name / layout.NODE_KEY, None) for name in NAMES]
    raws = signed(genesis, accounts, transactions)
    words = domain(genesis, member_set(genesis))
    primary, backup = Part(folder / "primary", genesis), Part(folder / "backup", genesis)
    stages = Stages()
    for start in range(0, transactions, block):
        some, now_ms = raws[start : start + block], genesis.time_ms + 1_000 + start
        for first in range(0, len(some), 50):
            stages.run("take into the pool", primary.pool.add, some[first : first + 50], now_ms, 0)
        candidates = stages.run("choose", primary.pool.candidates, (), now_ms, block, 1 << 20)
        made = stages.run("build", primary.executor.build, primary.executor.tip, candidates, now_ms, block)
        assert made is not None
        signatures = tuple(
            (ReplicaId(i), nodes[i].sign(words.vote(Phase.COMMIT, View(0), made.height, made.digest, ReplicaId(i))))
            for i in range(3)
        )
        certificate = CommitCertificate(view=View(0), height=made.height, digest=made.digest, signatures=signatures)
        _finish(stages, "primary", primary, made, certificate)
        # Gossip brought them to the backup first, as it does in a cluster.
        stages.run("backup: take into the pool", backup.pool.add, some, now_ms, 0, from_peer=True)
        stages.run("backup: execute and check", backup.executor.execute, made)
        _finish(stages, "backup", backup, made, certificate)
    primary.close()
    backup.close()
    return {name: ns / 1_000 / transactions for name, ns in stages.ns.items()}


def _finish(stages: Stages, who: str, part: Part, block: Block, certificate: CommitCertificate) -> None:
    key = b"V%d" % block.height
    promised = [PersistBlock(block=block), Persist(key=key, value=block.digest)]
    stages.run(f"{who}: keep the proposal, synced", part.blocks.write, promised)
    stages.run(f"{who}: keep the certificate, synced", part.blocks.write, (), [(block, certificate)])
    committed = stages.run(f"{who}: commit the state", part.executor.commit, block, certificate)
    ids, raws, time_ms = committed.transactions, block.transactions, block.header.time_ms
    stages.run(f"{who}: clear the pool", part.pool.committed, ids, raws, time_ms)
    part.blocks.forget([key])


def table(found: dict[str, float]) -> str:
    """Both ways side by side, in Markdown."""
    primary = {name.removeprefix("primary: "): us for name, us in found.items() if not name.startswith("backup: ")}
    backup = {name.removeprefix("backup: "): us for name, us in found.items() if name.startswith("backup: ")}
    lines = ["| stage | primary, us | backup, us |", "|---|---:|---:|"]
    for name in dict.fromkeys([*primary, *backup]):
        cells = [f"{way[name]:.1f}" if name in way else "" for way in (primary, backup)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| **all** | **{sum(primary.values()):.0f}** | **{sum(backup.values()):.0f}** |")
    return "\n".join(lines) + "\n"


def sizes_table(by_size: dict[int, dict[str, float]]) -> str:
    """The sums against the size of blocks."""
    lines = ["| transactions in a block | primary, us each | backup, us each |", "|---:|---:|---:|"]
    for size, found in by_size.items():
        backup = sum(us for name, us in found.items() if name.startswith("backup: "))
        lines.append(f"| {size} | {sum(found.values()) - backup:.0f} | {backup:.0f} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--transactions", type=int, default=20_000, help="how many (default %(default)s)")
    parser.add_argument("--block", type=int, default=150, help="transactions in a block (default %(default)s)")
    parser.add_argument("--sizes", default="", help="also the sums with so many in a block, such as 10,50,500")
    parser.add_argument("--docs", action="store_true", help="also remake the table of docs/performance.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="weal-stages-") as folder:
        found = measure(Path(folder), options.transactions, options.block)
    text = table(found)
    if options.sizes:
        by_size: dict[int, dict[str, float]] = {}
        for size in map(int, options.sizes.split(",")):
            with tempfile.TemporaryDirectory(prefix="weal-stages-") as folder:
                by_size[size] = measure(Path(folder), min(options.transactions, 200 * size), size)
        text += "\n" + sizes_table(by_size)
    print(text)
    if options.docs:
        put("stages", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
