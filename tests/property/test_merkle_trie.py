"""The page trie against an obvious one that rebuilds the whole tree from a dict each time."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node import merkle
from node.entries import pages_of, rebuild
from node.merkle import EMPTY, Inner, StateProof, TrieUpdate


def naive_node(entries: list[tuple[str, bytes]], depth: int) -> bytes:
    """Hash of the node over sorted (position in hex, record hash), straight from the definition."""
    if not entries:
        return bytes(32)
    if len(entries) <= 32:
        return sha256(b"\0" + b"".join(bytes.fromhex(position) + record for position, record in entries)).digest()
    groups: list[list[tuple[str, bytes]]] = [[] for _ in range(16)]
    for position, record in entries:
        groups[int(position[depth], 16)].append((position, record))
    return sha256(b"\1" + b"".join(naive_node(group, depth + 1) for group in groups)).digest()


def naive_root(records: dict[bytes, bytes]) -> bytes:
    entries = sorted((sha256(key).hexdigest(), sha256(value).digest()) for key, value in records.items())
    return sha256(b"weal/state/1\0" + naive_node(entries, 0)).digest()


def naive_pages(entries: list[tuple[bytes, bytes]], name: str = "") -> dict[str, bytes]:
    """Pages by name, straight from the definition."""
    if len(entries) <= 32:
        return {name: b"".join(position + record for position, record in entries)} if entries else {}
    pages: dict[str, bytes] = {}
    for digit in "0123456789abcdef":
        below = [entry for entry in entries if entry[0].hex()[len(name)] == digit]
        pages |= naive_pages(below, name + digit)
    return pages


class Trie:
    """Pages, entries and inner nodes in dicts; checks what the update says has changed."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.entries: dict[bytes, bytes] = {}
        self.inner: dict[str, Inner] = {}
        self.top = EMPTY
        self.records: dict[bytes, bytes] = {}

    def page(self, name: str, expected: bytes) -> bytes:
        page = self.pages[name]
        assert merkle.page_hash(page) == expected
        return page

    def apply(self, writes: dict[bytes, bytes | None]) -> bytes:
        update = TrieUpdate(self.page, self.inner.get)
        self.top = update.apply(writes.items(), self.top)
        for name, page in update.pages.items():
            if page:
                self.pages[name] = page
            else:
                self.pages.pop(name, None)
        for position, entry in update.entries.items():
            if entry is None:
                self.entries.pop(position, None)
            else:
                self.entries[position] = entry
        for name, node in update.inner.items():
            if node is None:
                self.inner.pop(name)
            else:
                self.inner[name] = node
        before = len(self.records)
        for key, value in writes.items():
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value
        assert update.added == len(self.records) - before
        return merkle.root_of(self.top)

    def rebuilt(self) -> tuple[bytes, dict[str, Inner]]:
        """Top and inner nodes from the entries, as at a start; they cut into the very pages."""
        pages = list(pages_of(sorted(self.entries.items())))
        assert pages == sorted(self.pages.items())
        return rebuild(pages)

    def prove(self, key: bytes) -> StateProof:
        return merkle.prove(key, self.top, self.page, self.inner.get)


def key(number: int, width: int = 2) -> bytes:
    return number.to_bytes(width, "big")


WRITES = st.lists(
    st.tuples(
        st.integers(0, 700),  # first key
        st.integers(1, 250),  # so many keys from there
        st.integers(1, 5),  # every so manieth
        st.one_of(st.none(), st.binary(max_size=3)),
    ),
    max_size=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(blocks=st.lists(WRITES, max_size=8), ask=st.lists(st.integers(0, 1000), max_size=4))
def test_trie_equals_a_naive_rebuild_after_every_block(
    blocks: list[list[tuple[int, int, int, bytes | None]]], ask: list[int]
) -> None:
    trie = Trie()
    for block in blocks:
        writes: dict[bytes, bytes | None] = {}
        for first, count, step, value in block:
            for number in range(first, first + count * step, step):
                writes[key(number)] = value
        root = trie.apply(writes)
        assert root == naive_root(trie.records)
    top, inner = trie.rebuilt()
    assert (top, inner) == (trie.top, trie.inner)
    assert merkle.state_root(trie.records.items()) == merkle.root_of(top)
    for number in ask:
        value = trie.records.get(key(number))
        named = merkle.record_hash(key(number), top, trie.page, inner.get)
        assert named == (None if value is None else sha256(value).digest())
        proof = trie.prove(key(number))
        assert merkle.verify_state_proof(merkle.root_of(top), key(number), value, proof)
        assert not merkle.verify_state_proof(merkle.root_of(top), key(number), b"another", proof)
        if value is not None:
            assert not merkle.verify_state_proof(merkle.root_of(top), key(number), None, proof)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 1500), asked=st.integers(0, 3000), data=st.data())
def test_a_state_proof_with_any_byte_changed_fails(count: int, asked: int, data: st.DataObject) -> None:
    trie = Trie()
    root = trie.apply({key(number): b"v%d" % number for number in range(count)})
    value = trie.records.get(key(asked))
    proof = trie.prove(key(asked))
    assert merkle.verify_state_proof(root, key(asked), value, proof)
    parts = [proof.page, *proof.path]
    filled = [index for index, part in enumerate(parts) if part]
    if not filled:
        return
    which = data.draw(st.sampled_from(filled))
    at = data.draw(st.integers(0, len(parts[which]) - 1))
    flip = data.draw(st.integers(1, 255))
    part = bytearray(parts[which])
    part[at] ^= flip
    parts[which] = bytes(part)
    assert not merkle.verify_state_proof(root, key(asked), value, StateProof(page=parts[0], path=tuple(parts[1:])))


