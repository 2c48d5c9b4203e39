"""Proposals: who votes on them, and every way to be adopted, rejected, withdrawn, or to lapse."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from consensus.quorum import Member, MemberSet
from consensus.types import PublicKey
from node.claims import keys
from node.claims.events import EventKind
from node.claims.genesis import PlanLife, PlanTerms, Role
from node.claims.governance import voters, votes_needed
from node.claims.mutual_aid import proposal_checks, proposals
from node.claims.mutual_aid.actions import Enrol
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
from node.claims.mutual_aid.plan_records import load_governance, load_life, load_proposal, the_proposal
from node.claims.mutual_aid.plan_transitions import PlanStatus, ProposalStatus
from node.claims.mutual_aid.records import load_plan
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from tests.factories import ORGANISATIONS, ROLES, Chain, make_genesis, new_member
from tests.plan_steps import (
    CODE,
    LIFE,
    NEXT,
    OTHER,
    SMALL,
    adopt,
    chain_of,
    code_of,
    versions,
)

# Votes.


@pytest.mark.parametrize("count", range(1, 65))
def test_a_vote_takes_the_quorum_of_the_consensus(count: int) -> None:
    members = MemberSet(epoch=0, members=tuple(Member(str(n), PublicKey(n.to_bytes(32, "big"))) for n in range(count)))
    assert votes_needed(count) == members.quorum


def test_who_runs_no_node_or_only_judges_has_no_vote() -> None:
    genesis = make_genesis(roles={**ROLES, "d": (Role.AUDITOR, Role.REGULATOR)})
    assert voters(genesis) == (0, 1, 2)
    first, *others = genesis.organisations
    genesis = replace(genesis, organisations=(replace(first, node_key=b""), *others))
    assert voters(genesis) == (1, 2)
    chain = chain_of(genesis=replace(genesis, plans=(SMALL,)))
    assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.NOT_A_VOTER
    assert code_of(chain, "d", ProposeTerms(terms=NEXT)) is ResultCode.FORBIDDEN
    assert code_of(chain, "b", ProposeTerms(terms=NEXT)) is ResultCode.OK
    assert code_of(chain, "a", VoteProposal(proposal=1, approve=True)) is ResultCode.NOT_A_VOTER
    assert code_of(chain, "b", VoteProposal(proposal=1, approve=True)) is ResultCode.OK
    assert versions(chain) == [1]
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.OK
    assert versions(chain) == [1, 2]


def test_the_quorum_adopts_and_one_vote_less_does_not() -> None:
    chain = chain_of()
    assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.OK
    for name in "ab":
        assert code_of(chain, name, VoteProposal(proposal=1, approve=True)) is ResultCode.OK
    assert versions(chain) == [1]
    assert code_of(chain, "a", VoteProposal(proposal=1, approve=True)) is ResultCode.VOTE_CAST
    assert code_of(chain, "b", VoteProposal(proposal=1, approve=False)) is ResultCode.VOTE_CAST
    assert code_of(chain, "d", VoteProposal(proposal=1, approve=False)) is ResultCode.OK
    receipt = chain.do("c", VoteProposal(proposal=1, approve=True))
    assert [event.kind for event in receipt.events] == [
        EventKind.PROPOSAL_VOTED,
        EventKind.TERMS_ADOPTED,
        EventKind.PROPOSAL_ADOPTED,
    ]
    assert versions(chain) == [1, 2]
    proposal = the_proposal(chain.state, 1)
    assert (proposal.yes, proposal.no, proposal.status) == ((0, 1, 2), (3,), ProposalStatus.ADOPTED)
    assert chain.state.get(keys.proposed_terms(1)) is None
    assert code_of(chain, "d", VoteProposal(proposal=1, approve=True)) is ResultCode.PROPOSAL_NOT_OPEN


def test_so_many_no_that_no_quorum_is_left_reject() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    assert code_of(chain, "b", VoteProposal(proposal=1, approve=False)) is ResultCode.OK
    assert the_proposal(chain.state, 1).status is ProposalStatus.VOTING
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=False)) is ResultCode.OK
    assert the_proposal(chain.state, 1).status is ProposalStatus.REJECTED
    assert load_governance(chain.state).open == (0, 0, 0, 0)


@pytest.mark.parametrize("late_ms", [0, 1, 3 * DAY_MS])
def test_a_vote_without_quorum_lapses_at_its_time_however_late_the_clock(late_ms: int) -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    ends_ms = the_proposal(chain.state, 1).ends_ms
    assert ends_ms == chain.now_ms + 5 * DAY_MS
    chain.until(ends_ms - 1)
    assert the_proposal(chain.state, 1).status is ProposalStatus.VOTING
    chain.until(ends_ms + late_ms)
    proposal = the_proposal(chain.state, 1)
    assert (proposal.status, proposal.ends_ms) == (ProposalStatus.LAPSED, ends_ms)
    assert chain.state.get(keys.proposed_terms(1)) is None


def test_a_vote_after_the_end_counts_no_more_even_if_the_clock_is_behind() -> None:
    """One deadline a block: the disclosures that are due keep the clock busy."""
    genesis = make_genesis(plans=(SMALL,), deadlines_per_block=1)
    chain = chain_of(genesis=genesis)
    chain.do("a", ProposeTerms(terms=NEXT))
    vote = chain.transaction("b", VoteProposal(proposal=1, approve=True), valid_ms=7 * DAY_MS)
    result = chain.block(replace(vote), later_ms=6 * DAY_MS)
    assert the_proposal(chain.state, 1).status is ProposalStatus.VOTING
    assert result.receipts[0].code in (ResultCode.PROPOSAL_NOT_OPEN, ResultCode.VALID_TOO_LONG)
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.PROPOSAL_NOT_OPEN


def test_a_draft_is_read_then_opened_or_lapses() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT, draft=True))
    assert code_of(chain, "b", VoteProposal(proposal=1, approve=True)) is ResultCode.PROPOSAL_NOT_OPEN
    assert code_of(chain, "b", OpenVote(proposal=1)) is ResultCode.NOT_THE_PROPOSER
    assert code_of(chain, "a", OpenVote(proposal=1)) is ResultCode.OK
    assert code_of(chain, "a", OpenVote(proposal=1)) is ResultCode.PROPOSAL_NOT_OPEN
    adopt(chain, 1)
    chain.do("a", ProposeTerms(terms=replace(NEXT, version=3), draft=True))
    chain.wait(days=proposals.DRAFT_DAYS)
    assert the_proposal(chain.state, 2).status is ProposalStatus.LAPSED


def test_a_proposal_is_withdrawn_by_its_proposer_only() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    assert code_of(chain, "b", WithdrawProposal(proposal=1)) is ResultCode.NOT_THE_PROPOSER
    assert code_of(chain, "a", WithdrawProposal(proposal=1)) is ResultCode.OK
    assert code_of(chain, "a", WithdrawProposal(proposal=1)) is ResultCode.PROPOSAL_NOT_OPEN
    for action in (WithdrawProposal(proposal=2), OpenVote(proposal=2), VoteProposal(proposal=2, approve=True)):
        assert code_of(chain, "a", action) is ResultCode.UNKNOWN_PROPOSAL
    assert load_proposal(chain.state, 2) is None


def test_nobody_can_fill_the_state_with_proposals() -> None:
    chain = chain_of()
    for _ in range(proposals.OPEN_MAX):
        assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.OK
    assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.TOO_MANY_PROPOSALS
    assert code_of(chain, "b", ProposeTerms(terms=NEXT)) is ResultCode.OK
    chain.do("a", WithdrawProposal(proposal=1))
    assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.OK


# New plans, and changes of a plan's life.


def test_a_new_plan_is_drafted_voted_on_and_open() -> None:
    chain = chain_of()
    enrolment = Enrol(plan="other", members=(new_member(1),))
    chain.do("a", ProposePlan(terms=OTHER, draft=True))
    chain.do("a", OpenVote(proposal=1))
    assert code_of(chain, "a", enrolment) is ResultCode.UNKNOWN_PLAN
    adopt(chain, 1)
    assert code_of(chain, "a", enrolment) is ResultCode.OK
    found = chain.application.registry.find(chain.state, "other")
    assert found is not None and found.number == 1 == the_proposal(chain.state, 1).plan
    assert load_life(chain.state, 1).status is PlanStatus.OPEN
    kinds = [event.kind for _ in range(12) for event in chain.wait(days=1).clock.events if event.plan == 1]
    assert EventKind.CYCLE_DISCLOSED in kinds and EventKind.CYCLE_SETTLED in kinds


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (SMALL, ResultCode.PLAN_CODE_TAKEN),
        (replace(OTHER, version=2), ResultCode.VERSION_NOT_NEXT),
        (replace(OTHER, life=PlanLife(sponsor="x")), ResultCode.TERMS_INCONSISTENT),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(terms: PlanTerms, code: ResultCode) -> None:
    assert code_of(chain_of(), "a", ProposePlan(terms=terms)) is code


def test_a_chain_whose_organisations_cannot_run_a_plan_takes_none() -> None:
    """Else the first claim would find nobody to investigate it."""
    genesis = make_genesis(plans=(), roles=dict.fromkeys(ORGANISATIONS, (Role.ENROLLER, Role.PAYMENT)))
    receipt = Chain(genesis).do("a", ProposePlan(terms=OTHER))
    assert (receipt.code, receipt.detail) == (ResultCode.TERMS_INCONSISTENT, "organisations")


def test_of_two_plans_with_one_code_only_one_is_opened() -> None:
    chain = chain_of()
    chain.do("a", ProposePlan(terms=OTHER))
    chain.do("b", ProposePlan(terms=OTHER))
    adopt(chain, 2)
    chain.do("a", VoteProposal(proposal=1, approve=True))
    chain.do("b", VoteProposal(proposal=1, approve=True))
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.PLAN_CODE_TAKEN


def test_the_number_of_plans_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_checks, "MAX_PLANS", 1)
    assert code_of(chain_of(), "a", ProposePlan(terms=OTHER)) is ResultCode.LIMIT_REACHED


def test_a_sponsor_has_to_agree_by_its_own_transaction() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=replace(NEXT, life=replace(LIFE, min_units=3, sponsor="d"))))
    for name in "abc":
        assert code_of(chain, name, VoteProposal(proposal=1, approve=True)) is ResultCode.OK
    assert versions(chain) == [1]
    assert code_of(chain, "a", AgreeToSponsor(proposal=1)) is ResultCode.NOT_THE_SPONSOR
    assert code_of(chain, "d", AgreeToSponsor(proposal=1)) is ResultCode.OK
    assert versions(chain) == [1, 2]
    # Who has agreed once need not agree to the next version.
    chain.do("a", ProposeTerms(terms=replace(NEXT, version=3, life=replace(LIFE, min_units=4, sponsor="d"))))
    adopt(chain, 2)


def test_a_sponsor_agrees_once() -> None:
    chain = chain_of()
    chain.do("a", ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="d"))
    assert code_of(chain, "d", AgreeToSponsor(proposal=1)) is ResultCode.OK
    assert code_of(chain, "d", AgreeToSponsor(proposal=1)) is ResultCode.VOTE_CAST
    assert code_of(chain, "d", AgreeToSponsor(proposal=9)) is ResultCode.UNKNOWN_PROPOSAL


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (ProposeChange(plan="none", change=PlanChange.CLOSE), ResultCode.UNKNOWN_PLAN),
        (ProposeChange(plan=CODE, change=PlanChange.REOPEN), ResultCode.WRONG_PLAN_STATUS),
        (ProposeChange(plan=CODE, change=PlanChange.CLOSE, sponsor="a"), ResultCode.UNKNOWN_SPONSOR),
        (ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN), ResultCode.UNKNOWN_SPONSOR),
        (ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="x"), ResultCode.UNKNOWN_SPONSOR),
        (
            ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="a", closing_day=1),
            ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE,
        ),
        (
            ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="a", closing_day=160_000),
            ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE,
        ),
        (ProposeChange(plan=CODE, change=PlanChange.CLOSE, closing_day=20_500), ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE),
    ],
)
def test_a_change_that_cannot_be_is_refused(action: ProposeChange, code: ResultCode) -> None:
    assert code_of(chain_of(), "a", action) is code


def test_a_change_is_not_adopted_while_the_clock_is_behind() -> None:
    chain = chain_of(genesis=make_genesis(plans=(SMALL, OTHER), deadlines_per_block=1))
    chain.do("a", ProposeChange(plan="other", change=PlanChange.CLOSE))
    chain.do("a", VoteProposal(proposal=1, approve=True))
    chain.do("b", VoteProposal(proposal=1, approve=True))
    chain.until(load_plan(chain.state, 1).disclosure_ms)
    # The first plan's disclosure took this block's only turn.
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.OK
    chain.do("a", ProposeChange(plan="other", change=PlanChange.REOPEN))
    chain.wait(hours=1)
    for name in "ab":
        chain.do(name, VoteProposal(proposal=2, approve=True))
    disclosure_ms = load_plan(chain.state, 1).disclosure_ms
    chain.until(disclosure_ms - HOUR_MS)
    last = chain.transaction("c", VoteProposal(proposal=2, approve=True), valid_ms=2 * HOUR_MS)
    receipt = chain.block(last, later_ms=HOUR_MS).receipts[0]
    assert ResultCode(receipt.code) is ResultCode.CLOCK_BEHIND


def test_closing_and_reopening_a_plan_takes_votes() -> None:
    chain = chain_of()
    chain.do("a", ProposeChange(plan=CODE, change=PlanChange.CLOSE))
    adopt(chain, 1)
    assert code_of(chain, "a", Enrol(plan=CODE, members=(new_member(1),))) is ResultCode.PLAN_TAKES_NO_MEMBERS
    chain.do("a", ProposeChange(plan=CODE, change=PlanChange.REOPEN))
    adopt(chain, 2)
    assert code_of(chain, "a", Enrol(plan=CODE, members=(new_member(1),))) is ResultCode.OK


def test_a_change_that_another_has_overtaken_is_not_adopted() -> None:
    chain = chain_of()
    for _ in range(2):
        chain.do("a", ProposeChange(plan=CODE, change=PlanChange.CLOSE))
    adopt(chain, 1)
    for name in "ab":
        chain.do(name, VoteProposal(proposal=2, approve=True))
    assert code_of(chain, "c", VoteProposal(proposal=2, approve=True)) is ResultCode.WRONG_PLAN_STATUS


def test_terms_of_a_plan_that_is_ending_cannot_be_changed() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    chain.do("a", ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="d"))
    adopt(chain, 2, "d")
    assert code_of(chain, "a", ProposeTerms(terms=NEXT)) is ResultCode.WRONG_PLAN_STATUS
    for name in "ab":
        chain.do(name, VoteProposal(proposal=1, approve=True))
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.WRONG_PLAN_STATUS
