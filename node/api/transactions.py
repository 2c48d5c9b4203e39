"""Submitting transactions and asking what became of them.

The fast path is one msgpack array of many transactions: the body is bounded, decoded by one call into
a list of byte strings with limits on count and length, and handed to the node as it is.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Sequence
from typing import Any, Final

import msgpack
import msgspec
from aiohttp import web

from node.api.backend import Fate, Submission
from node.api.call import Call, found
from node.api.problems import INVALID_BODY, POOL_FULL, REJECTED, ApiError, ledger_code
from node.api.results import result_name
from node.api.routes import JSON
from node.api.shapes import (
    FateQuery,
    Nothing,
    Outcome,
    SenderPath,
    SubmitBody,
    SubmitQuery,
    TransactionPath,
)
from node.claims.transaction import MAX_TRANSACTION_BYTES

MAX_TRANSACTIONS: Final = 4096
POOL_RETRY_S: Final = 1
FINAL: Final = frozenset({"committed", "expired", "rejected"})


def _unpack(body: bytes) -> list[bytes]:
    """An array of byte strings and nothing else. Raises ValueError.

    The limits are checked against the announced lengths, before anything is allocated for them.
    """
    raw = msgpack.unpackb(
        body,
        max_array_len=MAX_TRANSACTIONS,
        max_bin_len=MAX_TRANSACTION_BYTES,
        max_str_len=0,
        max_map_len=0,
        max_ext_len=0,
    )
    if not isinstance(raw, list) or not raw:
        raise ValueError("expected an array of at least one")
    for position, item in enumerate(raw):
        if not isinstance(item, bytes):
            raise ValueError(f"expected bytes at {position}")
    return raw


def raw_transactions(call: Call[Nothing, SubmitQuery, SubmitBody]) -> Sequence[bytes]:
    """The submitted transactions' bytes. Raises ApiError."""
    if call.request.content_type != JSON:
        try:
            raw: Sequence[bytes] = _unpack(call.raw)
        except (ValueError, msgpack.UnpackException) as error:
            raise ApiError(INVALID_BODY, f"not a msgpack array of transactions: {error}") from None
    else:
        raw = _from_json(call)
    most = call.gate.limits.max_transactions
    if len(raw) > most:
        raise ApiError(INVALID_BODY, f"{len(raw)} transactions where at most {most} are taken at once")
    return raw


def _from_json(call: Call[Nothing, SubmitQuery, SubmitBody]) -> Sequence[bytes]:
    many, one = call.body.transactions, call.body.transaction
    if (many is msgspec.UNSET) == (one is msgspec.UNSET):
        raise ApiError(INVALID_BODY, "give either `transactions` or `transaction`")
    if one is not msgspec.UNSET:
        try:
            return [call.backend.encode_transaction(one)]
        except (ValueError, OverflowError, RecursionError) as error:
            raise ApiError(INVALID_BODY, f"transaction: {error}") from None
    raw = []
    assert many is not msgspec.UNSET
    for position, text in enumerate(many):
        try:
            raw.append(binascii.unhexlify(text))
        except ValueError:
            raise ApiError(INVALID_BODY, f"transactions[{position}] is not hex") from None
        if len(raw[-1]) > MAX_TRANSACTION_BYTES:
            raise ApiError(INVALID_BODY, f"transactions[{position}] is longer than {MAX_TRANSACTION_BYTES} bytes")
    return raw


async def submit(call: Call[Nothing, SubmitQuery, SubmitBody]) -> web.Response:
    """202 as soon as the pool holds at least one of them, 200 once all fates are final (`?wait=final`)."""
    raw = raw_transactions(call)
    # Shielded: a client that hangs up in the middle must not leave a half-entered batch.
    submissions = await asyncio.shield(call.backend.submit(raw))
    if not any(entry.status in ("pending", "committed") for entry in submissions):
        raise _none_accepted(submissions)
    if call.query.wait == "final":
        return await _answer_final(call, submissions)
    call.as_of = call.backend.as_of()
    return call.send(
        {"as_of": call.as_of, "data": [_outcome(entry) for entry in submissions]}, status=202, cacheable=False
    )


