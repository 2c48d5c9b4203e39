"""Leaving, moving, keys, void memberships and joining again: each guard, and what changes."""

from __future__ import annotations

import pytest

from node.claims import keys
from node.claims.calendar import day_number, month_index, start_of
from node.claims.events import EventKind
from node.claims.module import BlockScope, Scope, Sender
from node.claims.mutual_aid.accounts import MAX_DEPENDANTS
from node.claims.mutual_aid.actions import Enrol, FileClaim, Leave, MoveMember, NewMember, SetKey
from node.claims.mutual_aid.leaving import void_membership
from node.claims.mutual_aid.records import Exit, load_plan, the_cycle, the_member
from node.claims.queries import Queries
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from tests.factories import Chain, key_of, make_genesis, new_member, person, plan, with_terms
from tests.unit.claims.test_claims_settlement import CODE, accepted, enrolled, today, until_settled

ELDERLY = "elderly"


def status(chain: Chain, number: int) -> str:
    view = Queries(chain.genesis).member(chain.state, number, chain.now_ms)
    assert view is not None
    return str(view["status"])


def two_plans() -> Chain:
    """The plan, and one for those who have outgrown it."""
    older = with_terms(
        plan(CODE), code=ELDERLY, entry_age_min_months=720, entry_age_max_years=70, cover_until_age_years=0
    )
    return Chain(make_genesis(plans=(plan(CODE), older)))


def test_who_leaves_on_the_day_of_disclosure_still_pays_that_cycle_and_none_after() -> None:
    chain = Chain()
    enrolled(chain, 1, 2, 3)
    chain.wait(days=91)
    number = accepted(chain, 2)
    chain.until(load_plan(chain.state, 0).disclosure_ms)
    receipt = chain.do("a", Leave(member=1))
    assert (receipt.code, receipt.events[0].kind) == (0, EventKind.MEMBER_LEFT)
    assert status(chain, 1) == "leaving"
    own = until_settled(chain, number)
    assert (the_cycle(chain.state, 0, own).members, status(chain, 1)) == (3, "left")
    other = until_settled(chain, accepted(chain, 3))
    assert the_cycle(chain.state, 0, other).members == 2
    queries = Queries(chain.genesis)
    share = the_cycle(chain.state, 0, own).share
    assert queries.bill(chain.state, the_member(chain.state, 1)) == share


def test_who_leaves_while_waiting_never_pays_and_is_covered_no_more() -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    chain.wait(days=3)
    assert chain.do("a", Leave(member=1)).code == 0
    member = the_member(chain.state, 1)
    assert (member.until_day, member.exit) == (today(chain) + 1, Exit.LEFT)
    chain.wait(days=10)
    claim = FileClaim(plan=CODE, member=1, ailment="S01", diagnosis_day=today(chain), accident=True, evidence=person(1))
    assert chain.do("c", claim).code == ResultCode.NO_LONGER_COVERED
    chain.wait(days=110)
    assert load_plan(chain.state, 0).members == 1


def test_who_may_end_a_membership() -> None:
    chain = Chain()
    members = (new_member(1, key=key_of("m")), new_member(2))
    assert chain.do("a", Enrol(plan=CODE, members=members)).code == 0
    chain.wait(days=1)
    assert chain.do("a", Leave(member=9)).code == ResultCode.UNKNOWN_MEMBER
    assert chain.do("b", Leave(member=1)).code == ResultCode.NOT_THE_ENROLLER
    assert chain.do(key_of("m"), Leave(member=2)).code == ResultCode.NOT_THIS_MEMBER
    assert chain.do(key_of("m"), Leave(member=1)).code == 0
    assert chain.do("a", Leave(member=1)).code == ResultCode.MEMBERSHIP_ENDED


def test_dependants_leave_first_or_together() -> None:
    chain = Chain()
    family = (new_member(1), new_member(2, payer=-1), new_member(3, payer=-1))
    assert chain.do("a", Enrol(plan=CODE, members=family)).code == 0
    assert chain.do("a", Leave(member=1)).code == ResultCode.DEPENDANTS_FIRST
    assert chain.do("a", Leave(member=3)).code == 0
    assert chain.do("a", Leave(member=1)).code == ResultCode.DEPENDANTS_FIRST
    assert chain.do("a", Leave(member=1, family=True)).code == 0
    assert [the_member(chain.state, number).exit for number in (1, 2, 3)] == [Exit.LEFT] * 3


