"""Aggregates for a regulator: counts and sums of a plan's claims in a period, and nothing about a person.

The period is of the day of filing. Claim numbers follow the time of filing, so the first and last claim are found
in O(log claims) and only those between them are read, at most REPORT_MAX. A count below SMALL_CELL is shown as
"<5" and its sum not at all; if a single cell of a breakdown would be hidden, the next smallest is hidden as well,
or it could be computed from the total.
"""

from __future__ import annotations

from typing import Any, Final

from node.claims import keys
from node.claims.calendar import date_text, start_of, years_old
from node.claims.consortium import OrganisationTally
from node.claims.genesis import Tier
from node.claims.money import amount_text
from node.claims.mutual_aid.records import ClaimRecord, load_counters, the_claim, the_member
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus
from node.claims.plain import to_plain
from node.claims.registry import Plan, Registry
from node.claims.state import ReadState
from node.claims.types import DAY_MS
from node.claims.wire import decode_trusted

Json = dict[str, Any]
SMALL_CELL: Final = 5
REPORT_MAX: Final = 50_000
_TIERS: Final = tuple(Tier)
_DAYS: Final = ((1, "up to 1 day"), (7, "up to 7 days"), (30, "up to 30 days"), (90, "up to 90 days"))
_LATER: Final = "more than 90 days"


class PeriodTooLong(ValueError):
    """More claims than a report reads."""


class _Cell:
    __slots__ = ("claimed", "count", "granted")

    def __init__(self) -> None:
        self.count = self.claimed = self.granted = 0

    def add(self, claim: ClaimRecord) -> None:
        self.count += 1
        self.claimed += claim.claimed
        self.granted += claim.amount


Table = dict[str, _Cell]


def plan_report(
    registry: Registry, state: ReadState, plan: Plan, from_day: int, to_day: int, k: int = SMALL_CELL
) -> Json:
    """Claims of `plan` filed from `from_day` to `to_day`, both included. Raises PeriodTooLong."""
    last = load_counters(state).next_claim
    first = _first_filed(state, start_of(from_day, plan.utc_offset_minutes), last)
    stop = _first_filed(state, start_of(to_day + 1, plan.utc_offset_minutes), last)
    if stop - first > REPORT_MAX:
        raise PeriodTooLong(f"{stop - first} claims were filed in this period; at most {REPORT_MAX} are read")
    tables: dict[str, Table] = {"by_status": {}, "by_tier": {}, "by_age_band": {}, "by_decision_time": {}}
    total = _Cell()
    for number in range(first, stop):
        claim = the_claim(state, number)
        if claim.plan == plan.number:
            total.add(claim)
            for name, label in _labels(state, plan, claim):
                tables[name].setdefault(label, _Cell()).add(claim)
    digits = plan.versions[0].plan.minor_digits
    return {
        "plan": plan.code,
        "from": date_text(from_day),
        "to": date_text(to_day),
        "currency": plan.versions[0].plan.currency,
        "small_cell": k,
        "total": _shown(total, digits, hidden=0 < total.count < k, k=k),
        **{name: suppressed(table, digits, k) for name, table in tables.items()},
        "missed_deadlines": {name: to_plain(_tally(state, number)) for number, name in enumerate(registry.names)},
    }


def _labels(state: ReadState, plan: Plan, claim: ClaimRecord) -> list[tuple[str, str]]:
    member = the_member(state, claim.member)
    band = plan.terms_on(claim.diagnosis_day).band(years_old(member.birth_month, claim.diagnosis_day))
    labels = [
        ("by_status", claim.status.name.lower().replace("_", "-")),
        ("by_tier", _TIERS[claim.tier - 1].value),
        ("by_age_band", "none" if band is None else f"{band.from_age_years}-{band.to_age_years}"),
    ]
    if claim.status not in DEADLINE_OF or claim.status in (ClaimStatus.SETTLED, ClaimStatus.CONFIRMED):
        days = (claim.changed_ms - claim.filed_ms) // DAY_MS
        labels.append(("by_decision_time", next((text for limit, text in _DAYS if days < limit), _LATER)))
    return labels


def suppressed(table: Table, digits: int, k: int) -> dict[str, Json]:
    """The cells as they may be shown, in order of their labels."""
    order = sorted(table, key=lambda label: (table[label].count, label))
    hidden = [label for label in order if table[label].count < k]
    if len(hidden) == 1 and len(order) > 1:
        hidden.append(order[1])
    return {label: _shown(table[label], digits, hidden=label in hidden, k=k) for label in sorted(table)}


def _shown(cell: _Cell, digits: int, *, hidden: bool, k: int) -> Json:
    if hidden:
        return {"count": f"<{k}" if cell.count < k else "hidden", "claimed": None, "granted": None}
    return {
        "count": str(cell.count),
        "claimed": amount_text(cell.claimed, digits),
        "granted": amount_text(cell.granted, digits),
    }


def _first_filed(state: ReadState, time_ms: int, stop: int) -> int:
    """Number of the first claim filed at `time_ms` or later, or `stop`."""
    low, high = 1, stop
    while low < high:
        middle = (low + high) // 2
        if the_claim(state, middle).filed_ms < time_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _tally(state: ReadState, number: int) -> OrganisationTally:
    raw = state.get(keys.tally(number))
    return OrganisationTally() if raw is None else decode_trusted(OrganisationTally, raw)
