"""The live event stream: server-sent events that a client can resume exactly where it stopped.

Events are numbered `height.index` by the chain itself, so any node continues the stream of any other,
and nothing needs to be queued for anybody: a stream reads the node's event log from its own cursor, at
its own pace. Memory per client is one piece of at most `BATCH` events. A client that takes nothing for
`stream_stall_s` is told so in a last event and dropped; it loses nothing by it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import msgspec
from aiohttp import web

from node.api.backend import ChainEvent, Record
from node.api.call import Call, encode_json, origin_headers
from node.api.problems import CURSOR_AHEAD, INVALID_REQUEST, ApiError
from node.api.shapes import EventsQuery, Nothing
from node.api.times import iso_time

BATCH: Final = 500
"""Events read from the log at once; other tasks run in between."""


class EventView(msgspec.Struct, kw_only=True):
    """`data` of one server-sent event. Its `id` is the cursor, its `event` the type."""

    cursor: str
    type: str
    height: int
    time_ms: int
    time: str
    data: Record


class Filter:
    """What a stream wants to see; empty fields let everything pass."""

    def __init__(self, query: EventsQuery) -> None:
        self._types = frozenset(part for part in query.types.split(",") if part)
        named = {"claim": query.claim, "transaction": query.transaction}
        self._subjects = {field: value for field, value in named.items() if value}
        self._member = int(query.member.removeprefix("M-")) if query.member else 0

    def wants(self, event: ChainEvent) -> bool:
        if self._types and event.type not in self._types:
            return False
        if self._member and not _names_member(event.data, self._member):
            return False
        return all(event.data.get(field) == value for field, value in self._subjects.items())


def _names_member(data: Record, number: int) -> bool:
    """Whether the event is about this member, alone or within a run of `count` members enrolled together."""
    first = data.get("member")
    if not isinstance(first, str):
        return False
    start = int(first.removeprefix("M-"))
    return start <= number < start + int(data.get("count", 1))


def rendered(event: ChainEvent) -> bytes:
    cursor = f"{event.height}.{event.index}"
    view = EventView(
        cursor=cursor,
        type=event.type,
        height=event.height,
        time_ms=event.time_ms,
        time=iso_time(event.time_ms),
        data=event.data,
    )
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor.encode(), event.type.encode(), encode_json(view))


def start_of(call: Call[Nothing, EventsQuery, None]) -> tuple[int, int]:
    """Cursor of the last event the client has seen. Raises ApiError if it lies above this node's chain."""
    header = call.request.headers.get("Last-Event-ID", "")
    text = call.query.after
    if header:
        # A browser that reconnects sends the header and the query of its first request: the header is newer.
        try:
            text = msgspec.convert({"after": header}, EventsQuery).after
        except msgspec.ValidationError as error:
            raise ApiError(INVALID_REQUEST, f"Last-Event-ID: {error}") from None
    latest = call.backend.latest_event()
    if not text:
        return latest
    height, index = (int(part) for part in text.split("."))
    if height > call.as_of.height and (height, index) > latest:
        tip = call.as_of.height
        raise ApiError(CURSOR_AHEAD, f"event {text} is asked for, the last block here is {tip}", retry_after_s=1)
    return height, index


class Stream:
    """One client's stream, from its cursor until it leaves, stalls, or the node stops."""

    def __init__(self, call: Call[Nothing, EventsQuery, None]) -> None:
        self._call = call
        self._filter = Filter(call.query)
        self._cursor = start_of(call)
        self._limits = call.gate.limits
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                # Tells nginx and its like to pass events on at once.
                "X-Accel-Buffering": "no",
                **origin_headers(call.as_of),
            }
        )

    async def run(self) -> web.StreamResponse:
        response, backend = self._response, self._call.backend
        await response.prepare(self._call.request)
        try:
            # Names the start, so that a client whose connection breaks before the first event resumes here.
            await self._write(b"retry: 1000\nid: %s\n\n" % self._position())
            while True:
                await self._send_new()
                if not await backend.wait_events(self._cursor, self._limits.stream_heartbeat_s):
                    # Carries the cursor too: a filtered stream that saw nothing need not read it all again.
                    await self._write(b": still here\nid: %s\n\n" % self._position())
        except TimeoutError:
            await self._drop("stalled", f"nothing was taken for {self._limits.stream_stall_s:g} seconds")
        except asyncio.CancelledError:
            if not self._call.api.stopping:
                raise
            await self._drop("stopping", "the node stops; go on at another one")
        except ConnectionError:
            pass
        return response

    def _position(self) -> bytes:
        return b"%d.%d" % self._cursor

    async def _send_new(self) -> None:
        """Everything behind the cursor, in pieces. The cursor never passes what was not written."""
        while True:
            events = self._call.backend.read_events(self._cursor, BATCH)
            if not events:
                return
            piece = b"".join(rendered(event) for event in events if self._filter.wants(event))
            self._cursor = (events[-1].height, events[-1].index)
            if piece:
                await self._write(piece)
            await asyncio.sleep(0)

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._limits.stream_stall_s):
            await self._response.write(data)

    async def _drop(self, reason: str, detail: str) -> None:
        """Say why as the last event, then close; a client that does not even take that is cut off."""
        data = encode_json({"reason": reason, "detail": detail})
        transport = self._call.request.transport
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.1):
                await self._response.write(b"event: dropped\ndata: %s\n\n" % data)
                await self._response.write_eof()
        self._response.force_close()
        if transport is not None:
            asyncio.get_running_loop().call_later(self._limits.stream_stall_s, transport.abort)


async def events(call: Call[Nothing, EventsQuery, None]) -> web.StreamResponse:
    stream = Stream(call)
    with call.api.parked(call.request, call.gate.streams):
        return await stream.run()