def test_a_member_pays_for_a_bounded_number_of_others() -> None:
    chain = Chain()
    family = tuple(new_member(number, payer=-1 if number else 0) for number in range(MAX_DEPENDANTS + 1))
    assert chain.do("a", Enrol(plan=CODE, members=family)).code == 0
    more = Enrol(plan=CODE, members=(new_member(99, payer=1),))
    assert chain.do("a", more).code == ResultCode.TOO_MANY_DEPENDANTS
    assert chain.do("a", Leave(member=1, family=True)).code == 0
    chain.wait(days=1)
    assert chain.do("a", more).code == ResultCode.UNKNOWN_PAYER


def test_who_left_may_join_again_and_waits_again() -> None:
    chain = Chain()
    enrolled(chain, 1)
    again = Enrol(plan=CODE, members=(new_member(1),))
    chain.do("a", Leave(member=1))
    assert chain.do("b", again).code == ResultCode.PERSON_ALREADY_MEMBER
    chain.wait(days=1)
    assert chain.do("b", again).code == 0
    member = the_member(chain.state, 2)
    assert (member.came_from, member.cover_day) == (1, today(chain) + 90)
    assert chain.do("b", again).code == ResultCode.PERSON_ALREADY_MEMBER


def test_a_move_at_the_age_limit_keeps_the_days_waited() -> None:
    """Born in June 1966: 60 on 2026-06-01, and enrolled in time to have waited for three months."""
    chain = two_plans()
    enrolled(chain, 1, 2, birth_year=1966)
    chain.until(start_of(day_number(2026, 6, 10), 480))
    assert status(chain, 1) == "aged-out"
    assert chain.do("a", MoveMember(member=1, plan=CODE, units=2)).code == ResultCode.NOTHING_TO_CHANGE
    receipt = chain.do("a", MoveMember(member=1, plan=ELDERLY))
    assert (receipt.code, receipt.events[-1].kind) == (0, EventKind.MEMBER_MOVED)
    moved = the_member(chain.state, 3)
    assert (moved.plan, moved.came_from, moved.cover_day) == (1, 1, today(chain) + 1)
    assert (the_member(chain.state, 1).moved_to, status(chain, 1)) == (3, "moved")
    chain.wait(days=40)
    assert load_plan(chain.state, 1).members == 1
    late = chain.do("a", MoveMember(member=2, plan=ELDERLY))
    assert late.code == ResultCode.MEMBERSHIP_ENDED


def test_the_rest_of_the_waiting_time_is_waited_in_the_new_plan() -> None:
    chain = two_plans()
    entry = NewMember(person=person(1), birth_month=month_index(1966, 3))
    assert chain.do("a", Enrol(plan=CODE, members=(entry,))).code == 0
    start = today(chain)
    chain.until(start_of(day_number(2026, 3, 1), 480) + 1)
    assert chain.do("a", MoveMember(member=1, plan=ELDERLY)).code == 0
    assert the_member(chain.state, 2).cover_day == start + 90
    assert the_member(chain.state, 2).waits_from == start


def test_units_change_by_a_record_of_their_own_from_the_next_day_on() -> None:
    chain = Chain()
    entry = NewMember(person=person(1), birth_month=month_index(1990, 1), key=key_of("m"))
    assert chain.do("a", Enrol(plan=CODE, members=(entry,))).code == 0
    enrolled(chain, 2)
    chain.wait(days=91)
    assert chain.do("a", MoveMember(member=1, plan=CODE)).code == ResultCode.NOTHING_TO_CHANGE
    assert chain.do("a", MoveMember(member=1, plan=CODE, units=3)).code == 0
    cycle = until_settled(chain, accepted(chain, 2))
    assert the_cycle(chain.state, 0, cycle).units == (4, 0, 0, 0)
    queries, share = Queries(chain.genesis), the_cycle(chain.state, 0, cycle).share
    assert [queries.bill(chain.state, the_member(chain.state, number)) for number in (1, 3)] == [0, 3 * share]
    # The key came along: it acts for the new record only.
    assert chain.do(key_of("m"), Leave(member=1)).code == ResultCode.NOT_THIS_MEMBER
    assert chain.do(key_of("m"), Leave(member=3)).code == 0


