"""What committed blocks have changed and LevelDB does not have yet.

A record or page that many blocks change is written once for all of them, and a block costs LevelDB no batch of its
own. What is here is lost in a crash and computed again from the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from node.leveldb import Row
from node.merkle import TrieUpdate
from node.rows import entry_key, record_key
from node.sorted_keys import SortedKeys

_ROW_BYTES: Final = 100
"""Memory of a row beside its key and value."""
_ENTRY_BYTES: Final = 230
"""Of a record's entry."""
_PAGE_BYTES: Final = 800
"""Of a page, all in all; at most 2 KiB, and that only while each page of the trie is nearly full."""


class Unflushed:
    """Records, entries of the trie, pages and other rows by their keys; None, or an empty page, means gone.

    Pages are here to be read: LevelDB gets their entries.
    """

    def __init__(self) -> None:
        self.records: dict[bytes, bytes | None] = {}
        self.entries: dict[bytes, bytes | None] = {}
        self.pages: dict[str, bytes] = {}
        self.rows: dict[bytes, bytes] = {}
        self.blocks = 0
        self.bytes = 0
        self._keys = SortedKeys()

    def add(
        self, records: Mapping[bytes, bytes | None], update: TrieUpdate, rows: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """One block's changes, all or none."""
        rows = list(rows)
        known = self.records
        fresh = [key for key in records if key not in known]
        self._keys.add_many(fresh)
        known.update(records)
        # A record that is written again counts again: the bound is on the safe side.
        self.bytes += len(fresh) * (_ROW_BYTES + _ENTRY_BYTES) + sum(map(len, filter(None, records.values())))
        pages_before = len(self.pages)
        self.pages.update(update.pages)
        self.entries.update(update.entries)
        self.bytes += (len(self.pages) - pages_before) * _PAGE_BYTES
        for key, value in rows:
            self.rows[key] = value
            self.bytes += _ROW_BYTES + len(value)
        self.blocks += 1

    def between(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes | None]]:
        """Changed records with start <= key < end as of now, in order."""
        records = self.records
        return [(key, records[key]) for key in self._keys.between(start, end)]

    def batch(self) -> Iterator[Row]:
        """Everything as rows for LevelDB, each table in order: places near one another are found faster."""
        for key in sorted(self.records):
            yield record_key(key), self.records[key]
        for position in sorted(self.entries):
            yield entry_key(position), self.entries[position]
        for key in sorted(self.rows):
            yield key, self.rows[key]
