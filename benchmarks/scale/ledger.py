"""One node of the four without its network: what it does with a block from bytes to both databases.

Blocks are built, kept, certified by three signatures and committed as the node's driver does it. Only the other
nodes' time is missing, and the way to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Final

import msgspec

from benchmarks.scale.members import ACCOUNT_KEYS, NODE_KEYS, PLAN, scale_genesis
from benchmarks.scale.work import Meter, Moment, Times, Work
from consensus.block import Block, Header
from consensus.codec import decode
from consensus.effects import PersistBlock
from consensus.messages import CommitCertificate, Phase
from consensus.types import ReplicaId, View
from node.block_rules import BlockLimits
from node.claims.application import Application, Receipt
from node.claims.builders import build_transaction
from node.claims.mutual_aid.records import PlanState, load_plan
from node.claims.queries import Queries
from node.claims.transaction import Action, Transaction, encode_transaction
from node.claims.types import HOUR_MS
from node.executor import Executor
from node.genesis import domain, member_set
from node.state import StateDatabase
from node.store import BlockStore
from node.verification import TransactionVerifier

_SIGNERS: Final = (0, 1, 2)


class Candidate(msgspec.Struct, frozen=True):
    """What the pool hands to `build`."""

    transaction: Transaction
    raw: bytes

    @property
    def id(self) -> bytes:
        return self.transaction.id


class Refused(Exception):
    """A transaction of the benchmark was refused: it measures something else than it says."""


class Ledger:
    """The node on the databases in `folder`, which `fill` made."""

    def __init__(self, folder: Path) -> None:
        genesis = scale_genesis()
        begin = perf_counter_ns()
        self.application, self.verifier = Application(genesis), TransactionVerifier()
        self.queries = Queries(genesis)
        self.members = member_set(genesis)
        self.blocks = BlockStore.open(folder / "blocks", genesis.digest)
        self.state = StateDatabase.open(folder / "state", genesis.digest)
        header = decode(Header, (folder / "header").read_bytes())
        self.executor = Executor(self.application, self.state, self.blocks, header, self.verifier)
        self.executor.replay()
        self.start_ms = (perf_counter_ns() - begin) / 1e6
        """From nothing to ready: every entry of the tree read and hashed."""
        self.meter = Meter(self.application, self.state)
        view = self.state.view()
        plan = self.application.registry.find(view, PLAN)
        if plan is None:
            raise Refused(f"the genesis has no plan {PLAN}")
        self._plan = plan.number
        self._sequences = [self.application.next_sequence(view, key.public) for key in ACCOUNT_KEYS]

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.state.close()
        self.blocks.close()

    @property
    def now_ms(self) -> int:
        return self.executor.tip.time_ms

    @property
    def plan(self) -> PlanState:
        return load_plan(self.state.view(), self._plan)

    def signed(self, organisation: int, *actions: Action) -> bytes:
        """A transaction of the organisation with that number, as it arrives; good for an hour from the tip."""
        key = ACCOUNT_KEYS[organisation]
        sequence = self._sequences[organisation]
        self._sequences[organisation] += 1
        genesis, valid_until_ms = self.executor.tip.genesis, self.now_ms + HOUR_MS
        return encode_transaction(build_transaction(genesis, key.public, sequence, valid_until_ms, actions, key.sign))

    def step(self, raws: Sequence[bytes] = (), time_ms: int = 0, *, counting: bool = False) -> Step:
        """One block: signatures checked, built and executed, kept, final, written. Raises Refused."""
        meter = self.meter
        meter.begin(counting=counting)
        begin = Moment()
        candidates = []
        for raw, transaction in zip(raws, self.verifier.resolve(raws), strict=True):
            if transaction is None:
                raise Refused("a transaction is malformed")
            candidates.append(Candidate(transaction, raw))
        checked = Moment()
        limit = BlockLimits().max_block_transactions
        block = self.executor.build(self.executor.tip, candidates, time_ms, limit)
        if block is None:
            raise Refused(f"nothing is due at {time_ms}")
        built = Moment()
        self.blocks.write([PersistBlock(block=block)])
        kept = Moment()
        certificate = self._certify(block)
        certified = Moment()
        committed = self.executor.commit(block, certificate)
        # A node writes the state of many blocks at once; here each pays for its own.
        self.state.flush()
        ended = Moment()
        times = meter.times
        times.signatures = checked.processor_ms - begin.processor_ms
        times.write = kept.processor_ms - built.processor_ms + ended.processor_ms - certified.processor_ms
        # The other nodes' signatures are made here, in the place of waiting for them.
        times.processor = ended.processor_ms - begin.processor_ms - (certified.processor_ms - kept.processor_ms)
        times.wall = ended.wall_ms - begin.wall_ms - (certified.wall_ms - kept.wall_ms)
        if len(block.transactions) != len(raws):
            raise Refused(f"{len(block.transactions)} of {len(raws)} transactions fit into the block")
        for receipt in committed.receipts[1:]:
            if receipt.code:
                raise Refused(f"a transaction was refused: {receipt}")
        return Step(times, meter.work, committed.receipts)

    def _certify(self, block: Block) -> CommitCertificate:
        words = domain(self.application.genesis, self.members)
        signatures = tuple(
            (
                ReplicaId(signer),
                NODE_KEYS[signer].sign(
                    words.vote(Phase.COMMIT, View(0), block.height, block.digest, ReplicaId(signer))
                ),
            )
            for signer in _SIGNERS
        )
        return CommitCertificate(view=View(0), height=block.height, digest=block.digest, signatures=signatures)

    def next_due_ms(self) -> int:
        due = self.application.next_deadline_ms(self.state.view())
        if due is None:
            raise Refused("the state has no deadline left")
        return due

    def run_until(self, time_ms: int) -> None:
        """Let every deadline before `time_ms` fire, each when it is due."""
        while (due := self.next_due_ms()) < time_ms:
            self.step(time_ms=max(due, self.now_ms + 1))


class Step(msgspec.Struct):
    """One block that was committed."""

    times: Times
    work: Work
    receipts: tuple[Receipt, ...]
