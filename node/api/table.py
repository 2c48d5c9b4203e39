"""The route table: everything the API offers, once; the parts for claims and operator are beside it.

`openapi.py` makes docs/openapi.json and docs/api.md of it; run `python -m node.api` after a change.
"""

from __future__ import annotations

from typing import Any, Final

from node.api import chain, claims_shapes, events, pages, shapes, submissions, transactions
from node.api import examples as ex
from node.api.backend import Proof
from node.api.call import Answer, Page
from node.api.problems import BODY_PROBLEMS, CURSOR_AHEAD, NOT_FOUND, POOL_FULL, REJECTED
from node.api.routes import EVENT_STREAM, JSON, MSGPACK, WEBSOCKET, Route
from node.api.table_claims import RECORD_ROUTES
from node.api.table_duplicates import DUPLICATES_ROUTES
from node.api.table_jury import JURY_ROUTES
from node.api.table_operator import OPERATOR_ROUTES
from node.api.table_vault import VAULT_ROUTES

TRANSACTION_ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/transactions",
        name="submitTransactions",
        tag="transactions",
        summary="Submit one or many signed transactions",
        description=(
            "People send JSON: `transactions` with canonical bytes in hex, or one `transaction` as an object with "
            "named fields. Programs send an application/msgpack array of byte strings. Each transaction has its own "
            "outcome. Sending the same bytes again is safe: the outcome says where they stand. 202: the pool holds "
            "at least one of them. With `wait=final`: 200 once every fate is final, 202 if the time ran out first."
        ),
        handler=transactions.submit,
        query_type=shapes.SubmitQuery,
        body_type=shapes.SubmitBody,
        body_media=(JSON, MSGPACK),
        answer=Page[shapes.Outcome],
        statuses=(200, 202),
        problems=(*BODY_PROBLEMS, REJECTED, POOL_FULL),
        query_example={"wait": "final", "timeout_ms": 5000},
        body_example={"transactions": [ex.RAW_TRANSACTION]},
        example=ex.page(ex.OUTCOME),
    ),
    Route(
        method="GET",
        path="/v1/submissions",
        name="streamTransactions",
        tag="transactions",
        summary="Submit many transactions over a WebSocket, and hear when each is final",
        description=(
            "Binary frames, each one msgpack array. The client sends `[number, [transaction, ...]]`. The node answers "
            "`[0, number, [code, ...]]`: 0 is in the pool, -1 means no room now (send it again after a second), "
            "anything else is the ledger's result code. `[1, height, [[id, index, code], ...]]` tells which of this "
            "connection's transactions a block made final, `[2, [[id, code, detail], ...]]` which left without one. "
            "Messages are bounded as bodies of `POST /v1/transactions` are, and count as requests."
        ),
        handler=submissions.submissions,
        media=WEBSOCKET,
        statuses=(101,),
    ),
    Route(
        method="GET",
        path="/v1/transactions/{id}",
        name="getTransaction",
        tag="transactions",
        summary="Fate of a transaction",
        description=(
            "Always answers 200: `unknown` is an answer (this node has not seen it, or has forgotten that it "
            "expired). With `wait_ms` the answer comes as soon as the fate is final."
        ),
        handler=transactions.fate,
        path_type=shapes.TransactionPath,
        query_type=shapes.FateQuery,
        answer=Answer[shapes.FateView],
        path_example={"id": ex.HASH},
        query_example={"wait_ms": 5000},
        example=ex.answer(ex.FATE),
    ),
    Route(
        method="GET",
        path="/v1/transactions/{id}/proof",
        name="getTransactionProof",
        tag="transactions",
        summary="Proof that a transaction and its receipt are final",
        handler=transactions.transaction_proof,
        path_type=shapes.TransactionPath,
        answer=Answer[Proof],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"id": ex.HASH},
        example=ex.answer(ex.PROOF),
    ),
    Route(
        method="GET",
        path="/v1/senders/{key}",
        name="getSender",
        tag="transactions",
        summary="Next free sequence of a signing key",
        handler=transactions.sender,
        path_type=shapes.SenderPath,
        answer=Answer[claims_shapes.SenderView],
        problems=(NOT_FOUND,),
        path_example={"key": ex.KEY},
        example=ex.answer(ex.SENDER),
    ),
)

