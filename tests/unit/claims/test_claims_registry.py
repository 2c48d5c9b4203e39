"""The registry reads plans from the state at hand, whatever it has decoded before."""

from __future__ import annotations

import pytest

from node.claims import keys, registry
from node.claims.invariants import InvariantBroken
from node.claims.registry import GenesisPlans, Registry, plan_rows
from node.claims.state import Draft
from node.claims.wire import encode
from tests.factories import Chain, make_genesis, plan, with_terms

CODE = "critical-illness"


def test_one_registry_answers_from_each_of_two_forks() -> None:
    """Two blocks on one parent, of which one has a second version: neither sees what only the other has."""
    chain = Chain()
    known = chain.application.registry
    first, second = plan(CODE), with_terms(plan(CODE), version=2, effective_day=30_000, fee_bps=500)
    with_it, without = Draft(chain.state), Draft(chain.state)
    for key, row in plan_rows(0, [first, second]):
        with_it.put(key, row)
    for _ in range(2):
        assert [terms.plan.version for terms in known.plan(with_it, 0).versions] == [1, 2]
        assert [terms.plan.version for terms in known.plan(without, 0).versions] == [1]
        assert known.plan(with_it, 0).terms_on(30_000).plan.fee_bps == 500
        assert known.plan(without, 0).terms_on(30_000).plan.fee_bps == 800


def test_two_forks_may_give_one_version_number_to_different_terms() -> None:
    chain = Chain()
    known = chain.application.registry
    forks = []
    for fee_bps in (100, 200):
        fork = Draft(chain.state)
        for key, row in plan_rows(0, [plan(CODE), with_terms(plan(CODE), version=2, effective_day=9, fee_bps=fee_bps)]):
            fork.put(key, row)
        forks.append(fork)
    assert [known.plan(fork, 0).terms_on(9).plan.fee_bps for fork in (*forks, *forks)] == [100, 200, 100, 200]


def test_plans_are_found_by_code_and_listed_in_order() -> None:
    chain = Chain()
    known = chain.application.registry
    assert [one.code for one in known.plans(chain.state)] == [CODE, "hospital-reimbursement"]
    found = known.find(chain.state, CODE)
    assert found is not None and found.number == 0
    assert known.find(chain.state, CODE[:-1]) is None
    assert known.find(chain.state, "krank-ü") is None
    assert known.find(chain.state, "x" * 500) is None
    assert known.plan_or_none(chain.state, 2) is known.plan_or_none(chain.state, -1) is None
    assert found.version(1) is found.versions[0] and found.version(2) is None


def test_terms_that_are_not_those_of_the_index_stop_the_node() -> None:
    chain = Chain()
    chain.state.put(keys.plan_terms(0, 1), encode(with_terms(plan(CODE), fee_bps=1)))
    with pytest.raises(InvariantBroken, match="not the one its index names"):
        Registry(chain.genesis).plan(chain.state, 0)
    with pytest.raises(InvariantBroken, match="no plan 7"):
        Registry(chain.genesis).plan(chain.state, 7)


def test_what_is_kept_is_bounded_and_right_after_it_was_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLANS_KEPT", 1)
    monkeypatch.setattr(registry, "_TERMS_KEPT", 1)
    chain = Chain()
    known = Registry(chain.genesis)
    for _ in range(2):
        assert [one.code for one in known.plans(chain.state)] == [CODE, "hospital-reimbursement"]
    assert len(known._plans) == len(known._terms) == 1


def test_the_plans_of_a_genesis_can_be_read_without_a_node() -> None:
    known = Registry(make_genesis())
    rows = GenesisPlans(known)
    assert [one.code for one in known.plans(rows)] == [CODE, "hospital-reimbursement"]
    assert len(list(rows.scan(*keys.table(keys.PLAN_INDEX)))) == 2
