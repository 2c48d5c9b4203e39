"""Who votes on plans, and how many votes it takes: the one place of this arithmetic.

An organisation has a vote if it runs a node, so that it bears the chain, and holds a role in the working of the
plans, so that an auditor or regulator stays apart from what it judges. The quorum is that of the consensus:
any two quorums share an honest organisation, and the faulty ones alone can neither adopt nor block.
"""

from __future__ import annotations

from typing import Final

from node.claims.genesis import Genesis, Organisation, Role

WORKING_ROLES: Final = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)


def voters(genesis: Genesis) -> tuple[int, ...]:
    """Numbers of the organisations with a vote."""
    return tuple(number for number, organisation in enumerate(genesis.organisations) if _votes(organisation))


def _votes(organisation: Organisation) -> bool:
    works = any(role in organisation.roles for role in WORKING_ROLES)
    return works and bool(organisation.node_key and organisation.account_keys)


def votes_needed(count: int) -> int:
    """Yes votes that adopt, of `count` organisations: as consensus/quorum.py counts replicas; a test compares."""
    return (count + (count - 1) // 3) // 2 + 1
