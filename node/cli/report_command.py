"""`weal report`: what a regulator may know of a plan's claims, in counts and sums."""

from __future__ import annotations

import asyncio
from typing import Any

import rich_click as click

from node.cli.base import output_options
from node.cli.connect import Connection, make_client, node_options
from node.cli.member_commands import DEFAULT_PLAN


@click.command()
@click.argument("code", default=DEFAULT_PLAN)
@click.option("--from", "first", default="", metavar="DATE", help="First day of filing; a year ago unless given.")
@click.option("--to", "last", default="", metavar="DATE", help="Last day of filing; today unless given.")
@output_options
@node_options
def report(connection: Connection, code: str, first: str, last: str) -> None:
    """Aggregates of a plan's claims for a regulator; counts below 5 are not shown.

    \b
    Examples:
      weal report critical-illness --from 2026-01-01 --to 2026-06-30
    """

    async def run() -> Any:
        async with make_client(connection) as client:
            return await client.report(code, first=first, last=last)

    record = asyncio.run(run())

    def render(console: Any) -> None:
        from node.cli.show import table

        console.print(f"{record['plan']}, claims filed {record['from']} to {record['to']}, {record['currency']}")
        for name in ("by_status", "by_tier", "by_age_band", "by_decision_time"):
            rows = [(key, cell["count"], cell["claimed"], cell["granted"]) for key, cell in record[name].items()]
            console.print(table((name.replace("_", " "), "claims", "claimed", "granted"), rows, right=(1, 2, 3)))

    connection.settings.result(record, render)
