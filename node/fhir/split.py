"""Cuts a stream of JSON into resources without ever holding more than one of them.

Accepted shapes, recognised by what is there and not by the file's name: one Bundle, pretty-printed or not;
one Bundle per line; one resource per line; any mixture, one after the other. The entries of a Bundle are
given one by one, so a Bundle of any size costs the memory of its largest entry.

A line that is no JSON is reported and skipped up to the next line end, because in NDJSON the damage ends
there. A JSON string cannot hold a raw line end, so an unterminated string ends its record too, and a line
that begins with `{"resourceType"` begins a record even if the one before was cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

MAX_RESOURCE_BYTES: Final = 8 * 1024 * 1024
"""Largest resource that is read; a larger one is reported and skipped without being held in memory."""

_STRING: Final = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
_TOKEN: Final = re.compile(_STRING + rb'|["{}\[\]\n]')
_STRING_REST: Final = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+(["\n]|\\?\Z)')
_ENTRY_TAIL: Final = re.compile(rb'"entry"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}\Z')
_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")
_RECORD_START: Final = b'{"resourceType"'
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """One resource, one Bundle entry, or one thing that is neither."""

    line: int
    """Line of the input at which it begins, from 1."""
    kind: Literal["resource", "entry", "problem"]
    text: bytes
    """JSON text; for a problem empty."""
    problem: str = ""


class Splitter:
    """Feed it chunks of any size; it answers with the pieces that are complete."""

    def __init__(self, limit: int = MAX_RESOURCE_BYTES) -> None:
        self._limit = limit
        self._line = 1
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._in_entries = False
        self._had_entries = False
        self._skip_line = self._stray = False
        self._begun_line = 1
        self._element_line = 0
        self._shell = _Held(limit)
        self._element = _Held(limit)
        self._carry = b""
        self._fresh = True

    @property
    def line(self) -> int:
        """Line of the input reached so far, from 1."""
        return self._line

    @property
    def held_bytes(self) -> int:
        """Bytes of the piece that is being read which are in memory now."""
        return self._shell.held + self._element.held

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Pieces that end within `chunk`, in order."""
        if self._fresh:
            self._fresh = False
            chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
        data = self._carry + chunk
        # A record's start is recognised only as a whole: keep back what could be the first half of one.
        cut = data.rfind(b"\n")
        if cut >= 0 and len(data) - cut <= len(_RECORD_START):
            data, self._carry = data[:cut], data[cut:]
        else:
            self._carry = b""
        yield from self._run(data)

    def close(self) -> Iterator[Piece]:
        """What is left at the end of the input: a problem if something was begun and not finished."""
        yield from self._run(self._carry)
        self._carry = b""
        if self._depth:
            yield Piece(self._begun_line, "problem", b"", "the input ends in the middle of a resource")
            self._reset()

    def _run(self, data: bytes) -> Iterator[Piece]:
        at = 0
        while at < len(data):
            if self._skip_line:
                at = self._skip(data, at)
            elif self._depth == 0:
                found = _NOT_SPACE.search(data, at)
                self._line += data.count(b"\n", at, found.start() if found else len(data))
                if found is None:
                    return
                at = found.start()
                if data[at] == 0x7B:  # {
                    self._begun_line = self._line
                    self._depth = 1
                    self._shell.add(b"{")
                    at += 1
                else:
                    yield Piece(self._line, "problem", b"", "not a JSON object")
                    self._skip_line = True
            else:
                at, pieces = self._inside(data, at)
                yield from pieces

    def _skip(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            return len(data)
        self._skip_line = False
        return end

    def _inside(self, data: bytes, at: int) -> tuple[int, list[Piece]]:
        """Read on within an object until it ends, is found broken, or the data is used up."""
        held = self._element if self._element_line else self._shell
        kept = at
        if self._in_string:
            at, broken = self._rest_of_string(data, at)
            if broken:
                return at, [self._broken("a string without an end")]
        while (token := _TOKEN.search(data, at)) is not None:
            at = token.end()
            byte = data[token.start()]
            if byte == 0x22:  # "
                if at - token.start() > 1:
                    continue
                self._in_string, self._escaped = True, False
                at, broken = self._rest_of_string(data, at)
                if broken:
                    return at, [self._broken("a string without an end")]
            elif byte == 0x0A:  # line end
                if data.startswith(_RECORD_START, at):
                    return at - 1, [self._broken("a resource that was cut off")]
                self._line += 1
            elif byte in (0x7B, 0x5B):  # { [
                self._depth += 1
                if self._in_entries and self._depth == 3 and not self._element_line:
                    stray = self._between(data[kept : at - 1])
                    self._element_line, held, kept, self._stray = self._line, self._element, at - 1, False
                    if stray:
                        return self._resume(at, kept, held, data), stray
                elif byte == 0x5B and self._depth == 2 and not self._in_entries:
                    held.add(data[kept:at])
                    kept = at
                    if _ENTRY_TAIL.search(held.tail()[:-1]):
                        self._in_entries = self._had_entries = True
            else:  # } ]
                self._depth -= 1
                if self._element_line and self._depth == 2:
                    held.add(data[kept:at])
                    return at, [self._finish(held, self._element_line, "entry")]
                if self._in_entries and self._depth == 1:
                    stray = self._between(data[kept : at - 1])
                    self._in_entries = self._stray = False
                    self._shell.add(b"]")
                    return at, stray
                if self._depth == 0:
                    held.add(data[kept:at])
                    return at, self._end_of_object()
        if not self._in_entries or self._element_line:
            held.add(data[kept:])
        else:
            return len(data), self._between(data[kept:])
        return len(data), []

    def _resume(self, at: int, kept: int, held: _Held, data: bytes) -> int:
        held.add(data[kept:at])
        return at

    def _rest_of_string(self, data: bytes, at: int) -> tuple[int, bool]:
        """(where to read on, whether the string is broken). The string may go on in the next chunk."""
        if self._escaped:
            self._escaped = False
            if data[at : at + 1] == b"\n":
                return at, True
            at += 1
        found = _STRING_REST.match(data, at)
        if found is None:  # an escaped line end
            end = data.find(b"\n", at)
            return (end if end >= 0 else len(data)), True
        ending = found.group(1)
        if ending == b'"':
            self._in_string = False
        elif ending == b"\n":
            return found.end() - 1, True
        elif ending == b"\\":
            self._escaped = True
        return found.end(), False

    def _between(self, gap: bytes) -> list[Piece]:
        """Between two entries only a comma may stand; anything else is reported, not lost."""
        if gap.strip(b" \t\r\n,") and not self._stray:
            self._stray = True  # once, however many chunks it comes in
            return [Piece(self._line, "problem", b"", "a Bundle entry that is not an object")]
        return []

    def _finish(self, held: _Held, line: int, kind: Literal["resource", "entry"]) -> Piece:
        text, size = held.take()
        self._element_line = 0
        if text is None:
            return Piece(
                line, "problem", b"", f"a resource of {size} bytes; the largest that is read has {self._limit}"
            )
        return Piece(line, kind, text)

    def _end_of_object(self) -> list[Piece]:
        if self._had_entries:
            # Its entries were given already; what is left of the Bundle carries nothing that is imported.
            self._reset()
            return []
        piece = self._finish(self._shell, self._begun_line, "resource")
        self._reset()
        return [piece]

    def _broken(self, why: str) -> Piece:
        line = self._element_line or self._begun_line
        self._reset()
        self._skip_line = True
        return Piece(line, "problem", b"", why)

    def _reset(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = self._in_entries = self._had_entries = self._stray = False
        self._element_line = 0
        self._shell.take()
        self._element.take()


class _Held:
    """Bytes kept so far, up to a limit; above it only their number is kept."""

    def __init__(self, limit: int) -> None:
        self._limit, self._parts, self._size = limit, list[bytes](), 0

    def add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        else:
            self._parts.clear()

    @property
    def held(self) -> int:
        return sum(map(len, self._parts))

    def tail(self) -> bytes:
        """At least the last 140 bytes, if so many are held."""
        tail = b""
        for part in reversed(self._parts):
            tail = part[-140:] + tail
            if len(tail) >= 140:
                break
        return tail

    def take(self) -> tuple[bytes | None, int]:
        """(everything, or None above the limit; size), and empty again."""
        text = b"".join(self._parts) if self._size <= self._limit else None
        size, self._size = self._size, 0
        self._parts.clear()
        return text, size


def split(chunks: Iterable[bytes], limit: int = MAX_RESOURCE_BYTES) -> Iterator[Piece]:
    """All pieces of a stream."""
    splitter = Splitter(limit)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()
