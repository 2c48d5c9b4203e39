"""What the API needs from a node; nothing else of the node is visible to it.

`node/api/adapter.py` gives it over the running node, tests give it over plain dictionaries. All
reads are synchronous and of one committed state: a handler that makes several of them without
awaiting in between answers from one block. Records of the claims application come as JSON-able
dictionaries (money as decimal strings, bytes as hex), as `node.claims.queries` makes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from consensus.block import Block
from consensus.messages import CommitCertificate
from node.api.claims_shapes import TransactionView
from node.api.times import iso_time
from node.vault.service import Standing
from node.vault.signed import Receipt

if TYPE_CHECKING:
    from node.api.duplicates_shapes import EvaluateBody

Record = dict[str, Any]
Listing = tuple[Sequence[Record], str]
"""Records and the cursor of the next page, "" on the last."""
FateStatus = Literal["unknown", "pending", "committed", "expired", "rejected"]
SubmissionStatus = Literal["pending", "committed", "rejected", "refused"]


class BadParameter(ValueError):
    """A cursor, filter or name that the claims application does not understand; the message says why."""


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The committed block an answer was read from."""

    height: int
    digest: str
    """Digest of the block's header, hex; of the genesis header at height 0."""
    time_ms: int
    """Chain time of the block, UTC milliseconds."""
    time: str
    """The same in ISO 8601."""

    @classmethod
    def of(cls, height: int, digest: bytes, time_ms: int) -> AsOf:
        return cls(height=height, digest=digest.hex(), time_ms=time_ms, time=iso_time(time_ms))


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one submitted transaction."""

    id: bytes
    """Empty if the bytes are no transaction."""
    status: SubmissionStatus
    """`refused`: the pool or the sender's share of it is full; the same bytes may be sent again."""
    code: int = 0
    """Result code of the ledger if rejected."""
    detail: str = ""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands. `receipt` is JSON-able and there only if committed."""

    id: bytes
    status: FateStatus
    height: int = 0
    index: int = 0
    code: int = 0
    detail: str = ""
    receipt: Record | None = None


class StoredBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A committed block. Genesis has no transactions, no receipts and no certificate."""

    block: Block
    certificate: CommitCertificate | None
    receipts: Sequence[Record]
    """The clock's receipt first, then one per transaction, in order; JSON-able. Empty for genesis."""
    transactions: Sequence[bytes]
    """Transaction ids, in order."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof that anybody who has the genesis file can check offline (`weal verify`)."""

    format: str
    bundle: str
    """Canonical bytes of the proof bundle, hex."""


class ChainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as the event stream tells it. `data` is JSON-able."""

    height: int
    index: int
    time_ms: int
    type: str
    data: Record


class Vault(Protocol):
    """The node's part of the evidence vault; see `node.vault.service`. Each raises VaultRefused."""

    def standing(self, number: int) -> Standing: ...
    async def put_blob(self, number: int, header: str, parts: AsyncIterator[bytes]) -> None: ...
    async def put_key(self, number: int, recipient: bytes, box: bytes, body: bytes, header: str) -> None: ...
    def open(self, number: int, header: str) -> tuple[bytes, Receipt]: ...
    def blob(self, number: int, header: str) -> tuple[Path, int]: ...
    def sealed_keys(self, number: int, header: str) -> list[tuple[bytes, bytes]]: ...
    def receipts(self, number: int, header: str) -> list[Receipt]: ...


RecordKind = Literal["claim", "member", "application", "plan", "evidence"]
JuryRecord = Literal["case", "draw", "ballot", "juror", "plan"]


