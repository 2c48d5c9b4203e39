"""The `state` database: the state after the last committed block.

A block is executed on an overlay (node/overlay.py). `commit` folds the overlay in: overlays on it go on, on the
database; overlays beside it lost, and using one is InvariantBroken. What blocks have changed gathers in memory and
goes to LevelDB in one atomic batch with the tip, so the database is always as of one block, some blocks behind.

Inner nodes of the state trie live in memory (some 740 bytes for every 16 pages) and are rebuilt from the
pages at every start, which proves against the recorded root that no page is lost or changed. They come by leaps:
from 0.8 to 1.6 million members all pages of one level split, and 8,000 nodes become 70,000. Cached pages make room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Final

from consensus.codec import decode, encode
from consensus.errors import DecodeError, InvariantBroken
from consensus.types import Wire
from node import merkle
from node.cache import GenerationCache
from node.claims import wire
from node.claims.state import R, merge_scan
from node.entries import pages_of, rebuild
from node.errors import StoreError
from node.leveldb import Database, OnWrite, Tables
from node.merkle import EMPTY, Inner, StateProof, TrieUpdate
from node.overlay import Overlay
from node.rows import TIP, all_entries, all_records, check_meta, entries_below, record_key, record_range, table_end
from node.unflushed import Unflushed

WAY_OUT: Final = (
    "run `weal node repair --rebuild-state`, or delete this directory: either way the state is computed again "
    "from the blocks"
)
_NO_RECORD: Final = b"\xff" * 9
"""Stands in the cache for a key without a record; recognised by identity, so records may equal it."""
_AUDIT_ROWS: Final = 200_000
"""Records that an audit holds at a time: enough that several of them share a page."""
_CACHE_OVERHEAD: Final = 180
"""Bytes that a cached row costs beside its value: most keys have some 30."""
_INNER_BYTES: Final = 740
"""Of an inner node, all in all: 513 of hashes, its name, its place in the table."""
TABLES: Final = Tables(block_bytes=8 << 10, filter_bits=0, open_files=8_000)
"""At 10^8 members there are thousands of tables, and the record of a member nobody asked about lies in any of them.
Each is opened once, and has less to check then. A filter is of no use to entries, which are read by ranges, and of
little to records, which are looked for only if a page names them."""
_GATHERED_BYTES: Final = 16 << 20
"""What LevelDB keeps in memory before it writes a table, twice at worst. With more, it merges a little less."""
FLUSH_BYTES: Final = 4 << 20
_FLUSH_BLOCKS: Final = 512
"""What a crash costs: so much is computed again at the next start, a second or two."""
_RECORDS_DECODED: Final = 16_384
"""Records kept decoded: those that every block reads, and those written lately."""


def _nothing() -> None:
    return None


def _weight(values: Collection[bytes]) -> int:
    return sum(map(len, values)) + _CACHE_OVERHEAD * len(values)


class Tip(Wire, frozen=True):
    """What the database is the state after. Written in the same batch as the state itself."""

    height: int
    digest: bytes
    root: bytes
    records: int


class StateView:
    """The state as of the last committed block, whichever that is at the time of the call."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def get(self, key: bytes) -> bytes | None:
        return self._database.record(key)

    def load(self, key: bytes, kind: type[R]) -> R | None:
        return self._database.load(key, kind)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order, all as of the moment of the first one."""
        return self._database.scan_records(start, end)


class StateDatabase:
    """The committed state. Open with `StateDatabase.open`."""

    def __init__(self, database: Database, genesis: bytes, cache_bytes: int, flush_bytes: int) -> None:
        self._db = database
        check_meta(database, genesis)
        self._unflushed = Unflushed()
        self._flush_bytes = flush_bytes
        self.before_flush: Callable[[], None] = _nothing
        """Told before LevelDB gets what blocks have changed: those blocks must be on the disk first."""
        self._records: GenerationCache[bytes, bytes] = GenerationCache(cache_bytes // 16, _weight)
        self._pages_bytes = cache_bytes * 15 // 16
        """For pages and inner nodes."""
        self._pages: GenerationCache[str, bytes] = GenerationCache(self._pages_bytes, _weight)
        self._decoded: GenerationCache[bytes, wire.Wire] = GenerationCache(_RECORDS_DECODED)
        self._floors: dict[bytes, bytes] = {}
        """Table -> no record of it has a lower key. A queue is read from its beginning, where LevelDB holds a mark for
        each row that is gone: without this, every block steps over those of thousands of blocks before it."""
        self._firsts: dict[bytes, bytes | None] = {}
        """What `first_key` has answered, of tables that no block has written since."""
        self.overlays: list[Overlay] = []
        """Overlays directly on the committed state."""
        self.top, self.inner = EMPTY, dict[str, Inner]()
        self._tip = self._load_tip()
        self._load_pages()
        self._make_room()

    @classmethod
    def open(
        cls,
        path: Path,
        genesis_digest: bytes,
        *,
        cache_bytes: int = 128 << 20,
        flush_bytes: int = FLUSH_BYTES,
        on_write: OnWrite | None = None,
    ) -> StateDatabase:
        """Open or create. `cache_bytes` bounds the records and pages kept in memory, 1 to 15, and inner nodes while
        they take no more than half of the pages' part; so much may be changed before it is written as `flush_bytes`
        says, 0: every block is written.

        Raises StoreError, with the way out, unless pages and tip agree.
        """
        database = Database(
            path,
            name="state",
            way_out=WAY_OUT,
            write_buffer_bytes=_GATHERED_BYTES,
            cache_bytes=16 << 20,
            tables=TABLES,
            on_write=on_write,
        )
        try:
            return cls(database, genesis_digest, cache_bytes, flush_bytes)
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
        entries = ((key[1:], record) for key, record in self._db.scan(*all_entries()))
        try:
            self.top, self.inner = rebuild(pages_of(entries))
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
            changed = self._unflushed.records
            if key in changed:
                value = changed[key]
            else:
                value = self._record_from_disk(key)
            self._records.put(key, _NO_RECORD if value is None else value)
            return value
        return None if value is _NO_RECORD else value

    def _record_from_disk(self, key: bytes) -> bytes | None:
        """A record, checked against its page; whoever reads one will mostly write it, and then needs the page.

        Only if its page names it: what LevelDB does not have it looks for on every level, and takes a few hundred such
        looks as a reason to merge a table with all below it.
        """
        expected = merkle.record_hash(key, self.top, self.page, self.inner.get)
        if expected is None:
            return None
        value = self._db.get(record_key(key), checked=True)
        if value is None or sha256(value).digest() != expected:
            raise self._db.broken(f"record {key.hex()} is not the one its page names")
        return value

    def load(self, key: bytes, kind: type[R]) -> R | None:
        """The committed record at `key`, decoded."""
        record = self._decoded.get(key)
        if record is None:
            value = self.record(key)
            if value is None:
                return None
            record = wire.decode_trusted(kind, value)
            self._decoded.put(key, record)
        return record  # type: ignore[return-value]

    def scan_records(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Committed records with start <= key < end in key order, all as of the moment of the first one."""
        floor = self._floors.get(start, b"") if len(start) == 1 and start < b"\xff" else None
        row: tuple[bytes, bytes] | None = None
        if floor is None or floor < end:
            rows = self._scan(floor or start, end)
            row = next(rows, None)
        if floor is not None:
            found = end if row is None else row[0]
            # Not below the table either, were a range asked for that ends before it begins.
            self._floors[start] = max(floor, start, min(found, table_end(start)))
        while row is not None:
            yield row
            row = next(rows, None)

    def first_key(self, table: bytes) -> bytes | None:
        """The lowest key of a committed record whose first byte is `table`; remembered until a block writes to
        it, because every block asks for the first deadline."""
        if table not in self._firsts:
            row = next(self.scan_records(table, table_end(table)), None)
            self._firsts[table] = None if row is None else row[0]
        return self._firsts[table]

    def _scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        changed = self._unflushed.between(start, end)
        rows = ((key[1:], value) for key, value in self._db.scan(*record_range(start, end)))
        return merge_scan(rows, iter(changed)) if changed else rows

    def page(self, name: str, expected: bytes) -> bytes:
        """A page, checked against its hash when it comes from the disk."""
        page = self._pages.get(name)
        if page is None:
            page = self._unflushed.pages.get(name)
            if page is None:
                page = self._page_from_disk(name, expected)
            self._pages.put(name, page)
        return page

    def _page_from_disk(self, name: str, expected: bytes) -> bytes:
        page = b"".join([key[1:] + record for key, record in self._db.scan(*entries_below(name), checked=True)])
        if merkle.page_hash(page) != expected:
            raise self._db.broken(f"page {name or 'at the top'} is missing or changed")
        return page

    def as_written(self, key: bytes) -> bytes | None:
        """A record whatever its page says of it, for an audit, which tells that apart. Call `flush` first."""
        return self._db.get(record_key(key))

    def row(self, key: bytes) -> bytes | None:
        """One of the rows given to `commit` as `extra`."""
        return self._unflushed.rows.get(key) or self._db.get(key)

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
        self.flush()
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
        """Fold an overlay on the committed state into it: records, pages, tip and `extra` rows, all or none."""
        if overlay not in self.overlays:
            raise InvariantBroken("only an overlay directly on the committed state can be committed")
        expected = 0 if self._tip is None else self._tip.height + 1
        if height != expected:
            raise InvariantBroken(f"the state is to go to height {height}, the next one is {expected}")
        update = overlay._apply()
        tip = Tip(height=height, digest=digest, root=overlay._root, records=self.record_count + update.added)
        self._unflushed.add(overlay._writes, update, extra)
        self._fold(overlay, update, tip)
        if self._unflushed.bytes >= self._flush_bytes or self._unflushed.blocks >= _FLUSH_BLOCKS:
            self.flush()

    def flush(self) -> None:
        """Write to LevelDB what blocks have changed, all or none, with the tip.

        Synced, which is rare enough: else a power cut could leave a torn batch behind others that are whole.
        """
        changed = self._unflushed
        if changed.blocks and self._tip is not None:
            self.before_flush()
            self._db.write(chain(changed.batch(), [(TIP, encode(self._tip))]), sync=True)
            self._unflushed = Unflushed()

    def _fold(self, overlay: Overlay, update: TrieUpdate, tip: Tip) -> None:
        """The same in memory, and overlays that were on this one move down; those beside it end."""
        writes, floors = overlay._writes, self._floors
        self._records.put_many({key: _NO_RECORD if value is None else value for key, value in writes.items()})
        for key in writes.keys() - overlay._objects.keys():
            self._decoded.discard(key)
        self._decoded.put_many(overlay._objects)
        for key in [key for key in writes if key[:1] in floors and writes[key] is not None]:
            floors[key[:1]] = min(key, floors[key[:1]])
        for table in {key[:1] for key in writes} & self._firsts.keys():
            del self._firsts[table]
        pages = {name: page for name, page in update.pages.items() if page}
        self._pages.put_many(pages)
        for name in update.pages.keys() - pages.keys():
            self._pages.discard(name)
        for name, node in update.inner.items():
            if node is None:
                self.inner.pop(name, None)
            else:
                self.inner[name] = node
        self._make_room()
        self.top, self._tip = overlay._top, tip
        children, overlay._children = overlay._children, []
        self.overlays.remove(overlay)
        for sibling in self.overlays:
            sibling._end("discarded")
        self.overlays = children
        for child in children:
            child._parent = None
        overlay._end("committed")

    def _make_room(self) -> None:
        """Inner nodes have to be there; cached pages give way to them, and keep half of the room in any case."""
        left = self._pages_bytes - _INNER_BYTES * len(self.inner)
        self._pages.resize(max(left, self._pages_bytes // 2))

    def size_bytes(self) -> int:
        return self._db.size_bytes()

    def close(self) -> None:
        """Raises StoreError if what is not written yet cannot be."""
        try:
            self.flush()
        finally:
            self._db.close()
