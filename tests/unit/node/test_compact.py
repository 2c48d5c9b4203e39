"""Compact proposals: made whole from what a backup has, one question for the rest, and nobody gains by lying."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from consensus.block import Block
from consensus.codec import encode
from consensus.errors import DecodeError
from consensus.messages import Phase, Proposal, Status
from consensus.types import Digest, Height, ReplicaId, View
from node.claims.transaction import id_of
from node.compact import (
    LARGEST,
    TAG,
    CompactProposal,
    PeerMessage,
    TransactionsReply,
    TransactionsRequest,
    decode_peer_message,
    saved_bytes,
)
from tests.unit.node.pools import raw as real
from tests.unit.node.pools import transaction
from tests.unit.node.proposals import ANSWER_MS, PRIMARY, WINDOW, Backup, fake, forged, propose, shorten

RAWS = tuple(fake(number) for number in range(30))


# What travels


def test_peer_messages_are_told_apart_by_tag_and_come_back_as_they_were() -> None:
    proposal = propose(RAWS)
    for message in (
        proposal,
        shorten(proposal),
        TransactionsRequest(digest=proposal.block.digest, missing=(0, 3, 29)),
        TransactionsReply(digest=proposal.block.digest, transactions=RAWS[:2]),
        Status(view=View(1), height=Height(2), active=True),
    ):
        assert decode_peer_message(encode(message)) == message
    tags = [kind.__struct_config__.tag for kind in PeerMessage.__args__]
    assert tags == list(range(1, 14)), "no two messages share a tag"


def test_compact_form_is_an_id_and_a_tag_for_each_transaction() -> None:
    short = shorten(propose(RAWS))
    assert short.split_ids() == tuple(map(id_of, RAWS))
    assert [short.tag(place) for place in range(30)] == [raw[TAG] for raw in RAWS]
    assert len(encode(propose(RAWS))) - len(encode(short)) >= saved_bytes(RAWS) == 30 * (200 - 48)


def test_id_of_bytes_is_that_of_the_transaction_and_the_tag_is_of_both_halves_of_its_signature() -> None:
    item = transaction(1, 7)
    assert id_of(real(1, 7)) == item.id
    assert real(1, 7)[TAG] == item.signature[24:40]


@pytest.mark.parametrize(
    "message",
    [
        CompactProposal(vote=propose(RAWS).vote, header=propose(RAWS).block.header, ids=bytes(10**6), tags=b""),
        TransactionsRequest(digest=Digest(bytes(32)), missing=()),
        TransactionsRequest(digest=Digest(bytes(32)), missing=tuple(range(LARGEST.max_block_transactions + 1))),
        TransactionsReply(digest=Digest(bytes(32)), transactions=(bytes(LARGEST.max_block_bytes + 20_000),)),
    ],
)
def test_oversized_or_empty_messages_are_refused(message: object) -> None:
    with pytest.raises(DecodeError):
        decode_peer_message(encode(message))


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x9b", b"\x94\x0b", b"\x94\x0e\x00\x00\x00", b"\xdc\x00\x04\x0b"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_peer_message(data)


def test_largest_block_fits_its_messages() -> None:
    """2,000 transactions, and a megabyte of them."""
    raws = [fake(number, size=524) for number in range(LARGEST.max_block_transactions)]
    proposal = propose(raws)
    assert 0 < LARGEST.max_block_bytes - sum(map(len, raws)) < 1_024
    digest, places = proposal.block.digest, tuple(range(len(raws)))
    for message in (
        shorten(proposal),
        TransactionsRequest(digest=digest, missing=places),
        TransactionsReply(digest=digest, transactions=tuple(raws)),
    ):
        assert decode_peer_message(encode(message)) == message


@pytest.mark.parametrize(
    ("missing", "fits"),
    [((0, 1, 2), True), ((2,), True), ((3,), False), ((-1, 1), False), ((1, 1), False), ((2, 1), False)],
)
def test_request_names_places_of_the_block_in_order(missing: tuple[int, ...], fits: bool) -> None:
    assert TransactionsRequest(digest=Digest(bytes(32)), missing=missing).fits(3) is fits


# Made whole


def test_proposal_of_known_transactions_is_whole_at_once() -> None:
    backup, proposal = Backup(*RAWS), propose(RAWS)
    assert backup.take(proposal) == [proposal]
    assert not backup.questions and not backup.searches and len(backup.rebuilder) == 0


def test_what_was_put_aside_or_waits_to_be_checked_counts_too() -> None:
    backup, proposal = Backup(*RAWS[:10]), propose(RAWS)
    backup.aside = [*RAWS[10:20], fake(99)]
    backup.unchecked = {id_of(raw): raw for raw in RAWS[20:]}
    assert backup.take(proposal) == [proposal]
    assert not backup.questions


def test_missing_ones_are_asked_for_once_and_complete_it() -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    assert backup.take(proposal) == []
    digest = proposal.block.digest
    assert backup.questions == [(PRIMARY, TransactionsRequest(digest=digest, missing=(28, 29)))]
    assert backup.hear(digest, *RAWS[28:]) == [proposal]
    assert len(backup.rebuilder) == 0 and not backup.blamed


def test_other_signature_of_the_same_content_is_fetched() -> None:
    """One id, two valid signatures: the client told us one and the primary the other."""
    other = fake(3, signature=1)
    assert id_of(other) == id_of(RAWS[3]) and other[TAG] != RAWS[3][TAG]
    backup, proposal = Backup(*RAWS[:3], other, *RAWS[4:]), propose(RAWS)
    assert backup.take(proposal) == []
    assert backup.questions[0][1].missing == (3,)
    assert backup.hear(proposal.block.digest, RAWS[3]) == [proposal]


def test_forgery_of_a_peer_that_nobody_has_checked_is_found_out() -> None:
    """With the id and the tag of an honest one it costs a question, and nobody is blamed for it."""
    backup, proposal = Backup(*RAWS[:29]), propose(RAWS)
    backup.unchecked = {id_of(RAWS[29]): forged(RAWS[29])}
    assert backup.take(proposal) == []
    assert backup.questions[0][1].missing == (29,)
    assert backup.hear(proposal.block.digest, RAWS[29]) == [proposal]
    # With another one missing it shows only when that one is here: the core asks for the whole block then.
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    backup.unchecked = {id_of(RAWS[29]): forged(RAWS[29])}
    assert backup.take(proposal) == [] and backup.questions[0][1].missing == (28,)
    assert backup.hear(proposal.block.digest, RAWS[28]) == [proposal.vote]
    assert not backup.blamed


# Wrong answers, and none


@pytest.mark.parametrize(
    "answer",
    [
        (RAWS[29], RAWS[28]),
        (RAWS[28],),
        (*RAWS[28:], RAWS[0]),
        (RAWS[28], fake(29, signature=1)),
        (b"", b""),
        (RAWS[28], bytes(LARGEST.max_block_bytes)),
    ],
)
def test_wrong_answer_is_blamed_and_the_core_is_left_to_ask_for_the_block(answer: tuple[bytes, ...]) -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    backup.take(proposal)
    assert backup.hear(proposal.block.digest, *answer) == [proposal.vote]
    assert backup.blamed == [PRIMARY]
    assert backup.hear(proposal.block.digest, *RAWS[28:]) == [], "nothing more is expected of it"


def test_empty_answer_is_no_misdeed() -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    backup.take(proposal)
    assert backup.hear(proposal.block.digest) == [proposal.vote]
    assert not backup.blamed


def test_answer_nobody_asked_for_is_a_misdeed() -> None:
    backup, proposal = Backup(*RAWS), propose(RAWS)
    backup.take(proposal)
    assert backup.hear(proposal.block.digest, RAWS[0]) == []
    assert backup.blamed == [PRIMARY]


def test_late_answer_lets_the_core_go_on_alone_and_helps_all_the_same() -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    backup.take(proposal)
    assert backup.rebuilder.overdue(PRIMARY, ANSWER_MS - 1) == []
    assert backup.rebuilder.overdue(ReplicaId(1), ANSWER_MS) == []
    assert backup.rebuilder.overdue(PRIMARY, ANSWER_MS) == [proposal.vote]
    assert backup.rebuilder.overdue(PRIMARY, 2 * ANSWER_MS) == [], "once"
    assert backup.hear(proposal.block.digest, *RAWS[28:]) == [proposal]


def test_header_of_other_transactions_is_blamed_on_its_sender() -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS, lie=True)
    backup.take(proposal)
    assert backup.hear(proposal.block.digest, *RAWS[28:]) == [proposal.vote]
    assert backup.blamed == [PRIMARY]
    # If all is known here, the core looks at the block as at any other.
    assert Backup(*RAWS).take(proposal) == [proposal] and not proposal.block.is_whole


# What has lost its point


def test_decided_height_and_other_view_end_the_wait() -> None:
    for view, height in ((View(0), Height(1)), (View(1), Height(0))):
        backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
        backup.take(proposal)
        backup.view, backup.height = view, height
        assert backup.rebuilder.overdue(PRIMARY, ANSWER_MS) == []
        assert backup.hear(proposal.block.digest, *RAWS[28:]) == []
        assert len(backup.rebuilder) == 0 and not backup.blamed


def test_lost_connection_ends_the_wait() -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS)
    backup.take(proposal)
    backup.rebuilder.forget(PRIMARY)
    assert len(backup.rebuilder) == 0
    assert backup.hear(proposal.block.digest, *RAWS[28:]) == [] and backup.blamed


def test_proposal_of_a_later_view_takes_the_place_of_one_before() -> None:
    backup, old, new = Backup(*RAWS[:28]), propose(RAWS), propose(RAWS, view=4, time_ms=2)
    backup.view = View(0)
    backup.take(old)
    assert backup.take(new) == [new.vote], "four views ahead is a whole turn: too far"
    backup.view = View(1)
    assert backup.take(new) == [] and len(backup.rebuilder) == 1
    assert backup.hear(old.block.digest, *RAWS[28:]) == []
    assert backup.hear(new.block.digest, *RAWS[28:]) == [new]


# Bounds


def test_second_proposal_for_a_height_is_evidence_and_no_question() -> None:
    backup, first, second = Backup(), propose(RAWS), propose(RAWS, time_ms=2)
    assert backup.take(first) == []
    assert backup.take(second) == [second.vote]
    assert len(backup.questions) == 1 and backup.searches == 1


def test_ids_that_nobody_has_cost_little() -> None:
    """A thousand proposals of a primary: a bounded number of questions, searches and waiting proposals."""
    backup = Backup()
    for number in range(1_000):
        backup.take(propose(RAWS, height=1 + number % 50, time_ms=1 + number))
    assert len(backup.questions) == backup.searches == len(backup.rebuilder) == 2 * WINDOW


@pytest.mark.parametrize(("height", "view", "sender"), [(0, 0, 0), (17, 0, 0), (1, 4, 0), (1, 0, 1), (1, -1, 3)])
def test_out_of_reach_or_from_a_backup_only_the_vote_counts(height: int, view: int, sender: int) -> None:
    backup, proposal = Backup(*RAWS[:28]), propose(RAWS, height=height, view=view, sender=sender)
    assert backup.take(proposal) == [proposal.vote]
    assert not backup.questions and not backup.searches
    whole = Backup(*RAWS)
    assert whole.take(proposal) == [proposal], "what is known costs nothing, and the core judges it"


def test_vote_that_does_not_fit_is_left_to_the_core() -> None:
    proposal = propose(RAWS)
    for vote in (
        replace(proposal.vote, phase=Phase.PREPARE),
        replace(proposal.vote, replica=ReplicaId(2)),
        replace(proposal.vote, digest=Digest(bytes(32))),
    ):
        wrong = Proposal(vote=vote, block=proposal.block)
        empty = Proposal(vote=vote, block=Block(header=proposal.block.header, transactions=()))
        backup = Backup(*RAWS)
        assert backup.take(wrong, PRIMARY) == [empty]
        assert not backup.questions


@pytest.mark.parametrize("count", [29, 31, LARGEST.max_block_transactions + 1])
def test_wrong_number_of_ids_is_refused(count: int) -> None:
    proposal = propose(RAWS)
    short = replace(shorten(proposal), header=replace(proposal.block.header, transaction_count=count))
    with pytest.raises(DecodeError):
        Backup(*RAWS).rebuilder.received(PRIMARY, short, 0)


def test_few_bytes_do_not_stand_for_a_huge_block() -> None:
    """One large transaction, named over and over."""
    large = fake(1, size=200_000)
    with pytest.raises(DecodeError, match="too large"):
        Backup(large).take(propose([large] * 6))
    # As far as it is known only, the rest being asked for.
    backup, proposal = Backup(large), propose([large] * 5 + [fake(2, size=100_000)])
    assert backup.take(proposal) == []
    assert backup.hear(proposal.block.digest, fake(2, size=100_000)) == [proposal.vote]


def test_one_search_and_one_question_for_a_height_and_view_whatever_is_answered() -> None:
    """A search takes milliseconds. Its slot must not be had again for an empty answer, nor for a block found whole."""
    backup = Backup()
    for time_ms in range(1, 6):
        proposal = propose(RAWS, time_ms=time_ms)
        backup.take(proposal)
        backup.hear(proposal.block.digest)
    assert backup.searches == 1 and len(backup.questions) == 1
    found = Backup()
    found.unchecked = {id_of(raw): raw for raw in RAWS}
    assert [found.take(propose(RAWS)) for _ in range(3)] == [
        [propose(RAWS)],
        [propose(RAWS).vote],
        [propose(RAWS).vote],
    ]
    assert found.searches == 1
    again = propose(RAWS, view=4)
    found.view = View(4)
    assert found.take(again) == [again] and found.searches == 2, "another view is another matter"
    found.rebuilder.forget(PRIMARY)
    assert found.take(again) == [again] and found.searches == 3, "and so is another connection"


def test_what_somebody_made_up_is_no_help_for_a_while() -> None:
    backup, proposal = Backup(), propose(RAWS)
    backup.unchecked = {id_of(raw): forged(raw) for raw in RAWS[1:]}
    backup.take(proposal)
    assert backup.questions[-1][1].missing == (0,)
    assert backup.hear(proposal.block.digest, RAWS[0]) == [proposal.vote], "the core gets the vote, and the block later"
    for height in range(2, 2 + 16):
        backup.height = Height(height - 1)
        later = propose(RAWS, height=height)
        backup.take(later)
        assert len(backup.questions[-1][1].missing) == 30, "asked for, all of it"
        assert backup.hear(later.block.digest, *RAWS) == [later]
    backup.height = Height(18)
    backup.take(propose(RAWS, height=19))
    assert backup.questions[-1][1].missing == (0,) and not backup.blamed
