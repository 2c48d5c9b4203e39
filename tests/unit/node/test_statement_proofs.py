"""A statement proved: recomputed from proven records offline, and refused if a digit was changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.mutual_aid.actions import Decision, Enrol, FileClaim, Finding, Investigate, RecordContribution, Review
from node.claims.mutual_aid.records import CycleRecord, load_plan, the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import Queries
from node.claims.statement import CannotFollow, recompute
from node.claims.types import DAY_MS
from node.claims.wire import decode_trusted, encode
from node.cli.base import CommandError
from node.cli.verify_command import check_proof
from node.errors import Unavailable
from node.proofs import (
    BadProof,
    ProofBundle,
    RecordProof,
    RecordsProof,
    decode_bundle,
    encode_bundle,
    from_json,
    to_json,
    verify_bundle,
)
from node.statement_proofs import prove_statement
from tests.factories import MemoryState, new_member, person
from tests.unit.node.ledgers import Ledger, ledger_genesis, transfer

PLAN = "critical-illness"


class Story:
    """A ledger on which time passes: four members, 1 pays for 2 as well, one claim is settled."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.now_ms = ledger_genesis().time_ms
        self.sequences = [0, 0, 0, 0]
        self.do(0, Enrol(plan=PLAN, members=(new_member(1), new_member(2, payer=-1), new_member(3), new_member(4))))
        self.pass_days(91)
        self.do(0, RecordContribution(member=1, amount=20_000_000, receipt=person(1)))
        today = self.ledger.application.registry.plan(self.view, 0).day_of(self.now_ms)
        filing = FileClaim(plan=PLAN, member=4, ailment="S01", diagnosis_day=today, accident=False, evidence=person(2))
        self.do(2, filing)
        self.do(self.turn, Investigate(claim=1, finding=Finding.PASS, report=person(3)))
        self.do(self.turn, Review(claim=1, decision=Decision.ACCEPT))
        while the_claim(self.view, 1).status is not ClaimStatus.SETTLED:
            self.pass_days(1)

    @property
    def view(self) -> Any:
        return self.ledger.state.view()

    @property
    def turn(self) -> int:
        return the_claim(self.view, 1).assigned

    def do(self, account: int, action: Any) -> None:
        self.sequences[account] += 1
        self.now_ms += 1
        sent = transfer(account, self.sequences[account], action, valid_until_ms=self.now_ms + DAY_MS)
        committed = self.ledger.step(sent, time_ms=self.now_ms)
        assert committed.receipts[1].code == 0, committed.receipts[1]

    def pass_days(self, days: int) -> None:
        until = self.now_ms + days * DAY_MS
        while (due := self.ledger.application.next_deadline_ms(self.view)) is not None and due <= until:
            self.now_ms = max(due, self.now_ms + 1)
            self.ledger.step(time_ms=self.now_ms)
        self.now_ms = max(until, self.now_ms)

    def prove(self, member: int) -> ProofBundle:
        bundle = prove_statement(self.ledger.state, self.ledger.blocks, ledger_genesis(), member)
        assert bundle is not None
        return bundle


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    made = Story(tmp_path_factory.mktemp("ledger"))
    yield made
    made.ledger.close()


def test_a_statement_is_recomputed_from_its_proof(story: Story) -> None:
    bundle = decode_bundle(encode_bundle(story.prove(1)))
    shown = verify_bundle(bundle, ledger_genesis()).statement
    assert shown is not None
    assert shown == Queries(ledger_genesis()).statement(story.view, 1, limit=1_000)
    assert (shown["total"], shown["family_total"]) == ("81000.00", "162000.00")
    assert shown["balance"]["balance"] == "38000.00"
    document = check_proof(json.dumps(to_json(bundle)).encode(), ledger_genesis())
    assert document["statement"] == shown
    assert from_json(to_json(bundle)) == bundle


def test_there_is_no_statement_of_nobody(story: Story) -> None:
    assert prove_statement(story.ledger.state, story.ledger.blocks, ledger_genesis(), 99) is None


