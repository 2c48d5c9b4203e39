"""Proposals without the transactions that gossip has told already: an id and a tag stand for each.

    CompactProposal       primary -> backup   vote, header, ids, tags
    TransactionsRequest   backup -> primary   which of them it does not have
    TransactionsReply     primary -> backup   those

An id leaves the signature out: a sender who tells one content with two signatures would make backups rebuild a block
that is not the proposed one. So 16 bytes of the signature go along. With them what is rebuilt of transactions whose
signatures have been checked is the proposed block, and only what lacks is fetched. Ids, not hashes made for this: the
pool has them already, so that where links are fast all this costs no more than whole proposals do. It is between the
nodes: the core hands over and receives whole proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import unpack
from typing import Annotated, Final

from msgspec import Meta

from consensus.block import Header
from consensus.codec import MAX_MESSAGE_BYTES, decode
from consensus.errors import DecodeError
from consensus.messages import Message, Proposal, Vote
from consensus.types import Digest, Wire
from node.block_rules import BlockLimits

ID_BYTES: Final = 32
TAG: Final = slice(-40, -24)
"""Of a transaction's bytes: the end of its signature's R and the beginning of its S. Two valid signatures for one
content that are equal there take 2^64 tries. The prize: some backups blame the primary once and get the block later."""
TAG_BYTES: Final = 16
LARGEST: Final = BlockLimits()

_REST_BYTES: Final = 1_024
"""More than vote, header and the lengths in front take."""


class CompactProposal(Wire, frozen=True, tag=11):
    """A proposal with an id and a tag in place of each transaction, in the block's order, one behind the other."""

    vote: Vote
    header: Header
    ids: bytes
    tags: bytes

    def split_ids(self) -> tuple[bytes, ...]:
        """The ids, one by one. Raises DecodeError unless there is one, with a tag, for each transaction of a block."""
        count = self.header.transaction_count
        fits = len(self.ids) == count * ID_BYTES and len(self.tags) == count * TAG_BYTES
        if count > LARGEST.max_block_transactions or not fits:
            raise DecodeError(f"{len(self.ids)} bytes of ids and {len(self.tags)} of tags for {count} transactions")
        return unpack("32s" * count, self.ids)

    def tag(self, place: int) -> bytes:
        return self.tags[place * TAG_BYTES : (place + 1) * TAG_BYTES]


class TransactionsRequest(Wire, frozen=True, tag=12):
    """Asks who sent a compact proposal for what is missing here, once."""

    digest: Digest
    missing: Annotated[tuple[int, ...], Meta(min_length=1, max_length=LARGEST.max_block_transactions)]
    """Places in the block, rising."""

    def fits(self, count: int) -> bool:
        """Are these places in a block of `count` transactions, each once and in order?"""
        rising = all(low < high for low, high in zip(self.missing, self.missing[1:], strict=False))
        return rising and self.missing[0] >= 0 and self.missing[-1] < count


class TransactionsReply(Wire, frozen=True, tag=13):
    """What was asked for, in that order; nothing at all if the sender does not have the block any more."""

    digest: Digest
    transactions: tuple[bytes, ...]


PeerMessage = Message | CompactProposal | TransactionsRequest | TransactionsReply
"""All that travels on the channel of consensus."""

_MOST: Final = {
    11: _REST_BYTES + LARGEST.max_block_transactions * (ID_BYTES + TAG_BYTES),
    12: _REST_BYTES + LARGEST.max_block_transactions * 3,
    13: _REST_BYTES + LARGEST.max_block_transactions * 5 + LARGEST.max_block_bytes,
}
"""Bytes of a message by its tag, which is the second byte of a canonical one; of the others the core's bound holds."""


def decode_peer_message(data: bytes) -> PeerMessage:
    """One message from a peer. Raises DecodeError."""
    limit = _MOST.get(data[1], MAX_MESSAGE_BYTES) if len(data) > 1 else 0
    return decode(PeerMessage, data, limit)  # type: ignore[arg-type]


def compact(proposal: Proposal, ids: Sequence[bytes]) -> CompactProposal:
    """`ids`: of the block's transactions, in order."""
    tags = [raw[TAG] for raw in proposal.block.transactions]
    return CompactProposal(vote=proposal.vote, header=proposal.block.header, ids=b"".join(ids), tags=b"".join(tags))


def saved_bytes(raws: Sequence[bytes]) -> int:
    """How much shorter the compact form of a proposal of these transactions is, about."""
    return sum(map(len, raws)) - len(raws) * (ID_BYTES + TAG_BYTES)
