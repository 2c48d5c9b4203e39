"""How many values each organisation had made by this node, day by day: kept, limited and shown.

Blinded inputs cannot be told apart, so nobody sees whether an organisation files claims or tries out a list of
people. Its number can be seen: each holder counts by itself, refuses what is above its own limit, and shows its
counts to everybody. The counts are written before an answer leaves, and outlive the process; a power failure may
lose the last ones.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from node.errors import StoreError

KEPT_DAYS: Final = 31
_DAY_MS: Final = 86_400_000


class Quota:
    """Counts in one file of the data directory. Days are UTC, of the real clock."""

    def __init__(self, path: Path, per_day: int) -> None:
        self._path, self.per_day = path, per_day
        self._days: dict[int, dict[str, int]] = {}
        try:
            self._days = msgspec.json.decode(path.read_bytes(), type=dict[int, dict[str, int]])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(
                f"{path}: the counts of values made cannot be read ({error}); move the file away"
            ) from None

    def take(self, organisation: str, values: int, now_ms: int) -> bool:
        """Count `values` for the organisation; False, and nothing counted, if that is above its limit today."""
        day = now_ms // _DAY_MS
        today = self._days.setdefault(day, {})
        used = today.get(organisation, 0) + values
        if used > self.per_day:
            return False
        today[organisation] = used
        for old in sorted(self._days)[:-KEPT_DAYS]:
            del self._days[old]
        draft = self._path.with_suffix(".draft")
        try:
            draft.write_bytes(msgspec.json.encode(self._days))
            os.replace(draft, self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot keep the counts of values made: {error.strerror}") from None
        return True

    def used(self, now_ms: int) -> dict[str, int]:
        """Values made today, by organisation."""
        return dict(self._days.get(now_ms // _DAY_MS, {}))

    def total(self) -> Counter[str]:
        """Values made in the days that are kept, by organisation."""
        total: Counter[str] = Counter()
        for counts in self._days.values():
            total.update(counts)
        return total
