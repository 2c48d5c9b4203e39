"""consensus/replica.py: one event in, effects out. Whole scenarios are in tests/golden/consensus."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consensus.effects import (
    Behind,
    Broadcast,
    CancelTimer,
    Commit,
    Persist,
    PersistBlock,
    Send,
    SetTimer,
)
from consensus.errors import InvariantBroken
from consensus.events import (
    BlockBuilt,
    BlockSynced,
    PrimarySuspected,
    Started,
    Timer,
    TimerFired,
    WorkChanged,
)
from consensus.messages import (
    BlockRequest,
    Greeting,
    NewView,
    Notice,
    Phase,
    Proposal,
    Status,
    ViewChange,
)
from consensus.replica import ReplicaConfig
from consensus.types import Height, ReplicaId, Signature, View
from tests.unit.consensus.factories import NOW, Chain, feed, kinds, receive, said, votes

replace = msgspec.structs.replace
CHAIN = Chain(4)
A = CHAIN.block("a")
B = CHAIN.block("b", A.header)


# Views


def test_timers_run_only_while_there_is_work() -> None:
    backup = CHAIN.started(1)
    effects = feed(backup, WorkChanged(pending=True))
    assert SetTimer(timer=Timer.PROGRESS, delay_ms=1_000) in effects
    effects = feed(backup, WorkChanged(pending=False))
    assert CancelTimer(timer=Timer.PROGRESS) in effects


def test_a_timeout_asks_for_the_next_view_and_ends_voting_in_this_one() -> None:
    backup = CHAIN.started(1)
    feed(backup, WorkChanged(pending=True))
    effects = feed(backup, TimerFired(timer=Timer.PROGRESS))
    assert Broadcast(message=CHAIN.view_change(1, 1)) in effects
    assert not backup.active
    assert votes(receive(backup, 0, CHAIN.proposal(A)), Phase.PREPARE) == []


def test_timeouts_double_up_to_their_cap_and_start_over_with_a_block() -> None:
    replica = CHAIN.started(0, config=ReplicaConfig(window=4, view_timeout_ms=100, view_timeout_max_ms=300))
    delays = []
    for view in (1, 2, 3):
        feed(replica, PrimarySuspected(view=View(view - 1), reason="censored"))
        delays.append(replica.views.timeout_ms())
        receive(replica, view, CHAIN.new_view(view, [CHAIN.view_change(r, view) for r in (1, 2, 3)]))
        assert (replica.view, replica.active) == (view, True)
    assert delays == [200, 300, 300]
    feed(replica, BlockSynced(block=A, certificate=CHAIN.commit_certificate(A)))
    assert replica.views.timeout_ms() == 100


def test_f_plus_one_later_views_pull_along_to_the_lowest() -> None:
    """Trap 21."""
    replica = CHAIN.started(0)
    assert not any(isinstance(m, ViewChange) for m in said(receive(replica, 1, CHAIN.view_change(1, 7))))
    effects = receive(replica, 2, CHAIN.view_change(2, 3))
    assert Broadcast(message=CHAIN.view_change(0, 3)) in effects


def test_the_new_primary_opens_the_view_with_a_quorum() -> None:
    replica = CHAIN.started(1)
    receive(replica, 2, CHAIN.view_change(2, 1))
    effects = receive(replica, 3, CHAIN.view_change(3, 1))
    new_views = [message for message in said(effects) if isinstance(message, NewView)]
    assert new_views == [CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (1, 2, 3)])]
    assert replica.active
    assert replica.view == 1


def test_a_backup_takes_nothing_but_the_chosen_block() -> None:
    replica = CHAIN.started(3)
    changes = [CHAIN.view_change(r, 1, None, (CHAIN.prepared(A),)) for r in (0, 1, 2)]
    receive(replica, 1, CHAIN.new_view(1, changes))
    assert replica.view == 1
    effects = receive(replica, 1, CHAIN.proposal(CHAIN.block("other"), view=1))
    assert votes(effects, Phase.PREPARE) == []
    replica = CHAIN.started(3)
    receive(replica, 1, CHAIN.new_view(1, changes))
    effects = receive(replica, 1, CHAIN.proposal(A, view=1))
    assert votes(effects, Phase.PREPARE) == [CHAIN.vote(Phase.PREPARE, 3, A, view=1)]


def test_a_repeated_block_keeps_its_time_however_old() -> None:
    replica = CHAIN.started(3)
    changes = [CHAIN.view_change(r, 1, None, (CHAIN.prepared(A),)) for r in (0, 1, 2)]
    later = NOW + 1_000_000
    receive(replica, 1, CHAIN.new_view(1, changes), later)
    effects = receive(replica, 1, CHAIN.proposal(A, view=1), later)
    assert votes(effects, Phase.PREPARE) == [CHAIN.vote(Phase.PREPARE, 3, A, view=1)]


def test_nothing_is_accepted_at_a_height_that_the_view_shows_as_final() -> None:
    replica = CHAIN.started(3)
    base = CHAIN.commit_certificate(B)
    receive(replica, 1, CHAIN.new_view(1, [CHAIN.view_change(r, 1, base) for r in (0, 1, 2)]))
    assert (replica.view, replica.tip.height) == (1, 0)
    effects = receive(replica, 1, CHAIN.proposal(CHAIN.block("other"), view=1))
    assert votes(effects, Phase.PREPARE) == []


def test_the_suspicion_of_an_old_view_is_void() -> None:
    replica = CHAIN.started(3)
    assert feed(replica, PrimarySuspected(view=View(5), reason="censored")) == []


# Falling behind and coming back


def test_a_certificate_of_the_next_height_has_its_block_fetched() -> None:
    replica = CHAIN.started(3)
    effects = receive(replica, 0, Notice(certificate=CHAIN.commit_certificate(A)))
    assert BlockRequest(digest=A.digest) in said(effects)


def test_a_certificate_further_up_asks_for_sync() -> None:
    replica = CHAIN.started(3)
    effects = receive(replica, 0, Notice(certificate=CHAIN.commit_certificate(B)))
    assert Behind(height=Height(2)) in effects


def test_synced_blocks_are_checked_again() -> None:
    replica = CHAIN.started(3)
    weak = CHAIN.commit_certificate(A, (0, 1))
    assert "Commit" not in kinds(feed(replica, BlockSynced(block=A, certificate=weak)))
    assert "Commit" not in kinds(feed(replica, BlockSynced(block=B, certificate=CHAIN.commit_certificate(B))))
    swapped = CHAIN.commit_certificate(CHAIN.block("other"))
    assert "Commit" not in kinds(feed(replica, BlockSynced(block=A, certificate=swapped)))
    assert "Commit" in kinds(feed(replica, BlockSynced(block=A, certificate=CHAIN.commit_certificate(A))))
    assert "Commit" not in kinds(feed(replica, BlockSynced(block=A, certificate=CHAIN.commit_certificate(A))))


def test_a_certified_fork_stops_the_replica() -> None:
    replica = CHAIN.started(3)
    feed(replica, BlockSynced(block=A, certificate=CHAIN.commit_certificate(A)))
    strange = CHAIN.block("b", CHAIN.block("other").header)
    with pytest.raises(InvariantBroken, match="forked"):
        feed(replica, BlockSynced(block=strange, certificate=CHAIN.commit_certificate(strange)))


def test_a_straggler_is_answered_with_the_certificate() -> None:
    replica = CHAIN.started(3)
    feed(replica, BlockSynced(block=A, certificate=CHAIN.commit_certificate(A)))
    effects = receive(replica, 2, Status(view=View(0), height=Height(0), active=True))
    assert Send(to=ReplicaId(2), message=Notice(certificate=CHAIN.commit_certificate(A))) in effects


def test_a_restart_repeats_the_same_votes() -> None:
    journal: dict[bytes, bytes] = {}
    stored = {}
    backup = CHAIN.started(1)
    for message in (CHAIN.proposal(A), CHAIN.vote(Phase.PREPARE, 2, A)):
        for effect in receive(backup, message.vote.replica if isinstance(message, Proposal) else 2, message):
            if isinstance(effect, Persist):
                journal[effect.key] = effect.value
            elif isinstance(effect, PersistBlock):
                stored[effect.block.digest] = effect.block
    again = CHAIN.replica(1, journal=journal, stored=stored)
    again.handle(Started(), NOW)
    repeated = []
    for peer in (0, 2):
        repeated += receive(again, peer, CHAIN.greeting())
    assert set(votes(repeated, Phase.PREPARE)) == {CHAIN.vote(Phase.PREPARE, 1, A)}
    assert set(votes(repeated, Phase.COMMIT)) == {CHAIN.vote(Phase.COMMIT, 1, A)}


def test_a_peer_that_shows_a_lost_vote_makes_it_listen() -> None:
    replica = CHAIN.replica(1)
    replica.handle(Started(), NOW)
    receive(replica, 0, CHAIN.greeting(held=(CHAIN.vote(Phase.PREPARE, 1, A),)))
    receive(replica, 2, CHAIN.greeting())
    assert not replica.voting
    assert "lost" in replica.status().voting_reason


def test_a_forged_lost_vote_does_not() -> None:
    replica = CHAIN.replica(1)
    replica.handle(Started(), NOW)
    forged = replace(CHAIN.vote(Phase.PREPARE, 1, A), signature=Signature(bytes(64)))
    receive(replica, 0, CHAIN.greeting(held=(forged,)))
    receive(replica, 2, CHAIN.greeting())
    assert replica.voting


def test_a_peer_that_still_asks_is_greeted_again() -> None:
    effects = receive(CHAIN.started(1), 2, CHAIN.greeting(asks=True))
    assert [message.asks for message in said(effects) if isinstance(message, Greeting)] == [False]


def test_a_start_asks_for_greetings_until_they_come() -> None:
    replica = CHAIN.replica(1)
    effects = replica.handle(Started(), NOW)
    assert any(isinstance(effect, SetTimer) and effect.timer is Timer.RESEND for effect in effects)
    receive(replica, 0, CHAIN.greeting())
    effects = replica.handle(TimerFired(timer=Timer.RESEND), NOW)
    asked = [e.to for e in effects if isinstance(e, Send) and isinstance(e.message, Greeting) and e.message.asks]
    assert asked == [2, 3]


def test_one_replica_decides_alone() -> None:
    chain = Chain(1)
    replica = chain.replica(0)
    replica.handle(Started(), NOW)
    assert replica.voting
    feed(replica, WorkChanged(pending=True))
    block = chain.block("a")
    effects = feed(replica, BlockBuilt(view=View(0), height=Height(1), block=block))
    assert [e.block.digest for e in effects if isinstance(e, Commit)] == [block.digest]


def test_the_same_events_give_the_same_effects() -> None:
    def run() -> list[Any]:
        replica = CHAIN.started(1)
        found: list[Any] = []
        for sender, message in (
            (0, CHAIN.proposal(A)),
            (2, CHAIN.vote(Phase.PREPARE, 2, A)),
            (3, CHAIN.vote(Phase.COMMIT, 3, A)),
            (2, CHAIN.vote(Phase.COMMIT, 2, A)),
        ):
            found += receive(replica, sender, message)
        return found

    assert run() == run()


@pytest.mark.parametrize("window", [0, 65])
def test_a_window_out_of_range_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        ReplicaConfig(window=window)
