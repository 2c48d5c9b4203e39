"""The event stream: resumes without gap or repetition, filters, tells why it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import aiohttp

from node.api.backend import ChainEvent
from node.api.limits import Limits
from tests.unit.api.fake import GENESIS_MS, FakeBackend, Served, serving, until


async def first_events(served: Served, count: int, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """The first `count` events of a stream, each with its SSE id and type."""
    found: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    async with served.http.get(served.client + "/v1/events" + query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        assert answer.headers["X-Accel-Buffering"] == "no"
        while len(found) < count:
            line = (await asyncio.wait_for(answer.content.readline(), 10)).decode().rstrip("\n")
            if not line:
                if "data" in fields:
                    found.append(fields | json.loads(fields["data"]))
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
    return found


def busy_backend(blocks: int = 3) -> FakeBackend:
    backend = FakeBackend()
    for height in range(1, blocks + 1):
        for number in range(2):
            raw = b"%d %d" % (height, number)
            backend.pool[raw.rjust(32, b"\0")] = raw
        backend.commit()
    return backend


async def test_stream_from_the_beginning_holds_everything_in_order() -> None:
    async with serving(backend=busy_backend()) as served:
        events = await first_events(served, 9, "?after=0.0")
        assert [event["id"] for event in events] == [f"{height}.{index}" for height in (1, 2, 3) for index in range(3)]


async def test_stream_goes_on_behind_any_cursor() -> None:
    async with serving(backend=busy_backend()) as served:
        everything = await first_events(served, 9, "?after=0.0")
        for position in range(8):
            cursor = everything[position]["id"]
            events = await first_events(served, 9 - position - 1, f"?after={cursor}")
            assert [event["id"] for event in events] == [event["id"] for event in everything[position + 1 :]]


async def test_header_of_a_reconnecting_browser_wins_over_the_query() -> None:
    async with serving(backend=busy_backend()) as served:
        events = await first_events(served, 1, "?after=0.0", **{"Last-Event-ID": "2.1"})
        assert events[0]["id"] == "2.2"


async def test_stream_without_cursor_begins_with_the_next_block() -> None:
    async with serving(backend=busy_backend()) as served:
        reading = asyncio.create_task(first_events(served, 1))
        await until(lambda: served.api.gate.streams.taken, "the stream is open")
        served.backend.commit()
        assert (await reading)[0]["id"] == "4.0"
        assert (await reading)[0]["event"] == "block"


async def test_filters_hold_back_what_is_not_asked_for() -> None:
    async with serving(backend=busy_backend()) as served:
        events = await first_events(served, 3, "?after=0.0&types=block")
        assert [event["id"] for event in events] == ["1.0", "2.0", "3.0"]
        wanted = served.backend.blocks[2].transactions[1].hex()
        events = await first_events(served, 1, f"?after=0.0&transaction={wanted}")
        assert [event["id"] for event in events] == ["2.2"]


async def test_heartbeat_carries_the_cursor_over_what_the_filter_held_back() -> None:
    async with (
        serving(Limits(stream_heartbeat_s=0.05), busy_backend()) as served,
        served.http.get(served.client + "/v1/events?after=1.0&claim=C-000001") as answer,
    ):
        text = b""
        while b"still here" not in text or not text.endswith(b"\n\n"):
            text += await asyncio.wait_for(answer.content.readany(), 10)
        assert b"id: 1.0\n" in text
        assert b": still here\nid: 3.2\n\n" in text


async def test_cursor_above_the_chain_is_a_problem() -> None:
    async with serving() as served, served.http.get(served.client + "/v1/events?after=9.0") as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (409, "E0412")
        assert served.api.gate.streams.taken == 0


async def test_streams_are_limited_and_free_their_slot_when_the_client_leaves() -> None:
    async with serving(Limits(max_streams=1)) as served:
        async with served.http.get(served.client + "/v1/events"):
            async with served.http.get(served.client + "/v1/events") as second:
                assert (second.status, (await second.json(content_type=None))["code"]) == (503, "E0503")
            assert served.api.gate.streams.taken == 1
            assert served.api.gate.requests.taken == 0
        await until(lambda: not served.api.gate.streams.taken, "the stream has ended")


async def test_client_that_takes_nothing_is_dropped_and_told_why() -> None:
    backend = FakeBackend()
    filler = "x" * 1000
    for index in range(20_000):
        event = ChainEvent(height=0, index=index + 1, time_ms=GENESIS_MS, type="block", data={"filler": filler})
        backend.events.append(event)
    async with serving(Limits(stream_stall_s=0.2), backend) as served:
        with socket.socket() as plug:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plug.setblocking(False)
            loop = asyncio.get_running_loop()
            host, port = served.client.removeprefix("http://").split(":")
            await loop.sock_connect(plug, (host, int(port)))
            await loop.sock_sendall(plug, b"GET /v1/events?after=0.0 HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: served.api.gate.streams.taken, "the stream is open")
            await until(lambda: not served.api.gate.streams.taken, "the stream has ended")
            received = b""
            async with asyncio.timeout(20):
                while chunk := await loop.sock_recv(plug, 1 << 20):
                    received += chunk
        # What was on its way is followed by the reason, or cut off; it is never the whole log.
        assert received.count(b"event: block") < 20_000
        assert b"event: dropped" in received or not received.endswith(b"0\r\n\r\n")


async def test_stop_ends_streams_with_a_last_event() -> None:
    async with aiohttp.ClientSession() as session:
        async with serving() as served:
            answer = await session.get(served.client + "/v1/events")
            await until(lambda: served.api.gate.streams.taken, "the stream is open")
            reading = asyncio.create_task(answer.content.read())
        text = await asyncio.wait_for(reading, 10)
        assert b"event: dropped" in text
        assert b"the node stops" in text
