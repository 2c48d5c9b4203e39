"""Which claim a value was first filed with: the duplicate check of the chain.

A value is 32 bytes that the organisations make jointly (docs/duplicates.md): the same event or paper gives
the same value to every organisation, and nobody can make it without a threshold of them. A value is never
removed, whatever becomes of its claim: a paper that comes twice asks for an explanation in any case.

The value of a person is not here. It is the `person` of an enrolment, by which a plan knows that somebody is a
member already; `memberships` finds the other plans of the same person.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from node.claims import keys
from node.claims.module import Scope
from node.claims.mutual_aid.persons import load_person
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.types import Commitment
from node.claims.wire import Wire, decode_trusted, encode

VALUE_BYTES: Final = 32
MAX_PAPERS: Final = 32

PaperValues = Annotated[tuple[Commitment, ...], Meta(max_length=MAX_PAPERS)]
"""Values of the papers of a claim, rising and without repeats; `values_problem` sees to that."""


class ValueKind(IntEnum):
    """What a value stands for. Part of the chain format."""

    PERSON = 1
    EVENT = 2
    PAPER = 3


class HolderRecord(Wire, frozen=True, kw_only=True):
    """The claims that one value was filed with."""

    first: int
    """The earliest one. It stays the holder for ever."""
    latest: int
    count: int
    """Claims it was filed with; one that names it several times in a row counts once."""


def values_problem(event: bytes, papers: tuple[bytes, ...]) -> ResultCode:
    """OK if these are an optional event and papers in the one order they may be written in."""
    is_good = len(event) in (0, VALUE_BYTES) and len(papers) <= MAX_PAPERS
    is_good = is_good and all(len(paper) == VALUE_BYTES for paper in papers)
    is_good = is_good and all(low < high for low, high in pairwise(papers))
    return ResultCode.OK if is_good else ResultCode.VALUES_OUT_OF_ORDER


def load_holder(state: ReadState, kind: ValueKind, value: bytes) -> HolderRecord | None:
    raw = state.get(keys.value_holder(kind, value))
    return None if raw is None else decode_trusted(HolderRecord, raw)


def first_holder(state: ReadState, kind: ValueKind, value: bytes) -> int | None:
    """Number of the earliest claim filed with this value; None if there is none."""
    record = load_holder(state, kind, value)
    return None if record is None else record.first


def record(scope: Scope, kind: ValueKind, value: bytes, claim: int) -> None:
    """Note that `claim` was filed with this value. The first claim stays the holder."""
    known = load_holder(scope.state, kind, value)
    if known is not None and claim in (known.first, known.latest):
        return
    if known is None:
        entry = HolderRecord(first=claim, latest=claim, count=1)
    else:
        entry = HolderRecord(first=known.first, latest=claim, count=known.count + 1)
    scope.state.put(keys.value_holder(kind, value), encode(entry))


def _values(event: bytes, papers: Iterable[bytes]) -> list[tuple[ValueKind, bytes]]:
    return [(ValueKind.EVENT, event)] * bool(event) + [(ValueKind.PAPER, paper) for paper in papers]


def earlier_claims(state: ReadState, event: bytes, papers: Iterable[bytes], *, claim: int = 0) -> tuple[int, ...]:
    """First holders of any of these values other than `claim` itself, rising. Not empty: hold the claim.

    At most 33 look-ups. An event of b"" is none.
    """
    found = [first_holder(state, kind, value) for kind, value in _values(event, papers)]
    return tuple(sorted(dict.fromkeys(number for number in found if number is not None and number != claim)))


def record_values(scope: Scope, event: bytes, papers: Iterable[bytes], claim: int) -> None:
    """`record` for all values of a claim. Call it after `earlier_claims`."""
    for kind, value in _values(event, papers):
        record(scope, kind, value, claim)


def memberships(state: ReadState, plans: Iterable[int], value: bytes) -> tuple[tuple[int, int], ...]:
    """(plan, member) for each of these plans that knows the person. For information: it refuses nothing."""
    found = ((plan, load_person(state, plan, value)) for plan in plans)
    return tuple((plan, known.member) for plan, known in found if known is not None and known.member)
