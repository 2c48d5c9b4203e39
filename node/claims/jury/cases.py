"""A denied claim before juries: request, statements, rounds, verdict, appeal.

Every status has one deadline, and what ends early does so by moving that deadline up: so each step is taken by
the clock, in order of time, and by nothing else. Verdicts therefore see the plan's cycle as of their due time.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.jury.actions import AppealVerdict, LockStatement, RequestJury, StopJury, Vote
from node.claims.jury.draws import start_panel
from node.claims.jury.proofs import JuryProofs
from node.claims.jury.records import (
    CaseRecord,
    Outcome,
    RoundKind,
    RoundRecord,
    load_ballot,
    load_case,
    load_juror,
    load_jury_tally,
    save_case,
    save_juror,
    save_round,
    the_case,
    the_round,
)
from node.claims.jury.rounds import close_round, end_early, rules_of
from node.claims.jury.terms import JuryMode
from node.claims.module import Scope
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import ClaimRecord, load_plan, the_claim, the_member
from node.claims.mutual_aid.refusals import close_denied, terms_of
from node.claims.mutual_aid.steps import current_claim, wrong_status
from node.claims.mutual_aid.transitions import JURY_RUNNING, ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS, NO_ORGANISATION


def _speaks_for_claimant(scope: Scope, claim: ClaimRecord) -> ResultCode:
    if scope.sender.member:
        return ResultCode.OK if scope.sender.member == claim.member else ResultCode.NOT_THIS_MEMBER
    enroller = the_member(scope.state, claim.member).organisation
    return ResultCode.OK if scope.sender.organisation in (claim.filer, enroller) else ResultCode.NOT_THE_FILER


def request(registry: Registry, _: JuryProofs, scope: Scope, action: RequestJury) -> ResultCode:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if code := _speaks_for_claimant(scope, claim):
        return code
    if claim.status is not ClaimStatus.DENIED:
        return wrong_status(claim)
    rules = rules_of(registry, scope, claim)
    if rules.mode is JuryMode.OFF:
        return ResultCode.JURY_OFF
    before = load_case(scope.state, action.claim)
    requests = before.requests if before is not None else 0
    if requests >= rules.requests_max:
        return ResultCode.REQUESTS_EXHAUSTED
    case = CaseRecord(
        requests=requests + 1,
        requested_ms=scope.now_ms,
        statement=action.statement,
        denier=claim.reviewer if claim.arbiter == NO_ORGANISATION else claim.arbiter,
        # Rounds are numbered on, or a ballot of the first request would count in the second.
        round=before.round if before is not None else 0,
    )
    save_case(scope, action.claim, case)
    move(
        scope,
        action.claim,
        claim,
        EventKind.JURY_REQUESTED,
        deadline_ms=scope.now_ms + rules.statement_days * DAY_MS,
        value=case.requests,
        assigned=case.denier,
    )
    return ResultCode.OK


def lock_statement(registry: Registry, _: JuryProofs, scope: Scope, action: LockStatement) -> ResultCode:
    """The other side's statement. With both there, the jury begins in the next block."""
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status is not ClaimStatus.JURY_OPEN:
        return wrong_status(claim)
    case = the_case(scope.state, action.claim)
    if scope.sender.organisation != case.denier:
        return ResultCode.NOT_A_PARTY
    if case.answer:
        return ResultCode.STATEMENT_LOCKED
    save_case(scope, action.claim, replace(case, answer=action.statement))
    end_early(scope, action.claim, claim, EventKind.STATEMENT_LOCKED)
    return ResultCode.OK


