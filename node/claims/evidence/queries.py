"""Reading evidence items: lists bounded as all others are. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from node.claims import keys
from node.claims.evidence import views
from node.claims.evidence.records import GrantRecord, ItemRecord, OpeningRecord, load_item, the_item
from node.claims.evidence.views import Json
from node.claims.paging import LIMIT_MAX, SCAN_MAX, BadQuery
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.claims.wire import decode_trusted

_END = 2**63


class EvidenceQueries:
    """Questions about evidence items. Each method takes the state to read from first."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def item(self, state: ReadState, number: int) -> Json | None:
        """With its grants, the first 1,000 of them."""
        item = load_item(state, number) if 0 < number < _END else None
        if item is None:
            return None
        rows = islice(state.scan(*keys.grants_of(number)), LIMIT_MAX)
        grants = [
            views.grant_view(self.registry, state, key[-32:], decode_trusted(GrantRecord, raw)) for key, raw in rows
        ]
        return {**views.item_view(self.registry, number, item), "grants": grants}

    def items(self, state: ReadState, *, claim: int | None = None, cursor: str | None = None, limit: int) -> Json:
        """Items in the order of their numbers, of one claim if given."""
        start = _cursor(cursor)
        if claim is None:
            rows = state.scan(keys.item(start), keys.table(keys.ITEM)[1])

            def view(key: bytes, raw: bytes) -> Json:
                return views.item_view(self.registry, keys.number_of(key), decode_trusted(ItemRecord, raw))

        else:
            if not 0 < claim < _END:
                raise BadQuery("there is no such claim")
            rows = state.scan(keys.item_of_claim(claim, start), keys.items_of_claim(claim)[1])

            def view(key: bytes, raw: bytes) -> Json:
                number = keys.last_number_of(key)
                return views.item_view(self.registry, number, the_item(state, number))

        return _page(rows, lambda key: str(keys.last_number_of(key)), view, limit)

    def openings(self, state: ReadState, number: int, *, cursor: str | None = None, limit: int) -> Json | None:
        """Anchored openings of an item, in the order of their receipts' digests; None if there is no such item."""
        if not 0 < number < _END or load_item(state, number) is None:
            return None
        start, end = keys.openings_of(number)
        if cursor is not None:
            try:
                start += bytes.fromhex(cursor)
            except ValueError:
                raise BadQuery("cursor must be the `next` of an earlier page") from None
            if len(start) != 41:
                raise BadQuery("cursor must be the `next` of an earlier page")

        def view(key: bytes, raw: bytes) -> Json:
            return views.opening_view(self.registry, state, key[-32:], decode_trusted(OpeningRecord, raw))

        return _page(state.scan(start, end), lambda key: key[-32:].hex(), view, limit)


def _page(
    rows: Iterator[tuple[bytes, bytes]],
    cursor_of: Callable[[bytes], str],
    view: Callable[[bytes, bytes], Json],
    limit: int,
) -> Json:
    if not 1 <= limit <= LIMIT_MAX:
        raise BadQuery(f"limit must be 1 to {LIMIT_MAX}")
    items: list[Json] = []
    for key, raw in islice(rows, SCAN_MAX):
        if len(items) == limit:
            return {"items": items, "next": cursor_of(key)}
        items.append(view(key, raw))
    return {"items": items, "next": None}


def _cursor(cursor: str | None) -> int:
    if cursor is None:
        return 1
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise BadQuery("cursor must be the `next` of an earlier page")
    return int(cursor)
