"""The client of a node's API, asynchronous: what the command line, tests and programs use.

async with Client(["http://127.0.0.1:8801", "http://127.0.0.1:8802"]) as client:
    outcomes = await client.submit([transaction], wait=True)
    claim = await client.claim("C-000045")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgpack
import msgspec

from node.client.errors import ClientError, NotFinal
from node.client.events import Event, follow
from node.client.http import Transport

Record = dict[str, Any]
MSGPACK: Final = "application/msgpack"
BODY_BYTES: Final = 900_000
"""Transactions of one request together: below the node's default limit of 1 MiB."""
BODY_TRANSACTIONS: Final = 1_000
FINAL: Final = frozenset({"committed", "expired", "rejected"})
ROUND_S: Final = 10.0
"""A wait for finality is asked in rounds of so long, so that a node that dies silently costs no more."""


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """What became of one submitted transaction; see /openapi.json."""

    id: str
    status: Literal["pending", "committed", "rejected", "refused", "expired", "unknown"]
    code: str = ""
    result: str = ""
    detail: str = ""
    height: int = -1
    index: int = -1
    receipt: Record | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def succeeded(self) -> bool:
        """Committed, and the ledger carried it out."""
        return self.status == "committed" and not self.code


class Client:
    """Talks to one node at a time, and to the next of `urls` when that one dies."""

    def __init__(self, urls: Sequence[str] | str, *, timeout_s: float = 10.0, patience_s: float = 15.0) -> None:
        self.http = Transport([urls] if isinstance(urls, str) else urls, timeout_s=timeout_s, patience_s=patience_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.http.close()

    # --- transactions

    async def submit(self, raw: Sequence[bytes], *, wait: bool = True, timeout_s: float = 30.0) -> list[Outcome]:
        """Submit signed transactions; one outcome each, in order.

        With `wait`, until every one is final; raises NotFinal if `timeout_s` passes before that. Without,
        until no node refuses one for lack of room. Rejections are outcomes, not errors. A node that dies
        meanwhile is replaced by the next, which gets the same bytes: nothing can be carried out twice.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        outcomes: list[Outcome | None] = [None] * len(raw)
        open_ones = list(range(len(raw)))
        pause_s = 0.05
        while open_ones:
            left_s = end_s - loop.time()
            if left_s <= 0:
                raise self._not_final(raw, outcomes, timeout_s)
            progress = False
            for chunk in _chunks(raw, open_ones):
                for index, outcome in zip(
                    chunk, await self._submit_once([raw[i] for i in chunk], wait, left_s), strict=True
                ):
                    progress = progress or outcome.status != "refused"
                    outcomes[index] = outcome
            open_ones = [i for i in open_ones if not _is_done(outcomes[i], wait)]
            if open_ones and not progress:
                await asyncio.sleep(min(pause_s, max(0.0, end_s - loop.time())))
                pause_s = min(2 * pause_s, 1.0)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _submit_once(self, raw: Sequence[bytes], wait: bool, left_s: float) -> list[Outcome]:
        round_s = min(ROUND_S, max(0.05, left_s))
        query = {"wait": "final", "timeout_ms": str(int(round_s * 1000))} if wait else None
        try:
            answer = await self.http.request(
                "POST",
                "/v1/transactions",
                query=query,
                body=msgpack.packb(list(raw)),
                media=MSGPACK,
                extra_s=round_s if wait else 0.0,
                patience_s=left_s,
            )
            documents = answer["data"]
        except ClientError as error:
            # All rejected or all refused: the outcomes come with the problem.
            if len(error.transactions) != len(raw):
                raise
            documents = error.transactions
        return msgspec.convert(documents, list[Outcome])

    @staticmethod
    def _not_final(raw: Sequence[bytes], outcomes: Sequence[Outcome | None], timeout_s: float) -> NotFinal:
        final = sum(outcome is not None and outcome.is_final for outcome in outcomes)
        known = [msgspec.to_builtins(outcome) for outcome in outcomes if outcome is not None]
        return NotFinal(
            f"{final} of {len(raw)} transactions were final after {timeout_s:g} seconds",
            code="",
            hint="Submitting the same bytes again is safe; `weal tx wait ID` waits longer.",
            retryable=True,
            transactions=known,
        )

    async def fate(self, id: str | bytes, *, wait_s: float = 0.0) -> Record:
        """Where a transaction stands; with `wait_s`, as soon as that is final or the time is over."""
        name = id.hex() if isinstance(id, bytes) else id
        loop = asyncio.get_running_loop()
        end_s = loop.time() + wait_s
        while True:
            round_s = min(ROUND_S, max(0.0, end_s - loop.time()))
            query = {"wait_ms": str(int(round_s * 1000))} if round_s > 0 else None
            answer = await self.http.request("GET", f"/v1/transactions/{name}", query=query, extra_s=round_s)
            record: Record = answer["data"]
            if record["status"] in FINAL or loop.time() >= end_s:
                return record

    async def wait_final(self, id: str | bytes, *, timeout_s: float = 30.0) -> Record:
        """The final fate of a transaction. Raises NotFinal."""
        record = await self.fate(id, wait_s=timeout_s)
        if record["status"] not in FINAL:
            raise NotFinal(
                f"the transaction is {record['status']} after {timeout_s:g} seconds", code="", retryable=True
            )
        return record

    async def next_sequence(self, key: bytes) -> int:
        answer = await self.get(f"/v1/senders/{key.hex()}")
        return int(answer["data"]["next_sequence"])

    async def transaction_proof(self, id: str | bytes) -> bytes:
        """Bytes of the proof bundle; `node.proofs` verifies them offline."""
        name = id.hex() if isinstance(id, bytes) else id
        return bytes.fromhex((await self.get(f"/v1/transactions/{name}/proof"))["data"]["bundle"])

    # --- reads

    async def get(self, path: str, **query: object) -> Record:
        """The whole answer of any GET: `as_of`, `data` and perhaps `proof` or `next`."""
        answer: Record = await self.http.request("GET", path, query=_query(query))
        return answer

    async def pages(self, path: str, **query: object) -> AsyncIterator[Record]:
        """Every record of a list, page by page."""
        cursor = query.pop("cursor", "")
        name = "before" if path == "/v1/blocks" else "cursor"
        while True:
            answer = await self.get(path, **query, **({name: cursor} if cursor else {}))
            for record in answer["data"]:
                yield record
            cursor = answer.get("next", "")
            if not cursor:
                return

    async def _data(self, path: str, **query: object) -> Record:
        record: Record = (await self.get(path, **query))["data"]
        return record

    async def _list(self, path: str) -> list[Record]:
        records: list[Record] = (await self.get(path))["data"]
        return records

    async def claim(self, id: str) -> Record:
        return await self._data(f"/v1/claims/{id}")

    async def claim_fhir(self, id: str, resource: str) -> Record:
        """The claim as an HL7 FHIR R4 resource; amounts are Decimals."""
        return await self.get(f"/v1/claims/{id}/fhir/{resource}")

    def claims(
        self, *, status: str = "", plan: str = "", member: str = "", organisation: str = ""
    ) -> AsyncIterator[Record]:
        return self.pages("/v1/claims", status=status, plan=plan, member=member, organisation=organisation, limit=500)

    async def member(self, id: str) -> Record:
        return await self._data(f"/v1/members/{id}")

    def members(self, *, plan: str = "", organisation: str = "") -> AsyncIterator[Record]:
        return self.pages("/v1/members", plan=plan, organisation=organisation, limit=500)

    async def application(self, id: str) -> Record:
        """Of somebody who wants to join a plan."""
        return await self._data(f"/v1/applications/{id}")

    def applications(self, *, status: str = "", plan: str = "", organisation: str = "") -> AsyncIterator[Record]:
        return self.pages("/v1/applications", status=status, plan=plan, organisation=organisation, limit=500)

    async def statement(self, id: str) -> Record:
        return await self._data(f"/v1/members/{id}/statement")

    async def plans(self) -> list[Record]:
        return await self._list("/v1/plans")

    async def plan(self, code: str) -> Record:
        return await self._data(f"/v1/plans/{code}")

    async def plan_terms(self, code: str, version: int) -> Record:
        return await self._data(f"/v1/plans/{code}/terms/{version}")

    def proposals(self) -> AsyncIterator[Record]:
        return self.pages("/v1/proposals")

    async def proposal(self, id: str) -> Record:
        return await self._data(f"/v1/proposals/{id}")

    async def report(self, code: str, *, first: str = "", last: str = "") -> Record:
        return await self._data(f"/v1/reports/{code}", first=first, last=last)

    def cycles(self, code: str) -> AsyncIterator[Record]:
        return self.pages(f"/v1/plans/{code}/cycles", limit=500)

    async def organisations(self) -> list[Record]:
        return await self._list("/v1/organisations")

    async def organisation(self, name: str) -> Record:
        return await self._data(f"/v1/organisations/{name}")

    def worklist(self, organisation: str) -> AsyncIterator[Record]:
        """What waits for the organisation to act, most urgent first."""
        return self.pages(f"/v1/organisations/{organisation}/worklist", limit=500)

    async def programme(self) -> Record:
        return await self._data("/v1/programme")

    async def genesis(self) -> Record:
        return await self._data("/v1/genesis")

    async def block(self, reference: int | str = "latest") -> Record:
        return await self._data(f"/v1/blocks/{reference}")

    def blocks(self, *, before: int = 0) -> AsyncIterator[Record]:
        return self.pages("/v1/blocks", cursor=before or "", limit=500)

    async def status(self) -> Record:
        """With `as_of` beside the node's own fields."""
        answer = await self.get("/v1/status")
        return {"as_of": answer["as_of"], **answer["data"]}

    def events(
        self,
        *,
        after: str = "",
        types: Sequence[str] = (),
        claim: str = "",
        member: str = "",
        transaction: str = "",
    ) -> AsyncIterator[Event]:
        """Live events; goes on at another node where it stopped, without a gap and without a repetition."""
        query = {"types": ",".join(types), "claim": claim, "member": member, "transaction": transaction}
        return follow(self.http, after, {name: value for name, value in query.items() if value})


class OperatorClient(Client):
    """The operator's listener of one node."""

    async def ready(self, *, max_behind: int = 2, min_peers: int = 0) -> Record:
        """Raises NodeUnavailable with `reasons` if the node is not ready. Asks once."""
        query = _query({"max_behind": max_behind, "min_peers": min_peers})
        record: Record = await self.http.request("GET", "/readyz", query=query, patience_s=0.0)
        return record

    async def _order(self, method: str, path: str, document: Mapping[str, object] | None = None) -> Record:
        body = None if document is None else msgspec.json.encode(document)
        record: Record = await self.http.request(method, path, body=body)
        return record

    async def isolate(self, peers: Sequence[str] = ()) -> list[str]:
        """Cut the node off from these organisations' nodes, or from all; answers from whom."""
        names: list[str] = (await self._order("POST", "/v1/ops/isolate", {"peers": list(peers)}))["isolated"]
        return names

    async def heal(self) -> None:
        await self._order("POST", "/v1/ops/heal")

    async def log_level(self, level: str, logger: str = "") -> None:
        await self._order("PUT", "/v1/ops/log-level", {"level": level, "logger": logger})

    async def stop(self) -> None:
        await self._order("POST", "/v1/ops/stop")


def _query(values: Mapping[str, object]) -> dict[str, str]:
    """Query parameters; empty ones are left out, as their defaults mean the same."""
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text}


def _chunks(raw: Sequence[bytes], indexes: Sequence[int]) -> list[list[int]]:
    """Indexes in groups that each fit into one request."""
    chunks: list[list[int]] = []
    size = BODY_BYTES
    for index in indexes:
        size += len(raw[index]) + 5
        if size > BODY_BYTES or len(chunks[-1]) >= BODY_TRANSACTIONS:
            chunks.append([])
            size = len(raw[index]) + 5
        chunks[-1].append(index)
    return chunks


def _is_done(outcome: Outcome | None, wait: bool) -> bool:
    return outcome is not None and (outcome.is_final if wait else outcome.status != "refused")
