"""What an enroller may ask about applications for membership. Tags 86-89; field order is wire order."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from node.claims.mutual_aid.actions import MAX_BATCH
from node.claims.types import ClauseNumber, Commitment, MonthIndex, PlanCode, Unsigned
from node.claims.wire import Wire


class RefusalReason(IntEnum):
    """Why somebody may not join. Part of the chain format: add at the end, never renumber."""

    HEALTH_CONDITION = 1
    """A declared condition that the clause excludes."""
    DECLARATION_INCOMPLETE = 2
    DECLARATION_UNTRUE = 3
    IDENTITY_NOT_PROVEN = 4
    AGE_OUT_OF_RANGE = 5
    NOT_ELIGIBLE = 6
    """Not among the people whom the plan is for."""
    PAYER_NOT_ACCEPTED = 7


class Applicant(Wire, frozen=True, kw_only=True):
    """One person in a batch."""

    person: Commitment
    """As in NewMember: the same person gives the same value to every organisation."""
    birth_month: MonthIndex
    declaration: Commitment
    """To the health declaration that the applicant has signed; the paper stays with the enroller."""
    payer: Annotated[int, Meta(ge=-MAX_BATCH, le=2**53 - 1)] = 0
    """0: will pay for itself; above 0: number of the member who will pay; -(i + 1): index i, earlier in this batch,
    whose application has to be accepted first."""
    units: Annotated[int, Meta(ge=1, le=10)] = 1


class Apply(Wire, frozen=True, kw_only=True, tag=86):
    """Records the applications of 1 to 1,000 people for a plan, all or none. They are no members yet."""

    plan: PlanCode
    applicants: Annotated[tuple[Applicant, ...], Meta(min_length=1, max_length=MAX_BATCH)]


class AcceptApplication(Wire, frozen=True, kw_only=True, tag=87):
    """The enroller accepts: the applicant is a member from now on, as if enrolled now."""

    application: Unsigned
    key: Annotated[bytes, Meta(max_length=32)] = b""
    """Ed25519 public key with which the member may file claims, 32 bytes, or b""."""


class RefuseApplication(Wire, frozen=True, kw_only=True, tag=88):
    """The enroller refuses, and names a reason and the clause of the plan."""

    application: Unsigned
    clause: ClauseNumber = ""
    reason: Annotated[int, Meta(ge=0, le=255)] = 0
    """A RefusalReason."""


class WithdrawApplication(Wire, frozen=True, kw_only=True, tag=89):
    """The applicant takes the application back, through its enroller: who is no member has no account."""

    application: Unsigned
