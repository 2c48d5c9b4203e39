"""The `state` database and the drafts on top of it: one overlay per block in flight.

A block is executed on an overlay over its parent's overlay, or over the committed state. `root` hashes all
its writes at once, page by page. `commit` folds the overlay into LevelDB in one atomic batch with the tip,
so the database is always as of one block. Overlays on a committed one go on, on the database; overlays
beside it lost, and using one is InvariantBroken.

Inner nodes of the state trie live in memory (some 550 bytes for every 16 pages) and are rebuilt from the
pages at every start, which proves against the recorded root that no page is lost or changed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from consensus.codec import decode, encode
from consensus.errors import DecodeError, InvariantBroken
from consensus.types import Wire
from node import merkle
from node.cache import GenerationCache
from node.claims.state import merge_scan
from node.errors import StoreError
from node.leveldb import Database, OnWrite, Row
from node.merkle import EMPTY, Inner, StateProof, TrieUpdate
from node.rows import TIP, all_pages, all_records, check_meta, page_key, page_name, record_key, record_range, table_end

WAY_OUT: Final = (
    "run `weal node repair --rebuild-state`, or delete this directory: either way the state is computed again "
    "from the blocks"
)
_ABSENT: Final = object()
_NO_RECORD: Final = b"\xff" * 9
"""Stands in the cache for a key without a record; recognised by identity, so records may equal it."""
_AUDIT_ROWS: Final = 200_000
"""Records that an audit holds at a time: enough that several of them share a page."""
_CACHE_OVERHEAD: Final = 150
"""Bytes that a cached row costs beside its key and value."""


class Tip(Wire, frozen=True):
    """What the database is the state after. Written in the same batch as the state itself."""

    height: int
    digest: bytes
    root: bytes
    records: int


class Overlay:
    """Writes of one block on top of the state below. Not for use from several threads."""

    def __init__(self, database: StateDatabase, parent: Overlay | None) -> None:
        self._database = database
        self._parent = parent
        self._children: list[Overlay] = []
        self._writes: dict[bytes, bytes | None] = {}
        self._unsorted: list[bytes] = []
        self._sorted: dict[int, list[bytes]] = {}
        self._update: TrieUpdate | None = None
        self._top = EMPTY
        self._root = b""
        self._state = "open"

    # -- ReadState, WriteState

    def get(self, key: bytes) -> bytes | None:
        layer: Overlay | None = self
        while layer is not None:
            value = layer._writes.get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]
            layer = layer._parent
        if self._state != "open":
            self._refuse()
        return self._database.record(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set a record; None removes it, as `delete` does."""
        if self._children or self._state != "open":
            self._refuse()
        if key not in self._writes:
            self._unsorted.append(key)
        self._writes[key] = value
        self._update = None

    def delete(self, key: bytes) -> None:
        self.put(key, None)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order. Do not write while iterating: collect first."""
        if self._state != "open":
            self._refuse()
        parent = self._parent
        below = self._database.scan_records(start, end) if parent is None else parent.scan(start, end)
        mine = self._keys_between(start, end)
        if not mine:
            return below
        writes = self._writes
        return merge_scan(below, ((key, writes[key]) for key in mine))

    def _keys_between(self, start: bytes, end: bytes) -> list[bytes]:
        """Own keys in the range, sorted. Kept per table (first byte), and sorted only when somebody asks."""
        if self._unsorted:
            fresh: dict[int, list[bytes]] = {}
            for key in self._unsorted:
                fresh.setdefault(key[0] if key else 0, []).append(key)
            self._unsorted = []
            for table, keys in fresh.items():
                known = self._sorted.setdefault(table, [])
                if len(keys) > 8:
                    known.extend(keys)
                    known.sort()
                else:
                    for key in keys:
                        insort(known, key)
        mine: list[bytes] = []
        for table in sorted(self._sorted):
            if (not start or table >= start[0]) and (not end or table <= end[0]):
                keys = self._sorted[table]
                mine += keys[bisect_left(keys, start) : bisect_left(keys, end)]
        return mine

    # -- root

    def root(self) -> bytes:
        """State root with all writes so far. Computed once after the last write."""
        self._apply()
        return self._root

    def _apply(self) -> TrieUpdate:
        if self._state != "open":
            self._refuse()
        if self._update is None:
            parent = self._parent
            if parent is not None:
                parent._apply()
            top = self._database.top if parent is None else parent._top
            update = TrieUpdate(self._page_below, self._inner_below)
            self._top = update.apply(self._writes.items(), top)
            self._update, self._root = update, merkle.root_of(self._top)
        return self._update

    def _page_below(self, name: str, expected: bytes) -> bytes:
        layer = self._parent
        while layer is not None:
            assert layer._update is not None
            page = layer._update.pages.get(name)
            if page is not None:
                return page
            layer = layer._parent
        return self._database.page(name, expected)

    def _inner_below(self, name: str) -> Inner | None:
        layer = self._parent
        while layer is not None:
            assert layer._update is not None
            node = layer._update.inner.get(name, _ABSENT)
            if node is not _ABSENT:
                return node  # type: ignore[return-value]
            layer = layer._parent
        return self._database.inner.get(name)

    # -- end of life

    def discard(self) -> None:
        """Throw the writes away, and every overlay on top."""
        if self._state == "open":
            siblings = self._database.overlays if self._parent is None else self._parent._children
            siblings.remove(self)
            self._end("discarded")

    def _end(self, state: str) -> None:
        for child in self._children:
            child._end(state)
        self._state, self._children, self._parent = state, [], None
        self._writes, self._unsorted, self._sorted, self._update = {}, [], {}, None

    def _refuse(self) -> None:
        what = "has another block on top and is frozen" if self._state == "open" else f"was {self._state}"
        raise InvariantBroken(f"this overlay {what}")


class StateView:
    """The state as of the last committed block, whichever that is at the time of the call."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def get(self, key: bytes) -> bytes | None:
        return self._database.record(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order, all as of the moment of the first one."""
        return self._database.scan_records(start, end)


class StateDatabase:
    """The committed state. Open with `StateDatabase.open`."""

    def __init__(self, database: Database, genesis: bytes, cache_bytes: int) -> None:
        self._db = database
        check_meta(database, genesis)
        self._records: GenerationCache[bytes, bytes] = GenerationCache(cache_bytes // 2)
        self._pages: GenerationCache[str, bytes] = GenerationCache(cache_bytes // 2)
        self._floors: dict[bytes, bytes] = {}
        """Table -> no record of it has a lower key. A queue is read from its beginning, where LevelDB holds a mark for
        each row that is gone: without this, every block steps over those of thousands of blocks before it."""
        self.overlays: list[Overlay] = []
        """Overlays directly on the committed state."""
        self.top, self.inner = EMPTY, dict[str, Inner]()
        self._tip = self._load_tip()
        self._load_pages()

    @classmethod
    def open(
        cls, path: Path, genesis_digest: bytes, *, cache_bytes: int = 128 << 20, on_write: OnWrite | None = None
    ) -> StateDatabase:
        """Open or create. `cache_bytes` bounds the records and pages kept in memory, half each.

        Raises StoreError, with the way out, unless pages and tip agree.
        """
        database = Database(
            path,
            name="state",
            way_out=WAY_OUT,
            write_buffer_bytes=32 << 20,
            cache_bytes=16 << 20,
            on_write=on_write,
        )
        try:
            return cls(database, genesis_digest, cache_bytes)
        except BaseException:
            database.close()
            raise

    def _load_tip(self) -> Tip | None:
        data = self._db.get(TIP)
        if data is None:
            return None
        try:
            return decode(Tip, data)
        except DecodeError as error:
            raise self._db.broken(f"its tip cannot be read: {error}") from error

    def _load_pages(self) -> None:
        pages = ((page_name(key), page) for key, page in self._db.scan(*all_pages()))
        try:
            self.top, self.inner = merkle.rebuild(pages)
        except ValueError as error:
            raise self._db.broken(str(error)) from error
        if self._tip is None:
            if self.top != EMPTY:
                raise self._db.broken("it has pages but no tip")
        elif self.root() != self._tip.root:
            raise self._db.broken(
                f"its pages give the state root {self.root().hex()}, recorded at height {self._tip.height} is "
                f"{self._tip.root.hex()}"
            )

    @property
    def tip(self) -> tuple[int, bytes] | None:
        """Height and header digest of the block this is the state after; None in a new database."""
        return None if self._tip is None else (self._tip.height, self._tip.digest)

    @property
    def record_count(self) -> int:
        return 0 if self._tip is None else self._tip.records

    def root(self) -> bytes:
        return merkle.root_of(self.top)

    def view(self) -> StateView:
        return StateView(self)

    # -- reading

    def record(self, key: bytes) -> bytes | None:
        """The committed record at `key`."""
        value = self._records.get(key)
        if value is None:
            value = self._db.get(record_key(key))
            self._cache_record(key, value)
            return value
        return None if value is _NO_RECORD else value

    def _cache_record(self, key: bytes, value: bytes | None) -> None:
        kept = _NO_RECORD if value is None else value
        self._records.put(key, kept, len(key) + len(kept) + _CACHE_OVERHEAD)

    def scan_records(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Committed records with start <= key < end in key order, all as of the moment of the first one."""
        floor = self._floors.get(start, b"") if len(start) == 1 and start < b"\xff" else None
        row: tuple[bytes, bytes] | None = None
        if floor is None or floor < end:
            rows = self._db.scan(*record_range(floor or start, end))
            row = next(rows, None)
        if floor is not None:
            found = end if row is None else row[0][1:]
            self._floors[start] = max(floor, min(found, table_end(start)))
        while row is not None:
            yield row[0][1:], row[1]
            row = next(rows, None)

    def page(self, name: str, expected: bytes) -> bytes:
        """A page, checked against its hash when it comes from the disk."""
        page = self._pages.get(name)
        if page is None:
            page = self._page_from_disk(name, expected)
            self._pages.put(name, page, len(page) + _CACHE_OVERHEAD)
        return page

    def _page_from_disk(self, name: str, expected: bytes) -> bytes:
        page = self._db.get(page_key(name)) or b""
        if merkle.page_hash(page) != expected:
            raise self._db.broken(f"page {name or 'at the top'} is missing or changed")
        return page

    def row(self, key: bytes) -> bytes | None:
        """One of the rows given to `commit` as `extra`."""
        return self._db.get(key)

    def broken(self, what: str) -> StoreError:
        """The StoreError for an inconsistency somebody else found in this database."""
        return self._db.broken(what)

    def prove(self, key: bytes) -> StateProof:
        """Presence or absence of `key` under the committed root. Raises StoreError if record and page differ."""
        proof = merkle.prove(key, self.top, self.page, self.inner.get)
        if not merkle.verify_state_proof(self.root(), key, self.record(key), proof):
            raise self._db.broken(f"record {key.hex()} is not the one its page names")
        return proof

    def audit(self) -> None:
        """Read every record and look for it in its page. Raises StoreError. Some 10 us per record, in bounded memory.

        Each record in its own place, and as many records as places: so there is nothing else in either.
        """
        rows = ((key[1:], value) for key, value in self._db.scan(*all_records()))
        count = 0
        while some := list(islice(rows, _AUDIT_ROWS)):
            count += len(some)
            key = merkle.missing(some, self.top, self._page_from_disk, self.inner.get)
            if key is not None:
                raise self._db.broken(f"record {key.hex()} is not the one its page names")
        places = merkle.entries(self.top, self._page_from_disk, self.inner.get)
        if count != places:
            raise self._db.broken(f"it has {count} records, its pages name {places}")

    # -- writing

    def overlay(self, parent: Overlay | None = None) -> Overlay:
        """A new draft on `parent`, or on the committed state. The parent takes no more writes."""
        siblings = self.overlays
        if parent is not None:
            if parent._database is not self or parent._state != "open":
                raise InvariantBroken(f"the overlay below was {parent._state}")
            siblings = parent._children
        overlay = Overlay(self, parent)
        siblings.append(overlay)
        return overlay

    def commit(
        self, overlay: Overlay, *, height: int, digest: bytes, extra: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """Fold an overlay on the committed state into it: records, pages, tip and `extra` rows, all or none.

        Not synced: after a power cut the database may be some blocks behind, never between two.
        """
        if overlay not in self.overlays:
            raise InvariantBroken("only an overlay directly on the committed state can be committed")
        expected = 0 if self._tip is None else self._tip.height + 1
        if height != expected:
            raise InvariantBroken(f"the state is to go to height {height}, the next one is {expected}")
        update = overlay._apply()
        tip = Tip(height=height, digest=digest, root=overlay._root, records=self.record_count + update.added)
        rows: list[Row] = [(record_key(key), value) for key, value in overlay._writes.items()]
        rows += [(page_key(name), page or None) for name, page in update.pages.items()]
        rows += extra
        rows.append((TIP, encode(tip)))
        self._db.write(rows, sync=False)
        self._fold(overlay, update, tip)

    def _fold(self, overlay: Overlay, update: TrieUpdate, tip: Tip) -> None:
        """The same in memory, and overlays that were on this one move down; those beside it end."""
        floors = self._floors
        for key, value in overlay._writes.items():
            self._cache_record(key, value)
            if key[:1] in floors and value is not None and key < floors[key[:1]]:
                floors[key[:1]] = key
        for name, page in update.pages.items():
            if page:
                self._pages.put(name, page, len(page) + _CACHE_OVERHEAD)
            else:
                self._pages.discard(name)
        for name, node in update.inner.items():
            if node is None:
                self.inner.pop(name, None)
            else:
                self.inner[name] = node
        self.top, self._tip = overlay._top, tip
        children, overlay._children = overlay._children, []
        self.overlays.remove(overlay)
        for sibling in self.overlays:
            sibling._end("discarded")
        self.overlays = children
        for child in children:
            child._parent = None
        overlay._end("committed")

    def size_bytes(self) -> int:
        return self._db.size_bytes()

    def close(self) -> None:
        self._db.close()
