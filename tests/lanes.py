"""The eight-lane verifier for tests, or the reason why there is none here."""

from __future__ import annotations

from node.ed25519.library import NotUsable, load
from node.ed25519.multilane import MultiLane


def find_lanes() -> tuple[MultiLane | None, str]:
    """(verifier, "") or (None, why not)."""
    try:
        return MultiLane(load()), ""
    except NotUsable as why:
        return None, str(why)


LANES, WHY_NOT = find_lanes()
