"""Reading the event stream: server-sent events, resumed by cursor at any node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from node.client.errors import ClientError, NodeUnavailable
from node.client.http import FIRST_PAUSE_S, LONGEST_PAUSE_S, Transport, decoded

if TYPE_CHECKING:
    import aiohttp

SILENCE_S: Final = 45.0
"""The node sends something every 15 seconds; a stream that is silent for longer is dead."""
LINE_BYTES: Final = 4 * 1024 * 1024
"""Longest event that is read."""


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """One event of the chain."""

    cursor: str
    type: str
    height: int
    time_ms: int
    time: str
    transaction: str = ""
    data: dict[str, Any]


class _Position:
    """Where the stream stands: survives connections."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor


async def follow(http: Transport, after: str, query: Mapping[str, str]) -> AsyncIterator[Event]:
    """Events behind the cursor `after`, for ever. Raises ClientError if no node serves them for `patience_s`."""
    loop = asyncio.get_running_loop()
    position = _Position(after)
    pause_s, alive_s = FIRST_PAUSE_S, loop.time()
    while True:
        url = http.url
        try:
            async for event in _stream(http, url, position, query):
                pause_s, alive_s = FIRST_PAUSE_S, loop.time()
                yield event
                alive_s = loop.time()
        except ClientError as error:
            if not error.retryable or loop.time() - alive_s > http.patience_s:
                raise
        http.next_node(url)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _stream(http: Transport, url: str, position: _Position, query: Mapping[str, str]) -> AsyncIterator[Event]:
    session = http.session()
    import aiohttp

    headers = {"Accept": "text/event-stream"}
    values = dict(query)
    if position.cursor:
        values["after"] = position.cursor
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=http.timeout_s, sock_read=SILENCE_S)
    try:
        async with session.get(
            url + "/v1/events", params=values, headers=headers, timeout=timeout, read_bufsize=LINE_BYTES
        ) as answer:
            if answer.status != 200:
                decoded(url, answer.status, answer.content_type, await answer.read())
                raise NodeUnavailable(f"{url} answers {answer.status}", code="", retryable=True)
            async for event in _parse(answer, position):
                yield event
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise NodeUnavailable(f"the stream of {url} broke: {error}", code="", retryable=True) from None


async def _parse(answer: aiohttp.ClientResponse, position: _Position) -> AsyncIterator[Event]:
    """The subset of the event-stream format that nodes send: one line per field, empty line ends an event."""
    cursor, kind, data = "", "", b""
    async for line in answer.content:
        line = line.rstrip(b"\r\n")
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id":
            cursor = value.decode()
        elif name == b"event":
            kind = value.decode()
        elif name == b"data":
            data = value
        elif not line:
            if data and kind == "dropped":
                return
            if cursor:
                # Also without data: a heartbeat moves the cursor over what the filter held back.
                position.cursor = cursor
            if data:
                yield msgspec.json.decode(data, type=Event)
            cursor, kind, data = "", "", b""
