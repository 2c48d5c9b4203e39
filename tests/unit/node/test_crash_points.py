"""Kill a committing node at every write, before and after it; it comes back as if nothing had happened.

What is killed is a copy of the directories as the operating system holds them at that moment, or, for some
points, a real process that ends without a word.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from node.errors import StoreError
from node.leveldb import CRASH_VARIABLE, WritePoint
from tests.unit.node.crash_script import Word, chain, run, start
from tests.unit.node.ledgers import Ledger, contents


def slow(seeds: range) -> list[Any]:
    return [pytest.param(seed, marks=pytest.mark.slow) for seed in seeds]


ROOT = Path(__file__).resolve().parents[3]


class Killed(BaseException):
    """The machine is gone; nothing may handle it."""


def copy_of(path: Path, copy: Path) -> None:
    """A copy of databases that are open. LevelDB's own thread may remove a file that a compaction made useless
    while we copy; then the copy is no single moment, and another is made."""
    for _ in range(100):
        try:
            shutil.copytree(path, copy)
        except shutil.Error:
            shutil.rmtree(copy)
        else:
            return
    raise AssertionError(f"{path} never stood still")


class Killer:
    """Keeps a copy of the directories at write point `at`, and ends the run there."""

    def __init__(self, path: Path, copy: Path, at: int) -> None:
        self._path, self._copy, self._at = path, copy, at
        self.points: list[WritePoint] = []

    def __call__(self, point: WritePoint) -> None:
        self.points.append(point)
        if len(self.points) == self._at:
            copy_of(self._path, self._copy)
            raise Killed


@cache
def reference(flush_bytes: int = 0) -> tuple[dict[str, object], tuple[WritePoint, ...]]:
    """What a node has that never crashed, and its write points."""
    with TemporaryDirectory() as folder:
        killer = Killer(Path(folder), Path(folder), 0)
        ledger = start(Path(folder), killer, flush_bytes)
        run(ledger, [])
        result = contents(ledger)
        ledger.close()
        return result, tuple(killer.points)


SOME_BLOCKS = 16_000
"""Flushed so rarely, the state is written with every other block or so."""
POINTS = [(flush, at) for flush in (0, SOME_BLOCKS, 1 << 30) for at in range(1, len(reference(flush)[1]) + 1)]


def test_the_script_writes_both_databases_many_times() -> None:
    expected, points = reference()
    assert len(points) > 50 and len(points) % 2 == 0
    states = {
        flush: sum(point.database == "state" for point in reference(flush)[1]) for flush in (0, SOME_BLOCKS, 1 << 30)
    }
    assert states[0] > states[SOME_BLOCKS] > states[1 << 30] == 4, states
    assert {point.database for point in points} == {"blocks", "state"}
    assert len(expected["blocks"]) == 7 and expected["journal"] == {} and expected["proposals"] == []  # type: ignore[arg-type]


def live(path: Path, killer: Killer, said: list[Word], flush_bytes: int = 0) -> bool:
    """Run until the end or until killed; answers whether it was killed."""
    ledger: Ledger | None = None
    try:
        ledger = start(path, killer, flush_bytes)
        run(ledger, said)
        ledger.close()
    except Killed:
        if ledger is not None:
            with suppress(StoreError):  # it was killed while it closed
                ledger.close()
        return True
    return False


def resume(path: Path, said: list[Word]) -> None:
    """Start on what the crash left, check what was promised, finish, compare with a run without crash."""
    ledger = start(path)
    journal, tip = ledger.blocks.journal(), ledger.executor.tip
    assert tip.height == ledger.blocks.height
    for key, value in said:
        # A vote is remembered word for word until its height is final.
        if int(key[1:]) > tip.height:
            assert journal[key] == value
            assert ledger.blocks.block(chain()[0][int(key[1:]) - 1].digest) is not None
    assert all(value == dict(said).get(key, value) for key, value in journal.items())
    run(ledger, said)
    # Nothing forgets these for a second time; the core drops votes at or below the tip when it starts.
    ledger.blocks.forget([key for key in ledger.blocks.journal() if int(key[1:]) <= ledger.blocks.height])
    assert contents(ledger) == reference()[0]
    ledger.blocks.check(1)
    ledger.state.audit()
    ledger.close()


@pytest.mark.parametrize(("flush_bytes", "at"), POINTS)
def test_a_node_killed_at_a_write_point_resumes(tmp_path: Path, flush_bytes: int, at: int) -> None:
    said: list[Word] = []
    assert live(tmp_path / "node", Killer(tmp_path / "node", tmp_path / "copy", at), said, flush_bytes)
    resume(tmp_path / "copy", said)


@pytest.mark.parametrize("at", [5, 12, 23, 30])
def test_a_node_killed_again_while_it_resumes_resumes(tmp_path: Path, at: int) -> None:
    said: list[Word] = []
    path = tmp_path / "0"
    for number in range(1, 8):
        copy = tmp_path / str(number)
        if not live(path, Killer(path, copy, at + number % 3), said):
            break
        path = copy
    resume(path, said)


def test_a_state_that_lost_its_last_writes_is_replayed(tmp_path: Path) -> None:
    """After a power cut the unsynced state may be any number of batches behind the synced blocks."""
    copies: list[Path] = []

    def keep(point: WritePoint) -> None:
        if point == WritePoint("state", True):
            copies.append(tmp_path / f"state {len(copies)}")
            copy_of(tmp_path / "node" / "state", copies[-1])

    ledger = start(tmp_path / "node", keep)
    run(ledger, [])
    ledger.close()
    assert len(copies) == 9  # meta, genesis, seven blocks
    for behind, state in enumerate(reversed(copies[1:])):
        path = tmp_path / f"cut {behind}"
        shutil.copytree(tmp_path / "node" / "blocks", path / "blocks")
        state.rename(path / "state")
        ledger = start(path)
        assert ledger.replayed == behind
        assert contents(ledger) == reference()[0]
        ledger.close()


@pytest.mark.parametrize(
    "moment", ["before:1", "after:2", "before:8", "after:8", "before:17", "after:18", "41", "after:27"]
)
def test_a_process_killed_at_a_write_resumes(tmp_path: Path, moment: str) -> None:
    environment = {**os.environ, CRASH_VARIABLE: moment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.unit.node.crash_script", str(tmp_path / "node")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 137, done.stderr.decode()
    resume(tmp_path / "node", [])


# -- files that were cut or changed


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda path: path.name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that ran to the end and was closed."""
    path = tmp_path_factory.mktemp("finished")
    ledger = start(path)
    run(ledger, [])
    ledger.close()
    return path


