"""Keyed values from a client's side: make the key; blind here, have the organisations work, unblind here.

What leaves this process are blinded group elements and a signature. Inputs are built with `node.oprf.inputs`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from node.claims.genesis import Genesis
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefusalReason, RefuseKey
from node.claims.nullifiers.holders import ValueKind
from node.claims.nullifiers.records import threshold_of
from node.client.errors import ClientError, Rejected
from node.crypto import SigningKey
from node.duplicates.messages import MAX_ELEMENTS, signed_bytes
from node.oprf.ceremony import Ceremony, deal
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


def next_dealing(genesis: Genesis, newest: Record | None, organisation: str) -> DealKey:
    """A fresh dealing of the organisation: for the key that is being made, or for the next one.

    `newest` is that of `key_state`. Raises Rejected if the ledger would not take it.
    """
    holders = {one.name: one.node_key for one in genesis.organisations if one.node_key}
    if organisation not in holders:
        raise Rejected(f"{organisation} runs no node, so it holds no share of the key", code="")
    if newest is not None and newest["status"] == "confirming":
        raise Rejected(f"key epoch {newest['epoch']} is being confirmed: no more dealings are taken", code="")
    is_open = newest is not None and newest["status"] == "dealing"
    ceremony = Ceremony(
        genesis=genesis.digest,
        epoch=1 if newest is None else newest["epoch"] + (not is_open),
        threshold=threshold_of(len(holders)),
        holders=tuple(holders.values()),
    )
    try:
        made = deal(ceremony, list(holders).index(organisation) + 1, secrets.token_bytes)
    except NotInGroup as error:
        raise Rejected(f"a node key of the genesis cannot be sealed to: {error}", code="") from None
    return DealKey(
        epoch=ceremony.epoch,
        commitments=made.commitments,
        ephemeral=made.ephemeral,
        proofs=made.proofs,
        shares=made.boxes,
    )


def confirmation(newest: Record) -> ConfirmKey:
    """Confirms what the node that told `newest`, which must be the organisation's own, has checked.

    Raises Rejected if it has found something bad, or too little.
    """
    own = newest["own"]
    if own["accusations"]:
        names = ", ".join(bad["accused"] for bad in own["accusations"])
        raise Rejected(f"the dealing of {names} is bad", code="", hint="End it with: weal duplicates refuse")
    if not own["dealings"]:
        raise Rejected(f"{len(newest['dealers'])} have dealt, {newest['threshold']} are needed", code="")
    if not own["is_good"]:
        raise Rejected("your node has no good share of this key", code="")
    return ConfirmKey(epoch=newest["epoch"], dealings=bytes.fromhex(own["dealings"]))


def accusation(newest: Record) -> RefuseKey:
    """The refusal that the organisation's own node has grounds for. Raises Rejected if it has none."""
    if not newest["own"]["accusations"]:
        raise Rejected("your node found nothing wrong", code="", hint="To begin again: --abandon")
    bad = newest["own"]["accusations"][0]
    return RefuseKey(
        epoch=newest["epoch"],
        reason=RefusalReason[bad["reason"].upper().replace("-", "_")],
        accused=bad["accused_number"],
        opening=bytes.fromhex(bad["opening"]),
        proof=bytes.fromhex(bad["proof"]),
    )


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
