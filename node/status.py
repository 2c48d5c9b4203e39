"""What a node tells operators about itself: readiness in words, status, peers, metrics."""

from __future__ import annotations

from statistics import median_low
from typing import TYPE_CHECKING, Any

from node.link import steady_ms

if TYPE_CHECKING:
    from node.node import Node


def clock_skew_ms(node: Node) -> int | None:
    """How far the peers' wall clocks are ahead of this one, in the middle; None without peers."""
    links = [peer.link for peer in node.transport.peers.values() if peer.link is not None]
    offsets = [link.clock_offset_ms for link in links if link.clock_offset_ms is not None]
    return median_low(offsets) if offsets else None


def readiness(node: Node) -> list[str]:
    """What keeps the node from being ready; empty if it is."""
    reasons: list[str] = []
    if node.stop_reason:
        reasons.append(f"stopping: {node.stop_reason}")
    needed, connected = node.members.quorum - 1, len(node.transport.connected())
    if connected < needed:
        reasons.append(f"{connected} peers connected, a quorum needs {needed}")
    if node.sync.behind > node.config.sync.ready_behind_blocks:
        reasons.append(f"catching up: {node.sync.behind} blocks behind height {node.sync.target}")
    replica = node.replica.status()
    if not replica.voting:
        reasons.append(f"not voting: {replica.voting_reason}")
    skew_ms = clock_skew_ms(node)
    if skew_ms is not None and abs(skew_ms) > node.config.consensus.max_clock_skew_ms:
        direction = "behind" if skew_ms > 0 else "ahead of"
        reasons.append(f"this clock is {abs(skew_ms)} ms {direction} the peers'; set it with NTP")
    return reasons


def peers(node: Node) -> list[dict[str, Any]]:
    """One entry for each other member, in their order."""
    entries: list[dict[str, Any]] = []
    for replica, peer in node.transport.peers.items():
        link, said = peer.link, node.sync.peers.get(replica)
        entries.append(
            {
                "name": peer.name,
                "connected": link is not None,
                "address": peer.address,
                "direction": None if link is None else ("dialled" if link.dialed else "accepted"),
                "height": None if said is None else said.height,
                "view": None if said is None else said.view,
                "voting": None if said is None else said.is_voting,
                "round_trip_ms": None if link is None else link.round_trip_ms,
                "clock_offset_ms": None if link is None else link.clock_offset_ms,
                "isolated": peer.name in node.transport.blocked,
                "misbehaviour": peer.penalties.total,
                "last_error": peer.last_error,
            }
        )
    return entries


def status(node: Node) -> dict[str, Any]:
    """Where the node stands."""
    tip, replica = node.executor.tip, node.replica.status()
    return {
        "chain": node.genesis.chain,
        "genesis": node.domain.genesis.hex(),
        "node": node.name,
        "version": node.version,
        "height": tip.height,
        "digest": tip.digest.hex(),
        "state_root": tip.state_root.hex(),
        "time_ms": tip.time_ms,
        "chain_now_ms": node.clock.now_ms(),
        "time_scale": node.genesis.time_scale,
        "view": replica.view,
        "primary": node.members.members[replica.primary].name,
        "active": replica.active,
        "voting": replica.voting,
        "voting_reason": replica.voting_reason,
        "members": [member.name for member in node.members.members],
        "quorum": node.members.quorum,
        "peers": peers(node),
        "mempool": {"transactions": len(node.mempool), "bytes": node.mempool.size_bytes},
        "sync": {"target": node.sync.target, "behind": node.sync.behind, "fetched": node.sync.fetched},
        "uptime_ms": steady_ms() - node.started_ms,
        "ready": not readiness(node),
    }
