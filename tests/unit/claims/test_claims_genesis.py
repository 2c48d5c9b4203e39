"""Genesis and plan files: readable form, and every mistake named."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from node.claims.application import Application
from node.claims.genesis import (
    AgeBand,
    Benefit,
    Calendar,
    Clause,
    Genesis,
    Organisation,
    PlanTerms,
    Role,
    StepDeadlines,
    Tier,
    read_ailments,
)
from node.claims.genesis_checks import check_genesis, plan_from_mapping
from node.claims.plain import BadValue, from_plain, to_plain
from tests.factories import CONFIGS, key_of, make_genesis, plan, with_terms

CODE = "critical-illness"


def test_a_genesis_survives_json_and_keeps_its_digest() -> None:
    genesis = make_genesis()
    text = json.dumps(to_plain(genesis))
    again = from_plain(Genesis, json.loads(text))
    assert again == genesis
    assert again.digest == genesis.digest


def test_the_digest_covers_every_part() -> None:
    genesis = make_genesis()
    others = [replace(genesis, chain="other"), replace(genesis, time_scale=2), make_genesis(plans=())]
    assert len({genesis.digest, *(other.digest for other in others)}) == 4


SHIPPED = {
    # code: (severe sum of the young, of the old, mild sum, waiting days, case cap, yearly cap)
    "chronic-illness": (30_000_000, 10_000_000, 0, 90, 0, 0),
    "critical-illness": (30_000_000, 10_000_000, 5_000_000, 90, 0, 0),
    "critical-illness-capped": (30_000_000, 10_000_000, 5_000_000, 90, 10, 18_800),
    "elderly-cancer": (10_000_000, 10_000_000, 5_000_000, 90, 100, 0),
    "hospital-reimbursement": (0, 0, 0, 0, 0, 0),
    "public-transport-accident": (10_000_000, 10_000_000, 5_000_000, 0, 0, 0),
}


def test_every_plan_that_is_shipped_is_named_here() -> None:
    assert sorted(path.stem for path in (CONFIGS / "plans").glob("*.toml")) == sorted(SHIPPED)


@pytest.mark.parametrize("code", SHIPPED)
def test_the_plans_that_are_shipped_make_a_chain(code: str) -> None:
    terms = plan(code)
    Application(make_genesis(plans=(terms,)))
    young, old = terms.age_bands[0], terms.age_bands[-1]
    assert SHIPPED[code] == (
        young.severe_minor_units,
        old.severe_minor_units,
        young.mild_minor_units,
        terms.waiting_days,
        terms.costs.case_cap_minor_units,
        terms.costs.year_cap_minor_units,
    )
    assert terms.fee_bps == (300 if code == "hospital-reimbursement" else 800)


@pytest.mark.parametrize("code", SHIPPED)
def test_every_key_of_a_shipped_plan_is_explained(code: str) -> None:
    """By a comment above it or above its neighbours, here or, as each file says, in critical-illness.toml."""
    explained = (CONFIGS / "plans" / "critical-illness.toml").read_text(encoding="utf-8")
    text = (CONFIGS / "plans" / f"{code}.toml").read_text(encoding="utf-8")
    for line in text.splitlines():
        key = line.split(" = ")[0]
        if " = " in line and not line.startswith("#") and f"{key} =" not in explained:
            assert "#" in text[: text.index(f"\n{key} =")].rsplit("\n\n", 1)[-1], key


def test_the_ailment_table_has_the_programmes_102_rows() -> None:
    ailments = read_ailments((CONFIGS / "ailments.csv").read_text(encoding="utf-8"))
    tiers = [ailment.tier for ailment in ailments]
    assert len(ailments) == len({ailment.code for ailment in ailments}) == 102
    assert [tiers.count(tier) for tier in Tier] == [92, 4, 5, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,icd10\nS01,C00", "line 2: the column"),
        ("code,icd10,name_en,tier,trigger,observation_days\nS01,C,n,severe,diagnosis,x", "whole number"),
        ("code,icd10,name_en,tier,trigger,observation_days\nS01,C,n,bad,diagnosis,0", "line 2.tier: 'bad' is none of"),
        ("code,icd10,name_en,tier,trigger,observation_days\ns 1,C,n,mild,diagnosis,0", "line 2.code"),
    ],
)
def test_a_mistake_in_the_ailment_table_names_its_line(text: str, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        read_ailments(text)


def mapping() -> dict[str, object]:
    return tomllib.loads((CONFIGS / "plans" / "critical-illness.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda m: m.pop("fee_bps"), "fee_bps"),
        (lambda m: m.update(fee_bps=10_001), "fee_bps"),
        (lambda m: m.update(fee_bps="800"), "fee_bps"),
        (lambda m: m.update(fee_bps=True), "fee_bps"),
        (lambda m: m.update(waiting_members_share=1), "waiting_members_share"),
        (lambda m: m.update(colour="red"), "colour"),
        (lambda m: m.update(benefit="lottery"), "benefit"),
        (lambda m: m["calendar"].update(cycle_days=4), "calendar"),
        (lambda m: m["calendar"].update(settlement_days_of_month=[6, 28]), "calendar"),
        (lambda m: m["calendar"].update(settlement_days_of_month=[14]), "calendar"),
        (lambda m: m["calendar"].update(disclosure_days_of_month=[7, 31]), "calendar.disclosure_days_of_month[1]"),
        (lambda m: m["deadlines"].update(disclosure_hours=168), "deadlines.disclosure_hours"),
        (lambda m: m["age_bands"][0].update(to_age_years=40), "age_bands[1]"),
        (lambda m: m["age_bands"][0].update(severe_minor_units=10**11), "age_bands[0].severe_minor_units"),
        (lambda m: m.update(age_bands={}), "age_bands"),
        (lambda m: m.update(calendar=7), "calendar"),
        (lambda m: m["clauses"].append({"number": "2.1", "title": "again"}), "clauses"),
        (lambda m: m["clauses"].append({"number": "", "title": "none"}), "clauses"),
        (lambda m: m["clauses"].append({"number": "4.a", "title": "letter"}), "clauses[5].number"),
        (lambda m: m.update(open_claims_max=2), "open_claims_max"),
    ],
)
def test_a_mistake_in_a_plan_file_names_its_key(change: Callable[[dict[str, object]], object], path: str) -> None:
    broken = mapping()
    change(broken)
    with pytest.raises(BadValue) as caught:
        plan_from_mapping(broken, plan(CODE).ailments)
    assert caught.value.path == path
    assert caught.value.message


def organisations(*roles: tuple[str, tuple[Role, ...]]) -> tuple[Organisation, ...]:
    return tuple(
        Organisation(name=name, node_key=key_of(f"n{name}"), account_keys=(key_of(name),), roles=held)
        for name, held in roles
    )


ALL = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)


@pytest.mark.parametrize(
    ("genesis", "message"),
    [
        (replace(make_genesis(), organisations=organisations(("a", ALL), ("a", ALL))), "appears twice"),
        (replace(make_genesis(), organisations=organisations(("a", ALL))), "another organisation must review"),
        (replace(make_genesis(), organisations=organisations(("a", ALL), ("b", ALL[:2]))), "must review"),
        (replace(make_genesis(), organisations=organisations(("a", ALL[:4]), ("b", ALL[:4]))), "role payment"),
        (replace(make_genesis(), organisations=organisations(("a", (*ALL, Role.INTAKE)), ("b", ALL))), "a role"),
        (make_genesis(node_keys=[key_of("same")] * 4), "used twice"),
        (make_genesis(node_keys=[key_of("account a"), b"", b"", b""]), "used twice"),
        (make_genesis(node_keys=[b"short", b"", b"", b""]), "32 bytes"),
        (make_genesis(plans=(plan(CODE), plan(CODE))), "version 1 appears twice"),
        (make_genesis(plans=(plan(CODE), with_terms(plan(CODE), version=2))), "must follow each other"),
        (
            make_genesis(plans=(plan(CODE), with_terms(plan(CODE), version=2, effective_day=9, currency="EUR"))),
            "cannot change this",
        ),
    ],
)
def test_a_genesis_that_cannot_work_is_refused(genesis: Genesis, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        check_genesis(genesis)
    with pytest.raises(BadValue):
        Application(genesis)


def test_one_organisation_without_plans_is_a_chain() -> None:
    check_genesis(replace(make_genesis(plans=()), organisations=organisations(("a", ()))))


def test_plain_form_refuses_what_is_no_hex_or_no_list() -> None:
    good = to_plain(make_genesis().organisations[0])
    for change in ({"node_key": "xyz"}, {"node_key": 5}, {"account_keys": "00"}, {"roles": ["king"]}, {"name": "A B"}):
        with pytest.raises(BadValue):
            from_plain(Organisation, {**good, **change})
    with pytest.raises(BadValue, match="a table is needed"):
        from_plain(Organisation, [])


def test_terms_can_be_made_in_code_as_well() -> None:
    terms = PlanTerms(
        code="x",
        version=1,
        name="X",
        currency="EUR",
        benefit=Benefit.REIMBURSEMENT,
        utc_offset_minutes=0,
        waiting_days=0,
        waiting_members_share=True,
        entry_age_min_months=0,
        entry_age_max_years=100,
        report_window_days=10,
        exit_after_payout=False,
        fee_bps=0,
        calendar=Calendar(cycle_days=2, settlement_after_days=1),
        deadlines=StepDeadlines(investigation_hours=1, review_hours=1, disclosure_hours=23, payment_hours=1),
        age_bands=(AgeBand(from_age_years=0, to_age_years=99, severe_minor_units=5),),
        clauses=(Clause(number="1", title="Rule"),),
        ailments=plan(CODE).ailments,
    )
    check_genesis(make_genesis(plans=(terms,)))
