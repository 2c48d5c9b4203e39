"""The records of plans' lives and of proposals, and reading and writing them. Field order is state format."""

from __future__ import annotations

from enum import IntEnum

from node.claims import keys
from node.claims.module import Scope
from node.claims.mutual_aid.plan_transitions import PlanStatus, ProposalStatus
from node.claims.state import ReadState, require
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire


class LifeRecord(Wire, frozen=True, kw_only=True):
    """Where a plan is in its life. Times are ms, 0 for never."""

    status: PlanStatus
    changed_ms: int
    deadline_ms: int = 0
    """When the clock moves it by itself."""
    suspended_from: int = 0
    """While suspended: the status in which it goes on."""
    order: bytes = b""
    """The last order of a regulator."""
    reached: bool = False
    """Whether the plan has ever had its least membership at a disclosure; before that it cannot miss it."""
    low_disclosures: int = 0
    """Disclosures in a row with less than the least membership."""
    announced_ms: int = 0
    """When its end was announced: settlements from then on are the sponsor's."""
    announced_cycle: int = 0
    """The last cycle disclosed by then."""
    closing_day: int = 0
    """The first day without cover."""
    run_off_ms: int = 0
    """From then on no claim can be filed."""
    sponsor: int = NO_ORGANISATION


class RefundRecord(Wire, frozen=True, kw_only=True):
    """What a settled plan gives back. A member's part is computed when somebody asks. Minor units."""

    cycle: int
    """Who shared in this one gets a part of the surplus."""
    surplus_per_unit: int
    first_cycle: int
    """The members' shares of this cycle to `cycle` are paid back; first_cycle > cycle: none."""
    shares: int
    """What these shares add up to."""
    organisations: tuple[int, ...]
    """What each organisation receives for its members, both parts together."""


class ProposalKind(IntEnum):
    """Part of the chain format. The first two carry terms."""

    TERMS = 1
    PLAN = 2
    CLOSE = 3
    REOPEN = 4
    WIND_DOWN = 5


class ProposalRecord(Wire, frozen=True, kw_only=True):
    """A proposal and the votes on it."""

    kind: ProposalKind
    status: ProposalStatus
    plan: int
    """Number of the plan; -1: one that does not exist yet."""
    code: str
    version: int
    """Of the terms proposed, else 0."""
    proposer: int
    ends_ms: int
    """When it lapses; once it has ended: when it ended."""
    yes: tuple[int, ...] = ()
    """Organisations, in the order of their votes."""
    no: tuple[int, ...] = ()
    sponsors: tuple[int, ...] = ()
    """Organisations that must agree."""
    agreed: tuple[int, ...] = ()
    day: int = 0
    """Adopted terms: first day in force. WIND_DOWN: closing day wanted, then the one adopted."""


class GovernanceRecord(Wire, frozen=True, kw_only=True):
    """Counters of proposals."""

    next_proposal: int
    open: tuple[int, ...]
    """Of each organisation: its proposals that have not ended."""


def load_life(state: ReadState, plan: int) -> LifeRecord:
    return require(state, keys.plan_life(plan), LifeRecord)


def save_life(scope: Scope, plan: int, life: LifeRecord) -> None:
    scope.state.store(keys.plan_life(plan), life)
    scope.touch("plan", plan)


def load_refund(state: ReadState, plan: int) -> RefundRecord | None:
    return state.load(keys.plan_refund(plan), RefundRecord)


def load_proposal(state: ReadState, number: int) -> ProposalRecord | None:
    return state.load(keys.proposal(number), ProposalRecord)


def the_proposal(state: ReadState, number: int) -> ProposalRecord:
    return require(state, keys.proposal(number), ProposalRecord)


def save_proposal(scope: Scope, number: int, proposal: ProposalRecord) -> None:
    scope.state.store(keys.proposal(number), proposal)


def load_governance(state: ReadState) -> GovernanceRecord:
    return require(state, keys.governance, GovernanceRecord)


def save_governance(scope: Scope, record: GovernanceRecord) -> None:
    scope.state.store(keys.governance, record)
