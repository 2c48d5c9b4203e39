"""Small plans, and what organisations do with them: for the tests of proposals and of plans' lives."""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import Calendar, Genesis, PlanLife, PlanTerms, Role, StepDeadlines
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Review,
)
from node.claims.mutual_aid.plan_actions import (
    AgreeToSponsor,
    LiftSuspension,
    PlanChange,
    ProposeChange,
    SuspendPlan,
    VoteProposal,
)
from node.claims.mutual_aid.plan_records import (
    LifeRecord,
    load_governance,
    load_life,
    the_proposal,
)
from node.claims.mutual_aid.plan_transitions import PlanStatus, ProposalStatus
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from tests.factories import ORGANISATIONS, ROLES, Chain, make_genesis, new_member, person, plan

CODE = "critical-illness"
LIFE = PlanLife(notice_days=10, voting_days=5)
STEPS = StepDeadlines(investigation_hours=40, review_hours=20, disclosure_hours=25, payment_hours=15)
SMALL = replace(
    plan(CODE),
    waiting_days=0,
    calendar=Calendar(cycle_days=4, settlement_after_days=2),
    deadlines=STEPS,
    life=LIFE,
)
NEXT = replace(SMALL, version=2, fee_bps=500)
OTHER = replace(SMALL, code="other", name="Other")


def chain_of(*plans: PlanTerms, genesis: Genesis | None = None) -> Chain:
    return Chain(genesis or make_genesis(plans=plans or (SMALL,)))


def code_of(chain: Chain, sender: str, *actions: object) -> ResultCode:
    return ResultCode(chain.do(sender, *actions).code)  # type: ignore[arg-type]


def adopt(chain: Chain, number: int, *sponsors: str) -> None:
    for sponsor in sponsors:
        assert code_of(chain, sponsor, AgreeToSponsor(proposal=number)) is ResultCode.OK
    for name in "abc":
        assert code_of(chain, name, VoteProposal(proposal=number, approve=True)) is ResultCode.OK
    assert the_proposal(chain.state, number).status is ProposalStatus.ADOPTED


def versions(chain: Chain) -> list[int]:
    return [terms.plan.version for terms in chain.application.registry.plan(chain.state, 0).versions]


WITH_REGULATOR = {**ROLES, "c": (*ROLES["c"], Role.REGULATOR)}
TERMS = replace(
    SMALL,
    waiting_members_share=True,
    exit_after_payout=False,
    life=PlanLife(notice_days=6, voting_days=5, run_off_days=20),
)


def genesis_of(terms: PlanTerms = TERMS) -> Genesis:
    return make_genesis(plans=(terms,), roles=WITH_REGULATOR)


def chain_with(members: int = 10, terms: PlanTerms = TERMS) -> Chain:
    chain = Chain(genesis_of(terms))
    enrol(chain, 0, members)
    chain.wait(days=1)
    return chain


def enrol(chain: Chain, first: int, count: int) -> ResultCode:
    people = tuple(new_member(first + n) for n in range(count))
    return ResultCode(chain.do("a", Enrol(plan=CODE, members=people)).code) if count else ResultCode.OK


def today(chain: Chain) -> int:
    return chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)


def file(chain: Chain, member: int, *, days_ago: int = 0) -> ResultCode:
    claim = FileClaim(
        plan=CODE,
        member=member,
        ailment="S01",
        diagnosis_day=today(chain) - days_ago,
        accident=False,
        evidence=person(member),
    )
    return ResultCode(chain.do("a", claim).code)


def work(chain: Chain, number: int) -> None:
    """Do the next step of the claim, if it waits for an organisation."""
    claim = the_claim(chain.state, number)
    if claim.assigned < 0:
        return
    sender = ORGANISATIONS[claim.assigned]
    if claim.status is ClaimStatus.FILED:
        chain.do(sender, Investigate(claim=number, finding=Finding.PASS, report=person(1)))
    elif claim.status is ClaimStatus.INVESTIGATED:
        chain.do(sender, Review(claim=number, decision=Decision.ACCEPT))
    elif claim.status is ClaimStatus.SETTLED:
        chain.do(sender, ConfirmPayment(claim=number, amount=claim.amount, receipt=person(2)))


def live(chain: Chain, days: int, *claims: int) -> list[EventKind]:
    """So many days, in which everybody does their step of these claims."""
    kinds = []
    for _ in range(days):
        kinds += [event.kind for event in chain.wait(days=1).clock.events]
        for number in claims:
            for _ in range(2):
                work(chain, number)
    return kinds


def propose(chain: Chain, change: PlanChange, *, sponsor: str = "", closing_day: int = 0) -> ResultCode:
    """Propose, agree, and vote; the code of what was refused first."""
    action = ProposeChange(plan=CODE, change=change, sponsor=sponsor, closing_day=closing_day)
    number = load_governance(chain.state).next_proposal
    code = ResultCode(chain.do("a", action).code)
    if code:
        return code
    if sponsor:
        chain.do(sponsor, AgreeToSponsor(proposal=number))
    codes = [ResultCode(chain.do(name, VoteProposal(proposal=number, approve=True)).code) for name in "abc"]
    return next((code for code in codes if code), ResultCode.OK)


def suspend(chain: Chain, days: int = 10) -> ResultCode:
    return ResultCode(chain.do("c", SuspendPlan(plan=CODE, order=person(7), days=days)).code)


def lift(chain: Chain) -> ResultCode:
    return ResultCode(chain.do("c", LiftSuspension(plan=CODE, order=person(8))).code)


def life(chain: Chain) -> LifeRecord:
    return load_life(chain.state, 0)


def reach(status: PlanStatus) -> Chain:
    chain = chain_with()
    if status is PlanStatus.CLOSED_TO_NEW:
        assert propose(chain, PlanChange.CLOSE) is ResultCode.OK
    elif status is PlanStatus.SUSPENDED:
        assert suspend(chain) is ResultCode.OK
    elif status is not PlanStatus.OPEN:
        assert propose(chain, PlanChange.WIND_DOWN, sponsor="d") is ResultCode.OK
        if status is not PlanStatus.WINDING_DOWN:
            chain.wait(days=6)
        if status is PlanStatus.SETTLED:
            live(chain, 25)
    assert life(chain).status is status
    return chain
