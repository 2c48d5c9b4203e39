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


class Persist(_Effect, frozen=True):
    """Write one journal entry, durably, before anything else is said."""

    key: bytes
    value: bytes


class Forget(_Effect, frozen=True):
    """Delete journal entries of slots that are final now. Carried out after the `Commit` effects before it
    are durable, never earlier: else a crash in between would forget votes of a slot still open. No sync needed."""

    keys: tuple[bytes, ...]


class PersistBlock(_Effect, frozen=True):
    """Keep a proposed block by its digest, durably. Committing it later only names the digest."""

    block: Block


class Send(_Effect, frozen=True):
    to: ReplicaId
    message: Message


class Broadcast(_Effect, frozen=True):
    """Send to every other replica."""

    message: Message


class SetTimer(_Effect, frozen=True):
    """(Re)start a timer."""

    timer: Timer
    delay_ms: int


class CancelTimer(_Effect, frozen=True):
    timer: Timer


class Build(_Effect, frozen=True):
    """The primary may propose: build a block on `parent` and answer with `BlockBuilt`.

    The driver must not include transactions that are in `parent` or its uncommitted ancestors.
    """

    view: View
    height: Height
    parent: Header


class Execute(_Effect, frozen=True):
    """Execute a block on its parent's state and answer with `BlockExecuted`.

    In each view blocks come in height order from above the committed tip, so the parent was executed
    before; a block executed already (in an earlier view) may be answered from memory. The core has checked
    the header's chain, height, parent, member set, time and the transactions' root; the driver checks the
    transactions, the receipts' root and the state root.
    """

    block: Block


class Commit(_Effect, frozen=True):
    """The block is final. Heights come in order, each exactly once. It may not have been executed yet
    (sync): then execute it now; a root that differs is `InvariantBroken`."""

    block: Block
    certificate: CommitCertificate


class Behind(_Effect, frozen=True):
    """Peers have final blocks up to at least `height`: fetch them."""

    height: Height


class ReportEvidence(_Effect, frozen=True):
    """A replica equivocated: keep, gossip and record it. Emitted once per pair of slot and replica."""

    evidence: Evidence


class ViewEntered(_Effect, frozen=True):
    view: View
    primary: ReplicaId
    reason: str


class ViewChangeStarted(_Effect, frozen=True):
    """This replica asks for `view`."""

    view: View
    reason: str


class Misbehaviour(_Effect, frozen=True):
    """A peer sent something no honest replica sends: count it against its connection."""

    sender: ReplicaId
    reason: str


class ProposalRejected(_Effect, frozen=True):
    """This replica does not vote for what the primary proposed. If the others do, its clock or state differs."""

    view: View
    height: Height
    reason: str


class VotingChanged(_Effect, frozen=True):
    """Whether this replica votes. It listens only after a start, or after it lost its disk."""

    voting: bool
    reason: str


Effect = (
    Persist
    | Forget
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
    | ProposalRejected
    | VotingChanged
)
