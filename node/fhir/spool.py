"""Everything read so far, in a temporary database: the order and the size of the input stop to matter.

Conditions may come before their patients, bills before their diagnoses, and a file may hold more than fits
in memory. Only what the decision needs is kept, and no name: people are there as keyed values. The file lies
in a folder of its own that only this user can enter, and goes when the spool is closed.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from node.fhir.identity import ImportSecret, joint_input
from node.fhir.mapping import Mapping
from node.fhir.resources import (
    MAX_LIST,
    Claim,
    Condition,
    Coverage,
    Other,
    Patient,
    Period,
    Unreadable,
    local_id,
    minor_units,
    parse_date,
    patient_id,
    read,
)
from node.fhir.split import Piece

_UNIX_EPOCH: Final = date(1970, 1, 1)
_MAX_LINKS: Final = 64
"""Most diagnoses, and most encounters, of one bill that are followed."""

_SCHEMA: Final = """
CREATE TABLE patient (seq INTEGER PRIMARY KEY, line INTEGER, id TEXT UNIQUE, digest BLOB, person BLOB, identity BLOB,
    birth_day INTEGER, death_day INTEGER, dead INTEGER, outcome TEXT, detail TEXT DEFAULT '', leader INTEGER,
    shift INTEGER DEFAULT 0, member INTEGER DEFAULT 0, payer INTEGER DEFAULT 0);
CREATE TABLE coverage (seq INTEGER PRIMARY KEY, line INTEGER, id TEXT UNIQUE, digest BLOB, beneficiary TEXT,
    subscriber TEXT, first_day INTEGER, last_day INTEGER, rank INTEGER, reason TEXT, outcome TEXT,
    detail TEXT DEFAULT '', leader INTEGER, head INTEGER, payer INTEGER);
CREATE TABLE condition (seq INTEGER PRIMARY KEY, line INTEGER, id TEXT UNIQUE, digest BLOB, patient TEXT,
    encounter TEXT, day INTEGER, ailment TEXT, reason TEXT, name TEXT, leader INTEGER,
    outcome TEXT, detail TEXT DEFAULT '', claim INTEGER DEFAULT 0);
CREATE TABLE bill (seq INTEGER PRIMARY KEY, line INTEGER, id TEXT UNIQUE, digest BLOB, patient TEXT,
    amount INTEGER, currency TEXT, reason TEXT, kind TEXT, outcome TEXT, detail TEXT DEFAULT '', condition INTEGER);
CREATE TABLE diagnosis (bill INTEGER, condition TEXT);
CREATE TABLE visit (bill INTEGER, encounter TEXT);
CREATE TABLE alias (kind TEXT, alias TEXT, id TEXT, PRIMARY KEY (kind, alias));
CREATE TABLE extra (seq INTEGER PRIMARY KEY, line INTEGER, kind TEXT, id TEXT, outcome TEXT, detail TEXT,
    amount INTEGER DEFAULT 0, currency TEXT DEFAULT '');
