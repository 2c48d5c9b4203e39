"""Words that the command line repeats from the ledger are the ledger's."""

from __future__ import annotations

from node.claims.evidence.actions import Purpose
from node.claims.evidence.views import purposes
from node.cli.evidence_commands import PURPOSES


def test_the_purposes_of_a_grant_are_the_ledgers() -> None:
    assert tuple(purposes()) == PURPOSES
    assert [int(purpose) for purpose in Purpose] == list(range(1, len(PURPOSES) + 1))
