"""Examples of answers about juries, for the documents. A test converts each to the type it stands for."""

from __future__ import annotations

from typing import Any, Final

from node.api.examples import HASH, KEY

JURY: Final[dict[str, Any]] = {
    "claim": "C-000045",
    "status": "accepted",
    "deadline_ms": None,
    "requests": 1,
    "requested_ms": 1_764_000_000_207,
    "statement": HASH,
    "denied_by": "meadow",
    "answer": HASH,
    "extended": False,
    "appeal": None,
    "rounds": [
        {
            "round": 1,
            "kind": "open",
            "opened_ms": 1_764_000_000_207,
            "closed_ms": 1_764_172_800_207,
            "outcome": "passed",
            "quorum": 1_000,
            "panel_size": None,
            "draws": 0,
            "panel": [],
            "cast": 1_204,
            "valid": 1_177,
            "pay": 702,
            "refuse": 475,
            "reasons": {"evidence-proves-claim": 702, "clause-applies": 475},
        }
    ],
}
DRAW: Final = {
    "claim": "C-000045",
    "round": 2,
    "attempt": 1,
    "phase": "done",
    "organisations": [{"name": "harbour", "key": KEY}, {"name": "meadow", "key": HASH}],
    "frozen_ms": 1_764_000_000_207,
    "seats": 900_000,
    "dealt": ["harbour", "meadow"],
    "shares": [HASH, HASH],
    "opened": ["harbour", "meadow"],
    "seed": HASH,
    "weak": False,
    "steps": [
        {"seat": 41, "juror": "M-000042", "passed_over": None},
        {"seat": 7, "juror": "M-000011", "passed_over": "tied"},
    ],
}
BALLOT: Final = {
    "claim": "C-000045",
    "round": 1,
    "juror": "M-000123",
    "status": "cast",
    "commitment": HASH,
    "vote": None,
    "reason": None,
}
JUROR: Final = {
    "member": "M-000123",
    "plan": "critical-illness",
    "status": "qualified",
    "deadline_ms": 1_795_536_000_207,
    "bank": 1,
    "examiner": "harbour",
    "attempt": 1,
    "exam_seed": HASH,
    "asked": 20,
    "correct": 18,
    "paper": HASH,
    "seat": 41,
    "qualified_ms": 1_764_000_000_207,
    "suspended_for": None,
    "cases": [{"claim": "C-000045", "round": 1, "until_ms": 1_764_172_800_207}],
    "cast": 3,
    "revealed": 2,
    "drawn": 0,
    "missed": 0,
    "reversed": 0,
}
PLAN_JURY: Final = {
    "plan": "critical-illness",
    "jurors": 899_871,
    "seats": 900_000,
    "bank": {
        "version": 1,
        "organisation": "harbour",
        "questions": 400,
        "root": HASH,
        "answers": HASH,
        "exam_key": KEY,
        "published_ms": 1_764_000_000_207,
    },
    "keys": {"harbour": {"exam": KEY, "beacon": HASH}},
}
