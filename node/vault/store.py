"""What a holder keeps: encrypted bytes and sealed keys as files, receipts in a small LevelDB database.

What must be erasable is never a row: LevelDB only marks a row as deleted, and keeps the bytes until it happens to
rewrite the table they are in; even asked to compact, it leaves a table alone that nothing above overlaps. A file is
overwritten, synced and unlinked. Everything is synced before it counts. `destroy` may be repeated after a crash, and
says that it is done only when all of it is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from node.errors import StoreError
from node.leveldb import Database, OnWrite
from node.rows import check_meta
from node.vault.errors import Refusal, VaultRefused
from node.vault.sealing import BOX_BYTES, CHUNK_BYTES

MAX_BOXES: Final = 1_000
MAX_RECEIPTS: Final = 10_000
"""Of one item."""
_BLOB, _RECEIPT, _DESTROYED = b"\x01", b"\x02", b"\x03"
_WAY_OUT: Final = "stop the node and move the `vault` folder away; the node fetches what it holds from others"
_MEMORY: Final = 1 << 20


def _row(table: bytes, item: int, rest: bytes = b"") -> bytes:
    return table + item.to_bytes(8, "big") + rest


def _rows_of(table: bytes, item: int) -> tuple[bytes, bytes]:
    return _row(table, item), _row(table, item + 1)


class VaultStore:
    """Blobs, sealed keys, receipts and marks of destruction of one node."""

    def __init__(self, path: Path, genesis: bytes, max_bytes: int, on_write: OnWrite | None = None) -> None:
        """Opens or makes the store; what a crash left half received goes. Raises StoreError."""
        self._blobs, self._keys, self._incoming = path / "blobs", path / "keys", path / "incoming"
        self._max = max_bytes
        self._reserved, self._closed = 0, False
        self._lock = threading.Lock()
        """Held by what runs in a thread: the database must not be closed under it."""
        try:
            for folder in (path, self._blobs, self._keys, self._incoming):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._incoming.iterdir():
                left.unlink()
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
        self._db = Database(
            path / "index",
            name="vault",
            way_out=_WAY_OUT,
            write_buffer_bytes=_MEMORY,
            cache_bytes=_MEMORY,
            on_write=on_write,
        )
        check_meta(self._db, genesis)
        sizes = [int.from_bytes(size, "big") for _, size in self._db.scan(_BLOB, _RECEIPT)]
        self.items, self.used_bytes = len(sizes), sum(sizes)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._db.close()

    # --- encrypted bytes

    def has_blob(self, item: int) -> bool:
        """Also false if the file was lost: then it is fetched again."""
        return self._db.get(_row(_BLOB, item)) is not None and self.blob(item).is_file()

    def blob(self, item: int) -> Path:
        return self._blobs / f"{item:016x}"

    def receive(self, item: int, size: int, digest: bytes) -> Incoming:
        """Begin to take in an item's bytes. Raises VaultRefused if there is no room."""
        if self.used_bytes + self._reserved + size > self._max:
            raise VaultRefused(Refusal.FULL, "this node's vault is full; see vault.max_bytes")
        self._reserved += size
        return Incoming(self, item, size, digest, self._incoming)

    def release(self, size: int) -> None:
        self._reserved -= size

    def keep(self, item: int, received: Path, size: int) -> None:
        """Blocking: the received file becomes the item's. Raises StoreError."""
        with self._lock:
            self._refuse_closed()
            try:
                os.replace(received, self.blob(item))
                _sync_folder(self._blobs)
            except OSError as error:
                raise self._db.broken(f"an item's bytes cannot be kept: {error.strerror}") from None
            if self._db.get(_row(_BLOB, item)) is None:
                self.items, self.used_bytes = self.items + 1, self.used_bytes + size
            self._db.write([(_row(_BLOB, item), size.to_bytes(8, "big"))], sync=True)

    # --- sealed keys

    def box(self, item: int, recipient: bytes) -> bytes | None:
        try:
            return (self._box_folder(item) / recipient.hex()).read_bytes()
        except FileNotFoundError:
            return None

    def boxes(self, item: int) -> list[tuple[bytes, bytes]]:
        """(recipient, sealed key), at most MAX_BOXES."""
        found = [(recipient, self.box(item, recipient)) for recipient in self._recipients(item)[:MAX_BOXES]]
        return [(recipient, box) for recipient, box in found if box is not None]

    def put_box(self, item: int, recipient: bytes, box: bytes) -> None:
        """Raises VaultRefused, StoreError."""
        if len(box) != BOX_BYTES:
            raise VaultRefused(Refusal.WRONG_CONTENT, f"a sealed key has {BOX_BYTES} bytes")
        known = self._recipients(item)
        if recipient not in known and len(known) >= MAX_BOXES:
            raise VaultRefused(Refusal.FULL, f"an item has at most {MAX_BOXES} sealed keys")
        folder, draft = self._box_folder(item), self._incoming / os.urandom(8).hex()
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _shred(folder / recipient.hex())
            with open(draft, "xb") as file:
                file.write(box)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, folder / recipient.hex())
            _sync_folder(folder)
            _sync_folder(self._keys)
        except OSError as error:
            raise self._db.broken(f"a sealed key cannot be kept: {error.strerror}") from None

    def _box_folder(self, item: int) -> Path:
        return self._keys / f"{item:016x}"

    def _recipients(self, item: int) -> list[bytes]:
        try:
            return sorted(bytes.fromhex(name) for name in os.listdir(self._box_folder(item)))
        except FileNotFoundError:
            return []

    # --- receipts

    def receipt(self, item: int, request: bytes) -> bytes | None:
        """The receipt for the request with this signature."""
        return self._db.get(_row(_RECEIPT, item, sha256(request).digest()))

    def put_receipt(self, item: int, request: bytes, receipt: bytes) -> None:
        if len(_first(self._db.scan(*_rows_of(_RECEIPT, item)), MAX_RECEIPTS)) >= MAX_RECEIPTS:
            raise VaultRefused(Refusal.FULL, f"an item is opened at most {MAX_RECEIPTS} times at one node")
        self._db.write([(_row(_RECEIPT, item, sha256(request).digest()), receipt)], sync=True)

    def receipts(self, item: int) -> list[bytes]:
        return [receipt for _, receipt in _first(self._db.scan(*_rows_of(_RECEIPT, item)), MAX_RECEIPTS)]

    # --- erasure

    def is_destroyed(self, item: int) -> bool:
        return self._db.get(_row(_DESTROYED, item)) is not None

    def destroy(self, item: int) -> None:
        """Blocking: remove sealed keys and bytes for good. Receipts stay. Raises StoreError."""
        with self._lock:
            self._refuse_closed()
            if not self.is_destroyed(item):
                self._destroy(item)

    def _destroy(self, item: int) -> None:
        size = self._db.get(_row(_BLOB, item))
        try:
            for recipient in self._recipients(item):
                _shred(self._box_folder(item) / recipient.hex())
            if self._box_folder(item).is_dir():
                self._box_folder(item).rmdir()
            _sync_folder(self._keys)
            _shred(self.blob(item))
            _sync_folder(self._blobs)
        except OSError as error:
            raise self._db.broken(f"an item cannot be destroyed: {error.strerror}") from None
        if size is not None:
            self.items, self.used_bytes = self.items - 1, self.used_bytes - int.from_bytes(size, "big")
        self._db.write([(_row(_BLOB, item), None), (_row(_DESTROYED, item), b"\x01")], sync=True)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError("the vault is closed: the node stops")


