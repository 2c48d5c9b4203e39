"""Enrolment and filing: each rule, and both sides of each border."""

from __future__ import annotations

import pytest

from node.claims import keys
from node.claims.calendar import day_number, month_index, start_of
from node.claims.genesis import PlanTerms
from node.claims.mutual_aid.actions import Enrol, FileClaim, NewMember
from node.claims.mutual_aid.records import the_claim, the_member
from node.claims.results import ResultCode
from node.claims.wire import decode_trusted
from tests.factories import Chain, key_of, make_genesis, new_member, person, plan, with_terms

CODE = "critical-illness"
HOSPITAL = "hospital-reimbursement"


def enrol(chain: Chain, *members: NewMember, code: str = CODE, by: str = "a") -> ResultCode:
    receipt = chain.do(by, Enrol(plan=code, members=members))
    return ResultCode(receipt.code)


def born(year: int, month: int, number: int = 1) -> NewMember:
    return NewMember(person=person(number), birth_month=month_index(year, month))


def test_members_are_numbered_in_order_over_all_plans() -> None:
    chain = Chain()
    assert enrol(chain, new_member(1), new_member(2)) is ResultCode.OK
    assert enrol(chain, new_member(1), code=HOSPITAL, by="d") is ResultCode.OK
    assert [the_member(chain.state, number).plan for number in (1, 2, 3)] == [0, 0, 1]
    assert the_member(chain.state, 3).organisation == 3
    assert decode_trusted(tuple[int], chain.state.records[keys.person(1, person(1))]) == (3,)


def test_a_person_joins_a_plan_once_whoever_enrols_them() -> None:
    chain = Chain()
    assert enrol(chain, new_member(1)) is ResultCode.OK
    assert enrol(chain, new_member(2), new_member(1), by="b") is ResultCode.PERSON_ALREADY_MEMBER
    assert enrol(chain, new_member(3), new_member(3)) is ResultCode.PERSON_ALREADY_MEMBER
    assert enrol(chain, new_member(2)) is ResultCode.OK


def test_an_unknown_plan_is_refused() -> None:
    assert enrol(Chain(), new_member(1), code="other") is ResultCode.UNKNOWN_PLAN


@pytest.mark.parametrize(
    ("year", "month", "code"),
    [
        (2026, 1, ResultCode.TOO_YOUNG),
        (2025, 12, ResultCode.OK),
        (2026, 2, ResultCode.TOO_YOUNG),
        (1966, 2, ResultCode.OK),
        (1966, 1, ResultCode.TOO_OLD),
    ],
)
def test_entry_ages_are_in_whole_months_as_of_the_first(year: int, month: int, code: ResultCode) -> None:
    """Genesis is on 2026-01-01: one month at least, and not yet 60."""
    assert enrol(Chain(), born(year, month)) is code


def test_cover_begins_at_midnight_after_the_waiting_days_in_the_plans_time_zone() -> None:
    chain = Chain()
    chain.until(start_of(day_number(2026, 1, 2), 480) - 1)
    enrol(chain, new_member(1))
    enrol(chain, new_member(2))
    assert the_member(chain.state, 1).enrolled_day == day_number(2026, 1, 2)
    assert the_member(chain.state, 2).cover_day == day_number(2026, 1, 2) + 90
    enrol(chain, new_member(3), code=HOSPITAL)
    hospital = the_member(chain.state, 3)
    assert (hospital.enrolled_day, hospital.cover_day) == (day_number(2026, 1, 1), day_number(2026, 1, 2))


def test_a_dependant_names_a_payer_of_the_same_plan_or_one_earlier_in_the_batch() -> None:
    chain = Chain()
    family = (new_member(1), new_member(2, payer=-1), new_member(3, payer=-1))
    assert enrol(chain, *family) is ResultCode.OK
    assert [the_member(chain.state, number).payer for number in (1, 2, 3)] == [0, 1, 1]
    assert enrol(chain, new_member(4, payer=1)) is ResultCode.OK
    for payer in (99, 2, 5, -1, -2):
        assert enrol(chain, new_member(5, payer=payer)) is ResultCode.UNKNOWN_PAYER
    assert enrol(chain, new_member(5, payer=1), code=HOSPITAL) is ResultCode.UNKNOWN_PAYER


