"""Applies blocks: first the deadlines that are due, then the transactions, then the invariants.

Pure: the same state, context and transactions give the same writes and receipts on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop
from itertools import islice
from typing import get_args

import msgspec

from node.claims import keys
from node.claims.consortium import (
    Consortium,
    EvidenceCheck,
    SenderRecord,
    load_sender,
    sequence_problem,
    use_sequence,
)
from node.claims.events import ClaimsEvent
from node.claims.evidence.module import EvidenceVault
from node.claims.genesis import Genesis
from node.claims.genesis_checks import check_genesis
from node.claims.jury.proofs import REFUSING, JuryProofs
from node.claims.module import ActionHandler, BlockScope, DeadlineHandler, InvariantBroken, Module, Scope, Sender
from node.claims.mutual_aid.module import MutualAid
from node.claims.nullifiers.module import Nullifiers
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import Draft, ReadState, WriteState
from node.claims.transaction import Action, Transaction
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire

_CLOCK = Sender(NO_ORGANISATION, 0)


class BlockContext(Wire, frozen=True, kw_only=True):
    """Where and when a block is applied. time_ms is the block's own time, never a local clock."""

    height: int
    time_ms: int


class Receipt(Wire, frozen=True, kw_only=True):
    """What became of a transaction."""

    transaction: bytes
    """Id; b"" in the receipt of the clock, which comes first in each block."""
    code: int
    detail: str
    """Which part was refused, such as "action 0, member 17"; "" if there is nothing to add."""
    events: tuple[ClaimsEvent, ...]


class BlockResult(msgspec.Struct, frozen=True):
    """The receipts root covers [clock, *receipts]."""

    clock: Receipt
    receipts: list[Receipt]


def _no_evidence(_: bytes) -> str | None:
    return None


