"""A node's life between two databases, the same each time, to be killed anywhere and resumed.

As a program (`python -m tests.unit.node.crash_script DIRECTORY`) it is killed by WEAL_CRASH_AT_WRITE.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from consensus.block import Block
from consensus.effects import Persist, PersistBlock
from node.leveldb import CRASH_VARIABLE, OnWrite
from tests.unit.node.ledgers import Ledger, certify, transfer

Word = tuple[bytes, bytes]
"""A vote that left the machine: journal key and value."""


@cache
def chain() -> tuple[tuple[Block, ...], Block]:
    """Seven blocks: one of the clock alone, some on top of others in flight, some with a transaction that the
    application rejects. And a proposal for height 3 that loses."""
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        blocks: list[Block] = []
        for number in range(3):
            blocks.append(ledger.step(transfer(0, number + 1), transfer(1, number + 1)).block)
            if number == 1:
                loser = ledger.build(transfer(3, 1), time_ms=blocks[-1].header.time_ms + 77)
        due = ledger.application.next_deadline_ms(ledger.state.view())
        assert due is not None
        parent = blocks[-1].header
        for number in range(3):
            # Organisation c may not enrol: committed, and rejected.
            blocks.append(ledger.build(transfer(2, number + 1), transfer(0, number + 4), parent=parent))
            parent = blocks[-1].header
        for block in blocks[3:]:
            ledger.commit(block)
        clock = ledger.executor.build(ledger.executor.tip, [], due, 10)
        assert clock is not None
        ledger.commit(clock)
        ledger.close()
        return (*blocks, clock), loser


def run(ledger: Ledger, said: list[Word]) -> None:
    """Carry the chain on from wherever the ledger stands. Every vote is written, then said."""
    blocks, loser = chain()
    votes = ledger.blocks.journal()
    for block in blocks[ledger.executor.tip.height :]:
        height = block.height
        flying = [one for one in blocks if height <= one.height < height + 3]
        for one in flying:
            vote = (b"V%d" % one.height, b"vote for " + one.digest)
            if vote[0] not in votes:
                ledger.executor.execute(one)
                proposals = [PersistBlock(block=one)]
                if one.height == loser.height:
                    ledger.executor.execute(loser)
                    proposals.append(PersistBlock(block=loser))
                ledger.blocks.write([*proposals, Persist(key=vote[0], value=vote[1])])
                votes[vote[0]] = vote[1]
                said.append(vote)
        lock = Persist(key=b"L%d" % height, value=block.digest)
        if height % 2:
            # A step that ends with a commit: vote and commit in one write, as the driver does it.
            ledger.blocks.write([lock], [(block, certify(block.header))])
        else:
            ledger.blocks.write([lock])
        ledger.executor.commit(block, certify(block.header))
        ledger.blocks.forget([b"V%d" % height, b"L%d" % height])


def start(path: Path, on_write: OnWrite | None = None, flush_bytes: int = 0) -> Ledger:
    """By default the state is written with every block, which gives the most points to be killed at."""
    return Ledger(path, on_write=on_write, flush_bytes=flush_bytes)


if __name__ == "__main__":
    # Making the chain opens databases too; only the node itself is to be killed.
    crash_at = os.environ.pop(CRASH_VARIABLE)
    chain()
    os.environ[CRASH_VARIABLE] = crash_at
    main = start(Path(sys.argv[1]))
    run(main, [])
    main.close()
