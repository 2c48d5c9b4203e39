"""Two reviewers, ties declared in advance, and recusal."""

from __future__ import annotations

import pytest

from node.claims.claim_rules import ClaimRules
from node.claims.events import EventKind
from node.claims.genesis import Role
from node.claims.mutual_aid.actions import Decision, DeclareTie, Finding, Investigate, Recuse, Review
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from tests.factories import ORGANISATIONS, ROLES
from tests.unit.claims.claim_life import GROUNDS, REGULATED, Life

TWO = ClaimRules(reviewers=2)
WIDE: dict[str, tuple[Role, ...]] = {**REGULATED, "a": (*ROLES["a"], Role.REVIEWER)}
"""Four reviewers: besides the investigator, three can review."""
ACCEPT, DENY = Decision.ACCEPT, Decision.DENY


def decide(life: Life, decision: Decision, amount: int = 0) -> str:
    """The review of whoever has the turn; returns who it was."""
    turn = life.turn
    if decision is DENY:
        assert life.do(Review(claim=1, decision=DENY, **GROUNDS)) is ResultCode.OK  # type: ignore[arg-type]
    else:
        assert life.do(Review(claim=1, decision=ACCEPT, amount=amount)) is ResultCode.OK
    return turn


def test_two_reviewers_are_of_other_organisations_than_the_investigator_and_each_other() -> None:
    life = Life(rules=TWO, roles=WIDE)
    investigator = life.turn
    life.to(ClaimStatus.INVESTIGATED)
    first = decide(life, ACCEPT)
    assert (life.status, life.happened(EventKind.REVIEW_GIVEN)) == (ClaimStatus.INVESTIGATED, True)
    assert life.claim.deadline_ms == life.chain.now_ms + 240 * HOUR_MS
    assert life.do(Review(claim=1, decision=ACCEPT), by=first) is ResultCode.NOT_ASSIGNED
    second = decide(life, ACCEPT)
    assert len({investigator, first, second}) == 3
    assert (life.status, life.claim.amount, len(life.claim.reviews)) == (ClaimStatus.ACCEPTED, 30_000_000, 2)


def test_two_denials_deny() -> None:
    life = Life(rules=TWO, roles=WIDE).to(ClaimStatus.INVESTIGATED)
    decide(life, DENY)
    assert life.status is ClaimStatus.INVESTIGATED
    decide(life, DENY)
    assert (life.status, life.claim.clause) == (ClaimStatus.DENIED, "3.1")


@pytest.mark.parametrize("first", [ACCEPT, DENY])
@pytest.mark.parametrize("third", [ACCEPT, DENY])
def test_if_two_disagree_a_third_decides(first: Decision, third: Decision) -> None:
    life = Life(rules=TWO, roles=WIDE).to(ClaimStatus.INVESTIGATED)
    decided = [decide(life, first), decide(life, DENY if first is ACCEPT else ACCEPT)]
    assert life.status is ClaimStatus.INVESTIGATED
    decided.append(decide(life, third))
    assert len(set(decided)) == 3
    assert life.status is (ClaimStatus.ACCEPTED if third is ACCEPT else ClaimStatus.DENIED)


@pytest.mark.parametrize("first", [ACCEPT, DENY])
def test_without_a_third_organisation_the_denial_stands(first: Decision) -> None:
    """Investigator d or c leaves two reviewers."""
    life = Life(rules=TWO)
    while life.turn not in ("c", "d"):
        life.deadline()
    life.to(ClaimStatus.INVESTIGATED)
    decide(life, first)
    decide(life, DENY if first is ACCEPT else ACCEPT)
    assert (life.status, life.claim.clause, life.claim.amount) == (ClaimStatus.DENIED, "3.1", 0)


def test_of_two_amounts_the_lower_is_granted() -> None:
    for amounts in ((4_000, 3_000), (3_000, 4_000)):
        life = Life(rules=TWO, roles=WIDE, hospital=True).to(ClaimStatus.INVESTIGATED)
        for amount in amounts:
            decide(life, ACCEPT, amount)
        assert (life.status, life.claim.amount) == (ClaimStatus.ACCEPTED, 3_000)


def test_where_there_is_one_other_reviewer_its_decision_is_enough() -> None:
    roles: dict[str, tuple[Role, ...]] = {
        "a": (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER),
        "b": (Role.ENROLLER, Role.REVIEWER, Role.PAYMENT),
        "c": (Role.INTAKE,),
        "d": (Role.AUDITOR,),
    }
    life = Life(rules=TWO, roles=roles).to(ClaimStatus.INVESTIGATED)
    decide(life, ACCEPT)
    assert life.status is ClaimStatus.ACCEPTED


