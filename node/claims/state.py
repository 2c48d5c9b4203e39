"""How the application sees the state: keys to records, ordered, with drafts that can be thrown away.

Keys are fixed-width big-endian bytes built only in `keys.py`; their first byte is the table. The node
gives implementations over LevelDB (`node/state.py`); tests use `MemoryState`-like ones of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ReadState(Protocol):
    """The state as of one block, or with a draft on top."""

    def get(self, key: bytes) -> bytes | None:
        """The record at `key`, or None."""
        ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order. Do not write while iterating: collect first."""
        ...


class WriteState(ReadState, Protocol):
    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None:
        """Remove the record if it is there."""
        ...


class Draft:
    """Writes kept apart from the state below until `apply`: one transaction, all or none."""

    def __init__(self, below: WriteState) -> None:
        self._below = below
        self._writes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key in self._writes:
            return self._writes[key]
        return self._below.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._writes[key] = value

    def delete(self, key: bytes) -> None:
        self._writes[key] = None

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        mine = sorted(key for key in self._writes if start <= key < end)
        if not mine:
            yield from self._below.scan(start, end)
            return
        yield from merge_scan(self._below.scan(start, end), ((key, self._writes[key]) for key in mine))

    def apply(self) -> None:
        """Write everything through to the state below."""
        for key, value in self._writes.items():
            if value is None:
                self._below.delete(key)
            else:
                self._below.put(key, value)


def merge_scan(
    below: Iterator[tuple[bytes, bytes]], above: Iterator[tuple[bytes, bytes | None]]
) -> Iterator[tuple[bytes, bytes]]:
    """Two key-ordered streams as one; `above` wins, and None there hides the record below."""
    low, high = next(below, None), next(above, None)
    while low is not None or high is not None:
        if high is None or (low is not None and low[0] < high[0]):
            assert low is not None
            yield low
            low = next(below, None)
            continue
        if low is not None and low[0] == high[0]:
            low = next(below, None)
        if high[1] is not None:
            yield high[0], high[1]
        high = next(above, None)
