"""The transactions of a compact proposal that this node has, wherever they wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from node.compact import TAG, CompactProposal

Find = Callable[[CompactProposal, Sequence[bytes], bool], "Found"]
"""(proposal, its ids one by one, is a long search worth it) -> what this node has of its transactions."""


class Found(NamedTuple):
    raws: list[bytes | None]
    """In the block's order; None for what this node does not have."""
    unchecked: frozenset[int]
    """Places of those whose signatures nobody has checked: perhaps made up by a peer from another's signature."""


_NOTHING: Final[frozenset[int]] = frozenset()


class Pool(Protocol):
    """What this needs of the mempool."""

    def raws(self, ids: Sequence[bytes]) -> list[bytes | None]: ...

    def early(self) -> Iterator[tuple[bytes, bytes]]: ...


class KnownTransactions:
    """Looks where it is cheap first: in the pool; then among those put aside, then among those still to be checked."""

    def __init__(self, mempool: Pool, unchecked: Callable[[Mapping[bytes, bytes]], Mapping[bytes, bytes]]) -> None:
        """`unchecked` finds, by id and tag, transactions that peers have told and that wait to be checked."""
        self._mempool = mempool
        self._unchecked = unchecked

    def find(self, proposal: CompactProposal, ids: Sequence[bytes], is_worth_it: bool) -> Found:
        """As `Find`."""
        raws = self._mempool.raws(ids)
        if None not in raws and b"".join([raw[TAG] for raw in raws if raw]) == proposal.tags:
            return Found(raws, _NOTHING)
        missing: dict[bytes, int] = {}
        for place, raw in enumerate(raws):
            if raw is None or raw[TAG] != proposal.tag(place):
                raws[place] = None
                missing[ids[place]] = place
        if not is_worth_it:
            return Found(raws, _NOTHING)
        _fill(raws, missing, proposal, self._mempool.early())
        if not missing:
            return Found(raws, _NOTHING)
        tags = {id: proposal.tag(place) for id, place in missing.items()}
        return Found(raws, _fill(raws, missing, proposal, self._unchecked(tags).items()))


def _fill(
    raws: list[bytes | None],
    missing: dict[bytes, int],
    proposal: CompactProposal,
    more: Iterable[tuple[bytes, bytes]],
) -> frozenset[int]:
    """Put those of `more`, pairs of id and bytes, that are `missing` where they belong; answers where that was."""
    filled: list[int] = []
    for id, raw in more:
        place = missing.get(id)
        if place is not None and raw[TAG] == proposal.tag(place):
            raws[place] = raw
            filled.append(place)
            del missing[id]
    return frozenset(filled)
