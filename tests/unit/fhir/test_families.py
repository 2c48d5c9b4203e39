"""Who pays for whom by the Coverage resources of an input, whatever they are; and what is put on the ledger."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.claims.ids import member_text
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.mutual_aid.records import the_member
from node.client import Outcome
from node.fhir.families import MAX_CHAIN
from node.fhir.generate import ndjson
from node.fhir.importer import Importer
from node.fhir.judge import Judge, Known, Moved, Timeline, Today
from node.fhir.mapping import shipped
from node.fhir.reading import pieces
from node.fhir.reasons import REASONS
from node.fhir.report import lines, totals
from node.fhir.spool import Spool
from tests.factories import Chain
from tests.unit.fhir.test_judge import CRITICAL, SECRET, TODAY, day, outcomes, patient


def coverage(id: str, of: str = "p", under: str | None = None, **fields: Any) -> dict[str, Any]:
    subscriber = {} if under is None else {"subscriber": {"reference": f"Patient/{under}"}}
    beneficiary = {"reference": f"Patient/{of}"}
    return {
        "resourceType": "Coverage",
        "id": id,
        "status": "active",
        "beneficiary": beneficiary,
        **subscriber,
        **fields,
    }


def period(start: object = None, end: object = None) -> dict[str, Any]:
    bounds = (("start", start), ("end", end))
    return {"period": {name: str(value) for name, value in bounds if value is not None}}


@contextmanager
def judged(
    *resources: dict[str, Any], timeline: Timeline | None = None, known: dict[bytes, Known] | None = None
) -> Iterator[tuple[Spool, Judge]]:
    text = "\n".join(json.dumps(resource) for resource in resources).encode()
    with Spool(SECRET, shipped()) as spool:
        list(spool.fill(pieces(io.BytesIO(text))))
        judge = Judge(spool, CRITICAL, timeline or Today(day(TODAY)), SECRET, (known or {}).get)
        judge.run()
        yield spool, judge


def payers(judge: Judge, spool: Spool) -> dict[str, str]:
    """Who pays for whom, by the patients' ids."""
    ids = dict(spool.rows("SELECT seq, id FROM patient"))
    return {ids[member.row]: ids[member.payer_row] for member in judge.members() if member.payer_row}


def test_the_subscriber_pays_for_the_beneficiary() -> None:
    # The dependant comes first in the input, the coverage before both: the order does not matter.
    with judged(coverage("v", "child", "head"), patient("child"), patient("head")) as (spool, judge):
        assert outcomes(spool, "Coverage") == {"v": "payer"}
        assert payers(judge, spool) == {"child": "head"}
        assert [member.row for member in judge.members()] == [2, 1], "nobody is enrolled before the one who pays"


def test_the_policy_holder_stands_in_for_a_subscriber_and_an_organisation_does_not() -> None:
    holder: dict[str, Any] = {"policyHolder": {"reference": "Patient/head"}}
    firm: dict[str, Any] = {"policyHolder": {"reference": "Organization/head"}}
    with judged(patient("p"), patient("q"), patient("head"), coverage("v", **holder), coverage("w", "q", **firm)) as (
        spool,
        judge,
    ):
        assert payers(judge, spool) == {"p": "head"}
        assert outcomes(spool, "Coverage") == {"v": "payer", "w": "own-coverage"}


YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("fields", "outcome", "person"),
    [
        ({}, "payer", "member"),
        ({"under": "p"}, "own-coverage", "member"),
        ({"under": None}, "own-coverage", "member"),
        ({"under": "nobody"}, "unknown-subscriber", "member"),
        ({"under": "old"}, "subscriber-not-a-member", "member"),
        ({"subscriber": {"reference": "RelatedPerson/head"}}, "unknown-subscriber", "member"),
        ({"subscriber": {"display": "somebody"}}, "unknown-subscriber", "member"),
        ({"of": "nobody"}, "unknown-beneficiary", "member"),
        ({"of": "old"}, "not-a-member", "member"),
        ({"beneficiary": None}, "unknown-beneficiary", "member"),
        ({"status": "cancelled"}, "coverage-not-active", "member"),
        ({"status": "entered-in-error"}, "coverage-not-active", "member"),
        ({"status": None}, "coverage-not-active", "member"),
        (period(TODAY, TODAY), "payer", "member"),
        (period(end=YESTERDAY), "coverage-over", "cover-ended"),
        (period(TOMORROW), "coverage-not-begun", "cover-not-begun"),
        (period("2020"), "unclear-period", "member"),
        (period("tomorrow"), "unclear-period", "member"),
        (period(TOMORROW, YESTERDAY), "unclear-period", "member"),
    ],
)
def test_each_coverage_has_its_outcome_and_may_decide_who_joins(
    fields: dict[str, Any], outcome: str, person: str
) -> None:
    people = (patient("p"), patient("head"), patient("old", born="1950-01-01"))
    with judged(*people, coverage("v", **{"under": "head", **fields})) as (spool, judge):
        assert outcomes(spool, "Coverage") == {"v": outcome}
        assert outcomes(spool, "Patient") == {"p": person, "head": "member", "old": "too-old"}
        assert payers(judge, spool) == ({"p": "head"} if outcome == "payer" else {})
        assert totals(spool).accounted == 4


