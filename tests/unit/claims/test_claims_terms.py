"""Terms that organisations propose: refused with a clear code, or in force from a cycle border, on every fork."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims.events import EventKind
from node.claims.genesis import Calendar, Clause, PlanLife, PlanTerms
from node.claims.mutual_aid import proposal_checks
from node.claims.mutual_aid.actions import Enrol, FileClaim
from node.claims.mutual_aid.plan_actions import (
    ProposePlan,
    ProposeTerms,
    VoteProposal,
)
from node.claims.mutual_aid.plan_records import the_proposal
from node.claims.mutual_aid.plan_transitions import ProposalStatus
from node.claims.mutual_aid.records import load_plan, the_claim
from node.claims.results import ResultCode
from node.claims.types import DAY_MS
from tests.factories import new_member, person, with_terms
from tests.plan_steps import (
    CODE,
    NEXT,
    OTHER,
    SMALL,
    STEPS,
    adopt,
    chain_of,
    code_of,
    versions,
)

# Terms that are refused.


@pytest.mark.parametrize(
    ("terms", "code", "detail"),
    [
        (replace(NEXT, code="nowhere"), ResultCode.UNKNOWN_PLAN, ""),
        (SMALL, ResultCode.VERSION_NOT_NEXT, ""),
        (replace(NEXT, version=3), ResultCode.VERSION_NOT_NEXT, ""),
        (replace(NEXT, currency="EUR"), ResultCode.FIXED_TERM_CHANGED, "currency"),
        (replace(NEXT, minor_digits=3), ResultCode.FIXED_TERM_CHANGED, "minor_digits"),
        (replace(NEXT, utc_offset_minutes=0), ResultCode.FIXED_TERM_CHANGED, "utc_offset_minutes"),
        (replace(NEXT, waiting_members_share=True), ResultCode.FIXED_TERM_CHANGED, "waiting_members_share"),
        (replace(NEXT, effective_day=30_000), ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE, ""),
        (replace(NEXT, ailments=(replace(NEXT.ailments[0], code=""),)), ResultCode.TERMS_INCONSISTENT, "ailments"),
        (replace(NEXT, ailments=NEXT.ailments[:1] * 2), ResultCode.TERMS_INCONSISTENT, "ailments"),
        (replace(NEXT, age_bands=NEXT.age_bands[:1] * 2), ResultCode.TERMS_INCONSISTENT, "age_bands[1]"),
        (replace(NEXT, calendar=Calendar(cycle_days=4)), ResultCode.TERMS_INCONSISTENT, "calendar"),
        (
            replace(NEXT, calendar=Calendar(disclosure_days_of_month=(7, 21), settlement_days_of_month=(14,))),
            ResultCode.TERMS_INCONSISTENT,
            "calendar",
        ),
        # Fits its own calendar, and not the cycle that the version before has dated: that cycle is disclosed under
        # these terms and settled two days later. It would stop every node at that settlement.
        (
            replace(
                NEXT,
                calendar=Calendar(cycle_days=20, settlement_after_days=20),
                deadlines=replace(STEPS, disclosure_hours=72),
            ),
            ResultCode.TERMS_INCONSISTENT,
            "deadlines.disclosure_hours",
        ),
        (replace(NEXT, life=PlanLife(min_units=5)), ResultCode.TERMS_INCONSISTENT, "life.sponsor"),
        (replace(NEXT, life=PlanLife(sponsor="nobody")), ResultCode.TERMS_INCONSISTENT, "life.sponsor"),
        (replace(NEXT, open_claims_max=2), ResultCode.TERMS_INCONSISTENT, "open_claims_max"),
    ],
)
def test_terms_that_do_not_fit_are_refused_with_their_key(terms: PlanTerms, code: ResultCode, detail: str) -> None:
    chain = chain_of()
    receipt = chain.do("a", ProposeTerms(terms=terms))
    assert (ResultCode(receipt.code), receipt.detail) == (code, detail)
    if code in (ResultCode.TERMS_INCONSISTENT,):
        receipt = chain.do("a", ProposePlan(terms=replace(terms, code="other", version=1)))
        stops_a_cycle = detail == "deadlines.disclosure_hours"
        assert ResultCode(receipt.code) is (ResultCode.OK if stops_a_cycle else code)


def test_terms_larger_than_the_chain_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clauses = tuple(Clause(number=f"{n}.1", title="x" * 64) for n in range(1, 200))
    chain = chain_of()
    monkeypatch.setattr(proposal_checks, "MAX_TERMS_BYTES", 20_000)
    assert code_of(chain, "a", ProposeTerms(terms=replace(NEXT, clauses=clauses))) is ResultCode.TERMS_TOO_LARGE
    assert code_of(chain, "a", ProposePlan(terms=replace(OTHER, clauses=clauses))) is ResultCode.TERMS_TOO_LARGE


def test_of_two_proposals_of_one_version_only_one_can_be_adopted() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    chain.do("b", ProposeTerms(terms=replace(NEXT, fee_bps=1)))
    adopt(chain, 2)
    chain.do("a", VoteProposal(proposal=1, approve=True))
    chain.do("b", VoteProposal(proposal=1, approve=True))
    assert code_of(chain, "c", VoteProposal(proposal=1, approve=True)) is ResultCode.VERSION_NOT_NEXT
    assert the_proposal(chain.state, 1).yes == (0, 1)
    assert versions(chain) == [1, 2]
    chain.wait(days=5)
    assert the_proposal(chain.state, 1).status is ProposalStatus.LAPSED


def test_versions_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_checks, "MAX_VERSIONS", 1)
    assert code_of(chain_of(), "a", ProposeTerms(terms=NEXT)) is ResultCode.LIMIT_REACHED


# The first day in force.


@pytest.mark.parametrize("wanted", [0, 25])
def test_terms_are_in_force_from_the_first_disclosure_after_notice_and_wish(wanted: int) -> None:
    chain = chain_of()
    today = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)
    chain.do("a", ProposeTerms(terms=replace(NEXT, effective_day=today + wanted if wanted else 0)))
    adopt(chain, 1)
    known = chain.application.registry.plan(chain.state, 0)
    day = known.versions[1].plan.effective_day
    assert day == the_proposal(chain.state, 1).day
    # Cycles of four days from the day of genesis: the first border on or after the notice, or the wish.
    assert day == today + -(-max(10, wanted) // 4) * 4
    assert known.terms_on(day - 1).plan.version == 1
    while load_plan(chain.state, 0).disclosure_ms <= chain.now_ms or known.day_of(chain.now_ms) < day:
        chain.until(load_plan(chain.state, 0).disclosure_ms)
    assert known.day_of(chain.now_ms) == day


def test_a_version_follows_one_that_is_not_in_force_yet() -> None:
    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    adopt(chain, 1)
    chain.do("a", ProposeTerms(terms=replace(NEXT, version=3)))
    adopt(chain, 2)
    days = [terms.plan.effective_day for terms in chain.application.registry.plan(chain.state, 0).versions]
    assert days[2] == days[1] + 4


def test_a_claim_is_judged_by_the_version_of_its_day_of_diagnosis() -> None:
    chain = chain_of()
    chain.do("a", Enrol(plan=CODE, members=tuple(new_member(n, birth_year=1990) for n in range(4))))
    bands = tuple(replace(band, severe_minor_units=77_700) for band in NEXT.age_bands)
    chain.do("a", ProposeTerms(terms=replace(NEXT, age_bands=bands)))
    adopt(chain, 1)
    known = chain.application.registry.plan(chain.state, 0)
    day = known.versions[1].plan.effective_day
    chain.wait(days=day - known.day_of(chain.now_ms))
    chain.wait(hours=1)
    assert known.day_of(chain.now_ms) == day
    for member, diagnosed in ((1, day - 1), (2, day)):
        claim = FileClaim(
            plan=CODE, member=member, ailment="S01", diagnosis_day=diagnosed, accident=False, evidence=person(9)
        )
        assert code_of(chain, "a", claim) is ResultCode.OK
    assert [the_claim(chain.state, number).version for number in (1, 2)] == [1, 2]
    assert [the_claim(chain.state, number).claimed for number in (1, 2)] == [30_000_000, 77_700]


def test_a_new_calendar_leaves_no_cycle_undisclosed_or_unsettled() -> None:
    chain = chain_of()
    chain.do("a", Enrol(plan=CODE, members=(new_member(1),)))
    calendar = Calendar(cycle_days=7, settlement_after_days=3)
    chain.do("a", ProposeTerms(terms=replace(NEXT, calendar=calendar)))
    adopt(chain, 1)
    kinds = []
    for _ in range(60):
        kinds += [event.kind for event in chain.wait(days=1).clock.events]
    disclosed, settled = (kinds.count(kind) for kind in (EventKind.CYCLE_DISCLOSED, EventKind.CYCLE_SETTLED))
    assert disclosed - settled in (0, 1) and disclosed >= 8


def test_two_blocks_on_one_parent_adopt_different_terms_with_one_registry() -> None:
    """Both are executed before either is final; afterwards each goes on by its own."""
    from node.claims.application import BlockContext
    from node.claims.state import Draft, WriteState

    chain = chain_of()
    chain.do("a", ProposeTerms(terms=NEXT))
    chain.do("a", ProposeTerms(terms=replace(NEXT, fee_bps=1)))
    for number in (1, 2):
        for name in "ab":
            chain.do(name, VoteProposal(proposal=number, approve=True))
    forks: list[WriteState] = []
    for number in (1, 2):
        fork = Draft(chain.state)
        transaction = chain.transaction("c", VoteProposal(proposal=number, approve=True), sequence=1)
        context = BlockContext(height=chain.height + 1, time_ms=chain.now_ms + 1)
        assert chain.application.execute(fork, context, [transaction]).receipts[0].code == 0
        forks.append(fork)
    every = [*forks, chain.state]
    fees = [chain.application.registry.plan(one, 0).versions[-1].plan.fee_bps for one in every]
    assert fees == [500, 1, 800]
    for one in every:
        context = BlockContext(height=chain.height + 2, time_ms=chain.now_ms + 30 * DAY_MS)
        chain.application.execute(one, context, [])


def test_hostile_terms_cannot_stop_a_later_block() -> None:
    """Whatever mutation of the terms passes the check is adopted, lived through, and never breaks an invariant."""
    calendars = [Calendar(cycle_days=c, settlement_after_days=s) for c, s in ((2, 1), (3, 3), (30, 1), (4, 4))]
    calendars.append(Calendar(disclosure_days_of_month=(1, 27), settlement_days_of_month=(26, 28)))
    outcomes = []
    for calendar in calendars:
        for hours in (1, 23, 24, 47, 48, 600):
            chain = chain_of(with_terms(SMALL, life=PlanLife(notice_days=0)))
            terms = replace(NEXT, calendar=calendar, deadlines=replace(STEPS, disclosure_hours=hours))
            outcomes.append(code_of(chain, "a", ProposeTerms(terms=terms)))
            if outcomes[-1] is ResultCode.OK:
                chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2))))
                adopt(chain, 1)
                for _ in range(25):
                    chain.wait(days=2)
                    day = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)
                    chain.do(
                        "a",
                        FileClaim(
                            plan=CODE, member=1, ailment="S01", diagnosis_day=day, accident=True, evidence=person(1)
                        ),
                    )
    assert {ResultCode.OK, ResultCode.TERMS_INCONSISTENT} == set(outcomes)
