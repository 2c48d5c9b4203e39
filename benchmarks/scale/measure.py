"""The scenario that is measured, the same at every size, on a database that `fill` made.

Claimants are taken in an order that jumps across all members, so that their records are as cold as those of
any member who falls ill. Each kind of block is made several times; the first is for the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from math import gcd
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.scale.ledger import Ledger, Step
from benchmarks.scale.members import BATCH, ENROLMENT_MS, GENESIS_MS, ORGANISATIONS, PLAN, is_old, new_member
from benchmarks.scale.work import Moment, Times, Work
from node.claims import keys
from node.claims.events import EventKind
from node.claims.ids import claim_id
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Review,
)
from node.claims.mutual_aid.records import ClaimRecord, the_claim
from node.claims.transaction import Action
from node.claims.types import DAY_MS
from node.proofs import encode_bundle, prove_record, verify_bundle

AILMENT: Final = "S01"
COVERED_MS: Final = GENESIS_MS + ENROLMENT_MS + 92 * DAY_MS
"""Everybody who was filled in is past the waiting period."""
_CLAIMANTS_PER_ROUND: Final = 1 << 12
"""Of each organisation: places in the order of claimants that one round may use up."""


class Operation(msgspec.Struct):
    """All blocks of one kind in one round."""

    counted: Work = msgspec.field(default_factory=Work)
    times: list[Times] = []


class Round(msgspec.Struct, kw_only=True):
    """What one process measured."""

    members: int
    operations: dict[str, Operation]
    reads: dict[str, list[Times]]
    """Statement, proof and verification."""
    proof_bytes: int
    start_ms: float
    start_bytes: int
    """Memory of the process once the node is ready, mapped files not counted; and at the end."""
    end_bytes: int
    state_bytes: int
    inner_nodes: int
    """Inner nodes of the tree, all in memory."""


class Scenario:
    """One round on an open ledger."""

    def __init__(self, ledger: Ledger, members: int, number: int) -> None:
        self._ledger, self._members = ledger, members
        self._claimants = self._order(number * _CLAIMANTS_PER_ROUND)
        self.operations: dict[str, Operation] = {}

    def _order(self, start: int) -> Iterator[int]:
        """Members once each, without those who are about to leave for age: by turns of each organisation, in big jumps
        over its batches."""
        batches = self._members // BATCH // len(ORGANISATIONS)
        stride = int(batches * 0.618) | 1
        while gcd(stride, batches) != 1:
            stride += 2
        for index in range(start, batches * BATCH):
            for organisation in range(len(ORGANISATIONS)):
                batch = index * stride % batches * len(ORGANISATIONS) + organisation
                number = batch * BATCH + index // batches * 617 % BATCH + 1
                if not is_old(number):
                    yield number

    def block(self, name: str, raws: Sequence[bytes] = (), time_ms: int = 0) -> Step:
        """A block that counts as one of the operation `name`: its first is counted, all others timed."""
        operation = self.operations.get(name)
        if operation is None:
            step = self._ledger.step(raws, time_ms, counting=True)
            self.operations[name] = Operation(counted=step.work)
        else:
            step = self._ledger.step(raws, time_ms)
            operation.times.append(step.times)
        return step

    # -- enrolment

    def enrol(self, singles: int, batches: int) -> None:
        first = self._next_member()
        for index in range(singles + 1):
            entry = (new_member(first + index, young=True),)
            self.block("enrol one", [self._ledger.signed(index % 4, Enrol(plan=PLAN, members=entry))])
        first += singles + 1
        for index in range(batches + 1):
            start = first + index * BATCH
            entries = tuple(new_member(number, young=True) for number in range(start, start + BATCH))
            self.block("enrol batch", [self._ledger.signed(index % 4, Enrol(plan=PLAN, members=entries))])

    def _next_member(self) -> int:
        return int(self._ledger.queries.programme(self._ledger.state.view())["members_enrolled"]) + 1

    # -- claims

    def _file(self) -> Action:
        member = next(self._claimants)
        day = self._ledger.now_ms // DAY_MS
        paper = sha256(f"evidence {member}".encode()).digest()
        return FileClaim(plan=PLAN, member=member, ailment=AILMENT, diagnosis_day=day, accident=False, evidence=paper)

    def _by_organisation(self, claims: Sequence[int], act: Callable[[int, ClaimRecord], Action]) -> list[bytes]:
        """One transaction for each claim, by the organisation whose turn it is."""
        view = self._ledger.state.view()
        found = [(number, the_claim(view, number)) for number in claims]
        return [self._ledger.signed(claim.assigned, act(number, claim)) for number, claim in found]

    def file(self, name: str, count: int) -> list[int]:
        """One block with `count` new claims; answers their numbers."""
        raws = [self._ledger.signed(index % len(ORGANISATIONS), self._file()) for index in range(count)]
        return _claims(self.block(name, raws), EventKind.CLAIM_FILED)

    def investigate(self, name: str, claims: Sequence[int]) -> None:
        self.block(
            name,
            self._by_organisation(
                claims, lambda number, _: Investigate(claim=number, finding=Finding.PASS, report=_paper(number))
            ),
        )

    def review(self, name: str, claims: Sequence[int]) -> None:
        self.block(
            name,
            self._by_organisation(claims, lambda number, _: Review(claim=number, decision=Decision.ACCEPT)),
        )

    def single_claims(self, count: int) -> None:
        """A claim's own steps, one transaction to a block."""
        for _ in range(count + 1):
            claims = self.file("file a claim", 1)
            self.investigate("investigate a claim", claims)
            self.review("review a claim", claims)

    # -- cycles

    def cycles(self, count: int, cases: int) -> None:
        self._let_others_settle()
        for _ in range(count + 1):
            self.cycle(cases)

    def _let_others_settle(self) -> None:
        """What is under way is settled and paid first, so that the cycles hold their own cases and no others."""
        ledger = self._ledger
        ledger.run_until(ledger.plan.disclosure_ms + 1)
        ledger.run_until(ledger.plan.disclosure_ms)
        view = ledger.state.view()
        waiting = ledger.queries.claims(view, status="settled", limit=1_000)["items"]
        numbers = [claim_id(str(claim["id"])) for claim in waiting]
        if numbers:
            ledger.step(self._by_organisation(numbers, _payment))

    def cycle(self, cases: int) -> None:
        """`cases` claims from filing to payment, disclosed, confirmed and settled together."""
        ledger = self._ledger
        claims = self.file("file the cases", cases)
        self.investigate("investigate the cases", claims)
        self.review("review the cases", claims)
        plan = ledger.plan
        ledger.run_until(plan.disclosure_ms)
        self._clock("disclosure and publication", plan.disclosure_ms, EventKind.CLAIM_PUBLISHED, cases)
        confirmed_ms = the_claim(ledger.state.view(), claims[0]).deadline_ms
        ledger.run_until(confirmed_ms)
        self._clock("confirmation", confirmed_ms, EventKind.CLAIM_CONFIRMED, cases)
        settled_ms = the_claim(ledger.state.view(), claims[0]).deadline_ms
        ledger.run_until(settled_ms)
        self._clock("settlement", settled_ms, EventKind.CLAIM_SETTLED, cases)
        self.block("pay the cases", self._by_organisation(claims, _payment))

    def _clock(self, name: str, time_ms: int, kind: EventKind, count: int) -> None:
        """A block without transactions in which the deadlines of `count` claims fire."""
        step = self.block(name, time_ms=time_ms)
        found = len(_claims(step, kind))
        if found != count:
            raise RuntimeError(f"{name}: {found} claims where {count} were due")

    # -- missed deadlines

    def missed(self, times: int, count: int, per_block: int) -> None:
        """`count` investigations nobody does, in one block at the last one's deadline; again and again."""
        ledger, claims = self._ledger, list[int]()
        for start in range(0, count, per_block):
            claims += self.file("file claims nobody looks at", min(per_block, count - start))
        for _ in range(times + 1):
            view = ledger.state.view()
            deadlines = [the_claim(view, number).deadline_ms for number in claims]
            ledger.run_until(min(deadlines))
            self._clock("missed investigations", max(deadlines), EventKind.INVESTIGATION_MISSED, count)

    # -- reading

    def reading(self, count: int) -> tuple[dict[str, list[Times]], int]:
        """Statements of members nobody has asked about, and proofs of their records."""
        ledger = self._ledger
        found: dict[str, list[Times]] = {"statement": [], "proof": [], "verify a proof": []}
        size = 0
        for _ in range(count):
            member = next(self._claimants)
            begin = Moment()
            statement = ledger.queries.statement(ledger.state.view(), member)
            found["statement"].append(begin.until_now())
            if statement is None or not statement["items"]:
                raise RuntimeError(f"member {member} has no statement")
            begin = Moment()
            bundle = prove_record(ledger.state, ledger.blocks, keys.member(member))
            found["proof"].append(begin.until_now())
            begin = Moment()
            verify_bundle(bundle, ledger.application.genesis)
            found["verify a proof"].append(begin.until_now())
            size = max(size, len(encode_bundle(bundle)))
        return found, size