CHAIN_ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/blocks",
        name="listBlocks",
        tag="chain",
        summary="Blocks, newest first",
        handler=chain.blocks,
        query_type=shapes.BlocksQuery,
        answer=Page[shapes.BlockSummary],
        versioned=True,
        query_example={"limit": 20},
        example=ex.page(ex.BLOCK_SUMMARY),
    ),
    Route(
        method="GET",
        path="/v1/blocks/{reference}",
        name="getBlock",
        tag="chain",
        summary="One block with its certificate and receipts",
        handler=chain.block,
        path_type=shapes.BlockPath,
        answer=Answer[shapes.BlockView],
        problems=(NOT_FOUND,),
        versioned=True,
        path_example={"reference": "latest"},
        example=ex.answer(ex.BLOCK),
    ),
    Route(
        method="GET",
        path="/v1/state/{key}",
        name="getState",
        tag="chain",
        summary="One record of the state by its key",
        description="Answers 200 with `value` null if there is no record: absence can be proved as well.",
        handler=chain.state,
        path_type=shapes.StatePath,
        query_type=shapes.ProveQuery,
        answer=Answer[shapes.StateView],
        versioned=True,
        path_example={"key": "0100000000000001"},
        query_example={"prove": True},
        example=ex.answer({"key": "0100000000000001", "value": None}),
    ),
    Route(
        method="GET",
        path="/v1/genesis",
        name="getGenesis",
        tag="chain",
        summary="The genesis document",
        description="Never trust a genesis file that comes from the node you want to check: compare its digest.",
        handler=chain.genesis,
        answer=Answer[dict[str, Any]],
        versioned=True,
        example=ex.answer({"digest": ex.HASH, "chain": "commonweal-demo"}),
    ),
    Route(
        method="GET",
        path="/v1/status",
        name="getStatus",
        tag="chain",
        summary="The node at a glance",
        handler=chain.status,
        answer=Answer[dict[str, Any]],
        example=ex.answer({"chain": "commonweal-demo", "view": 0}),
    ),
    Route(
        method="GET",
        path="/v1/health",
        name="getHealth",
        tag="chain",
        summary="The same as /v1/status",
        handler=chain.status,
        answer=Answer[dict[str, Any]],
        example=ex.answer({"chain": "commonweal-demo", "view": 0}),
    ),
    Route(
        method="GET",
        path="/v1/events",
        name="followEvents",
        tag="chain",
        summary="Live events (server-sent events), resumable",
        description=(
            "Each event's `id` is a cursor `height.index`; give the last one seen as `Last-Event-ID` or `?after=` to "
            "any node and the stream goes on behind it, without a gap and without a repetition. `height.0` is the "
            "block itself (type `block`), then for each receipt a `transaction` and what it caused. An event "
            "`dropped` is the last one: the client took nothing for too long, or the node stops."
        ),
        handler=events.events,
        query_type=shapes.EventsQuery,
        answer=events.EventView,
        media=EVENT_STREAM,
        problems=(CURSOR_AHEAD,),
        last_event_id=True,
        query_example={"after": "1204.0", "types": "block,claim-filed"},
        example=ex.EVENT,
    ),
)

DOCUMENT_ROUTES: Final = (
    Route(
        method="GET",
        path="/openapi.json",
        name="getOpenapi",
        tag="documents",
        summary="This API as an OpenAPI 3.1 document",
        handler=pages.openapi_document,
        answer=dict[str, Any],
        example={"openapi": "3.1.0"},
    ),
    Route(
        method="GET",
        path="/docs",
        name="getDocs",
        tag="documents",
        summary="This API as a page for people",
        handler=pages.docs_page,
        media="text/html",
    ),
)

ROUTES: Final = (
    *TRANSACTION_ROUTES,
    *CHAIN_ROUTES,
    *RECORD_ROUTES,
    *VAULT_ROUTES,
    *DUPLICATES_ROUTES,
    *JURY_ROUTES,
    *DOCUMENT_ROUTES,
    *OPERATOR_ROUTES,
)
