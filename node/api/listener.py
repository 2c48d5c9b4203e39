"""An aiohttp listener with bounds that the library does not have by itself.

Connections are counted: above `max_connections` a connection lives only a few seconds when idle and its
requests to the API are refused (the node's peers share the port and are still served), and above half as
many again it is closed at once. Errors in the HTTP syntax are problem documents like all others. A request
that waits (for finality, or on an event stream) ends when its client goes away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from node.api.limits import Limits
from node.api.problems import INTERNAL, INVALID_REQUEST, OVERLOADED, PROBLEM_MEDIA, ApiError

log = logging.getLogger("weal.api")
CROWD_IDLE_S: Final = 5.0
LINGER_S: Final = 1.0
"""After an early refusal the rest of a body is read and dropped for so long, so that the client sees the answer."""
SHUTDOWN_S: Final = 2.0
_NO_ROOM: Final = ApiError(OVERLOADED, "the node has no room for another connection", retry_after_s=1)


class Connection(RequestHandler):
    """One connection."""

    is_crowd = False
    """It came when there were `max_connections` already."""
    waiting: asyncio.Task[Any] | None = None
    """The handler that waits for something else than this connection, and must end with it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        manager = self._manager
        if isinstance(manager, _Server):
            count = len(manager.connections)
            if count >= manager.most + manager.most // 2:
                assert isinstance(transport, asyncio.Transport)
                transport.write(_raw(_NO_ROOM))
                transport.close()
                return
            if count >= manager.most:
                self.is_crowd = True
                self._keepalive_timeout = min(CROWD_IDLE_S, self._keepalive_timeout)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.waiting is not None:
            self.waiting.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        if status >= 500:
            log.error("request failed outside a handler", exc_info=exc)
            problem = ApiError(INTERNAL, "the request could not be handled")
        else:
            # The message repeats the client's own bytes: bounded, and nothing of ours.
            detail = (message or "malformed").splitlines()[0][:200]
            problem = ApiError(INVALID_REQUEST, f"this HTTP cannot be served: {detail}")
        answer = web.Response(
            status=problem.kind.status, body=msgspec.json.encode(problem.document()), content_type=PROBLEM_MEDIA
        )
        answer.force_close()
        return answer


@contextmanager
def ends_with_connection(request: web.Request) -> Iterator[None]:
    """Around a wait: if the client goes away, the waiting handler is cancelled."""
    protocol = request.protocol
    if not isinstance(protocol, Connection):
        yield
        return
    protocol.waiting = asyncio.current_task()
    try:
        yield
    finally:
        protocol.waiting = None


class _Server(Server):
    most: int = 0

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class ListenerRunner(web.AppRunner):
    """Use it in place of `aiohttp.web.AppRunner`."""

    __slots__ = ("_most",)

    def __init__(self, app: web.Application, limits: Limits) -> None:
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=limits.idle_timeout_s,
            lingering_time=LINGER_S,
            auto_decompress=False,
            shutdown_timeout=SHUTDOWN_S,
        )
        self._most = limits.max_connections

    async def _make_server(self) -> Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
        server.most = self._most
        return server


async def listen(app: web.Application, host: str, port: int, limits: Limits) -> tuple[ListenerRunner, int]:
    """Open a listener; answers its runner, whose `cleanup` closes it, and the port (chosen if `port` is 0)."""
    runner = ListenerRunner(app, limits)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=512).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


def _raw(problem: ApiError) -> bytes:
    body = msgspec.json.encode(problem.document())
    head = (
        f"HTTP/1.1 {problem.kind.status} Service Unavailable\r\nContent-Type: {PROBLEM_MEDIA}\r\n"
        f"Retry-After: {problem.retry_after_s}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
