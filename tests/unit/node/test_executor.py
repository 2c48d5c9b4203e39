"""Building, executing, committing and replaying blocks, with the real application and real databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from consensus.block import Block
from consensus.effects import PersistBlock
from consensus.errors import InvariantBroken
from consensus.merkle import rfc6962_root
from consensus.types import Digest, Height
from node.block_rules import BlockLimits, InvalidBlock
from node.claims.application import Application, BlockContext, BlockResult
from node.claims.results import ResultCode
from node.claims.state import WriteState
from node.claims.transaction import encode_transaction
from node.errors import StoreError
from node.executor import MAX_EXECUTED
from node.rows import receipts_key
from tests.unit.node.ledgers import Ledger, contents, ledger_genesis, transfer


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def other(ledger: Ledger, tmp_path: Path) -> Ledger:
    """A second node of the same chain."""
    return Ledger(tmp_path / "other")


def changed(block: Block, **fields: object) -> Block:
    return Block(header=replace(block.header, **fields), transactions=block.transactions)


def test_a_new_ledger_stands_at_genesis(ledger: Ledger) -> None:
    assert ledger.executor.tip == ledger.header
    assert ledger.state.tip == (0, ledger.header.digest)
    assert ledger.state.root() == ledger.header.state_root
    assert ledger.blocks.height == 0 and ledger.blocks.tip is None and ledger.blocks.certificate is None


def test_a_built_block_executes_equally_on_another_node_and_commits(ledger: Ledger, tmp_path: Path) -> None:
    first, second = transfer(0, 1), transfer(1, 1)
    block = ledger.build(first, second)
    follower = other(ledger, tmp_path)
    follower.executor.execute(block)
    ours, theirs = ledger.commit(block), follower.commit(block)
    assert ours == theirs
    assert ours.transactions == (first.id, second.id)
    assert [receipt.code for receipt in ours.receipts] == [0, 0, 0]
    assert ledger.executor.tip == block.header == follower.executor.tip
    assert contents(ledger) == contents(follower)
    assert ledger.executor.locate(second.id) == (1, 1)
    assert ledger.executor.locate(bytes(32)) is None
    receipt = ledger.executor.receipt(1, 1)
    assert receipt is not None and receipt.transaction == second.id
    assert ledger.executor.receipt(1, 2) is None and ledger.executor.receipt(2, 0) is None
    assert ledger.executor.receipt(1, -1) is None
    assert ledger.executor.block_at(1) == block
    follower.close()


def test_blocks_in_flight_stand_on_each_other_and_commit_in_order(ledger: Ledger) -> None:
    blocks, parent = [], ledger.executor.tip
    for sequence in range(1, 9):
        block = ledger.build(transfer(0, sequence), parent=parent)
        blocks.append(block)
        parent = block.header
    flying = ledger.executor.in_flight(parent)
    assert flying == {transfer(0, sequence).id for sequence in range(1, 9)}
    for block in blocks:
        assert ledger.commit(block).receipts[1].code == ResultCode.OK
    assert ledger.executor.tip == blocks[-1].header
    assert ledger.executor.in_flight(ledger.executor.tip) == frozenset()
    assert ledger.executor.locate(transfer(0, 8).id) == (8, 0)


def test_build_leaves_out_what_is_in_flight_replayed_expired_or_of_another_chain(ledger: Ledger) -> None:
    ledger.step(transfer(0, 1))
    parent = ledger.build(transfer(0, 2))
    late = transfer(1, 1, valid_until_ms=ledger_genesis().time_ms + 1)
    foreign = transfer(1, 2, genesis=bytes(32))
    block = ledger.build(
        transfer(0, 1), transfer(0, 2), late, foreign, transfer(0, 3), transfer(0, 3), parent=parent.header
    )
    assert block.transactions == (transfer(0, 3).raw,)


def test_build_has_nothing_to_do_without_transactions_or_deadline(ledger: Ledger) -> None:
    executor, tip = ledger.executor, ledger.executor.tip
    assert executor.build(tip, [], tip.time_ms + 5, 10) is None
    assert executor.build(tip, [transfer(0, 1, genesis=bytes(32))], 0, 10) is None
    assert ledger.state.overlays == []


def test_a_due_deadline_is_work(ledger: Ledger) -> None:
    due = ledger.application.next_deadline_ms(ledger.state.view())
    assert due is not None
    assert ledger.executor.build(ledger.executor.tip, [], due - 1, 10) is None
    block = ledger.executor.build(ledger.executor.tip, [], due, 10)
    assert block is not None and block.transactions == ()
    ledger.commit(block)
    after = ledger.application.next_deadline_ms(ledger.state.view())
    assert after is not None and after > due


def test_build_keeps_to_its_limits_in_order(tmp_path: Path) -> None:
    pool = [transfer(0, sequence) for sequence in range(1, 8)]
    size = len(pool[0].raw)
    ledger = Ledger(tmp_path, limits=BlockLimits(max_block_bytes=3 * size, max_block_transactions=5))
    assert len(ledger.build(*pool).transactions) == 3
    block = ledger.executor.build(ledger.executor.tip, pool, 0, 2)
    assert block is not None and block.transactions == (pool[0].raw, pool[1].raw)
    ledger.close()


def test_block_time_is_above_its_parents(ledger: Ledger) -> None:
    block = ledger.build(transfer(0, 1), time_ms=ledger.header.time_ms - 7)
    assert block.header.time_ms == ledger.header.time_ms + 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"genesis": Digest(bytes(32))}, "another chain"),
        ({"height": Height(2)}, "height"),
        ({"epoch": 1}, "member set"),
        ({"members": Digest(bytes(32))}, "member set"),
        ({"parent": Digest(b"\1" * 32)}, "parent"),
        ({"time_ms": ledger_genesis().time_ms}, "time"),
        ({"transaction_count": 0}, "1 transactions, its header says 0"),
        ({"transaction_count": 2}, "1 transactions, its header says 2"),
        ({"transactions_root": Digest(bytes(32))}, "transactions"),
        ({"receipts_root": Digest(bytes(32))}, "receipts root"),
        ({"state_root": Digest(bytes(32))}, "state root"),
    ],
)
def test_a_header_that_says_something_else_is_invalid_and_leaves_no_trace(
    ledger: Ledger, fields: dict[str, object], reason: str
) -> None:
    block = changed(ledger.build(transfer(0, 1)), **fields)
    before = (contents(ledger), list(ledger.state.overlays))
    with pytest.raises(InvalidBlock, match=reason):
        ledger.executor.execute(block)
    assert (contents(ledger), list(ledger.state.overlays)) == before


def rebuilt(ledger: Ledger, *raws: bytes) -> Block:
    """A block with these transactions whose header is right about everything but the outcome."""
    tip = ledger.executor.tip
    header = replace(
        tip, height=Height(tip.height + 1), time_ms=tip.time_ms + 1, parent=tip.digest,
        transaction_count=len(raws), transactions_root=rfc6962_root(raws),
    )  # fmt: skip
    return Block(header=header, transactions=raws)


def test_invalid_bodies_are_refused(ledger: Ledger) -> None:
    good = transfer(0, 1)
    forged = replace(good.transaction, signature=transfer(0, 2).transaction.signature)
    stale = ledger.step(transfer(1, 1)).block.transactions[0]
    cases = {
        "malformed": (b"\x00",),
        "signature": (encode_transaction(forged),),
        "twice": (good.raw, good.raw),
        "does nothing": (),
        "not admissible.*been used": (stale,),
        "another chain": (transfer(0, 1, genesis=bytes(32)).raw,),
    }
    for reason, raws in cases.items():
        with pytest.raises(InvalidBlock, match=reason):
            ledger.executor.execute(rebuilt(ledger, *raws))
    assert ledger.state.overlays == []


def test_a_forged_signature_is_refused_although_its_id_is_known_as_good(ledger: Ledger) -> None:
    """The id does not cover the signature: remembering ids would let a primary split the replicas."""
    good = transfer(0, 1)
    ledger.verifier.resolve([good.raw])
    forged = replace(good.transaction, signature=transfer(0, 2).transaction.signature)
    assert forged.id == good.id
    with pytest.raises(InvalidBlock, match="signature"):
        ledger.executor.execute(rebuilt(ledger, encode_transaction(forged)))


def test_blocks_beyond_the_limits_are_invalid(tmp_path: Path) -> None:
    size = len(transfer(0, 1).raw)
    ledger = Ledger(tmp_path, limits=BlockLimits(max_block_bytes=2 * size, max_block_transactions=2))
    with pytest.raises(InvalidBlock, match="3 transactions"):
        ledger.executor.execute(rebuilt(ledger, *(transfer(0, sequence).raw for sequence in (1, 2, 3))))
    big = BlockLimits(max_block_bytes=size - 1, max_block_transactions=2)
    small = Ledger(tmp_path / "small", limits=big)
    with pytest.raises(InvalidBlock, match="bytes"):
        small.executor.execute(rebuilt(small, transfer(0, 1).raw))
    small.close()
    ledger.close()


def test_another_body_under_an_executed_header_is_refused(ledger: Ledger) -> None:
    block = ledger.build(transfer(0, 1))
    with pytest.raises(InvalidBlock):
        ledger.executor.execute(Block(header=block.header, transactions=(transfer(0, 2).raw,)))
    with pytest.raises(InvariantBroken):
        ledger.commit(Block(header=block.header, transactions=(transfer(0, 2).raw,)))
    assert ledger.blocks.height == 0


def test_committing_again_changes_nothing_and_another_block_stops_the_node(ledger: Ledger, tmp_path: Path) -> None:
    follower = other(ledger, tmp_path)
    rival = follower.build(transfer(2, 1))
    first = ledger.step(transfer(0, 1))
    ledger.step(transfer(0, 2))
    before = contents(ledger)
    assert ledger.commit(first.block) == first
    assert contents(ledger) == before
    with pytest.raises(InvariantBroken, match="forked"):
        ledger.commit(rival)
    assert contents(ledger) == before
    follower.close()


def test_a_block_that_skips_a_height_is_not_committed(ledger: Ledger) -> None:
    first = ledger.build(transfer(0, 1))
    second = ledger.build(transfer(0, 2), parent=first.header)
    with pytest.raises(InvariantBroken, match="does not follow"):
        ledger.commit(second)


def test_losing_blocks_end_and_their_descendants_with_them(ledger: Ledger) -> None:
    winner = ledger.build(transfer(0, 1))
    loser = ledger.build(transfer(1, 1))
    child = ledger.build(transfer(1, 2), parent=loser.header)
    grandchild = ledger.build(transfer(0, 2), parent=winner.header)
    ledger.commit(winner)
    assert len(ledger.state.overlays) == 1
    with pytest.raises(InvalidBlock, match="does not stand"):
        ledger.executor.in_flight(child.header)
    with pytest.raises(InvalidBlock):
        ledger.executor.execute(child)
    ledger.commit(grandchild)
    assert ledger.state.overlays == []


def test_a_block_never_executed_here_is_executed_at_commit(ledger: Ledger, tmp_path: Path) -> None:
    """As in sync."""
    follower = other(ledger, tmp_path)
    for sequence in range(1, 4):
        committed = ledger.step(transfer(0, sequence))
        assert follower.executor.commit(committed.block, committed.certificate) == committed
    assert follower.state.root() == ledger.state.root()
    follower.close()


def test_a_final_block_that_gives_other_roots_here_stops_the_node_and_is_not_stored(ledger: Ledger) -> None:
    wrong = changed(ledger.build(transfer(0, 1)), state_root=Digest(bytes(32)))
    before = contents(ledger)
    with pytest.raises(InvariantBroken, match="state root"):
        ledger.commit(wrong)
    assert contents(ledger) == before


def test_executed_blocks_are_bounded_and_one_that_made_room_is_executed_again(ledger: Ledger) -> None:
    blocks = []
    for number in range(MAX_EXECUTED + 10):
        block = ledger.build(transfer(0, 1), time_ms=ledger.header.time_ms + 1 + number)
        blocks.append(block)
    assert len(ledger.state.overlays) == MAX_EXECUTED
    ledger.blocks.write([PersistBlock(block=blocks[0])])
    child = ledger.build(transfer(0, 2), parent=blocks[0].header)
    ledger.commit(blocks[0])
    ledger.commit(child)
    assert ledger.executor.tip == child.header


class Failing(Application):
    """Fails in the middle of a block."""

    def execute(self, state: WriteState, context: BlockContext, transactions: object) -> BlockResult:
        state.put(b"\x7fhalf", b"done")
        raise ZeroDivisionError("bug")


def test_an_application_that_fails_stops_the_node_and_leaves_no_trace(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, application=Failing(ledger_genesis()))
    before = contents(ledger)
    with pytest.raises(InvariantBroken, match="ZeroDivisionError"):
        ledger.executor.build(ledger.executor.tip, [transfer(0, 1)], 0, 10)
    with pytest.raises(InvariantBroken, match="ZeroDivisionError"):
        ledger.executor.execute(rebuilt(ledger, transfer(0, 1).raw))
    assert contents(ledger) == before and ledger.state.overlays == []
    ledger.close()


def test_state_behind_the_blocks_is_replayed_forward(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for sequence in range(1, 6):
        ledger.step(transfer(0, sequence))
    expected = contents(ledger)
    ledger.close()
    (tmp_path / "state").rename(tmp_path / "gone")
    again = Ledger(tmp_path)
    assert again.replayed == 5 and again.verifier.checked == 0
    assert contents(again) == expected
    again.close()


def test_state_ahead_of_the_blocks_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.step(transfer(0, 1))
    ledger.close()
    (tmp_path / "blocks").rename(tmp_path / "gone")
    with pytest.raises(StoreError, match="ahead of the blocks.*Way out"):
        Ledger(tmp_path)


def test_state_of_another_history_is_refused(tmp_path: Path) -> None:
    ledger, rival = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
    ledger.step(transfer(0, 1))
    rival.step(transfer(1, 1))
    ledger.close()
    rival.close()
    (tmp_path / "a" / "state").rename(tmp_path / "gone")
    (tmp_path / "b" / "state").rename(tmp_path / "a" / "state")
    with pytest.raises(StoreError, match="another block.*rebuild-state"):
        Ledger(tmp_path / "a")


def test_a_genesis_that_gives_another_state_is_refused(tmp_path: Path) -> None:
    class Other(Application):
        def initialise(self, state: WriteState) -> None:
            super().initialise(state)
            state.put(b"\x7f", b"more")

    with pytest.raises(InvariantBroken, match="genesis"):
        Ledger(tmp_path, application=Other(ledger_genesis()))


def test_damaged_receipts_are_noticed(ledger: Ledger) -> None:
    ledger.step(transfer(0, 1))
    ledger.state.flush()
    ledger.state._db.write([(receipts_key(1), b"\x91\xc0")], sync=False)
    with pytest.raises(StoreError, match="receipts of block 1"):
        ledger.executor.receipt_bytes(1)
