"""The operator's listener: liveness, readiness with reasons, metrics, and verbs that only the operator has."""

from __future__ import annotations

import logging
import time

from aiohttp import web

from node.api.call import Call
from node.api.problems import INVALID_BODY, NOT_READY, ApiError
from node.api.shapes import (
    IsolateBody,
    IsolateView,
    LiveView,
    LogLevelBody,
    LogLevelView,
    Nothing,
    ReadyQuery,
    ReadyView,
    StopView,
)

LIVE_LAG_MS = 5_000
"""An event loop that is late by more than this is not alive in any useful sense."""
log = logging.getLogger("weal.api")


async def live(call: Call[Nothing, Nothing, None]) -> web.Response:
    lag_ms = call.backend.loop_lag_ms()
    if lag_ms > LIVE_LAG_MS:
        raise ApiError(NOT_READY, f"the event loop is {lag_ms} ms late", reasons=[f"event loop {lag_ms} ms late"])
    return call.send(LiveView(live=True, loop_lag_ms=lag_ms), cacheable=False)


async def ready(call: Call[Nothing, ReadyQuery, None]) -> web.Response:
    """200 if the node takes part and keeps up, else 503 with every reason why not."""
    backend, query = call.backend, call.query
    reasons = list(backend.readiness())
    behind, peers = backend.behind(), backend.peers_connected()
    if behind > query.max_behind:
        reasons.append(f"{behind} blocks behind, {query.max_behind} are allowed")
    if peers < query.min_peers:
        reasons.append(f"{peers} peers connected, {query.min_peers} are required")
    if reasons:
        raise ApiError(NOT_READY, "; ".join(reasons), retry_after_s=1, reasons=reasons)
    return call.send(ReadyView(ready=True, reasons=[], behind=behind, peers=peers), cacheable=False)


async def metrics(call: Call[Nothing, Nothing, None]) -> web.Response:
    content = call.api.metrics.render(call.backend.metrics())
    return web.Response(body=content, headers={"Content-Type": call.api.metrics.content_type})


async def isolate(call: Call[Nothing, Nothing, IsolateBody]) -> web.Response:
    try:
        cut_off = call.backend.isolate(call.body.peers)
    except KeyError as error:
        raise ApiError(INVALID_BODY, f"no organisation {error.args[0]} runs a node here") from None
    log.warning("isolated by the operator from %s", ", ".join(cut_off))
    return call.send(IsolateView(isolated=list(cut_off)), cacheable=False)


async def heal(call: Call[Nothing, Nothing, None]) -> web.Response:
    call.backend.heal()
    log.warning("isolation ended by the operator")
    return call.send(IsolateView(isolated=[]), cacheable=False)


async def log_level(call: Call[Nothing, Nothing, LogLevelBody]) -> web.Response:
    """Until the next start. Only loggers that exist, so that a request cannot make the registry grow."""
    name, level = call.body.logger, call.body.level
    if name and name not in logging.root.manager.loggerDict:
        raise ApiError(INVALID_BODY, f"there is no logger {name}")
    logging.getLogger(name or None).setLevel(level)
    log.warning("log level of %s set to %s by the operator", name or "all loggers", level)
    return call.send(LogLevelView(level=level, logger=name), cacheable=False)


async def stop(call: Call[Nothing, Nothing, None]) -> web.Response:
    log.warning("stop requested by the operator at %d", time.time())
    call.backend.stop()
    return call.send(StopView(stopping=True), cacheable=False)
