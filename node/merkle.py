"""Merkle trees, pure: the state as a page trie, receipts and transactions as RFC 6962 trees, and their proofs.

The state trie maps position = SHA-256(key) to SHA-256(record). Its leaves are pages of up to 32 entries,
because in Python the number of calls costs, not the bytes hashed: one page and four wide inner nodes per
update instead of twenty small ones. A page that outgrows 32 entries is split by the next hex digit of the
position; a node whose subtree shrinks to 32 is a page again. So the shape, and with it the root, is a function
of the contents alone, whatever the history. Bytes: docs/protocol.md.

On the disk the entries are rows of their own, in the order of their positions: a page is a run of them. An update
writes the entries that it changes and not the pages that they lie on, which are some ten times as many bytes. The way
back, from entries to pages and inner nodes, is node/entries.py.

    page    sha256(0x00 || position || record hash || position || ...)   sorted by position; nothing = 32 zeros
    inner   sha256(0x01 || 16 child hashes)
    root    sha256("weal/state/1" 0x00 || hash of the top node)

A node is named by the hex digits that lead to it: "" is the top.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from consensus.merkle import rfc6962_root
from consensus.types import Wire

__all__ = [
    "EMPTY",
    "Inner",
    "StateProof",
    "TrieUpdate",
    "entries",
    "missing",
    "prove",
    "record_hash",
    "rfc6962_proof",
    "rfc6962_root",
    "root_of",
    "state_root",
    "verify_rfc6962",
    "verify_state_proof",
]

PAGE_ENTRIES: Final = 32
"""Most entries of a page. Part of the chain format: another number gives other roots."""
ENTRY_BYTES: Final = 64
PAGE_BYTES: Final = PAGE_ENTRIES * ENTRY_BYTES
MAX_DEPTH: Final = 64
"""Hex digits of a position."""
EMPTY: Final = bytes(32)
"""Hash of a place without entries. No preimage of it is known, so it cannot be taken for a page."""

Inner = tuple[int, bytes]
"""An inner node: entries below it, and 0x01 followed by its 16 child hashes (what is hashed)."""
ReadPage = Callable[[str, bytes], bytes]
"""(name, hash expected) -> the page's bytes."""
ReadInner = Callable[[str], Inner | None]
"""The inner node of that name, or None if there is a page or nothing."""

_DIGITS: Final = "0123456789abcdef"
OFFSET: Final = {digit: 1 + 32 * value for value, digit in enumerate(_DIGITS)}
NO_CHILDREN: Final = b"\1" + bytes(512)
_ROOT_TAG: Final = b"weal/state/1\0"


def root_of(top: bytes) -> bytes:
    """State root for the hash of the top node."""
    return sha256(_ROOT_TAG + top).digest()


def page_hash(page: bytes) -> bytes:
    return sha256(b"\0" + page).digest() if page else EMPTY


def _find(page: bytes, position: bytes) -> int:
    """Offset of the position's entry, or -1."""
    at = page.find(position)
    while at >= 0 and at % ENTRY_BYTES:
        at = page.find(position, at + 1)
    return at


def _with_entry(page: bytes, position: bytes, record: bytes | None) -> bytes:
    """The page with one entry set, or with None taken out."""
    # Faster than looking at few of them in Python, one after the other.
    positions = [page[at : at + 32] for at in range(0, len(page), ENTRY_BYTES)]
    index = bisect_left(positions, position)
    at = index * ENTRY_BYTES
    if index < len(positions) and positions[index] == position:
        if record is None:
            return page[:at] + page[at + ENTRY_BYTES :]
        return page[: at + 32] + record + page[at + ENTRY_BYTES :]
    if record is None:
        return page
    return page[:at] + position + record + page[at:]


