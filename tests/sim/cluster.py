"""What simulated nodes live in: keys, checker, fake time. `Simulation` adds chance, `Stage` a script."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from consensus.block import Block
from consensus.codec import decode_message, encode
from consensus.messages import CommitCertificate, Domain, Message, Proposal, ViewChange, Vote
from consensus.replica import Replica, ReplicaConfig
from consensus.types import View
from tests.sim.application import genesis_header
from tests.sim.checks import Checker, Violation
from tests.sim.describe import describe
from tests.sim.node import Node
from tests.sim.signatures import scheme

EVENTS_MAX = 400_000
"""A run that needs more is a loop."""


class Wires(Protocol):
    """What a node asks of the network."""

    def send(self, source: Node, target: Node, message: Any) -> None: ...

    def peers(self, node: Node) -> list[Node]: ...

    def connect_all(self, node: Node) -> None: ...

    def drop_all(self, node: Node) -> None: ...


class Cluster:
    """Nodes of one chain, watched by one checker. `trace` gets one readable line at a time."""

    network: Wires
    node_class: type[Node] = Node

    def __init__(
        self,
        n: int,
        config: ReplicaConfig,
        faulty: frozenset[int],
        *,
        is_real: bool = False,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.n = n
        self.config = config
        self.faulty = faulty
        self.scheme = scheme(n, is_real=is_real)
        self.members = self.scheme.members
        self.genesis = genesis_header(self.members)
        self.domain = Domain(genesis=self.genesis.genesis, epoch=self.members.epoch, members=self.members.digest)
        self.checker = Checker(self.members, self.domain, self.scheme.verify, self.genesis, faulty)
        self.nodes: list[Node] = []
        self.now = 0
        self.events = 0
        self.highest_view = 0
        self.block_transactions = 1
        self.knows_first_starts = False
        """Are nodes told when their key was never used, so that they need not listen when they come late?"""
        self.is_encoded = False
        """Send every message through its bytes?"""
        self._trace = trace
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._last_encoded: tuple[Message, Message] | None = None
        self._endpoints: dict[int, list[Node]] = {}

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self._endpoints.setdefault(node.replica_id, []).append(node)

    @property
    def honest(self) -> list[Node]:
        return [node for node in self.nodes if not node.is_faulty]

    def make_replica(self, **arguments: Any) -> Replica:
        """The core of one node; tests of the simulator put broken ones here."""
        return Replica(**arguments)

    # Time

    def at(self, time: int, function: Callable[..., None], *arguments: Any) -> None:
        self._order += 1
        heappush(self._heap, (time, self._order, function, arguments))

    def after(self, delay: int, function: Callable[..., None], *arguments: Any) -> None:
        self._order += 1
        heappush(self._heap, (self.now + delay, self._order, function, arguments))

    def run_until(self, time: int, is_done: Callable[[], bool] | None = None) -> bool:
        """Let things happen up to `time`, or until `is_done`. True if it is."""
        heap = self._heap
        while heap and heap[0][0] <= time:
            if is_done is not None and is_done():
                return True
            self.now, _, function, arguments = heappop(heap)
            function(*arguments)
            if self.events > EVENTS_MAX:
                raise Violation(f"{self.events} events in {self.now} ms: the replicas talk in a loop")
        self.now = max(self.now, time)
        return is_done is not None and is_done()

    def work_delay(self) -> int:
        """How long building or executing a block takes."""
        return 0

    # What nodes ask and report

    def endpoints(self, node: Node, to: int | None) -> list[Node]:
        if to is not None:
            return self._endpoints.get(to, [])
        return [other for other in self.nodes if other.replica_id != node.replica_id]

    def on_the_wire(self, message: Message) -> Message:
        """The message as it arrives: by its bytes, where the run is so minded."""
        if not self.is_encoded:
            return message
        if self._last_encoded is None or self._last_encoded[0] is not message:
            self._last_encoded = (message, decode_message(encode(message)))
        return self._last_encoded[1]

    def check_durable(self, node: Node, message: Message) -> None:
        own = message.vote if isinstance(message, Proposal) else message
        if isinstance(own, Vote | ViewChange) and encode(own) not in node.disk.durable:
            raise Violation(f"replica {node.replica_id} says what is not durable: {describe(message)}")

    def committed(self, node: Node, block: Block, certificate: CommitCertificate) -> None:
        if self._trace:
            self.log(node, "commits %s at height %d", block.digest.hex()[:6], block.height)
        if not node.is_faulty:
            self.checker.committed(node.replica_id, block, certificate)

    def view_entered(self, node: Node, view: View) -> None:
        if not node.is_faulty:
            self.highest_view = max(self.highest_view, view)

    def log(self, node: object, line: str, *arguments: object) -> None:
        if self._trace:
            self._trace(f"{self.now:6d} ms  {node}: {line % arguments}")

    def log_message(self, source: Node, target: Node, message: Message) -> None:
        if self._trace:
            self._trace(f"{self.now:6d} ms  {source.replica_id} -> {target.replica_id}  {describe(message)}")