def test_the_second_reviewer_is_replaced_when_late_and_never_by_the_first() -> None:
    life = Life(rules=TWO, roles=WIDE).to(ClaimStatus.INVESTIGATED)
    first = decide(life, ACCEPT)
    late = life.turn
    life.deadline()
    assert life.turn not in (late, first, ORGANISATIONS[life.claim.investigator])
    assert life.missed(late).reviews_missed == 1
    for _ in range(4):
        life.deadline()
        assert life.turn not in (first, ORGANISATIONS[life.claim.investigator])


# Ties.


@pytest.mark.parametrize("to", [{"member": 2}, {"organisation": "a"}])
def test_who_declared_a_tie_does_not_investigate(to: dict[str, object]) -> None:
    """Member 2 was enrolled by a; c and d could investigate."""
    for name, other in (("c", "d"), ("d", "c")):
        life = Life()
        assert life.do(DeclareTie(**to), by=name) is ResultCode.OK  # type: ignore[arg-type]
        assert life.happened(EventKind.TIE_DECLARED)
        assert life.file("c", 2) is ResultCode.OK
        for _ in range(3):
            record = the_claim(life.chain.state, 2)
            assert ORGANISATIONS[record.assigned] == other
            life.chain.until(record.deadline_ms)


def test_who_declared_a_tie_to_the_investigator_does_not_review() -> None:
    life = Life()
    investigator = life.turn
    others = [name for name in "bcd" if name != investigator]
    assert life.do(DeclareTie(organisation=investigator), by=others[0]) is ResultCode.OK
    life.to(ClaimStatus.INVESTIGATED)
    for _ in range(3):
        assert life.turn not in (others[0], investigator)
        life.deadline()


def test_a_tie_is_the_senders_own_to_one_and_can_end() -> None:
    life = Life()
    for tie, code in (
        (DeclareTie(), ResultCode.TIE_TO_ONE),
        (DeclareTie(member=1, organisation="a"), ResultCode.TIE_TO_ONE),
        (DeclareTie(member=99), ResultCode.UNKNOWN_MEMBER),
        (DeclareTie(organisation="nobody"), ResultCode.UNKNOWN_ORGANISATION),
        (DeclareTie(organisation="d"), ResultCode.UNKNOWN_ORGANISATION),
        (DeclareTie(member=1, ends=True), ResultCode.TIE_UNCHANGED),
        (DeclareTie(member=1), ResultCode.OK),
        (DeclareTie(member=1), ResultCode.TIE_UNCHANGED),
        (DeclareTie(member=1, ends=True), ResultCode.OK),
        (DeclareTie(organisation="a"), ResultCode.OK),
    ):
        assert life.do(tie, by="d") is code, tie
    assert life.do(DeclareTie(organisation="d"), by="a") is ResultCode.TIE_UNCHANGED


def test_ties_of_all_do_not_stop_a_claim() -> None:
    life = Life()
    for name in "acd":
        assert life.do(DeclareTie(member=2), by=name) is ResultCode.OK
    assert life.file("c", 2) is ResultCode.OK


# Recusal.


def test_who_has_recused_itself_gets_no_step_of_the_claim_again() -> None:
    life = Life()
    first = life.turn
    assert life.do(Recuse(claim=1)) is ResultCode.OK
    assert life.missed(first).investigations_missed == 0
    for _ in range(4):
        assert life.turn != first
        life.deadline()
    assert life.do(Investigate(claim=1, finding=Finding.PASS, report=bytes(32))) is ResultCode.OK
    if life.turn != first:
        for _ in range(4):
            assert life.turn != first
            life.deadline()


def test_the_last_one_cannot_recuse_itself() -> None:
    life = Life()
    turns = []
    for _ in range(3):
        turns.append(life.turn)
        if life.do(Recuse(claim=1)) is ResultCode.NOBODY_ELSE:
            break
    assert turns[-1] == life.turn
    assert len(turns) == len(set(turns)) == 3
    assert set(turns) == {"a", "c", "d"}


def test_recusal_works_for_whoever_decides_an_objection() -> None:
    life = Life().to(ClaimStatus.OBJECTED)
    first = life.turn
    code = life.do(Recuse(claim=1))
    if code is ResultCode.OK:
        assert life.turn != first
    else:
        assert code is ResultCode.NOBODY_ELSE


def test_a_thousand_missed_turns_are_counted_at_once() -> None:
    """A chain that stood still pays for one round, and leaves what a punctual one would have left."""
    still, punctual = Life(), Life()
    period = 720 * HOUR_MS
    for _ in range(7):
        punctual.deadline()
    still.chain.until(punctual.chain.now_ms)
    assert still.claim == punctual.claim
    for name in ORGANISATIONS:
        assert still.missed(name) == punctual.missed(name)
    still.chain.block(later_ms=1_000 * period)
    assert sum(still.missed(name).investigations_missed for name in ORGANISATIONS) == 1_007
