"""What makes a genesis, a plan or a new version of a plan consistent, beyond the shape of its fields.

A state that passed these checks can be carried on for ever: no disclosure, settlement or assignment can meet
terms that it cannot work with. They run at genesis, and again on whatever organisations propose and adopt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from node.claims.calendar import date_of
from node.claims.claim_rules import rules_problems
from node.claims.genesis import Ailment, Benefit, Calendar, Genesis, PlanTerms, Role
from node.claims.plain import BadValue, from_plain, to_plain
from node.claims.types import DAY_MS, HOUR_MS, MAX_PLANS


def plan_from_mapping(mapping: dict[str, object], ailments: tuple[Ailment, ...]) -> PlanTerms:
    """Plan terms of a parsed TOML file (see configs/plans/) and its ailment table. Raises BadValue."""
    fields = {key: value for key, value in mapping.items() if key != "ailments_file"}
    plan = from_plain(PlanTerms, fields | {"ailments": to_plain(ailments)})
    for problem in _plan_problems(plan, ""):
        raise problem
    return plan


def check_genesis(genesis: Genesis) -> None:
    """Raises BadValue for what the shape alone cannot show: duplicates, gaps, roles that nobody can fill."""
    for problem in _organisation_problems(genesis):
        raise problem
    plans: dict[str, list[PlanTerms]] = {}
    for index, plan in enumerate(genesis.plans):
        path = f"plans[{index}]"
        earlier = plans.setdefault(plan.code, [])
        for problem in chain(terms_problems(genesis, plan, path + "."), version_problems(earlier, plan, path + ".")):
            raise problem
        earlier.append(plan)
    if len(plans) > MAX_PLANS:
        raise BadValue("plans", f"at most {MAX_PLANS} plans")


def terms_problems(genesis: Genesis, plan: PlanTerms, prefix: str = "") -> Iterator[BadValue]:
    """What is wrong with terms on this chain, whatever came before them."""
    yield from _plan_problems(plan, prefix)
    names = [organisation.name for organisation in genesis.organisations]
    for path, sponsor in sponsors_of(plan):
        if sponsor not in names:
            yield BadValue(f"{prefix}{path}", f"there is no organisation {sponsor}")


def sponsors_of(plan: PlanTerms) -> list[tuple[str, str]]:
    """(key, name) of each organisation that the terms oblige to pay."""
    named = (("costs.sponsor", plan.costs.sponsor), ("life.sponsor", plan.life.sponsor))
    return [(path, name) for path, name in named if name]


FIXED_FIELDS: Final = ("code", "currency", "minor_digits", "benefit", "utc_offset_minutes", "waiting_members_share")
"""What no new version of a plan can change."""


def fixed_problems(before: PlanTerms, plan: PlanTerms, prefix: str = "") -> Iterator[BadValue]:
    for name in FIXED_FIELDS:
        if getattr(plan, name) != getattr(before, name):
            yield BadValue(f"{prefix}{name}", "a new version cannot change this; make it a new plan")


def version_problems(earlier: Sequence[PlanTerms], plan: PlanTerms, prefix: str = "") -> Iterator[BadValue]:
    """What is wrong with `plan` as the version after `earlier`, the oldest first. The one check of it, at genesis
    and whenever organisations adopt a version: what passes here can stop no later disclosure or settlement."""
    if earlier:
        before = earlier[-1]
        path = prefix.removesuffix(".")
        if any(one.version == plan.version for one in earlier):
            yield BadValue(path, f"{plan.code} version {plan.version} appears twice")
        if plan.version <= before.version or plan.effective_day <= before.effective_day:
            yield BadValue(path, f"versions of {plan.code} must follow each other in number and effective_day")
        yield from fixed_problems(before, plan, prefix)
        yield from _cap_problems(before, plan, prefix)
    # A cycle whose dates an earlier version set may be disclosed under this one.
    shortest_days = min(_gap_days(one.calendar) for one in (*earlier, plan))
    if plan.deadlines.disclosure_hours * HOUR_MS >= shortest_days * DAY_MS:
        yield BadValue(
            f"{prefix}deadlines.disclosure_hours",
            f"a cycle begun under an earlier version is settled {shortest_days} days after its "
            "disclosure: claims must be confirmed before that",
        )


def _organisation_problems(genesis: Genesis) -> Iterator[BadValue]:
    names: set[str] = set()
    keys: set[bytes] = set()
    for index, organisation in enumerate(genesis.organisations):
        path = f"organisations[{index}]"
        if organisation.name in names:
            yield BadValue(f"{path}.name", f"{organisation.name} appears twice")
        names.add(organisation.name)
        if len(organisation.node_key) not in (0, 32):
            yield BadValue(f"{path}.node_key", "must be 32 bytes, or empty if the organisation runs no node")
        if len(set(organisation.roles)) != len(organisation.roles):
            yield BadValue(f"{path}.roles", "a role appears twice")
        for key in (*organisation.account_keys, organisation.node_key):
            if key and key in keys:
                yield BadValue(path, f"the key {key.hex()[:16]}... is used twice; each node and account has its own")
            keys.add(key)
    if genesis.plans:
        yield from role_problems(genesis)


def role_problems(genesis: Genesis) -> Iterator[BadValue]:
    """What keeps the organisations from running any plan: steps that nobody could take."""
    holders = {role: [o.name for o in genesis.organisations if role in o.roles and o.account_keys] for role in Role}
    for role in (Role.ENROLLER, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT):
        if not holders[role]:
            yield BadValue("organisations", f"plans need an organisation with the role {role.value} and an account key")
    for name in holders[Role.INVESTIGATOR]:
        if not [reviewer for reviewer in holders[Role.REVIEWER] if reviewer != name]:
            yield BadValue(
                "organisations", f"what {name} investigates, another organisation must review: add a reviewer"
            )


def _cap_problems(before: PlanTerms, plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    """A year has one cap, and cohorts are counted from the first member on or never."""
    old, new = before.costs.year_cap_minor_units, plan.costs.year_cap_minor_units
    if old == new:
        return
    path = f"{prefix}costs.year_cap_minor_units"
    if not old:
        yield BadValue(path, "a plan without a yearly cap cannot get one; make it a new plan")
    elif date_of(plan.effective_day)[1:] != (1, 1):
        yield BadValue(path, "the yearly cap changes on 1 January only: effective_day must be one")


def _plan_problems(plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    yield from _calendar_problems(plan, prefix)
    yield from rules_problems(plan.claim_rules, prefix)
    last = -1
    for index, band in enumerate(plan.age_bands):
        if band.from_age_years <= last or band.to_age_years < band.from_age_years:
            yield BadValue(f"{prefix}age_bands[{index}]", "age bands must rise and not overlap")
        last = band.to_age_years
    for name, codes in (
        ("ailments", [ailment.code for ailment in plan.ailments]),
        ("clauses", [clause.number for clause in plan.clauses]),
    ):
        if len(set(codes)) != len(codes) or "" in codes:
            yield BadValue(f"{prefix}{name}", "codes and numbers must be present, each once")
    if plan.entry_age_min_months >= 12 * (plan.entry_age_max_years + 1):
        yield BadValue(f"{prefix}entry_age_min_months", "lies above entry_age_max_years: nobody could join")
    if 0 < plan.cover_until_age_years <= plan.entry_age_max_years:
        yield BadValue(f"{prefix}cover_until_age_years", "must lie above entry_age_max_years, or some join uncovered")
    if not any(band.benefit(ailment.tier) for band in plan.age_bands for ailment in plan.ailments):
        yield BadValue(f"{prefix}age_bands", "no ailment of the table has a benefit: amounts and tiers do not meet")
    if plan.costs.year_cap_minor_units and plan.calendar.cycle_days > 366:
        yield BadValue(f"{prefix}calendar.cycle_days", "with a yearly cap a cycle must not be longer than a year")
    if plan.costs.year_cap_minor_units and plan.life.refund_cycles:
        yield BadValue(f"{prefix}life.refund_cycles", "with a yearly cap, shares of single cycles are not paid back")
    if plan.life.min_units and not plan.life.sponsor:
        yield BadValue(f"{prefix}life.sponsor", "a plan that winds down by itself needs a sponsor: name one")
    if list(plan.jury.panel_sizes) != sorted(set(plan.jury.panel_sizes)):
        yield BadValue(f"{prefix}jury.panel_sizes", "each panel must be larger than the one before")
    if plan.benefit is Benefit.FIXED and plan.open_claims_max != 1:
        yield BadValue(f"{prefix}open_claims_max", "a plan that pays a fixed sum once allows one open claim")


def _calendar_problems(plan: PlanTerms, prefix: str) -> Iterator[BadValue]:
    calendar = plan.calendar
    disclosures, settlements = calendar.disclosure_days_of_month, calendar.settlement_days_of_month
    path = f"{prefix}calendar"
    if bool(disclosures) == bool(calendar.cycle_days):
        yield BadValue(path, "give disclosure_days_of_month or cycle_days, one of them")
        return
    if disclosures:
        if len(settlements) != len(disclosures):
            yield BadValue(path, "give one settlement day for each disclosure day")
            return
        ordered = [day for pair in zip(disclosures, settlements, strict=True) for day in pair]
        if ordered != sorted(set(ordered)):
            yield BadValue(path, "disclosure and settlement days must alternate and rise within the month")
            return
        if calendar.settlement_after_days:
            yield BadValue(path, "settlement_after_days goes with cycle_days, not with days of the month")
            return
    elif not 1 <= calendar.settlement_after_days <= calendar.cycle_days:
        yield BadValue(path, "settlement_after_days must be 1 to cycle_days")
        return
    elif settlements:
        yield BadValue(path, "settlement_days_of_month goes with disclosure_days_of_month, not with cycle_days")
        return
    if plan.deadlines.disclosure_hours * HOUR_MS >= _gap_days(calendar) * DAY_MS:
        yield BadValue(f"{prefix}deadlines.disclosure_hours", "claims must be confirmed before the settlement day")


def _gap_days(calendar: Calendar) -> int:
    """Least days from a disclosure to its settlement, of a calendar that has passed its checks."""
    days = zip(calendar.disclosure_days_of_month, calendar.settlement_days_of_month, strict=True)
    return min((settled - disclosed for disclosed, settled in days), default=calendar.settlement_after_days)
