"""Limits on strangers who knock, and on peers who misbehave. Times are milliseconds of a steady clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from consensus.types import ReplicaId

_HANDSHAKES_MAX: Final = 16
"""Handshakes under way at once: each may hold one frame of an unproven stranger in memory."""
_HANDSHAKES_PER_ADDRESS: Final = 8
_ADDRESSES_MAX: Final = 1_024
_FAILURES_BURST: Final = 20
_FAILURE_COST_MS: Final = 1_000
_REQUESTS_BURST: Final = 32
"""Two windows of blocks, twice: more than an honest peer misses at once."""
_REQUEST_COST_MS: Final = 20
_REQUESTS_FORGIVEN: Final = 16
"""Surplus requests that count as one misdeed: who misses blocks that nobody has repeats itself, too."""


class LeakyBucket:
    """Fills by what is added, leaks one unit each `leak_ms`."""

    __slots__ = ("_empty_at_ms", "_leak_ms")

    def __init__(self, leak_ms: int) -> None:
        self._leak_ms = leak_ms
        self._empty_at_ms = 0

    def add(self, units: int, now_ms: int) -> None:
        self._empty_at_ms = max(self._empty_at_ms, now_ms) + units * self._leak_ms

    def level(self, now_ms: int) -> int:
        """Units in it, rounded up."""
        return max(0, -(-(self._empty_at_ms - now_ms) // self._leak_ms))


class Attempt:
    """A handshake under way; `cut` ends it."""

    __slots__ = ("address", "cut")

    def __init__(self, address: str, cut: Callable[[], None]) -> None:
        self.address = address
        self.cut = cut


class HandshakeGuard:
    """Who may try to connect now. Failures count against the remote address and are forgotten, one a second.

    When too many handshakes are under way, the oldest of the address that has most of them makes room: an honest
    one takes two round trips, so strangers who leave theirs half open cannot keep peers out.

    Peers behind one address (a relay, NAT, one machine) share its allowance, so a stranger there can slow
    their calls down; it cannot stop this node from calling them.
    """

    def __init__(self) -> None:
        self._running: list[Attempt] = []
        self._failures: dict[str, LeakyBucket] = {}

    def enter(self, address: str, now_ms: int, cut: Callable[[], None]) -> Attempt | None:
        """Begin a handshake with this address, to be given to `leave`; None if it may not begin now."""
        bucket = self._failures.get(address)
        if bucket is not None and bucket.level(now_ms) >= _FAILURES_BURST:
            return None
        counts = Counter(attempt.address for attempt in self._running)
        if counts[address] >= _HANDSHAKES_PER_ADDRESS:
            return None
        if len(self._running) >= _HANDSHAKES_MAX:
            oldest = max(self._running, key=lambda attempt: counts[attempt.address])
            self._running.remove(oldest)
            oldest.cut()
        attempt = Attempt(address, cut)
        self._running.append(attempt)
        return attempt

    def leave(self, attempt: Attempt, now_ms: int, *, is_good: bool) -> None:
        if attempt in self._running:
            self._running.remove(attempt)
        if is_good:
            return
        address = attempt.address
        bucket = self._failures.pop(address, None) or LeakyBucket(_FAILURE_COST_MS)
        bucket.add(1, now_ms)
        self._failures[address] = bucket
        while len(self._failures) > _ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]


class RequestGuard:
    """How fast each peer may ask for blocks: 35 bytes of a request make this node read, pack and queue a megabyte."""

    def __init__(self) -> None:
        self._asked: dict[ReplicaId, LeakyBucket] = {}
        self._refused: Counter[ReplicaId] = Counter()

    def is_flood(self, replica: ReplicaId) -> bool:
        """After a refused request: are there so many by now that it counts as a misdeed?"""
        return self._refused[replica] % _REQUESTS_FORGIVEN == 0

    def allows(self, replica: ReplicaId, now_ms: int) -> bool:
        """May this request be served? The peer repeats those that are dropped, if it is honest."""
        bucket = self._asked.setdefault(replica, LeakyBucket(_REQUEST_COST_MS))
        if bucket.level(now_ms) >= _REQUESTS_BURST:
            self._refused[replica] += 1
            return False
        bucket.add(1, now_ms)
        return True


class Penalties:
    """What one peer has done wrong lately. Honest peers err now and then, so it takes many to be cut off."""

    LIMIT: Final = 100
    BAN_MS: Final = 30_000
    _LEAK_MS: Final = 500

    def __init__(self) -> None:
        self._bucket = LeakyBucket(self._LEAK_MS)
        self._banned_until_ms = 0
        self.total = 0

    def add(self, points: int, now_ms: int) -> bool:
        """Count; answers whether the peer is to be cut off now."""
        self.total += points
        if self.is_banned(now_ms):
            return False  # what it had sent before it was cut off
        self._bucket.add(points, now_ms)
        if self._bucket.level(now_ms) < self.LIMIT:
            return False
        self._bucket = LeakyBucket(self._LEAK_MS)
        self._banned_until_ms = now_ms + self.BAN_MS
        return True

    def is_banned(self, now_ms: int) -> bool:
        return now_ms < self._banned_until_ms
