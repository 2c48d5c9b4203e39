"""A bounded cache in two generations: hits in the young one cost a single dict look-up.

When the young generation is half of the limit, it becomes the old one and the previous old one goes. What
is used again moves back to the young. So it keeps what was used lately, like an LRU, without moving anything
on most hits.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class GenerationCache(Generic[K, V]):
    """Holds at most `limit` weight (bytes, or pieces with weight 1 each). Values are never None."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._weight = 0

    def get(self, key: K) -> V | None:
        entry = self._young.get(key)
        if entry is not None:
            return entry[0]
        entry = self._old.pop(key, None)
        if entry is None:
            return None
        self.put(key, *entry)
        return entry[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Remember a value; one too heavy for the cache is not kept."""
        previous = self._young.pop(key, None)
        if previous is not None:
            self._weight -= previous[1]
        self._old.pop(key, None)
        if weight > self._half:
            return
        if self._weight + weight > self._half:
            self._old, self._young, self._weight = self._young, {}, 0
        self._young[key] = (value, weight)
        self._weight += weight

    def discard(self, key: K) -> None:
        entry = self._young.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
