"""A bounded cache in two generations: hits in the young one cost a single dict look-up.

When the young generation is half of the limit, it becomes the old one and the previous old one goes. What
is used again moves back to the young. So it keeps what was used lately, like an LRU, without moving anything
on most hits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(key: object, value: object) -> int:
    return 1


class GenerationCache(Generic[K, V]):
    """Holds at most `limit` weight, which `weigh` tells of key and value (1 each by default). Values are never None.

    What is put twice weighs twice until it is old: the bound holds, and nothing is subtracted on the way.
    """

    def __init__(self, limit: int, weigh: Callable[[K, V], int] = _one) -> None:
        self._half = max(1, limit // 2)
        self._weigh = weigh
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._weight = 0

    def get(self, key: K) -> V | None:
        value = self._young.get(key)
        if value is not None:
            return value
        value = self._old.pop(key, None)
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember a value; one too heavy for the cache is not kept."""
        weight = self._weigh(key, value)
        if weight > self._half:
            self.discard(key)
            return
        self._make_room(weight)
        self._young[key] = value

    def put_many(self, entries: Mapping[K, V], weight: int) -> None:
        """Remember many at once; `weight` is that of all of them together."""
        if weight > self._half:
            for key, value in entries.items():
                self.put(key, value)
            return
        self._make_room(weight)
        self._young.update(entries)

    def _make_room(self, weight: int) -> None:
        if self._weight + weight > self._half:
            self._old, self._young, self._weight = self._young, {}, 0
        self._weight += weight

    def discard(self, key: K) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
