"""`weal evidence`: papers are sealed here, kept by the organisations that a claim involves, opened by grant, erased."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import USAGE, CommandError, LazyGroup, Settings, output_options
from node.cli.claim_commands import claim_name, claim_number
from node.cli.connect import Connection, make_account, make_client, node_options, send, signing_options

if TYPE_CHECKING:
    from node.claims.evidence.actions import Recipient
    from node.claims.mutual_aid.actions import FileClaim
    from node.client import Account, Client, Outcome
    from node.vault.sealing import Paper

PURPOSES: Final = ("own-access", "investigation", "review", "payment", "dispute", "audit", "court")
"""In the order of their numbers, from 1; a test compares them with the ledger's."""
_DAYS: Final = click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the grant lasts."
)
_TO: Final = click.option(
    "--to", metavar="ORG|MEMBER|KEY", multiple=True, help="Who may open it: an organisation, M-000001, or a key in hex."
)


_CUSTODY: Final = {
    "hold": ("node.cli.custody_commands:hold", "Keep a copy at your organisation's node."),
    "openings": ("node.cli.custody_commands:openings", "Show who opened an item at your node."),
    "erase": ("node.cli.custody_commands:erase", "Erase an item, or sign that your copy is destroyed."),
    "order": ("node.cli.custody_commands:order", "Forbid an erasure by order of a court, or lift that."),
}


@click.group(cls=LazyGroup, lazy=_CUSTODY)
def evidence() -> None:
    """Papers of claims: sealed here, kept by holders, opened by grant, erased for good.

    \b
    Examples:
      weal evidence add report.pdf scan.tif --claim C-000001 --as a
      weal evidence grant E-000001 --to c --purpose review --as b
      weal evidence get E-000001 --out papers --as c
      weal evidence openings E-000001 --anchor --as a
      weal evidence erase E-000001 --as a
    """


def item_number(text: str) -> int:
    """12 for "E-000012", "e-12" or "12". Raises CommandError."""
    from node.claims.ids import item_id

    try:
        return item_id(text)
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None


def item_name(text: str) -> str:
    from node.claims.ids import item_text

    return item_text(item_number(text))


def papers_of(files: tuple[Path, ...]) -> list[Paper]:
    """The named files as papers. Raises CommandError."""
    from node.vault.sealing import Paper

    for file in files:
        if not file.is_file():
            raise CommandError(f"{file}: there is no such file", code=USAGE)
    return [Paper(file.name, file) for file in files]


def progress_line(settings: Settings, what: str) -> Callable[[int, int], None] | None:
    """Says how far a large item is, on a terminal only."""
    if settings.quiet or settings.json or not sys.stderr.isatty():
        return None

    def show(done: int, size: int) -> None:
        if size >= 1 << 20:
            sys.stderr.write(f"\r{what} {100 * done // size} %" + ("\n" if done == size else ""))
            sys.stderr.flush()

    return show


async def recipients_of(
    client: Client, account: Account, names: tuple[str, ...], purpose: str, days: int
) -> tuple[Recipient, ...]:
    """The account keys that `names` stand for, each granted for `days`. Raises CommandError, NotFound."""
    from node.claims.evidence.actions import Recipient
    from node.claims.evidence.views import purpose_number
    from node.claims.types import DAY_MS
    from node.cli.member_commands import member_name

    until_ms = (await account.chain())[1] + days * DAY_MS
    keys: list[bytes] = []
    for name in names:
        if len(name) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in name):
            keys.append(bytes.fromhex(name))
        elif name.upper().startswith("M-"):
            own = (await client.member(member_name(name)))["key"]
            if not own:
                raise CommandError(f"{name} has no key of its own", hint="Grant it to its enroller.", code=USAGE)
            keys.append(bytes.fromhex(own))
        else:
            keys += [bytes.fromhex(key) for key in (await client.organisation(name))["account_keys"]]
    if not keys:
        raise CommandError("no key to grant to", hint="Give --to ORG, --to M-000001 or a key in hex.", code=USAGE)
    return tuple(Recipient(key=key, purpose=purpose_number(purpose), until_ms=until_ms) for key in keys)


