"""Every error the API can answer, as RFC 9457 problem documents.

One catalogue, so that the OpenAPI document, docs/api.md, the client's typed errors and the exit codes
of the command line agree. Codes are stable: new ones are added, none is renumbered. `E04xx` are faults
of the request, `E05xx` of the node or the cluster, `E1xxx` is 1000 plus the result code with which the
ledger rejected a transaction (`node.claims.results`). Nothing here needs the HTTP library: the command line imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from consensus.errors import ChainError

PROBLEM_MEDIA: Final = "application/problem+json"
TYPE_BASE: Final = "urn:weal:problem:"
LEDGER_BASE: Final = 1000
"""A rejection with result code c is reported as E followed by 1000 + c."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue. `hint` says what to do about it."""

    code: str
    slug: str
    status: int
    title: str
    hint: str
    retryable: bool = False
    exit_code: int = 1
    """Exit code of a command that failed with this problem; see docs/api.md."""


class Problem(msgspec.Struct, kw_only=True, omit_defaults=False):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    retryable: bool
    retry_after_s: int | msgspec.UnsetType = msgspec.UNSET
    """Also sent as the Retry-After header: whole seconds."""
    transactions: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    """Outcome of every submitted transaction, if the problem is about transactions."""
    reasons: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Everything that is in the way, if there may be several things."""


def _kind(code: str, slug: str, status: int, title: str, hint: str, *, retryable: bool = False, exit_code: int) -> Kind:
    return Kind(code=code, slug=slug, status=status, title=title, hint=hint, retryable=retryable, exit_code=exit_code)


INVALID_REQUEST = _kind(
    "E0400",
    "invalid-request",
    400,
    "The request is malformed",
    "Compare the request with /openapi.json; `detail` names the part that is wrong.",
    exit_code=2,
)
INVALID_BODY = _kind(
    "E0401",
    "invalid-body",
    400,
    "The body is malformed",
    "Send what /openapi.json describes for this path; `detail` names the part that is wrong.",
    exit_code=2,
)
FORBIDDEN = _kind(
    "E0403",
    "forbidden",
    403,
    "The request comes from another site's page",
    "Use `weal` or another program; the operator's verbs are not for web pages.",
    exit_code=2,
)
NO_SUCH_PATH = _kind(
    "E0404", "no-such-path", 404, "There is nothing at this path", "See /docs for all paths.", exit_code=2
)
METHOD_NOT_ALLOWED = _kind(
    "E0405",
    "method-not-allowed",
    405,
    "The path does not take this method",
    "The Allow header lists the methods it takes.",
    exit_code=2,
)
REQUEST_TIMEOUT = _kind(
    "E0408",
    "request-timeout",
    408,
    "The request did not arrive in time",
    "Send the body without pauses; split large submissions.",
    retryable=True,
    exit_code=7,
)
NOT_FOUND = _kind(
    "E0411",
    "not-found",
    404,
    "No such record",
    "Check the identifier, and that this node has caught up (/v1/status).",
    exit_code=5,
)
CURSOR_AHEAD = _kind(
    "E0412",
    "cursor-ahead",
    409,
    "The cursor lies above this node's chain",
    "The node is behind the one that gave the cursor: ask another node, or wait until it has caught up.",
    retryable=True,
    exit_code=7,
)
BODY_TOO_LARGE = _kind(
    "E0413",
    "body-too-large",
    413,
    "The body is too large",
    "Split the submission; the limit is in the detail.",
    exit_code=2,
)
UNSUPPORTED_MEDIA = _kind(
    "E0415",
    "unsupported-media-type",
    415,
    "The body has a media type the path does not take",
    "Use application/json or, for submissions, application/msgpack, without Content-Encoding.",
    exit_code=2,
)
REJECTED = _kind(
    "E0422",
    "rejected",
    422,
    "No transaction was accepted",
    "`transactions` says for each why; each code E1xxx is a result code of the ledger.",
    exit_code=4,
)
VALUES_REFUSED = _kind(
    "E0423",
    "values-refused",
    403,
    "No values are made for this request",
    "Sign with an organisation's account key, for the active epoch, with a clock that is right.",
    exit_code=4,
)
RATE_LIMITED = _kind(
    "E0429",
    "rate-limited",
    429,
    "Too many requests from this address",
    "Wait as long as Retry-After says; put many transactions into one request.",
    retryable=True,
    exit_code=7,
)
POOL_FULL = _kind(
    "E0430",
    "pool-full",
    429,
    "The pool of pending transactions is full",
    "Wait as long as Retry-After says and send the same transactions again: submission is idempotent.",
    retryable=True,
    exit_code=7,
)
UNSIGNED = _kind(
    "E0440",
    "not-signed",
    401,
    "The request is not signed as it should be",
    "Sign it with an account key (see docs/evidence.md), and check this machine's clock.",
    exit_code=9,
)
NOT_ENTITLED = _kind(
    "E0441",
    "not-entitled",
    403,
    "This key may not do that with this evidence",
    "Ask the claimant, or an organisation that works on the claim, for a grant.",
    exit_code=4,
)
NOT_HOLDER = _kind(
    "E0442",
    "not-a-holder",
    421,
    "This node does not hold the evidence",
    "Ask a node of one of its holders; the item's record names them.",
    retryable=True,
    exit_code=7,
)
ERASED = _kind(
    "E0443",
    "erased",
    410,
    "The evidence is erased",
    "Nothing can bring it back; its commitment and its history stay on the chain.",
    exit_code=5,
)
WRONG_CONTENT = _kind(
    "E0444",
    "wrong-content",
    422,
    "These are not the bytes that the chain names",
    "Send the bytes as they were encrypted for this item.",
    exit_code=2,
)
VALUES_QUOTA = _kind(
    "E0431",
    "values-used-up",
    429,
    "The organisation has had as many values made today as it may",
    "Wait until the next day (UTC), or ask the other organisations to raise duplicates.values_per_day.",
    exit_code=7,
)
INTERNAL = _kind(
    "E0500",
    "internal-error",
    500,
    "The node failed to answer",
    "This is a defect of the node: its log has the details under the time of this answer.",
    exit_code=1,
)
OVERLOADED = _kind(
    "E0503",
    "overloaded",
    503,
    "The node has too many open requests",
    "Wait as long as Retry-After says, or ask another node.",
    retryable=True,
    exit_code=7,
)
NOT_READY = _kind(
    "E0504",
    "not-ready",
    503,
    "The node is not ready",
    "`reasons` says what is in the way; a node that is behind catches up by itself.",
    retryable=True,
    exit_code=7,
)
UNAVAILABLE = _kind(
    "E0505",
    "unavailable",
    503,
    "The node cannot do this now",
    "`detail` says why; ask another node or try again.",
    retryable=True,
    exit_code=7,
)

NOT_HERE_YET = _kind(
    "E0506",
    "not-here-yet",
    503,
    "The evidence has not reached this node yet",
    "Holders fetch from each other by themselves: ask again, or ask another holder.",
    retryable=True,
    exit_code=7,
)
VAULT_FULL = _kind(
    "E0507",
    "vault-full",
    503,
    "This node's vault takes no more now",
    "`detail` names the limit; the operator can raise vault.max_bytes.",
    retryable=True,
    exit_code=7,
)

CATALOGUE: Final[tuple[Kind, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
BY_CODE: Final[Mapping[str, Kind]] = {kind.code: kind for kind in CATALOGUE}

BODY_PROBLEMS: Final[tuple[Kind, ...]] = (INVALID_BODY, REQUEST_TIMEOUT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA)
"""What every route with a body may answer."""
GENERAL: Final[tuple[Kind, ...]] = (INVALID_REQUEST, RATE_LIMITED, INTERNAL, OVERLOADED, UNAVAILABLE)
"""What every route may answer besides its own problems."""


class ApiError(ChainError):
    """A request that is answered with a problem document. Raised by handlers, rendered by the server."""

    def __init__(self, kind: Kind, detail: str, *, retry_after_s: int | None = None, **extra: Any) -> None:
        super().__init__(f"{kind.code} {kind.slug}: {detail}")
        self.kind, self.detail, self.retry_after_s, self.extra = kind, detail, retry_after_s, extra

    def document(self) -> Problem:
        kind = self.kind
        return Problem(
            type=TYPE_BASE + kind.slug,
            title=kind.title,
            status=kind.status,
            detail=self.detail,
            code=kind.code,
            hint=kind.hint,
            retryable=kind.retryable,
            retry_after_s=msgspec.UNSET if self.retry_after_s is None else self.retry_after_s,
            **self.extra,
        )


_OF_STATUS: Final[Mapping[int, Kind]] = {
    404: NO_SUCH_PATH,
    405: METHOD_NOT_ALLOWED,
    408: REQUEST_TIMEOUT,
    413: BODY_TOO_LARGE,
    415: UNSUPPORTED_MEDIA,
    429: RATE_LIMITED,
    503: OVERLOADED,
}


def of_status(status: int, detail: str) -> ApiError:
    """The problem for an error that the HTTP library itself raised, such as 404 or 405."""
    fallback = INTERNAL if status >= 500 else INVALID_REQUEST
    return ApiError(_OF_STATUS.get(status, fallback), detail)


def ledger_code(result: int) -> str:
    """Problem code of a ledger result code, such as E1007."""
    return f"E{LEDGER_BASE + result:04d}"
