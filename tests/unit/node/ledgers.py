"""A ledger without network for tests of storage: the real application on real databases, blocks certified by
four node keys as consensus would."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec

from consensus.block import Block, Header
from consensus.effects import Persist, PersistBlock
from consensus.messages import CommitCertificate, Phase
from consensus.types import ReplicaId, View
from node.block_rules import BlockLimits
from node.claims.application import Application
from node.claims.builders import build_transaction
from node.claims.genesis import Genesis
from node.claims.mutual_aid.actions import Enrol
from node.claims.transaction import Action, Transaction, encode_transaction
from node.claims.types import HOUR_MS
from node.crypto import SigningKey
from node.executor import Committed, Executor
from node.genesis import domain, genesis_header, member_set
from node.leveldb import OnWrite
from node.merkle import state_root
from node.state import FLUSH_BYTES, StateDatabase
from node.store import BlockStore
from node.verification import TransactionVerifier
from tests.factories import MemoryState, make_genesis, new_member

NODE_KEYS = tuple(SigningKey(sha256(b"node %d" % index).digest()) for index in range(4))
ACCOUNT_KEYS = tuple(SigningKey(sha256(b"account %d" % index).digest()) for index in range(4))


@cache
def ledger_genesis() -> Genesis:
    """Organisations a to d with keys that tests can sign with."""
    return make_genesis(node_keys=[key.public for key in NODE_KEYS], account_keys=[key.public for key in ACCOUNT_KEYS])


@cache
def genesis_root() -> bytes:
    state = MemoryState()
    Application(ledger_genesis()).initialise(state)
    return state_root(state.records.items())


class Candidate(msgspec.Struct, frozen=True):
    """What the pool hands to `build`."""

    transaction: Transaction
    raw: bytes

    @property
    def id(self) -> bytes:
        return self.transaction.id


def transfer(
    account: int, sequence: int, *actions: Action, valid_until_ms: int | None = None, genesis: bytes | None = None
) -> Candidate:
    """A signed transaction of organisation number `account`; enrols one member unless actions are given."""
    if not actions:
        actions = (Enrol(plan="critical-illness", members=(new_member(account * 1_000_000 + sequence),)),)
    if valid_until_ms is None:
        valid_until_ms = ledger_genesis().time_ms + HOUR_MS
    key = ACCOUNT_KEYS[account]
    digest = ledger_genesis().digest if genesis is None else genesis
    transaction = build_transaction(digest, key.public, sequence, valid_until_ms, actions, key.sign)
    return Candidate(transaction, encode_transaction(transaction))


def certify(header: Header, *, view: int = 0, signers: Sequence[int] = (0, 1, 2)) -> CommitCertificate:
    genesis = ledger_genesis()
    words = domain(genesis, member_set(genesis))
    signatures = tuple(
        (
            ReplicaId(index),
            NODE_KEYS[index].sign(words.vote(Phase.COMMIT, View(view), header.height, header.digest, ReplicaId(index))),
        )
        for index in signers
    )
    return CommitCertificate(view=View(view), height=header.height, digest=header.digest, signatures=signatures)


class Ledger:
    """Both databases in `path`, opened; `close` and make another to restart."""

    def __init__(
        self,
        path: Path,
        *,
        on_write: OnWrite | None = None,
        flush_bytes: int = FLUSH_BYTES,
        limits: BlockLimits | None = None,
        application: Application | None = None,
        replay: bool = True,
    ) -> None:
        genesis = ledger_genesis()
        self.path, self.genesis = path, genesis
        self.members = member_set(genesis)
        self.header = genesis_header(genesis, self.members, genesis_root())
        self.application = Application(genesis) if application is None else application
        self.verifier = TransactionVerifier()
        self.blocks = BlockStore.open(path / "blocks", genesis.digest, on_write=on_write)
        try:
            self.state = StateDatabase.open(path / "state", genesis.digest, flush_bytes=flush_bytes, on_write=on_write)
        except BaseException:
            self.blocks.close()
            raise
        try:
            self.executor = Executor(
                self.application, self.state, self.blocks, self.header, self.verifier, limits=limits
            )
            self.replayed = self.executor.replay() if replay else 0
        except BaseException:
            self.close()
            raise

    def build(self, *candidates: Candidate, parent: Header | None = None, time_ms: int = 0) -> Block:
        parent = self.executor.tip if parent is None else parent
        block = self.executor.build(parent, candidates, time_ms, 1_000)
        assert block is not None
        return block

    def commit(self, block: Block) -> Committed:
        return self.executor.commit(block, certify(block.header))

    def step(self, *candidates: Candidate, time_ms: int = 0) -> Committed:
        """One block as a node makes it: built, kept with a vote, final, its vote forgotten."""
        block = self.build(*candidates, time_ms=time_ms)
        vote = b"V%d" % block.height
        self.blocks.write([PersistBlock(block=block), Persist(key=vote, value=b"vote for " + block.digest)])
        self.blocks.write([Persist(key=b"L%d" % block.height, value=block.digest)])
        committed = self.commit(block)
        self.blocks.forget([vote, b"L%d" % block.height])
        return committed

    def close(self) -> None:
        try:
            self.state.close()
        finally:
            self.blocks.close()


def contents(ledger: Ledger) -> dict[str, object]:
    """Everything two nodes with the same chain must have in common."""
    executor = ledger.executor
    height = executor.tip.height
    return {
        "tip": executor.tip,
        "root": ledger.state.root(),
        "records": list(ledger.state.scan_records(b"", b"\xff" * 40)),
        "blocks": [executor.block_at(at) for at in range(1, height + 1)],
        "certificates": [ledger.blocks.certificate_at(at) for at in range(1, height + 1)],
        "receipts": [executor.receipt_bytes(at) for at in range(height + 1)],
        "places": [
            executor.locate(receipt.transaction) for at in range(1, height + 1) for receipt in executor.receipts(at)[1:]
        ],
        "journal": ledger.blocks.journal(),
        "proposals": sorted(ledger.blocks.proposals()),
    }
