"""Everything that can go into a replica. Time and randomness come in here or not at all."""

from __future__ import annotations

from enum import Enum

import msgspec

from consensus.block import Block
from consensus.messages import CommitCertificate, Message
from consensus.types import Digest, Height, ReplicaId, View


class Timer(Enum):
    """The timers a replica may set; setting one that runs restarts it."""

    PROGRESS = "progress"
    """Nothing was committed for too long while there was work: suspect the primary."""
    RESEND = "resend"
    """Say again what is still open, in case it was lost."""

    # Looked for after every event; the hash of Enum is a function of Python.
    __hash__ = object.__hash__


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Started(_Event, frozen=True):
    """First event after construction: open votes are said again, open blocks executed again."""


class Received(_Event, frozen=True):
    """A message from a peer whose identity the connection has proved. Its content is not yet checked."""

    sender: ReplicaId
    message: Message


class PeerConnected(_Event, frozen=True):
    """A connection to this replica was opened (again): greet it and repeat what is open."""

    replica: ReplicaId


class TimerFired(_Event, frozen=True):
    timer: Timer


class WorkChanged(_Event, frozen=True):
    """There is (or is no longer) something to order: pending transactions, or a deadline that is due.

    Send it again with `pending=True` when new work arrives after an empty `BlockBuilt`.
    """

    pending: bool


class BlockBuilt(_Event, frozen=True):
    """Answer to `Build`. `block` is None if there turned out to be nothing to propose."""

    view: View
    height: Height
    block: Block | None


class BlockExecuted(_Event, frozen=True):
    """Answer to `Execute`: `fault` is None if every root in the header matched, else what did not."""

    digest: Digest
    fault: str | None


class BlockSynced(_Event, frozen=True):
    """A committed block fetched from a peer; the certificate is checked again here."""

    block: Block
    certificate: CommitCertificate


class PrimarySuspected(_Event, frozen=True):
    """The node saw the primary of `view` misbehave in a way only it can see (censorship)."""

    view: View
    reason: str


Event = (
    Started
    | Received
    | PeerConnected
    | TimerFired
    | WorkChanged
    | BlockBuilt
    | BlockExecuted
    | BlockSynced
    | PrimarySuspected
)
