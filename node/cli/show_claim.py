"""Rows of a claim's sheet beyond the main road: why it was refused, what can be done next, who was asked for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from node.cli.show import money, when

Row = tuple[str, RenderableType | None]


def step_text(step: Mapping[str, Any], decision: str) -> str:
    """`deny by harbour (clause 3.1, definition-not-met)`."""
    if not step:
        return ""
    text = f"{step[decision]} by {step['organisation']}"
    grounds = [f"clause {step['clause']}" if step.get("clause") else "", step.get("reason") or ""]
    cited = ", ".join(part for part in grounds if part)
    return f"{text} ({cited})" if cited else text


def refusal_rows(claim: Mapping[str, Any]) -> Iterator[Row]:
    """Clause with its title, reason, evidence item, and until when a jury may be asked for."""
    refusal = claim.get("refusal")
    if not refusal:
        return
    by = f" by {refusal['organisation']}" if refusal.get("organisation") else ""
    yield "refused", Text(f"in the {refusal['stage']}{by}", style="red")
    title = f": {refusal['clause_title']}" if refusal.get("clause_title") else ""
    yield "clause", f"{refusal['clause']}{title}" if refusal.get("clause") else ""
    yield "reason", (refusal.get("reason") or "").replace("-", " ")
    yield "cites evidence", refusal.get("evidence")
    if refusal["final"]:
        yield "final", "yes; only new evidence or a court can open it again"
    else:
        yield "final", f"no; the member may ask for a jury until {when(refusal['jury_until_ms'])}"


def next_rows(claim: Mapping[str, Any]) -> Iterator[Row]:
    for step in claim.get("next") or ():
        yield "can be", f"{step['step']}: {', '.join(step['actions'])} ({', '.join(step['who'])})"
    if claim.get("if_late"):
        yield "if nobody acts", " or ".join(claim["if_late"])


def life_rows(claim: Mapping[str, Any]) -> Iterator[Row]:
    intake, duplicate = claim.get("intake"), claim.get("duplicate")
    objection, stay = claim.get("objection"), claim.get("stay")
    if intake:
        missing = f"; missing: {', '.join(intake['missing'])}" if intake["missing"] else ""
        yield "papers seen by", intake["organisation"] + missing
    if duplicate:
        explained = duplicate["explanation"] or "no explanation"
        yield "as filed before", f"with {duplicate['earlier_claim']}: {explained}"
    yield "has a tie", ", ".join(claim.get("conflicted") or ())
    yield "more time", claim.get("extension")
    if objection:
        decided = f", decided by {objection['decided_by']}" if objection["decided_by"] else ""
        yield "objections", f"{objection['count']}, the last by {objection['by']}{decided}"
    if stay:
        until = f", until {when(stay['until_ms'])}, then {stay['goes_on_as']}" if stay["until_ms"] else ""
        yield "regulator", f"order {stay['order']}{until}"
    yield "reopened", str(claim["reopened"]) if claim.get("reopened") else ""


def clawback_rows(claim: Mapping[str, Any]) -> Iterator[Row]:
    case = claim.get("clawback")
    if not case:
        return
    title = f": {case['clause_title']}" if case.get("clause_title") else ""
    yield "called fraud", f"by {case['opened_by']}, {case['reason']}, clause {case['clause']}{title}"
    yield "answer", case["answer"] or f"none yet; until {when(case['answer_until_ms'])}"
    yield "panel", f"{', '.join(case['panel'])}; {case['quorum']} decide"
    yield "votes", f"uphold: {', '.join(case['uphold']) or '—'}; drop: {', '.join(case['drop']) or '—'}"
    if case["demanded"]:
        yield "paid back", f"{case['recovered']} of {money({**claim, **case}, 'demanded')}"
