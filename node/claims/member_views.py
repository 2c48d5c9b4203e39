"""Members and their statements as people and programs read them."""

from __future__ import annotations

from typing import Final

from node.claims.calendar import date_text, months_old
from node.claims.ids import application_text, claim_text, member_text
from node.claims.mutual_aid.accounts import balance_of, family_of
from node.claims.mutual_aid.bills import bill, charged_through, cycles_of, refund_of
from node.claims.mutual_aid.records import CycleStatus, Exit, MemberRecord, load_account, the_cycle
from node.claims.registry import Plan, Registry
from node.claims.state import ReadState
from node.claims.views import cycle_view
from node.claims.words import Json, money

_ENDED: Final = {
    Exit.AGE: "aged-out",
    Exit.AIDED: "aided",
    Exit.LEFT: "left",
    Exit.REMOVED: "removed",
    Exit.MOVED: "moved",
    Exit.VOID: "void",
}


def member_status(member: MemberRecord, today: int, *, in_arrears: bool = False) -> str:
    """Where the membership stands on the plan's day `today`. Nothing of it is stored: it follows from days."""
    if member.exit is Exit.VOID or (member.until_day and today >= member.until_day):
        return _ENDED[member.exit]
    if member.exit in (Exit.LEFT, Exit.MOVED, Exit.REMOVED):
        return "leaving"
    if in_arrears:
        return "arrears"
    return "active" if today >= member.cover_day else "waiting"


def month_text(birth_month: int) -> str:
    """Such as "1980-04"."""
    return f"{birth_month // 12:04d}-{birth_month % 12 + 1:02d}"


def account_view(registry: Registry, state: ReadState, number: int, plan: Plan) -> Json | None:
    """The balance of a member who pays, dependants included; None if its organisation collects."""
    account = load_account(state, number)
    if account is None:
        return None
    terms = plan.versions[0].plan
    balance = balance_of(registry, state, number, account)
    arrears = max(0, -balance) + account.owed
    return {
        "kept_by": "chain" if account.own else "organisation",
        "balance": money(terms, balance),
        "paid_in": money(terms, account.paid_in),
        "arrears": money(terms, arrears) if arrears else None,
        "failed_cycles": account.failures,
        "removal_ms": account.removal_ms or None,
    }


def member_view(
    registry: Registry,
    plan: Plan,
    number: int,
    member: MemberRecord,
    today: int,
    billed: int,
    account: Json | None,
    application: int,
) -> Json:
    """`today` is the plan's day; `billed` what the member's shares so far add up to, minor units; `application`
    the accepted one, or 0."""
    terms = plan.terms_on(today).plan
    return {
        "id": member_text(number),
        "plan": terms.code,
        "status": member_status(member, today, in_arrears=account is not None and account["arrears"] is not None),
        "enrolled_by": registry.names[member.organisation],
        "person": member.person.hex(),
        "birth_month": month_text(member.birth_month),
        "age_years": months_old(member.birth_month, today) // 12,
        "enrolled_on": date_text(member.enrolled_day),
        "cover_from": date_text(member.cover_day),
        "cover_until": date_text(member.until_day) if member.until_day else None,
        "pays_through": member_text(member.payer) if member.payer else None,
        "key": member.key.hex() or None,
        "open_claims": member.open_claims,
        "paid_claims": member.paid_claims,
        "last_claim": claim_text(member.last_claim) if member.last_claim else None,
        "units": member.units,
        "currency": terms.currency,
        "billed": money(terms, billed),
        "balance": account,
        "dependants": member.dependants,
        "moved_to": member_text(member.moved_to) if member.moved_to else None,
        "came_from": member_text(member.came_from) if member.came_from else None,
        "application": application_text(application) if application else None,
    }


def statement_view(registry: Registry, state: ReadState, number: int, member: MemberRecord, cycles: range) -> Json:
    """The lines of `cycles`, in which the member shares, and what it comes to with its dependants."""
    plan = registry.plan(state, member.plan)
    terms = plan.versions[-1].plan
    first, stop = cycles_of(state, member)
    total = charged_through(state, plan, member, first, min(cycles.start, stop) - 1)
    items = []
    for index in cycles:
        cycle = the_cycle(state, plan.number, index)
        settled = cycle.status is CycleStatus.SETTLED
        charged = charged_through(state, plan, member, first, index)
        line = {
            "charged": money(terms, charged - total) if settled else None,
            "running_total": money(terms, charged) if settled else None,
        }
        items.append({**cycle_view(registry, plan, index, cycle), **line})
        total = charged
    family = [(one, bill(state, plan, record)) for one, record in family_of(state, number)[1:]]
    own = bill(state, plan, member)
    return {
        "member": member_text(number),
        "plan": plan.code,
        "pays_through": member_text(member.payer) if member.payer else None,
        "units": member.units,
        "currency": terms.currency,
        "total": money(terms, own),
        "dependants": [{"member": member_text(one), "total": money(terms, amount)} for one, amount in family],
        "family_total": money(terms, own + sum(amount for _, amount in family)),
        "balance": account_view(registry, state, number, plan),
        "refund": money(terms, given_back) if (given_back := refund_of(state, plan, member)) else None,
        "items": items,
        "next": str(cycles.stop) if cycles.start <= cycles.stop < stop else None,
    }
