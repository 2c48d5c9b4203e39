"""LevelDB behind one door: opening, atomic batches, strict reads, errors that say the way out.

Nothing else imports plyvel. Reads verify checksums, unless their caller has a hash, and LevelDB runs with paranoid
checks: a database that holds nonsense stops the node instead of giving wrong answers.

Test hook: `on_write` is called before and after every batch. Without one, the environment variable
WEAL_CRASH_AT_WRITE kills the process as `kill -9` would: `before:3` just before the third batch that
reaches any database, `after:3` just after it, and a plain `3` is the third of these points
(before 1, after 1, before 2, ...).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.errors import StoreError

CRASH_VARIABLE: Final = "WEAL_CRASH_AT_WRITE"

_INSTALL_HINT: Final = (
    "the LevelDB binding 'plyvel' cannot be loaded ({error}). Python 3.11 and 3.12 have ready-made wheels; "
    "on newer ones it is compiled. On Debian or Ubuntu run: apt install g++ libleveldb-dev && pip install plyvel"
)


class WritePoint(NamedTuple):
    """Where a write stands: the database ("blocks" or "state"), before or after the batch."""

    database: str
    after: bool


OnWrite = Callable[[WritePoint], None]
Row = tuple[bytes, bytes | None]
"""Key and value; None deletes."""


class Tables(NamedTuple):
    """How a database's tables are made and kept. All can be changed at any time: tables there are stay as they are."""

    block_bytes: int = 4 << 10
    """Rows that are read, and checked, together. A table has an index of its blocks."""
    filter_bits: int = 10
    """For each row, to tell without reading a block that a key is not there; 0: no filter."""
    open_files: int = 1_000
    """Tables kept open. Opening one means to check its index and filter. LevelDB maps the first 1,000 and reads of the
    others what it needs, their indexes in memory; it keeps no more than a fifth of the file descriptors allowed."""


USUAL_TABLES: Final = Tables()
_TABLE_BYTES: Final = 4 << 20
"""Size of a table file. LevelDB leaves what it has just written on level 0 where it would have to be merged with ten of
these, and merges four of them at once: with 16 MiB it merged each of them with everything there was."""

_points = count(1)
"""Write points passed by this process, over all databases; only the crash hook counts them."""


def load_plyvel() -> Any:
    """The plyvel module. Raises StoreError with the line that installs it."""
    try:
        return import_module("plyvel")
    except ImportError as error:
        raise StoreError(_INSTALL_HINT.format(error=error)) from error


