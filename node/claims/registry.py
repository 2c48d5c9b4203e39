"""The genesis in the form that handlers look things up in. Built once; never changes while running."""

from __future__ import annotations

from bisect import bisect_right

from node.claims.calendar import day_of, next_day_of_month, start_of
from node.claims.genesis import AgeBand, Ailment, Genesis, PlanTerms, Role
from node.claims.types import DAY_MS


class Terms:
    """One version of a plan, with its tables indexed."""

    __slots__ = ("ailments", "clauses", "plan")

    def __init__(self, plan: PlanTerms) -> None:
        self.plan = plan
        self.ailments: dict[str, Ailment] = {ailment.code: ailment for ailment in plan.ailments}
        self.clauses = frozenset(clause.number for clause in plan.clauses)

    def band(self, age_years: int) -> AgeBand | None:
        for band in self.plan.age_bands:
            if band.from_age_years <= age_years <= band.to_age_years:
                return band
        return None


class Plan:
    """All versions of one plan, and its cycle dates."""

    def __init__(self, number: int, versions: list[PlanTerms], genesis_ms: int) -> None:
        self.number = number
        self.code = versions[0].code
        self.versions = [Terms(version) for version in versions]
        self._effective = [version.effective_day for version in versions]
        self.utc_offset_minutes = versions[0].utc_offset_minutes
        self._anchor_day = day_of(genesis_ms, self.utc_offset_minutes)

    def terms_on(self, day: int) -> Terms:
        """The version in force on `day`; the first one for days before any."""
        return self.versions[max(0, bisect_right(self._effective, day) - 1)]

    def day_of(self, time_ms: int) -> int:
        return day_of(time_ms, self.utc_offset_minutes)

    def next_cycle(self, after_ms: int) -> tuple[int, int]:
        """(disclosure_ms, settlement_ms) of the first disclosure later than `after_ms`."""
        today = self.day_of(after_ms)
        calendar = self.terms_on(today).plan.calendar
        if calendar.cycle_days:
            disclosure = today + calendar.cycle_days - (today - self._anchor_day) % calendar.cycle_days
            settlement = disclosure + calendar.settlement_after_days
        else:
            days = calendar.disclosure_days_of_month
            disclosure, index = next_day_of_month(today, days)
            settlement = disclosure + calendar.settlement_days_of_month[index] - days[index]
        start = start_of(disclosure, self.utc_offset_minutes)
        return start, start + (settlement - disclosure) * DAY_MS

    def cycle_after(self, disclosure_ms: int, settlement_ms: int) -> tuple[int, int]:
        """The cycle after one with these dates. It is disclosed when that one is settled, or later."""
        return self.next_cycle(max(disclosure_ms, settlement_ms - 1))


class Registry:
    """Organisations by number and by role, plans by number and by code."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.digest = genesis.digest
        self.names = tuple(organisation.name for organisation in genesis.organisations)
        self.number_of = {name: number for number, name in enumerate(self.names)}
        self.holders: dict[Role, tuple[int, ...]] = {
            role: tuple(
                number
                for number, organisation in enumerate(genesis.organisations)
                if role in organisation.roles and organisation.account_keys
            )
            for role in Role
        }
        versions: dict[str, list[PlanTerms]] = {}
        for terms in genesis.plans:
            versions.setdefault(terms.code, []).append(terms)
        self.plans = [Plan(number, group, genesis.time_ms) for number, group in enumerate(versions.values())]
        self.plan_by_code = {plan.code: plan for plan in self.plans}
