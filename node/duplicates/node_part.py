"""The service as part of a running node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from consensus.types import ReplicaId
from node.crypto import SigningKey
from node.duplicates.quota import Quota
from node.duplicates.service import DuplicatesService
from node.frames import Channel
from node.link import wall_ms
from node.transport import Transport

if TYPE_CHECKING:
    from node.node import Node

QUOTA_FILE: Final = "values-made.json"


class TransportPeers:
    """The duplicates channel of the node's connections."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def connected(self) -> Sequence[ReplicaId]:
        return self._transport.connected()

    def send(self, replica: ReplicaId, payload: bytes) -> bool:
        return self._transport.send(replica, Channel.DUPLICATES, payload)


def duplicates_service(node: Node, key: SigningKey) -> DuplicatesService:
    settings, state = node.config.duplicates, node.state
    return DuplicatesService(
        registry=node.application.registry,
        state=state.view,
        names=[member.name for member in node.members.members],
        own=node.id,
        seed=key.seed,
        quota=Quota(node.data_dir / QUOTA_FILE, settings.values_per_day),
        peers=TransportPeers(node.transport),
        now_ms=wall_ms,
        timeout_ms=settings.timeout_ms,
    )
