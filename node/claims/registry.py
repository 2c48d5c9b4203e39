"""Organisations and plans in the form that handlers look things up in.

The organisations come from the genesis. Plans come from the state, because organisations adopt new versions
and new plans while the chain runs, and because several blocks that are not final yet may be executed side by
side: what a block may see is only in the state at hand. A small index record for each plan names its versions
by digest; decoded terms are kept by that digest and decoded plans by the bytes of the index. Both say only
what those bytes say, so they are right on every fork, and looking a plan up costs one read of the state.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeVar

from node.claims import keys
from node.claims.calendar import day_of, next_day_of_month, start_of
from node.claims.genesis import AgeBand, Ailment, Genesis, PlanTerms, Role
from node.claims.governance import voters
from node.claims.invariants import InvariantBroken
from node.claims.state import EncodedReads, ReadState
from node.claims.types import DAY_MS, MAX_PLANS
from node.claims.wire import Wire, decode_trusted, encode

_PLANS_KEPT: Final = 4 * MAX_PLANS
_TERMS_KEPT: Final = 512
"""Decoded forms kept. Beyond these numbers the oldest is decoded again when it is needed."""

MAX_VERSIONS: Final = 256
"""Of one plan. Its index is read with every lookup."""

K = TypeVar("K")
V = TypeVar("V")


class VersionEntry(Wire, frozen=True, kw_only=True):
    """A version of a plan, as its index names it."""

    version: int
    effective_day: int
    digest: bytes
    """SHA-256 of the canonical bytes of its terms."""


class PlanNumber(Wire, frozen=True, kw_only=True):
    """Which plan has a code."""

    plan: int


class PlanIndex(Wire, frozen=True, kw_only=True):
    """The versions of a plan, in order. Entries are only ever added, at the end."""

    code: str
    versions: tuple[VersionEntry, ...]


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

    def __init__(self, number: int, versions: Sequence[PlanTerms | Terms], genesis_ms: int) -> None:
        self.number = number
        self.versions = [version if isinstance(version, Terms) else Terms(version) for version in versions]
        first = self.versions[0].plan
        self.code = first.code
        self._effective = [version.plan.effective_day for version in self.versions]
        self.utc_offset_minutes = first.utc_offset_minutes
        self._anchor_day = day_of(genesis_ms, self.utc_offset_minutes)

    def terms_on(self, day: int) -> Terms:
        """The version in force on `day`; the first one for days before any."""
        return self.versions[max(0, bisect_right(self._effective, day) - 1)]

    def version(self, number: int) -> Terms | None:
        """The version with this number."""
        return next((terms for terms in self.versions if terms.plan.version == number), None)

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
        self.voters = voters(genesis)
        self._plans: dict[tuple[int, bytes], Plan] = {}
        self._terms: dict[bytes, Terms] = {}

    def plan(self, state: ReadState, number: int) -> Plan:
        """The plan with this number, which a record of the state names."""
        raw = state.get(keys.plan_index(number))
        if raw is None:
            raise InvariantBroken(f"the state has no plan {number}, which one of its records names")
        return self._plans.get((number, raw)) or self._read_plan(state, number, raw)

    def find(self, state: ReadState, code: str) -> Plan | None:
        """The plan with this code, if there is one."""
        found = state.load(keys.plan_code(code), PlanNumber) if code.isascii() else None
        return None if found is None else self.plan(state, found.plan)

    def plan_or_none(self, state: ReadState, number: int) -> Plan | None:
        """As `plan`, for a number from outside."""
        known = 0 <= number < MAX_PLANS and state.get(keys.plan_index(number)) is not None
        return self.plan(state, number) if known else None

    def plans(self, state: ReadState) -> list[Plan]:
        """All plans, in order of their numbers."""
        found: list[Plan] = []
        while (plan := self.plan_or_none(state, len(found))) is not None:
            found.append(plan)
        return found

    def _read_plan(self, state: ReadState, number: int, raw: bytes) -> Plan:
        index = decode_trusted(PlanIndex, raw)
        versions = [self._read_terms(state, number, entry) for entry in index.versions]
        plan = Plan(number, versions, self.genesis.time_ms)
        _keep(self._plans, (number, raw), plan, _PLANS_KEPT)
        return plan

    def _read_terms(self, state: ReadState, number: int, entry: VersionEntry) -> Terms:
        terms = self._terms.get(entry.digest)
        if terms is None:
            raw = state.get(keys.plan_terms(number, entry.version)) or b""
            if sha256(raw).digest() != entry.digest:
                raise InvariantBroken(f"version {entry.version} of plan {number} is not the one its index names")
            terms = Terms(decode_trusted(PlanTerms, raw))
            _keep(self._terms, entry.digest, terms, _TERMS_KEPT)
        return terms

    def genesis_plans(self) -> list[list[PlanTerms]]:
        """The plans of the genesis, each in all its versions."""
        versions: dict[str, list[PlanTerms]] = {}
        for terms in self.genesis.plans:
            versions.setdefault(terms.code, []).append(terms)
        return list(versions.values())


def plan_rows(number: int, versions: Sequence[PlanTerms]) -> Iterator[tuple[bytes, bytes]]:
    """The records that make a plan with these versions known."""
    entries = []
    for terms in versions:
        raw = encode(terms)
        yield keys.plan_terms(number, terms.version), raw
        entries.append(
            VersionEntry(version=terms.version, effective_day=terms.effective_day, digest=sha256(raw).digest())
        )
    code = versions[0].code
    yield keys.plan_index(number), encode(PlanIndex(code=code, versions=tuple(entries)))
    yield keys.plan_code(code), encode(PlanNumber(plan=number))


class GenesisPlans(EncodedReads):
    """The plans of the genesis as a state that can only be read: for who has a genesis file and no node."""

    def __init__(self, registry: Registry) -> None:
        self._rows = dict(
            row for number, versions in enumerate(registry.genesis_plans()) for row in plan_rows(number, versions)
        )

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self._rows.items() if start <= key < end))


def _keep(cache: dict[K, V], key: K, value: V, limit: int) -> None:
    while len(cache) >= limit:
        del cache[next(iter(cache))]
    cache[key] = value
