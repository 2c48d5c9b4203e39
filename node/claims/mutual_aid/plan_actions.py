"""What organisations and regulators may ask of the plans themselves. Tags 60-69; field order is wire order."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from node.claims.genesis import PlanTerms
from node.claims.types import Commitment, DayNumber, PlanCode, Unsigned
from node.claims.wire import Wire

MAX_TERMS_BYTES: Final = 192 * 1024
"""Terms in canonical bytes; they have to fit a transaction."""
MAX_SUSPENSION_DAYS: Final = 180


class PlanChange(IntEnum):
    """What a vote can do to a plan beside giving it new terms."""

    CLOSE = 1
    """Nobody joins any more."""
    REOPEN = 2
    WIND_DOWN = 3
    """Cover ends on the closing day; from now on a sponsor bears the cost."""


class ProposeTerms(Wire, frozen=True, kw_only=True, tag=60):
    """Proposes the next version of a plan. `effective_day`: 0, or the earliest first day that is wanted."""

    terms: PlanTerms
    draft: bool = False
    """True: for reading only, until OpenVote."""


class ProposePlan(Wire, frozen=True, kw_only=True, tag=61):
    """Proposes a new plan; it opens when it is adopted."""

    terms: PlanTerms
    draft: bool = False


class ProposeChange(Wire, frozen=True, kw_only=True, tag=62):
    """Proposes to close a plan to new members, to reopen it, or to wind it down."""

    plan: PlanCode
    change: PlanChange
    closing_day: DayNumber = 0
    """With WIND_DOWN: the earliest first day without cover that is wanted; the notice counts in any case."""
    sponsor: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?\Z")] = ""
    """With WIND_DOWN: the organisation that bears the cost from then on. It must agree by its own transaction."""
    draft: bool = False


class OpenVote(Wire, frozen=True, kw_only=True, tag=63):
    """The proposer puts its draft to the vote."""

    proposal: Unsigned


class VoteProposal(Wire, frozen=True, kw_only=True, tag=64):
    """An organisation's vote, once and for all. A quorum of yes adopts; so many no that none can be reached reject."""

    proposal: Unsigned
    approve: bool


class WithdrawProposal(Wire, frozen=True, kw_only=True, tag=65):
    """The proposer takes its proposal back."""

    proposal: Unsigned


class AgreeToSponsor(Wire, frozen=True, kw_only=True, tag=66):
    """An organisation that the proposal names as sponsor agrees to bear the cost. Without it nothing is adopted."""

    proposal: Unsigned


class SuspendPlan(Wire, frozen=True, kw_only=True, tag=67):
    """A regulator suspends a plan for a time; renewed, the time counts from now. It ends by itself."""

    plan: PlanCode
    order: Commitment
    days: Annotated[int, Meta(ge=1, le=MAX_SUSPENSION_DAYS)]


class LiftSuspension(Wire, frozen=True, kw_only=True, tag=68):
    """A regulator ends a suspension before its time."""

    plan: PlanCode
    order: Commitment
