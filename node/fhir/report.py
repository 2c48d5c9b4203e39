"""The account of an import: every resource that was read, by what became of it. Totals must add up.

`totals` gives numbers, `lines` one record per resource. What the ledger says after submission is entered into
the spool (`importer`), so that the report ends up saying what is on the chain and not what was hoped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from consensus.errors import InvariantBroken
from node.claims.calendar import date_text
from node.claims.ids import claim_text, member_text
from node.fhir.reasons import REASONS
from node.fhir.spool import Spool

_TABLES: Final = (
    ("Patient", "patient"),
    ("Coverage", "coverage"),
    ("Condition", "condition"),
    ("Claim", "bill"),
)


class Outcome(msgspec.Struct, kw_only=True):
    """How many resources of one kind came to one end."""

    kind: str
    outcome: str
    reason: str
    """The outcome in words."""
    count: int
    amounts: dict[str, str] = {}
    """Total by currency as decimal strings; bills only."""


class Totals(msgspec.Struct, kw_only=True):
    """What an input held and what became of it."""

    read: dict[str, int]
    """Resources by kind, those of kinds that are not imported included."""
    outcomes: list[Outcome]
    amounts: dict[str, str]
    """All bills' amounts by currency."""
    members: int
    claims: int
    damaged: str
    """Why the input could not be read to its end; "" if it could."""

    @property
    def accounted(self) -> int:
        return sum(outcome.count for outcome in self.outcomes)


def decimal_text(minor_units: int) -> str:
    """Hundredths as a decimal string."""
    return f"{minor_units // 100}.{minor_units % 100:02d}"


def totals(spool: Spool) -> Totals:
    """Count everything. Raises InvariantBroken if a resource is missing from the account."""
    outcomes: list[Outcome] = []
    amounts: Counter[str] = Counter()
    read: Counter[str] = Counter()
    for kind, table in _TABLES:
        counted: Counter[str] = Counter()
        money: dict[str, Counter[str]] = {}
        value = "amount, currency" if table == "bill" else "0, ''"
        extra = "amount, currency" if table == "bill" else "0, ''"
        query = (
            f"SELECT outcome, {value} FROM {table} UNION ALL SELECT outcome, {extra} FROM extra WHERE kind = '{kind}'"
        )
        for outcome, amount, currency in spool.rows(query):
            if outcome not in REASONS:
                raise InvariantBroken(f"a {kind} ended as {outcome!r}, which is no outcome")
            counted[outcome] += 1
            if currency:
                money.setdefault(outcome, Counter())[currency] += amount
                amounts[currency] += amount
        read[kind] = sum(counted.values())
        for outcome, count in counted.most_common():
            by_currency = {name: decimal_text(sum_) for name, sum_ in sorted(money.get(outcome, Counter()).items())}
            outcomes.append(
                Outcome(kind=kind, outcome=outcome, reason=REASONS[outcome], count=count, amounts=by_currency)
            )
    for kind, count in spool.rows("SELECT kind, number FROM other ORDER BY kind"):
        read[kind] += count
        outcomes.append(Outcome(kind=kind, outcome="other", reason="a kind that is not imported", count=count))
    (unknown,) = next(spool.rows("SELECT count(*) FROM extra WHERE kind = 'unknown'"))
    if unknown:
        read["unknown"] = unknown
        outcomes.append(Outcome(kind="unknown", outcome="unreadable", reason=REASONS["unreadable"], count=unknown))
    result = Totals(
        read={kind: count for kind, count in read.items() if count},
        outcomes=outcomes,
        amounts={name: decimal_text(sum_) for name, sum_ in sorted(amounts.items())},
        members=_count(spool, "patient", "member"),
        claims=_count(spool, "condition", "claim"),
        damaged=spool.damaged,
    )
    if result.accounted != sum(result.read.values()):
        raise InvariantBroken(f"{sum(result.read.values())} resources read and {result.accounted} accounted for")
    return result


def _number_of(column: str) -> str:
    """SQL: the member number of the patient to whom a column of the coverage table points, 0 if none."""
    return f"coalesce((SELECT member FROM patient WHERE patient.seq = coverage.{column}), 0)"


def _count(spool: Spool, table: str, outcome: str) -> int:
    (number,) = next(spool.rows(f"SELECT count(*) FROM {table} WHERE outcome = ?", outcome))
    return int(number)


def lines(spool: Spool) -> Iterator[dict[str, Any]]:
    """One record per resource of the imported kinds and per unreadable piece, by kind and in order of the input."""
    for kind, table in _TABLES:
        columns = {
            "patient": "outcome, '', detail, '', 0, member, 0, 0",
            "coverage": f"outcome, '', detail, '', 0, {_number_of('leader')}, 0, {_number_of('payer')}",
            "condition": "outcome, name, detail, '', 0, 0, claim, 0",
            "bill": "outcome, kind, detail, currency, amount, 0, "
            "coalesce((SELECT claim FROM condition WHERE condition.seq = bill.condition), 0), 0",
        }[table]
        for line, id, outcome, name, detail, currency, amount, member, claim, payer in spool.rows(
            f"SELECT line, id, {columns} FROM {table} ORDER BY seq"
        ):
            entry: dict[str, Any] = {
                "line": line,
                "kind": kind,
                "id": id,
                "outcome": outcome,
                "reason": REASONS.get(outcome, outcome),
            }
            if name:
                entry["name"] = name
            if detail:
                entry["detail"] = date_text(int(detail)) if table == "patient" and detail.isdigit() else detail
            if member:
                entry["member"] = member_text(member)
            if payer and outcome == "payer":
                entry["payer"] = member_text(payer)
            if claim:
                entry["claim"] = claim_text(claim)
            if currency:
                entry["amount"] = {"value": decimal_text(amount), "currency": currency}
            yield entry
    for line, kind, id, outcome, detail in spool.rows("SELECT line, kind, id, outcome, detail FROM extra ORDER BY seq"):
        yield {
            "line": line,
            "kind": kind,
            "id": id,
            "outcome": outcome,
            "reason": REASONS.get(outcome, outcome),
            "detail": detail,
        }
