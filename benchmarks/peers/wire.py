"""What a load generator exchanges with the CometBFT peer; benchmarks/peers/cometbft has the other side.

Transactions lie in a file, each behind its length, so that any run of whole ones is the body of `POST /batch`. The
answer has one byte per transaction. `GET /commits` is one endless answer with a record per block that has any.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

TRANSACTION_BYTES: Final = 258
_STRIDE: Final = 4 + TRANSACTION_BYTES
_NONCE_AT: Final = 4 + 32 + 64
_NONCE_BYTES: Final = 8
_RECORD: Final = struct.Struct(">QQI")


class Answer(enum.IntEnum):
    """What became of one transaction of a batch."""

    ACCEPTED = 0
    REFUSED = 1
    KNOWN = 2
    FULL = 3


class Transactions:
    """Signed transactions that `peer generate` wrote."""

    def __init__(self, content: bytes) -> None:
        if len(content) % _STRIDE:
            raise ValueError(f"{len(content)} bytes are no whole number of transactions")
        self._content = content

    @classmethod
    def read(cls, path: Path) -> Transactions:
        return cls(path.read_bytes())

    def __len__(self) -> int:
        return len(self._content) // _STRIDE

    def batch(self, first: int, count: int) -> bytes:
        """The body of a request with `count` transactions; fewer at the end of the file."""
        return self._content[first * _STRIDE : (first + count) * _STRIDE]

    def nonce(self, index: int) -> bytes:
        """What a commit record knows the transaction by."""
        at = index * _STRIDE + _NONCE_AT
        return self._content[at : at + _NONCE_BYTES]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One block that one node has written."""

    height: int
    at_ns: int
    """Since 1970, on the clock of this machine, when the node had written the state."""
    nonces: tuple[bytes, ...]
    """Transactions that changed the state, in block order."""


class CommitReader:
    """Puts records together from pieces of the stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Commit]:
        """The records that are complete with this piece."""
        content, at = self._rest + piece, 0
        commits = []
        while len(content) - at >= _RECORD.size:
            height, at_ns, count = _RECORD.unpack_from(content, at)
            start, end = at + _RECORD.size, at + _RECORD.size + count * _NONCE_BYTES
            if len(content) < end:
                break
            nonces = tuple(content[i : i + _NONCE_BYTES] for i in range(start, end, _NONCE_BYTES))
            commits.append(Commit(height=height, at_ns=at_ns, nonces=nonces))
            at = end
        self._rest = content[at:]
        return iter(commits)
