"""The simulator is shown to work: each of eight seeded bugs is found, and without it the same run is clean."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sim import seeded_bugs as bugs
from tests.sim.checks import Violation
from tests.sim.mixes import MIXES, Mix
from tests.sim.simulation import Simulation
from tests.sim.transcript import play

SEEDS_MAX = 400
SCENARIOS = Path(__file__).parent.parent / "golden" / "consensus"
SIX = replace(MIXES["partitions"], name="partitions-of-six", sizes=((6, 1),))
Bug = Callable[[pytest.MonkeyPatch], None]


def find(mix: Mix, bug: Bug | None = None, simulation: type[Simulation] = Simulation) -> tuple[int, str]:
    """The first seed that shows the bug, and what it shows."""
    with pytest.MonkeyPatch.context() as patch:
        if bug is not None:
            bug(patch)
        for seed in range(SEEDS_MAX):
            try:
                simulation(seed, mix).run()
            except Violation as violation:
                return seed, str(violation)
    pytest.fail(f"{SEEDS_MAX} seeds of mix {mix.name} did not find the bug")


def outcome_of(scenario: str, bug: Bug | None = None) -> str:
    """What a scripted scenario ends in: the violation, or an empty string."""
    text = (SCENARIOS / f"{scenario}.txt").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        if bug is not None:
            bug(patch)
        try:
            play(text)
        except Violation as violation:
            return str(violation)
    return ""


def test_a_prepared_certificate_dropped_from_the_view_change_is_found() -> None:
    seed, found = find(MIXES["partitions"], bugs.prepared_certificates_are_dropped)
    assert re.search("fork|is not final", found)
    Simulation(seed, MIXES["partitions"]).run()


def test_a_vote_sent_before_it_is_persisted_is_found_by_the_direct_check() -> None:
    class SpeakingFirst(Simulation):
        node_class = bugs.SpeaksFirst

    seed, found = find(MIXES["calm"], simulation=SpeakingFirst)
    assert "not durable" in found
    Simulation(seed, MIXES["calm"]).run()


def test_a_vote_sent_before_it_is_persisted_is_found_by_what_follows_from_it() -> None:
    seed, found = find(MIXES["crashes"], simulation=bugs.ForgetfulSimulation)
    assert re.search("for two blocks|after it asked|two different|accuses honest", found)
    Simulation(seed, MIXES["crashes"]).run()


def test_prepares_counted_across_digests_are_found() -> None:
    seed, found = find(MIXES["byzantine"], bugs.prepares_count_for_any_digest)
    assert re.search("without a prepared certificate|bad prepared certificate|fork", found)
    Simulation(seed, MIXES["byzantine"]).run()


def test_a_quorum_one_short_at_six_replicas_is_found() -> None:
    seed, found = find(SIX, bugs.quorum_is_one_short_at_six)
    assert re.search("without a prepared certificate|signatures of 4|fork|is not final", found)
    Simulation(seed, SIX).run()


def test_a_wiped_node_that_votes_at_once_is_found() -> None:
    seed, found = find(MIXES["wipes"], simulation=bugs.RashSimulation)
    assert re.search("disk was wiped|for two blocks|after it asked|two different", found)
    Simulation(seed, MIXES["wipes"]).run()


@pytest.mark.parametrize(
    ("scenario", "bug"),
    [
        ("new-view-is-recomputed", bugs.new_view_is_not_recomputed),
        ("hole-below-a-commit", bugs.commits_over_holes),
        ("certificates-of-mixed-views", bugs.certificates_of_mixed_views),
        ("primary-behind-its-view", bugs.final_heights_are_proposed_again),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_bug_too_deep_for_chance_is_found_by_its_schedule(scenario: str, bug: Bug) -> None:
    assert outcome_of(scenario) == ""
    assert outcome_of(scenario, bug).startswith("fork: certificates can exist for ")


def test_other_scenarios_do_not_blame_those_bugs() -> None:
    """The rules are needed in their schedules only: the normal case does not notice."""
    assert outcome_of("normal-case", bugs.commits_over_holes) == ""
    assert outcome_of("normal-case", bugs.certificates_of_mixed_views) == ""
