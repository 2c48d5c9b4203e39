"""The comparison's own arithmetic: what the load counts, how bars are judged, what the report says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgpack
import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer

from benchmarks.engines.bars import BARS, judge
from benchmarks.engines.chart import chart
from benchmarks.engines.compare import BEST, LIBSODIUM, TUNED, WEAL, Found
from benchmarks.engines.document import PAGE, marks, with_part
from benchmarks.engines.feeds import Told, WealFeed
from benchmarks.engines.load import BATCH_MOST, Order, Result, _Run
from benchmarks.engines.memory import Course
from benchmarks.engines.memory import table as memory_table
from benchmarks.engines.relay import Relay
from benchmarks.engines.replicas import Row, table
from benchmarks.engines.report import Document, markdown, picture
from benchmarks.engines.runs import latencies_of
from benchmarks.engines.workload import read, sign
from node.claims.transaction import decode_transaction
from node.crypto import verify
from node.errors import ConfigError
from node.localnet.ports import free_ports
from tests.unit.node.ledgers import ACCOUNT_KEYS, ledger_genesis


class FakeFeed:
    """Answers at once, refuses each tenth, and calls the rest final after `delay_s`; swallows those in `lost`."""

    def __init__(self, size: int, delay_s: float, lost: Sequence[int] = ()) -> None:
        self._size, self._delay_s, self._lost = size, delay_s, frozenset(lost)
        self.on_final: Told = lambda numbers, at_ns: None
        self.on_refused: Told = lambda numbers, at_ns: None
        self.seen: list[int] = []
        self.nodes: set[int] = set()

    def __len__(self) -> int:
        return self._size

    @property
    def alive(self) -> list[int]:
        return [0, 2, 3]

    async def open(self) -> None: ...

    async def send(self, node: int, first: int, count: int) -> None:
        self.nodes.add(node)
        numbers = range(first, first + count)
        self.seen += numbers
        self.on_refused([number for number in numbers if number % 10 == 9], time.time_ns())
        taken = [number for number in numbers if number % 10 != 9 and number not in self._lost]
        loop = asyncio.get_running_loop()
        loop.call_later(self._delay_s, lambda: self.on_final(taken, time.time_ns()))

    async def close(self) -> None: ...


def order(**fields: object) -> Order:
    return Order(engine="fake", urls=[], path="", **fields)  # type: ignore[arg-type]


async def test_a_rate_is_offered_and_every_transaction_is_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.engines.load.DRAIN_S", 0.3)
    feed = FakeFeed(10_000, 0.02, lost=[3, 4])
    result = await _Run(order(mode="rate", rate=1_000.0, seconds=0.5, warm_up_s=0.1), feed).run()
    assert feed.seen == list(range(result.sent)) and 400 <= result.sent <= 500
    assert result.refused == sum(number % 10 == 9 for number in feed.seen)
    assert result.final == result.sent - result.refused - 2 and result.lost == 2
    assert sum(result.bins) == result.final and feed.nodes == {0, 2, 3}
    assert min(result.latencies_us) >= 20_000, "latency counts from the moment it was due"
    assert 0.3 < result.seconds < 0.5 and result.per_second() > 0


async def test_what_falls_due_while_the_generator_waits_is_offered_in_batches_that_nodes_take() -> None:
    feed, batches = FakeFeed(20_000, 0.001), []
    send = feed.send

    async def watched(node: int, first: int, count: int) -> None:
        batches.append(count)
        until = time.monotonic() + (0.3 if len(batches) == 1 else 0)
        while time.monotonic() < until:
            pass  # the processor is somebody else's
        await send(node, first, count)

    feed.send = watched  # type: ignore[method-assign]
    result = await _Run(order(mode="rate", rate=10_000.0, seconds=0.5, warm_up_s=0), feed).run()
    assert feed.seen == list(range(result.sent)) and sum(batches) == result.sent > 3_000
    assert max(batches) == BATCH_MOST and feed.nodes == {0, 2, 3}
    assert result.refused + result.final == result.sent


@pytest.mark.parametrize("code", [WSCloseCode.INVALID_TEXT, WSCloseCode.GOING_AWAY])
async def test_a_node_that_ends_a_connection_is_told_apart_from_one_that_was_sent_rubbish(
    tmp_path: Path, code: WSCloseCode
) -> None:
    path = tmp_path / "workload"
    sign(path, ledger_genesis(), ACCOUNT_KEYS[:1], 4, "run")

    feed, gone = WealFeed([], path), asyncio.Event()

    async def ends(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_bytes()
        await socket.close(code=code)
        return socket

    async def answers(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        number, raws = msgpack.unpackb(await socket.receive_bytes())
        await asyncio.wait_for(gone.wait(), 5)
        await socket.send_bytes(msgpack.packb([0, number, [-1] * len(raws)]))
        return socket

    async with AsyncExitStack() as stack:
        for stream in (ends, answers):
            app = web.Application()
            app.add_routes([web.get("/v1/submissions", stream)])
            server = await stack.enter_async_context(TestServer(app))
            feed._urls.append(str(server.make_url("")).rstrip("/"))
        await feed.open()
        refused: list[int] = []
        feed.on_refused = lambda numbers, at_ns: refused.extend(numbers)
        other = asyncio.create_task(feed.send(1, 2, 2))
        await asyncio.sleep(0)
        if code == WSCloseCode.INVALID_TEXT:
            with pytest.raises(RuntimeError, match="node 0 was sent"):
                await feed.send(0, 0, 2)
        else:
            await feed.send(0, 0, 2)
        assert not other.done() and feed.alive == [1], "what another node was asked is not answered with it"
        gone.set()
        await other
        assert refused == [2, 3]
        await feed.close()


async def test_so_many_are_open_at_any_time() -> None:
    feed = FakeFeed(600, 0.005)
    most = 0

    async def watched(node: int, first: int, count: int, send=feed.send) -> None:  # type: ignore[no-untyped-def]
        nonlocal most
        most = max(most, len(run._due_ns))
        await send(node, first, count)

    feed.send = watched  # type: ignore[method-assign]
    run = _Run(order(mode="open", open=100, batch=20, seconds=0, warm_up_s=0), feed)
    result = await run.run()
    assert result.sent == 600 and result.final == 540 and most <= 100


async def test_one_after_the_other_waits_for_each() -> None:
    feed = FakeFeed(100, 0.002)
    result = await _Run(order(mode="single", seconds=0, warm_up_s=0, count=9), feed).run()
    assert result.sent == result.final == 9 and len(result.latencies_us) == 9


def test_a_gap_in_the_commits_is_seen() -> None:
    run = _Run(order(mode="rate", rate=1.0, seconds=10.0), FakeFeed(10, 0))
    run.result.begun_ns = run._last_ns = 1_000
    run._due_ns = dict.fromkeys(range(3), 1_000)
    for number, at_ms in enumerate((100, 900, 1_000)):
        run._final([number], 1_000 + at_ms * 1_000_000)
    assert run.result.longest_gap_ms == pytest.approx(800)
    assert [place for place, count in enumerate(run.result.bins) if count] == [1, 9, 10]


def test_a_workload_is_signed_and_read_again(tmp_path: Path) -> None:
    assert sign(tmp_path / "w", ledger_genesis(), ACCOUNT_KEYS[:2], 5, "run") == 3
    signed = read(tmp_path / "w")
    transactions = [decode_transaction(one.raw) for one in signed]
    assert [one.id for one in signed] == [transaction.id for transaction in transactions]
    assert [transaction.sequence for transaction in transactions] == [1, 1, 2, 2, 3]
    assert len({one.id for one in signed}) == 5
    sign(tmp_path / "next", ledger_genesis(), ACCOUNT_KEYS[:2], 2, "next", 3)
    assert [decode_transaction(one.raw).sequence for one in read(tmp_path / "next")] == [4, 4]
    assert all(verify(one.sender, one.signature, one.signed_bytes()) for one in transactions)


def found() -> Found:
    def figures(rate: float, p50: float) -> dict[str, float]:
        return {"committed_per_s": rate, "p50_ms": p50, "p95_ms": 2 * p50, "cpu_s_per_1000": 0.4}

    return Found(
        figures={
            "sustained": {
                WEAL: [figures(9_000, 5), figures(11_000, 5), figures(10_000, 5)],
                LIBSODIUM: [figures(4_000, 5)],
                BEST: [figures(5_000, 50)],
            },
            "3,000/s": {WEAL: [figures(3_000, 9)], TUNED: [figures(3_000, 40)], BEST: [figures(3_000, 50)]},
            "overload": {WEAL: [figures(8_000, 500)]},
            "leader killed": {WEAL: [{"longest_gap_ms": 900.0}]},
            "curve": {WEAL: [{"points": [{"offered_per_s": 500.0, "p99_ms": 3.0} | figures(500, 1)]}]},
        }
    )


def test_bars_take_medians_and_the_peers_best_setting() -> None:
    verdicts = {verdict.bar.what: verdict for verdict in judge(found())}
    assert verdicts["committed, sustained"].ratio == 2.0 and verdicts["committed, sustained"].is_met
    assert verdicts["the same with libsodium alone"].is_met is False
    assert verdicts["p50 at 3,000/s"].setting == TUNED and verdicts["p50 at 3,000/s"].is_met is False
    assert verdicts["CPU of all four nodes"].ratio == 1.0 and verdicts["CPU of all four nodes"].is_met is False
    assert verdicts["offered three times that: committed, beside sustained"].ratio == pytest.approx(0.8)
    assert verdicts["primary killed under load: longest time without a commit"].is_met
    assert {bar.what for bar in BARS} > set(verdicts)


def test_without_a_peer_its_bars_are_neither_met_nor_missed() -> None:
    alone = found()
    for engines in alone.figures.values():
        engines.pop(BEST, None)
        engines.pop(TUNED, None)
    verdict = next(verdict for verdict in judge(alone) if verdict.bar.what == "committed, sustained")
    assert verdict.is_met is None and verdict.ratio is None


def test_the_report_names_what_was_missed() -> None:
    document = Document(command="make bench", machine={"cores": "2"}, commit="abc", data=found())
    text = markdown(document)
    assert "| committed, sustained | CometBFT, tuned, application mempool | 5,000 /s | 10,000 /s | 2.00 |" in text
    assert "| 0.800 | at least 0.9x | **missed** |" in text
    assert "**missed**" in text and "commit `abc`" in text
    assert "**CometBFT is left out**" in markdown(
        Document(command="", machine={}, commit="", data=Found(skipped="CometBFT is left out"))
    )
    drawn = picture(document.data)
    assert drawn is not None and drawn.startswith("<svg") and "Commonweal, p95" in drawn


def test_a_chart_keeps_within_its_picture() -> None:
    drawn = chart("t", "x", "y", {"a": [(500, 1.0), (12_000, 900.0)], "b": [(500, 30.0), (6_000, 31.0)]})
    places = [point for part in drawn.split('points="')[1:] for point in part.split('"')[0].split()]
    for place in places:
        x, y = map(float, place.split(","))
        assert 0 <= x <= 860 and 0 <= y <= 420


def test_the_page_has_its_marks() -> None:
    text = PAGE.read_text()
    for part in ("comparison", "stages", "replicas"):
        changed = with_part(text, part, "NEW")
        begin, end = marks(part)
        assert f"{begin}\n\nNEW\n\n{end}" in changed and with_part(changed, part, "NEW") == changed
    with pytest.raises(ConfigError, match="lost its marks"):
        with_part("nothing", "stages", "NEW")


def test_latency_is_told_in_round_trips() -> None:
    rows = [
        Row(replicas=4, delay_ms=20, p50_ms=100, p95_ms=120, committed_per_s=1_000, busy_p50_ms=300),
        Row(replicas=4, delay_ms=0, p50_ms=6, p95_ms=8, committed_per_s=4_000, busy_p50_ms=100),
    ]
    lines = table(rows).splitlines()
    assert "| 4 | 20 | 100.0 / 120.0 | 2.5 | 1,000 | 300 |" in lines and "| 4 | 0 | 6.0 / 8.0 |  |" in lines[3]


async def test_the_relay_delays_both_ways_and_loses_nothing() -> None:
    (target,) = free_ports(1)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", target)
    relay = Relay(30)
    port = relay.port_for(target)
    assert relay.port_for(target) == port
    with relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data, begin = bytes(range(256)) * 2_000, time.monotonic()
        writer.write(data)
        assert await asyncio.wait_for(reader.readexactly(len(data)), 20) == data
        assert time.monotonic() - begin >= 0.06
        writer.close()
    server.close()


def test_without_a_single_latency_none_is_reported() -> None:
    assert latencies_of(Result()) == {}
    assert set(latencies_of(Result(latencies_us=[1_000]))) == {"p50_ms", "p95_ms", "p99_ms"}
    collapsed = {"offered_per_s": 8_000.0, "committed_per_s": 0.0}
    lost = Found(figures={"curve": {WEAL: [{"points": [collapsed]}]}})
    assert picture(lost) is None
    assert "| 8,000 | 0, none in time |" in markdown(Document(command="", machine={}, commit="", data=lost))


def test_nothing_counted_is_no_division_by_zero() -> None:
    assert Result().per_second() == 0 and Result().latency_ms(99) == 0


def test_memory_over_time_is_shown_at_equal_steps_with_its_growth() -> None:
    def course(engine: str, mb: list[tuple[float, int]]) -> Course:
        memory = [(at, size * 10**6) for at, size in mb]
        return Course(engine=engine, committed_per_s=2_990.0, last_per_s=2_900.0, p50_ms=41.0, lost=0, memory=memory)

    flat = course("ours", [(float(second), 100) for second in range(601)])
    leaking = course("theirs", [(float(second), second) for second in range(601)])
    assert flat.growth == 1.0 and leaking.growth == pytest.approx(1.5)
    shown = memory_table([flat, leaking], 3_000.0)
    assert "| ours | 2,990 | 2,900 | 41.0 | 100 | 100 | 100 | 100 | 100 | 100 | 1.00 |" in shown
    assert "| theirs | 2,990 | 2,900 | 41.0 | 100 | 200 | 300 | 400 | 500 | 600 | 1.50 |" in shown
