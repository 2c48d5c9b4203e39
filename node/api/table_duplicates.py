"""Routes about keyed values."""

from __future__ import annotations

from typing import Final

from node.api import duplicates
from node.api import duplicates_shapes as shapes
from node.api import examples as ex
from node.api.call import Answer
from node.api.problems import BODY_PROBLEMS, VALUES_QUOTA, VALUES_REFUSED
from node.api.routes import Route

_KEY: Final = {
    "epoch": 1,
    "status": "active",
    "threshold": 3,
    "holders": ["harbour", "meadow", "orchard", "ridge"],
    "dealers": ["harbour", "meadow", "ridge"],
    "confirmed": ["harbour", "meadow", "orchard"],
    "refusals": [],
    "own": {"is_good": True, "dealings": ex.HASH, "accusations": []},
}
DUPLICATES: Final = {
    "active_epoch": 1,
    "newest": _KEY,
    "active": _KEY,
    "values_per_day": 20_000,
    "used": [{"organisation": "harbour", "today": 34, "last_31_days": 1_204}],
    "wrong_answers": {},
}
MADE: Final = {"epoch": 1, "results": [ex.HASH], "holders": ["harbour", "meadow", "ridge"]}
HOLDER: Final = {
    "kind": "paper",
    "value": ex.HASH,
    "first_claim": "C-000045",
    "latest_claim": "C-000052",
    "claims": 2,
    "members": [],
}
_EVALUATE: Final = {
    "epoch": 1,
    "sender": ex.KEY,
    "issued_ms": 1_764_000_000_207,
    "elements": [ex.KEY],
    "signature": ex.HASH * 2,
}

DUPLICATES_ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/duplicates",
        name="getDuplicates",
        tag="duplicates",
        summary="The key that makes values of people, events and papers, and how much it was used",
        description=(
            "Both the active key and the newest one, which may still be in the making; whether this node holds a good "
            "share of each; refusals on the ledger, judged; and how many values this node helped to make for whom."
        ),
        handler=duplicates.show,
        answer=Answer[shapes.DuplicatesView],
        example=ex.answer(DUPLICATES),
    ),
    Route(
        method="POST",
        path="/v1/duplicates/evaluate",
        name="makeValues",
        tag="duplicates",
        summary="Have the organisations make values of blinded inputs",
        description=(
            "The node sees group elements that say nothing about the inputs. The signature is that of an "
            "organisation's account; every holder of the key that takes part checks it and counts the values against "
            "the organisation. A request may be repeated for two minutes without being counted again."
        ),
        handler=duplicates.evaluate,
        body_type=shapes.EvaluateBody,
        answer=Answer[shapes.EvaluateView],
        problems=(*BODY_PROBLEMS, VALUES_REFUSED, VALUES_QUOTA),
        body_example=_EVALUATE,
        example=ex.answer(MADE),
    ),
    Route(
        method="GET",
        path="/v1/duplicates/{kind}/{value}",
        name="getValueHolder",
        tag="duplicates",
        summary="Which claim or member a value is known from",
        handler=duplicates.holder,
        path_type=shapes.ValuePath,
        answer=Answer[shapes.HolderView],
        versioned=True,
        path_example={"kind": "paper", "value": ex.HASH},
        example=ex.answer(HOLDER),
    ),
)
