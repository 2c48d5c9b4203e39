"""Sealing papers: what comes back is what went in, and nothing comes back of anything that was touched."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from node.crypto import SigningKey
from node.vault import sealing
from node.vault.errors import SealError
from node.vault.sealing import (
    CHUNK_BYTES,
    MAX_PAPERS,
    Paper,
    Sealed,
    bucket_bytes,
    ciphertext_bytes,
    open_papers,
    seal_key,
    seal_papers,
    unseal_key,
)

GENESIS = bytes(range(32))
PAPERS = (Paper("report.pdf", b"a finding " * 20_000), Paper("bill.pdf", b"12.50"))


def sealed(*papers: Paper) -> tuple[Sealed, bytes]:
    out = io.BytesIO()
    item = seal_papers(papers or PAPERS, GENESIS, out)
    return item, out.getvalue()


def opened(item: Sealed, data: bytes, folder: Path, genesis: bytes = GENESIS) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in open_papers(item, genesis, io.BytesIO(data), folder)}


def test_papers_come_back_with_their_names(tmp_path: Path) -> None:
    item, data = sealed()
    assert opened(item, data, tmp_path) == {"report.pdf": PAPERS[0].content, "bill.pdf": PAPERS[1].content}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, 3_900, 4_096, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 5])
def test_length_says_no_more_than_the_bucket(size: int, tmp_path: Path) -> None:
    item, data = sealed(Paper("x", b"\xff" * size))
    assert len(data) == ciphertext_bytes(item.bucket) and bucket_bytes(item.bucket) > size
    assert opened(item, data, tmp_path) == {"x": b"\xff" * size}


def test_file_is_read_from_disk_and_progress_is_told(tmp_path: Path) -> None:
    paper = tmp_path / "scan.tif"
    paper.write_bytes(b"\x01" * 200_000)
    told: list[tuple[int, int]] = []
    out = io.BytesIO()
    item = seal_papers([Paper("scan.tif", paper)], GENESIS, out, lambda done, size: told.append((done, size)))
    assert told[-1] == (bucket_bytes(item.bucket),) * 2 and len(told) == 4
    assert opened(item, out.getvalue(), tmp_path / "out") == {"scan.tif": paper.read_bytes()}


def test_same_papers_sealed_twice_have_nothing_in_common() -> None:
    (one, first), (two, second) = sealed(), sealed()
    assert one.commitment != two.commitment and one.ciphertext != two.ciphertext and one.key != two.key
    assert first[:24] != second[:24]


CHUNK = CHUNK_BYTES + 17


def _swap(data: bytes) -> bytes:
    return data[:24] + data[24 + CHUNK : 24 + 2 * CHUNK] + data[24 : 24 + CHUNK] + data[24 + 2 * CHUNK :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the header": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a bit of the middle": lambda data: data[:100_000] + bytes([data[100_000] ^ 1]) + data[100_001:],
    "a bit of the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut short by a byte": lambda data: data[:-1],
    "cut short by a chunk": lambda data: data[:-CHUNK],
    "chunks swapped": _swap,
    "a chunk repeated": lambda data: data[: 24 + CHUNK] + data[24 : 24 + CHUNK] + data[24 + 2 * CHUNK :],
    "something behind it": lambda data: data + b"\0",
    "nothing at all": lambda data: b"",
    "garbage": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_bytes_give_nothing_out(what: str, tmp_path: Path) -> None:
    item, data = sealed()
    with pytest.raises(SealError) as caught:
        opened(item, DAMAGE[what](data), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "report" not in str(caught.value)


def test_other_chain_other_key_and_other_commitment_give_nothing_out(tmp_path: Path) -> None:
    item, data = sealed()
    other, other_data = sealed()
    for wrong, content, genesis in (
        (item, data, bytes(32)),
        (item._replace(key=other.key), data, GENESIS),
        (item._replace(commitment=other.commitment), data, GENESIS),
        (item._replace(ciphertext=other.ciphertext), data, GENESIS),
        (item, other_data, GENESIS),
    ):
        with pytest.raises(SealError):
            opened(wrong, content, tmp_path, genesis)
        assert list(tmp_path.iterdir()) == []


def test_names_stay_in_their_folder_and_never_replace_a_file(tmp_path: Path) -> None:
    names = ("../../up.txt", "..", "/etc/passwd", "a\\b.txt", "same", "same", ".hidden", "\n", "x" * 300)
    item, data = sealed(*(Paper(name, name.encode()) for name in names))
    found = opened(item, data, tmp_path / "out")
    assert sorted(found.values()) == sorted(name.encode() for name in names)
    assert {path.parent for path in (tmp_path / "out").iterdir()} == {tmp_path / "out"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(SealError, match="same name"):
        opened(item, data, tmp_path / "out")


def test_too_much_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SealError, match="papers"):
        seal_papers([], GENESIS, io.BytesIO())
    with pytest.raises(SealError, match="papers"):
        seal_papers([Paper("x", b"")] * (MAX_PAPERS + 1), GENESIS, io.BytesIO())
    monkeypatch.setattr(sealing, "MAX_BUCKET", 1)
    with pytest.raises(SealError, match="make several"):
        seal_papers([Paper("x", bytes(8_192))], GENESIS, io.BytesIO())


def test_paper_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    paper = tmp_path / "scan"
    paper.write_bytes(b"x" * 300_000)

    class Growing(io.BytesIO):
        def write(self, data: object) -> int:
            paper.write_bytes(b"y" * 300_000)
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(SealError, match="changed"):
        seal_papers([Paper("scan", paper)], GENESIS, Growing())


def test_sealed_key_opens_for_its_recipient_only() -> None:
    owner, other = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)
    key = bytes(range(32))
    box = seal_key(key, owner.public)
    assert len(box) == sealing.BOX_BYTES and unseal_key(box, owner) == key and key not in box
    assert seal_key(key, owner.public) != box
    for wrong, who in (
        (box, other),
        (box[:-1], owner),
        (b"", owner),
        (bytes(80), owner),
        (box[:-1] + bytes([box[-1] ^ 1]), owner),
    ):
        with pytest.raises(SealError):
            unseal_key(wrong, who)
    for bad in (bytes(32), b"\x01" + bytes(31), b"short"):
        with pytest.raises(SealError):
            seal_key(key, bad)
    with pytest.raises(SealError):
        unseal_key(seal_key(b"short", owner.public), owner)
