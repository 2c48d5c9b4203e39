"""How records say things to people and programs: words for enum members, money as decimal strings."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from node.claims.genesis import PlanTerms
from node.claims.money import amount_text
from node.claims.mutual_aid.actions import Paper, Reason
from node.claims.mutual_aid.application_actions import RefusalReason
from node.claims.registry import Registry

Json = dict[str, Any]


def word(member: IntEnum) -> str:
    """The readable name of an enum member: CLAIM_FILED is "claim-filed"."""
    return member.name.lower().replace("_", "-")


def _known(reasons: type[IntEnum], number: int) -> str | None:
    try:
        return word(reasons(number)) if number else None
    except ValueError:
        return f"reason-{number}"


def reason_text(number: int) -> str | None:
    """Why a claim was found wanting or denied; None for 0."""
    return _known(Reason, number)


def refusal_text(number: int) -> str | None:
    """Why an application was refused; None for 0."""
    return _known(RefusalReason, number)


def papers_text(bits: int) -> list[str]:
    """Names of the papers that are missing."""
    return [str(paper.name).lower().replace("_", "-") for paper in Paper if bits & paper.value]


def money(terms: PlanTerms, minor_units: int) -> str:
    return amount_text(minor_units, terms.minor_digits)


def organisation_name(registry: Registry, number: int) -> str | None:
    return registry.names[number] if number >= 0 else None


def action_word(kind: type[object]) -> str:
    """FileClaim is "file-claim"."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).lstrip("-")
