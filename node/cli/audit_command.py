"""`weal audit`: count everything again, and compare it with what the ledger says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import NOT_VERIFIED, output_options
from node.cli.connect import Connection, make_client, node_options

if TYPE_CHECKING:
    from node.claims.audit import Finding


@click.command()
@click.argument("place", type=click.Path(path_type=Path, exists=True), required=False, metavar="[DIR|FILE]")
@output_options
@node_options
def audit(connection: Connection, place: Path | None) -> None:
    """Count members, money, claims and queues again, and compare them with the ledger's totals.

    \b
    Examples:
      weal audit harbour                    the databases of a node that does not run
      weal audit --node http://127.0.0.1:8080  what a running node answers
      weal audit harbour --json > report.json

    With a node's folder, every record is tied to the root that a quorum signed, every member's bill is added
    up, and every deadline and index row must belong to something. Exits with 3 if anything does not agree.
    """  # fmt: skip
    from node.audit import audit_api, audit_databases

    def say(text: str) -> None:
        connection.settings.note(text)

    found: list[Finding]
    if place is not None:
        from node.cli.node_commands import read_config
        from node.genesis import load_genesis

        config = read_config(place)
        found, seen = audit_databases(Path(config.node.data_dir), load_genesis(Path(config.node.genesis)), say)
    else:

        async def ask() -> tuple[list[Finding], dict[str, Any]]:
            async with make_client(connection) as client:
                return await audit_api(client, say)

        found, seen = asyncio.run(ask())
    findings = [{"what": one.what, "where": one.where, "text": one.text} for one in found]
    document = {"agrees": not findings, "findings": findings, "looked_at": seen}
    lines = [f"{one['what']}: {one['where']}: {one['text']}" for one in findings]
    lines += ["looked at: " + ", ".join(f"{name} {value}" for name, value in seen.items())]
    lines += [f"{len(findings)} findings" if findings else "everything agrees"]
    connection.settings.result(document, "\n".join(lines))
    if findings:
        raise SystemExit(NOT_VERIFIED)