def crash_hook() -> OnWrite | None:
    """The hook that WEAL_CRASH_AT_WRITE asks for, if it is set. Raises StoreError if it makes no sense."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if not wanted:
        return None
    moment, _, number = wanted.rpartition(":")
    if moment not in ("", "before", "after") or not number.isdecimal() or int(number) < 1:
        raise StoreError(f"{CRASH_VARIABLE}={wanted}: give a count from 1, 'before:<n>' or 'after:<n>'")
    point = int(number) if not moment else 2 * int(number) - (moment == "before")

    def crash(_: WritePoint) -> None:
        if next(_points) == point:
            os._exit(137)

    return crash


class Database:
    """One LevelDB database. Every failure is a StoreError that names the database and `way_out`."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        way_out: str,
        write_buffer_bytes: int,
        cache_bytes: int,
        tables: Tables = USUAL_TABLES,
        on_write: OnWrite | None = None,
    ) -> None:
        plyvel = load_plyvel()
        self.path, self.name, self._way_out = path, name, way_out
        self._errors: tuple[type[BaseException], ...] = (plyvel.Error, OSError, ValueError, RuntimeError)
        self._on_write = on_write if on_write is not None else crash_hook()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._db = plyvel.DB(
                str(path),
                create_if_missing=True,
                paranoid_checks=True,
                write_buffer_size=write_buffer_bytes,
                lru_cache_size=cache_bytes,
                bloom_filter_bits=tables.filter_bits,
                block_size=tables.block_bytes,
                max_open_files=tables.open_files,
                # Hashes and signatures do not shrink: trying to costs 25 us per record written and doubles reads.
                compression=None,
                max_file_size=_TABLE_BYTES,
            )
        except self._errors as error:
            if "/LOCK: " in str(error):
                raise StoreError(f"{name} database {path}: another process has it open; stop that one first") from error
            raise self.broken(f"cannot be opened: {error}") from error

    def broken(self, what: str) -> StoreError:
        """The error for an inconsistency of this database: what is wrong, where, and the way out."""
        return StoreError(f"{self.name} database {self.path}: {what}. Way out: {self._way_out}")

    def get(self, key: bytes, *, checked: bool = False) -> bytes | None:
        """The row's value. With `checked` the caller has a hash of it, and LevelDB's checksums are left alone."""
        try:
            value: bytes | None = self._db.get(key, verify_checksums=not checked)
        except self._errors as error:
            raise self.broken(f"reading {key[:48].hex()} failed: {error}") from error
        return value

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, checked: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < stop as of now, in key order (or from the end backwards). `checked` as for `get`."""
        last: bytes | None = None
        try:
            with self._db.iterator(start=start, stop=stop, reverse=reverse, verify_checksums=not checked) as rows:
                for row in rows:
                    yield row
                    last = row[0]
            if not checked:
                self._look_past(start, stop, last, reverse=reverse)
        except self._errors as error:
            raise self.broken(f"reading from {start[:48].hex()} on failed: {error}") from error

    def _look_past(self, start: bytes, stop: bytes, last: bytes | None, *, reverse: bool) -> None:
        """Why did a scan end? plyvel's iterator ends alike at its last row and before a damaged block; its raw one asks
        LevelDB. Rows that are written meanwhile are not missed: the scan was of the moment of its first."""
        beyond = self._db.raw_iterator(verify_checksums=True)
        try:
            if not reverse:
                beyond.seek(start if last is None else last + b"\0")
                return
            beyond.seek(stop if last is None else last)
            if beyond.valid():
                beyond.prev()
            else:
                beyond.seek_to_last()
        finally:
            beyond.close()

    def is_empty(self) -> bool:
        return next(self.scan(b"", b"\xff" * 64), None) is None

    def write(self, rows: Iterable[Row], *, sync: bool) -> None:
        """Write all rows or none; with `sync` they survive a power cut once this returns."""
        hook = self._on_write
        if hook is not None:
            hook(WritePoint(self.name, False))
        try:
            with self._db.write_batch(transaction=True, sync=sync) as batch:
                put, delete = batch.put, batch.delete
                for key, value in rows:
                    if value is None:
                        delete(key)
                    else:
                        put(key, value)
        except self._errors as error:
            raise self.broken(f"writing failed: {error} (is the disk full?)") from error
        if hook is not None:
            hook(WritePoint(self.name, True))

    def size_bytes(self) -> int:
        """Bytes on disk."""
        return directory_bytes(self.path)

    def compact(self) -> None:
        """Rewrite all tables: after a repair, or before a copy."""
        self._db.compact_range()

    def close(self) -> None:
        self._db.close()


def directory_bytes(path: Path) -> int:
    """Bytes of the files in a database directory; files that vanish meanwhile count nothing."""
    total = 0
    for entry in os.scandir(path):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


def salvage(path: Path, name: str, tables: Tables = USUAL_TABLES) -> None:
    """LevelDB's own repair: keeps what it can read and may lose rows. Verify everything afterwards."""
    plyvel = load_plyvel()
    if not any(path.glob("*.log")) and not any(path.glob("*.ldb")):
        raise StoreError(f"{name} database {path}: there is nothing to repair here: check `data_dir`")
    try:
        plyvel.repair_db(
            str(path),
            paranoid_checks=False,
            bloom_filter_bits=tables.filter_bits,
            block_size=tables.block_bytes,
            compression=None,
            max_file_size=_TABLE_BYTES,
        )
    except (plyvel.Error, OSError) as error:
        raise StoreError(f"{name} database {path}: cannot be repaired: {error}") from error
    # What was unreadable lies in lost/ now; nothing there is ever read again.
    shutil.rmtree(path / "lost", ignore_errors=True)
