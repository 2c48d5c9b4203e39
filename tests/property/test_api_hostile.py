"""Hostile requests against a live listener: no failure of the node, no growth, nothing left behind.

Two generators: schemathesis makes valid and invalid requests from the OpenAPI document and checks each
answer against it; a seeded one throws bytes and half-sensible HTTP at the socket.
"""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.api.limits import Limits
from node.api.openapi import document
from node.api.routes import EVENT_STREAM, WEBSOCKET
from node.api.shapes import Nothing
from node.api.table import ROUTES
from tests.unit.api.fake import Served, serving, until

LIMITS: Final = Limits(
    rate_per_s=0, max_wait_ms=5, body_timeout_s=0.2, idle_timeout_s=0.5, max_body_bytes=100_000, stream_stall_s=0.2
)
CHECKS: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
BATCHES: Final = st.lists(st.binary(max_size=200), max_size=5).map(msgspec.msgpack.encode)
schemathesis.openapi.media_type("application/msgpack", BATCHES | st.binary(max_size=300))
SCHEMA: Final = schemathesis.openapi.from_dict(document(ROUTES))
NAMES: Final = [route.name for route in ROUTES if route.media not in (EVENT_STREAM, WEBSOCKET)]
NAMES_WITH_INPUT: Final = [
    route.name
    for route in ROUTES
    if route.name in NAMES and (route.path_type, route.query_type, route.body_type) != (Nothing, Nothing, None)
]