class Backend(Protocol):
    """A running node as the API sees it."""

    # chain
    def as_of(self) -> AsOf: ...
    def genesis(self) -> Record: ...
    def status(self) -> Record: ...
    def block(self, height: int) -> StoredBlock | None: ...
    def height_of(self, digest: bytes) -> int | None: ...
    def latest_event(self) -> tuple[int, int]:
        """Cursor (height, index) of the last event."""
        ...

    def read_events(self, after: tuple[int, int], limit: int) -> Sequence[ChainEvent]:
        """At most `limit` events behind the cursor, in order."""
        ...

    def results(self, height: int) -> Sequence[tuple[bytes, int]]:
        """Id and result code of each transaction of a committed block, in order."""
        ...

    async def wait_height(self, above: int, timeout_s: float) -> int:
        """The committed height as soon as it is greater than `above`, or whatever it is after `timeout_s`."""
        ...

    async def wait_events(self, after: tuple[int, int], timeout_s: float) -> bool:
        """True as soon as there is an event behind the cursor; False if there is none after `timeout_s`."""
        ...

    # transactions
    async def submit(self, raw: Sequence[bytes]) -> Sequence[Submission]: ...
    async def check_ahead(self, raw: Sequence[bytes]) -> None:
        """Check what can be checked of at most 256 transactions beside this thread, before they are submitted."""
        ...

    def submit_some(self, raw: Sequence[bytes]) -> Sequence[Submission]:
        """The same at once, for at most 32 of them."""
        ...

    def refuse_all(self, count: int) -> bool:
        """Would every transaction be refused now, for lack of room? Then so many count as refused."""
        ...

    def encode_transaction(self, fields: TransactionView) -> bytes:
        """Canonical bytes of a transaction given with named fields. Raises ValueError naming the wrong one."""
        ...

    def fate(self, id: bytes) -> Fate: ...
    def is_waiting(self, id: bytes) -> bool:
        """Is it in the pool?"""
        ...

    def departures(self) -> int:
        """How many transactions have left the pool without a block, since the start."""
        ...

    async def wait_final(self, ids: Sequence[bytes], timeout_s: float) -> Sequence[Fate]: ...
    def transaction(self, height: int, index: int) -> Record:
        """A committed transaction as a JSON object."""
        ...

    def sender(self, key: bytes) -> Record | None:
        """Whose account a key is, and its next free sequence, what is pending here included."""
        ...

    # claims application; None: there is no such record.
    # A cursor or filter that means nothing raises BadParameter.
    def claims(self, *, status: str, plan: str, member: str, organisation: str, cursor: str, limit: int) -> Listing: ...
    def claim(self, id: str) -> Record | None: ...
    def members(self, *, plan: str, organisation: str, cursor: str, limit: int) -> Listing: ...
    def member(self, id: str) -> Record | None: ...
    def statement(self, id: str, *, cursor: str, limit: int) -> Record | None: ...
    def applications(self, *, status: str, plan: str, organisation: str, cursor: str, limit: int) -> Listing: ...
    def application(self, id: str) -> Record | None: ...
    def plans(self) -> Sequence[Record]: ...
    def plan(self, code: str) -> Record | None: ...
    def plan_terms(self, code: str, version: int) -> Record | None: ...
    def proposals(self, before: int, limit: int) -> Listing: ...
    def proposal(self, number: int) -> Record | None: ...
    def report(self, code: str, first: str, last: str) -> Record | None: ...
    def cycles(self, code: str, *, cursor: str, limit: int) -> Listing | None: ...
    def organisations(self) -> Sequence[Record]: ...
    def organisation(self, name: str) -> Record | None: ...
    def worklist(self, organisation: str, *, cursor: str, limit: int) -> Listing | None: ...
    def programme(self) -> Record: ...
    def jury(self, what: JuryRecord, id: str, round: int = 0, number: int = 0) -> Record | None:
        """The case of a claim; a draw (round, attempt) or a ballot (round, member) in it; a member as a juror; the
        jury of a plan, by its code."""
        ...

    def is_hidden(self, key: bytes) -> bool:
        """Whether a record is not shown, because a vote is not over."""
        ...

    def evidence(self, *, cursor: str, limit: int) -> Listing: ...
    def state(self, key: bytes) -> bytes | None: ...

    # evidence items
    @property
    def vault(self) -> Vault: ...
    def evidence_items(self, *, claim: str, cursor: str, limit: int) -> Listing: ...
    def evidence_item(self, id: str) -> Record | None: ...
    def evidence_openings(self, id: str, *, cursor: str, limit: int) -> Listing | None: ...

    # keyed values
    def duplicates(self) -> Record:
        """The key, and how much it was used."""
        ...

    def value_holder(self, kind: str, value: bytes) -> Record: ...
    async def make_values(self, body: EvaluateBody) -> Record:
        """Results of blinded inputs. Raises ApiError."""
        ...

    # proofs
    def record_key(self, kind: RecordKind, id: str) -> bytes:
        """State key whose record the answer about `id` is read from."""
        ...

    def prove_state(self, key: bytes) -> Proof: ...

    def prove_statement(self, id: str) -> Proof | None: ...
    def prove_transaction(self, id: bytes) -> Proof | None: ...

    # operator
    def readiness(self) -> Sequence[str]:
        """What keeps the node from being ready; empty if it is."""
        ...

    def behind(self) -> int:
        """Blocks that others have and this node has not."""
        ...

    def peers_connected(self) -> int: ...
    def loop_lag_ms(self) -> int: ...
    def waited_s(self, height: int, now_s: float) -> Sequence[float]:
        """Seconds from arrival here until `now_s` of the transactions in this block that came by this API.
        `now_s` is the event loop's clock. To be asked once per block."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Values by name, with labels as in `name{label="x"}`; names that end in `_total` are counters."""
        ...

    def isolate(self, peers: Sequence[str]) -> Sequence[str]:
        """Drop and refuse connections with these organisations (all if empty); answers who is cut off."""
        ...

    def heal(self) -> None: ...
    def stop(self) -> None:
        """Ask the node to stop in good order; returns at once."""
        ...
