"""What can go wrong with evidence. No message names a file, a person or a byte of content."""

from __future__ import annotations

from enum import Enum

from consensus.errors import ChainError


class SealError(ChainError):
    """Encrypted bytes, a sealed key or a paper is not what it should be: nothing of it was given out."""

    exit_code = 3


class DamagedBytes(SealError):
    """The encrypted bytes are not those that the chain commits to; somebody else may have the right ones."""


class Refusal(Enum):
    """Why a node does not do what a request asks; `node/api/vault.py` gives each its problem document."""

    NO_SUCH_ITEM = "no such item"
    BAD_SIGNATURE = "bad signature"
    NOT_ENTITLED = "not entitled"
    NOT_A_HOLDER = "not a holder"
    NOT_HERE_YET = "not here yet"
    ERASED = "erased"
    WRONG_CONTENT = "wrong content"
    FULL = "full"


class VaultRefused(ChainError):
    """A request that the vault does not serve."""

    def __init__(self, why: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.why, self.detail = why, detail
