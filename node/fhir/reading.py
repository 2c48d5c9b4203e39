"""Opens a FHIR file: plain or gzip (told by its first bytes), a path or `-` for standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from node.fhir.split import MAX_RESOURCE_BYTES, Piece, Splitter

CHUNK_BYTES: Final = 256 * 1024
MAX_INPUT_BYTES: Final = 64 * 1024**3
"""Most bytes read from one input after decompression, so that a crafted archive ends at some time."""
_GZIP_MAGIC: Final = b"\x1f\x8b"


def pieces(
    source: Path | BinaryIO | str, limit: int = MAX_RESOURCE_BYTES, most: int = MAX_INPUT_BYTES
) -> Iterator[Piece]:
    """Every piece of the input; damage to the file itself is a last piece of kind `problem`.

    `source` is a path, `-`, or an open binary file. Raises OSError if the file cannot be opened or read.
    """
    if isinstance(source, (str, Path)) and str(source) != "-":
        with open(source, "rb") as file:
            yield from _pieces(file, limit, most)
    else:
        yield from _pieces(sys.stdin.buffer if isinstance(source, (str, Path)) else source, limit, most)


def _pieces(file: BinaryIO, limit: int, most: int) -> Iterator[Piece]:
    buffered = io.BufferedReader(file, CHUNK_BYTES) if isinstance(file, io.RawIOBase) else file
    head = buffered.read(CHUNK_BYTES)
    packed = head.startswith(_GZIP_MAGIC)
    chunks = _unpacked(_Joined(head, buffered)) if packed else _plain(head, buffered)
    splitter, total = Splitter(limit), 0
    while True:
        try:
            chunk = next(chunks, b"")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield from splitter.close()
            yield Piece(splitter.line, "problem", b"", f"the compressed file is damaged or cut short ({error})")
            return
        if not chunk:
            break
        total += len(chunk)
        if total > most:
            yield from splitter.close()
            yield Piece(splitter.line, "problem", b"", f"more than {most} bytes; split the file")
            return
        yield from splitter.feed(chunk)
    yield from splitter.close()


def _plain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    while head:
        yield head
        head = file.read(CHUNK_BYTES)


def _unpacked(file: io.RawIOBase) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BufferedReader(file, CHUNK_BYTES), mode="rb") as unpacked:
        while chunk := unpacked.read1(CHUNK_BYTES):
            yield chunk


class _Joined(io.RawIOBase):
    """What was read already, then the rest: standard input cannot be rewound."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
