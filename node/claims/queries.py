"""Reading the state: every answer the API and the command line give about claims. Writes nothing. Lists: paging.py."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

from node.claims import keys, plan_queries, views
from node.claims.application import Receipt
from node.claims.application_views import application_view
from node.claims.claim_views import voters
from node.claims.consortium import EvidenceRecord, OrganisationTally, load_sender
from node.claims.events import ClaimsEvent
from node.claims.genesis import Genesis
from node.claims.member_views import account_view, member_view, statement_view
from node.claims.mutual_aid.application_life import APPLICATION_DEADLINE_OF, ApplicationStatus
from node.claims.mutual_aid.application_records import (
    ApplicationRecord,
    application_of,
    load_application,
    load_application_tally,
    the_application,
)
from node.claims.mutual_aid.bills import bill, cycles_of
from node.claims.mutual_aid.records import (
    ClaimRecord,
    MemberRecord,
    load_claim,
    load_counters,
    load_cycle,
    load_member,
    load_plan,
    load_receivables,
    load_tally,
    the_claim,
    the_cycle,
)
from node.claims.mutual_aid.ties import ties_of_organisation
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus, DeadlineKind
from node.claims.paging import SCAN_MAX, BadQuery, key_from, limit_of, number_from, page, queued
from node.claims.registry import Plan, Registry
from node.claims.state import ReadState
from node.claims.transaction import Transaction
from node.claims.wire import decode_trusted
from node.claims.words import Json, word

_END: Final = 2**63
"""Numbers from outside lie below this, so that they fit a key."""
_KINDS_OF_CLAIMS: Final = frozenset(DEADLINE_OF.values())
S = TypeVar("S", bound=IntEnum)


class Queries:
    """Questions about the state. Each method takes the state to read from first."""

    def __init__(self, genesis: Genesis) -> None:
        self.registry = Registry(genesis)

    # One record each.

    def claim(self, state: ReadState, claim_id: int) -> Json | None:
        claim = load_claim(state, claim_id) if 0 < claim_id < _END else None
        return None if claim is None else views.claim_view(self.registry, state, claim_id, claim)

    def member(self, state: ReadState, member_id: int, now_ms: int) -> Json | None:
        member = load_member(state, member_id) if 0 < member_id < _END else None
        return None if member is None else self._member_view(state, member_id, member, now_ms)

    def application(self, state: ReadState, number: int) -> Json | None:
        """Of somebody who wants to join a plan."""
        application = load_application(state, number) if 0 < number < _END else None
        return None if application is None else application_view(self.registry, state, number, application)

    def plan(self, state: ReadState, code: str) -> Json | None:
        """Terms in force when the open cycle is disclosed, and totals."""
        plan = self.registry.find(state, code)
        if plan is None:
            return None
        record, tally = load_plan(state, plan.number), load_tally(state, plan.number)
        owed = load_receivables(state, plan.number)
        day = plan.day_of(record.disclosure_ms)
        terms = plan.terms_on(day).plan
        applied = load_application_tally(state, plan.number)
        totals = views.plan_totals_view(self.registry, terms, record, tally, owed, applied)
        ended = plan_queries.lifecycle(self.registry, state, plan)
        return {**views.terms_view(plan, day), "totals": totals, "lifecycle": ended}

    def organisation(self, state: ReadState, name: str) -> Json | None:
        number = self.registry.number_of.get(name)
        if number is None:
            return None
        raw = state.get(keys.tally(number))
        tally = OrganisationTally() if raw is None else decode_trusted(OrganisationTally, raw)
        ties = [self.registry.names[other] for other in ties_of_organisation(state, number)]
        return {**views.organisation_view(self.registry, number, tally), "ties": ties}

    def account(self, state: ReadState, public_key: bytes) -> Json | None:
        """Whose account a key is, and the next free sequence."""
        record = load_sender(state, public_key)
        return None if record is None else views.sender_view(self.registry, public_key, record)

    def cycle(self, state: ReadState, code: str, number: int) -> Json | None:
        plan = self.registry.find(state, code)
        cycle = load_cycle(state, plan.number, number) if plan is not None and 0 < number < 2**32 else None
        return None if plan is None or cycle is None else views.cycle_view(self.registry, plan, number, cycle)

    def programme(self, state: ReadState) -> Json:
        """Totals of every plan, and of all together."""
        totals = []
        for plan in self.registry.plans(state):
            record, tally = load_plan(state, plan.number), load_tally(state, plan.number)
            owed = load_receivables(state, plan.number)
            terms = plan.terms_on(plan.day_of(record.disclosure_ms)).plan
            applied = load_application_tally(state, plan.number)
            view = views.plan_totals_view(self.registry, terms, record, tally, owed, applied)
            totals.append({"plan": plan.code, **view})
        counters = load_counters(state)
        by_status = {
            word(status): sum(total["claims_by_status"][word(status)] for total in totals) for status in ClaimStatus
        }
        return {
            "chain": self.registry.genesis.chain,
            "members_enrolled": counters.next_member - 1,
            "claims": counters.next_claim - 1,
            "claims_by_status": by_status,
            "plans": totals,
        }

    # Lists.

    def plans(self, state: ReadState) -> Json:
        return {"items": [self.plan(state, plan.code) for plan in self.registry.plans(state)], "next": None}

    def organisations(self, state: ReadState) -> Json:
        return {"items": [self.organisation(state, name) for name in self.registry.names], "next": None}

    def cycles(self, state: ReadState, code: str, cursor: str | None = None, limit: int = 100) -> Json:
        """Cycles of a plan that have been disclosed, first to last."""
        plan = self._plan(state, code)
        start = max(1, number_from(cursor, 1))
        last = load_plan(state, plan.number).cycle - 1
        stop = min(last + 1, start + limit_of(limit))
        items = [
            views.cycle_view(self.registry, plan, number, the_cycle(state, plan.number, number))
            for number in range(start, stop)
        ]
        return {"items": items, "next": str(stop) if stop <= last else None}

    def members(
        self,
        state: ReadState,
        *,
        plan: str | None = None,
        organisation: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        now_ms: int,
    ) -> Json:
        """Members in order of their numbers, of one plan or enroller if given."""
        plan_number = None if plan is None else self._plan(state, plan).number
        enroller = None if organisation is None else self._organisation(organisation)

        def view(raw: bytes, number: int) -> Json | None:
            member = decode_trusted(MemberRecord, raw)
            if plan_number not in (None, member.plan) or enroller not in (None, member.organisation):
                return None
            return self._member_view(state, number, member, now_ms)

        return page(state, keys.member, number_from(cursor, 1), limit, view)

    def applications(
        self,
        state: ReadState,
        *,
        status: str | None = None,
        plan: str | None = None,
        organisation: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Json:
        """Those that match all filters: the pending ones by deadline, others by number."""
        wanted = None if status is None else _status(ApplicationStatus, status)
        plan_number = None if plan is None else self._plan(state, plan).number
        enroller = None if organisation is None else self._organisation(organisation)

        def view(number: int, application: ApplicationRecord) -> Json | None:
            if (
                wanted not in (None, application.status)
                or plan_number not in (None, application.plan)
                or enroller not in (None, application.organisation)
            ):
                return None
            return application_view(self.registry, state, number, application)

        if wanted in APPLICATION_DEADLINE_OF:
            kinds = frozenset(APPLICATION_DEADLINE_OF.values())
            return queued(state, kinds, lambda number: view(number, the_application(state, number)), cursor, limit)
        return page(
            state,
            keys.application,
            number_from(cursor, 1),
            limit,
            lambda raw, number: view(number, decode_trusted(ApplicationRecord, raw)),
        )

    def claims(
        self,
        state: ReadState,
        *,
        status: str | None = None,
        plan: str | None = None,
        member: int | None = None,
        organisation: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Json:
        """Claims that match all filters. `organisation`: that filed it, works on it, or has worked on it.

        Order: of one member, newest first; of an open status, by deadline; otherwise by number.
        """
        wanted = None if status is None else _status(ClaimStatus, status)
        plan_number = None if plan is None else self._plan(state, plan).number
        number = None if organisation is None else self._organisation(organisation)

        def matches(_: int, claim: ClaimRecord) -> bool:
            involved = (
                claim.filer,
                claim.assigned,
                claim.intake,
                claim.investigator,
                claim.arbiter,
                claim.payer,
                *(review.organisation for review in claim.reviews),
            )
            return (
                wanted in (None, claim.status)
                and plan_number in (None, claim.plan)
                and (number is None or number in involved)
            )

        if member is not None:
            return self._claims_of(state, member, matches, cursor, limit)
        if wanted is not None and wanted in DEADLINE_OF:
            return self._queued_claims(state, frozenset({DEADLINE_OF[wanted]}), matches, cursor, limit)

        def view(raw: bytes, claim_id: int) -> Json | None:
            claim = decode_trusted(ClaimRecord, raw)
            return views.claim_view(self.registry, state, claim_id, claim) if matches(claim_id, claim) else None

        return page(state, keys.claim, number_from(cursor, 1), limit, view)

    def worklist(self, state: ReadState, organisation: str, cursor: str | None = None, limit: int = 100) -> Json:
        """Claims that wait for a step or a vote of this organisation, most urgent first."""
        number = self._organisation(organisation)

        def waits(claim_id: int, claim: ClaimRecord) -> bool:
            if claim.assigned >= 0:
                return claim.assigned == number
            return number in voters(state, claim_id, claim)

        return self._queued_claims(state, _KINDS_OF_CLAIMS, waits, cursor, limit)

    def evidence(self, state: ReadState, cursor: str | None = None, limit: int = 100) -> Json:
        """Recorded proofs of equivocation, in order of their digests."""
        start, end = keys.table(keys.EVIDENCE)
        items: list[Json] = []
        limit = limit_of(limit)
        for key, raw in state.scan(key_from(cursor, start), end):
            if len(items) == limit:
                return {"items": items, "next": key.hex()}
            items.append(views.evidence_view(self.registry, key[1:], decode_trusted(EvidenceRecord, raw)))
        return {"items": items, "next": None}

    # A member's bill.

    def bill(self, state: ReadState, member: MemberRecord) -> int:
        """What the member's shares so far add up to, minor units. Reads O(years + log cycles) records."""
        return bill(state, self.registry.plan(state, member.plan), member)

    def statement(self, state: ReadState, member_id: int, cursor: str | None = None, limit: int = 100) -> Json | None:
        """Every cycle the member shares in: what was paid for whom, by how many, and the running total."""
        member = load_member(state, member_id) if 0 < member_id < _END else None
        if member is None:
            return None
        first, stop = cycles_of(state, member)
        start = max(first, number_from(cursor, first))
        return statement_view(self.registry, state, member_id, member, range(start, min(stop, start + limit_of(limit))))

    # Renderings, and the keys that proofs are for.

    def receipt(self, state: ReadState, receipt: Receipt) -> Json:
        return views.receipt_view(self.registry, state, receipt)

    def event(self, state: ReadState, event: ClaimsEvent) -> Json:
        return views.event_view(self.registry, state, event)

    def transaction(self, transaction: Transaction) -> Json:
        return views.transaction_view(transaction)

    def key_of(self, state: ReadState, kind: str, *parts: int | str) -> bytes:
        """The state key whose proof covers an answer: ("claim", 45), ("member", 123), ("application", 7),
        ("plan", code), ("cycle", code, 7), ("organisation", name). Raises BadQuery."""
        match kind, parts:
            case "claim", (int(number),) if 0 < number < _END:
                return keys.claim(number)
            case "member", (int(number),) if 0 < number < _END:
                return keys.member(number)
            case "application", (int(number),) if 0 < number < _END:
                return keys.application(number)
            case "plan", (str(code),):
                return keys.plan_state(self._plan(state, code).number)
            case "cycle", (str(code), int(number)) if 0 < number < 2**32:
                return keys.cycle(self._plan(state, code).number, number)
            case "evidence", (int(number),) if 0 < number < _END:
                return keys.item(number)
            case "organisation", (str(name),):
                return keys.organisation(self._organisation(name))
        raise BadQuery(
            f"there is no proof of {kind!r} {parts}: ask for claim, member, application, plan, cycle or organisation"
        )

    def _member_view(self, state: ReadState, number: int, member: MemberRecord, now_ms: int) -> Json:
        plan = self.registry.plan(state, member.plan)
        today, billed = plan.day_of(now_ms), self.bill(state, member)
        balance = account_view(self.registry, state, number, plan)
        return member_view(self.registry, plan, number, member, today, billed, balance, application_of(state, number))

    def _plan(self, state: ReadState, code: str) -> Plan:
        plan = self.registry.find(state, code)
        if plan is None:
            codes = ", ".join(plan.code for plan in self.registry.plans(state))
            raise BadQuery(f"no plan {code!r}; there are {codes}")
        return plan

    def _organisation(self, name: str) -> int:
        number = self.registry.number_of.get(name)
        if number is None:
            raise BadQuery(f"no organisation {name!r}; there are {', '.join(self.registry.names)}")
        return number

    def _claims_of(
        self,
        state: ReadState,
        member_id: int,
        matches: Callable[[int, ClaimRecord], bool],
        cursor: str | None,
        limit: int,
    ) -> Json:
        member = load_member(state, member_id) if 0 < member_id < _END else None
        number = number_from(cursor, member.last_claim if member is not None else 0)
        items: list[Json] = []
        limit = limit_of(limit)
        for _ in range(SCAN_MAX):
            claim = load_claim(state, number)
            if claim is None or claim.member != member_id:
                return {"items": items, "next": None}
            if len(items) == limit:
                break
            if matches(number, claim):
                items.append(views.claim_view(self.registry, state, number, claim))
            number = claim.previous
        return {"items": items, "next": str(number)}

    def _queued_claims(
        self,
        state: ReadState,
        kinds: frozenset[DeadlineKind],
        matches: Callable[[int, ClaimRecord], bool],
        cursor: str | None,
        limit: int,
    ) -> Json:
        def view(number: int) -> Json | None:
            claim = the_claim(state, number)
            return views.claim_view(self.registry, state, number, claim) if matches(number, claim) else None

        return queued(state, kinds & _KINDS_OF_CLAIMS, view, cursor, limit)


def _status(kind: type[S], text: str) -> S:
    for status in kind:
        if word(status) == text:
            return status
    raise BadQuery(f"no status {text!r}; there are {', '.join(word(status) for status in kind)}")