def test_a_cover_that_lasts_makes_up_for_one_that_is_over() -> None:
    with judged(patient(), coverage("v", **period(end=YESTERDAY)), coverage("w", **period(YESTERDAY))) as (spool, _):
        assert outcomes(spool, "Coverage") == {"v": "coverage-over", "w": "own-coverage"}
        assert outcomes(spool, "Patient") == {"p": "member"}


def test_of_several_coverages_the_lowest_order_decides_and_then_the_first() -> None:
    people = (patient("p"), patient("a"), patient("b"), patient("c"))
    with judged(*people, coverage("x", under="a"), coverage("y", under="b", order=2), coverage("z", under="c")) as (
        spool,
        judge,
    ):
        assert payers(judge, spool) == {"p": "b"}
        assert outcomes(spool, "Coverage") == {"x": "second-coverage", "y": "payer", "z": "second-coverage"}
    with judged(*people, coverage("x", under="a"), coverage("z", under="c")) as (spool, judge):
        assert payers(judge, spool) == {"p": "a"}


def test_a_chain_is_followed_to_its_head_and_stops_below_one_who_did_not_join() -> None:
    people = [patient(name) for name in "abcd"]
    chain = [coverage(f"v{under}", of, under) for of, under in ("ab", "bc", "cd")]
    with judged(*people, *chain) as (spool, judge):
        assert payers(judge, spool) == {"a": "d", "b": "d", "c": "d"}
    people[2] = patient("c", born="1950-01-01")
    with judged(*people, *chain) as (spool, judge):
        assert payers(judge, spool) == {"a": "b"}
        assert outcomes(spool, "Coverage") == {"vb": "payer", "vc": "subscriber-not-a-member", "vd": "not-a-member"}


def test_people_who_name_each_other_in_a_circle_pay_for_themselves() -> None:
    people = [patient(name) for name in "abcd"]
    links = [coverage(f"v{of}", of, under) for of, under in ("ab", "bc", "ca", "da")]
    with judged(*people, *links) as (spool, judge):
        assert payers(judge, spool) == {}
        assert set(outcomes(spool, "Coverage").values()) == {"coverage-circle"}


def test_a_chain_without_end_is_cut() -> None:
    names = [f"p{number}" for number in range(200)]
    links = [coverage(f"v{of}", of, under) for of, under in pairwise(names)]
    with judged(*map(patient, names), *links) as (spool, judge):
        found = payers(judge, spool)
        assert found[names[-2]] == names[-1] and len(found) <= MAX_CHAIN + 1
        assert not set(found) & set(found.values()), "a payer pays for itself"


def test_one_person_under_two_ids_is_one_subscriber() -> None:
    twin: dict[str, Any] = {"identifier": [{"system": "s", "value": "1"}]}
    with judged(patient("p", **twin), patient("q", **twin), coverage("v", "p", "q")) as (spool, judge):
        assert outcomes(spool, "Coverage") == {"v": "own-coverage"} and payers(judge, spool) == {}


def test_a_reference_by_the_url_of_a_bundle_entry_finds_the_patient() -> None:
    entries = [
        {"fullUrl": f"urn:uuid:url-{resource['id']}", "resource": resource}
        for resource in (
            patient("p"),
            patient("head"),
            coverage("v", beneficiary={"reference": "urn:uuid:url-p"}, subscriber={"reference": "urn:uuid:url-head"}),
        )
    ]
    with judged({"resourceType": "Bundle", "type": "collection", "entry": entries}) as (spool, judge):
        assert payers(judge, spool) == {"p": "head"}


def test_who_pays_for_a_member_of_old_stays_as_it_is() -> None:
    with judged(patient("p"), patient("head"), coverage("v", "p", "head")) as (spool, _):
        (person,) = next(spool.rows("SELECT person FROM patient WHERE id = 'p'"))
    known = {person: Known(7, day(TODAY) - 10, 1990 * 12, False)}
    with judged(patient("p"), patient("head"), coverage("v", "p", "head"), known=known) as (spool, judge):
        assert outcomes(spool, "Coverage") == {"v": "payer-stands"} and payers(judge, spool) == {}


