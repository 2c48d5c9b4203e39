"""The part of the driver in which people apply, and enrollers decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.claims.calendar import month_index
from node.claims.mutual_aid.application_actions import (
    AcceptApplication,
    Applicant,
    Apply,
    RefusalReason,
    RefuseApplication,
    WithdrawApplication,
)
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.mutual_aid.application_records import load_application_tally, the_application
from node.claims.results import ResultCode
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, person
from tests.property.applications_oracle import OracleApplication

if TYPE_CHECKING:
    from random import Random

    from tests.factories import Chain
    from tests.property.claims_oracle import Oracle

Step = tuple[str, Action, Callable[[int], ResultCode]]


class ApplicationSteps:
    """Mixed into the driver, which has the rest."""

    random: Random
    oracle: Oracle
    chain: Chain

    if TYPE_CHECKING:

        def next_person(self, plan_number: int) -> int: ...

    def application_step(self) -> Step:
        if self.oracle.applications and self.random.random() < 0.6:
            return self._decision()
        return self._application()

    def _application(self) -> Step:
        """Of somebody new or known, in this plan or another; now and then of two, one of whom will pay."""
        oracle, random = self.oracle, self.random
        plan, organisation = random.randrange(2), random.choice("abd")
        identity, birth = self.next_person(plan), (random.choice([1966, 1980]), random.randrange(1, 13))
        payer = None
        if oracle.members and random.random() < 0.5:
            known = random.choice(oracle.members)
            if random.random() < 0.5:
                identity, birth = known.person, known.birth
            else:
                payer = known
        if oracle.applications and random.random() < 0.2:
            before = random.choice(oracle.applications[-6:])
            plan, identity, birth, payer = before.plan, before.person, before.birth, None
        units, with_child = random.choice([1, 4]), random.random() < 0.3
        child = self.next_person(plan)

        def wanted(number: int, born: tuple[int, int], head: OracleApplication | None) -> OracleApplication:
            paying = payer if head is None else None
            index = ORGANISATIONS.index(organisation)
            return OracleApplication(0, plan, index, number, born, units, 0, payer=paying, head=head)

        first = wanted(identity, birth, None)
        people = [first, wanted(child, (2010, 5), first)] if with_child else [first]
        applicants = tuple(
            Applicant(
                person=person(one.person),
                birth_month=month_index(*one.birth),
                declaration=person(-one.person),
                payer=(0 if payer is None else payer.number) if one is first else -1,
                units=units,
            )
            for one in people
        )

        def predict(now: int) -> ResultCode:
            code = oracle.apply(first, now)
            if code or not with_child:
                return code
            if payer is not None:
                oracle.applications.remove(first)
                return ResultCode.UNKNOWN_PAYER
            return oracle.apply(people[1], now)

        return organisation, Apply(plan=oracle.plans[plan].terms.code, applicants=applicants), predict

    def _decision(self) -> Step:
        oracle, random = self.oracle, self.random
        waiting = [one for one in oracle.applications if one.status == "APPLIED"]
        one = random.choice(waiting if waiting and random.random() < 0.9 else oracle.applications)
        sender = random.choice("abd") if random.random() < 0.1 else ORGANISATIONS[one.organisation]
        ending = random.choice(["ACCEPTED", "ACCEPTED", "REFUSED", "WITHDRAWN"])
        clause = oracle.plans[one.plan].terms.clauses[0].number if random.random() < 0.8 else ""
        actions: dict[str, Action] = {
            "ACCEPTED": AcceptApplication(application=one.number),
            "REFUSED": RefuseApplication(application=one.number, clause=clause, reason=RefusalReason.HEALTH_CONDITION),
            "WITHDRAWN": WithdrawApplication(application=one.number),
        }
        index = ORGANISATIONS.index(sender)

        def predict(now: int) -> ResultCode:
            if ending == "REFUSED" and not clause and index == one.organisation and one.status == "APPLIED":
                return ResultCode.REFUSAL_WITHOUT_GROUNDS
            return oracle.decide(one, ending, index, now)

        return sender, actions[ending], predict

    def compare_applications(self) -> list[tuple[int, int, int]]:
        """Every application and each plan's count; returns the deadline rows that there must be."""
        state, rows = self.chain.state, []
        for one in self.oracle.applications:
            stored = the_application(state, one.number)
            assert (stored.status.name, stored.changed_ms) == (one.status, one.changed)
            assert stored.deadline_ms == (one.due if one.status == "APPLIED" else 0)
            assert stored.member == (0 if one.member is None else one.member.number)
            assert bool(stored.clause) == bool(stored.reason) == (one.status == "REFUSED")
            if one.status == "APPLIED":
                rows.append((one.due, 97, one.number))
        for plan in self.oracle.plans:
            names = [one.status for one in self.oracle.applications if one.plan == plan.number]
            counts = load_application_tally(state, plan.number).counts
            assert [counts[status] for status in ApplicationStatus] == [
                names.count(status.name) for status in ApplicationStatus
            ]
        return rows
