"""The enroller's part of `weal member`: leave, move, key, contributions and arrears. Attached in `member_commands`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, minor_units, plan_digits
from node.cli.connect import Connection, make_client, send, signing_options
from node.cli.member_commands import member_name

if TYPE_CHECKING:
    from node.client import Outcome


def _number(text: str) -> int:
    from node.claims.ids import member_id

    return member_id(member_name(text))


def _send(connection: Connection, action: Any, wait: bool) -> Outcome:
    async def run() -> Outcome:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    return asyncio.run(run())


def _tell(connection: Connection, outcome: Outcome, name: str, done: str) -> None:
    document = {"member": name, "transaction": outcome.id, "status": outcome.status, "block": outcome.height}
    document["events"] = list((outcome.receipt or {}).get("events", ()))
    text = f"{name} {done}" if outcome.receipt else f"submitted; follow it with: weal tx wait {outcome.id}"
    connection.settings.result(document, text)


@click.command()
@click.argument("id")
@click.option("--family", is_flag=True, help="All for whom the member pays leave as well.")
@output_options
@signing_options
def leave(connection: Connection, id: str, family: bool, wait: bool) -> None:
    """End a membership at the end of the day. A cycle disclosed by then is still shared.

    \b
    Examples:
      weal member leave M-000001 --as a
      weal member leave M-000001 --family --as a
    """
    from node.claims.mutual_aid.actions import Leave

    outcome = _send(connection, Leave(member=_number(id), family=family), wait)
    _tell(connection, outcome, member_name(id), "leaves at the end of the day")


@click.command()
@click.argument("id")
@click.option("--plan", required=True, help="Code of the plan to move to; the member's own to change its units.")
@click.option("--units", type=click.IntRange(1, 10), help="Shares to pay of each cycle; as before unless given.")
@click.option("--payer", help="Member of the new plan who pays for this one.")
@output_options
@signing_options
def move(connection: Connection, id: str, plan: str, units: int | None, payer: str | None, wait: bool) -> None:
    """Move a member to another plan, or to other units, from tomorrow. Days already waited count.

    \b
    Examples:
      weal member move M-000001 --plan elderly-cancer --as a
      weal member move M-000001 --plan critical-illness --units 2 --as a
    """
    from node.claims.mutual_aid.actions import MoveMember

    action = MoveMember(member=_number(id), plan=plan, units=units or 0, payer=_number(payer) if payer else 0)
    outcome = _send(connection, action, wait)
    events = (outcome.receipt or {}).get("events", ())
    goes_on = next((event["goes_on"] for event in events if "goes_on" in event), None)
    _tell(connection, outcome, member_name(id), f"goes on as {goes_on} in {plan}")


@click.command()
@click.argument("id")
@click.option("--public-key", metavar="HEX", help="The member's own; --key is the one that signs this.")
@click.option("--none", "nothing", is_flag=True, help="The member has no key from now on.")
@output_options
@signing_options
def key(connection: Connection, id: str, public_key: str | None, nothing: bool, wait: bool) -> None:
    """Give a member a key of its own, another one, or none; once a day.

    \b
    Examples:
      weal member key M-000001 --public-key 6a09e667… --as a
      weal member key M-000001 --none --as a
    """
    from node.claims.mutual_aid.actions import SetKey

    if (public_key is None) != nothing:
        raise CommandError("give --public-key HEX or --none", code=USAGE)
    try:
        value = bytes.fromhex(public_key or "")
    except ValueError:
        value = b"?"
    if len(value) not in (0, 32):
        raise CommandError("a public key has 64 hex digits", code=USAGE)
    outcome = _send(connection, SetKey(member=_number(id), key=value), wait)
    _tell(connection, outcome, member_name(id), "has no key now" if nothing else "has this key now")


@click.command()
@click.argument("id")
@click.option("--amount", required=True, help="What the member paid, such as 100.00.")
@click.option("--receipt", multiple=True, required=True, metavar="FILE|HEX", help="The receipt to commit to.")
@OPENING_OPTION
@output_options
@signing_options
def deposit(
    connection: Connection, id: str, amount: str, receipt: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Record what a member has paid: arrears first, the rest is paid ahead.

    \b
    Examples:
      weal member deposit M-000001 --amount 100.00 --receipt slip.pdf --as a

    Without arrears this opens a balance, and the ledger finds by itself when it runs out.
    """
    from node.claims.mutual_aid.actions import RecordContribution
    from node.cli.evidence import commit_to

    name = member_name(id)

    async def run() -> Outcome:
        async with make_client(connection) as client:
            record = await client.member(name)
            paid = minor_units(amount, await plan_digits(client, record["plan"]))
            if paid < 1:
                raise CommandError("the amount must be above 0", code=USAGE)
            value, kept = commit_to(receipt, "receipt", opening)
            if kept is not None:
                connection.settings.note(f"what the commitment hides is in {kept}")
            action = RecordContribution(member=_number(id), amount=paid, receipt=value)
            return (await send(connection, client, [[action]], wait=wait))[0]

    _tell(connection, asyncio.run(run()), name, f"has paid {amount}")


@click.command()
@click.argument("id")
@click.option("--amount", help="All that the member owes; without it, what it owes is shown.")
@output_options
@signing_options
def arrears(connection: Connection, id: str, amount: str | None, wait: bool) -> None:
    """Report what your organisation could not collect from a member, or show what it owes.

    \b
    Examples:
      weal member arrears M-000001 --as a
      weal member arrears M-000001 --amount 0.30 --as a
    """
    from node.claims.mutual_aid.actions import ReportArrears

    name = member_name(id)

    async def run() -> tuple[dict[str, Any], Outcome | None]:
        async with make_client(connection) as client:
            record = await client.member(name)
            if amount is None:
                return dict(record), None
            owed = minor_units(amount, await plan_digits(client, record["plan"]))
            if owed < 1:
                raise CommandError("the amount must be above 0", code=USAGE)
            action = ReportArrears(member=_number(id), amount=owed)
            return dict(record), (await send(connection, client, [[action]], wait=wait))[0]

    record, outcome = asyncio.run(run())
    if outcome is not None:
        _tell(connection, outcome, name, f"owes {amount}")
        return
    balance = record["balance"] or {"arrears": None, "failed_cycles": 0, "removal_ms": None}
    text = f"{name} owes {balance['arrears'] or 'nothing'}, cycles in a row that were not covered: "
    connection.settings.result({"member": name, **balance}, text + str(balance["failed_cycles"]))


@click.command("close-balance")
@click.argument("id")
@click.option("--receipt", multiple=True, required=True, metavar="FILE|HEX", help="Proof that it was paid back.")
@OPENING_OPTION
@output_options
@signing_options
def close_balance(connection: Connection, id: str, receipt: tuple[str, ...], opening: Path | None, wait: bool) -> None:
    """Record that a balance was paid back: your organisation collects for the member from now on.

    \b
    Examples:
      weal member close-balance M-000001 --receipt slip.pdf --as a
    """
    from node.claims.mutual_aid.actions import CloseBalance
    from node.cli.evidence import commit_to

    value, kept = commit_to(receipt, "receipt", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    outcome = _send(connection, CloseBalance(member=_number(id), receipt=value), wait)
    _tell(connection, outcome, member_name(id), "keeps no balance any more")
