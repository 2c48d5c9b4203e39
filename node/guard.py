"""Limits on strangers who knock, and on peers who misbehave. Times are milliseconds of a steady clock."""

from __future__ import annotations

from typing import Final

_HANDSHAKES_MAX: Final = 16
"""Handshakes under way at once: each may hold one frame of an unproven stranger in memory."""
_HANDSHAKES_PER_ADDRESS: Final = 8
_ADDRESSES_MAX: Final = 1_024
_FAILURES_BURST: Final = 20
_FAILURE_COST_MS: Final = 1_000


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


class HandshakeGuard:
    """Who may try to connect now. Failures count against the remote address and are forgotten, one a second.

    Peers behind one address (a relay, NAT, one machine) share its allowance, so a stranger there can slow
    their calls down; it cannot stop this node from calling them.
    """

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._failures: dict[str, LeakyBucket] = {}

    def enter(self, address: str, now_ms: int) -> bool:
        """May a handshake with this address begin? If so, `leave` must follow."""
        bucket = self._failures.get(address)
        if bucket is not None and bucket.level(now_ms) >= _FAILURES_BURST:
            return False
        mine = self._running.get(address, 0)
        if mine >= _HANDSHAKES_PER_ADDRESS or sum(self._running.values()) >= _HANDSHAKES_MAX:
            return False
        self._running[address] = mine + 1
        return True

    def leave(self, address: str, now_ms: int, *, is_good: bool) -> None:
        left = self._running[address] - 1
        if left:
            self._running[address] = left
        else:
            del self._running[address]
        if is_good:
            return
        bucket = self._failures.pop(address, None) or LeakyBucket(_FAILURE_COST_MS)
        bucket.add(1, now_ms)
        self._failures[address] = bucket
        while len(self._failures) > _ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]


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
        self._bucket.add(points, now_ms)
        if self._bucket.level(now_ms) < self.LIMIT:
            return False
        self._bucket = LeakyBucket(self._LEAK_MS)
        self._banned_until_ms = now_ms + self.BAN_MS
        return True

    def is_banned(self, now_ms: int) -> bool:
        return now_ms < self._banned_until_ms
