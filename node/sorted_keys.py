"""Keys in order for who scans them: kept per table (first byte), which is sorted when somebody asks for it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable


class SortedKeys:
    """Keys are only ever added, each once."""

    def __init__(self) -> None:
        self._fresh: dict[int, list[bytes]] = {}
        self._sorted: dict[int, list[bytes]] = {}

    def add(self, key: bytes) -> None:
        table = key[0] if key else 0
        fresh = self._fresh.get(table)
        if fresh is None:
            self._fresh[table] = [key]
        else:
            fresh.append(key)

    def add_many(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.add(key)

    def between(self, start: bytes, end: bytes) -> list[bytes]:
        """Keys with start <= key < end, in order."""
        found: list[bytes] = []
        for table in sorted(self._fresh.keys() | self._sorted.keys()):
            if (not start or table >= start[0]) and (not end or table <= end[0]):
                keys = self._table(table)
                found += keys[bisect_left(keys, start) : bisect_left(keys, end)]
        return found

    def _table(self, table: int) -> list[bytes]:
        known, fresh = self._sorted.setdefault(table, []), self._fresh.pop(table, [])
        if len(fresh) > 8:
            known.extend(fresh)
            known.sort()
        else:
            for key in fresh:
                insort(known, key)
        return known
