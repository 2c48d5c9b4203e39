"""A process beside the node: the verdicts are those of this one, and nothing hangs on it but speed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice

import pytest

from node import signature_process
from node.ed25519.sodium import verify
from node.ed25519.vectors import Case
from node.ed25519.worker import decode_request, encode_request
from node.signature_process import CORES, FEWEST, MAX_WAITING, SignatureProcess, is_wanted
from tests.hostile_signatures import Hostile
from tests.unit.node.nodes import until


@asynccontextmanager
async def running() -> AsyncIterator[SignatureProcess]:
    process = SignatureProcess()
    try:
        await until(process.has_room, "the process answers")
        yield process
    finally:
        await process.stop()
        assert process.pid is None


def ask(process: SignatureProcess, cases: Sequence[Case]) -> asyncio.Future[list[bool]] | None:
    return process.ask([c.key for c in cases], [c.signature for c in cases], [c.message for c in cases])


def whole(cases: Sequence[Case]) -> list[Case]:
    """Those with keys and signatures of the right length: others are no transactions."""
    return [case for case in cases if (len(case.key), len(case.signature)) == (32, 64)]


def _note(done: list[int], number: int, _: asyncio.Future[list[bool]]) -> None:
    done.append(number)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_request_is_read_as_it_was_written() -> None:
    draw = random.Random(1)
    for count in (1, 7, 300):
        keys, signatures = [draw.randbytes(32) for _ in range(count)], [draw.randbytes(64) for _ in range(count)]
        messages = [draw.randbytes(draw.choice((0, 1, 200))) for _ in range(count)]
        request = encode_request(keys, signatures, messages)
        assert decode_request(request[8:], count) == (keys, signatures, messages)


async def test_verdicts_are_libsodium_s_and_come_in_order() -> None:
    cases = whole(list(Hostile(7).cases(3_000)))
    sizes, source = random.Random(7), iter(cases)
    async with running() as process:
        while batch := list(islice(source, sizes.randint(FEWEST, 200))):
            answer = ask(process, batch)
            if len(batch) < FEWEST:
                assert answer is None
                continue
            assert answer is not None
            assert await answer == [verify(*case) for case in batch]


async def test_requests_are_answered_in_order_and_only_so_many_wait() -> None:
    cases = whole(list(Hostile(8).cases(400)))[:256]
    expected = [verify(*case) for case in cases]
    async with running() as process:
        answers = []
        while (answer := ask(process, cases)) is not None:
            answers.append(answer)
        assert len(answers) == MAX_WAITING // len(cases)
        assert not process.has_room()
        done: list[int] = []
        for number, answer in enumerate(answers):
            answer.add_done_callback(partial(_note, done, number))
        assert await asyncio.gather(*answers) == [expected] * len(answers)
        assert done == sorted(done) and process.has_room()
        assert process.checked == len(answers) * sum(expected)


async def test_it_starts_when_it_is_first_asked() -> None:
    process = SignatureProcess()
    cases = whole(list(Hostile(1).cases(100)))
    assert ask(process, cases[: FEWEST - 1]) is None and process._starting is None
    assert ask(process, cases) is None, "the first ones are left to the node"
    await until(lambda: process.pid is not None, "there is a process")
    pid = process.pid
    assert pid is not None
    await process.stop()
    assert not is_alive(pid)
    assert ask(process, cases) is None and process.is_over


async def test_what_was_asked_before_the_stop_is_answered_without_a_verdict() -> None:
    cases = whole(list(Hostile(2).cases(100)))
    async with running() as process:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)  # else it may answer before the stop has got to it
        answer = ask(process, cases)
        assert answer is not None
        await process.stop()
        assert await answer == [False] * len(cases) and process.pid is None


async def test_a_process_that_dies_leaves_everything_to_the_node() -> None:
    cases = whole(list(Hostile(3).cases(100)))
    async with running() as process:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        answer = ask(process, cases)
        os.kill(process.pid, signal.SIGKILL)
        assert answer is not None
        assert await answer == [False] * len(cases)
        assert process.is_over and process.pid is None
        assert ask(process, cases) is None and not process.has_room()


async def test_one_that_cannot_be_started_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    process = SignatureProcess()
    assert not process.has_room()
    await until(lambda: process.is_over, "it has given up")
    assert not process.has_room()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    await process.stop()


async def test_a_process_that_answers_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_process, "PATIENCE_S", 0.1)
    cases = whole(list(Hostile(4).cases(100)))
    async with running() as process:
        answer = ask(process, cases)
        assert answer is not None and any(await answer)
        pid = process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        answer = ask(process, cases)
        assert answer is not None
        assert await answer == [False] * len(cases)
        assert process.is_over and not is_alive(pid)


@pytest.mark.parametrize(
    ("setting", "lanes", "cores", "wanted"),
    [
        ("off", 1, 64, False),
        ("on", 8, 1, True),
        ("auto", 1, CORES - 1, False),
        ("auto", 1, CORES, True),
        ("auto", 8, 64, False),
    ],
)
def test_the_setting_the_lanes_and_the_cores_decide(setting: str, lanes: int, cores: int, wanted: bool) -> None:
    assert is_wanted(setting, lanes, cores) is wanted