def test_what_hinders_a_move() -> None:
    chain = two_plans()
    family = (new_member(1), new_member(2, payer=-1))
    assert chain.do("a", Enrol(plan=CODE, members=family)).code == 0
    enrolled(chain, 3)
    move = MoveMember(member=3, plan=CODE, units=2)
    assert chain.do("a", MoveMember(member=99, plan=CODE)).code == ResultCode.UNKNOWN_MEMBER
    assert chain.do("b", move).code == ResultCode.NOT_THE_ENROLLER
    assert chain.do("a", MoveMember(member=3, plan="nowhere")).code == ResultCode.UNKNOWN_PLAN
    assert chain.do("a", MoveMember(member=1, plan=CODE, units=2)).code == ResultCode.DEPENDANTS_FIRST
    assert chain.do("a", MoveMember(member=3, plan=ELDERLY)).code == ResultCode.TOO_YOUNG
    payer = MoveMember(member=3, plan=CODE, units=2, payer=2)
    assert chain.do("a", payer).code == ResultCode.UNKNOWN_PAYER
    chain.wait(days=91)
    accepted(chain, 3)
    assert chain.do("a", move).code == ResultCode.OPEN_CLAIM_EXISTS
    chain.do("a", Leave(member=1, family=True))
    assert chain.do("a", MoveMember(member=1, plan=CODE, units=2)).code == ResultCode.MEMBERSHIP_ENDED


def test_a_key_is_given_changed_and_taken_once_a_day() -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    give = SetKey(member=1, key=key_of("m"))
    assert chain.do("b", give).code == ResultCode.NOT_THE_ENROLLER
    assert chain.do("a", SetKey(member=1, key=b"")).code == ResultCode.NOTHING_TO_CHANGE
    assert chain.do("a", SetKey(member=1, key=b"short")).code == ResultCode.KEY_IN_USE
    assert chain.do("a", SetKey(member=1, key=key_of("account a"))).code == ResultCode.KEY_IN_USE
    assert chain.do("a", give).code == 0
    assert chain.do("a", SetKey(member=2, key=key_of("m"))).code == ResultCode.KEY_IN_USE
    assert chain.do("a", SetKey(member=1, key=b"")).code == ResultCode.KEY_CHANGED_TODAY
    used = chain.transaction(key_of("m"), Leave(member=2), valid_ms=20 * HOUR_MS)
    assert chain.block(used).receipts[0].code == ResultCode.NOT_THIS_MEMBER
    chain.wait(hours=17)
    assert chain.do("a", SetKey(member=1, key=key_of("other"))).code == 0
    assert chain.do(key_of("m"), Leave(member=1)).code == ResultCode.NOT_THIS_MEMBER
    # Handed to another member, it still knows which sequences it has used.
    assert chain.do("a", SetKey(member=2, key=key_of("m"))).code == 0
    assert chain.block(used).receipts[0].code == ResultCode.SEQUENCE_USED
    chain.do(key_of("other"), Leave(member=1))
    chain.wait(days=1)
    assert chain.do("a", SetKey(member=1, key=b"")).code == ResultCode.MEMBERSHIP_ENDED


@pytest.mark.parametrize("left", [False, True])
def test_a_void_membership_covers_nothing_and_is_not_begun_again(left: bool) -> None:
    chain = Chain()
    enrolled(chain, 1, 2)
    chain.wait(days=91)
    if left:
        chain.do("a", Leave(member=1))
        chain.wait(days=2)
    scope = Scope(chain.state, BlockScope(chain.height, chain.now_ms), Sender(2, 0))
    void_membership(chain.application.registry, scope, 1)
    assert status(chain, 1) == "void"
    claim = FileClaim(
        plan=CODE, member=1, ailment="S01", diagnosis_day=today(chain) - 3, accident=False, evidence=person(1)
    )
    assert chain.do("c", claim).code == ResultCode.MEMBERSHIP_VOID
    chain.wait(days=30)
    assert chain.do("a", Enrol(plan=CODE, members=(new_member(1),))).code == ResultCode.MEMBERSHIP_VOID
    assert load_plan(chain.state, 0).members == 1
    assert chain.state.get(keys.member(1)) is not None
