"""Who a person is in a plan: its newest record there and its pending application. One row holds both, so that
one look-up says whether somebody may join, and a batch of new people costs one each."""

from __future__ import annotations

from typing import NamedTuple

from node.claims import keys
from node.claims.module import Scope
from node.claims.state import ReadState
from node.claims.wire import decode_trusted, encode


class PersonRow(NamedTuple):
    """Stored as an array without the trailing 0 of somebody who has no application pending."""

    member: int
    """Newest record of the person in the plan; 0: never was a member."""
    application: int = 0
    """The pending one, or 0."""


def read_person(raw: bytes) -> PersonRow:
    """The row from its bytes. Raises TypeError or a msgspec error if they are none."""
    return PersonRow(*decode_trusted(tuple[int, ...], raw))


def load_person(state: ReadState, plan: int, person: bytes) -> PersonRow | None:
    raw = state.get(keys.person(plan, person))
    return None if raw is None else read_person(raw)


def save_person(scope: Scope, plan: int, person: bytes, row: PersonRow) -> None:
    """Somebody who neither is or was a member nor applies has no row."""
    key = keys.person(plan, person)
    if row.application:
        scope.state.put(key, encode(row))
    elif row.member:
        scope.state.put(key, encode((row.member,)))
    else:
        scope.state.delete(key)
