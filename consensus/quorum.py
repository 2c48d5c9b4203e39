"""Quorum arithmetic and the member set: the one place that counts replicas.

Source: Castro & Liskov 1999, section 4; for n other than 3f + 1 the quorum is the smallest number
for which any two quorums share an honest replica.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import msgspec

from consensus.types import MAX_REPLICAS, Digest, PublicKey, ReplicaId, View, Wire


class Member(Wire, frozen=True):
    """One replica: who runs it, and the key it signs with."""

    name: str
    key: PublicKey


class MemberSet(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The replicas that agree on blocks during one epoch. Order is the order of primaries."""

    epoch: int
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MAX_REPLICAS:
            raise ValueError(f"a member set has 1 to {MAX_REPLICAS} replicas, not {len(self.members)}")
        if len({member.key for member in self.members}) != len(self.members):
            raise ValueError("two replicas of a member set share one key")

    @cached_property
    def n(self) -> int:
        return len(self.members)

    @cached_property
    def f(self) -> int:
        """Replicas that may be faulty at the same time."""
        return (self.n - 1) // 3

    @cached_property
    def quorum(self) -> int:
        """Votes for a certificate: any two quorums share an honest replica."""
        return (self.n + self.f) // 2 + 1

    @property
    def weak_quorum(self) -> int:
        """So many replicas contain an honest one."""
        return self.f + 1

    @property
    def reachable(self) -> int:
        """So many replicas answer even if all faulty ones are silent."""
        return self.n - self.f

    def primary(self, view: View) -> ReplicaId:
        return ReplicaId(view % self.n)

    def key(self, replica: ReplicaId) -> PublicKey:
        return self.members[replica].key

    def holds(self, replica: int) -> bool:
        return 0 <= replica < self.n

    def replica_of(self, key: PublicKey) -> ReplicaId | None:
        """The replica that signs with `key`, or None for a stranger."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[PublicKey, ReplicaId]:
        return {member.key: ReplicaId(index) for index, member in enumerate(self.members)}

    @cached_property
    def digest(self) -> Digest:
        """Named in every header and in everything signed."""
        return Digest(sha256(b"weal/members/1\0" + msgspec.msgpack.encode(self)).digest())
