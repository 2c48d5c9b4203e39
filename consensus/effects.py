"""Everything that can come out of a replica.

The driver carries effects out in order. All `Persist` and `PersistBlock` effects of one step are one
synced write that is complete before any `Send` or `Broadcast` of that step leaves the machine.
"""

from __future__ import annotations

import msgspec

from consensus.block import Block, Header
from consensus.events import Timer
from consensus.messages import CommitCertificate, Evidence, Message
from consensus.types import Height, ReplicaId, View


class _Effect(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Persist(_Effect):
    """Write (or with value None delete) one journal entry, durably, before anything else is said."""

    key: bytes
    value: bytes | None


class PersistBlock(_Effect):
    """Keep a proposed block by its digest, durably. Committing it later only names the digest."""

    block: Block


class Send(_Effect):
    to: ReplicaId
    message: Message


class Broadcast(_Effect):
    """Send to every other replica."""

    message: Message


class SetTimer(_Effect):
    """(Re)start a timer."""

    timer: Timer
    delay_ms: int


class CancelTimer(_Effect):
    timer: Timer


class Build(_Effect):
    """The primary may propose: build a block on `parent` and answer with `BlockBuilt`.

    The driver must not include transactions that are in `parent` or its uncommitted ancestors.
    """

    view: View
    height: Height
    parent: Header


class Execute(_Effect):
    """Execute a block on its parent's state and answer with `BlockExecuted`.

    `check_time`: the block is proposed for the first time, so its time must be near this node's clock.
    The core already checked `time_ms > parent.time_ms` and the distance to the clock; the driver checks
    the transactions and the roots.
    """

    block: Block


class Commit(_Effect):
    """The block is final. Heights come in order, each exactly once. It may not have been executed yet
    (sync): then execute it now; a root that differs is `InvariantBroken`."""

    block: Block
    certificate: CommitCertificate


class Behind(_Effect):
    """Peers have final blocks up to at least `height`: fetch them."""

    height: Height


class ReportEvidence(_Effect):
    """A replica equivocated: keep, gossip and record it. Emitted once per pair of slot and replica."""

    evidence: Evidence


class ViewEntered(_Effect):
    view: View
    primary: ReplicaId
    reason: str


class ViewChangeStarted(_Effect):
    """This replica asks for `view`."""

    view: View
    reason: str


class Misbehaviour(_Effect):
    """A peer sent something no honest replica sends: count it against its connection."""

    sender: ReplicaId
    reason: str


class VotingChanged(_Effect):
    """Whether this replica votes. It listens only after a start, or after it lost its disk."""

    voting: bool
    reason: str


Effect = (
    Persist
    | PersistBlock
    | Send
    | Broadcast
    | SetTimer
    | CancelTimer
    | Build
    | Execute
    | Commit
    | Behind
    | ReportEvidence
    | ViewEntered
    | ViewChangeStarted
    | Misbehaviour
    | VotingChanged
)
