"""One claim and those around it: the shortest way to any status, for the tests of a claim's life."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from node.claims import keys
from node.claims.calendar import day_number, start_of
from node.claims.claim_rules import ClaimRules
from node.claims.consortium import OrganisationTally
from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import PlanTerms, Role
from node.claims.mutual_aid.actions import (
    AnswerClawback,
    ConfirmPayment,
    DecideObjection,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Object,
    OpenClawback,
    Paper,
    Reason,
    ReturnClaim,
    Review,
    StayClaim,
    VoteClawback,
)
from node.claims.mutual_aid.records import ClaimRecord, PlanState, load_plan, the_claim, the_clawback, the_member
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.wire import decode_trusted
from tests.factories import ORGANISATIONS, ROLES, Chain, key_of, make_genesis, new_member, person, plan

CODE = "critical-illness"
HOSPITAL = "hospital-reimbursement"
APRIL_1 = day_number(2026, 4, 1)
MEMBERS = 6
REGULATED: dict[str, tuple[Role, ...]] = {**ROLES, "d": (*ROLES["d"], Role.REGULATOR)}
"""As the roles of all tests; d is the regulator too."""
GROUNDS: dict[str, object] = {"clause": "3.1", "evidence": person(40), "reason": Reason.DEFINITION_NOT_MET.value}


def member_key(number: int) -> bytes:
    return key_of(f"member {number}")


class Life:
    """Claim 1 of member 1, whom organisation a enrolled, as the other members, each with a key of its own."""

    def __init__(
        self,
        *,
        rules: ClaimRules | None = None,
        by_member: bool = False,
        hospital: bool = False,
        deadlines_per_block: int = 2_000,
        roles: Mapping[str, tuple[Role, ...]] = REGULATED,
        **terms: object,
    ) -> None:
        if rules is not None:
            terms["claim_rules"] = rules
        plans: tuple[PlanTerms, ...] = tuple(replace(plan(code), **terms) for code in (CODE, HOSPITAL))
        self.hospital = hospital
        self.plan_code = HOSPITAL if hospital else CODE
        self.chain = Chain(make_genesis(plans=plans, roles=roles, deadlines_per_block=deadlines_per_block))
        members = tuple(new_member(number, key=member_key(number)) for number in range(1, MEMBERS + 1))
        assert self.chain.do("a", Enrol(plan=self.plan_code, members=members)).code == 0
        self.chain.until(start_of(APRIL_1 + 9, 480))
        assert self.file(member_key(1) if by_member else "c") is ResultCode.OK

    def file(self, sender: str | bytes, member: int = 1, **fields: object) -> ResultCode:
        values: dict[str, object] = {
            "plan": self.plan_code,
            "member": member,
            "ailment": "H01" if self.hospital else "S01",
            "diagnosis_day": APRIL_1,
            "accident": False,
            "evidence": person(9),
            "amount": 5_000 if self.hospital else 0,
        }
        return self.do(FileClaim(**(values | fields)), by=sender)  # type: ignore[arg-type]

    # Looking.

    @property
    def claim(self) -> ClaimRecord:
        return the_claim(self.chain.state, 1)

    @property
    def status(self) -> ClaimStatus:
        return self.claim.status

    @property
    def turn(self) -> str:
        """Whose step it is."""
        return ORGANISATIONS[self.claim.assigned]

    @property
    def plan(self) -> PlanState:
        return load_plan(self.chain.state, self.claim.plan)

    @property
    def open_claims(self) -> int:
        return the_member(self.chain.state, 1).open_claims

    def missed(self, name: str) -> OrganisationTally:
        raw = self.chain.state.get(keys.tally(ORGANISATIONS.index(name)))
        assert raw is not None
        return decode_trusted(OrganisationTally, raw)

    def events(self) -> list[ClaimsEvent]:
        """Those of the last block."""
        result = self.chain.results[-1]
        return [event for receipt in (result.clock, *result.receipts) for event in receipt.events]

    def happened(self, kind: EventKind) -> bool:
        return any(event.kind is kind for event in self.events())

    # Doing.

    def do(self, action: Action, by: str | bytes | None = None) -> ResultCode:
        return ResultCode(self.chain.do(self.turn if by is None else by, action).code)

    def deadline(self) -> None:
        """An empty block at the moment of the claim's deadline."""
        self.chain.until(self.claim.deadline_ms)

    # To a status, as shortly as possible.

    def to(self, status: ClaimStatus) -> Life:
        WAYS[status](self)
        assert self.status is status, self.status.name
        return self

    def _investigated(self) -> None:
        assert self.do(Investigate(claim=1, finding=Finding.PASS, report=person(3))) is ResultCode.OK

    def _accepted(self) -> None:
        self._investigated()
        while self.status is ClaimStatus.INVESTIGATED:
            amount = self.claim.claimed if self.hospital else 0
            assert self.do(Review(claim=1, decision=Decision.ACCEPT, amount=amount)) is ResultCode.OK

    def _denied(self) -> None:
        self._investigated()
        while self.status is ClaimStatus.INVESTIGATED:
            assert self.do(Review(claim=1, decision=Decision.DENY, **GROUNDS)) is ResultCode.OK  # type: ignore[arg-type]

    def _published(self) -> None:
        self._accepted()
        self.deadline()

    def _confirmed(self) -> None:
        self._published()
        self.deadline()

    def _settled(self) -> None:
        self._confirmed()
        self.deadline()

    def _paid(self) -> None:
        self._settled()
        payment = ConfirmPayment(claim=1, amount=self.claim.amount, receipt=person(2))
        assert self.do(payment) is ResultCode.OK

    def _returned(self) -> None:
        assert self.do(ReturnClaim(claim=1, missing=Paper.INVOICE)) is ResultCode.OK

    def _lapsed(self) -> None:
        self._returned()
        self.deadline()

    def _objected(self) -> None:
        self._published()
        assert self.do(Object(claim=1, member=2, evidence=person(8)), by=member_key(2)) is ResultCode.OK

    def _stayed(self) -> None:
        assert self.do(StayClaim(claim=1, order=person(7), days=30), by="d") is ResultCode.OK

    def _payment_stayed(self) -> None:
        self._settled()
        self._stayed()

    def _closed_denied(self) -> None:
        self._denied()
        if self.status is ClaimStatus.DENIED:
            self.deadline()

    def _clawback_open(self) -> None:
        self._paid()
        opener = ORGANISATIONS[self.claim.reviewer]
        report = OpenClawback(claim=1, report=person(15), clause="3.1", reason=Reason.EVIDENCE_FALSE)
        assert self.do(report, by=opener) is ResultCode.OK

    def _clawback_upheld(self) -> None:
        self._clawback_open()
        assert self.do(AnswerClawback(claim=1, answer=person(16)), by=member_key(1)) is ResultCode.OK
        self.vote(uphold=True)

    def _clawback_stayed(self) -> None:
        self._clawback_open()
        self._stayed()

    def vote(self, *, uphold: bool) -> None:
        """Of the panel, one after the other, until it is decided."""
        for voter in the_clawback(self.chain.state, 1).panel:
            if self.status is ClaimStatus.CLAWBACK_OPEN:
                assert self.do(VoteClawback(claim=1, uphold=uphold), by=ORGANISATIONS[voter]) is ResultCode.OK

    def uphold(self) -> ResultCode:
        return self.do(DecideObjection(claim=1, decision=Decision.DENY, **GROUNDS))  # type: ignore[arg-type]


WAYS: dict[ClaimStatus, Callable[[Life], None]] = {
    ClaimStatus.FILED: lambda life: None,
    ClaimStatus.INTAKE: lambda life: None,
    ClaimStatus.INVESTIGATED: Life._investigated,
    ClaimStatus.ACCEPTED: Life._accepted,
    ClaimStatus.DENIED: Life._denied,
    ClaimStatus.PUBLISHED: Life._published,
    ClaimStatus.CONFIRMED: Life._confirmed,
    ClaimStatus.SETTLED: Life._settled,
    ClaimStatus.PAID: Life._paid,
    ClaimStatus.RETURNED: Life._returned,
    ClaimStatus.LAPSED: Life._lapsed,
    ClaimStatus.OBJECTED: Life._objected,
    ClaimStatus.STAYED: Life._stayed,
    ClaimStatus.PAYMENT_STAYED: Life._payment_stayed,
    ClaimStatus.CLOSED_DENIED: Life._closed_denied,
    ClaimStatus.CLAWBACK_OPEN: Life._clawback_open,
    ClaimStatus.CLAWBACK_UPHELD: Life._clawback_upheld,
    ClaimStatus.CLAWBACK_STAYED: Life._clawback_stayed,
}