def _digit_at(page: bytes, at: int, depth: int) -> int:
    """Digit number `depth` of the position of the entry at offset `at`."""
    byte = page[at + depth // 2]
    return byte & 15 if depth & 1 else byte >> 4


_Item = tuple[str, bytes, bytes | None]
"""Position in hex, position, record hash (None: the record goes)."""


def _merged(page: bytes, items: list[_Item]) -> bytes:
    """The page with many entries set or taken out; the result may be longer than a page."""
    entries = {page[at : at + 32]: page[at : at + ENTRY_BYTES] for at in range(0, len(page), ENTRY_BYTES)}
    for _, position, record in items:
        if record is None:
            entries.pop(position, None)
        else:
            entries[position] = position + record
    return b"".join([entries[position] for position in sorted(entries)])


class TrieUpdate:
    """Applies the writes of one block at once: every changed page and inner node is hashed once.

    The trie below is only read. `pages`, `inner` and `entries` hold what changed afterwards: a page of b"", and an
    inner node or an entry of None, are gone. Use it for one `apply`.
    """

    def __init__(self, page: ReadPage, inner: ReadInner) -> None:
        self._page, self._inner = page, inner
        self.pages: dict[str, bytes] = {}
        self.inner: dict[str, Inner | None] = {}
        self.entries: dict[bytes, bytes | None] = {}
        """Record hash by position."""
        self.added = 0
        """Change of the number of records."""

    def apply(self, writes: Iterable[tuple[bytes, bytes | None]], top: bytes) -> bytes:
        """Hash of the top node after `writes` (key, record or None to remove it; each key once)."""
        entries = self.entries
        for key, record in writes:
            entries[sha256(key).digest()] = None if record is None else sha256(record).digest()
        if not entries:
            return top
        items = [(position.hex(), position, entries[position]) for position in sorted(entries)]
        top, self.added = self._node("", items, 0, len(items), top)
        return top

    def _node(self, name: str, items: list[_Item], low: int, high: int, current: bytes) -> tuple[bytes, int]:
        """New hash of a node after items[low:high], and by how many entries it grew."""
        node = self._inner(name)
        if node is None:
            return self._leaf(name, items, low, high, current)
        count, children = node
        depth, grown = len(name), 0
        changed = bytearray(children)
        while low < high:
            digit = items[low][0][depth]
            end = low + 1
            while end < high and items[end][0][depth] == digit:
                end += 1
            at = OFFSET[digit]
            changed[at : at + 32], more = self._node(name + digit, items, low, end, children[at : at + 32])
            grown += more
            low = end
        count += grown
        if count <= PAGE_ENTRIES:
            return self._collapse(name, bytes(changed)), grown
        node = (count, bytes(changed))
        if node[1] == children:
            return current, grown
        self.inner[name] = node
        return sha256(node[1]).digest(), grown

    def _leaf(self, name: str, items: list[_Item], low: int, high: int, current: bytes) -> tuple[bytes, int]:
        before = b"" if current == EMPTY else self._page(name, current)
        if high - low <= 4:
            page = before
            for index in range(low, high):
                _, position, record = items[index]
                page = _with_entry(page, position, record)
        else:
            page = _merged(before, items[low:high])
        if page == before:
            return current, 0
        grown = (len(page) - len(before)) // ENTRY_BYTES
        if len(page) <= PAGE_BYTES:
            self.pages[name] = page
            return page_hash(page), grown
        if before:
            self.pages[name] = b""
        return self._split(name, page), grown

    def _split(self, name: str, page: bytes) -> bytes:
        """Make an inner node out of more entries than a page holds."""
        depth, low, end = len(name), 0, len(page)
        children = bytearray(NO_CHILDREN)
        while low < end:
            digit = _digit_at(page, low, depth)
            high = low + ENTRY_BYTES
            while high < end and _digit_at(page, high, depth) == digit:
                high += ENTRY_BYTES
            child_name, child = name + _DIGITS[digit], page[low:high]
            if high - low <= PAGE_BYTES:
                self.pages[child_name] = child
                child_hash = page_hash(child)
            else:
                child_hash = self._split(child_name, child)
            children[1 + 32 * digit : 33 + 32 * digit] = child_hash
            low = high
        node = bytes(children)
        self.inner[name] = (end // ENTRY_BYTES, node)
        return sha256(node).digest()

    def _collapse(self, name: str, children: bytes) -> bytes:
        """Make a page out of an inner node with few entries. Its children are pages: so few fit into one."""
        parts: list[bytes] = []
        for digit, at in OFFSET.items():
            child_hash = children[at : at + 32]
            if child_hash != EMPTY:
                child = self.pages.get(name + digit) or self._page(name + digit, child_hash)
                parts.append(child)
                self.pages[name + digit] = b""
        self.inner[name] = None
        page = self.pages[name] = b"".join(parts)
        return page_hash(page)


def state_root(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Root of a state given as a whole (genesis, tests); each key once."""

    def no_page(name: str, expected: bytes) -> bytes:
        raise KeyError(name)

    return root_of(TrieUpdate(no_page, lambda name: None).apply(records, EMPTY))


def _place(digits: str, top: bytes, inner: ReadInner) -> tuple[str, bytes]:
    """Name and hash of the page at a position, which is given in hex."""
    depth, above = 0, None
    while (node := inner(digits[:depth])) is not None:
        depth, above = depth + 1, node
    if above is None:
        return "", top
    at = OFFSET[digits[depth - 1]]
    return digits[:depth], above[1][at : at + 32]


def record_hash(key: bytes, top: bytes, page: ReadPage, inner: ReadInner) -> bytes | None:
    """Hash of the record that the trie names at `key`, or None if it names none."""
    position = sha256(key)
    name, current = _place(position.hexdigest(), top, inner)
    if current == EMPTY:
        return None
    held = page(name, current)
    found = _find(held, position.digest())
    return None if found < 0 else held[found + 32 : found + ENTRY_BYTES]


def missing(records: Iterable[tuple[bytes, bytes]], top: bytes, page: ReadPage, inner: ReadInner) -> bytes | None:
    """The key of a record that its page does not name as it is, or None if all are in place.

    Each key once. They are looked up in the order of their positions, so a page is read once for all of its records.
    """
    items = sorted((sha256(key).digest(), sha256(value).digest(), key) for key, value in records)
    name: str | None = None
    held = b""
    for position, record, key in items:
        digits = position.hex()
        if name is None or not digits.startswith(name):
            name, current = _place(digits, top, inner)
            held = b"" if current == EMPTY else page(name, current)
        found = _find(held, position)
        if found < 0 or held[found + 32 : found + ENTRY_BYTES] != record:
            return key
    return None


def entries(top: bytes, page: ReadPage, inner: ReadInner) -> int:
    """How many records the trie names."""
    node = inner("")
    if node is not None:
        return node[0]
    return 0 if top == EMPTY else len(page("", top)) // ENTRY_BYTES


class StateProof(Wire, frozen=True):
    """Shows what a state root says about one key: its record's hash, or that there is none."""

    page: bytes
    """The page at the key's position; empty if that place is."""
    path: tuple[bytes, ...]
    """From the top down, for each inner node the 15 hashes beside the one on the way: 480 bytes each."""


def prove(key: bytes, top: bytes, page: ReadPage, inner: ReadInner) -> StateProof:
    """Proof of presence or absence of `key` in the trie."""
    position = sha256(key).hexdigest()
    path: list[bytes] = []
    name, current = "", top
    while (node := inner(name)) is not None:
        digit = position[len(name)]
        at = OFFSET[digit]
        children = node[1]
        path.append(children[1:at] + children[at + 32 :])
        current = children[at : at + 32]
        name += digit
    return StateProof(page=b"" if current == EMPTY else page(name, current), path=tuple(path))


def verify_state_proof(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> bool:
    """Does the state with this root hold `value` at `key`? With None: does it hold nothing there?"""
    page, path = proof.page, proof.path
    if len(path) > MAX_DEPTH or any(len(beside) != 480 for beside in path):
        return False
    if len(page) % ENTRY_BYTES or len(page) > PAGE_BYTES:
        return False
    position = sha256(key).digest()
    digits, depth = position.hex(), len(path)
    previous = b""
    for at in range(0, len(page), ENTRY_BYTES):
        entry = page[at : at + 32]
        if entry <= previous or entry.hex()[:depth] != digits[:depth]:
            return False
        previous = entry
    found = _find(page, position)
    record = None if found < 0 else page[found + 32 : found + ENTRY_BYTES]
    if record != (None if value is None else sha256(value).digest()):
        return False
    current = page_hash(page)
    for level in range(depth - 1, -1, -1):
        at = OFFSET[digits[level]] - 1
        beside = path[level]
        current = sha256(b"\1" + beside[:at] + current + beside[at:]).digest()
    return root_of(current) == root


def rfc6962_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Audit path of leaf `index`, from the leaf up (RFC 6962, section 2.1.1). Raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    path: list[bytes] = []
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        above = [sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) & 1:
            above.append(level[-1])
        level, index = above, index // 2
    return tuple(path)


def verify_rfc6962(root: bytes, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bool:
    """Is `leaf` number `index` of the `size` leaves under `root`? (RFC 9162, section 2.1.3.2)"""
    if not 0 <= index < size or len(path) > 64:
        return False
    current = sha256(b"\0" + leaf).digest()
    last = size - 1
    for beside in path:
        if last == 0 or len(beside) != 32:
            return False
        if index & 1 or index == last:
            current = sha256(b"\1" + beside + current).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            current = sha256(b"\1" + current + beside).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and current == root
