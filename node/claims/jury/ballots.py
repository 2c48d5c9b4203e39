"""Hidden ballots: what a commitment and a signature are bound to. For nodes, clients and tests.

A commitment covers chain, claim, round and juror: another juror who copies it cannot open it, and it is worth
nothing in another case, in a later round or on another chain. The signature, by the juror's member key, covers
the same and the commitment, so that an organisation that hands ballots in can neither make nor alter one.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import Final

from node.claims.jury.actions import BallotReason, Vote

_BOUND: Final = Struct(">32sQBQ")
_SAID: Final = Struct(">BB32s")
_PAY_REASONS: Final = range(1, 20)


def ballot_commitment(
    chain: bytes, claim: int, round_number: int, juror: int, vote: Vote, reason: BallotReason, salt: bytes
) -> bytes:
    """`salt`: 32 random bytes, one for each ballot. Whoever has them can reveal the ballot; without, nobody can."""
    bound = _BOUND.pack(chain, claim, round_number, juror)
    return sha256(b"weal/ballot/1\0" + bound + _SAID.pack(vote, reason, salt)).digest()


def ballot_message(chain: bytes, claim: int, round_number: int, juror: int, commitment: bytes) -> bytes:
    """What the juror signs."""
    return b"weal/ballot signature/1\0" + _BOUND.pack(chain, claim, round_number, juror) + commitment


def fits(vote: Vote, reason: BallotReason) -> bool:
    """Whether the reason is one for the vote."""
    return (reason in _PAY_REASONS) is (vote is Vote.PAY)
