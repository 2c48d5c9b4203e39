"""An account: a signing key together with the sequences it has used, safe to use from many tasks.

The ledger takes the sequences of a sender in any order within a window of 1,024, so an account hands
out numbers without waiting for each other's fate and only keeps the distance between the oldest open
one and the newest below the window.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from node.api.problems import ledger_code
from node.claims.results import ResultCode
from node.claims.transaction import Action, Transaction, encode_transaction
from node.client.client import Client, Outcome
from node.client.errors import Rejected
from node.crypto import SigningKey

WINDOW: Final = 1_000
"""Kept below the ledger's 1,024, so that numbers given out by a restarted twin of this account still fit."""
VALID_FOR_MS: Final = 23 * 3_600_000
"""Chain time; the ledger takes at most a day ahead."""
ATTEMPTS: Final = 4
TAKEN: Final = frozenset({ledger_code(ResultCode.SEQUENCE_USED), ledger_code(ResultCode.SEQUENCE_TOO_OLD)})


class ChainClock(msgspec.Struct, frozen=True, kw_only=True):
    """Chain time as the node told it, carried on by this machine's steady clock."""

    chain_ms: int
    time_scale: int
    steady_ns: int

    def now_ms(self) -> int:
        return self.chain_ms + (time.monotonic_ns() - self.steady_ns) * self.time_scale // 1_000_000


class Account:
    """Builds, signs and submits transactions of one key."""

    def __init__(
        self,
        client: Client,
        key: SigningKey,
        *,
        genesis: bytes = b"",
        valid_for_ms: int = VALID_FOR_MS,
        window: int = WINDOW,
    ) -> None:
        """`genesis`: digest of the genesis, from a source that is trusted; if empty, the node is asked."""
        self.client, self.key = client, key
        self._genesis, self._valid_for_ms, self._window = genesis, valid_for_ms, window
        self._clock: ChainClock | None = None
        self._next: int | None = None
        self._open: set[int] = set()
        self._changed = asyncio.Condition()
        self._starting = asyncio.Lock()

    async def chain(self) -> tuple[bytes, int]:
        """Digest of the genesis that this account signs for, and chain time now."""
        await self._start()
        assert self._clock is not None
        return self._genesis, self._clock.now_ms()

    async def sign(self, actions: Sequence[Action]) -> Transaction:
        """One signed transaction with the next free sequence; `release` it if it is never submitted."""
        await self._start()
        assert self._clock is not None
        sequence = await self._take()
        unsigned = Transaction(
            genesis=self._genesis,
            sender=self.key.public,
            sequence=sequence,
            valid_until_ms=self._clock.now_ms() + self._valid_for_ms,
            actions=tuple(actions),
            signature=bytes(64),
        )
        return msgspec.structs.replace(unsigned, signature=self.key.sign(unsigned.signed_bytes()))

    async def submit(self, actions: Sequence[Action], *, wait: bool = True, timeout_s: float = 30.0) -> Outcome:
        """Sign and submit one transaction. Raises Rejected if the ledger does not carry it out, NotFinal."""
        outcome = (await self.submit_many([actions], wait=wait, timeout_s=timeout_s))[0]
        if outcome.status in ("rejected", "expired") or outcome.code:
            raise Rejected(
                f"{outcome.result or outcome.status}: {outcome.detail}".rstrip(": "),
                code=outcome.code,
                transactions=[msgspec.to_builtins(outcome)],
            )
        return outcome

    async def submit_many(
        self, batches: Sequence[Sequence[Action]], *, wait: bool = True, timeout_s: float = 60.0
    ) -> list[Outcome]:
        """One transaction for each list of actions, all in as few requests as possible; outcomes in order.

        More than fit into the replay window are sent in rounds, each final before the next if `wait`.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(batches), self._window):
            outcomes += await self._submit_round(batches[start : start + self._window], wait, timeout_s)
        return outcomes

    async def _submit_round(self, batches: Sequence[Sequence[Action]], wait: bool, timeout_s: float) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        open_ones = list(range(len(batches)))
        for attempt in range(ATTEMPTS):
            if attempt:
                await self.resume()
            signed = [await self.sign(batches[index]) for index in open_ones]
            try:
                raw = [encode_transaction(transaction) for transaction in signed]
                answers = await self.client.submit(raw, wait=wait, timeout_s=timeout_s)
            finally:
                await self.release(transaction.sequence for transaction in signed)
            outcomes |= zip(open_ones, answers, strict=True)
            # Never admitted, because another program with the same key was faster: safe to sign again.
            open_ones = [i for i in open_ones if outcomes[i].status == "rejected" and outcomes[i].code in TAKEN]
            if not open_ones:
                break
        return [outcomes[index] for index in range(len(batches))]

    async def release(self, sequences: Iterable[int]) -> None:
        """These numbers are used up or given up; they are not handed out again."""
        async with self._changed:
            self._open.difference_update(sequences)
            self._changed.notify_all()

    async def resume(self) -> None:
        """Ask the node again for the next sequence, after another program has used the same key."""
        sequence = await self.client.next_sequence(self.key.public)
        async with self._changed:
            self._next = max(self._next or 0, sequence)

    async def _start(self) -> None:
        async with self._starting:
            if self._next is not None:
                return
            status = await self.client.status()
            self._clock = ChainClock(
                chain_ms=status["chain_now_ms"], time_scale=status["time_scale"], steady_ns=time.monotonic_ns()
            )
            self._genesis = self._genesis or bytes.fromhex(status["genesis"])
            await self.resume()

    async def _take(self) -> int:
        async with self._changed:
            assert self._next is not None
            await self._changed.wait_for(lambda: not self._open or (self._next or 0) - min(self._open) < self._window)
            sequence = self._next
            self._next += 1
            self._open.add(sequence)
            return sequence
