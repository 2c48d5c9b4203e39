"""How the claims of a plan are judged: a part of its terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from node.claims.plain import BadValue
from node.claims.types import Days, Hours
from node.claims.wire import Wire


class ClaimRules(Wire, frozen=True, kw_only=True):
    """How the claims of a plan are judged. The defaults are the rules of a plan whose file says nothing."""

    jury_request_days: Days = 30
    """How long a denied member may ask for a jury; then the denial is final. 0: at once."""
    reviewers: Annotated[int, Meta(ge=1, le=2)] = 1
    """How many organisations review a claim; if two disagree, a third decides."""
    hold_hours: Hours = 240
    """To explain a claim whose event or paper was filed before; then it goes on with a mark."""
    clawback_window_days: Days = 730
    """How long after its payment a claim can be called fraud."""
    clawback_days: Annotated[int, Meta(ge=1, le=3_660)] = 60
    """For the panel to decide; then the clawback drops by itself."""
    hearing_days: Days = 14
    """For the member to answer; within clawback_days."""
    recovery_days: Annotated[int, Meta(ge=1, le=3_660)] = 730
    """For the money to come back; then the rest is written off."""
    reopenings_max: Annotated[int, Meta(ge=0, le=5)] = 1
    """How often reviewers may reopen a claim on new evidence; courts may always."""


def rules_problems(rules: ClaimRules, prefix: str) -> Iterator[BadValue]:
    """What the shape alone cannot show; `prefix` is the path of the plan."""
    if rules.hearing_days >= rules.clawback_days:
        yield BadValue(f"{prefix}claim_rules.hearing_days", "must lie below clawback_days, or nobody could vote")
