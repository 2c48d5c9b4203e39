"""The making of a key on the chain: every guard, and what ends a ceremony."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from consensus.quorum import Member, MemberSet
from consensus.types import PublicKey
from node.claims.events import EventKind
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefusalReason, RefuseKey
from node.claims.nullifiers.records import (
    KeyState,
    KeyStatus,
    dealings_digest,
    load_dealing,
    load_key_epoch,
    load_key_state,
    load_refusal,
    threshold_of,
)
from node.claims.results import ResultCode
from tests.factories import ORGANISATIONS, Chain, key_of, make_genesis, person


def dealing(epoch: int = 1, *, threshold: int = 3, holders: int = 4) -> DealKey:
    return DealKey(
        epoch=epoch,
        commitments=tuple(person(number) for number in range(threshold)),
        ephemeral=person(9),
        proofs=bytes(128),
        shares=(bytes(48),) * holders,
    )


def digest_of(chain: Chain, epoch: int = 1) -> bytes:
    record = load_key_epoch(chain.state, epoch)
    assert record is not None
    dealings = [(number, load_dealing(chain.state, epoch, number)) for number in record.dealers]
    return dealings_digest(chain.digest, epoch, [(number, one) for number, one in dealings if one is not None])


def dealt(*names: str) -> Chain:
    chain = Chain()
    for name in names:
        assert chain.do(name, dealing()).code == 0
    return chain


def active(*, epoch: int = 1, chain: Chain | None = None) -> Chain:
    chain = Chain() if chain is None else chain
    for name in "abc":
        assert chain.do(name, dealing(epoch)).code == 0
    for name in "abd":
        assert chain.do(name, ConfirmKey(epoch=epoch, dealings=digest_of(chain, epoch))).code == 0
    return chain


@pytest.mark.parametrize("holders", range(1, 33))
def test_the_threshold_is_the_quorum_that_agrees_on_blocks(holders: int) -> None:
    members = tuple(Member(name=f"o{number}", key=PublicKey(key_of(str(number)))) for number in range(holders))
    members_set = MemberSet(epoch=0, members=members)
    assert threshold_of(holders) == members_set.quorum
    assert members_set.f < threshold_of(holders) <= holders - members_set.f


def test_a_key_is_active_when_a_quorum_has_dealt_and_confirmed() -> None:
    chain = active()
    record = load_key_epoch(chain.state, 1)
    assert record is not None
    assert (record.status, record.dealers, record.confirmed) == (KeyStatus.ACTIVE, (0, 1, 2), (0, 1, 3))
    assert load_key_state(chain.state) == KeyState(newest=1, active=1)
    events = chain.results[-1].receipts[0].events
    assert [event.kind for event in events] == [EventKind.KEY_CONFIRMED, EventKind.KEY_ACTIVE]
    # One that comes late may still say that its share is good.
    assert chain.do("c", ConfirmKey(epoch=1, dealings=digest_of(chain))).code == 0


def test_the_active_key_goes_on_until_the_next_one_is_active() -> None:
    chain = active()
    assert chain.do("d", dealing(2)).code == 0
    assert load_key_state(chain.state) == KeyState(newest=2, active=1)
    assert chain.do("d", RefuseKey(epoch=2, reason=RefusalReason.ABANDONED)).code == 0
    active(epoch=3, chain=chain)
    assert load_key_state(chain.state) == KeyState(newest=3, active=3)


def test_dealing_is_closed_by_the_first_confirmation() -> None:
    chain = dealt("a", "b", "c")
    assert chain.do("a", ConfirmKey(epoch=1, dealings=digest_of(chain))).code == 0
    assert chain.do("d", dealing()).code == ResultCode.DEALING_CLOSED


@pytest.mark.parametrize("epoch", [2, 3])
def test_an_epoch_cannot_be_skipped(epoch: int) -> None:
    assert Chain().do("a", dealing(epoch)).code == ResultCode.WRONG_KEY_EPOCH
    assert dealt("a").do("b", dealing(epoch)).code == ResultCode.WRONG_KEY_EPOCH


def test_an_active_epoch_is_not_dealt_for_again() -> None:
    assert active().do("d", dealing(1)).code == ResultCode.WRONG_KEY_EPOCH


@pytest.mark.parametrize(("threshold", "holders"), [(2, 4), (4, 4), (3, 3), (3, 5)])
def test_a_dealing_of_another_shape_is_refused_and_opens_nothing(threshold: int, holders: int) -> None:
    chain = Chain()
    assert chain.do("a", dealing(threshold=threshold, holders=holders)).code == ResultCode.WRONG_DEALING_SHAPE
    assert load_key_state(chain.state) == KeyState()


def test_nobody_deals_or_confirms_twice() -> None:
    chain = dealt("a", "b", "c")
    assert chain.do("a", dealing()).code == ResultCode.ALREADY_SAID
    confirmation = ConfirmKey(epoch=1, dealings=digest_of(chain))
    assert [chain.do("a", confirmation).code for _ in range(2)] == [ResultCode.OK, ResultCode.ALREADY_SAID]


def test_a_confirmation_waits_for_enough_dealings_and_names_them() -> None:
    chain = dealt("a", "b")
    assert chain.do("a", ConfirmKey(epoch=1, dealings=digest_of(chain))).code == ResultCode.TOO_FEW_DEALINGS
    before = digest_of(chain)
    assert chain.do("c", dealing()).code == 0
    assert chain.do("a", ConfirmKey(epoch=1, dealings=before)).code == ResultCode.OTHER_DEALINGS
    assert chain.do("a", ConfirmKey(epoch=2, dealings=before)).code == ResultCode.WRONG_KEY_EPOCH


def test_an_organisation_without_a_node_holds_no_share() -> None:
    genesis = make_genesis()
    organisations = (*genesis.organisations[:3], replace(genesis.organisations[3], node_key=b""))
    chain = Chain(replace(genesis, organisations=organisations))
    shape = dealing(threshold=2, holders=3)
    assert chain.do("d", shape).code == ResultCode.NO_KEY_HOLDER
    for name in "ab":
        assert chain.do(name, shape).code == 0
    assert chain.do("d", ConfirmKey(epoch=1, dealings=digest_of(chain))).code == ResultCode.NO_KEY_HOLDER
    assert chain.do("d", RefuseKey(epoch=1, reason=RefusalReason.ABANDONED)).code == ResultCode.NO_KEY_HOLDER


def test_a_refusal_ends_the_ceremony_and_names_the_accused() -> None:
    chain = dealt("a", "b", "c")
    refusal = RefuseKey(epoch=1, reason=RefusalReason.BAD_SHARE, accused=2, opening=person(1), proof=bytes(64))
    receipt = chain.do("d", refusal)
    assert [(event.kind, event.organisation, event.value) for event in receipt.events] == [
        (EventKind.KEY_REFUSED, 3, 2)
    ]
    record, kept = load_key_epoch(chain.state, 1), load_refusal(chain.state, 1, 3)
    assert record is not None and kept is not None
    assert (record.status, record.refused, kept.opening) == (KeyStatus.ABANDONED, (3,), person(1))
    assert chain.do("a", ConfirmKey(epoch=1, dealings=digest_of(chain))).code == ResultCode.WRONG_KEY_EPOCH
    assert chain.do("a", refusal).code == ResultCode.WRONG_KEY_EPOCH
    assert chain.do("a", dealing(2)).code == 0


def test_an_accusation_of_an_active_key_is_evidence_and_stops_nothing() -> None:
    chain = active()
    late = RefuseKey(epoch=1, reason=RefusalReason.BAD_SHARE, accused=2, opening=person(1), proof=bytes(64))
    assert chain.do("d", late).code == 0
    assert chain.do("d", late).code == ResultCode.ALREADY_SAID
    record = load_key_epoch(chain.state, 1)
    assert record is not None and record.status is KeyStatus.ACTIVE
    assert chain.do("c", RefuseKey(epoch=1, reason=RefusalReason.ABANDONED)).code == ResultCode.NOTHING_TO_REFUSE


def test_only_who_has_dealt_can_be_accused() -> None:
    chain = dealt("a")
    wrong = RefuseKey(epoch=1, reason=RefusalReason.BAD_DEALING, accused=1)
    assert chain.do("a", wrong).code == ResultCode.NOTHING_TO_REFUSE
    assert len(ORGANISATIONS) == 4
