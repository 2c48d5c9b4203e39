"""What a regulator sees: counts and sums that are right, and nothing about a person."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from node.claims import reports
from node.claims.calendar import date_text
from node.claims.mutual_aid.plan_actions import PlanChange, ProposeChange, ProposePlan, VoteProposal
from node.claims.plan_queries import BadPeriod, proposal, proposals, report
from node.claims.queries import Queries
from node.claims.reports import plan_report
from tests.factories import person
from tests.plan_steps import CODE, OTHER, TERMS, chain_with, file, live, today


def test_the_cells_add_up_and_small_ones_are_not_shown() -> None:
    chain = chain_with(12, replace(TERMS))
    for member in range(1, 9):
        file(chain, member)
    live(chain, 14, 1, 2, 3, 4, 5, 6)
    registry = chain.application.registry
    plan = registry.plan(chain.state, 0)
    view = plan_report(registry, chain.state, plan, today(chain) - 30, today(chain))
    assert view["total"] == {"count": "8", "claimed": "2400000.00", "granted": "1800000.00"}
    # Two claims wait for their investigation: a small cell, and as the only one it would follow from the total.
    assert view["by_status"]["filed"] == {"count": "<5", "claimed": None, "granted": None}
    assert view["by_status"]["paid"] == {"count": "hidden", "claimed": None, "granted": None}
    assert view["by_tier"] == {"severe": view["total"]}
    assert view["by_age_band"] == {"0-39": view["total"]}
    assert [cell["count"] for cell in view["by_decision_time"].values()] == ["6"]
    assert sum(tally["investigations_missed"] for tally in view["missed_deadlines"].values()) > 0
    bare = plan_report(registry, chain.state, plan, today(chain) - 30, today(chain), k=1)
    assert {label: cell["count"] for label, cell in bare["by_status"].items()} == {"filed": "2", "paid": "6"}


def test_nothing_in_a_report_is_about_a_person() -> None:
    chain = chain_with(3)
    file(chain, 1)
    text = json.dumps(report(chain.application.registry, chain.state, CODE, "", "", chain.now_ms))
    assert '"1"' not in text and "M-" not in text and "C-0" not in text and person(0).hex() not in text


def test_the_period_counts_by_the_day_of_filing() -> None:
    chain = chain_with(12)
    for member in range(1, 6):
        file(chain, member)
    first = today(chain)
    chain.wait(days=3)
    file(chain, 6)
    registry, state = chain.application.registry, chain.state
    plan = registry.plan(state, 0)

    def count(from_day: int, to_day: int) -> str:
        return str(plan_report(registry, state, plan, from_day, to_day, k=1)["total"]["count"])

    assert [count(first, first), count(first + 1, first + 2), count(first + 3, first + 9), count(first, first + 3)] == [
        "5",
        "0",
        "1",
        "6",
    ]


def test_a_period_that_is_wrong_or_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = chain_with(3)
    registry = chain.application.registry
    for first, last in (("2026-02-30", ""), ("2026-02-02", "2026-02-01"), ("", "yesterday")):
        with pytest.raises(BadPeriod):
            report(registry, chain.state, CODE, first, last, chain.now_ms)
    assert report(registry, chain.state, "none", "", "", chain.now_ms) is None
    file(chain, 1)
    monkeypatch.setattr(reports, "REPORT_MAX", 0)
    with pytest.raises(BadPeriod, match="shorter"):
        report(registry, chain.state, CODE, "", "", chain.now_ms)


def test_proposals_are_listed_newest_first_and_shown_with_their_terms() -> None:
    chain = chain_with(3)
    registry, state = chain.application.registry, chain.state
    chain.do("a", ProposePlan(terms=OTHER))
    chain.do("b", ProposeChange(plan=CODE, change=PlanChange.CLOSE))
    chain.do("c", VoteProposal(proposal=2, approve=True))
    items, following = proposals(registry, state, 0, 1)
    assert ([item["id"] for item in items], following) == (["P-000002"], 2)
    assert items[0]["yes"] == ["c"] and items[0]["votes_needed"] == 3
    items, following = proposals(registry, state, 2, 5)
    assert ([item["id"] for item in items], following) == (["P-000001"], None)
    shown = proposal(registry, state, 1)
    assert shown is not None and shown["terms"]["code"] == "other"
    assert proposal(registry, state, 3) is None and proposal(registry, state, -1) is None


def test_every_event_of_a_plan_has_words() -> None:
    chain = chain_with(3)
    queries = Queries(chain.genesis)
    receipt = chain.do("a", ProposeChange(plan=CODE, change=PlanChange.WIND_DOWN, sponsor="d"))
    view = queries.receipt(chain.state, receipt)["events"][0]
    assert view["what"] == "proposal-opened" and view["proposal"] == "P-000001" and view["organisation"] == "a"
    shown = queries.plan(chain.state, CODE)
    assert shown is not None and shown["lifecycle"]["status"] == "open"
    assert date_text(today(chain)).startswith("2026-01")
