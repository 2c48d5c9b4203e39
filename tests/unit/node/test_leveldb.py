"""How tables are made can be changed between two starts, and what a table says of itself is always checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import StoreError
from node.leveldb import Database, Tables
from node.state import TABLES, StateDatabase

ROWS = [(number.to_bytes(8, "big"), bytes([number % 251]) * 70) for number in range(5_000)]
FILTER = b"filter.leveldb.BuiltinBloomFilter2"
"""Name of the part of a table that is its filter."""


def opened(path: Path, tables: Tables) -> Database:
    return Database(
        path, name="state", way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20, tables=tables, on_write=None
    )


def filled(path: Path, tables: Tables) -> None:
    database = opened(path, tables)
    database.write(ROWS, sync=False)
    database.compact()
    database.close()


def table_bytes(path: Path) -> list[bytes]:
    return [table.read_bytes() for table in sorted(path.glob("*.ldb"))]


@pytest.mark.parametrize(("before", "after"), [(Tables(), TABLES), (TABLES, Tables())])
def test_tables_made_in_one_way_are_read_and_merged_in_another(tmp_path: Path, before: Tables, after: Tables) -> None:
    filled(tmp_path, before)
    database = opened(tmp_path, after)
    absent = [database.get(key + b"\0") for key, _ in ROWS]
    assert absent == [None] * len(ROWS)
    changed = [(key, b"changed") for key, _ in ROWS[::3]]
    database.write(changed, sync=False)
    expected = sorted({**dict(ROWS), **dict(changed)}.items())
    for _ in range(2):
        assert list(database.scan(b"", b"\xff")) == expected
        assert [(key, database.get(key)) for key, _ in ROWS] == expected
        database.compact()
    database.close()
    assert all((FILTER in table) is bool(after.filter_bits) for table in table_bytes(tmp_path))


def test_tables_of_the_state_have_no_filter_and_half_the_index(tmp_path: Path) -> None:
    StateDatabase.open(tmp_path / "state", bytes(32)).close()
    state = opened(tmp_path / "state", TABLES)
    state.write(ROWS, sync=False)
    state.compact()
    state.close()
    filled(tmp_path / "other", Tables())
    assert all(FILTER not in table for table in table_bytes(tmp_path / "state"))
    assert all(FILTER in table for table in table_bytes(tmp_path / "other"))
    rows = sum(len(key) + len(value) for key, value in ROWS)
    beside = [sum(map(len, table_bytes(tmp_path / name))) - rows for name in ("state", "other")]
    assert beside[0] < beside[1]


def test_a_table_whose_index_is_damaged_is_refused(tmp_path: Path) -> None:
    """An index that lies would hide rows that no hash covers, such as those of a scan."""
    filled(tmp_path, TABLES)
    (table,) = tmp_path.glob("*.ldb")
    database = opened(tmp_path, TABLES)
    database.write([(b"\xfe", b"in a table after it")], sync=True)
    database.close()
    data = bytearray(table.read_bytes())
    # The footer is 48 bytes, before it lies the index.
    data[-100] ^= 1
    table.write_bytes(data)
    database = opened(tmp_path, TABLES)
    with pytest.raises(StoreError, match="checksum mismatch"):
        list(database.scan(b"", b"\xff"))
    with pytest.raises(StoreError, match="checksum mismatch"):
        database.get(ROWS[0][0], checked=True)
    database.close()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("place", ["first", "middle", "last", "index"])
def test_a_scan_that_meets_damage_never_ends_as_if_there_were_no_more_rows(
    tmp_path: Path, place: str, reverse: bool
) -> None:
    filled(tmp_path, TABLES)
    (table,) = tmp_path.glob("*.ldb")
    data = bytearray(table.read_bytes())
    data[{"first": 50, "middle": len(data) // 2, "last": len(data) * 9 // 10, "index": len(data) - 100}[place]] ^= 1
    table.write_bytes(data)
    database = opened(tmp_path, TABLES)
    read: list[tuple[bytes, bytes]] = []
    with pytest.raises(StoreError, match=r"checksum mismatch|corrupted"):
        read.extend(database.scan(b"", b"\xff", reverse=reverse))
    assert len(read) < len(ROWS) and read == (ROWS[::-1] if reverse else ROWS)[: len(read)], "nothing was skipped"
    database.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_of_empty_and_bounded_ranges_end(tmp_path: Path, reverse: bool) -> None:
    database = opened(tmp_path, TABLES)
    assert list(database.scan(b"", b"\xff", reverse=reverse)) == []
    database.write(ROWS[100:200], sync=False)
    for low, high in ((0, 50), (50, 120), (120, 150), (150, 300), (300, 400)):
        expected = [row for row in ROWS[100:200] if ROWS[low][0] <= row[0] < ROWS[high][0]]
        assert list(database.scan(ROWS[low][0], ROWS[high][0], reverse=reverse)) == (
            expected[::-1] if reverse else expected
        )
    database.close()
