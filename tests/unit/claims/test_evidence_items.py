"""Evidence items on the chain: who may register, hold, grant, record, erase and restrain, and what refuses it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.application import Receipt
from node.claims.calendar import day_number, start_of
from node.claims.consortium import OrganisationTally
from node.claims.events import EventKind
from node.claims.evidence.actions import (
    MAX_GRANT_MS,
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    HoldEvidence,
    Opening,
    Purpose,
    Recipient,
    RecordOpening,
    RegisterEvidence,
    RestrainErasure,
)
from node.claims.evidence.module import SIGNATURE_DAYS
from node.claims.evidence.queries import EvidenceQueries
from node.claims.evidence.records import ItemRecord, ItemStatus, live_grant, load_grant, load_item, the_item
from node.claims.genesis import EvidenceRules, Role
from node.claims.module import InvariantBroken
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    Reason,
    Review,
)
from node.claims.mutual_aid.records import the_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.queries import BadQuery
from node.claims.results import ResultCode
from node.claims.transaction import Action
from node.claims.types import DAY_MS, HOUR_MS
from node.claims.wire import decode_trusted, encode
from tests.factories import ORGANISATIONS, ROLES, Chain, key_of, make_genesis, new_member, person, plan, with_terms

CODE = "critical-illness"
APRIL_1 = day_number(2026, 4, 1)
MEMBER = key_of("member")
STRANGER = key_of("stranger")
RULES = EvidenceRules(hold_after_payment_days=20, hold_after_denial_days=10)


def account(name: str) -> bytes:
    return key_of(f"account {name}")


class Desk:
    """Claim 1, filed by c for a member of a; an investigator is assigned."""

    def __init__(self, *, by: str | bytes = "c") -> None:
        terms = with_terms(plan(CODE), evidence=RULES)
        self.chain = Chain(make_genesis(plans=(terms,)))
        self.do("a", Enrol(plan=CODE, members=(new_member(1, key=MEMBER), new_member(2, key=key_of("other")))))
        self.chain.until(start_of(APRIL_1 + 9, 480))
        claim = FileClaim(plan=CODE, member=1, ailment="S01", diagnosis_day=APRIL_1, accident=False, evidence=person(9))
        assert self.do(by, claim) == ResultCode.OK

    def send(self, sender: str | bytes, *actions: Action) -> Receipt:
        return self.chain.do(sender, *actions)

    def do(self, sender: str | bytes, *actions: Action) -> ResultCode:
        return ResultCode(self.send(sender, *actions).code)

    @property
    def investigator(self) -> str:
        return ORGANISATIONS[the_claim(self.chain.state, 1).assigned]

    @property
    def uninvolved(self) -> str:
        """With the role to handle evidence, but no part in the claim."""
        return next(name for name in ("a", "b", "d") if name != self.investigator)

    def item(self, number: int = 1) -> ItemRecord:
        return the_item(self.chain.state, number)

    def recipient(self, key: bytes = MEMBER, *, hours: int = 24, purpose: Purpose = Purpose.REVIEW) -> Recipient:
        return Recipient(key=key, purpose=purpose, until_ms=self.chain.now_ms + hours * HOUR_MS)

    def register(self, sender: str | bytes = "c", *, claim: int = 1, seed: int = 50) -> ResultCode:
        action = RegisterEvidence(
            claim=claim,
            commitment=person(seed),
            ciphertext=person(seed + 1),
            bucket=3,
            recipients=(self.recipient(account("c"), purpose=Purpose.INVESTIGATION),),
        )
        return self.do(sender, action)

    def deny(self) -> None:
        investigator = self.investigator
        self.do(investigator, Investigate(claim=1, finding=Finding.PASS, report=person(5)))
        review = Review(
            claim=1,
            decision=Decision.DENY,
            clause="4.1",
            evidence=person(9),
            reason=Reason.DEFINITION_NOT_MET,
        )
        assert self.do(self.investigator, review) == ResultCode.OK
        assert self.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_OPEN_CLAIM
        while the_claim(self.chain.state, 1).status is not ClaimStatus.CLOSED_DENIED:
            self.wait(1)

    def wait(self, days: int) -> None:
        self.chain.wait(days=days)


def registered(*, by: str | bytes = "c") -> Desk:
    desk = Desk(by=by)
    assert desk.register(by) == ResultCode.OK
    return desk


def closed() -> Desk:
    """The claim is denied for good, and the plan no longer keeps its papers."""
    desk = registered()
    desk.deny()
    desk.wait(RULES.hold_after_denial_days)
    return desk


# --- registering


def test_item_of_a_claim_is_held_by_whom_the_claim_involves() -> None:
    desk = registered()
    item = desk.item()
    assert item.status is ItemStatus.KEPT and item.claim == 1
    assert [ORGANISATIONS[holder] for holder in item.holders] == sorted({"c", desk.investigator})
    grant = load_grant(desk.chain.state, 1, account("c"))
    assert grant is not None and grant.purpose is Purpose.INVESTIGATION


def test_item_that_a_member_registers_is_held_by_the_enroller_too() -> None:
    desk = registered(by=MEMBER)
    assert "a" in [ORGANISATIONS[holder] for holder in desk.item().holders]
    assert (desk.item().organisation, desk.item().member) == (-1, 1)


def test_item_that_stands_alone_is_held_by_its_organisation() -> None:
    desk = Desk()
    assert desk.register("b", claim=0) == ResultCode.OK
    assert desk.item().holders == (1,)
    assert desk.register(MEMBER, claim=0, seed=70) == ResultCode.OK
    assert desk.item(2).holders == (0,)


def test_registering_is_refused_to_strangers_of_the_claim_twice_and_without_a_claim() -> None:
    desk = registered()
    assert desk.register(desk.uninvolved, seed=60) == ResultCode.NOT_INVOLVED
    assert desk.register(key_of("other"), seed=60) == ResultCode.NOT_INVOLVED
    assert desk.register() == ResultCode.EVIDENCE_ITEM_KNOWN
    assert desk.register(claim=9, seed=60) == ResultCode.UNKNOWN_CLAIM


def test_recipients_must_be_accounts_and_grants_must_end_within_a_year() -> None:
    desk = Desk()
    for recipient, code in (
        (desk.recipient(STRANGER), ResultCode.UNKNOWN_RECIPIENT),
        (desk.recipient(hours=0), ResultCode.GRANT_EXPIRY_OUT_OF_RANGE),
        (desk.recipient(hours=MAX_GRANT_MS // HOUR_MS + 1), ResultCode.GRANT_EXPIRY_OUT_OF_RANGE),
    ):
        action = RegisterEvidence(
            claim=1, commitment=person(1), ciphertext=person(2), bucket=0, recipients=(desk.recipient(), recipient)
        )
        receipt = desk.send("c", action)
        assert (receipt.code, receipt.detail) == (code, "recipient 1")


# --- holding


def test_organisation_that_the_claim_involves_later_becomes_a_holder() -> None:
    desk = registered()
    assert desk.do("c", HoldEvidence(item=1)) == ResultCode.ALREADY_HOLDER
    assert desk.do("c", HoldEvidence(item=2)) == ResultCode.UNKNOWN_EVIDENCE_ITEM
    before = desk.investigator
    desk.do(before, Investigate(claim=1, finding=Finding.PASS, report=person(5)))
    reviewer = desk.investigator
    outsider = next(name for name in ("a", "b", "d") if name not in (before, reviewer))
    assert desk.do(outsider, HoldEvidence(item=1)) == ResultCode.NOT_INVOLVED
    if ORGANISATIONS.index(reviewer) not in desk.item().holders:
        assert desk.do(reviewer, HoldEvidence(item=1)) == ResultCode.OK
    assert ORGANISATIONS.index(reviewer) in desk.item().holders


def test_item_that_stands_alone_is_held_by_whom_it_is_granted() -> None:
    desk = Desk()
    desk.register("b", claim=0)
    assert desk.do("d", HoldEvidence(item=1)) == ResultCode.NOT_INVOLVED
    grant = GrantEvidence(item=1, recipient=desk.recipient(account("d")))
    assert desk.do("b", grant) == ResultCode.OK
    assert desk.do("d", HoldEvidence(item=1)) == ResultCode.OK
    assert desk.item().holders == (1, 3)


# --- granting


def test_claimant_and_involved_organisations_grant_and_nobody_else() -> None:
    desk = registered()
    grant = GrantEvidence(item=1, recipient=desk.recipient(account("b")))
    assert desk.do(MEMBER, grant) == ResultCode.OK
    assert desk.do("c", grant) == ResultCode.OK
    assert desk.do(desk.investigator, grant) == ResultCode.OK
    assert desk.do(desk.uninvolved, grant) == ResultCode.NOT_INVOLVED
    assert desk.do(key_of("other"), grant) == ResultCode.NOT_INVOLVED
    assert desk.do("c", GrantEvidence(item=7, recipient=desk.recipient())) == ResultCode.UNKNOWN_EVIDENCE_ITEM
    assert desk.do("c", GrantEvidence(item=1, recipient=desk.recipient(STRANGER))) == ResultCode.UNKNOWN_RECIPIENT


def test_grant_is_over_at_its_time_and_when_it_is_ended() -> None:
    desk = registered()
    state, key = desk.chain.state, account("b")
    desk.do("c", GrantEvidence(item=1, recipient=desk.recipient(key, hours=2)))
    until_ms = desk.chain.now_ms - 1 + 2 * HOUR_MS
    assert live_grant(state, 1, desk.item(), key, until_ms - 1) is not None
    assert live_grant(state, 1, desk.item(), key, until_ms) is None
    end = GrantEvidence(item=1, recipient=Recipient(key=key, purpose=Purpose.AUDIT, until_ms=0))
    assert desk.do("c", end) == ResultCode.OK
    grant = load_grant(state, 1, key)
    assert grant is not None and grant.until_ms == desk.chain.now_ms and grant.purpose is Purpose.REVIEW
    assert live_grant(state, 1, desk.item(), key, desk.chain.now_ms) is None
    assert desk.do("c", end) == ResultCode.NO_SUCH_GRANT


def test_who_has_a_say_never_depends_on_a_backlog_of_the_clock() -> None:
    desk = registered()
    chain = desk.chain
    claim = the_claim(chain.state, 1)
    late = with_backlog(desk)
    assert late.do("c", GrantEvidence(item=1, recipient=late.recipient(account("b")))) == ResultCode.CLOCK_BEHIND
    assert claim.deadline_ms <= chain.now_ms


def with_backlog(desk: Desk, *, days: int = 40) -> Desk:
    """The clock fires nothing any more."""
    application = desk.chain.application
    application.genesis = replace(application.genesis, deadlines_per_block=0)
    desk.chain.wait(days=days)
    return desk


# --- openings


def test_holder_anchors_openings_of_granted_keys_once() -> None:
    desk = registered()
    opening = Opening(item=1, recipient=account("c"), opened_ms=desk.chain.now_ms, receipt=person(80))
    assert desk.do("c", RecordOpening(openings=(opening,))) == ResultCode.OK
    assert desk.do("c", RecordOpening(openings=(opening,))) == ResultCode.OPENING_KNOWN
    stranger = Opening(item=1, recipient=account("b"), opened_ms=desk.chain.now_ms, receipt=person(81))
    assert desk.do("c", RecordOpening(openings=(stranger,))) == ResultCode.NO_SUCH_GRANT
    future = Opening(item=1, recipient=account("c"), opened_ms=desk.chain.now_ms + DAY_MS, receipt=person(81))
    assert desk.do("c", RecordOpening(openings=(future,))) == ResultCode.NO_SUCH_GRANT
    fresh = Opening(item=1, recipient=account("c"), opened_ms=desk.chain.now_ms, receipt=person(82))
    assert desk.do(desk.uninvolved, RecordOpening(openings=(fresh,))) == ResultCode.NOT_A_HOLDER
    unknown = Opening(item=5, recipient=account("c"), opened_ms=desk.chain.now_ms, receipt=person(83))
    receipt = desk.send("c", RecordOpening(openings=(fresh, unknown)))
    assert (receipt.code, receipt.detail) == (ResultCode.UNKNOWN_EVIDENCE_ITEM, "opening 1")


# --- erasing


def test_item_is_erased_when_every_holder_has_signed() -> None:
    desk = closed()
    other = next(ORGANISATIONS[h] for h in desk.item().holders if ORGANISATIONS[h] != "c")
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.ERASURE_NOT_STARTED
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.EVIDENCE_IS_ERASED
    assert desk.item().status is ItemStatus.ERASING
    assert live_grant(desk.chain.state, 1, desk.item(), account("c"), 0) is None
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.OK
    assert desk.do("c", ConfirmErasure(item=1)) == ResultCode.ERASURE_ALREADY_SIGNED
    outsider = next(name for name in ("a", "b", "d") if ORGANISATIONS.index(name) not in desk.item().holders)
    assert desk.do(outsider, ConfirmErasure(item=1)) == ResultCode.NOT_A_HOLDER
    assert desk.do(other, ConfirmErasure(item=2)) == ResultCode.UNKNOWN_EVIDENCE_ITEM
    assert desk.item().status is ItemStatus.ERASING
    receipt = desk.send(other, ConfirmErasure(item=1))
    assert [event.kind for event in receipt.events] == [EventKind.ERASURE_SIGNED, EventKind.EVIDENCE_ERASED]
    item = desk.item()
    assert item.status is ItemStatus.ERASED and item.signed == item.holders and item.deadline_ms == 0
    assert desk.do("c", GrantEvidence(item=1, recipient=desk.recipient())) == ResultCode.EVIDENCE_IS_ERASED
    assert desk.do("c", HoldEvidence(item=1)) == ResultCode.EVIDENCE_IS_ERASED
    # What the claim cites stays as it was.
    assert the_claim(desk.chain.state, 1).status is ClaimStatus.CLOSED_DENIED


def test_claimant_may_ask_for_the_erasure_and_strangers_may_not() -> None:
    desk = closed()
    assert desk.do(key_of("other"), EraseEvidence(item=1)) == ResultCode.NOT_INVOLVED
    outsider = next(
        name
        for name in ("a", "b", "d")
        if ORGANISATIONS.index(name) not in (*desk.item().holders, the_claim(desk.chain.state, 1).reviewer)
    )
    assert desk.do(outsider, EraseEvidence(item=1)) == ResultCode.NOT_INVOLVED
    assert desk.do(MEMBER, EraseEvidence(item=1)) == ResultCode.OK


def test_open_claim_holds_its_evidence() -> None:
    desk = registered()
    for sender in ("c", MEMBER):
        assert desk.do(sender, EraseEvidence(item=1)) == ResultCode.HELD_BY_OPEN_CLAIM


def test_denied_claim_holds_its_evidence_for_the_days_of_the_plan() -> None:
    desk = registered()
    desk.deny()
    denied_ms = the_claim(desk.chain.state, 1).changed_ms
    desk.chain.until(denied_ms + RULES.hold_after_denial_days * DAY_MS - 1)
    # The refusal comes in the last block of the window, and the next one is behind it.
    desk.chain.now_ms -= 1
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_WINDOW
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK


def test_paid_claim_holds_its_evidence_for_the_clawback_window() -> None:
    desk = registered()
    desk.do(desk.investigator, Investigate(claim=1, finding=Finding.PASS, report=person(5)))
    assert desk.do(desk.investigator, Review(claim=1, decision=Decision.ACCEPT)) == ResultCode.OK
    while the_claim(desk.chain.state, 1).status is not ClaimStatus.SETTLED:
        desk.wait(1)
    claim = the_claim(desk.chain.state, 1)
    pay = ConfirmPayment(claim=1, amount=claim.amount, receipt=person(6))
    assert desk.do(ORGANISATIONS[claim.assigned], pay) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_WINDOW
    desk.wait(RULES.hold_after_payment_days)
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK


def test_court_order_holds_an_item_until_it_is_lifted() -> None:
    desk = closed()
    order = RestrainErasure(item=1, order=person(90))
    assert desk.do("c", RestrainErasure(item=1, order=b"short")) == ResultCode.NOT_A_COMMITMENT
    assert desk.do("c", RestrainErasure(item=1, order=b"")) == ResultCode.ORDER_UNCHANGED
    assert desk.do("a", order) == ResultCode.FORBIDDEN
    assert desk.do("c", order) == ResultCode.OK
    assert desk.do("d", order) == ResultCode.ORDER_UNCHANGED
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.HELD_BY_ORDER
    assert desk.do("d", RestrainErasure(item=1, order=b"")) == ResultCode.OK
    assert desk.do("c", EraseEvidence(item=1)) == ResultCode.OK
    assert desk.do("c", order) == ResultCode.EVIDENCE_IS_ERASED


def missed(chain: Chain, organisation: int) -> int:
    raw = chain.state.get(keys.tally(organisation))
    return 0 if raw is None else decode_trusted(OrganisationTally, raw).erasures_missed


@pytest.mark.parametrize("backlog", [False, True])
def test_holders_that_do_not_sign_in_time_are_counted_and_named(backlog: bool) -> None:
    """The same whether the clock came to it, or the late signature did."""
    desk = closed()
    desk.do("c", EraseEvidence(item=1))
    desk.do("c", ConfirmErasure(item=1))
    other = next(holder for holder in desk.item().holders if ORGANISATIONS[holder] != "c")
    due_ms = desk.item().deadline_ms
    assert due_ms == desk.item().erasing_ms + SIGNATURE_DAYS * DAY_MS
    if backlog:
        with_backlog(desk, days=0)
    desk.chain.until(due_ms)
    if not backlog:
        events = desk.chain.results[-1].clock.events
        assert [e.organisation for e in events if e.kind is EventKind.ERASURE_LATE] == [other]
        assert desk.item().deadline_ms == 0
    assert desk.do(ORGANISATIONS[other], ConfirmErasure(item=1)) == ResultCode.OK
    assert desk.item().status is ItemStatus.ERASED
    assert (missed(desk.chain, other), missed(desk.chain, 2)) == (1, 0)


# --- roles, invariants, queries

ANY_ACTION: tuple[Action, ...] = (
    RegisterEvidence(
        claim=0,
        commitment=person(1),
        ciphertext=person(2),
        bucket=0,
        recipients=(Recipient(key=MEMBER, purpose=Purpose.AUDIT, until_ms=1),),
    ),
    HoldEvidence(item=1),
    GrantEvidence(item=1, recipient=Recipient(key=MEMBER, purpose=Purpose.AUDIT, until_ms=1)),
    RecordOpening(openings=(Opening(item=1, recipient=MEMBER, opened_ms=1, receipt=person(3)),)),
    EraseEvidence(item=1),
    ConfirmErasure(item=1),
    RestrainErasure(item=1, order=b""),
)
ALLOWED: dict[Role, tuple[int, ...]] = {
    Role.INTAKE: (0, 1, 2, 3, 4, 5),
    Role.INVESTIGATOR: (0, 1, 2, 3, 4, 5),
    Role.REVIEWER: (0, 1, 2, 3, 4, 5),
    Role.PAYMENT: (0, 1, 2, 3, 4, 5),
    Role.ENROLLER: (2, 3, 4, 5),
    Role.AUDITOR: (),
    Role.REGULATOR: (6,),
}


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
def test_a_role_allows_what_the_table_says_and_nothing_else(role: Role) -> None:
    genesis = make_genesis()
    only = replace(genesis.organisations[0], roles=(role,))
    # The others keep what plans need.
    fill = replace(genesis.organisations[2], roles=(Role.INTAKE, Role.INVESTIGATOR, Role.ENROLLER))
    pay = replace(genesis.organisations[1], roles=ROLES["b"])
    chain = Chain(replace(genesis, organisations=(only, pay, fill, genesis.organisations[3])))
    for index, action in enumerate(ANY_ACTION):
        refused = chain.do("a", action).code == ResultCode.FORBIDDEN
        assert refused == (index not in ALLOWED[role]), f"{role.value}: {type(action).__name__}"


def test_members_own_key_may_register_grant_and_ask_for_erasure_only() -> None:
    desk = Desk()
    refused = [desk.do(MEMBER, action) == ResultCode.FORBIDDEN for action in ANY_ACTION]
    assert refused == [False, True, False, True, False, True, True]


def test_item_that_contradicts_itself_stops_the_node() -> None:
    desk = registered()
    broken = replace(desk.item(), status=ItemStatus.ERASED)
    desk.chain.state.put(keys.item(1), encode(broken))
    module = next(m for m in desk.chain.application.modules if m.name == "evidence")
    with pytest.raises(InvariantBroken):
        module.check(desk.chain.state, "evidence", 1)
    module.check(desk.chain.state, "plan", 1)


def test_queries_page_through_items_grants_and_openings() -> None:
    desk = registered()
    state, queries = desk.chain.state, EvidenceQueries(desk.chain.application.registry)
    for seed in (60, 62):
        assert desk.register(claim=0, seed=seed) == ResultCode.OK
    assert desk.register(claim=1, seed=64) == ResultCode.OK
    first = queries.items(state, claim=None, cursor=None, limit=3)
    assert [item["id"] for item in first["items"]] == ["E-000001", "E-000002", "E-000003"]
    assert [i["id"] for i in queries.items(state, claim=None, cursor=first["next"], limit=3)["items"]] == ["E-000004"]
    of_claim = queries.items(state, claim=1, cursor=None, limit=1)
    assert [item["id"] for item in of_claim["items"]] == ["E-000001"] and of_claim["next"] == "4"
    assert [i["id"] for i in queries.items(state, claim=1, cursor="4", limit=9)["items"]] == ["E-000004"]
    for receipt in (80, 81):
        opening = Opening(item=1, recipient=account("c"), opened_ms=desk.chain.now_ms, receipt=person(receipt))
        desk.do("c", RecordOpening(openings=(opening,)))
    page = queries.openings(state, 1, cursor=None, limit=1)
    assert page is not None and len(page["items"]) == 1
    rest = queries.openings(state, 1, cursor=page["next"], limit=1)
    assert rest is not None and rest["next"] is None and rest["items"] != page["items"]
    shown = queries.item(state, 1)
    assert shown is not None and shown["grants"][0]["organisation"] == "c"
    assert queries.item(state, 9) is None and queries.openings(state, 9, cursor=None, limit=1) is None
    for wrong in ("x", "-1"):
        with pytest.raises(BadQuery):
            queries.items(state, claim=None, cursor=wrong, limit=1)
        with pytest.raises(BadQuery):
            queries.openings(state, 1, cursor=wrong, limit=1)
    assert load_item(state, 99) is None
