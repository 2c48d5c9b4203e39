"""consensus/probation.py: who may vote, and since when (trap 42)."""

from __future__ import annotations

import pytest

from consensus.journal import Journal
from consensus.messages import Phase
from consensus.probation import LISTENING_WINDOWS, Probation
from consensus.types import Height, ReplicaId, View
from tests.unit.consensus.factories import Chain

CHAIN = Chain(4)
WINDOW = 2


def probation(journal: Journal, *, n: int = 4, override: bool = False) -> Probation:
    return Probation(journal, Chain(n).members, WINDOW, override=override, is_first_start=False)


def new_journal() -> Journal:
    return Journal({}, lambda effect: None)


def old_journal() -> Journal:
    journal = new_journal()
    journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, CHAIN.block("a")))
    return journal


def greet(subject: Probation, peer: int, height: int = 0, view: int = 0, lost: str | None = None, tip: int = 0) -> None:
    subject.greeted(ReplicaId(peer), Height(height), View(view), lost=lost, tip=Height(tip))


@pytest.mark.parametrize(("n", "needed"), [(4, 2), (5, 3), (6, 4), (7, 4), (10, 6), (13, 8)])
def test_a_start_waits_for_all_but_f_peers(n: int, needed: int) -> None:
    subject = probation(old_journal(), n=n)
    for peer in range(1, needed):
        greet(subject, peer)
        assert not subject.voting
    greet(subject, needed)
    assert subject.voting


def test_one_peer_cannot_speak_for_two() -> None:
    subject = probation(old_journal())
    for _ in range(3):
        greet(subject, 1)
    assert not subject.voting
    assert subject.needs_greeting(ReplicaId(2))
    assert not subject.needs_greeting(ReplicaId(1))


def test_a_single_replica_has_nobody_to_ask() -> None:
    assert probation(new_journal(), n=1).voting


def test_a_new_store_at_the_beginning_of_the_chain_votes() -> None:
    subject = probation(new_journal())
    greet(subject, 1)
    greet(subject, 2)
    assert subject.voting


def test_a_new_store_beside_a_chain_with_blocks_listens() -> None:
    subject = probation(new_journal())
    greet(subject, 1, height=5)
    greet(subject, 2)
    assert not subject.voting
    assert "new" in subject.reason


def test_a_lost_vote_is_enough_to_listen() -> None:
    subject = probation(old_journal())
    greet(subject, 1, lost="a peer holds our vote")
    greet(subject, 2)
    assert not subject.voting
    assert subject.reason == "a peer holds our vote"


def test_listening_ends_high_enough_and_in_a_later_view() -> None:
    subject = probation(old_journal())
    greet(subject, 1, height=10, view=3, lost="lost")
    greet(subject, 2, height=8, view=3)
    until = Height(10 + LISTENING_WINDOWS * WINDOW)
    subject.progressed(Height(until - 1), View(9), active=True)
    assert not subject.voting
    subject.progressed(until, View(3), active=True)
    assert not subject.voting
    subject.progressed(until, View(4), active=False)
    assert not subject.voting
    subject.progressed(until, View(4), active=True)
    assert subject.voting


def test_listening_survives_a_restart() -> None:
    journal = new_journal()
    subject = probation(journal)
    greet(subject, 1, height=10, lost="lost")
    greet(subject, 2)
    again = probation(journal)
    greet(again, 1, height=10)
    greet(again, 2, height=10)
    assert not again.voting


def test_one_liar_cannot_make_it_listen_for_ever() -> None:
    """Views in greetings are not proved: the highest that f + 1 replicas name counts."""
    subject = probation(old_journal())
    greet(subject, 1, height=1, view=1 << 40, lost="lost")
    greet(subject, 2, height=1, view=0)
    subject.progressed(Height(1 + LISTENING_WINDOWS * WINDOW), View(1), active=True)
    assert subject.voting


def test_the_operator_can_override() -> None:
    journal = new_journal()
    greet(probation(journal), 1, height=5)
    subject = probation(journal, override=True)
    assert subject.voting
    greet(subject, 1, height=5, lost="lost")
    assert subject.voting
