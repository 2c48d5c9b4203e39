"""What the value of every event of a claim means, by name."""

from __future__ import annotations

import pytest

from node.claims.event_views import CLAIM_EVENTS, value_view
from node.claims.events import ClaimsEvent, EventKind
from node.claims.mutual_aid.actions import DeclareTie
from node.claims.queries import Queries
from tests.unit.claims.claim_life import Life

JURY = range(150, 180)
OURS = sorted(event for event in CLAIM_EVENTS if event not in JURY)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.name)
def test_every_event_of_a_claim_says_what_its_value_is(kind: EventKind) -> None:
    life = Life()
    event = ClaimsEvent(kind=kind, plan=0, subject=1, organisation=1, value=1)
    queries = Queries(life.chain.genesis)
    view = queries.event(life.chain.state, event)
    assert view["claim"] == "C-000001" and "count" not in view
    registry = life.chain.application.registry
    terms = registry.plan(life.chain.state, 0).versions[0].plan
    assert value_view(registry, terms, event) is not None


def test_an_amount_of_a_plan_that_is_not_known_stays_in_minor_units() -> None:
    registry = Life().chain.application.registry
    event = ClaimsEvent(kind=EventKind.CLAIM_PAID, plan=60, subject=1, value=5)
    assert value_view(registry, None, event) == {"amount_minor_units": 5}


def test_an_organisation_shows_its_ties() -> None:
    life = Life()
    queries = Queries(life.chain.genesis)
    assert life.do(DeclareTie(organisation="b"), by="d") == 0
    for name, other in (("b", "d"), ("d", "b")):
        view = queries.organisation(life.chain.state, name)
        assert view is not None and view["ties"] == [other]
