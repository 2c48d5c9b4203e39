"""`weal claim clawback`: a paid claim is called fraud, the member is heard, a panel votes, money comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, claim_name, claim_number, minor_units, plan_digits, show_step
from node.cli.connect import Connection, make_client, send, signing_options
from node.cli.desk_commands import CLAUSE_OPTION, REASON_OPTION, reason_number
from node.cli.life_commands import act, committed

if TYPE_CHECKING:
    from node.client import Outcome


@click.group()
def clawback() -> None:
    """Claim a payout back after fraud: open, answer, vote, record what comes back, write off.

    \b
    Examples:
      weal claim clawback open C-000001 --report report.pdf --clause 3.1 --reason evidence-false --as c
      weal claim clawback answer C-000001 --answer letter.pdf --as member.key
      weal claim clawback vote C-000001 --uphold --as d
      weal claim clawback recover C-000001 --amount 1000.00 --receipt transfer.pdf --as b
      weal claim clawback write-off C-000001 --as d
    """


@clawback.command("open")
@click.argument("id")
@click.option("--report", multiple=True, required=True, metavar="FILE|HEX", help="The fraud report to commit to.")
@CLAUSE_OPTION
@REASON_OPTION
@OPENING_OPTION
@output_options
@signing_options
def open_(
    connection: Connection,
    id: str,
    report: tuple[str, ...],
    clause: str,
    reason: str | None,
    opening: Path | None,
    wait: bool,
) -> None:
    """Call a paid claim fraud, as a reviewer. The chain fixes the panel that decides.

    \b
    Examples:
      weal claim clawback open C-000001 --report report.pdf --clause 3.1 --reason evidence-false --as c
    """
    from node.claims.mutual_aid.actions import OpenClawback

    number = claim_number(id)
    value = committed(connection, report, "report", opening)
    action = OpenClawback(claim=number, report=value, clause=clause, reason=reason_number(reason))
    act(connection, action, wait, "called fraud")


@clawback.command()
@click.argument("id")
@click.option("--answer", multiple=True, required=True, metavar="FILE|HEX", help="The member's answer to commit to.")
@OPENING_OPTION
@output_options
@signing_options
def answer(connection: Connection, id: str, answer: tuple[str, ...], opening: Path | None, wait: bool) -> None:
    """Answer, as the member or through its enroller: once, before the time to answer is over.

    \b
    Examples:
      weal claim clawback answer C-000001 --answer letter.pdf --as member.key
    """
    from node.claims.mutual_aid.actions import AnswerClawback

    number = claim_number(id)
    act(
        connection,
        AnswerClawback(claim=number, answer=committed(connection, answer, "answer", opening)),
        wait,
        "answered",
    )


@clawback.command()
@click.argument("id")
@click.option("--uphold", "upheld", flag_value=True, type=bool, help="It was fraud.")
@click.option("--drop", "upheld", flag_value=False, type=bool, help="It was not, or it is not proven.")
@output_options
@signing_options
def vote(connection: Connection, id: str, upheld: bool | None, wait: bool) -> None:
    """Vote on a clawback, as an organisation of its panel.

    \b
    Examples:
      weal claim clawback vote C-000001 --uphold --as d
    """
    from node.claims.mutual_aid.actions import VoteClawback

    if upheld is None:
        raise CommandError("give --uphold or --drop", code=USAGE)
    act(connection, VoteClawback(claim=claim_number(id), uphold=upheld), wait, "voted on")


@clawback.command()
@click.argument("id")
@click.option("--amount", required=True, help="What has come back.")
@click.option("--receipt", multiple=True, required=True, metavar="FILE|HEX", help="The bank's receipt to commit to.")
@OPENING_OPTION
@output_options
@signing_options
def recover(
    connection: Connection, id: str, amount: str, receipt: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Record money that has come back, as a payment organisation. It lowers the next shares.

    \b
    Examples:
      weal claim clawback recover C-000001 --amount 1000.00 --receipt transfer.pdf --as b
    """
    from node.claims.mutual_aid.actions import RecordRecovery

    number = claim_number(id)

    async def run() -> Outcome:
        async with make_client(connection) as client:
            record = await client.claim(claim_name(id))
            received = minor_units(amount, await plan_digits(client, record["plan"]))
            value = committed(connection, receipt, "receipt", opening)
            action = RecordRecovery(claim=number, amount=received, receipt=value)
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_step(connection, asyncio.run(run()), "paid back in part or in full", "weal claim show {claim}")


@clawback.command("write-off")
@click.argument("id")
@output_options
@signing_options
def write_off(connection: Connection, id: str, wait: bool) -> None:
    """Vote to give up what has not come back, as an organisation of the panel.

    \b
    Examples:
      weal claim clawback write-off C-000001 --as d
    """
    from node.claims.mutual_aid.actions import VoteWriteOff

    act(connection, VoteWriteOff(claim=claim_number(id)), wait, "voted on")
