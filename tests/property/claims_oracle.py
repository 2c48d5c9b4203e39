"""A slow, obvious model of mutual aid: it keeps every member's ledger itself and walks over all of them.

Written from the rules, not from the code: dates come from the standard library, shares from rational
numbers, and every day's sharers are counted one by one. It is told which actions the chain accepted or
refused only in that it predicts the code and compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from math import ceil, floor

from node.claims.genesis import PlanTerms
from node.claims.results import ResultCode
from tests.property.applications_oracle import Applications, OracleApplication
from tests.property.members_oracle import Members, OracleMember

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
EPOCH = datetime(1970, 1, 1)


@dataclass
class OracleClaim:
    number: int
    plan: int
    member: OracleMember
    claimed: int
    status: str
    due: int
    cycle: int = 0
    amount: int = 0
    missed: int = 0
    payable: int = 0
    deducted: int = 0


@dataclass
class OracleCycle:
    number: int
    disclosure: int
    settlement: int
    sharers: list[OracleMember]
    year: int = 0


@dataclass
class OraclePlan:
    number: int
    terms: PlanTerms
    disclosure: int
    settlement: int
    cycle: int = 1
    waiting: OracleCycle | None = None
    history: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(cycle, sharers, share, cases) of every settled cycle; cases is -1 if it was carried."""
    surplus: int = 0
    fees: int = 0
    payouts: int = 0
    paid: int = 0
    sponsored: int = 0


