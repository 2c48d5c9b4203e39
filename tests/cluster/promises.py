"""What a cluster owes those who used it, checked on the stopped nodes' own databases.

1. Every node's chain is whole: linked, every body that of its header, every certificate signed by a quorum.
2. Every node holds the same blocks, so the same transactions in the same order.
3. No transaction is in the chain twice.
4. Every transaction that a client was told is final is there, at the very height and index it was told.
5. Every node's state is the one its last block's header says, record by record, and the roots agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from node.claims.application import Application
from node.claims.genesis import Genesis
from node.claims.transaction import decode_transaction
from node.crypto import VoteVerifier
from node.executor import Executor
from node.genesis import domain, genesis_header, genesis_state_root, member_set
from node.localnet import Localnet
from node.repair import check_chain, check_state
from node.state import StateDatabase
from node.store import BlockStore
from node.verification import TransactionVerifier

_POLL_S = 0.05


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What one node's disk says."""

    blocks: list[bytes]
    """Digests, from height 1."""
    ids: list[list[bytes]]
    """Transactions of each block, in order."""
    state_root: bytes

    @property
    def height(self) -> int:
        return len(self.blocks)


def read_ledger(folder: Path, genesis: Genesis) -> Ledger:
    """Check a stopped node's databases in full and read what matters. Raises StoreError, InvariantBroken."""
    members = member_set(genesis)
    chain = domain(genesis, members)
    application = Application(genesis)
    header = genesis_header(genesis, members, genesis_state_root(application))
    verifier = TransactionVerifier()
    blocks = BlockStore.open(folder / "data" / "blocks", genesis.digest)
    try:
        check_chain(blocks, members, chain, VoteVerifier())
        state = StateDatabase.open(folder / "data" / "state", genesis.digest)
        try:
            executor = Executor(application, state, blocks, header, verifier)
            executor.replay()
            check_state(state, executor)
            stored = [blocks.block_at(height) for height in range(1, blocks.height + 1)]
            return Ledger(
                blocks=[block.digest for block in stored if block is not None],
                ids=[
                    [decode_transaction(raw).id for raw in block.transactions] for block in stored if block is not None
                ],
                state_root=state.root(),
            )
        finally:
            state.close()
    finally:
        blocks.close()


def check_promises(net: Localnet, told: Mapping[bytes, tuple[int, int]], *, names: Sequence[str] = ()) -> Ledger:
    """Stop the cluster and hold every node's disk to what clients were told. Answers the common ledger.

    `names`: only these nodes are held to it (all by default).
    """
    held = list(names or net.names)
    level = wait_level(net, held)
    net.stop()
    genesis = net.genesis()
    ledgers = {name: read_ledger(net.folder(name), genesis) for name in held}
    first = ledgers[held[0]]
    for name, ledger in ledgers.items():
        assert ledger.height >= level, f"{name} lost blocks: it was at {level}, its disk has {ledger.height}"
        common = min(ledger.height, first.height)
        assert ledger.blocks[:common] == first.blocks[:common], f"{name} and {held[0]} have different blocks"
        assert ledger.ids[:common] == first.ids[:common], f"{name} and {held[0]} have different transactions"
        if ledger.height == first.height:
            assert ledger.state_root == first.state_root, f"{name} and {held[0]} have different states"
    longest = max(ledgers.values(), key=lambda ledger: ledger.height)
    where: dict[bytes, tuple[int, int]] = {}
    for height, ids in enumerate(longest.ids, 1):
        for index, id in enumerate(ids):
            assert id not in where, f"transaction {id.hex()} is at {where[id]} and again at {(height, index)}"
            where[id] = (height, index)
    for id, position in told.items():
        assert where.get(id) == position, f"a client was told {id.hex()} is final at {position}: {where.get(id)}"
    return longest


def heights(net: Localnet, names: Sequence[str] | None = None) -> dict[str, int]:
    """Height of each node that answers."""
    found = {}
    for record in net.statuses():
        # A node under load may answer that it is busy: then there is no height in what it says.
        if "height" in record.get("status", {}) and (names is None or record["name"] in names):
            found[record["name"]] = int(record["status"]["height"])
    return found


def wait_level(net: Localnet, names: Sequence[str] | None = None, timeout_s: float = 60.0) -> int:
    """Wait until the nodes that run stand at one height with one state root. Answers the height."""
    wanted = [name for name in net.running() if names is None or name in names]
    end = time.monotonic() + timeout_s
    while True:
        seen = {
            record["name"]: (record["status"]["height"], record["status"]["digest"])
            for record in net.statuses()
            if record["name"] in wanted and "digest" in record.get("status", {})
        }
        if len(seen) == len(wanted) and len(set(seen.values())) == 1:
            return int(next(iter(seen.values()))[0])
        if time.monotonic() >= end:
            raise TimeoutError(f"the nodes are not level after {timeout_s:g} s: {seen or net.statuses()}")
        time.sleep(_POLL_S)


def primary(net: Localnet) -> str:
    """Name of the primary, as most of the nodes that answer see it."""
    answers = [record.get("status", {}) for record in net.statuses()]
    names = [str(status["primary"]) for status in answers if "primary" in status]
    if not names:
        raise TimeoutError("no node answers")
    return max(sorted(set(names)), key=names.count)


def wait_until(what: str, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until `holds()` is true. Raises TimeoutError that says what did not happen."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(_POLL_S)
