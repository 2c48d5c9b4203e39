"""The `blocks` database: the core's journal, proposals, and the chain with its certificates.

Two databases (docs/protocol.md, "Storage"). `blocks` is written with a sync before a promise that it records is
said aloud. What is final is no promise: a quorum holds it, each with its votes on disk. So it waits in memory for
the next promise, or for `settle`, and goes to the disk in the same synced batch; a crash before that only means
hearing it again. `state` (node/state.py) is replayed forward from `blocks` after a crash: it may be behind and is
never ahead. A block's body is written once, with the proposal; committing names its
digest. Keys: node/rows.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from consensus.block import Block, Header
from consensus.codec import decode, encode
from consensus.effects import Persist, PersistBlock
from consensus.errors import DecodeError, InvariantBroken
from consensus.messages import CommitCertificate
from consensus.types import Digest, Height
from node.errors import StoreError
from node.leveldb import Database, OnWrite
from node.rows import (
    CHAIN,
    HEIGHT_OF,
    JOURNAL,
    OPEN,
    ChainRow,
    body_key,
    check_meta,
    height_bytes,
    open_key,
    table_end,
)

_CHECKED_AT_OPEN: Final = 32
"""Blocks below the tip that every start reads and checks in full."""
_WAITING_BYTES: Final = 1 << 20
"""So much may wait; more is written at once."""
_DECODED_BLOCKS: Final = 64
"""Blocks kept decoded: those in flight and those peers that are a little behind ask for."""
_WAY_OUT: Final = (
    "run `weal node repair --salvage-blocks`; if that fails, move this directory away: the node then fetches the chain "
    "from its peers, and listens before it votes again"
)


class BlockStore:
    """What this node promised and what is final. Open with `BlockStore.open`."""

    def __init__(self, database: Database, genesis: bytes) -> None:
        self._db, self._genesis = database, genesis
        self.is_new = check_meta(database, genesis)
        """The database was made by this start: whatever the node promised before is not in it."""
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()
        self._waiting: dict[bytes, bytes | None] = {}
        """Rows of what is final, and of promises it made void, that are not on the disk yet."""
        self._waiting_bytes = 0
        self._open: dict[bytes, int] = {}
        self._tip: ChainRow | None = None
        self._load()

    @classmethod
    def open(cls, path: Path, genesis_digest: bytes, *, on_write: OnWrite | None = None) -> BlockStore:
        """Open or create. Raises StoreError, with the way out, for anything inconsistent."""
        mib = 1 << 20
        database = Database(
            path, name="blocks", way_out=_WAY_OUT, write_buffer_bytes=8 * mib, cache_bytes=8 * mib, on_write=on_write
        )
        try:
            return cls(database, genesis_digest)
        except BaseException:
            database.close()
            raise

    def _load(self) -> None:
        for key, _ in self._db.scan(CHAIN, table_end(CHAIN), reverse=True):
            if len(key) != 9:
                raise self._db.broken(f"{key.hex()} is not the key of a height")
            self._tip = self._row(int.from_bytes(key[1:], "big"))
            break
        if self.height and self._db.get(CHAIN + height_bytes(1)) is None:
            raise self._db.broken(f"the chain ends at height {self.height} but has no block 1")
        for key, _ in self._db.scan(OPEN, table_end(OPEN)):
            height, digest = int.from_bytes(key[1:9], "big"), key[9:]
            if len(key) != 41 or height <= self.height:
                raise self._db.broken(f"open proposal {key[1:].hex()} lies at or below the tip {self.height}")
            self._open[digest] = height
            if self._read_body(height, digest) is None:
                raise self._db.broken(f"the body of proposal {digest.hex()} at height {height} is missing")
        self.check(max(1, self.height - _CHECKED_AT_OPEN + 1))

    def check(self, first: int = 1) -> None:
        """Read blocks `first`.. to the tip in full: present, decodable, linked by parent, bodies as in their
        headers. Signatures are not checked. Raises StoreError."""
        parent = self._row(first - 1).header.digest if first > 1 else None
        for height in range(first, self.height + 1):
            row = self._row(height)
            if parent is not None and row.header.parent != parent:
                raise self._db.broken(f"block {height} does not follow block {height - 1}")
            parent = row.header.digest
            block = self._read_body(height, parent)
            if block is None:
                raise self._db.broken(f"the body of block {height} is missing")
            if not block.is_whole:
                raise self._db.broken(f"the transactions of block {height} are not those of its header")
            if self._get(HEIGHT_OF + parent) != height_bytes(height):
                raise self._db.broken(f"the index of digests lacks block {height}")

    def _row(self, height: int) -> ChainRow:
        """The chain row of a height that is there. Strict: digest, height, chain and certificate agree."""
        data = self._get(CHAIN + height_bytes(height))
        if data is None:
            raise self._db.broken(f"block {height} is missing below the tip")
        try:
            row = decode(ChainRow, data)
        except DecodeError as error:
            raise self._db.broken(f"block {height} cannot be read: {error}") from error
        header, certificate = row.header, row.certificate
        if header.height != height or header.genesis != self._genesis:
            raise self._db.broken(f"block {height} is of another height or chain")
        if certificate.height != height or certificate.digest != header.digest:
            raise self._db.broken(f"the certificate of block {height} is for another block")
        return row

    def _read_body(self, height: int, digest: bytes) -> Block | None:
        block = self._blocks.get(digest)
        if block is not None:
            self._blocks.move_to_end(digest)
            return block
        data = self._get(body_key(height, digest))
        if data is None:
            return None
        try:
            block = decode(Block, data)
        except DecodeError as error:
            raise self._db.broken(f"the body of block {digest.hex()} cannot be read: {error}") from error
        if block.digest != digest or block.height != height:
            raise self._db.broken(f"the body stored as {digest.hex()} is that of {block.digest.hex()}")
        self._remember(block)
        return block

    def _remember(self, block: Block) -> None:
        self._blocks[block.digest] = block
        self._blocks.move_to_end(block.digest)
        while len(self._blocks) > _DECODED_BLOCKS:
            self._blocks.popitem(last=False)

    # -- the core's journal and proposals

    def journal(self) -> dict[bytes, bytes]:
        """All journal entries, by the core's keys."""
        self.settle()
        return {key[1:]: value for key, value in self._db.scan(JOURNAL, table_end(JOURNAL))}

    def write(
        self,
        persists: Iterable[Persist | PersistBlock],
        commits: Iterable[tuple[Block, CommitCertificate]] = (),
    ) -> bool:
        """Everything one step of the core promises, and what it found final; answers whether it is on the disk.

        Promises are, synced, with all that waits. What is final alone waits (`has_waiting`), unless that is much.
        """
        promised = False
        rows: dict[bytes, bytes | None] = {}
        blocks: list[Block] = []
        opened: dict[bytes, int] = {}
        for effect in persists:
            if isinstance(effect, Persist):
                rows[JOURNAL + effect.key] = effect.value
                promised = True
            elif effect.block.height > self.height and effect.block.digest not in self._open:
                # At or below the tip the height is decided; a body there would never be asked for.
                self._put_body(rows, effect.block)
                rows[open_key(effect.block.height, effect.block.digest)] = b""
                opened[effect.block.digest] = effect.block.height
                blocks.append(effect.block)
                promised = True
        tip, decided = self._tip, self.height
        for block, certificate in commits:
            if self._is_committed(block, certificate, tip):
                continue
            tip = self._add_commit(rows, block, certificate, tip, {**self._open, **opened})
            blocks.append(block)
        if not rows:
            return not self._waiting
        still_open = {**self._open, **opened}
        if tip is not None and tip.header.height > decided:
            still_open = self._drop_decided(rows, still_open, tip.header.height)
        self._wait(rows)
        if promised or self._waiting_bytes > _WAITING_BYTES:
            self.settle()
        self._tip, self._open = tip, still_open
        for block in blocks:
            if block.digest in still_open or HEIGHT_OF + block.digest in rows:
                self._remember(block)
        return not self._waiting

    def _wait(self, rows: Mapping[bytes, bytes | None]) -> None:
        self._waiting.update(rows)
        self._waiting_bytes += sum(len(key) + len(value or b"") for key, value in rows.items())

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def settle(self) -> None:
        """Put what waits on the disk, synced."""
        if self._waiting:
            self._db.write(self._waiting.items(), sync=True)
            self._waiting, self._waiting_bytes = {}, 0

    def _get(self, key: bytes) -> bytes | None:
        return self._waiting[key] if key in self._waiting else self._db.get(key)

    @staticmethod
    def _put_body(rows: dict[bytes, bytes | None], block: Block) -> None:
        rows[body_key(block.height, block.digest)] = encode(block)

    def _is_committed(self, block: Block, certificate: CommitCertificate, tip: ChainRow | None) -> bool:
        """Whether this very block is final already. Raises InvariantBroken if another one is."""
        if certificate.digest != block.digest or certificate.height != block.height:
            raise InvariantBroken(f"certificate for {certificate.digest.hex()} given for block {block.digest.hex()}")
        height = tip.header.height if tip is not None else 0
        if block.height > height:
            return False
        at = tip if tip is not None and block.height == height else self._row(block.height)
        if at.header.digest != block.digest:
            raise InvariantBroken(
                f"height {block.height} is final with block {at.header.digest.hex()}, and now {block.digest.hex()} "
                "is to be final too: the chain forked; keep both certificates and call the operators together"
            )
        return True

    def _add_commit(
        self,
        rows: dict[bytes, bytes | None],
        block: Block,
        certificate: CommitCertificate,
        tip: ChainRow | None,
        bodies: dict[bytes, int],
    ) -> ChainRow:
        height = tip.header.height if tip is not None else 0
        if block.height != height + 1 or (tip is not None and block.header.parent != tip.header.digest):
            raise InvariantBroken(f"block {block.height} does not follow the tip at height {height}")
        if block.header.genesis != self._genesis:
            raise InvariantBroken(f"block {block.height} is of another chain")
        row = ChainRow(header=block.header, certificate=certificate)
        if block.digest not in bodies:
            self._put_body(rows, block)
        rows[CHAIN + height_bytes(block.height)] = encode(row)
        rows[HEIGHT_OF + block.digest] = height_bytes(block.height)
        return row

    def _drop_decided(
        self, rows: dict[bytes, bytes | None], proposals: dict[bytes, int], height: int
    ) -> dict[bytes, int]:
        """Forget proposals up to `height`: those that lost with their bodies. Returns what stays open."""
        for digest, at in proposals.items():
            if at <= height:
                rows[open_key(at, digest)] = None
                if HEIGHT_OF + digest not in rows:
                    rows[body_key(at, digest)] = None
                    self._blocks.pop(digest, None)
        return {digest: at for digest, at in proposals.items() if at > height}

    def forget(self, keys: Iterable[bytes]) -> None:
        """Drop journal entries of decided slots, not before what decided them is on the disk as well."""
        self._wait({JOURNAL + key: None for key in keys})

    # -- the chain

    @property
    def height(self) -> Height:
        """Height of the last final block; 0 while there is only genesis."""
        return self._tip.header.height if self._tip is not None else Height(0)

    @property
    def tip(self) -> Header | None:
        """Header of the last final block; None while there is only genesis."""
        return self._tip.header if self._tip is not None else None

    @property
    def certificate(self) -> CommitCertificate | None:
        """Certificate of the last final block."""
        return self._tip.certificate if self._tip is not None else None

    def commit(self, block: Block, certificate: CommitCertificate) -> None:
        """The block is final, durably. Again with the same block: nothing happens.

        Raises InvariantBroken if another block is final at its height or it does not follow the tip.
        """
        self.write((), [(block, certificate)])

    def block(self, digest: Digest) -> Block | None:
        """A proposal or a final block, by digest."""
        block = self._blocks.get(digest)
        if block is not None:
            return block
        height = self._open.get(digest)
        if height is None:
            data = self._get(HEIGHT_OF + digest)
            if data is None:
                return None
            height = int.from_bytes(data, "big")
        block = self._read_body(height, digest)
        if block is None:
            raise self._db.broken(f"the body of block {digest.hex()} at height {height} is missing")
        return block

    def header_at(self, height: int) -> Header | None:
        """Header of a final block, or None above the tip (and for genesis, which is no block)."""
        return self._row(height).header if 1 <= height <= self.height else None

    def certificate_at(self, height: int) -> CommitCertificate | None:
        return self._row(height).certificate if 1 <= height <= self.height else None

    def block_at(self, height: int) -> Block | None:
        """A final block, or None above the tip."""
        header = self.header_at(height)
        return None if header is None else self.block(header.digest)

    def proposals(self) -> Iterator[tuple[int, Digest]]:
        """Height and digest of the proposals that are not decided."""
        for digest, height in self._open.items():
            yield height, Digest(digest)

    def broken(self, what: str) -> StoreError:
        """The StoreError for an inconsistency somebody else found in this database."""
        return self._db.broken(what)

    def size_bytes(self) -> int:
        return self._db.size_bytes()

    def close(self) -> None:
        """Raises StoreError if what waits cannot be written."""
        try:
            self.settle()
        finally:
            self._db.close()
