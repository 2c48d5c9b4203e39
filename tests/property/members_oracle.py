"""The part of the slow model that knows members: families, leaving, moving, balances and arrears.

Every member has a ledger of its own here, and every settlement looks at every balance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from node.claims.results import ResultCode

if TYPE_CHECKING:
    from node.claims.genesis import PlanTerms
    from tests.property.claims_oracle import OraclePlan

DAY_MS = 86_400_000
EPOCH = datetime(1970, 1, 1)


@dataclass
class OracleAccount:
    paid_in: int
    own: bool
    failures: int = 0
    failed_cycle: int = 0
    removal: int | None = None
    owed: int = 0
    dormant: bool = False
    """The payer was removed: nothing is found any more until all is paid."""


@dataclass
class OracleMember:
    number: int
    plan: int
    organisation: int
    birth: tuple[int, int]
    enrolled: int
    covered: int
    shares_from: int
    until: int | None
    ledger: list[tuple[int, int]] = field(default_factory=list)
    open: int = 0
    paid: int = 0
    units: int = 1
    by_year: dict[int, int] = field(default_factory=dict)
    """What each of the units was charged, by calendar year of the disclosure."""
    person: int = 0
    exit: str = "AGE"
    payer: OracleMember | None = None
    dependants: list[OracleMember] = field(default_factory=list)
    account: OracleAccount | None = None
    waits_from: int = 0

    def shares_on(self, day: int) -> bool:
        return self.shares_from <= day and (self.until is None or day < self.until)

    def age_on(self, day: int) -> int:
        date = EPOCH + timedelta(days=day)
        year, month = self.birth
        return date.year - year - (date.month < month)

    def billed(self) -> int:
        return sum(share for _, share in self.ledger)

    def family(self) -> list[OracleMember]:
        return [self, *self.dependants]

    def lives_after(self, day: int) -> bool:
        return self.until is None or self.until > day + 1

    def may_pay(self, plan: int, today: int) -> bool:
        return self.plan == plan and self.payer is None and (self.until is None or self.until > today)

    def balance(self) -> int:
        assert self.account is not None
        return self.account.paid_in - sum(member.billed() for member in self.family())

    def arrears(self) -> int:
        return 0 if self.account is None else max(0, -self.balance()) + self.account.owed


class Members:
    """Mixed into the oracle, which has the rest."""

    plans: list[OraclePlan]
    members: list[OracleMember]
    failed: int
    removed: int

    if TYPE_CHECKING:

        @staticmethod
        def age(birth: tuple[int, int], day: int) -> int: ...

        @staticmethod
        def day(terms: PlanTerms, ms: int) -> int: ...

        def enrol(
            self, plan_number: int, organisation: int, birth: tuple[int, int], now: int, units: int = 1
        ) -> OracleMember: ...

        def is_pending(self, plan: int, person: int) -> bool: ...

    def look_at_balances(self, plan: OraclePlan, cycle: int, at: int) -> None:
        """After the settlement of `cycle` at `at`."""
        for member in self.members:
            account = member.account
            if member.plan != plan.number or account is None or not account.own:
                continue
            if account.dormant or account.removal is not None:
                continue
            if member.balance() < 0:
                self.fail(member, cycle, at)
            else:
                account.failures = 0

    def fail(self, member: OracleMember, cycle: int, at: int) -> None:
        account = member.account
        assert account is not None
        costs = self.plans[member.plan].terms.costs
        if account.failed_cycle != cycle:
            account.failures += 1
            account.failed_cycle = cycle
            self.failed += 1
        if account.failures > costs.grace_cycles and account.removal is None:
            account.removal = at + costs.retry_days * DAY_MS

    def remove(self, member: OracleMember) -> None:
        account = member.account
        assert account is not None
        assert account.removal is not None
        day = self.day(self.plans[member.plan].terms, account.removal)
        account.removal = None
        left, uncovered, missing = account.paid_in, [], 0
        for one in member.family():
            if one.billed() > left:
                uncovered.append(one)
                missing += one.billed() - left
                left = 0
            else:
                left -= one.billed()
        everybody = member in uncovered
        for one in member.family() if everybody else uncovered:
            if one.lives_after(day):
                self.end(one, day, "REMOVED")
                self.removed += 1
        if everybody:
            account.dormant = True
        else:
            account.paid_in += missing
            account.owed += missing
            account.failures = 0

    @staticmethod
    def end(member: OracleMember, last_day: int, exit: str) -> None:
        if member.lives_after(last_day):
            member.until, member.exit = last_day + 1, exit

    # Actions.

    def leave(self, member: OracleMember, family: bool, now: int) -> ResultCode:
        today = self.day(self.plans[member.plan].terms, now)
        if not member.lives_after(today):
            return ResultCode.MEMBERSHIP_ENDED
        living = [one for one in member.family() if one.lives_after(today)]
        if len(living) > 1 and not family:
            return ResultCode.DEPENDANTS_FIRST
        for one in living:
            self.end(one, today, "LEFT")
        return ResultCode.OK

    def move(self, member: OracleMember, target: int, units: int, now: int) -> ResultCode:
        today = self.day(self.plans[member.plan].terms, now)
        of_age = member.exit == "AGE" and member.until is not None and member.until <= today + 1
        if of_age:
            assert member.until is not None
            if today - member.until > 31:
                return ResultCode.MEMBERSHIP_ENDED
        elif not member.lives_after(today):
            return ResultCode.MEMBERSHIP_ENDED
        weight = units or member.units
        if target == member.plan:
            if of_age or weight == member.units:
                return ResultCode.NOTHING_TO_CHANGE
        elif self.is_pending(target, member.person):
            return ResultCode.APPLICATION_PENDING
        elif any(one.plan == target and one.person == member.person for one in self.members):
            return ResultCode.PERSON_ALREADY_MEMBER
        if any(one.lives_after(today) for one in member.dependants):
            return ResultCode.DEPENDANTS_FIRST
        if member.open:
            return ResultCode.OPEN_CLAIM_EXISTS
        terms = self.plans[target].terms
        there = self.day(terms, now)
        if target != member.plan and self.age(member.birth, there) > terms.entry_age_max_years:
            return ResultCode.TOO_OLD
        self.end(member, today, "MOVED")
        member.exit = "MOVED"
        moved = self.enrol(target, member.organisation, member.birth, now, weight)
        moved.waits_from = member.waits_from
        moved.covered = max(there + 1, member.waits_from + terms.waiting_days)
        moved.shares_from = there + 1 if terms.waiting_members_share else moved.covered
        if moved.until is not None:
            end = (datetime(member.birth[0] + terms.cover_until_age_years, member.birth[1], 1) - EPOCH).days
            moved.until = max(end, moved.shares_from)
        moved.person = member.person
        moved.paid = member.paid if target == member.plan else 0
        return ResultCode.OK

    def contribute(self, member: OracleMember, amount: int) -> ResultCode:
        if member.payer is not None:
            return ResultCode.PAID_BY_ANOTHER
        if member.account is None:
            member.account = OracleAccount(sum(one.billed() for one in member.family()), own=True)
        self.credit(member, amount)
        return ResultCode.OK

    @staticmethod
    def credit(member: OracleMember, amount: int) -> None:
        account = member.account
        assert account is not None
        behind, short = member.arrears() > 0, max(0, -member.balance())
        repaid = min(account.owed, max(0, amount - short))
        account.owed -= repaid
        account.paid_in += amount - repaid
        if short <= amount:
            account.failures, account.removal, account.dormant = 0, None, False
            if behind and not account.own and not account.owed:
                member.account = None

    def report(self, member: OracleMember, amount: int, now: int) -> ResultCode:
        if member.payer is not None:
            return ResultCode.PAID_BY_ANOTHER
        if member.account is not None and member.account.own:
            return ResultCode.OWN_BALANCE
        settled = [number for number, _, _, cases in self.plans[member.plan].history if cases >= 0]
        billed = sum(one.billed() for one in member.family())
        if not settled or amount > billed:
            return ResultCode.MORE_THAN_OWED
        member.account = member.account or OracleAccount(0, own=False)
        member.account.paid_in = billed - amount
        self.fail(member, settled[-1], now + 1)
        return ResultCode.OK

    def close_balance(self, member: OracleMember) -> ResultCode:
        if member.payer is not None:
            return ResultCode.PAID_BY_ANOTHER
        if member.account is None or not member.account.own:
            return ResultCode.NO_BALANCE
        if member.arrears():
            return ResultCode.IN_ARREARS
        member.account = None
        return ResultCode.OK

    def join(
        self,
        plan: int,
        organisation: int,
        person: int,
        birth: tuple[int, int],
        units: int,
        payer: OracleMember | None,
        now: int,
    ) -> OracleMember | ResultCode:
        """Enrol somebody today, or say why not."""
        terms = self.plans[plan].terms
        today = self.day(terms, now)
        if code := self.return_problem(plan, person, now):
            return code
        if self.age(birth, today) > terms.entry_age_max_years:
            return ResultCode.TOO_OLD
        if payer is not None and not payer.may_pay(plan, today):
            return ResultCode.UNKNOWN_PAYER
        if payer is not None and len(payer.dependants) >= 32:
            return ResultCode.TOO_MANY_DEPENDANTS
        member = self.enrol(plan, organisation, birth, now, units)
        member.person, member.payer = person, payer
        if payer is not None:
            payer.dependants.append(member)
        return member

    def return_problem(self, plan: int, person: int, now: int) -> ResultCode:
        """Whether somebody who was in the plan before may join again."""
        before = [one for one in self.members if one.plan == plan and one.person == person]
        if not before:
            return ResultCode.OK
        last, today = before[-1], self.day(self.plans[plan].terms, now)
        if last.until is None or last.until > today or last.exit not in ("LEFT", "REMOVED"):
            return ResultCode.PERSON_ALREADY_MEMBER
        return ResultCode.IN_ARREARS if (last.payer or last).arrears() else ResultCode.OK
