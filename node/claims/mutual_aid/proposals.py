"""Proposals: new versions of plans, new plans, and changes of a plan's life, voted on by the organisations.

Whatever is proposed is checked when it comes and again when it is adopted, by the same rules as a genesis: in
between another proposal may have been adopted. An adoption that fails refuses the vote that would have brought
it, and the proposal lapses in its time. Terms are kept with their proposal until it ends.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.genesis import PlanLife, PlanTerms
from node.claims.genesis_checks import sponsors_of
from node.claims.governance import votes_needed
from node.claims.module import Scope
from node.claims.mutual_aid.adoption import adopt
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    OpenVote,
    PlanChange,
    ProposeChange,
    ProposePlan,
    ProposeTerms,
    VoteProposal,
    WithdrawProposal,
)
from node.claims.mutual_aid.plan_life import is_behind
from node.claims.mutual_aid.plan_records import (
    ProposalKind,
    ProposalRecord,
    load_governance,
    load_life,
    load_proposal,
    save_governance,
    save_proposal,
    the_proposal,
)
from node.claims.mutual_aid.plan_transitions import PLAN_TRANSITIONS, PROPOSAL_TRANSITIONS, ProposalStatus
from node.claims.mutual_aid.proposal_checks import AHEAD_DAYS, new_plan_problem, next_terms_problem
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from node.claims.wire import encode

DRAFT_DAYS: Final = 90
"""A draft that nobody puts to the vote lapses."""
OPEN_MAX: Final = 8
"""Open proposals of one organisation, so that none can fill the state with terms that nobody adopts."""
_NEW_PLAN: Final = -1
_CHANGES: Final = {
    PlanChange.CLOSE: (ProposalKind.CLOSE, EventKind.PLAN_CLOSED_TO_NEW),
    PlanChange.REOPEN: (ProposalKind.REOPEN, EventKind.PLAN_REOPENED),
    PlanChange.WIND_DOWN: (ProposalKind.WIND_DOWN, EventKind.PLAN_END_ANNOUNCED),
}


def propose_terms(registry: Registry, scope: Scope, action: ProposeTerms) -> ResultCode:
    plan = registry.find(scope.state, action.terms.code)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    if code := next_terms_problem(registry, scope, plan, action.terms):
        return code
    before = [name for _, name in sponsors_of(plan.versions[-1].plan)]
    sponsors = [name for _, name in sponsors_of(action.terms) if name not in before]
    proposal = _proposal(registry, scope, ProposalKind.TERMS, plan.number, plan.code, sponsors)
    return _propose(registry, scope, proposal, action.terms, draft=action.draft)


def propose_plan(registry: Registry, scope: Scope, action: ProposePlan) -> ResultCode:
    if code := new_plan_problem(registry, scope, action.terms):
        return code
    sponsors = [name for _, name in sponsors_of(action.terms)]
    proposal = _proposal(registry, scope, ProposalKind.PLAN, _NEW_PLAN, action.terms.code, sponsors)
    return _propose(registry, scope, proposal, action.terms, draft=action.draft)


def propose_change(registry: Registry, scope: Scope, action: ProposeChange) -> ResultCode:
    plan = registry.find(scope.state, action.plan)
    if plan is None:
        return ResultCode.UNKNOWN_PLAN
    kind, what = _CHANGES[action.change]
    if (load_life(scope.state, plan.number).status, what) not in PLAN_TRANSITIONS:
        return ResultCode.WRONG_PLAN_STATUS
    ends = action.change is PlanChange.WIND_DOWN
    if bool(action.sponsor) != ends or (ends and action.sponsor not in registry.number_of):
        return ResultCode.UNKNOWN_SPONSOR
    today = plan.day_of(scope.now_ms)
    if action.closing_day and not (ends and today < action.closing_day <= today + AHEAD_DAYS):
        return ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE
    proposal = _proposal(registry, scope, kind, plan.number, plan.code, [action.sponsor] if ends else [])
    return _propose(registry, scope, replace(proposal, day=action.closing_day), None, draft=action.draft)


def _proposal(
    registry: Registry, scope: Scope, kind: ProposalKind, plan: int, code: str, sponsors: list[str]
) -> ProposalRecord:
    return ProposalRecord(
        kind=kind,
        status=ProposalStatus.DRAFT,
        plan=plan,
        code=code,
        version=0,
        proposer=scope.sender.organisation,
        ends_ms=scope.now_ms + DRAFT_DAYS * DAY_MS,
        sponsors=tuple(dict.fromkeys(registry.number_of[name] for name in sponsors)),
    )


def _propose(
    registry: Registry, scope: Scope, proposal: ProposalRecord, terms: PlanTerms | None, *, draft: bool
) -> ResultCode:
    proposer = scope.sender.organisation
    if proposer not in registry.voters:
        return ResultCode.NOT_A_VOTER
    governance = load_governance(scope.state)
    if governance.open[proposer] >= OPEN_MAX:
        return ResultCode.TOO_MANY_PROPOSALS
    number = governance.next_proposal
    counts = tuple(count + (index == proposer) for index, count in enumerate(governance.open))
    save_governance(scope, replace(governance, next_proposal=number + 1, open=counts))
    if terms is not None:
        scope.state.put(keys.proposed_terms(number), encode(terms))
        proposal = replace(proposal, version=terms.version)
    if draft:
        proposal = replace(proposal, status=PROPOSAL_TRANSITIONS[None, EventKind.PROPOSAL_DRAFTED])
        scope.schedule(DeadlineKind.PROPOSAL, proposal.ends_ms, number)
        scope.emit(EventKind.PROPOSAL_DRAFTED, subject=number, organisation=proposer, value=proposal.kind.value)
        save_proposal(scope, number, proposal)
    else:
        _open(registry, scope, number, proposal, None)
    return ResultCode.OK


def _open(
    registry: Registry, scope: Scope, number: int, proposal: ProposalRecord, before: ProposalStatus | None
) -> None:
    life = PlanLife()
    if proposal.plan != _NEW_PLAN:
        plan = registry.plan(scope.state, proposal.plan)
        life = plan.terms_on(plan.day_of(scope.now_ms)).plan.life
    ends_ms = scope.now_ms + life.voting_days * DAY_MS
    status = PROPOSAL_TRANSITIONS[before, EventKind.PROPOSAL_OPENED]
    save_proposal(scope, number, replace(proposal, status=status, ends_ms=ends_ms))
    scope.schedule(DeadlineKind.PROPOSAL, ends_ms, number)
    scope.emit(EventKind.PROPOSAL_OPENED, subject=number, organisation=proposal.proposer, value=ends_ms)


def _current(scope: Scope, number: int, what: EventKind) -> tuple[ProposalRecord | None, ResultCode]:
    """The proposal, if `what` can happen to it now; one whose time is over has ended, fired or not."""
    proposal = load_proposal(scope.state, number)
    if proposal is None:
        return None, ResultCode.UNKNOWN_PROPOSAL
    if (proposal.status, what) not in PROPOSAL_TRANSITIONS or proposal.ends_ms <= scope.now_ms:
        return None, ResultCode.PROPOSAL_NOT_OPEN
    return proposal, ResultCode.OK


def open_vote(registry: Registry, scope: Scope, action: OpenVote) -> ResultCode:
    proposal, code = _current(scope, action.proposal, EventKind.PROPOSAL_OPENED)
    if proposal is None:
        return code
    if proposal.proposer != scope.sender.organisation:
        return ResultCode.NOT_THE_PROPOSER
    scope.cancel(DeadlineKind.PROPOSAL, proposal.ends_ms, action.proposal)
    _open(registry, scope, action.proposal, proposal, proposal.status)
    return ResultCode.OK


def withdraw_proposal(_: Registry, scope: Scope, action: WithdrawProposal) -> ResultCode:
    proposal, code = _current(scope, action.proposal, EventKind.PROPOSAL_WITHDRAWN)
    if proposal is None:
        return code
    if proposal.proposer != scope.sender.organisation:
        return ResultCode.NOT_THE_PROPOSER
    _end(scope, action.proposal, proposal, EventKind.PROPOSAL_WITHDRAWN, scope.now_ms)
    return ResultCode.OK


def vote(registry: Registry, scope: Scope, action: VoteProposal) -> ResultCode:
    proposal, code = _current(scope, action.proposal, EventKind.PROPOSAL_VOTED)
    if proposal is None:
        return code
    voter = scope.sender.organisation
    if voter not in registry.voters:
        return ResultCode.NOT_A_VOTER
    if voter in (*proposal.yes, *proposal.no):
        return ResultCode.VOTE_CAST
    if action.approve:
        proposal = replace(proposal, yes=(*proposal.yes, voter))
    else:
        proposal = replace(proposal, no=(*proposal.no, voter))
    scope.emit(EventKind.PROPOSAL_VOTED, subject=action.proposal, organisation=voter, value=1 if action.approve else 0)
    return _count(registry, scope, action.proposal, proposal)


def agree_to_sponsor(registry: Registry, scope: Scope, action: AgreeToSponsor) -> ResultCode:
    proposal, code = _current(scope, action.proposal, EventKind.SPONSOR_AGREED)
    if proposal is None:
        return code
    sponsor = scope.sender.organisation
    if sponsor not in proposal.sponsors:
        return ResultCode.NOT_THE_SPONSOR
    if sponsor in proposal.agreed:
        return ResultCode.VOTE_CAST
    scope.emit(EventKind.SPONSOR_AGREED, subject=action.proposal, organisation=sponsor)
    return _count(registry, scope, action.proposal, replace(proposal, agreed=(*proposal.agreed, sponsor)))


def _count(registry: Registry, scope: Scope, number: int, proposal: ProposalRecord) -> ResultCode:
    """Adopt or reject, if the votes say so."""
    count = len(registry.voters)
    if len(proposal.no) > count - votes_needed(count):
        _end(scope, number, proposal, EventKind.PROPOSAL_REJECTED, scope.now_ms)
        return ResultCode.OK
    if len(proposal.yes) < votes_needed(count) or len(proposal.agreed) < len(proposal.sponsors):
        save_proposal(scope, number, proposal)
        return ResultCode.OK
    if proposal.plan != _NEW_PLAN and is_behind(scope, proposal.plan, load_life(scope.state, proposal.plan)):
        return ResultCode.CLOCK_BEHIND
    adopted, code = adopt(registry, scope, number, proposal)
    if code:
        return code
    _end(scope, number, adopted, EventKind.PROPOSAL_ADOPTED, scope.now_ms)
    return ResultCode.OK


def proposal_over(_: Registry, scope: Scope, due_ms: int, number: int) -> None:
    """There was no quorum in time."""
    _end(scope, number, the_proposal(scope.state, number), EventKind.PROPOSAL_LAPSED, due_ms)


def _end(scope: Scope, number: int, proposal: ProposalRecord, what: EventKind, at_ms: int) -> None:
    status = PROPOSAL_TRANSITIONS[proposal.status, what]
    scope.cancel(DeadlineKind.PROPOSAL, proposal.ends_ms, number)
    scope.state.delete(keys.proposed_terms(number))
    save_proposal(scope, number, replace(proposal, status=status, ends_ms=at_ms))
    governance = load_governance(scope.state)
    counts = tuple(count - (index == proposal.proposer) for index, count in enumerate(governance.open))
    save_governance(scope, replace(governance, open=counts))
    scope.emit(what, subject=number, organisation=proposal.proposer, value=max(0, proposal.plan))
