"""Applications for membership: what each transition needs, when it is refused or too late, and what it leaves."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import month_index
from node.claims.events import EventKind
from node.claims.genesis import StepDeadlines
from node.claims.module import BlockScope, Scope, Sender
from node.claims.mutual_aid.actions import (
    Enrol,
    FileClaim,
    Leave,
    MoveMember,
    NewMember,
    RecordContribution,
    ReportArrears,
    SetKey,
)
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Apply,
    RefusalReason,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import (
    application_of,
    load_application_tally,
)
from node.claims.mutual_aid.leaving import void_membership
from node.claims.mutual_aid.persons import PersonRow
from node.claims.mutual_aid.records import load_account, load_counters, load_member, load_plan, load_tally, the_member
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.types import HOUR_MS
from tests.factories import Chain, key_of, make_genesis, new_member, person, plan
from tests.unit.claims.application_desk import (
    CODE,
    DAYS,
    GROUNDS,
    OTHER,
    applicant,
    applied,
    is_sound,
    pending,
    row,
    run,
)


def deadlines(chain: Chain) -> list[tuple[int, int]]:
    """(when, application) of the queue."""
    rows = (keys.parse_deadline(key) for key, _ in chain.state.scan(*keys.table(keys.DEADLINE)))
    return [(due, subject) for due, kind, subject in rows if kind == DeadlineKind.APPLICATION]


# Applying.


def test_an_application_holds_the_place_of_its_person_and_counts_nowhere() -> None:
    chain = applied(1)
    record = pending(chain)
    assert (record.status, record.deadline_ms) == (ApplicationStatus.APPLIED, chain.now_ms + DAYS * 24 * HOUR_MS)
    assert row(chain) == PersonRow(0, 1)
    assert load_tally(chain.state, 0).members == 0
    assert load_counters(chain.state).next_member == 1
    assert load_member(chain.state, 1) is None
    assert not list(chain.state.scan(*keys.table(keys.DAY_CHANGE)))
    assert load_application_tally(chain.state, 0).counts == (0, 1, 0, 0, 0, 0)
    (event,) = chain.results[-1].receipts[0].events
    assert (event.kind, event.subject, event.value) == (EventKind.APPLICATIONS_RECORDED, 1, 1)
    assert is_sound(chain)


def test_a_second_application_and_an_enrolment_beside_it_are_refused_whoever_sends_them() -> None:
    chain = applied(1)
    again = Apply(plan=CODE, applicants=(applicant(1),))
    assert run(chain, "a", again) is run(chain, "b", again) is ResultCode.APPLICATION_PENDING
    assert run(chain, "b", Enrol(plan=CODE, members=(new_member(1),))) is ResultCode.APPLICATION_PENDING
    assert run(chain, "a", Apply(plan=CODE, applicants=(applicant(2), applicant(2)))) is ResultCode.APPLICATION_PENDING
    assert row(chain, 2) is None
    # Another plan is another matter.
    assert run(chain, "b", Apply(plan=OTHER, applicants=(applicant(1),))) is ResultCode.OK


def test_a_member_cannot_apply_and_one_who_left_can() -> None:
    chain = Chain()
    chain.do("a", Enrol(plan=CODE, members=(new_member(1),)))
    chain.wait(days=100)
    again = Apply(plan=CODE, applicants=(applicant(1),))
    assert run(chain, "a", again) is ResultCode.PERSON_ALREADY_MEMBER
    assert run(chain, "a", Leave(member=1)) is ResultCode.OK
    assert run(chain, "a", again) is ResultCode.PERSON_ALREADY_MEMBER
    chain.wait(days=1)
    assert run(chain, "a", again) is ResultCode.OK
    assert row(chain) == PersonRow(1, 1)
    assert run(chain, "a", WithdrawApplication(application=1)) is ResultCode.OK
    assert row(chain) == PersonRow(1)
    assert run(chain, "a", again) is ResultCode.OK
    assert run(chain, "a", AcceptApplication(application=2)) is ResultCode.OK
    assert (row(chain), the_member(chain.state, 2).came_from) == (PersonRow(2), 1)
    assert is_sound(chain)


def test_an_application_names_a_plan_that_takes_members_and_a_payer_who_can_pay() -> None:
    chain = Chain()
    chain.do("a", Enrol(plan=CODE, members=(new_member(1), new_member(2, payer=-1))))
    assert run(chain, "a", Apply(plan="none", applicants=(applicant(3),))) is ResultCode.UNKNOWN_PLAN
    for payer in (2, 99, -1, -2):
        receipt = chain.do("a", Apply(plan=CODE, applicants=(applicant(3, payer=payer),)))
        assert (receipt.code, receipt.detail) == (ResultCode.UNKNOWN_PAYER, "applicant 0")
    chained = (applicant(3), applicant(4, payer=-1), applicant(5, payer=-2))
    receipt = chain.do("a", Apply(plan=CODE, applicants=chained))
    assert (receipt.code, receipt.detail) == (ResultCode.UNKNOWN_PAYER, "applicant 2")
    assert run(chain, "a", Apply(plan=CODE, applicants=(applicant(3, payer=1),))) is ResultCode.OK


# Accepting.


def test_whoever_is_accepted_waits_from_the_day_of_acceptance() -> None:
    chain, at_once = applied(1), Chain()
    chain.wait(days=9)
    at_once.wait(days=9)
    key = key_of("member 1")
    receipt = chain.do("a", AcceptApplication(application=1, key=key))
    assert receipt.code == 0
    assert [event.kind for event in receipt.events] == [EventKind.MEMBERS_ENROLLED, EventKind.APPLICATION_ACCEPTED]
    assert [(event.subject, event.value) for event in receipt.events] == [(1, 1), (1, 1)]
    # As if enrolled on that day, to the byte: nothing of a member tells how long the application took.
    at_once.do("a", Enrol(plan=CODE, members=(new_member(1, key=key),)))
    assert the_member(chain.state, 1) == the_member(at_once.state, 1)
    for table in (keys.DAY_CHANGE, keys.PERSON, keys.PLAN_TALLY):
        assert list(chain.state.scan(*keys.table(table))) == list(at_once.state.scan(*keys.table(table)))
    record = pending(chain)
    assert (record.status, record.deadline_ms, record.member) == (ApplicationStatus.ACCEPTED, 0, 1)
    assert (deadlines(chain), application_of(chain.state, 1)) == ([], 1)
    assert is_sound(chain)


def test_age_is_judged_on_the_day_of_acceptance() -> None:
    chain = Chain(
        make_genesis(plans=(replace(plan(CODE), deadlines=replace(plan(CODE).deadlines, application_hours=8_784)),))
    )
    old, young = month_index(1966, 3), month_index(2026, 1)
    people = (replace(applicant(1), birth_month=old), replace(applicant(2), birth_month=young))
    assert run(chain, "a", Apply(plan=CODE, applicants=people)) is ResultCode.OK
    # On 1 January one is still 59 and the other not yet 30 days old; in March the one is 60.
    assert run(chain, "a", AcceptApplication(application=2)) is ResultCode.TOO_YOUNG
    chain.wait(days=60)
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.TOO_OLD
    assert run(chain, "a", AcceptApplication(application=2)) is ResultCode.OK
    assert pending(chain, 1).status is ApplicationStatus.APPLIED


def test_acceptance_counts_by_the_terms_of_its_day() -> None:
    first = plan(CODE)
    later = replace(first, version=2, effective_day=first.effective_day + 20_470, waiting_days=7)
    chain = applied(1, chain=Chain(make_genesis(plans=(first, later))))
    assert chain.application.registry.plan(chain.state, 0).terms_on(20_470).plan.version == 2
    chain.until(20_475 * 24 * HOUR_MS)
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.OK
    member = the_member(chain.state, 1)
    assert (member.enrolled_day, member.cover_day) == (20_475, 20_482)


def test_only_the_enroller_that_took_an_application_decides_it() -> None:
    chain = applied(1)
    decisions = (
        AcceptApplication(application=1),
        RefuseApplication(application=1, **GROUNDS),  # type: ignore[arg-type]
        WithdrawApplication(application=1),
    )
    for action in decisions:
        assert run(chain, "b", action) is ResultCode.NOT_THE_ENROLLER
        assert run(chain, "c", action) is ResultCode.FORBIDDEN
        assert run(chain, "a", replace(action, application=2)) is ResultCode.UNKNOWN_APPLICATION
    assert run(chain, "a", decisions[0]) is ResultCode.OK
    for action in decisions:
        assert run(chain, "a", action) is ResultCode.WRONG_APPLICATION_STATUS


def test_a_key_in_use_or_a_record_that_became_void_stands_against_acceptance() -> None:
    chain = Chain()
    chain.do("a", Enrol(plan=CODE, members=(new_member(1, key=key_of("one")),)))
    chain.do("a", Leave(member=1))
    chain.wait(days=1)
    applied(1, chain=chain)
    receipt = chain.do("a", AcceptApplication(application=1, key=key_of("one")))
    assert (receipt.code, receipt.detail) == (ResultCode.KEY_IN_USE, "")
    scope = Scope(chain.state, BlockScope(chain.height, chain.now_ms), Sender(0, 0))
    void_membership(chain.application.registry, scope, 1)
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.MEMBERSHIP_VOID
    assert run(chain, "a", RefuseApplication(application=1, **GROUNDS)) is ResultCode.OK  # type: ignore[arg-type]


def test_a_family_that_applies_together_is_accepted_head_first() -> None:
    chain = Chain()
    family = (applicant(1), applicant(2, payer=-1, units=3), applicant(3, payer=-1))
    assert run(chain, "a", Apply(plan=CODE, applicants=family)) is ResultCode.OK
    assert run(chain, "a", AcceptApplication(application=2)) is ResultCode.PAYER_NOT_ACCEPTED
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.OK
    assert run(chain, "a", AcceptApplication(application=2)) is ResultCode.OK
    child = the_member(chain.state, 2)
    assert (child.payer, child.units, the_member(chain.state, 1).dependants) == (1, 3, 1)
    # Who pays has left meanwhile: the last one cannot be accepted any more, and the enroller says why.
    chain.do("a", Leave(member=1, family=True))
    chain.wait(days=1)
    assert run(chain, "a", AcceptApplication(application=3)) is ResultCode.UNKNOWN_PAYER
    why = RefuseApplication(application=3, clause="2.1", reason=RefusalReason.PAYER_NOT_ACCEPTED)
    assert run(chain, "a", why) is ResultCode.OK
    assert is_sound(chain)


def test_a_dependant_who_is_accepted_makes_the_payers_balance_last_less_long() -> None:
    chain = Chain()
    chain.do("a", Enrol(plan=CODE, members=(new_member(1),)))
    chain.do("a", RecordContribution(member=1, amount=1_000, receipt=person(5)))
    before = load_account(chain.state, 1)
    chain.do("a", Apply(plan=CODE, applicants=(applicant(2, payer=1),)))
    assert load_account(chain.state, 1) == before
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.OK
    after = load_account(chain.state, 1)
    assert before is not None
    assert after is not None
    assert after.threshold == before.threshold // 2


# Refusing and withdrawing.


def test_a_refusal_names_a_reason_and_a_clause_of_the_plan() -> None:
    chain = applied(1)
    for clause, reason in (("", 0), ("2.1", 0), ("", 1)):
        refusal = RefuseApplication(application=1, clause=clause, reason=reason)
        assert run(chain, "a", refusal) is ResultCode.REFUSAL_WITHOUT_GROUNDS
    assert run(chain, "a", RefuseApplication(application=1, clause="9.9", reason=1)) is ResultCode.UNKNOWN_CLAUSE
    assert run(chain, "a", RefuseApplication(application=1, clause="2.1", reason=99)) is ResultCode.UNKNOWN_REASON
    receipt = chain.do("a", RefuseApplication(application=1, **GROUNDS))  # type: ignore[arg-type]
    assert [(one.kind, one.value) for one in receipt.events] == [(EventKind.APPLICATION_REFUSED, 1)]
    record = pending(chain)
    assert (record.status, record.clause, record.reason) == (ApplicationStatus.REFUSED, "2.1", 1)
    assert (row(chain), deadlines(chain)) == (None, [])
    shown = Queries(chain.genesis).application(chain.state, 1)
    assert shown is not None
    assert shown["refusal"] == {
        "clause": "2.1",
        "clause_title": "Who may join, and what must be declared",
        "reason": "health-condition",
    }
    assert is_sound(chain)


@pytest.mark.parametrize(
    "ending",
    [RefuseApplication(application=1, clause="2.1", reason=2), WithdrawApplication(application=1), None],
    ids=["refused", "withdrawn", "lapsed"],
)
def test_after_an_application_has_ended_the_person_may_apply_or_be_enrolled_anew(ending: Action | None) -> None:
    chain = applied(1)
    if ending is None:
        chain.wait(days=DAYS)
    else:
        assert run(chain, "a", ending) is ResultCode.OK
    assert row(chain) is None
    applied(1, chain=chain, by="b")
    assert run(chain, "b", WithdrawApplication(application=2)) is ResultCode.OK
    assert run(chain, "d", Enrol(plan=CODE, members=(new_member(1),))) is ResultCode.OK
    assert is_sound(chain)


# Late.


def test_an_application_lapses_at_its_deadline_and_not_before() -> None:
    chain = applied(1)
    due = pending(chain).deadline_ms
    chain.until(due - 1)
    assert pending(chain).status is ApplicationStatus.APPLIED
    chain.until(due + 5 * HOUR_MS)
    record = pending(chain)
    assert (record.status, record.changed_ms, record.deadline_ms) == (ApplicationStatus.LAPSED, due, 0)
    (event,) = chain.results[-1].clock.events
    assert (event.kind, event.subject, event.organisation) == (EventKind.APPLICATION_LAPSED, 1, 0)
    assert run(chain, "a", AcceptApplication(application=1)) is ResultCode.WRONG_APPLICATION_STATUS
    assert is_sound(chain)


def test_what_comes_after_the_deadline_and_before_the_clock_waits_for_the_clock() -> None:
    chain = Chain(make_genesis(deadlines_per_block=1))
    applied(1, chain=chain)
    action = Apply(plan=OTHER, applicants=(applicant(1), applicant(2)))
    assert run(chain, "a", action) is ResultCode.OK
    chain.do("a", Enrol(plan=CODE, members=(new_member(3),)))
    late: tuple[Action, ...] = (
        AcceptApplication(application=3),
        RefuseApplication(application=3, **GROUNDS),  # type: ignore[arg-type]
        WithdrawApplication(application=3),
        Apply(plan=OTHER, applicants=(applicant(2),)),
        Enrol(plan=OTHER, members=(new_member(2),)),
    )
    # A block fires one row, and the disclosures of a month come before.
    chain.until(pending(chain, 3).deadline_ms - 1)
    result = chain.block(*(chain.transaction("a", action) for action in late))
    assert pending(chain, 3).status is ApplicationStatus.APPLIED
    assert {receipt.code for receipt in result.receipts} == {ResultCode.CLOCK_BEHIND}
    for _ in range(20):
        chain.wait()
    assert pending(chain, 3).status is ApplicationStatus.LAPSED


# Who is no member.


def test_an_applicant_can_do_nothing_that_members_can() -> None:
    chain = applied(1)
    claim = FileClaim(plan=CODE, member=1, ailment="S01", diagnosis_day=20_454, accident=True, evidence=person(9))
    assert run(chain, "c", claim) is ResultCode.UNKNOWN_MEMBER
    for action in (Leave(member=1), SetKey(member=1, key=key_of("x")), ReportArrears(member=1, amount=1)):
        assert run(chain, "a", action) is ResultCode.UNKNOWN_MEMBER
    dependant = NewMember(person=person(2), birth_month=month_index(1990, 6), payer=1)
    assert run(chain, "a", Enrol(plan=CODE, members=(dependant,))) is ResultCode.UNKNOWN_PAYER
    chain.wait(days=7)
    assert load_plan(chain.state, 0).members == 0
    assert chain.application.next_sequence(chain.state, key_of("member 1")) == 1


def test_a_member_of_another_plan_cannot_move_to_where_its_application_is_pending() -> None:
    chain = Chain()
    chain.do("a", Enrol(plan=OTHER, members=(new_member(1),)))
    applied(1, chain=chain)
    assert run(chain, "a", MoveMember(member=1, plan=CODE)) is ResultCode.APPLICATION_PENDING
    chain.do("a", WithdrawApplication(application=1))
    assert run(chain, "a", MoveMember(member=1, plan=CODE)) is ResultCode.OK
    assert is_sound(chain)


def test_a_plan_file_that_says_nothing_of_applications_gives_them_thirty_days() -> None:
    steps = StepDeadlines(investigation_hours=1, review_hours=1, disclosure_hours=1, payment_hours=1)
    assert steps.application_hours == DAYS * 24
