"""What the driver reports, passed on: to sync, to whoever waits, to the log, to the counters."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consensus.messages import Evidence
from consensus.types import Height, ReplicaId, View
from node.executor import Committed
from node.keyfile import mark_used
from node.link import steady_ms

if TYPE_CHECKING:
    from node.node import Node

log = logging.getLogger("weal.node")

_LOG_EVERY_MS: Final = 100
_ANNOUNCE_DELAY_S: Final = 0.1
"""When the pool has run empty, peers hear of the last block after this long: one word for a burst of blocks."""


class NodeObserver:
    """The `Observer` of one node's driver."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._is_announcing = False
        self._logged_ms = -_LOG_EVERY_MS
        self._unlogged: dict[str, Any] = {}
        """The line to come: the newest block, and what it tells of others."""
        self._log_timer: asyncio.TimerHandle | None = None

    def block_committed(self, committed: Committed, took_ms: int | None, latest_arrival: int) -> None:
        header = committed.block.header
        now_ms = steady_ms()
        self._node.counters["blocks"] += 1
        self._node.counters["transactions"] += len(committed.transactions)
        self._node.watch.committed(latest_arrival, len(committed.transactions), now_ms)
        if self._node.mempool.has_early:
            senders = {self._node.verifier.decode(raw).sender for raw in committed.block.transactions}
            if self._node.mempool.retry_early(sorted(senders), self._node.clock.now_ms(), now_ms):
                self._node.driver.work_arrived()
        self._node.backlog.committed(len(committed.transactions), len(self._node.mempool), now_ms)
        self._node.mempool.client_limit = self._node.backlog.limit
        self._node.verifier.forget(committed.block.transactions)
        self._node.sync.committed(now_ms)
        self._node.ahead.committed(header.height)
        self._node.feed.committed(header.height, committed.transactions)
        self._log(committed, took_ms, now_ms)
        if not self._is_announcing and len(self._node.mempool) == 0:
            self._is_announcing = True
            asyncio.get_running_loop().call_later(_ANNOUNCE_DELAY_S, self._announce)

    def _log(self, committed: Committed, took_ms: int | None, now_ms: int) -> None:
        """A line for each block, but not more than ten a second: then one line tells of several."""
        if not log.isEnabledFor(logging.INFO):
            return
        certificate = committed.certificate
        self._unlogged = {
            "height": committed.block.height,
            "view": certificate.view,
            "txs": self._unlogged.get("txs", 0) + len(committed.transactions),
            "votes": f"{len(certificate.signatures)}/{self._node.members.n}",
            "took": f"{took_ms}ms" if took_ms is not None else "synced",
            "blocks": self._unlogged.get("blocks", 0) + 1,
        }
        left_ms = self._logged_ms + _LOG_EVERY_MS - now_ms
        if left_ms <= 0:
            self._log_now()
        elif self._log_timer is None:
            self._log_timer = asyncio.get_running_loop().call_later(left_ms / 1000, self._log_now)

    def _log_now(self) -> None:
        if self._log_timer is not None:
            self._log_timer.cancel()
            self._log_timer = None
        fields, self._unlogged = self._unlogged, {}
        if fields["blocks"] == 1:
            del fields["blocks"]
        log.info("block committed", extra=fields)
        self._logged_ms = steady_ms()

    def _announce(self) -> None:
        self._is_announcing = False
        self._node.sync.announce()

    def fell_behind(self, height: Height) -> None:
        self._node.sync.reported(height)

    def view_entered(self, view: View, primary: ReplicaId, reason: str) -> None:
        self._node.counters["view changes"] += 1
        self._node.watch.view_entered(view, steady_ms())
        name = self._node.members.members[primary].name
        log.info(
            "view entered: %s", reason, extra={"view": view, "primary": name, "height": self._node.executor.tip.height}
        )

    def view_change_started(self, view: View, reason: str) -> None:
        log.warning("view change: %s", reason, extra={"view": view, "height": self._node.executor.tip.height})

    def voting_changed(self, voting: bool, reason: str) -> None:
        log.log(
            logging.INFO if voting else logging.WARNING,
            "this node votes: %s" if voting else "this node listens and does not vote: %s",
            reason,
            extra={"height": self._node.executor.tip.height},
        )

    def may_speak(self) -> None:
        mark_used(Path(self._node.config.node.key))

    def evidence_found(self, evidence: Evidence) -> None:
        self._node.counters["equivocations"] += 1
        name = self._node.members.members[evidence.first.replica].name
        path = self._node.evidence.keep(evidence)
        fields = {"peer": name, "height": evidence.first.height, "view": evidence.first.view, "file": path}
        log.error("a replica signed two votes in one slot; the proof is kept", extra=fields)