def test_each_key_belongs_to_one_account() -> None:
    chain = Chain()
    assert enrol(chain, new_member(1, key=key_of("m"))) is ResultCode.OK
    assert enrol(chain, new_member(2, key=key_of("m"))) is ResultCode.KEY_IN_USE
    assert enrol(chain, new_member(2, key=key_of("account b"))) is ResultCode.KEY_IN_USE
    assert enrol(chain, new_member(2, key=b"short")) is ResultCode.KEY_IN_USE
    assert enrol(chain, new_member(2, key=key_of("n")), new_member(3, key=key_of("n"))) is ResultCode.KEY_IN_USE


# Filing.


class Desk:
    """A chain with member 1 (born 1990) and member 2 (born 1980) covered since 2026-04-01."""

    def __init__(self, terms: PlanTerms | None = None) -> None:
        self.terms = plan(CODE) if terms is None else terms
        self.chain = Chain(make_genesis(plans=(self.terms, plan(HOSPITAL))))
        enrol(self.chain, new_member(1, key=key_of("m")), new_member(2, birth_year=1980))
        enrol(self.chain, new_member(1), code=HOSPITAL)
        self.to(2026, 4, 10)

    def to(self, year: int, month: int, day: int) -> None:
        self.chain.until(start_of(day_number(year, month, day), self.terms.utc_offset_minutes) + 1)

    def file(self, day: int, **changes: object) -> ResultCode:
        fields: dict[str, object] = {
            "plan": CODE,
            "member": 1,
            "ailment": "S01",
            "diagnosis_day": day,
            "accident": False,
            "evidence": person(9),
            **changes,
        }
        sender = fields.pop("sender", "c")
        assert isinstance(sender, (str, bytes))
        return ResultCode(self.chain.do(sender, FileClaim(**fields)).code)  # type: ignore[arg-type]


APRIL_1 = day_number(2026, 4, 1)


def test_a_diagnosis_counts_from_the_first_day_of_cover() -> None:
    assert Desk().file(APRIL_1 - 1) is ResultCode.NOT_YET_COVERED
    assert Desk().file(APRIL_1) is ResultCode.OK


def test_an_accident_counts_from_the_day_after_enrolment() -> None:
    assert Desk().file(day_number(2026, 1, 1), accident=True) is ResultCode.NOT_YET_COVERED
    assert Desk().file(day_number(2026, 1, 2), accident=True) is ResultCode.OK


def test_a_diagnosis_lies_not_in_the_future() -> None:
    assert Desk().file(APRIL_1 + 10) is ResultCode.DIAGNOSIS_IN_FUTURE
    assert Desk().file(APRIL_1 + 9) is ResultCode.OK


def test_the_report_window_is_180_days() -> None:
    desk = Desk()
    desk.chain.until(start_of(APRIL_1 + 181, 480))
    assert desk.file(APRIL_1) is ResultCode.REPORT_WINDOW_OVER
    assert desk.file(APRIL_1 + 1) is ResultCode.OK


def test_observation_days_pass_first_and_the_window_begins_after_them() -> None:
    """S03, stroke, is assessed 180 days after the diagnosis."""
    desk = Desk()
    desk.chain.until(start_of(APRIL_1 + 179, 480))
    assert desk.file(APRIL_1, ailment="S03") is ResultCode.OBSERVATION_NOT_OVER
    desk.chain.until(start_of(APRIL_1 + 180 + 180, 480))
    assert desk.file(APRIL_1, ailment="S03") is ResultCode.OK
    late = Desk()
    late.chain.until(start_of(APRIL_1 + 180 + 181, 480))
    assert late.file(APRIL_1, ailment="S03") is ResultCode.REPORT_WINDOW_OVER


