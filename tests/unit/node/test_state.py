"""The `state` database and its overlays, against plain dicts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from consensus.codec import encode
from consensus.errors import InvariantBroken
from node import merkle, rows
from node.errors import StoreError
from node.leveldb import Database
from node.overlay import Overlay
from node.state import StateDatabase

GENESIS = b"g" * 32


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    state = StateDatabase.open(tmp_path / "state", GENESIS)
    yield state
    state.close()


def key(number: int, table: int = 1) -> bytes:
    return bytes([table]) + number.to_bytes(4, "big")


def commit(state: StateDatabase, overlay: Overlay, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    height = 0 if state.tip is None else state.tip[0] + 1
    state.commit(overlay, height=height, digest=b"d" * 32, extra=extra or [])


def fill(state: StateDatabase, count: int) -> dict[bytes, bytes]:
    overlay = state.overlay()
    records = {key(number): b"value %d" % number for number in range(count)}
    for name, value in records.items():
        overlay.put(name, value)
    commit(state, overlay)
    return records


def check_equal(state: StateDatabase | Overlay, records: dict[bytes, bytes]) -> None:
    reader = state.view() if isinstance(state, StateDatabase) else state
    assert dict(reader.scan(b"", b"\xff")) == records
    assert list(reader.scan(b"", b"\xff")) == sorted(records.items())
    assert state.root() == merkle.state_root(records.items())


def test_a_new_state_is_empty(state: StateDatabase) -> None:
    assert state.tip is None and state.record_count == 0
    assert state.root() == merkle.state_root([])
    assert state.view().get(b"x") is None and list(state.view().scan(b"", b"\xff")) == []


def test_committed_records_survive_a_restart(tmp_path: Path) -> None:
    state = StateDatabase.open(tmp_path, GENESIS)
    records = fill(state, 2_000)
    state.close()
    state = StateDatabase.open(tmp_path, GENESIS)
    assert state.tip == (0, b"d" * 32) and state.record_count == 2_000
    check_equal(state, records)
    state.audit()
    state.close()


@pytest.mark.parametrize("seed", range(6))
def test_stacked_overlays_behave_like_dicts(tmp_path: Path, seed: int) -> None:
    """Random writes, scans, roots, commits, discards and restarts, up to eight overlays deep and branching."""
    choose = random.Random(seed)

    def opened() -> StateDatabase:
        flush_bytes = choose.choice([0, 100, 5_000, 4 << 20])
        return StateDatabase.open(
            tmp_path, GENESIS, cache_bytes=choose.choice([1, 20_000, 1 << 20]), flush_bytes=flush_bytes
        )

    state = opened()
    committed: dict[bytes, bytes] = {}
    stack: list[tuple[Overlay, dict[bytes, bytes]]] = []
    for _ in range(120):
        action = choose.random()
        if action < 0.45 and len(stack) < 8:
            below = stack[-1] if stack else (None, committed)
            overlay, records = state.overlay(below[0]), dict(below[1])
            doomed = state.overlay(below[0])
            doomed.put(key(0), b"lost")
            for _ in range(choose.choice([1, 30, 300])):
                name = key(choose.randrange(900), choose.randrange(1, 4))
                if choose.random() < 0.4:
                    overlay.delete(name)
                    records.pop(name, None)
                else:
                    value = choose.randbytes(choose.randrange(12))
                    overlay.put(name, value)
                    records[name] = value
                if choose.random() < 0.1:
                    start, end = sorted([key(choose.randrange(900), 2), key(choose.randrange(900), 2)])
                    start = choose.choice([start, b"\x02", b"\x01"])
                    assert list(overlay.scan(start, end)) == sorted(
                        (name, value) for name, value in records.items() if start <= name < end
                    )
            if choose.random() < 0.5:
                doomed.discard()
            stack.append((overlay, records))
        elif action < 0.75 and stack:
            overlay, committed = stack.pop(0)
            commit(state, overlay)
            assert state.record_count == len(committed)
        elif action < 0.8 and stack:
            overlay, _ = stack.pop()
            overlay.discard()
        elif action < 0.85:
            state.close()
            state = opened()
            stack = []
        elif stack:
            overlay, records = choose.choice(stack)
            check_equal(overlay, records)
            name = key(choose.randrange(900), choose.randrange(1, 4))
            assert overlay.get(name) == records.get(name)
            # A whole table, or its beginning, as a queue is read.
            table, end = name[:1], choose.choice([name, b"\x04", b"\xff", b"\x00"])
            for reader, known in ((overlay, records), (state.view(), committed)):
                assert list(reader.scan(table, end)) == sorted(
                    (name, value) for name, value in known.items() if table <= name < end
                )
    check_equal(state, committed)
    state.audit()
    for number in range(0, 900, 97):
        proof = state.prove(key(number))
        assert merkle.verify_state_proof(state.root(), key(number), committed.get(key(number)), proof)
    state.close()


def test_a_queue_is_read_from_its_first_row_and_not_over_those_that_are_gone(
    state: StateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LevelDB keeps a mark for each deleted row until it merges its tables, and a scan steps over every one."""
    fill(state, 1_000)
    starts: list[bytes] = []
    scan = state._db.scan

    def recorded(start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        starts.append(start)
        return scan(start, stop)

    monkeypatch.setattr(state._db, "scan", recorded)

    def first() -> bytes | None:
        return next((name for name, _ in state.view().scan(b"\x01", b"\x02")), None)

    def write(number: int, value: bytes | None) -> None:
        overlay = state.overlay()
        overlay.put(key(number), value)
        commit(state, overlay)

    for number in range(3):
        assert first() == key(number)
        write(number, None)
    assert starts == [rows.record_key(start) for start in (b"\x01", key(0), key(1))]
    # Nothing is due before 900: from now on nothing below it is looked at, unless a row is put there.
    overlay = state.overlay()
    for number in range(3, 900):
        overlay.delete(key(number))
    commit(state, overlay)
    assert list(state.view().scan(b"\x01", key(900))) == []
    assert list(state.view().scan(b"\x01", key(800))) == []
    assert first() == key(900) and starts[-1] == rows.record_key(key(900))
    write(500, b"late")
    assert first() == key(500) and starts[-1] == rows.record_key(key(500))


def test_the_first_key_is_remembered_until_its_table_changes(state: StateDatabase) -> None:
    assert state.first_key(b"\x01") is None
    for number, value, first in ((5, b"x", 5), (3, b"y", 3), (3, None, 5)):
        overlay = state.overlay()
        overlay.put(key(number), value)
        commit(state, overlay)
        assert state.first_key(b"\x01") == key(first)


def test_an_overlay_on_a_committed_one_goes_on(state: StateDatabase) -> None:
    first = state.overlay()
    first.put(key(1), b"one")
    second = state.overlay(first)
    second.put(key(2), b"two")
    third = state.overlay(second)
    third.delete(key(1))
    commit(state, first)
    check_equal(second, {key(1): b"one", key(2): b"two"})
    check_equal(third, {key(2): b"two"})
    commit(state, second)
    commit(state, third)
    check_equal(state, {key(2): b"two"})


def test_overlays_beside_a_committed_one_end(state: StateDatabase) -> None:
    winner, loser = state.overlay(), state.overlay()
    winner.put(key(1), b"one")
    child = state.overlay(loser)
    commit(state, winner)
    for dead in (winner, loser, child):
        for use in (
            lambda dead=dead: dead.get(key(1)),
            lambda dead=dead: dead.put(key(1), b"x"),
            lambda dead=dead: dead.delete(key(1)),
            lambda dead=dead: dead.scan(b"", b"\xff"),
            lambda dead=dead: dead.root(),
            lambda dead=dead: state.overlay(dead),
            lambda dead=dead: commit(state, dead),
        ):
            with pytest.raises(InvariantBroken):
                use()


def test_an_overlay_with_another_on_top_takes_no_writes(state: StateDatabase) -> None:
    below = state.overlay()
    above = state.overlay(below)
    with pytest.raises(InvariantBroken, match="frozen"):
        below.put(key(1), b"x")
    above.discard()
    below.put(key(1), b"x")


def test_only_the_next_height_is_committed(state: StateDatabase) -> None:
    with pytest.raises(InvariantBroken, match="height 1"):
        state.commit(state.overlay(), height=1, digest=b"d" * 32)
    fill(state, 1)
    with pytest.raises(InvariantBroken, match="height 0"):
        state.commit(state.overlay(), height=0, digest=b"d" * 32)
    parent = state.overlay()
    with pytest.raises(InvariantBroken, match="directly"):
        commit(state, state.overlay(parent))


def test_writes_after_the_root_change_the_root(state: StateDatabase) -> None:
    overlay = state.overlay()
    overlay.put(key(1), b"one")
    before = overlay.root()
    overlay.put(key(1), b"two")
    assert overlay.root() != before
    overlay.put(key(1), b"one")
    assert overlay.root() == before


def test_removing_everything_gives_the_empty_root_and_no_entries(state: StateDatabase) -> None:
    records = fill(state, 1_000)
    overlay = state.overlay()
    for name in records:
        overlay.delete(name)
    commit(state, overlay)
    assert state.root() == merkle.state_root([]) and state.inner == {}
    assert list(state._db.scan(*rows.all_entries())) == []


def test_extra_rows_are_in_the_same_batch(state: StateDatabase) -> None:
    overlay = state.overlay()
    commit(state, overlay, [(rows.transaction_key(b"id"), b"place")])
    assert state.row(rows.transaction_key(b"id")) == b"place"


def test_records_read_at_the_base_come_from_memory(state: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(state, 10)
    assert state.view().get(key(99)) is None
    monkeypatch.setattr(state._db, "get", lambda _: pytest.fail("read from the disk"))
    assert state.view().get(key(3)) == b"value 3"
    assert state.view().get(key(99)) is None


def test_a_key_without_a_record_is_not_looked_for_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page says so; LevelDB takes many vain looks as a reason to merge tables."""
    state = StateDatabase.open(tmp_path, GENESIS)
    fill(state, 1_000)
    state.close()
    state = StateDatabase.open(tmp_path, GENESIS)
    asked: list[bytes] = []
    monkeypatch.setattr(state._db, "get", asked.append)
    assert [state.record(key(number)) for number in range(5_000, 6_000)] == [None] * 1_000
    assert asked == []
    state.close()


def raw(path: Path) -> Database:
    return Database(path, name="state", way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20)


@pytest.mark.parametrize(
    "damage",
    ["entry gone", "entry changed", "entry cut", "another entry", "bad key", "no tip", "tip cut", "another format"],
)
def test_a_damaged_state_is_refused_with_a_way_out(tmp_path: Path, damage: str) -> None:
    state = StateDatabase.open(tmp_path, GENESIS)
    fill(state, 500)
    state.close()
    database = raw(tmp_path)
    (place, record), *_ = database.scan(*rows.all_entries())
    tip = database.get(rows.TIP)
    assert tip is not None
    row: tuple[bytes, bytes | None] = {
        "entry gone": (place, None),
        "entry changed": (place, record[:-1] + bytes([record[-1] ^ 1])),
        "entry cut": (place, record[:-1]),
        "another entry": (rows.entry_key(bytes(32)), record),
        "bad key": (place + b"\0", record),
        "no tip": (rows.TIP, None),
        "tip cut": (rows.TIP, tip[:-1]),
        "another format": (rows.META, encode(rows.Meta(format=2, database="state", genesis=GENESIS))),
    }[damage]
    database.write([row], sync=True)
    database.close()
    with pytest.raises(StoreError, match="Way out: run `weal node repair --rebuild-state`, or delete this directory"):
        StateDatabase.open(tmp_path, GENESIS)


def test_a_record_that_is_not_what_its_page_names_is_neither_read_nor_proved(tmp_path: Path) -> None:
    state = StateDatabase.open(tmp_path, GENESIS)
    fill(state, 50)
    state.close()
    database = raw(tmp_path)
    database.write([(rows.record_key(key(7)), b"forged"), (rows.record_key(key(8)), None)], sync=True)
    database.close()
    state = StateDatabase.open(tmp_path, GENESIS)
    for number, value in ((7, b"forged"), (8, None)):
        for use in (state.record, state.prove):
            with pytest.raises(StoreError, match=r"is not the one its page names.*rebuild-state"):
                use(key(number))
        assert state.as_written(key(number)) == value
    assert state.record(key(9)) == b"value 9"
    state.close()


@pytest.mark.parametrize("number", [1, 50, 100, 1000])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"forged", "is not the one its page names"),
        (None, "it has 999 records, its pages name 1000"),
    ],
)
def test_an_audit_finds_a_single_wrong_or_missing_record_in_bounded_pieces(
    number: int, value: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.state._AUDIT_ROWS", 64)
    state = StateDatabase.open(tmp_path, GENESIS)
    fill(state, 1000)
    state.audit()
    state.close()
    database = raw(tmp_path)
    at = list(database.scan(*rows.all_records()))[number - 1][0]
    database.write([(at, value)], sync=True)
    database.close()
    state = StateDatabase.open(tmp_path, GENESIS)
    with pytest.raises(StoreError, match=message):
        state.audit()
    state.close()


def test_an_audit_finds_a_record_that_no_page_names(tmp_path: Path) -> None:
    state = StateDatabase.open(tmp_path, GENESIS)
    state.audit()
    fill(state, 50)
    state.close()
    database = raw(tmp_path)
    database.write([(rows.record_key(b"another"), b"record")], sync=True)
    database.close()
    state = StateDatabase.open(tmp_path, GENESIS)
    with pytest.raises(StoreError, match="is not the one its page names"):
        state.audit()
    state.close()


def test_cached_pages_make_room_for_inner_nodes(tmp_path: Path) -> None:
    """Inner nodes stay whatever they take: what the state caches is bounded with them, half of it is for pages."""

    def taken(state: StateDatabase) -> int:
        pages = [page for pages in (state._pages._young, state._pages._old) for page in pages.values()]
        return sum(map(len, pages)) + 180 * len(pages) + 740 * len(state.inner)

    bound = 900_000
    state = StateDatabase.open(tmp_path, GENESIS, cache_bytes=bound * 16 // 15)
    for first in range(0, 10_000, 500):
        overlay = state.overlay()
        for number in range(first, first + 500):
            overlay.put(key(number), b"value")
        commit(state, overlay)
        assert taken(state) <= bound
    inner = 740 * len(state.inner)
    assert 100_000 < inner < bound // 2 and taken(state) - inner > bound // 4
    state.close()
    state = StateDatabase.open(tmp_path, GENESIS, cache_bytes=bound * 16 // 15)
    assert state._pages._half == (bound - inner) // 2, "a start finds them too"
    state.close()
    state = StateDatabase.open(tmp_path, GENESIS, cache_bytes=80_000)
    assert state._pages._half == 75_000 // 4
    state.close()


def test_a_page_changed_under_a_running_node_is_noticed(tmp_path: Path) -> None:
    state = StateDatabase.open(tmp_path, GENESIS, cache_bytes=1)
    fill(state, 500)
    state.flush()
    place, _ = next(state._db.scan(*rows.all_entries()))
    state._db.write([(place, b"x" * 32)], sync=False)
    overlay = state.overlay()
    for number in range(500):
        overlay.put(key(number), b"new")
    with pytest.raises(StoreError, match="page .* is missing or changed"):
        overlay.root()
    state.close()


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    StateDatabase.open(tmp_path, GENESIS).close()
    with pytest.raises(StoreError, match="belongs to the chain"):
        StateDatabase.open(tmp_path, b"h" * 32)
