"""Moving a claim: the one place that changes a status, its deadline row, the tally and the event log."""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.records import (
    ClaimRecord,
    PlanTally,
    load_tally,
    save_member,
    save_tally,
    the_member,
)
from node.claims.mutual_aid.transitions import DEADLINE_OF, TRANSITIONS, ClaimStatus
from node.claims.types import NO_ORGANISATION


def open_claim(scope: Scope, number: int, claim: ClaimRecord, what: EventKind) -> None:
    """Put a new claim into the state, in the status that the table gives for `what`."""
    claim = replace(claim, status=TRANSITIONS[None, what])
    scope.schedule(DEADLINE_OF[claim.status], claim.deadline_ms, number)
    _count(scope, claim.plan, None, claim.status)
    scope.state.store(keys.claim(number), claim)
    scope.emit(
        what,
        plan=claim.plan,
        subject=number,
        organisation=claim.assigned,
        value=claim.duplicate if what is EventKind.CLAIM_HELD else claim.claimed,
    )


def move(
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    what: EventKind,
    *,
    deadline_ms: int = 0,
    assigned: int = NO_ORGANISATION,
    attempt: int = 0,
    value: int = 0,
    actor: int | None = None,
    at_ms: int | None = None,
    **changes: object,
) -> ClaimRecord:
    """Carry out the transition `what`; guards have passed, so a missing table row is a bug (KeyError).

    `deadline_ms` is the new status's deadline; a final status has none. `actor` is the organisation
    the event names, by default the one assigned. `at_ms` is when it happened, by default block time; the
    clock gives the due time, so that a late clock leaves the same record.
    """
    status = TRANSITIONS[claim.status, what]
    waiting = DEADLINE_OF.get(claim.status)
    if waiting is not None:
        scope.cancel(waiting, claim.deadline_ms, number)
    kind = DEADLINE_OF.get(status)
    if kind is None:
        deadline_ms = 0
    else:
        scope.schedule(kind, deadline_ms, number)
    if status is not claim.status:
        _count(scope, claim.plan, claim.status, status)
    moved = replace(
        claim,
        status=status,
        deadline_ms=deadline_ms,
        assigned=assigned,
        attempt=attempt,
        changed_ms=scope.now_ms if at_ms is None else at_ms,
        **changes,
    )
    scope.state.store(keys.claim(number), moved)
    named = assigned if actor is None else actor
    scope.emit(what, plan=claim.plan, subject=number, organisation=named, value=value)
    return moved


def release_member(scope: Scope, claim: ClaimRecord) -> None:
    """The claim has ended without payment: its member may file another."""
    member = the_member(scope.state, claim.member)
    save_member(scope, claim.member, replace(member, open_claims=member.open_claims - 1))


def _count(scope: Scope, plan: int, before: ClaimStatus | None, after: ClaimStatus) -> None:
    tally = load_tally(scope.state, plan)
    claims = list(tally.claims)
    if before is not None:
        claims[before] -= 1
    claims[after] += 1
    save_tally(scope, plan, PlanTally(members=tally.members, claims=tuple(claims)))
