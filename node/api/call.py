"""One request on its way: validated parameters in, an answer with its origin out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import hdrs, web

from node.api.backend import AsOf, Backend, Proof, Record
from node.api.limits import Gate
from node.api.problems import NOT_FOUND, ApiError

P = TypeVar("P")
Q = TypeVar("Q")
B = TypeVar("B")
T = TypeVar("T")

encode_json = msgspec.json.Encoder(decimal_format="string").encode
HEIGHT_HEADER: Final = "Weal-Height"
DIGEST_HEADER: Final = "Weal-Digest"


class Answer(msgspec.Struct, Generic[T], kw_only=True):
    """One record, and the block it was read from."""

    as_of: AsOf
    data: T
    proof: Proof | msgspec.UnsetType = msgspec.UNSET
    """There with `?prove=1`."""


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """Some records in order; `next` is the cursor of the following page and missing on the last."""

    as_of: AsOf
    data: list[T]
    next: str | msgspec.UnsetType = msgspec.UNSET


def etag(as_of: AsOf) -> str:
    """One version for everything read from one block."""
    return f'"{as_of.height}-{as_of.digest[:16]}"'


def origin_headers(as_of: AsOf) -> dict[str, str]:
    return {HEIGHT_HEADER: str(as_of.height), DIGEST_HEADER: as_of.digest}


class Call(Generic[P, Q, B]):
    """Path parameters, query and body have the types that the route declares; they are checked already."""

    __slots__ = ("api", "as_of", "backend", "body", "gate", "path", "query", "raw", "request")

    def __init__(
        self, *, request: web.Request, backend: Backend, gate: Gate, api: Any, path: P, query: Q, body: B, raw: bytes
    ) -> None:
        self.request, self.backend, self.gate, self.api = request, backend, gate, api
        self.path, self.query, self.body, self.raw = path, query, body, raw
        self.as_of = backend.as_of()

    def send(self, content: object, *, status: int = 200, cacheable: bool = True) -> web.Response:
        """`content` as JSON, with the headers that name the block it was read from."""
        headers = origin_headers(self.as_of)
        if cacheable:
            headers[hdrs.ETAG] = etag(self.as_of)
            headers[hdrs.CACHE_CONTROL] = "no-cache"
        else:
            headers[hdrs.CACHE_CONTROL] = "no-store"
        return web.Response(body=encode_json(content), status=status, content_type="application/json", headers=headers)

    def record(self, data: object, *, proof: Proof | None = None, cacheable: bool = True) -> web.Response:
        content = {"as_of": self.as_of, "data": data}
        if proof is not None:
            content["proof"] = proof
        return self.send(content, cacheable=cacheable)

    def page(self, data: Sequence[object], following: str) -> web.Response:
        content: dict[str, object] = {"as_of": self.as_of, "data": data}
        if following:
            content["next"] = following
        return self.send(content)

    def limit(self, asked: int) -> int:
        """Size of a page: as asked, 0 meaning the default, never above the maximum."""
        limits = self.gate.limits
        return min(asked or limits.page_default, limits.page_max)


def found(record: T | None, what: str, name: str) -> T:
    """The record, or the problem that there is none."""
    if record is None:
        raise ApiError(NOT_FOUND, f"no {what} {name} as of this node's last block")
    return record


__all__ = ["DIGEST_HEADER", "HEIGHT_HEADER", "Answer", "Call", "Page", "Record", "encode_json", "etag", "found"]
