"""Signatures checked beside the node, by a process of its own (ed25519/worker.py), where there is a core for it.

It only ever says "this one holds". What it did not say, because it does not hold, because the process is not up yet, is
busy or has died, the node finds out by itself as it would without one. So nothing depends on it but speed, and no
decision differs. It is started when there is first something to check in numbers: a node without load has none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Final

from node.ed25519.worker import READY, encode_request

FEWEST: Final = 16
"""Signatures from which a request pays. It costs this thread some 50 us, and who waits for it a turn of the event loop,
20 ms of a busy one."""
MAX_WAITING: Final = 2_048
"""Signatures asked about and not answered, before the last request; more are left to the node."""
_MAX_UNSENT: Final = 1024 * 1024
"""Bytes of requests that it has not read yet, before the last one."""
_PROGRAM: Final = "import sys; sys.path[:] = sys.argv[1:]; from node.ed25519.worker import main; sys.exit(main())"
"""It imports what this process does, wherever that came from."""
PATIENCE_S: Final = 5.0
"""A process that answers nothing from one look at it to the next, so long after, is given up."""
CORES: Final = 4
"""With so many to itself, a node whose libsodium checks one signature at a time starts the process by itself. Of two or
three, the databases' own threads, the system and other nodes need what the node leaves over."""

log = logging.getLogger("weal.signatures")


def is_wanted(setting: str, lanes: int, cores: int) -> bool:
    """Shall a node start one that checks `lanes` signatures at once and may use `cores` processors? `setting` is
    `node.signature_process`. With eight lanes a check costs little more than having it done elsewhere."""
    return setting == "on" or (setting == "auto" and lanes == 1 and cores >= CORES)


def usable_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class SignatureProcess(asyncio.Protocol):
    """Asks one such process. For one event loop; call `stop` at the end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_ready = False
        self.is_over = False
        """It will not answer any more."""
        self._asked: deque[tuple[asyncio.Future[list[bool]], int]] = deque()
        self._answer = bytearray()
        self._waiting = 0
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self.checked = 0
        """Signatures that it found valid so far."""

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return self._process.pid if self._process else None

    def has_room(self) -> bool:
        """Would it take a request now? If it does not run yet, it is started, for later ones."""
        if self.is_over:
            return False
        if not self._is_ready or self._transport is None:
            if self._starting is None:
                self._starting = asyncio.create_task(self._start(), name="weal signature process")
            return False
        return self._waiting < MAX_WAITING and self._transport.get_write_buffer_size() <= _MAX_UNSENT

    def ask(
        self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]
    ) -> asyncio.Future[list[bool]] | None:
        """Which of these signatures hold? False is no verdict. None if the node has to look for itself.

        Lengths of keys and signatures are right, and there are as many of each.
        """
        count = len(keys)
        if count < FEWEST or not self.has_room() or self._transport is None:
            return None
        answer: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._asked.append((answer, count))
        self._waiting += count
        self._transport.write(encode_request(keys, signatures, messages))
        if self._timer is None:
            self._watch()
        return answer

    def _watch(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._look, self._answers)

    def _look(self, answers: int) -> None:
        """Has it answered since it had so many answers? Who asked waits for them."""
        self._timer = None
        if self._asked and self._answers == answers:
            self._end(f"it did not answer for {PATIENCE_S:g} s")
        elif self._asked:
            self._watch()

    async def _start(self) -> None:
        ours, its = socket.socketpair()
        try:
            with its:
                self._process = _spawn(its)
            await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        except OSError as error:
            ours.close()
            self._end(f"it cannot be started: {error}")

    async def stop(self) -> None:
        """End the process. What was asked is answered with "no verdict"."""
        self.is_over = True
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._transport is not None:
            self._transport.abort()
        self._give_up()

    # Word from the other end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._is_ready:
            self._is_ready, data = True, data[len(READY) :]
            log.info("signatures are checked by a process beside this one", extra={"pid": self.pid})
        self._answer += data
        while self._asked and len(self._answer) >= self._asked[0][1]:
            answer, count = self._asked.popleft()
            verdicts = [byte == 1 for byte in self._answer[:count]]
            del self._answer[:count]
            self._waiting -= count
            self._answers += 1
            self.checked += sum(verdicts)
            if not answer.done():
                answer.set_result(verdicts)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_over:
            self._end("it ended by itself")

    def _end(self, why: str) -> None:
        self.is_over = True
        if self._transport is not None:
            self._transport.abort()
        log.error("no process checks signatures beside this one any more, this one does it all: %s", why)
        self._give_up()

    def _give_up(self) -> None:
        """There are no more answers, and no process."""
        self._is_ready = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._process is not None:
            # It holds nothing that could be lost.
            self._process.kill()
            self._process.wait()
            self._process = None
        while self._asked:
            answer, count = self._asked.popleft()
            if not answer.done():
                answer.set_result([False] * count)
        self._waiting = 0


def _spawn(connection: socket.socket) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C at a terminal is for the node, which then ends this one.
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *sys.path],
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