def test_positions_that_share_many_digits_are_split_as_deep_as_needed_and_merge_again() -> None:
    """40 keys whose positions begin with the same three digits, among others: pages four levels down."""
    near: list[bytes] = []
    number = 0
    while len(near) < 40:
        if sha256(key(number, 4)).digest()[:2] < b"\x00\x10":
            near.append(key(number, 4))
        number += 1
    trie = Trie()
    rest = {key(number): b"rest" for number in range(300)}
    trie.apply(dict.fromkeys(near, b"near"))
    assert {len(name) for name in trie.inner} == {0, 1, 2, 3} and all(len(name) == 4 for name in trie.pages)
    assert trie.apply(dict(rest)) == naive_root(trie.records)
    for count in (6, 2, 1, 20):
        gone, near = near[:count], near[count:]
        assert trie.apply(dict.fromkeys(gone)) == naive_root(trie.records)
        assert trie.rebuilt() == (trie.top, trie.inner)
    assert trie.apply(dict.fromkeys(rest)) == naive_root(trie.records)
    assert trie.inner == {} and list(trie.pages) == [""]


def test_every_single_byte_of_a_proof_matters() -> None:
    trie = Trie()
    root = trie.apply({key(number): b"v" for number in range(40)})
    for asked in (3, 41):
        value = trie.records.get(key(asked))
        proof = trie.prove(key(asked))
        assert len(proof.path) == 1
        assert merkle.verify_state_proof(root, key(asked), value, proof)
        for at in range(len(proof.page)):
            page = proof.page[:at] + bytes([proof.page[at] ^ 1]) + proof.page[at + 1 :]
            assert not merkle.verify_state_proof(root, key(asked), value, StateProof(page=page, path=proof.path))
        for at in range(480):
            beside = proof.path[0][:at] + bytes([proof.path[0][at] ^ 1]) + proof.path[0][at + 1 :]
            assert not merkle.verify_state_proof(root, key(asked), value, StateProof(page=proof.page, path=(beside,)))
        assert not merkle.verify_state_proof(root, key(asked), value, StateProof(page=proof.page, path=()))
        longer = StateProof(page=proof.page, path=(*proof.path, bytes(480)))
        assert not merkle.verify_state_proof(root, key(asked), value, longer)
        assert not merkle.verify_state_proof(bytes(32), key(asked), value, proof)


@given(size=st.integers(1, 70), data=st.data())
def test_rfc6962_paths_verify_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    leaves = [b"leaf %d" % number for number in range(size)]
    root = merkle.rfc6962_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.rfc6962_proof(leaves, index)
    assert merkle.verify_rfc6962(root, leaves[index], index, size, path)
    assert not merkle.verify_rfc6962(root, b"another", index, size, path)
    for other in range(size):
        assert (other == index) == merkle.verify_rfc6962(root, leaves[index], other, size, path)
    assert not merkle.verify_rfc6962(root, leaves[index], index, size, (*path, bytes(32)))
    if path:
        assert not merkle.verify_rfc6962(root, leaves[index], index, size, path[:-1])
        at = data.draw(st.integers(0, len(path) - 1))
        wrong = bytes([path[at][0] ^ 1]) + path[at][1:]
        assert not merkle.verify_rfc6962(root, leaves[index], index, size, (*path[:at], wrong, *path[at + 1 :]))


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_rfc6962_root_matches_known_answers(size: int, root: str) -> None:
    """The test vectors of certificate transparency implementations."""
    leaves = [
        bytes.fromhex(leaf)
        for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    assert merkle.rfc6962_root(leaves[:size]).hex() == root


@settings(max_examples=150, deadline=None)
@given(
    groups=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 31), st.integers(1, 120)), max_size=6),
    ahead=st.integers(merkle.PAGE_ENTRIES + 1, 200),
)
def test_pages_are_cut_where_the_definition_says(groups: list[tuple[int, int, int]], ahead: int) -> None:
    """Groups of positions that share up to 62 digits, as no hash would give them, and few or many read at a time."""
    positions = {
        bytes([first]) * shared + sha256(b"%d %d %d" % (first, shared, number)).digest()[: 32 - shared]
        for first, shared, count in groups
        for number in range(count)
    }
    entries = [(position, sha256(position).digest()) for position in sorted(positions)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.entries._AHEAD", ahead)
        assert dict(pages_of(entries)) == naive_pages(entries)


@pytest.mark.parametrize("entry", [(bytes(31), bytes(33)), (bytes(32), bytes(31)), (b"", b"")])
def test_what_has_not_the_size_of_an_entry_is_refused(entry: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        list(pages_of([(b"\0" * 32, bytes(32)), entry]))


def test_rebuilding_holds_no_list_of_the_pages() -> None:
    """Some 20 pages to an inner node: a start of a node with many members must not need memory for each page."""
    trie = Trie()
    trie.apply({key(number): b"v" for number in range(60_000)})
    entries = sorted(trie.entries.items())
    tracemalloc.start()
    try:
        _, inner = rebuild(pages_of(iter(entries)))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(trie.pages) > 10 * len(inner)
    assert peak < kept + 192 * 1024, "beside the inner nodes, the entries of a few pages"
