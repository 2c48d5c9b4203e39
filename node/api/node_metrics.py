"""What a node's parts count, under the names of /metrics. Read at each scrape, so it costs nothing in between."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from node.ed25519.choice import chosen
from node.link import wall_ms

if TYPE_CHECKING:
    from node.node import Node

TIMED_TRANSACTIONS: Final = 20_000
"""Submitted transactions whose arrival is remembered until they are committed."""

HELP: Final[Mapping[str, str]] = {
    "weal_height": "Height of the last committed block.",
    "weal_chain_time_ms": "Time of the last committed block, chain milliseconds.",
    "weal_view": "Current view.",
    "weal_voting": "1 if this replica votes.",
    "weal_ready": "1 if nothing keeps this node from being ready.",
    "weal_behind_blocks": "Blocks that others have and this node has not.",
    "weal_blocks_total": "Blocks committed since the start.",
    "weal_transactions_total": "Transactions committed since the start.",
    "weal_view_changes_total": "Views entered since the start.",
    "weal_equivocations_total": "Pairs of contradicting votes found.",
    "weal_invalid_blocks_total": "Proposals refused after execution.",
    "weal_forwarded_transactions_total": "Transactions forwarded to the primary because they waited too long.",
    "weal_proposals_compact_total": "Proposals sent to a peer without the transactions it was told already.",
    "weal_proposals_rebuilt_total": "Such proposals of peers of which nothing was missing here.",
    "weal_proposals_asked_total": "Such proposals of peers of which transactions had to be asked for.",
    "weal_pool_transactions": "Pending transactions.",
    "weal_pool_bytes": "Memory of pending transactions.",
    "weal_pool_told_waiting": "Transactions of peers that wait to be checked.",
    "weal_pool_client_limit": "Clients are refused while so many wait; 0: no such limit.",
    "weal_pool_refused_total": "Transactions turned away for lack of room.",
    "weal_signatures_checked_total": "Transaction signatures verified.",
    "weal_signatures_checked_ahead_total": "Of them, verified by the process beside the node.",
    "weal_signature_lanes": "Signatures checked at once: 8 with crypto_mb, 1 with libsodium.",
    "weal_peers": "Other replicas of the member set.",
    "weal_peers_connected": "Peers connected.",
    "weal_peer_received_bytes_total": "Bytes received from peers.",
    "weal_peer_sent_bytes_total": "Bytes sent to peers.",
    "weal_peer_frames_rejected_total": "Connections and frames refused, by reason.",
    "weal_database_bytes": "Size on disk.",
    "weal_synced_writes_total": "Synced writes to the blocks database.",
    "weal_synced_write_seconds_total": "Time spent in them.",
    "weal_vault_items": "Evidence items whose encrypted bytes are here.",
    "weal_vault_bytes": "Size of those.",
    "weal_vault_openings_total": "Openings served since the start.",
    "weal_vault_waiting": "Evidence items to fetch or to destroy.",
    "weal_values_made_total": "Keyed values made for this node's clients.",
    "weal_values_answered_total": "Parts of keyed values made for other nodes.",
    "weal_values_today": "Keyed values made today (UTC), by the organisation that asked.",
    "weal_values_wrong_answers_total": "Parts of keyed values whose proof did not hold, by holder.",
    "weal_loop_lag_seconds": "How late the event loop was at the last tick.",
    "weal_tasks": "Tasks of the event loop.",
    "weal_uptime_seconds": "Since the start.",
}


def node_metrics(node: Node) -> Mapping[str, float]:
    """Values by name; labels as in `name{label="x"}`."""
    tip, status = node.executor.tip, node.replica.status()
    peers = node.transport.peers.values()
    links = [peer.link for peer in peers if peer.link is not None]
    values: dict[str, float] = {
        "weal_height": tip.height,
        "weal_chain_time_ms": tip.time_ms,
        "weal_view": status.view,
        "weal_voting": int(status.voting),
        "weal_ready": int(not node.readiness()),
        "weal_behind_blocks": node.sync.behind,
        "weal_blocks_total": node.counters["blocks"],
        "weal_transactions_total": node.counters["transactions"],
        "weal_view_changes_total": node.counters["view changes"],
        "weal_equivocations_total": node.counters["equivocations"],
        "weal_invalid_blocks_total": node.driver.counters["invalid blocks"],
        "weal_forwarded_transactions_total": node.counters["forwarded"],
        "weal_proposals_compact_total": node.words.counters["compact"],
        "weal_proposals_rebuilt_total": node.words.rebuilder.counters["rebuilt"],
        "weal_proposals_asked_total": node.words.rebuilder.counters["asked"],
        "weal_pool_transactions": len(node.mempool),
        "weal_pool_bytes": node.mempool.size_bytes,
        "weal_pool_told_waiting": node.gossip.waiting(2**40),
        "weal_pool_client_limit": node.mempool.client_limit or 0,
        "weal_pool_refused_total": node.mempool.refused,
        "weal_signatures_checked_total": node.verifier.checked,
        "weal_signatures_checked_ahead_total": node.ahead.checked,
        "weal_signature_lanes": chosen().verifier.lanes,
        "weal_peers": len(peers),
        "weal_peers_connected": len(links),
        "weal_peer_received_bytes_total": sum(p.bytes_in for p in peers) + sum(link.bytes_in for link in links),
        "weal_peer_sent_bytes_total": sum(p.bytes_out for p in peers) + sum(link.bytes_out for link in links),
        "weal_synced_writes_total": node.driver.counters["synced writes"],
        "weal_synced_write_seconds_total": node.driver.synced_write_ns / 1e9,
        "weal_vault_items": node.vault.store.items,
        "weal_vault_bytes": node.vault.store.used_bytes,
        "weal_vault_openings_total": node.vault.openings,
        "weal_vault_waiting": node.keeper.waiting,
        "weal_values_made_total": node.duplicates.made,
        "weal_values_answered_total": node.duplicates.answered,
        "weal_loop_lag_seconds": node.loop_lag_ms / 1000,
        "weal_tasks": len(asyncio.all_tasks()),
        "weal_uptime_seconds": node.status()["uptime_ms"] / 1000,
    }
    for name, database in (("blocks", node.blocks), ("state", node.state)):
        values[f'weal_database_bytes{{database="{name}"}}'] = database.size_bytes()
    today = node.duplicates.quota.used(wall_ms())
    for name in node.application.registry.names:
        values[f'weal_values_today{{organisation="{name}"}}'] = today.get(name, 0)
        values[f'weal_values_wrong_answers_total{{organisation="{name}"}}'] = node.duplicates.liars[name]
    for reason, count in node.transport.counters.items():
        values[f'weal_peer_frames_rejected_total{{reason="{reason}"}}'] = count
    return values


class ArrivalTimes:
    """When transactions of this node's own clients arrived, until they are committed."""

    def __init__(self) -> None:
        self._arrived_s: OrderedDict[bytes, float] = OrderedDict()

    def arrived(self, ids: Iterable[bytes], now_s: float) -> None:
        arrived = self._arrived_s
        for id in ids:
            arrived.setdefault(id, now_s)
        while len(arrived) > TIMED_TRANSACTIONS:
            arrived.popitem(last=False)

    def committed(self, ids: Iterable[bytes], now_s: float) -> list[float]:
        """Seconds from arrival to now of those of `ids` that arrived here."""
        arrived = self._arrived_s
        if not arrived:
            return []
        return [now_s - then for then in (arrived.pop(id, None) for id in ids) if then is not None]
