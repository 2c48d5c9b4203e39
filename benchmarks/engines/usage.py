"""What processes have used, read from /proc: CPU, memory, bytes written."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.watch import disk_bytes

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB: Final = 1024
_EVERY_S: Final = 0.5


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Of several processes together, between two moments."""

    cpu_s: float
    written_bytes: int
    """Given to the disk, as the kernel counts it."""
    disk_bytes: int
    peak_held_bytes: int
    """Of the largest process."""


def cpu_s(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _field(pid: int, file: str, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def held_bytes(pid: int) -> int:
    """Memory that a process has for itself. Not what it maps of files, such as LevelDB's tables: that is the system's
    cache, which takes it back when it needs it, and which also holds the files of those who read them."""
    return _field(pid, "status", "RssAnon:") * _KIB


def written_bytes(pid: int) -> int:
    """Given to the disk so far, as the kernel counts it."""
    return _field(pid, "io", "write_bytes:")


class Meter:
    """Reads before and after, and memory twice a second in between. Use as a context manager."""

    def __init__(self, pids: Sequence[int], directories: Sequence[Path]) -> None:
        self._pids, self._directories = [pid for pid in pids if pid], list(directories)
        self.memory: list[tuple[float, int]] = []
        """(seconds since the start, bytes of the largest process)."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = (0.0, 0, 0)
        self.usage: Usage | None = None

    def _read(self) -> tuple[float, int, int]:
        written = sum(written_bytes(pid) for pid in self._pids)
        return cpu_s(self._pids), written, sum(map(disk_bytes, self._directories))

    def _watch(self) -> None:
        begun = 0.0
        while True:
            self.memory.append((begun, max((held_bytes(pid) for pid in self._pids), default=0)))
            if self._stop.wait(_EVERY_S):
                return
            begun += _EVERY_S

    def __enter__(self) -> Meter:
        self._before = self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        after, before = self._read(), self._before
        self.usage = Usage(
            cpu_s=after[0] - before[0],
            written_bytes=after[1] - before[1],
            disk_bytes=after[2] - before[2],
            peak_held_bytes=max(size for _, size in self.memory),
        )
