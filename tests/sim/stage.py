"""A cluster whose every message and timer is moved by a script: the same core, node and checks, no chance.

What nodes say lies in `mail` until the script delivers or drops it. A faulty replica is a puppet: it has no
core and says what the script tells it to, signed with its own key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec

from consensus.block import Block
from consensus.effects import ViewChangeStarted
from consensus.events import PeerConnected, Timer, TimerFired
from consensus.messages import Message, NewView, Phase, PreparedCertificate, Proposal, ViewChange
from consensus.replica import ReplicaConfig
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.sim.application import make_block
from tests.sim.byzantine import Adversary
from tests.sim.cluster import Cluster
from tests.sim.describe import describe, kind_of
from tests.sim.node import Node, SyncReply, SyncRequest

SETTLE_MAX = 5_000


class Letter(msgspec.Struct, frozen=True, eq=False):
    """A message under way."""

    sender: int
    to: int
    message: Any


Wanted = Callable[[Letter], bool]


class Mailbox:
    """The network of a stage: keeps what is sent until the script moves it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.letters: list[Letter] = []

    def send(self, source: Node, target: Node, message: Any) -> None:
        self.letters.append(Letter(source.replica_id, target.replica_id, message))

    def peers(self, node: Node) -> list[Node]:
        """The one that is furthest first: blocks are fetched from there."""
        up = [other for other in self._stage.nodes if other is not node and other.is_up]
        return sorted(up, key=lambda other: -other.app.tip.height)

    def connect_all(self, node: Node) -> None:
        """Connections are opened by the script."""

    def drop_all(self, node: Node) -> None:
        """What is under way to or from a dead node is lost with its connections."""
        self.letters = [x for x in self.letters if node.replica_id not in (x.sender, x.to)]


class StageNode(Node):
    """Answers of the application come at once; its clock is exact and its crashes lose all that is unsynced."""

    stage: Stage

    def perform(self, effect: Any) -> None:
        if isinstance(effect, ViewChangeStarted):
            self.sim.log(self, "asks for view %d: %s", effect.view, effect.reason)
        super().perform(effect)

    def say(self, to: int | None, message: Message) -> None:
        receivers = [node.replica_id for node in self.sim.endpoints(self, to)]
        if receivers:
            self.stage.tell(self.replica_id, receivers, message)
        super().say(to, message)


