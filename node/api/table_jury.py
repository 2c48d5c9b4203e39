"""Routes of juries: cases, draws, ballots, jurors."""

from __future__ import annotations

from typing import Final

from node.api import examples_jury as ex
from node.api import jury_shapes, records, shapes
from node.api.call import Answer
from node.api.examples import answer
from node.api.problems import NOT_FOUND
from node.api.routes import Route

JURY_ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/claims/{id}/jury",
        name="getJury",
        tag="juries",
        summary="A claim before juries: statements, rounds, verdicts",
        description="How a vote stands is not told while it runs.",
        handler=records.jury,
        path_type=shapes.ClaimPath,
        answer=Answer[jury_shapes.JuryView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"id": "C-000045"},
        example=answer(ex.JURY),
    ),
    Route(
        method="GET",
        path="/v1/claims/{id}/jury/{round}/draws/{attempt}",
        name="getDraw",
        tag="juries",
        summary="One attempt to draw a panel",
        handler=records.jury_draw,
        path_type=shapes.JuryDrawPath,
        answer=Answer[jury_shapes.DrawView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"id": "C-000045", "round": "2", "attempt": "1"},
        example=answer(ex.DRAW),
    ),
    Route(
        method="GET",
        path="/v1/claims/{id}/jury/{round}/ballots/{member}",
        name="getBallot",
        tag="juries",
        summary="One juror's ballot",
        handler=records.jury_ballot,
        path_type=shapes.JuryBallotPath,
        answer=Answer[jury_shapes.BallotView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"id": "C-000045", "round": "1", "member": "M-000123"},
        example=answer(ex.BALLOT),
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/juror",
        name="getJuror",
        tag="juries",
        summary="A member as a juror",
        handler=records.juror,
        path_type=shapes.MemberPath,
        answer=Answer[jury_shapes.JurorView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"id": "M-000123"},
        example=answer(ex.JUROR),
    ),
    Route(
        method="GET",
        path="/v1/plans/{code}/jury",
        name="getPlanJury",
        tag="juries",
        summary="The jurors of a plan, its question bank, and who can take part in draws",
        handler=records.plan_jury,
        path_type=shapes.PlanPath,
        answer=Answer[jury_shapes.PlanJuryView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"code": "critical-illness"},
        example=answer(ex.PLAN_JURY),
    ),
)
