"""Transactions that wait for a block: bounded, in order of arrival, each sender within its share.

Checks run from cheap to dear, so that a stranger or a flood costs no signature check: size and form,
duplicates, room, the application's `admit` against the committed state, then the signature. The pool never
forgets silently: what leaves it is in a block, or its fate (expired, rejected and why) is remembered.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from node.arrivals import Ahead, Arrival
from node.claims.results import ResultCode, describe
from node.claims.transaction import Transaction
from node.claims.wire import Malformed
from node.verification import TransactionVerifier

Status = Literal["pending", "committed", "rejected", "refused"]
Admit = Callable[[Transaction, int], ResultCode]
"""(transaction, chain time) -> may it wait for a block, as things stand at the committed tip."""
FindCommitted = Callable[[bytes], tuple[int, int] | None]
"""Transaction id -> (height, index) if it is on the chain."""

FATES_REMEMBERED: Final = 65_536
EARLY_MAX: Final = 2_048
EARLY_BYTES: Final = 8_192
"""Transactions of peers whose sequence is still too high here: so many, each at most so long."""
_BPS: Final = 10_000
_RESERVE: Final = 4
"""One part in so many of the clients' limit, above it, for those who have nothing in the pool."""
TRANSACTION_OVERHEAD_BYTES: Final = 600
"""What one waiting transaction costs in memory besides its bytes; counted, so that tiny ones are bounded too."""


class MempoolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the pool; see `MempoolSection` in config.py for their meaning."""

    max_transactions: int = 50_000
    max_bytes: int = 64 * 1024 * 1024
    sender_share_bps: int = 4_000


class Pending(msgspec.Struct, kw_only=True, eq=False):
    """One transaction in the pool. Its signature has been checked."""

    id: bytes
    raw: bytes
    transaction: Transaction
    arrival: int
    """Rises by one with each transaction this node took in."""
    arrived_ms: int
    """Real milliseconds on this machine's steady clock."""
    overtaken_ms: int | None = None
    """When a block first held a transaction that came later, on the same clock; for `CensorshipWatch`."""
    forwarded_view: int = -1
    """View to whose primary this transaction was forwarded."""
    forwarded_ms: int = 0
    patience: int = 0
    """Transactions committed in all by which that primary should have come to this one; for `CensorshipWatch`."""

    @property
    def sender(self) -> bytes:
        return self.transaction.sender

    @property
    def size(self) -> int:
        return len(self.raw)


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one submitted transaction."""

    id: bytes | None
    """None if the bytes are no transaction."""
    status: Status
    """`refused`: no room now; the same bytes may be sent again after `retry_after` seconds."""
    code: int | None = None
    """Result code of the ledger, if that is why it was rejected."""
    detail: str = ""
    retry_after: int | None = None


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a transaction left the pool without a block."""

    state: Literal["expired", "rejected"]
    code: int | None
    detail: str


_REPLAY_CODES: Final = (ResultCode.SEQUENCE_USED, ResultCode.SEQUENCE_TOO_OLD, ResultCode.EXPIRED)


def _rejected(id: bytes | None, code: ResultCode, detail: str) -> Submission:
    return Submission(id=id, status="rejected", code=int(code), detail=detail)


