"""What an enrolment costs a node as its state grows: processor time by part, bytes written, memory.

    python -m benchmarks.growth                                         three minutes; a row for 60,000 members
    python -m benchmarks.growth --members 1000000 --step 200000 --docs  ten; also remakes docs/performance.md

One backup without network, alone in its process, executes and commits blocks that another process has made. Signatures
are taken as checked (benchmarks/stages.py has them). LevelDB's threads are "compacting"; bytes are the kernel's count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.engines.document import put
from benchmarks.engines.usage import held_bytes, written_bytes
from benchmarks.stages import NAMES, Part, Stages, signed
from consensus.block import Block
from consensus.codec import decode, encode
from consensus.effects import Persist, PersistBlock
from consensus.messages import CommitCertificate
from consensus.types import ReplicaId, Signature, View
from node.claims.transaction import Transaction, decode_transaction
from node.genesis import load_genesis
from node.keyfile import read_key
from node.localnet import layout

_BLOCK: Final = 400
_KEYS: Final = 16
"""Account keys of each organisation."""
_FLUSHED: Final = re.compile(r"Level-0 table #\d+: (\d+) bytes OK")
_COMPACTED: Final = re.compile(r"Compacted .* => (\d+) bytes")


class _Known:
    """Takes every signature as checked."""

    def resolve(self, raws: Sequence[bytes]) -> list[Transaction | None]:
        return [self.decode(raw) for raw in raws]

    def decode(self, raw: bytes) -> Transaction:
        return decode_transaction(raw)


class _Pending(msgspec.Struct):
    id: bytes
    raw: bytes
    transaction: Transaction


def _certificate_of(block: Block) -> CommitCertificate:
    """Of the right size; nobody checks it here."""
    signatures = tuple((ReplicaId(replica), Signature(bytes(64))) for replica in range(3))
    return CommitCertificate(view=View(0), height=block.height, digest=block.digest, signatures=signatures)


def make_blocks(folder: str, count: int) -> None:
    """Write `count` enrolments in blocks to `folder`/blocks."""
    net = Path(folder) / "net"
    layout.create(net, NAMES, account_keys=_KEYS)
    genesis = load_genesis(net / layout.GENESIS_FILE)
    numbers = range(1, _KEYS + 1)
    keys = [read_key(net / name / layout.account_file(number), None) for number in numbers for name in NAMES]
    part = Part(Path(folder) / "primary", genesis, _Known())
    with (Path(folder) / "blocks").open("wb") as file:
        raws = signed(genesis, keys, count)
        for height, first in enumerate(range(0, count, _BLOCK), start=1):
            some = [_Pending((tx := decode_transaction(raw)).id, raw, tx) for raw in raws[first : first + _BLOCK]]
            time_ms = genesis.time_ms + 100 * height
            block = part.executor.build(part.executor.tip, some, time_ms, _BLOCK)
            assert block is not None
            part.executor.commit(block, _certificate_of(block))
            data = encode(block)
            file.write(len(data).to_bytes(4, "big") + data)
    part.close()


def _read(path: Path) -> Iterator[Block]:
    with path.open("rb") as file:
        while head := file.read(4):
            yield decode(Block, file.read(int.from_bytes(head, "big")))


def _promise(part: Part, block: Block) -> list[bytes]:
    """Everything that `blocks` gets for one block; answers the journal's keys."""
    keys = [b"%c%d" % (kind, block.height) for kind in b"VWL"]
    votes = [Persist(key=key, value=bytes(200)) for key in keys[:2]]
    part.blocks.write([PersistBlock(block=block), votes[0]])
    part.blocks.write([votes[1], Persist(key=keys[2], value=bytes(700))])
    part.blocks.write((), [(block, _certificate_of(block))])
    return keys


def course(folder: Path, count: int, step: int, cache_bytes: int) -> tuple[list[str], str]:
    """Rows of the table, and what was written for each member, of the blocks in `folder` with a cache of that size."""
    place = folder / f"backup-{cache_bytes}"
    part = Part(place, load_genesis(folder / "net" / layout.GENESIS_FILE), _Known(), cache_bytes=cache_bytes)
    me, done, rows = os.getpid(), 0, list[str]()
    begun = written_bytes(me)
    stages, process, thread, written = Stages(time.thread_time_ns), time.process_time_ns(), time.thread_time_ns(), begun
    for block in _read(folder / "blocks"):
        journal = stages.run("blocks", _promise, part, block)
        stages.run("execute", part.executor.execute, block)
        stages.run("commit", part.executor.commit, block, _certificate_of(block))
        part.blocks.forget(journal)
        done += len(block.transactions)
        if done % step == 0 or done == count:
            some = (done - 1) % step + 1
            others = time.process_time_ns() - process - (time.thread_time_ns() - thread)
            cells = [f"{cache_bytes >> 20} | {done:,}"]
            cells += [f"{ns / 1_000 / some:.1f}" for ns in (*stages.ns.values(), others)]
            cells += [f"{(written_bytes(me) - written) / some:,.0f}", f"{held_bytes(me) / 1e6:.0f}"]
            rows.append(f"| {' | '.join(cells)} |")
            stages = Stages(time.thread_time_ns)
            process, thread, written = time.process_time_ns(), time.thread_time_ns(), written_bytes(me)
    all_bytes = (written - begun) / done
    part.close()
    return rows, f"{cache_bytes >> 20} MiB: {_written(place, all_bytes, done)}"


def _written(place: Path, all_bytes: float, done: int) -> str:
    """Bytes for each of `done` transactions by where they went, from LevelDB's logs."""
    tables = {}
    for name in ("blocks", "state"):
        log = (place / name / "LOG").read_text(encoding="utf-8")
        tables[name] = [sum(map(int, pattern.findall(log))) / done for pattern in (_FLUSHED, _COMPACTED)]
    return (
        f"{all_bytes:,.0f} bytes written for each: "
        + "; ".join(
            f"{name} {flushed:,.0f} in tables and {compacted:,.0f} by compaction"
            for name, (flushed, compacted) in tables.items()
        )
        + f"; {all_bytes - sum(map(sum, tables.values())):,.0f} in logs."
    )


def measure(folder: Path, count: int, step: int, caches: Sequence[int]) -> Iterator[str]:
    """A table in Markdown, part by part, of `count` enrolments in a chain of their own, for each size of the cache."""
    parts = ("blocks", "execute", "commit", "compacting")
    yield f"| cache, MiB | members | {' | '.join(f'{part}, us' for part in parts)} | written, bytes | memory, MB |"
    yield "|" + "---:|" * 8
    # A process for each: memory that one had stays with its allocator.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        processes.submit(make_blocks, str(folder), count).result()
        notes = []
        for cache_bytes in caches:
            rows, note = processes.submit(course, folder, count, step, cache_bytes).result()
            yield from rows
            notes.append(note)
    for note in notes:
        yield from ("", note)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--members", type=int, default=240_000, help="how many (default %(default)s)")
    parser.add_argument("--caches", default="128,512", help="MiB of state cache, with commas (default %(default)s)")
    parser.add_argument("--step", type=int, default=60_000, help="members to a row (default %(default)s)")
    parser.add_argument("--docs", action="store_true", help="also remake the table of docs/performance.md")
    options = parser.parse_args(arguments)
    caches = [int(size) << 20 for size in options.caches.split(",")]
    with tempfile.TemporaryDirectory(prefix="weal-growth-") as folder:
        lines = []
        for line in measure(Path(folder), options.members, options.step, caches):
            print(line, flush=True)
            lines.append(line)
    if options.docs:
        put("growth", "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
