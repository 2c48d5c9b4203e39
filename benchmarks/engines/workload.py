"""Transactions signed before a run, so that the load generator only sends.

Enrolments of one member each: a signature of an organisation, two new records, four changed ones. They are signed by
many account keys in turn, because the ledger takes at most 1,024 open sequences of one.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.load import AGE_MONTHS, PLAN, VALID_FOR_MS
from node.claims.builders import build_transaction
from node.claims.calendar import day_of, month_of
from node.claims.genesis import Genesis
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import encode_transaction
from node.crypto import SigningKey

_CHUNK: Final = 2_000


class Signed(msgspec.Struct, array_like=True, gc=False):
    """One transaction and the id that its finality is told by."""

    id: bytes
    raw: bytes


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    genesis: bytes
    seeds: list[bytes]
    run: str
    birth_month: int
    valid_until_ms: int
    first: int
    count: int
    after: int
    """Sequences of each key up to this one are used already."""


def _sign(order: _Order) -> bytes:
    keys = [SigningKey(seed) for seed in order.seeds]
    signed = []
    for number in range(order.first, order.first + order.count):
        key, sequence = keys[number % len(keys)], order.after + number // len(keys) + 1
        person = sha256(f"{order.run}/{number}".encode()).digest()
        action = Enrol(plan=PLAN, members=(NewMember(person=person, birth_month=order.birth_month),))
        transaction = build_transaction(order.genesis, key.public, sequence, order.valid_until_ms, (action,), key.sign)
        signed.append(Signed(transaction.id, encode_transaction(transaction)))
    return msgspec.msgpack.encode(signed)


def sign(path: Path, genesis: Genesis, keys: Sequence[SigningKey], count: int, run: str, after: int = 0) -> int:
    """Write `count` signed transactions to `path`, of each key the sequences above `after`; answers the highest one.
    Uses all cores."""
    order = _Order(
        genesis=genesis.digest,
        seeds=[key.seed for key in keys],
        run=run,
        birth_month=month_of(day_of(genesis.time_ms, 0)) - AGE_MONTHS,
        valid_until_ms=genesis.time_ms + VALID_FOR_MS * genesis.max_validity_ms // 86_400_000,
        first=0,
        count=0,
        after=after,
    )
    orders = [
        msgspec.structs.replace(order, first=first, count=min(_CHUNK, count - first))
        for first in range(0, count, _CHUNK)
    ]
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool, path.open("wb") as file:
        for part in pool.imap(_sign, orders):
            file.write(len(part).to_bytes(4, "big") + part)
    return after + -(-count // len(keys))


def read(path: Path) -> list[Signed]:
    """What `sign` wrote."""
    data, at = path.read_bytes(), 0
    decoder = msgspec.msgpack.Decoder(list[Signed])
    found: list[Signed] = []
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        found += decoder.decode(data[at + 4 : end])
        at = end
    return found