class Mempool:
    """The pool of one node. Not thread-safe; used from the event loop only."""

    def __init__(
        self, limits: MempoolLimits, verifier: TransactionVerifier, admit: Admit, find_committed: FindCommitted
    ) -> None:
        self.limits = limits
        self._verifier = verifier
        self._admit = admit
        self.on_departed: Callable[[bytes], None] = lambda id: None
        """Told the id of each transaction that leaves without a block."""
        self._find_committed = find_committed
        # In order of arrival. Not dicts: these are emptied from the front, which makes a dict slow to iterate.
        self._pool: OrderedDict[bytes, Pending] = OrderedDict()
        self._slots: dict[tuple[bytes, int], bytes] = {}  # (sender, sequence) -> id
        self._used: dict[bytes, tuple[int, int]] = {}  # sender -> (transactions, bytes)
        self._expiry: list[tuple[int, int, bytes]] = []  # heap of (valid_until_ms, arrival, id); may hold departed ids
        self._departed: OrderedDict[bytes, Departure] = OrderedDict()
        self._early: dict[bytes, dict[bytes, bytes]] = {}  # sender -> raw -> id, in order of arrival
        self._early_count = 0
        self._arrivals = 0
        self.size_bytes = 0
        self.client_limit: int | None = None
        """While so many wait, clients are refused; see backlog.py."""
        self.on_the_way: Callable[[], int] = lambda: 0
        """How many that peers have told wait to be taken in."""
        self.departures = 0
        """Transactions that left without a block, since the start."""
        self.refused = 0
        """Transactions turned away for lack of room, since the start."""

    def __len__(self) -> int:
        return len(self._pool)

    def __contains__(self, id: bytes) -> bool:
        return id in self._pool

    def get(self, id: bytes) -> Pending | None:
        return self._pool.get(id)

    def raws(self, ids: Iterable[bytes]) -> list[bytes | None]:
        """The bytes of those that wait here, in order."""
        return [None if pending is None else pending.raw for pending in map(self._pool.get, ids)]

    def early(self) -> Iterator[tuple[bytes, bytes]]:
        """What peers told too early and was put aside, with its ids; rightly signed."""
        return ((id, raw) for waiting in self._early.values() for raw, id in waiting.items())

    def is_taken(self, sender: bytes, sequence: int) -> bool:
        """Does a waiting transaction of this sender have this sequence?"""
        return (sender, sequence) in self._slots

    def departure(self, id: bytes) -> Departure | None:
        """Why a transaction left without a block; the last 65,536 are remembered."""
        return self._departed.get(id)

    def fullness_bps(self) -> int:
        """How full the pool is, of 10,000; the tighter of its two bounds counts."""
        return max(
            len(self._pool) * _BPS // self.limits.max_transactions, self.size_bytes * _BPS // self.limits.max_bytes
        )

    def refuse_all(self, count: int) -> bool:
        """Would the pool refuse every client now? Then so many more were turned away."""
        limit = self.client_limit
        if limit is None or len(self._pool) + self.on_the_way() < limit + limit // _RESERVE:
            return False
        self.refused += count
        return True

    def _is_closed_to(self, count: int, waiting: int) -> bool:
        """Is it closed to a client that has `count` of all that are `waiting`? From the limit on it is; from half of it
        on for whoever has its share; only above the reserve for whoever has nothing here: nobody shuts others out."""
        limit = self.client_limit
        if limit is None:
            return False
        waiting += self.on_the_way()
        if not count:
            return waiting >= limit + limit // _RESERVE
        return waiting >= limit or (2 * waiting >= limit and (count + 1) * _BPS > limit * self.limits.sender_share_bps)

    def share_used_bps(self, sender: bytes) -> int:
        """How much of its own share a sender uses, of 10,000."""
        count, size = self._used.get(sender, (0, 0))
        share = self.limits.sender_share_bps
        return max(
            count * _BPS * _BPS // (self.limits.max_transactions * share),
            size * _BPS * _BPS // (self.limits.max_bytes * share),
        )

    # Taking in

    def add(
        self, raws: Sequence[bytes], chain_ms: int, steady_ms: int, *, from_peer: bool = False
    ) -> tuple[list[Submission], list[Pending]]:
        """Take in transactions in order. Answers one submission for each, and those that are new here.

        `from_peer`: another node found them admissible. Its tip may be ahead of this one's, so a sequence that
        is still too high here is put aside until a block moves that sender on.
        """
        arrivals = [self._read(raw, chain_ms) for raw in raws]
        if len(arrivals) > 1:
            chosen = self._worth_checking(arrivals, from_peer)
            verdicts = self._verifier.check_many([(item.raw, item.transaction) for item in chosen if item.transaction])
            for arrival, is_valid in zip(chosen, verdicts, strict=True):
                arrival.is_valid = is_valid
        submissions: list[Submission] = []
        added: list[Pending] = []
        for arrival in arrivals:
            submission, pending = self._add(arrival, steady_ms, from_peer)
            submissions.append(submission)
            if pending is not None:
                added.append(pending)
        return submissions, added

    def to_check(self, raws: Sequence[bytes], chain_ms: int, *, from_peer: bool) -> list[tuple[bytes, Transaction]]:
        """Those whose signatures `add` would check if it were asked now and all of them were valid."""
        arrivals = [self._read(raw, chain_ms) for raw in raws]
        chosen = self._worth_checking(arrivals, from_peer)
        return [(item.raw, item.transaction) for item in chosen if item.transaction]

    def _read(self, raw: bytes, chain_ms: int) -> Arrival:
        try:
            transaction = self._verifier.decode(raw)
        except Malformed as error:
            return Arrival(raw, fault=str(error))
        if transaction.id in self._pool or (transaction.sender, transaction.sequence) in self._slots:
            return Arrival(raw, transaction)
        return Arrival(raw, transaction, code=self._admit(transaction, chain_ms))

    def _worth_checking(self, arrivals: Sequence[Arrival], from_peer: bool) -> list[Arrival]:
        """Those whose signatures `_add` would check if all of them were valid. Where some are not, it may come to
        others that were left out here, and checks those itself."""
        chosen: list[Arrival] = []
        ids: set[bytes] = set()
        slots: set[tuple[bytes, int]] = set()
        ahead = Ahead()
        for arrival in arrivals:
            transaction = arrival.transaction
            if transaction is None or arrival.code is None:
                continue
            slot = (transaction.sender, transaction.sequence)
            if transaction.id in ids or slot in slots:
                continue
            if arrival.code is ResultCode.OK:
                size = len(arrival.raw)
                if self._shortage(transaction.sender, size, from_peer, ahead) is not None:
                    continue
                ahead.add(transaction.sender, size + TRANSACTION_OVERHEAD_BYTES)
                ids.add(transaction.id)
                slots.add(slot)
            elif not (from_peer and arrival.code is ResultCode.SEQUENCE_TOO_HIGH):
                continue
            chosen.append(arrival)
        return chosen

    def _is_signed(self, arrival: Arrival, transaction: Transaction) -> bool:
        if arrival.is_valid is None:
            arrival.is_valid = self._verifier.check(arrival.raw, transaction)
        return arrival.is_valid

    def _add(self, arrival: Arrival, steady_ms: int, from_peer: bool) -> tuple[Submission, Pending | None]:
        raw, transaction, code = arrival.raw, arrival.transaction, arrival.code
        if transaction is None:
            return _rejected(None, ResultCode.MALFORMED, arrival.fault), None
        id = transaction.id
        if id in self._pool:
            # Same content; a copy with a broken signature learns no more than that it waits already.
            return Submission(id=id, status="pending"), None
        slot = (transaction.sender, transaction.sequence)
        if slot in self._slots or code is None:
            detail = f"another waiting transaction of this sender has sequence {transaction.sequence}"
            return _rejected(id, ResultCode.SEQUENCE_USED, detail), None
        if code is not ResultCode.OK:
            if from_peer and code is ResultCode.SEQUENCE_TOO_HIGH:
                if not self._is_signed(arrival, transaction):
                    return _rejected(id, ResultCode.BAD_SIGNATURE, describe(ResultCode.BAD_SIGNATURE)), None
                self._put_aside(transaction, raw)
            # A transaction that is on the chain fails as a replay: say so instead.
            if code in _REPLAY_CODES and self._find_committed(id) is not None:
                return Submission(id=id, status="committed"), None
            return _rejected(id, code, describe(code)), None
        shortage = self._shortage(transaction.sender, len(raw), from_peer)
        if shortage is not None:
            self.refused += 1
            return Submission(id=id, status="refused", detail=shortage, retry_after=1), None
        if not self._is_signed(arrival, transaction):
            return _rejected(id, ResultCode.BAD_SIGNATURE, describe(ResultCode.BAD_SIGNATURE)), None
        self._arrivals += 1
        pending = Pending(id=id, raw=raw, transaction=transaction, arrival=self._arrivals, arrived_ms=steady_ms)
        self._insert(pending, slot)
        return Submission(id=id, status="pending"), pending

    def _put_aside(self, transaction: Transaction, raw: bytes) -> None:
        if self._early_count < EARLY_MAX and len(raw) <= EARLY_BYTES:
            waiting = self._early.setdefault(transaction.sender, {})
            self._early_count += raw not in waiting
            waiting[raw] = transaction.id

    def retry_early(self, senders: Iterable[bytes], chain_ms: int, steady_ms: int) -> int:
        """Take in again what came too early from these senders; answers how many are in the pool now."""
        raws = [raw for sender in senders for raw in self._early.pop(sender, ())]
        self._early_count -= len(raws)
        return len(self.add(raws, chain_ms, steady_ms, from_peer=True)[1]) if raws else 0

    @property
    def has_early(self) -> bool:
        return bool(self._early)

    def _shortage(self, sender: bytes, size: int, from_peer: bool, ahead: Ahead | None = None) -> str | None:
        """Why there is no room for `size` bytes of this sender behind what is `ahead`, or None if there is."""
        limits = self.limits
        cost = size + TRANSACTION_OVERHEAD_BYTES
        count_ahead, bytes_ahead = (ahead.count, ahead.bytes) if ahead else (0, 0)
        waiting = len(self._pool) + count_ahead
        is_full = waiting >= limits.max_transactions
        if is_full or self.size_bytes + bytes_ahead + cost > limits.max_bytes:
            return "the pool is full; send it again later"
        count, used = self._used.get(sender, (0, 0))
        if ahead:
            own = ahead.of.get(sender, (0, 0))
            count, used = count + own[0], used + own[1]
        if not from_peer and self._is_closed_to(count, waiting):
            return "more waits already than the next blocks take; send it again later"
        share = limits.sender_share_bps
        # A sender that has nothing here gets one transaction in, however small its share.
        if count and (
            (count + 1) * _BPS > limits.max_transactions * share or (used + cost) * _BPS > limits.max_bytes * share
        ):
            return "this sender's share of the pool is full; send it again later"
        return None

    def _insert(self, pending: Pending, slot: tuple[bytes, int]) -> None:
        cost = pending.size + TRANSACTION_OVERHEAD_BYTES
        count, size = self._used.get(pending.sender, (0, 0))
        self._used[pending.sender] = (count + 1, size + cost)
        self._pool[pending.id] = pending
        self._slots[slot] = pending.id
        self.size_bytes += cost
        self._departed.pop(pending.id, None)
        heapq.heappush(self._expiry, (pending.transaction.valid_until_ms, pending.arrival, pending.id))
        if len(self._expiry) > 2 * len(self._pool) + 1_024:
            self._expiry = [(p.transaction.valid_until_ms, p.arrival, p.id) for p in self._pool.values()]
            heapq.heapify(self._expiry)

    # Giving out

    def candidates(self, exclude: Collection[bytes], block_ms: int, max_count: int, max_bytes: int) -> list[Pending]:
        """The oldest transactions for a block at `block_ms`, without those in `exclude` (blocks in flight).

        Ends before the first that would pass `max_bytes`, so order of arrival holds for everybody.
        """
        chosen: list[Pending] = []
        size = 0
        for pending in self._pool.values():
            if pending.id in exclude or pending.transaction.valid_until_ms <= block_ms:
                continue
            size += pending.size
            if chosen and (size > max_bytes or len(chosen) >= max_count):
                break
            chosen.append(pending)
        return chosen

    def oldest(self, count: int) -> list[Pending]:
        """Up to `count` transactions in order of arrival."""
        found: list[Pending] = []
        for pending in self._pool.values():
            if len(found) >= count:
                break
            found.append(pending)
        return found

    # Letting go

    def committed(self, ids: Sequence[bytes], raws: Sequence[bytes], block_ms: int) -> int:
        """A block is final: its transactions leave, and with them what their sequences rule out, and what has
        expired at `block_ms`. Answers the latest arrival among those that waited here (0: none did)."""
        latest = 0
        for id, raw in zip(ids, raws, strict=True):
            pending = self._remove(id)
            if pending is not None:
                latest = max(latest, pending.arrival)
                continue
            transaction = self._verifier.decode(raw)
            rival = self._slots.get((transaction.sender, transaction.sequence))
            if rival is not None:
                detail = f"another transaction with sequence {transaction.sequence} of this sender was committed"
                self.reject(rival, int(ResultCode.SEQUENCE_USED), detail)
        self.expire(block_ms)
        return latest

    def expire(self, chain_ms: int, in_flight: Collection[bytes] = ()) -> int:
        """Drop what no block after `chain_ms` may hold any more; answers how many.

        `in_flight`: in blocks that are not final yet. Their times may lie before `chain_ms`, so these stay.
        """
        dropped = 0
        kept: list[tuple[int, int, bytes]] = []
        while self._expiry and self._expiry[0][0] <= chain_ms:
            _, arrival, id = entry = heapq.heappop(self._expiry)
            pending = self._pool.get(id)
            if pending is not None and pending.arrival == arrival:
                if id in in_flight:
                    kept.append(entry)
                    continue
                self._remove(id)
                self._depart(id, Departure(state="expired", code=None, detail="it was not in a block in time"))
                dropped += 1
        for entry in kept:
            heapq.heappush(self._expiry, entry)
        return dropped

    def reject(self, id: bytes, code: int | None, detail: str) -> None:
        """Drop a transaction that can no longer enter a block, and remember why."""
        if self._remove(id) is not None:
            self._depart(id, Departure(state="rejected", code=code, detail=detail))

    def admissible(self, pending: Pending, chain_ms: int) -> bool:
        """Could this transaction enter a block now? If the ledger has ruled it out for good, it is dropped."""
        code = self._admit(pending.transaction, chain_ms)
        if code not in (ResultCode.OK, ResultCode.SEQUENCE_TOO_HIGH):
            self.reject(pending.id, int(code), describe(code))
        return code is ResultCode.OK

    def _remove(self, id: bytes) -> Pending | None:
        pending = self._pool.pop(id, None)
        if pending is None:
            return None
        cost = pending.size + TRANSACTION_OVERHEAD_BYTES
        self.size_bytes -= cost
        del self._slots[(pending.sender, pending.transaction.sequence)]
        count, size = self._used[pending.sender]
        if count == 1:
            del self._used[pending.sender]
        else:
            self._used[pending.sender] = (count - 1, size - cost)
        return pending

    def _depart(self, id: bytes, departure: Departure) -> None:
        self._departed.pop(id, None)
        self._departed[id] = departure
        self.departures += 1
        if len(self._departed) > FATES_REMEMBERED:
            self._departed.popitem(last=False)
        self.on_departed(id)
