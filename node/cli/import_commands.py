"""`weal import fhir`: HL7 FHIR R4 records become members and claims, and every one of them is accounted for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import BAD_CONFIG, CommandError, Settings, output_options, to_json
from node.cli.connect import Connection, make_account, make_client, signing_options, trusted_genesis
from node.cli.member_commands import DEFAULT_PLAN, SECRET_FILE

if TYPE_CHECKING:
    from node.claims.genesis import Genesis
    from node.claims.registry import Plan
    from node.client import Client
    from node.fhir.report import Totals
    from node.fhir.spool import Spool


@click.group("import")
def import_group() -> None:
    """Bring in records of other systems.

    \b
    Examples:
      weal import fhir patients.ndjson --dry-run
      weal import fhir patients.ndjson.gz --as a --report report.ndjson
    """


@import_group.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")
@click.option("--dry-run", is_flag=True, help="Decide about everything, submit nothing, sign nothing.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Write what became of each resource, one JSON object a line; the totals are the last line.",
)
@click.option(
    "--secret",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(SECRET_FILE),
    show_default=True,
    help="Key of the evidence salts, made if it is missing. Where the organisations have made no key together, of the "
    "person values too: then everybody who enrols for a plan must use the same one.",
)
@click.option("--allow-damaged", is_flag=True, help="Import what can be read of a file that is cut short.")
@output_options
@signing_options
def fhir(
    connection: Connection,
    file: Path,
    plan: str,
    dry_run: bool,
    report: Path | None,
    secret: Path,
    allow_damaged: bool,
    wait: bool,
) -> None:
    """Import Patient, Coverage, Condition and Claim resources of HL7 FHIR R4: a Bundle, or NDJSON of Bundles or
    resources, plain or gzip, of any size. `-` is standard input.

    \b
    Examples:
      weal import fhir patients.ndjson --dry-run --report report.ndjson
      weal import fhir patients.ndjson.gz --as a

    Patients join today, at the expense of the subscriber where their Coverage names another one; conditions that
    began while they were members, and that the plan covers, become claims. Importing again later adds what is new.
    No name and no number of a person leaves this machine.
    """  # fmt: skip
    from node.fhir.identity import load_secret
    from node.fhir.mapping import shipped
    from node.fhir.spool import Spool

    settings = connection.settings
    keeper, is_new = load_secret(secret, create=not dry_run or not secret.exists())
    if is_new:
        settings.note(f"made {secret}: keep it, without it nobody is recognised again")
    with Spool(keeper, shipped()) as spool:
        read_into(settings, spool, file)
        if spool.damaged and not (dry_run or allow_damaged):
            raise CommandError(
                f"{file}: {spool.damaged}", hint="Get the whole file, or add --allow-damaged.", code=BAD_CONFIG
            )
        totals = asyncio.run(_import(connection, spool, keeper, plan, dry_run=dry_run))
        if report is not None:
            write_report(report, spool, totals)
            settings.note(f"what became of each resource is in {report}")
    settings.result(_document(totals), lambda console: console.print(totals_table(totals)))


def read_into(settings: Settings, spool: Spool, file: Path) -> None:
    """Read the whole input, with a progress display on a terminal. Raises CommandError if it cannot be opened."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from node.fhir.reading import pieces

    columns = (SpinnerColumn(), TextColumn("reading"), TextColumn("{task.completed} resources"), TimeElapsedColumn())
    console = Console(stderr=True)
    try:
        with Progress(
            *columns, console=console, transient=True, disable=settings.quiet or not console.is_terminal
        ) as bar:
            task = bar.add_task("", total=None)
            for count in spool.fill(pieces(file)):
                bar.update(task, completed=count)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}", code=BAD_CONFIG) from None


async def chain_genesis(connection: Connection, client: Client) -> Genesis:
    """The chain's genesis as the node tells it, checked against its digest and against the one we trust, if any."""
    from node.claims.genesis import Genesis
    from node.claims.plain import from_plain

    document = dict((await client.genesis())["genesis"])
    for extra in ("format", "digest"):
        document.pop(extra, None)
    genesis = from_plain(Genesis, document)
    trusted = trusted_genesis(connection)
    if trusted and genesis.digest != trusted:
        raise CommandError(
            f"the node is of the chain {genesis.digest.hex()}, not of yours ({trusted.hex()})", code=BAD_CONFIG
        )
    return genesis