CREATE TABLE other (kind TEXT PRIMARY KEY, number INTEGER);
"""
_INDEXES: Final = """
CREATE INDEX patient_person ON patient (person);
CREATE INDEX patient_identity ON patient (identity);
CREATE INDEX condition_patient ON condition (patient);
CREATE INDEX condition_encounter ON condition (encounter);
CREATE INDEX diagnosis_bill ON diagnosis (bill);
CREATE INDEX visit_bill ON visit (bill);
"""
_NOT_CONFIRMED: Final = ("unconfirmed", "provisional", "differential", "refuted", "entered-in-error")
_FINISHED: Final = "active"


class Spool:
    """One input, read. Use it as a context manager."""

    def __init__(self, secret: ImportSecret, mapping: Mapping) -> None:
        self._secret, self._mapping = secret, mapping
        self._folder = Path(tempfile.mkdtemp(prefix="weal-import-"))
        self.database = sqlite3.connect(self._folder / "spool.sqlite", isolation_level=None)
        # Nothing here outlives the process, so nothing needs to reach the disk in order.
        for setting in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-16384"):
            self.database.execute(f"PRAGMA {setting}")
        self.database.executescript(_SCHEMA)
        self.damaged = ""
        """Why the input could not be read to its end; "" if it could."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything."""
        self.database.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def rows(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, one at a time."""
        return iter(self.database.execute(query, values))

    def fill(self, pieces: Iterable[Piece]) -> Iterator[int]:
        """Read everything; gives the number of resources read, now and then, for a progress display."""
        count = 0
        self.database.execute("BEGIN")
        for piece in pieces:
            self._take(piece)
            count += 1
            if count % 500 == 0:
                yield count
        self.database.execute("COMMIT")
        self.database.executescript(_INDEXES)
        yield count

    def _take(self, piece: Piece) -> None:
        resource, url, text = read(piece)
        match resource:
            case Unreadable(kind=kind, why=why):
                if "damaged or cut short" in why or why.startswith("the input ends"):
                    self.damaged = f"line {piece.line}: {why}"
                self._extra(piece.line, kind or "unknown", "", "unreadable", why)
            case Other(kind=kind):
                self.database.execute(
                    "INSERT INTO other VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET number = number + 1", (kind,)
                )
            case Patient():
                self._alias("patient", url, resource.id)
                self._patient(piece.line, text, resource)
            case Coverage():
                self._coverage(piece.line, text, resource)
            case Condition():
                self._alias("condition", url, resource.id)
                self._condition(piece.line, text, resource)
            case Claim():
                self._bill(piece.line, text, resource)

    def _patient(self, line: int, text: bytes, patient: Patient) -> None:
        died = _day(patient.deceasedDateTime)
        dead = int(bool(patient.deceasedDateTime or patient.deceasedBoolean))
        values = (self._secret.person(patient), joint_input(patient), _day(patient.birthDate), died, dead)
        self._insert(
            "patient", "Patient", line, text, patient.id, "person, identity, birth_day, death_day, dead", values
        )

    def _coverage(self, line: int, text: bytes, coverage: Coverage) -> None:
        beneficiary = patient_id(coverage.beneficiary)
        # The policy holder may be an employer: only a person can pay for another member.
        under = coverage.subscriber or coverage.policyHolder
        subscriber = patient_id(under)
        if coverage.subscriber is not None and subscriber is None:
            subscriber = ""  # somebody, but no patient
        reason, first, last = "", None, None
        if coverage.status != _FINISHED:
            reason = "coverage-not-active"
        else:
            reason, first, last = _period(coverage.period)
        rank = min(max(coverage.order or 2**31, 0), 2**31)
        columns = "beneficiary, subscriber, first_day, last_day, rank, reason"
        values = (beneficiary, subscriber, first, last, rank, reason)
        self._insert("coverage", "Coverage", line, text, coverage.id, columns, values)

    def _condition(self, line: int, text: bytes, condition: Condition) -> None:
        mapped = self._mapping.look_up(condition.code.coding if condition.code else [])
        reason = mapped.reason
        status = condition.verificationStatus
        if status and any(status.has(code) for code in _NOT_CONFIRMED):
            reason = "not-confirmed"
        name = mapped.row.name if mapped.row else _label(condition)
        values = (
            local_id(condition.subject),
            local_id(condition.encounter),
            _day(condition.diagnosed),
            mapped.ailment,
            reason,
            name,
        )
        columns = "patient, encounter, day, ailment, reason, name"
        self._insert("condition", "Condition", line, text, condition.id, columns, values)

    def _bill(self, line: int, text: bytes, bill: Claim) -> None:
        total = minor_units(bill.total)
        amount, currency = total or (0, "")
        reason = ""
        if bill.use != "claim":
            reason = "not-a-bill"
        elif bill.status != _FINISHED:
            reason = "bill-not-active"
        elif total is None:
            reason = "no-amount"
        kind = next((c.code for c in bill.type.coding[:MAX_LIST] if c.code), "") if bill.type else ""
        values = (local_id(bill.patient), amount, currency, reason, kind[:64] if kind else "")
        columns = "patient, amount, currency, reason, kind"
        seq = self._insert("bill", "Claim", line, text, bill.id, columns, values, amount, currency)
        if seq is None:
            return
        diagnoses = [local_id(diagnosis.diagnosisReference) for diagnosis in bill.diagnosis[:MAX_LIST]]
        visits = [local_id(visit) for item in bill.item[:MAX_LIST] for visit in item.encounter[:MAX_LIST]]
        for table, found in (("diagnosis", diagnoses), ("visit", visits)):
            wanted = list(dict.fromkeys(id for id in found if id))[:_MAX_LINKS]
            self.database.executemany(f"INSERT INTO {table} VALUES (?, ?)", ((seq, id) for id in wanted))

    def identities(self) -> list[bytes]:
        """What the organisations make people's values of, each once, in order."""
        query = "SELECT identity FROM patient GROUP BY identity ORDER BY min(seq)"
        return [identity for (identity,) in self.database.execute(query)]

    def know_as(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Know people by values made jointly, given as (identity, value), instead of the import secret's."""
        self.database.executemany(
            "UPDATE patient SET person = ? WHERE identity = ?", ((value, identity) for identity, value in values)
        )

    def _insert(
        self,
        table: str,
        kind: str,
        line: int,
        text: bytes,
        id: str | None,
        columns: str,
        values: tuple[Any, ...],
        amount: int = 0,
        currency: str = "",
    ) -> int | None:
        """Row number, or None if there is a resource of this kind and id already: then it is a duplicate."""
        digest = sha256(text).digest()
        marks = ", ".join("?" * (len(values) + 3))
        done = self.database.execute(
            f"INSERT OR IGNORE INTO {table} (line, id, digest, {columns}) VALUES ({marks})",
            (line, id, digest, *values),
        )
        if done.rowcount == 1:
            return done.lastrowid
        (held,) = self.database.execute(f"SELECT digest FROM {table} WHERE id = ?", (id,)).fetchone()
        why = "the same resource again" if held == digest else "another resource with this id came first"
        self._extra(line, kind, id or "", "duplicate", why, amount, currency)
        return None

    def _extra(
        self, line: int, kind: str, id: str, outcome: str, detail: str, amount: int = 0, currency: str = ""
    ) -> None:
        self.database.execute(
            "INSERT INTO extra (line, kind, id, outcome, detail, amount, currency) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (line, kind, id, outcome, detail, amount, currency),
        )

    def _alias(self, kind: str, url: str, id: str | None) -> None:
        """A Bundle may refer to its entries by a URL that does not end in the resource's id."""
        alias = url.rsplit("/", 1)[-1].removeprefix("urn:uuid:").removeprefix("urn:oid:")
        if alias and alias != id:
            self.database.execute("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", (kind, alias, id))


def _day(text: str | None) -> int | None:
    day = parse_date(text)
    return None if day is None else (day - _UNIX_EPOCH).days


def _period(period: Period | None) -> tuple[str, int | None, int | None]:
    """(reason not to use it, first day, last day); None: open on that side."""
    if period is None:
        return "", None, None
    first, last = _day(period.start), _day(period.end)
    unclear = (period.start is not None and first is None) or (period.end is not None and last is None)
    if unclear or (first is not None and last is not None and last < first):
        return "unclear-period", None, None
    return "", first, last


def _label(condition: Condition) -> str:
    if condition.code is None:
        return ""
    displays = [coding.display for coding in condition.code.coding[:MAX_LIST] if coding.display]
    return (displays[0] if displays else condition.code.text or "")[:120]
