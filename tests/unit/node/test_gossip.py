"""Transactions between nodes: told once, in batches; taken in slice by slice, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from consensus.errors import DecodeError
from consensus.types import ReplicaId
from node.claims.transaction import MAX_TRANSACTION_BYTES, id_of
from node.compact import TAG
from node.gossip import (
    BATCH_BYTES,
    MAX_BATCH_TRANSACTIONS,
    PORTION,
    SLICE,
    Gossip,
    decode_batch,
    encode_batch,
    in_batches,
    splitter,
)
from tests.unit.node.nodes import until
from tests.unit.node.proposals import fake


class Wire:
    """What a gossip told, and what it took in."""

    def __init__(self) -> None:
        self.told: list[list[bytes]] = []
        self.taken: list[list[bytes]] = []
        self.gossip = Gossip(lambda payload: self.told.append(decode_batch(payload)), self.take_in)

    async def take_in(self, replica: ReplicaId, raws: Sequence[bytes]) -> bool:
        self.taken.append(list(raws))
        return True


async def test_what_comes_in_one_turn_leaves_in_one_batch() -> None:
    wire = Wire()
    wire.gossip.tell([b"1", b"2"])
    wire.gossip.tell([b"3"])
    assert wire.told == []
    await asyncio.sleep(0)
    assert wire.told == [[b"1", b"2", b"3"]]
    wire.gossip.tell([])
    await asyncio.sleep(0)
    assert len(wire.told) == 1


async def test_batches_are_bounded_in_bytes() -> None:
    wire = Wire()
    half = bytes(BATCH_BYTES // 2)
    wire.gossip.tell([half, half, half, bytes(256 * 1024)])
    await asyncio.sleep(0)
    assert [len(batch) for batch in wire.told] == [2, 1, 1]


@pytest.mark.parametrize("size", [0, 1, 200, 64 * 1024, MAX_TRANSACTION_BYTES])
def test_batches_are_never_larger_than_a_peer_takes(size: int) -> None:
    """What is forwarded to a primary too: a batch that its receiver refuses would cost the connection."""
    raws = [bytes(size) for _ in range(MAX_BATCH_TRANSACTIONS + 5 if size < 1_000 else 32)]
    assert [raw for payload in in_batches(raws) for raw in decode_batch(payload)] == raws
    assert list(in_batches([])) == []


async def test_peers_batches_are_taken_in_slices_and_in_order() -> None:
    wire = Wire()
    running = asyncio.ensure_future(wire.gossip.run())
    raws = [b"%d" % number for number in range(2 * SLICE + 3)]
    wire.gossip.received(ReplicaId(1), encode_batch(raws))
    wire.gossip.received(ReplicaId(2), encode_batch([b"last"]))
    await until(lambda: len(wire.taken) == 4, "all slices")
    assert [len(part) for part in wire.taken] == [SLICE, SLICE, 3, 1]
    assert [raw for part in wire.taken for raw in part] == [*raws, b"last"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_peer_that_floods_loses_the_surplus_and_the_others_do_not() -> None:
    wire = Wire()
    payload = encode_batch([bytes(BATCH_BYTES)])
    for _ in range(100):
        wire.gossip.received(ReplicaId(1), payload)
    assert 0 < wire.gossip.dropped < 100
    before = wire.gossip.dropped
    wire.gossip.received(ReplicaId(2), payload)
    assert wire.gossip.dropped == before
    with pytest.raises(DecodeError):
        wire.gossip.received(ReplicaId(2), b"\x90")


async def test_what_waits_is_counted_and_of_each_peer_only_so_much() -> None:
    gate = asyncio.Event()

    async def take_in(replica: ReplicaId, raws: Sequence[bytes]) -> bool:
        await gate.wait()
        return True

    gossip = Gossip(lambda payload: None, take_in)
    gossip.received(ReplicaId(1), encode_batch([b"x"] * 100))
    gossip.received(ReplicaId(2), encode_batch([b"y"] * 10))
    assert gossip.waiting(1_000) == 110 and gossip.waiting(20) == 30
    task = asyncio.create_task(gossip.run())
    gate.set()
    async with asyncio.timeout(10):
        while gossip.waiting(1_000):
            await asyncio.sleep(0)
    task.cancel()


async def test_batches_wait_for_what_was_begun_and_stay_in_order() -> None:
    """Small batches of a peer are begun together, at most a portion; another peer's meanwhile."""
    wire = Wire()
    begun: list[tuple[list[bytes], asyncio.Future[list[bool]]]] = []

    def begin(raws: Sequence[bytes]) -> asyncio.Future[list[bool]]:
        begun.append((list(raws), asyncio.get_running_loop().create_future()))
        return begun[-1][1]

    wire.gossip = Gossip(lambda payload: None, wire.take_in, begin)
    many = [b"%d" % number for number in range(PORTION + 1)]
    for replica, raws in ((1, [b"a", b"b"]), (1, [b"c"]), (1, many), (2, [b"d"])):
        wire.gossip.received(ReplicaId(replica), encode_batch(raws))
    assert wire.gossip.waiting(10_000) == 3 + len(many) + 1
    running = asyncio.ensure_future(wire.gossip.run())
    await until(lambda: len(begun) == 2, "both peers' first ones")
    assert [raws for raws, _ in begun] == [[b"a", b"b", b"c"], [b"d"]]
    begun[1][1].set_result([False])
    await asyncio.sleep(0)
    assert wire.taken == [] and wire.gossip.waiting(10_000) == 3 + len(many) + 1, "taken in when it is their turn"
    begun[0][1].set_result([True] * 3)
    await until(lambda: len(begun) == 3, "the next portion")
    assert begun[2][0] == many[:PORTION] and wire.taken == [[b"a", b"b"], [b"d"], [b"c"]]
    begun[2][1].set_result([True] * PORTION)
    await until(lambda: len(begun) == 4, "the rest")
    begun[3][1].set_result([True])
    await until(lambda: wire.gossip.waiting(10_000) == 0, "all of it")
    assert [raw for part in wire.taken for raw in part] == [b"a", b"b", b"d", b"c", *many]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_for_the_end_of_the_turn_can_be_told_at_once() -> None:
    wire = Wire()
    wire.gossip.tell([b"1"])
    wire.gossip.flush()
    assert wire.told == [[b"1"]]
    wire.gossip.tell([b"2"])
    await asyncio.sleep(0)
    assert wire.told == [[b"1"], [b"2"]]


