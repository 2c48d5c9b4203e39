"""A process that checks signatures for a node: what it runs, and the bytes between the two.

Its standard input is a socket, and it ends when that does.

A process and not a thread. Both verifiers let go of the interpreter's lock at most for eight signatures at a time and
have to get it back after each call, which takes the switch interval (5 ms) beside a busy thread: measured, a thread
checks next to nothing until the other one has nothing to do.

It says READY, then answers requests in order. A request is its length and its number of signatures, both uint32 of
this machine, then all keys, all signatures, the lengths of the messages (uint32), the messages. The answer is one byte
for each: 1 where the signature holds. Both ends are one program on one machine, so nothing here is checked.
"""

from __future__ import annotations

import socket
import struct
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Final

from node.ed25519.choice import chosen
from node.ed25519.rule import KEY_BYTES, SIGNATURE_BYTES

READY: Final = b"\x02"
_HEAD: Final = struct.Struct("=II")
_FIXED: Final = KEY_BYTES + SIGNATURE_BYTES


def encode_request(keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> bytes:
    """Keys and signatures have the right lengths, and there are as many of each."""
    lengths = array("I", map(len, messages))
    body = b"".join((*keys, *signatures, lengths.tobytes(), *messages))
    return _HEAD.pack(len(body), len(lengths)) + body


def decode_request(body: bytes, count: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Keys, signatures and messages of a request's `body`."""
    after_keys, after_signatures = count * KEY_BYTES, count * _FIXED
    keys = [body[at : at + KEY_BYTES] for at in range(0, after_keys, KEY_BYTES)]
    signatures = [body[at : at + SIGNATURE_BYTES] for at in range(after_keys, after_signatures, SIGNATURE_BYTES)]
    lengths = array("I")
    after_lengths = after_signatures + count * lengths.itemsize
    lengths.frombytes(body[after_signatures:after_lengths])
    messages = [body[start:end] for start, end in pairwise(accumulate(lengths, initial=after_lengths))]
    return keys, signatures, messages


def serve(connection: socket.socket) -> None:
    """Answer until the other side is gone."""
    verify_many = chosen().verifier.verify_many
    connection.sendall(READY)
    with connection.makefile("rb") as requests:
        while len(head := requests.read(_HEAD.size)) == _HEAD.size:
            size, count = _HEAD.unpack(head)
            body = requests.read(size)
            if len(body) < size:
                return
            connection.sendall(bytes(verify_many(*decode_request(body, count))))


def main() -> int:
    # Without a connection there is no node any more.
    with socket.socket(fileno=sys.stdin.fileno()) as connection, suppress(ConnectionError):
        serve(connection)
    return 0
