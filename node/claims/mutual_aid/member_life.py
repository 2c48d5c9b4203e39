"""The life of a membership as a table: (status, what happens) -> status.

A membership has no stored status: it follows from the days of its record and from whether its payer is in arrears
(`member_status`), so that nothing ever walks over the members when a day comes. The table says what that adds up
to, for people and for the diagram; tests hold it against records of every kind from one day to the next and against
what members do in random histories. How it may begin, with an application, is taken from the table of those.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from node.claims.events import EventKind
from node.claims.mutual_aid.application_life import (
    APPLICATION_DEADLINE_OF,
    APPLICATION_TRANSITIONS,
    ApplicationStatus,
)
from node.claims.mutual_aid.transitions import DeadlineKind


class MemberStatus(IntEnum):
    """The words of `member_status`. Never stored, so not part of the chain format."""

    WAITING = 1
    """Cover has not begun; only accidents count."""
    ACTIVE = 2
    ARREARS = 3
    """Whoever pays owes a share. Cover goes on until the removal."""
    LEAVING = 4
    """Until the end of a day that is fixed."""
    LEFT = 5
    MOVED = 6
    """Goes on under another record: another plan, or another number of units."""
    REMOVED = 7
    AGED_OUT = 8
    AIDED = 9
    """Was paid, under terms that end membership with it."""
    VOID = 10
    """The health declaration was untrue."""
    APPLIED = 11
    """Wants to join, and is no member: nothing is shared, claimed or voted on."""
    REFUSED = 12
    WITHDRAWN = 13
    LAPSED = 14
    """Nobody decided the application in time."""


class MemberStep(IntEnum):
    """What happens to a membership. The days come by themselves; the rest is done by transactions and deadlines."""

    ENROLLED = 1
    CAME_FROM_ANOTHER_RECORD = 2
    COVER_BEGINS = 3
    IN_ARREARS = 4
    ARREARS_PAID = 5
    ARREARS_PAID_BEFORE_COVER = 6
    LEAVES = 7
    MOVES_ON = 8
    IS_REMOVED = 9
    LAST_DAY_OF_A_LEAVER = 10
    LAST_DAY_OF_A_MOVER = 11
    LAST_DAY_OF_A_REMOVED = 12
    AGE_REACHED = 13
    LAST_DAY_OF_AN_AIDED = 14
    DECLARATION_UNTRUE = 15
    APPLIES = 16
    IS_ACCEPTED = 17
    IS_REFUSED = 18
    WITHDRAWS = 19
    APPLICATION_LAPSES = 20


_OF_APPLICATION: Final[dict[ApplicationStatus | None, MemberStatus | None]] = {
    None: None,
    ApplicationStatus.APPLIED: MemberStatus.APPLIED,
    ApplicationStatus.ACCEPTED: MemberStatus.WAITING,
    ApplicationStatus.REFUSED: MemberStatus.REFUSED,
    ApplicationStatus.WITHDRAWN: MemberStatus.WITHDRAWN,
    ApplicationStatus.LAPSED: MemberStatus.LAPSED,
}
_STEP_OF_APPLICATION: Final[dict[EventKind, MemberStep]] = {
    EventKind.APPLICATIONS_RECORDED: MemberStep.APPLIES,
    EventKind.APPLICATION_ACCEPTED: MemberStep.IS_ACCEPTED,
    EventKind.APPLICATION_REFUSED: MemberStep.IS_REFUSED,
    EventKind.APPLICATION_WITHDRAWN: MemberStep.WITHDRAWS,
    EventKind.APPLICATION_LAPSED: MemberStep.APPLICATION_LAPSES,
}


def _of_applications() -> dict[tuple[MemberStatus | None, MemberStep], MemberStatus]:
    """How a membership may begin: the table of applications in a member's words. A missing word is a KeyError."""
    rows: dict[tuple[MemberStatus | None, MemberStep], MemberStatus] = {}
    for (status, what), after in APPLICATION_TRANSITIONS.items():
        becomes = _OF_APPLICATION[after]
        if becomes is not None:
            rows[_OF_APPLICATION[status], _STEP_OF_APPLICATION[what]] = becomes
    return rows


_NO_MEMBERS: Final = (MemberStatus.APPLIED, MemberStatus.REFUSED, MemberStatus.WITHDRAWN, MemberStatus.LAPSED)
_LIVING: Final = (MemberStatus.WAITING, MemberStatus.ACTIVE, MemberStatus.ARREARS)

MEMBER_TRANSITIONS: Final[dict[tuple[MemberStatus | None, MemberStep], MemberStatus]] = {
    **_of_applications(),
    # By an organisation that has decided before.
    (None, MemberStep.ENROLLED): MemberStatus.WAITING,
    (None, MemberStep.CAME_FROM_ANOTHER_RECORD): MemberStatus.WAITING,
    (MemberStatus.WAITING, MemberStep.COVER_BEGINS): MemberStatus.ACTIVE,
    (MemberStatus.WAITING, MemberStep.IN_ARREARS): MemberStatus.ARREARS,
    (MemberStatus.ACTIVE, MemberStep.IN_ARREARS): MemberStatus.ARREARS,
    (MemberStatus.ARREARS, MemberStep.ARREARS_PAID): MemberStatus.ACTIVE,
    (MemberStatus.ARREARS, MemberStep.ARREARS_PAID_BEFORE_COVER): MemberStatus.WAITING,
    **{
        (status, step): MemberStatus.LEAVING
        for status in _LIVING
        for step in (MemberStep.LEAVES, MemberStep.MOVES_ON, MemberStep.IS_REMOVED)
    },
    **{(status, MemberStep.AGE_REACHED): MemberStatus.AGED_OUT for status in _LIVING},
    **{(status, MemberStep.LAST_DAY_OF_AN_AIDED): MemberStatus.AIDED for status in _LIVING},
    (MemberStatus.LEAVING, MemberStep.LAST_DAY_OF_A_LEAVER): MemberStatus.LEFT,
    (MemberStatus.LEAVING, MemberStep.LAST_DAY_OF_A_MOVER): MemberStatus.MOVED,
    (MemberStatus.LEAVING, MemberStep.LAST_DAY_OF_A_REMOVED): MemberStatus.REMOVED,
    # Shortly after the birthday the way into the plan for the elderly is still open.
    (MemberStatus.AGED_OUT, MemberStep.MOVES_ON): MemberStatus.MOVED,
    **{
        (status, MemberStep.DECLARATION_UNTRUE): MemberStatus.VOID
        for status in MemberStatus
        if status not in (MemberStatus.VOID, *_NO_MEMBERS)
    },
}

MEMBER_DEADLINE_OF: Final[dict[MemberStatus, DeadlineKind]] = {
    MemberStatus.APPLIED: APPLICATION_DEADLINE_OF[ApplicationStatus.APPLIED],
    MemberStatus.ARREARS: DeadlineKind.REMOVAL,
}
"""Of arrears if the plan's terms remove who does not pay."""