async def file_with_papers(connection: Connection, client: Client, claim: FileClaim, files: tuple[str, ...]) -> Outcome:
    """File a claim whose evidence is a new item with these papers, and put the item into the vault."""
    import tempfile

    from msgspec.structs import replace

    from node.claims.ids import claim_id
    from node.vault.client import send_sealed
    from node.vault.sealing import seal_papers

    papers = papers_of(tuple(Path(file) for file in files))
    account = make_account(connection, client)
    genesis, _ = await account.chain()
    with tempfile.TemporaryFile() as file:
        sealed = seal_papers(papers, genesis, file, progress_line(connection.settings, "sealed"))
        action = replace(claim, evidence=sealed.commitment)
        outcome = (await send(connection, client, [[action]], wait=True, account=account))[0]
        number = claim_id(next(event["claim"] for event in (outcome.receipt or {})["events"] if "claim" in event))
        item = await send_sealed(account, sealed, file, claim=number, timeout_s=connection.timeout_s)
    connection.settings.note(f"its papers are in the vault as {item.id}")
    return outcome


@evidence.command()
@click.argument("papers", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--claim", "claim", metavar="ID", help="The claim that they belong to; alone unless given.")
@_TO
@click.option("--purpose", type=click.Choice(PURPOSES), default="investigation", show_default=True, help="Of --to.")
@_DAYS
@output_options
@signing_options
def add(
    connection: Connection,
    papers: tuple[Path, ...],
    claim: str | None,
    to: tuple[str, ...],
    purpose: str,
    days: int,
    wait: bool,
) -> None:
    """Seal papers into one item and give it to the organisations that the claim involves.

    \b
    Examples:
      weal evidence add report.pdf --claim C-000001 --as a
      weal evidence add bill.pdf receipt.pdf --claim 1 --to d --purpose audit --as a

    You may open it yourself, and so may the claimant and the organisation that the claim waits for. One item is
    erased as a whole: papers that are to be erased one by one go into items of their own.
    """
    from node.vault.client import add_evidence, usual_recipients

    files = papers_of(papers)
    number = 0 if claim is None else claim_number(claim)
    if not wait:
        raise CommandError("the item's bytes can be sent only once it is on the ledger", hint="Leave --no-wait out.")

    async def run() -> Any:
        async with make_client(connection) as client:
            account = make_account(connection, client)
            usual = await usual_recipients(account, number, days=days)
            more = await recipients_of(client, account, to, purpose, days) if to else ()
            known = {recipient.key for recipient in more}
            recipients = (*(entry for entry in usual if entry.key not in known), *more)
            return await add_evidence(
                account,
                files,
                claim=number,
                recipients=recipients,
                progress=progress_line(connection.settings, "sealed"),
                timeout_s=connection.timeout_s,
            )

    item = asyncio.run(run())
    document = {
        "evidence": item.id,
        "commitment": item.commitment.hex(),
        "transaction": item.outcome.id,
        "block": item.outcome.height,
    }
    connection.settings.result(document, f"{item.id} is kept; its commitment is {item.commitment.hex()}")


@evidence.command("list")
@click.option("--claim", "claim", default="", metavar="ID", help="Only this claim's.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@output_options
@node_options
def list_(connection: Connection, claim: str, limit: int) -> None:
    """List evidence items.

    \b
    Examples:
      weal evidence list
      weal evidence list --claim C-000001
    """

    async def ask() -> list[dict[str, Any]]:
        name = claim_name(claim) if claim else ""
        rows: list[dict[str, Any]] = []
        async with make_client(connection) as client:
            async for record in client.pages("/v1/vault/items", claim=name, limit=500):
                rows.append(record)
                if len(rows) == limit:
                    break
        return rows

    rows = asyncio.run(ask())

    def render(console: Any) -> None:
        from node.cli.show import status_text, table, when

        cells = [
            [
                row["id"],
                status_text(row["status"]),
                row["claim"] or "",
                row["by"] or row["member"],
                ", ".join(row["holders"]),
                when(row["registered_ms"]),
            ]
            for row in rows
        ]
        console.print(table(["item", "status", "claim", "by", "held by", "since"], cells))

    connection.settings.result(rows, render)
    if len(rows) == limit:
        connection.settings.note(f"only the first {limit}; see more with --limit")


@evidence.command()
@click.argument("id")
@click.option("--proof", type=click.Path(path_type=Path), metavar="OUT", help="Write a proof for `weal verify`.")
@output_options
@node_options
def show(connection: Connection, id: str, proof: Path | None) -> None:
    """Show an item: who keeps it, who may open it, what became of it.

    \b
    Examples:
      weal evidence show E-000001
      weal evidence show 1 --proof item.json
    """
    from node.cli.verify_command import write_proof

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.get(f"/v1/vault/items/{item_name(id)}", prove=proof is not None)

    answer = asyncio.run(ask())
    if proof is not None:
        write_proof(connection.settings, proof, bytes.fromhex(answer["proof"]["bundle"]))
    record = answer["data"]

    def render(console: Any) -> None:
        from node.cli.show import sheet, status_text, table, when

        console.print(
            sheet(
                [
                    ("item", record["id"]),
                    ("status", status_text(record["status"])),
                    ("claim", record["claim"]),
                    ("registered", f"{when(record['registered_ms'])} by {record['by'] or record['member']}"),
                    ("held by", ", ".join(record["holders"])),
                    ("court order", record["order"]),
                    ("destroyed by", ", ".join(record["signed"])),
                    ("waits for", ", ".join(record["missing"])),
                    ("commitment", record["commitment"]),
                ]
            )
        )
        cells = [
            [grant["organisation"] or grant["member"] or grant["recipient"], grant["purpose"], when(grant["until_ms"])]
            for grant in record["grants"]
        ]
        console.print(table(["may open it", "for", "until"], cells))

    connection.settings.result(record, render)


@evidence.command()
@click.argument("id")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder for the papers; here."
)
@output_options
@signing_options
def get(connection: Connection, id: str, out: Path, wait: bool) -> None:
    """Open an item and write its papers into a folder. The holder keeps a signed receipt of it.

    \b
    Examples:
      weal evidence get E-000001 --out papers --as c
      weal evidence get E-000001 --key member.key

    Nothing is written unless all of it is what the ledger commits to; exits with 3 otherwise.
    """
    from node.vault.client import fetch_evidence

    async def run() -> list[Path]:
        async with make_client(connection) as client:
            account = make_account(connection, client)
            line = progress_line(connection.settings, "opened")
            return await fetch_evidence(account, item_number(id), out, progress=line)

    paths = asyncio.run(run())
    document = {"evidence": item_name(id), "papers": [str(path) for path in paths]}
    connection.settings.result(document, "\n".join(str(path) for path in paths))


@evidence.command()
@click.argument("id")
@_TO
@click.option("--purpose", type=click.Choice(PURPOSES), default="review", show_default=True, help="What for.")
@_DAYS
@click.option("--end", is_flag=True, help="End the grant now. What was read cannot be taken back.")
@output_options
@signing_options
def grant(connection: Connection, id: str, to: tuple[str, ...], purpose: str, days: int, end: bool, wait: bool) -> None:
    """Let somebody else open an item, for a purpose and a time. You must be able to open it yourself.

    \b
    Examples:
      weal evidence grant E-000001 --to c --purpose review --as b
      weal evidence grant E-000001 --to M-000001 --purpose own-access --days 90 --as a
      weal evidence grant E-000001 --to c --end --as b
    """
    from msgspec.structs import replace

    from node.vault.client import grant_evidence

    async def run() -> list[Any]:
        async with make_client(connection) as client:
            account = make_account(connection, client)
            found = await recipients_of(client, account, to, purpose, days)
            done = []
            for recipient in found:
                entry = replace(recipient, until_ms=0) if end else recipient
                done.append(await grant_evidence(account, item_number(id), entry, timeout_s=connection.timeout_s))
            return done

    outcomes = asyncio.run(run())
    document = {"evidence": item_name(id), "transactions": [outcome.id for outcome in outcomes]}
    text = "the grant is over" if end else f"{', '.join(to)} may open it for {purpose}, for {days} days"
    connection.settings.result(document, f"{item_name(id)}: {text}")
