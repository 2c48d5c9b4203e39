"""Evidence as a module: its actions, its one deadline, permissions and invariants."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.consortium import OrganisationTally, load_sender
from node.claims.events import EventKind
from node.claims.evidence.actions import (
    MAX_GRANT_MS,
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    HoldEvidence,
    Recipient,
    RecordOpening,
    RegisterEvidence,
    RestrainErasure,
)
from node.claims.evidence.holds import claim_now, erasure_problem, first_holders, has_say, involved, runs_node
from node.claims.evidence.records import (
    MARK,
    GrantRecord,
    ItemRecord,
    ItemStatus,
    OpeningRecord,
    item_of,
    live_grant,
    load_grant,
    load_item,
    load_item_counter,
    next_status,
    save_item,
    save_item_counter,
    save_item_of,
    the_item,
)
from node.claims.genesis import Role
from node.claims.module import ActionHandler, DeadlineHandler, InvariantBroken, Module, Scope
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.types import DAY_MS, NO_ORGANISATION
from node.claims.wire import Wire, decode_trusted, encode

MAX_ITEMS: Final = 10**9
SIGNATURE_DAYS: Final = 7
"""A holder that has not signed the destruction so long after its start is counted as late."""

_HANDLE: Final = (RegisterEvidence, HoldEvidence, GrantEvidence, RecordOpening, EraseEvidence, ConfirmErasure)
PERMITTED: Final[dict[Role, tuple[type[Wire], ...]]] = {
    Role.INTAKE: _HANDLE,
    Role.INVESTIGATOR: _HANDLE,
    Role.REVIEWER: _HANDLE,
    Role.PAYMENT: _HANDLE,
    # An enroller keeps what its members file themselves, so it must be able to serve and erase it.
    Role.ENROLLER: (GrantEvidence, RecordOpening, EraseEvidence, ConfirmErasure),
    Role.REGULATOR: (RestrainErasure,),
}
"""All that organisations may do here. What is not in it is forbidden; an auditor reads what is granted to it."""
PERMITTED_TO_MEMBERS: Final[tuple[type[Wire], ...]] = (RegisterEvidence, GrantEvidence, EraseEvidence)


class EvidenceDeadline(IntEnum):
    """Rows of the deadline queue that belong to evidence."""

    ERASURE_SIGNATURES = 130


class EvidenceVault(Module):
    """Evidence items: registered, granted, opened, erased."""

    name: ClassVar[str] = "evidence"
    tables: ClassVar[range] = range(0x60, 0x70)
    tags: ClassVar[range] = range(120, 140)

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {
            RegisterEvidence: self._register,
            HoldEvidence: self._hold,
            GrantEvidence: self._grant,
            RecordOpening: self._record_openings,
            EraseEvidence: self._erase,
            ConfirmErasure: self._confirm_erasure,
            RestrainErasure: self._restrain,
        }

    def deadlines(self) -> Mapping[int, DeadlineHandler]:
        return {EvidenceDeadline.ERASURE_SIGNATURES: self._signatures_due}

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        return PERMITTED

    def permitted_to_members(self) -> tuple[type[Wire], ...]:
        return PERMITTED_TO_MEMBERS

    def _register(self, scope: Scope, action: RegisterEvidence) -> ResultCode:
        sender, number = scope.sender, load_item_counter(scope.state)
        if number > MAX_ITEMS:
            return ResultCode.LIMIT_REACHED
        if item_of(scope.state, action.commitment):
            return ResultCode.EVIDENCE_ITEM_KNOWN
        if action.claim:
            claim, code = claim_now(scope, action.claim)
            if claim is None:
                return code
            mine = claim.member == sender.member if sender.member else sender.organisation in involved(scope, claim)
            if not mine:
                return ResultCode.NOT_INVOLVED
        for index, recipient in enumerate(action.recipients):
            if code := self._recipient_problem(scope, recipient):
                scope.detail = f"recipient {index}"
                return code
        holders = first_holders(self.registry, scope, action.claim, sender.organisation, sender.member)
        if not holders:
            return ResultCode.NOBODY_TO_HOLD
        organisation = NO_ORGANISATION if sender.member else sender.organisation
        item = ItemRecord(
            claim=action.claim,
            organisation=organisation,
            member=sender.member,
            commitment=action.commitment,
            ciphertext=action.ciphertext,
            bucket=action.bucket,
            registered_ms=scope.now_ms,
            status=next_status(None, EventKind.EVIDENCE_REGISTERED),
            holders=holders,
            changed_ms=scope.now_ms,
        )
        save_item_counter(scope, number + 1)
        save_item_of(scope, action.commitment, number)
        save_item(scope, number, item)
        if action.claim:
            scope.state.put(keys.item_of_claim(action.claim, number), MARK)
        scope.emit(EventKind.EVIDENCE_REGISTERED, subject=number, organisation=organisation, value=action.claim)
        for recipient in action.recipients:
            self._put_grant(scope, number, recipient)
        return ResultCode.OK

    def _hold(self, scope: Scope, action: HoldEvidence) -> ResultCode:
        item, code = self._kept(scope, action.item)
        if item is None:
            return code
        own = scope.sender.organisation
        if own in item.holders:
            return ResultCode.ALREADY_HOLDER
        if not runs_node(self.registry, own):
            return ResultCode.NOBODY_TO_HOLD
        if item.claim:
            claim, code = claim_now(scope, item.claim)
            if claim is None:
                return code
            if own not in involved(scope, claim):
                return ResultCode.NOT_INVOLVED
        else:
            # Nothing but a grant makes an organisation a party to an item that stands alone.
            accounts = self.registry.genesis.organisations[own].account_keys
            if not any(live_grant(scope.state, action.item, item, key, scope.now_ms) for key in accounts):
                return ResultCode.NOT_INVOLVED
        holders = tuple(sorted((*item.holders, own)))
        status = next_status(item.status, EventKind.EVIDENCE_HELD)
        save_item(scope, action.item, replace(item, status=status, holders=holders, changed_ms=scope.now_ms))
        scope.emit(EventKind.EVIDENCE_HELD, subject=action.item, organisation=own, value=item.claim)
        return ResultCode.OK

    def _grant(self, scope: Scope, action: GrantEvidence) -> ResultCode:
        item, code = self._kept(scope, action.item)
        if item is None:
            return code
        if code := has_say(scope, item):
            return code
        recipient = action.recipient
        if recipient.until_ms == 0:
            before = load_grant(scope.state, action.item, recipient.key)
            if before is None or before.until_ms <= scope.now_ms:
                return ResultCode.NO_SUCH_GRANT
            recipient = replace(recipient, until_ms=scope.now_ms, purpose=before.purpose)
        elif code := self._recipient_problem(scope, recipient):
            return code
        self._put_grant(scope, action.item, recipient)
        return ResultCode.OK

    def _record_openings(self, scope: Scope, action: RecordOpening) -> ResultCode:
        for index, opening in enumerate(action.openings):
            item = load_item(scope.state, opening.item)
            grant = load_grant(scope.state, opening.item, opening.recipient)
            key = keys.opening(opening.item, opening.receipt)
            code = ResultCode.OK
            if item is None:
                code = ResultCode.UNKNOWN_EVIDENCE_ITEM
            elif scope.sender.organisation not in item.holders:
                code = ResultCode.NOT_A_HOLDER
            elif grant is None or not item.registered_ms <= opening.opened_ms <= scope.now_ms:
                code = ResultCode.NO_SUCH_GRANT
            elif scope.state.get(key) is not None:
                code = ResultCode.OPENING_KNOWN
            if code or grant is None:
                scope.detail = f"opening {index}"
                return code
            record = OpeningRecord(
                organisation=scope.sender.organisation,
                recipient=opening.recipient,
                purpose=grant.purpose,
                opened_ms=opening.opened_ms,
            )
            scope.state.put(key, encode(record))
            scope.emit(
                EventKind.EVIDENCE_OPENED,
                subject=opening.item,
                organisation=scope.sender.organisation,
                value=grant.purpose.value,
            )
        return ResultCode.OK

    def _erase(self, scope: Scope, action: EraseEvidence) -> ResultCode:
        item, code = self._kept(scope, action.item)
        if item is None:
            return code
        if scope.sender.member or scope.sender.organisation not in item.holders:
            if code := has_say(scope, item):
                return code
        if code := erasure_problem(self.registry, scope, item):
            return code
        due_ms = scope.now_ms + SIGNATURE_DAYS * DAY_MS
        scope.schedule(EvidenceDeadline.ERASURE_SIGNATURES, due_ms, action.item)
        erasing = replace(
            item,
            status=next_status(item.status, EventKind.ERASURE_STARTED),
            erasing_ms=scope.now_ms,
            deadline_ms=due_ms,
            changed_ms=scope.now_ms,
        )
        save_item(scope, action.item, erasing)
        organisation = NO_ORGANISATION if scope.sender.member else scope.sender.organisation
        scope.emit(EventKind.ERASURE_STARTED, subject=action.item, organisation=organisation, value=item.claim)
        return ResultCode.OK

    def _confirm_erasure(self, scope: Scope, action: ConfirmErasure) -> ResultCode:
        item = load_item(scope.state, action.item)
        own = scope.sender.organisation
        if item is None:
            return ResultCode.UNKNOWN_EVIDENCE_ITEM
        if own not in item.holders:
            return ResultCode.NOT_A_HOLDER
        if item.status is ItemStatus.KEPT:
            return ResultCode.ERASURE_NOT_STARTED
        if own in item.signed:
            return ResultCode.ERASURE_ALREADY_SIGNED
        if item.deadline_ms and item.deadline_ms <= scope.now_ms:
            # A punctual clock would have counted those that are late before this signature.
            scope.cancel(EvidenceDeadline.ERASURE_SIGNATURES, item.deadline_ms, action.item)
            self._signatures_due(scope, item.deadline_ms, action.item)
            item = the_item(scope.state, action.item)
        signed = tuple(sorted((*item.signed, own)))
        status = next_status(item.status, EventKind.ERASURE_SIGNED)
        item = replace(item, status=status, signed=signed, changed_ms=scope.now_ms)
        scope.emit(EventKind.ERASURE_SIGNED, subject=action.item, organisation=own, value=item.claim)
        if signed == item.holders:
            if item.deadline_ms:
                scope.cancel(EvidenceDeadline.ERASURE_SIGNATURES, item.deadline_ms, action.item)
            item = replace(item, status=next_status(item.status, EventKind.EVIDENCE_ERASED), deadline_ms=0)
            scope.emit(EventKind.EVIDENCE_ERASED, subject=action.item, value=item.claim)
        save_item(scope, action.item, item)
        return ResultCode.OK

    def _restrain(self, scope: Scope, action: RestrainErasure) -> ResultCode:
        item, code = self._kept(scope, action.item)
        if item is None:
            return code
        if len(action.order) not in (0, 32):
            return ResultCode.NOT_A_COMMITMENT
        if action.order == item.order:
            return ResultCode.ORDER_UNCHANGED
        kind = EventKind.ERASURE_RESTRAINED if action.order else EventKind.ERASURE_RELEASED
        status = next_status(item.status, kind)
        save_item(scope, action.item, replace(item, status=status, order=action.order, changed_ms=scope.now_ms))
        scope.emit(kind, subject=action.item, organisation=scope.sender.organisation, value=item.claim)
        return ResultCode.OK

    def _signatures_due(self, scope: Scope, due_ms: int, number: int) -> None:
        """Count the holders that are late. The erasure goes on: their nodes have destroyed, or will, all the same."""
        item = the_item(scope.state, number)
        status = next_status(item.status, EventKind.ERASURE_LATE)
        save_item(scope, number, replace(item, status=status, deadline_ms=0, changed_ms=due_ms))
        for organisation in item.holders:
            if organisation in item.signed:
                continue
            key = keys.tally(organisation)
            tally = decode_trusted(OrganisationTally, scope.state.get(key) or encode(OrganisationTally()))
            scope.state.put(key, encode(replace(tally, erasures_missed=tally.erasures_missed + 1)))
            scope.emit(EventKind.ERASURE_LATE, subject=number, organisation=organisation, value=item.claim)

    @staticmethod
    def _kept(scope: Scope, number: int) -> tuple[ItemRecord | None, ResultCode]:
        item = load_item(scope.state, number)
        if item is None:
            return None, ResultCode.UNKNOWN_EVIDENCE_ITEM
        if item.status is not ItemStatus.KEPT:
            return None, ResultCode.EVIDENCE_IS_ERASED
        return item, ResultCode.OK

    @staticmethod
    def _recipient_problem(scope: Scope, recipient: Recipient) -> ResultCode:
        if load_sender(scope.state, recipient.key) is None:
            return ResultCode.UNKNOWN_RECIPIENT
        if not scope.now_ms < recipient.until_ms <= scope.now_ms + MAX_GRANT_MS:
            return ResultCode.GRANT_EXPIRY_OUT_OF_RANGE
        return ResultCode.OK

    @staticmethod
    def _put_grant(scope: Scope, number: int, recipient: Recipient) -> None:
        organisation = NO_ORGANISATION if scope.sender.member else scope.sender.organisation
        grant = GrantRecord(
            purpose=recipient.purpose,
            until_ms=recipient.until_ms,
            granted_ms=scope.now_ms,
            organisation=organisation,
            member=scope.sender.member,
        )
        scope.state.put(keys.grant(number, recipient.key), encode(grant))
        purpose = recipient.purpose.value if recipient.until_ms > scope.now_ms else 0
        scope.emit(EventKind.EVIDENCE_GRANTED, subject=number, organisation=organisation, value=purpose)

    def check(self, state: ReadState, kind: str, number: int) -> None:
        if kind != "evidence":
            return
        item = the_item(state, number)
        rising = tuple(sorted({*item.holders})) == item.holders and tuple(sorted({*item.signed})) == item.signed
        complete = item.signed == item.holders
        holds = (
            rising
            and len(item.holders) > 0
            and all(organisation in item.holders for organisation in item.signed)
            and (item.status is ItemStatus.ERASED) == complete
            and (item.status is ItemStatus.KEPT) == (item.erasing_ms == 0)
            and (item.status is ItemStatus.ERASING or item.deadline_ms == 0)
            and (item.status is not ItemStatus.KEPT or not item.signed)
            and (item.status is ItemStatus.KEPT or not item.order)
        )
        if not holds:
            raise InvariantBroken(f"evidence item {number} contradicts itself: {item}")
