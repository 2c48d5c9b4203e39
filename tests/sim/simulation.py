"""One simulated run: a cluster, a schedule of faults, a healed network, and what must hold at each point.

Everything is drawn from one seeded generator and happens on one heap of events in fake time, so the seed and
the mix replay a run exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from consensus.replica import ReplicaConfig
from consensus.types import ReplicaId
from tests.sim.byzantine import TACTICS, Adversary, FaultyNode, Twin
from tests.sim.checks import Violation
from tests.sim.cluster import Cluster
from tests.sim.mixes import Mix
from tests.sim.network import Conditions, Network
from tests.sim.node import Node

VIEW_TIMEOUT_MAX_MS = 480
WARM_UP_MS = 50


def patience_ms(f: int) -> int:
    """After the network healed, a new transaction must be committed everywhere within so many full timeouts:
    two to meet in one view again, and two for each faulty primary in a row and the honest one after them."""
    return (2 + 2 * (f + 1)) * VIEW_TIMEOUT_MAX_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Figures of a run that went well."""

    seed: int
    mix: str
    n: int
    faulty: int
    height: int
    view: int
    events: int
    crashes: int
    slowest_ms: int
    """Longest time a transaction took after a healing or a restart of all."""
    ended_ms: int


class Simulation(Cluster):
    """One cluster and its fate, drawn from a seed."""

    network: Network

    def __init__(self, seed: int, mix: Mix, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.mix = mix
        random = self.random = Random(f"{mix.name}/{seed}")
        n = random.choices([n for n, _ in mix.sizes], [weight for _, weight in mix.sizes])[0]
        clock_ms = random.choice(mix.clock_ms)
        config = ReplicaConfig(
            window=random.choice(mix.windows),
            view_timeout_ms=random.choice(mix.view_timeout_ms),
            view_timeout_max_ms=VIEW_TIMEOUT_MAX_MS,
            max_clock_ahead_ms=clock_ms,
            max_clock_behind_ms=clock_ms,
            rotate_blocks=random.choice(mix.rotate),
        )
        super().__init__(n, config, self._draw_faulty(n), is_real=mix.signatures == "Ed25519", trace=trace)
        self.block_transactions = random.choice((1, 1, 2, 4))
        self.is_encoded = random.random() < 0.25
        self.knows_first_starts = seed % 2 == 1
        self.crashes = 0
        self._work_ms = random.choice((1, 1, 4))
        self._submitted = 0
        self._wiped: set[int] = set()
        self._healed = False
        conditions = Conditions(
            delay_ms=mix.delay_ms,
            loss=random.choice(mix.loss),
            duplicate=random.choice(mix.duplicate),
            reorder=random.choice(mix.reorder),
        )
        self.network = Network(self, Random(random.random()), conditions)
        self._make_nodes()

    def _draw_faulty(self, n: int) -> frozenset[int]:
        f = (n - 1) // 3
        if not f or not (self.mix.byzantine or self.mix.twins):
            return frozenset()
        count = f if self.random.random() < 0.8 else self.random.randint(1, f)
        return frozenset(self.random.sample(range(n), count))

    def _make_nodes(self) -> None:
        adversary = Adversary(self, self.faulty, Random(self.random.random()))
        for replica in map(ReplicaId, range(self.n)):
            random = Random(self.random.random())
            if replica not in self.faulty:
                self.add(self.node_class(self, len(self.nodes), replica, random))
            elif self.mix.twins:
                for _ in range(2):
                    index = len(self.nodes)
                    self.add(Twin(self, index, replica, Random(self.random.random()), adversary, ()))
            else:
                names = tuple(self.random.sample(sorted(TACTICS), self.random.choice((1, 1, 2, 3))))
                self.add(FaultyNode(self, len(self.nodes), replica, random, adversary, names))

    def work_delay(self) -> int:
        return int(self.random.random() * self._work_ms)

    # The schedule

    def run(self) -> Outcome:
        """Chaos, healing, a restart of everybody. Raises Violation."""
        self._start()
        chaos_ms = self.random.randint(*self.mix.chaos_ms)
        self._plan_clients(chaos_ms)
        self._plan_faults(chaos_ms)
        self.run_until(chaos_ms)
        self._heal()
        first = self._expect_progress("after the network healed")
        for node in self.honest:
            node.crash()
        self.crashes += len(self.honest)
        self.log("cluster", "all honest nodes have crashed and start again")
        for node in self.honest:
            node.boot()
        second = self._expect_progress("after all honest nodes restarted")
        return Outcome(
            seed=self.seed,
            mix=self.mix.name,
            n=self.n,
            faulty=len(self.faulty),
            height=max(node.app.tip.height for node in self.honest),
            view=self.highest_view,
            events=self.events,
            crashes=self.crashes,
            slowest_ms=max(first, second),
            ended_ms=self.now,
        )

    def _start(self) -> None:
        config = self.config
        faulty = ", ".join(f"{node} {getattr(node, 'tactic_names', '')}" for node in self.nodes if node.is_faulty)
        self.log(
            "cluster",
            "n = %d, window %d, rotation %d, faulty: %s",
            self.n,
            config.window,
            config.rotate_blocks,
            faulty or "none",
        )
        for node in self.nodes:
            node.boot()

    def _plan_clients(self, chaos_ms: int) -> None:
        for _ in range(self.random.randint(*self.mix.transactions)):
            at = self.random.randrange(chaos_ms)
            to_all = self.random.random() < 0.8
            receivers = self.nodes if to_all else self.random.sample(self.nodes, 1)
            self.after(at, self._submit, self._next_transaction(), list(receivers))

    def _next_transaction(self) -> bytes:
        self._submitted += 1
        return b"transaction %d" % self._submitted

    def _submit(self, transaction: bytes, receivers: list[Node]) -> None:
        for node in receivers:
            node.submit(transaction)

    def _plan_faults(self, chaos_ms: int) -> None:
        random, mix = self.random, self.mix
        # A node that comes only after the chain has begun cannot tell whether it lost its disk, and listens.
        # It counts as faulty then, so where there are faulty ones already, all get time to meet first.
        first = WARM_UP_MS if self.faulty or mix.wipes else 0
        if first:
            self._calm_until(first)
        if self.n > 1:
            for _ in range(random.randint(*mix.partitions)):
                self.at(random.randrange(first, chaos_ms), self._partition)
            for _ in range(random.randint(*mix.flaps)):
                self.at(random.randrange(first, chaos_ms), self._flap)
            for _ in range(random.randint(*mix.deaf)):
                self.at(random.randrange(first, chaos_ms), self._deafen)
        for _ in range(random.randint(*mix.crashes)):
            self.at(random.randrange(first, chaos_ms), self._crash_soon, random.choice(self.honest))
        for _ in range(random.randint(*mix.blackouts)):
            self.at(random.randrange(first, chaos_ms), self._blackout)
        room = (self.n - 1) // 3 - len(self.faulty)
        for _ in range(min(mix.wipes, room)):
            self.at(random.randrange(first, chaos_ms), self._wipe, random.choice(self.honest))
        if mix.twins:
            for at in range(first, chaos_ms, random.choice((40, 90, 200))):
                self.at(at, self._part_twins)

    def _calm_until(self, time: int) -> None:
        conditions = self.network.conditions
        loss, conditions.loss = conditions.loss, 0.0

        def begin() -> None:
            conditions.loss = loss

        self.at(time, begin)

    def _partition(self) -> None:
        if self._healed:
            return
        nodes = list(self.nodes)
        self.random.shuffle(nodes)
        cut = self.random.randint(1, len(nodes) - 1)
        groups = [nodes[:cut], nodes[cut:]]
        if cut > 1 and self.random.random() < 0.2:
            groups[:1] = [nodes[: cut // 2], nodes[cut // 2 : cut]]
        self.log("network", "is cut: %s", " | ".join(" ".join(str(node.index) for node in g) for g in groups))
        self.network.sever(groups)
        self.after(self.random.randint(20, 300), self._mend)

    def _mend(self) -> None:
        if not self._healed:
            self.log("network", "is whole again")
            self.network.heal()

    def _part_twins(self) -> None:
        """Every honest node sees one of the twins, or both, or neither."""
        if self._healed:
            return
        pairs = []
        for twin in self.nodes:
            if twin.is_faulty:
                pairs += [(twin, node) for node in self.honest if self.random.random() < 0.5]
        if self.random.random() < 0.3:
            pairs += [
                (a, b) for a in self.honest for b in self.honest if a.index < b.index and self.random.random() < 0.2
            ]
        self.network.sever_pairs(pairs)

    def _flap(self) -> None:
        if self._healed:
            return
        a, b = self.random.sample(self.nodes, 2)
        self.network.drop(a, b)
        self.after(self.random.randint(1, 60), self.network.connect, a, b)

    def _deafen(self) -> None:
        if self._healed:
            return
        node = self.random.choice(self.nodes)
        others = [other for other in self.nodes if other is not node]
        sources = self.random.sample(others, self.random.randint(1, len(others)))
        until = self.now + self.random.choice((10, 30, 100, 250))
        self.log(node, "is deaf to %s until %d ms", " ".join(str(source.index) for source in sources), until)
        self.network.deafen(node, sources, until)

    def _crash_soon(self, node: Node) -> None:
        """The node dies after so many more writes and messages."""
        if node.is_up and not self._healed:
            node.fuse = self.random.choice((0, 1, 2, 3, 5, 8, 13, 25, 50))
            self.crashes += 1
            self.after(self.random.randint(5, 250), self._restart, node)

    def _restart(self, node: Node) -> None:
        if not self._healed:
            node.crash()
            node.boot()

    def _blackout(self) -> None:
        if not self._healed:
            self.log("cluster", "blackout")
            for node in self.honest:
                node.crash()
                self.crashes += 1
                self.after(self.random.randint(1, 80), self._boot_if_down, node)

    def _boot_if_down(self, node: Node) -> None:
        if not node.is_up:
            node.boot()

    def _wipe(self, node: Node) -> None:
        """Take a node's disk, once enough of the others can say that the chain has blocks."""
        others = [peer for peer in self.honest if peer is not node]
        # Who came so late that the chain had begun looks like a wiped node, and listens too.
        mute = {peer.replica_id for peer in others if b"P" not in peer.disk.journal}
        f = (self.n - 1) // 3
        if self._healed or sum(1 for peer in others if peer.disk.chain) < f + 1:
            return
        if len(mute | self._wiped | {node.replica_id}) > f - len(self.faulty):
            return
        self._wiped.add(node.replica_id)
        node.wipe()
        self.after(self.random.randint(1, 120), self._boot_if_down, node)

    def _heal(self) -> None:
        """From here on nothing is lost, nobody crashes; faulty replicas go on lying."""
        self._healed = True
        self.log("network", "has healed")
        self.network.conditions.calm_down()
        self.network.heal()
        for node in self.nodes:
            node.fuse = None
            if not node.is_up:
                node.boot()
            self.network.connect_all(node)

    def _expect_progress(self, when: str) -> int:
        """A transaction given to all honest nodes now is committed by all of them in bounded time."""
        transaction = self._next_transaction()
        start = self.now
        self._submit(transaction, list(self.honest))

        def is_done() -> bool:
            return all(transaction in node.app.committed for node in self.honest)

        if not self.run_until(start + patience_ms((self.n - 1) // 3), is_done):
            late = [node.replica_id for node in self.honest if transaction not in node.app.committed]
            raise Violation(f"no progress {when}: replicas {late} lack a transaction {self.now - start} ms old")
        return self.now - start
