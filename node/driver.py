"""The loop: inbox -> replica -> effects, carried out in order. The only caller of `Replica.handle`.

One step takes what has come in, asks the core, and then: one synced write for everything the core promised, with
what it found final before; only then the messages leave; then the state follows. Blocks are built and executed
at once, their results go back to the core within the same step. Everything runs in one task, so nothing
interleaves with a step; between steps the event loop gets its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final

import msgspec

from consensus.block import Block
from consensus.effects import (
    Behind,
    Broadcast,
    Build,
    CancelTimer,
    Commit,
    Effect,
    Execute,
    Forget,
    Misbehaviour,
    Persist,
    PersistBlock,
    ReportEvidence,
    Send,
    SetTimer,
    ViewChangeStarted,
    ViewEntered,
    VotingChanged,
)
from consensus.events import (
    BlockBuilt,
    BlockExecuted,
    Event,
    PeerConnected,
    PrimarySuspected,
    Received,
    TimerFired,
    WorkChanged,
)
from consensus.journal import PARTICIPATION
from consensus.messages import Message, Proposal
from consensus.replica import Replica
from consensus.types import Digest, PublicKey, ReplicaId, Signature, View
from node.block_rules import InvalidBlock
from node.driver_ports import Observer, Outgoing
from node.executor import Executor
from node.inbox import Inbox
from node.link import steady_ms
from node.mempool import Mempool, Pending
from node.settling import Settling
from node.store import BlockStore
from node.timers import Timers

log = logging.getLogger("weal.driver")

_EVENTS_PER_STEP: Final = 512
_STEP_MS: Final = 20
"""A step ends after this long even if there is more, so that the event loop gets its turn."""
_SYNCED_PER_STEP: Final = 16
_SYNCED_TRANSACTIONS_PER_STEP: Final = 200
"""Blocks of sync in one step: enough to share its synced write, few enough that executing them is short."""
_FIRST_OF_VIEW: Final = 32
"""Most transactions of a block while none of its view is final."""
_GATHER_FROM: Final = 32
_GATHER_UP_TO: Final = 100
_GATHER_MS: Final = 30
"""After a block of at least so many transactions the next one waits for up to so many, at most so long."""
_CHECKED_AGAIN: Final = 64
_VOTES_AHEAD: Final = 8
_FEWEST_VOTES: Final = 3
"""Votes that wait at the beginning of a step are checked together: of each peer so many, from so many in all."""
_BATCH_STEP: Final = 250
"""While blocks are in flight, another is begun only for so many transactions for each of them: under load
blocks grow instead of multiplying, which a node pays for some 2 ms each, and an idle chain loses nothing."""


class DriverSettings(msgspec.Struct, frozen=True, kw_only=True):
    block_transactions: int = 500
    block_bytes: int = 1_048_576


class Driver:
    """Runs one replica. `run` returns only when cancelled, and raises what must stop the node."""

    def __init__(
        self,
        *,
        replica: Replica,
        executor: Executor,
        blocks: BlockStore,
        mempool: Mempool,
        next_deadline_ms: Callable[[], int | None],
        chain_now_ms: Callable[[], int],
        real_ms_until: Callable[[int], int],
        outgoing: Outgoing,
        observer: Observer,
        settings: DriverSettings,
        check_votes: Callable[[Sequence[tuple[PublicKey, Signature, bytes]]], None] | None = None,
    ) -> None:
        """`check_votes`: told of signatures that the core is about to ask for, where several at once are cheaper.
        `next_deadline_ms`: of the committed state, chain time. `real_ms_until`: from now to a chain time."""
        self.replica = replica
        self._executor = executor
        self._blocks = blocks
        self._mempool = mempool
        self._next_deadline_ms = next_deadline_ms
        self._chain_now_ms = chain_now_ms
        self._real_ms_until = real_ms_until
        self._outgoing = outgoing
        self._observer = observer
        self._settings = settings
        self._check_votes = check_votes
        self.inbox = Inbox()
        self._timers = Timers(self.inbox.post)
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._settling = Settling(self.inbox.filled.set)
        self._gather_timer: asyncio.TimerHandle | None = None
        self._committed_view: View | None = None
        """View of the last final block."""
        self._built_ms = self._built_count = 0
        """When a block was built last, and of how many transactions."""
        self._deadline_ms: int | None = None
        # Of the step under way
        self._persists: list[Persist | PersistBlock] = []
        self._commits: list[Commit] = []
        self._forgets: list[Forget] = []
        self._sends: list[tuple[ReplicaId | None, Message]] = []
        self._is_state_behind = False
        """Among the commits is a block that was not executed before it was final."""
        self._is_work_new = True
        """Something has changed that may be work; the core is told at the end of the step."""
        self._told_pending = False
        self._seen_ms: dict[Digest, tuple[int, int]] = {}  # block in flight -> (height, when first seen)
        self._flying: dict[Digest, tuple[int, frozenset[bytes]]] = {}
        self.counters: Counter[str] = Counter()
        self.synced_write_ns = 0
        """Spent in the synced writes that `counters` counts."""

    # Coming in

    def work_arrived(self) -> None:
        """The pool has new transactions."""
        self._is_work_new = True
        self.inbox.filled.set()

    def peer_connected(self, replica: ReplicaId) -> None:
        self.inbox.post(PeerConnected(replica=replica))

    def suspect(self, view: View, reason: str) -> None:
        """The primary of `view` censors."""
        self.inbox.post(PrimarySuspected(view=view, reason=reason))

    def in_flight(self) -> frozenset[bytes]:
        """Transactions in blocks that are not final yet, as far as this node knows."""
        return frozenset().union(*(ids for _, ids in self._flying.values())) if self._flying else frozenset()

    # The loop

    async def run(self) -> None:
        """Drive the replica for ever. Raises StoreError and InvariantBroken, after which it must not go on."""
        self._watch_deadline()
        self.inbox.filled.set()
        try:
            while True:
                await self.inbox.filled.wait()
                self.inbox.filled.clear()
                while self._has_work():
                    self._step()
                    self.inbox.drained()
                    # The event loop gets its turn. With nothing left, waiting above gives it one anyway.
                    if self._has_work():
                        await asyncio.sleep(0)
        finally:
            self._timers.close()
            self._settling.close()
            for timer in (self._deadline_timer, self._gather_timer):
                if timer is not None:
                    timer.cancel()

    def _has_work(self) -> bool:
        return bool(self.inbox) or self._is_work_new or self._settling.is_due

    def _step(self) -> None:
        """Take in what there is, up to a bound, and carry out what follows."""
        self.counters["steps"] += 1
        if self._check_votes is not None and len(waiting := self.inbox.waiting(_VOTES_AHEAD)) >= _FEWEST_VOTES:
            self._check_votes(self.replica.to_verify(waiting))
        started = steady_ms()
        taken = synced = transactions = 0
        while taken < _EVENTS_PER_STEP and steady_ms() - started < _STEP_MS:
            event = self.inbox.take()
            if event is None:
                if synced >= _SYNCED_PER_STEP or transactions >= _SYNCED_TRANSACTIONS_PER_STEP:
                    break
                event = self.inbox.take_synced()
                if event is None:
                    break
                synced += 1
                transactions += len(event.block.transactions)
            elif isinstance(event, Received):
                self._note_seen(event.message)
            elif isinstance(event, TimerFired) and self._timers.is_void(event):
                continue
            self._handle(event)
            taken += 1
        self._tell_work()
        self._finish()
        if self._is_work_new:
            # Commits of this step may have left or freed work; the core has to know before the loop sleeps.
            self._tell_work()
            self._finish()
        if self._settling.is_due:
            self._settling.settled()
            self._blocks.settle()

    def _tell_work(self) -> None:
        if not self._is_work_new:
            return
        self._is_work_new = False
        is_due = self._deadline_ms is not None and self._deadline_ms <= self._chain_now_ms()
        pending = is_due or len(self._mempool) > 0
        if pending or self._told_pending:
            self._told_pending = pending
            self._handle(WorkChanged(pending=pending))

    def _handle(self, event: Event) -> None:
        """One event and all that follows from it at once; what leaves the machine is only collected."""
        waiting: deque[Event] = deque((event,))
        while waiting:
            effects = self.replica.handle(waiting.popleft(), self._chain_now_ms())
            for effect in effects:
                answer = self._perform(effect)
                if answer is not None:
                    waiting.append(answer)

    def _perform(self, effect: Effect) -> Event | None:
        match effect:
            case Persist() | PersistBlock():
                self._persists.append(effect)
            case Broadcast(message=message):
                self._sends.append((None, message))
            case Send(to=to, message=message):
                self._sends.append((to, message))
            case SetTimer(timer=timer, delay_ms=delay_ms):
                self._timers.set(timer, delay_ms)
            case CancelTimer(timer=timer):
                self._timers.cancel(timer)
            case Build() | Execute():
                if self._is_state_behind:
                    # Synced blocks wait to be executed, and this one may stand on their state.
                    self._finish()
                return self._build(effect) if isinstance(effect, Build) else self._execute(effect.block)
            case Commit():
                self._commits.append(effect)
                if effect.block.digest not in self._flying:
                    self._is_state_behind = True
            case Forget():
                self._forgets.append(effect)
            case Misbehaviour(sender=sender, reason=reason):
                self._outgoing.misbehaved(sender, reason)
            case _:
                self._tell(effect)
        return None

    def _tell(self, effect: Effect) -> None:
        """Effects that only tell the node something."""
        match effect:
            case Behind(height=height):
                self._observer.fell_behind(height)
            case ViewEntered(view=view, primary=primary, reason=reason):
                # Blocks of the view before may be gone: their transactions are work again.
                self._is_work_new = True
                self._observer.view_entered(view, primary, reason)
            case ViewChangeStarted(view=view, reason=reason):
                self._observer.view_change_started(view, reason)
            case VotingChanged(voting=voting, reason=reason):
                self._is_work_new = True
                self._observer.voting_changed(voting, reason)
            case ReportEvidence(evidence=evidence):
                self._observer.evidence_found(evidence)

    # Blocks

    def _build(self, request: Build) -> BlockBuilt:
        try:
            block = self._new_block(request)
        except InvalidBlock as error:
            # The parent has not been executed here, or no longer can be: somebody else has to propose.
            log.error("cannot build on block %d: %s", request.parent.height, error, extra={"height": request.height})
            block = None
        if block is None:
            # The core takes this as "no work" until it is told otherwise.
            self._told_pending = False
        else:
            self._fly(block)
        return BlockBuilt(view=request.view, height=request.height, block=block)

    def _new_block(self, request: Build) -> Block | None:
        """A block for everything that is ready, or None if it is not enough. Raises InvalidBlock."""
        parent, settings = request.parent, self._settings
        block_ms = max(parent.time_ms + 1, self._chain_now_ms())
        exclude = self._executor.in_flight(parent)
        # A new primary shows first that it works: what gathered while there was none would make a slow block.
        limit = settings.block_transactions if request.view == self._committed_view else _FIRST_OF_VIEW
        candidates = self._mempool.candidates(exclude, block_ms, limit, settings.block_bytes)
        is_due = self._deadline_ms is not None and self._deadline_ms <= block_ms
        in_flight = request.height - 1 - self.replica.tip.height
        block = None
        # Full, in number or in bytes: nothing would come of waiting for more.
        is_full = len(candidates) >= limit or len(candidates) + len(exclude) < len(self._mempool)
        is_enough = len(candidates) >= max(1, in_flight * _BATCH_STEP) and not self._gathers(len(candidates))
        tried = is_due or (is_full and len(candidates) > 0) or is_enough
        if tried:
            self._built_ms, self._built_count = steady_ms(), len(candidates)
            block = self._executor.build(parent, candidates, block_ms, limit)
        if tried and (block is None or len(block.transactions) < len(candidates)):
            self._drop_inadmissible(candidates, block)
        return block

    def _gathers(self, count: int) -> bool:
        """Under load, wait some milliseconds for more transactions rather than pay for many small blocks."""
        left_ms = self._built_ms + _GATHER_MS - steady_ms()
        if self._built_count < _GATHER_FROM or count >= _GATHER_UP_TO or left_ms <= 0:
            return False
        if self._gather_timer is None:
            self._gather_timer = asyncio.get_running_loop().call_later(left_ms / 1000, self._gathered)
        return True

    def _gathered(self) -> None:
        self._gather_timer = None
        self.work_arrived()

    def _drop_inadmissible(self, candidates: list[Pending], block: Block | None) -> None:
        """Some candidates stayed out: for lack of room, or because the ledger has ruled them out meanwhile."""
        chosen = set() if block is None else set(block.transactions)
        now_ms = self._chain_now_ms()
        for pending in candidates[:_CHECKED_AGAIN]:
            if pending.raw not in chosen:
                self._mempool.admissible(pending, now_ms)

    def _execute(self, block: Block) -> BlockExecuted:
        fault = None
        try:
            self._executor.execute(block)
            self._fly(block)
        except InvalidBlock as error:
            fault = str(error)
            self.counters["invalid blocks"] += 1
            log.warning("block refused: %s", fault, extra={"height": block.height, "digest": block.digest.hex()[:16]})
        return BlockExecuted(digest=block.digest, fault=fault)

    def _fly(self, block: Block) -> None:
        self._seen_ms.setdefault(block.digest, (block.height, steady_ms()))
        ids = frozenset(self._executor.ids(block.digest))
        self._flying[block.digest] = (block.height, ids)

    def _note_seen(self, message: Message) -> None:
        # Within reach of the chain, so that it passes them: others would fill this for ever.
        is_near = isinstance(message, Proposal) and 0 < message.block.height - self.replica.tip.height <= 1_024
        if isinstance(message, Proposal) and is_near and len(self._seen_ms) < 1_024:
            self._seen_ms.setdefault(message.block.digest, (message.block.height, steady_ms()))

    # Making it so

    def _finish(self) -> None:
        """Durable first, visible second, state last."""
        commits, self._commits = self._commits, []
        persists, self._persists = self._persists, []
        sends, self._sends = self._sends, []
        forgets, self._forgets = self._forgets, []
        self._is_state_behind = False
        if persists or commits:
            began_ns = perf_counter_ns()
            if self._blocks.write(persists, [(commit.block, commit.certificate) for commit in commits]):
                self.counters["synced writes"] += 1
                self.synced_write_ns += perf_counter_ns() - began_ns
                self._settling.settled()
            else:
                self._settling.waits()
            if any(isinstance(persist, Persist) and persist.key == PARTICIPATION for persist in persists):
                self._observer.may_speak()
        for to, message in sends:
            if to is None:
                self._outgoing.broadcast(message)
            else:
                self._outgoing.send(to, message)
        for commit in commits:
            self._commit(commit)
        if forgets:
            self._blocks.forget([key for effect in forgets for key in effect.keys])

    def _commit(self, commit: Commit) -> None:
        committed = self._executor.commit(commit.block, commit.certificate)
        header = commit.block.header
        seen = self._seen_ms.get(commit.block.digest)
        latest = self._mempool.committed(committed.transactions, commit.block.transactions, header.time_ms)
        self._seen_ms = {d: seen for d, seen in self._seen_ms.items() if seen[0] > header.height}
        self._flying = {d: flying for d, flying in self._flying.items() if flying[0] > header.height}
        self._is_work_new = True
        self._committed_view = commit.certificate.view
        self._watch_deadline()
        took_ms = None if seen is None else steady_ms() - seen[1]
        self._observer.block_committed(committed, took_ms, latest)

    # Time

    def _watch_deadline(self) -> None:
        """Wake up when the next deadline of the committed state is due: that is work, without any operator."""
        deadline_ms = self._next_deadline_ms()
        if self._deadline_timer is not None:
            if deadline_ms == self._deadline_ms:
                return
            self._deadline_timer.cancel()
            self._deadline_timer = None
        self._deadline_ms = deadline_ms
        if self._deadline_ms is None:
            return
        if self._deadline_ms <= self._chain_now_ms():
            self.work_arrived()
        else:
            # At most an hour: the wall clock may be set meanwhile.
            delay_ms = min(max(0, self._real_ms_until(self._deadline_ms)) + 1, 3_600_000)
            loop = asyncio.get_running_loop()
            self._deadline_timer = loop.call_later(delay_ms / 1000, self._deadline_came)

    def _deadline_came(self) -> None:
        self._deadline_timer = None
        self._watch_deadline()