class Incoming:
    """Bytes on their way in: into a file of their own, counted and hashed, kept only if they are the right ones."""

    def __init__(self, store: VaultStore, item: int, size: int, digest: bytes, folder: Path) -> None:
        self._store, self._item, self._size, self._wanted = store, item, size, digest
        self._path = folder / f"{item:016x}-{os.urandom(8).hex()}"
        self._file: BinaryIO = open(self._path, "xb", buffering=0)  # noqa: SIM115 - closed by `finish` or `drop`
        self._digest, self._count = sha256(), 0

    def write(self, data: bytes) -> None:
        """Raises VaultRefused as soon as it is too much, StoreError."""
        self._count += len(data)
        if self._count > self._size:
            raise VaultRefused(Refusal.WRONG_CONTENT, f"more than the {self._size} bytes of this item")
        self._digest.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise StoreError(f"the vault cannot be written: {error.strerror}") from None

    def check(self) -> None:
        """Raises VaultRefused unless all came, and is what the chain says."""
        if self._count != self._size:
            raise VaultRefused(Refusal.WRONG_CONTENT, f"{self._count} bytes where the item has {self._size}")
        if self._digest.digest() != self._wanted:
            raise VaultRefused(Refusal.WRONG_CONTENT, "these are not the bytes whose hash is on the chain")

    def finish(self) -> None:
        """Blocking: sync the file and make it the item's. Raises VaultRefused, StoreError."""
        self.check()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"the vault cannot be written: {error.strerror}") from None
        self._store.keep(self._item, self._path, self._size)

    def drop(self) -> None:
        """Always call it at the end: what was not kept goes."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._store.release(self._size)


def _first(rows: Iterator[tuple[bytes, bytes]], most: int) -> list[tuple[bytes, bytes]]:
    found = []
    for row in rows:
        found.append(row)
        if len(found) == most:
            break
    return found


def _shred(path: Path) -> None:
    """Overwrite, sync and remove a file, if it is there."""
    try:
        with path.open("r+b") as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(bytes(min(left, CHUNK_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
