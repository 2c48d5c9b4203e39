"""`weal block`: show blocks."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.connect import Connection, make_client, node_options


@click.group()
def block() -> None:
    """Show blocks.

    \b
    Examples:
      weal block show            the latest
      weal block show 17         by height
      weal block list            the newest, one line each
    """


@block.command()
@click.argument("reference", default="latest", metavar="[HEIGHT|DIGEST|latest]")
@output_options
@node_options
def show(connection: Connection, reference: str) -> None:
    """Show one block: its header, who signed it, and what its transactions did.

    \b
    Examples:
      weal block show
      weal block show 17 --json
    """
    if not re.fullmatch(r"latest|\d{1,15}|[0-9a-f]{64}", reference):
        raise CommandError(f"{reference!r} is no height, no digest of 64 hex digits and not `latest`", code=USAGE)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.block(reference)

    from node.cli.show import block_sheet, print_sheet

    record = asyncio.run(ask())
    connection.settings.result(record, print_sheet(block_sheet(record)))


@block.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many.")
@click.option("--before", type=click.IntRange(0), default=0, help="Only blocks below this height.")
@output_options
@node_options
def list_(connection: Connection, limit: int, before: int) -> None:
    """List blocks, the newest first.

    \b
    Examples:
      weal block list --limit 5
    """

    async def ask() -> list[dict[str, Any]]:
        async with make_client(connection) as client:
            answer = await client.get("/v1/blocks", limit=limit, before=before or "")
            rows: list[dict[str, Any]] = answer["data"]
            return rows

    from node.cli.show import print_sheet, table, when

    rows = asyncio.run(ask())
    cells = [
        (str(b["height"]), when(b["time_ms"]), str(b["transactions"]), str(b["view"]), b["digest"][:16] + "…")
        for b in rows
    ]
    made = table(("height", "time", "txs", "view", "digest"), cells, right=(0, 2, 3))
    connection.settings.result(rows, print_sheet(made))