class LiveServer:
    """The API over a fake node, in a thread with an event loop of its own."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with serving(LIMITS) as self.served:
            self.served.backend.auto_commit = True
            self.tasks = len(asyncio.all_tasks())
            self._ready.set()
            await self._stop.wait()

    def base(self, name: str) -> str:
        route = next(route for route in ROUTES if route.name == name)
        return self.served.client if route.listener == "client" else self.served.operator

    def left_behind(self) -> int:
        """Tasks beyond those of the idle server, once its idle connections have been closed."""

        async def settle() -> int:
            gate = self.served.api.gate
            await until(lambda: len(asyncio.all_tasks()) <= self.tasks + 1, "connections are closed")
            return gate.requests.taken + gate.waiting.taken + gate.streams.taken

        return asyncio.run_coroutine_threadsafe(settle(), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    server = LiveServer()
    yield server
    server.close()


def attack(live: LiveServer, name: str, mode: GenerationMode, examples: int) -> int:
    """Requests made from the document, valid or not; answers how many. Each answer must keep to the document."""
    operation = SCHEMA.find_operation_by_id(name)
    count = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def run(case: Any) -> None:
        nonlocal count
        count += 1
        answer = case.call(base_url=live.base(name), timeout=10)
        # 503 is a reasoned answer (not ready, overloaded); any other 5xx is a defect.
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=CHECKS)

    run()
    assert requests.get(live.served.client + "/v1/status", timeout=10).status_code == 200
    return count


@pytest.mark.parametrize("name", NAMES)
def test_operation_keeps_to_its_document(live: LiveServer, name: str) -> None:
    assert attack(live, name, GenerationMode.POSITIVE, 8)


@pytest.mark.parametrize("name", NAMES_WITH_INPUT)
def test_operation_keeps_to_its_document_when_abused(live: LiveServer, name: str) -> None:
    assert attack(live, name, GenerationMode.NEGATIVE, 8)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thousands_of_generated_requests_are_answered_by_the_document(live: LiveServer) -> None:
    hostile = sum(attack(live, name, GenerationMode.NEGATIVE, 70) for name in NAMES_WITH_INPUT)
    assert hostile >= 1_000
    assert sum(attack(live, name, GenerationMode.POSITIVE, 70) for name in NAMES_WITH_INPUT) >= 500
    assert live.left_behind() == 0


def test_nothing_is_left_behind_by_the_attacks(live: LiveServer) -> None:
    requests.get(live.served.client + "/v1/status", timeout=10)
    assert live.left_behind() == 0


# --- bytes on the socket

METHODS: Final = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"BREW", b""]
HEADS: Final = [
    b"Content-Type: application/json",
    b"Content-Type: application/msgpack",
    b"Content-Type: multipart/form-data; boundary=x",
    b"Content-Length: 10",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -5",
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Last-Event-ID: 99999999.0",
    b"Last-Event-ID: \xff",
    b"If-None-Match: *",
    b"Range: bytes=0-1",
    b"X: " + b"y" * 9000,
    b"Cookie: " + b"a=b; " * 500,
    b"Host: [::1",
]
BODIES: Final = [
    b"",
    b"{}",
    b'{"transactions":["00"]}',
    b"\x91\xc4\x00",
    b"\xdd\xff\xff\xff\xff",
    b"[" * 9000,
    b"5\r\nabc",
]
PATHS: Final = [route.path.encode() for route in ROUTES]
PIECES: Final = [
    b"/..",
    b"%2e%2e",
    b"%",
    b"%zz",
    b"?limit=1e99",
    b"?prove=",
    b"&",
    b"\x00",
    b"\xff",
    b"//",
    b"?" + b"a=b&" * 300,
]


def hostile_request(rng: random.Random) -> bytes:
    """Anything from plain noise to a request that is nearly right."""
    if rng.random() < 0.15:
        return rng.randbytes(rng.randrange(1, 400))
    path = rng.choice(PATHS)
    for placeholder in (b"{id}", b"{key}", b"{code}", b"{name}", b"{reference}"):
        path = path.replace(
            placeholder, rng.choice([b"ab" * 32, b"C-000045", b"M-000123", b"latest", b"%00", b"x" * 5000])
        )
    if rng.random() < 0.5:
        path += rng.choice(PIECES)
    lines = [rng.choice(METHODS) + b" " + path + b" " + rng.choice([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/3", b""])]
    lines += [b"Host: a", *rng.sample(HEADS, rng.randrange(4))]
    request = b"\r\n".join(lines) + b"\r\n\r\n" + rng.choice(BODIES)
    return request[: rng.randrange(1, len(request) + 1)] if rng.random() < 0.2 else request


async def throw(served: Served, data: bytes) -> bytes:
    """Send and read what comes, for as long as the node keeps the connection, at most a moment."""
    host, port = served.client.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        async with asyncio.timeout(0.6):
            return await reader.read(1 << 16)
    except (TimeoutError, ConnectionError, OSError):
        return b""
    finally:
        writer.close()


async def barrage(served: Served, seed: int, count: int) -> int:
    """So many hostile requests, some at once; answers how many got an HTTP answer. None may be a 5xx."""
    rng = random.Random(seed)
    answered = 0
    for _ in range(count // 20):
        answers = await asyncio.gather(*(throw(served, hostile_request(rng)) for _ in range(20)))
        for answer in answers:
            status = answer[9:12]
            assert not status.startswith(b"5") or status == b"503", answer
            answered += answer.startswith(b"HTTP/1.")
    return answered


async def idle(served: Served, tasks: int) -> None:
    gate = served.api.gate
    await until(lambda: gate.requests.taken + gate.waiting.taken + gate.streams.taken == 0, "no request is left")
    await until(lambda: len(asyncio.all_tasks()) <= tasks, "no task is left")
    async with served.http.get(served.client + "/v1/status") as answer:
        assert answer.status == 200


async def test_noise_on_the_socket_does_no_harm() -> None:
    async with serving(LIMITS) as served:
        served.backend.auto_commit = True
        tasks = len(asyncio.all_tasks())
        assert await barrage(served, seed=1, count=100) > 20
        await idle(served, tasks)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_thousands_of_hostile_requests_leave_no_task_and_no_growth() -> None:
    async with serving(LIMITS) as served:
        served.backend.auto_commit = False
        tasks = len(asyncio.all_tasks())
        await barrage(served, seed=1, count=1_000)
        await idle(served, tasks)
        served.backend.pool.clear()
        gc.collect()
        ours = [tracemalloc.Filter(True, "*/node/api/*"), tracemalloc.Filter(True, "*/aiohttp/*")]
        tracemalloc.start()
        try:
            await barrage(served, seed=2, count=1_000)
            await idle(served, tasks)
            gc.collect()
            before = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)
            await barrage(served, seed=3, count=2_000)
            await idle(served, tasks)
            gc.collect()
            after = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)
        finally:
            tracemalloc.stop()
        assert after - before < 200_000, f"{after - before} bytes more after 2,000 hostile requests"
