"""Whose turn it is: a rotation fixed by the claim's number: even, though who files many claims can foresee it.

The first organisation is drawn by a hash of step and claim number; each missed deadline passes the step
to the next one in order of organisation number.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from node.claims.genesis import Role
from node.claims.mutual_aid.records import ClaimRecord
from node.claims.registry import Registry
from node.claims.types import NO_ORGANISATION

_STEP: Final = {Role.INVESTIGATOR: b"\x01", Role.REVIEWER: b"\x02", Role.PAYMENT: b"\x03", Role.INTAKE: b"\x04"}


def assign(registry: Registry, role: Role, claim: int, attempt: int, *, avoid: int = NO_ORGANISATION) -> int:
    """The organisation whose turn it is after `attempt` missed deadlines; `avoid` only if it is the only one."""
    turns = rotation(registry, role, claim, avoid=avoid)
    return turns[attempt % len(turns)]


def rotation(registry: Registry, role: Role, claim: int, *, avoid: int = NO_ORGANISATION) -> tuple[int, ...]:
    """One round of turns, from attempt 0 on; the rounds after it are the same."""
    holders = registry.holders[role]
    others = tuple(number for number in holders if number != avoid) or holders
    if len(others) == 1:
        return others
    digest = sha256(b"weal/rotation/1\0" + _STEP[role] + claim.to_bytes(8, "big")).digest()
    first = int.from_bytes(digest[:8], "big") % len(others)
    return others[first:] + others[:first]


def uninvolved_reviewer(registry: Registry, number: int, claim: ClaimRecord) -> int:
    """Who decides an objection: a reviewer that had no part in the claim; else one that did not decide it; else
    one that did not investigate it, which always exists."""
    turns = rotation(registry, Role.REVIEWER, number, avoid=claim.investigator)
    decided = (claim.investigator, claim.reviewer, claim.arbiter)
    for involved in ((*decided, claim.filer, claim.intake), decided, (claim.investigator,)):
        for organisation in turns:
            if organisation not in involved:
                return organisation
    return turns[0]