def test_the_sum_follows_from_age_and_severity() -> None:
    desk = Desk()
    assert desk.file(APRIL_1) is ResultCode.OK
    assert desk.file(APRIL_1, member=2, ailment="M04") is ResultCode.OK
    claims = [the_claim(desk.chain.state, number) for number in (1, 2)]
    assert [claim.claimed for claim in claims] == [30_000_000, 5_000_000]
    other = Desk()
    other.file(APRIL_1, member=2)
    assert the_claim(other.chain.state, 1).claimed == 10_000_000


def test_the_fixed_sum_takes_no_amount_and_one_open_claim() -> None:
    desk = Desk()
    assert desk.file(APRIL_1, amount=1) is ResultCode.AMOUNT_IS_FIXED
    assert desk.file(APRIL_1) is ResultCode.OK
    assert desk.file(APRIL_1, ailment="S02") is ResultCode.OPEN_CLAIM_EXISTS


def test_a_tier_without_benefit_is_refused() -> None:
    bands = tuple(type(band)(**{**_fields(band), "mild_minor_units": 0}) for band in plan(CODE).age_bands)  # type: ignore[arg-type]
    assert Desk(with_terms(plan(CODE), age_bands=bands)).file(APRIL_1, ailment="M04") is ResultCode.BENEFIT_NOT_IN_TABLE


def _fields(band: object) -> dict[str, object]:
    return {name: getattr(band, name) for name in band.__struct_fields__}  # type: ignore[attr-defined]


def test_receipts_are_repaid_up_to_the_ceiling_and_side_by_side() -> None:
    desk = Desk()
    for amount, code in (
        (0, ResultCode.AMOUNT_OUT_OF_RANGE),
        (5_000_001, ResultCode.AMOUNT_OUT_OF_RANGE),
        (5_000_000, ResultCode.OK),
        (1, ResultCode.OK),
    ):
        assert desk.file(APRIL_1, plan=HOSPITAL, member=3, ailment="H01", amount=amount) is code
    assert the_member(desk.chain.state, 3).open_claims == 2
    assert the_claim(desk.chain.state, 2).previous == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"plan": "other"}, ResultCode.UNKNOWN_PLAN),
        ({"member": 9}, ResultCode.UNKNOWN_MEMBER),
        ({"plan": HOSPITAL, "ailment": "H01"}, ResultCode.WRONG_PLAN),
        ({"ailment": "Z99"}, ResultCode.UNKNOWN_AILMENT),
        ({"sender": key_of("m"), "member": 2}, ResultCode.NOT_THIS_MEMBER),
        ({"sender": key_of("m")}, ResultCode.OK),
    ],
)
def test_who_files_what_for_whom(changes: dict[str, object], code: ResultCode) -> None:
    desk = Desk()
    assert desk.file(APRIL_1, **changes) is code
    if code is ResultCode.OK:
        assert the_claim(desk.chain.state, 1).filer == -1


def test_a_claim_is_judged_by_the_version_of_its_day_of_diagnosis() -> None:
    """As when light thyroid cancer left the programme's cover on a given day."""
    first = plan(CODE)
    second = with_terms(
        first,
        version=2,
        effective_day=APRIL_1 + 5,
        ailments=tuple(ailment for ailment in first.ailments if ailment.code != "M04"),
    )
    chain = Chain(make_genesis(plans=(first, second)))
    enrol(chain, new_member(1), new_member(2))
    chain.until(start_of(APRIL_1 + 9, 480))
    desk = Desk.__new__(Desk)
    desk.chain, desk.terms = chain, first
    assert desk.file(APRIL_1 + 5, ailment="M04") is ResultCode.UNKNOWN_AILMENT
    assert desk.file(APRIL_1 + 4, ailment="M04") is ResultCode.OK
    assert desk.file(APRIL_1 + 5, member=2) is ResultCode.OK
    assert [the_claim(chain.state, number).version for number in (1, 2)] == [1, 2]
