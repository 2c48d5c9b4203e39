"""Evidence items on the chain: who may register, hold, grant, record, erase and restrain, and what refuses it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.evidence.actions import (
    MAX_GRANT_MS,
    GrantEvidence,
    HoldEvidence,
    Opening,
    Purpose,
    Recipient,
    RecordOpening,
    RegisterEvidence,
)
from node.claims.evidence.queries import EvidenceQueries
from node.claims.evidence.records import ItemStatus, live_grant, load_grant, load_item, next_status
from node.claims.module import InvariantBroken
from node.claims.mutual_aid.actions import (
    Finding,
    Investigate,
)
from node.claims.mutual_aid.records import the_claim
from node.claims.paging import BadQuery
from node.claims.results import ResultCode
from node.claims.types import DAY_MS, HOUR_MS
from node.claims.wire import encode
from tests.factories import ORGANISATIONS, Chain, key_of, make_genesis, person
from tests.unit.claims.evidence_desk import (
    MEMBER,
    STRANGER,
    Desk,
    account,
    registered,
    with_backlog,
)

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


def test_organisation_without_a_node_holds_nothing() -> None:
    genesis = make_genesis()
    nodeless = replace(genesis.organisations[1], node_key=b"")
    chain = Chain(replace(genesis, organisations=(*genesis.organisations[:1], nodeless, *genesis.organisations[2:])))
    reader = Recipient(key=account("b"), purpose=Purpose.AUDIT, until_ms=chain.now_ms + HOUR_MS)
    action = RegisterEvidence(claim=0, commitment=person(1), ciphertext=person(2), bucket=0, recipients=(reader,))
    assert chain.do("b", action).code == ResultCode.NOBODY_TO_HOLD
    assert chain.do("a", action).code == ResultCode.OK
    assert chain.do("b", HoldEvidence(item=1)).code == ResultCode.NOBODY_TO_HOLD


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


# --- invariants, queries


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


def test_a_step_that_the_table_of_an_item_does_not_hold_is_a_bug() -> None:
    assert next_status(ItemStatus.KEPT, EventKind.ERASURE_STARTED) is ItemStatus.ERASING
    for status in (ItemStatus.ERASING, ItemStatus.ERASED, None):
        with pytest.raises(InvariantBroken, match="ERASURE_STARTED"):
            next_status(status, EventKind.ERASURE_STARTED)
