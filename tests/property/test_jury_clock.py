"""Whatever people do before juries, a clock that is late leaves the same state as one that is punctual."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from node.claims.jury.actions import AppealGround, AppealVerdict, RequestJury, StopJury, Vote
from node.claims.jury.records import DrawPhase, load_case
from node.claims.jury.terms import JuryMode
from node.claims.mutual_aid.actions import LiftStay, StayClaim, StayEnd
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from tests.factories import person
from tests.unit.claims.jury_life import RULES, JuryLife

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["cast", "reveal", "deal", "open", "stop", "request", "appeal", "wait", "stay", "lift"]),
        st.integers(0, 90),
        st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True),
    ),
    min_size=4,
    max_size=24,
)
"""What, how many hours after the last one, and who takes part."""


def waits_for(life: JuryLife, phase: DrawPhase) -> bool:
    return life.status is ClaimStatus.JURY_DRAWING and life.draw.phase is phase


def act(life: JuryLife, what: str, who: list[int]) -> list[ResultCode]:
    """What is tried; what comes of it must not depend on the clock either."""
    voters = [life.pool[place] for place in who]
    if what in {"cast", "reveal"} and load_case(life.chain.state, 1) is not None and life.case.round:
        votes = {juror: Vote.PAY if juror % 3 else Vote.REFUSE for juror in voters}
        return [life.cast(votes) if what == "cast" else life.reveal(votes)]
    if what in {"deal", "open"} and life.status is ClaimStatus.JURY_DRAWING:
        phase = DrawPhase.DEAL if what == "deal" else DrawPhase.OPEN
        tried = []
        for place, name in enumerate("abcd"):
            if place in who and waits_for(life, phase) and place in life.draw.parties:
                tried.append(life.deal(name) if what == "deal" else life.open(name))
        return tried
    if what == "stop":
        return [life.do(StopJury(claim=1), by="a")]
    if what == "request":
        return [life.do(RequestJury(claim=1, statement=person(50)), by="a")]
    if what == "appeal":
        return [life.do(AppealVerdict(claim=1, ground=AppealGround.NEW_EVIDENCE, evidence=person(5)), by="a")]
    if what == "stay":
        return [life.do(StayClaim(claim=1, order=person(6), days=who[0] + 1), by="d")]
    if what == "lift":
        return [life.do(LiftStay(claim=1, end=StayEnd.RESUME, order=person(6)), by="d")]
    life.chain.block()
    return []


def play(life: JuryLife, steps: list[tuple[str, int, list[int]]], *, punctual: bool) -> list[list[ResultCode]]:
    results = []
    for what, hours, who in steps:
        time_ms = life.chain.now_ms + hours * HOUR_MS + 1
        while punctual and life.status in DEADLINE_OF and life.claim.deadline_ms <= time_ms - 1:
            life.chain.until(max(life.claim.deadline_ms, life.chain.now_ms + 1))
        life.chain.until(max(time_ms, life.chain.now_ms + 1))
        results.append(act(life, what, who))
    return results


@settings(max_examples=20, deadline=None)
@given(STEPS, st.sampled_from([JuryMode.OPEN, JuryMode.PANEL]))
def test_a_late_clock_leaves_the_same_state(steps: list[tuple[str, int, list[int]]], mode: JuryMode) -> None:
    rules = replace(RULES, mode=mode, quorum=3, panel_sizes=(3, 5))
    punctual, late = (JuryLife(rules, jurors=6).requested() for _ in range(2))
    # The late one has blocks only where somebody does something; the punctual one also at each deadline.
    assert play(punctual, steps, punctual=True) == play(late, steps, punctual=False)
    assert punctual.chain.state.records == late.chain.state.records
