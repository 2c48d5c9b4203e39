"""Organisations, their account keys, replay windows, and evidence against nodes that lied.

Replay: each account keeps the highest sequence used and a bitmap of the 1,024 up to it, as IPsec does.
So transactions may be sent in parallel and arrive in any order, and no set of seen ids grows. A sequence
more than 1,024 above the highest is refused, so that nobody closes their own window by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from node.claims import keys
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.module import ActionHandler, Module, Scope
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.wire import Wire, encode

WINDOW: Final = 1_024
_WINDOW_MASK: Final = (1 << WINDOW) - 1
MAX_EVIDENCE_BYTES: Final = 4_096

EvidenceCheck = Callable[[bytes], str | None]
"""Equivocation evidence, as bytes -> name of the organisation it convicts, or None. Pure."""


class RecordEvidence(Wire, frozen=True, kw_only=True, tag=1):
    """Puts proof of equivocation (two signed votes of one node for one slot) on the chain."""

    evidence: Annotated[bytes, Meta(min_length=1, max_length=MAX_EVIDENCE_BYTES)]


class OrganisationRecord(Wire, frozen=True, kw_only=True):
    """An organisation as of now. Roles are role numbers, in the order of the Role enum."""

    name: str
    node_key: bytes
    account_keys: tuple[bytes, ...]
    roles: tuple[int, ...]


class OrganisationTally(Wire, frozen=True, kw_only=True):
    """Deadlines that passed while a step was this organisation's."""

    investigations_missed: int = 0
    reviews_missed: int = 0
    payments_missed: int = 0
    intakes_missed: int = 0
    objections_missed: int = 0
    erasures_missed: int = 0
    holds_missed: int = 0
    draws_missed: int = 0
    """Phases of a jury's draw without its dealing or its share."""


class SenderRecord(Wire, frozen=True, kw_only=True):
    """An account. Bit i of `window` (little-endian, no trailing zero bytes): sequence `highest - i` is used."""

    organisation: int
    member: int
    """Member number if this is a member's own key, else 0."""
    highest: int
    window: bytes


class EvidenceRecord(Wire, frozen=True, kw_only=True):
    """Proof of equivocation, kept as it came, with the organisation it convicts."""

    organisation: int
    height: int
    evidence: bytes


def load_sender(state: ReadState, public_key: bytes) -> SenderRecord | None:
    return state.load(keys.sender(public_key), SenderRecord)


def sequence_problem(record: SenderRecord, sequence: int) -> ResultCode:
    """OK if `sequence` may be used now."""
    distance = record.highest - sequence
    if distance < 0:
        return ResultCode.OK if -distance <= WINDOW else ResultCode.SEQUENCE_TOO_HIGH
    if distance >= WINDOW or sequence < 1:
        return ResultCode.SEQUENCE_TOO_OLD
    byte, bit = divmod(distance, 8)
    used = byte < len(record.window) and record.window[byte] >> bit & 1
    return ResultCode.SEQUENCE_USED if used else ResultCode.OK


def use_sequence(record: SenderRecord, sequence: int) -> SenderRecord:
    """The account after `sequence`, which `sequence_problem` found OK, is used."""
    window = int.from_bytes(record.window, "little")
    advance = sequence - record.highest
    if advance > 0:
        window = (window << advance | 1) & _WINDOW_MASK
    else:
        window |= 1 << -advance
    return SenderRecord(
        organisation=record.organisation,
        member=record.member,
        highest=sequence if advance > 0 else record.highest,
        window=window.to_bytes((window.bit_length() + 7) // 8, "little"),
    )


class Consortium(Module):
    """Organisations, roles, accounts, evidence. Governance will change them; today genesis sets them."""

    name: ClassVar[str] = "consortium"
    tables: ClassVar[range] = range(0x01, 0x20)
    tags: ClassVar[range] = range(1, 20)

    def __init__(self, registry: Registry, evidence: EvidenceCheck) -> None:
        super().__init__(registry)
        self._evidence = evidence

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {RecordEvidence: self._record_evidence}

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        # Evidence proves itself, so whoever holds it may record it.
        return dict.fromkeys(Role, (RecordEvidence,))

    def initialise(self, scope: Scope) -> None:
        roles = {role: number for number, role in enumerate(Role, start=1)}
        for number, organisation in enumerate(self.registry.genesis.organisations):
            record = OrganisationRecord(
                name=organisation.name,
                node_key=organisation.node_key,
                account_keys=organisation.account_keys,
                roles=tuple(roles[role] for role in organisation.roles),
            )
            scope.state.put(keys.organisation(number), encode(record))
            scope.state.put(keys.tally(number), encode(OrganisationTally()))
            for account in organisation.account_keys:
                sender = SenderRecord(organisation=number, member=0, highest=0, window=b"")
                scope.state.put(keys.sender(account), encode(sender))

    def _record_evidence(self, scope: Scope, action: RecordEvidence) -> ResultCode:
        key = keys.evidence(sha256(action.evidence).digest())
        if scope.state.get(key) is not None:
            return ResultCode.EVIDENCE_KNOWN
        accused = self.registry.number_of.get(self._evidence(action.evidence) or "")
        if accused is None:
            return ResultCode.EVIDENCE_INVALID
        record = EvidenceRecord(organisation=accused, height=scope.block.height, evidence=action.evidence)
        scope.state.put(key, encode(record))
        scope.emit(EventKind.EVIDENCE_RECORDED, organisation=accused, value=scope.block.height)
        return ResultCode.OK
