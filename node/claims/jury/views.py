"""Juries as people and programs read them. Nothing here tells how a running vote stands: counts come with the
verdict, and a ballot shows that it was cast or revealed, and what it said only when its round is over."""

from __future__ import annotations

from node.claims import keys
from node.claims.ids import claim_text, member_text
from node.claims.jury.actions import AppealGround, BallotReason, SuspensionReason, Vote
from node.claims.jury.records import (
    CaseRecord,
    DrawRecord,
    JurorRecord,
    Outcome,
    RoundKind,
    RoundRecord,
    load_ballot,
    load_bank,
    load_case,
    load_draw,
    load_juror,
    load_jury_keys,
    load_pool,
    load_round,
    the_round,
)
from node.claims.mutual_aid.records import load_claim
from node.claims.mutual_aid.transitions import JURY_RUNNING, ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.types import NO_ORGANISATION
from node.claims.words import Json

_END = 2**63
"""Numbers from outside lie below this, so that they fit a key."""


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


def _organisation(registry: Registry, number: int) -> str | None:
    return registry.names[number] if number != NO_ORGANISATION else None


def jury_view(registry: Registry, state: ReadState, number: int) -> Json | None:
    """A claim's case with all its rounds; None if nobody asked for a jury."""
    case = load_case(state, number) if 0 < number < _END else None
    claim = load_claim(state, number) if case is not None else None
    if case is None or claim is None:
        return None
    rounds = [_round_view(index, the_round(state, number, index)) for index in range(1, case.round + 1)]
    running = claim.status in (*JURY_RUNNING, ClaimStatus.JURY_FAILED)
    return {
        "claim": claim_text(number),
        "status": _word(claim.status.name),
        "deadline_ms": claim.deadline_ms if running else None,
        "requests": case.requests,
        "requested_ms": case.requested_ms,
        "statement": case.statement.hex(),
        "denied_by": _organisation(registry, case.denier),
        "answer": case.answer.hex() or None,
        "extended": case.extended,
        "appeal": _appeal_view(registry, case),
        "rounds": rounds,
    }


def _appeal_view(registry: Registry, case: CaseRecord) -> Json | None:
    if not case.appeals:
        return None
    return {
        "count": case.appeals,
        "by": _organisation(registry, case.appellant) or "member",
        "ground": _word(AppealGround(case.ground).name),
        "evidence": case.evidence.hex(),
    }


def _round_view(number: int, record: RoundRecord) -> Json:
    decided = record.outcome in (Outcome.PASSED, Outcome.FAILED)
    return {
        "round": number,
        "kind": _word(record.kind.name),
        "opened_ms": record.opened_ms,
        "closed_ms": record.closed_ms or None,
        "outcome": _word(record.outcome.name),
        "quorum": record.quorum,
        "panel_size": record.size if record.kind is RoundKind.PANEL else None,
        "draws": record.attempt,
        "panel": [member_text(member) for member in record.panel],
        "cast": record.cast,
        "valid": record.revealed if record.closed_ms else None,
        "pay": record.pay if decided else None,
        "refuse": record.revealed - record.pay if decided else None,
        "reasons": {_word(BallotReason(reason).name): votes for reason, votes in record.reasons},
    }


def draw_view(registry: Registry, state: ReadState, number: int, round_number: int, attempt: int) -> Json | None:
    """One attempt to draw a panel."""
    if not (0 < number < _END and 0 < round_number < 256 and 0 < attempt < 256):
        return None
    draw = load_draw(state, number, round_number, attempt)
    return None if draw is None else _draw_view(registry, number, round_number, attempt, draw)


def _draw_view(registry: Registry, number: int, round_number: int, attempt: int, draw: DrawRecord) -> Json:
    names = [registry.names[party] for party in draw.parties]
    return {
        "claim": claim_text(number),
        "round": round_number,
        "attempt": attempt,
        "phase": _word(draw.phase.name),
        "organisations": [{"name": name, "key": key.hex()} for name, key in zip(names, draw.keys, strict=True)],
        "frozen_ms": draw.frozen_ms,
        "seats": draw.seats,
        "dealt": [registry.names[dealer] for dealer in draw.dealers],
        "shares": [share.hex() for share in draw.shares],
        "opened": [names[entry.place - 1] for entry in draw.opened],
        "seed": draw.seed.hex() or None,
        "weak": draw.weak,
        "steps": [
            {
                "seat": step.seat,
                "juror": member_text(step.juror) if step.juror else None,
                "passed_over": _word(ResultCode(step.code).name) if step.code else None,
            }
            for step in draw.steps
        ],
    }


