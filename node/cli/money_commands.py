"""`weal money`: what came in, what each cycle cost and who owes what."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, minor_units, plan_digits
from node.cli.connect import Connection, make_client, node_options, send, signing_options
from node.cli.member_commands import DEFAULT_PLAN

if TYPE_CHECKING:
    from node.client import Outcome

_PLAN = click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")


@click.group()
def money() -> None:
    """What came in, what each cycle cost and who owes what.

    \b
    Examples:
      weal money show
      weal money cycles --plan critical-illness
      weal money receive --from a --amount 690000.00 --receipt transfer.pdf --as d
    """


@money.command()
@_PLAN
@output_options
@node_options
def show(connection: Connection, plan: str) -> None:
    """Show the money of a plan: shared, paid, owed, held.

    \b
    Examples:
      weal money show --plan hospital-reimbursement
      weal money show --json
    """
    record = _ask(connection, f"/v1/plans/{plan}")
    totals = record["totals"]

    def render(console: Any) -> None:
        from node.cli.show import sheet

        names = (
            ("shared", "shared among members"),
            ("sponsored", "borne by the sponsor"),
            ("recovered", "taken back"),
            ("settled", "payouts"),
            ("fees", "fees"),
            ("surplus", "surplus carried"),
            ("payable", "still to be paid"),
            ("receipts", "received from organisations"),
            ("cash", "cash before the fee"),
        )
        rows: list[tuple[str, Any]] = [(text, f"{totals[name]} {totals['currency']}") for name, text in names]
        rows += [(f"owed by {name}", amount) for name, amount in totals["receivable_of"].items()]
        console.print(sheet(rows))

    connection.settings.result(totals, render)


@money.command()
@_PLAN
@output_options
@node_options
def cycles(connection: Connection, plan: str) -> None:
    """List the cycles of a plan and what each cost.

    \b
    Examples:
      weal money cycles --plan critical-illness
    """

    async def ask() -> list[dict[str, Any]]:
        async with make_client(connection) as client:
            return [dict(row) async for row in client.cycles(plan)]

    rows = asyncio.run(ask())
    names: tuple[str, ...] = ("cycle", "disclosure_date", "status", "members", "cases", "granted", "payouts", "fee")
    names += ("share", "collected", "sponsored", "surplus_after")

    def render(console: Any) -> None:
        from node.cli.show import table

        heads = tuple(name.removesuffix("_date").replace("members", "units").replace("_", " ") for name in names)
        lines = [tuple("" if row[name] is None else str(row[name]) for name in names) for row in rows]
        console.print(table(heads, lines, right=(0, *range(3, len(names)))))

    connection.settings.result({"items": rows}, render)


@money.command()
@click.option("--from", "organisation", required=True, help="The organisation that handed the money over.")
@click.option("--amount", required=True, help="How much, such as 690000.00.")
@click.option("--receipt", multiple=True, required=True, metavar="FILE|HEX", help="The bank's receipt to commit to.")
@click.option("--sponsor", is_flag=True, help="It bears a shortfall as the plan's sponsor.")
@_PLAN
@OPENING_OPTION
@output_options
@signing_options
def receive(
    connection: Connection,
    organisation: str,
    amount: str,
    receipt: tuple[str, ...],
    sponsor: bool,
    plan: str,
    opening: Path | None,
    wait: bool,
) -> None:
    """Record that your organisation has received money for a plan.

    \b
    Examples:
      weal money receive --from a --amount 690000.00 --receipt transfer.pdf --as d
      weal money receive --from c --sponsor --amount 12.50 --receipt transfer.pdf --as d
    """
    from node.claims.mutual_aid.actions import RecordReceipt
    from node.cli.evidence import commit_to

    async def run() -> Outcome:
        async with make_client(connection) as client:
            units = minor_units(amount, await plan_digits(client, plan))
            if units < 1:
                raise CommandError("the amount must be above 0", code=2)
            value, kept = commit_to(receipt, "receipt", opening)
            if kept is not None:
                connection.settings.note(f"what the commitment hides is in {kept}")
            action = RecordReceipt(plan=plan, organisation=organisation, amount=units, receipt=value, sponsor=sponsor)
            return (await send(connection, client, [[action]], wait=wait))[0]

    outcome = asyncio.run(run())
    done = f"recorded {amount} from {organisation}" if wait else "submitted"
    connection.settings.result({"transaction": outcome.id, "plan": plan, "amount": amount}, done)


def _ask(connection: Connection, path: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            answer: dict[str, Any] = (await client.get(path, prove=False))["data"]
            return answer

    return asyncio.run(ask())
