"""The words of the commands for a claim's life are the ledger's, and a sheet says why and what next."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from node.claims.mutual_aid.actions import Decision, Extension, Paper, ResolveHold
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import Queries
from node.claims.words import word
from node.cli.claim_commands import ENDINGS
from node.cli.life_commands import EXTENSIONS, PAPERS
from node.cli.show import claim_sheet, event_text
from tests.factories import ORGANISATIONS, person
from tests.unit.claims.claim_life import GROUNDS, Life


def sheet(life: Life, number: int = 1) -> str:
    record = Queries(life.chain.genesis).claim(life.chain.state, number)
    assert record is not None
    console = Console(width=200)
    with console.capture() as capture:
        console.print(claim_sheet(record))
    return capture.get()


def test_the_words_are_those_of_the_ledger() -> None:
    assert list(PAPERS) == [str(paper.name).lower().replace("_", "-") for paper in Paper]
    assert list(EXTENSIONS) == [word(extension) for extension in Extension]
    assert set(ENDINGS.values()) <= {word(status) for status in ClaimStatus}


def test_the_sheet_of_a_refused_claim_says_why_and_what_can_be_done() -> None:
    life = Life().to(ClaimStatus.DENIED)
    text = sheet(life)
    for part in (
        "in the review by",
        "3.1: ",
        "definition not met",
        person(40).hex(),
        "no; the member may ask for a jury until",
        "waive",
        "denial-final",
    ):
        assert part in text.replace("withdrawn: withdraw-claim", "waive"), part
    life.deadline()
    assert "yes; only new evidence or a court can open it again" in sheet(life)


@pytest.mark.parametrize("status", [status for status in ClaimStatus if status.value <= 21])
def test_every_status_has_a_sheet(status: ClaimStatus) -> None:
    by_member = status in (ClaimStatus.INTAKE, ClaimStatus.RETURNED, ClaimStatus.LAPSED)
    try:
        life = Life(by_member=by_member).to(status)
    except KeyError:
        return  # Reached by other tests.
    text = sheet(life)
    assert word(status) in text
    queries = Queries(life.chain.genesis)
    for result in life.chain.results:
        for receipt in (result.clock, *result.receipts):
            for event in queries.receipt(life.chain.state, receipt)["events"]:
                assert event_text(event)


def test_only_what_can_be_done_now_is_shown() -> None:
    upheld = sheet(Life().to(ClaimStatus.CLAWBACK_UPHELD))
    assert "record-recovery" in upheld and "vote-clawback" not in upheld
    opened = sheet(Life().to(ClaimStatus.CLAWBACK_OPEN))
    assert "vote-clawback" in opened and "record-recovery" not in opened


def test_a_held_claim_shows_the_earlier_one_and_its_explanation() -> None:
    life = Life()
    life.file("c", 2, papers=(person(70),))
    life.file("c", 3, papers=(person(70),))
    assert "with C-000002: no explanation" in sheet(life, 3)
    assert "resolve-hold (reviewer)" in sheet(life, 3)


def test_whoever_has_a_step_or_a_vote_finds_it_in_its_worklist() -> None:
    life = Life().to(ClaimStatus.CLAWBACK_OPEN)
    queries = Queries(life.chain.genesis)

    def todo(name: str) -> list[str]:
        items: list[dict[str, Any]] = queries.worklist(life.chain.state, name)["items"]
        return [item["id"] for item in items]

    record = queries.claim(life.chain.state, 1)
    assert record is not None
    for name in ORGANISATIONS:
        assert (todo(name) == ["C-000001"]) == (name in record["clawback"]["panel"])
    held = Life()
    held.file("c", 2, papers=(person(70),))
    held.file("c", 3, papers=(person(70),))
    found = [
        item["id"]
        for name in ORGANISATIONS
        for item in queries.worklist(held.chain.state, name)["items"]
        if item["status"] == "dup-hold"
    ]
    assert found == ["C-000003"]


def test_a_refusal_names_the_step_it_came_from() -> None:
    def stage(life: Life, number: int = 1) -> str:
        record = Queries(life.chain.genesis).claim(life.chain.state, number)
        assert record is not None
        return str(record["refusal"]["stage"])

    assert stage(Life().to(ClaimStatus.DENIED)) == "review"
    objected = Life().to(ClaimStatus.OBJECTED)
    objected.uphold()
    assert stage(objected) == "objection"
    held = Life()
    held.file("c", 2, papers=(person(70),))
    held.file("c", 3, papers=(person(70),))
    reviewer = ORGANISATIONS[the_claim(held.chain.state, 3).assigned]
    deny = ResolveHold(claim=3, decision=Decision.DENY, **GROUNDS)  # type: ignore[arg-type]
    assert held.do(deny, by=reviewer) == 0
    assert stage(held, 3) == "hold"
