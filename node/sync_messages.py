"""What nodes say to each other on the sync channel."""

from __future__ import annotations

from consensus.block import Block
from consensus.messages import CommitCertificate
from consensus.types import Wire


class Announce(Wire, frozen=True, tag=1):
    """Where the sender stands. `certificate` proves `height`; left out if it was shown before."""

    height: int
    view: int
    is_active: bool
    is_voting: bool
    certificate: CommitCertificate | None


class RangeRequest(Wire, frozen=True, tag=2):
    number: int
    first: int
    count: int


class SyncedBlock(Wire, frozen=True):
    block: Block
    certificate: CommitCertificate


class RangeReply(Wire, frozen=True, tag=3):
    """Answer to the request of this number: blocks from its first height on, as many as fit."""

    number: int
    blocks: tuple[SyncedBlock, ...]


SyncMessage = Announce | RangeRequest | RangeReply
