"""A state database with millions of members in it, without millions of members' blocks.

Every enrolling transaction goes through the application itself, so the records are those that blocks would have
made. What is left out is what a block costs beside them: its signatures, its tree update, its synced write. The
records that grow with the members are spooled to sorted files, then everything is written once in the order of its
keys, so that LevelDB has nothing to merge afterwards: the records, then the tree's entries in the order of their
positions. A test fills both ways and compares the roots.

The chain begins at this state: its height is 0, and the header of height 0 names its root. Rows that are no part of
the state (receipts, the index of transactions) are left out too: two for each 1,000 members.
"""

from __future__ import annotations

import heapq
import shutil
import struct
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from benchmarks.scale.members import ENROLMENT_MS, GENESIS_MS, enrolments, scale_genesis
from consensus.codec import encode
from node import merkle
from node.claims import keys
from node.claims.application import Application, BlockContext
from node.claims.state import EncodedState
from node.entries import pages_of, rebuild
from node.genesis import genesis_header, member_set
from node.leveldb import Database, Row
from node.merkle import ENTRY_BYTES
from node.rows import TIP, check_meta, entry_key, record_key
from node.state import TABLES, Tip

COLD: Final = frozenset({keys.MEMBER, keys.PERSON})
"""Tables with a record for each member. Enrolling reads none of them but to learn that a person is new."""
HOT_MAX: Final = 50_000
"""Records of the other tables: if one grows with the members, it belongs to COLD and the fill says so."""
_RUN_ROWS: Final = 250_000
_CHUNK_ROWS: Final = 2_000
_BATCH_ROWS: Final = 1_000
_PARTITION_BYTES: Final = 1 << 18
_GATHERED_BYTES: Final = 5 << 20
"""Of these LevelDB makes one table of nearly 4 MiB, as merging leaves them in a database that has grown. What is
gathered here is never merged, and from larger tables a cold record costs twice as much."""
_LENGTH: Final = struct.Struct(">I")


class FillError(Exception):
    """The bulk path would not have made what enrolling makes."""


class Run:
    """One sorted file of rows."""

    def __init__(self, path: Path, rows: list[tuple[bytes, bytes]]) -> None:
        self.path, self.first, self.last = path, rows[0][0], rows[-1][0]
        with path.open("wb") as file:
            for start in range(0, len(rows), _CHUNK_ROWS):
                data = msgspec.msgpack.encode(rows[start : start + _CHUNK_ROWS])
                file.write(_LENGTH.pack(len(data)) + data)

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """The rows, once: the file is removed at their end."""
        decoder = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])
        with self.path.open("rb") as file:
            while head := file.read(_LENGTH.size):
                yield from decoder.decode(file.read(_LENGTH.unpack(head)[0]))
        self.path.unlink()


