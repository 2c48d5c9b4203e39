"""Decode each transaction once and check its signature once per node, however often it comes back.

A transaction is seen when a client or a peer brings it, when a block is proposed with it, and when that
block is executed. Checking the signature is most of its cost, so good ones are remembered by their exact
bytes: an id alone would not do, as it leaves the signature out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from node.claims.transaction import MAX_TRANSACTION_BYTES, Transaction, decode_transaction
from node.claims.wire import Malformed
from node.ed25519.choice import Verifier, chosen

REMEMBERED_BYTES: Final = 64 * 1024 * 1024
REMEMBERED_MAX: Final = 131_072


def cost(raw: bytes) -> int:
    """Bytes of memory that a remembered transaction takes, as measured: these, those it signs, what they decode to."""
    return 7 * len(raw) + 200


class TransactionVerifier:
    """Shared by mempool and executor. Remembers verified transactions, oldest out first, bounded in memory."""

    def __init__(
        self,
        remembered_bytes: int = REMEMBERED_BYTES,
        remembered_max: int = REMEMBERED_MAX,
        signatures: Verifier | None = None,
    ) -> None:
        """`signatures`: who checks them; None for this process's choice."""
        self._verify_many = (signatures or chosen().verifier).verify_many
        self._limit_bytes = remembered_bytes
        self._limit = remembered_max
        self._bytes = 0
        # Not a dict: finding the first entry of one that is emptied from the front takes ever longer.
        self._good: OrderedDict[bytes, Transaction] = OrderedDict()
        self.checked = 0
        """Signatures checked so far, for metrics and tests."""

    def resolve(self, raws: Sequence[bytes]) -> list[Transaction | None]:
        """The transaction in each of `raws`, or None where it is malformed or its signature is wrong."""
        good = self._good
        found: list[Transaction | None] = []
        unknown: list[tuple[int, bytes, Transaction]] = []  # (place, raw, what it holds)
        for place, raw in enumerate(raws):
            transaction = good.get(raw)
            if transaction is None:
                try:
                    decoded = self.decode(raw)
                except Malformed:
                    found.append(None)
                    continue
                unknown.append((place, raw, decoded))
            found.append(transaction)
        if unknown:
            verdicts = self.check_many([(raw, transaction) for _, raw, transaction in unknown])
            for (place, _, transaction), is_valid in zip(unknown, verdicts, strict=True):
                found[place] = transaction if is_valid else None
        return found

    def decode(self, raw: bytes) -> Transaction:
        """The transaction in `raw`, its signature not necessarily checked. Raises Malformed."""
        known = self._good.get(raw)
        if known is not None:
            return known
        if len(raw) > MAX_TRANSACTION_BYTES:
            raise Malformed(f"{len(raw)} bytes where a transaction has at most {MAX_TRANSACTION_BYTES}")
        return decode_transaction(raw)

    def check(self, raw: bytes, transaction: Transaction) -> bool:
        """Is the signature of `transaction`, which `raw` holds, valid? Remembers it if so."""
        return self.check_many(((raw, transaction),))[0]

    def check_many(self, items: Sequence[tuple[bytes, Transaction]]) -> list[bool]:
        """`check` for many; several cost far less together than one by one."""
        unknown = self.unknown(items)
        if not unknown:
            return [True] * len(items)
        transactions = unknown.values()
        verdicts = self._verify_many(
            [transaction.sender for transaction in transactions],
            [transaction.signature for transaction in transactions],
            [transaction.signed_bytes() for transaction in transactions],
        )
        bad = self.learn(unknown, verdicts)
        return [raw not in bad for raw, _ in items]

    def unknown(self, items: Iterable[tuple[bytes, Transaction]]) -> dict[bytes, Transaction]:
        """Those of which it is not known that their signatures are good, each once."""
        good = self._good
        return {raw: transaction for raw, transaction in items if raw not in good}

    def learn(self, checked: Mapping[bytes, Transaction], verdicts: Iterable[bool]) -> set[bytes]:
        """What checking these gave, in their order: remembers the good ones, answers the others."""
        self.checked += len(checked)
        bad = {raw for raw, is_valid in zip(checked, verdicts, strict=True) if not is_valid}
        self._remember(checked, bad)
        return bad

    def forget(self, raws: Iterable[bytes]) -> None:
        """These are final: they come back only to be refused, before anybody looks at their signatures."""
        for raw in raws:
            if self._good.pop(raw, None) is not None:
                self._bytes -= cost(raw)

    def _remember(self, checked: Mapping[bytes, Transaction], bad: Set[bytes]) -> None:
        for raw, transaction in checked.items():
            # One that was checked twice at once, here and by another process, is remembered once.
            if raw not in bad and raw not in self._good:
                self._good[raw] = transaction
                self._bytes += cost(raw)
        while self._bytes > self._limit_bytes or len(self._good) > self._limit:
            oldest, _ = self._good.popitem(last=False)
            self._bytes -= cost(oldest)
