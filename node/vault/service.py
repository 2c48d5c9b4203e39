"""What a node does with evidence when asked: every request is held against the state of the chain.

Deny by default: a request is served only to a key that the table below names, for an item that is kept, at a node
whose organisation holds it. Being a holder is no leave to read: sealed keys go to their recipients, and to other
holders' nodes, which cannot open them.

| asked           | by                                                    |
|-----------------|-------------------------------------------------------|
| store           | who registered the item; a holder                     |
| put-key         | who granted; a holder's node                          |
| open, fetch     | a key with a live grant (fetch: a holder's node too)  |
| keys            | a holder's node                                       |
| receipts        | an account of a holder                                |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, NamedTuple

from node.claims.consortium import load_sender
from node.claims.evidence.records import (
    GrantRecord,
    ItemRecord,
    ItemStatus,
    granted_by_sender,
    live_grant,
    load_grant,
    load_item,
)
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.claims.types import NO_ORGANISATION
from node.claims.wire import encode
from node.crypto import SigningKey
from node.vault.errors import Refusal, VaultRefused
from node.vault.sealing import ciphertext_bytes
from node.vault.signed import FRESH_MS, NOTHING, What, is_signed, make_receipt, read_authorization, read_receipt
from node.vault.signed import Receipt as OpeningReceipt
from node.vault.store import VaultStore

MAX_UPLOADS: Final = 8
"""Blobs on their way in at once."""


class Caller(NamedTuple):
    """Whose key signed a request. A node's key counts as its organisation, but is no account."""

    key: bytes
    organisation: int
    member: int
    is_node: bool
    signature: bytes
    at_ms: int


class Standing(NamedTuple):
    """How one item stands at this node."""

    item: ItemRecord
    organisation: str
    """Whose node this is."""
    is_holder: bool
    has_blob: bool
    sealed_keys: int
    is_destroyed: bool