class Spool:
    """Records that grow with the members, and the tree's entries of all records, on their way to the database."""

    def __init__(self, folder: Path, partition_digits: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self.digits = folder, partition_digits
        self._rows: dict[int, list[tuple[bytes, bytes]]] = {}
        self._runs: dict[int, list[Run]] = {}
        self._entries = [bytearray() for _ in range(16**partition_digits)]
        self.records = 0

    def add_record(self, key: bytes, value: bytes) -> None:
        rows = self._rows.setdefault(key[0], [])
        rows.append((key, value))
        if len(rows) >= _RUN_ROWS:
            self._end_run(key[0])

    def _end_run(self, table: int) -> None:
        rows = self._rows.pop(table, [])
        if rows:
            rows.sort(key=itemgetter(0))
            runs = self._runs.setdefault(table, [])
            runs.append(Run(self._folder / f"run-{table:02x}-{len(runs)}", rows))

    def add_entry(self, key: bytes, value: bytes) -> None:
        """The record's entry in the tree: its position, and its hash."""
        position = sha256(key).digest()
        number = position[0] if self.digits == 2 else 0
        entries = self._entries[number]
        entries += position
        entries += sha256(value).digest()
        self.records += 1
        if len(entries) >= _PARTITION_BYTES and self.digits:
            with (self._folder / f"part-{number:02x}").open("ab") as file:
                file.write(entries)
            entries.clear()

    def tables(self) -> list[int]:
        return sorted({*self._rows, *self._runs})

    def rows_of(self, table: int) -> Iterator[tuple[bytes, bytes]]:
        """All rows of a table in the order of their keys. Raises FillError for a key that was written twice."""
        self._end_run(table)
        runs = sorted(self._runs.pop(table), key=lambda run: run.first)
        apart = all(one.last < other.first for one, other in pairwise(runs))
        rows = chain.from_iterable(run.read() for run in runs) if apart else heapq.merge(*(run.read() for run in runs))
        previous = b""
        for row in rows:
            if row[0] <= previous:
                raise FillError(f"record {row[0].hex()} was written in two blocks: table {table:#x} is not for bulk")
            previous = row[0]
            yield row

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """The entries of the tree in the order of their positions."""
        for number, rest in enumerate(self._entries):
            path = self._folder / f"part-{number:02x}"
            data = (path.read_bytes() if path.exists() else b"") + rest
            path.unlink(missing_ok=True)
            rest.clear()
            yield from sorted((data[at : at + 32], data[at + 32 : at + 64]) for at in range(0, len(data), ENTRY_BYTES))


class FillState(EncodedState):
    """The state as the application sees it while it enrols: hot records in memory, cold ones gone once written."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._hot: dict[int, dict[bytes, bytes]] = {}
        self._cold: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._cold.get(key) if key[0] in COLD else self._hot.get(key[0], {}).get(key)

    def put(self, key: bytes, value: bytes) -> None:
        if key[0] in COLD:
            self._cold[key] = value
        else:
            self._hot.setdefault(key[0], {})[key] = value

    def delete(self, key: bytes) -> None:
        if key[0] in COLD:
            raise FillError(f"record {key.hex()} of a table that only grows here is deleted")
        self._hot.get(key[0], {}).pop(key, None)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for table in range(start[0], end[0] + 1):
            if table in COLD and start < bytes([table + 1]) and bytes([table]) < end:
                raise FillError(f"enrolling scans table {table:#x}, which grows with the members")
            rows = self._hot.get(table, {})
            for key in sorted(key for key in rows if start <= key < end):
                yield key, rows[key]

    def end_block(self) -> None:
        for key, value in self._cold.items():
            self._spool.add_record(key, value)
            self._spool.add_entry(key, value)
        self._cold.clear()
        for table, rows in self._hot.items():
            if len(rows) > HOT_MAX:
                raise FillError(f"table {table:#x} has {len(rows)} records: it grows with the members, add it to COLD")

    def hot_records(self) -> list[tuple[bytes, bytes]]:
        return sorted(row for rows in self._hot.values() for row in rows.items())


def enrol_all(count: int, state: FillState) -> None:
    """Blocks of one transaction each, through the application: deadlines that fall due meanwhile fire too."""
    application = Application(scale_genesis())
    application.initialise(state)
    for height, (time_ms, transaction) in enumerate(enrolments(count, signed=False), start=1):
        result = application.execute(state, BlockContext(height=height, time_ms=time_ms), [transaction])
        if result.receipts[0].code:
            raise FillError(f"an enrolment was refused: {result.receipts[0]}")
        state.end_block()


def fill(folder: Path, count: int, partition_digits: int | None = None) -> dict[str, float]:
    """Write `folder`/state with `count` members, and `folder`/header, the header it is the state of.

    The tree's entries are sorted in 16^`partition_digits` parts, by default as the size needs it. Answers the seconds
    of each part of the work. Needs about as much disk again for the spool, which is gone at the end.
    """
    began = time.monotonic()
    if partition_digits is None:
        partition_digits = 2 if count >= 50_000 else 0
    spool = Spool(folder / "spool", partition_digits)
    state = FillState(spool)
    enrol_all(count, state)
    enrolled = time.monotonic()
    genesis = scale_genesis()
    database = _open(folder / "state")
    try:
        check_meta(database, genesis.digest)
        hot = state.hot_records()
        for key, value in hot:
            spool.add_entry(key, value)
        tables = spool.tables()
        rows = heapq.merge(hot, chain.from_iterable(spool.rows_of(table) for table in tables))
        _write(database, ((record_key(key), value) for key, value in rows))
        written = time.monotonic()
        top, _ = rebuild(pages_of(_written(database, spool.entries())))
        header = replace(
            genesis_header(genesis, member_set(genesis), merkle.root_of(top)), time_ms=GENESIS_MS + ENROLMENT_MS
        )
        tip = Tip(height=0, digest=header.digest, root=header.state_root, records=spool.records)
        database.write([(TIP, encode(tip))], sync=True)
    finally:
        database.close()
    (folder / "header").write_bytes(encode(header))
    shutil.rmtree(folder / "spool")
    ended = time.monotonic()
    return {"enrol_s": enrolled - began, "records_s": written - enrolled, "tree_s": ended - written}


def _open(path: Path) -> Database:
    return Database(
        path,
        name="state",
        way_out="fill it again",
        write_buffer_bytes=_GATHERED_BYTES,
        cache_bytes=8 << 20,
        tables=TABLES,
    )


def _write(database: Database, rows: Iterable[tuple[bytes, bytes]]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= _BATCH_ROWS:
            database.write(batch, sync=False)
            batch = []
    database.write(batch, sync=False)


def _written(database: Database, entries: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Write the tree's entries, and hand them on to whoever cuts pages of them."""
    batch: list[Row] = []
    for position, record in entries:
        batch.append((entry_key(position), record))
        yield position, record
        if len(batch) >= _BATCH_ROWS:
            database.write(batch, sync=False)
            batch = []
    database.write(batch, sync=False)
