"""Blocks, state, genesis and status: what the chain says, whatever the application is."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from consensus.messages import CommitCertificate
from node.api.backend import BadParameter, StoredBlock
from node.api.call import Call, found
from node.api.shapes import (
    BlockPath,
    BlocksQuery,
    BlockSummary,
    CertificateView,
    HeaderView,
    Nothing,
    ProveQuery,
    StatePath,
    StateView,
)
from node.api.times import iso_time


async def blocks(call: Call[Nothing, BlocksQuery, None]) -> web.Response:
    """Newest first. `next` is the value of `before` for the following page."""
    below = call.query.before or call.as_of.height + 1
    height = min(below - 1, call.as_of.height)
    limit = call.limit(call.query.limit)
    summaries: list[BlockSummary] = []
    while height >= 0 and len(summaries) < limit:
        stored = call.backend.block(height)
        if stored is None:
            break
        summaries.append(_summary(stored))
        height -= 1
    return call.page(summaries, str(height + 1) if height >= 0 and summaries else "")


def _summary(stored: StoredBlock) -> BlockSummary:
    header, certificate = stored.block.header, stored.certificate
    return BlockSummary(
        height=header.height,
        digest=header.digest.hex(),
        time_ms=header.time_ms,
        time=iso_time(header.time_ms),
        view=0 if certificate is None else certificate.view,
        transactions=len(stored.transactions),
        rejected=sum(receipt["code"] != 0 for receipt in stored.receipts[1:]),
        state_root=header.state_root.hex(),
        signers=[] if certificate is None else [int(replica) for replica, _ in certificate.signatures],
    )


async def block(call: Call[BlockPath, Nothing, None]) -> web.Response:
    """One block with its certificate, the ids of its transactions, and its receipts."""
    reference = call.path.reference
    height: int | None
    if reference == "latest":
        height = call.as_of.height
    elif len(reference) == 64:
        height = call.backend.height_of(bytes.fromhex(reference))
    else:
        height = int(reference)
    stored = None if height is None else call.backend.block(height)
    return call.record(_view(found(stored, "block", reference)))


def _view(stored: StoredBlock) -> dict[str, object]:
    """A `BlockView`; the receipts are rendered already."""
    header = stored.block.header
    return {
        "digest": header.digest.hex(),
        "header": HeaderView(
            genesis=header.genesis.hex(),
            epoch=header.epoch,
            height=header.height,
            time_ms=header.time_ms,
            time=iso_time(header.time_ms),
            parent=header.parent.hex(),
            transaction_count=header.transaction_count,
            transactions_root=header.transactions_root.hex(),
            receipts_root=header.receipts_root.hex(),
            state_root=header.state_root.hex(),
            members=header.members.hex(),
        ),
        "certificate": None if stored.certificate is None else _certificate(stored.certificate),
        "transactions": [identity.hex() for identity in stored.transactions],
        "receipts": stored.receipts,
    }


def _certificate(certificate: CommitCertificate) -> CertificateView:
    return CertificateView(
        view=certificate.view,
        height=certificate.height,
        digest=certificate.digest.hex(),
        signatures=[(int(replica), signature.hex()) for replica, signature in certificate.signatures],
    )


async def state(call: Call[StatePath, ProveQuery, None]) -> web.Response:
    """One record of the state by its key. Absence is an answer too, and can be proved."""
    key = bytes.fromhex(call.path.key)
    if call.backend.is_hidden(key):
        raise BadParameter("this record is not shown while its vote is running")
    value = call.backend.state(key)
    proof = call.backend.prove_state(key) if call.query.prove else None
    return call.record(StateView(key=call.path.key, value=None if value is None else value.hex()), proof=proof)


async def genesis(call: Call[Nothing, Nothing, None]) -> web.Response:
    return call.record(call.backend.genesis())


async def status(call: Call[Nothing, Nothing, None]) -> web.Response:
    content: dict[str, Any] = call.backend.status()
    return call.record(content, cacheable=False)
