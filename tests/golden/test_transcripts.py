"""Scenarios message by message, from the paper and from the traps: what replicas say is pinned line by line.

After an intended change, write the traces anew and read the difference:

    WEAL_REGENERATE=1 pytest tests/golden/test_transcripts.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sim.transcript import TranscriptError, replay

FOLDER = Path(__file__).parent / "consensus"
TRANSCRIPTS = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_replicas_say_what_the_transcript_says(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    played = replay(written)
    assert "VIOLATION" not in played
    if os.environ.get("WEAL_REGENERATE"):
        path.write_text(played, encoding="utf-8")
        return
    assert played == written, f"{path.name} reads otherwise now; if that is intended, see this file's docstring"


def test_the_scenarios_of_the_traps_are_there() -> None:
    names = {path.stem for path in TRANSCRIPTS}
    assert {"hole-below-a-commit", "certificates-of-mixed-views", "wiped-node-listens", "six-replicas"} <= names


def test_a_command_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TranscriptError, match="cannot play '> dance 1'"):
        replay("> replicas 4\n> dance 1\n")
