"""`weal audit` on a stopped node's databases: the root, the certificate, and what the state says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from node.audit import audit_api, audit_databases
from node.claims import keys
from node.claims.mutual_aid.records import load_plan
from node.claims.queries import Queries
from node.claims.wire import encode
from node.rows import record_key
from tests.unit.node.ledgers import Ledger, ledger_genesis, transfer


def silent(_: str) -> None:
    return None


def made(path: Path) -> None:
    ledger = Ledger(path)
    for number in range(1, 4):
        ledger.step(transfer(0, number))
    ledger.close()


def whats(path: Path) -> set[str]:
    return {finding.what for finding in audit_databases(path, ledger_genesis(), silent)[0]}


def test_a_good_node_is_found_good(tmp_path: Path) -> None:
    made(tmp_path)
    found, seen = audit_databases(tmp_path, ledger_genesis(), silent)
    assert found == []
    assert (seen["height"], seen["members"], seen["records"] > 20) == (3, 3, True)


def test_a_record_that_its_page_does_not_name_is_found(tmp_path: Path) -> None:
    made(tmp_path)
    ledger = Ledger(tmp_path)
    plan = replace(load_plan(ledger.state.view(), 0), surplus=5)
    ledger.state._db.write([(record_key(keys.plan_state(0)), encode(plan))], sync=True)
    ledger.close()
    assert whats(tmp_path) >= {"root", "equation"}


def test_a_state_that_no_quorum_signed_is_found(tmp_path: Path) -> None:
    """Records, pages and root agree with each other, but not with the block."""
    made(tmp_path)
    ledger = Ledger(tmp_path / "other")
    for number in range(1, 4):
        ledger.step(transfer(0, number + 10))
    ledger.close()
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "other" / "state").rename(tmp_path / "state")
    assert "certificate" in whats(tmp_path)


class Answers:
    """A client that answers from a state, and lies where told to."""

    def __init__(self, path: Path, **lies: str) -> None:
        self.ledger, self.lies = Ledger(path), lies
        self.queries, self.view = Queries(ledger_genesis()), self.ledger.state.view()

    async def plans(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.queries.plans(self.view)["items"]
        items[0]["totals"] |= self.lies
        return items

    async def cycles(self, code: str) -> AsyncIterator[dict[str, Any]]:
        for item in self.queries.cycles(self.view, code)["items"]:
            yield item

    async def members(self, *, plan: str) -> AsyncIterator[dict[str, Any]]:
        for item in self.queries.members(self.view, plan=plan, now_ms=ledger_genesis().time_ms)["items"]:
            yield item


def test_what_a_node_answers_is_added_up(tmp_path: Path) -> None:
    made(tmp_path)
    good = Answers(tmp_path)
    found, seen = asyncio.run(audit_api(good, silent))
    good.ledger.close()
    assert (found, seen["members"], seen["plans"]) == ([], 3, 2)
    for name, what in (
        ("surplus", "equation"),
        ("paid", "equation"),
        ("shared", "bills"),
        ("share_since_start", "cycle"),
    ):
        liar = Answers(tmp_path, **{name: "1.00"})
        found, _ = asyncio.run(audit_api(liar, silent))
        liar.ledger.close()
        assert what in {finding.what for finding in found}
