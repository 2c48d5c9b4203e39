"""Faulty replicas: the production core with a liar in front of its mouth.

Each faulty node runs one or more tactics. A tactic sees what the core wants to say, for each receiver, and
says something else instead or besides. Faulty replicas share one adversary: it knows all their keys, what they
hear and which block is shown to whom; it has no key of an honest replica.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from consensus.block import Block, Header
from consensus.messages import (
    CommitCertificate,
    Greeting,
    Message,
    NewView,
    Phase,
    PreparedCertificate,
    Proposal,
    Status,
    ViewChange,
    Vote,
)
from consensus.types import Digest, Height, ReplicaId, Signature, View
from tests.sim.application import make_block
from tests.sim.checks import Violation
from tests.sim.node import Node, SyncReply

if TYPE_CHECKING:
    from consensus.effects import Effect
    from consensus.events import Event
    from tests.sim.cluster import Cluster

replace = msgspec.structs.replace
HEARD_MAX = 64
FAR = 1 << 40


class Adversary:
    """What the faulty replicas of a cluster know together."""

    def __init__(self, cluster: Cluster, replicas: frozenset[int], random: Random) -> None:
        self.sim = cluster
        self.replicas = replicas
        self.random = random
        self._sign = {replica: cluster.scheme.signer(replica) for replica in sorted(replicas)}
        self._audience: dict[tuple[int, int], frozenset[int]] = {}
        self.others: dict[tuple[int, int], Digest] = {}
        """The second block of a slot, shown to the audience of that slot only."""
        self.view_changes: dict[tuple[int, int], ViewChange] = {}
        self.heard: deque[Message] = deque(maxlen=HEARD_MAX)
        self.digests: dict[tuple[int, int], set[Digest]] = {}

    def audience(self, view: int, height: int) -> frozenset[int]:
        """The replicas that are shown the second block of a slot."""
        key = (view, height)
        known = self._audience.get(key)
        if known is None:
            honest = [r for r in range(self.sim.members.n) if r not in self.replicas]
            chosen = self.random.sample(honest, self.random.randint(1, max(1, len(honest) - 1)))
            known = self._audience[key] = frozenset(chosen)
        return known

    def vote(self, replica: int, phase: Phase, view: int, height: int, digest: Digest) -> Vote:
        message = self.sim.domain.vote(phase, View(view), Height(height), digest, ReplicaId(replica))
        return Vote(
            phase=phase,
            view=View(view),
            height=Height(height),
            digest=digest,
            replica=ReplicaId(replica),
            signature=self._sign[replica](message),
        )

    def view_change(self, message: ViewChange) -> ViewChange:
        """The same view change, signed as it stands now."""
        unsigned = replace(message, signature=Signature(b""))
        signature = self._sign[message.replica](self.sim.domain.view_change(unsigned))
        return replace(unsigned, signature=signature)

    def new_view(self, message: NewView) -> NewView:
        unsigned = replace(message, signature=Signature(b""))
        return replace(unsigned, signature=self._sign[message.replica](self.sim.domain.new_view(unsigned)))

    def hears(self, message: Message) -> None:
        self.heard.append(message)
        vote = message.vote if isinstance(message, Proposal) else message
        if isinstance(vote, Vote):
            self.digests.setdefault((vote.view, vote.height), set()).add(vote.digest)
            if len(self.digests) > 4 * HEARD_MAX:
                del self.digests[min(self.digests)]
        if isinstance(message, ViewChange):
            self.view_changes[message.view, message.replica] = message

    def other_block(self, view: int, block: Block, parent: Header) -> Block:
        """A second valid block for the slot of `block`: the same transactions in another order, or fewer."""
        transactions = block.transactions[1:] + block.transactions[:1] if len(block.transactions) > 1 else ()
        other = make_block(parent, transactions, block.header.time_ms + 1)
        self.sim.checker.knows(other.header)
        self.others[view, block.height] = other.digest
        return other


Tactic = Callable[["FaultyNode", int, Message], list[Message]]
"""(node, receiver, what the core wants to say) -> what is said. Called once for each receiver."""


def silent(node: FaultyNode, to: int, message: Message) -> list[Message]:
    return []


def selective(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Talks to some, and every now and then to others."""
    period = node.sim.now // 150
    return [message] if Random(f"{node.seed}/{to}/{period}").random() < 0.6 else []


