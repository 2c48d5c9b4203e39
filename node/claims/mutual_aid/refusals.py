"""Refusals: on what grounds a claim may be denied, and when the denial is final.

A denial names a clause of the plan, a reason and an evidence item. It is not final before the member had
time to ask for a jury; until then the claim counts as open, so that no second one for the same illness is
filed beside it. A member who wants to file anew at once can waive the jury with its own key.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import Reason
from node.claims.mutual_aid.lifecycle import move, release_member
from node.claims.mutual_aid.records import ClaimRecord, the_claim
from node.claims.registry import Registry, Terms
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, NO_ORGANISATION


class Grounds(Protocol):
    """What an action or record that denies has to say why."""

    @property
    def clause(self) -> str: ...

    @property
    def evidence(self) -> bytes: ...

    @property
    def reason(self) -> int: ...


_REASONS: Final = frozenset(reason.value for reason in Reason if reason is not Reason.COURT_ORDER)
"""What organisations may give as a reason; that a court has ordered it can only come with a court's order."""


def terms_of(registry: Registry, scope: Scope, claim: ClaimRecord) -> Terms:
    """The version of the plan by which the claim is judged."""
    return registry.plan(scope.state, claim.plan).terms_on(claim.diagnosis_day)


def denial_problem(terms: Terms, action: Grounds, *, denied: bool) -> ResultCode:
    """OK if the decision names what it must; a denial names clause, reason and evidence item."""
    if denied and not (action.clause and action.reason and len(action.evidence) == 32):
        return ResultCode.DENIAL_WITHOUT_GROUNDS
    # An acceptance may name an item too; anything shorter than a commitment would be room for free text.
    if len(action.evidence) not in (0, 32):
        return ResultCode.NOT_A_COMMITMENT
    return grounds_problem(terms, action.clause, action.reason)


def grounds_problem(terms: Terms, clause: str, reason: int) -> ResultCode:
    """OK if clause and reason exist, where they are given."""
    if clause and clause not in terms.clauses:
        return ResultCode.UNKNOWN_CLAUSE
    if reason and reason not in _REASONS:
        return ResultCode.UNKNOWN_REASON
    return ResultCode.OK


def deny(
    registry: Registry,
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    what: EventKind,
    grounds: Grounds,
    *,
    actor: int,
    **changes: object,
) -> None:
    """Carry out a denial whose grounds have been checked. The member keeps the time to ask for a jury."""
    days = terms_of(registry, scope, claim).plan.claim_rules.jury_request_days
    denied = move(
        scope,
        number,
        replace(claim, **changes),
        what,
        deadline_ms=scope.now_ms + days * DAY_MS,
        value=grounds.reason,
        actor=actor,
        amount=0,
        clause=grounds.clause,
        grounds=grounds.evidence,
        reason=grounds.reason,
    )
    if not days:
        close_denied(scope, number, denied, at_ms=scope.now_ms)


def denial_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Nobody asked for a jury: the denial is final."""
    close_denied(scope, number, the_claim(scope.state, number), at_ms=due_ms)


def close_denied(scope: Scope, number: int, claim: ClaimRecord, *, at_ms: int) -> None:
    """The denial is final, and the member may file another claim."""
    move(scope, number, claim, EventKind.DENIAL_FINAL, value=claim.reason, actor=NO_ORGANISATION, at_ms=at_ms)
    release_member(scope, claim)
