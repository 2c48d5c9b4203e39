"""What the steps of a case share: its rules, who may vote, ending early, and closing a round."""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.eligibility import Bench, involved
from node.claims.jury.records import (
    Outcome,
    load_ballot,
    load_case,
    load_juror,
    load_jury_tally,
    save_juror,
    save_round,
    the_round,
)
from node.claims.jury.terms import JuryTerms
from node.claims.module import Scope
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import ClaimRecord, the_member
from node.claims.mutual_aid.refusals import terms_of
from node.claims.registry import Registry


def rules_of(registry: Registry, scope: Scope, claim: ClaimRecord) -> JuryTerms:
    """Of the version by which the claim is judged: nobody can change them once it is there."""
    return terms_of(registry, scope, claim).plan.jury


def bench_of(registry: Registry, scope: Scope, claim: ClaimRecord, at_ms: int, *, panel: bool) -> Bench:
    """Who may vote. Members whom an involved organisation enrolled do not sit on panels: seven people are few
    enough to lean on. An open vote has a thousand or more of all organisations, and everybody may take part."""
    return Bench(
        rules_of(registry, scope, claim),
        claim,
        the_member(scope.state, claim.member),
        today=registry.plan(scope.state, claim.plan).day_of(at_ms),
        excluded=involved(claim) if panel else (),
    )


def end_early(scope: Scope, number: int, claim: ClaimRecord, what: EventKind = EventKind.ENDS_EARLY) -> None:
    """Nothing is left to wait for: the deadline moves up to the next block."""
    move(
        scope,
        number,
        claim,
        what,
        deadline_ms=min(claim.deadline_ms, scope.now_ms + 1),
        assigned=claim.assigned,
        actor=scope.sender.organisation,
    )


def close_round(scope: Scope, number: int, round_number: int, outcome: Outcome, at_ms: int) -> None:
    """The round is over: its counts become readable if it has a verdict, and a panel is dismissed."""
    record, tally = the_round(scope.state, number, round_number), load_jury_tally(scope.state, number, round_number)
    decided = outcome in (Outcome.PASSED, Outcome.FAILED)
    closed = replace(
        record,
        closed_ms=at_ms,
        outcome=outcome,
        pay=tally.pay if decided else 0,
        reasons=tally.reasons if decided else (),
    )
    save_round(scope, number, round_number, closed)
    scope.state.delete(keys.jury_tally(number, round_number))
    for member in record.panel:
        juror = load_juror(scope.state, member)
        if juror is None:
            continue
        ballot = load_ballot(scope.state, number, round_number, member)
        missed = outcome is not Outcome.STOPPED and (ballot is None or not ballot.vote)
        cases = tuple(case for case in juror.cases if (case.claim, case.round) != (number, round_number))
        save_juror(scope, member, replace(juror, cases=cases, missed=juror.missed + missed))


def dismiss(scope: Scope, number: int) -> None:
    """Something stronger than a jury has decided the claim: its round, if one is not over, ends without a verdict."""
    case = load_case(scope.state, number)
    if case is not None and case.round and not the_round(scope.state, number, case.round).closed_ms:
        close_round(scope, number, case.round, Outcome.STOPPED, scope.now_ms)
