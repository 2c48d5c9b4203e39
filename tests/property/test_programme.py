"""The whole programme at random; see programme_machine.py. A failing seed joins the list and stays."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from node.claims.audit import Audit
from node.claims.events import EventKind
from node.claims.mutual_aid.application_life import APPLICATION_TRANSITIONS, ApplicationStatus
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import TRANSITIONS, ClaimStatus
from tests.property.programme_ledger import rows_taken
from tests.property.programme_machine import ProgrammeMachine
from tests.unit.claims.jury_life import PANEL, JuryLife

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
ELSEWHERE = {
    (ClaimStatus.JURY_DRAWING, EventKind.DEALING_CLOSED),
    (ClaimStatus.JURY_DRAWING, EventKind.ENDS_EARLY),
    (ClaimStatus.JURY_OPEN, EventKind.DRAW_STARTED),
}
"""Rows of a beacon that is dealt, and of plans with panels only. Real keys take them, in a life that is told below."""
SEEDS_THAT_ONCE_FAILED: tuple[int, ...] = ()


def live(seed: int, steps: int) -> ProgrammeMachine:
    """A long life: hypothesis shrinks well but seldom goes on for long, and money needs cycle after cycle."""
    random = Random(seed)
    machine = ProgrammeMachine()
    machine.begin(
        case_cap=random.choice((0, 0, 500_000)),
        year_cap=random.choice((0, 1_000_000)),
        sponsor=random.choice(("", "b")),
        reviewers=random.choice((1, 2)),
        waiting_days=random.choice((3, 3, 25)),
        seed=seed,
    )
    for _ in range(steps):
        choice, chosen = random.random(), random.randrange(2**32)
        if choice < 0.5:
            machine.people_work(chosen, random.randrange(1, 4), random.choice((1, 5, 9)))
        elif choice < 0.72:
            machine.people_fall_ill(chosen)
        elif choice < 0.86:
            machine.time_passes(random.choice((1, 7, 13, 26, 75)))
        elif choice < 0.94:
            machine.time_passes_to_the_very_moment(chosen % 40)
        elif choice < 0.95 and machine.people < 120:
            machine.more_people_join(chosen)
        elif choice < 0.955:
            machine.people_apply(chosen)
        elif choice < 0.96:
            machine.applications_are_decided(chosen)
        elif choice < 0.99:
            machine.people_pay_or_leave(chosen)
        elif choice < 0.995:
            machine.somebody_becomes_a_juror(chosen)
        else:
            machine.an_organisation_declares_a_tie(chosen)
        machine.every_claim_is_final_or_has_one_deadline()
        machine.every_application_is_pending_with_one_deadline_or_has_ended()
        machine.every_fen_is_where_the_ledgers_say()
    return machine


def test_a_panel_that_is_drawn_takes_the_rows_that_random_lives_do_not() -> None:
    """The plan has panels only; all deal, so that dealing ends early, and enough open, so that opening does."""
    life = JuryLife(PANEL).answered().drawn()
    assert set(rows_taken(life.chain)) >= ELSEWHERE
    assert the_claim(life.chain.state, 1).status is ClaimStatus.PANEL_COMMIT


def test_the_programme_keeps_its_rules_and_its_money() -> None:
    run_state_machine_as_test(
        ProgrammeMachine,
        settings=settings(max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=CHECKS),
    )


@pytest.mark.parametrize("seed", [*range(8), *SEEDS_THAT_ONCE_FAILED])
def test_a_long_life_keeps_its_rules_and_its_money(seed: int) -> None:
    assert sum(live(seed, 150).ledger.steps.values()) > 100


def test_people_who_apply_take_every_row_of_their_table() -> None:
    """Among members, claims and money, of which they are no part until they are accepted."""
    taken: Counter[tuple[ApplicationStatus | None, EventKind]] = Counter()
    for seed in range(4):
        random, machine = Random(seed), live(seed, 10)
        for _ in range(12):
            machine.people_apply(random.randrange(2**32))
            machine.applications_are_decided(random.randrange(2**32))
            machine.time_passes(13)
            machine.people_fall_ill(random.randrange(2**32))
            machine.every_application_is_pending_with_one_deadline_or_has_ended()
            machine.every_fen_is_where_the_ledgers_say()
        taken.update(machine.ledger.application_steps)
        assert Audit(machine.chain.genesis, machine.chain.state).run() == []
    assert set(taken) == set(APPLICATION_TRANSITIONS)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_programme_keeps_its_rules_and_its_money_in_many_short_lives() -> None:
    run_state_machine_as_test(
        ProgrammeMachine,
        settings=settings(max_examples=250, stateful_step_count=150, deadline=None, suppress_health_check=CHECKS),
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thousands_of_steps_take_every_row_of_the_table() -> None:
    """And keep every rule on the way. A generator that never gets far would prove nothing."""
    taken: Counter[tuple[ClaimStatus | None, EventKind]] = Counter()
    for seed in range(100, 200):
        taken.update(live(seed, 250).ledger.steps)
    assert set(TRANSITIONS) - set(taken) == ELSEWHERE
