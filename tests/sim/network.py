"""The network between simulated nodes: one connection per pair, seeded trouble on it.

A connection is either up or down. Messages on it arrive late; in the lossy mixes they are also lost,
doubled or overtaken. What is under way when a connection drops is lost, and both ends learn of the next
connection at times of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.node import Node


class Conditions:
    """How bad the network is just now."""

    def __init__(self, *, delay_ms: tuple[int, int], loss: float, duplicate: float, reorder: float) -> None:
        self.low_ms, high_ms = delay_ms
        self.spread_ms = high_ms - self.low_ms + 1
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder

    def calm_down(self) -> None:
        """The network has healed: whatever is sent arrives, in order."""
        self.loss = self.duplicate = self.reorder = 0.0


class Network:
    def __init__(self, cluster: Cluster, random: Random, conditions: Conditions) -> None:
        self._sim = cluster
        self._random = random
        self.conditions = conditions
        self._up: dict[tuple[int, int], int] = {}
        self._generation = 0
        self._last: dict[tuple[int, int], int] = {}
        self._severed: set[tuple[int, int]] = set()
        self._deaf_until: dict[tuple[int, int], int] = {}

    def is_up(self, a: Node, b: Node) -> bool:
        return _pair(a, b) in self._up

    def peers(self, node: Node) -> list[Node]:
        """Nodes with a connection to `node`, in a fixed order."""
        return [other for other in self._sim.nodes if other is not node and _pair(node, other) in self._up]

    # Connections

    def connect(self, a: Node, b: Node) -> None:
        """Open a connection if both nodes run and nothing lies between them."""
        pair = _pair(a, b)
        if pair in self._up or pair in self._severed or a.replica_id == b.replica_id:
            return
        if not (a.is_up and b.is_up):
            return
        self._generation += 1
        generation = self._up[pair] = self._generation
        for node, peer in ((a, b), (b, a)):
            delay = self._delay()
            self._last[node.index, peer.index] = 0
            self._sim.after(delay, self._connected, node, peer, generation)

    def _connected(self, node: Node, peer: Node, generation: int) -> None:
        if self._up.get(_pair(node, peer)) == generation:
            node.connected(peer)

    def connect_all(self, node: Node) -> None:
        for other in self._sim.nodes:
            if other is not node:
                self.connect(node, other)

    def drop(self, a: Node, b: Node) -> None:
        self._up.pop(_pair(a, b), None)

    def drop_all(self, node: Node) -> None:
        for other in self._sim.nodes:
            self.drop(node, other)

    def sever(self, groups: Iterable[Iterable[Node]]) -> None:
        """Cut the network into groups; replaces an earlier cut, and reconnects what it no longer parts."""
        of = {node.index: number for number, group in enumerate(groups) for node in group}
        self._severed = {
            _pair(a, b)
            for a in self._sim.nodes
            for b in self._sim.nodes
            if a.index < b.index and of.get(a.index, -1) != of.get(b.index, -1)
        }
        self._settle()

    def sever_pairs(self, pairs: Iterable[tuple[Node, Node]]) -> None:
        self._severed = {_pair(a, b) for a, b in pairs}
        self._settle()

    def deafen(self, node: Node, sources: Iterable[Node], until: int) -> None:
        """Lose what these say to `node`, while what it says gets through and the connections stay up."""
        for source in sources:
            self._deaf_until[source.index, node.index] = until

    def heal(self) -> None:
        self._severed = set()
        self._deaf_until = {}
        self._settle()

    def _settle(self) -> None:
        for a in self._sim.nodes:
            for b in self._sim.nodes:
                if a.index < b.index:
                    if _pair(a, b) in self._severed:
                        self.drop(a, b)
                    else:
                        self.connect(a, b)

    # Messages

    def _delay(self) -> int:
        conditions = self.conditions
        return conditions.low_ms + int(self._random.random() * conditions.spread_ms)

    def send(self, source: Node, target: Node, message: Any) -> None:
        generation = self._up.get(_pair(source, target))
        if generation is None:
            return
        if self._deaf_until and self._deaf_until.get((source.index, target.index), 0) > self._sim.now:
            return
        conditions = self.conditions
        if conditions.loss and self._random.random() < conditions.loss:
            return
        self._post(source, target, message, generation)
        if conditions.duplicate and self._random.random() < conditions.duplicate:
            self._post(source, target, message, generation)

    def _post(self, source: Node, target: Node, message: Any, generation: int) -> None:
        at = self._sim.now + self._delay()
        reorder = self.conditions.reorder
        if reorder and self._random.random() < reorder:
            at += 3 * self._delay()
        else:
            key = (source.index, target.index)
            at = max(at, self._last.get(key, 0))
            self._last[key] = at
        self._sim.at(at, self._arrive, source, target, message, generation)

    def _arrive(self, source: Node, target: Node, message: Any, generation: int) -> None:
        if self._up.get(_pair(source, target)) == generation:
            target.arrived(source, message)


def _pair(a: Node, b: Node) -> tuple[int, int]:
    return (a.index, b.index) if a.index < b.index else (b.index, a.index)
