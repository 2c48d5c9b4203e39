"""The life of an application for membership as a table: (status, what happens) -> status."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims.events import EventKind
from node.claims.mutual_aid.transitions import DeadlineKind


class ApplicationStatus(IntEnum):
    """Part of the chain format: add at the end, never renumber."""

    APPLIED = 1
    """With its enroller. Nobody is a member by it: no share, no claim, no vote, no objection."""
    ACCEPTED = 2
    """A member since."""
    REFUSED = 3
    WITHDRAWN = 4
    LAPSED = 5
    """Nobody decided in time."""


APPLICATION_TRANSITIONS: Final[dict[tuple[ApplicationStatus | None, EventKind], ApplicationStatus]] = {
    (None, EventKind.APPLICATIONS_RECORDED): ApplicationStatus.APPLIED,
    (ApplicationStatus.APPLIED, EventKind.APPLICATION_ACCEPTED): ApplicationStatus.ACCEPTED,
    (ApplicationStatus.APPLIED, EventKind.APPLICATION_REFUSED): ApplicationStatus.REFUSED,
    (ApplicationStatus.APPLIED, EventKind.APPLICATION_WITHDRAWN): ApplicationStatus.WITHDRAWN,
    (ApplicationStatus.APPLIED, EventKind.APPLICATION_LAPSED): ApplicationStatus.LAPSED,
}
"""Once it has ended an application stays as it is; the person may apply anew."""

APPLICATION_DEADLINE_OF: Final[dict[ApplicationStatus, DeadlineKind]] = {
    ApplicationStatus.APPLIED: DeadlineKind.APPLICATION
}
