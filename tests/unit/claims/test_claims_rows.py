"""Every row of the rulebook: a test that takes it, one that its guard refuses, one in which its deadline passes.

The names say which: `test_row_07_taken`, `test_row_07_refused`, `test_row_07_late`. Rows 1 to 15 are here, those of
juries in test_claims_jury_rows.py, the later ones and the test that none is missing in test_claims_later_rows.py;
finer guards are in the files of each step.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.claim_rules import ClaimRules
from node.claims.events import EventKind
from node.claims.mutual_aid.actions import (
    AdmitClaim,
    ConfirmPayment,
    DecideObjection,
    Decision,
    ExtendInvestigation,
    Extension,
    Finding,
    Investigate,
    Object,
    Recuse,
    ResolveHold,
    ResubmitClaim,
    ReturnClaim,
    Review,
)
from node.claims.mutual_aid.records import ClaimRecord, the_claim, the_member
from node.claims.mutual_aid.transitions import (
    ClaimStatus,
)
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from node.claims.wire import encode
from tests.factories import ORGANISATIONS, make_genesis, person
from tests.unit.claims.claim_life import APRIL_1, GROUNDS, Life, member_key

OK = ResultCode.OK
VALUE = person(70)


def late(life: Life) -> tuple[ClaimRecord, str]:
    """The claim after its deadline, seen a day later, and whose step it was; also as a clock that lags leaves it."""
    due, turn = life.claim.deadline_ms, ORGANISATIONS[life.claim.assigned]
    life.chain.until(due - 1)
    before = life.claim
    life.chain.until(due + 7 * HOUR_MS)
    assert life.claim != before
    assert life.claim.changed_ms == due, "a late clock leaves the due time"
    return life.claim, turn


# 1: filed.


def test_row_01_taken() -> None:
    assert Life().status is ClaimStatus.FILED
    own = Life(by_member=True)
    assert (own.status, own.turn in "ac", own.claim.filer) == (ClaimStatus.INTAKE, True, -1)
    assert own.claim.deadline_ms == own.claim.filed_ms + 120 * HOUR_MS
    assert own.open_claims == 1


def test_row_01_refused() -> None:
    assert Life().file("c") is ResultCode.OPEN_CLAIM_EXISTS
    assert Life().file("c", 2, diagnosis_day=APRIL_1 + 30) is ResultCode.DIAGNOSIS_IN_FUTURE


# 2: returned for papers.


def test_row_02_taken() -> None:
    life = Life(by_member=True)
    intake = life.turn
    assert life.do(ReturnClaim(claim=1, missing=9)) is OK
    assert (life.status, life.claim.missing, life.claim.assigned) == (ClaimStatus.RETURNED, 9, -1)
    assert life.claim.deadline_ms == life.chain.now_ms + 720 * HOUR_MS
    assert ORGANISATIONS[life.claim.intake] == intake


def test_row_02_refused() -> None:
    life = Life(by_member=True)
    other = "ac".replace(life.turn, "")
    assert life.do(ReturnClaim(claim=1, missing=0)) is ResultCode.NO_PAPER_NAMED
    assert life.do(ReturnClaim(claim=1, missing=1), by=other) is ResultCode.NOT_ASSIGNED
    assert Life().do(ReturnClaim(claim=1, missing=1), by="a") is ResultCode.WRONG_CLAIM_STATUS


def test_row_02_late() -> None:
    claim, turn = late(life := Life(by_member=True))
    assert (claim.status, claim.intake) == (ClaimStatus.FILED, -1)
    assert claim.deadline_ms == claim.changed_ms + 720 * HOUR_MS
    assert life.missed(turn).intakes_missed == 1


# 3: papers sent again.


def test_row_03_taken() -> None:
    for sender in (member_key(1), "a", None):
        life = Life(by_member=True).to(ClaimStatus.RETURNED)
        intake = ORGANISATIONS[life.claim.intake]
        assert life.do(ResubmitClaim(claim=1, evidence=person(60)), by=sender or intake) is OK
        assert (life.status, life.turn) == (ClaimStatus.INTAKE, intake)
        assert (life.claim.evidence, life.claim.missing) == (person(60), 0)


def test_row_03_refused() -> None:
    life = Life(by_member=True).to(ClaimStatus.RETURNED)
    again = ResubmitClaim(claim=1, evidence=person(60))
    assert life.do(again, by=member_key(2)) is ResultCode.NOT_THIS_MEMBER
    if ORGANISATIONS[life.claim.intake] == "a":
        assert life.do(again, by="c") is ResultCode.NOT_THE_FILER
    assert Life(by_member=True).do(again, by=member_key(1)) is ResultCode.WRONG_CLAIM_STATUS


def test_row_03_late() -> None:
    claim, _ = late(life := Life(by_member=True).to(ClaimStatus.RETURNED))
    assert (claim.status, claim.deadline_ms, life.open_claims) == (ClaimStatus.LAPSED, 0, 0)
    assert life.file(member_key(1)) is OK, "the member may file again"


# 4: admitted and assigned.


def test_row_04_taken() -> None:
    life = Life(by_member=True)
    intake = life.claim.assigned
    assert life.do(AdmitClaim(claim=1)) is OK
    assert (life.status, life.turn in "cd", life.claim.intake) == (ClaimStatus.FILED, True, intake)


def test_row_04_refused() -> None:
    life = Life(by_member=True)
    assert life.do(AdmitClaim(claim=1), by="ac".replace(life.turn, "")) is ResultCode.NOT_ASSIGNED
    assert Life().do(AdmitClaim(claim=1), by="a") is ResultCode.WRONG_CLAIM_STATUS


# 5 and 6: duplicates. Claim 2 of member 2 brings the paper that claim 3 of member 3 brings too.


def duplicate() -> Life:
    life = Life()
    assert life.file("c", 2, papers=(VALUE,)) is OK
    assert life.file("c", 3, papers=(VALUE,)) is OK
    return life


def third(life: Life) -> ClaimRecord:
    return the_claim(life.chain.state, 3)


def resolve(life: Life, decision: Decision, **grounds: object) -> ResultCode:
    action = ResolveHold(claim=3, decision=decision, **grounds)  # type: ignore[arg-type]
    return life.do(action, by=ORGANISATIONS[third(life).assigned])


def test_row_05_taken() -> None:
    assert (third(duplicate()).status, third(duplicate()).duplicate) == (ClaimStatus.DUP_HOLD, 2)


def test_row_05_refused() -> None:
    assert Life().file("c", 2, papers=(VALUE, VALUE)) is ResultCode.VALUES_OUT_OF_ORDER


def test_row_05_late() -> None:
    life = duplicate()
    due = third(life).deadline_ms
    life.chain.until(due + HOUR_MS)
    claim = third(life)
    assert (claim.status, claim.changed_ms, claim.explanation) == (ClaimStatus.FILED, due, b"")


def test_row_06_taken() -> None:
    life = duplicate()
    assert resolve(life, Decision.ACCEPT, evidence=person(61)) is OK
    assert (third(life).status, third(life).explanation) == (ClaimStatus.FILED, person(61))
    denied = duplicate()
    assert resolve(denied, Decision.DENY, **GROUNDS) is OK
    assert third(denied).status is ClaimStatus.DENIED


def test_row_06_refused() -> None:
    life = duplicate()
    assert resolve(life, Decision.ACCEPT) is ResultCode.HOLD_WITHOUT_EXPLANATION
    assert resolve(life, Decision.DENY, evidence=person(61)) is ResultCode.DENIAL_WITHOUT_GROUNDS


# 7: investigated.


def test_row_07_taken() -> None:
    life = Life()
    due = life.claim.deadline_ms
    extension = ExtendInvestigation(claim=1, reason=Extension.FIELD_VISIT_OUTSTANDING)
    assert life.do(extension) is OK
    assert (life.claim.deadline_ms, life.claim.extended) == (due + 720 * HOUR_MS, 2)
    assert life.do(Recuse(claim=1)) is OK
    report = Investigate(claim=1, finding=Finding.FAIL, report=person(3), clause="3.1", reason=1)
    assert life.do(report) is OK
    assert (life.status, life.claim.finding) == (ClaimStatus.INVESTIGATED, 2)


def test_row_07_refused() -> None:
    life = Life()
    assert life.do(Investigate(claim=1, finding=Finding.FAIL, report=person(3))) is ResultCode.FINDING_WITHOUT_GROUNDS
    assert life.do(ExtendInvestigation(claim=1, reason=9)) is ResultCode.EXTENSION_WITHOUT_REASON
    assert life.do(ExtendInvestigation(claim=1, reason=1)) is OK
    assert life.do(ExtendInvestigation(claim=1, reason=1)) is ResultCode.ALREADY_EXTENDED
    others = [name for name in "cd" if name != life.turn]
    assert life.do(Recuse(claim=1), by=others[0]) is ResultCode.NOT_ASSIGNED


def test_row_07_late() -> None:
    claim, turn = late(life := Life())
    assert (claim.status, claim.attempt, life.turn != turn) == (ClaimStatus.FILED, 1, True)
    assert life.missed(turn).investigations_missed == 1


# 8: reviewed, and queued for a cycle.


def test_row_08_taken() -> None:
    accepted = Life().to(ClaimStatus.ACCEPTED)
    assert (accepted.claim.amount, accepted.claim.cycle) == (30_000_000, accepted.plan.cycle)
    assert accepted.claim.deadline_ms == accepted.plan.disclosure_ms > accepted.chain.now_ms
    denied = Life().to(ClaimStatus.DENIED)
    assert (denied.claim.clause, denied.claim.reason, denied.claim.amount) == ("3.1", 1, 0)
    two = Life(rules=ClaimRules(reviewers=2)).to(ClaimStatus.INVESTIGATED)
    assert two.do(Review(claim=1, decision=Decision.ACCEPT)) is OK
    assert two.happened(EventKind.REVIEW_GIVEN) or two.status is ClaimStatus.ACCEPTED


def test_row_08_refused() -> None:
    life = Life().to(ClaimStatus.INVESTIGATED)
    assert life.do(Review(claim=1, decision=Decision.DENY)) is ResultCode.DENIAL_WITHOUT_GROUNDS
    court = Review(claim=1, decision=Decision.DENY, clause="3.1", evidence=person(4), reason=10)
    assert life.do(court) is ResultCode.UNKNOWN_REASON
    assert life.do(Review(claim=1, decision=Decision.ACCEPT, amount=1)) is ResultCode.AMOUNT_IS_FIXED


def test_row_08_late() -> None:
    claim, turn = late(life := Life().to(ClaimStatus.INVESTIGATED))
    assert (claim.status, life.turn != turn) == (ClaimStatus.INVESTIGATED, True)
    assert life.missed(turn).reviews_missed == 1


# 10, 13, 14: the clock.


def test_row_10_late() -> None:
    claim, _ = late(Life().to(ClaimStatus.ACCEPTED))
    assert (claim.status, claim.deadline_ms) == (ClaimStatus.PUBLISHED, claim.changed_ms + 72 * HOUR_MS)


def test_row_13_late() -> None:
    life = Life().to(ClaimStatus.PUBLISHED)
    assert (life.plan.confirmed_amount, life.plan.confirmed_cases) == (0, 0)
    claim, _ = late(life)
    assert claim.status is ClaimStatus.CONFIRMED
    assert (life.plan.confirmed_amount, life.plan.confirmed_cases) == (30_000_000, 1)


def test_row_14_late() -> None:
    claim, _ = late(life := Life().to(ClaimStatus.CONFIRMED))
    assert (claim.status, life.turn in "bd") == (ClaimStatus.SETTLED, True)
    assert (life.plan.payable, life.plan.confirmed_cases) == (30_000_000, 0)


# 11 and 12: objections.


def test_row_11_taken() -> None:
    life = Life().to(ClaimStatus.PUBLISHED)
    assert life.do(Object(claim=1, member=2, evidence=person(8)), by=member_key(2)) is OK
    assert (life.status, life.claim.objector, life.claim.objections) == (ClaimStatus.OBJECTED, 2, 1)
    assert life.claim.assigned not in (life.claim.investigator, life.claim.reviewer)
    assert life.claim.deadline_ms == life.chain.now_ms + 240 * HOUR_MS
    assert the_member(life.chain.state, 2).objected_cycle == life.claim.cycle


def test_row_11_refused() -> None:
    life = Life().to(ClaimStatus.PUBLISHED)
    object_ = Object(claim=1, member=2, evidence=person(8))
    assert life.do(replace(object_, member=1), by=member_key(1)) is ResultCode.OWN_CLAIM
    assert life.do(object_, by=member_key(3)) is ResultCode.NOT_THIS_MEMBER
    assert life.do(object_, by="d") is ResultCode.NOT_THE_FILER
    assert life.do(replace(object_, member=99), by="a") is ResultCode.UNKNOWN_MEMBER
    assert Life().do(object_, by="a") is ResultCode.WRONG_CLAIM_STATUS
    none = Life(objections_max=0).to(ClaimStatus.PUBLISHED)
    assert none.do(object_, by="a") is ResultCode.OBJECTIONS_EXHAUSTED


def test_row_12_taken() -> None:
    refused = Life().to(ClaimStatus.OBJECTED)
    cycle = refused.claim.cycle
    assert refused.do(DecideObjection(claim=1, decision=Decision.ACCEPT)) is OK
    assert (refused.status, refused.claim.cycle) == (ClaimStatus.ACCEPTED, cycle + 1)
    assert refused.claim.deadline_ms == refused.plan.disclosure_ms
    upheld = Life().to(ClaimStatus.OBJECTED)
    assert upheld.uphold() is OK
    assert (upheld.status, upheld.claim.amount, upheld.claim.clause) == (ClaimStatus.DENIED, 0, "3.1")


def test_row_12_refused() -> None:
    life = Life().to(ClaimStatus.OBJECTED)
    assert life.do(DecideObjection(claim=1, decision=Decision.DENY)) is ResultCode.DENIAL_WITHOUT_GROUNDS
    other = next(name for name in "bcd" if name != life.turn)
    assert life.do(DecideObjection(claim=1, decision=Decision.ACCEPT), by=other) is ResultCode.NOT_ASSIGNED


def test_row_12_late() -> None:
    life = Life().to(ClaimStatus.OBJECTED)
    cycle = life.claim.cycle
    claim, turn = late(life)
    assert (claim.status, claim.cycle > cycle) == (ClaimStatus.ACCEPTED, True)
    assert life.missed(turn).objections_missed == 1


# 15: paid.


def test_row_15_taken() -> None:
    life = Life().to(ClaimStatus.PAID)
    assert (life.open_claims, the_member(life.chain.state, 1).paid_claims) == (0, 1)
    assert (life.plan.payable, life.plan.paid) == (0, 30_000_000)


def test_row_15_refused() -> None:
    life = Life().to(ClaimStatus.SETTLED)
    assert life.do(ConfirmPayment(claim=1, amount=1, receipt=person(2))) is ResultCode.WRONG_PAYMENT_AMOUNT
    assert life.file("c", 1, ailment="S02") is ResultCode.OPEN_CLAIM_EXISTS
    paid = Life(exit_after_payout=False).to(ClaimStatus.PAID)
    assert paid.file("c", 1, ailment="S02") is ResultCode.ALREADY_PAID


def test_row_15_late() -> None:
    claim, turn = late(life := Life().to(ClaimStatus.SETTLED))
    assert (claim.status, life.turn != turn) == (ClaimStatus.SETTLED, True)
    assert life.missed(turn).payments_missed == 1


# A member's objections.


def test_a_member_objects_once_a_cycle_and_a_claim_is_objected_to_so_often() -> None:
    life = Life().to(ClaimStatus.OBJECTED)
    object_ = Object(claim=1, member=2, evidence=person(8))
    for objector in (3, 4):
        assert life.do(DecideObjection(claim=1, decision=Decision.ACCEPT)) is OK
        life.deadline()
        assert life.status is ClaimStatus.PUBLISHED
        code = life.do(replace(object_, member=objector), by=member_key(objector))
        assert code is (OK if objector == 3 else ResultCode.OBJECTIONS_EXHAUSTED)
    life.deadline()
    assert life.status is ClaimStatus.CONFIRMED


def test_a_members_objection_of_the_cycle_is_used_whatever_claim_it_was_to() -> None:
    life = Life()
    assert life.file("c", 3) is OK
    life.to(ClaimStatus.ACCEPTED)

    def act(action: Investigate | Review) -> None:
        assert life.do(action, by=ORGANISATIONS[the_claim(life.chain.state, 2).assigned]) is OK

    act(Investigate(claim=2, finding=Finding.PASS, report=person(3)))
    act(Review(claim=2, decision=Decision.ACCEPT))
    life.deadline()
    assert life.do(Object(claim=2, member=2, evidence=person(8)), by=member_key(2)) is OK
    assert life.do(Object(claim=1, member=2, evidence=person(8)), by=member_key(2)) is ResultCode.OBJECTION_USED


def test_an_objection_decided_while_the_clock_lags_is_not_judged_on_stale_state() -> None:
    life = Life().to(ClaimStatus.OBJECTED)
    turn = life.turn
    life.chain.application.genesis = make_genesis(deadlines_per_block=1)
    life.chain.wait(days=40)
    assert life.do(DecideObjection(claim=1, decision=Decision.ACCEPT), by=turn) is ResultCode.CLOCK_BEHIND


def test_who_comes_back_under_a_new_number_has_its_old_claims_still() -> None:
    """One open claim and one payout for each person and plan, whatever records the person has had."""
    life = Life(exit_after_payout=False)
    for number, before in ((3, 2), (2, 1)):
        record = replace(the_member(life.chain.state, number), came_from=before)
        life.chain.state.put(keys.member(number), encode(record))
    assert life.file("c", 3) is ResultCode.OPEN_CLAIM_EXISTS
    assert life.file("c", 4) is OK
    life.to(ClaimStatus.PAID)
    assert life.file("c", 3) is ResultCode.ALREADY_PAID
