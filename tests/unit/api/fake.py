"""A backend over plain dictionaries, and an API served from it on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path

import aiohttp

from consensus.block import Block, Header
from consensus.messages import CommitCertificate
from consensus.types import Digest, Height, ReplicaId, Signature, View
from node.api import examples as ex
from node.api import examples_jury as exj
from node.api import vault_shapes as vs
from node.api.backend import (
    AsOf,
    BadParameter,
    ChainEvent,
    Fate,
    JuryRecord,
    Proof,
    Record,
    RecordKind,
    StoredBlock,
    Submission,
)
from node.api.claims_shapes import TransactionView
from node.api.duplicates_shapes import EvaluateBody
from node.api.limits import Limits
from node.api.listener import listen
from node.api.service import Api
from node.api.table_duplicates import DUPLICATES, HOLDER, MADE
from node.vault.errors import Refusal, VaultRefused
from node.vault.service import Standing
from node.vault.signed import Receipt, read_authorization

GENESIS_MS = 1_764_000_000_000
REJECTED_PREFIX = b"bad"
REFUSED_PREFIX = b"full"


async def until(condition: Callable[[], object], what: str, timeout_s: float = 20) -> None:
    """Wait for a condition; fails with `what` after `timeout_s`."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    while not condition():
        assert loop.time() < end_s, f"not in {timeout_s} s: {what}"
        await asyncio.sleep(0.001)


def transaction_id(raw: bytes) -> bytes:
    return sha256(raw).digest()


class FakeVault:
    """A vault that holds nothing, and reads what it is sent only if it is signed at all."""

    def _refuse(self, header: str) -> VaultRefused:
        if read_authorization(header) is None:
            return VaultRefused(Refusal.BAD_SIGNATURE, "the Authorization header is missing or malformed")
        return VaultRefused(Refusal.NO_SUCH_ITEM, "there is no such evidence item")

    def standing(self, number: int) -> Standing:
        raise VaultRefused(Refusal.NO_SUCH_ITEM, "there is no such evidence item")

    async def put_blob(self, number: int, header: str, parts: AsyncIterator[bytes]) -> None:
        raise self._refuse(header)

    async def put_key(self, number: int, recipient: bytes, box: bytes, body: bytes, header: str) -> None:
        raise self._refuse(header)

    def open(self, number: int, header: str) -> tuple[bytes, Receipt]:
        raise self._refuse(header)

    def blob(self, number: int, header: str) -> tuple[Path, int]:
        raise self._refuse(header)

    def sealed_keys(self, number: int, header: str) -> list[tuple[bytes, bytes]]:
        raise self._refuse(header)

    def receipts(self, number: int, header: str) -> list[Receipt]:
        raise self._refuse(header)


