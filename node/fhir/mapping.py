"""From clinical codes to ailments of the plan's table: `mapping.csv`, one row per code, each with a note.

A row either names an ailment or says why its code is not covered. SNOMED CT codes are matched whole; ICD-10
rows match their code and everything below it (`I21` matches `I21.4`), ranges included, and the first row
that matches wins. If both systems are present SNOMED CT decides, because it is finer: R01 and R02 share
one ICD-10 code. If they name different ailments, nothing is decided and the import says so.

The table maps names of diseases only. Whether a case meets the plan's definition (stage, severity, days of
observation) is what the investigation is for, never a table.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final, Literal, NamedTuple

from node.errors import ConfigError
from node.fhir.resources import MAX_LIST, Coding

SNOMED_SYSTEMS: Final = frozenset({"http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"})
ICD10_SYSTEMS: Final = frozenset(
    {
        "http://hl7.org/fhir/sid/icd-10",
        "http://hl7.org/fhir/sid/icd-10-cm",
        "urn:oid:2.16.840.1.113883.6.3",
        "urn:oid:2.16.840.1.113883.6.90",
    }
)
COLUMNS: Final = ("system", "code", "ailment", "reason", "name", "note")


class Row(NamedTuple):
    """One line of the table."""

    system: str
    code: str
    ailment: str
    """Code in the plan's ailment table, or "-" if the code is known not to be covered."""
    reason: str
    """Why it is not covered: a reason of `reasons.REASONS`; "" for a mapped one."""
    name: str
    note: str


class Mapped(NamedTuple):
    """What the codings of one condition come to."""

    outcome: Literal["ailment", "excluded", "unlisted", "conflict", "no-code"]
    ailment: str
    reason: str
    row: Row | None


class Mapping:
    """The table, ready for look-ups."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._snomed: dict[str, Row] = {}
        self._icd10: list[tuple[str, str, Row]] = []
        self.rows = tuple(rows)
        for row in self.rows:
            if row.system == "snomed":
                self._snomed[row.code] = row
            else:
                low, _, high = row.code.partition("-")
                self._icd10.append((low, high or low, row))

    def look_up(self, codings: list[Coding]) -> Mapped:
        """The ailment that the codings of a condition name, or why there is none."""
        snomed = icd10 = None
        coded = False
        for coding in codings[:MAX_LIST]:
            if not coding.code or len(coding.code) > 64:
                continue
            if coding.system in SNOMED_SYSTEMS:
                coded = True
                snomed = snomed or self._snomed.get(coding.code)
            elif coding.system in ICD10_SYSTEMS:
                coded = True
                icd10 = icd10 or self._icd10_row(coding.code.upper())
        if snomed and icd10 and "-" not in (snomed.ailment, icd10.ailment) and snomed.ailment != icd10.ailment:
            # One ICD-10 code may stand for several rows of the plan; only a different disease is a conflict.
            if not self._same_icd10(snomed, icd10):
                return Mapped("conflict", "", "codes-disagree", snomed)
        row = snomed or icd10
        if row is None:
            return Mapped("unlisted", "", "not-listed", None) if coded else Mapped("no-code", "", "no-code", None)
        if row.ailment == "-":
            return Mapped("excluded", "", row.reason, row)
        return Mapped("ailment", row.ailment, "", row)

    def _icd10_row(self, code: str) -> Row | None:
        dotted = code if "." in code or len(code) <= 3 else f"{code[:3]}.{code[3:]}"
        for low, high, row in self._icd10:
            if low <= dotted[: len(low)] and dotted[: len(high)] <= high and len(dotted) >= len(low):
                return row
        return None

    @staticmethod
    def _same_icd10(first: Row, second: Row) -> bool:
        """Thyroid cancer is malignant as well: the finer of the two codes decides."""
        return {first.ailment, second.ailment} <= {"S01", "M04", "X03"} or {first.ailment, second.ailment} <= {
            "R01",
            "R02",
        }


def parse(text: str, where: str = "mapping.csv") -> Mapping:
    """The table from CSV text. Raises ConfigError naming the line."""
    lines = csv.reader(text.splitlines())
    rows, seen = [], set()
    for number, cells in enumerate(lines, 1):
        if number == 1:
            if tuple(cells) != COLUMNS:
                raise ConfigError(f"the first line must be {','.join(COLUMNS)}", file=where, line=1)
            continue
        if len(cells) != len(COLUMNS):
            raise ConfigError(f"{len(cells)} columns instead of {len(COLUMNS)}", file=where, line=number)
        row = Row(*(cell.strip() for cell in cells))
        if row.system not in ("snomed", "icd10"):
            raise ConfigError(f"system {row.system!r}: write snomed or icd10", file=where, line=number)
        pattern = r"\d{6,18}" if row.system == "snomed" else r"[A-Z]\d\d(\.\d{1,3})?(-[A-Z]\d\d(\.\d{1,3})?)?"
        if not re.fullmatch(pattern, row.code):
            raise ConfigError(f"{row.code!r} is no {row.system} code", file=where, line=number)
        if (row.ailment == "-") != bool(row.reason):
            raise ConfigError("give an ailment, or - and a reason", file=where, line=number)
        if (row.system, row.code) in seen:
            raise ConfigError(f"{row.system} {row.code} stands twice", file=where, line=number)
        seen.add((row.system, row.code))
        rows.append(row)
    return Mapping(rows)


@cache
def shipped() -> Mapping:
    """The table that the project ships."""
    return parse(resources.files("node.fhir").joinpath("mapping.csv").read_text(encoding="utf-8"))
