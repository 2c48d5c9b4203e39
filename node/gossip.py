"""Transactions between nodes: what clients bring here is told to every peer once, in batches.

A node tells what it got from clients, never what it got from peers, so each transaction crosses each connection
once. What peers tell is checked in small slices with the event loop free in between: a flood of transactions
must not delay a vote. A peer that sends faster than that loses the surplus; what matters is forwarded again. Where
another process checks signatures, it is asked about more than a slice: who waits for it waits for a turn of the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Annotated, Final

import msgspec

from consensus.errors import DecodeError
from consensus.types import ReplicaId
from node.claims.transaction import MAX_TRANSACTION_BYTES, id_of
from node.compact import TAG
from node.frames import Split

BATCH_BYTES: Final = 128 * 1024
"""A batch is sent when it holds this much, or at the end of the event loop's turn."""
MAX_BATCH_BYTES: Final = BATCH_BYTES + MAX_TRANSACTION_BYTES + 1024
MAX_BATCH_TRANSACTIONS: Final = 4_096
SLICE: Final = 32
"""Transactions checked at a time: about 2 ms."""
PORTION: Final = 256
"""Transactions whose signatures are asked for at a time, where another process checks them: 1 ms of this one."""
_TURN_NS: Final = 8_000_000
"""The event loop is given back after so long: a vote waits for it at most."""
_BACKLOG_BYTES: Final = 8 * 1024 * 1024
"""Of one peer, waiting to be checked."""

_SPLIT_BYTES: Final = 4 * 1024 * 1024
"""Of batches looked through for one proposal: some 2 ms."""
_SEARCH: Final = 65_536
"""Work of one search at most, in looks into a table: some 4 ms."""
_BATCH_COST: Final = 8
_HASH_COST: Final = 8
"""Looks that a batch, and a transaction whose id is not known yet, cost."""

_Batch = Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_BATCH_TRANSACTIONS)]
_decoder: Final = msgspec.msgpack.Decoder(_Batch)


def encode_batch(raws: Sequence[bytes]) -> bytes:
    return msgspec.msgpack.encode(list(raws))


def in_batches(raws: Iterable[bytes]) -> Iterator[bytes]:
    """Messages with these transactions, none larger than a peer takes."""
    batch: list[bytes] = []
    size = 0
    for raw in raws:
        if batch and (size + len(raw) > BATCH_BYTES or len(batch) >= MAX_BATCH_TRANSACTIONS):
            yield encode_batch(batch)
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield encode_batch(batch)


def decode_batch(payload: bytes) -> list[bytes]:
    """Raw transactions of one message. Raises DecodeError."""
    if len(payload) > MAX_BATCH_BYTES:
        raise DecodeError(f"a batch of {len(payload)} bytes, {MAX_BATCH_BYTES} are allowed")
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DecodeError(f"not a batch of transactions: {error}") from None


def splitter(wanted: Set[bytes]) -> Split:
    """Takes `wanted` transactions out of batches. Of the first that it sees only: what a block takes waits longest."""
    done: dict[int, tuple[bytes, tuple[bytes, bytes]]] = {}  # by identity: the same batch waits for every peer
    left = _SPLIT_BYTES

    def split(payload: bytes) -> tuple[bytes, bytes]:
        nonlocal left
        if id(payload) not in done:
            parts = b"", payload
            left -= len(payload)
            if left >= 0 and len(payload) <= MAX_BATCH_BYTES:
                raws = decode_batch(payload)
                urgent = [raw for raw in raws if raw in wanted]
                if urgent:
                    rest = [raw for raw in raws if raw not in wanted]
                    parts = encode_batch(urgent), encode_batch(rest) if rest else b""
            done[id(payload)] = payload, parts
        return done[id(payload)][1]

    return split


class _Told(msgspec.Struct, eq=False, dict=True):
    """Transactions of one peer that wait to be taken in."""

    raws: list[bytes]
    size: int
    """Bytes that leave the peer's backlog with them."""
    is_begun: bool = False
    ahead: asyncio.Future[list[bool]] | None = None
    """What was begun, if anything."""

    @property
    def is_hashed(self) -> bool:
        return "by_id" in self.__dict__

    @cached_property
    def by_id(self) -> dict[bytes, bytes]:
        return {id_of(raw): raw for raw in self.raws}


