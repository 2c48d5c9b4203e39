"""The API and the client over real nodes: what they answer is what the shapes promise, and proofs verify."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from node.api import claims_shapes, plan_shapes, shapes
from node.api.call import Answer, Page
from node.api.named_transaction import ACTIONS
from node.api.node_metrics import HELP
from node.api.openapi import document
from node.api.table import ROUTES
from node.claims import keys
from node.claims.builders import build_transaction
from node.claims.calendar import day_number
from node.claims.mutual_aid.actions import Enrol, FileClaim
from node.claims.mutual_aid.application_actions import Applicant, Apply
from node.claims.transaction import Action
from node.client import (
    Account,
    Client,
    NotFound,
    OperatorClient,
    Rejected,
    VerificationFailed,
    verified_record,
    verified_transaction,
)
from node.proofs import decode_bundle, verify_bundle
from tests.factories import new_member
from tests.unit.node.nodes import Cluster, running, until

PLAN = "critical-illness"


class Net:
    """Four nodes with some history: members of every enroller, a claim, and a client of node a."""

    def __init__(self, cluster: Cluster, client: Client) -> None:
        self.cluster, self.client = cluster, client
        self.accounts = [Account(client, key) for key in cluster.account_keys]

    def enrol(self, first: int, count: int) -> Enrol:
        people = tuple(new_member(number) for number in range(first, first + count))
        return Enrol(plan=PLAN, members=people)


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    async with running(tmp_path) as cluster:
        urls = [f"http://127.0.0.1:{node.port}" for node in cluster.nodes.values()]
        async with Client(urls) as client:
            yield Net(cluster, client)


async def check(client: Client, path: str, kind: Any, **query: object) -> Any:
    """The answer of a real node, read strictly as the documented type."""
    return msgspec.convert(await client.get(path, **query), kind, strict=True)


async def test_answers_of_a_real_node_are_what_the_document_says(net: Net) -> None:
    client, cluster = net.client, net.cluster
    outcome = await net.accounts[0].submit([net.enrol(0, 3)])
    assert outcome.receipt is not None
    await check(client, "/v1/members", Page[claims_shapes.MemberView], plan=PLAN, organisation="a")
    await check(client, "/v1/members/M-000001", Answer[claims_shapes.MemberView])
    await check(client, "/v1/members/M-000001/statement", Answer[claims_shapes.StatementView])
    declared = Applicant(person=bytes(32), birth_month=23_885, declaration=bytes(32))
    await net.accounts[0].submit([Apply(plan=PLAN, applicants=(declared,))])
    await check(client, "/v1/applications/A-000001", Answer[claims_shapes.ApplicationView])
    pending = await check(
        client, "/v1/applications", Page[claims_shapes.ApplicationView], status="applied", plan=PLAN, organisation="a"
    )
    assert [item.id for item in pending.data] == ["A-000001"]
    await check(client, "/v1/claims", Page[claims_shapes.ClaimView])
    await check(client, "/v1/claims", Page[claims_shapes.ClaimView], status="filed", organisation="a")
    await check(client, "/v1/claims", Page[claims_shapes.ClaimView], member="M-000001")
    await check(client, "/v1/plans", Page[plan_shapes.PlanView])
    await check(client, f"/v1/plans/{PLAN}", Answer[plan_shapes.PlanView])
    await check(client, f"/v1/plans/{PLAN}/cycles", Page[claims_shapes.CycleView])
    await check(client, "/v1/organisations", Page[claims_shapes.OrganisationView])
    await check(client, "/v1/organisations/a", Answer[claims_shapes.OrganisationView])
    await check(client, "/v1/organisations/b/worklist", Page[claims_shapes.ClaimView])
    await check(client, "/v1/programme", Answer[plan_shapes.ProgrammeView])
    await check(client, "/v1/evidence", Page[claims_shapes.EvidenceView])
    await check(client, "/v1/blocks", Page[shapes.BlockSummary])
    await check(client, "/v1/blocks/0", Answer[shapes.BlockView])
    await check(client, "/v1/blocks/latest", Answer[shapes.BlockView])
    await check(client, f"/v1/transactions/{outcome.id}", Answer[shapes.FateView])
    sender = await check(
        client, f"/v1/senders/{cluster.account_keys[0].public.hex()}", Answer[claims_shapes.SenderView]
    )
    assert sender.data.next_sequence == sender.data.highest_sequence + 1
    genesis = (await client.genesis())["digest"]
    assert genesis == cluster.genesis.digest.hex() == (await client.status())["genesis"]


async def test_claim_goes_all_the_way_into_records_worklist_and_events(net: Net) -> None:
    client = net.client
    await net.accounts[0].submit([net.enrol(0, 1)])
    day = day_number(2026, 1, 1)
    with pytest.raises(Rejected) as caught:
        await net.accounts[0].submit(
            [FileClaim(plan=PLAN, member=99, ailment="S01", diagnosis_day=day, accident=True, evidence=bytes(32))]
        )
    assert caught.value.code == "E1120"
    fate = await client.fate(caught.value.transactions[0]["id"])
    assert (fate["status"], fate["code"], fate["result"]) == ("committed", "E1120", "unknown-member")
    assert fate["transaction"]["actions"][0]["action"] == "file-claim"
    with pytest.raises(NotFound):
        await client.claim("C-000001")


async def test_every_proof_verifies_offline_with_the_genesis_alone(net: Net) -> None:
    client, genesis = net.client, net.cluster.genesis
    declared = Applicant(person=bytes(32), birth_month=23_885, declaration=bytes(32))
    outcome = await net.accounts[0].submit([net.enrol(0, 2), Apply(plan=PLAN, applicants=(declared,))])
    proven = verify_bundle(decode_bundle(await client.transaction_proof(outcome.id)), genesis)
    assert proven.transaction is not None and proven.transaction.id.hex() == outcome.id
    for path, key in (
        ("/v1/members/M-000002", keys.member(2)),
        ("/v1/applications/A-000001", keys.application(1)),
        (f"/v1/plans/{PLAN}", keys.plan_state(0)),
        (f"/v1/state/{keys.claim(1).hex()}", keys.claim(1)),
    ):
        answer = await client.get(path, prove=True)
        proven = verify_bundle(decode_bundle(bytes.fromhex(answer["proof"]["bundle"])), genesis, key=key)
        assert proven.key == key
        assert (proven.value is None) == (path == f"/v1/state/{keys.claim(1).hex()}")
        assert proven.header.height == answer["as_of"]["height"]
        assert proven.header.digest.hex() == answer["as_of"]["digest"]


async def test_client_believes_only_what_is_proved(net: Net) -> None:
    client, genesis = net.client, net.cluster.genesis
    first = await net.accounts[0].submit([net.enrol(0, 1)])
    second = await net.accounts[0].submit([net.enrol(1, 1)])
    proven = await verified_transaction(client, first.id, genesis)
    assert proven.receipt is not None and proven.receipt.code == 0
    assert (await verified_record(client, keys.member(1), genesis)).value is not None
    assert (await verified_record(client, keys.member(9), genesis)).value is None

    honest = client.transaction_proof

    async def swapped(id: str | bytes) -> bytes:
        return await honest(second.id)

    async def altered(id: str | bytes) -> bytes:
        bundle = await honest(id)
        return bundle[:-1] + bytes([bundle[-1] ^ 1])

    for liar in (swapped, altered):
        client.transaction_proof = liar  # type: ignore[method-assign]
        with pytest.raises(VerificationFailed) as caught:
            await verified_transaction(client, first.id, genesis)
        assert caught.value.exit_code == 3
    other = msgspec.structs.replace(genesis, chain="another")
    client.transaction_proof = honest  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed):
        await verified_transaction(client, first.id, other)


async def test_transaction_with_named_fields_is_the_same_as_its_bytes(net: Net) -> None:
    client, key = net.client, net.cluster.account_keys[0]
    valid_until_ms = (await client.status())["chain_now_ms"] + 3_600_000
    action = net.enrol(0, 1)
    transaction = build_transaction(net.cluster.genesis.digest, key.public, 1, valid_until_ms, [action], key.sign)
    document_of = {
        "sender": key.public.hex(),
        "sequence": 1,
        "valid_until_ms": valid_until_ms,
        "actions": [
            {
                "action": "enrol",
                "plan": PLAN,
                "members": [{"person": m.person.hex(), "birth_month": m.birth_month} for m in action.members],
            }
        ],
        "signature": transaction.signature.hex(),
    }
    body = msgspec.json.encode({"transaction": document_of})
    answer = await client.http.request("POST", "/v1/transactions", query={"wait": "final"}, body=body)
    assert (answer["data"][0]["id"], answer["data"][0]["status"]) == (transaction.id.hex(), "committed")


async def test_every_action_has_a_word() -> None:
    words = {re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower() for kind in get_args(Action)}
    assert set(ACTIONS) == words
    assert {"record-evidence", "enrol", "file-claim", "lift-stay"} <= words


async def test_events_of_all_nodes_are_the_same(net: Net) -> None:
    for first in range(0, 6, 2):
        await net.accounts[0].submit([net.enrol(first, 2)])
    height = (await net.client.status())["height"]
    streams = []
    for node in net.cluster.nodes.values():
        async with Client(f"http://127.0.0.1:{node.port}") as client:
            seen = []
            async for event in client.events(after="0.0"):
                seen.append(event)
                if event.height == height and event.type == "members-enrolled":
                    break
            streams.append(seen)
    assert streams[0] == streams[1] == streams[2] == streams[3]
    kinds = [event.type for event in streams[0]]
    assert kinds.count("members-enrolled") == kinds.count("transaction") == 3
    wanted = [event for event in streams[0] if event.type == "members-enrolled"][1]
    assert await anext(net.client.events(after="0.0", member="M-000004")) == wanted
    assert wanted.data["transaction"]


async def test_many_transactions_from_many_tasks_are_each_carried_out_once(net: Net) -> None:
    account = net.accounts[0]
    outcomes = await asyncio.gather(
        *(account.submit_many([[net.enrol(1000 * task + i, 1)] for i in range(20)]) for task in range(5))
    )
    ids = {outcome.id for batch in outcomes for outcome in batch}
    assert len(ids) == 100
    assert all(outcome.succeeded for batch in outcomes for outcome in batch)
    assert (await net.client.programme())["members_enrolled"] == 100


async def test_account_goes_on_when_its_node_dies(net: Net) -> None:
    account = net.accounts[0]
    await account.submit([net.enrol(0, 1)])
    asked_first = net.client.http.url
    name = next(n for n, node in net.cluster.nodes.items() if asked_first.endswith(f":{node.port}"))
    await net.cluster.stop(name)
    assert (await account.submit([net.enrol(10, 1)])).succeeded
    assert net.client.http.url != asked_first


async def test_operator_sees_the_node_and_can_cut_it_off(net: Net) -> None:
    node = net.cluster.nodes["b"]
    async with OperatorClient(f"http://127.0.0.1:{node.operator_port}", patience_s=0) as operator:
        assert (await operator.ready(min_peers=3))["peers"] == 3
        await net.accounts[0].submit([net.enrol(0, 1)])
        session = operator.http.session()
        async with session.get(operator.http.url + "/metrics") as answer:
            text = await answer.text()
        for name in HELP:
            if name != "weal_peer_frames_rejected_total":
                assert f"\n{name} " in text or f"\n{name}{{" in text, name
        assert sorted(await operator.isolate()) == ["a", "c", "d"]
        await until(lambda: not node.transport.connected(), "b is alone")
        with pytest.raises(Exception, match="0 peers connected"):
            await operator.ready(min_peers=1)
        await operator.heal()
        await until(lambda: len(node.transport.connected()) == 3, "b is back")
        await operator.stop()
        await asyncio.wait_for(node.wait_stopped(), 20)


def test_document_describes_actions_of_the_ledger() -> None:
    assert document(ROUTES)["components"]["schemas"]["TransactionView"]["properties"]["actions"]
