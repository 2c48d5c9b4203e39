"""Does the primary leave a transaction out on purpose?

A transaction that waits half a view timeout is forwarded to the primary, once per view: its gossip may have
been lost. One that the primary has had for that long, that is still valid, and that stayed out a whole timeout
while later arrivals were committed, is a reason to ask for another primary. A full pool is none, and neither is
a sender that floods: the primary may have had no room for it. Nor is a view that is younger than a timeout.

Under load a transaction waits in line for longer than a timeout, and lines differ: each node's begins with what
its own clients brought. So a primary is suspected only once it has committed twice as many transactions as were
waiting when it was given this one. An honest one has come to it by then, however slow the machine; one that
leaves it out gets there as fast as it works.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from node.mempool import Mempool, Pending

WATCHED: Final = 256
"""Oldest transactions looked at: an honest primary takes the oldest first, so the rest need no watching."""
_CROWDED_BPS: Final = 5_000
_LINES: Final = 2
"""So many times the length of the line may be committed before a transaction in it must have had its turn."""


class CensorshipWatch:
    """Follows the oldest transactions of one pool. Times are real milliseconds of a steady clock."""

    def __init__(self, mempool: Mempool, timeout_ms: int) -> None:
        self._mempool = mempool
        self._timeout_ms = timeout_ms
        self._view = 0
        self._since_ms = 0
        self._is_reported = False
        self._committed = 0
        """Transactions committed so far."""

    def view_entered(self, view: int, now_ms: int) -> None:
        """A new primary gets a whole timeout of its own, whatever its predecessors left undone."""
        self._view, self._since_ms, self._is_reported = view, now_ms, False
        for pending in self._mempool.oldest(WATCHED):
            pending.overtaken_ms = None

    def committed(self, latest_arrival: int, count: int, now_ms: int) -> None:
        """A block of `count` transactions is final, with one that came here as number `latest_arrival`."""
        self._committed += count
        for pending in self._mempool.oldest(WATCHED):
            if pending.arrival > latest_arrival:
                break
            if pending.overtaken_ms is None:
                pending.overtaken_ms = now_ms

    def stuck(self, in_flight: Collection[bytes], now_ms: int) -> list[Pending]:
        """Transactions to forward to the primary of this view now."""
        found: list[Pending] = []
        for pending in self._mempool.oldest(WATCHED):
            if 2 * (now_ms - pending.arrived_ms) < self._timeout_ms:
                break
            if pending.forwarded_view != self._view and pending.id not in in_flight:
                pending.forwarded_view, pending.forwarded_ms = self._view, now_ms
                pending.patience = self._committed + _LINES * len(self._mempool)
                found.append(pending)
        return found

    def unheard(self, now_ms: int) -> list[Pending]:
        """Transactions to tell every peer now, while this replica waits for a view that others need not be in.

        It may wait for long: the others go on in the view that it has given up, and their primary need not
        have heard what clients brought here. So it is told again after each timeout.
        """
        found: list[Pending] = []
        for pending in self._mempool.oldest(WATCHED):
            if 2 * (now_ms - pending.arrived_ms) < self._timeout_ms:
                break
            if now_ms - pending.forwarded_ms >= self._timeout_ms:
                # Not counted as forwarded to a primary: no primary is suspected for it.
                pending.forwarded_ms = now_ms
                found.append(pending)
        return found

    def suspicion(self, in_flight: Collection[bytes], chain_ms: Callable[[], int], now_ms: int) -> str | None:
        """Why the primary of this view must be suspected, at most once per view; None if there is no reason."""
        if self._is_reported or now_ms - self._since_ms < self._timeout_ms:
            return None
        if self._mempool.fullness_bps() > _CROWDED_BPS:
            return None
        for pending in self._mempool.oldest(WATCHED):
            if not self._is_overdue(pending, now_ms) or pending.id in in_flight:
                continue
            if self._mempool.share_used_bps(pending.sender) > _CROWDED_BPS:
                continue
            if self._mempool.admissible(pending, chain_ms()):
                self._is_reported = True
                waited = now_ms - pending.arrived_ms
                return f"transaction {pending.id.hex()[:16]} left out for {waited} ms while later ones were committed"
        return None

    def _is_overdue(self, pending: Pending, now_ms: int) -> bool:
        overtaken = pending.overtaken_ms is not None and now_ms - pending.overtaken_ms >= self._timeout_ms
        known = pending.forwarded_view == self._view and 2 * (now_ms - pending.forwarded_ms) >= self._timeout_ms
        return overtaken and known and self._committed >= pending.patience
