"""A few hundred simulated runs in every test run. Many more: `python -m tests.sim --seeds 0:10000 --mix all --jobs 2`.

A seed that once failed stays here for good; none is ever left out.
"""

from __future__ import annotations

import pytest

from tests.sim.__main__ import main, replay_command
from tests.sim.checks import Violation, quorum_of
from tests.sim.mixes import MIXES
from tests.sim.simulation import Simulation

SEEDS_PER_MIX = 20
FEWER = {"big-n": 6, "ed25519": 5}

SEEDS_THAT_ONCE_FAILED = [
    ("twins", 1826),  # fork: a new primary below the base of its view proposed at heights that were final
    ("storm", 1790),  # the same
    ("lossy", 407),  # a lost greeting silenced a replica for good
    ("byzantine-crashes", 2735),  # the same, with a silent faulty replica
    ("clocks", 3455),  # a replica that only listened never noticed what it had missed
    ("storm", 2868),  # own votes of views left long ago were kept for ever
    ("partitions", 660),  # blocks committed and not synced were not given to those who asked
    ("storm", 10_178),  # a crash between a view change and the record that the view is given up: asked twice
    ("wipes", 2933),  # two late starters and a wiped node: the schedule was at fault
    ("byzantine-crashes", 89),  # a late starter besides a faulty replica: the schedule was at fault
    ("twins", 76),
    ("crashes", 899),
    ("window-1", 1298),
    ("window-1", 108),
    ("big-n", 1213),
]


def run(mix: str, seed: int) -> None:
    try:
        Simulation(seed, MIXES[mix]).run()
    except Violation as violation:
        pytest.fail(f"{violation}\nreplay: {replay_command(seed, mix)}")


@pytest.mark.parametrize("mix", sorted(MIXES))
def test_promises_hold_in_a_mix(mix: str) -> None:
    for seed in range(FEWER.get(mix, SEEDS_PER_MIX)):
        run(mix, seed)


@pytest.mark.parametrize(("mix", "seed"), SEEDS_THAT_ONCE_FAILED)
def test_a_seed_that_once_failed_holds(mix: str, seed: int) -> None:
    run(mix, seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mix", sorted(MIXES))
def test_promises_hold_in_many_runs(mix: str) -> None:
    for seed in range(10_000, 10_000 + 15 * FEWER.get(mix, SEEDS_PER_MIX)):
        run(mix, seed)


def test_a_seed_gives_the_same_run_each_time() -> None:
    traces: list[list[str]] = [[], []]
    for trace in traces:
        Simulation(3, MIXES["storm"], trace.append).run()
    assert traces[0] == traces[1]
    assert len(traces[0]) > 100


def test_different_seeds_give_different_runs() -> None:
    assert Simulation(1, MIXES["crashes"]).run() != Simulation(2, MIXES["crashes"]).run()


def test_each_size_of_cluster_comes_up() -> None:
    drawn = {Simulation(seed, MIXES["calm"]).n for seed in range(150)}
    assert drawn == {1, 4, 5, 6, 7, 10, 13}


@pytest.mark.parametrize(
    ("n", "f", "quorum"), [(1, 0, 1), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7), (13, 4, 9)]
)
def test_the_checker_counts_quorums_by_itself(n: int, f: int, quorum: int) -> None:
    assert quorum_of(n) == (f, quorum)


def test_the_command_line_replays_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "5", "--mix", "calm", "--trace"]) == 0
    assert "commits" in capsys.readouterr().out


def test_a_failing_seed_names_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consensus.view_changer.prepared_prefix", lambda tip, locks: ())
    assert main(["--seeds", "0:120", "--mix", "partitions", "--stop-after", "1"]) == 1
    out = capsys.readouterr().out
    command = next(line for line in out.splitlines() if line.startswith("FAILED")).removeprefix("FAILED").strip()
    assert command.startswith("python -m tests.sim --seed ")
    assert main([*command.split()[3:-1]]) == 1


def test_an_unknown_mix_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--mix", "sunshine"])
    assert "no mix named sunshine" in capsys.readouterr().err