def _claims(step: Step, kind: EventKind) -> list[int]:
    return [event.subject for receipt in step.receipts for event in receipt.events if event.kind is kind]


def _payment(number: int, claim: ClaimRecord) -> Action:
    return ConfirmPayment(claim=number, amount=claim.amount, receipt=_paper(number))


def _paper(number: int) -> bytes:
    """Stands for a document: its commitment."""
    return sha256(f"paper {number}".encode()).digest()


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each in a round."""

    singles: int = 30
    batches: int = 6
    claims: int = 20
    cycles: int = 4
    cases: int = 200
    misses: int = 3
    missed: int = 2_000
    readings: int = 200


def measure(folder: Path, members: int, number: int, load: Load) -> Round:
    """One round. Raises Refused or RuntimeError if the blocks are not the ones meant."""
    with Ledger(folder) as ledger:
        at_start = _own_memory_bytes()
        scenario = Scenario(ledger, members, number)
        scenario.enrol(load.singles, load.batches)
        while ledger.now_ms < COVERED_MS:
            ledger.run_until(ledger.next_due_ms() + 1)
        scenario.single_claims(load.claims)
        scenario.cycles(load.cycles, load.cases)
        scenario.missed(load.misses, load.missed, load.cases)
        reads, size = scenario.reading(load.readings)
        return Round(
            members=members,
            operations=scenario.operations,
            reads=reads,
            proof_bytes=size,
            start_ms=ledger.start_ms,
            start_bytes=at_start,
            end_bytes=_own_memory_bytes(),
            state_bytes=ledger.state.size_bytes(),
            inner_nodes=len(ledger.state.inner),
        )


def _own_memory_bytes() -> int:
    """Memory that is the process's own. The table files that LevelDB maps do not count."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
