"""Juries as the API shows them: the types are those of the answers, and a running vote gives nothing away."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from node.api import jury_shapes
from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury import views
from node.claims.jury.actions import AppealGround, AppealVerdict, Vote
from node.claims.jury.terms import JuryMode
from node.claims.queries import Queries
from tests.factories import person
from tests.unit.claims.claim_life import CODE
from tests.unit.claims.jury_life import FIRST, RULES, JuryLife


def strictly(kind: Any, record: Any) -> Any:
    """`record` as `kind`, and back again it is the same."""
    assert record is not None
    found = msgspec.convert(record, kind, strict=True)
    assert msgspec.to_builtins(found) == record
    return found


def shown(life: JuryLife) -> jury_shapes.JuryView:
    registry, state = life.chain.application.registry, life.chain.state
    view: jury_shapes.JuryView = strictly(jury_shapes.JuryView, views.jury_view(registry, state, 1))
    return view


def test_every_view_has_its_type() -> None:
    life = JuryLife(replace(RULES, mode=JuryMode.PANEL)).answered()
    registry, state = life.chain.application.registry, life.chain.state
    strictly(jury_shapes.DrawView, views.draw_view(registry, state, 1, 1, 1))
    life.drawn()
    draw = strictly(jury_shapes.DrawView, views.draw_view(registry, state, 1, 1, 1))
    assert [step.juror for step in draw.steps] == shown(life).rounds[0].panel
    panel = life.round.panel
    life.vote(1, 2)
    life.do(AppealVerdict(claim=1, ground=AppealGround.NEW_EVIDENCE, evidence=person(1)), by="a")
    case = shown(life)
    assert (case.status, case.rounds[0].outcome, case.rounds[0].pay) == ("jury-drawing", "failed", 1)
    assert case.appeal is not None and case.appeal.ground == "new-evidence"
    juror = strictly(jury_shapes.JurorView, views.juror_view(registry, state, panel[0]))
    assert (juror.status, juror.drawn, juror.revealed) == ("qualified", 1, 1)
    plan = strictly(jury_shapes.PlanJuryView, views.plan_jury_view(registry, state, CODE))
    assert (plan.jurors, sorted(plan.keys)) == (12, ["a", "b", "c", "d"])
    ballot = strictly(jury_shapes.BallotView, views.ballot_view(state, 1, 1, panel[0]))
    assert (ballot.vote, ballot.reason) == ("pay", "evidence-proves-claim")
    assert views.jury_view(registry, state, 2) is None
    assert views.draw_view(registry, state, 1, 1, 9) is None
    assert views.juror_view(registry, state, 999) is None


def test_a_running_vote_gives_nothing_away() -> None:
    """Two votes with the same ballots cast and revealed, all to pay in one and all to refuse in the other, look
    the same in every answer and event until the verdict."""
    seen = []
    for vote in Vote:
        life = JuryLife().answered()
        queries, state = Queries(life.chain.genesis), life.chain.state
        answers: list[object] = []

        def look(life: JuryLife = life, queries: Queries = queries, answers: list[object] = answers) -> None:
            state = life.chain.state
            answers.append(views.jury_view(queries.registry, state, 1))
            answers.append(queries.claim(state, 1))
            answers.append([queries.event(state, event) for event in life.events()])
            for juror in life.pool:
                ballot = views.ballot_view(state, 1, 1, juror)
                answers.append(None if ballot is None else ballot | {"commitment": None})
                answers.append(views.juror_view(queries.registry, state, juror))

        votes = dict.fromkeys(life.pool[:7], vote)
        life.cast(votes)
        look()
        life.deadline()
        life.reveal({FIRST: vote})
        look()
        life.reveal(dict.fromkeys(life.pool[1:6], vote))
        look()
        assert views.is_hidden(state, keys.jury_tally(1, 1))
        assert views.is_hidden(state, keys.ballot(1, 1, FIRST))
        assert not views.is_hidden(state, keys.ballot(1, 1, life.pool[6])), "a commitment may be seen and proved"
        seen.append(answers)
        life.deadline()
        assert not views.is_hidden(state, keys.ballot(1, 1, FIRST)), "now anybody can count again"
        assert shown(life).rounds[0].pay == (6 if vote is Vote.PAY else 0)
    assert seen[0] == seen[1]


def test_events_name_claims_and_members_as_they_should() -> None:
    life = JuryLife().answered()
    queries, state = Queries(life.chain.genesis), life.chain.state
    texts = {}
    for result in life.chain.results:
        for receipt in (result.clock, *result.receipts):
            for event in receipt.events:
                texts[event.kind] = queries.event(state, event)
    assert texts[EventKind.JURY_VOTE_OPENED]["claim"] == "C-000001"
    assert texts[EventKind.JURY_VOTE_OPENED]["round"] == 1
    assert texts[EventKind.JUROR_QUALIFIED]["member"] == f"M-{life.pool[-1]:06d}"
    assert texts[EventKind.BANK_PUBLISHED] == {
        "what": "bank-published",
        "plan": CODE,
        "organisation": "a",
        "version": 1,
    }
    assert "plan" not in texts[EventKind.JURY_KEYS_REGISTERED]
