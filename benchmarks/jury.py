"""What an open jury vote costs: real signed ballots through the application on a real LevelDB state.

    python -m benchmarks.jury --ballots 250000

Members are enrolled by ordinary transactions. Their juror records are written straight into the state, because
a quarter of a million exams are not what is measured. Every ballot is then signed by its juror's key, packed into
transactions of a thousand, decoded, verified and executed in blocks on one core, state root included; then all
are revealed and counted. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.application import Application, BlockContext
from node.claims.builders import build_transaction
from node.claims.calendar import day_number, month_index
from node.claims.genesis import Genesis, Organisation, Role, read_ailments
from node.claims.genesis_checks import plan_from_mapping
from node.claims.jury.actions import (
    MAX_BALLOTS,
    Ballot,
    BallotReason,
    CastBallots,
    RequestJury,
    Reveal,
    RevealBallots,
    Vote,
)
from node.claims.jury.ballots import ballot_commitment, ballot_message
from node.claims.jury.records import JurorRecord, JurorStatus, the_round
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.actions import Decision, Enrol, FileClaim, Finding, Investigate, NewMember, Review
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.transaction import Action, Transaction, encode_transaction
from node.claims.types import DAY_MS
from node.claims.wire import encode
from node.crypto import SigningKey
from node.jury_proofs import Proofs
from node.state import StateDatabase
from node.verification import TransactionVerifier

CODE: Final = "critical-illness"
START_DAY: Final = day_number(2026, 1, 1)
PER_BLOCK: Final = 10
"""Transactions of a thousand ballots in a block: about 1 MB."""
ROLES: Final = {"a": (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.PAYMENT), "b": (Role.REVIEWER,)}


def seed_of(kind: str, number: int) -> bytes:
    return sha256(f"{kind} {number}".encode()).digest()


class Bench:
    """A chain of blocks without consensus, on one LevelDB."""

    def __init__(self, folder: Path, ballots: int) -> None:
        configs = Path(__file__).resolve().parent.parent / "configs" / "plans"
        mapping = tomllib.loads((configs / f"{CODE}.toml").read_text(encoding="utf-8"))
        table = (configs / str(mapping["ailments_file"])).read_text(encoding="utf-8")
        jury = JuryTerms(mode=JuryMode.OPEN, quorum=1_000, membership_days=0, vote_hours=48, reveal_hours=48)
        plan = replace(plan_from_mapping(mapping, read_ailments(table)), waiting_days=0, jury=jury)
        self.accounts = {name: SigningKey(seed_of("account " + name, 0)) for name in ROLES}
        organisations = tuple(
            Organisation(name=name, node_key=b"", account_keys=(self.accounts[name].public,), roles=roles)
            for name, roles in ROLES.items()
        )
        genesis = Genesis(chain="jury", time_ms=START_DAY * DAY_MS, organisations=organisations, plans=(plan,))
        self.ballots, self.chain = ballots, genesis.digest
        self.proofs = Proofs()
        self.application = Application(genesis, proofs=self.proofs)
        self.verifier = TransactionVerifier()
        self.state = StateDatabase.open(folder / "state", genesis.digest)
        self.now_ms, self.height, self._sequences = genesis.time_ms, 0, dict.fromkeys(ROLES, 0)
        overlay = self.state.overlay()
        self.application.initialise(overlay)
        self.state.commit(overlay, height=0, digest=bytes(32))

    def transaction(self, sender: str, action: Action) -> bytes:
        self._sequences[sender] += 1
        key = self.accounts[sender]
        until_ms = self.now_ms + DAY_MS // 2
        return encode_transaction(
            build_transaction(self.chain, key.public, self._sequences[sender], until_ms, [action], key.sign)
        )

    def block(self, raws: Sequence[bytes], *, later_ms: int = 1, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Decode, verify, execute, hash, commit. `extra` rows are written beside, for the preparation."""
        self.height, self.now_ms = self.height + 1, self.now_ms + later_ms
        transactions: list[Transaction] = []
        for one in self.verifier.resolve(raws):
            assert one is not None
            transactions.append(one)
        overlay = self.state.overlay()
        for key, value in extra:
            overlay.put(key, value)
        context = BlockContext(height=self.height, time_ms=self.now_ms)
        result = self.application.execute(overlay, context, transactions)
        assert all(receipt.code == 0 for receipt in result.receipts), result.receipts
        overlay.root()
        self.state.commit(overlay, height=self.height, digest=sha256(b"%d" % self.height).digest())

    def do(self, sender: str, action: Action) -> None:
        self.block([self.transaction(sender, action)])

    def prepare(self) -> None:
        """Members, their juror records, and a claim whose jury is open."""
        members = self.ballots + 1
        for start in range(1, members + 1, MAX_BALLOTS):
            batch = tuple(
                NewMember(
                    person=seed_of("person", number),
                    birth_month=month_index(1990, 6),
                    key=SigningKey(seed_of("member", number)).public,
                )
                for number in range(start, min(start + MAX_BALLOTS, members + 1))
            )
            self.do("a", Enrol(plan=CODE, members=batch))
        self.block([], later_ms=2 * DAY_MS)
        self.block([], extra=list(self._jurors()))
        filed = FileClaim(
            plan=CODE, member=1, ailment="S01", diagnosis_day=START_DAY + 2, accident=False, evidence=bytes(32)
        )
        self.do("a", filed)
        self.do("a" if self._turn() == 0 else "b", Investigate(claim=1, finding=Finding.PASS, report=bytes(32)))
        while the_claim(self.state.view(), 1).status is ClaimStatus.INVESTIGATED:
            denial = Review(claim=1, decision=Decision.DENY, clause="3.1", evidence=bytes(32), reason=1)
            self.do("ab"[self._turn()], denial)
        self.do("a", RequestJury(claim=1, statement=bytes(32)))
        self.block([], later_ms=3 * DAY_MS)

    def _turn(self) -> int:
        return the_claim(self.state.view(), 1).assigned

    def _jurors(self) -> Iterator[tuple[bytes, bytes]]:
        juror = JurorRecord(
            plan=0,
            status=JurorStatus.QUALIFIED,
            bank=1,
            attempt=1,
            deadline_ms=self.now_ms + 300 * DAY_MS,
            enrolled_ms=self.now_ms,
            qualified_ms=self.now_ms,
            exam_seed=bytes(32),
            asked=20,
            correct=20,
            paper=bytes(32),
        )
        for number in range(2, self.ballots + 2):
            key = SigningKey(seed_of("member", number)).public
            yield keys.juror(number), encode(replace(juror, seat=number - 1, key=key))

    def _vote(self, number: int) -> tuple[Vote, BallotReason, bytes]:
        vote = Vote.PAY if number % 2 else Vote.REFUSE
        reason = BallotReason.CLAUSE_UNCLEAR if number % 2 else BallotReason.CLAUSE_APPLIES
        return vote, reason, seed_of("salt", number)

    def cast(self, first: int, last: int) -> CastBallots:
        ballots = []
        for number in range(first, last):
            vote, reason, salt = self._vote(number)
            commitment = ballot_commitment(self.chain, 1, 1, number, vote, reason, salt)
            message = ballot_message(self.chain, 1, 1, number, commitment)
            signature = SigningKey(seed_of("member", number)).sign(message)
            ballots.append(Ballot(juror=number, commitment=commitment, signature=signature))
        return CastBallots(claim=1, round=1, ballots=tuple(ballots))

    def reveal(self, first: int, last: int) -> RevealBallots:
        reveals = []
        for number in range(first, last):
            vote, reason, salt = self._vote(number)
            reveals.append(Reveal(juror=number, vote=vote, reason=reason, salt=salt))
        return RevealBallots(claim=1, round=1, reveals=tuple(reveals))

    def phase(self, make: Any) -> dict[str, float]:
        """All ballots through one phase. The clients' own work is not in the time."""
        before, size, seconds, processor_s, slowest = self.state.size_bytes(), 0, 0.0, 0.0, 0.0
        starts = range(2, self.ballots + 2, MAX_BALLOTS)
        for index in range(0, len(starts), PER_BLOCK):
            raws = [
                self.transaction("a", make(start, min(start + MAX_BALLOTS, self.ballots + 2)))
                for start in starts[index : index + PER_BLOCK]
            ]
            size += sum(len(raw) for raw in raws)
            begun, busy = time.perf_counter(), time.process_time()
            self.block(raws)
            took = time.perf_counter() - begun
            seconds, slowest, processor_s = seconds + took, max(slowest, took), processor_s + time.process_time() - busy
        return {
            "seconds": round(seconds, 1),
            "ballots_per_second": round(self.ballots / seconds),
            "processor_microseconds_per_ballot": round(processor_s / self.ballots * 1e6, 1),
            "bytes_per_ballot_in_blocks": round(size / self.ballots, 1),
            "slowest_block_seconds": round(slowest, 2),
            "state_growth_bytes_per_ballot": round((self.state.size_bytes() - before) / self.ballots, 1),
        }


