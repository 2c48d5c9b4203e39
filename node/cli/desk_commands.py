"""The desk's part of `weal claim`: investigate, review and pay. Attached to the group in `claim_commands`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import REJECTED, USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, claim_name, claim_number, minor_units, plan_digits, show_step
from node.cli.connect import Connection, make_client, send, signing_options

if TYPE_CHECKING:
    from node.client import Outcome

REASONS: Final = (
    "definition-not-met",
    "condition-before-cover",
    "declaration-untrue",
    "excluded-cause",
    "evidence-insufficient",
    "evidence-false",
    "identity-not-proven",
    "already-reimbursed",
    "not-medically-necessary",
    "court-order",
)
"""In the order of their numbers, from 1; a test compares them with the ledger's."""
CLAUSE_OPTION = click.option(
    "--clause", default="", help="Clause of the plan, such as 4.1; against the claim it is needed."
)
REASON_OPTION = click.option("--reason", type=click.Choice(REASONS), help="Against the claim it is needed.")


@click.command()
@click.argument("id")
@click.option("--pass", "passed", flag_value=True, type=bool, help="The facts support the claim.")
@click.option("--fail", "passed", flag_value=False, type=bool, help="They do not: name a clause and a reason.")
@click.option("--report", multiple=True, required=True, metavar="FILE|HEX", help="The report to commit to.")
@CLAUSE_OPTION
@REASON_OPTION
@OPENING_OPTION
@output_options
@signing_options
def investigate(
    connection: Connection,
    id: str,
    passed: bool | None,
    report: tuple[str, ...],
    clause: str,
    reason: str | None,
    opening: Path | None,
    wait: bool,
) -> None:
    """Report an investigation that is assigned to your organisation.

    \b
    Examples:
      weal claim investigate C-000001 --pass --report findings.pdf --as b
      weal claim investigate C-000002 --fail --clause 4.1 --reason excluded-cause --report findings.pdf --as b
    """
    from node.claims.mutual_aid.actions import Finding, Investigate
    from node.cli.evidence import commit_to

    if passed is None:
        raise CommandError("give --pass or --fail", code=USAGE)
    number = claim_number(id)
    value, kept = commit_to(report, "report", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    action = Investigate(
        claim=number,
        finding=Finding.PASS if passed else Finding.FAIL,
        report=value,
        clause=clause,
        reason=reason_number(reason),
    )
    show_step(connection, _send(connection, action, wait), "investigated", "weal claim watch {claim}")


@click.command()
@click.argument("id")
@click.option("--accept", "accepted", flag_value=True, type=bool, help="Grant the claim.")
@click.option("--deny", "accepted", flag_value=False, type=bool, help="Deny it: name clause, evidence and reason.")
@click.option("--amount", help="What is granted, in reimbursement plans; all that was asked for unless given.")
@click.option("--evidence", metavar="FILE|HEX", help="The evidence item that a denial cites; the claim's unless given.")
@CLAUSE_OPTION
@REASON_OPTION
@OPENING_OPTION
@output_options
@signing_options
def review(
    connection: Connection,
    id: str,
    accepted: bool | None,
    amount: str | None,
    evidence: str | None,
    clause: str,
    reason: str | None,
    opening: Path | None,
    wait: bool,
) -> None:
    """Decide a claim whose review is assigned to your organisation.

    \b
    Examples:
      weal claim review C-000001 --accept --as c
      weal claim review C-000002 --deny --clause 3.1 --reason definition-not-met --as c
    """
    from node.claims.mutual_aid.actions import Decision, Review
    from node.cli.evidence import commit_to

    if accepted is None:
        raise CommandError("give --accept or --deny", code=USAGE)
    number = claim_number(id)

    async def run() -> Outcome:
        async with make_client(connection) as client:
            record = await client.claim(claim_name(id))
            plan = await client.plan(record["plan"])
            granted, cited = 0, b""
            if accepted and plan["benefit"] == "reimbursement":
                granted = minor_units(amount or record["claimed"], int(plan["minor_digits"]))
            if not accepted:
                cited = commit_to([evidence], "evidence", opening)[0] if evidence else bytes.fromhex(record["evidence"])
            action = Review(
                claim=number,
                decision=Decision.ACCEPT if accepted else Decision.DENY,
                amount=granted,
                clause=clause,
                evidence=cited,
                reason=reason_number(reason),
            )
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_step(connection, asyncio.run(run()), "accepted" if accepted else "denied", "weal claim show {claim}")


@click.command()
@click.argument("id")
@click.option("--receipt", multiple=True, required=True, metavar="FILE|HEX", help="The bank's receipt to commit to.")
@click.option("--amount", help="What was paid; what is payable unless given.")
@OPENING_OPTION
@output_options
@signing_options
def pay(
    connection: Connection, id: str, receipt: tuple[str, ...], amount: str | None, opening: Path | None, wait: bool
) -> None:
    """Confirm that your organisation has paid a claim.

    \b
    Examples:
      weal claim pay C-000001 --receipt transfer.pdf --as d
    """
    from node.claims.mutual_aid.actions import ConfirmPayment
    from node.cli.evidence import commit_to

    number = claim_number(id)

    async def run() -> Outcome:
        async with make_client(connection) as client:
            record = await client.claim(claim_name(id))
            text = amount or record["payable"]
            if text is None:
                raise CommandError(f"{claim_name(id)} is {record['status']}: nothing is to be paid yet", code=REJECTED)
            paid = minor_units(text, await plan_digits(client, record["plan"]))
            value, kept = commit_to(receipt, "receipt", opening)
            if kept is not None:
                connection.settings.note(f"what the commitment hides is in {kept}")
            action = ConfirmPayment(claim=number, amount=paid, receipt=value)
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_step(connection, asyncio.run(run()), "paid", "weal claim show {claim}")


def reason_number(word: str | None) -> int:
    return 0 if word is None else REASONS.index(word) + 1


def _send(connection: Connection, action: Any, wait: bool) -> Outcome:
    async def run() -> Outcome:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    return asyncio.run(run())
