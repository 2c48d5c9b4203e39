"""What a block took: time by part, and the work behind it counted.

Times are of the product as it is, but for a clock around three of its calls. Counts come from blocks of their own,
with a counter in front of the state: they say the same on every machine and at every load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns, thread_time_ns
from typing import Any

import msgspec

from node.claims.application import Application
from node.leveldb import Row
from node.overlay import Overlay
from node.state import StateDatabase


class Times(msgspec.Struct):
    """Milliseconds. All but `wall` are processor time of the node's thread: on a shared machine the steadier figure."""

    wall: float = 0.0
    processor: float = 0.0
    signatures: float = 0.0
    application: float = 0.0
    tree: float = 0.0
    write: float = 0.0
    """Both databases, the blocks synced; what LevelDB does in its own thread is not in it."""


class Moment:
    """Now, by both clocks."""

    __slots__ = ("processor_ms", "wall_ms")

    def __init__(self) -> None:
        self.wall_ms, self.processor_ms = perf_counter_ns() / 1e6, thread_time_ns() / 1e6

    def until_now(self) -> Times:
        now = Moment()
        return Times(wall=now.wall_ms - self.wall_ms, processor=now.processor_ms - self.processor_ms)


class Work(msgspec.Struct):
    """Counts of one block."""

    reads: int = 0
    """Records the application asked for."""
    scanned: int = 0
    """Rows that its scans looked at."""
    writes: int = 0
    """Records put or deleted."""
    record_reads: int = 0
    """Records asked of the committed state, cached or not."""
    page_reads: int = 0
    """Pages of the tree asked of the committed state, cached or not."""
    lookups: int = 0
    """Records and pages that were in no cache of the node's: look-ups in LevelDB."""
    pages: int = 0
    """Pages of the tree written."""
    inner: int = 0
    """Inner nodes of the tree hashed."""
    rows: int = 0
    """Rows written to the state's LevelDB."""
    bytes: int = 0
    """Bytes of them."""


class Meter:
    """Sits on one node's application and state. `times` and `work` are those of the block at hand."""

    def __init__(self, application: Application, state: StateDatabase) -> None:
        self.times, self.work = Times(), Work()
        self.counting = False
        self._state = state
        # Set on the instances: the classes, and so the product under measurement, stay what they are.
        _instead(application, "execute", lambda execute: self._timed(execute, "application"))
        _instead(state, "overlay", self._overlays)
        _instead(state, "record", lambda read: self._counted(read, "record_reads"))
        _instead(state, "page", lambda read: self._counted(read, "page_reads"))
        _instead(state._db, "get", lambda read: self._counted(read, "lookups"))
        _instead(state._db, "write", self._writer)

    def begin(self, *, counting: bool) -> None:
        self.times, self.work, self.counting = Times(), Work(), counting

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begin = thread_time_ns()
            result = call(*arguments, **named)
            took = (thread_time_ns() - begin) / 1e6
            setattr(self.times, part, getattr(self.times, part) + took)
            return result

        return timed

    def _counted(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if self.counting:
                setattr(self.work, what, getattr(self.work, what) + 1)
            return call(*arguments, **named)

        return counted

    def _overlays(self, make: Callable[..., Overlay]) -> Callable[..., Overlay]:
        def overlay(*arguments: Any) -> Overlay:
            made = make(*arguments)
            _instead(made, "root", self._tree)
            if self.counting:
                _instead(made, "get", lambda read: self._counted(read, "reads"))
                _instead(made, "put", lambda put: self._counted(put, "writes"))
                _instead(made, "scan", self._scanner)
            return made

        return overlay

    def _tree(self, root: Callable[[], bytes]) -> Callable[[], bytes]:
        timed = self._timed(root, "tree")

        def counted() -> bytes:
            result: bytes = timed()
            if self.counting:
                update = root.__self__._apply()  # type: ignore[attr-defined]
                self.work.pages, self.work.inner = len(update.pages), len(update.inner)
            return result

        return counted

    def _scanner(self, scan: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def scanned(start: bytes, end: bytes) -> Iterator[Any]:
            for row in scan(start, end):
                self.work.scanned += 1
                yield row

        return scanned

    def _writer(self, write: Callable[..., None]) -> Callable[..., None]:
        def written(rows: Iterable[Row], *, sync: bool) -> None:
            if self.counting:
                rows = list(rows)
                self.work.rows += len(rows)
                self.work.bytes += sum(len(key) + len(value or b"") for key, value in rows)
            write(rows, sync=sync)

        return written


def _instead(target: object, name: str, wrap: Callable[[Any], Any]) -> None:
    setattr(target, name, wrap(getattr(target, name)))
