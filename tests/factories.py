"""Small inputs for tests: a genesis of four organisations, a state in memory, senders, blocks."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from node.claims.application import Application, BlockContext, BlockResult, Receipt
from node.claims.builders import build_transaction
from node.claims.calendar import day_number, month_index
from node.claims.genesis import (
    Genesis,
    Organisation,
    PlanTerms,
    Role,
    read_ailments,
)
from node.claims.genesis_checks import plan_from_mapping
from node.claims.mutual_aid.actions import NewMember
from node.claims.state import EncodedState
from node.claims.transaction import Action, Transaction
from node.claims.types import DAY_MS, HOUR_MS
from node.jury_proofs import Proofs

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

GENESIS_DAY = day_number(2026, 1, 1)
GENESIS_MS = GENESIS_DAY * DAY_MS
ORGANISATIONS = ("a", "b", "c", "d")
ROLES: dict[str, tuple[Role, ...]] = {
    "a": (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR),
    "b": (Role.ENROLLER, Role.REVIEWER, Role.PAYMENT),
    "c": (Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.AUDITOR),
    "d": (Role.ENROLLER, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT, Role.AUDITOR),
}
"""Every role is held by two organisations at least."""


def key_of(name: str) -> bytes:
    """32 bytes that stand for a public key. Tests that verify signatures pass real ones."""
    return sha256(b"key of " + name.encode()).digest()


@cache
def plan(code: str) -> PlanTerms:
    """The plan of configs/plans/."""
    mapping = tomllib.loads((CONFIGS / "plans" / f"{code}.toml").read_text(encoding="utf-8"))
    table = (CONFIGS / "plans" / str(mapping["ailments_file"])).read_text(encoding="utf-8")
    return plan_from_mapping(mapping, read_ailments(table))


def make_genesis(
    *,
    node_keys: Sequence[bytes] | None = None,
    account_keys: Sequence[bytes] | None = None,
    plans: tuple[PlanTerms, ...] | None = None,
    time_ms: int = GENESIS_MS,
    time_scale: int = 1,
    max_validity_ms: int = DAY_MS,
    deadlines_per_block: int = 2_000,
    roles: Mapping[str, tuple[Role, ...]] | None = None,
) -> Genesis:
    """Organisations a, b, c, d with all roles spread, one node and one account key each, and both plans."""
    organisations = tuple(
        Organisation(
            name=name,
            node_key=node_keys[index] if node_keys is not None else key_of(f"node {name}"),
            account_keys=(account_keys[index] if account_keys is not None else key_of(f"account {name}"),),
            roles=(ROLES if roles is None else roles)[name],
        )
        for index, name in enumerate(ORGANISATIONS)
    )
    return Genesis(
        chain="test",
        time_ms=time_ms,
        time_scale=time_scale,
        max_validity_ms=max_validity_ms,
        deadlines_per_block=deadlines_per_block,
        organisations=organisations,
        plans=plans if plans is not None else (plan("critical-illness"), plan("hospital-reimbursement")),
    )


class MemoryState(EncodedState):
    """A WriteState in memory. Keys are put in order when somebody scans, not at each write."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self._ordered: list[bytes] = []
        self._listed: set[bytes] = set()
        self._fresh: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        return self.records.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value
        if key not in self._listed:
            self._listed.add(key)
            self._fresh.append(key)

    def delete(self, key: bytes) -> None:
        self.records.pop(key, None)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        if len(self._listed) > len(self.records) + 1_000:
            self._ordered, self._fresh, self._listed = sorted(self.records), [], set(self.records)
        elif self._fresh:
            self._ordered = sorted(self._ordered + self._fresh)
            self._fresh = []
        ordered = self._ordered
        for index in range(bisect_left(ordered, start), bisect_left(ordered, end)):
            value = self.records.get(ordered[index])
            if value is not None:
                yield ordered[index], value


def unsigned(message: bytes) -> bytes:
    """Stands for a signature where nothing verifies it."""
    return sha256(message).digest() * 2


class Chain:
    """One application on a state in memory: the shortest way from actions to receipts."""

    def __init__(
        self, genesis: Genesis | None = None, *, evidence: Callable[[bytes], str | None] | None = None
    ) -> None:
        self.genesis = make_genesis() if genesis is None else genesis
        proofs = Proofs()
        self.application = (
            Application(self.genesis, proofs=proofs)
            if evidence is None
            else Application(self.genesis, evidence=evidence, proofs=proofs)
        )
        self.digest = self.genesis.digest
        self.state = MemoryState()
        self.application.initialise(self.state)
        self.height, self.now_ms = 0, self.genesis.time_ms
        self.results: list[BlockResult] = []
        self._sequences: dict[bytes, int] = {}

    def transaction(
        self, sender: str | bytes, *actions: Action, sequence: int = 0, valid_ms: int = HOUR_MS
    ) -> Transaction:
        """From the account of an organisation, by name, or from a key; the next sequence unless given."""
        key = key_of(f"account {sender}") if isinstance(sender, str) else sender
        if not sequence:
            sequence = self._sequences[key] = self._sequences.get(key, 0) + 1
        return build_transaction(self.digest, key, sequence, self.now_ms + valid_ms, actions, unsigned)

    def block(self, *transactions: Transaction, later_ms: int = 1) -> BlockResult:
        """The next block, `later_ms` after the last one."""
        self.height, self.now_ms = self.height + 1, self.now_ms + later_ms
        context = BlockContext(height=self.height, time_ms=self.now_ms)
        result = self.application.execute(self.state, context, transactions)
        self.results.append(result)
        return result

    def do(self, sender: str | bytes, *actions: Action) -> Receipt:
        """One transaction in a block of its own, 1 ms later."""
        return self.block(self.transaction(sender, *actions)).receipts[0]

    def wait(self, *, days: int = 0, hours: int = 0) -> BlockResult:
        """An empty block, so much later."""
        return self.block(later_ms=days * DAY_MS + hours * HOUR_MS)

    def until(self, time_ms: int) -> BlockResult:
        """An empty block at `time_ms`."""
        return self.block(later_ms=time_ms - self.now_ms)


def person(number: int) -> bytes:
    """Stands for a keyed commitment."""
    return sha256(b"person %d" % number).digest()


def new_member(number: int, *, birth_year: int = 1990, key: bytes = b"", payer: int = 0) -> NewMember:
    return NewMember(person=person(number), birth_month=month_index(birth_year, 6), key=key, payer=payer)


def with_terms(terms: PlanTerms, **changes: object) -> PlanTerms:
    """`terms` with other values in some fields."""
    return replace(terms, **changes)
