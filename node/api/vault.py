"""Evidence items: what the chain says of them, and the bytes and sealed keys that this node's vault keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Final

from aiohttp import hdrs, web

from node.api.call import Call, found, origin_headers
from node.api.problems import (
    ERASED,
    INVALID_BODY,
    NOT_ENTITLED,
    NOT_FOUND,
    NOT_HERE_YET,
    NOT_HOLDER,
    REQUEST_TIMEOUT,
    UNSIGNED,
    UNSUPPORTED_MEDIA,
    VAULT_FULL,
    WRONG_CONTENT,
    ApiError,
    Kind,
)
from node.api.shapes import Nothing, PageQuery, ProveQuery
from node.api.vault_shapes import (
    ItemPath,
    ItemsQuery,
    OpenedView,
    ReceiptOfOpening,
    SealedKeyBody,
    SealedKeyPath,
    SealedKeyView,
    StandingView,
)
from node.claims.evidence.views import purpose_text
from node.claims.ids import item_id
from node.claims.wire import encode
from node.vault.errors import Refusal, VaultRefused
from node.vault.sealing import CHUNK_BYTES
from node.vault.signed import Receipt

PROBLEM_OF: Final[dict[Refusal, Kind]] = {
    Refusal.NO_SUCH_ITEM: NOT_FOUND,
    Refusal.BAD_SIGNATURE: UNSIGNED,
    Refusal.NOT_ENTITLED: NOT_ENTITLED,
    Refusal.NOT_A_HOLDER: NOT_HOLDER,
    Refusal.NOT_HERE_YET: NOT_HERE_YET,
    Refusal.ERASED: ERASED,
    Refusal.WRONG_CONTENT: WRONG_CONTENT,
    Refusal.FULL: VAULT_FULL,
}
RETRY_S: Final = 1


def _problem(error: VaultRefused) -> ApiError:
    kind = PROBLEM_OF[error.why]
    return ApiError(kind, error.detail, retry_after_s=RETRY_S if kind.status == 503 else None)


def _header(call: Call[ItemPath, Nothing, None] | Call[SealedKeyPath, Nothing, SealedKeyBody]) -> str:
    return call.request.headers.get(hdrs.AUTHORIZATION, "")


async def items(call: Call[Nothing, ItemsQuery, None]) -> web.Response:
    query = call.query
    records, following = call.backend.evidence_items(
        claim=query.claim, cursor=query.cursor, limit=call.limit(query.limit)
    )
    return call.page(records, following)


async def item(call: Call[ItemPath, ProveQuery, None]) -> web.Response:
    name = call.path.id
    record = found(call.backend.evidence_item(name), "evidence item", name)
    proof = call.backend.prove_state(call.backend.record_key("evidence", name)) if call.query.prove else None
    return call.record(record, proof=proof)


async def openings(call: Call[ItemPath, PageQuery, None]) -> web.Response:
    """Anchored openings of an item."""
    name, query = call.path.id, call.query
    answer = call.backend.evidence_openings(name, cursor=query.cursor, limit=call.limit(query.limit))
    records, following = found(answer, "evidence item", name)
    return call.page(records, following)


def _standing(call: Call[ItemPath, Nothing, None] | Call[SealedKeyPath, Nothing, SealedKeyBody]) -> web.Response:
    standing = call.backend.vault.standing(item_id(call.path.id))
    view = StandingView(
        id=call.path.id,
        status=standing.item.status.name.lower(),
        organisation=standing.organisation,
        is_holder=standing.is_holder,
        has_bytes=standing.has_blob,
        sealed_keys=standing.sealed_keys,
        is_destroyed=standing.is_destroyed,
    )
    return call.record(view, cacheable=False)


async def standing(call: Call[ItemPath, Nothing, None]) -> web.Response:
    try:
        return _standing(call)
    except VaultRefused as error:
        raise _problem(error) from None


async def put_bytes(call: Call[ItemPath, Nothing, None]) -> web.Response:
    """The encrypted bytes, streamed: who asks, and for what, is checked before the first of them is read."""
    if call.request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ApiError(UNSUPPORTED_MEDIA, "a compressed body is not accepted")
    try:
        await call.backend.vault.put_blob(item_id(call.path.id), _header(call), _body(call))
        call.as_of = call.backend.as_of()
        return _standing(call)
    except VaultRefused as error:
        raise _problem(error) from None


async def _body(call: Call[ItemPath, Nothing, None]) -> AsyncIterator[bytes]:
    limit_s = call.gate.limits.upload_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            async for part in call.request.content.iter_chunked(CHUNK_BYTES):
                yield part
    except TimeoutError:
        raise ApiError(REQUEST_TIMEOUT, f"the body was not complete after {limit_s:g} seconds") from None
    except web.RequestPayloadError as error:
        raise ApiError(INVALID_BODY, f"the body could not be read: {error}") from None


async def get_bytes(call: Call[ItemPath, Nothing, None]) -> web.StreamResponse:
    try:
        path, _ = call.backend.vault.blob(item_id(call.path.id), _header(call))
    except VaultRefused as error:
        raise _problem(error) from None
    headers = origin_headers(call.as_of) | {hdrs.CACHE_CONTROL: "no-store"}
    return web.FileResponse(path, chunk_size=CHUNK_BYTES, headers=headers)


async def put_key(call: Call[SealedKeyPath, Nothing, SealedKeyBody]) -> web.Response:
    recipient, box = bytes.fromhex(call.path.recipient), bytes.fromhex(call.body.sealed_key)
    digest = sha256(recipient + box).digest()
    try:
        await call.backend.vault.put_key(item_id(call.path.id), recipient, box, digest, _header(call))
        call.as_of = call.backend.as_of()
        return _standing(call)
    except VaultRefused as error:
        raise _problem(error) from None


async def sealed_keys(call: Call[ItemPath, Nothing, None]) -> web.Response:
    """For the nodes of other holders."""
    try:
        boxes = call.backend.vault.sealed_keys(item_id(call.path.id), _header(call))
    except VaultRefused as error:
        raise _problem(error) from None
    data = [SealedKeyView(recipient=recipient.hex(), sealed_key=box.hex()) for recipient, box in boxes]
    return call.send({"as_of": call.as_of, "data": data}, cacheable=False)


async def open_item(call: Call[ItemPath, Nothing, None]) -> web.Response:
    try:
        box, receipt = call.backend.vault.open(item_id(call.path.id), _header(call))
    except VaultRefused as error:
        raise _problem(error) from None
    return call.record(OpenedView(sealed_key=box.hex(), receipt=_receipt(receipt)), cacheable=False)


async def receipts(call: Call[ItemPath, Nothing, None]) -> web.Response:
    try:
        kept = call.backend.vault.receipts(item_id(call.path.id), _header(call))
    except VaultRefused as error:
        raise _problem(error) from None
    data = [_receipt(receipt) for receipt in kept]
    return call.send({"as_of": call.as_of, "data": data}, cacheable=False)


def _receipt(receipt: Receipt) -> ReceiptOfOpening:
    return ReceiptOfOpening(
        recipient=receipt.recipient.hex(),
        purpose=str(purpose_text(receipt.purpose)),
        opened_ms=receipt.opened_ms,
        digest=receipt.digest.hex(),
        receipt=encode(receipt).hex(),
    )
