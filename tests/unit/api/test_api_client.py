"""The client: several nodes, retries, outcomes, events that go on elsewhere, sequences of an account."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest
from aiohttp import web

from node.api.backend import Record, Submission
from node.api.limits import Limits
from node.claims.builders import commitment
from node.claims.consortium import RecordEvidence
from node.claims.transaction import Action, decode_transaction
from node.client import (
    Account,
    Client,
    NodeUnavailable,
    NotFinal,
    NotFound,
    OperatorClient,
    Rejected,
    RequestRefused,
    SyncClient,
)
from node.client.client import BODY_BYTES, _chunks
from node.crypto import SigningKey
from tests.unit.api.fake import FakeBackend, serving, transaction_id, until

DEAD = "http://127.0.0.1:9"
KEY = SigningKey(bytes(range(32)))
ACTION: Action = RecordEvidence(evidence=b"two votes")


async def test_submit_waits_until_all_are_final() -> None:
    async with serving() as served, Client(served.client) as client:
        served.backend.auto_commit = True
        outcomes = await client.submit([b"one", b"bad two", b"three"])
        assert [outcome.status for outcome in outcomes] == ["committed", "rejected", "committed"]
        assert outcomes[0].succeeded
        assert outcomes[0].receipt is not None
        assert (outcomes[1].code, outcomes[1].result) == ("E1004", "unknown-sender")


async def test_submit_of_only_bad_ones_answers_outcomes_too() -> None:
    async with serving() as served, Client(served.client) as client:
        outcomes = await client.submit([b"bad"])
        assert outcomes[0].status == "rejected"


async def test_submit_raises_when_time_runs_out_and_says_what_is_open() -> None:
    async with serving() as served, Client(served.client) as client:
        with pytest.raises(NotFinal) as caught:
            await client.submit([b"one"], timeout_s=0.1)
        assert caught.value.exit_code == 6
        assert caught.value.transactions[0]["status"] == "pending"


async def test_submit_comes_back_until_the_pool_has_room() -> None:
    class Crowded(FakeBackend):
        async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]:
            if self.submissions < 1:
                self.submissions += 1
                return [Submission(id=transaction_id(data), status="refused", detail="full") for data in raw]
            return await super().submit(raw)

    backend = Crowded()
    backend.auto_commit = True
    async with serving(backend=backend) as served, Client(served.client) as client:
        assert (await client.submit([b"one", b"two"]))[1].succeeded
        assert backend.submissions == 2


async def test_large_submissions_are_split_and_outcomes_keep_their_order() -> None:
    async with serving() as served, Client(served.client) as client:
        raw = [b"%d " % index + bytes(100_000) for index in range(20)]
        outcomes = await client.submit(raw, wait=False)
        assert [outcome.id for outcome in outcomes] == [transaction_id(data).hex() for data in raw]
        assert served.backend.submissions == 3


def test_chunks_hold_every_index_once_and_stay_below_the_limits() -> None:
    raw = [bytes(size) for size in (10, BODY_BYTES, 20, BODY_BYTES - 40, 30, *([1] * 2500))]
    chunks = _chunks(raw, range(len(raw)))
    assert [index for chunk in chunks for index in chunk] == list(range(len(raw)))
    assert all(len(chunk) <= 1000 for chunk in chunks)
    assert all(len(chunk) == 1 or sum(len(raw[i]) for i in chunk) <= BODY_BYTES for chunk in chunks)


async def test_next_node_takes_over_when_one_cannot_be_reached() -> None:
    async with serving() as served, Client([DEAD, served.client]) as client:
        assert (await client.status())["chain"] == "fake"
        assert client.http.url == served.client


async def test_next_node_takes_over_when_one_dies_during_a_wait() -> None:
    shared = FakeBackend()
    async with serving(backend=shared) as second:
        async with serving(backend=shared) as first:
            client = Client([first.client, second.client], timeout_s=2)
            submitting = asyncio.create_task(client.submit([b"one"]))
            await until(lambda: first.api.gate.waiting.taken, "the request waits")
        await until(lambda: second.api.gate.waiting.taken, "the request waits at the other node")
        shared.commit()
        assert (await submitting)[0].succeeded
        await client.close()


async def test_unreachable_nodes_are_an_error_that_says_so() -> None:
    async with Client([DEAD, DEAD], patience_s=0.2) as client:
        with pytest.raises(NodeUnavailable) as caught:
            await client.status()
        assert caught.value.exit_code == 7
        assert DEAD in str(caught.value)


async def test_something_else_at_the_address_is_an_error_that_says_so() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<h1>printer</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/v1/status", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(NodeUnavailable, match="does not answer as a node does"):
            await client.status()
    await runner.cleanup()


async def test_problems_become_errors_with_their_exit_codes() -> None:
    async with serving() as served, Client(served.client) as client:
        with pytest.raises(NotFound) as missing:
            await client.claim("C-000001")
        assert (missing.value.exit_code, missing.value.code) == (5, "E0411")
        with pytest.raises(RequestRefused) as refused:
            await client.get("/v1/claims", limit=-1)
        assert (refused.value.exit_code, refused.value.code) == (2, "E0400")
        assert refused.value.hint


async def test_lists_are_read_to_the_end() -> None:
    async with serving(Limits(page_max=3)) as served, Client(served.client) as client:
        assert [claim["id"] async for claim in client.claims()] == [f"C-{i:06d}" for i in range(1, 8)]
        for _ in range(4):
            served.backend.commit()
        assert [block["height"] async for block in client.blocks()] == [4, 3, 2, 1, 0]


async def test_single_reads_answer_the_record() -> None:
    async with serving() as served, Client(served.client) as client:
        assert (await client.claim("C-000045"))["id"] == "C-000045"
        assert (await client.member("M-000123"))["id"] == "M-000123"
        assert (await client.statement("M-000123"))["total"] == "0.03"
        assert (await client.plan("critical-illness"))["code"] == "critical-illness"
        assert (await client.plans())[0]["code"] == "critical-illness"
        assert (await client.organisation("harbour"))["name"] == "harbour"
        assert [claim["id"] async for claim in client.worklist("harbour")] == ["C-000045"]
        assert (await client.block(0))["header"]["height"] == 0
        assert (await client.programme())["claims"] == 3


async def test_fate_is_followed_until_it_is_final() -> None:
    async with serving() as served, Client(served.client) as client:
        assert (await client.fate(bytes(32)))["status"] == "unknown"
        with pytest.raises(NotFinal):
            await client.wait_final(bytes(32), timeout_s=0.05)
        outcome = (await client.submit([b"one"], wait=False))[0]
        waiting = asyncio.create_task(client.wait_final(outcome.id))
        await until(lambda: served.api.gate.waiting.taken, "the request waits")
        served.backend.commit()
        assert (await waiting)["height"] == 1
        assert await client.transaction_proof(outcome.id) == bytes.fromhex(outcome.id)


async def test_events_go_on_at_another_node_without_gap_or_repetition() -> None:
    shared = FakeBackend()
    seen: list[str] = []
    async with serving(backend=shared) as second:
        async with serving(backend=shared) as first:
            client = Client([first.client, second.client])
            stream = client.events(after="0.0")
            for _ in range(3):
                shared.commit()
                seen.append((await anext(stream)).cursor)
        shared.commit()
        seen.append((await anext(stream)).cursor)
        shared.commit()
        event = await anext(stream)
        assert event.type == "block"
        seen.append(event.cursor)
        await client.close()
    assert seen == [f"{height}.0" for height in range(1, 6)]


async def test_stream_that_broke_before_its_first_event_misses_nothing() -> None:
    shared = FakeBackend()
    async with serving(backend=shared) as second:
        async with serving(backend=shared) as first:
            client = Client([first.client, second.client])
            following = asyncio.ensure_future(anext(client.events()))
            await until(lambda: first.api.gate.streams.taken, "the stream is open")
            await until(lambda: client.http.url == first.client, "it is the first node")
        shared.commit()
        assert (await asyncio.wait_for(following, 20)).cursor == "1.0"
        await client.close()


async def test_cursor_above_every_node_is_an_error_after_patience() -> None:
    async with serving() as served, Client(served.client, patience_s=0.1) as client:
        with pytest.raises(NodeUnavailable, match="E0412"):
            await anext(client.events(after="99.0"))


async def test_account_signs_for_this_chain_with_rising_sequences() -> None:
    async with serving() as served, Client(served.client) as client:
        account = Account(client, KEY)
        signed = await asyncio.gather(*(account.sign([ACTION]) for _ in range(5)))
        assert sorted(transaction.sequence for transaction in signed) == [18, 19, 20, 21, 22]
        assert signed[0].sender == KEY.public
        assert signed[0].genesis.hex() == (await client.status())["genesis"]
        assert signed[0].valid_until_ms > (await client.status())["chain_now_ms"]


async def test_account_never_opens_more_sequences_than_the_window_takes() -> None:
    async with serving() as served, Client(served.client) as client:
        account = Account(client, KEY, window=3)
        first = [await account.sign([ACTION]) for _ in range(3)]
        fourth = asyncio.create_task(account.sign([ACTION]))
        done, _ = await asyncio.wait({fourth}, timeout=0.05)
        assert not done
        await account.release([first[1].sequence])
        done, _ = await asyncio.wait({fourth}, timeout=0.05)
        assert not done
        await account.release([first[0].sequence])
        assert (await fourth).sequence == first[2].sequence + 1


async def test_account_submits_many_in_rounds_of_its_window() -> None:
    async with serving() as served, Client(served.client) as client:
        served.backend.auto_commit = True
        account = Account(client, KEY, window=4)
        outcomes = await account.submit_many([[ACTION]] * 10)
        assert len({outcome.id for outcome in outcomes}) == 10
        assert all(outcome.succeeded for outcome in outcomes)
        assert served.backend.submissions == 3


async def test_account_takes_another_sequence_when_another_program_was_faster() -> None:
    class Contested(FakeBackend):
        taken = 18

        def sender(self, key: bytes) -> Record | None:
            record = super().sender(key)
            assert record is not None
            return {**record, "next_sequence": self.taken}

        async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]:
            sequence = decode_transaction(raw[0]).sequence
            if sequence < 20:
                self.taken = 20
                return [Submission(id=bytes(32), status="rejected", code=5, detail="used") for _ in raw]
            return await super().submit(raw)

    backend = Contested()
    backend.auto_commit = True
    async with serving(backend=backend) as served, Client(served.client) as client:
        assert (await Account(client, KEY).submit([ACTION])).succeeded


async def test_account_raises_what_the_ledger_rejects() -> None:
    class Strict(FakeBackend):
        async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]:
            return [Submission(id=bytes(32), status="rejected", code=4, detail="nobody has this key") for _ in raw]

    async with serving(backend=Strict()) as served, Client(served.client) as client:
        with pytest.raises(Rejected) as caught:
            await Account(client, KEY).submit([ACTION])
        assert (caught.value.exit_code, caught.value.code) == (4, "E1004")


async def test_operator_client_isolates_and_asks_for_readiness() -> None:
    async with serving() as served, OperatorClient(served.operator) as operator:
        assert (await operator.ready())["ready"]
        assert await operator.isolate(["ridge"]) == ["ridge"]
        with pytest.raises(NodeUnavailable) as caught:
            await operator.ready(min_peers=3)
        assert caught.value.reasons == ["2 peers connected, 3 are required"]
        await operator.heal()
        await operator.stop()
        assert served.backend.stopped


async def test_sync_client_does_the_same_without_a_loop() -> None:
    async with serving() as served:
        served.backend.auto_commit = True

        def script() -> tuple[str, int, list[str], str]:
            with SyncClient(served.client) as client:
                outcome = client.account(KEY).submit([ACTION])
                claims = [claim["id"] for claim in client.claims()]
                event = next(iter(client.events(after="0.0")))
                return outcome.status, client.block()["header"]["height"], claims, event.cursor

        status, height, claims, cursor = await asyncio.to_thread(script)
        assert (status, height, len(claims), cursor) == ("committed", 1, 7, "1.0")


def test_client_package_does_not_load_aiohttp() -> None:
    """Commands that need no network start fast."""
    code = "import sys, node.client; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert commitment(bytes(32), b"content")
