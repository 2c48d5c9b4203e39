"""Requests to any of several nodes: the next one takes over when one dies or cannot do it now.

aiohttp is imported when the first request is made, so that commands which need no network start fast.
Every request of this API may be repeated safely, submissions included, so every failure that is not
about the request itself is tried again until `patience_s` has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from node.client.errors import ClientError, NodeUnavailable, from_problem

if TYPE_CHECKING:
    import aiohttp

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
ERROR_BYTES: Final = 4096
_exact: Final = msgspec.json.Decoder(float_hook=Decimal)


class Transport:
    """One HTTP session over several base URLs such as `http://127.0.0.1:8801`."""

    def __init__(self, urls: Sequence[str], *, timeout_s: float, patience_s: float) -> None:
        if not urls:
            raise ValueError("a client needs the address of at least one node")
        self.urls = [url.rstrip("/") for url in urls]
        self.timeout_s, self.patience_s = timeout_s, patience_s
        self._current = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The node that is asked first."""
        return self.urls[self._current]

    def next_node(self, failed: str) -> None:
        """Ask another node from now on, unless somebody already moved on from the one that failed."""
        if self.url == failed:
            self._current = (self._current + 1) % len(self.urls)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=256, ttl_dns_cache=60), auto_decompress=False
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        media: str = "application/json",
        extra_s: float = 0.0,
        patience_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded JSON answer. Raises ClientError once trying again is useless or patience is over.

        `extra_s`: time the server may take on purpose, added to the time-out of one attempt.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + (self.patience_s if patience_s is None else patience_s)
        pause_s, tried = FIRST_PAUSE_S, 0
        while True:
            url = self.url
            try:
                return await self._once(url, method, path, query, body, media, extra_s, headers)
            except ClientError as error:
                if not error.retryable:
                    raise
                # A full pool is the same everywhere sooner or later; anything else may be this node's own trouble.
                if error.status != 429:
                    self.next_node(url)
                tried += 1
                wait_s = pause_s if error.retry_after_s is None or error.status != 429 else error.retry_after_s
                if tried % len(self.urls) and error.status != 429:
                    wait_s = 0.0
                else:
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if loop.time() + wait_s >= end_s:
                    raise
                await asyncio.sleep(wait_s)

    async def _once(
        self,
        url: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        media: str,
        extra_s: float,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        session = self.session()
        import aiohttp

        headers = {**(more or {}), **({} if body is None else {"Content-Type": media})}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s + extra_s, sock_connect=self.timeout_s)
        try:
            async with session.request(
                method, url + path, params=query, data=body, headers=headers, timeout=timeout
            ) as answer:
                content = await answer.read()
                status, kind = answer.status, answer.content_type
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            hint = "Is the node running, and is this the address of its API?"
            raise NodeUnavailable(f"{url} cannot be reached ({what})", code="", hint=hint, retryable=True) from None
        return decoded(url, status, kind, content)


def decoded(url: str, status: int, kind: str, content: bytes) -> Any:
    """The answer's JSON. Raises ClientError for a problem, or for something that is not this API."""
    if not kind.endswith("json"):
        text = content[:200].decode("utf-8", "replace")
        retryable = status in (429, 502, 503, 504)
        raise NodeUnavailable(f"{url} does not answer as a node does: {status} {text}", code="", retryable=retryable)
    try:
        # FHIR amounts are numbers whose digits count; the rest of the API has its money in strings.
        document = _exact.decode(content) if kind == "application/fhir+json" else msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise NodeUnavailable(f"{url} sent broken JSON: {error}", code="", retryable=True) from None
    if status >= 400:
        raise from_problem(status, document if isinstance(document, dict) else {})
    return document
