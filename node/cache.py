"""A bounded cache in two generations: hits in the young one cost a single dict look-up.

When the young generation is half of the limit, it becomes the old one and the previous old one goes. What
is used again moves back to the young. So it keeps what was used lately, like an LRU, without moving anything
on most hits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class GenerationCache(Generic[K, V]):
    """Holds at most `limit` weight, which `weigh` tells of many values (1 each by default). Values are never None.

    What is put again weighs once: else pages that every block changes would crowd out those that few do.
    """

    def __init__(self, limit: int, weigh: Callable[[Collection[V]], int] = len) -> None:
        self._half = max(1, limit // 2)
        self._weigh = weigh
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._weight = 0
        """Of the young."""

    def resize(self, limit: int) -> None:
        """Hold at most so much from now on. What is too much goes as more is put."""
        self._half = max(1, limit // 2)

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
        weight = self._weigh((value,))
        if key in self._young or self._weight + weight > self._half:
            self.put_many({key: value})
        else:
            self._young[key] = value
            self._weight += weight

    def put_many(self, entries: Mapping[K, V]) -> None:
        """Remember many at once."""
        weight = self._weigh(entries.values())
        if weight > self._half:
            for key, value in entries.items():
                if len(entries) == 1:
                    self.discard(key)
                else:
                    self.put(key, value)
            return
        young = self._young
        replaced = [value for value in map(young.get, entries) if value is not None]
        heavier = weight - self._weigh(replaced) if replaced else weight
        if self._weight + heavier > self._half:
            self._old, self._young, self._weight = young, dict(entries), weight
        else:
            young.update(entries)
            self._weight += heavier

    def discard(self, key: K) -> None:
        self._old.pop(key, None)
        value = self._young.pop(key, None)
        if value is not None:
            self._weight -= self._weigh((value,))

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
