"""How many transactions may wait before clients are told to come back: as many as blocks take in a given time.

A pool that takes whatever fits makes everybody wait for all of it. So a node measures what blocks take while they have
enough to do, and refuses clients, at once and with a time to come back, when that much waits for the given time.
What peers tell is not refused for this: their nodes have counted it already.
"""

from __future__ import annotations

from typing import Final

LEAST: Final = 1_000
"""So many may wait however slow the chain is: a client's largest request."""
_FIRST_GUESS_PER_S: Final = 4_000.0
_MEASURE_MS: Final = 500
"""Busy time between two estimates."""
_NEW_SHARE: Final = 0.5
"""Weight of the newest measurement."""


class Backlog:
    """Told of each block. `limit` is for the pool; None: no limit."""

    def __init__(self, target_ms: int) -> None:
        """`target_ms`: what may wait is what blocks take in so long; 0 for no limit."""
        self._target_ms = target_ms
        self.per_s = _FIRST_GUESS_PER_S
        """Transactions that blocks take in a second when there are enough of them."""
        self._was_busy = False
        self._last_ms = 0
        self._busy_ms = self._taken = 0

    @property
    def limit(self) -> int | None:
        if not self._target_ms:
            return None
        return max(LEAST, int(self.per_s * self._target_ms / 1_000))

    def committed(self, transactions: int, waiting: int, now_ms: int) -> None:
        """A block is final at `now_ms`, on a steady clock; after it so many transactions are `waiting`."""
        if self._was_busy:
            # Time without enough work says nothing about what blocks could have taken.
            self._busy_ms += now_ms - self._last_ms
            self._taken += transactions
        self._was_busy, self._last_ms = waiting > 0, now_ms
        if self._busy_ms >= _MEASURE_MS:
            measured = self._taken * 1_000 / self._busy_ms
            self.per_s += _NEW_SHARE * (measured - self.per_s)
            self._busy_ms = self._taken = 0
