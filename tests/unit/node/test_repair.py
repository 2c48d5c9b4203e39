"""The ways out of a damaged database."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from consensus.codec import encode
from consensus.effects import Persist, PersistBlock
from node import rows
from node.audit import audit_databases
from node.claims.application import Application
from node.crypto import verify
from node.errors import StoreError
from node.genesis import domain, genesis_header, member_set
from node.leveldb import Database
from node.repair import check_chain, check_state, rebuild_state, salvage_blocks, salvage_state
from node.state import StateDatabase
from node.store import BlockStore
from node.verification import TransactionVerifier
from tests.unit.node.ledgers import Ledger, contents, genesis_root, ledger_genesis, transfer

GENESIS = ledger_genesis()
HEADER = genesis_header(GENESIS, member_set(GENESIS), genesis_root())


@pytest.fixture
def closed(tmp_path: Path) -> tuple[Path, dict[str, object]]:
    """A node with eight blocks and an open vote, closed."""
    ledger = Ledger(tmp_path)
    for sequence in range(1, 9):
        ledger.step(transfer(0, sequence), transfer(1, sequence))
    expected = contents(ledger)
    ledger.close()
    return tmp_path, expected


def tamper(path: Path, *changes: tuple[bytes, bytes | None]) -> None:
    database = Database(path, name=path.name, way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20)
    database.write(changes, sync=True)
    database.close()


def rebuild(path: Path) -> int:
    blocks = BlockStore.open(path / "blocks", GENESIS.digest)
    seen: list[tuple[int, int]] = []
    try:
        height = rebuild_state(
            path / "state",
            blocks,
            Application(GENESIS),
            HEADER,
            TransactionVerifier(),
            progress=lambda done, total: seen.append((done, total)),
        )
        assert seen == [(at, blocks.height) for at in range(1, blocks.height + 1)]
        return height
    finally:
        blocks.close()


def test_a_whole_node_passes_every_check(closed: tuple[Path, dict[str, object]]) -> None:
    path, _ = closed
    ledger = Ledger(path)
    assert check_chain(ledger.blocks, ledger.members, domain(GENESIS, ledger.members), verify) == 8
    assert check_state(ledger.state, ledger.executor) == 8
    ledger.close()


def test_a_bad_certificate_or_a_missing_index_entry_is_found(closed: tuple[Path, dict[str, object]]) -> None:
    path, _ = closed
    ledger = Ledger(path)
    header, certificate = ledger.blocks.header_at(3), ledger.blocks.certificate_at(3)
    assert header is not None and certificate is not None
    ledger.close()
    weak = rows.ChainRow(
        header=header,
        certificate=type(certificate)(
            view=certificate.view,
            height=certificate.height,
            digest=certificate.digest,
            signatures=certificate.signatures[:2],
        ),
    )
    tamper(path / "blocks", (rows.CHAIN + rows.height_bytes(3), encode(weak)))
    tamper(path / "state", (rows.transaction_key(transfer(1, 5).id), None))
    ledger = Ledger(path)
    with pytest.raises(StoreError, match="certificate of block 3"):
        check_chain(ledger.blocks, ledger.members, domain(GENESIS, ledger.members), verify)
    with pytest.raises(StoreError, match="index lacks transaction"):
        check_state(ledger.state, ledger.executor)
    ledger.close()


def test_a_damaged_state_is_rebuilt_from_the_blocks(closed: tuple[Path, dict[str, object]]) -> None:
    path, expected = closed
    tamper(path / "state", (rows.entry_key(bytes(32)), b"x" * 32))
    with pytest.raises(StoreError, match="repair --rebuild-state"):
        Ledger(path)
    (path / "state.rebuilding").mkdir()
    (path / "state.rebuilding" / "left over").write_text("from a crash")
    assert rebuild(path) == 8
    ledger = Ledger(path)
    assert ledger.replayed == 0 and contents(ledger) == expected
    check_state(ledger.state, ledger.executor)
    ledger.close()
    assert sorted(entry.name for entry in path.iterdir()) == ["blocks", "state"]


def test_a_rebuild_that_fails_keeps_the_old_state(closed: tuple[Path, dict[str, object]]) -> None:
    path, _ = closed
    before = sorted((path / "state").iterdir())
    tamper(path / "blocks", (rows.CHAIN + rows.height_bytes(1), None))
    with pytest.raises(StoreError):
        rebuild(path)
    assert sorted((path / "state").iterdir()) == before


def test_salvaging_a_whole_state_keeps_it(closed: tuple[Path, dict[str, object]]) -> None:
    path, expected = closed
    blocks = BlockStore.open(path / "blocks", GENESIS.digest)
    height = salvage_state(path / "state", blocks, Application(GENESIS), HEADER, TransactionVerifier())
    blocks.close()
    assert height == 8
    ledger = Ledger(path)
    assert contents(ledger) == expected
    ledger.close()


def test_salvaging_a_state_that_lost_rows_says_so(closed: tuple[Path, dict[str, object]]) -> None:
    path, _ = closed
    tamper(path / "state", (rows.receipts_key(4), None))
    blocks = BlockStore.open(path / "blocks", GENESIS.digest)
    with pytest.raises(StoreError, match="receipts of block 4.*rebuild-state"):
        salvage_state(path / "state", blocks, Application(GENESIS), HEADER, TransactionVerifier())
    shutil.rmtree(path / "state")
    with pytest.raises(StoreError):
        salvage_state(path / "state", blocks, Application(GENESIS), HEADER, TransactionVerifier())
    blocks.close()


def test_salvaged_blocks_end_below_the_damage_and_the_journal_is_gone(closed: tuple[Path, dict[str, object]]) -> None:
    path, _ = closed
    ledger = Ledger(path)
    ninth = ledger.build(transfer(0, 9))
    ledger.blocks.write([PersistBlock(block=ninth), Persist(key=b"V9", value=b"vote")])
    ledger.close()
    tamper(
        path / "blocks",
        (rows.CHAIN + rows.height_bytes(6), None),
        (rows.body_key(3, b"r" * 32), b"a body that lost"),
        (rows.HEIGHT_OF + ninth.header.parent, None),
        (rows.META, None),
    )
    with pytest.raises(StoreError, match="repair --salvage-blocks"):
        Ledger(path)
    report = salvage_blocks(path / "blocks", GENESIS.digest)
    assert report.height == 5 and report.dropped > 0
    blocks = BlockStore.open(path / "blocks", GENESIS.digest)
    assert blocks.height == 5 and blocks.journal() == {} and list(blocks.proposals()) == []
    assert blocks.block(ninth.digest) is None
    blocks.close()
    with pytest.raises(StoreError, match="ahead"):
        Ledger(path)
    assert rebuild(path) == 5
    ledger = Ledger(path)
    assert ledger.executor.tip.height == 5
    ledger.commit(ledger.build(transfer(0, 6)))
    ledger.close()


def test_salvage_works_without_the_manifest_and_refuses_another_chain(closed: tuple[Path, dict[str, object]]) -> None:
    path, expected = closed
    for name in ("CURRENT", *(entry.name for entry in (path / "blocks").glob("MANIFEST-*"))):
        (path / "blocks" / name).unlink()
    assert salvage_blocks(path / "blocks", GENESIS.digest).height == 8
    ledger = Ledger(path)
    assert contents(ledger) == expected
    ledger.close()
    with pytest.raises(StoreError, match="belongs to the chain"):
        salvage_blocks(path / "blocks", b"h" * 32)
    with pytest.raises(StoreError):
        salvage_blocks(path / "nothing here", GENESIS.digest)


def test_an_older_database_is_refused_by_every_way_in_and_keeps_its_rows(
    closed: tuple[Path, dict[str, object]],
) -> None:
    """As format 1 wrote it: headers without a transaction count, field 5 of today's."""
    path, _ = closed
    database = Database(path / "blocks", name="blocks", way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20)
    older: list[tuple[bytes, bytes | None]] = [
        (rows.META, encode(rows.Meta(format=1, database="blocks", genesis=GENESIS.digest)))
    ]
    for table in (rows.CHAIN, rows.BODY):
        for key, data in database.scan(table, rows.table_end(table)):
            header, rest = msgspec.msgpack.decode(data)
            older.append((key, encode([[*header[:5], *header[6:]], rest])))
    database.close()
    tamper(path / "blocks", *older)
    for enter in (
        lambda: Ledger(path),
        lambda: rebuild(path),
        lambda: salvage_blocks(path / "blocks", GENESIS.digest),
        lambda: audit_databases(path, GENESIS, lambda text: None),
    ):
        with pytest.raises(StoreError, match="format 1, this version of weal reads 2 .*begin a new chain"):
            enter()
    database = Database(path / "blocks", name="blocks", way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20)
    assert [database.get(key) for key, _ in older] == [data for _, data in older]
    database.close()


def test_a_rebuilt_state_is_a_state(tmp_path: Path) -> None:
    """Rebuilding where there is no chain yet gives genesis."""
    Ledger(tmp_path).close()
    assert rebuild(tmp_path) == 0
    state = StateDatabase.open(tmp_path / "state", GENESIS.digest)
    assert state.tip is not None and state.tip[0] == 0
    state.close()
