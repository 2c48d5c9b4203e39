"""The growth benchmark: its bulk path makes what blocks make, and at small sizes its counts say the same."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.scale import document, fill
from benchmarks.scale.ledger import Ledger
from benchmarks.scale.measure import Load, measure
from benchmarks.scale.members import BATCH, enrolments, scale_genesis
from benchmarks.scale.picture import picture
from benchmarks.scale.results import Figure, Results, Size, extrapolated, figures_of, growth_problems
from benchmarks.scale.work import Times, Work
from consensus.codec import encode
from node.claims import keys
from node.claims.application import Application
from node.claims.transaction import encode_transaction
from node.genesis import genesis_header, genesis_state_root, member_set
from node.rows import entry_key

MEMBERS = 20_000


@pytest.fixture(scope="module")
def by_blocks(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """State root and records after signed enrolments in real blocks, from genesis on."""
    folder = tmp_path_factory.mktemp("blocks")
    genesis = scale_genesis()
    header = genesis_header(genesis, member_set(genesis), genesis_state_root(Application(genesis)))
    (folder / "header").write_bytes(encode(header))
    with Ledger(folder) as ledger:
        for time_ms, transaction in enrolments(MEMBERS):
            ledger.step([encode_transaction(transaction)], time_ms)
        return ledger.state.root(), list(ledger.state.scan_records(b"", b"\xff" * 40))


@pytest.mark.parametrize(("partition_digits", "run_rows"), [(0, 250_000), (2, 3_000)])
def test_a_state_filled_in_bulk_is_the_one_that_blocks_give(
    partition_digits: int,
    run_rows: int,
    by_blocks: tuple[bytes, list[tuple[bytes, bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "_RUN_ROWS", run_rows)
    monkeypatch.setattr(fill, "_PARTITION_BYTES", 4_096)
    fill.fill(tmp_path, MEMBERS, partition_digits)
    root, records = by_blocks
    with Ledger(tmp_path) as ledger:
        assert list(ledger.state.scan_records(b"", b"\xff" * 40)) == records
        assert ledger.state.root() == root
        assert ledger.state.record_count == len(records)
        ledger.state.audit()
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("value_bytes", [32, 200])
def test_tables_of_a_bulk_fill_are_as_large_as_merging_leaves_them(tmp_path: Path, value_bytes: int) -> None:
    database = fill._open(tmp_path / "state")
    rows = (sha256(number.to_bytes(8, "big")).digest() for number in range((20 << 20) // (33 + value_bytes)))
    fill._write(database, ((entry_key(position), bytes(value_bytes)) for position in sorted(rows)))
    database.close()
    sizes = sorted(path.stat().st_size for path in (tmp_path / "state").glob("*.ldb"))
    assert len(sizes) >= 4 and sizes[0] >= 3 << 20 and sizes[-1] <= 5 << 20


def test_what_the_bulk_path_could_get_wrong_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = fill.FillState(fill.Spool(tmp_path / "one", 0))
    with pytest.raises(fill.FillError, match="scans table 0x26"):
        list(state.scan(*keys.table(keys.MEMBER)))
    with pytest.raises(fill.FillError, match="is deleted"):
        state.delete(keys.member(1))
    monkeypatch.setattr(fill, "HOT_MAX", 1)
    state.put(keys.claim(1), b"")
    state.put(keys.claim(2), b"")
    with pytest.raises(fill.FillError, match="table 0x28 has 2 records"):
        state.end_block()
    spool = fill.Spool(tmp_path / "two", 0)
    spool.add_record(keys.member(1), b"first")
    spool.add_record(keys.member(1), b"second")
    with pytest.raises(fill.FillError, match="written in two blocks"):
        list(spool.rows_of(keys.MEMBER))


def test_a_cycle_and_a_days_deadlines_cost_the_same_with_four_times_the_members(tmp_path: Path) -> None:
    """The counts, not the time: every record that the application reads, scans or writes, block by block."""
    load = Load(singles=1, batches=1, claims=1, cycles=1, cases=12, misses=1, missed=24, readings=2)
    sizes = []
    for members in (4 * BATCH, 16 * BATCH):
        folder = tmp_path / str(members)
        fill.fill(folder, members)
        sizes.append(size_of(members, figures_of([measure(folder, members, 0, load)])))
    assert growth_problems(sizes) == []
    settlement = sizes[0].figures["settlement"].work
    assert settlement is not None
    assert settlement.scanned <= 2 * load.cases
    assert settlement.writes < 10 * load.cases
    results = Results(sizes=sizes)
    document.draw(results, tmp_path)
    assert "settlement, 12 cases settled" in (tmp_path / "scale.md").read_text(encoding="utf-8")


def size_of(members: int, figures: dict[str, Figure]) -> Size:
    host = {"processor": "p", "cores": "2", "memory": "1 kB", "Python": "3", "load before": "0"}
    return Size(
        members=members, day="day", revision="one", machine=host, load=Load(cases=12), fill_s={}, filled_bytes=1,
        figures=figures, start_s=1.0, start_bytes=1, end_bytes=1, inner_nodes=1, proof_bytes=1,
    )  # fmt: skip


def test_growth_of_a_single_read_is_a_problem() -> None:
    def size(members: int, reads: int) -> Size:
        work = Work(reads=reads)
        return size_of(members, {"settlement": Figure(count=1, median=Times(), least=Times(), work=work)})

    assert growth_problems([size(10, 5), size(100, 5)]) == []
    assert "settlement: reads depends" in growth_problems([size(10, 5), size(100, 6)])[0]


def test_the_extrapolation_is_a_line_over_the_logarithm() -> None:
    sizes = [
        size_of(10**exponent, {"a": Figure(count=1, median=Times(processor=float(exponent)), least=Times())})
        for exponent in (5, 6, 7)
    ]
    assert extrapolated(sizes, "a", 10**8) == pytest.approx(8.0)
    assert extrapolated(sizes[:1], "a", 10**8) == pytest.approx(5.0)


def test_the_page_and_the_picture_are_those_of_the_results() -> None:
    results = Results.load(document.RESULTS)
    folder = document.RESULTS.parent
    assert (folder / "scale.md").read_text(encoding="utf-8") == document.page(results)
    assert (folder / document.PICTURE).read_text(encoding="utf-8") == picture(results.sizes)
    assert growth_problems(results.sizes) == []
