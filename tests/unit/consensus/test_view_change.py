"""consensus/view_change.py: what is reported, what is chosen from it, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from consensus.messages import CommitCertificate, NewView, ViewChange
from consensus.types import Height, ReplicaId, Signature, View
from consensus.view_change import choose, prepared_prefix, verify_new_view, verify_view_change
from tests.unit.consensus.factories import Chain

replace = msgspec.structs.replace
CHAIN = Chain(4)
GENESIS = CHAIN.genesis.digest
A = CHAIN.block("a")
B = CHAIN.block("b", A.header)
C = CHAIN.block("c", B.header)
A2 = CHAIN.block("a2")
B2 = CHAIN.block("b2", A2.header)


def fault_of(change: ViewChange, prefix_max: int = 8) -> str | None:
    return verify_view_change(
        change,
        genesis=GENESIS,
        members=CHAIN.members,
        domain=CHAIN.domain,
        verify=CHAIN.scheme.verify,
        prefix_max=prefix_max,
    )


def new_view_fault(message: NewView) -> str | None:
    return verify_new_view(
        message,
        genesis=GENESIS,
        members=CHAIN.members,
        domain=CHAIN.domain,
        verify=CHAIN.scheme.verify,
        prefix_max=8,
    )


def chosen(*changes: ViewChange) -> tuple[CommitCertificate | None, list[bytes]]:
    base, headers = choose(changes, GENESIS)
    return base, [header.digest for header in headers]


def test_the_prefix_stops_at_a_hole() -> None:
    locks = {Height(1): CHAIN.prepared(A), Height(3): CHAIN.prepared(C)}
    assert [c.header for c in prepared_prefix(CHAIN.genesis, locks)] == [A.header]


def test_the_prefix_stops_where_the_parent_was_replaced() -> None:
    locks = {Height(1): CHAIN.prepared(A2, (2, 3), view=1), Height(2): CHAIN.prepared(B)}
    locks[Height(1)] = CHAIN.prepared(A2)
    assert [c.header for c in prepared_prefix(CHAIN.genesis, locks)] == [A2.header]


def test_the_prefix_starts_above_the_tip() -> None:
    locks = {Height(2): CHAIN.prepared(B), Height(3): CHAIN.prepared(C)}
    assert [c.header for c in prepared_prefix(A.header, locks)] == [B.header, C.header]
    assert prepared_prefix(CHAIN.genesis, locks) == ()


def test_nothing_prepared_means_nothing_to_repeat() -> None:
    assert chosen(*(CHAIN.view_change(r, 1) for r in (1, 2, 3))) == (None, [])


def test_a_block_prepared_anywhere_is_chosen() -> None:
    changes = (CHAIN.view_change(1, 1), CHAIN.view_change(2, 1, None, (CHAIN.prepared(A),)), CHAIN.view_change(3, 1))
    assert chosen(*changes) == (None, [A.digest])


def test_the_certificate_of_the_highest_view_wins() -> None:
    older = CHAIN.view_change(1, 5, None, (CHAIN.prepared(A), CHAIN.prepared(B)))
    newer = CHAIN.view_change(2, 5, None, (CHAIN.prepared(A2, (0, 2), view=1),))
    assert chosen(older, newer) == (None, [A2.digest])
    assert chosen(newer, older) == (None, [A2.digest])


def test_what_lies_above_a_replaced_block_is_dropped_even_from_a_later_view() -> None:
    """B is prepared in view 3, but hangs from A; at the height of A view 4 has prepared A2."""
    one = CHAIN.view_change(1, 5, None, (CHAIN.prepared(A), CHAIN.prepared(B, (1, 2), view=3)))
    two = CHAIN.view_change(2, 5, None, (CHAIN.prepared(A2, (1, 2), view=4),))
    assert chosen(one, two) == (None, [A2.digest])


def test_the_highest_commit_certificate_is_the_base() -> None:
    base = CHAIN.commit_certificate(A)
    changes = (
        CHAIN.view_change(1, 1, base, (CHAIN.prepared(B),)),
        CHAIN.view_change(2, 1, None, (CHAIN.prepared(A),)),
        CHAIN.view_change(3, 1),
    )
    assert chosen(*changes) == (base, [B.digest])


def test_certificates_below_the_base_do_not_matter() -> None:
    base = CHAIN.commit_certificate(B)
    change = CHAIN.view_change(2, 4, None, (CHAIN.prepared(A2, (0, 2), view=1), CHAIN.prepared(B2, (0, 2), view=1)))
    assert chosen(CHAIN.view_change(1, 4, base), change) == (base, [])


def test_an_honest_view_change_is_accepted() -> None:
    assert fault_of(CHAIN.view_change(1, 1)) is None
    assert fault_of(CHAIN.view_change(1, 1, None, (CHAIN.prepared(A), CHAIN.prepared(B)))) is None
    assert fault_of(CHAIN.view_change(1, 1, CHAIN.commit_certificate(A), (CHAIN.prepared(B),))) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (CHAIN.view_change(1, 0), "out of range"),
        (CHAIN.view_change(1, 1, None, (CHAIN.prepared(B),)), "hole"),
        (CHAIN.view_change(1, 1, None, (CHAIN.prepared(A), CHAIN.prepared(C))), "hole"),
        (CHAIN.view_change(1, 1, None, (CHAIN.prepared(A), CHAIN.prepared(B2))), "hole"),
        (CHAIN.view_change(1, 1, CHAIN.commit_certificate(A), (CHAIN.prepared(B2),)), "hole"),
        (CHAIN.view_change(1, 1, None, (CHAIN.prepared(A, (0, 2), view=1),)), "not over"),
        (CHAIN.view_change(1, 1, CHAIN.commit_certificate(A, (0, 1))), "bad commit certificate"),
        (CHAIN.view_change(1, 1, None, (CHAIN.prepared(A, (1,)),)), "bad prepared certificate"),
        (replace(CHAIN.view_change(1, 1), view=View(2)), "bad signature"),
        (replace(CHAIN.view_change(1, 1), replica=ReplicaId(2)), "bad signature"),
        (replace(CHAIN.view_change(1, 1), replica=ReplicaId(8)), "out of range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_view_change_is_refused(change: ViewChange, fault: str) -> None:
    found = fault_of(change)
    assert found is not None
    assert fault in found


def test_an_endless_prefix_is_refused_before_its_signatures_are_checked() -> None:
    change = CHAIN.view_change(1, 1, None, (CHAIN.prepared(A), CHAIN.prepared(B)))
    assert fault_of(change, prefix_max=1) == "prepared prefix too long"


def test_an_honest_new_view_is_accepted() -> None:
    assert new_view_fault(CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1, 3)])) is None


def test_one_bad_view_change_is_named() -> None:
    """Trap 6: each certificate is judged by itself."""
    bad = CHAIN.view_change(2, 1, None, (CHAIN.prepared(A, (1,)),))
    fault = new_view_fault(CHAIN.new_view(1, [CHAIN.view_change(0, 1), CHAIN.view_change(1, 1), bad]))
    assert fault == "view change of replica 2: bad prepared certificate"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1)]), "no quorum"),
        (CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1, 1)]), "no quorum"),
        (CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (1, 0, 2)]), "no quorum"),
        (CHAIN.new_view(1, [CHAIN.view_change(r, r) for r in (1, 2, 3)]), "another view"),
        (replace(CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1, 2)]), replica=ReplicaId(0)), "primary"),
        (
            replace(CHAIN.new_view(1, [CHAIN.view_change(r, 1) for r in (0, 1, 2)]), signature=Signature(bytes(64))),
            "bad signature",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_new_view_is_refused(message: NewView, fault: str) -> None:
    found = new_view_fault(message)
    assert found is not None
    assert fault in found
