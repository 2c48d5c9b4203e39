"""The API of one node: its aiohttp applications, and the guard at their door.

Consensus shares the event loop with them, so the order at the door is: connections counted (listener.py),
rate of the address, requests at once, then the head is validated, and only then a body is read, with a
limit of its own on size and time. Every error leaves as a problem document.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from node.api.backend import Backend
from node.api.limits import Gate, Limits, Slots
from node.api.listener import Connection, ends_with_connection
from node.api.metrics import ApiMetrics
from node.api.problems import FORBIDDEN, INTERNAL, OVERLOADED, PROBLEM_MEDIA, UNAVAILABLE, ApiError, of_status
from node.api.routes import EVENT_STREAM, WEBSOCKET, Listener, Route, endpoint
from node.api.submissions import Turn
from node.api.table import ROUTES

log = logging.getLogger("weal.api")
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NAMES: Final = web.AppKey("weal_route_names", dict[tuple[str, str], str])


def respond(problem: ApiError) -> web.Response:
    """A problem as an HTTP answer."""
    answer = web.Response(
        status=problem.kind.status,
        body=msgspec.json.encode(problem.document()),
        content_type=PROBLEM_MEDIA,
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
    if problem.retry_after_s is not None:
        answer.headers[hdrs.RETRY_AFTER] = str(problem.retry_after_s)
    return answer


class Api:
    """What the listeners of one node share. Create it inside the running event loop."""

    def __init__(self, backend: Backend, *, limits: Limits | None = None, routes: Sequence[Route] = ROUTES) -> None:
        self.backend, self.routes = backend, tuple(routes)
        self.limits = Limits() if limits is None else limits
        loop = asyncio.get_running_loop()
        self.gate = Gate(self.limits, loop.time)
        self.metrics = ApiMetrics(loop.time)
        self.pages: dict[str, bytes] = {}
        """Generated documents, made when they are first asked for."""
        self.turn = Turn()
        self.stopping = False
        self._parked: set[asyncio.Task[Any]] = set()

    def application(self, listener: Listener) -> web.Application:
        """The aiohttp application of one listener. The node may add routes of its own before it starts;
        the guard lets those pass."""
        app = web.Application(middlewares=[self._guard(listener)], client_max_size=self.limits.max_body_bytes)
        names: dict[tuple[str, str], str] = {}
        for route in self.routes:
            if route.listener == listener:
                serve = endpoint(route, self)
                app.router.add_route(route.method, route.path, serve)
                if route.method == hdrs.METH_GET and route.media not in (EVENT_STREAM, WEBSOCKET):
                    app.router.add_route(hdrs.METH_HEAD, route.path, serve)
                names[route.method, route.path] = route.name
        app[_NAMES] = names
        app.on_response_prepare.append(_say_little)
        app.on_shutdown.append(self.end_waits)
        if listener == "operator":
            app.cleanup_ctx.append(self._watched)
        return app

    @contextmanager
    def parked(self, request: web.Request, slots: Slots) -> Iterator[None]:
        """Around a wait: the request is no longer one in work, and ends if its client leaves or the node stops."""
        task = asyncio.current_task()
        assert task is not None
        with self.gate.parked(slots), ends_with_connection(request):
            self._parked.add(task)
            try:
                yield
            finally:
                self._parked.discard(task)

    async def end_waits(self, _: object = None) -> None:
        """The node stops: waiting requests and streams are answered now."""
        self.stopping = True
        for task in list(self._parked):
            task.cancel()

    async def _watched(self, _: web.Application) -> AsyncIterator[None]:
        watch = asyncio.create_task(self.metrics.watch_commits(self.backend), name="weal api commits")
        yield
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    def _guard(self, listener: Listener) -> Any:
        """Outermost: admits or refuses, counts, and turns every error into a problem document."""
        limited = listener == "client"

        @web.middleware
        async def guard(request: web.Request, handler: Serve) -> web.StreamResponse:
            name = _name_of(request)
            if name == "":
                return await handler(request)
            started = self.metrics.now()
            answer = await self._answer(request, handler, limited)
            self.metrics.observe(name, answer.status, self.metrics.now() - started)
            return answer

        return guard

    async def _answer(self, request: web.Request, handler: Serve, limited: bool) -> web.StreamResponse:
        try:
            if limited:
                _refuse_crowd(request)
                self.gate.admit(request.remote or "")
                with self.gate.requests:
                    return await handler(request)
            # The operator's probes must answer when clients have used up every slot.
            _refuse_other_sites(request)
            return await handler(request)
        except ApiError as error:
            return respond(error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = respond(of_status(error.status, f"{request.method}: {error.reason}"))
            if hdrs.ALLOW in error.headers:
                answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return answer
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.stopping or task is None:
                raise
            # A wait was cut short because the node stops: the client shall ask another one at once.
            task.uncancel()
            return respond(ApiError(UNAVAILABLE, "the node stops", retry_after_s=1))
        except ConnectionError:
            raise
        except Exception:
            log.exception("request failed: %s %s", request.method, _name_of(request))
            return respond(ApiError(INTERNAL, "the answer could not be made"))


def _name_of(request: web.Request) -> str:
    """Operation name for metrics, from a small closed set; "none" if no route matches, "" for a foreign route."""
    resource = request.match_info.route.resource
    if resource is None:
        return "none"
    method = "GET" if request.method == hdrs.METH_HEAD else request.method
    return request.app[_NAMES].get((method, resource.canonical), "")


async def _say_little(_: web.Request, answer: web.StreamResponse) -> None:
    """Versions of Python and its libraries are nobody's business; answers are never anything but what they say."""
    answer.headers[hdrs.SERVER] = "weal"
    answer.headers["X-Content-Type-Options"] = "nosniff"


def _refuse_crowd(request: web.Request) -> None:
    """A connection above the limit is there for the node's peers, which share the port, not for clients."""
    if isinstance(request.protocol, Connection) and request.protocol.is_crowd:
        raise ApiError(OVERLOADED, "the node has no room for another connection", retry_after_s=1)


def _refuse_other_sites(request: web.Request) -> None:
    """A page of another site must not drive the operator's verbs through the operator's own browser."""
    if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
        return
    if hdrs.ORIGIN in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        raise ApiError(FORBIDDEN, "requests from web pages are refused")
