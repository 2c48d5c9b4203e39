"""A claim with papers, for tests of evidence items."""

from __future__ import annotations

from msgspec.structs import replace

from node.claims.application import Receipt
from node.claims.calendar import day_number, start_of
from node.claims.evidence.actions import (
    EraseEvidence,
    Purpose,
    Recipient,
    RegisterEvidence,
)
from node.claims.evidence.records import ItemRecord, the_item
from node.claims.genesis import EvidenceRules, Role
from node.claims.mutual_aid.actions import (
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Reason,
    Review,
)
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.types import HOUR_MS
from tests.factories import ORGANISATIONS, ROLES, Chain, key_of, make_genesis, new_member, person, plan, with_terms
from tests.unit.claims.claim_life import REGULATED

CODE = "critical-illness"
APRIL_1 = day_number(2026, 4, 1)
MEMBER = key_of("member")
STRANGER = key_of("stranger")
RULES = EvidenceRules(hold_after_payment_days=20, hold_after_denial_days=10)


def account(name: str) -> bytes:
    return key_of(f"account {name}")


class Desk:
    """Claim 1, filed by c for a member of a; an investigator is assigned."""

    def __init__(self, *, by: str | bytes = "c") -> None:
        terms = with_terms(plan(CODE), evidence=RULES)
        self.chain = Chain(make_genesis(plans=(terms,), roles={**REGULATED, "c": (*ROLES["c"], Role.REGULATOR)}))
        self.do("a", Enrol(plan=CODE, members=(new_member(1, key=MEMBER), new_member(2, key=key_of("other")))))
        self.chain.until(start_of(APRIL_1 + 9, 480))
        claim = FileClaim(plan=CODE, member=1, ailment="S01", diagnosis_day=APRIL_1, accident=False, evidence=person(9))
        assert self.do(by, claim) == ResultCode.OK

    def send(self, sender: str | bytes, *actions: Action) -> Receipt:
        return self.chain.do(sender, *actions)

    def do(self, sender: str | bytes, *actions: Action) -> ResultCode:
        return ResultCode(self.send(sender, *actions).code)

    @property
    def investigator(self) -> str:
        return ORGANISATIONS[the_claim(self.chain.state, 1).assigned]

    @property
    def uninvolved(self) -> str:
        """With the role to handle evidence, but no part in the claim."""
        return next(name for name in ("a", "b", "d") if name != self.investigator)

    def item(self, number: int = 1) -> ItemRecord:
        return the_item(self.chain.state, number)

    def recipient(self, key: bytes = MEMBER, *, hours: int = 24, purpose: Purpose = Purpose.REVIEW) -> Recipient:
        return Recipient(key=key, purpose=purpose, until_ms=self.chain.now_ms + hours * HOUR_MS)

    def register(self, sender: str | bytes = "c", *, claim: int = 1, seed: int = 50) -> ResultCode:
        action = RegisterEvidence(
            claim=claim,
            commitment=person(seed),
            ciphertext=person(seed + 1),
            bucket=3,
            recipients=(self.recipient(account("c"), purpose=Purpose.INVESTIGATION),),
        )
        return self.do(sender, action)

    def deny(self) -> None:
        investigator = self.investigator
        self.do(investigator, Investigate(claim=1, finding=Finding.PASS, report=person(5)))
        review = Review(
            claim=1,
            decision=Decision.DENY,
            clause="4.1",
            evidence=person(9),
            reason=Reason.DEFINITION_NOT_MET,
        )
        assert self.do(self.investigator, review) == ResultCode.OK
        assert self.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_OPEN_CLAIM
        while the_claim(self.chain.state, 1).status is not ClaimStatus.CLOSED_DENIED:
            self.wait(1)

    def wait(self, days: int) -> None:
        self.chain.wait(days=days)


def registered(*, by: str | bytes = "c") -> Desk:
    desk = Desk(by=by)
    assert desk.register(by) == ResultCode.OK
    return desk


def closed() -> Desk:
    """The claim is denied for good, and the plan no longer keeps its papers."""
    desk = registered()
    desk.deny()
    desk.wait(RULES.hold_after_denial_days)
    return desk


def with_backlog(desk: Desk, *, days: int = 40) -> Desk:
    """The clock fires nothing any more."""
    application = desk.chain.application
    application.genesis = replace(application.genesis, deadlines_per_block=0)
    desk.chain.wait(days=days)
    return desk
