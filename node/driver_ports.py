"""What the driver needs of its surroundings: somewhere to send, and somebody to tell."""

from __future__ import annotations

from typing import Protocol

from consensus.messages import Evidence, Message
from consensus.types import Height, ReplicaId, View
from node.executor import Committed


class Outgoing(Protocol):
    """What carries consensus messages to peers."""

    def send(self, replica: ReplicaId, message: Message) -> None: ...

    def broadcast(self, message: Message) -> None: ...

    def misbehaved(self, replica: ReplicaId, reason: str) -> None: ...


class Observer(Protocol):
    """What the node wants to know."""

    def block_committed(self, committed: Committed, took_ms: int | None, latest_arrival: int) -> None:
        """A block is final and its state can be read. `took_ms`: since this node first saw it, if it did
        before it was final. `latest_arrival`: as `Mempool.committed` answers."""
        ...

    def fell_behind(self, height: Height) -> None: ...

    def view_entered(self, view: View, primary: ReplicaId, reason: str) -> None: ...

    def view_change_started(self, view: View, reason: str) -> None: ...

    def voting_changed(self, voting: bool, reason: str) -> None: ...

    def evidence_found(self, evidence: Evidence) -> None: ...

    def may_speak(self) -> None:
        """The journal says from now on that this replica may have voted; nothing of it has left yet."""
        ...
