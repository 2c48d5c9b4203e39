"""Making values together: this node asks the others for its clients, and answers the others.

A client's request travels to the other holders with the organisation's signature on it. Each of them checks
that, counts it against the organisation, and answers with its part and a proof. The asking node checks every
proof; one that lies, is slow, declines or is away is left out and the next holder is asked. So values are made
while as many holders as the threshold can be reached, which is while the ledger moves.

All of it is the least urgent thing a node does: requests wait in a queue of their own, bounded for each peer,
and the event loop is given back every few multiplications.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec

from consensus.codec import decode, encode
from consensus.errors import ChainError
from consensus.types import ReplicaId
from node.claims.consortium import load_sender
from node.claims.nullifiers.records import load_key_epoch, load_key_state
from node.claims.registry import Registry
from node.claims.state import ReadState
from node.crypto import verify
from node.duplicates.key import OwnKey, own_key, read_epoch
from node.duplicates.messages import (
    MAX_MESSAGE_BYTES,
    Declined,
    DuplicatesMessage,
    Evaluate,
    Partial,
    Reason,
    signed_bytes,
)
from node.duplicates.quota import Quota
from node.oprf.ceremony import secret_of
from node.oprf.group import NotInGroup, is_element, multiply
from node.oprf.values import combine, is_honest, prove_partial

log = logging.getLogger("weal.duplicates")

MAX_AGE_MS: Final = 120_000
"""A request is taken this long before and after its time: no longer is it remembered, so no longer is it free."""
_WAITING: Final = 8
"""Requests of one peer that may wait; more are declined."""
_OWN_WAITING: Final = 64
"""Requests of clients that may be under way."""
_REMEMBERED: Final = 4_096
_REPEATS: Final = 8
"""Times one request is answered: enough for retries by way of every node, too few to keep a holder busy."""
_KEYS: Final = 4


class NoValues(ChainError):
    """The values cannot be made now. `reason` is what is wrong with the request itself, if that is it."""

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Peers(Protocol):
    """What is needed of the transport."""

    def connected(self) -> Sequence[ReplicaId]: ...
    def send(self, replica: ReplicaId, payload: bytes) -> bool: ...


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a client gets: results under the joint key, and who took part."""

    epoch: int
    results: tuple[bytes, ...]
    holders: tuple[str, ...]


class _Open(msgspec.Struct, kw_only=True):
    """A request of this node's own to one peer."""

    replica: ReplicaId
    answer: asyncio.Future[Partial | Declined]


