"""Every LevelDB key and stored row of both databases, `blocks` and `state`.

Keys are a table byte and fixed-width big-endian fields, so that they sort as their numbers do; only journal
keys, and the keys of state records, are made elsewhere (by the core and the application).
"""

from __future__ import annotations

from typing import Final

from consensus.block import Header
from consensus.codec import decode, encode
from consensus.errors import DecodeError
from consensus.messages import CommitCertificate
from consensus.types import Wire
from node.errors import StoreError
from node.leveldb import Database

FORMATS: Final = {"blocks": 2, "vault": 2, "state": 3}
"""Number of each database's layout and of the headers in it; another number is refused. 1: headers without a
transaction count, and so with other digests. Such a chain cannot be continued in this format. State 2: rows for whole
pages of the trie. It is computed again from the blocks."""

META: Final = b"\x00"
"""Both databases: format, chain and purpose."""
# Tables of `blocks`.
JOURNAL, BODY, CHAIN, OPEN, HEIGHT_OF = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
# Tables of `state`.
TIP: Final = b"\x10"
_RECORD, _ENTRY, _TRANSACTION, _RECEIPTS = b"\x11", b"\x12", b"\x13", b"\x14"


class Meta(Wire, frozen=True):
    format: int
    database: str
    genesis: bytes


class ChainRow(Wire, frozen=True):
    """One committed height. The header is here too, so that nobody decodes a body to read it."""

    header: Header
    certificate: CommitCertificate


def table_end(table: bytes) -> bytes:
    return bytes((table[0] + 1,))


def height_bytes(height: int) -> bytes:
    return height.to_bytes(8, "big")


def record_key(key: bytes) -> bytes:
    return _RECORD + key


def record_range(start: bytes, end: bytes) -> tuple[bytes, bytes]:
    return _RECORD + start, _RECORD + end


def all_records() -> tuple[bytes, bytes]:
    return _RECORD, table_end(_RECORD)


def entry_key(position: bytes) -> bytes:
    return _ENTRY + position


def entries_below(name: str) -> tuple[bytes, bytes]:
    """The entries of the trie whose positions begin with the hex digits of `name`."""
    return _ENTRY + bytes.fromhex(name.ljust(64, "0")), _ENTRY + bytes.fromhex(name.ljust(64, "f")) + b"\0"


def all_entries() -> tuple[bytes, bytes]:
    return _ENTRY, table_end(_ENTRY)


def transaction_key(id: bytes) -> bytes:
    """Where a transaction was committed: height (8 bytes) and index in the block (4 bytes)."""
    return _TRANSACTION + id


def receipts_key(height: int) -> bytes:
    """The receipts of one block, the clock's first, as an array of their bytes."""
    return _RECEIPTS + height_bytes(height)


def body_key(height: int, digest: bytes) -> bytes:
    """Height first: bodies are written in key order, so LevelDB moves them down without copying them again."""
    return BODY + height_bytes(height) + digest


def open_key(height: int, digest: bytes) -> bytes:
    """Marks a proposal that is not decided yet."""
    return OPEN + height_bytes(height) + digest


def write_meta(database: Database, genesis: bytes) -> None:
    database.write(
        [(META, encode(Meta(format=FORMATS[database.name], database=database.name, genesis=genesis)))], sync=True
    )


def check_meta(database: Database, genesis: bytes) -> bool:
    """Whether the database is new. Raises StoreError unless it is this chain's, in this format."""
    data = database.get(META)
    if data is None:
        if not database.is_empty():
            raise database.broken("has rows but does not say which chain they belong to")
        write_meta(database, genesis)
        return True
    try:
        meta = decode(Meta, data)
    except DecodeError as error:
        raise database.broken(f"its description cannot be read: {error}") from error
    expected = FORMATS[database.name]
    if meta.format != expected:
        if database.name == "state":
            raise database.broken(f"has format {meta.format}, this version of weal reads {expected}")
        raise StoreError(
            f"{database.name} database {database.path} has format {meta.format}, this version of weal reads {expected} "
            "and cannot convert it: go on with the version of weal that wrote it, or begin a new chain, with a new "
            "genesis file and an empty `data_dir`"
        )
    if meta.database != database.name:
        raise StoreError(f"{database.path} holds the {meta.database} database where {database.name} was expected")
    if meta.genesis != genesis:
        raise StoreError(
            f"{database.name} database {database.path} belongs to the chain with genesis {meta.genesis.hex()}, but "
            f"the genesis file says {genesis.hex()}: check `genesis` and `data_dir` in the configuration"
        )
    return False
