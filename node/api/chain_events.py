"""The event stream as a function of the chain: what happened in each block, numbered.

Block h gives the events h.0 (the block itself), then for each receipt, the clock's first, what it caused,
each transaction's own event before its effects. Nothing is stored for it: receipts are in the state
database, so a stream can begin anywhere in the chain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from node.api.backend import ChainEvent, Record, StoredBlock

CACHED_BLOCKS: Final = 64
"""Blocks whose events stay rendered, for all streams together; live ones all read the newest."""


class ChainEvents:
    """Reads events behind a cursor. `stored` gives a committed block, or None above the last one."""

    def __init__(self, stored: Callable[[int], StoredBlock | None]) -> None:
        self._stored = stored
        self._cache: OrderedDict[int, tuple[ChainEvent, ...]] = OrderedDict()

    def of_block(self, height: int) -> tuple[ChainEvent, ...]:
        """All events of one block; empty above the last block."""
        held = self._cache.get(height)
        if held is not None:
            self._cache.move_to_end(height)
            return held
        stored = self._stored(height)
        if stored is None:
            return ()
        events = _events(stored)
        self._cache[height] = events
        if len(self._cache) > CACHED_BLOCKS:
            self._cache.popitem(last=False)
        return events

    def latest(self, tip: int) -> tuple[int, int]:
        return tip, max(0, len(self.of_block(tip)) - 1)

    def read(self, after: tuple[int, int], limit: int, tip: int) -> Sequence[ChainEvent]:
        """At most `limit` events behind `after`, in order, from as many blocks as that takes."""
        found: list[ChainEvent] = []
        height, index = after
        while height <= tip and len(found) < limit:
            found += self.of_block(height)[index + 1 : index + 1 + limit - len(found)]
            height, index = height + 1, -1
        return found


def _events(stored: StoredBlock) -> tuple[ChainEvent, ...]:
    header = stored.block.header
    block: Record = {
        "digest": header.digest.hex(),
        "transactions": len(stored.transactions),
        "state_root": header.state_root.hex(),
        "view": 0 if stored.certificate is None else stored.certificate.view,
    }
    parts: list[tuple[str, Record]] = [("block", block)]
    for position, receipt in enumerate(stored.receipts):
        named: Record = {}
        if position:
            named = {"transaction": receipt["transaction"]}
            outcome = {key: receipt[key] for key in ("code", "result", "detail")}
            parts.append(("transaction", {**named, "index": position - 1, **outcome}))
        for event in receipt["events"]:
            parts.append((event["what"], {**{key: event[key] for key in event if key != "what"}, **named}))
    return tuple(
        ChainEvent(height=header.height, index=index, time_ms=header.time_ms, type=kind, data=data)
        for index, (kind, data) in enumerate(parts)
    )
