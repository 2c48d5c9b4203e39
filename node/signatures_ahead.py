"""Signatures checked by the process beside the node before the node comes to them, so that it finds them good.

Nothing is decided here: the verifier's memory is filled, and what is missing from it when it is asked is checked then.
Blocks of sync are looked through in their order, while those before them are executed. Only so many bytes ahead: the
verifier forgets the oldest first, and that would be what is needed next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from consensus.block import Block
from node.claims.transaction import Transaction
from node.claims.wire import Malformed
from node.ed25519.choice import chosen
from node.signature_process import FEWEST, SignatureProcess, is_wanted, usable_cores
from node.verification import TransactionVerifier

AHEAD_BYTES: Final = 2 * 1024 * 1024
"""Of transactions in blocks that were looked through and are not final: some 10,000 enrolments."""
_GROUP: Final = 256
"""Blocks are looked through together until they hold so many transactions: 1 ms of decoding."""


class SignaturesAhead:
    """For one node and its event loop."""

    def __init__(self, verifier: TransactionVerifier, process: SignatureProcess | None, tip: Callable[[], int]) -> None:
        """Without a `process` nothing is checked ahead. `tip`: the height that is final here."""
        self._verifier, self._process, self._tip = verifier, process, tip
        self._blocks: deque[Block] = deque()
        self._begun: deque[tuple[int, int]] = deque()  # (height, bytes)
        self._begun_bytes = 0
        self._is_scheduled = False

    def has_room(self, count: int) -> bool:
        """Would it be of use to `begin` with `count` transactions now?"""
        return self._process is not None and count >= FEWEST and self._process.has_room()

    async def stop(self) -> None:
        """Nothing is checked ahead any more; the process ends."""
        if self._process is not None:
            await self._process.stop()

    @property
    def checked(self) -> int:
        """Signatures that the process found valid."""
        return self._process.checked if self._process is not None else 0

    def begin(self, items: Iterable[tuple[bytes, Transaction]]) -> asyncio.Future[list[bool]] | None:
        """Begin to check the signatures of these; when the answer is there, the good ones are remembered.

        None if there is nothing to wait for: they are known, too few, or the process cannot take them now.
        """
        if self._process is None:
            return None
        unknown = self._verifier.unknown(items)
        if len(unknown) < FEWEST:
            return None
        transactions = unknown.values()
        answer = self._process.ask(
            [transaction.sender for transaction in transactions],
            [transaction.signature for transaction in transactions],
            [transaction.signed_bytes() for transaction in transactions],
        )
        if answer is not None:
            answer.add_done_callback(partial(self._learn, unknown))
        return answer

    def _learn(self, asked: dict[bytes, Transaction], answer: asyncio.Future[list[bool]]) -> None:
        if not answer.cancelled():
            good = [raw for raw, is_valid in zip(asked, answer.result(), strict=True) if is_valid]
            # False is no verdict, and the others need no list of their own.
            self._verifier.learn({raw: asked[raw] for raw in good}, [True] * len(good))

    # Blocks of sync

    def synced(self, block: Block) -> None:
        """This block will be executed, after those before it."""
        if self._process is not None and not self._process.is_over and block.transactions:
            self._blocks.append(block)
            self._schedule()

    def committed(self, height: int) -> None:
        """The blocks up to `height` are final."""
        while self._blocks and self._blocks[0].height <= height:
            self._blocks.popleft()
        while self._begun and self._begun[0][0] <= height:
            self._begun_bytes -= self._begun.popleft()[1]
        self._schedule()

    def _schedule(self) -> None:
        if self._blocks and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._look_through)

    def _look_through(self) -> None:
        """The next group of blocks; others have the event loop in between."""
        self._is_scheduled = False
        if not self.has_room(_GROUP):
            # Looked again when it has answered, or the next block is final.
            return
        group: list[Block] = []
        items: list[tuple[bytes, Transaction]] = []
        size = self._begun_bytes
        for block in self._blocks:
            if len(items) >= _GROUP or size >= AHEAD_BYTES:
                break
            group.append(block)
            items += self._decoded(block)
            size += sum(map(len, block.transactions))
        if not group:
            return
        for block in group:
            self._blocks.popleft()
            self._begun.append((block.height, sum(map(len, block.transactions))))
        self._begun_bytes = size
        answer = self.begin(items)
        if answer is not None:
            answer.add_done_callback(partial(self._answered, group))
        self._schedule()

    def _decoded(self, block: Block) -> list[tuple[bytes, Transaction]]:
        found: list[tuple[bytes, Transaction]] = []
        for raw in block.transactions:
            try:
                found.append((raw, self._verifier.decode(raw)))
            except Malformed:
                # A quorum would not have made it final; what there is to say about it, execution says.
                return []
        return found

    def _answered(self, group: list[Block], _: asyncio.Future[list[bool]]) -> None:
        for block in group:
            if block.height <= self._tip():
                # The node came to it first, and nobody else will.
                self._verifier.forget(block.transactions)
        self._schedule()


def signatures_ahead(setting: str, verifier: TransactionVerifier, tip: Callable[[], int]) -> SignaturesAhead:
    """As `node.signature_process` in the configuration and this machine want it."""
    wanted = is_wanted(setting, chosen().verifier.lanes, usable_cores())
    return SignaturesAhead(verifier, SignatureProcess() if wanted else None, tip)