async def _answer_final(
    call: Call[Nothing, SubmitQuery, SubmitBody], submissions: Sequence[Submission]
) -> web.Response:
    pending = [entry.id for entry in submissions if entry.status in ("pending", "committed")]
    timeout_s = min(call.query.timeout_ms, call.gate.limits.max_wait_ms) / 1000
    with call.api.parked(call.request, call.gate.waiting):
        fates = await call.backend.wait_final(pending, timeout_s)
    by_id = {fate.id: fate for fate in fates}
    data: list[object] = []
    final = True
    for entry in submissions:
        fate = by_id.get(entry.id)
        if fate is None:
            data.append(_outcome(entry))
            final = final and entry.status != "refused"
            continue
        final = final and fate.status in FINAL
        data.append(_described(fate))
    call.as_of = call.backend.as_of()
    return call.send({"as_of": call.as_of, "data": data}, status=200 if final else 202, cacheable=False)


def _outcome(entry: Submission) -> Outcome:
    if entry.code:
        return Outcome(
            id=entry.id.hex(),
            status=entry.status,
            code=ledger_code(entry.code),
            result=result_name(entry.code),
            detail=entry.detail,
        )
    return Outcome(id=entry.id.hex(), status=entry.status, detail=entry.detail)


def _none_accepted(submissions: Sequence[Submission]) -> ApiError:
    outcomes = [msgspec.to_builtins(_outcome(entry)) for entry in submissions]
    full = sum(entry.status == "refused" for entry in submissions)
    if full:
        detail = next(entry.detail for entry in submissions if entry.status == "refused")
        return ApiError(
            POOL_FULL,
            f"{full} of {len(submissions)} refused: {detail}",
            retry_after_s=POOL_RETRY_S,
            transactions=outcomes,
        )
    first = submissions[0]
    return ApiError(
        REJECTED,
        f"{len(submissions)} rejected; the first: {result_name(first.code)} {first.detail}".rstrip(),
        transactions=outcomes,
    )


def _described(fate: Fate) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": fate.id.hex(),
        "status": fate.status,
        "code": "",
        "result": "",
        "detail": fate.detail,
    }
    if fate.code:
        view["code"], view["result"] = ledger_code(fate.code), result_name(fate.code)
    if fate.status == "committed":
        view |= {"height": fate.height, "index": fate.index, "result": result_name(fate.code)}
        if fate.receipt is not None:
            view["receipt"] = fate.receipt
    return view


async def fate(call: Call[TransactionPath, FateQuery, None]) -> web.Response:
    """The fate of one transaction; with `wait_ms`, as soon as it is final."""
    identity = bytes.fromhex(call.path.id)
    now = call.backend.fate(identity)
    wait_ms = min(call.query.wait_ms, call.gate.limits.max_wait_ms)
    if now.status not in FINAL and wait_ms > 0:
        with call.api.parked(call.request, call.gate.waiting):
            now = (await call.backend.wait_final([identity], wait_ms / 1000))[0]
        call.as_of = call.backend.as_of()
    view = _described(now)
    if now.status == "committed":
        view["transaction"] = call.backend.transaction(now.height, now.index)
    return call.record(view, cacheable=False)


async def transaction_proof(call: Call[TransactionPath, Nothing, None]) -> web.Response:
    """Proof that the transaction and its receipt are in a final block."""
    proof = found(call.backend.prove_transaction(bytes.fromhex(call.path.id)), "committed transaction", call.path.id)
    return call.record(proof)


async def sender(call: Call[SenderPath, Nothing, None]) -> web.Response:
    """Whose account a key is and its next free sequence, transactions that are pending here included."""
    record = found(call.backend.sender(bytes.fromhex(call.path.key)), "account with the key", call.path.key)
    return call.record(record, cacheable=False)
