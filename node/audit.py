"""Auditing a stopped node's databases, or a running node through its API. Behind `weal audit`.

Offline, the state is first tied to the consortium's signatures: the records to their pages, the pages to the
root, the root to the header, the header to a quorum's certificate. Then `claims/audit.py` counts everything
again. Through the API only what it publishes can be added up, and the node's word is taken for each record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from consensus.certificates import verify_commit_certificate
from node.claims.audit import Audit, Finding
from node.claims.genesis import Genesis
from node.claims.money import parse_amount
from node.claims.state import R
from node.claims.wire import decode_trusted
from node.crypto import verify
from node.errors import StoreError
from node.genesis import domain, member_set
from node.state import StateDatabase, StateView
from node.store import BlockStore

Say = Callable[[str], None]
_EQUATION: Final = ("shared", "sponsored", "recovered")


class _AsWritten(StateView):
    """Records as they are on the disk: one that is not the one its page names is a finding, and no reason to stop."""

    def get(self, key: bytes) -> bytes | None:
        return self._database.as_written(key)

    def load(self, key: bytes, kind: type[R]) -> R | None:
        value = self.get(key)
        return None if value is None else decode_trusted(kind, value)


def audit_databases(folder: Path, genesis: Genesis, say: Say) -> tuple[list[Finding], dict[str, Any]]:
    """Findings, and what was looked at. `folder` is the data directory of a node that does not run."""
    say("reading the pages of the state")
    blocks = BlockStore.open(folder / "blocks", genesis.digest)
    try:
        state = StateDatabase.open(folder / "state", genesis.digest)
        try:
            return _audit_open(state, blocks, genesis, say)
        finally:
            state.close()
    finally:
        blocks.close()


def _audit_open(
    state: StateDatabase, blocks: BlockStore, genesis: Genesis, say: Say
) -> tuple[list[Finding], dict[str, Any]]:
    found = _tie_to_chain(state, blocks, genesis)
    say("comparing every record with its page")
    try:
        state.audit()
    except StoreError as error:
        found.append(Finding("root", "state", str(error)))
    audit = Audit(genesis, _AsWritten(state), lambda what, count: say(f"{count:,} {what}"))
    found += audit.run()
    height, digest = state.tip or (0, b"")
    return found, {
        "height": height,
        "block": digest.hex(),
        "state_root": state.root().hex(),
        "records": state.record_count,
        **audit.counts,
    }


def _tie_to_chain(state: StateDatabase, blocks: BlockStore, genesis: Genesis) -> list[Finding]:
    """The root of the state is the one that a quorum signed."""
    tip = state.tip
    if tip is None:
        return [Finding("root", "state", "it is empty")]
    if tip[0] == 0:
        return []
    where = f"block {tip[0]}"
    header, certificate = blocks.header_at(tip[0]), blocks.certificate_at(tip[0])
    if header is None or certificate is None or header.digest != tip[1]:
        return [Finding("certificate", where, "the blocks do not have the block that the state is after")]
    found = []
    if header.state_root != state.root():
        text = f"its header has {header.state_root.hex()}, the state {state.root().hex()}"
        found.append(Finding("root", where, text))
    members = member_set(genesis)
    fits = certificate.digest == header.digest and certificate.height == header.height
    if not fits or not verify_commit_certificate(certificate, members, domain(genesis, members), verify):
        found.append(Finding("certificate", where, "it does not hold the valid signatures of a quorum"))
    return found


async def audit_api(client: Any, say: Say) -> tuple[list[Finding], dict[str, Any]]:
    """Adds up what a running node answers about plans, cycles and members."""
    found: list[Finding] = []
    counts = {"plans": 0, "cycles": 0, "members": 0}

    def expect(what: str, where: str, expected: int, actual: int) -> None:
        if expected != actual:
            found.append(Finding(what, where, f"recounted {expected}, answered {actual}"))

    for plan in await client.plans():
        totals, where = plan["totals"], f"plan {plan['code']}"
        digits = int(plan["minor_digits"])

        def fen(record: Any, name: str, digits: int = digits) -> int:
            return parse_amount(str(record[name] or "0"), digits)

        counts["plans"] += 1
        income = sum(fen(totals, name) for name in _EQUATION)
        expect("equation", where, income, sum(fen(totals, name) for name in ("settled", "fees", "surplus")))
        expect("equation", where, fen(totals, "settled"), fen(totals, "payable") + fen(totals, "paid"))
        accumulated = collected = payouts = 0
        async for cycle in client.cycles(plan["code"]):
            counts["cycles"] += 1
            accumulated += fen(cycle, "share")
            collected += fen(cycle, "collected")
            payouts += fen(cycle, "payouts")
            expect(
                "head count", f"{where}, cycle {cycle['cycle']}", sum(cycle["members_of"].values()), cycle["members"]
            )
        expect("cycle", f"{where}: shares", accumulated, fen(totals, "share_since_start"))
        expect("cycle", f"{where}: collected", collected, fen(totals, "shared"))
        expect("cycle", f"{where}: payouts", payouts, fen(totals, "settled"))
        billed = members = 0
        async for member in client.members(plan=plan["code"]):
            members += 1
            billed += fen(member, "billed")
            if members % 1_000 == 0:
                say(f"{members:,} members of {plan['code']}")
        counts["members"] += members
        expect("tally", f"{where}: members", members, totals["members_enrolled"])
        expect("bills", f"{where}: sum of all bills", billed, fen(totals, "shared"))
    return found, counts
