"""consensus/quorum.py: counting replicas."""

from __future__ import annotations

import pytest

from consensus.quorum import Member, MemberSet
from consensus.types import MAX_REPLICAS, PublicKey, View


def member_set(n: int, epoch: int = 0) -> MemberSet:
    keys = [PublicKey(index.to_bytes(32, "big")) for index in range(1, n + 1)]
    return MemberSet(epoch=epoch, members=tuple(Member(name=f"m{i}", key=key) for i, key in enumerate(keys)))


@pytest.mark.parametrize(
    ("n", "f", "quorum"), [(1, 0, 1), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7), (13, 4, 9)]
)
def test_sizes_that_are_supported(n: int, f: int, quorum: int) -> None:
    members = member_set(n)
    assert (members.f, members.quorum, members.weak_quorum, members.reachable) == (f, quorum, f + 1, n - f)


@pytest.mark.parametrize("n", range(1, MAX_REPLICAS + 1))
def test_two_quorums_share_an_honest_replica_and_the_honest_ones_are_a_quorum(n: int) -> None:
    members = member_set(n)
    assert 3 * members.f < n
    assert 2 * members.quorum - n > members.f
    assert members.quorum <= members.reachable


@pytest.mark.parametrize("n", range(1, MAX_REPLICAS + 1))
def test_the_quorum_is_the_smallest_that_is_safe(n: int) -> None:
    members = member_set(n)
    assert 2 * (members.quorum - 1) - n <= members.f


def test_the_primary_goes_round() -> None:
    members = member_set(4)
    assert [members.primary(View(view)) for view in range(6)] == [0, 1, 2, 3, 0, 1]


def test_one_key_cannot_be_two_replicas() -> None:
    member = Member(name="a", key=PublicKey(bytes(32)))
    with pytest.raises(ValueError, match="share one key"):
        MemberSet(epoch=0, members=(member, Member(name="b", key=member.key)))


@pytest.mark.parametrize("n", [0, MAX_REPLICAS + 1])
def test_a_set_too_small_or_too_large_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        member_set(n)


def test_the_digest_covers_epoch_order_and_names() -> None:
    members = member_set(4)
    assert members.digest != member_set(4, epoch=1).digest
    assert members.digest != MemberSet(epoch=0, members=members.members[::-1]).digest
    assert members.digest == member_set(4).digest


def test_keys_are_found_and_strangers_are_not() -> None:
    members = member_set(4)
    assert members.replica_of(members.members[2].key) == 2
    assert members.replica_of(PublicKey(bytes(32))) is None
    assert members.holds(3)
    assert not members.holds(4)
    assert not members.holds(-1)