def ballot_view(state: ReadState, number: int, round_number: int, member: int) -> Json | None:
    """One juror's ballot. What it said is told when its round is over."""
    if not (0 < number < _END and 0 < round_number < 256 and 0 < member < _END):
        return None
    ballot, record = load_ballot(state, number, round_number, member), load_round(state, number, round_number)
    if ballot is None or record is None:
        return None
    shown = bool(ballot.vote and record.closed_ms)
    return {
        "claim": claim_text(number),
        "round": round_number,
        "juror": member_text(member),
        "status": "revealed" if ballot.vote else "cast",
        "commitment": ballot.commitment.hex() or None,
        "vote": _word(Vote(ballot.vote).name) if shown else None,
        "reason": _word(BallotReason(ballot.reason).name) if shown else None,
    }


def juror_view(registry: Registry, state: ReadState, member: int) -> Json | None:
    juror = load_juror(state, member) if 0 < member < _END else None
    return None if juror is None else _juror_view(registry, state, member, juror)


def _juror_view(registry: Registry, state: ReadState, member: int, juror: JurorRecord) -> Json:
    bank = load_bank(state, juror.plan, juror.bank)
    return {
        "member": member_text(member),
        "plan": registry.plan(state, juror.plan).code,
        "status": _word(juror.status.name),
        "deadline_ms": juror.deadline_ms or None,
        "bank": juror.bank,
        "examiner": None if bank is None else registry.names[bank.organisation],
        "attempt": juror.attempt,
        "exam_seed": juror.exam_seed.hex() or None,
        "asked": juror.asked,
        "correct": juror.correct,
        "paper": juror.paper.hex() or None,
        "seat": juror.seat or None,
        "qualified_ms": juror.qualified_ms or None,
        "suspended_for": _word(SuspensionReason(juror.reason).name) if juror.reason else None,
        "cases": [
            {"claim": claim_text(case.claim), "round": case.round, "until_ms": case.until_ms} for case in juror.cases
        ],
        "cast": juror.cast,
        "revealed": juror.revealed,
        "drawn": juror.drawn,
        "missed": juror.missed,
        "reversed": juror.reversed,
    }


def plan_jury_view(registry: Registry, state: ReadState, code: str) -> Json | None:
    """The pool of a plan, its newest question bank, and who can take part in draws."""
    plan = registry.find(state, code)
    if plan is None:
        return None
    pool = load_pool(state, plan.number)
    bank = load_bank(state, plan.number, pool.bank)
    registered: Json = {}
    for number, name in enumerate(registry.names):
        own = load_jury_keys(state, number)
        if own is not None:
            registered[name] = {"exam": own.exam.hex(), "beacon": own.beacon.hex()}
    return {
        "plan": plan.code,
        "jurors": pool.jurors,
        "seats": pool.seats,
        "bank": None
        if bank is None
        else {
            "version": pool.bank,
            "organisation": registry.names[bank.organisation],
            "questions": bank.questions,
            "root": bank.root.hex(),
            "answers": bank.answers.hex(),
            "exam_key": bank.exam_key.hex(),
            "published_ms": bank.published_ms,
        },
        "keys": registered,
    }


def is_hidden(state: ReadState, key: bytes) -> bool:
    """Whether a record is not shown as it is, because a vote is not over: its counts, and what a ballot says."""
    if key[:1] == bytes([keys.JURY_TALLY]):
        return True
    if key[:1] != bytes([keys.BALLOT]) or len(key) != len(keys.ballot(0, 0, 0)):
        return False
    number, round_number, member = keys.parse_ballot(key)
    ballot, record = load_ballot(state, number, round_number, member), load_round(state, number, round_number)
    return ballot is not None and bool(ballot.vote) and record is not None and not record.closed_ms
