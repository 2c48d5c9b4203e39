"""Proposals for tests of their compact form, of transactions that only look like some, and a backup that rebuilds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha512

from consensus.block import Block, Header
from consensus.merkle import rfc6962_root
from consensus.messages import Phase, Proposal, Vote
from consensus.quorum import Member, MemberSet
from consensus.types import Digest, Height, PublicKey, ReplicaId, Signature, View
from node.claims.transaction import id_of
from node.compact import CompactProposal, TransactionsReply, TransactionsRequest, compact
from node.known import KnownTransactions
from node.rebuilder import Rebuilder

MEMBERS = MemberSet(epoch=0, members=tuple(Member(name=n, key=PublicKey(n.encode() * 32)) for n in "abcd"))
PRIMARY = ReplicaId(0)
WINDOW = 4
ANSWER_MS = 1_000


def fake(number: int, *, signature: int = 0, size: int = 200) -> bytes:
    """Bytes of a transaction as far as its id and its tag go; `signature`: which of several for one content."""
    content = b"\x96" + number.to_bytes(8, "big").rjust(size - 67, b"\x01")
    return content + b"\xc4\x40" + sha512(b"%d of %d" % (signature, number)).digest()


def forged(raw: bytes) -> bytes:
    """Made up of a transaction that somebody signed: same id, same tag, and not the same."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def propose(
    raws: Sequence[bytes], *, height: int = 1, view: int = 0, sender: int = 0, lie: bool = False, time_ms: int = 1
) -> Proposal:
    """`lie`: the header is of other transactions."""
    header = Header(
        genesis=Digest(bytes(32)),
        epoch=0,
        height=Height(height),
        time_ms=time_ms,
        parent=Digest(bytes(32)),
        transaction_count=len(raws),
        transactions_root=Digest(bytes(32)) if lie else rfc6962_root(raws),
        receipts_root=Digest(bytes(32)),
        state_root=Digest(bytes(32)),
        members=Digest(bytes(32)),
    )
    vote = Vote(
        phase=Phase.PRE_PREPARE,
        view=View(view),
        height=Height(height),
        digest=header.digest,
        replica=ReplicaId(sender),
        signature=Signature(bytes(64)),
    )
    return Proposal(vote=vote, block=Block(header=header, transactions=tuple(raws)))


def shorten(proposal: Proposal) -> CompactProposal:
    return compact(proposal, [id_of(raw) for raw in proposal.block.transactions])


class Backup:
    """A rebuilder and what its node has; stands for the pool, too."""

    def __init__(self, *pool: bytes) -> None:
        self.pool = {id_of(raw): raw for raw in pool}
        self.aside: list[bytes] = []
        self.unchecked: dict[bytes, bytes] = {}
        self.searches = 0
        self.view, self.height = View(0), Height(0)
        self.now_ms = 0
        self.questions: list[tuple[ReplicaId, TransactionsRequest]] = []
        self.blamed: list[ReplicaId] = []
        self.rebuilder = Rebuilder(
            members=MEMBERS,
            window=WINDOW,
            answer_ms=ANSWER_MS,
            position=lambda: (self.view, self.height),
            find=KnownTransactions(self, self._search).find,
            ask=lambda replica, request: self.questions.append((replica, request)),
            misbehaved=lambda replica, reason: self.blamed.append(replica),
        )

    def raws(self, ids: Sequence[bytes]) -> list[bytes | None]:
        return [self.pool.get(id) for id in ids]

    def early(self) -> Iterator[tuple[bytes, bytes]]:
        return ((id_of(raw), raw) for raw in self.aside)

    def _search(self, ids: object) -> dict[bytes, bytes]:
        self.searches += 1
        return self.unchecked

    def take(self, proposal: Proposal, sender: ReplicaId | None = None) -> list[Proposal | Vote]:
        """The compact form of a proposal comes in."""
        by = proposal.vote.replica if sender is None else sender
        return self.rebuilder.received(by, shorten(proposal), self.now_ms)

    def hear(self, digest: Digest, *raws: bytes, sender: ReplicaId = PRIMARY) -> list[Proposal | Vote]:
        """An answer comes in."""
        return self.rebuilder.answered(sender, TransactionsReply(digest=digest, transactions=raws))
