"""Members of a European health fund: reading the published file, and a small sample in its shape.

The file is `euhealthinsurance` of the R package CASdatasets, written out as CSV: 176,032 anonymised people with
age and the amounts of eight kinds of service. Its licence keeps it out of this project; only hospital stays and
operations, which the plan "hospital-reimbursement" pays back, are read from it.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

DEFAULT_FILE: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "euhealthinsurance.csv.gz"
PUBLISHED_ROWS: Final = 176_032
PUBLISHED_CENTS: Final = {"H01": 91_563_223, "H02": 26_137_861}
"""Sums of the published file: 915,632.23 for hospital stays and 261,378.61 for operations."""
SERVICES: Final = {"H01": "amt_hospitalizations", "H02": "amt_operations"}
"""Code in configs/hospital-services.csv -> column."""
_COLUMNS: Final = ("id_anon", "age_at_inception", *SERVICES.values())


class FundError(Exception):
    """The file is missing or is not the one this reads. The message says what to do."""


class Person(msgspec.Struct, frozen=True):
    """One row: who, how old, and what was spent, by service, in euro cents."""

    identity: str
    age_months: int
    cents: dict[str, int]


def cents_of(text: str) -> int:
    """Euro cents of an amount such as "36.15"; refuses what is not whole cents, up to binary noise."""
    exact = Decimal(text) * 100
    cents = int(exact.to_integral_value())
    if abs(exact - cents) > Decimal("0.000001"):
        raise FundError(f"the amount {text} is no whole number of cents")
    return cents


def read_fund(path: Path) -> Iterator[Person]:
    """The people of the file, in its order. Raises FundError."""
    if not path.is_file():
        raise FundError(
            f"{path} is missing. It is not part of this project; export `euhealthinsurance` of the R package "
            "CASdatasets as CSV, gzip it and pass --data FILE, or try the built-in sample with --sample"
        )
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise FundError(f"{path} lacks the columns {', '.join(missing)}: it is another file")
        for row in reader:
            yield Person(
                row["id_anon"],
                int(Decimal(row["age_at_inception"]) * 12),
                {code: cents_of(row[column]) for code, column in SERVICES.items()},
            )


def sample_fund(count: int, seed: int = 1) -> list[Person]:
    """People of the same shape, about one in eight with costs, so that a small run has every path in it."""
    draw = random.Random(seed)
    people = []
    for number in range(count):
        stay = draw.choice([0, 0, 0, 0, 0, 0, 0, draw.randrange(5_000, 90_000)])
        operation = draw.randrange(10_000, 150_000) if stay and draw.random() < 0.2 else 0
        people.append(Person(f"S{number:06d}", draw.randrange(0, 90 * 12), {"H01": stay, "H02": operation}))
    return people


def person_key(run: str) -> bytes:
    """Key of the person commitments of a run; a real consortium keeps one off the chain."""
    return sha256(b"weal/benchmark/person\0" + run.encode()).digest()


def totals(people: list[Person]) -> dict[str, int]:
    """Cents by service."""
    return {code: sum(person.cents[code] for person in people) for code in SERVICES}
