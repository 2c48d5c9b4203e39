"""Keeps a node's vault in step with the chain: fetches what it holds and lacks, destroys what is being erased.

It reads the events of each new block, and at the start all items once, so that whatever a crash or an absence left
undone is done. What cannot be done yet (no holder has the bytes, a peer is away) is tried again, later each time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final

import aiohttp
import msgspec

from consensus.errors import ChainError
from node.claims import keys
from node.claims.application import Receipt
from node.claims.evidence.records import ItemRecord, ItemStatus
from node.claims.evidence.views import EVENTS
from node.claims.ids import item_text
from node.claims.state import ReadState
from node.claims.wire import decode_trusted
from node.crypto import SigningKey
from node.errors import StoreError
from node.link import steady_ms, wall_ms
from node.vault.errors import VaultRefused
from node.vault.sealing import BOX_BYTES, CHUNK_BYTES
from node.vault.service import VaultService
from node.vault.signed import What, authorization
from node.vault.store import MAX_BOXES

log = logging.getLogger("weal.vault")
FIRST_PAUSE_MS: Final = 100
LONGEST_PAUSE_MS: Final = 30_000
_SLICE: Final = 500
_IDLE_S: Final = 30.0
_BUSY_S: Final = 0.02
_AT_ONCE: Final = 64
_LIST_BYTES: Final = MAX_BOXES * 400
_TIMEOUT: Final = aiohttp.ClientTimeout(total=300, sock_connect=5, sock_read=30)


class SealedKeyEntry(msgspec.Struct, frozen=True):
    recipient: str
    sealed_key: str


class _Answer(msgspec.Struct, frozen=True):
    """The part of the answer to `keys` that matters here."""

    data: list[SealedKeyEntry]


class Keeper:
    """The vault's background work. `receipts` gives those of a committed block."""

    def __init__(
        self,
        service: VaultService,
        key: SigningKey,
        *,
        state: Callable[[], ReadState],
        receipts: Callable[[int], Sequence[Receipt]],
        wait_height: Callable[[int, float], Awaitable[int]],
        addresses: Mapping[str, str],
    ) -> None:
        self._service, self._key = service, key
        self._state, self._receipts, self._wait_height = state, receipts, wait_height
        names = service.registry.number_of
        self._urls = {
            names[name]: (address if "://" in address else f"http://{address}").rstrip("/")
            for name, address in addresses.items()
            if name in names
        }
        self._due: dict[int, tuple[int, int]] = {}
        """Item -> (when to look at it, pause after that); steady ms."""
        self._queue: list[tuple[int, int]] = []
        """Heap of (when, item); an entry that does not agree with `_due` is stale."""
        self._session: aiohttp.ClientSession | None = None

    @property
    def waiting(self) -> int:
        """Items for which something is left to do."""
        return len(self._due)

    async def run(self, height: int) -> None:
        """For ever, from a state that is at `height`. Raises StoreError."""
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            await self._look_at_all()
            while True:
                top = await self._wait_height(height, self._pause_s())
                for new in range(height + 1, top + 1):
                    self._read(self._receipts(new))
                height = max(height, top)
                await self._work()

    async def _look_at_all(self) -> None:
        start, end = keys.table(keys.ITEM)
        while True:
            count = 0
            for key, raw in self._state().scan(start, end):
                count += 1
                start = key + b"\0"
                if self._is_left(keys.number_of(key), decode_trusted(ItemRecord, raw)):
                    self._put(keys.number_of(key), 0, FIRST_PAUSE_MS)
                if count == _SLICE:
                    break
            if count < _SLICE:
                return
            await asyncio.sleep(0)

    def _is_left(self, number: int, item: ItemRecord) -> bool:
        """Whether the start has to look closer: cheap, and rather yes than no."""
        if self._service.organisation not in item.holders:
            return False
        return item.status is ItemStatus.KEPT or not self._service.store.is_destroyed(number)

    def _read(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            for event in receipt.events:
                if event.kind in EVENTS:
                    self._put(event.subject, 0, FIRST_PAUSE_MS)

    def _put(self, number: int, due_ms: int, pause_ms: int) -> None:
        self._due[number] = (due_ms, pause_ms)
        heappush(self._queue, (due_ms, number))

    def _pause_s(self) -> float:
        """Until the next item is due, if no block comes before."""
        if not self._queue:
            return _IDLE_S
        return min(_IDLE_S, max(_BUSY_S, (self._queue[0][0] - steady_ms()) / 1000))

    async def _work(self) -> None:
        """Look at what is due, a bounded number of items; the next block is read in between."""
        for _ in range(_AT_ONCE):
            if not self._queue or self._queue[0][0] > steady_ms():
                return
            due_ms, number = heappop(self._queue)
            known = self._due.get(number)
            if known is None or known[0] != due_ms:
                continue
            try:
                done = await self._settle(number)
            except StoreError:
                raise
            except (ChainError, aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError, ValueError) as error:
                # What a peer sends is not repeated in our log.
                log.debug("%s is left for later: %s", item_text(number), type(error).__name__)
                done = False
            if self._due.get(number) != known:
                continue
            if done:
                del self._due[number]
            else:
                self._put(number, steady_ms() + known[1], min(2 * known[1], LONGEST_PAUSE_MS))

    async def _settle(self, number: int) -> bool:
        """Do for one item what can be done; True if nothing is left."""
        service = self._service
        item = service.load(number)
        if item is None or service.organisation not in item.holders:
            return True
        if item.status is not ItemStatus.KEPT:
            if not service.store.is_destroyed(number):
                await service.destroy(number)
                log.info("destroyed this node's copy of %s", item_text(number))
            return True
        missing = self._missing_keys(number, item)
        if service.store.has_blob(number) and not missing:
            return True
        for holder in item.holders:
            url = self._urls.get(holder)
            if url is None:
                continue
            try:
                if not service.store.has_blob(number):
                    await self._fetch_blob(url, number, item)
                if missing:
                    await self._fetch_keys(url, number, item, missing)
            except (VaultRefused, aiohttp.ClientError, TimeoutError, msgspec.DecodeError, ValueError):
                continue
            missing = self._missing_keys(number, item)
            if not missing and service.store.has_blob(number):
                return True
        return False

    def _missing_keys(self, number: int, item: ItemRecord) -> list[bytes]:
        recipients = [key[-32:] for key, _ in self._state().scan(*keys.grants_of(number))][:MAX_BOXES]
        return [
            recipient
            for recipient in recipients
            if self._service.store.box(number, recipient) is None and self._service.is_granted(number, item, recipient)
        ]

    async def _fetch_blob(self, url: str, number: int, item: ItemRecord) -> None:
        async with self._get(url, number, item, "fetch", "bytes") as answer:
            answer.raise_for_status()
            await self._service.take_in(number, item, _parts(answer))

    async def _fetch_keys(self, url: str, number: int, item: ItemRecord, missing: Sequence[bytes]) -> None:
        async with self._get(url, number, item, "keys", "keys") as answer:
            answer.raise_for_status()
            body = await answer.content.read(_LIST_BYTES)
            while len(body) < _LIST_BYTES and (more := await answer.content.read(_LIST_BYTES - len(body))):
                body += more
        boxes = {bytes.fromhex(entry.recipient): entry for entry in msgspec.json.decode(body, type=_Answer).data}
        for recipient in missing:
            if recipient in boxes and len(box := bytes.fromhex(boxes[recipient].sealed_key)) == BOX_BYTES:
                await self._service.keep_key(number, recipient, box)

    def _get(self, url: str, number: int, item: ItemRecord, what: What, path: str) -> Any:
        assert self._session is not None
        header = authorization(self._key, self._service.registry.digest, what, item.commitment, wall_ms())
        return self._session.get(
            f"{url}/v1/vault/items/{item_text(number)}/{path}",
            headers={"Authorization": header},
            timeout=_TIMEOUT,
            allow_redirects=False,
        )


async def _parts(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for part in answer.content.iter_chunked(CHUNK_BYTES):
        yield part
