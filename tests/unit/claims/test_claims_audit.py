"""The audit finds nothing in a good state, and each kind of planted corruption in a bad one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.audit import STEP, Audit
from node.claims.consortium import SenderRecord
from node.claims.mutual_aid.actions import Enrol, RecordContribution
from node.claims.mutual_aid.records import (
    AccountRecord,
    CaseRow,
    ClaimRecord,
    Cohorts,
    Counters,
    CycleRecord,
    DayChange,
    MemberRecord,
    PlanState,
    PlanTally,
    Receivables,
    load_plan,
    the_claim,
)
from node.claims.mutual_aid.transitions import ClaimStatus, DeadlineKind
from node.claims.wire import Wire, decode_trusted, encode
from tests.factories import Chain, key_of, make_genesis, new_member, person, plan, with_terms
from tests.property.claims_driver import Driver
from tests.unit.claims.test_claims_settlement import CODE, accepted, enrolled, until_settled


def audited(chain: Chain) -> dict[str, list[str]]:
    audit = Audit(chain.genesis, chain.state)
    found: dict[str, list[str]] = {}
    for finding in audit.run():
        found.setdefault(finding.what, []).append(f"{finding.where}: {finding.text}")
    return found


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_found_in_what_a_random_history_left(seed: int) -> None:
    driver = Driver(seed)
    driver.run(45)
    assert audited(driver.chain) == {}


@cache
def history() -> dict[bytes, bytes]:
    """A plan with a yearly cap: a settled cycle, a confirmed claim, a payer with a balance, a member with a key."""
    chain = begin()
    family = (new_member(1, key=key_of("m")), new_member(2, payer=-1), new_member(3), new_member(4))
    assert chain.do("a", Enrol(plan=CODE, members=family)).code == 0
    enrolled(chain, 5, birth_year=1966, by="b")
    chain.wait(days=91)
    assert chain.do("a", RecordContribution(member=1, amount=10**9, receipt=person(1))).code == 0
    until_settled(chain, accepted(chain, 3))
    number = accepted(chain, 4)
    while the_claim(chain.state, number).status is not ClaimStatus.CONFIRMED:
        chain.wait(hours=20)
    enrolled(chain, 6)
    accepted(chain, 1)
    assert audited(chain) == {}
    return dict(chain.state.records)


def begin() -> Chain:
    costs = {"costs": replace(plan(CODE).costs, year_cap_minor_units=10_000_000), "exit_after_payout": False}
    return Chain(make_genesis(plans=(with_terms(plan(CODE), **costs),)))


def spoiled(key: bytes, kind: type[Wire], **changes: Any) -> Callable[[Chain], None]:
    def spoil(chain: Chain) -> None:
        raw = chain.state.get(key)
        assert raw is not None
        chain.state.put(key, encode(replace(decode_trusted(kind, raw), **changes)))

    return spoil


def first(table: int) -> Callable[[Chain], bytes]:
    return lambda chain: next(iter(chain.state.scan(*keys.table(table))))[0]


def dropped(find: Callable[[Chain], bytes]) -> Callable[[Chain], None]:
    return lambda chain: chain.state.delete(find(chain))


def added(key: bytes, value: object = ()) -> Callable[[Chain], None]:
    return lambda chain: chain.state.put(key, encode(value))


def deadline_of(number: int) -> Callable[[Chain], bytes]:
    def find(chain: Chain) -> bytes:
        rows = (key for key, _ in chain.state.scan(*keys.table(keys.DEADLINE)))
        return next(key for key in rows if keys.parse_deadline(key)[1:] == (DeadlineKind.REVIEW + 1, number))

    return find


def shifted(find: Callable[[Chain], bytes], kind: type[Wire], change: Callable[[Any], Any]) -> Callable[[Chain], None]:
    def spoil(chain: Chain) -> None:
        key = find(chain)
        raw = chain.state.get(key)
        assert raw is not None
        chain.state.put(key, encode(change(decode_trusted(kind, raw))))

    return spoil


PLANTED: dict[str, tuple[str, Callable[[Chain], None]]] = {
    "debits too high": ("equation", spoiled(keys.plan_state(0), PlanState, debits=7)),
    "a share that no cycle had": ("cycle", spoiled(keys.plan_state(0), PlanState, accumulated=7)),
    "a member weighs more": ("bills", spoiled(keys.member(3), MemberRecord, units=9)),
    "a member counts elsewhere": ("head count", spoiled(keys.member(3), MemberRecord, organisation=3)),
    "a member left unseen": ("head count", spoiled(keys.member(3), MemberRecord, until_day=20_500)),
    "a member never enrolled": ("counter", added(keys.member(99), ())),
    "a member lost": ("tally", dropped(lambda _: keys.member(6))),
    "an open claim forgotten": ("open claims", spoiled(keys.member(1), MemberRecord, open_claims=0)),
    "a payout forgotten": ("paid claims", spoiled(keys.member(3), MemberRecord, paid_claims=1)),
    "a payer who pays through another": ("payer", spoiled(keys.member(2), MemberRecord, payer=99)),
    "a key of somebody else": (
        "key",
        spoiled(keys.sender(key_of("m")), SenderRecord, member=2),
    ),
    "a person lost": ("person", dropped(lambda _: keys.person(0, person(3)))),
    "a person who is nobody": ("orphan", added(keys.person(0, person(77)), (99,))),
    "a tally of claims": (
        "tally",
        shifted(lambda _: keys.plan_tally(0), PlanTally, lambda one: replace(one, claims=(*one.claims[:-1], 1))),
    ),
    "a tally too short": ("tally", spoiled(keys.plan_tally(0), PlanTally, claims=(0,) * 3)),
    "a counter of claims": ("counter", spoiled(keys.counters, Counters, next_claim=9)),
    "an organisation owes less": ("bills", spoiled(keys.receivables(0), Receivables, debits=(0, 0, 0, 0))),
    "a deadline lost": ("deadline", dropped(first(keys.DEADLINE))),
    "a deadline of no claim": ("orphan", added(keys.deadline(2**50, DeadlineKind.REVIEW, 99), ())),
    "a settlement of no cycle": ("orphan", added(keys.deadline(2**50, DeadlineKind.PLAN_SETTLEMENT, 0), ())),
    "a second disclosure": ("deadline", added(keys.deadline(2**50, DeadlineKind.PLAN_DISCLOSURE, 0), ())),
    "a removal of nobody": ("orphan", added(keys.deadline(2**50, DeadlineKind.REMOVAL, 3), ())),
    "a final claim with a deadline": ("deadline", spoiled(keys.claim(1), ClaimRecord, deadline_ms=0)),
    "a claim of no plan": ("plan", spoiled(keys.claim(1), ClaimRecord, plan=9)),
    "a claim granted more": ("case", spoiled(keys.claim(2), ClaimRecord, amount=1)),
    "a settled claim worth less": ("payable", spoiled(keys.claim(1), ClaimRecord, payable=1)),
    "a case lost": ("case", dropped(lambda _: keys.case(0, 2))),
    "a case of no claim": ("orphan", added(keys.case(0, 99), CaseRow(granted=1))),
    "a cycle lost": ("cycle", dropped(lambda _: keys.cycle(0, 3))),
    "a cycle of other units": ("cycle", spoiled(keys.cycle(0, 3), CycleRecord, members=99)),
    "a cycle of another version": ("cycle", spoiled(keys.cycle(0, 3), CycleRecord, version=9)),
    "a head count of a day": ("day", shifted(first(keys.DAY_CHANGE), DayChange, lambda _: DayChange(change=77))),
    "a head count of a day lost": ("day", dropped(first(keys.DAY_CHANGE))),
    "an exit of a cohort lost": ("day", dropped(first(keys.COHORT_EXIT))),
    "a cohort charged less": (
        "cohort",
        shifted(
            lambda _: keys.cohorts(0),
            Cohorts,
            lambda all_: replace(all_, cohorts=tuple(replace(one, charged=1) for one in all_.cohorts)),
        ),
    ),
    "a cohort of fewer": (
        "cohort",
        shifted(
            lambda _: keys.cohorts(0),
            Cohorts,
            lambda all_: replace(all_, cohorts=tuple(replace(one, units=(0, 0, 0, 0)) for one in all_.cohorts)),
        ),
    ),
    "a balance unwatched": ("balance", dropped(first(keys.THRESHOLD))),
    "a balance watched twice": ("orphan", added(keys.threshold(0, 2**40, 1), ())),
    "a balance spent unseen": ("balance", spoiled(keys.account(1), AccountRecord, paid_in=0)),
    "a balance of a dependant": (
        "balance",
        added(keys.account(2), AccountRecord(plan=0, paid_in=0, own=True)),
    ),
    "bytes that are no record": ("unreadable", lambda chain: chain.state.put(keys.member(3), b"\xc1")),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_corruption_is_found(name: str) -> None:
    chain = begin()
    chain.state.records.clear()
    for key, value in history().items():
        chain.state.put(key, value)
    what, spoil = PLANTED[name]
    spoil(chain)
    found = audited(chain)
    # A record that cannot be read ends the audit; it is never passed over.
    assert what in found or "unreadable" in found, found


def test_progress_is_told_now_and_then() -> None:
    told: list[tuple[str, int]] = []
    chain = Chain()
    for number in range(STEP + 1):
        chain.state.put(keys.person(0, person(number)), encode((1,)))
    Audit(chain.genesis, chain.state, lambda what, count: told.append((what, count))).run()
    assert ("persons", STEP) in told
    assert load_plan(chain.state, 0).members == 0