class Application:
    """All modules of the chain, composed."""

    def __init__(
        self, genesis: Genesis, *, evidence: EvidenceCheck = _no_evidence, proofs: JuryProofs = REFUSING
    ) -> None:
        """`evidence` and `proofs` are the checks that need cryptography: the same on every node of the chain."""
        check_genesis(genesis)
        self.genesis = genesis
        self.registry = Registry(genesis)
        self.modules: tuple[Module, ...] = (
            Consortium(self.registry, evidence),
            MutualAid(self.registry, proofs),
            Nullifiers(self.registry),
            EvidenceVault(self.registry),
        )
        self._actions: dict[type[Wire], ActionHandler] = {}
        self._deadlines: dict[int, DeadlineHandler] = {}
        self._organisations: dict[type[Wire], frozenset[int]] = {}
        self._members: frozenset[type[Wire]] = frozenset()
        for module in self.modules:
            self._add(module)
        orphans = [kind.__name__ for kind in get_args(Action) if kind not in self._actions]
        if orphans:
            raise InvariantBroken(f"no module handles {', '.join(orphans)}")

    def _add(self, module: Module) -> None:
        others = [other for other in self.modules if other is not module]
        if any(
            range(max(a.start, b.start), min(a.stop, b.stop))
            for o in others
            for a, b in ((o.tables, module.tables), (o.tags, module.tags))
        ):
            raise InvariantBroken(f"the module {module.name} shares tables or tags with another")
        for kind, handler in module.actions().items():
            if kind.__struct_config__.tag not in module.tags:
                raise InvariantBroken(f"{kind.__name__} has a tag outside the range of {module.name}")
            self._actions[kind] = handler
            roles = [role for role, allowed in module.permitted().items() if kind in allowed]
            self._organisations[kind] = frozenset(number for role in roles for number in self.registry.holders[role])
        for number, deadline in module.deadlines().items():
            if number not in module.tags:
                raise InvariantBroken(f"deadline kind {number} is outside the range of {module.name}")
            self._deadlines[number] = deadline
        self._members |= frozenset(module.permitted_to_members())

    def initialise(self, state: WriteState) -> None:
        """Write the records of block 0 into an empty state."""
        scope = Scope(state, BlockScope(0, self.genesis.time_ms), _CLOCK)
        for module in self.modules:
            module.initialise(scope)
        self._check(state, scope.block)

    def execute(self, state: WriteState, context: BlockContext, transactions: Sequence[Transaction]) -> BlockResult:
        """Apply a block. Signatures have been verified; everything else is decided here.

        Raises InvariantBroken only for a bug or a corrupted state.
        """
        block = BlockScope(context.height, context.time_ms)
        clock = self._run_clock(state, block)
        receipts = [self._run(state, block, transaction) for transaction in transactions]
        self._check(state, block)
        return BlockResult(clock, receipts)

    def admit(self, state: ReadState, transaction: Transaction, now_ms: int) -> ResultCode:
        """Whether a block at `now_ms` on this state may contain the transaction. Cheap."""
        return self._admit(state, transaction, now_ms)[0]

    def next_deadline_ms(self, state: ReadState) -> int | None:
        """When the next deadline falls due; a block at or after it has work even without transactions."""
        first = next(iter(state.scan(*keys.table(keys.DEADLINE))), None)
        return self.deadline_ms(None if first is None else first[0])

    @staticmethod
    def deadline_ms(first: bytes | None) -> int | None:
        """The same for who knows the first key of the table of deadlines, if there is one."""
        return None if first is None else keys.parse_deadline(first)[0]

    def next_sequence(self, state: ReadState, sender: bytes) -> int:
        """The lowest sequence above all that this account has used; 1 for an unknown account."""
        record = load_sender(state, sender)
        return 1 if record is None else record.highest + 1

    def _admit(self, state: ReadState, transaction: Transaction, now_ms: int) -> tuple[ResultCode, SenderRecord | None]:
        if transaction.genesis != self.registry.digest:
            return ResultCode.WRONG_GENESIS, None
        if transaction.valid_until_ms <= now_ms:
            return ResultCode.EXPIRED, None
        if transaction.valid_until_ms > now_ms + self.genesis.max_validity_ms:
            return ResultCode.VALID_TOO_LONG, None
        record = load_sender(state, transaction.sender)
        if record is None:
            return ResultCode.UNKNOWN_SENDER, None
        return sequence_problem(record, transaction.sequence), record

    def _run(self, state: WriteState, block: BlockScope, transaction: Transaction) -> Receipt:
        code, record = self._admit(state, transaction, block.time_ms)
        if code or record is None:
            return Receipt(transaction=transaction.id, code=code.value, detail="", events=())
        # The sequence is used whatever comes of the actions: a refusal is final too.
        state.store(keys.sender(transaction.sender), use_sequence(record, transaction.sequence))
        draft = Draft(state)
        scope = Scope(draft, block, Sender(record.organisation, record.member))
        for index, action in enumerate(transaction.actions):
            kind = type(action)
            if record.member:
                allowed = kind in self._members
            else:
                allowed = record.organisation in self._organisations[kind]
            code = self._actions[kind](scope, action) if allowed else ResultCode.FORBIDDEN
            if code:
                where = f"action {index}" if len(transaction.actions) > 1 else ""
                detail = ", ".join(part for part in (where, scope.detail) if part)
                return Receipt(transaction=transaction.id, code=code.value, detail=detail, events=())
        draft.apply()
        return Receipt(transaction=transaction.id, code=0, detail="", events=tuple(scope.events))

    def _run_clock(self, state: WriteState, block: BlockScope) -> Receipt:
        """Fire what is due, oldest first, at most deadlines_per_block; the rest waits for the next block."""
        limit = self.genesis.deadlines_per_block
        scope = Scope(state, block, _CLOCK)
        rows = islice(state.scan(*keys.deadlines_until(block.time_ms)), limit)
        due = [key for key, _ in rows]
        # Handlers may add rows that are due as well. As many are fired as were looked at, so none of them
        # can overtake a row that was not.
        heapify(due)
        block.due = due
        fired = 0
        while due and fired < limit:
            key = heappop(due)
            if state.get(key) is None:
                continue  # A row fired before it in this block took it back.
            due_ms, kind, subject = keys.parse_deadline(key)
            state.delete(key)
            self._deadlines[kind](scope, due_ms, subject)
            fired += 1
        block.due = None
        return Receipt(transaction=b"", code=0, detail="", events=tuple(scope.events))

    def _check(self, state: ReadState, block: BlockScope) -> None:
        for kind, number in block.touched:
            for module in self.modules:
                module.check(state, kind, number)
