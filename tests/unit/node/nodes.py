"""Whole nodes in one process: real stores, sockets and signatures, on ports the system chooses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from node.claims.builders import build_transaction
from node.claims.genesis import Genesis
from node.claims.mutual_aid.actions import Enrol
from node.claims.transaction import Action, Transaction, encode_transaction
from node.config import Config, ConsensusSection, ListenSection, NodeSection, OperatorSection, TransportSection
from node.crypto import SigningKey
from node.genesis import dump_genesis
from node.keyfile import write_key
from node.localnet.ports import free_ports
from node.node import Node
from tests.factories import make_genesis, new_member

NAMES = ("a", "b", "c", "d")


def free_port() -> int:
    """Below the range of outgoing connections: what is free now is not given to a client of another test."""
    return free_ports(1)[0]


class Cluster:
    """Four organisations with a node and an account each; nodes are made, stopped and made again by name."""

    def __init__(self, folder: Path, *, genesis_age_ms: int = 10_000, **consensus: int) -> None:
        self.folder = folder
        self.node_keys = [SigningKey(bytes([1 + index]) * 32) for index in range(4)]
        self.account_keys = [SigningKey(bytes([101 + index]) * 32) for index in range(4)]
        self.genesis: Genesis = make_genesis(
            node_keys=[key.public for key in self.node_keys],
            account_keys=[key.public for key in self.account_keys],
            time_ms=time.time_ns() // 1_000_000 - genesis_age_ms,
        )
        self.ports = free_ports(len(NAMES))
        self.signature_process: Literal["on", "off"] = "off"
        self.consensus = ConsensusSection(**consensus)
        self.nodes: dict[str, Node] = {}
        self._sequences = [0, 0, 0, 0]
        (folder / "genesis.json").write_text(dump_genesis(self.genesis))
        for name, key in zip(NAMES, self.node_keys, strict=True):
            (folder / name).mkdir()
            write_key(folder / name / "node.key", key, None)

    def config(self, name: str) -> Config:
        peers = {other: f"127.0.0.1:{port}" for other, port in zip(NAMES, self.ports, strict=True) if other != name}
        return Config(
            node=NodeSection(genesis="../genesis.json", allow_plain_key=True, signature_process=self.signature_process),
            listen=ListenSection(port=self.ports[NAMES.index(name)]),
            operator=OperatorSection(port=0),
            peers=peers,
            consensus=self.consensus,
            transport=TransportSection(reconnect_min_ms=20, reconnect_max_ms=200, keepalive_ms=200),
        ).resolve(self.folder / name)

    async def start(self, *names: str) -> None:
        for name in names or NAMES:
            self.nodes[name] = Node(self.config(name))
            await self.nodes[name].start()

    async def stop(self, *names: str) -> None:
        for name in names or tuple(self.nodes):
            node = self.nodes.pop(name)
            await node.stop()
            assert node.failure is None

    def signed(self, sender: int, *actions: Action) -> Transaction:
        """A transaction of account `sender` with its next sequence."""
        self._sequences[sender] += 1
        key, valid_until_ms = self.account_keys[sender], time.time_ns() // 1_000_000 + 3_600_000
        return build_transaction(
            self.genesis.digest, key.public, self._sequences[sender], valid_until_ms, actions, key.sign
        )

    def enrol(self, sender: int = 0, *, members: int = 1) -> Transaction:
        """A fresh enrolment signed by account `sender`; a, b and d may enrol."""
        sequence = self._sequences[sender] + 1
        people = tuple(new_member(sender * 10_000_000 + sequence * 1_000 + index) for index in range(members))
        return self.signed(sender, Enrol(plan="critical-illness", members=people))

    async def submit(self, name: str, transactions: Sequence[Transaction]) -> list[str]:
        answers = await self.nodes[name].submit([encode_transaction(t) for t in transactions])
        return [answer.status for answer in answers]


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Wait for a condition; fails with `what` after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not in {timeout_s} s: {what}"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running(folder: Path, *, genesis_age_ms: int = 10_000, **consensus: int) -> AsyncIterator[Cluster]:
    """Four nodes, connected to each other."""
    cluster = Cluster(folder, genesis_age_ms=genesis_age_ms, **consensus)
    try:
        await cluster.start()
        await until(lambda: all(len(n.transport.connected()) == 3 for n in cluster.nodes.values()), "all connected")
        yield cluster
    finally:
        await cluster.stop()
