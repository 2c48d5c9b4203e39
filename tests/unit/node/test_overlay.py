"""What an overlay, and a whole table's first row, keep of the state below."""

from __future__ import annotations

from pathlib import Path

import pytest

from consensus.errors import InvariantBroken
from node.claims.mutual_aid.records import Counters
from node.state import StateDatabase

KEY, OTHER = b"\x01one", b"\x01two"


def test_what_was_loaded_from_below_is_asked_for_once_and_ends_with_the_overlay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDatabase.open(tmp_path / "state", b"g" * 32)
    below = state.overlay()
    below.store(KEY, Counters(next_member=5, next_claim=1))
    state.commit(below, height=0, digest=b"d" * 32)
    asked: list[bytes] = []
    load = state.load

    def noted(name: bytes, kind: type[Counters]) -> Counters | None:
        asked.append(name)
        return load(name, kind)

    monkeypatch.setattr(state, "load", noted)
    parent = state.overlay()
    child = state.overlay(parent)
    for _ in range(3):
        found = child.load(KEY, Counters)
        assert found is not None and found.next_member == 5 and child.load(OTHER, Counters) is None
    assert asked == [KEY, OTHER]
    child.store(KEY, Counters(next_member=6, next_claim=1))
    child.delete(OTHER)
    changed = child.load(KEY, Counters)
    assert changed is not None and changed.next_member == 6 and child.load(OTHER, Counters) is None
    child.discard()
    with pytest.raises(InvariantBroken):
        child.load(KEY, Counters)
    state.close()


def test_a_range_that_ends_before_its_table_begins_leaves_later_ranges_alone(tmp_path: Path) -> None:
    state = StateDatabase.open(tmp_path / "state", b"g" * 32)
    below = state.overlay()
    below.put(b"\x02a", b"A")
    below.put(b"\x03b", b"B")
    state.commit(below, height=0, digest=b"d" * 32)
    above = state.overlay()
    for reader in (state.view(), above):
        assert list(reader.scan(b"\x03", b"\x02")) == []
        assert list(reader.scan(b"\x03", b"\x04")) == [(b"\x03b", b"B")]
    state.close()
