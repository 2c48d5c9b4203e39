"""Builds, executes and commits blocks: the one place where consensus, application and storage meet.

A block is executed on an overlay before anybody votes for it; the overlay waits under the block's digest
until the block is final or has lost. Whatever goes wrong before that leaves no trace. A final block goes first
to the `blocks` database, then to `state` with its receipts and the index of its transactions. Neither is on the
disk at once, but `state` never is before `blocks`, so that `replay` can always close the gap between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from consensus.block import Block, Header
from consensus.errors import ChainError, InvariantBroken
from consensus.merkle import rfc6962_root
from consensus.messages import CommitCertificate
from consensus.types import Digest, Height
from node.block_rules import (
    BlockLimits,
    InvalidBlock,
    Verifier,
    check_body,
    check_header,
    check_size,
    read_transactions,
)
from node.cache import GenerationCache
from node.claims.application import Application, BlockContext, BlockResult, Receipt
from node.claims.results import describe, is_inadmissible
from node.claims.transaction import Transaction
from node.claims.wire import decode_trusted, encode
from node.errors import StoreError
from node.overlay import Overlay
from node.rows import receipts_key, transaction_key
from node.state import StateDatabase
from node.store import BlockStore

MAX_EXECUTED: Final = 24
"""Blocks kept executed and undecided: three windows, so that most re-proposals in later views are found. A
full block's overlay holds some 8 MB; what had to make room is executed again if it comes back."""
_RECENT_RECEIPTS: Final = 32
"""Blocks whose receipts stay decoded after commit, for event stream and waiting clients."""


class Candidate(Protocol):
    """What `build` needs of a pending transaction. Its signature has been checked."""

    @property
    def id(self) -> bytes: ...
    @property
    def raw(self) -> bytes: ...
    @property
    def transaction(self) -> Transaction: ...


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A final block with everything that came of it."""

    block: Block
    certificate: CommitCertificate
    transactions: tuple[bytes, ...]
    """Ids, in order."""
    receipts: tuple[Receipt, ...]
    """The clock's first, then one per transaction."""


class _Executed(msgspec.Struct, frozen=True):
    header: Header
    overlay: Overlay
    raws: tuple[bytes, ...]
    ids: tuple[bytes, ...]
    receipts: tuple[Receipt, ...]
    receipt_bytes: tuple[bytes, ...]


