"""One simulated node: the production core, and the smallest driver that keeps its contract.

All writes of a step are synced as one before anything of that step is said; a crash may fall between any two
writes and between any two messages (`fuse`).
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from consensus.block import Block, Header
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
    ViewEntered,
    VotingChanged,
)
from consensus.events import (
    BlockBuilt,
    BlockExecuted,
    BlockSynced,
    Event,
    PeerConnected,
    Received,
    Started,
    Timer,
    TimerFired,
    WorkChanged,
)
from consensus.messages import CommitCertificate, Message
from consensus.replica import Replica
from consensus.types import Digest, ReplicaId
from tests.sim.application import GENESIS_TIME_MS, Application, make_block
from tests.sim.checks import Violation
from tests.sim.disk import Disk

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

SYNC_BATCH = 8
SYNC_RETRY_MS = 60


class SyncRequest(msgspec.Struct, frozen=True):
    """Ask for committed blocks from `height` upwards. Block sync lives outside the core."""

    height: int


class SyncReply(msgspec.Struct, frozen=True):
    blocks: tuple[tuple[Block, CommitCertificate], ...]


class _Sync:
    """Marks the point in a step at which its writes become durable."""


SYNC = _Sync()


class Node:
    """An honest node. `index` names the machine, `replica_id` the key: twins share the latter."""

    is_faulty = False

    def __init__(self, cluster: Cluster, index: int, replica_id: ReplicaId, random: Random) -> None:
        self.sim = cluster
        self.index = index
        self.replica_id = replica_id
        self.random = random
        self.disk = Disk()
        self.core: Replica | None = None
        self.app = Application(cluster.genesis, ())
        self.found_good: set[Digest] = set()
        """Every block this node ever executed or built. The checker's memory: crashes do not touch it."""
        self.incarnation = 0
        self.fuse: int | None = None
        self.pool: dict[bytes, None] = {}
        self.clock_error_ms = random.randrange(-20, 21)
        self.override_listening = False
        self._told_work = False
        self._timers: dict[Timer, int] = {}
        self._timer_generation = 0
        self._behind = 0
        self._is_syncing = False
        self._queue: deque[Event] = deque()
        self._is_stepping = False

    def __str__(self) -> str:
        return f"node {self.replica_id}"

    @property
    def is_up(self) -> bool:
        return self.core is not None

    def clock_ms(self) -> int:
        return GENESIS_TIME_MS + self.sim.now + self.clock_error_ms

    # Life

    def boot(self) -> None:
        """Start from what is durable."""
        sim, disk = self.sim, self.disk
        self.incarnation += 1
        self.app = Application(sim.genesis, disk.chain)
        tip, certificate = (disk.chain[-1][0].header, disk.chain[-1][1]) if disk.chain else (sim.genesis, None)
        self._timers = {}
        self._told_work = False
        self._is_syncing = False
        self._behind = 0
        self._queue.clear()
        self.core = sim.make_replica(
            config=sim.config,
            replica=self.replica_id,
            members=sim.members,
            genesis=sim.genesis,
            tip=tip,
            certificate=certificate,
            journal=dict(disk.journal),
            blocks=disk.block,
            sign=sim.scheme.signer(self.replica_id),
            verify=sim.scheme.verify,
            override_listening=self.override_listening,
            is_first_start=self.sim.knows_first_starts and self.incarnation == 1,
        )
        for transaction in list(self.pool):
            if transaction in self.app.committed:
                del self.pool[transaction]
        sim.log(self, "starts at height %d, view %d", tip.height, self.core.view)
        self.step(Started())
        self._tell_work()
        sim.network.connect_all(self)

    def crash(self) -> None:
        """Lose everything that is not durable."""
        if self.core is None:
            return
        self.sim.log(self, "crashes")
        self.core = None
        self.fuse = None
        self._queue.clear()
        self.disk.crash(self.random)
        self.sim.network.drop_all(self)

    def wipe(self) -> None:
        """Lose the disk as well."""
        self.crash()
        self.sim.log(self, "loses its disk")
        self.disk = Disk()
        self.sim.checker.wiped(self.replica_id)

    # What happens to it

    def connected(self, peer: Node) -> None:
        self.step(PeerConnected(replica=peer.replica_id))

    def arrived(self, source: Node, message: Any) -> None:
        if self.core is None:
            return
        if isinstance(message, SyncRequest):
            self._serve(source, message)
        elif isinstance(message, SyncReply):
            for block, certificate in message.blocks:
                self.step(BlockSynced(block=block, certificate=certificate))
            self._is_syncing = False
            self._sync()
        else:
            self.sim.log_message(source, self, message)
            self.step(Received(sender=source.replica_id, message=message))

    def submit(self, transaction: bytes) -> None:
        """A client hands in a transaction."""
        if transaction not in self.app.committed:
            self.pool[transaction] = None
            self._tell_work()

    def _tell_work(self) -> None:
        has_work = bool(self.pool)
        if self.core is not None and has_work != self._told_work:
            self._told_work = has_work
            self.step(WorkChanged(pending=has_work))

    def _fired(self, incarnation: int, timer: Timer, generation: int) -> None:
        if self.incarnation == incarnation and self._timers.get(timer) == generation:
            del self._timers[timer]
            self.sim.log(self, "timer %s", timer.value)
            self.step(TimerFired(timer=timer))

    def _answer(self, incarnation: int, event: Event) -> None:
        if self.incarnation == incarnation:
            self.step(event)

    # One step

    def step(self, event: Event) -> None:
        """Give the core one event and carry out what it wants, strictly in order."""
        if self.core is None:
            return
        self._queue.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._queue and self.core is not None:
                self._handle(self._queue.popleft())
        finally:
            self._is_stepping = False

    def _handle(self, event: Event) -> None:
        assert self.core is not None
        self.sim.events += 1
        effects = self._ask_core(event)
        for effect in self.plan(effects):
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    self.crash()
                    return
            self.perform(effect)
            if self.core is None:
                return
        if not self.is_faulty:
            self.sim.checker.buffers(self.core)

    def _ask_core(self, event: Event) -> list[Effect]:
        assert self.core is not None
        try:
            return self.core.handle(event, self.clock_ms())
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"replica {self.replica_id} broke on {type(event).__name__}: {error!r}") from error

    def plan(self, effects: list[Effect]) -> list[Effect | _Sync]:
        """The order in which a step is carried out: all writes, one sync, then the rest."""
        writes: list[Effect | _Sync] = [e for e in effects if isinstance(e, Persist | PersistBlock)]
        if not writes:
            return list(effects)
        writes.append(SYNC)
        writes.extend(e for e in effects if not isinstance(e, Persist | PersistBlock))
        return writes

    def perform(self, effect: Effect | _Sync) -> None:
        match effect:
            case Broadcast(message=message):
                self.say(None, message)
            case Send(to=to, message=message):
                self.say(to, message)
            case Persist() | PersistBlock() | Forget():
                self.disk.write(effect)
            case _Sync():
                self.disk.sync()
            case SetTimer(timer=timer, delay_ms=delay):
                self._timer_generation += 1
                self._timers[timer] = self._timer_generation
                self.sim.after(delay, self._fired, self.incarnation, timer, self._timer_generation)
            case CancelTimer(timer=timer):
                self._timers.pop(timer, None)
            case Execute(block=block):
                self._execute(block)
            case Build():
                self._build(effect)
            case Commit():
                self._commit(effect)
            case Behind(height=height):
                self._behind = max(self._behind, height)
                self._sync()
            case ViewEntered(view=view, reason=reason):
                self.sim.log(self, "enters view %d: %s", view, reason)
                self.sim.view_entered(self, view)
                # Transactions of dropped blocks are work again.
                self._told_work = False
                self._tell_work()
            case ReportEvidence(evidence=evidence):
                self.sim.log(self, "has evidence against %d", evidence.first.replica)
                if not self.is_faulty:
                    self.sim.checker.evidence(self.replica_id, evidence)
            case Misbehaviour(sender=sender, reason=reason):
                self.sim.log(self, "accuses %d: %s", sender, reason)
                if not self.is_faulty:
                    self.sim.checker.accused(self.replica_id, sender, reason)
            case VotingChanged(voting=voting, reason=reason):
                self.sim.log(self, "votes" if voting else "listens: %s", *(() if voting else (reason,)))
            case _:
                pass

    def say(self, to: int | None, message: Message) -> None:
        """Send to one replica, or to all others. A crash may fall between two of the copies."""
        self.sim.checker.sent(self.replica_id, message, self.found_good)
        self.sim.check_durable(self, message)
        message = self.sim.on_the_wire(message)
        for target in self.sim.endpoints(self, to):
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    self.crash()
                    return
            self.sim.network.send(self, target, message)

    # The application

    def _execute(self, block: Block) -> None:
        fault = self.app.execute(block)
        if fault is None:
            self.found_good.add(block.digest)
        event = BlockExecuted(digest=block.digest, fault=fault)
        self.sim.after(self.sim.work_delay(), self._answer, self.incarnation, event)

    def _build(self, build: Build) -> None:
        self.sim.after(self.sim.work_delay(), self._built, self.incarnation, build)

    def _built(self, incarnation: int, build: Build) -> None:
        if self.incarnation != incarnation or self.core is None:
            return
        block = self.make_block(build.parent)
        if block is None:
            self._told_work = False
        self.step(BlockBuilt(view=build.view, height=build.height, block=block))

    def make_block(self, parent: Header) -> Block | None:
        above = self.app.in_flight(parent.digest)
        if above is None:
            # The parent was committed, or dropped by a view change, while the block was being built.
            return None
        _, taken = above
        chosen = tuple(t for t in self.pool if t not in taken)[: self.sim.block_transactions]
        if not chosen:
            return None
        block = make_block(parent, chosen, self.clock_ms())
        self.app.keep(block)
        self.found_good.add(block.digest)
        self.sim.checker.knows(block.header)
        return block

    def _commit(self, commit: Commit) -> None:
        block = commit.block
        if self.disk.block(block.digest) is None:
            raise Violation(f"replica {self.replica_id} commits a block its disk does not hold")
        self.disk.write(commit)
        self.app.commit(block)
        self.sim.committed(self, block, commit.certificate)
        for transaction in block.transactions:
            self.pool.pop(transaction, None)
        self._tell_work()

    # Block sync

    def _sync(self) -> None:
        if self.core is None or self._is_syncing or self.core.tip.height >= self._behind:
            return
        peers = self.sim.network.peers(self)
        self._is_syncing = True
        if peers:
            peer = peers[self.random.randrange(len(peers))]
            self.sim.network.send(self, peer, SyncRequest(height=self.core.tip.height + 1))
        self.sim.after(SYNC_RETRY_MS, self._retry_sync, self.incarnation)

    def _retry_sync(self, incarnation: int) -> None:
        if self.incarnation == incarnation:
            self._is_syncing = False
            self._sync()

    def _serve(self, source: Node, request: SyncRequest) -> None:
        blocks = self.disk.blocks_from(request.height, SYNC_BATCH)
        if blocks:
            self.sim.network.send(self, source, self.sync_reply(tuple(blocks)))

    def sync_reply(self, blocks: tuple[tuple[Block, CommitCertificate], ...]) -> SyncReply:
        return SyncReply(blocks=blocks)
