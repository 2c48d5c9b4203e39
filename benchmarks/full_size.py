"""The full-size run: every member of a real health fund, over four organisations, through the real API.

    python -m benchmarks.full_size                 the published file, from ../shared/data
    python -m benchmarks.full_size --data FILE     from elsewhere
    python -m benchmarks.full_size --sample        a small built-in sample: the same path in about two minutes

Four node processes with a scaled clock. All people are enrolled, 1,000 in a transaction, a quarter of them by each
organisation. Every hospital stay and every operation with an amount is filed as a reimbursement claim, investigated
by one organisation, reviewed by another, disclosed, confirmed, settled and paid. At the end, the totals of the
ledger are held against the file's, to the cent, on every node. Writes build/full-size.md and .json.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from benchmarks.health_fund import (
    DEFAULT_FILE,
    PUBLISHED_CENTS,
    PUBLISHED_ROWS,
    FundError,
    Person,
    person_key,
    read_fund,
    sample_fund,
    totals,
)
from benchmarks.report import Report, machine
from benchmarks.watch import MIB, disk_bytes, usage
from node.claims.builders import person_commitment
from node.claims.calendar import day_of, month_of
from node.claims.ids import claim_id, member_id
from node.claims.money import amount_text, parse_amount
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    Decision,
    Enrol,
    FileClaim,
    Finding,
    Investigate,
    NewMember,
    Review,
)
from node.claims.transaction import Action
from node.client import Account, Client
from node.localnet import Localnet

log = logging.getLogger("benchmarks")

PLAN: Final = "hospital-reimbursement"
NAMES: Final = {"H01": "hospital stays", "H02": "operations"}
ORGANISATIONS: Final = ("harbour", "meadow", "summit", "valley")
OFFSET_MINUTES: Final = 60
"""The plan's offset from UTC."""
MEMBERS_PER_TRANSACTION: Final = 1_000
CLAIMS_PER_ROUND: Final = 200
DAY_MS: Final = 86_400_000
_PATIENCE_S: Final = 900.0


class Mismatch(Exception):
    """The ledger and the file disagree, or the nodes do."""


