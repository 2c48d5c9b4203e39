"""consensus/journal.py: what survives a restart."""

from __future__ import annotations

import pytest

from consensus.effects import Effect, Forget, Persist
from consensus.errors import InvariantBroken
from consensus.journal import Journal, ListeningRecord
from consensus.messages import Phase
from consensus.types import Height, View
from tests.unit.consensus.factories import Chain

CHAIN = Chain(4)
A = CHAIN.block("a")
B = CHAIN.block("b", A.header)


class Disk(dict[bytes, bytes]):
    """Carries out what a journal asks for."""

    def __call__(self, effect: Effect) -> None:
        if isinstance(effect, Persist):
            self[effect.key] = effect.value
        elif isinstance(effect, Forget):
            for key in effect.keys:
                del self[key]


def test_everything_kept_is_there_after_a_restart() -> None:
    disk = Disk()
    journal = Journal({}, disk)
    journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, A))
    journal.keep_vote(CHAIN.vote(Phase.COMMIT, 1, A))
    journal.keep_lock(CHAIN.prepared(A))
    journal.keep_view_change(CHAIN.view_change(1, 1, None, (CHAIN.prepared(A),)))
    new_view = CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1, 2)])
    journal.keep_view(View(1), active=True, new_view=new_view)
    journal.keep_listening(ListeningRecord(reason="why", height=Height(9), view=View(2)))
    again = Journal(dict(disk), disk)
    assert again.votes == journal.votes
    assert again.locks == journal.locks
    assert again.view_change == journal.view_change
    assert again.view == journal.view
    assert again.listening == journal.listening


def test_a_second_vote_in_a_slot_is_a_bug_of_ours() -> None:
    journal = Journal({}, Disk())
    journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, A))
    with pytest.raises(InvariantBroken, match="second vote"):
        journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, CHAIN.block("other")))


def test_final_heights_are_forgotten_and_open_ones_stay() -> None:
    disk = Disk()
    journal = Journal({}, disk)
    for block in (A, B):
        journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, block))
        journal.keep_lock(CHAIN.prepared(block))
    journal.forget_through(Height(1))
    again = Journal(dict(disk), disk)
    assert [height for _, _, height in again.votes] == [2]
    assert list(again.locks) == [2]


def test_votes_of_views_that_are_over_are_forgotten_and_certificates_stay() -> None:
    """Else they would pile up while views fail; what was prepared must still be reported."""
    disk = Disk()
    journal = Journal({}, disk)
    journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, A))
    journal.keep_lock(CHAIN.prepared(A))
    journal.keep_view(View(1), active=True, new_view=None)
    journal.forget_views_below(View(1))
    again = Journal(dict(disk), disk)
    assert again.votes == {}
    assert list(again.locks) == [1]


def test_an_emptied_journal_is_not_a_new_one() -> None:
    disk = Disk()
    journal = Journal({}, disk)
    assert journal.is_new
    journal.keep_vote(CHAIN.vote(Phase.PREPARE, 1, A))
    journal.forget_through(Height(1))
    assert not Journal(dict(disk), disk).is_new


def test_nonsense_in_the_journal_stops_the_replica() -> None:
    with pytest.raises(InvariantBroken, match="unknown journal key"):
        Journal({b"?": b""}, Disk())


def test_a_kept_view_change_gives_up_its_view_even_if_the_record_was_lost() -> None:
    """A disk may keep the first of two writes: what may have been said is said again, and nothing else."""
    disk = Disk()
    journal = Journal({}, disk)
    asked = CHAIN.view_change(1, 2)
    journal.keep_view_change(asked)
    again = Journal(dict(disk), disk)
    assert (again.view.view, again.view.active, again.view.new_view) == (View(2), False, None)
    assert again.view_change == asked
