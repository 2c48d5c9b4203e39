"""How the application sees the state: keys to records, ordered, with drafts that can be thrown away.

Keys are fixed-width big-endian bytes built only in `keys.py`; their first byte is the table. The node
gives implementations over LevelDB (`node/state.py`); tests use `MemoryState`-like ones of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol, TypeVar

from node.claims.invariants import InvariantBroken
from node.claims.wire import Wire, decode_trusted, encode

R = TypeVar("R", bound=Wire)

Value = bytes | Wire | None
"""What a draft holds for a key: the record's bytes, the record itself, not encoded yet, or None: it is gone."""

ABSENT: Final = object()


class ReadState(Protocol):
    """The state as of one block, or with a draft on top."""

    def get(self, key: bytes) -> bytes | None:
        """The record at `key`, or None."""
        ...

    def load(self, key: bytes, kind: type[R]) -> R | None:
        """The record at `key` decoded, or None. What was decoded lately is not decoded again."""
        ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order. Do not write while iterating: collect first."""
        ...


class WriteState(ReadState, Protocol):
    def put(self, key: bytes, value: bytes) -> None: ...

    def store(self, key: bytes, record: Wire) -> None:
        """As `put`; the record is encoded when somebody wants its bytes, once for all writes of a block to it."""
        ...

    def take(self, writes: Mapping[bytes, Value]) -> None:
        """Many at once."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove the record if it is there."""
        ...


class EncodedReads:
    """`load` for a state that holds bytes."""

    def get(self, key: bytes) -> bytes | None:
        raise NotImplementedError

    def load(self, key: bytes, kind: type[R]) -> R | None:
        raw = self.get(key)
        return None if raw is None else decode_trusted(kind, raw)


class EncodedState(EncodedReads):
    """`store` and `take` as well."""

    def put(self, key: bytes, value: bytes) -> None:
        raise NotImplementedError

    def delete(self, key: bytes) -> None:
        raise NotImplementedError

    def store(self, key: bytes, record: Wire) -> None:
        self.put(key, encode(record))

    def take(self, writes: Mapping[bytes, Value]) -> None:
        for key, value in writes.items():
            if value is None:
                self.delete(key)
            else:
                self.put(key, value if isinstance(value, bytes) else encode(value))


class Draft:
    """Writes kept apart from the state below until `apply`: one transaction, all or none."""

    def __init__(self, below: WriteState) -> None:
        self._below = below
        self._writes: dict[bytes, Value] = {}

    def get(self, key: bytes) -> bytes | None:
        value = self._writes.get(key, ABSENT)
        if value is ABSENT:
            return self._below.get(key)
        return value if value is None or isinstance(value, bytes) else encode(value)

    def load(self, key: bytes, kind: type[R]) -> R | None:
        value = self._writes.get(key, ABSENT)
        if value is ABSENT:
            return self._below.load(key, kind)
        return decode_trusted(kind, value) if isinstance(value, bytes) else value  # type: ignore[return-value]

    def put(self, key: bytes, value: bytes) -> None:
        self._writes[key] = value

    def store(self, key: bytes, record: Wire) -> None:
        self._writes[key] = record

    def take(self, writes: Mapping[bytes, Value]) -> None:
        self._writes.update(writes)

    def delete(self, key: bytes) -> None:
        self._writes[key] = None

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        mine = sorted(key for key in self._writes if start <= key < end)
        if not mine:
            yield from self._below.scan(start, end)
            return
        yield from merge_scan(self._below.scan(start, end), ((key, self.get(key)) for key in mine))

    def apply(self) -> None:
        """Write everything through to the state below."""
        self._below.take(self._writes)


def require(state: ReadState, key: bytes, kind: type[R]) -> R:
    """A record that another record of ours names."""
    record = state.load(key, kind)
    if record is None:
        raise InvariantBroken(f"the state has no record at {key.hex()}, which another record needs")
    return record


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
