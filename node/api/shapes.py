"""Parameters and answers of the API as types: validation and the OpenAPI schemas both come from here.

Answers that the claims application makes are described in `claims_shapes.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from node.api.backend import FateStatus, SubmissionStatus
from node.api.claims_shapes import ReceiptView, TransactionView

HASH_PATTERN = "^[0-9a-f]{64}$"
# The bounds on length matter: `$` also matches before a final newline.
Hash = Annotated[str, Meta(pattern=HASH_PATTERN, min_length=64, max_length=64, description="32 bytes, lower-case hex.")]
Hex = Annotated[str, Meta(extra_json_schema={"pattern": "^([0-9a-f]{2})*$"}, description="Bytes, lower-case hex.")]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
ClaimId = Annotated[str, Meta(pattern="^C-[0-9]{6,18}$", max_length=20, description="Such as C-000045.")]
ApplicationId = Annotated[str, Meta(pattern="^A-[0-9]{6,18}$", max_length=20, description="Such as A-000007.")]
MemberId = Annotated[str, Meta(pattern="^M-[0-9]{6,18}$", max_length=20, description="Such as M-000123.")]
Cursor = Annotated[str, Meta(max_length=128, pattern="^[A-Za-z0-9._:-]*$", description="`next` of the page before.")]
PageLimit = Annotated[
    int, Meta(ge=0, le=10_000, description="Records per page; 0 is the default, the node's maximum applies.")
]
Prove = Annotated[bool, Meta(description="Add a proof that can be verified offline with the genesis file.")]
EventCursor = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^([0-9]{1,18}\.[0-9]{1,18})?$",
        description="height.index of the last event seen; empty: only what happens from now on; 0.0: everything.",
    ),
]


class _Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# --- parameters -------------------------------------------------------------------------------------


class Nothing(_Parameters, frozen=True, kw_only=True):
    pass


class TransactionPath(_Parameters, frozen=True, kw_only=True):
    id: Hash


class SenderPath(_Parameters, frozen=True, kw_only=True):
    key: Hash


class BlockPath(_Parameters, frozen=True, kw_only=True):
    reference: Annotated[
        str,
        Meta(
            pattern="^(latest|[0-9]{1,15}|[0-9a-f]{64})$",
            max_length=64,
            description="Height, digest of the header (hex), or `latest`.",
        ),
    ]


class ClaimPath(_Parameters, frozen=True, kw_only=True):
    id: ClaimId


class ClaimFhirPath(_Parameters, frozen=True, kw_only=True):
    id: ClaimId
    resource: Literal["ClaimResponse", "ExplanationOfBenefit"]


class MemberPath(_Parameters, frozen=True, kw_only=True):
    id: MemberId


class ApplicationPath(_Parameters, frozen=True, kw_only=True):
    id: ApplicationId


class PlanPath(_Parameters, frozen=True, kw_only=True):
    code: Name


class PlanTermsPath(_Parameters, frozen=True, kw_only=True):
    code: Name
    version: Annotated[str, Meta(pattern="^[0-9]{1,5}$", max_length=5, description="Number of the version.")]


RoundText = Annotated[str, Meta(pattern="^[0-9]{1,3}$", max_length=3, description="Number of a round, or of a draw.")]


class JuryDrawPath(_Parameters, frozen=True, kw_only=True):
    id: ClaimId
    round: RoundText
    attempt: RoundText


class JuryBallotPath(_Parameters, frozen=True, kw_only=True):
    id: ClaimId
    round: RoundText
    member: MemberId


class ProposalPath(_Parameters, frozen=True, kw_only=True):
    id: Annotated[str, Meta(pattern="^P-[0-9]{6,18}$", max_length=20, description="Such as P-000003.")]


class ReportQuery(_Parameters, frozen=True, kw_only=True):
    first: Annotated[
        str,
        Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", max_length=10, description="Such as 2026-01-01."),
    ] = ""
    last: Annotated[
        str, Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", max_length=10, description="Last day; today unless given.")
    ] = ""


class OrganisationPath(_Parameters, frozen=True, kw_only=True):
    name: Name


class StatePath(_Parameters, frozen=True, kw_only=True):
    key: Annotated[
        str, Meta(pattern="^([0-9a-f]{2}){1,64}$", max_length=128, description="Key of a state record, hex.")
    ]


class ProveQuery(_Parameters, frozen=True, kw_only=True):
    prove: Prove = False


class SubmitQuery(_Parameters, frozen=True, kw_only=True):
    wait: Annotated[
        Literal["", "final"], Meta(description="`final`: answer when every transaction has a final fate.")
    ] = ""
    timeout_ms: Annotated[int, Meta(ge=1, le=600_000, description="Longest wait; the node's maximum applies.")] = 10_000


class FateQuery(_Parameters, frozen=True, kw_only=True):
    wait_ms: Annotated[
        int, Meta(ge=0, le=600_000, description="Answer as soon as the fate is final, at most so much later.")
    ] = 0


class PageQuery(_Parameters, frozen=True, kw_only=True):
    cursor: Cursor = ""
    limit: PageLimit = 0


class StatementQuery(PageQuery, frozen=True, kw_only=True):
    prove: Prove = False


class BlocksQuery(_Parameters, frozen=True, kw_only=True):
    before: Annotated[int, Meta(ge=0, le=10**15, description="Only blocks below this height; 0: from the newest.")] = 0
    limit: PageLimit = 0


class ClaimsQuery(_Parameters, frozen=True, kw_only=True):
    status: Annotated[str, Meta(max_length=32, pattern="^[a-z-]*$", description="Only claims in this status.")] = ""
    plan: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9._-]*$", description="Only claims in this plan.")] = ""
    member: Annotated[str, Meta(max_length=20, pattern="^(M-[0-9]{6,18})?$", description="Only this member's.")] = ""
    organisation: Annotated[
        str,
        Meta(max_length=64, pattern="^[A-Za-z0-9 ._-]*$", description="Only claims it has a part in."),
    ] = ""
    cursor: Cursor = ""
    limit: PageLimit = 0


class MembersQuery(_Parameters, frozen=True, kw_only=True):
    plan: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9._-]*$", description="Only members of it.")] = ""
    organisation: Annotated[
        str, Meta(max_length=64, pattern="^[A-Za-z0-9 ._-]*$", description="Only members enrolled by it.")
    ] = ""
    cursor: Cursor = ""
    limit: PageLimit = 0


class ApplicationsQuery(_Parameters, frozen=True, kw_only=True):
    status: Annotated[str, Meta(max_length=32, pattern="^[a-z-]*$", description="Only those in this status.")] = ""
    plan: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9._-]*$", description="Only those for it.")] = ""
    organisation: Annotated[
        str, Meta(max_length=64, pattern="^[A-Za-z0-9 ._-]*$", description="Only those that it recorded.")
    ] = ""
    cursor: Cursor = ""
    limit: PageLimit = 0


class EventsQuery(_Parameters, frozen=True, kw_only=True):
    after: EventCursor = ""
    types: Annotated[
        str,
        Meta(max_length=512, pattern="^[a-z0-9,-]*$", description="Comma-separated event types; empty: all."),
    ] = ""
    claim: Annotated[str, Meta(max_length=20, pattern="^(C-[0-9]{6,18})?$", description="Only this claim's.")] = ""
    member: Annotated[str, Meta(max_length=20, pattern="^(M-[0-9]{6,18})?$", description="Only this member's.")] = ""
    transaction: Annotated[
        str, Meta(max_length=64, pattern="^([0-9a-f]{64})?$", description="Only this transaction's.")
    ] = ""


class ReadyQuery(_Parameters, frozen=True, kw_only=True):
    max_behind: Annotated[int, Meta(ge=0, le=10**9, description="Blocks the node may be behind.")] = 2
    min_peers: Annotated[int, Meta(ge=0, le=64, description="Peers that must be connected.")] = 0


# --- bodies -----------------------------------------------------------------------------------------


class SubmitBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `transactions` (canonical bytes, hex) or one `transaction` as an object with named fields."""

    transactions: Annotated[list[Hex], Meta(min_length=1, max_length=4096)] | UnsetType = UNSET
    transaction: TransactionView | UnsetType = UNSET


class IsolateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    peers: Annotated[list[Name], Meta(max_length=64)] = []
    """Names of organisations whose nodes are cut off; empty means all."""


class LogLevelBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    logger: Annotated[str, Meta(max_length=100, pattern="^[a-z0-9_.]*$")] = ""
    """Which logger, such as `weal.transport`; empty means all of them."""


# --- answers ----------------------------------------------------------------------------------------


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one submitted transaction."""

    id: Annotated[str, Meta(description="Transaction id, hex; empty if the bytes are no transaction.")]
    status: SubmissionStatus | Literal["expired", "unknown"]
    code: Annotated[str, Meta(description="Empty, or a problem code such as E1007.")] = ""
    result: Annotated[str, Meta(description="The ledger's result in a word, such as ok or unknown-sender.")] = ""
    detail: str = ""
    height: int | UnsetType = UNSET
    index: int | UnsetType = UNSET
    receipt: ReceiptView | UnsetType = UNSET


class FateView(msgspec.Struct, kw_only=True):
    """Where a transaction stands. Anything but `unknown` and `pending` is final."""

    id: str
    status: FateStatus
    code: str = ""
    result: str = ""
    detail: str = ""
    height: int | UnsetType = UNSET
    index: int | UnsetType = UNSET
    receipt: ReceiptView | UnsetType = UNSET
    transaction: TransactionView | UnsetType = UNSET
    """The transaction itself with named fields, once it is committed."""


class HeaderView(msgspec.Struct, kw_only=True):
    genesis: str
    epoch: int
    height: int
    time_ms: int
    time: str
    parent: str
    transaction_count: int
    transactions_root: str
    receipts_root: str
    state_root: str
    members: str


class CertificateView(msgspec.Struct, kw_only=True):
    """A quorum of commit signatures: proof that the block is final."""

    view: int
    height: int
    digest: str
    signatures: list[tuple[int, str]]
    """(replica, signature)"""


class BlockSummary(msgspec.Struct, kw_only=True):
    height: int
    digest: str
    time_ms: int
    time: str
    view: int
    transactions: int
    rejected: int
    state_root: str
    signers: list[int]


class BlockView(msgspec.Struct, kw_only=True):
    digest: str
    header: HeaderView
    certificate: CertificateView | None
    transactions: list[str]
    """Ids, in order."""
    receipts: list[ReceiptView]
    """The clock's receipt first, then one per transaction."""


class StateView(msgspec.Struct, kw_only=True):
    key: str
    value: str | None
    """The record's canonical bytes, hex; null if there is no record."""


class ReadyView(msgspec.Struct, kw_only=True):
    ready: bool
    reasons: list[str]
    behind: int
    peers: int


class LiveView(msgspec.Struct, kw_only=True):
    live: bool
    loop_lag_ms: int


class IsolateView(msgspec.Struct, kw_only=True):
    isolated: list[str]
    """Organisations whose nodes are cut off now."""


class LogLevelView(msgspec.Struct, kw_only=True):
    level: str
    logger: str


class StopView(msgspec.Struct, kw_only=True):
    stopping: bool