def statements_over(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Both sides have had their time: the vote begins, or the draw of a panel."""
    claim, case = the_claim(scope.state, number), the_case(scope.state, number)
    rules = rules_of(registry, scope, claim)
    if rules.mode is JuryMode.PANEL:
        start_panel(registry, scope, number, claim, replace(case, level=0), EventKind.DRAW_STARTED, due_ms)
        return
    case = replace(case, round=case.round + 1)
    save_case(scope, number, case)
    save_round(scope, number, case.round, RoundRecord(kind=RoundKind.OPEN, opened_ms=due_ms, quorum=rules.quorum))
    move(
        scope,
        number,
        claim,
        EventKind.JURY_VOTE_OPENED,
        deadline_ms=due_ms + rules.vote_hours * HOUR_MS,
        value=case.round,
        at_ms=due_ms,
    )


def vote_over(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """The time to cast ballots in an open vote is over. Below the quorum it is extended once; below it again, a
    panel is drawn and the ballots stay sealed for ever."""
    claim, case = the_claim(scope.state, number), the_case(scope.state, number)
    rules, current = rules_of(registry, scope, claim), the_round(scope.state, number, case.round)
    if current.cast >= current.quorum:
        what, hours = EventKind.REVEAL_OPENED, rules.reveal_hours
    elif not case.extended:
        save_case(scope, number, replace(case, extended=True))
        what, hours = EventKind.VOTE_EXTENDED, rules.vote_hours
    else:
        _no_quorum(registry, scope, due_ms, number, claim, case)
        return
    move(scope, number, claim, what, deadline_ms=due_ms + hours * HOUR_MS, value=case.round, at_ms=due_ms)


def panel_commit_over(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    claim, case = the_claim(scope.state, number), the_case(scope.state, number)
    move(
        scope,
        number,
        claim,
        EventKind.PANEL_REVEAL_OPENED,
        deadline_ms=due_ms + rules_of(registry, scope, claim).panel_reveal_hours * HOUR_MS,
        value=case.round,
        at_ms=due_ms,
    )


def reveal_over(registry: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """Count: below the quorum another panel; else a verdict. A tie passes."""
    claim, case = the_claim(scope.state, number), the_case(scope.state, number)
    current = the_round(scope.state, number, case.round)
    if current.revealed < current.quorum:
        _no_quorum(registry, scope, due_ms, number, claim, case)
        return
    pay = load_jury_tally(scope.state, number, case.round).pay
    if pay * 10_000 >= rules_of(registry, scope, claim).pass_bps * current.revealed:
        _pass(scope, due_ms, number, claim, case)
    else:
        _fail(registry, scope, due_ms, number, claim, case)


def _no_quorum(
    registry: Registry, scope: Scope, due_ms: int, number: int, claim: ClaimRecord, case: CaseRecord
) -> None:
    current = the_round(scope.state, number, case.round)
    close_round(scope, number, case.round, Outcome.NO_QUORUM, due_ms)
    if current.kind is RoundKind.PANEL:
        if case.redraws >= rules_of(registry, scope, claim).panel_redraws_max:
            _verdict_fails(registry, scope, due_ms, number, claim, case)
            return
        case = replace(case, redraws=case.redraws + 1)
    else:
        case = replace(case, level=0)
    start_panel(registry, scope, number, claim, case, EventKind.DRAW_STARTED, due_ms)


def _pass(scope: Scope, due_ms: int, number: int, claim: ClaimRecord, case: CaseRecord) -> None:
    """The refusal is overturned: what was asked for is queued for the next disclosure."""
    close_round(scope, number, case.round, Outcome.PASSED, due_ms)
    _count_reversed(scope, number, case.round)
    # The clock fires in order of time, and a disclosure before claims: the plan is as of `due_ms`.
    plan = load_plan(scope.state, claim.plan)
    move(
        scope,
        number,
        claim,
        EventKind.JURY_PASSED,
        deadline_ms=plan.disclosure_ms,
        value=claim.claimed,
        at_ms=due_ms,
        amount=claim.claimed,
        cycle=plan.cycle,
    )


def _count_reversed(scope: Scope, number: int, last: int) -> None:
    """Panels that decided otherwise before: each vote to refuse was reversed. At most three panels."""
    for earlier in range(1, last):
        record = the_round(scope.state, number, earlier)
        if record.kind is RoundKind.PANEL and record.outcome is Outcome.FAILED:
            for member in record.panel:
                ballot, juror = load_ballot(scope.state, number, earlier, member), load_juror(scope.state, member)
                if ballot is not None and juror is not None and ballot.vote == Vote.REFUSE:
                    save_juror(scope, member, replace(juror, reversed=juror.reversed + 1))


def _fail(registry: Registry, scope: Scope, due_ms: int, number: int, claim: ClaimRecord, case: CaseRecord) -> None:
    close_round(scope, number, case.round, Outcome.FAILED, due_ms)
    _verdict_fails(registry, scope, due_ms, number, claim, case)


def _verdict_fails(
    registry: Registry, scope: Scope, due_ms: int, number: int, claim: ClaimRecord, case: CaseRecord
) -> None:
    """The refusal stands; there is time to appeal while a larger panel is left."""
    rules = rules_of(registry, scope, claim)
    failed = move(
        scope,
        number,
        claim,
        EventKind.VERDICT_FAILED,
        deadline_ms=due_ms + rules.appeal_days * DAY_MS,
        value=case.round,
        at_ms=due_ms,
    )
    if case.level + 1 >= len(rules.panel_sizes):
        close_denied(scope, number, failed, at_ms=due_ms)


def appeal_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    close_denied(scope, number, the_claim(scope.state, number), at_ms=due_ms)


def appeal(registry: Registry, _: JuryProofs, scope: Scope, action: AppealVerdict) -> ResultCode:
    """A larger panel: asked for by the member's side, or by the organisation that denied the claim."""
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if claim.status is not ClaimStatus.JURY_FAILED:
        return wrong_status(claim)
    case = the_case(scope.state, action.claim)
    code = _speaks_for_claimant(scope, claim)
    if code and (scope.sender.member or scope.sender.organisation != case.denier):
        return ResultCode.NOT_A_PARTY
    case = replace(
        case,
        level=case.level + 1,
        redraws=0,
        appeals=case.appeals + 1,
        appellant=NO_ORGANISATION if scope.sender.member else scope.sender.organisation,
        ground=action.ground.value,
        evidence=action.evidence,
    )
    start_panel(registry, scope, action.claim, claim, case, EventKind.VERDICT_APPEALED, scope.now_ms)
    return ResultCode.OK


def stop(registry: Registry, _: JuryProofs, scope: Scope, action: StopJury) -> ResultCode:
    """The member takes the request back. What was cast stays sealed; the request counts as one."""
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return code
    if code := _speaks_for_claimant(scope, claim):
        return code
    if claim.status not in JURY_RUNNING:
        return wrong_status(claim)
    case = the_case(scope.state, action.claim)
    running = claim.status is not ClaimStatus.JURY_OPEN
    if case.appeals or (running and the_round(scope.state, action.claim, case.round).revealed):
        return ResultCode.TOO_LATE_TO_STOP
    if running:
        close_round(scope, action.claim, case.round, Outcome.STOPPED, scope.now_ms)
    rules = terms_of(registry, scope, claim).plan
    stopped = move(
        scope,
        action.claim,
        claim,
        EventKind.JURY_STOPPED,
        deadline_ms=scope.now_ms + rules.claim_rules.jury_request_days * DAY_MS,
        value=case.requests,
        actor=scope.sender.organisation,
    )
    if case.requests >= rules.jury.requests_max:
        close_denied(scope, action.claim, stopped, at_ms=scope.now_ms)
    return ResultCode.OK
