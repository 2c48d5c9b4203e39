"""Parameters and answers of the routes about keyed values and the key that makes them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from node.api.shapes import Hash, Hex, Nothing

ElementHex = Hash
Epoch = Annotated[int, Meta(ge=1, le=65_535, description="Number of a key, from 1.")]
Count = Annotated[int, Meta(ge=0)]
KeyStatusWord = Literal["dealing", "confirming", "active", "abandoned"]


class ValuePath(Nothing, frozen=True, kw_only=True):
    kind: Literal["person", "event", "paper"]
    value: Hash


class EvaluateBody(Nothing, frozen=True, kw_only=True):
    """What an organisation signs is `node.duplicates.messages.signed_bytes`; the client library does it."""

    epoch: Epoch
    sender: Annotated[Hash, Meta(description="Account key of the organisation.")]
    issued_ms: Annotated[int, Meta(ge=0, lt=2**53, description="UTC milliseconds of the real clock.")]
    elements: Annotated[
        list[ElementHex], Meta(min_length=1, max_length=16, description="Blinded inputs: group elements.")
    ]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$", min_length=128, max_length=128)]


class EvaluateView(msgspec.Struct, frozen=True, kw_only=True):
    """Results under the joint key, still blinded."""

    epoch: int
    results: list[Hash]
    holders: list[str]
    """Organisations that took part."""


class RefusalView(msgspec.Struct, frozen=True, kw_only=True):
    organisation: str
    reason: Literal["bad-dealing", "bad-share", "abandoned"]
    accused: str
    """Empty if nobody is."""
    verdict: str
    """Who is at fault, as anybody can check; empty if nobody is accused."""


class AccusationView(msgspec.Struct, frozen=True, kw_only=True):
    """A dealer that cheated this node: what `refuse-key` puts on the ledger."""

    accused: str
    accused_number: int
    reason: Literal["bad-dealing", "bad-share"]
    opening: Hex
    proof: Hex


class OwnShareView(msgspec.Struct, frozen=True, kw_only=True):
    """What this node's check of the dealings says."""

    is_good: bool
    """The node has its share, and all dealings are well formed."""
    dealings: Hex
    """Digest of the dealings that were checked; what a confirmation names. Empty while there are too few."""
    accusations: list[AccusationView]


class KeyEpochView(msgspec.Struct, frozen=True, kw_only=True):
    epoch: int
    status: KeyStatusWord
    threshold: int
    holders: list[str]
    dealers: list[str]
    confirmed: list[str]
    refusals: list[RefusalView]
    own: OwnShareView


class UsedView(msgspec.Struct, frozen=True, kw_only=True):
    organisation: str
    today: Count
    last_31_days: Count


class DuplicatesView(msgspec.Struct, frozen=True, kw_only=True):
    active_epoch: Annotated[int, Meta(ge=0, description="The key that makes values; 0: none, make them otherwise.")]
    newest: KeyEpochView | None
    """The latest key, which may still be in the making."""
    active: KeyEpochView | None
    values_per_day: Count
    """What this node makes for one organisation in a day."""
    used: list[UsedView]
    """Values this node helped to make, by the organisation that asked."""
    wrong_answers: dict[str, int]
    """Answers of other holders whose proof did not hold, since this node started."""


class HolderView(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["person", "event", "paper"]
    value: Hash
    first_claim: str
    """The claim that was filed with this value first; empty if there is none."""
    latest_claim: str
    claims: Count
    members: list[str]
    """Of a person: who it is in each plan that knows it."""
