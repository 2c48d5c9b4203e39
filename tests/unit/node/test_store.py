"""The `blocks` database: journal, proposals, chain, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from consensus.block import Block, Header
from consensus.codec import encode
from consensus.effects import Persist, PersistBlock
from consensus.errors import InvariantBroken
from consensus.merkle import rfc6962_root
from consensus.messages import CommitCertificate
from consensus.types import Digest, Height, View
from node import leveldb, rows
from node.errors import StoreError
from node.leveldb import Database, WritePoint
from node.store import BlockStore

GENESIS = b"g" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlockStore]:
    store = BlockStore.open(tmp_path / "blocks", GENESIS)
    yield store
    store.close()


def make_block(height: int, parent: bytes = b"p" * 32, *, text: bytes = b"tx", genesis: bytes = GENESIS) -> Block:
    transactions = (text + b" %d" % height,)
    header = Header(
        genesis=Digest(genesis),
        epoch=0,
        height=Height(height),
        time_ms=height,
        parent=Digest(parent),
        transaction_count=len(transactions),
        transactions_root=rfc6962_root(transactions),
        receipts_root=Digest(bytes(32)),
        state_root=Digest(bytes(32)),
        members=Digest(bytes(32)),
    )
    return Block(header=header, transactions=transactions)


def make_chain(count: int) -> list[Block]:
    blocks: list[Block] = []
    for height in range(1, count + 1):
        blocks.append(make_block(height, blocks[-1].digest if blocks else b"p" * 32))
    return blocks


def certify(block: Block) -> CommitCertificate:
    return CommitCertificate(view=View(0), height=block.height, digest=block.digest, signatures=())


def fill(path: Path, count: int) -> list[Block]:
    store = BlockStore.open(path, GENESIS)
    blocks = make_chain(count)
    for block in blocks:
        store.write([PersistBlock(block=block), Persist(key=b"V%d" % block.height, value=b"vote")])
        store.commit(block, certify(block))
    store.close()
    return blocks


def test_journal_survives_a_restart_and_forgets_what_it_is_told_to(tmp_path: Path) -> None:
    store = BlockStore.open(tmp_path, GENESIS)
    assert store.is_new and store.journal() == {}
    store.write([Persist(key=b"V1", value=b"one"), Persist(key=b"", value=b"empty"), Persist(key=b"V1", value=b"two")])
    store.write([Persist(key=b"\xff" * 40, value=b"")])
    store.close()
    store = BlockStore.open(tmp_path, GENESIS)
    assert not store.is_new
    assert store.journal() == {b"V1": b"two", b"": b"empty", b"\xff" * 40: b""}
    store.forget([b"V1", b"absent"])
    assert store.journal() == {b"": b"empty", b"\xff" * 40: b""}
    store.close()


def test_one_step_is_one_synced_write(tmp_path: Path) -> None:
    points: list[WritePoint] = []
    store = BlockStore.open(tmp_path, GENESIS, on_write=points.append)
    points.clear()
    first, second = make_chain(2)
    store.write(
        [PersistBlock(block=second), Persist(key=b"V", value=b"x"), PersistBlock(block=first)],
        [(first, certify(first))],
    )
    assert points == [WritePoint("blocks", False), WritePoint("blocks", True)]
    assert store.height == 1 and list(store.proposals()) == [(2, second.digest)]
    store.write([])
    store.write([PersistBlock(block=first), PersistBlock(block=second)], [(first, certify(first))])
    store.forget([])
    assert len(points) == 2
    store.close()


def test_committing_a_proposal_names_it_and_drops_those_that_lost(store: BlockStore, tmp_path: Path) -> None:
    first, second = make_chain(2)
    rival, later = make_block(1, text=b"rival"), make_block(3)
    store.write([PersistBlock(block=block) for block in (first, rival, second, later)])
    assert store.block(rival.digest) == rival
    size = store.size_bytes()
    store.commit(first, certify(first))
    assert store.size_bytes() - size < 2_000
    assert store.block(rival.digest) is None
    assert store.block(first.digest) == first == store.block_at(1)
    assert sorted(store.proposals()) == [(2, second.digest), (3, later.digest)]
    store.close()
    again = BlockStore.open(tmp_path / "blocks", GENESIS)
    assert again.block(rival.digest) is None and again.block(second.digest) == second
    assert again.block_at(1) == first and again.certificate_at(1) == certify(first) == again.certificate
    assert again.header_at(1) == first.header == again.tip
    assert again.block_at(2) is None and again.header_at(0) is None and again.certificate_at(2) is None
    again.close()


def test_a_proposal_for_a_decided_height_is_not_kept(store: BlockStore) -> None:
    first = make_block(1)
    store.commit(first, certify(first))
    rival = make_block(1, text=b"rival")
    store.write([PersistBlock(block=rival), PersistBlock(block=first)])
    assert store.block(rival.digest) is None and list(store.proposals()) == []


def test_several_blocks_commit_in_one_write(store: BlockStore) -> None:
    blocks = make_chain(4)
    rival = make_block(3, text=b"rival")
    store.write([PersistBlock(block=rival)], [(block, certify(block)) for block in blocks])
    assert store.height == 4 and list(store.proposals()) == [] and store.block(rival.digest) is None
    assert [store.block_at(height) for height in range(1, 5)] == blocks


def test_committing_again_is_idempotent_and_another_block_is_a_fork(store: BlockStore) -> None:
    blocks = make_chain(3)
    for block in blocks:
        store.commit(block, certify(block))
    store.commit(blocks[0], certify(blocks[0]))
    store.commit(blocks[2], certify(blocks[2]))
    rival = make_block(2, blocks[0].digest, text=b"rival")
    with pytest.raises(InvariantBroken, match="forked"):
        store.commit(rival, certify(rival))
    with pytest.raises(InvariantBroken, match="does not follow"):
        store.commit(make_block(5, blocks[2].digest), certify(make_block(5, blocks[2].digest)))
    stray = make_block(4, b"x" * 32)
    with pytest.raises(InvariantBroken, match="does not follow"):
        store.commit(stray, certify(stray))
    foreign = make_block(4, blocks[2].digest, genesis=b"h" * 32)
    with pytest.raises(InvariantBroken, match="another chain"):
        store.commit(foreign, certify(foreign))
    good = make_block(4, blocks[2].digest)
    with pytest.raises(InvariantBroken, match="certificate for"):
        store.commit(good, certify(rival))
    assert store.height == 3


def test_another_genesis_is_refused_with_both_names(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with pytest.raises(StoreError, match=f"{GENESIS.hex()}.*{(b'h' * 32).hex()}.*configuration"):
        BlockStore.open(tmp_path, b"h" * 32)
    assert BlockStore.open(tmp_path, GENESIS).height == 1


def test_another_format_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    format = rows.FORMATS["blocks"]
    for other in (format - 1, format + 1):
        tamper(tmp_path, rows.META, encode(rows.Meta(format=other, database="blocks", genesis=GENESIS)))
        with pytest.raises(StoreError, match=f"format {other}, .* reads {format} .*new chain"):
            BlockStore.open(tmp_path, GENESIS)
    tamper(tmp_path, rows.META, encode(rows.Meta(format=format, database="state", genesis=GENESIS)))
    with pytest.raises(StoreError, match="holds the state database"):
        BlockStore.open(tmp_path, GENESIS)


def test_a_second_process_is_told_so(store: BlockStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="another process"):
        BlockStore.open(tmp_path / "blocks", GENESIS)


def raw(path: Path) -> Database:
    return Database(path, name="blocks", way_out="-", write_buffer_bytes=1 << 20, cache_bytes=1 << 20)


def tamper(path: Path, key: bytes, value: bytes | None) -> None:
    database = raw(path)
    database.write([(key, value)], sync=True)
    database.close()


def with_header(block: Block, **fields: object) -> bytes:
    return encode(rows.ChainRow(header=replace(block.header, **fields), certificate=certify(block)))


Damage = Callable[[list[Block]], tuple[bytes, bytes | None]]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "no meta": (lambda _: (rows.META, None), "which chain"),
    "meta not msgpack": (lambda _: (rows.META, b"\xc1"), "description"),
    "no block 1": (lambda _: (rows.CHAIN + rows.height_bytes(1), None), "no block 1"),
    "a hole": (lambda _: (rows.CHAIN + rows.height_bytes(4), None), "block 4 is missing"),
    "row cut": (lambda b: (rows.CHAIN + rows.height_bytes(4), with_header(b[3])[:-5]), "block 4 cannot be read"),
    "row of another height": (lambda b: (rows.CHAIN + rows.height_bytes(4), with_header(b[2])), "another height"),
    "header changed": (lambda b: (rows.CHAIN + rows.height_bytes(4), with_header(b[3], time_ms=9)), "certificate"),
    "bad chain key": (lambda b: (rows.CHAIN + b"\xff" * 20, with_header(b[3])), "not the key"),
    "body gone": (lambda b: (rows.body_key(4, b[3].digest), None), "body of block 4 is missing"),
    "body cut": (lambda b: (rows.body_key(4, b[3].digest), encode(b[3])[:-1]), "cannot be read"),
    "body of another": (lambda b: (rows.body_key(4, b[3].digest), encode(b[4])), "body stored as"),
    "body changed": (
        lambda b: (rows.body_key(4, b[3].digest), encode(Block(header=b[3].header, transactions=(b"x",)))),
        "transactions of block 4",
    ),
    "digest index": (lambda b: (rows.HEIGHT_OF + b[3].digest, None), "index of digests lacks block 4"),
    "proposal without body": (lambda _: (rows.open_key(9, b"d" * 32), b""), "body of proposal"),
    "proposal below the tip": (lambda _: (rows.open_key(2, b"d" * 32), b""), "at or below the tip"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_database_is_refused_with_a_way_out(tmp_path: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    blocks = fill(tmp_path, 6)
    tamper(tmp_path, *damage(blocks))
    with pytest.raises(
        StoreError, match=f"(?s){message}.*[Ww]ay out: run `weal node repair --salvage-blocks`"
    ) as error:
        BlockStore.open(tmp_path, GENESIS)
    assert str(tmp_path) in str(error.value)


def test_damage_far_below_the_tip_is_found_by_a_full_check_and_by_reading(tmp_path: Path) -> None:
    blocks = fill(tmp_path, 60)
    tamper(tmp_path, rows.CHAIN + rows.height_bytes(5), None)
    tamper(tmp_path, rows.body_key(7, blocks[6].digest), b"")
    store = BlockStore.open(tmp_path, GENESIS)
    with pytest.raises(StoreError, match="block 5 is missing"):
        store.check(1)
    with pytest.raises(StoreError, match="block 5 is missing"):
        store.block_at(5)
    with pytest.raises(StoreError, match="cannot be read"):
        store.block(blocks[6].digest)
    store.check(8)
    store.close()


def test_missing_leveldb_names_the_line_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(leveldb, "import_module", refuse)
    with pytest.raises(StoreError, match=r"apt install g\+\+ libleveldb-dev && pip install plyvel"):
        BlockStore.open(tmp_path, GENESIS)


def test_a_crash_variable_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value in ("x", "0", "between:3", "before:", "-1"):
        monkeypatch.setenv(leveldb.CRASH_VARIABLE, value)
        with pytest.raises(StoreError, match="before:<n>"):
            BlockStore.open(tmp_path, GENESIS)
