"""The jury's part of the command line that needs no node: words, salts, batches."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from node.claims.jury.actions import BallotReason, CastBallots, RevealBallots, SuspensionReason, Vote
from node.claims.jury.ballots import fits
from node.claims.mutual_aid.transitions import JURY_RUNNING, ClaimStatus
from node.cli.base import CommandError
from node.cli.jury_commands import (
    PAY_REASONS,
    REFUSE_REASONS,
    STATUSES,
    keep_salt,
    kept_salts,
    salts_path,
    write_line,
)
from node.cli.jury_desk_commands import SUSPENSIONS, _actions
from node.crypto import SigningKey
from node.jury_proofs import Proofs
from node.jury_work import jury_public_keys, make_ballot

CHAIN = sha256(b"chain").digest()


def word(name: str) -> str:
    return name.lower().replace("_", "-")


def test_the_words_are_those_of_the_ledger() -> None:
    assert tuple(word(reason.name) for reason in BallotReason if fits(Vote.PAY, reason)) == PAY_REASONS
    assert tuple(word(reason.name) for reason in BallotReason if fits(Vote.REFUSE, reason)) == REFUSE_REASONS
    assert tuple(word(reason.name) for reason in SuspensionReason) == SUSPENSIONS
    assert set(STATUSES) == {word(status.name) for status in (*JURY_RUNNING, ClaimStatus.JURY_FAILED)}


def test_salts_are_kept_for_their_owner_only_and_each_one_is_added(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ballots.jsonl"
    keep_salt(path, {"claim": 1})
    keep_salt(path, {"claim": 2})
    assert kept_salts(path) == [{"claim": 1}, {"claim": 2}]
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="nothing was sent"):
        keep_salt(tmp_path / "deep", {"claim": 3})
    with pytest.raises(CommandError):
        kept_salts(tmp_path / "none")


def test_where_salts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert salts_path(None) == Path("/data/weal/ballots.jsonl")
    assert salts_path(Path("here")) == Path("here")


def entry(number: int, **changes: object) -> dict[str, object]:
    key = SigningKey(sha256(b"%d" % number).digest())
    ballot, _ = make_ballot(key, CHAIN, 45, 1, number, Vote.PAY, BallotReason.CLAUSE_UNCLEAR)
    line = {"chain": CHAIN.hex(), "claim": 45, "round": 1, "juror": number, "commitment": ballot.commitment.hex()}
    return line | {"key": key.public.hex(), "signature": ballot.signature.hex()} | changes


def test_a_batch_holds_a_thousand_ballots_of_one_round_and_leaves_out_what_is_no_good() -> None:
    lines = [entry(number) for number in range(1_200)]
    lines += [entry(1, juror=2), entry(1, signature="00" * 64), {"nonsense": 1}, entry(3, claim="x")]
    lines += [{"claim": 45, "round": 2, "juror": 7, "vote": 1, "reason": 1, "salt": "11" * 32}]
    lines += [{"claim": 45, "round": 2, "juror": 8, "vote": 9, "reason": 1, "salt": "11" * 32}]
    actions, left_out = _actions(lines)
    assert left_out == 5
    assert [type(action) for action in actions] == [CastBallots, CastBallots, RevealBallots]
    assert isinstance(actions[0], CastBallots) and len(actions[0].ballots) == 1_000
    assert isinstance(actions[1], CastBallots) and len(actions[1].ballots) == 200


def test_a_ballot_has_a_salt_of_its_own_each_time() -> None:
    key = SigningKey(bytes(32))
    first, second = (make_ballot(key, CHAIN, 1, 1, 1, Vote.PAY, BallotReason.CLAUSE_UNCLEAR) for _ in range(2))
    assert first[0].commitment != second[0].commitment
    assert first[1].salt != second[1].salt


def test_an_organisations_jury_keys_come_from_its_account_key_and_differ() -> None:
    keys = {key for number in range(3) for key in jury_public_keys(SigningKey(bytes([number]) * 32))}
    assert len(keys) == 6
    assert all(Proofs().valid_key(key) for key in keys)


def test_a_line_is_written_for_an_organisation(tmp_path: Path) -> None:
    write_line(tmp_path / "ballot.jsonl", {"claim": 1})
    assert kept_salts(tmp_path / "ballot.jsonl") == [{"claim": 1}]
    with pytest.raises(CommandError):
        write_line(tmp_path, {"claim": 1})
