"""Checking a node's databases in full, and the ways out when one is damaged. Behind `weal node repair`.

`state` can always be computed again from `blocks`. `blocks` holds what this node promised; if anything of it
may be lost, the journal goes as a whole, so that the node finds its store new, listens, and does not vote in
a slot where it may have voted before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from consensus.block import Block, Header
from consensus.certificates import verify_commit_certificate
from consensus.codec import decode
from consensus.errors import DecodeError
from consensus.messages import Domain
from consensus.quorum import MemberSet
from consensus.types import Verify
from node.block_rules import BlockLimits, Verifier
from node.claims.application import Application
from node.executor import Executor
from node.leveldb import Database, Row, salvage
from node.rows import (
    BODY,
    CHAIN,
    HEIGHT_OF,
    JOURNAL,
    META,
    OPEN,
    ChainRow,
    body_key,
    check_meta,
    height_bytes,
    table_end,
    write_meta,
)
from node.state import TABLES, StateDatabase
from node.store import BlockStore

_BATCH_ROWS: Final = 1_000
Progress = Callable[[int, int], None]
"""(height reached, height of the chain)"""


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a `blocks` database. The journal is gone: the node listens before it votes."""

    height: int
    """The chain is whole up to here; the rest comes from peers."""
    dropped: int
    """Rows above, and rows that made no sense."""


def check_chain(blocks: BlockStore, members: MemberSet, domain: Domain, verify: Verify) -> int:
    """Read the whole chain: linked, complete, every certificate valid. Answers its height. Raises StoreError."""
    blocks.check(1)
    for height in range(1, blocks.height + 1):
        certificate = blocks.certificate_at(height)
        if certificate is None or not verify_commit_certificate(certificate, members, domain, verify):
            raise blocks.broken(f"the certificate of block {height} does not hold the signatures of a quorum")
    return blocks.height


def check_state(state: StateDatabase, executor: Executor) -> int:
    """Compare every record with its page, every receipt and index entry with the chain. Answers the height.

    Raises StoreError.
    """
    state.audit()
    for height in range(1, executor.tip.height + 1):
        for index, receipt in enumerate(executor.receipts(height)[1:]):
            if executor.locate(receipt.transaction) != (height, index):
                raise state.broken(f"the index lacks transaction {receipt.transaction.hex()} of block {height}")
    return executor.tip.height


def rebuild_state(
    path: Path,
    blocks: BlockStore,
    application: Application,
    genesis_header: Header,
    verifier: Verifier,
    *,
    limits: BlockLimits | None = None,
    progress: Progress | None = None,
) -> int:
    """Compute the state at `path` again from genesis and the blocks; answers its height. Raises StoreError.

    The new one is made beside the old one and takes its place when it is complete, so that a failure or a
    crash on the way loses nothing. The node must not run.
    """
    fresh, damaged = path.with_name(path.name + ".rebuilding"), path.with_name(path.name + ".damaged")
    blocks.check(1)
    shutil.rmtree(fresh, ignore_errors=True)
    state = StateDatabase.open(fresh, genesis_header.genesis)
    try:
        executor = Executor(application, state, blocks, genesis_header, verifier, limits=limits)
        executor.replay(progress)
    finally:
        state.close()
    shutil.rmtree(damaged, ignore_errors=True)
    if path.exists():
        path.rename(damaged)
    fresh.rename(path)
    shutil.rmtree(damaged, ignore_errors=True)
    return executor.tip.height


def salvage_state(
    path: Path,
    blocks: BlockStore,
    application: Application,
    genesis_header: Header,
    verifier: Verifier,
    *,
    limits: BlockLimits | None = None,
) -> int:
    """LevelDB's repair of the `state` database, and every row checked afterwards; answers its height.

    Raises StoreError if rows were lost: then `rebuild_state` is the way.
    """
    salvage(path, "state", TABLES)
    state = StateDatabase.open(path, genesis_header.genesis)
    try:
        if state.tip is None:
            raise state.broken("LevelDB's repair left nothing of it")
        executor = Executor(application, state, blocks, genesis_header, verifier, limits=limits)
        return check_state(state, executor)
    finally:
        state.close()


def salvage_blocks(path: Path, genesis_digest: bytes) -> Salvaged:
    """LevelDB's repair of the `blocks` database, cut back to the part of the chain that is whole.

    The journal and open proposals are dropped. Raises StoreError if the database is another chain's or
    cannot be read at all.
    """
    salvage(path, "blocks")
    database = Database(
        path,
        name="blocks",
        way_out="move this directory away; the node fetches the chain from its peers, and listens before it votes",
        write_buffer_bytes=8 << 20,
        cache_bytes=8 << 20,
    )
    try:
        whole = _whole_chain(database, genesis_digest)
        if whole and database.get(META) is None:
            # Lost with the damage; the blocks themselves say which chain they are of.
            write_meta(database, genesis_digest)
        check_meta(database, genesis_digest)
        dropped = _drop_all_but(database, whole)
        index: list[Row] = [(HEIGHT_OF + digest, height_bytes(height)) for height, digest in whole.items()]
        _write(database, iter(index))
        database.compact()
    finally:
        database.close()
    blocks = BlockStore.open(path, genesis_digest)
    try:
        blocks.check(1)
        return Salvaged(height=blocks.height, dropped=dropped)
    finally:
        blocks.close()


def _whole_chain(database: Database, genesis: bytes) -> dict[int, bytes]:
    """Height to digest, from 1 up to the last block that is there in full and follows the one below."""
    found: dict[int, bytes] = {}
    parent: bytes | None = None
    while True:
        height = len(found) + 1
        data = database.get(CHAIN + height_bytes(height))
        if data is None:
            return found
        try:
            row = decode(ChainRow, data)
            header = row.header
            body = database.get(body_key(height, header.digest))
            block = decode(Block, body or b"")
        except DecodeError:
            return found
        fits = header.height == height and header.genesis == genesis and parent in (None, header.parent)
        certified = row.certificate.digest == header.digest and row.certificate.height == height
        same = block.header == header and block.is_whole
        if not (fits and certified and same):
            return found
        parent = header.digest
        found[height] = parent


def _drop_all_but(database: Database, whole: dict[int, bytes]) -> int:
    """Delete the journal, open proposals, and every chain, body and index row outside `whole`."""
    lost = 0

    def rows() -> Iterator[Row]:
        nonlocal lost
        for table in (JOURNAL, OPEN):
            for key, _ in database.scan(table, table_end(table)):
                yield key, None
        kept = {CHAIN + height_bytes(height) for height in whole}
        kept |= {body_key(height, digest) for height, digest in whole.items()}
        kept |= {HEIGHT_OF + digest for digest in whole.values()}
        for table in (CHAIN, BODY, HEIGHT_OF):
            for key, _ in database.scan(table, table_end(table)):
                if key not in kept:
                    lost += 1
                    yield key, None

    _write(database, rows())
    return lost


def _write(database: Database, rows: Iterator[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_ROWS:
            database.write(batch, sync=True)
            batch = []
    if batch:
        database.write(batch, sync=True)
