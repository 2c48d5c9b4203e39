"""One node: everything put together, started and stopped in order.

    clients -> api -> mempool -> driver <-> replica        transport <-> peers
                                   |                        |
                           executor, stores                sync

The node owns the parts and carries word between them; none of them knows the others.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from consensus.block import Block
from consensus.errors import InvariantBroken
from consensus.messages import CommitCertificate
from consensus.replica import Replica, ReplicaConfig
from consensus.types import ReplicaId
from node import status
from node.backlog import Backlog
from node.block_rules import BlockLimits
from node.censorship import CensorshipWatch
from node.claims import keys
from node.claims.application import Application
from node.claims.results import ResultCode
from node.claims.transaction import Transaction
from node.clock import ChainClock
from node.config import Config
from node.consensus_channel import consensus_channel
from node.crypto import VoteVerifier
from node.disk import advice
from node.driver import Driver, DriverSettings
from node.duplicates.node_part import duplicates_service
from node.ed25519.choice import chosen
from node.errors import ConfigError, KeyFileError, StoreError
from node.events import FinalityFeed
from node.evidence import EvidenceFolder, evidence_check
from node.executor import Executor
from node.fate import Fate, fate_of
from node.frames import Channel
from node.genesis import domain, genesis_header, genesis_state_root, load_genesis, member_set
from node.gossip import Gossip
from node.intake import Intake
from node.jury_proofs import Proofs
from node.keyfile import PassphraseSource, find_passphrase, is_sealed, is_unused, read_key
from node.link import steady_ms, wall_ms
from node.mempool import Mempool, MempoolLimits, Submission
from node.observer import NodeObserver
from node.signatures_ahead import signatures_ahead
from node.state import StateDatabase
from node.store import BlockStore
from node.sync import Sync, SyncSettings
from node.ticks import Ticks
from node.transport import PEER_PATH, Transport, TransportSettings
from node.vault.keeper import Keeper
from node.vault.service import VaultService
from node.vault.store import VaultStore
from node.verification import TransactionVerifier
from node.version import package_version

log = logging.getLogger("weal.node")


class Node:
    """`await start()`, then it runs until `stop()` or a failure; `wait_stopped` tells which."""

    def __init__(self, config: Config, *, passphrase: PassphraseSource | None = None) -> None:
        """Reads genesis and key, opens nothing. `passphrase` opens a sealed key file; without one the configured
        file or the systemd credential does. Raises ConfigError or KeyFileError."""
        self.config = config
        self.version = package_version()
        self.genesis = load_genesis(Path(config.node.genesis))
        self.members = member_set(self.genesis)
        self.domain = domain(self.genesis, self.members)
        key_path = Path(config.node.key)
        if not config.node.allow_plain_key and not is_sealed(key_path):
            raise KeyFileError(
                f"{key_path}: the key has no passphrase; make one that has with `weal keys`, or for a cluster on one "
                "machine set allow_plain_key = true in [node]"
            )
        file = Path(config.node.passphrase_file) if config.node.passphrase_file else None
        self._key = read_key(key_path, passphrase or find_passphrase(file))
        own = self.members.replica_of(self._key.public)
        if own is None:
            raise ConfigError(
                f"the key {self._key.public.hex()} in {key_path} belongs to no organisation of the genesis file",
                file=config.node.genesis,
                key="organisations",
            )
        self.id: ReplicaId = own
        self.name = self.members.members[own].name
        self._check_peers()
        self.clock = ChainClock(self.genesis.time_ms, self.genesis.time_scale)
        self.application = Application(
            self.genesis, evidence=evidence_check(self.members, self.domain), proofs=Proofs()
        )
        self.genesis_header = genesis_header(self.genesis, self.members, genesis_state_root(self.application))
        self.data_dir = Path(config.node.data_dir)
        self.evidence = EvidenceFolder(self.data_dir / "evidence", self.members)
        self.counters: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self.loop_lag_ms = 0
        """How late the event loop was at the last tick."""
        self.started_ms = steady_ms()
        self.port = 0
        self.operator_port = 0
        self.stop_reason = ""
        """Why the node is stopping; empty while it is not."""
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Any] = []
        self._is_open = False

    def _check_peers(self) -> None:
        known = {member.name for member in self.members.members}
        for name in self.config.peers:
            if name not in known:
                raise ConfigError(f"no organisation {name} runs a node on this chain", key=f"peers.{name}")
            if name == self.name:
                raise ConfigError("a node does not call itself; remove this line", key=f"peers.{name}")

    # Life

    async def start(self) -> None:
        """Open the stores, replay what a crash left behind, listen, and take part. Raises ChainError."""
        try:
            self._open()
            await self._listen()
            await self.transport.start()
        except BaseException:
            await self._close()
            raise
        for name, coroutine in (
            ("driver", self.driver.run()),
            ("gossip", self.gossip.run()),
            ("duplicates", self.duplicates.run()),
            ("ticks", Ticks(self).run()),
            ("vault", self.keeper.run(self.executor.tip.height)),
        ):
            task = asyncio.create_task(coroutine, name=f"weal {name}")
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)
        log.info(
            "node started",
            extra={"height": self.executor.tip.height, "port": self.port, "operator_port": self.operator_port},
        )

    def _open(self) -> None:
        signatures, reason = chosen()
        log.info("signatures checked by %s: %s", signatures.name, reason, extra={"lanes": signatures.lanes})
        settings, scale = self.config.consensus, self.clock.chain_ms_of
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.blocks = BlockStore.open(self.data_dir / "blocks", self.domain.genesis)
        self._is_open = True
        self.state = StateDatabase.open(
            self.data_dir / "state", self.domain.genesis, cache_bytes=self.config.node.state_cache_bytes
        )
        self.verifier = TransactionVerifier()
        self.executor = Executor(
            self.application, self.state, self.blocks, self.genesis_header, self.verifier, limits=BlockLimits()
        )
        replayed = self.executor.replay()
        if replayed:
            log.info("state caught up with the blocks", extra={"blocks": replayed, "height": self.executor.tip.height})
        told = advice(self.data_dir / "state", self.state.size_bytes())
        if told is not None:
            log.warning(told)
        self.feed = FinalityFeed(self.executor.tip.height)
        self._open_vault()
        self._verify = VoteVerifier()
        self.replica = Replica(
            config=ReplicaConfig(
                window=settings.window,
                view_timeout_ms=settings.view_timeout_ms,
                view_timeout_max_ms=settings.view_timeout_max_ms,
                max_clock_ahead_ms=scale(settings.max_clock_ahead_ms),
                max_clock_behind_ms=scale(settings.max_clock_behind_ms),
                rotate_blocks=settings.rotate_blocks,
            ),
            replica=self.id,
            members=self.members,
            genesis=self.genesis_header,
            tip=self.executor.tip,
            certificate=self.blocks.certificate,
            journal=self.blocks.journal(),
            blocks=self.blocks.block,
            sign=self._key.sign,
            verify=self._verify,
            override_listening=self.config.node.vote_after_data_loss,
            is_first_start=is_unused(Path(self.config.node.key), self._key),
        )
        if self.config.node.vote_after_data_loss:
            log.warning(
                "voting although the store may have lost promises of this node (vote_after_data_loss): if it signs "
                "twice in one slot, the chain can fork; remove the setting before the next start"
            )
        self._connect_parts()

    def _open_vault(self) -> None:
        registry, state = self.application.registry, self.state.view
        store = VaultStore(self.data_dir / "vault", self.domain.genesis, self.config.vault.max_bytes)
        self.vault = VaultService(store, registry, self._key, self.name, state, self.clock.now_ms, wall_ms)
        self.keeper = Keeper(
            self.vault,
            self._key,
            state=state,
            receipts=self.executor.receipts,
            wait_height=self.wait_height,
            addresses=self.config.peers,
        )

    def _connect_parts(self) -> None:
        config = self.config
        limits = msgspec.structs.asdict(config.mempool)
        self.backlog = Backlog(limits.pop("backlog_ms"))
        self.mempool = Mempool(MempoolLimits(**limits), self.verifier, self._admit, self.executor.locate)
        self.mempool.client_limit = self.backlog.limit
        self.mempool.on_departed = self.feed.decided
        self.watch = CensorshipWatch(self.mempool, config.consensus.view_timeout_ms)
        self.transport = Transport(
            key=self._key,
            genesis=self.domain.genesis,
            members=self.members,
            addresses=config.peers,
            handler=self,
            settings=TransportSettings(**msgspec.structs.asdict(config.transport)),
            seed=secrets.randbits(64),
        )
        self.ahead = signatures_ahead(config.node.signature_process, self.verifier, lambda: self.executor.tip.height)
        self.intake = Intake(self)
        self.gossip = Gossip(
            lambda payload: self.transport.broadcast(Channel.TRANSACTIONS, payload),
            self.intake.from_peer,
            partial(self.intake.begin, from_peer=True),
        )
        self.mempool.on_the_way = self.intake.on_the_way
        self.duplicates = duplicates_service(self, self._key)
        self.words = consensus_channel(self)
        deadlines, _ = keys.table(keys.DEADLINE)
        self.driver = Driver(
            replica=self.replica,
            executor=self.executor,
            blocks=self.blocks,
            mempool=self.mempool,
            next_deadline_ms=lambda: self.application.deadline_ms(self.state.first_key(deadlines)),
            chain_now_ms=self.clock.now_ms,
            real_ms_until=self.clock.real_ms_until,
            outgoing=self.words,
            observer=NodeObserver(self),
            settings=DriverSettings(
                block_transactions=config.consensus.block_transactions, block_bytes=config.consensus.block_bytes
            ),
            check_votes=self._verify.prepare if chosen().verifier.lanes > 1 else None,
        )
        fields = msgspec.structs.asdict(config.sync)
        del fields["ready_behind_blocks"]
        self.sync = Sync(
            chain=self.blocks,
            members=self.members,
            domain=self.domain,
            verify=self._verify,
            send=lambda replica, payload: self.transport.send(replica, Channel.SYNC, payload),
            deliver=self._synced,
            describe=lambda: (self.replica.view, self.replica.active, self.replica.voting),
            settings=SyncSettings(**fields),
            window=config.consensus.window,
        )

    def _synced(self, block: Block, certificate: CommitCertificate) -> None:
        self.driver.inbox.post_synced(block, certificate)
        self.ahead.synced(block)

    async def _listen(self) -> None:
        from node.api import build_client_app, build_operator_app
        from node.api.adapter import limits_of
        from node.api.listener import listen

        limits = limits_of(self.config)
        client_app = build_client_app(self)
        client_app.router.add_get(PEER_PATH, self.transport.accept)
        for app, section, is_client in (
            (client_app, self.config.listen, True),
            (build_operator_app(self), self.config.operator, False),
        ):
            try:
                listener, port = await listen(app, section.host, section.port, limits)
            except OSError as error:
                key = "listen.port" if is_client else "operator.port"
                raise ConfigError(
                    f"cannot listen on {section.host}:{section.port}: {error.strerror}", key=key
                ) from None
            self._listeners.append(listener)
            if is_client:
                self.port = port
            else:
                self.operator_port = port

    def request_stop(self, reason: str) -> None:
        """Ask the node to stop in good order; returns at once."""
        if not self.stop_reason:
            self.stop_reason = reason
            log.info("stopping: %s", reason)
            self._stopping.set()

    async def stop(self) -> None:
        """Stop in good order: no more votes, then no more connections, then the stores are closed."""
        self.request_stop("asked to")
        await self._close()

    async def wait_stopped(self) -> None:
        """Run until asked to stop or unable to go on, then stop. Raises what made it fail, if anything did."""
        await self._stopping.wait()
        await self._close()
        if self.failure is not None:
            raise self.failure

    async def _close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "ahead"):
            await self.ahead.stop()
        if hasattr(self, "transport"):
            await self.transport.stop()
        for listener in self._listeners:
            await listener.cleanup()
        try:
            if hasattr(self, "vault"):
                self.vault.store.close()
            if hasattr(self, "state"):
                self.state.close()
        except StoreError as error:
            # What was not written is computed again from the blocks; the first failure is the one to be told.
            self._fail(error, "closing the databases")
        finally:
            self.blocks.close()
            self._stopped.set()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._fail(task.exception(), task.get_name())

    def _fail(self, error: BaseException | None, where: str) -> None:
        """Our own disk, or a bug: stop before anything worse happens."""
        if self.failure is None and error is not None:
            self.failure = error
            is_expected = isinstance(error, (StoreError, InvariantBroken))
            log.critical("%s failed: %s", where, error, exc_info=None if is_expected else error)
            self.request_stop(f"{where} failed")

    # Transactions

    def _admit(self, transaction: Transaction, chain_ms: int) -> ResultCode:
        return self.application.admit(self.state.view(), transaction, chain_ms)

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        """Take in transactions of a client, and tell the peers. One answer for each, in order."""
        return await self.intake.submit(raws)

    def fate(self, id: bytes) -> Fate:
        """Where a transaction stands. What left without a block is remembered for a while only."""
        return fate_of(id, self.executor, self.mempool)

    async def wait_final(self, ids: Sequence[bytes], timeout: float) -> list[Fate]:
        """The fates of `ids`, as soon as all are final or after `timeout` seconds."""
        await self.feed.wait_decided(ids, self._is_decided, timeout)
        return [self.fate(id) for id in ids]

    def _is_decided(self, id: bytes) -> bool:
        if id in self.mempool:
            return False
        return self.mempool.departure(id) is not None or self.executor.locate(id) is not None

    async def wait_height(self, above: int, timeout: float) -> int:
        """The committed height as soon as it is greater than `above`, or whatever it is after `timeout` seconds."""
        return await self.feed.wait_height(above, timeout)

    # Word from the transport

    def peer_connected(self, replica: ReplicaId) -> None:
        self.sync.connected(replica)
        self.words.disconnected(replica)  # from the connection that this one replaces, if any
        self.driver.peer_connected(replica)

    def peer_disconnected(self, replica: ReplicaId, reason: str) -> None:
        self.sync.disconnected(replica)
        self.words.disconnected(replica)

    def peer_failed(self, error: Exception) -> None:
        self._fail(error, "serving a peer")

    async def peer_message(self, replica: ReplicaId, channel: Channel, payload: bytes) -> None:
        if channel is Channel.CONSENSUS:
            await self.words.received(replica, payload)
        elif channel is Channel.TRANSACTIONS:
            self.gossip.received(replica, payload)
        elif channel is Channel.DUPLICATES:
            self.duplicates.received(replica, payload)
        else:
            await self.sync.received(replica, payload)

    # Reading

    def chain_now_ms(self) -> int:
        return self.clock.now_ms()

    def behind(self) -> int:
        """Blocks that others have, by certificate, and this node has not."""
        return self.sync.behind

    def peers(self) -> list[dict[str, Any]]:
        """One entry for each other member, in their order; JSON-able."""
        return status.peers(self)

    def readiness(self) -> list[str]:
        """What keeps this node from being ready, in words; empty if it is."""
        return status.readiness(self)

    def status(self) -> dict[str, Any]:
        """Where this node stands; JSON-able."""
        return status.status(self)