@pytest.mark.parametrize("seed", [*range(8), *slow(range(8, 60))])
@pytest.mark.parametrize("database", ["blocks", "state"])
def test_a_cut_log_gives_an_earlier_moment_or_an_error_that_says_the_way_out(
    tmp_path: Path, finished: Path, database: str, seed: int
) -> None:
    shutil.copytree(finished, tmp_path / "node")
    log = newest(tmp_path / "node" / database, "*.log")
    size = log.stat().st_size
    os.truncate(log, random.Random(seed).randrange(size))
    problem = ""
    try:
        ledger = start(tmp_path / "node")
    except StoreError as error:
        problem = str(error)
    if problem:
        # Blocks that lost what they had synced leave the state ahead. A cut state is only behind.
        assert database == "blocks"
        assert "way out" in problem.lower()
        return
    ledger.blocks.check(1)
    ledger.state.audit()
    run(ledger, [])
    ledger.blocks.forget(ledger.blocks.journal())
    assert contents(ledger) == reference()[0]
    ledger.close()


@pytest.mark.parametrize("seed", [*range(20), *slow(range(20, 400))])
def test_a_changed_byte_is_noticed_or_changes_nothing(tmp_path: Path, finished: Path, seed: int) -> None:
    """Anywhere in any file: either the same contents, or StoreError; never other contents."""
    choose = random.Random(seed)
    shutil.copytree(finished, tmp_path / "node")
    if seed % 2:
        # Tables instead of logs.
        ledger = start(tmp_path / "node")
        ledger.blocks._db.compact()
        ledger.state._db.compact()
        ledger.close()
    files = sorted(path for path in (tmp_path / "node").glob("*/*") if path.stat().st_size and path.name != "LOG")
    victim = choose.choices(files, weights=[path.stat().st_size for path in files])[0]
    data = bytearray(victim.read_bytes())
    at = choose.randrange(len(data))
    data[at] ^= 1 << choose.randrange(8)
    victim.write_bytes(data)
    found, problem = read_in_full(tmp_path / "node")
    if problem:
        assert "way out" in problem.lower() or "version of weal" in problem
    else:
        assert found == reference()[0]


def read_in_full(path: Path) -> tuple[dict[str, object], str]:
    """All contents but the journal, which has no other copy here to compare with; or the StoreError's text."""
    ledger: Ledger | None = None
    try:
        ledger = start(path)
        ledger.blocks.check(1)
        ledger.state.audit()
        return {**contents(ledger), "journal": {}}, ""
    except StoreError as error:
        return {}, str(error)
    finally:
        if ledger is not None:
            ledger.close()
