"""Small transactions and pools for tests of the mempool and its neighbours."""

from __future__ import annotations

from node.claims.builders import build_transaction
from node.claims.mutual_aid.actions import Enrol
from node.claims.results import ResultCode
from node.claims.transaction import Transaction, encode_transaction
from node.crypto import SigningKey
from node.mempool import Mempool, MempoolLimits
from node.verification import TransactionVerifier
from tests.factories import new_member

GENESIS = bytes(32)
KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 6)]
VALID_MS = 1_000_000


def transaction(sender: int = 0, sequence: int = 1, valid_until_ms: int = VALID_MS, person: int = 0) -> Transaction:
    key = KEYS[sender]
    actions = [Enrol(plan="critical-illness", members=(new_member(person),))]
    return build_transaction(GENESIS, key.public, sequence, valid_until_ms, actions, key.sign)


def raw(sender: int = 0, sequence: int = 1, valid_until_ms: int = VALID_MS, person: int = 0) -> bytes:
    return encode_transaction(transaction(sender, sequence, valid_until_ms, person))


class Ledger:
    """Stands for the committed state: who may send, what was used, what is on the chain."""

    def __init__(self) -> None:
        self.used: dict[bytes, int] = {key.public: 0 for key in KEYS[:4]}
        self.places: dict[bytes, tuple[int, int]] = {}

    def admit(self, item: Transaction, now_ms: int) -> ResultCode:
        if item.valid_until_ms <= now_ms:
            return ResultCode.EXPIRED
        if item.sender not in self.used:
            return ResultCode.UNKNOWN_SENDER
        if item.sequence <= self.used[item.sender]:
            return ResultCode.SEQUENCE_USED
        if item.sequence > self.used[item.sender] + 1_024:
            return ResultCode.SEQUENCE_TOO_HIGH
        return ResultCode.OK

    def commit(self, item: Transaction, height: int = 1) -> None:
        self.used[item.sender] = max(self.used[item.sender], item.sequence)
        self.places[item.id] = (height, 0)


class Pool:
    """A mempool on such a ledger."""

    def __init__(self, **limits: int) -> None:
        self.ledger = Ledger()
        self.verifier = TransactionVerifier()
        self.mempool = Mempool(MempoolLimits(**limits), self.verifier, self.ledger.admit, self.ledger.places.get)

    def add(self, *raws: bytes, now_ms: int = 0, steady_ms: int = 0, from_peer: bool = False) -> list[str]:
        return [answer.status for answer in self.mempool.add(raws, now_ms, steady_ms, from_peer=from_peer)[0]]

    def commit(self, *items: Transaction, block_ms: int = 1) -> int:
        for item in items:
            self.ledger.commit(item)
        return self.mempool.committed([i.id for i in items], [encode_transaction(i) for i in items], block_ms)

    def waiting(self) -> list[int]:
        """Sequences waiting, in order of arrival."""
        return [pending.transaction.sequence for pending in self.mempool.oldest(10_000)]
