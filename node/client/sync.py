"""The same client for code without an event loop: scripts, and commands that ask one question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from node.claims.transaction import Action
from node.client.account import Account
from node.client.client import Client, Outcome, Record
from node.client.events import Event
from node.crypto import SigningKey

T = TypeVar("T")


class SyncClient:
    """Runs a `Client` in an event loop of its own. Not for use inside a running loop."""

    def __init__(self, urls: Sequence[str] | str, *, timeout_s: float = 10.0, patience_s: float = 15.0) -> None:
        self._runner = asyncio.Runner()
        self.client = Client(urls, timeout_s=timeout_s, patience_s=patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()

    def run(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Anything the asynchronous client can do: `run(lambda client: client.plan("critical"))`."""
        return self._runner.run(ask(self.client))

    def each(self, ask: Callable[[Client], AsyncIterator[T]]) -> Iterator[T]:
        """Any of its iterators: `each(lambda client: client.claims(status="filed"))`."""
        items = ask(self.client)

        async def following() -> T:
            return await anext(items)

        try:
            while True:
                try:
                    item = self._runner.run(following())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            closing = getattr(items, "aclose", None)
            if closing is not None:
                self._runner.run(closing())

    def account(self, key: SigningKey, *, genesis: bytes = b"") -> SyncAccount:
        return SyncAccount(self, key, genesis)

    def submit(self, raw: Sequence[bytes], *, wait: bool = True, timeout_s: float = 30.0) -> list[Outcome]:
        return self.run(lambda client: client.submit(raw, wait=wait, timeout_s=timeout_s))

    def fate(self, id: str | bytes, *, wait_s: float = 0.0) -> Record:
        return self.run(lambda client: client.fate(id, wait_s=wait_s))

    def get(self, path: str, **query: object) -> Record:
        return self.run(lambda client: client.get(path, **query))

    def claim(self, id: str) -> Record:
        return self.run(lambda client: client.claim(id))

    def member(self, id: str) -> Record:
        return self.run(lambda client: client.member(id))

    def application(self, id: str) -> Record:
        return self.run(lambda client: client.application(id))

    def statement(self, id: str) -> Record:
        return self.run(lambda client: client.statement(id))

    def block(self, reference: int | str = "latest") -> Record:
        return self.run(lambda client: client.block(reference))

    def status(self) -> Record:
        return self.run(lambda client: client.status())

    def claims(self, *, status: str = "", plan: str = "", member: str = "") -> Iterator[Record]:
        return self.each(lambda client: client.claims(status=status, plan=plan, member=member))

    def events(self, *, after: str = "", types: Sequence[str] = (), claim: str = "") -> Iterator[Event]:
        return self.each(lambda client: client.events(after=after, types=types, claim=claim))


class SyncAccount:
    """An `Account` of a `SyncClient`."""

    def __init__(self, client: SyncClient, key: SigningKey, genesis: bytes) -> None:
        self._client = client
        self._account = Account(client.client, key, genesis=genesis)

    def submit(self, actions: Sequence[Action], *, wait: bool = True, timeout_s: float = 30.0) -> Outcome:
        return self._client.run(lambda _: self._account.submit(actions, wait=wait, timeout_s=timeout_s))

    def submit_many(
        self, batches: Sequence[Sequence[Action]], *, wait: bool = True, timeout_s: float = 60.0
    ) -> list[Outcome]:
        return self._client.run(lambda _: self._account.submit_many(batches, wait=wait, timeout_s=timeout_s))
