"""Whatever a backup has, and whatever it is answered: it rebuilds the very proposal, or nothing."""

from __future__ import annotations

from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.codec import encode
from consensus.errors import DecodeError
from node.claims.transaction import id_of
from node.compact import decode_peer_message
from tests.unit.node.proposals import ANSWER_MS, PRIMARY, Backup, fake, forged, propose


class Here(Enum):
    """How a backup comes by a transaction."""

    POOL = 0
    OTHER_SIGNATURE = 1
    ASIDE = 2
    UNCHECKED = 3
    FORGED = 4
    NOWHERE = 5


class Answer(Enum):
    RIGHT = 0
    NONE = 1
    EMPTY = 2
    SHORT = 3
    LONG = 4
    SWAPPED = 5
    FORGED = 6
    OTHER_SIGNATURE = 7


def _answer(kind: Answer, asked: list[bytes], numbers: list[int]) -> list[bytes]:
    match kind:
        case Answer.SHORT:
            return asked[:-1]
        case Answer.LONG:
            return [*asked, fake(1_000)]
        case Answer.SWAPPED:
            return asked[::-1]
        case Answer.FORGED:
            return [*asked[:-1], forged(asked[-1])]
        case Answer.OTHER_SIGNATURE:
            return [*asked[:-1], fake(numbers[-1], signature=1)]
        case _:
            return [] if kind is Answer.EMPTY else asked


@settings(max_examples=1_000)
@given(st.lists(st.sampled_from(Here), min_size=1, max_size=40), st.sampled_from(Answer))
def test_rebuilt_proposal_is_the_original_or_nothing(places: list[Here], kind: Answer) -> None:
    raws = [fake(number) for number in range(len(places))]
    proposal = propose(raws)
    backup = Backup()
    for number, here in enumerate(places):
        raw, id = raws[number], id_of(raws[number])
        if here is Here.POOL:
            backup.pool[id] = raw
        elif here is Here.OTHER_SIGNATURE:
            backup.pool[id] = fake(number, signature=1)
        elif here is Here.ASIDE:
            backup.aside.append(raw)
        elif here in (Here.UNCHECKED, Here.FORGED):
            backup.unchecked[id] = raw if here is Here.UNCHECKED else forged(raw)
    for_core = backup.take(proposal)
    assert len(backup.questions) <= 1
    if backup.questions and kind is not Answer.NONE:
        numbers = list(backup.questions[0][1].missing)
        asked = [raws[number] for number in numbers]
        for_core += backup.hear(proposal.block.digest, *_answer(kind, asked, numbers))
    for_core += backup.rebuilder.overdue(PRIMARY, ANSWER_MS)
    rebuilt = [item for item in for_core if item != proposal.vote]
    assert rebuilt in ([], [proposal])
    assert len(for_core) == 1, "the core hears of it in any case"
    honest = kind is Answer.RIGHT or not backup.questions
    if honest and Here.FORGED not in places:
        assert rebuilt == [proposal] and not backup.blamed


@settings(max_examples=1_000)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"\x94\x0b" + tail))
def test_hostile_message_is_one_or_an_error(data: bytes) -> None:
    try:
        message = decode_peer_message(data)
    except DecodeError:
        return
    assert decode_peer_message(encode(message)) == message