def run(ballots: int, folder: Path) -> dict[str, object]:
    bench = Bench(folder, ballots)
    begun = time.perf_counter()
    bench.prepare()
    prepared_s = time.perf_counter() - begun
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cast = bench.phase(bench.cast)
    claim = the_claim(bench.state.view(), 1)
    bench.block([], later_ms=claim.deadline_ms - bench.now_ms)
    revealed = bench.phase(bench.reveal)
    begun = time.perf_counter()
    bench.block([], later_ms=2)
    counting_s = time.perf_counter() - begun
    record, claim = the_round(bench.state.view(), 1, 1), the_claim(bench.state.view(), 1)
    bench.state.close()
    return {
        "ballots": ballots,
        "preparation_seconds": round(prepared_s, 1),
        "cast": cast,
        "reveal": revealed,
        "verdict_block_milliseconds": round(counting_s * 1_000, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
        "peak_memory_before_voting_mb": resident // 1_024,
        "signatures_checked": bench.proofs.checked,
        "valid": record.revealed,
        "pay": record.pay,
        "status": claim.status.name,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ballots", type=int, default=250_000)
    ballots = parser.parse_args().ballots
    with tempfile.TemporaryDirectory(prefix="weal-jury-") as folder:
        print(json.dumps(run(ballots, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
