"""Keyed values from a client's side: blind here, have the organisations work, unblind here.

What leaves this process are blinded group elements and a signature. Inputs are built with `node.oprf.inputs`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from node.claims.nullifiers.holders import ValueKind
from node.client.errors import ClientError
from node.crypto import SigningKey
from node.duplicates.messages import MAX_ELEMENTS, signed_bytes
from node.oprf.group import NotInGroup
from node.oprf.values import blind, finish

if TYPE_CHECKING:
    from node.client.client import Client, Record


async def key_state(client: Client) -> Record:
    """As GET /v1/duplicates says: the key, who holds it, what was used."""
    record: Record = (await client.get("/v1/duplicates"))["data"]
    return record


async def active_epoch(client: Client) -> int:
    """Number of the key that makes values; 0 if this chain has none."""
    return int((await key_state(client))["active_epoch"])


async def make_values(
    client: Client, key: SigningKey, genesis: bytes, epoch: int, inputs: Sequence[tuple[ValueKind, bytes]]
) -> list[bytes]:
    """The value of each input, in order; one is made once however often it is asked for in one call.

    `key` is an organisation's account key and counts against its quota. Raises ClientError.
    """
    distinct = list(dict.fromkeys(inputs))
    values: dict[tuple[ValueKind, bytes], bytes] = {}
    for start in range(0, len(distinct), MAX_ELEMENTS):
        chunk = distinct[start : start + MAX_ELEMENTS]
        blinded = [blind(genesis, epoch, kind, text, secrets.token_bytes) for kind, text in chunk]
        elements = [one.element for one in blinded]
        issued_ms = time.time_ns() // 1_000_000
        body = {
            "epoch": epoch,
            "sender": key.public.hex(),
            "issued_ms": issued_ms,
            "elements": [element.hex() for element in elements],
            "signature": key.sign(signed_bytes(genesis, epoch, issued_ms, elements)).hex(),
        }
        answer = await client.http.request("POST", "/v1/duplicates/evaluate", body=msgspec.json.encode(body))
        results = [bytes.fromhex(result) for result in answer["data"]["results"]]
        try:
            made = [finish(genesis, epoch, one, result) for one, result in zip(blinded, results, strict=True)]
        except (NotInGroup, ValueError) as error:
            raise ClientError(f"the node answered nonsense: {error}", code="") from None
        values.update(zip(chunk, made, strict=True))
    return [values[one] for one in inputs]


async def holder_of(client: Client, kind: ValueKind, value: bytes) -> Record:
    """The claim or member that a value is known from."""
    record: Record = (await client.get(f"/v1/duplicates/{kind.name.lower()}/{value.hex()}"))["data"]
    return record
