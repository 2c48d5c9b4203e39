"""Coroutines that are begun without a task."""

from __future__ import annotations

import asyncio

import pytest

from node.unfinished import Unfinished, begin


class Work:
    """Appends to a log before and after it waits, if it waits."""

    def __init__(self) -> None:
        self.gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.log: list[str] = []

    async def do(self, *, waits: bool) -> None:
        self.log.append("begun")
        try:
            if waits:
                self.log.append(await asyncio.shield(self.gate))
        finally:
            self.log.append("left")


async def test_what_need_not_wait_ends_at_once() -> None:
    work = Work()
    assert begin(work.do(waits=False)) is None
    assert work.log == ["begun", "left"]


async def test_what_has_to_wait_is_finished_in_a_task() -> None:
    work = Work()
    rest = begin(work.do(waits=True))
    assert isinstance(rest, Unfinished) and work.log == ["begun"]
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    assert work.log == ["begun"]
    work.gate.set_result("through")
    await task
    assert work.log == ["begun", "through", "left"]


async def test_failure_comes_out_of_both_halves() -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        begin(fail())
    work = Work()
    rest = begin(work.do(waits=True))
    assert rest is not None
    work.gate.set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        await rest
    assert work.log == ["begun", "left"]


async def test_cancelled_or_dropped_it_is_closed() -> None:
    cancelled, dropped = Work(), Work()
    rest, other = begin(cancelled.do(waits=True)), begin(dropped.do(waits=True))
    assert rest is not None and other is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other.drop()
    assert cancelled.log == dropped.log == ["begun", "left"]


async def test_a_future_that_others_await_too_serves_all() -> None:
    """Every write to a full connection awaits the same one, the answer to a ping as well."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def drain() -> None:
        await gate

    async def finish(rest: Unfinished) -> None:
        await rest

    rest = begin(drain())
    assert rest is not None
    other = asyncio.ensure_future(drain())
    await asyncio.sleep(0)
    task = asyncio.ensure_future(finish(rest))
    await asyncio.sleep(0)
    assert not other.done() and not task.done()
    gate.set_result(None)
    await asyncio.gather(other, task)


async def test_what_only_lets_others_go_first_is_finished_too() -> None:
    log: list[str] = []

    async def let_go() -> None:
        await asyncio.sleep(0)
        log.append("done")

    rest = begin(let_go())
    assert rest is not None and log == []
    await asyncio.wait_for(rest, 1)
    assert log == ["done"]
