"""Juries of a plan: part of its terms, and so of the genesis."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from msgspec import Meta

from node.claims.wire import Wire

AgeYears = Annotated[int, Meta(ge=0, le=150)]
Days = Annotated[int, Meta(ge=0, le=3_660)]
Hours = Annotated[int, Meta(ge=1, le=8_784)]
PanelSize = Annotated[int, Meta(ge=1, le=99)]


class JuryMode(Enum):
    """OFF: a denial cannot be taken to a jury. PANEL: drawn panels. OPEN: every qualified juror may vote, and panels
    decide appeals and what too few voted on."""

    OFF = "off"
    PANEL = "panel"
    OPEN = "open"


class JuryTerms(Wire, frozen=True, kw_only=True):
    """Juries of a plan. A claim has those of its version to the end. Without a file's word there are none."""

    mode: JuryMode = JuryMode.OFF
    quorum: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    """Least number of valid votes in an open vote."""
    pass_bps: Annotated[int, Meta(ge=1, le=10_000)] = 5_000
    """Share of the valid votes that passes; exactly this many do."""
    vote_hours: Hours = 24
    """To cast ballots in an open vote; once more if they are below the quorum."""
    reveal_hours: Hours = 24
    """To reveal them."""
    panel_commit_hours: Hours = 48
    panel_reveal_hours: Hours = 48
    panel_sizes: Annotated[tuple[PanelSize, ...], Meta(min_length=1, max_length=5)] = (7, 15, 31)
    """Of the first panel and of each appeal."""
    panel_redraws_max: Annotated[int, Meta(ge=0, le=5)] = 2
    """How often a panel without enough valid votes is replaced by another; then the denial stands."""
    draw_hours: Hours = 24
    """For organisations to deal, and again to open, in the draw of a panel."""
    draw_attempts_max: Annotated[int, Meta(ge=1, le=10)] = 3
    """How often a draw in which too many organisations failed is repeated before a weak seed is taken."""
    requests_max: Annotated[int, Meta(ge=1, le=4)] = 2
    """How often a member may ask for a jury in one claim."""
    statement_days: Annotated[int, Meta(ge=1, le=366)] = 3
    appeal_days: Annotated[int, Meta(ge=1, le=366)] = 10
    juror_age_min_years: AgeYears = 18
    membership_days: Days = 30
    open_cases_max: Annotated[int, Meta(ge=1, le=20)] = 3
    credential_days: Annotated[int, Meta(ge=1, le=3_660)] = 365
    exam_days: Annotated[int, Meta(ge=1, le=366)] = 30
    """From enrolment to the grade."""
    exam_questions: Annotated[int, Meta(ge=1, le=200)] = 20
    exam_pass_bps: Annotated[int, Meta(ge=1, le=10_000)] = 8_000