def test_judging_twice_gives_the_same() -> None:
    with judged(patient("p"), patient("head"), coverage("v", "p", "head"), coverage("w", "p")) as (spool, judge):
        before, first = list(lines(spool)), payers(judge, spool)
        judge.run()
        assert list(lines(spool)) == before and payers(judge, spool) == first


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "id": st.sampled_from(["v1", "v2", "v3", "", 5, None]),
                "status": st.sampled_from(["active", "active", "draft", 1, None]),
                "beneficiary": st.sampled_from(["a", "b", "c", "d", "x", 1, None, {"reference": ["a"]}, {}]),
                "subscriber": st.sampled_from(["a", "b", "c", "d", "x", {}, None, {"reference": "a" * 600}]),
                "order": st.sampled_from([0, 1, -5, 2**70, "1", 1.5]),
                "period": st.sampled_from(
                    [{}, {"start": "2020-01-01"}, {"end": "0001-01-01"}, {"start": "9999"}, [], 1]
                ),
            },
        ),
        max_size=8,
    )
)
def test_whatever_a_coverage_holds_everything_is_accounted_for_and_payers_pay_for_themselves(
    drawn: list[dict[str, Any]],
) -> None:
    people = [patient(name) for name in "abc"] + [patient("d", born="1950-01-01")]

    def reference(value: Any) -> Any:
        return {"reference": f"Patient/{value}"} if isinstance(value, str) else value

    found = [
        {"resourceType": "Coverage", "id": f"n{number}"}
        | {name: reference(value) if name in ("beneficiary", "subscriber") else value for name, value in fields.items()}
        for number, fields in enumerate(drawn)
    ]
    with judged(*people, *found) as (spool, judge):
        account = totals(spool)
        assert account.accounted == 4 + len(found) and account.read.get("Coverage", 0) == len(found)
        assert {line["outcome"] for line in lines(spool)} <= set(REASONS)
        pays = payers(judge, spool)
        assert not set(pays) & set(pays.values()) and "d" not in {*pays, *pays.values()}


class LedgerAccount:
    """Takes what an importer submits to a chain in memory."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.client = SimpleNamespace(block=self._block)

    async def _block(self, height: int) -> dict[str, Any]:
        return {"header": {"time_ms": self.chain.now_ms}}

    async def submit_many(self, batches: list[list[Enrol]], *, timeout_s: float) -> list[Outcome]:
        (receipt,) = [self.chain.do("a", *batch) for batch in batches]
        events = [{"what": "members-enrolled", "member": member_text(event.subject)} for event in receipt.events]
        code = "" if not receipt.code else f"E1{receipt.code}"
        return [
            Outcome(
                id="", status="committed", code=code, detail=receipt.detail, height=1, receipt={"events": events[:1]}
            )
        ]


@pytest.mark.parametrize("refuse_the_head", [False, True])
async def test_the_ledger_has_the_payers_that_the_input_named(refuse_the_head: bool) -> None:
    chain = Chain()
    account: Any = LedgerAccount(chain)
    people = (patient("child"), patient("head"), patient("other"))
    with judged(*people, coverage("v", "child", "head")) as (spool, judge):
        members = list(judge.members())
        if refuse_the_head:
            # Somebody else enrolled this very person a moment ago.
            (head,) = [member for member in members if member.row == 2]
            entry = NewMember(person=head.person, birth_month=head.birth_month)
            assert chain.do("b", Enrol(plan=CRITICAL.code, members=(entry,))).code == 0
        await Importer(spool, CRITICAL).enrol(account, members)
        report = {line["id"]: line for line in lines(spool)}
    child = the_member(chain.state, int(report["child"]["member"][2:]))
    if refuse_the_head:
        assert child.payer == 0 and report["head"]["outcome"] == "refused"
        assert report["v"]["outcome"] == "subscriber-not-a-member" and "payer" not in report["v"]
    else:
        assert member_text(child.payer) == report["head"]["member"] == report["v"]["payer"]
        assert report["v"]["member"] == report["child"]["member"]


def test_the_sample_has_families_and_every_trouble_of_coverages() -> None:
    first = day(date(2026, 11, 24))
    found: dict[str, int] = {}
    with Spool(SECRET, shipped()) as spool:
        list(spool.fill(pieces(io.BytesIO(b"".join(ndjson())))))
        judge = Judge(spool, CRITICAL, Moved(first, first + 310), SECRET)
        judge.run()
        for line in lines(spool):
            if line["kind"] == "Coverage":
                found[line["outcome"]] = found.get(line["outcome"], 0) + 1
        assert len(payers(judge, spool)) == 4
    assert found == {
        "payer": 4,
        "own-coverage": 4,
        "coverage-circle": 2,
        "unknown-subscriber": 1,
        "coverage-not-active": 1,
        "coverage-over": 1,
        "coverage-not-begun": 1,
    }
