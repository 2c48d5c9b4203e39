"""Submitting over a WebSocket: every transaction gets its answer, and later its fate, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgpack
import pytest

from node.api import submissions
from node.api.limits import Limits
from tests.unit.api.fake import FakeBackend, Served, serving, transaction_id


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with served.http.ws_connect(served.client + "/v1/submissions") as socket:
        yield socket


async def heard(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    message = await asyncio.wait_for(socket.receive(), 10)
    assert message.type is aiohttp.WSMsgType.BINARY, message
    found: list[Any] = msgpack.unpackb(message.data)
    return found


async def say(socket: aiohttp.ClientWebSocketResponse, number: int, *raws: bytes) -> list[Any]:
    await socket.send_bytes(msgpack.packb([number, list(raws)]))
    return await heard(socket)


async def test_each_transaction_is_answered_in_order_and_told_when_it_is_final() -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        assert await say(socket, 7, b"one", b"bad two", b"full three", b"four") == [0, 7, [0, 4, -1, 0]]
        height = backend.commit()
        assert await heard(socket) == [1, height, [[transaction_id(b"one"), 0, 0], [transaction_id(b"four"), 1, 0]]]
        assert await say(socket, 8, b"five") == [0, 8, [0]]
        assert await heard_after_commit(backend, socket) == [1, height + 1, [[transaction_id(b"five"), 0, 0]]]


async def heard_after_commit(backend: FakeBackend, socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    backend.commit()
    return await heard(socket)


async def test_what_is_final_already_is_told_at_once() -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        backend.pool[transaction_id(b"one")] = b"one"
        height = backend.commit()
        await socket.send_bytes(msgpack.packb([1, [b"one"]]))
        told = [await heard(socket), await heard(socket)]
        assert sorted(told) == [[0, 1, [0]], [1, height, [[transaction_id(b"one"), 0, 0]]]]


async def test_one_transaction_twice_in_a_message_is_told_once() -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        backend.pool[transaction_id(b"one")] = b"one"
        height = backend.commit()
        await socket.send_bytes(msgpack.packb([1, [b"one", b"one"]]))
        told = [await heard(socket), await heard(socket)]
        assert sorted(told) == [[0, 1, [0, 0]], [1, height, [[transaction_id(b"one"), 0, 0]]]]
        assert await say(socket, 2, b"two") == [0, 2, [0]]


async def test_a_node_that_cannot_tell_any_more_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend()

    def broken(height: int) -> list[tuple[bytes, int]]:
        raise RuntimeError("a secret of this machine")

    monkeypatch.setattr(backend, "results", broken)
    async with serving(backend=backend) as served, connected(served) as socket:
        await say(socket, 0, b"one")
        backend.commit()
        message = await asyncio.wait_for(socket.receive(), 10)
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.INTERNAL_ERROR
        assert "secret" not in str(message.extra)


async def test_a_connection_hears_of_its_own_transactions_only() -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as first, connected(served) as second:
        await say(first, 0, b"mine")
        await say(second, 0, b"yours")
        height = backend.commit()
        assert await heard(first) == [1, height, [[transaction_id(b"mine"), 0, 0]]]
        assert await heard(second) == [1, height, [[transaction_id(b"yours"), 1, 0]]]


async def test_what_leaves_the_pool_without_a_block_is_told() -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        await say(socket, 0, b"late")
        backend.lost.add(transaction_id(b"late"))
        backend.pool.clear()
        backend.commit()
        assert await heard(socket) == [2, [[transaction_id(b"late"), 0, "it was not in a block in time"]]]


async def test_a_connection_has_so_many_open_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_OPEN", 2)
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        assert await say(socket, 0, b"1", b"2", b"3") == [0, 0, [0, 0, -1]]
        assert await say(socket, 1, b"3") == [0, 1, [-1]]
        backend.commit()
        await heard(socket)
        assert await say(socket, 2, b"3") == [0, 2, [0]]


async def test_a_full_pool_refuses_at_once() -> None:
    backend = FakeBackend()
    backend.closed = True
    async with serving(backend=backend) as served, connected(served) as socket:
        assert await say(socket, 0, b"1", b"2") == [0, 0, [-1, -1]]
        assert backend.submissions == 0
        backend.closed = False
        assert await say(socket, 1, b"1") == [0, 1, [0]]


async def test_messages_count_as_requests() -> None:
    async with serving(limits=Limits(rate_per_s=1, rate_burst=2)) as served, connected(served) as socket:
        assert await say(socket, 0, b"1") == [0, 0, [0]]
        assert await say(socket, 1, b"2") == [0, 1, [-1]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb([]),
        msgpack.packb([1]),
        msgpack.packb([-1, [b"x"]]),
        msgpack.packb([True, [b"x"]]),
        msgpack.packb([1, []]),
        msgpack.packb([1, ["text"]]),
        msgpack.packb([1, b"x"]),
        msgpack.packb([1, [b"x"]]) + b"\0",
        b"\x92\x01\xdd\xff\xff\xff\xff",
        b"\x92\x01\x91\xc6\xff\xff\xff\xff",
    ],
)
async def test_nonsense_ends_the_connection_with_a_reason(data: bytes) -> None:
    backend = FakeBackend()
    async with serving(backend=backend) as served, connected(served) as socket:
        await socket.send_bytes(data)
        message = await asyncio.wait_for(socket.receive(), 10)
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.INVALID_TEXT
        assert message.extra
    assert backend.submissions == 0


async def test_one_transaction_too_many_ends_the_connection_with_the_limit() -> None:
    backend = FakeBackend()
    async with serving(limits=Limits(max_transactions=3), backend=backend) as served, connected(served) as socket:
        await socket.send_bytes(msgpack.packb([1, [b"a", b"b", b"c"]]))
        assert (await asyncio.wait_for(socket.receive(), 10)).type is aiohttp.WSMsgType.BINARY
        taken = backend.submissions
        await socket.send_bytes(msgpack.packb([2, [b"a", b"b", b"c", b"d"]]))
        while (message := await asyncio.wait_for(socket.receive(), 10)).type is aiohttp.WSMsgType.BINARY:
            pass
        assert message.data == aiohttp.WSCloseCode.INVALID_TEXT and "at most 3 transactions" in str(message.extra)
    assert backend.submissions == taken


async def test_text_ends_the_connection() -> None:
    async with serving() as served, connected(served) as socket:
        await socket.send_str("hello")
        assert (await asyncio.wait_for(socket.receive(), 10)).type is aiohttp.WSMsgType.CLOSE


async def test_a_message_above_the_body_limit_ends_the_connection() -> None:
    async with serving(limits=Limits(max_body_bytes=1_000)) as served, connected(served) as socket:
        await socket.send_bytes(msgpack.packb([0, [b"x" * 2_000]]))
        assert (await asyncio.wait_for(socket.receive(), 10)).type is aiohttp.WSMsgType.CLOSE


async def test_a_plain_request_is_told_to_ask_for_an_upgrade() -> None:
    async with serving() as served, served.http.get(served.client + "/v1/submissions") as answer:
        assert answer.status == 400
        assert "WebSocket" in (await answer.json())["detail"]


async def test_streams_are_bounded() -> None:
    async with serving(limits=Limits(max_streams=1)) as served, connected(served):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.http.ws_connect(served.client + "/v1/submissions")
        assert refused.value.status == 503
