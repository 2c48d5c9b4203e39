"""Whose turn it is: a rotation fixed by the claim's number: even, though who files many claims can foresee it.

The first organisation is drawn by a hash of step and claim number; each missed deadline passes the step
to the next one in order of organisation number. Organisations that declared a tie, recused themselves or
have a part in the claim are left out as long as others can do the step.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from node.claims.genesis import Role
from node.claims.mutual_aid.records import ClaimRecord
from node.claims.registry import Registry

_STEP: Final = {Role.INVESTIGATOR: b"\x01", Role.REVIEWER: b"\x02", Role.PAYMENT: b"\x03", Role.INTAKE: b"\x04"}


def rotation(registry: Registry, role: Role, claim: int, *avoid: tuple[int, ...]) -> tuple[int, ...]:
    """One round of turns; the rounds after it are the same. Each list of `avoid` in its turn, unless nobody is left."""
    allowed = registry.holders[role]
    for avoided in avoid:
        allowed = tuple(number for number in allowed if number not in avoided) or allowed
    if len(allowed) <= 1:
        return allowed
    digest = sha256(b"weal/rotation/1\0" + _STEP[role] + claim.to_bytes(8, "big")).digest()
    first = int.from_bytes(digest[:8], "big") % len(allowed)
    return allowed[first:] + allowed[:first]


def assign(registry: Registry, role: Role, claim: int, *avoid: tuple[int, ...]) -> int:
    """The organisation that has the first turn."""
    return rotation(registry, role, claim, *avoid)[0]


def after(turns: tuple[int, ...], organisation: int) -> tuple[int, ...]:
    """The round that follows the turn of `organisation`, which comes last in it if it has a turn at all."""
    ordered = tuple(sorted(turns))
    return tuple(n for n in ordered if n > organisation) + tuple(n for n in ordered if n <= organisation)


def investigators(registry: Registry, number: int, claim: ClaimRecord, enroller: int) -> tuple[int, ...]:
    """Those who have no tie; of them, not the member's own enroller if another can."""
    return rotation(registry, Role.INVESTIGATOR, number, claim.conflicted, (enroller,))


def reviewers(registry: Registry, number: int, claim: ClaimRecord) -> tuple[int, ...]:
    """Never the investigator, never who has reviewed it; of the others, those who have no tie."""
    done = (claim.investigator, *(review.organisation for review in claim.reviews))
    return rotation(registry, Role.REVIEWER, number, (claim.investigator,), done, claim.conflicted)


def has_other_reviewer(registry: Registry, claim: ClaimRecord) -> bool:
    """Whether a reviewer is left who has neither investigated nor reviewed the claim, and has no tie."""
    done = (claim.investigator, *(review.organisation for review in claim.reviews), *claim.conflicted)
    return any(holder not in done for holder in registry.holders[Role.REVIEWER])


def uninvolved_reviewers(registry: Registry, number: int, claim: ClaimRecord) -> tuple[int, ...]:
    """Who decides an objection or looks at a duplicate: reviewers without a tie that had no part in the claim; else
    those that did not decide it; else those that did not investigate it, which always exist."""
    decided = (*(review.organisation for review in claim.reviews), claim.reviewer, claim.arbiter)
    involved = (claim.filer, claim.intake)
    return rotation(registry, Role.REVIEWER, number, (claim.investigator,), decided, claim.conflicted, involved)
