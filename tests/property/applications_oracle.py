"""The part of the slow model that knows applications: a list, in which the pending ones are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.claims.results import ResultCode

if TYPE_CHECKING:
    from node.claims.genesis import PlanTerms
    from tests.property.claims_oracle import OraclePlan
    from tests.property.members_oracle import OracleMember

HOUR_MS = 3_600_000


@dataclass
class OracleApplication:
    number: int
    plan: int
    organisation: int
    person: int
    birth: tuple[int, int]
    units: int
    due: int
    payer: OracleMember | None = None
    head: OracleApplication | None = None
    """Who will pay has applied too."""
    status: str = "APPLIED"
    changed: int = 0
    member: OracleMember | None = None


class Applications:
    """Mixed into the oracle, which has the rest."""

    plans: list[OraclePlan]
    applications: list[OracleApplication]

    if TYPE_CHECKING:

        @staticmethod
        def day(terms: PlanTerms, ms: int) -> int: ...

        def return_problem(self, plan: int, person: int, now: int) -> ResultCode: ...

        def join(
            self,
            plan: int,
            organisation: int,
            person: int,
            birth: tuple[int, int],
            units: int,
            payer: OracleMember | None,
            now: int,
        ) -> OracleMember | ResultCode: ...

    def is_pending(self, plan: int, person: int) -> bool:
        return any((one.plan, one.person, one.status) == (plan, person, "APPLIED") for one in self.applications)

    def lapse_applications(self, now: int) -> None:
        for one in self.applications:
            if one.status == "APPLIED" and one.due <= now:
                one.status, one.changed = "LAPSED", one.due

    def apply(self, wanted: OracleApplication, now: int) -> ResultCode:
        """`wanted` is as it would be stored; `number` and `due` are set here."""
        terms = self.plans[wanted.plan].terms
        today = self.day(terms, now)
        if self.is_pending(wanted.plan, wanted.person):
            return ResultCode.APPLICATION_PENDING
        if code := self.return_problem(wanted.plan, wanted.person, now):
            return code
        payer = wanted.payer
        if payer is not None and not payer.may_pay(wanted.plan, today):
            return ResultCode.UNKNOWN_PAYER
        wanted.number = len(self.applications) + 1
        wanted.due, wanted.changed = now + terms.deadlines.application_hours * HOUR_MS, now
        self.applications.append(wanted)
        return ResultCode.OK

    def decide(self, one: OracleApplication, ending: str, organisation: int, now: int) -> ResultCode:
        if one.organisation != organisation:
            return ResultCode.NOT_THE_ENROLLER
        if one.status != "APPLIED":
            return ResultCode.WRONG_APPLICATION_STATUS
        if ending == "ACCEPTED":
            if one.head is not None and one.head.member is None:
                return ResultCode.PAYER_NOT_ACCEPTED
            payer = one.payer if one.head is None else one.head.member
            joined = self.join(one.plan, one.organisation, one.person, one.birth, one.units, payer, now)
            if isinstance(joined, ResultCode):
                return joined
            one.member = joined
        one.status, one.changed = ending, now
        return ResultCode.OK