class Executor:
    """Not for use from several threads. Call `replay` once before anything else."""

    def __init__(
        self,
        application: Application,
        state: StateDatabase,
        blocks: BlockStore,
        genesis_header: Header,
        verifier: Verifier,
        *,
        limits: BlockLimits | None = None,
    ) -> None:
        self._application, self._state, self._blocks, self._verifier = application, state, blocks, verifier
        self._genesis, self._limits = genesis_header, limits or BlockLimits()
        self._executed: dict[Digest, _Executed] = {}
        self._recent: GenerationCache[int, tuple[Receipt, ...]] = GenerationCache(2 * _RECENT_RECEIPTS)
        state.before_flush = blocks.settle
        if state.tip is None:
            self._initialise()
        self.tip = self._stored_tip()
        """Header of the last block in the state; that of genesis at height 0."""

    # -- start

    def _initialise(self) -> None:
        overlay = self._state.overlay()
        self._application.initialise(overlay)
        if overlay.root() != self._genesis.state_root:
            raise InvariantBroken(
                f"genesis gives the state root {overlay.root().hex()}, its header says {self._genesis.state_root.hex()}"
            )
        self._state.commit(overlay, height=0, digest=self._genesis.digest)

    def _stored_tip(self) -> Header:
        """The header the state is at. Raises StoreError if state and blocks contradict each other."""
        assert self._state.tip is not None
        height, digest = self._state.tip
        if height > self._blocks.height:
            raise StoreError(
                f"the state is at height {height}, ahead of the blocks, which end at {self._blocks.height}: the blocks "
                "database lost what it had promised to keep. Way out: move both databases away; the node then fetches "
                "the chain from its peers, and listens before it votes again"
            )
        header = self._genesis if height == 0 else self._blocks.header_at(height)
        if header is None or header.digest != digest or header.state_root != self._state.root():
            raise self._state.broken(f"it is the state after another block at height {height} than the chain's")
        return header

    def replay(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Execute what is final but not in the state yet, as after a crash. Answers how many blocks.

        `progress` is told the height reached and the height of the chain. Raises StoreError if a block from
        our own disk does not give what its header says.
        """
        first = self.tip.height + 1
        for height in range(first, self._blocks.height + 1):
            block, certificate = self._blocks.block_at(height), self._blocks.certificate_at(height)
            assert block is not None and certificate is not None
            try:
                # The digests link these bytes to what was checked, size and signatures, before it became final.
                self._run(block, from_disk=True)
            except InvalidBlock as error:
                raise StoreError(
                    f"block {height} cannot be replayed: {error.reason}. Either this version of weal does not follow "
                    "the chain's rules, or the databases were changed: check the version, then run "
                    "`weal node repair --rebuild-state`"
                ) from error
            self.commit(block, certificate)
            if progress is not None:
                progress(height, self._blocks.height)
        return self._blocks.height - first + 1

    # -- proposing

    def in_flight(self, parent: Header) -> frozenset[bytes]:
        """Ids of the transactions in `parent` and its ancestors that are not in the committed state."""
        self._revive(parent)
        ids: set[bytes] = set()
        for executed in self._ancestors(parent):
            ids.update(executed.ids)
        return frozenset(ids)

    def _ancestors(self, header: Header) -> list[_Executed]:
        """From `header` down to above the tip. Raises InvalidBlock if it does not stand on the tip."""
        found: list[_Executed] = []
        digest = header.digest
        while digest != self.tip.digest:
            executed = self._executed.get(digest)
            if executed is None:
                raise InvalidBlock(f"block {header.height} does not stand on executed blocks above {self.tip.height}")
            found.append(executed)
            digest = executed.header.parent
        return found

    def build(self, parent: Header, transactions: Sequence[Candidate], time_ms: int, limit: int) -> Block | None:
        """A block on `parent` with the first of `transactions` that fit, in their order.

        Leaves out what the application does not admit (replayed, expired) and what is in flight already.
        At most `limit` transactions; time is `time_ms`, or 1 above the parent's. None if there is nothing to
        do: no transaction left and no deadline due. The block counts as executed.
        """
        time_ms = max(time_ms, parent.time_ms + 1)
        chosen = self._choose(transactions, self.in_flight(parent), limit)
        below = self._below(parent.digest)
        while True:
            overlay = self._state.overlay(below)
            if not chosen and not self._deadline_due(overlay, time_ms):
                overlay.discard()
                return None
            result = self._apply(overlay, parent.height + 1, time_ms, [one.transaction for one in chosen])
            admitted = [
                one for one, receipt in zip(chosen, result.receipts, strict=True) if not is_inadmissible(receipt.code)
            ]
            if len(admitted) == len(chosen):
                break
            overlay.discard()
            chosen = admitted
        raws = tuple(one.raw for one in chosen)
        receipts, receipt_bytes = _receipts(result)
        header = Header(
            genesis=parent.genesis,
            epoch=parent.epoch,
            height=Height(parent.height + 1),
            time_ms=time_ms,
            parent=parent.digest,
            transaction_count=len(raws),
            transactions_root=rfc6962_root(raws),
            receipts_root=rfc6962_root(receipt_bytes),
            state_root=Digest(overlay.root()),
            members=parent.members,
        )
        ids = tuple(one.id for one in chosen)
        self._keep(_Executed(header, overlay, raws, ids, receipts, receipt_bytes))
        return Block(header=header, transactions=raws)

    def _choose(self, transactions: Sequence[Candidate], taken: frozenset[bytes], limit: int) -> list[Candidate]:
        room = self._limits.max_block_bytes
        count = min(limit, self._limits.max_block_transactions)
        chosen: dict[bytes, Candidate] = {}
        for one in transactions:
            if len(chosen) >= count:
                break
            if len(one.raw) > room:
                # No smaller one overtakes it, else a large transaction could wait for ever.
                break
            if one.id not in taken and one.id not in chosen:
                chosen[one.id] = one
                room -= len(one.raw)
        return list(chosen.values())

    # -- executing

    def execute(self, block: Block) -> None:
        """Check a block in full and keep the result under its digest.

        Raises InvalidBlock with the reason if nobody should vote for it, InvariantBroken for a bug.
        """
        self._run(block)

    def _run(self, block: Block, *, from_disk: bool = False) -> None:
        header = block.header
        known = self._executed.get(header.digest)
        if known is not None:
            # One header, two bodies: only one of them can be the header's, and it is the one executed.
            if known.raws != block.transactions:
                raise InvalidBlock("its transactions are not those of its header")
            return
        if header.digest == self.tip.digest:
            return
        parent = self._parent_of(header)
        check_header(header, parent)
        if not from_disk:
            check_size(block, self._limits)
        check_body(block)
        transactions = read_transactions(block, self._verifier, check_signatures=not from_disk)
        ids = tuple([transaction.id for transaction in transactions])
        overlay = self._state.overlay(self._below(parent.digest))
        try:
            if not ids and not self._deadline_due(overlay, header.time_ms):
                raise InvalidBlock("the block does nothing: no transaction, and no deadline is due")
            result = self._apply(overlay, header.height, header.time_ms, transactions)
            for index, receipt in enumerate(result.receipts):
                if is_inadmissible(receipt.code):
                    raise InvalidBlock(f"transaction {index} is not admissible: {describe(receipt.code)}")
            receipts, receipt_bytes = _receipts(result)
            if rfc6962_root(receipt_bytes) != header.receipts_root:
                raise InvalidBlock("its receipts root is not what execution gives")
            if overlay.root() != header.state_root:
                raise InvalidBlock("its state root is not what execution gives")
        except BaseException:
            overlay.discard()
            raise
        self._keep(_Executed(header, overlay, block.transactions, ids, receipts, receipt_bytes))

    def _parent_of(self, header: Header) -> Header:
        """Header of the parent, executed again if it had to make room. Raises InvalidBlock."""
        if header.parent == self.tip.digest:
            return self.tip
        executed = self._executed.get(header.parent)
        if executed is not None:
            return executed.header
        block = self._blocks.block(header.parent)
        if block is None or header.height <= self.tip.height + 1 or block.height <= self.tip.height:
            raise InvalidBlock(f"its parent {header.parent.hex()} does not stand on the tip at {self.tip.height}")
        self._revive(block.header)
        return block.header

    def _revive(self, header: Header) -> None:
        """Execute again a block that was known but had to make room, and what it stands on."""
        missing: list[Block] = []
        digest = header.digest
        while digest != self.tip.digest and digest not in self._executed:
            block = self._blocks.block(digest)
            if block is None or block.height <= self.tip.height:
                raise InvalidBlock(f"block {header.height} does not stand on the tip at {self.tip.height}")
            missing.append(block)
            digest = block.header.parent
        for block in reversed(missing):
            self._run(block)

    def _deadline_due(self, overlay: Overlay, time_ms: int) -> bool:
        due = self._application.next_deadline_ms(overlay)
        return due is not None and due <= time_ms

    def _apply(self, overlay: Overlay, height: int, time_ms: int, transactions: Sequence[Transaction]) -> BlockResult:
        """Run the application. Anything it raises is a bug or a damaged state: the overlay goes, the node stops."""
        try:
            result = self._application.execute(overlay, BlockContext(height=height, time_ms=time_ms), transactions)
            if len(result.receipts) != len(transactions):
                raise InvariantBroken(f"{len(result.receipts)} receipts for {len(transactions)} transactions")
            return result
        except (ChainError, InvariantBroken):
            overlay.discard()
            raise
        except Exception as error:
            overlay.discard()
            raise InvariantBroken(f"the application failed at height {height}: {error!r}") from error

    def _below(self, digest: Digest) -> Overlay | None:
        """The overlay of a block; None for the tip's own state."""
        return None if digest == self.tip.digest else self._executed[digest].overlay

    def _keep(self, executed: _Executed) -> None:
        digest = executed.header.digest
        if digest in self._executed:
            # Built again, byte for byte: the first result stands, others may lie on it.
            executed.overlay.discard()
            return
        self._executed[digest] = executed
        if len(self._executed) > MAX_EXECUTED:
            needed = {one.header.parent for one in self._executed.values()} | {digest}
            oldest = next((one for one in self._executed if one not in needed), None)
            if oldest is not None:
                self._executed.pop(oldest).overlay.discard()

    # -- committing

    def commit(self, block: Block, certificate: CommitCertificate) -> Committed:
        """The block is final: write it to both databases. Executes it now if need be (sync).

        Again with a block that is final already: nothing is written. Raises InvariantBroken if another block
        is final at its height, or if execution here gives other roots than a quorum signed.
        """
        header = block.header
        if header.height <= self.tip.height:
            self._blocks.commit(block, certificate)
            return self._committed(block, certificate)
        if header.parent != self.tip.digest or header.height != self.tip.height + 1:
            raise InvariantBroken(f"block {header.height} does not follow the tip at height {self.tip.height}")
        try:
            self.execute(block)
        except InvalidBlock as error:
            raise InvariantBroken(
                f"a quorum made block {header.height} ({header.digest.hex()}) final, but here {error.reason}. This "
                "node runs other code, or its state is damaged: run `weal node repair --rebuild-state`"
            ) from error
        executed = self._executed[header.digest]
        self._blocks.commit(block, certificate)
        height = header.height
        place = height.to_bytes(8, "big")
        rows = [(transaction_key(id), place + index.to_bytes(4, "big")) for index, id in enumerate(executed.ids)]
        rows.append((receipts_key(height), encode(executed.receipt_bytes)))
        self._state.commit(executed.overlay, height=height, digest=header.digest, extra=rows)
        self.tip = header
        self._recent.put(height, executed.receipts)
        self._drop_losers()
        return Committed(block=block, certificate=certificate, transactions=executed.ids, receipts=executed.receipts)

    def _drop_losers(self) -> None:
        """Keep only what stands on the new tip; the overlays of the rest ended with the state's commit."""
        alive: dict[Digest, _Executed] = {}
        known = {self.tip.digest}
        for digest, executed in self._executed.items():
            # Parents were executed before their children, so they come first.
            if executed.header.parent in known:
                known.add(digest)
                alive[digest] = executed
        self._executed = alive

    def _committed(self, block: Block, certificate: CommitCertificate) -> Committed:
        receipts = self.receipts(block.height)
        ids = tuple(receipt.transaction for receipt in receipts[1:])
        return Committed(block=block, certificate=certificate, transactions=ids, receipts=receipts)

    # -- reading

    def ids(self, digest: Digest) -> tuple[bytes, ...]:
        """Ids of the transactions of a block that was executed and is not final yet, in order."""
        return self._executed[digest].ids

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        """Receipts of a block in the state, the clock's first; empty above the tip and for genesis."""
        known = self._recent.get(height)
        if known is None:
            known = tuple(decode_trusted(Receipt, data) for data in self.receipt_bytes(height))
            self._recent.put(height, known)
        return known

    def receipt_bytes(self, height: int) -> tuple[bytes, ...]:
        """The leaves of the receipts root of a block in the state. Raises StoreError if they are damaged."""
        if not 1 <= height <= self.tip.height:
            return ()
        data, header = self._state.row(receipts_key(height)), self._blocks.header_at(height)
        try:
            leaves = decode_trusted(tuple[bytes, ...], data or b"")
        except msgspec.DecodeError as error:
            raise self._state.broken(f"the receipts of block {height} cannot be read: {error}") from error
        if header is None or rfc6962_root(leaves) != header.receipts_root:
            raise self._state.broken(f"the receipts of block {height} are not those of its header")
        return leaves

    def receipt(self, height: int, index: int) -> Receipt | None:
        """Receipt of transaction `index` of a block, or None if there is no such transaction."""
        receipts = self.receipts(height)
        return receipts[index + 1] if 0 <= index < len(receipts) - 1 else None

    def locate(self, id: bytes) -> tuple[int, int] | None:
        """Height and index of a committed transaction."""
        data = self._state.row(transaction_key(id))
        if data is None:
            return None
        if len(data) != 12:
            raise self._state.broken(f"the index entry of transaction {id.hex()} is damaged")
        return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")

    def block_at(self, height: int) -> Block | None:
        """A block whose effects are in the state; None above the tip and for genesis."""
        return self._blocks.block_at(height) if height <= self.tip.height else None


def _receipts(result: BlockResult) -> tuple[tuple[Receipt, ...], tuple[bytes, ...]]:
    receipts = (result.clock, *result.receipts)
    return receipts, tuple([encode(receipt) for receipt in receipts])
