"""Where a transaction stands: on the chain, in the pool, gone, or never heard of."""

from __future__ import annotations

from typing import Literal

import msgspec

from node.claims.application import Receipt
from node.executor import Executor
from node.mempool import Mempool

FateState = Literal["unknown", "pending", "committed", "expired", "rejected"]


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands, as far as this node knows."""

    id: bytes
    state: FateState
    height: int | None = None
    index: int | None = None
    code: int | None = None
    detail: str = ""
    receipt: Receipt | None = None


def fate_of(id: bytes, executor: Executor, mempool: Mempool) -> Fate:
    """The chain first: what is final stays so, whatever the pool remembers."""
    place = executor.locate(id)
    if place is not None:
        height, index = place
        receipt = executor.receipt(height, index)
        return Fate(
            id=id,
            state="committed",
            height=height,
            index=index,
            code=None if receipt is None else receipt.code,
            detail="" if receipt is None else receipt.detail,
            receipt=receipt,
        )
    if id in mempool:
        return Fate(id=id, state="pending")
    departure = mempool.departure(id)
    if departure is not None:
        return Fate(id=id, state=departure.state, code=departure.code, detail=departure.detail)
    return Fate(id=id, state="unknown")
