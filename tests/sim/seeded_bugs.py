"""Eight bugs, each a small change to the core or to the driver, to show that the simulator finds such things.

Each is a function that breaks the code through pytest's `monkeypatch`, or a class to run in its place.
"""

from __future__ import annotations

from typing import Any

import pytest

from consensus.effects import Broadcast, Effect
from consensus.log import Slot
from consensus.messages import CommitCertificate, NewView, Phase, Vote
from consensus.normal_case import NormalCase
from consensus.quorum import MemberSet
from consensus.replica import Replica
from consensus.types import Digest, Height
from consensus.view_changer import ViewChanger
from tests.sim.node import Node, _Sync
from tests.sim.simulation import Simulation


def prepared_certificates_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """The view change says nothing of what was prepared (trap 5)."""
    patch.setattr("consensus.view_changer.prepared_prefix", lambda tip, locks: ())


def prepares_count_for_any_digest(patch: pytest.MonkeyPatch) -> None:
    """A tally that forgets to ask for which block a prepare was (trap 9)."""

    def supporters(self: Slot, phase: Phase, digest: Digest) -> list[Vote]:
        votes = self.votes[phase]
        return [
            votes[replica] for replica in sorted(votes) if phase is Phase.PREPARE or votes[replica].digest == digest
        ]

    patch.setattr(Slot, "supporters", supporters)


def quorum_is_one_short_at_six(patch: pytest.MonkeyPatch) -> None:
    """n = 6 with the quorum of 2f + 1 that holds for n = 3f + 1 only."""
    patch.setattr(MemberSet, "quorum", property(lambda members: 2 * members.f + 1))


def new_view_is_not_recomputed(patch: pytest.MonkeyPatch) -> None:
    """Backups take whatever the new primary proposes."""
    adopt = ViewChanger._adopt

    def careless(self: ViewChanger, new_view: NewView) -> CommitCertificate | None:
        base = adopt(self, new_view)
        if self._r.primary != self._r.id:
            self._chosen, self._base = {}, Height(0)
        return base

    patch.setattr(ViewChanger, "_adopt", careless)


def _commit_wherever(patch: pytest.MonkeyPatch, may_commit: Any) -> None:
    """Commits go out for every prepared height for which `may_commit(normal_case, slot)` holds."""

    def commit_prefix(self: NormalCase) -> None:
        r = self._r
        for slot in self.log.above(r.tip.height):
            if slot.prepared is None:
                slot.prepared = slot.prepared_certificate(r.members)
            if slot.prepared is None or r.id in slot.votes[Phase.COMMIT] or not r.voting:
                continue
            if not may_commit(self, slot):
                continue
            if (Phase.COMMIT, r.view, slot.height) not in r.journal.votes:
                r.journal.keep_lock(slot.prepared)
            vote = self.vote(slot, Phase.COMMIT, slot.prepared.header.digest)
            if vote is not None:
                r.emit(Broadcast(message=vote))

    patch.setattr(NormalCase, "_commit_prefix", commit_prefix)


def commits_over_holes(patch: pytest.MonkeyPatch) -> None:
    """A commit asks only whether its own height is prepared (trap 43)."""
    _commit_wherever(patch, lambda normal_case, slot: True)


def certificates_of_mixed_views(patch: pytest.MonkeyPatch) -> None:
    """The prefix below a commit may be prepared in any view (trap 44)."""

    def may_commit(self: NormalCase, slot: Slot) -> bool:
        parent = self._r.tip.digest
        for height in range(self._r.tip.height + 1, slot.height):
            below = self.log.get(Height(height))
            lock = below.prepared if below is not None and below.prepared is not None else None
            lock = lock or self._r.journal.locks.get(Height(height))
            if lock is None or lock.header.parent != parent:
                return False
            parent = lock.header.digest
        return slot.prepared is not None and slot.prepared.header.parent == parent

    _commit_wherever(patch, may_commit)


class SpeaksFirst(Node):
    """Says what a step wants said, and only then writes down what must not be forgotten (trap 1)."""

    def plan(self, effects: list[Effect]) -> list[Effect | _Sync]:
        planned = super().plan(effects)
        said = [effect for effect in planned if type(effect).__name__ in ("Send", "Broadcast")]
        return said + [effect for effect in planned if type(effect).__name__ not in ("Send", "Broadcast")]


class ForgetfulSimulation(Simulation):
    """Without the direct check that what is said is durable: the consequences have to show."""

    node_class = SpeaksFirst

    def check_durable(self, node: Node, message: Any) -> None:
        return


class RashSimulation(Simulation):
    """Nobody listens first, a wiped node least of all (trap 42)."""

    def make_replica(self, **arguments: Any) -> Replica:
        return super().make_replica(**{**arguments, "override_listening": True})


def final_heights_are_proposed_again(patch: pytest.MonkeyPatch) -> None:
    """A new primary that is behind proposes above its own tip, not above what the view changes show as final."""
    adopt = ViewChanger._adopt

    def forget_base(self: ViewChanger, new_view: NewView) -> CommitCertificate | None:
        base = adopt(self, new_view)
        self._base = Height(0)
        return base

    patch.setattr(ViewChanger, "_adopt", forget_base)
