"""What a route is, and how one is served: the table itself is in `table.py`.

A route names everything about a path once; the aiohttp routes, the validation of requests, the OpenAPI
document and docs/api.md are all made from it, so they cannot disagree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import msgspec
from aiohttp import hdrs, web

from node.api.backend import BadParameter
from node.api.call import Call, etag, origin_headers
from node.api.limits import Limits
from node.api.problems import (
    BODY_TOO_LARGE,
    INVALID_BODY,
    INVALID_REQUEST,
    REQUEST_TIMEOUT,
    UNSUPPORTED_MEDIA,
    ApiError,
    Kind,
)
from node.api.shapes import Nothing

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
EVENT_STREAM: Final = "text/event-stream"
WEBSOCKET: Final = "websocket"
"""Stands for a media type where a path answers with another protocol."""
OCTETS: Final = "application/octet-stream"
Listener = Literal["client", "operator"]
Handler = Callable[[Any], Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    name: str
    """The operationId, and the label in metrics."""
    tag: str
    summary: str
    description: str = ""
    handler: Handler
    listener: Listener = "client"
    path_type: type = Nothing
    query_type: type = Nothing
    body_type: type | None = None
    body_media: tuple[str, ...] = (JSON,)
    streamed_media: str = ""
    """Media type of a body that the handler reads itself, part by part."""
    is_signed: bool = False
    """The Authorization header is a signature of the request; the handler checks it."""
    answer: Any = None
    """Type of the JSON answer; None if it is not JSON."""
    media: str = JSON
    statuses: tuple[int, ...] = (200,)
    problems: tuple[Kind, ...] = ()
    versioned: bool = False
    """The answer depends on the committed state only: it has an ETag, and If-None-Match is honoured."""
    last_event_id: bool = False
    path_example: dict[str, str] = {}
    query_example: dict[str, Any] = {}
    body_example: Any = None
    example: Any = None


async def read_body(request: web.Request, limits: Limits) -> bytes:
    """The whole body. Raises ApiError if it is too large, compressed, or takes too long to arrive."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ApiError(UNSUPPORTED_MEDIA, "a compressed body is not accepted")
    limit = limits.max_body_bytes
    if (request.content_length or 0) > limit:
        raise ApiError(BODY_TOO_LARGE, f"{request.content_length} bytes where at most {limit} are allowed")
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            return await request.read()
    except TimeoutError:
        raise ApiError(REQUEST_TIMEOUT, f"the body was not complete after {limits.body_timeout_s:g} seconds") from None
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(BODY_TOO_LARGE, f"more than the {limit} bytes that are allowed") from None
    except web.RequestPayloadError as error:
        raise ApiError(INVALID_BODY, f"the body could not be read: {error}") from None


def query_of(request: web.Request, kind: type) -> Any:
    """The query string as `kind`. Raises ApiError naming what is unknown, repeated or malformed."""
    given = request.query
    values = dict(given)
    if len(values) != len(given):
        raise ApiError(INVALID_REQUEST, "a query parameter is given more than once")
    try:
        return msgspec.convert(values, kind, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise ApiError(INVALID_REQUEST, f"query: {error}") from None


def path_of(request: web.Request, kind: type) -> Any:
    try:
        return msgspec.convert(dict(request.match_info), kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise ApiError(INVALID_REQUEST, f"path: {error}") from None


def decode_json(raw: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise ApiError(INVALID_BODY, str(error)) from None


def endpoint(route: Route, api: Any) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route: validate, answer 304 where nothing changed, else call the handler."""
    decoder: msgspec.json.Decoder[Any] | None = (
        None if route.body_type is None else msgspec.json.Decoder(route.body_type)
    )
    no_path, no_query = route.path_type is Nothing, route.query_type is Nothing
    nothing = Nothing()
    backend, gate = api.backend, api.gate

    async def serve(request: web.Request) -> web.StreamResponse:
        path = nothing if no_path else path_of(request, route.path_type)
        query = nothing if no_query and not request.query_string else query_of(request, route.query_type)
        raw, body = b"", None
        if decoder is not None:
            if request.content_type not in route.body_media:
                raise ApiError(
                    UNSUPPORTED_MEDIA, f"{request.content_type} is given, {' or '.join(route.body_media)} is taken"
                )
            raw = await read_body(request, gate.limits)
            if request.content_type == JSON:
                body = decode_json(raw, decoder)
        elif route.streamed_media and request.content_type != route.streamed_media:
            raise ApiError(UNSUPPORTED_MEDIA, f"{request.content_type} is given, {route.streamed_media} is taken")
        call: Call[Any, Any, Any] = Call(
            request=request, backend=backend, gate=gate, api=api, path=path, query=query, body=body, raw=raw
        )
        if route.versioned and request.headers.get(hdrs.IF_NONE_MATCH) == etag(call.as_of):
            return web.Response(status=304, headers={hdrs.ETAG: etag(call.as_of), **origin_headers(call.as_of)})
        try:
            return await route.handler(call)
        except BadParameter as error:
            raise ApiError(INVALID_REQUEST, str(error)) from None

    return serve
