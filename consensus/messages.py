"""What replicas say to each other, and the certificates made of it.

Every signature covers a tag for the kind, the genesis digest, the epoch, the member set's digest and
every field of the message (`Domain`), so nothing can be replayed on another chain, in another epoch,
or as another kind. Source: Castro & Liskov 1999, section 4; docs/protocol.md.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import sha256

import msgspec

from consensus.block import Block, Header
from consensus.types import Digest, Height, ReplicaId, Signature, View, Wire


class Phase(IntEnum):
    """The three phases of the normal case."""

    PRE_PREPARE = 1
    PREPARE = 2
    COMMIT = 3

    # Every look into a table of votes hashes a phase; that of Enum is a function of Python.
    __hash__ = int.__hash__


class Vote(Wire, frozen=True, tag=1):
    """One replica's signed word on one slot. The primary's pre-prepare counts as its prepare."""

    phase: Phase
    view: View
    height: Height
    digest: Digest
    replica: ReplicaId
    signature: Signature


class Proposal(Wire, frozen=True, tag=2):
    """A pre-prepare together with the block it names. The block is covered by the digest."""

    vote: Vote
    block: Block


class PreparedCertificate(Wire, frozen=True):
    """Proof that a quorum accepted one block in one view: the pre-prepare and prepares of others.

    `prepares` is sorted by replica, has no duplicates and does not contain the view's primary.
    """

    view: View
    header: Header
    pre_prepare: Signature
    prepares: tuple[tuple[ReplicaId, Signature], ...]


class CommitCertificate(Wire, frozen=True):
    """A quorum of commit signatures on one header, in one view: proof that the block is final.

    `signatures` is sorted by replica and has no duplicates.
    """

    view: View
    height: Height
    digest: Digest
    signatures: tuple[tuple[ReplicaId, Signature], ...]


class ViewChange(Wire, frozen=True, tag=3):
    """Asks for `view`; says what is final for the sender and what it had prepared above.

    `prepared` is linked by parent, contiguous in height, and starts right above `committed`.
    `committed` is None while the sender's chain holds only genesis.
    """

    view: View
    committed: CommitCertificate | None
    prepared: tuple[PreparedCertificate, ...]
    replica: ReplicaId
    signature: Signature


class NewView(Wire, frozen=True, tag=4):
    """The primary of `view` shows a quorum of view changes; everyone recomputes what follows."""

    view: View
    view_changes: tuple[ViewChange, ...]
    replica: ReplicaId
    signature: Signature


class BlockRequest(Wire, frozen=True, tag=5):
    """Asks a peer for a block by digest. Unsigned: the answer proves itself."""

    digest: Digest


class BlockReply(Wire, frozen=True, tag=6):
    """A block somebody asked for."""

    block: Block


class Notice(Wire, frozen=True, tag=7):
    """A commit certificate for a peer that is behind. It proves itself."""

    certificate: CommitCertificate


class Status(Wire, frozen=True, tag=8):
    """Where the sender stands. A hint only: nothing is decided by it."""

    view: View
    height: Height
    active: bool
    """False while the sender waits for a new view."""


class Greeting(Wire, frozen=True, tag=9):
    """First word on every connection: where the sender stands, and what it holds of the peer's own.

    `held` are signed votes and `held_view_change` the view change *of the receiver* that the sender has
    seen: a receiver that does not know them has lost its disk and must not vote yet.
    """

    view: View
    certificate: CommitCertificate | None
    held: tuple[Vote, ...]
    held_view_change: ViewChange | None
    asks: bool
    """The sender still waits for greetings before it may vote: answer with one. Greetings may be lost too."""


class Evidence(Wire, frozen=True, tag=10):
    """Two votes of one replica for different blocks in one slot: equivocation, provable to anybody."""

    first: Vote
    second: Vote


Message = Vote | Proposal | ViewChange | NewView | BlockRequest | BlockReply | Notice | Status | Greeting | Evidence


class Domain(Wire, frozen=True):
    """Names the chain and the member set; the prefix of everything signed."""

    genesis: Digest
    epoch: int
    members: Digest

    def vote(self, phase: Phase, view: View, height: Height, digest: Digest, replica: ReplicaId) -> bytes:
        """Bytes a vote's signature covers."""
        fields = ("weal/vote/1", self.genesis, self.epoch, self.members, int(phase), view, height, digest, replica)
        return msgspec.msgpack.encode(fields)

    def view_change(self, message: ViewChange) -> bytes:
        """Bytes a view change's signature covers: everything but the signature, hashed."""
        body = msgspec.msgpack.encode((message.view, message.committed, message.prepared, message.replica))
        fields = ("weal/view-change/1", self.genesis, self.epoch, self.members, sha256(body).digest())
        return msgspec.msgpack.encode(fields)

    def new_view(self, message: NewView) -> bytes:
        """Bytes a new view's signature covers: everything but the signature, hashed."""
        body = msgspec.msgpack.encode((message.view, message.view_changes, message.replica))
        fields = ("weal/new-view/1", self.genesis, self.epoch, self.members, sha256(body).digest())
        return msgspec.msgpack.encode(fields)
