"""Submitting over a WebSocket: for programs that send many transactions and want to hear when each is final.

One message of either side is one msgpack array in a binary frame.

    client  [number, [transaction, ...]]        `number` is the client's own, and comes back in the answer
    node    [0, number, [code, ...]]            one for each, in order: see `Code`
    node    [1, height, [[id, index, code], ...]]   these transactions of this connection are final
    node    [2, [[id, code, detail], ...]]      these left the pool without a block

A connection costs one task, and the ids of its transactions that are open. Messages are taken one after the other,
so a client that sends faster than the node checks is held back by its own connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

import msgpack
import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from node.api.backend import Submission
from node.api.call import Call
from node.api.limits import Limits
from node.api.problems import INVALID_REQUEST, ApiError
from node.api.shapes import Nothing
from node.claims.transaction import MAX_TRANSACTION_BYTES
from node.gossip import PORTION, SLICE

MAX_OPEN: Final = 20_000
"""Transactions of one connection that may wait for their blocks; more are refused like those a full pool refuses."""
REFUSED: Final = -1
"""No room now: send the same bytes again after a second."""
_TURN_NS: Final = 5_000_000
_LOOK_AGAIN_S: Final = 1.0
"""Transactions that expire are noticed so much later at most."""

log = logging.getLogger("weal.api")
_encode: Final = msgspec.msgpack.encode


class BadMessage(ValueError):
    """What no client of this protocol sends; the connection ends with it."""


def read_message(data: bytes, limits: Limits) -> tuple[int, list[bytes]]:
    """The number and the transactions of a client's message. Raises BadMessage.

    Announced lengths are checked before anything is allocated for them.
    """
    try:
        message = msgpack.unpackb(
            data,
            max_array_len=max(2, limits.max_transactions),
            max_bin_len=MAX_TRANSACTION_BYTES,
            max_str_len=0,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException) as error:
        most = limits.max_transactions
        raise BadMessage(f"not a msgpack array of a number and at most {most} transactions: {error}") from None
    if not isinstance(message, list) or len(message) != 2:
        raise BadMessage("a message is an array of two: its number, and the transactions")
    number, raws = message
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
        raise BadMessage("the number of a message is an integer from 0 to 2^53 - 1")
    if not isinstance(raws, list) or not raws or not all(isinstance(raw, bytes) for raw in raws):
        raise BadMessage("transactions are given as an array of at least one byte string")
    return number, raws


class Turn:
    """How long all streams of a node together have kept the event loop from everything else."""

    def __init__(self) -> None:
        self._since_ns = 0

    async def end_if_long(self) -> None:
        """Give the loop back after `_TURN_NS`, and not before: on a busy node it comes back late, and whoever gives it
        back for each message hardly reads any."""
        if time.monotonic_ns() - self._since_ns > _TURN_NS:
            await asyncio.sleep(0)
            self._since_ns = time.monotonic_ns()


class SubmissionStream:
    """One client's connection."""

    def __init__(self, call: Call[Nothing, Nothing, None]) -> None:
        self._call, self._backend, self._limits = call, call.backend, call.gate.limits
        self._socket = web.WebSocketResponse(
            compress=False, max_msg_size=self._limits.max_body_bytes, heartbeat=self._limits.stream_heartbeat_s
        )
        self._turn: Turn = call.api.turn
        self._open: dict[bytes, None] = {}
        self._height = call.as_of.height
        self._departures = self._backend.departures()
        self._some_open = asyncio.Event()

    async def run(self) -> web.StreamResponse:
        if not self._socket.can_prepare(self._call.request):
            raise ApiError(INVALID_REQUEST, "this path speaks WebSocket: ask for an upgrade")
        await self._socket.prepare(self._call.request)
        telling = asyncio.create_task(self._tell())
        try:
            await self._take()
        except BadMessage as error:
            await self._close(WSCloseCode.INVALID_TEXT, str(error))
        except TimeoutError:
            await self._close(WSCloseCode.TRY_AGAIN_LATER, "nothing was taken for too long")
        except ConnectionError:
            pass
        except Exception:
            # The connection speaks WebSocket by now: no problem document can be sent on it.
            log.exception("a submission stream failed")
            await self._close(WSCloseCode.INTERNAL_ERROR, "the answer could not be made")
        except asyncio.CancelledError:
            if not self._call.api.stopping:
                raise
            await self._close(WSCloseCode.GOING_AWAY, "the node stops; go on at another one")
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return self._socket

    async def _take(self) -> None:
        """Messages of the client, one after the other, until it leaves."""
        async for message in self._socket:
            # Messages that are here already come without a turn of the event loop in between.
            await self._turn.end_if_long()
            if message.type is not WSMsgType.BINARY:
                raise BadMessage("messages are binary")
            number, raws = read_message(message.data, self._limits)
            await self._send((0, number, await self._submit(raws)))

    async def _submit(self, raws: list[bytes]) -> list[int]:
        try:
            self._call.gate.admit(self._call.request.remote or "")
        except ApiError:
            return [REFUSED] * len(raws)
        before, departures = self._backend.as_of().height, self._backend.departures()
        if not self._open:
            self._height = max(self._height, before)
        room = max(0, MAX_OPEN - len(self._open))
        if not room or self._backend.refuse_all(len(raws)):
            # At once, without a turn of a busy event loop and without a look at what they are.
            return [REFUSED] * len(raws)
        entries = await self._enter(raws[:room])
        codes: list[int] = []
        for entry in entries:
            if entry.status in ("pending", "committed"):
                self._open[entry.id] = None
                codes.append(0)
            else:
                codes.append(REFUSED if entry.status == "refused" else entry.code)
        if self._open:
            self._some_open.set()
        is_news = self._backend.as_of().height > before or self._backend.departures() != departures
        if is_news or any(entry.status == "committed" for entry in entries):
            # Decided before this connection knew that it has to look for them.
            await self._tell_decided([entry.id for entry in entries if entry.id in self._open])
        return codes + [REFUSED] * (len(raws) - len(codes))

    async def _enter(self, raws: list[bytes]) -> list[Submission]:
        entries: list[Submission] = []
        for start in range(0, len(raws), SLICE):
            if start:
                await self._turn.end_if_long()
            if start % PORTION == 0:
                await self._backend.check_ahead(raws[start : start + PORTION])
            entries += self._backend.submit_some(raws[start : start + SLICE])
        return entries

    async def _tell(self) -> None:
        """What becomes of the open transactions, block by block."""
        while True:
            await self._some_open.wait()
            reached = await self._backend.wait_height(self._height, _LOOK_AGAIN_S)
            try:
                for height in range(self._height + 1, reached + 1):
                    await self._tell_block(height)
                self._height = max(self._height, reached)
                if self._open and self._backend.departures() != self._departures:
                    self._departures = self._backend.departures()
                    await self._tell_decided(list(self._open))
            except (TimeoutError, ConnectionError):
                # The reader ends the connection; what is final stays final, and can be asked for.
                await self._close(WSCloseCode.TRY_AGAIN_LATER, "nothing was taken for too long")
                return
            except Exception:
                log.exception("a submission stream failed")
                await self._close(WSCloseCode.INTERNAL_ERROR, "the answer could not be made")
                return
            if not self._open:
                self._some_open.clear()

    async def _tell_block(self, height: int) -> None:
        opened = self._open
        if not opened:
            return
        mine = [(id, index, code) for index, (id, code) in enumerate(self._backend.results(height)) if id in opened]
        if mine:
            for id, _, _ in mine:
                del opened[id]
            await self._send((1, height, mine))

    async def _tell_decided(self, ids: Sequence[bytes]) -> None:
        """Those of these open transactions that are final already, or never will be."""
        lost: list[tuple[bytes, int, str]] = []
        done: dict[int, list[tuple[bytes, int, int]]] = {}
        for id in dict.fromkeys(ids):
            if self._backend.is_waiting(id):
                continue
            fate = self._backend.fate(id)
            if fate.status == "committed":
                done.setdefault(fate.height, []).append((id, fate.index, fate.code))
            else:
                lost.append((id, fate.code, fate.detail or "this node knows no more of it"))
            del self._open[id]
        for height, mine in sorted(done.items()):
            await self._send((1, height, mine))
        if lost:
            await self._send((2, lost))

    async def _send(self, message: object) -> None:
        async with asyncio.timeout(self._limits.stream_stall_s):
            await self._socket.send_bytes(_encode(message))

    async def _close(self, code: int, why: str) -> None:
        try:
            async with asyncio.timeout(1):
                await self._socket.close(code=code, message=why.encode()[:120])
        except (TimeoutError, ConnectionError, RuntimeError):
            pass


async def submissions(call: Call[Nothing, Nothing, None]) -> web.StreamResponse:
    stream = SubmissionStream(call)
    with call.api.parked(call.request, call.gate.streams):
        return await stream.run()
