"""The holders' part of `weal evidence`: copies, receipts, erasure. Attached to the group in `evidence_commands`."""

from __future__ import annotations

import asyncio
from typing import Any

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.connect import Connection, make_account, make_client, send, signing_options
from node.cli.evidence_commands import item_name, item_number


@click.command()
@click.argument("id")
@output_options
@signing_options
def hold(connection: Connection, id: str, wait: bool) -> None:
    """Keep a copy at your organisation's node, which fetches it from the other holders by itself.

    \b
    Examples:
      weal evidence hold E-000001 --as c
    """
    from node.claims.evidence.actions import HoldEvidence

    async def run() -> Any:
        async with make_client(connection) as client:
            return (await send(connection, client, [[HoldEvidence(item=item_number(id))]], wait=wait))[0]

    outcome = asyncio.run(run())
    document = {"evidence": item_name(id), "transaction": outcome.id, "status": outcome.status}
    connection.settings.result(document, f"your organisation holds {item_name(id)}, and must sign its erasure")


@click.command()
@click.argument("id")
@click.option("--anchor", is_flag=True, help="Put the receipts that are not on the ledger yet there.")
@output_options
@signing_options
def openings(connection: Connection, id: str, anchor: bool, wait: bool) -> None:
    """Show who opened an item at your organisation's node, from the signed receipts it keeps.

    \b
    Examples:
      weal evidence openings E-000001 --as a
      weal evidence openings E-000001 --anchor --as a
    """
    from node.vault.client import anchor_openings, openings_of

    async def run() -> tuple[Any, int]:
        async with make_client(connection) as client:
            account, number = make_account(connection, client), item_number(id)
            anchored = await anchor_openings(account, number, timeout_s=connection.timeout_s) if anchor else 0
            return await openings_of(account, number), anchored

    found, anchored = asyncio.run(run())

    def render(console: Any) -> None:
        from node.cli.show import table, when

        cells = [[entry.recipient, entry.purpose, when(entry.opened_ms), entry.digest] for entry in found]
        console.print(table(["opened by", "for", "when", "receipt"], cells))

    connection.settings.result({"evidence": item_name(id), "openings": found, "anchored": anchored}, render)


@click.command()
@click.argument("id")
@output_options
@signing_options
def erase(connection: Connection, id: str, wait: bool) -> None:
    """Erase an item: keys and bytes are destroyed at every holder, and each holder signs that.

    \b
    Examples:
      weal evidence erase E-000001 --as a
      weal evidence erase E-000001 --key member.key      a claimant asks for it

    Whoever asks first starts it, and no node serves the item from then on. Each holder runs the same command to
    sign, which it can only once its own node has destroyed its copy. An open claim, the plan's time for clawback or
    contest, and a court order refuse it.
    """
    from node.vault.client import erase_evidence

    async def run() -> Any:
        async with make_client(connection) as client:
            account = make_account(connection, client)
            return await erase_evidence(account, item_number(id), timeout_s=connection.timeout_s)

    done = asyncio.run(run())
    document = {
        "evidence": item_name(id),
        "status": done.status,
        "destroyed": done.destroyed,
        "signed": done.signed,
        "missing": list(done.missing),
    }
    waits = f"; still to sign: {', '.join(done.missing)}" if done.missing else ""
    connection.settings.result(document, f"{item_name(id)} is {done.status}{waits}")


@click.command()
@click.argument("id")
@click.option("--paper", multiple=True, metavar="FILE|HEX", help="The order to commit to.")
@click.option("--lift", is_flag=True, help="The order no longer stands.")
@output_options
@signing_options
def order(connection: Connection, id: str, paper: tuple[str, ...], lift: bool, wait: bool) -> None:
    """Forbid the erasure of an item by order of a court, or lift that. For regulators.

    \b
    Examples:
      weal evidence order E-000001 --paper order.pdf --as d
      weal evidence order E-000001 --lift --as d
    """
    from node.claims.evidence.actions import RestrainErasure
    from node.cli.evidence import commit_to

    if bool(paper) == lift:
        raise CommandError("give --paper or --lift, one of them", code=USAGE)
    value, kept = (b"", None) if lift else commit_to(paper, "order", None)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")

    async def run() -> Any:
        async with make_client(connection) as client:
            action = RestrainErasure(item=item_number(id), order=value)
            return (await send(connection, client, [[action]], wait=wait))[0]

    outcome = asyncio.run(run())
    document = {"evidence": item_name(id), "transaction": outcome.id, "status": outcome.status}
    connection.settings.result(document, f"{item_name(id)}: the order {'is lifted' if lift else 'stands'}")
