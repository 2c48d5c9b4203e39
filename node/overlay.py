"""Drafts on top of the `state` database, one for each block in flight: what the block writes, and the root after it.

An overlay lies on its parent's overlay or on the committed state. `root` hashes all writes at once, page by page.
Records that are written as objects are encoded then, once, however many transactions of the block wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from consensus.errors import InvariantBroken
from node import merkle
from node.claims.state import ABSENT, R, Value, merge_scan
from node.claims.wire import Wire, decode_trusted, encode
from node.merkle import EMPTY, Inner, TrieUpdate
from node.sorted_keys import SortedKeys

if TYPE_CHECKING:
    from node.state import StateDatabase

_LOOSE: Final = b"loose" * 2
"""Stands for the bytes of a record that is not encoded yet; recognised by identity."""


class Overlay:
    """Writes of one block on top of the state below. Not for use from several threads."""

    def __init__(self, database: StateDatabase, parent: Overlay | None) -> None:
        self._database = database
        self._parent = parent
        self._children: list[Overlay] = []
        self._writes: dict[bytes, bytes | None] = {}
        self._objects: dict[bytes, Wire] = {}
        """The records among the writes that came as objects."""
        self._loose: list[bytes] = []
        self._seen: dict[bytes, Wire | None] = {}
        """What was loaded from below, where nothing changes: every transaction of a block asks for the same plan."""
        self._keys = SortedKeys()
        self._update: TrieUpdate | None = None
        self._top = EMPTY
        self._root = b""
        self._state = "open"

    # -- ReadState, WriteState

    def get(self, key: bytes) -> bytes | None:
        layer: Overlay | None = self
        while layer is not None:
            value = layer._writes.get(key, ABSENT)
            if value is not ABSENT:
                return layer._encoded(key) if value is _LOOSE else value  # type: ignore[return-value]
            layer = layer._parent
        if self._state != "open":
            self._refuse()
        return self._database.record(key)

    def load(self, key: bytes, kind: type[R]) -> R | None:
        record = self._objects.get(key)
        if record is not None:
            return record  # type: ignore[return-value]
        value = self._writes.get(key, ABSENT)
        if value is not ABSENT:
            return None if value is None else decode_trusted(kind, value)  # type: ignore[arg-type]
        found = self._seen.get(key, ABSENT)
        if found is ABSENT:
            if self._state != "open":
                self._refuse()
            parent = self._parent
            found = self._database.load(key, kind) if parent is None else parent.load(key, kind)
            self._seen[key] = found
        return found  # type: ignore[return-value]

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set a record; None removes it, as `delete` does."""
        self.take({key: value})

    def store(self, key: bytes, record: Wire) -> None:
        self.take({key: record})

    def delete(self, key: bytes) -> None:
        self.take({key: None})

    def take(self, writes: Mapping[bytes, Value]) -> None:
        """Set many records; None removes one."""
        if self._children or self._state != "open":
            self._refuse()
        mine, objects = self._writes, self._objects
        for key, value in writes.items():
            if key not in mine:
                self._keys.add(key)
            if value is None or isinstance(value, bytes):
                mine[key] = value
                objects.pop(key, None)
            else:
                mine[key] = _LOOSE
                objects[key] = value
                self._loose.append(key)
        self._update = None

    def _encoded(self, key: bytes) -> bytes:
        value = self._writes[key] = encode(self._objects[key])
        return value

    def _encode_all(self) -> None:
        writes = self._writes
        for key in self._loose:
            if writes[key] is _LOOSE:
                writes[key] = encode(self._objects[key])
        self._loose = []

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records with start <= key < end in key order. Do not write while iterating: collect first."""
        if self._state != "open":
            self._refuse()
        parent = self._parent
        below = self._database.scan_records(start, end) if parent is None else parent.scan(start, end)
        mine = self._keys.between(start, end)
        if not mine:
            return below
        writes = self._writes
        return merge_scan(below, ((key, self._encoded(key) if writes[key] is _LOOSE else writes[key]) for key in mine))

    # -- root

    def root(self) -> bytes:
        """State root with all writes so far. Computed once after the last write."""
        self._apply()
        return self._root

    def _apply(self) -> TrieUpdate:
        if self._state != "open":
            self._refuse()
        if self._update is None:
            parent = self._parent
            if parent is not None:
                parent._apply()
            self._encode_all()
            top = self._database.top if parent is None else parent._top
            update = TrieUpdate(self._page_below, self._inner_below)
            self._top = update.apply(self._writes.items(), top)
            self._update, self._root = update, merkle.root_of(self._top)
        return self._update

    def _page_below(self, name: str, expected: bytes) -> bytes:
        layer = self._parent
        while layer is not None:
            assert layer._update is not None
            page = layer._update.pages.get(name)
            if page is not None:
                return page
            layer = layer._parent
        return self._database.page(name, expected)

    def _inner_below(self, name: str) -> Inner | None:
        layer = self._parent
        while layer is not None:
            assert layer._update is not None
            node = layer._update.inner.get(name, ABSENT)
            if node is not ABSENT:
                return node  # type: ignore[return-value]
            layer = layer._parent
        return self._database.inner.get(name)

    # -- end of life

    def discard(self) -> None:
        """Throw the writes away, and every overlay on top."""
        if self._state == "open":
            siblings = self._database.overlays if self._parent is None else self._parent._children
            siblings.remove(self)
            self._end("discarded")

    def _end(self, state: str) -> None:
        for child in self._children:
            child._end(state)
        self._state, self._children, self._parent = state, [], None
        self._writes, self._keys, self._update = {}, SortedKeys(), None
        self._objects, self._loose, self._seen = {}, [], {}

    def _refuse(self) -> None:
        what = "has another block on top and is frozen" if self._state == "open" else f"was {self._state}"
        raise InvariantBroken(f"this overlay {what}")
