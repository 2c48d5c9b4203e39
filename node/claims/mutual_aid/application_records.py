"""The records of applications for membership, and reading and writing them. Field order is state format."""

from __future__ import annotations

from typing import Final

from node.claims import keys
from node.claims.module import Scope
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.state import ReadState, require
from node.claims.wire import Wire, decode_trusted, encode

_STATUSES: Final = max(ApplicationStatus) + 1


class ApplicationRecord(Wire, frozen=True, kw_only=True):
    """Somebody who wants to join a plan. Times are ms, 0 for never."""

    plan: int
    organisation: int
    """The enroller that took it, and decides it."""
    person: bytes
    birth_month: int
    declaration: bytes
    payer: int
    """Number of the member who will pay the bill, or 0."""
    payer_application: int
    """Application of the one who will pay, or 0; then `payer` is 0."""
    units: int
    status: ApplicationStatus
    applied_ms: int
    changed_ms: int
    deadline_ms: int
    """When it lapses; 0 once it has ended."""
    member: int = 0
    """Number of the member that the applicant has become, or 0."""
    clause: str = ""
    """Why it was refused."""
    reason: int = 0


class ApplicationTally(Wire, frozen=True, kw_only=True):
    """How many applications of a plan are in each status (index = status). No row: none was ever made."""

    counts: tuple[int, ...] = (0,) * _STATUSES


class ApplicationCounter(Wire, frozen=True, kw_only=True):
    """Next free number, over all plans. No row: 1."""

    next_application: int = 1


def load_application(state: ReadState, number: int) -> ApplicationRecord | None:
    return state.load(keys.application(number), ApplicationRecord)


def the_application(state: ReadState, number: int) -> ApplicationRecord:
    """An application that a record of ours names."""
    return require(state, keys.application(number), ApplicationRecord)


def application_of(state: ReadState, member: int) -> int:
    """The application by whose acceptance somebody has become this member; 0: it was enrolled at once, or moved."""
    raw = state.get(keys.application_of(member))
    return 0 if raw is None else int(decode_trusted(tuple[int], raw)[0])


def load_application_tally(state: ReadState, plan: int) -> ApplicationTally:
    return state.load(keys.application_tally(plan), ApplicationTally) or ApplicationTally()


def load_application_counter(state: ReadState) -> ApplicationCounter:
    return state.load(keys.application_counter, ApplicationCounter) or ApplicationCounter()


def save_application(scope: Scope, number: int, application: ApplicationRecord) -> None:
    scope.state.store(keys.application(number), application)


def save_application_of(scope: Scope, member: int, application: int) -> None:
    scope.state.put(keys.application_of(member), encode((application,)))


def save_application_counter(scope: Scope, counter: ApplicationCounter) -> None:
    scope.state.store(keys.application_counter, counter)


def count_applications(
    scope: Scope, plan: int, before: ApplicationStatus | None, after: ApplicationStatus, count: int = 1
) -> None:
    """`count` applications have come from one status into another. Marks the plan for the invariants."""
    counts = list(load_application_tally(scope.state, plan).counts)
    counts += [0] * (_STATUSES - len(counts))
    if before is not None:
        counts[before] -= count
    counts[after] += count
    scope.state.store(keys.application_tally(plan), ApplicationTally(counts=tuple(counts)))
    scope.touch("plan", plan)
