"""From the entries of the state trie, as a start reads them, to its pages and inner nodes (node/merkle.py). Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain, islice
from operator import itemgetter
from typing import Final

from node.merkle import EMPTY, ENTRY_BYTES, MAX_DEPTH, NO_CHILDREN, OFFSET, PAGE_ENTRIES, Inner, page_hash

_AHEAD: Final = 512
"""Entries read at a time while pages are cut; more than a page has, so that its end is always among them."""


def _shared_digits(one: bytes, other: bytes) -> int:
    """Hex digits that two positions have in common at their beginning."""
    return MAX_DEPTH - ((int.from_bytes(one) ^ int.from_bytes(other)).bit_length() + 3) // 4


def pages_of(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The pages, each with its name, of all entries (position, record hash) in order. Holds few of them at a time.

    Raises ValueError for what is no entry.
    """
    source, ahead, at = iter(entries), list[tuple[bytes, bytes]](), 0
    previous: bytes | None = None
    while True:
        if len(ahead) - at <= PAGE_ENTRIES:
            more = list(islice(source, _AHEAD))
            if not set(map(len, chain.from_iterable(more))) <= {32}:
                raise ValueError("an entry has not 64 bytes")
            ahead, at = ahead[at:] + more, 0
            if not ahead:
                return
        first = ahead[at][0]
        # The page before lies beside this one, and entry number 32 from here is too many for it: so its name is longer
        # than what its first entry has in common with either.
        depth = 0 if previous is None else _shared_digits(previous, first) + 1
        if len(ahead) - at > PAGE_ENTRIES:
            depth = max(depth, _shared_digits(first, ahead[at + PAGE_ENTRIES][0]) + 1)
        name = first.hex()[:depth]
        last = bytes.fromhex(name.ljust(MAX_DEPTH, "f"))
        end = bisect_right(ahead, last, at, min(len(ahead), at + PAGE_ENTRIES), key=itemgetter(0))
        yield name, b"".join(chain.from_iterable(ahead[at:end]))
        previous, at = ahead[end - 1][0], end


def rebuild(pages: Iterable[tuple[str, bytes]]) -> tuple[bytes, dict[str, Inner]]:
    """Top hash and inner nodes for the pages that `pages_of` gives.

    Keeps the inner nodes and the path to the page it is at: no list of all pages, of which there may be millions.
    The caller compares the root with the one it expects: that alone proves the entries complete and unchanged.
    """
    inner: dict[str, Inner] = {}
    path = _OpenPath(inner)
    for name, page in pages:
        if not name:
            return page_hash(page), inner
        path.add(name, page)
    return path.close(), inner


class _OpenPath:
    """The inner nodes from the top to the last page added; what lies before them is complete and hashed."""

    def __init__(self, inner: dict[str, Inner]) -> None:
        self._inner = inner
        self._name = ""
        """Name of the lowest open node. Node number d of the lists is named by its first d digits."""
        self._children: list[bytearray] = [bytearray(NO_CHILDREN)]
        self._counts = [0]

    def add(self, name: str, page: bytes) -> None:
        parent = name[:-1]
        while not parent.startswith(self._name):
            self._close_lowest()
        while len(self._name) < len(parent):
            self._name = parent[: len(self._name) + 1]
            self._children.append(bytearray(NO_CHILDREN))
            self._counts.append(0)
        self._put(name[-1], page_hash(page), len(page) // ENTRY_BYTES)

    def _put(self, digit: str, child_hash: bytes, count: int) -> None:
        at = OFFSET[digit]
        self._children[-1][at : at + 32] = child_hash
        self._counts[-1] += count

    def _close_lowest(self) -> bytes:
        name, children, count = self._name, bytes(self._children.pop()), self._counts.pop()
        self._inner[name] = (count, children)
        node_hash = sha256(children).digest()
        if name:
            self._name = name[:-1]
            self._put(name[-1], node_hash, count)
        return node_hash

    def close(self) -> bytes:
        """Hash of the top node, everything closed."""
        if not any(self._counts):
            return EMPTY
        while self._name:
            self._close_lowest()
        return self._close_lowest()