class Fund:
    """One run: the accounts of the four organisations, and what has been done so far."""

    def __init__(self, net: Localnet, people: Sequence[Person], clients: dict[str, Client]) -> None:
        self._net, self._people, self._clients = net, people, clients
        genesis = net.genesis()
        valid_ms = genesis.max_validity_ms * 9 // 10
        self._accounts = {
            name: Account(client, net.key(name), genesis=genesis.digest, valid_for_ms=valid_ms)
            for name, client in clients.items()
        }
        self.members: dict[int, int] = {}
        """Row -> member number."""
        self.transactions = 0
        self.seconds: dict[str, float] = {}

    async def step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        begin = time.monotonic()
        await work()
        self.seconds[name] = time.monotonic() - begin
        log.info("%-12s %7.1f s", name, self.seconds[name])

    async def _submit(self, name: str, batches: Sequence[Sequence[Action]]) -> list[dict[str, Any]]:
        """Submit one transaction for each batch of actions; answers their receipts' events, one list."""
        outcomes = await self._accounts[name].submit_many(batches, timeout_s=_PATIENCE_S)
        self.transactions += len(outcomes)
        for outcome in outcomes:
            if not outcome.succeeded:
                raise Mismatch(f"{name}: {outcome.status} {outcome.result} {outcome.detail}")
        return [event for outcome in outcomes for event in (outcome.receipt or {}).get("events", [])]

    async def chain_day(self) -> int:
        status = await self._clients[ORGANISATIONS[0]].status()
        return day_of(int(status["chain_now_ms"]), OFFSET_MINUTES)

    async def enrol(self) -> None:
        """All people, in blocks of rows, each organisation a quarter."""
        month = month_of(await self.chain_day())
        key = person_key(self._net.state.genesis)
        rows = range(0, len(self._people), MEMBERS_PER_TRANSACTION)
        chunks = [range(first, min(first + MEMBERS_PER_TRANSACTION, len(self._people))) for first in rows]

        async def of(number: int, name: str) -> None:
            for chunk in chunks[number :: len(ORGANISATIONS)]:
                entries = [self._people[row] for row in chunk]
                members = tuple(
                    NewMember(
                        person=person_commitment(key, person.identity),
                        birth_month=month - person.age_months,
                    )
                    for person in entries
                )
                events = await self._submit(name, [[Enrol(plan=PLAN, members=members)]])
                first = member_id(str(next(e["member"] for e in events if e["what"] == "members-enrolled")))
                self.members.update({row: first + index for index, row in enumerate(chunk)})

        await asyncio.gather(*(of(number, name) for number, name in enumerate(ORGANISATIONS)))

    async def wait_for_cover(self) -> None:
        """Cover begins on the day after enrolment."""
        enrolled = await self.chain_day()
        while await self.chain_day() <= enrolled:
            await asyncio.sleep(0.2)

    async def file(self) -> None:
        """One claim for each service with an amount; each organisation files those of the members it enrolled."""
        today = await self.chain_day()
        by_organisation: dict[str, list[FileClaim]] = {name: [] for name in ORGANISATIONS}
        for row, person in enumerate(self._people):
            name = ORGANISATIONS[row // MEMBERS_PER_TRANSACTION % len(ORGANISATIONS)]
            for code, cents in person.cents.items():
                if cents:
                    claim = FileClaim(
                        plan=PLAN,
                        member=self.members[row],
                        ailment=code,
                        diagnosis_day=today,
                        accident=False,
                        evidence=sha256(f"invoice/{person.identity}/{code}".encode()).digest(),
                        amount=cents,
                    )
                    by_organisation[name].append(claim)
        await asyncio.gather(*(self._in_rounds(name, claims) for name, claims in by_organisation.items()))

    async def _in_rounds(self, name: str, actions: Sequence[Action]) -> None:
        for start in range(0, len(actions), CLAIMS_PER_ROUND):
            await self._submit(name, [[action] for action in actions[start : start + CLAIMS_PER_ROUND]])

    async def _work_off(self, status: str, act: Callable[[dict[str, Any]], Action]) -> int:
        """Each organisation does what its worklist holds in one status; answers how many steps that were."""

        async def of(name: str) -> int:
            waiting = [claim async for claim in self._clients[name].worklist(name) if claim["status"] == status]
            await self._in_rounds(name, [act(claim) for claim in waiting])
            return len(waiting)

        return sum(await asyncio.gather(*(of(name) for name in ORGANISATIONS)))

    async def investigate(self) -> None:
        await self._work_off(
            "filed",
            lambda claim: Investigate(
                claim=claim_id(claim["id"]), finding=Finding.PASS, report=_paper("report", claim)
            ),
        )

    async def review(self) -> None:
        await self._work_off(
            "investigated",
            lambda claim: Review(
                claim=claim_id(claim["id"]), decision=Decision.ACCEPT, amount=_cents(claim["claimed"])
            ),
        )

    async def settle(self) -> None:
        """Disclosure, confirmation and settlement happen by themselves, by block time."""
        while (await self._statuses())["settled"] == 0:
            await asyncio.sleep(0.2)

    async def pay(self) -> None:
        """Until every claim is paid. A payment deadline that passes hands a claim to another organisation."""
        end = time.monotonic() + _PATIENCE_S
        claims = sum(1 for person in self._people for cents in person.cents.values() if cents)
        while (statuses := await self._statuses())["paid"] < claims:
            if time.monotonic() > end:
                raise Mismatch(f"of {claims} claims only these are done: {statuses}")
            paid = await self._work_off(
                "settled",
                lambda claim: ConfirmPayment(
                    claim=claim_id(claim["id"]), amount=_cents(claim["amount"]), receipt=_paper("receipt", claim)
                ),
            )
            if not paid:
                await asyncio.sleep(0.2)

    async def _statuses(self) -> dict[str, int]:
        counts: dict[str, int] = (await self._totals(ORGANISATIONS[0]))["claims_by_status"]
        return counts

    async def _totals(self, name: str) -> dict[str, Any]:
        programme = await self._clients[name].programme()
        totals_of: dict[str, Any] = next(plan for plan in programme["plans"] if plan["plan"] == PLAN)
        return totals_of

    async def compare(self) -> dict[str, Any]:
        """Hold every node's ledger against the people's amounts. Raises Mismatch."""
        expected = totals(list(self._people))
        found: dict[str, Any] = {}
        for name in ORGANISATIONS:
            paid: Counter[str] = Counter()
            async for claim in self._clients[name].claims(plan=PLAN):
                if claim["status"] != "paid":
                    raise Mismatch(f"{name}: claim {claim['id']} is {claim['status']}")
                paid[claim["ailment"]["code"]] += _cents(claim["amount"])
            plan = await self._totals(name)
            if dict(paid) != {code: cents for code, cents in expected.items() if cents}:
                raise Mismatch(f"{name}: paid {dict(paid)} cents by service, the file says {expected}")
            if _cents(plan["paid"]) != sum(expected.values()) or _cents(plan["payable"]):
                raise Mismatch(f"{name}: the plan paid {plan['paid']}, the file says {sum(expected.values())} cents")
            if plan["members_enrolled"] != len(self._people):
                raise Mismatch(f"{name}: {plan['members_enrolled']} members, the file has {len(self._people)}")
            found[name] = plan
        cycles = [cycle async for cycle in self._clients[ORGANISATIONS[0]].cycles(PLAN)]
        settled = [cycle for cycle in cycles if cycle["cases"]]
        _check_shares(settled)
        return {"plan": found[ORGANISATIONS[0]], "cycles": settled}


def _check_shares(cycles: Sequence[dict[str, Any]]) -> None:
    """Each share again, by the published rule. Raises Mismatch."""
    for cycle in cycles:
        need = _cents(cycle["payouts"]) + _cents(cycle["fee"]) - _cents(cycle["surplus_before"])
        share = -(-need // cycle["members"])
        if share != _cents(cycle["share"]) or share * cycle["members"] - need != _cents(cycle["surplus_after"]):
            raise Mismatch(
                f"cycle {cycle['cycle']}: the share of {need} cents among {cycle['members']} is {share}: {cycle}"
            )


def _cents(text: str) -> int:
    return parse_amount(text, 2)


def _paper(kind: str, claim: dict[str, Any]) -> bytes:
    """Stands for a document: its commitment."""
    return sha256(f"{kind}/{claim['id']}".encode()).digest()


async def run(net: Localnet, people: Sequence[Person]) -> dict[str, Any]:
    """Everything on a running cluster; answers what was measured. Raises Mismatch."""
    clients = {name: net.async_client(name, timeout_s=60.0, patience_s=120.0) for name in ORGANISATIONS}
    try:
        fund = Fund(net, people, clients)
        begin = time.monotonic()
        await fund.step("enrolment", fund.enrol)
        await fund.step("cover begins", fund.wait_for_cover)
        await fund.step("filing", fund.file)
        await fund.step("investigation", fund.investigate)
        await fund.step("review", fund.review)
        await fund.step("settlement", fund.settle)
        await fund.step("payment", fund.pay)
        seconds = time.monotonic() - begin
        outcome = await fund.compare()
        level = await _level(clients)
        return {
            "seconds": seconds,
            "steps": fund.seconds,
            "transactions": fund.transactions,
            "claims": sum(1 for person in people for cents in person.cents.values() if cents),
            "members": len(people),
            "services": [
                (f"paid for {NAMES[code]}", f"{amount_text(cents, 2)} EUR", "as in the file")
                for code, cents in totals(list(people)).items()
            ],
            **level,
            **outcome,
        }
    finally:
        for client in clients.values():
            await client.close()


async def _level(clients: dict[str, Client]) -> dict[str, Any]:
    """Height, view and state root, once all four nodes agree on them."""
    end = time.monotonic() + 120
    while True:
        statuses = [await client.status() for client in clients.values()]
        if len({(status["height"], status["state_root"]) for status in statuses}) == 1:
            return {key: statuses[0][key] for key in ("height", "view", "state_root")}
        if time.monotonic() > end:
            raise Mismatch(f"the nodes do not agree: {[(s['node'], s['height'], s['state_root']) for s in statuses]}")
        await asyncio.sleep(0.1)


def report_of(found: dict[str, Any], command: str, host: dict[str, str], source: str) -> Report:
    steps, members = found["steps"], found["members"]
    cycles = found["cycles"]
    figures = [
        ("members enrolled", f"{members:,}", f"{members / steps['enrolment']:,.0f} members/s, 1,000 in a transaction"),
        ("claims filed, settled and paid", f"{found['claims']:,}", f"{found['plan']['paid']} EUR, equal to the cent"),
        *found["services"],
        ("share per member", ", ".join(cycle["share"] for cycle in cycles), "EUR, 3 % fee included"),
        ("transactions", f"{found['transactions']:,}", f"in {found['height']:,} blocks, view {found['view']}"),
        ("time", f"{found['seconds']:.0f} s", "of which waiting for the plan's calendar "
         f"{steps['cover begins'] + steps['settlement']:.0f} s"),
    ]  # fmt: skip
    busy = sum(steps[name] for name in ("filing", "investigation", "review", "payment"))
    figures.append(("steps of claims", f"{4 * found['claims'] / busy:,.0f} transactions/s", "each signed, one by one"))
    for name, seen in found["nodes"].items():
        remark = f"memory {seen['rss_bytes'] / MIB:.0f} MiB, processor {seen['cpu_s']:.0f} s"
        figures.append((f"node {name}", f"{seen['disk_bytes'] / MIB:.0f} MiB on disk", remark))
    notes = [f"Source: {source}.", f"All four nodes ended at state root `{found['state_root']}`."]
    return Report(title="Full-size run", command=command, machine=host, figures=figures, notes=notes, data=found)


def load_people(options: argparse.Namespace) -> tuple[list[Person], str]:
    """The people and where they come from. Raises FundError."""
    if options.sample:
        return sample_fund(options.sample), f"built-in sample of {options.sample} people"
    people = list(read_fund(options.data))
    if options.data == DEFAULT_FILE and (len(people) != PUBLISHED_ROWS or totals(people) != PUBLISHED_CENTS):
        raise FundError(f"{options.data} is not the published file: {len(people)} rows, {totals(people)} cents")
    sums = ", ".join(f"{code} {amount_text(cents, 2)} EUR" for code, cents in totals(people).items())
    return people, f"{options.data.name}: {len(people):,} rows; {sums}"


def measure(people: Sequence[Person], time_scale: int, folder: Path) -> dict[str, Any]:
    """Start the cluster, run, look at the processes."""
    with Localnet(
        names=ORGANISATIONS,
        directory=folder / "net",
        chain="full-size",
        time_scale=time_scale,
        max_validity_ms=20 * DAY_MS,
    ) as net:
        found = asyncio.run(run(net, people))
        seen = {name: usage(net, name, 0.0) for name in net.names}
        net.stop()
        found["nodes"] = {
            name: {
                "rss_bytes": one.rss_bytes if one else 0,
                "cpu_s": one.cpu_s if one else 0.0,
                "disk_bytes": disk_bytes(net.folder(name) / "data"),
            }
            for name, one in seen.items()
        }
        return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, default=DEFAULT_FILE, help="the fund's CSV, gzipped (default %(default)s)")
    parser.add_argument("--sample", type=int, nargs="?", const=400, help="use so many made-up people instead (400)")
    parser.add_argument(
        "--time-scale", type=int, default=0, help="chain seconds per second (default 8640; sample 43200)"
    )
    parser.add_argument("--output", type=Path, default=None, help="folder of the report (default build/)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        people, source = load_people(options)
    except FundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    host = machine()
    with tempfile.TemporaryDirectory(prefix="weal-full-size-") as folder:
        try:
            found = measure(people, options.time_scale or (43_200 if options.sample else 8_640), Path(folder))
        except Mismatch as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    command = " ".join(["python -m benchmarks.full_size", *(sys.argv[1:] if arguments is None else arguments)])
    report = report_of(found, command, host, source)
    path = report.write("full-size", *([options.output] if options.output else []))
    print(report.markdown())
    print(f"written to {path} and {path.with_suffix('.json').name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