def changed(bundle: ProofBundle, table: int, **changes: Any) -> ProofBundle:
    """With other values in the first record of a table whose shares are not 0."""
    fact = bundle.fact
    assert isinstance(fact, RecordsProof)
    records = []
    done = False
    for one in fact.records:
        if one.key[0] == table and one.value is not None and not done:
            cycle = decode_trusted(CycleRecord, one.value)
            if cycle.share:
                one, done = replace(one, value=encode(replace(cycle, **changes))), True
        records.append(one)
    assert done
    return replace(bundle, fact=replace(fact, records=tuple(records)))


def test_a_changed_digit_is_refused(story: Story) -> None:
    tampered = changed(story.prove(3), keys.CYCLE, share=8_099_999)
    with pytest.raises(BadProof, match="path from record"):
        verify_bundle(tampered, ledger_genesis())
    with pytest.raises(CommandError, match="does not hold"):
        check_proof(encode_bundle(tampered), ledger_genesis())


def test_a_record_that_is_left_out_is_missed(story: Story) -> None:
    bundle = story.prove(3)
    fact = bundle.fact
    assert isinstance(fact, RecordsProof)
    for index in range(len(fact.records)):
        fewer = replace(fact, records=fact.records[:index] + fact.records[index + 1 :])
        with pytest.raises(BadProof, match="lacks the record"):
            verify_bundle(replace(bundle, fact=fewer), ledger_genesis())


def test_a_record_too_many_twice_or_in_another_place_is_refused(story: Story) -> None:
    """Else the key of an absence among them could be changed, or the member, and it would still verify."""
    bundle = story.prove(3)
    fact = bundle.fact
    assert isinstance(fact, RecordsProof)
    key = keys.member(99)
    absent = RecordProof(key=key, value=None, proof=story.ledger.state.prove(key))
    first, second, *rest = fact.records
    for records in ((*fact.records, absent), (*fact.records, first), (second, first, *rest)):
        with pytest.raises(BadProof, match="not those of the statement"):
            verify_bundle(replace(bundle, fact=replace(fact, records=records)), ledger_genesis())


def test_another_member_cannot_be_shown_with_these_records(story: Story) -> None:
    bundle = story.prove(3)
    fact = bundle.fact
    assert isinstance(fact, RecordsProof)
    for member in (4, 99, -1, 2**60):
        with pytest.raises(BadProof, match=f"lacks the record of member {member},"):
            verify_bundle(replace(bundle, fact=replace(fact, member=member)), ledger_genesis())


def test_a_payers_records_do_not_show_the_statement_of_who_is_paid_for(story: Story) -> None:
    bundle = story.prove(1)
    fact = bundle.fact
    assert isinstance(fact, RecordsProof) and keys.member(2) in [one.key for one in fact.records]
    with pytest.raises(BadProof, match="not those of the statement|lacks the record"):
        verify_bundle(replace(bundle, fact=replace(fact, member=2)), ledger_genesis())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": 8_099_999}, "the share is"),
        ({"granted": 29_999_999}, "the share is|amounts do not follow"),
        ({"members": 5}, "version or members"),
        ({"surplus_after": 1}, "what came in"),
        ({"fee": 2_400_001, "surplus_after": -1}, "amounts do not follow"),
        ({"accumulated": 7}, "add up to"),
    ],
)
def test_a_share_that_does_not_follow_is_noticed(story: Story, changes: dict[str, int], message: str) -> None:
    """As if a quorum had signed it: the records are changed below the proofs."""
    state = MemoryState()
    for key, value in story.ledger.state.scan_records(b"", b"\xff" * 40):
        state.put(key, value)
    for key, raw in list(state.scan(*keys.table(keys.CYCLE))):
        cycle = decode_trusted(CycleRecord, raw)
        if cycle.share:
            state.put(key, encode(replace(cycle, **changes)))
            break
    with pytest.raises(CannotFollow, match=message):
        recompute(ledger_genesis(), state, 3)


def test_nothing_is_proved_before_the_first_block(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(Unavailable):
        prove_statement(ledger.state, ledger.blocks, ledger_genesis(), 1)
    assert load_plan(ledger.state.view(), 0).cycle == 1
    ledger.close()