class _KeepNothing(Random):
    """A crash on a stage always loses everything that was not synced."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return 0


class Stage(Cluster):
    """`trace` gets what nodes say and do, in order."""

    network: Mailbox
    node_type: type[StageNode] = StageNode

    def __init__(
        self,
        n: int,
        *,
        window: int = 4,
        faulty: Iterable[int] = (),
        rotate_blocks: int = 0,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        config = ReplicaConfig(window=window, rotate_blocks=rotate_blocks)
        super().__init__(n, config, frozenset(faulty), trace=trace)
        self.network = Mailbox(self)
        self.puppets = Adversary(self, self.faulty, Random(0))
        self.armed: dict[tuple[int, Timer], tuple[int, int]] = {}
        self.said: dict[tuple[int, int], ViewChange] = {}
        self.blocks: dict[str, Block] = {}
        self._names: dict[Digest, str] = {self.genesis.digest: "genesis"}
        self._soon: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        for replica in map(ReplicaId, range(n)):
            node = self.node_type(self, int(replica), replica, _KeepNothing(0))
            node.stage = self
            node.clock_error_ms = 0
            node.is_faulty = replica in self.faulty
            self.add(node)

    # What nodes need

    def after(self, delay: int, function: Callable[..., None], *arguments: Any) -> None:
        name = getattr(function, "__name__", "")
        if name == "_fired":
            incarnation, timer, generation = arguments
            node: Node = function.__self__  # type: ignore[attr-defined]
            self.armed[node.replica_id, timer] = (incarnation, generation)
        elif name != "_retry_sync":
            self._soon.append((function, arguments))

    def run_soon(self) -> None:
        """Building and executing blocks takes no time here, but happens after the step that asked for it."""
        while self._soon:
            function, arguments = self._soon.pop(0)
            function(*arguments)

    def log(self, node: object, line: str, *arguments: object) -> None:
        if self._trace:
            self._trace(f"{node} {line % arguments}")

    def committed(self, node: Node, block: Block, certificate: Any) -> None:
        name = self._names.get(block.digest) or self.call(block)
        self.log(node, "commits %s at height %d", name, block.height)
        super_trace, self._trace = self._trace, None
        try:
            super().committed(node, block, certificate)
        finally:
            self._trace = super_trace

    def tell(self, sender: int, receivers: Sequence[int], message: Message) -> None:
        """A node says something: write it down."""
        if isinstance(message, ViewChange):
            self.said[message.view, message.replica] = message
        if self._trace:
            to = " ".join(map(str, receivers))
            self._trace(f"{sender} -> {to}: {describe(message, self.name)}")

    def log_message(self, source: Node, target: Node, message: Message) -> None:
        """Deliveries are in the script already."""

    # Names

    def name(self, digest: Digest) -> str:
        """Blocks are called by their transactions; a second block with the same ones gets a stroke."""
        known = self._names.get(digest)
        if known is not None:
            return known
        for block in self._all_blocks():
            if block.digest == digest:
                return self.call(block)
        return digest.hex()[:6]

    def _all_blocks(self) -> Iterable[Block]:
        for node in self.nodes:
            yield from node.app.executed()
        for letter in self.network.letters:
            if isinstance(letter.message, Proposal):
                yield letter.message.block

    def call(self, block: Block) -> str:
        name = "+".join(transaction.decode() for transaction in block.transactions) or "empty"
        while name in self.blocks and self.blocks[name].digest != block.digest:
            name += "'"
        self.blocks[name] = block
        self._names[block.digest] = name
        return name

    # The script's hands

    def start(self) -> None:
        """Everybody meets everybody."""
        for node in self.nodes:
            if not node.is_faulty:
                node.boot()
        for node in self.nodes:
            for peer in self.nodes:
                if peer is not node:
                    self.connect(node.replica_id, peer.replica_id)
        self.settle(lambda letter: True)

    def connect(self, replica: int, peer: int) -> None:
        """`replica` learns of a connection to `peer`."""
        node = self.nodes[replica]
        node.step(PeerConnected(replica=ReplicaId(peer)))
        self.run_soon()

    def submit(self, transaction: str, to: Iterable[int]) -> None:
        for replica in to:
            self.nodes[replica].submit(transaction.encode())
            self.run_soon()

    def deliver(self, wanted: Wanted) -> int:
        """Deliver what is under way now and wanted, in the order it was sent. Returns how much that was."""
        now = [letter for letter in self.network.letters if wanted(letter)]
        self.network.letters = [letter for letter in self.network.letters if not wanted(letter)]
        for letter in now:
            self._hand_over(letter)
        return len(now)

    def _hand_over(self, letter: Letter) -> None:
        target = self.nodes[letter.to]
        if target.is_faulty:
            if isinstance(letter.message, SyncRequest | SyncReply):
                return
            self.puppets.hears(letter.message)
            return
        target.arrived(self.nodes[letter.sender], letter.message)
        self.run_soon()

    def settle(self, wanted: Wanted) -> None:
        """Deliver until nothing wanted is under way."""
        for _ in range(SETTLE_MAX):
            if not self.deliver(wanted):
                return
        raise ValueError("the replicas never fall silent")

    def drop(self, wanted: Wanted) -> int:
        before = len(self.network.letters)
        self.network.letters = [letter for letter in self.network.letters if not wanted(letter)]
        return before - len(self.network.letters)

    def fire(self, timer: Timer, replica: int) -> None:
        node = self.nodes[replica]
        armed = self.armed.pop((replica, timer), None)
        if armed is None or node._timers.get(timer) != armed[1] or node.incarnation != armed[0]:
            raise ValueError(f"the {timer.value} timer of {replica} does not run")
        del node._timers[timer]
        node.step(TimerFired(timer=timer))
        self.run_soon()

    # Puppets

    def puppet_vote(self, replica: int, phase: Phase, view: int, height: int, name: str, to: Iterable[int]) -> None:
        vote = self.puppets.vote(replica, phase, view, height, self.blocks[name].digest)
        self._puppet_says(replica, vote, to)

    def puppet_proposal(self, replica: int, view: int, name: str, to: Iterable[int]) -> None:
        block = self.blocks[name]
        vote = self.puppets.vote(replica, Phase.PRE_PREPARE, view, block.height, block.digest)
        self._puppet_says(replica, Proposal(vote=vote, block=block), to)

    def puppet_block(self, transactions: str, parent: str) -> str:
        """A block nobody but the script has built; its name."""
        header = self.genesis if parent == "genesis" else self.blocks[parent].header
        block = make_block(header, tuple(t.encode() for t in transactions.split("+")), header.time_ms + 1)
        self.checker.knows(block.header)
        return self.call(block)

    def puppet_view_change(self, replica: int, view: int, to: Iterable[int]) -> None:
        """One that admits nothing."""
        prepared: tuple[PreparedCertificate, ...] = ()
        unsigned = ViewChange(
            view=View(view),
            committed=None,
            prepared=prepared,
            replica=ReplicaId(replica),
            signature=Signature(b""),
        )
        change = self.puppets.view_change(unsigned)
        self._puppet_says(replica, change, to)

    def puppet_new_view(self, replica: int, view: int, sources: Iterable[int], to: Iterable[int]) -> None:
        """A new view made of the view changes that these replicas have said."""
        unsigned = NewView(
            view=View(view),
            view_changes=tuple(self.said[view, source] for source in sorted(sources)),
            replica=ReplicaId(replica),
            signature=Signature(b""),
        )
        self._puppet_says(replica, self.puppets.new_view(unsigned), to)

    def _puppet_says(self, replica: int, message: Message, to: Iterable[int]) -> None:
        receivers = list(to)
        self.tell(replica, receivers, message)
        for receiver in receivers:
            self.network.letters.append(Letter(replica, receiver, message))


def wants(
    *,
    kind: str | None = None,
    senders: Iterable[int] | None = None,
    receivers: Iterable[int] | None = None,
    height: int | None = None,
    view: int | None = None,
) -> Wanted:
    """A filter over letters; None means any."""
    from_, to = (None if x is None else set(x) for x in (senders, receivers))

    def wanted(letter: Letter) -> bool:
        message = letter.message.vote if isinstance(letter.message, Proposal) else letter.message
        return (
            (kind is None or kind_of(letter.message) == kind)
            and (from_ is None or letter.sender in from_)
            and (to is None or letter.to in to)
            and (height is None or getattr(message, "height", None) == Height(height))
            and (view is None or getattr(message, "view", None) == View(view))
        )

    return wanted