class Oracle(Members, Applications):
    """Plans with `cycle_days` calendars only; that is all the test's plans have."""

    def __init__(self, plans: tuple[PlanTerms, ...], genesis_ms: int) -> None:
        self.plans: list[OraclePlan] = []
        self.members: list[OracleMember] = []
        self.applications: list[OracleApplication] = []
        self.claims: list[OracleClaim] = []
        self.cut = 0
        """What payouts were short of, in all."""
        self.sweeps: list[tuple[int, int, int]] = []
        """(time, plan, cycle) of settlements whose balances have not been looked at."""
        self.failed = self.removed = 0
        for number, terms in enumerate(plans):
            first = self.day(terms, genesis_ms) + terms.calendar.cycle_days
            disclosure = self.midnight(terms, first)
            settlement = disclosure + terms.calendar.settlement_after_days * DAY_MS
            self.plans.append(OraclePlan(number, terms, disclosure, settlement))

    @staticmethod
    def age(birth: tuple[int, int], day: int) -> int:
        date = EPOCH + timedelta(days=day)
        year, month = birth
        return date.year - year - (date.month < month)

    @staticmethod
    def day(terms: PlanTerms, ms: int) -> int:
        zone = timezone(timedelta(minutes=terms.utc_offset_minutes))
        moment = datetime.fromtimestamp(0, zone) + timedelta(milliseconds=ms)
        return (moment.replace(tzinfo=None) - EPOCH).days

    @staticmethod
    def midnight(terms: PlanTerms, day: int) -> int:
        return day * DAY_MS - terms.utc_offset_minutes * 60_000

    # The clock.

    def advance(self, now: int) -> None:
        """Everything due up to `now`, strictly in order: settlements, disclosures, then claims by number.

        Applications lapse beside it: nothing else looks at them, and they look at nothing else.
        """
        self.lapse_applications(now)
        while True:
            due: list[tuple[int, int, int]] = []
            for plan in self.plans:
                due.append((plan.disclosure, 1, plan.number))
                if plan.waiting is not None:
                    due.append((plan.waiting.settlement, 0, plan.number))
            for at, plan_number, cycle in self.sweeps:
                due.append((at, 95 + plan_number, cycle))
            for member in self.members:
                if member.account is not None and member.account.removal is not None:
                    due.append((member.account.removal, 200, member.number))
            order = ["filed", "investigated", "accepted", "published", "confirmed", "settled", "denied"]
            due += [(claim.due, 2 + order.index(claim.status), claim.number) for claim in self.claims if claim.due]
            time, kind, number = min(due)
            if time > now:
                return
            if kind == 0:
                self.settle(self.plans[number])
            elif kind == 1:
                self.disclose(self.plans[number])
            elif kind == 200:
                self.remove(self.members[number - 1])
            elif kind >= 95:
                self.sweeps.remove((time, kind - 95, number))
                self.look_at_balances(self.plans[kind - 95], number, time)
            else:
                self._claim_due(self.claims[number - 1])

    def disclose(self, plan: OraclePlan) -> None:
        day = self.day(plan.terms, plan.disclosure)
        sharers = [member for member in self.members if member.plan == plan.number and member.shares_on(day)]
        plan.waiting = OracleCycle(
            plan.cycle, plan.disclosure, plan.settlement, sharers, (EPOCH + timedelta(days=day)).year
        )
        plan.cycle += 1
        plan.disclosure = self.midnight(plan.terms, day + plan.terms.calendar.cycle_days)
        plan.settlement = plan.disclosure + plan.terms.calendar.settlement_after_days * DAY_MS

    def settle(self, plan: OraclePlan) -> None:
        cycle = plan.waiting
        assert cycle is not None
        plan.waiting = None
        cases = [claim for claim in self.claims if claim.plan == plan.number and claim.status == "confirmed"]
        if cases and not cycle.sharers:
            plan.history.append((cycle.number, 0, 0, -1))
            for claim in cases:
                claim.cycle = cycle.number + 1
            return
        costs = plan.terms.costs
        granted = payouts = sum(claim.amount for claim in cases)
        fee = self._fee(plan, payouts)
        need = payouts + fee - plan.surplus
        units = sum(member.units for member in cycle.sharers)
        share = ceil(Fraction(need, units)) if need > 0 else 0
        if costs.case_cap_minor_units and cases:
            share = min(share, costs.case_cap_minor_units * len(cases))
        collected = 0
        for member in cycle.sharers:
            charge, before = share, member.by_year.get(cycle.year, 0)
            if costs.year_cap_minor_units:
                charge = min(share, costs.year_cap_minor_units - before)
            member.by_year[cycle.year] = before + charge
            member.ledger.append((cycle.number, charge * member.units))
            collected += charge * member.units
        available = plan.surplus + collected
        if costs.sponsor:
            plan.sponsored += max(0, payouts + fee - available)
            available = max(available, payouts + fee)
        step = 1 << 40
        while payouts + self._fee(plan, payouts) > available:
            # The largest sum that can be paid, found by giving up ever smaller steps.
            while step > 1 and payouts - step + self._fee(plan, payouts - step) < available:
                step //= 2
            payouts -= step
        for claim, part in zip(cases, self._largest_remainder(payouts, [claim.amount for claim in cases]), strict=True):
            claim.payable = part
        plan.surplus = available - payouts - self._fee(plan, payouts)
        plan.fees += self._fee(plan, payouts)
        plan.payouts += payouts
        self.cut += granted - payouts
        plan.history.append((cycle.number, units, share, len(cases)))
        if share:
            self.sweeps.append((cycle.settlement, plan.number, cycle.number))

    @staticmethod
    def _fee(plan: OraclePlan, payouts: int) -> int:
        return floor(Fraction(payouts * plan.terms.fee_bps, 10_000))

    @staticmethod
    def _largest_remainder(total: int, amounts: list[int]) -> list[int]:
        exact = [Fraction(amount * total, sum(amounts)) for amount in amounts]
        parts = [floor(part) for part in exact]
        while sum(parts) < total:
            # The first of those that are furthest below their exact part.
            behind = [part - floor_ for part, floor_ in zip(exact, parts, strict=True)]
            parts[behind.index(max(behind))] += 1
        return parts

    def _claim_due(self, claim: OracleClaim) -> None:
        plan = self.plans[claim.plan]
        deadlines = plan.terms.deadlines
        if claim.status in ("filed", "investigated", "settled"):
            claim.missed += 1
            hours = {
                "filed": deadlines.investigation_hours,
                "investigated": deadlines.review_hours,
                "settled": deadlines.payment_hours,
            }[claim.status]
            claim.due += hours * HOUR_MS
        elif claim.status == "denied":
            claim.status, claim.due = "closed_denied", 0
            claim.member.open -= 1
        elif claim.status == "accepted":
            claim.status, claim.due = "published", claim.due + deadlines.disclosure_hours * HOUR_MS
        elif claim.status == "published":
            assert plan.waiting is not None
            claim.status, claim.due = "confirmed", plan.waiting.settlement
        elif any(number == claim.cycle for number, _, _, _ in plan.history):
            claim.status, claim.due = "settled", claim.due + deadlines.payment_hours * HOUR_MS
        else:  # Carried: the cycle it now belongs to is open, or was disclosed at this very moment.
            claim.due = plan.settlement if plan.cycle == claim.cycle else self._waiting(plan).settlement

    @staticmethod
    def _waiting(plan: OraclePlan) -> OracleCycle:
        assert plan.waiting is not None
        return plan.waiting

    # Actions.

    def enrol(
        self, plan_number: int, organisation: int, birth: tuple[int, int], now: int, units: int = 1
    ) -> OracleMember:
        terms = self.plans[plan_number].terms
        today = self.day(terms, now)
        covered = today + (terms.waiting_days or 1)
        shares = today + 1 if terms.waiting_members_share else covered
        until = None
        if terms.cover_until_age_years:
            end = (datetime(birth[0] + terms.cover_until_age_years, birth[1], 1) - EPOCH).days
            until = max(end, shares)
        member = OracleMember(len(self.members) + 1, plan_number, organisation, birth, today, covered, shares, until)
        member.units, member.waits_from = units, today
        self.members.append(member)
        return member

    def file(
        self, member: OracleMember, day: int, accident: bool, observation: int, listed: int, asked: int, now: int
    ) -> ResultCode:
        """`listed`: what the table gives at that age and severity."""
        terms = self.plans[member.plan].terms
        today = self.day(terms, now)
        if day > today:
            return ResultCode.DIAGNOSIS_IN_FUTURE
        if day <= member.enrolled or (not accident and day < member.covered):
            return ResultCode.NOT_YET_COVERED
        if member.until is not None and day >= member.until:
            return ResultCode.NO_LONGER_COVERED
        if today < day + observation:
            return ResultCode.OBSERVATION_NOT_OVER
        if today > day + observation + terms.report_window_days:
            return ResultCode.REPORT_WINDOW_OVER
        # One person has its records in a plan together, whichever of them it files with.
        records = [one for one in self.members if one.plan == member.plan and one.person == member.person]
        if sum(one.open for one in records) >= terms.open_claims_max:
            return ResultCode.OPEN_CLAIM_EXISTS
        if terms.benefit.value == "fixed" and any(one.paid for one in records):
            return ResultCode.ALREADY_PAID
        if not listed:
            return ResultCode.BENEFIT_NOT_IN_TABLE
        if terms.benefit.value == "fixed" and asked:
            return ResultCode.AMOUNT_IS_FIXED
        if terms.benefit.value != "fixed" and not 0 < asked <= listed:
            return ResultCode.AMOUNT_OUT_OF_RANGE
        due = now + terms.deadlines.investigation_hours * HOUR_MS
        self.claims.append(OracleClaim(len(self.claims) + 1, member.plan, member, asked or listed, "filed", due))
        member.open += 1
        return ResultCode.OK

    def investigate(self, claim: OracleClaim, now: int) -> None:
        claim.status = "investigated"
        claim.due = now + self.plans[claim.plan].terms.deadlines.review_hours * HOUR_MS

    def accept(self, claim: OracleClaim, amount: int) -> None:
        plan = self.plans[claim.plan]
        claim.status, claim.amount, claim.due, claim.cycle = "accepted", amount, plan.disclosure, plan.cycle

    def deny(self, claim: OracleClaim, now: int) -> None:
        rules = self.plans[claim.plan].terms.claim_rules
        if rules.jury_request_days:
            claim.status, claim.due = "denied", now + rules.jury_request_days * DAY_MS
        else:
            claim.status, claim.due = "closed_denied", 0
            claim.member.open -= 1

    def pay(self, claim: OracleClaim, now: int) -> None:
        plan = self.plans[claim.plan]
        claim.status, claim.due = "paid", 0
        plan.paid += claim.payable
        member = claim.member
        claim.deducted = min(claim.payable, member.arrears())
        if claim.deducted:
            self.credit(member, claim.deducted)
        member.open -= 1
        member.paid += 1
        leaves = self.day(plan.terms, now) + 1
        if plan.terms.exit_after_payout and (member.until is None or leaves < member.until):
            member.until = max(leaves, member.shares_from)
            member.exit = "AIDED"
