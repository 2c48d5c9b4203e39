"""What can go wrong with a request, by what to do about it; each has the exit code of a command that ends with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consensus.errors import ChainError
from node.api.problems import BY_CODE, INTERNAL
from node.errors import Unavailable


class ClientError(ChainError):
    """A request that failed. `code` and the rest come from the problem document, where there is one."""

    exit_code = 1

    def __init__(
        self,
        detail: str,
        *,
        code: str = INTERNAL.code,
        hint: str = "",
        retryable: bool = False,
        status: int = 0,
        transactions: Sequence[Mapping[str, Any]] = (),
        reasons: Sequence[str] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if code else detail)
        self.detail, self.code, self.hint, self.retryable, self.status = detail, code, hint, retryable, status
        self.transactions, self.reasons, self.retry_after_s = transactions, reasons, retry_after_s


class RequestRefused(ClientError):
    """The request itself is wrong."""

    exit_code = 2


class VerificationFailed(ClientError):
    """A proof does not show what the node claims: do not trust that node."""

    exit_code = 3


class Rejected(ClientError):
    """The ledger rejected the transaction; `transactions` says why."""

    exit_code = 4


class NotFound(ClientError):
    """There is no such record."""

    exit_code = 5


class NotFinal(ClientError):
    """Not final before the timeout. Asking or submitting again is safe."""

    exit_code = 6


class NodeUnavailable(ClientError, Unavailable):
    """No node could be reached, or none could do it now."""

    exit_code = 7


_BY_EXIT: Mapping[int, type[ClientError]] = {
    kind.exit_code: kind for kind in (RequestRefused, VerificationFailed, Rejected, NotFound, NotFinal, NodeUnavailable)
}


def from_problem(status: int, problem: Mapping[str, Any]) -> ClientError:
    """The error for a problem document; one of an unknown code becomes a plain ClientError."""
    code = str(problem.get("code", ""))
    entry = BY_CODE.get(code)
    kind = ClientError if entry is None else _BY_EXIT.get(entry.exit_code, ClientError)
    return kind(
        str(problem.get("detail") or problem.get("title") or f"HTTP {status}"),
        code=code,
        hint=str(problem.get("hint", "")),
        retryable=bool(problem.get("retryable", status in (429, 502, 503, 504))),
        status=status,
        transactions=problem.get("transactions", ()),
        reasons=problem.get("reasons", ()),
        retry_after_s=problem.get("retry_after_s"),
    )
