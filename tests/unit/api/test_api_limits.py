"""What hostile or hasty clients run into."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.limits import Limits, Slots, TokenBuckets
from node.api.problems import ApiError
from tests.unit.api.fake import Served, serving, until

MSGPACK = {"Content-Type": "application/msgpack"}


async def raw_exchange(served: Served, *pieces: bytes) -> bytes:
    """Everything the node answers to these bytes until it closes the connection."""
    host, port = served.client.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def problem_in(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    document: dict[str, object] = json.loads(body)
    return document


async def test_declared_oversize_is_refused_before_the_body_is_sent() -> None:
    async with serving(Limits(max_body_bytes=1000, idle_timeout_s=1)) as served:
        head = b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
        answer = await raw_exchange(served, head + b"Content-Length: 1001\r\nConnection: close\r\n\r\n")
        assert problem_in(answer)["code"] == "E0413"


async def test_undeclared_oversize_is_refused_as_soon_as_it_shows() -> None:
    async def endless() -> object:
        for _ in range(100):
            yield b"x" * 1000

    async with (
        serving(Limits(max_body_bytes=10_000)) as served,
        served.http.post(served.client + "/v1/transactions", data=endless(), headers=MSGPACK) as answer,
    ):
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (413, "E0413")
        assert served.backend.submissions == 0


async def test_body_that_trickles_is_timed_out() -> None:
    async with serving(Limits(body_timeout_s=0.1)) as served:
        head = b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
        answer = await raw_exchange(served, head + b"Content-Length: 100\r\nConnection: close\r\n\r\n", b"\x91")
        assert answer.startswith(b"HTTP/1.1 408")
        assert problem_in(answer)["code"] == "E0408"
        assert served.api.gate.requests.taken == 0


async def test_head_that_trickles_loses_its_connection() -> None:
    async with serving(Limits(idle_timeout_s=0.1)) as served:
        assert await raw_exchange(served, b"GET /v1/status HT", b"TP/1.1\r\nHost: a\r\nX-Slow: ") == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_with_a_problem(garbage: bytes) -> None:
    async with serving(Limits(idle_timeout_s=1)) as served:
        answer = await raw_exchange(served, garbage)
        assert answer.split(b" ")[1] == b"400"
        assert problem_in(answer)["code"] == "E0400"
        async with served.http.get(served.client + "/v1/status") as alive:
            assert alive.status == 200


async def test_broken_chunks_are_a_problem() -> None:
    async with serving(Limits(idle_timeout_s=1)) as served:
        head = b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
        answer = await raw_exchange(served, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert answer.split(b" ")[1] == b"400"
        assert served.backend.submissions == 0


async def test_hasty_client_is_told_when_to_come_back() -> None:
    async with serving(Limits(rate_per_s=1, rate_burst=3)) as served:
        answers = []
        for _ in range(5):
            async with served.http.get(served.client + "/v1/status") as answer:
                answers.append((answer.status, answer.headers.get("Retry-After")))
        assert answers[:3] == [(200, None)] * 3
        assert answers[4] == (429, "1")
        async with served.http.get(served.operator + "/livez") as answer:
            assert answer.status == 200


async def test_too_many_requests_at_once_are_refused() -> None:
    async with serving(Limits(max_requests=1, body_timeout_s=5)) as served:
        host, port = served.client.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
        writer.write(head + b"Content-Length: 100\r\n\r\n")
        await until(lambda: served.api.gate.requests.taken, "the request is in work")
        async with served.http.get(served.client + "/v1/status") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (503, "E0503")
        writer.close()


async def test_too_many_waiting_requests_are_refused_and_leave_when_the_client_does() -> None:
    async with serving(Limits(max_waiting=1)) as served:
        url = served.client + "/v1/transactions/" + "ab" * 32 + "?wait_ms=60000"
        waiting = asyncio.create_task(served.http.get(url))
        await until(lambda: served.api.gate.waiting.taken, "the request waits")
        async with served.http.get(url) as answer:
            assert answer.status == 503
        async with served.http.get(served.client + "/v1/status") as answer:
            assert answer.status == 200
        waiting.cancel()
        await until(lambda: not served.api.gate.waiting.taken, "the waiting request has left")
        assert served.api.gate.requests.taken == 0


async def test_connections_above_the_limit_are_turned_away() -> None:
    async with serving(Limits(max_connections=2)) as served:
        host, port = served.client.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        request = b"GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        # Above the limit: connected, because it might be a peer, but not served.
        answer = await raw_exchange(served, request)
        assert problem_in(answer)["code"] == "E0503"
        # Above half as many again: closed at once.
        held.append(await asyncio.open_connection(host, int(port)))
        answer = await raw_exchange(served, b"")
        assert problem_in(answer)["code"] == "E0503"
        for _, writer in held:
            writer.close()


async def test_more_transactions_than_allowed_are_refused() -> None:
    async with (
        serving(Limits(max_transactions=2)) as served,
        served.http.post(
            served.client + "/v1/transactions", data=msgspec.msgpack.encode([b"a", b"b", b"c"]), headers=MSGPACK
        ) as answer,
    ):
        assert answer.status == 400
        assert served.backend.submissions == 0


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 50),
    pauses_ms=st.lists(st.integers(0, 2_000), max_size=60),
)
def test_bucket_never_passes_more_than_burst_and_rate_allow(rate: int, burst: int, pauses_ms: list[int]) -> None:
    buckets = TokenBuckets(rate, burst, 10)
    now_s, passed = 0.0, 0
    for pause_ms in pauses_ms:
        now_s += pause_ms / 1000
        wait_s = buckets.take("a", now_s)
        passed += wait_s is None
        assert passed <= burst + rate * now_s + 1e-6
        if wait_s is not None:
            # Whoever obeys Retry-After gets through.
            assert TokenBuckets.take(buckets, "a", now_s + wait_s) is None
            now_s += wait_s
            passed += 1


def test_buckets_forget_the_longest_unseen_address() -> None:
    buckets = TokenBuckets(1, 1, 2)
    assert buckets.take("a", 0.0) is None
    assert buckets.take("b", 0.0) is None
    assert buckets.take("a", 0.0) == 1
    assert buckets.take("c", 0.0) is None
    assert len(buckets) == 2
    assert buckets.take("a", 0.0) == 1
    assert buckets.take("b", 0.0) is None


def test_slots_are_given_back_after_a_failure() -> None:
    slots = Slots(1, "things")
    with pytest.raises(KeyError), slots:
        raise KeyError
    with slots, pytest.raises(ApiError), slots:
        pass
    assert slots.taken == 0


async def test_waiting_client_is_sent_elsewhere_when_the_node_stops() -> None:
    async with aiohttp.ClientSession() as session:
        async with serving() as served:
            url = served.client + "/v1/transactions/" + "ab" * 32 + "?wait_ms=60000"
            waiting = asyncio.create_task(session.get(url))
            await until(lambda: served.api.gate.waiting.taken, "the request waits")
        answer = await asyncio.wait_for(waiting, 10)
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (503, "E0505")