class FakeBackend:
    """Every submitted transaction is pending until `commit`; `bad...` is rejected, `full...` refused."""

    def __init__(self) -> None:
        self.blocks: list[StoredBlock] = []
        self.pool: dict[bytes, bytes] = {}
        self.committed: dict[bytes, tuple[int, int]] = {}
        self.lost: set[bytes] = set()
        self.closed = False
        self.events: list[ChainEvent] = []
        self.news = asyncio.Event()
        self.submissions = 0
        self.reasons: list[str] = []
        self.isolated: list[str] = []
        self.blocks_behind = 0
        self.stopped = False
        self.broken = False
        self.lag_ms = 0
        self.auto_commit = False
        self.commit()

    # --- driving it from a test

    def commit(self) -> int:
        """A block of all that is pending; answers its height."""
        height = len(self.blocks)
        ids = list(self.pool)
        parent = self.blocks[-1].block.digest if self.blocks else Digest(bytes(32))
        empty = Digest(sha256(b"").digest())
        header = Header(
            genesis=Digest(sha256(b"genesis").digest()),
            epoch=0,
            height=Height(height),
            time_ms=GENESIS_MS + 1000 * height,
            parent=parent,
            transaction_count=len(ids),
            transactions_root=empty,
            receipts_root=empty,
            state_root=Digest(sha256(b"state %d" % height).digest()),
            members=empty,
        )
        certificate = CommitCertificate(
            view=View(0),
            height=Height(height),
            digest=header.digest,
            signatures=((ReplicaId(0), Signature(bytes(64))), (ReplicaId(2), Signature(bytes(64)))),
        )
        receipts = [self._receipt(b"")] if height else []
        receipts += [self._receipt(identity) for identity in ids]
        self.blocks.append(
            StoredBlock(
                block=Block(header=header, transactions=tuple(self.pool.values())),
                certificate=certificate if height else None,
                receipts=receipts,
                transactions=ids,
            )
        )
        self._add_event("block", {"digest": header.digest.hex(), "transactions": len(ids)})
        for index, identity in enumerate(ids):
            self.committed[identity] = (height, index)
            self._add_event("transaction", {"transaction": identity.hex(), "code": 0})
        self.pool.clear()
        self.news.set()
        self.news = asyncio.Event()
        return height

    @staticmethod
    def _receipt(identity: bytes) -> Record:
        return {**ex.RECEIPT, "transaction": identity.hex() or None, "events": []}

    def _add_event(self, kind: str, data: Record) -> None:
        height = len(self.blocks) - 1
        index = sum(event.height == height for event in self.events)
        time_ms = GENESIS_MS + 1000 * height
        self.events.append(ChainEvent(height=height, index=index, time_ms=time_ms, type=kind, data=data))

    # --- Backend

    def as_of(self) -> AsOf:
        if self.broken:
            raise RuntimeError("a secret of this machine")
        header = self.blocks[-1].block.header
        return AsOf.of(header.height, header.digest, header.time_ms)

    def genesis(self) -> Record:
        return {"digest": ex.HASH}

    def status(self) -> Record:
        return {"chain": "fake", "genesis": ex.HASH, "chain_now_ms": GENESIS_MS, "time_scale": 1}

    def block(self, height: int) -> StoredBlock | None:
        return self.blocks[height] if 0 <= height < len(self.blocks) else None

    def height_of(self, digest: bytes) -> int | None:
        return next((b.block.height for b in self.blocks if b.block.digest == digest), None)

    def latest_event(self) -> tuple[int, int]:
        return self.events[-1].height, self.events[-1].index

    def read_events(self, after: tuple[int, int], limit: int) -> Sequence[ChainEvent]:
        return [event for event in self.events if (event.height, event.index) > after][:limit]

    async def wait_height(self, above: int, timeout_s: float) -> int:
        if len(self.blocks) - 1 <= above:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), timeout_s)
        return len(self.blocks) - 1

    async def wait_events(self, after: tuple[int, int], timeout_s: float) -> bool:
        if self.latest_event() > after:
            return True
        try:
            await asyncio.wait_for(self.news.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def refuse_all(self, count: int) -> bool:
        return self.closed

    async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]:
        return self.submit_some(raw)

    async def check_ahead(self, raw: Sequence[bytes]) -> None:
        pass

    def submit_some(self, raw: Sequence[bytes]) -> Sequence[Submission]:
        self.submissions += 1
        outcomes = []
        for data in raw:
            identity = transaction_id(data)
            if identity in self.committed:
                outcomes.append(Submission(id=identity, status="committed"))
            elif data.startswith(REJECTED_PREFIX):
                outcomes.append(Submission(id=identity, status="rejected", code=4, detail="nobody has this key"))
            elif data.startswith(REFUSED_PREFIX):
                outcomes.append(Submission(id=identity, status="refused", detail="the pool is full"))
            else:
                self.pool[identity] = data
                outcomes.append(Submission(id=identity, status="pending"))
        if self.auto_commit and self.pool:
            asyncio.get_running_loop().call_soon(self.commit)
        return outcomes

    def encode_transaction(self, fields: TransactionView) -> bytes:
        if fields.sequence < 1:
            raise ValueError("sequence: 1 or more is needed")
        return repr(fields).encode()

    def fate(self, id: bytes) -> Fate:
        if id in self.committed:
            height, index = self.committed[id]
            return Fate(id=id, status="committed", height=height, index=index, receipt=self._receipt(id))
        if id in self.lost:
            return Fate(id=id, status="expired", detail="it was not in a block in time")
        return Fate(id=id, status="pending" if id in self.pool else "unknown")

    def is_waiting(self, id: bytes) -> bool:
        return id in self.pool

    def departures(self) -> int:
        return len(self.lost)

    def results(self, height: int) -> Sequence[tuple[bytes, int]]:
        return [(id, 0) for id in self.blocks[height].transactions]

    async def wait_final(self, ids: Sequence[bytes], timeout_s: float) -> Sequence[Fate]:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while any(id not in self.committed for id in ids) and loop.time() < end_s:
            try:
                await asyncio.wait_for(self.news.wait(), end_s - loop.time())
            except TimeoutError:
                break
        return [self.fate(id) for id in ids]

    def transaction(self, height: int, index: int) -> Record:
        return {**ex.TRANSACTION, "id": self.blocks[height].transactions[index].hex()}

    def sender(self, key: bytes) -> Record | None:
        return {**ex.SENDER, "key": key.hex()} if any(key) else None

    def claims(
        self, *, status: str, plan: str, member: str, organisation: str, cursor: str, limit: int
    ) -> tuple[Sequence[Record], str]:
        if not (cursor or "0").isdecimal():
            raise BadParameter("cursor must be the `next` of an earlier page")
        start = int(cursor or 0)
        total = 7
        records = [{**ex.CLAIM, "id": f"C-{i:06d}"} for i in range(start + 1, min(start + limit, total) + 1)]
        return records, str(start + limit) if start + limit < total else ""

    def claim(self, id: str) -> Record | None:
        return ex.CLAIM if id == "C-000045" else None

    def members(self, *, plan: str, organisation: str, cursor: str, limit: int) -> tuple[Sequence[Record], str]:
        return [ex.MEMBER][:limit], ""

    def member(self, id: str) -> Record | None:
        return ex.MEMBER if id == "M-000123" else None

    def statement(self, id: str, *, cursor: str, limit: int) -> Record | None:
        return ex.STATEMENT if id == "M-000123" else None

    def applications(
        self, *, status: str, plan: str, organisation: str, cursor: str, limit: int
    ) -> tuple[Sequence[Record], str]:
        return [ex.APPLICATION][:limit], ""

    def application(self, id: str) -> Record | None:
        return ex.APPLICATION if id == "A-000007" else None

    def plans(self) -> Sequence[Record]:
        return [ex.PLAN]

    def plan(self, code: str) -> Record | None:
        return ex.PLAN if code == "critical-illness" else None

    def plan_terms(self, code: str, version: int) -> Record | None:
        return {**ex.TERMS, "code": code, "version": version} if code == "critical-illness" and version == 1 else None

    def proposals(self, before: int, limit: int) -> tuple[Sequence[Record], str]:
        return [ex.PROPOSAL], ""

    def proposal(self, number: int) -> Record | None:
        return {**ex.PROPOSAL, "terms": ex.TERMS} if number == 3 else None

    def report(self, code: str, first: str, last: str) -> Record | None:
        if first == "2026-13-01":
            raise BadParameter("no such day")
        return ex.REPORT if code == "critical-illness" else None

    def cycles(self, code: str, *, cursor: str, limit: int) -> tuple[Sequence[Record], str] | None:
        return ([ex.CYCLE], "") if code == "critical-illness" else None

    def organisations(self) -> Sequence[Record]:
        return [ex.ORGANISATION]

    def organisation(self, name: str) -> Record | None:
        return ex.ORGANISATION if name == "harbour" else None

    def worklist(self, organisation: str, *, cursor: str, limit: int) -> tuple[Sequence[Record], str] | None:
        return ([ex.CLAIM], "") if organisation == "harbour" else None

    def programme(self) -> Record:
        return ex.PROGRAMME

    def jury(self, what: JuryRecord, id: str, round: int = 0, number: int = 0) -> Record | None:
        shown: dict[str, Record] = {
            "case": exj.JURY,
            "draw": exj.DRAW,
            "ballot": exj.BALLOT,
            "juror": exj.JUROR,
            "plan": exj.PLAN_JURY,
        }
        return shown[what] if id in ("C-000045", "M-000123", "critical-illness") else None

    def is_hidden(self, key: bytes) -> bool:
        return False

    def evidence(self, *, cursor: str, limit: int) -> tuple[Sequence[Record], str]:
        return [ex.EVIDENCE], ""

    @property
    def vault(self) -> FakeVault:
        return FakeVault()

    def evidence_items(self, *, claim: str, cursor: str, limit: int) -> tuple[Sequence[Record], str]:
        return [dict(vs.ITEM)], ""

    def evidence_item(self, id: str) -> Record | None:
        return {**vs.ITEM, "grants": [vs.GRANT]} if id == "E-000012" else None

    def evidence_openings(self, id: str, *, cursor: str, limit: int) -> tuple[Sequence[Record], str] | None:
        return ([dict(vs.OPENING)], "") if id == "E-000012" else None

    def duplicates(self) -> Record:
        return DUPLICATES

    def value_holder(self, kind: str, value: bytes) -> Record:
        return {**HOLDER, "kind": kind, "value": value.hex()}

    async def make_values(self, body: EvaluateBody) -> Record:
        return {**MADE, "results": body.elements}

    def state(self, key: bytes) -> bytes | None:
        return b"value" if key == b"\x01" else None

    def record_key(self, kind: RecordKind, id: str) -> bytes:
        return f"{kind} {id}".encode()

    def prove_state(self, key: bytes) -> Proof:
        return Proof(format="fake", bundle=key.hex())

    def prove_statement(self, id: str) -> Proof | None:
        return Proof(format="fake", bundle=id.encode().hex())

    def prove_transaction(self, id: bytes) -> Proof | None:
        return Proof(format="fake", bundle=id.hex()) if id in self.committed else None

    def readiness(self) -> Sequence[str]:
        return self.reasons

    def behind(self) -> int:
        return self.blocks_behind

    def peers_connected(self) -> int:
        return 3 - len(self.isolated)

    def loop_lag_ms(self) -> int:
        return self.lag_ms

    def waited_s(self, height: int, now_s: float) -> Sequence[float]:
        return [0.25 for _ in self.blocks[height].transactions]

    def metrics(self) -> Mapping[str, float]:
        return {
            "weal_height": len(self.blocks) - 1,
            "weal_transactions_total": len(self.committed),
            'weal_peer_frames_rejected_total{reason="oversized"}': 2,
        }

    def isolate(self, peers: Sequence[str]) -> Sequence[str]:
        known = ["harbour", "meadow", "ridge"]
        for name in peers:
            if name not in known:
                raise KeyError(name)
        self.isolated = list(peers) or known
        return self.isolated

    def heal(self) -> None:
        self.isolated = []

    def stop(self) -> None:
        self.stopped = True


class Served:
    """A running API. Paths are relative to its listeners."""

    def __init__(self, backend: FakeBackend, api: Api, client: str, operator: str) -> None:
        self.backend, self.api, self.client, self.operator = backend, api, client, operator
        self.http = aiohttp.ClientSession()


@asynccontextmanager
async def serving(limits: Limits | None = None, backend: FakeBackend | None = None) -> AsyncIterator[Served]:
    backend = FakeBackend() if backend is None else backend
    api = Api(backend, limits=limits)
    client, client_port = await listen(api.application("client"), "127.0.0.1", 0, api.limits)
    operator, operator_port = await listen(api.application("operator"), "127.0.0.1", 0, api.limits)
    served = Served(backend, api, f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{operator_port}")
    try:
        yield served
    finally:
        await served.http.close()
        await client.cleanup()
        await operator.cleanup()