class VaultService:
    """The vault of one node. `state` gives the committed state, `chain_ms` and `wall_ms` the times."""

    def __init__(
        self,
        store: VaultStore,
        registry: Registry,
        key: SigningKey,
        organisation: str,
        state: Callable[[], ReadState],
        chain_ms: Callable[[], int],
        wall_ms: Callable[[], int],
    ) -> None:
        self.store, self.registry, self._key = store, registry, key
        self.organisation = registry.number_of[organisation]
        self.openings = 0
        """Served since the start."""
        self._state, self._chain_ms, self._wall_ms = state, chain_ms, wall_ms
        self._nodes = {
            organisation.node_key: number
            for number, organisation in enumerate(registry.genesis.organisations)
            if organisation.node_key
        }
        self._coming: set[int] = set()
        self._writing = asyncio.Lock()

    def standing(self, number: int) -> Standing:
        """Raises VaultRefused if there is no such item."""
        item = self._item(number)
        return Standing(
            item,
            self.registry.names[self.organisation],
            self.organisation in item.holders,
            self.store.has_blob(number),
            len(self.store.boxes(number)),
            self.store.is_destroyed(number),
        )

    async def put_blob(self, number: int, header: str, parts: AsyncIterator[bytes]) -> None:
        """Take in an item's encrypted bytes. The signature covers their hash on the chain, not the bytes: they
        are compared with that hash anyway. Raises VaultRefused, StoreError."""
        item = self._kept(number)
        caller = self._caller("store", item, header, item.ciphertext)
        registered = item.member == caller.member if caller.member else item.organisation == caller.organisation
        if not registered and (caller.member or caller.organisation not in item.holders):
            raise VaultRefused(Refusal.NOT_ENTITLED, "only who registered the item, or a holder, may send its bytes")
        if not self.store.has_blob(number):
            await self.take_in(number, item, parts)

    async def take_in(self, number: int, item: ItemRecord, parts: AsyncIterator[bytes]) -> None:
        """The bytes of an item that this node holds, from wherever. Raises VaultRefused, StoreError."""
        if number in self._coming or len(self._coming) >= MAX_UPLOADS:
            raise VaultRefused(Refusal.FULL, f"this item, or {MAX_UPLOADS} others, are on their way in; try again")
        incoming = self.store.receive(number, ciphertext_bytes(item.bucket), item.ciphertext)
        self._coming.add(number)
        try:
            async for part in parts:
                incoming.write(part)
            incoming.check()
            async with self._writing:
                # Its erasure may have begun while it came; the lock is the one that destruction takes.
                self._kept(number)
                await asyncio.to_thread(incoming.finish)
        finally:
            self._coming.discard(number)
            incoming.drop()

    async def put_key(self, number: int, recipient: bytes, box: bytes, body: bytes, header: str) -> None:
        """A sealed key for a recipient that the chain names. Raises VaultRefused."""
        item = self._kept(number)
        caller = self._caller("put-key", item, header, body)
        grant = self._live(number, item, recipient)
        if not caller.is_node and not granted_by_sender(grant, caller.organisation, caller.member):
            raise VaultRefused(Refusal.NOT_ENTITLED, "only who granted may send the sealed key")
        await self.keep_key(number, recipient, box)

    async def keep_key(self, number: int, recipient: bytes, box: bytes) -> None:
        """A sealed key, from its granter or another holder. Raises VaultRefused, StoreError."""
        async with self._writing:
            self._kept(number)
            self.store.put_box(number, recipient, box)

    def open(self, number: int, header: str) -> tuple[bytes, OpeningReceipt]:
        """The caller's sealed key and a receipt, which is on disk before this returns. Raises VaultRefused."""
        item = self._kept(number)
        caller = self._caller("open", item, header, NOTHING)
        grant = self._live(number, item, caller.key)
        box = self.store.box(number, caller.key)
        if box is None:
            raise VaultRefused(Refusal.NOT_HERE_YET, "the sealed key for this recipient has not come yet")
        known = self.store.receipt(number, caller.signature)
        receipt = None if known is None else read_receipt(known)
        if receipt is None:
            signed = read_authorization(header)
            assert signed is not None
            # A block may lie a little ahead of this clock; the chain must find the opening after the item.
            opened_ms = max(self._chain_ms(), item.registered_ms)
            receipt = make_receipt(self._key, self.registry.digest, item.commitment, signed, grant.purpose, opened_ms)
            self.store.put_receipt(number, caller.signature, encode(receipt))
            self.openings += 1
        return box, receipt

    def blob(self, number: int, header: str) -> tuple[Path, int]:
        """File and length of the encrypted bytes. Raises VaultRefused."""
        item = self._kept(number)
        caller = self._caller("fetch", item, header, NOTHING)
        if not (caller.is_node and caller.organisation in item.holders):
            self._live(number, item, caller.key)
        if not self.store.has_blob(number):
            raise VaultRefused(Refusal.NOT_HERE_YET, "the item's bytes have not come yet")
        return self.store.blob(number), ciphertext_bytes(item.bucket)

    def sealed_keys(self, number: int, header: str) -> list[tuple[bytes, bytes]]:
        """(recipient, sealed key), for another holder's node. Raises VaultRefused."""
        item = self._kept(number)
        caller = self._caller("keys", item, header, NOTHING)
        if not (caller.is_node and caller.organisation in item.holders):
            raise VaultRefused(Refusal.NOT_ENTITLED, "only the nodes of holders may fetch sealed keys")
        return self.store.boxes(number)

    def receipts(self, number: int, header: str) -> list[OpeningReceipt]:
        """Receipts of openings at this node, for holders. Raises VaultRefused."""
        item = self._item(number)
        caller = self._caller("receipts", item, header, NOTHING)
        if caller.member or caller.organisation not in item.holders:
            raise VaultRefused(Refusal.NOT_ENTITLED, "only holders may read the receipts of openings")
        found = (read_receipt(data) for data in self.store.receipts(number))
        return [receipt for receipt in found if receipt is not None]

    async def destroy(self, number: int) -> None:
        """Destroy this node's copy. Raises StoreError."""
        async with self._writing:
            await asyncio.to_thread(self.store.destroy, number)

    def load(self, number: int) -> ItemRecord | None:
        return load_item(self._state(), number)

    def is_granted(self, number: int, item: ItemRecord, recipient: bytes) -> bool:
        return live_grant(self._state(), number, item, recipient, self._chain_ms()) is not None

    def _item(self, number: int) -> ItemRecord:
        item = self.load(number)
        if item is None:
            raise VaultRefused(Refusal.NO_SUCH_ITEM, "there is no such evidence item as of this node's last block")
        return item

    def _kept(self, number: int) -> ItemRecord:
        item = self._item(number)
        if item.status is not ItemStatus.KEPT:
            raise VaultRefused(Refusal.ERASED, "the item is erased, or its erasure has begun")
        if self.organisation not in item.holders:
            holders = ", ".join(self.registry.names[holder] for holder in item.holders)
            raise VaultRefused(Refusal.NOT_A_HOLDER, f"this node does not hold the item; ask a node of {holders}")
        return item

    def _live(self, number: int, item: ItemRecord, recipient: bytes) -> GrantRecord:
        state = self._state()
        grant = live_grant(state, number, item, recipient, self._chain_ms())
        if grant is None:
            over = load_grant(state, number, recipient) is not None
            raise VaultRefused(Refusal.NOT_ENTITLED, "the grant is over" if over else "there is no grant for this key")
        return grant

    def _caller(self, what: What, item: ItemRecord, header: str, body: bytes) -> Caller:
        """Who signed. Raises VaultRefused."""
        signed = read_authorization(header)
        if signed is None:
            raise VaultRefused(Refusal.BAD_SIGNATURE, "the Authorization header is missing or malformed")
        if abs(self._wall_ms() - signed.at_ms) > FRESH_MS:
            raise VaultRefused(
                Refusal.BAD_SIGNATURE, f"the request's time is more than {FRESH_MS // 60_000} minutes off this clock"
            )
        if not is_signed(signed, self.registry.digest, what, item.commitment, body):
            raise VaultRefused(Refusal.BAD_SIGNATURE, "the signature does not cover this request")
        node = self._nodes.get(signed.key)
        if node is not None:
            return Caller(signed.key, node, 0, True, signed.signature, signed.at_ms)
        sender = load_sender(self._state(), signed.key)
        if sender is None:
            raise VaultRefused(Refusal.NOT_ENTITLED, "the key is no account of this chain")
        organisation = NO_ORGANISATION if sender.member else sender.organisation
        return Caller(signed.key, organisation, sender.member, False, signed.signature, signed.at_ms)
