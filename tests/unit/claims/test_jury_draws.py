"""Drawing a panel: both phases of the beacon, who is late, who can be drawn, and doing it again from the records."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from node import beacon
from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.actions import (
    DealBeacon,
    OpenBeacon,
    RegisterJuryKeys,
    ResignJuror,
    SuspendJuror,
    SuspensionReason,
    Vote,
)
from node.claims.jury.draws import draw_context, draw_seed
from node.claims.jury.proofs import Dealing, threshold
from node.claims.jury.records import DealingRecord, DrawPhase
from node.claims.jury.sortition import shuffled
from node.claims.jury.terms import JuryMode
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS
from node.claims.wire import decode_trusted
from node.crypto import SigningKey
from node.jury_work import BadDraw, check_draw, draw_duty, jury_public_keys
from tests.factories import ORGANISATIONS
from tests.unit.claims.claim_life import Life
from tests.unit.claims.jury_life import RULES, JuryLife, beacon_secret, member_key

PANEL = replace(RULES, mode=JuryMode.PANEL)


def drawing(**options: object) -> JuryLife:
    life = JuryLife(PANEL, **options).answered()  # type: ignore[arg-type]
    assert life.status is ClaimStatus.JURY_DRAWING
    return life


def missed(life: JuryLife) -> list[int]:
    return [Life.missed(life, name).draws_missed for name in "abcd"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("dealers", "openers"), [("abcd", "abc"), ("abc", "bcd"), ("dba", "dca")])
def test_one_organisation_of_four_may_be_down(dealers: str, openers: str) -> None:
    life = drawing().drawn(dealers, openers)
    assert len(life.round.panel) == 3
    assert not life.draw.weak


def test_which_organisations_open_makes_no_difference() -> None:
    """So whoever withholds a share has nothing to choose."""
    panels = {drawing().drawn("abcd", openers).round.panel for openers in ("abc", "abd", "acd", "bcd")}
    assert len(panels) == 1


def test_who_deals_makes_a_difference_nobody_can_foresee() -> None:
    """Whether the fourth deals or not, the panel is one that no three know: it is another, and that is all."""
    panels = {drawing(jurors=40).drawn(dealers, "abc").draw.seed for dealers in ("abcd", "abc", "abd")}
    assert len(panels) == 3


def test_the_draw_is_done_again_from_its_record() -> None:
    life = drawing().drawn()
    draw, chain = life.draw, life.chain.digest
    chosen = sorted(draw.opened, key=lambda entry: entry.place)[: threshold(len(draw.parties))]
    result = beacon.combine([(entry.place, entry.share) for entry in chosen])
    assert result is not None
    assert draw.seed == draw_seed(chain, 1, 1, 1, result)
    assert [step.seat for step in draw.steps] == [
        index + 1 for index in islice(shuffled(draw.seed, draw.seats), len(draw.steps))
    ]
    assert life.round.panel == tuple(step.juror for step in draw.steps if not step.code)


def test_the_phases_end_when_all_have_done_their_part_or_a_day_has_passed() -> None:
    life = drawing()
    start = life.chain.now_ms
    assert life.claim.deadline_ms == start + 24 * HOUR_MS
    for name in "abcd":
        assert life.deal(name) is ResultCode.OK
    life.chain.block()
    assert life.happened(EventKind.DEALING_CLOSED)
    due = life.claim.deadline_ms
    assert due == life.chain.now_ms + 24 * HOUR_MS
    for name in "abc":
        assert life.open(name) is ResultCode.OK
    life.chain.block()
    assert life.status is ClaimStatus.PANEL_COMMIT
    assert missed(life) == [0, 0, 0, 0]


def test_each_organisation_deals_and_opens_once_for_itself() -> None:
    life = drawing()
    assert life.deal("a") is ResultCode.OK
    assert life.deal("a") is ResultCode.ALREADY_DONE
    draw = life.draw
    context = draw_context(life.chain.digest, 1, 1, 1, draw, 0)
    dealing = beacon.deal(beacon_secret("a"), context, draw.keys)
    copied = DealBeacon(claim=1, round=1, attempt=1, dealing=dealing)
    assert life.do(copied, by="b") is ResultCode.DEALING_INVALID
    assert life.do(replace(copied, attempt=2), by="b") is ResultCode.WRONG_ROUND
    share = OpenBeacon(claim=1, round=1, attempt=1, share=draw.keys[0], proof=bytes(64))
    assert life.do(share, by="a") is ResultCode.WRONG_CLAIM_STATUS
    for name in "bcd":
        assert life.deal(name) is ResultCode.OK
    life.deadline()
    assert life.do(share, by="a") is ResultCode.OPENING_INVALID
    assert life.open("a") is ResultCode.OK
    assert life.open("a") is ResultCode.ALREADY_DONE


def test_two_who_do_not_deal_are_counted_and_left_out_of_the_next_attempt() -> None:
    life = drawing()
    assert life.deal("a") is ResultCode.OK
    assert life.deal("c") is ResultCode.OK
    life.deadline()
    assert life.round.attempt == 2
    assert life.draw.parties == (0, 2)
    assert missed(life) == [0, 1, 0, 1]
    assert life.deal("b") is ResultCode.NOT_IN_DRAW
    life.drawn("ac", "ac")


def test_two_who_see_the_panel_coming_and_do_not_open_get_another_draw_without_them() -> None:
    life = drawing()
    for name in "abcd":
        life.deal(name)
    life.deadline()
    life.open("a")
    life.open("b")
    life.deadline()
    assert (life.round.attempt, life.draw.parties) == (2, (0, 1))
    assert missed(life) == [0, 0, 1, 1]
    life.drawn("ab", "ab")


def test_if_nobody_draws_the_case_goes_on_and_says_so() -> None:
    life = drawing()
    for _ in range(3):
        assert life.status is ClaimStatus.JURY_DRAWING
        life.deadline()
    assert life.status is ClaimStatus.PANEL_COMMIT
    assert life.draw.weak
    assert len(life.round.panel) == 3
    assert missed(life) == [3, 3, 3, 3]


def test_members_of_involved_organisations_and_the_family_are_passed_over() -> None:
    life = JuryLife(replace(PANEL, panel_sizes=(9,)), jurors=12, enrollers="bbddd")
    life.qualify(2)
    life.answered().drawn()
    codes = {step.juror: ResultCode(step.code) for step in life.draw.steps}
    involved = {life.claim.investigator, *(note.organisation for note in life.claim.reviews)}
    assert involved <= {1, 2, 3}
    enroller_of = dict(zip(life.pool[-5:], "bbddd", strict=True))
    for juror, code in codes.items():
        tied = juror == 2 or (juror in enroller_of and ORGANISATIONS.index(enroller_of[juror]) in involved)
        assert (code is ResultCode.TIED) is tied
    assert set(life.round.panel) == {juror for juror, code in codes.items() if not code}


def test_what_happens_to_jurors_after_the_draw_began_changes_nothing() -> None:
    """A suspension takes nobody off the panel, a new juror comes on none, and a seat that was given up since is
    passed over even if somebody new sits in it."""
    lives = []
    for _ in range(2):
        fresh = JuryLife(PANEL, jurors=14, qualify=False)
        for member in fresh.pool[:10]:
            fresh.qualify(member)
        lives.append(fresh.answered())
    calm, busy = lives
    for member in busy.pool[:5]:
        busy.ok(SuspendJuror(juror=member, reason=SuspensionReason.FRAUD), by="d")
    gone = busy.pool[5]
    busy.ok(ResignJuror(juror=gone), by=member_key(gone))
    busy.qualify(busy.pool[12])
    assert busy.juror(busy.pool[12]).seat == 6, "the free seat"
    calm.drawn()
    busy.drawn()
    assert calm.draw.seats == busy.draw.seats == 10
    assert busy.pool[12] not in busy.round.panel
    assert not set(busy.round.panel) & {gone}


def test_a_suspended_juror_is_not_drawn_later() -> None:
    life = JuryLife(replace(PANEL, panel_sizes=(9,)))
    for member in life.pool[:6]:
        life.ok(SuspendJuror(juror=member, reason=SuspensionReason.FRAUD), by="d")
    life.answered().drawn()
    assert set(life.round.panel) == set(life.pool[6:])


def test_a_panel_counts_among_the_open_cases_of_its_jurors() -> None:
    life = drawing().drawn()
    for member in life.round.panel:
        juror = life.juror(member)
        assert [(case.claim, case.round) for case in juror.cases] == [(1, 1)]
        assert juror.drawn == 1
    panel = life.round.panel
    life.vote(3, 0)
    assert all(not life.juror(member).cases for member in panel)


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 9), jurors=st.integers(0, 9), openers=st.permutations("abcd"))
def test_panels_have_their_size_or_everybody_and_nobody_twice(size: int, jurors: int, openers: list[str]) -> None:
    life = JuryLife(replace(PANEL, panel_sizes=(size,)), jurors=jurors).answered().drawn("abcd", "".join(openers[:3]))
    panel = life.round.panel
    assert len(panel) == len(set(panel)) == min(size, jurors)
    assert set(panel) <= set(life.pool)
    if panel:
        assert life.cast(dict.fromkeys(panel, Vote.PAY)) is ResultCode.OK
    assert life.draw.phase is DrawPhase.DONE


def dealings_of(life: JuryLife) -> dict[int, Dealing]:
    found = {}
    for dealer in life.draw.dealers:
        raw = life.chain.state.get(keys.jury_dealing(1, life.case.round, life.round.attempt, dealer))
        assert raw is not None
        found[dealer] = decode_trusted(Dealing, decode_trusted(DealingRecord, raw).dealing)
    return found


def test_a_draw_that_does_not_follow_from_its_records_is_found_out() -> None:
    life = drawing(jurors=20).drawn()
    draw, dealings, chain = life.draw, dealings_of(life), life.chain.digest
    assert check_draw(chain, 1, 1, 1, draw, dealings) == life.round.panel
    first, second, *others = draw.steps
    for changed, theirs in (
        (replace(draw, seed=bytes(32)), dealings),
        (replace(draw, steps=(second, first, *others)), dealings),
        (replace(draw, steps=(replace(first, seat=first.seat % draw.seats + 1), second, *others)), dealings),
        (replace(draw, seats=draw.seats + 1, steps=draw.steps), dealings),
        (replace(draw, shares=draw.shares[::-1]), dealings),
        (replace(draw, opened=draw.opened[:2]), dealings),
        (replace(draw, opened=(*draw.opened[:2], replace(draw.opened[2], share=draw.keys[0]))), dealings),
        (replace(draw, dealers=draw.dealers[:3]), dealings),
        (draw, {**dealings, 0: dealings[1]}),
        (draw, {number: dealings[number] for number in (0, 1, 2)}),
        (replace(draw, weak=True), dealings),
        (replace(draw, phase=DrawPhase.OPEN), dealings),
    ):
        with pytest.raises(BadDraw):
            check_draw(chain, 1, 1, 1, changed, theirs)
    for place in ((bytes(32), 1, 1, 1), (chain, 2, 1, 1), (chain, 1, 2, 1), (chain, 1, 1, 2)):
        with pytest.raises(BadDraw):
            check_draw(*place, draw, dealings)


def test_the_clients_duty_is_what_the_draw_waits_for() -> None:
    """Each organisation by the keys of its account: deal, open, and nothing more."""
    life = drawing()
    account = SigningKey(bytes(32))
    exam, own = jury_public_keys(account)
    assert draw_duty(account, life.chain.digest, 9, 1, 1, 1, life.draw) is None
    life = JuryLife(PANEL)
    life.ok(RegisterJuryKeys(exam=exam, beacon=own), by="a")
    life.answered()
    duty = draw_duty(account, life.chain.digest, 0, 1, 1, 1, life.draw)
    assert isinstance(duty, DealBeacon)
    life.ok(duty, by="a")
    assert draw_duty(account, life.chain.digest, 0, 1, 1, 1, life.draw) is None
    for name in "bcd":
        life.deal(name)
    life.deadline()
    duty = draw_duty(account, life.chain.digest, 0, 1, 1, 1, life.draw)
    assert isinstance(duty, OpenBeacon)
    life.ok(duty, by="a")
    assert draw_duty(account, life.chain.digest, 0, 1, 1, 1, life.draw) is None
