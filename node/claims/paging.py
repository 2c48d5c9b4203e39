"""Lists of records, page by page.

Every list is bounded twice: by `limit` rows in the answer, and by SCAN_MAX rows looked at. So a page may
hold fewer rows than asked for, even none, and still name a `next` cursor; the end is reached when it is
null. Pages are read from one state; a cursor stays good as the chain grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.claims import keys
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.state import ReadState
from node.claims.words import Json

LIMIT_MAX: Final = 1_000
SCAN_MAX: Final = 5_000


class BadQuery(ValueError):
    """A filter, cursor or limit is wrong. The message says which values are right."""


def queued(
    state: ReadState,
    kinds: frozenset[DeadlineKind],
    view: Callable[[int], Json | None],
    cursor: str | None,
    limit: int,
) -> Json:
    """Records that wait for a deadline of these kinds, most urgent first, as `view` shows them; None leaves one out."""
    start, end = keys.table(keys.DEADLINE)
    items: list[Json] = []
    limit = limit_of(limit)
    for seen, (key, _) in enumerate(state.scan(key_from(cursor, start), end)):
        if seen == SCAN_MAX or len(items) == limit:
            return {"items": items, "next": key.hex()}
        _, kind, number = keys.parse_deadline(key)
        item = view(number) if kind in kinds else None
        if item is not None:
            items.append(item)
    return {"items": items, "next": None}


def page(
    state: ReadState,
    key_of: Callable[[int], bytes],
    start: int,
    limit: int,
    view: Callable[[bytes, int], Json | None],
) -> Json:
    """Records of a numbered table from `start` on, as `view` shows them; None leaves one out."""
    table = key_of(0)[0]
    items: list[Json] = []
    limit = limit_of(limit)
    for seen, (key, raw) in enumerate(state.scan(key_of(start), keys.table(table)[1])):
        if seen == SCAN_MAX or len(items) == limit:
            return {"items": items, "next": str(keys.number_of(key))}
        item = view(raw, keys.number_of(key))
        if item is not None:
            items.append(item)
    return {"items": items, "next": None}


def limit_of(limit: int) -> int:
    if not 1 <= limit <= LIMIT_MAX:
        raise BadQuery(f"limit must be 1 to {LIMIT_MAX}")
    return limit


def number_from(cursor: str | None, default: int) -> int:
    if cursor is None:
        return default
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise BadQuery("cursor must be the `next` of an earlier page")
    return int(cursor)


def key_from(cursor: str | None, start: bytes) -> bytes:
    if cursor is None:
        return start
    try:
        key = bytes.fromhex(cursor)
    except ValueError:
        key = b""
    if len(key) > 64 or not key.startswith(start):
        raise BadQuery("cursor must be the `next` of an earlier page")
    return key
