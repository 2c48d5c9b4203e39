"""A new node may join a chain that has begun, if its key is known to be unused; a wiped one may not."""

from __future__ import annotations

import pytest

from consensus.effects import Effect
from consensus.journal import Journal
from consensus.probation import Probation
from consensus.quorum import Member, MemberSet
from consensus.types import Height, PublicKey, ReplicaId, View

MEMBERS = MemberSet(epoch=0, members=tuple(Member(name=str(i), key=PublicKey(bytes([i + 1]) * 32)) for i in range(4)))


@pytest.mark.parametrize(("is_first_start", "votes"), [(True, True), (False, False)])
def test_new_store_beside_a_chain_with_blocks_votes_only_with_an_unused_key(is_first_start: bool, votes: bool) -> None:
    effects: list[Effect] = []
    journal = Journal({}, effects.append)
    probation = Probation(journal, MEMBERS, 8, override=False, is_first_start=is_first_start)
    for peer in (1, 2):
        probation.greeted(ReplicaId(peer), Height(7), View(0), lost=None, tip=Height(0))
    assert probation.voting is votes


def test_unused_key_does_not_excuse_a_vote_that_a_peer_shows() -> None:
    journal = Journal({}, lambda effect: None)
    probation = Probation(journal, MEMBERS, 8, override=False, is_first_start=True)
    probation.greeted(ReplicaId(1), Height(7), View(0), lost="a peer holds our vote", tip=Height(0))
    probation.greeted(ReplicaId(2), Height(7), View(0), lost=None, tip=Height(0))
    assert not probation.voting
