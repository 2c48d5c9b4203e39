"""The table of a membership's life against what a membership does: day by day, and in random histories."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from node.claims.member_views import member_status
from node.claims.mutual_aid.member_life import MEMBER_TRANSITIONS, MemberStatus, MemberStep
from node.claims.mutual_aid.records import Exit, MemberRecord, load_counters
from tests.property.claims_driver import Driver

DAYS = (
    MemberStep.COVER_BEGINS,
    MemberStep.LAST_DAY_OF_A_LEAVER,
    MemberStep.LAST_DAY_OF_A_MOVER,
    MemberStep.LAST_DAY_OF_A_REMOVED,
    MemberStep.AGE_REACHED,
    MemberStep.LAST_DAY_OF_AN_AIDED,
)
BY_DAY = {(status, after) for (status, step), after in MEMBER_TRANSITIONS.items() if step in DAYS}


def record_of(cover: int, until: int, exit: Exit) -> MemberRecord:
    """Enrolled on day 0."""
    return MemberRecord(
        plan=0,
        organisation=0,
        person=b"",
        birth_month=1990 * 12,
        enrolled_day=0,
        cover_day=cover,
        share_day=1,
        until_day=until,
        exit=exit,
        payer=0,
        key=b"",
        last_claim=0,
        open_claims=0,
        paid_claims=0,
    )


def status_of(word: str) -> MemberStatus:
    return MemberStatus[word.upper().replace("-", "_")]


def reachable() -> set[tuple[MemberStatus, MemberStatus]]:
    """(before, after) over one or more rows of the table."""
    pairs = {(status, after) for (status, _), after in MEMBER_TRANSITIONS.items() if status is not None}
    while True:
        more = pairs | {(a, d) for a, b in pairs for c, d in pairs if b is c}
        if more == pairs:
            return pairs
        pairs = more


REACHABLE = reachable()


@settings(max_examples=300, deadline=None)
@given(
    cover=st.integers(1, 40),
    until=st.integers(0, 60),
    exit=st.sampled_from(Exit),
    in_arrears=st.booleans(),
    today=st.integers(0, 70),
)
def test_from_one_day_to_the_next_a_membership_takes_one_row_of_the_table(
    cover: int, until: int, exit: Exit, in_arrears: bool, today: int
) -> None:
    # A wish, a move and a removal always fix a last day.
    until = until or int(exit in (Exit.LEFT, Exit.MOVED, Exit.REMOVED, Exit.AIDED))
    record = record_of(cover, until, exit)
    before, after = (status_of(member_status(record, day, in_arrears=in_arrears)) for day in (today, today + 1))
    assert before is after or (before, after) in BY_DAY


def test_every_row_that_a_day_brings_can_be_seen() -> None:
    seen = set()
    for exit in Exit:
        for until in (0, 5, 9):
            for in_arrears in (False, True):
                record = record_of(7, until, exit)
                words = [status_of(member_status(record, day, in_arrears=in_arrears)) for day in range(12)]
                seen |= set(pairwise(words))
    assert seen >= BY_DAY


def test_members_of_random_histories_stay_within_the_table() -> None:
    moves: set[tuple[MemberStatus, MemberStatus]] = set()
    for seed in range(8):
        driver = Driver(seed)
        last: dict[int, MemberStatus] = {}
        for _ in range(25):
            driver.run(2)
            state, now = driver.chain.state, driver.chain.now_ms
            for number in range(1, load_counters(state).next_member):
                record = driver.queries.member(state, number, now)
                assert record is not None
                status = status_of(record["status"])
                if number in last and last[number] is not status:
                    moves.add((last[number], status))
                last[number] = status
    assert moves <= REACHABLE
    seen = {after for _, after in moves}
    assert seen >= {
        MemberStatus.ACTIVE,
        MemberStatus.ARREARS,
        MemberStatus.LEFT,
        MemberStatus.REMOVED,
        MemberStatus.AIDED,
    }, seen
