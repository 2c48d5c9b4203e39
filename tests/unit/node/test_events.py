"""Waiting for finality: woken once, never too early, and nothing left behind."""

from __future__ import annotations

import asyncio

from node.events import FinalityFeed


async def test_height_wakes_all_who_wait_for_it() -> None:
    feed = FinalityFeed(5)
    assert await feed.wait_height(4, 10) == 5
    waiting = [asyncio.ensure_future(feed.wait_height(5, 10)) for _ in range(3)]
    late = asyncio.ensure_future(feed.wait_height(6, 10))
    await asyncio.sleep(0)
    waiting[0].cancel()
    feed.committed(6, [])
    assert [await task for task in waiting[1:]] == [6, 6]
    assert not late.done()
    feed.committed(7, [])
    assert await late == 7


async def test_height_that_does_not_come_ends_with_the_timeout() -> None:
    feed = FinalityFeed(5)
    assert await feed.wait_height(5, 0.001) == 5


async def test_decisions_wake_who_waits_for_them() -> None:
    feed = FinalityFeed(0)
    decided: set[bytes] = set()
    waiting = asyncio.ensure_future(feed.wait_decided([b"a", b"b"], decided.__contains__, 10))
    await asyncio.sleep(0)
    decided.add(b"b")
    feed.decided(b"b")
    feed.committed(1, [b"x"])
    await asyncio.sleep(0)
    assert not waiting.done()
    decided.add(b"a")
    feed.committed(2, [b"a"])
    assert await waiting
    assert feed.waiting == 0


async def test_waiters_that_give_up_leave_nothing() -> None:
    feed = FinalityFeed(0)
    assert not await feed.wait_decided([b"a"], lambda id: False, 0.001)
    task = asyncio.ensure_future(feed.wait_decided([b"a"], lambda id: False, 10))
    await asyncio.sleep(0)
    assert feed.waiting == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert feed.waiting == 0
    feed.decided(b"a")