async def test_what_waits_to_be_checked_is_found_by_id_until_it_is() -> None:
    wire = Wire()
    raws = [fake(number) for number in range(100)]
    wire.gossip.received(ReplicaId(1), encode_batch(raws[:60]))
    wire.gossip.received(ReplicaId(2), encode_batch(raws[60:]))
    wanted = {id_of(raw): raw for raw in (raws[3], raws[70])}
    tags = {id: raw[TAG] for id, raw in wanted.items()}
    assert wire.gossip.find(tags | {bytes(32): bytes(16)}) == wanted
    other = fake(3, signature=1)
    assert id_of(other) == id_of(raws[3]) and wire.gossip.find({id_of(other): other[TAG]}) == {}, "another signature"
    running = asyncio.ensure_future(wire.gossip.run())
    await until(lambda: wire.gossip.waiting(1_000) == 0, "checked")
    await asyncio.sleep(0)
    assert wire.gossip.find(tags) == {}
    running.cancel()


async def test_search_of_a_long_line_is_bounded_and_the_next_one_comes_further() -> None:
    wire = Wire()
    raws = [fake(number, size=100) for number in range(16_000)]
    for start in range(0, len(raws), 1_000):
        wire.gossip.received(ReplicaId(1), encode_batch(raws[start : start + 1_000]))
    last = {id_of(raws[-1]): raws[-1][TAG]}
    searches = 0
    while not wire.gossip.find(last):
        searches += 1
        assert searches < 5
    assert searches


async def test_no_peer_hides_what_the_others_told_behind_a_long_line_of_its_own() -> None:
    wire = Wire()
    for number in range(8_000):
        wire.gossip.received(ReplicaId(3), encode_batch([fake(10_000 + number, size=100)]))
    raws = [fake(number) for number in range(100)]
    wire.gossip.received(ReplicaId(2), encode_batch(raws))
    assert wire.gossip.find({id_of(raw): raw[TAG] for raw in raws}) == {id_of(raw): raw for raw in raws}


def test_batches_are_split_in_what_a_block_has_and_the_rest() -> None:
    raws = [fake(number) for number in range(10)]
    split = splitter({raws[1], raws[2]})
    mixed, other, only = encode_batch(raws[:4]), encode_batch(raws[4:]), encode_batch([raws[2]])
    assert split(mixed) == (encode_batch(raws[1:3]), encode_batch([raws[0], raws[3]]))
    assert split(mixed) is split(mixed), "the same for every peer"
    assert split(other) == (b"", other) and split(only) == (only, b"")
    many = [encode_batch([bytes([number]) * BATCH_BYTES, raws[1]]) for number in range(40)]
    assert 20 < sum(bool(split(batch)[0]) for batch in many) < 40, "not all of a long line is looked through"