def equivocate(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """As primary: two blocks in one slot, each with votes of all faulty replicas for those who see it."""
    adversary = node.adversary
    if isinstance(message, Proposal):
        key = (message.vote.view, message.block.height)
        if key not in node.proposed:
            parent = node.header(message.block.header.parent)
            if parent is None:
                return [message]
            node.proposed[key] = adversary.other_block(key[0], message.block, parent)
        if to not in adversary.audience(*key):
            return [message]
        other = node.proposed[key]
        vote = adversary.vote(node.replica_id, Phase.PRE_PREPARE, *key, other.digest)
        return [Proposal(vote=vote, block=other)]
    if isinstance(message, Vote):
        key = (message.view, message.height)
        digest = adversary.others.get(key)
        if digest is not None and to in adversary.audience(*key):
            return [adversary.vote(node.replica_id, message.phase, *key, digest)]
    return [message]


def support_both(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Votes for every block anybody proposed in the slot, in all phases, long before it is time."""
    if not isinstance(message, Vote):
        return [message]
    key = (message.view, message.height)
    said: list[Message] = [message]
    for digest in sorted(node.adversary.digests.get(key, ())):
        for phase in (Phase.PREPARE, Phase.COMMIT):
            said.append(node.adversary.vote(node.replica_id, phase, *key, digest))
    node.random.shuffle(said)
    return said


def stale(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Lives in earlier views too."""
    if isinstance(message, Vote) and message.view > 0 and node.random.random() < 0.7:
        view = node.random.randrange(message.view)
        return [message, node.adversary.vote(node.replica_id, message.phase, view, message.height, message.digest)]
    if isinstance(message, Status):
        return [replace(message, view=View(max(0, message.view - 1)), active=False)]
    return [message]


def replay(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Repeats old messages, its own and those of others, word for word."""
    heard = node.adversary.heard
    if heard and node.random.random() < 0.4:
        return [message, heard[node.random.randrange(len(heard))]]
    return [message]


def forge(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Speaks for others, or signs badly."""
    if not isinstance(message, Vote) or node.random.random() < 0.5:
        return [message]
    bad = Signature(node.random.randbytes(64))
    kind = node.random.randrange(3)
    if kind == 0:
        victim = ReplicaId(node.random.randrange(node.sim.members.n))
        return [message, replace(message, replica=victim)]
    if kind == 1:
        return [replace(message, signature=bad), message]
    certificate = CommitCertificate(
        view=message.view,
        height=message.height,
        digest=Digest(node.random.randbytes(32)),
        signatures=tuple((ReplicaId(r), bad) for r in range(node.sim.checker.quorum)),
    )
    return [message, Greeting(view=View(0), certificate=certificate, held=(), held_view_change=None, asks=True)]


def mutate(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """One field of a valid message, changed a little, and signed again."""
    if node.random.random() < 0.5:
        return [message]
    random, adversary = node.random, node.adversary
    vote = message.vote if isinstance(message, Proposal) else message
    if isinstance(vote, Vote):
        view, height, digest, phase = vote.view, vote.height, vote.digest, vote.phase
        match random.randrange(5):
            case 0:
                view = View(random.choice((view + 1, max(0, view - 1), view + FAR)))
            case 1:
                height = Height(random.choice((height + 1, max(0, height - 1), height + FAR)))
            case 2:
                digest = Digest(digest[:-1] + bytes([digest[-1] ^ 1]))
            case 3:
                phase = random.choice(tuple(Phase))
            case _:
                return [vote]
        changed = adversary.vote(node.replica_id, phase, view, height, digest)
        return [replace(message, vote=changed) if isinstance(message, Proposal) else changed]
    if isinstance(message, ViewChange) and message.replica == node.replica_id:
        view = View(random.choice((message.view + 1, max(0, message.view - 1), message.view + FAR)))
        return [adversary.view_change(replace(message, view=view))]
    if isinstance(message, NewView) and message.replica == node.replica_id:
        changes = list(message.view_changes)
        changes[random.randrange(len(changes))] = random.choice(changes)
        return [adversary.new_view(replace(message, view_changes=tuple(changes)))]
    return [message]


def lie_in_view_change(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Forgets what it had prepared or committed, differently towards each receiver."""
    if not isinstance(message, ViewChange) or message.replica != node.replica_id:
        return [message]
    random = node.random
    lie = message
    if message.prepared:
        lie = replace(message, prepared=message.prepared[: random.randrange(len(message.prepared))])
    if random.random() < 0.4:
        lie = replace(message, committed=None, prepared=node.old_prefix())
    return [node.adversary.view_change(lie)]


def lie_in_new_view(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """As the primary of a new view: shows everyone another quorum of view changes, hiding what it can."""
    if not isinstance(message, NewView) or message.replica != node.replica_id:
        return [message]
    adversary, random = node.adversary, node.random
    known = {change.replica: change for change in message.view_changes}
    for (view, _), change in adversary.view_changes.items():
        if view == message.view:
            known.setdefault(change.replica, change)
    for replica in map(ReplicaId, sorted(adversary.replicas)):
        if replica in known:
            known[replica] = adversary.view_change(replace(known[replica], prepared=()))
    changes = sorted(known.values(), key=lambda change: (len(change.prepared), random.random()))
    chosen = sorted(changes[: adversary.sim.checker.quorum], key=lambda change: change.replica)
    return [adversary.new_view(replace(message, view_changes=tuple(chosen)))]


def replace_chosen(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """As the primary of a new view: proposes new blocks where it must repeat those it was shown."""
    if not isinstance(message, Vote) or message.phase is not Phase.PRE_PREPARE:
        return [message]
    header = node.header(message.digest)
    parent = None if header is None else node.header(header.parent)
    if header is None or parent is None:
        return [message]
    block = make_block(parent, (b"instead of %d in %d" % (message.height, message.view),), header.time_ms)
    node.sim.checker.knows(block.header)
    node.adversary.digests.setdefault((message.view, message.height), set()).add(block.digest)
    vote = node.adversary.vote(node.replica_id, Phase.PRE_PREPARE, message.view, message.height, block.digest)
    return [Proposal(vote=vote, block=block)]


def bad_blocks(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Proposes blocks with one thing wrong."""
    if not isinstance(message, Proposal) or node.random.random() < 0.4:
        return [message]
    header, transactions = message.block.header, message.block.transactions
    flipped = Digest(bytes(32))
    match node.random.randrange(7):
        case 0:
            header = replace(header, state_root=flipped)
        case 1:
            header = replace(header, time_ms=header.time_ms + FAR)
        case 2:
            header = replace(header, time_ms=0)
        case 3:
            header = replace(header, parent=flipped)
        case 4:
            # One too many for the root, or in every other block the right ones with a wrong count.
            if header.height & 1:
                transactions = (*transactions, b"not in the root")
            else:
                header = replace(header, transaction_count=header.transaction_count + 1)
        case 5:
            header = replace(header, members=flipped)
        case _:
            header = replace(header, receipts_root=flipped)
    node.sim.checker.knows(header)
    vote = node.adversary.vote(node.replica_id, Phase.PRE_PREPARE, message.vote.view, header.height, header.digest)
    return [Proposal(vote=vote, block=Block(header=header, transactions=transactions))]


def shout(node: FaultyNode, to: int, message: Message) -> list[Message]:
    """Enormous views and heights, and an endless wish for the next view."""
    random, adversary = node.random, node.adversary
    if random.random() < 0.7:
        return [message]
    core = node.core
    if core is None:
        return [message]
    view = View(core.view + random.choice((1, 2, 7, FAR)))
    match random.randrange(4):
        case 0:
            change = ViewChange(
                view=view,
                committed=core.certificate,
                prepared=(),
                replica=node.replica_id,
                signature=Signature(b""),
            )
            return [message, adversary.view_change(change)]
        case 1:
            return [message, adversary.vote(node.replica_id, Phase.COMMIT, view, FAR, Digest(bytes(32)))]
        case 2:
            return [message, Status(view=view, height=Height(FAR), active=True)]
        case _:
            digest = Digest(random.randbytes(32))
            return [message, adversary.vote(node.replica_id, Phase.PREPARE, view, core.tip.height + 1, digest)]


TACTICS: dict[str, Tactic] = {
    "silent": silent,
    "selective": selective,
    "equivocate": equivocate,
    "support-both": support_both,
    "stale": stale,
    "replay": replay,
    "forge": forge,
    "mutate": mutate,
    "lie-in-view-change": lie_in_view_change,
    "lie-in-new-view": lie_in_new_view,
    "replace-chosen": replace_chosen,
    "bad-blocks": bad_blocks,
    "shout": shout,
}


class FaultyNode(Node):
    """A node under the adversary's command. It gets no protection from the checker, and none is needed."""

    is_faulty = True

    def __init__(
        self,
        cluster: Cluster,
        index: int,
        replica_id: ReplicaId,
        random: Random,
        adversary: Adversary,
        tactics: tuple[str, ...],
    ) -> None:
        super().__init__(cluster, index, replica_id, random)
        self.adversary = adversary
        self.tactics = tuple(TACTICS[name] for name in tactics)
        self.tactic_names = tactics
        self.seed = random.random()
        self.override_listening = True
        self.proposed: dict[tuple[int, int], Block] = {}
        self._prefix: tuple[PreparedCertificate, ...] = ()

    def __str__(self) -> str:
        return f"node {self.replica_id} (faulty)"

    def header(self, digest: Digest) -> Header | None:
        return self.sim.checker.headers.get(digest)

    def old_prefix(self) -> tuple[PreparedCertificate, ...]:
        """A prepared prefix from genesis upwards, if this node ever had one."""
        return self._prefix

    def _ask_core(self, event: Event) -> list[Effect]:
        try:
            return super()._ask_core(event)
        except Violation:
            # Its own lies caught up with it. A dead faulty replica is a silent one.
            self.crash()
            return []

    def arrived(self, source: Node, message: Any) -> None:
        if isinstance(message, Message):
            self.adversary.hears(message)
        super().arrived(source, message)

    def say(self, to: int | None, message: Message) -> None:
        self.adversary.hears(message)
        if isinstance(message, ViewChange) and message.committed is None and message.prepared:
            self._prefix = message.prepared
        for target in self.sim.endpoints(self, to):
            said = [message]
            for tactic in self.tactics:
                said = [word for old in said for word in tactic(self, target.replica_id, old)]
            for word in said[:8]:
                self.sim.network.send(self, target, word)

    def sync_reply(self, blocks: tuple[tuple[Block, CommitCertificate], ...]) -> SyncReply:
        """Now and then something else than what was asked for."""
        if self.random.random() < 0.5:
            return super().sync_reply(blocks)
        block, certificate = blocks[0]
        other = Block(header=replace(block.header, state_root=Digest(bytes(32))), transactions=block.transactions)
        self.sim.checker.knows(other.header)
        return SyncReply(blocks=((other, replace(certificate, digest=other.digest)), (other, certificate)))


class Twin(FaultyNode):
    """One of two instances of the unchanged core with one key: neither knows of the other."""

    def __str__(self) -> str:
        return f"node {self.replica_id} (twin {self.index})"
