"""Small builders for messages, certificates and replicas of the core's unit tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consensus.block import Block, Header
from consensus.effects import Effect, Execute
from consensus.events import BlockExecuted, Event, PeerConnected, Received, Started
from consensus.messages import (
    CommitCertificate,
    Domain,
    Greeting,
    Message,
    NewView,
    Phase,
    PreparedCertificate,
    Proposal,
    ViewChange,
    Vote,
)
from consensus.quorum import MemberSet
from consensus.replica import Replica, ReplicaConfig
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.sim.application import GENESIS_TIME_MS, genesis_header, make_block
from tests.sim.signatures import Scheme, scheme

NOW = GENESIS_TIME_MS + 1_000


class Chain:
    """Keys, genesis and builders of one chain of `n` replicas."""

    def __init__(self, n: int = 4) -> None:
        self.scheme: Scheme = scheme(n)
        self.members: MemberSet = self.scheme.members
        self.genesis: Header = genesis_header(self.members)
        self.domain = Domain(genesis=self.genesis.genesis, epoch=0, members=self.members.digest)

    def block(self, name: str, parent: Header | None = None, time_ms: int = NOW) -> Block:
        return make_block(parent or self.genesis, (name.encode(),), time_ms)

    def vote(self, phase: Phase, replica: int, block: Block, view: int = 0) -> Vote:
        return self.raw_vote(phase, replica, view, block.height, block.digest)

    def raw_vote(self, phase: Phase, replica: int, view: int, height: int, digest: Digest) -> Vote:
        message = self.domain.vote(phase, View(view), Height(height), digest, ReplicaId(replica))
        return Vote(
            phase=phase,
            view=View(view),
            height=Height(height),
            digest=digest,
            replica=ReplicaId(replica),
            signature=self.scheme.signer(replica)(message),
        )

    def proposal(self, block: Block, view: int = 0) -> Proposal:
        return Proposal(vote=self.vote(Phase.PRE_PREPARE, self.members.primary(View(view)), block, view), block=block)

    def commit_certificate(self, block: Block, signers: Iterable[int] = (0, 1, 2), view: int = 0) -> CommitCertificate:
        votes = [self.vote(Phase.COMMIT, signer, block, view) for signer in signers]
        return CommitCertificate(
            view=View(view),
            height=block.height,
            digest=block.digest,
            signatures=tuple((vote.replica, vote.signature) for vote in votes),
        )

    def prepared(self, block: Block, signers: Iterable[int] = (1, 2), view: int = 0) -> PreparedCertificate:
        votes = [self.vote(Phase.PREPARE, signer, block, view) for signer in signers]
        return PreparedCertificate(
            view=View(view),
            header=block.header,
            pre_prepare=self.vote(Phase.PRE_PREPARE, self.members.primary(View(view)), block, view).signature,
            prepares=tuple((vote.replica, vote.signature) for vote in votes),
        )

    def view_change(
        self,
        replica: int,
        view: int,
        committed: CommitCertificate | None = None,
        prepared: tuple[PreparedCertificate, ...] = (),
    ) -> ViewChange:
        fields: dict[str, Any] = {
            "view": View(view),
            "committed": committed,
            "prepared": prepared,
            "replica": ReplicaId(replica),
        }
        unsigned = ViewChange(**fields, signature=Signature(b""))
        return ViewChange(**fields, signature=self.scheme.signer(replica)(self.domain.view_change(unsigned)))

    def new_view(self, view: int, changes: Iterable[ViewChange]) -> NewView:
        primary = self.members.primary(View(view))
        fields: dict[str, Any] = {"view": View(view), "view_changes": tuple(changes), "replica": primary}
        unsigned = NewView(**fields, signature=Signature(b""))
        return NewView(**fields, signature=self.scheme.signer(primary)(self.domain.new_view(unsigned)))

    def greeting(self, view: int = 0, certificate: CommitCertificate | None = None, **more: Any) -> Greeting:
        fields: dict[str, Any] = {"held": (), "held_view_change": None, "asks": False, **more}
        return Greeting(view=View(view), certificate=certificate, **fields)

    def replica(self, identity: int, *, journal: dict[bytes, bytes] | None = None, **more: Any) -> Replica:
        """A replica that has not started."""
        config = more.pop("config", ReplicaConfig(window=4, rotate_blocks=0))
        stored: dict[Digest, Block] = more.pop("stored", {})
        return Replica(
            config=config,
            replica=ReplicaId(identity),
            members=self.members,
            genesis=self.genesis,
            tip=more.pop("tip", self.genesis),
            certificate=more.pop("certificate", None),
            journal=journal or {},
            blocks=stored.get,
            sign=self.scheme.signer(identity),
            verify=self.scheme.verify,
            **more,
        )

    def started(self, identity: int, **more: Any) -> Replica:
        """A replica that has started and heard the greetings of all others."""
        replica = self.replica(identity, **more)
        replica.handle(Started(), NOW)
        for peer in range(self.members.n):
            if peer != identity:
                replica.handle(PeerConnected(replica=ReplicaId(peer)), NOW)
                receive(replica, peer, self.greeting())
        assert replica.voting
        return replica


def feed(replica: Replica, event: Event, now_ms: int = NOW) -> list[Effect]:
    """Handle an event; blocks to be executed are found good at once. Returns all effects, in order."""
    effects = replica.handle(event, now_ms)
    done = list(effects)
    for effect in effects:
        if isinstance(effect, Execute):
            done += feed(replica, BlockExecuted(digest=effect.block.digest, fault=None), now_ms)
    return done


def receive(replica: Replica, sender: int, message: Message, now_ms: int = NOW) -> list[Effect]:
    return feed(replica, Received(sender=ReplicaId(sender), message=message), now_ms)


def said(effects: Iterable[Effect]) -> list[Message]:
    """The messages among effects, in order."""
    return [message for effect in effects if (message := getattr(effect, "message", None)) is not None]


def votes(effects: Iterable[Effect], phase: Phase) -> list[Vote]:
    return [message for message in said(effects) if isinstance(message, Vote) and message.phase is phase]


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]
