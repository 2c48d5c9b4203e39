"""Values of events and papers: who held one first."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.claims.module import BlockScope, Scope, Sender
from node.claims.mutual_aid.actions import Enrol
from node.claims.nullifiers.holders import (
    HolderRecord,
    ValueKind,
    earlier_claims,
    first_holder,
    load_holder,
    memberships,
    record,
    record_values,
    values_problem,
)
from node.claims.results import ResultCode
from node.claims.state import Draft
from tests.factories import Chain, MemoryState, new_member, person


def value(name: str) -> bytes:
    return sha256(name.encode()).digest()


def make_scope(state: MemoryState | None = None) -> Scope:
    return Scope(state or MemoryState(), BlockScope(1, 1), Sender(0, 0))


def test_the_first_claim_of_a_value_stays_its_holder() -> None:
    scope = make_scope()
    assert first_holder(scope.state, ValueKind.PAPER, value("receipt")) is None
    for claim in (7, 9, 9, 11):
        record(scope, ValueKind.PAPER, value("receipt"), claim)
    assert first_holder(scope.state, ValueKind.PAPER, value("receipt")) == 7
    found = load_holder(scope.state, ValueKind.PAPER, value("receipt"))
    assert found == HolderRecord(first=7, latest=11, count=3)


def test_the_same_bytes_are_different_values_as_event_and_as_paper() -> None:
    scope = make_scope()
    record(scope, ValueKind.EVENT, value("x"), 1)
    assert first_holder(scope.state, ValueKind.PAPER, value("x")) is None


def test_a_claim_does_not_hit_itself_when_its_papers_come_again() -> None:
    scope = make_scope()
    record_values(scope, value("stay"), (value("a"), value("b")), 3)
    assert earlier_claims(scope.state, value("stay"), (value("a"), value("c")), claim=3) == ()
    assert earlier_claims(scope.state, value("stay"), (value("a"), value("c")), claim=4) == (3,)


def test_earlier_claims_are_those_of_any_value_each_once_and_rising() -> None:
    scope = make_scope()
    record_values(scope, b"", (value("a"),), 8)
    record_values(scope, value("stay"), (value("b"), value("c")), 5)
    assert earlier_claims(scope.state, value("stay"), [value(name) for name in "abcd"], claim=9) == (5, 8)
    assert earlier_claims(scope.state, b"", [value("d")], claim=9) == ()


def test_values_recorded_in_a_refused_transaction_are_gone() -> None:
    state = MemoryState()
    record(Scope(Draft(state), BlockScope(1, 1), Sender(0, 0)), ValueKind.EVENT, value("stay"), 1)
    assert first_holder(state, ValueKind.EVENT, value("stay")) is None


@pytest.mark.parametrize(
    ("event", "papers", "is_good"),
    [
        (b"", (), True),
        (bytes(32), (b"\1" * 32, b"\2" * 32), True),
        (bytes(31), (), False),
        (b"", (bytes(31),), False),
        (b"", (b"\2" * 32, b"\1" * 32), False),
        (b"", (b"\1" * 32, b"\1" * 32), False),
        (b"", tuple(bytes([number]) * 32 for number in range(32)), True),
        (b"", tuple(bytes([number]) * 32 for number in range(33)), False),
    ],
)
def test_values_have_one_form(event: bytes, papers: tuple[bytes, ...], is_good: bool) -> None:
    assert values_problem(event, papers) == (ResultCode.OK if is_good else ResultCode.VALUES_OUT_OF_ORDER)


def test_memberships_of_a_person_are_found_in_every_plan() -> None:
    chain = Chain()
    assert chain.do("a", Enrol(plan="critical-illness", members=(new_member(1),))).code == 0
    assert chain.do("b", Enrol(plan="hospital-reimbursement", members=(new_member(2), new_member(1)))).code == 0
    assert memberships(chain.state, range(2), person(1)) == ((0, 1), (1, 3))
    assert memberships(chain.state, range(2), person(3)) == ()