async def chain_plan(client: Client, genesis: Genesis, code: str) -> Plan:
    """A plan in all its versions, as the chain has them now. Raises CommandError if there is no such plan."""
    from node.claims.genesis import PlanTerms
    from node.claims.plain import from_plain
    from node.claims.registry import Plan

    known = {plan["code"]: plan for plan in await client.plans()}
    if code not in known:
        raise CommandError(f"the chain has no plan {code!r}", hint=f"It has {', '.join(known)}.", code=5)
    terms = [from_plain(PlanTerms, await client.plan_terms(code, version)) for version in known[code]["versions"]]
    return Plan(int(known[code]["number"]), terms, genesis.time_ms)


async def _import(connection: Connection, spool: Spool, keeper: Any, plan_code: str, *, dry_run: bool) -> Totals:
    from node.fhir.importer import Importer
    from node.fhir.judge import Judge, Today
    from node.fhir.report import totals

    async with make_client(connection) as client:
        plan = await chain_plan(client, await chain_genesis(connection, client), plan_code)
        today = plan.day_of(int((await client.status())["chain_now_ms"]))
        await _join_values(connection, client, spool, dry_run=dry_run)
        importer = Importer(spool, plan)
        known = await importer.look_up(client)
        if known:
            connection.settings.note(f"{known} of the patients are members already")
        judge = Judge(spool, plan, Today(today), keeper, importer.known)
        judge.run()
        importer.enter_known()
        if not dry_run:
            account = make_account(connection, client)
            enrolled = await importer.enrol(account, judge.members(), connection.timeout_s)
            connection.settings.note(f"enrolled {enrolled} members")
            filed = await importer.file(account, judge.claims(), connection.timeout_s)
            connection.settings.note(f"filed {filed} claims")
        return totals(spool)


async def _join_values(connection: Connection, client: Client, spool: Spool, *, dry_run: bool) -> None:
    """Where the organisations have made a key, people are known by its values and not by the import secret's."""
    from node.claims.nullifiers.holders import ValueKind
    from node.cli.person_values import joint_values
    from node.client.duplicates import active_epoch

    epoch = await active_epoch(client)
    if not epoch:
        return
    if dry_run:
        connection.settings.note("a dry run has no values made: nobody is recognised as a member already")
        return
    identities = spool.identities()
    values = await joint_values(connection, client, epoch, [(ValueKind.PERSON, one) for one in identities])
    spool.know_as(zip(identities, values, strict=True))
    connection.settings.note(f"{len(values)} values of people were made with the others")


def write_report(path: Path, spool: Spool, totals: Totals) -> None:
    """One line per resource and the totals at the end; readable by this user only, it is about patients."""
    from node.fhir.report import lines

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        for line in lines(spool):
            out.write(to_json(line) + "\n")
        out.write(to_json({"totals": _document(totals)}) + "\n")


def _document(totals: Totals) -> dict[str, Any]:
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(totals)
    return document | {"accounted": totals.accounted}


def totals_table(totals: Totals) -> Any:
    """What the input held and what became of it."""
    from rich.console import Group
    from rich.text import Text

    from node.cli.show import table

    rows = [
        (
            outcome.kind,
            f"{outcome.count:,}",
            outcome.outcome,
            outcome.reason,
            ", ".join(f"{amount} {currency}" for currency, amount in outcome.amounts.items()),
        )
        for outcome in totals.outcomes
    ]
    read = ", ".join(f"{count:,} {kind}" for kind, count in totals.read.items())
    money = ", ".join(f"{amount} {currency}" for currency, amount in totals.amounts.items())
    lines = [f"read {read or 'nothing'}", f"accounted for {totals.accounted:,}" + (f", worth {money}" if money else "")]
    if totals.damaged:
        lines.append(f"the input is damaged: {totals.damaged}")
    made = table(("kind", "count", "outcome", "meaning", "amount"), rows, right=(1, 4))
    return Group(made, "", Text("\n".join(lines)))
