"""Records of juries as the API answers them; they describe what `node.claims.jury.views` makes."""

from __future__ import annotations

import msgspec


class _View(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class AppealView(_View):
    count: int
    by: str
    ground: str
    evidence: str


class RoundView(_View):
    """A round of ballots. Counts of votes come with its verdict, not before."""

    round: int
    kind: str
    opened_ms: int
    closed_ms: int | None
    outcome: str
    quorum: int
    """Least number of valid votes."""
    panel_size: int | None
    draws: int
    """Attempts to draw the panel."""
    panel: list[str]
    cast: int
    """Hidden ballots."""
    valid: int | None
    """Revealed in time."""
    pay: int | None
    refuse: int | None
    reasons: dict[str, int]


class JuryView(_View):
    """A claim before juries."""

    claim: str
    status: str
    deadline_ms: int | None
    requests: int
    requested_ms: int
    """Only who was a qualified juror by then may vote."""
    statement: str
    denied_by: str | None
    answer: str | None
    extended: bool
    appeal: AppealView | None
    rounds: list[RoundView]


class PartyView(_View):
    name: str
    key: str


class DrawStepView(_View):
    seat: int
    juror: str | None
    passed_over: str | None
    """Why, as the name of a result code; null for who is on the panel."""


class DrawView(_View):
    """One attempt to draw a panel; `weal jury verify-draw` does it again."""

    claim: str
    round: int
    attempt: int
    phase: str
    organisations: list[PartyView]
    frozen_ms: int
    """The pool of jurors is as of this time."""
    seats: int
    dealt: list[str]
    shares: list[str]
    """Sum of all dealings, a share for each organisation: from here on the panel is fixed."""
    opened: list[str]
    seed: str | None
    weak: bool
    """The organisations failed in every attempt; the seed is the hash of what they left."""
    steps: list[DrawStepView]


class BallotView(_View):
    """One juror's ballot; vote and reason are told when its round is over."""

    claim: str
    round: int
    juror: str
    status: str
    commitment: str | None
    vote: str | None
    reason: str | None


class OpenCaseView(_View):
    claim: str
    round: int
    until_ms: int


class JurorView(_View):
    """A member as a juror."""

    member: str
    plan: str
    status: str
    deadline_ms: int | None
    """Of the exam, or of the credential."""
    bank: int
    examiner: str | None
    attempt: int
    exam_seed: str | None
    """Fixes the questions."""
    asked: int
    correct: int
    paper: str | None
    seat: int | None
    qualified_ms: int | None
    suspended_for: str | None
    cases: list[OpenCaseView]
    cast: int
    revealed: int
    drawn: int
    missed: int
    reversed: int


class BankView(_View):
    version: int
    organisation: str
    questions: int
    root: str
    answers: str
    exam_key: str
    published_ms: int


class JuryKeysView(_View):
    exam: str
    beacon: str


class PlanJuryView(_View):
    """The jurors of a plan, its question bank, and who can take part in draws."""

    plan: str
    jurors: int
    seats: int
    bank: BankView | None
    keys: dict[str, JuryKeysView]