class DuplicatesService:
    """One node's part. Used from the event loop only; `run` answers peers until cancelled."""

    def __init__(
        self,
        *,
        registry: Registry,
        state: Callable[[], ReadState],
        names: Sequence[str],
        own: ReplicaId,
        seed: bytes,
        quota: Quota,
        peers: Peers,
        now_ms: Callable[[], int],
        timeout_ms: int,
    ) -> None:
        """`names`: the organisations of the replicas, in order. `seed` of the node key opens this node's share."""
        self._registry, self._state, self._names, self._own = registry, state, names, own
        self._secret = secret_of(seed)
        self.quota = quota
        self._peers, self._now_ms, self._timeout_s = peers, now_ms, timeout_ms / 1000
        self._keys: OrderedDict[tuple[int, int], OwnKey] = OrderedDict()
        """By epoch and number of dealings."""
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        """Requests that were counted, and how often they came."""
        self._numbers = 0
        self._open: dict[int, _Open] = {}
        self._under_way = 0
        self._queues: dict[ReplicaId, deque[Evaluate]] = {}
        self._turns: deque[ReplicaId] = deque()
        self._wake = asyncio.Event()
        self.made = 0
        """Values made for this node's clients."""
        self.answered = 0
        """Parts of values made for other nodes."""
        self.liars: Counter[str] = Counter()
        """Answers whose proof did not hold, by organisation."""

    # The key

    def key(self) -> OwnKey | None:
        """The active key with this node's share; None if there is no active epoch."""
        return self.key_of(load_key_state(self._state()).active)

    def key_of(self, epoch: int) -> OwnKey | None:
        """The key of an epoch, which may still be in the making, with this node's share."""
        record = load_key_epoch(self._state(), epoch)
        chain = None
        if record is not None and (epoch, len(record.dealers)) not in self._keys:
            chain = read_epoch(self._registry, self._state(), epoch)
        if chain is not None and record is not None:
            # Checked once for each dealing that comes; about 10 ms for four holders.
            organisation = self._registry.number_of[self._names[self._own]]
            key = own_key(chain, organisation, self._secret, secrets.token_bytes)
            if key.accusations:
                names = ", ".join(self._registry.names[bad.accused] for bad in key.accusations)
                log.error("no share of a key: it was dealt badly", extra={"by": names, "epoch": epoch})
            self._keys[epoch, len(record.dealers)] = key
            while len(self._keys) > _KEYS:
                self._keys.popitem(last=False)
        return None if record is None else self._keys.get((epoch, len(record.dealers)))

    # Requests of any kind

    def _organisation(self, request: Evaluate) -> str | None:
        """Whose request it is, if the signature is that of an organisation's account."""
        record = load_sender(self._state(), request.sender)
        if record is None or record.member:
            return None
        signed = signed_bytes(self._registry.digest, request.epoch, request.issued_ms, request.elements)
        return self._registry.names[record.organisation] if verify(request.sender, request.signature, signed) else None

    def _problem(self, request: Evaluate, key: OwnKey | None) -> Reason | None:
        """Why not to take part in this request; counts it if there is no reason not to."""
        if key is None or key.epoch != request.epoch or key.public is None:
            return Reason.NO_SHARE
        if abs(self._now_ms() - request.issued_ms) > MAX_AGE_MS:
            return Reason.NOT_NOW
        organisation = self._organisation(request)
        if organisation is None:
            return Reason.NOT_AN_ORGANISATION
        if not all(is_element(element) for element in request.elements):
            return Reason.NO_ELEMENT
        # Who repeats a request learns nothing new, so it costs nothing: nobody can use up another's quota by it.
        digest = sha256(request.signature + encode((request.sender, request.elements))).digest()
        if digest in self._seen:
            self._seen[digest] += 1
            return None if self._seen[digest] <= _REPEATS else Reason.BUSY
        if not self.quota.take(organisation, len(request.elements), self._now_ms()):
            log.warning("quota of values used up", extra={"organisation": organisation, "per_day": self.quota.per_day})
            return Reason.QUOTA
        self._seen[digest] = 1
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return None

    async def _part(self, key: OwnKey, elements: Sequence[bytes]) -> tuple[tuple[bytes, ...], bytes]:
        """This node's part of the values. Gives the event loop back in between."""
        if key.share is None:
            raise NoValues("this node has no share of the key")
        results: list[bytes] = []
        for element in elements:
            results.append(multiply(element, key.share))
            await asyncio.sleep(0)
        proof = prove_partial(self._registry.digest, key.epoch, key.share, elements, results, secrets.token_bytes)
        await asyncio.sleep(0)
        return tuple(results), proof

    # For clients

    async def evaluate(self, request: Evaluate) -> Made:
        """Have all holders make these values. Raises NoValues."""
        if self._under_way >= _OWN_WAITING:
            raise NoValues(_WHY[Reason.BUSY], reason=Reason.BUSY)
        key = self.key()
        problem = self._problem(request, key)
        if problem is not None or key is None or key.public is None:
            raise NoValues(_WHY[problem or Reason.NO_SHARE], reason=problem or Reason.NO_SHARE)
        self._under_way += 1
        try:
            partials = await self._gather(key, request)
            results: list[bytes] = []
            for index in range(len(request.elements)):
                column = {holder: (parts[index],) for holder, parts in partials.items()}
                results += combine(key.public, column)
                await asyncio.sleep(0)
        finally:
            self._under_way -= 1
        self.made += len(results)
        names = tuple(self._registry.names[key.holders[holder - 1]] for holder in sorted(partials))
        return Made(epoch=key.epoch, results=tuple(results), holders=names)

    async def _gather(self, key: OwnKey, request: Evaluate) -> dict[int, Sequence[bytes]]:
        """Checked parts of a threshold of holders, this node's own first."""
        assert key.public is not None
        partials: dict[int, Sequence[bytes]] = {}
        if key.share is not None:
            partials[key.holder] = (await self._part(key, request.elements))[0]
        holders = self._others(key)
        waiting = [replica for replica in self._peers.connected() if replica in holders]
        # Not always the same ones: the work is spread, and so is what can be learned from who is asked.
        secrets.SystemRandom().shuffle(waiting)
        declined: dict[str, str] = {}
        asked: dict[asyncio.Task[Sequence[bytes]], ReplicaId] = {}
        try:
            while len(partials) < key.public.threshold:
                while waiting and len(partials) + len(asked) < key.public.threshold:
                    replica = waiting.pop()
                    asked[asyncio.create_task(self._ask(key, request, replica, holders[replica]))] = replica
                if not asked:
                    missing = key.public.threshold - len(partials)
                    raise NoValues(_missing(missing, declined), reason=_common(declined))
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    replica = asked.pop(task)
                    error = task.exception()
                    if error is None:
                        partials[holders[replica]] = task.result()
                    elif isinstance(error, NoValues):
                        declined[self._names[replica]] = str(error)
                    else:
                        raise error
        finally:
            for task in asked:
                task.cancel()
        return partials

    def _others(self, key: OwnKey) -> dict[ReplicaId, int]:
        """Holder number of each other replica."""
        numbers = {self._registry.names[number]: index for index, number in enumerate(key.holders, start=1)}
        return {
            ReplicaId(replica): numbers[name]
            for replica, name in enumerate(self._names)
            if name in numbers and replica != self._own
        }

    async def _ask(self, key: OwnKey, request: Evaluate, replica: ReplicaId, holder: int) -> Sequence[bytes]:
        """One peer's part, checked. Raises NoValues."""
        assert key.public is not None
        self._numbers += 1
        number = self._numbers
        question = msgspec.structs.replace(request, number=number)
        answer: asyncio.Future[Partial | Declined] = asyncio.get_running_loop().create_future()
        self._open[number] = _Open(replica=replica, answer=answer)
        try:
            if not self._peers.send(replica, encode(question)):
                raise NoValues("not connected, or too much waits to be sent")
            try:
                async with asyncio.timeout(self._timeout_s):
                    part = await answer
            except TimeoutError:
                raise NoValues("no answer in time") from None
        finally:
            del self._open[number]
        if isinstance(part, Declined):
            raise NoValues(part.reason.name, reason=part.reason)
        if not is_honest(key.public, holder, request.elements, part.results, part.proof):
            name = self._names[replica]
            self.liars[name] += 1
            log.error("a holder gave a wrong part of a value", extra={"organisation": name, "epoch": key.epoch})
            raise NoValues("its proof does not hold")
        await asyncio.sleep(0)
        return part.results

    # For peers

    def received(self, replica: ReplicaId, payload: bytes) -> None:
        """A peer's message. Raises DecodeError."""
        message: Any = decode(DuplicatesMessage, payload, MAX_MESSAGE_BYTES)  # type: ignore[arg-type]
        if not isinstance(message, Evaluate):
            waiting = self._open.get(message.number)
            # An answer that comes too late, twice, or from somebody else is nobody's.
            if waiting is not None and waiting.replica == replica and not waiting.answer.done():
                waiting.answer.set_result(message)
            return
        queue = self._queues.setdefault(replica, deque())
        if len(queue) >= _WAITING:
            self._peers.send(replica, encode(Declined(number=message.number, reason=Reason.BUSY)))
            return
        if not queue:
            self._turns.append(replica)
        queue.append(message)
        self._wake.set()

    async def run(self) -> None:
        """Answer peers, in turns, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._turns:
                replica = self._turns[0]
                queue = self._queues[replica]
                answer = await self._answer(queue[0])
                self._peers.send(replica, encode(answer))
                # Gone only now: what comes meanwhile finds this peer in line already.
                queue.popleft()
                self._turns.popleft()
                if queue:
                    self._turns.append(replica)
                await asyncio.sleep(0)

    async def _answer(self, request: Evaluate) -> Partial | Declined:
        key = self.key()
        if key is None or key.share is None:
            return Declined(number=request.number, reason=Reason.NO_SHARE)
        problem = self._problem(request, key)
        if problem is not None:
            return Declined(number=request.number, reason=problem)
        try:
            results, proof = await self._part(key, request.elements)
        except NotInGroup:
            return Declined(number=request.number, reason=Reason.NO_ELEMENT)
        self.answered += len(results)
        return Partial(number=request.number, results=results, proof=proof)


_WHY: Final = {
    Reason.NO_SHARE: "no key of this epoch is active here",
    Reason.NOT_AN_ORGANISATION: "the signature is not that of an organisation's account",
    Reason.NOT_NOW: f"the time of the request is more than {MAX_AGE_MS // 1000} seconds from this node's clock",
    Reason.QUOTA: "the organisation has used up its values of today",
    Reason.BUSY: "too many values are being made",
    Reason.NO_ELEMENT: "an element is no element of the group",
}


def _missing(missing: int, declined: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(declined.items())) or "nobody else is connected"
    return f"{missing} more holders of the key are needed ({reasons})"


def _common(declined: Mapping[str, str]) -> Reason | None:
    """QUOTA if that is why it failed anywhere: then waiting helps, and trying again at once does not."""
    return Reason.QUOTA if Reason.QUOTA.name in declined.values() else None
