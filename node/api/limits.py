"""Bounds on what clients can make the node do: sizes, times, rates and numbers at once.

Consensus runs in the same event loop, so everything here is refused early and cheaply.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from node.api import problems


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults suit one organisation's desks and programs; all are configurable."""

    max_body_bytes: int = 1024 * 1024
    """Largest request body; a larger one is refused before it is read."""
    max_transactions: int = 4096
    """Most transactions in one submission."""
    body_timeout_s: float = 10.0
    """A body that is not complete so long after its headers is refused with 408."""
    upload_timeout_s: float = 300.0
    """The same for the bytes of an evidence item."""
    idle_timeout_s: float = 75.0
    """A connection that has not sent a complete request head for so long is closed."""
    max_connections: int = 1024
    """Connections above this are answered 503 and closed at once."""
    max_requests: int = 256
    """Requests in work at the same time, waiting ones and streams not counted."""
    max_waiting: int = 1_000
    """Requests that wait for finality or for a transaction's fate at the same time."""
    max_streams: int = 64
    """Event streams at the same time."""
    max_wait_ms: int = 60_000
    """Longest time a request may wait for finality."""
    rate_per_s: int = 2_000
    """Requests per second and remote address, on average; 0 means no limit."""
    rate_burst: int = 4_000
    """Requests at once after a pause, per remote address."""
    max_remotes: int = 10_000
    """Remote addresses whose rate is remembered; the one unseen for longest is forgotten first."""
    page_default: int = 50
    page_max: int = 500
    """Records per page."""
    stream_heartbeat_s: float = 15.0
    """An idle event stream carries a comment so often, so that both ends notice a dead connection."""
    stream_stall_s: float = 10.0
    """A stream whose client takes nothing for so long is ended."""


_TOKEN: Final = 1_000_000_000
"""One token in the unit of the buckets, so that a rate per second fills them by whole numbers each nanosecond."""


class TokenBuckets:
    """A token bucket per remote address; memory is bounded by forgetting the longest unseen."""

    def __init__(self, rate_per_s: int, burst: int, most: int) -> None:
        self._rate, self._burst, self._most = rate_per_s, max(1, burst) * _TOKEN, most
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()  # remote -> (tokens, as of ns)

    def take(self, remote: str, now_s: float) -> int | None:
        """None if a request may pass, else the whole seconds to wait."""
        if self._rate <= 0:
            return None
        now_ns = round(now_s * 1_000_000_000)
        held = self._buckets.get(remote)
        if held is None:
            tokens = self._burst
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
        else:
            tokens = min(self._burst, held[0] + (now_ns - held[1]) * self._rate)
            self._buckets.move_to_end(remote)
        if tokens < _TOKEN:
            self._buckets[remote] = (tokens, now_ns)
            return max(1, -((tokens - _TOKEN) // (self._rate * 1_000_000_000)))
        self._buckets[remote] = (tokens - _TOKEN, now_ns)
        return None

    def __len__(self) -> int:
        return len(self._buckets)


class Slots:
    """So many things of one kind at once; `with slots:` takes one or raises the problem E0503."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what, self.taken = most, what, 0

    def __enter__(self) -> None:
        if self.taken >= self.most:
            raise problems.ApiError(
                problems.OVERLOADED, f"{self.taken} {self.what} are open, which is the limit", retry_after_s=1
            )
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self.taken -= 1


class Gate:
    """The limits of one listener at work."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.requests = Slots(limits.max_requests, "requests")
        self.waiting = Slots(limits.max_waiting, "waiting requests")
        self.streams = Slots(limits.max_streams, "event streams")
        self._clock = clock
        self._buckets = TokenBuckets(limits.rate_per_s, limits.rate_burst, limits.max_remotes)

    @contextmanager
    def parked(self, slots: Slots) -> Iterator[None]:
        """Inside, the request counts as one of `slots` and no longer as one in work."""
        with slots:
            self.requests.taken -= 1
            try:
                yield
            finally:
                self.requests.taken += 1

    def admit(self, remote: str) -> None:
        """Count one request of `remote`. Raises ApiError if it comes too fast."""
        wait_s = self._buckets.take(remote, self._clock())
        if wait_s is not None:
            rate = self.limits.rate_per_s
            raise problems.ApiError(
                problems.RATE_LIMITED, f"more than {rate} requests per second", retry_after_s=wait_s
            )
