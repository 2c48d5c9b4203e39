"""The API's view of a running node: `Backend` over `node.node.Node`.

Records are read from the committed state at the tip, in one go, so every answer is of one block.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import proxy

import msgspec

from consensus.block import Block, Header
from consensus.types import Digest
from node.api.backend import (
    AsOf,
    BadParameter,
    ChainEvent,
    Fate,
    JuryRecord,
    Listing,
    Proof,
    Record,
    RecordKind,
    StoredBlock,
    Submission,
)
from node.api.chain_events import ChainEvents
from node.api.claims_shapes import TransactionView
from node.api.duplicates_backend import duplicates_record, holder_record, made_record
from node.api.duplicates_shapes import EvaluateBody
from node.api.limits import Limits
from node.api.named_transaction import canonical
from node.api.node_metrics import ArrivalTimes, node_metrics
from node.api.problems import UNAVAILABLE, ApiError
from node.claims import plan_queries
from node.claims.evidence.queries import EvidenceQueries
from node.claims.ids import application_id, claim_id, item_id, member_id
from node.claims.jury import views as jury_views
from node.claims.paging import BadQuery
from node.claims.queries import Queries
from node.claims.transaction import decode_transaction
from node.config import Config
from node.errors import Unavailable
from node.genesis import dump_genesis
from node.proofs import FORMAT, encode_bundle, prove_record, prove_transaction
from node.statement_proofs import prove_statement
from node.vault.service import VaultService

if TYPE_CHECKING:
    from node.mempool import Submission as PoolAnswer
    from node.node import Node

_NUMBER_OF: Final = {"claim": claim_id, "member": member_id, "application": application_id, "evidence": item_id}
CACHED_HEIGHTS: Final = 32
"""Committed blocks kept with their receipts rendered."""


def limits_of(config: Config) -> Limits:
    """Limits as configured in [api]."""
    section = config.api
    return Limits(
        max_body_bytes=section.body_bytes,
        max_transactions=section.transactions_per_request,
        body_timeout_s=section.request_timeout_ms / 1000,
        upload_timeout_s=config.vault.upload_timeout_ms / 1000,
        max_wait_ms=section.wait_timeout_ms,
        rate_per_s=section.requests_per_second,
        rate_burst=2 * section.requests_per_second,
        max_streams=section.event_streams,
    )


class NodeBackend:
    """Holds the node weakly: the node owns its API, not the other way round."""

    def __init__(self, node: Node) -> None:
        self._node: Node = proxy(node)
        self._queries = Queries(node.genesis)
        self._evidence = EvidenceQueries(self._queries.registry)
        self._events = ChainEvents(self.block)
        self._blocks: OrderedDict[int, StoredBlock] = OrderedDict()
        self._genesis: Record = msgspec.json.decode(dump_genesis(node.genesis))
        self._arrivals = ArrivalTimes()
        self._as_of: tuple[bytes, AsOf] | None = None

    # --- chain

    def _tip(self) -> Header:
        return self._node.executor.tip

    def as_of(self) -> AsOf:
        tip = self._tip()
        if self._as_of is None or self._as_of[0] != tip.digest:
            self._as_of = tip.digest, AsOf.of(tip.height, tip.digest, tip.time_ms)
        return self._as_of[1]

    def genesis(self) -> Record:
        return {"digest": self._node.genesis.digest.hex(), "genesis": self._genesis}

    def status(self) -> Record:
        return self._node.status()

    def block(self, height: int) -> StoredBlock | None:
        held = self._blocks.get(height)
        if held is not None:
            self._blocks.move_to_end(height)
            return held
        stored = self._read_block(height)
        if stored is not None:
            self._blocks[height] = stored
            if len(self._blocks) > CACHED_HEIGHTS:
                self._blocks.popitem(last=False)
        return stored

    def _read_block(self, height: int) -> StoredBlock | None:
        node = self._node
        if height == 0:
            genesis = Block(header=node.genesis_header, transactions=())
            return StoredBlock(block=genesis, certificate=None, receipts=(), transactions=())
        block = node.executor.block_at(height)
        if block is None:
            return None
        receipts, state = node.executor.receipts(height), node.state.view()
        return StoredBlock(
            block=block,
            certificate=node.blocks.certificate_at(height),
            receipts=[self._queries.receipt(state, receipt) for receipt in receipts],
            transactions=[receipt.transaction for receipt in receipts[1:]],
        )

    def height_of(self, digest: bytes) -> int | None:
        node = self._node
        if digest == node.genesis_header.digest:
            return 0
        block = node.blocks.block(Digest(digest))
        # The store holds undecided proposals too.
        if block is None or block.height > self._tip().height:
            return None
        header = node.blocks.header_at(block.height)
        return block.height if header is not None and header.digest == digest else None

    # --- events

    def latest_event(self) -> tuple[int, int]:
        return self._events.latest(self._tip().height)

    def read_events(self, after: tuple[int, int], limit: int) -> Sequence[ChainEvent]:
        return self._events.read(after, limit, self._tip().height)

    async def wait_height(self, above: int, timeout_s: float) -> int:
        return await self._node.wait_height(above, timeout_s)

    async def wait_events(self, after: tuple[int, int], timeout_s: float) -> bool:
        if self.latest_event() > after:
            return True
        return await self._node.wait_height(after[0], timeout_s) > after[0]

    # --- transactions

    async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]:
        now_s = asyncio.get_running_loop().time()
        return self._answers(await self._node.submit(raw), now_s)

    async def check_ahead(self, raw: Sequence[bytes]) -> None:
        await self._node.intake.check_ahead(raw)

    def submit_some(self, raw: Sequence[bytes]) -> Sequence[Submission]:
        return self._answers(self._node.intake.submit_some(raw), asyncio.get_running_loop().time())

    def refuse_all(self, count: int) -> bool:
        return self._node.mempool.refuse_all(count)

    def _answers(self, entries: Sequence[PoolAnswer], now_s: float) -> list[Submission]:
        self._arrivals.arrived((entry.id for entry in entries if entry.status == "pending" and entry.id), now_s)
        return [
            Submission(id=entry.id or b"", status=entry.status, code=entry.code or 0, detail=entry.detail)
            for entry in entries
        ]

    def encode_transaction(self, fields: TransactionView) -> bytes:
        return canonical(fields, self._node.genesis.digest)

    def fate(self, id: bytes) -> Fate:
        return self._fate(self._node.fate(id))

    def _fate(self, fate: Any) -> Fate:
        return Fate(
            id=fate.id,
            status=fate.state,
            height=fate.height or 0,
            index=fate.index or 0,
            code=fate.code or 0,
            detail=fate.detail,
            receipt=None if fate.receipt is None else self._queries.receipt(self._node.state.view(), fate.receipt),
        )

    async def wait_final(self, ids: Sequence[bytes], timeout_s: float) -> Sequence[Fate]:
        return [self._fate(fate) for fate in await self._node.wait_final(ids, timeout_s)]

    def transaction(self, height: int, index: int) -> Record:
        block = self._node.executor.block_at(height)
        assert block is not None
        return self._queries.transaction(decode_transaction(block.transactions[index]))

    def sender(self, key: bytes) -> Record | None:
        node = self._node
        record = self._queries.account(node.state.view(), key)
        if record is not None:
            # Ends within the replay window: the pool admits nothing beyond it.
            while node.mempool.is_taken(key, record["next_sequence"]):
                record["next_sequence"] += 1
        return record

    # --- claims

    def claims(self, *, status: str, plan: str, member: str, organisation: str, cursor: str, limit: int) -> Listing:
        return self._listed(
            self._queries.claims,
            status=status,
            plan=plan,
            member=member_id(member) if member else None,
            organisation=organisation,
            cursor=cursor,
            limit=limit,
        )

    def claim(self, id: str) -> Record | None:
        return self._queries.claim(self._node.state.view(), claim_id(id))

    def members(self, *, plan: str, organisation: str, cursor: str, limit: int) -> Listing:
        now_ms, ask = self._tip().time_ms, self._queries.members
        return self._listed(ask, plan=plan, organisation=organisation, cursor=cursor, limit=limit, now_ms=now_ms)

    def member(self, id: str) -> Record | None:
        return self._queries.member(self._node.state.view(), member_id(id), self._tip().time_ms)

    def statement(self, id: str, *, cursor: str, limit: int) -> Record | None:
        try:
            return self._queries.statement(self._node.state.view(), member_id(id), cursor or None, limit)
        except BadQuery as error:
            raise BadParameter(str(error)) from None

    def applications(self, *, status: str, plan: str, organisation: str, cursor: str, limit: int) -> Listing:
        ask = self._queries.applications
        return self._listed(ask, status=status, plan=plan, organisation=organisation, cursor=cursor, limit=limit)

    def application(self, id: str) -> Record | None:
        return self._queries.application(self._node.state.view(), application_id(id))

    def plans(self) -> Sequence[Record]:
        items: Sequence[Record] = self._queries.plans(self._node.state.view())["items"]
        return items

    def plan(self, code: str) -> Record | None:
        return self._queries.plan(self._node.state.view(), code)

    def plan_terms(self, code: str, version: int) -> Record | None:
        return plan_queries.plan_terms(self._queries.registry, self._node.state.view(), code, version)

    def proposals(self, before: int, limit: int) -> tuple[Sequence[Record], str]:
        items, following = plan_queries.proposals(self._queries.registry, self._node.state.view(), before, limit)
        return items, "" if following is None else str(following)

    def proposal(self, number: int) -> Record | None:
        return plan_queries.proposal(self._queries.registry, self._node.state.view(), number)

    def report(self, code: str, first: str, last: str) -> Record | None:
        state, now_ms = self._node.state.view(), self._tip().time_ms
        try:
            return plan_queries.report(self._queries.registry, state, code, first, last, now_ms)
        except plan_queries.BadPeriod as error:
            raise BadParameter(str(error)) from None

    def cycles(self, code: str, *, cursor: str, limit: int) -> Listing | None:
        if self._queries.registry.find(self._node.state.view(), code) is None:
            return None
        return self._listed(self._queries.cycles, code, cursor=cursor, limit=limit)

    def organisations(self) -> Sequence[Record]:
        items: Sequence[Record] = self._queries.organisations(self._node.state.view())["items"]
        return items

    def organisation(self, name: str) -> Record | None:
        return self._queries.organisation(self._node.state.view(), name)

    def worklist(self, organisation: str, *, cursor: str, limit: int) -> Listing | None:
        if organisation not in self._queries.registry.number_of:
            return None
        return self._listed(self._queries.worklist, organisation, cursor=cursor, limit=limit)

    def programme(self) -> Record:
        return self._queries.programme(self._node.state.view())

    def jury(self, what: JuryRecord, id: str, round: int = 0, number: int = 0) -> Record | None:
        registry, state = self._queries.registry, self._node.state.view()
        match what:
            case "case":
                return jury_views.jury_view(registry, state, claim_id(id))
            case "draw":
                return jury_views.draw_view(registry, state, claim_id(id), round, number)
            case "ballot":
                return jury_views.ballot_view(state, claim_id(id), round, number)
            case "juror":
                return jury_views.juror_view(registry, state, member_id(id))
            case "plan":
                return jury_views.plan_jury_view(registry, state, id)

    def is_hidden(self, key: bytes) -> bool:
        return jury_views.is_hidden(self._node.state.view(), key)

    def evidence(self, *, cursor: str, limit: int) -> Listing:
        return self._listed(self._queries.evidence, cursor=cursor, limit=limit)

    # --- evidence items

    @property
    def vault(self) -> VaultService:
        return self._node.vault

    def evidence_items(self, *, claim: str, cursor: str, limit: int) -> Listing:
        number = claim_id(claim) if claim else None
        return self._listed(self._evidence.items, claim=number, cursor=cursor, limit=limit)

    def evidence_item(self, id: str) -> Record | None:
        return self._evidence.item(self._node.state.view(), item_id(id))

    def evidence_openings(self, id: str, *, cursor: str, limit: int) -> Listing | None:
        if self.evidence_item(id) is None:
            return None
        return self._listed(self._evidence.openings, item_id(id), cursor=cursor, limit=limit)

    def _listed(self, ask: Any, *parts: object, **filters: object) -> Listing:
        """ "" stands for a filter, or a cursor, that was not given."""
        given = {name: value for name, value in filters.items() if value != ""}
        try:
            answer = ask(self._node.state.view(), *parts, **given)
        except BadQuery as error:
            raise BadParameter(str(error)) from None
        return answer["items"], answer["next"] or ""

    def state(self, key: bytes) -> bytes | None:
        return self._node.state.view().get(key)

    # --- keyed values

    def duplicates(self) -> Record:
        return duplicates_record(self._node)

    def value_holder(self, kind: str, value: bytes) -> Record:
        return holder_record(self._node, kind, value)

    async def make_values(self, body: EvaluateBody) -> Record:
        return await made_record(self._node, body)

    # --- proofs

    def record_key(self, kind: RecordKind, id: str) -> bytes:
        if kind == "plan":
            return self._queries.key_of(self._node.state.view(), "plan", id)
        return self._queries.key_of(self._node.state.view(), kind, _NUMBER_OF[kind](id))

    def prove_state(self, key: bytes) -> Proof:
        node = self._node
        try:
            bundle = prove_record(node.state, node.blocks, key)
        except Unavailable as error:
            raise ApiError(UNAVAILABLE, str(error), retry_after_s=1) from None
        return Proof(format=FORMAT, bundle=encode_bundle(bundle).hex())

    def prove_statement(self, id: str) -> Proof | None:
        node = self._node
        try:
            bundle = prove_statement(node.state, node.blocks, node.genesis, member_id(id))
        except Unavailable as error:
            raise ApiError(UNAVAILABLE, str(error), retry_after_s=1) from None
        return None if bundle is None else Proof(format=FORMAT, bundle=encode_bundle(bundle).hex())

    def prove_transaction(self, id: bytes) -> Proof | None:
        node = self._node
        bundle = prove_transaction(node.executor, node.blocks, id)
        return None if bundle is None else Proof(format=FORMAT, bundle=encode_bundle(bundle).hex())

    # --- operator

    def readiness(self) -> Sequence[str]:
        return self._node.readiness()

    def behind(self) -> int:
        return self._node.sync.behind

    def peers_connected(self) -> int:
        return len(self._node.transport.connected())

    def metrics(self) -> Mapping[str, float]:
        return node_metrics(self._node)

    def loop_lag_ms(self) -> int:
        return self._node.loop_lag_ms

    def results(self, height: int) -> Sequence[tuple[bytes, int]]:
        return [(receipt.transaction, receipt.code) for receipt in self._node.executor.receipts(height)[1:]]

    def is_waiting(self, id: bytes) -> bool:
        return id in self._node.mempool

    def departures(self) -> int:
        return self._node.mempool.departures

    def waited_s(self, height: int, now_s: float) -> Sequence[float]:
        receipts = self._node.executor.receipts(height)
        return self._arrivals.committed((receipt.transaction for receipt in receipts[1:]), now_s)

    def isolate(self, peers: Sequence[str]) -> Sequence[str]:
        transport = self._node.transport
        return transport.isolate(peers or [peer.name for peer in transport.peers.values()])

    def heal(self) -> None:
        self._node.transport.isolate([])

    def stop(self) -> None:
        self._node.request_stop("the operator asked for it")
