"""What a holder keeps: on disk before it counts, bounded, and gone for good when it is destroyed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from node.errors import StoreError
from node.vault import store as store_module
from node.vault.errors import Refusal, VaultRefused
from node.vault.sealing import BOX_BYTES
from node.vault.store import VaultStore

GENESIS = bytes(range(32))
DATA = os.urandom(5_000)
BOX = os.urandom(BOX_BYTES)
READER = bytes([7]) * 32


def opened(path: Path, max_bytes: int = 1_000_000) -> VaultStore:
    return VaultStore(path, GENESIS, max_bytes)


def filled(path: Path, item: int = 1) -> VaultStore:
    store = opened(path)
    take_in(store, item)
    store.put_box(item, READER, BOX)
    store.put_receipt(item, b"request", b"receipt")
    return store


def take_in(store: VaultStore, item: int, data: bytes = DATA) -> None:
    incoming = store.receive(item, len(data), sha256(data).digest())
    try:
        incoming.write(data[:100])
        incoming.write(data[100:])
        incoming.finish()
    finally:
        incoming.drop()


def shows(path: Path) -> bool:
    """Whether bytes or sealed key lie anywhere below `path`, as the file system has it."""
    files = [file.read_bytes() for file in path.rglob("*") if file.is_file()]
    return any(BOX in data or DATA[:64] in data for data in files)


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path).close()
    store = opened(tmp_path)
    assert store.has_blob(1) and store.blob(1).read_bytes() == DATA
    assert store.boxes(1) == [(READER, BOX)] and store.box(1, bytes(32)) is None
    assert store.receipts(1) == [b"receipt"] and store.receipt(1, b"request") == b"receipt"
    assert (store.items, store.used_bytes) == (1, len(DATA))
    store.close()


def test_store_of_another_chain_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with pytest.raises(StoreError, match="belongs to the chain"):
        VaultStore(tmp_path, bytes(32), 1)


def test_what_came_only_half_goes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    incoming = store.receive(1, len(DATA), sha256(DATA).digest())
    incoming.write(DATA[:100])
    store.close()
    # As after kill -9: nobody called drop.
    assert list((tmp_path / "incoming").iterdir())
    again = opened(tmp_path)
    assert not list((tmp_path / "incoming").iterdir()) and not again.has_blob(1)
    again.close()


def test_destroyed_is_destroyed_and_receipts_stay(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert shows(tmp_path)
    store.destroy(1)
    assert store.is_destroyed(1) and not store.has_blob(1) and store.boxes(1) == []
    assert (store.items, store.used_bytes) == (0, 0) and not shows(tmp_path)
    store.destroy(1)
    assert store.receipts(1) == [b"receipt"]
    store.close()
    again = opened(tmp_path)
    assert again.is_destroyed(1) and again.used_bytes == 0 and not shows(tmp_path)
    again.close()


@pytest.mark.parametrize("after", range(6))
def test_destruction_that_was_cut_short_is_completed(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in the middle, before any of its steps, and is repeated after the start."""
    store = filled(tmp_path)
    left = after

    def step(real: Callable[[Path], None], path: Path) -> None:
        nonlocal left
        if left == 0:
            raise OSError(5, "the power went")
        left -= 1
        real(path)

    for name in ("_shred", "_sync_folder"):
        monkeypatch.setattr(store_module, name, partial(step, getattr(store_module, name)))
    if after < 4:
        with pytest.raises(StoreError, match="destroyed"):
            store.destroy(1)
        assert not store.is_destroyed(1)
    store.close()
    monkeypatch.undo()
    again = opened(tmp_path)
    again.destroy(1)
    assert again.is_destroyed(1) and not shows(tmp_path) and again.used_bytes == 0
    again.close()


def test_bounds_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path, max_bytes=len(DATA) + 100)
    take_in(store, 1)
    with pytest.raises(VaultRefused) as caught:
        store.receive(2, 101, bytes(32))
    assert caught.value.why is Refusal.FULL
    first = store.receive(2, 100, bytes(32))
    with pytest.raises(VaultRefused):
        store.receive(3, 1, bytes(32))
    first.drop()
    store.receive(3, 1, bytes(32)).drop()
    for limit in ("MAX_BOXES", "MAX_RECEIPTS"):
        monkeypatch.setattr(store_module, limit, 1)
    store.put_box(1, READER, BOX)
    store.put_box(1, READER, BOX)
    store.put_receipt(1, b"1", b"r")
    with pytest.raises(VaultRefused):
        store.put_box(1, bytes(32), BOX)
    with pytest.raises(VaultRefused):
        store.put_receipt(1, b"2", b"r")
    with pytest.raises(VaultRefused) as wrong:
        store.put_box(1, READER, BOX[:-1])
    assert wrong.value.why is Refusal.WRONG_CONTENT
    store.close()


def test_file_that_was_lost_counts_as_missing_and_may_come_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.blob(1).unlink()
    assert not store.has_blob(1)
    take_in(store, 1)
    assert store.has_blob(1) and (store.items, store.used_bytes) == (1, len(DATA))
    store.close()


def test_closed_store_takes_nothing_more(tmp_path: Path) -> None:
    store = filled(tmp_path)
    incoming = store.receive(2, len(DATA), sha256(DATA).digest())
    incoming.write(DATA)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        incoming.finish()
    incoming.drop()
    with pytest.raises(StoreError, match="closed"):
        store.destroy(1)