class Gossip:
    """Both directions for one node."""

    def __init__(
        self,
        broadcast: Callable[[bytes], None],
        take_in: Callable[[ReplicaId, Sequence[bytes]], Awaitable[bool]],
        begin: Callable[[Sequence[bytes]], asyncio.Future[list[bool]] | None] = lambda raws: None,
    ) -> None:
        """`take_in` gets at most `SLICE` transactions of a peer at a time; False if no honest peer tells them.

        `begin` gets at most `PORTION` of them some time before, to have their signatures checked meanwhile; they are
        taken in when that is done. None: nothing was begun.
        """
        self._broadcast = broadcast
        self._take_in = take_in
        self._begin = begin
        self._outgoing: list[bytes] = []
        self._is_scheduled = False
        self._incoming: dict[ReplicaId, deque[_Told]] = {}
        self._turns: deque[ReplicaId] = deque()  # peers with batches waiting, whose turn is next first
        self._backlog: Counter[ReplicaId] = Counter()
        self._wake = asyncio.Event()
        self._since_ns = 0
        """When the event loop was last given back, on a steady clock."""
        self._waiting: Counter[ReplicaId] = Counter()
        self.dropped = 0
        """Transactions of peers dropped because they came faster than they could be checked."""

    def tell(self, raws: Sequence[bytes]) -> None:
        """Tell every peer, together with what else comes in the same turn of the event loop."""
        self._outgoing += raws
        if self._outgoing and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Tell now what waits for the end of this turn."""
        self._is_scheduled = False
        raws, self._outgoing = self._outgoing, []
        for payload in in_batches(raws):
            self._broadcast(payload)

    def received(self, replica: ReplicaId, payload: bytes) -> None:
        """A peer's batch, queued to be checked. Raises DecodeError."""
        raws = decode_batch(payload)
        if self._backlog[replica] + len(payload) > _BACKLOG_BYTES:
            self.dropped += len(raws)
            return
        self._backlog[replica] += len(payload)
        self._waiting[replica] += len(raws)
        queue = self._incoming.setdefault(replica, deque())
        if not queue:
            self._turns.append(replica)
        for start in range(0, len(raws), PORTION):
            is_last = start + PORTION >= len(raws)
            queue.append(_Told(raws[start : start + PORTION], len(payload) if is_last else 0))
        self._wake.set()

    def waiting(self, most: int) -> int:
        """Transactions of peers that wait to be checked; of each peer, who may be lying, at most so many count."""
        return sum(min(count, most) for count in self._waiting.values())

    def find(self, tags: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Transactions that peers have told and that wait to be checked, by id; `tags`: what each has at TAG. No
        signature of them has been checked. No long line is searched to its end, and each peer's as far as another's:
        none can hide the others'."""
        found: dict[bytes, bytes] = {}
        queues = [queue for queue in self._incoming.values() if queue]
        for queue in queues:
            left = _SEARCH // len(queues)
            for told in queue:
                if len(found) == len(tags):
                    return found
                count = len(told.raws)
                left -= _BATCH_COST + min(count, len(tags)) + (0 if told.is_hashed else _HASH_COST * count)
                if left < 0:
                    break
                for id in told.by_id.keys() & tags.keys():
                    raw = told.by_id[id]
                    if raw[TAG] == tags[id]:
                        found[id] = raw
        return found

    async def run(self) -> None:
        """Check what peers sent, slice by slice, for ever. Peers take turns, batch by batch."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._since_ns = time.monotonic_ns()
            while self._turns:
                replica = self._turns[0]
                queue = self._incoming[replica]
                told = queue[0]
                if not told.is_begun:
                    self._begin_next()
                if told.ahead is not None and not told.ahead.done():
                    await told.ahead
                    self._since_ns = time.monotonic_ns()
                is_honest = await self._check(replica, told.raws)
                # Gone only now: what comes meanwhile finds this peer in line already.
                self._turns.popleft()
                queue.popleft()
                self._backlog[replica] -= told.size
                if not is_honest:
                    self.dropped += sum(len(told.raws) for told in queue)
                    self._waiting[replica] = 0
                    self._backlog[replica] = 0
                    queue.clear()
                if queue:
                    self._turns.append(replica)

    def _begin_next(self) -> None:
        """Begin with what will be taken in next, several small batches of a peer together: who waits for an answer
        waits for a turn of the event loop, which is long on a busy one."""
        for replica in self._turns:
            group: list[_Told] = []
            raws: list[bytes] = []
            for told in self._incoming[replica]:
                if told.is_begun or len(raws) + len(told.raws) > PORTION:
                    break
                group.append(told)
                raws += told.raws
            ahead = self._begin(raws) if raws else None
            for told in group:
                told.is_begun, told.ahead = True, ahead
            if time.monotonic_ns() - self._since_ns >= _TURN_NS:
                break  # the others are begun when they are first in line

    async def _check(self, replica: ReplicaId, raws: list[bytes]) -> bool:
        for start in range(0, len(raws), SLICE):
            is_honest = await self._take_in(replica, raws[start : start + SLICE])
            self._waiting[replica] -= min(SLICE, len(raws) - start)
            # Not after every slice: a busy loop may take long to come back, and only what was checked can be
            # proposed. A primary that took in one slice a turn would put its own clients before all others.
            if time.monotonic_ns() - self._since_ns >= _TURN_NS:
                await asyncio.sleep(0)
                self._since_ns = time.monotonic_ns()
            if not is_honest:
                self.dropped += max(0, len(raws) - start - SLICE)
                return False
        return True
