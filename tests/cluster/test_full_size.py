"""The full-size run's whole path, with made-up people instead of the published file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.full_size import measure, report_of
from benchmarks.health_fund import sample_fund, totals


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_filed_is_paid_to_the_cent_on_every_node(tmp_path: Path) -> None:
    people = sample_fund(1_200)
    cents = totals(people)
    claims = sum(1 for person in people for amount in person.cents.values() if amount)
    assert min(cents.values()) > 0
    # Two chain days a second: deadlines for payment pass, and claims change hands on the way.
    found = measure(people, 172_800, tmp_path)
    assert found["claims"] == claims
    assert found["plan"]["claims_by_status"]["paid"] == claims
    assert sum(cycle["cases"] for cycle in found["cycles"]) == claims
    text = report_of(found, "test", {}, "test").markdown()
    assert f"{sum(cents.values()) // 100}." in text
