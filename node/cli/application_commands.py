"""Applications in `weal member`: apply, accept, refuse, withdraw, show. Attached in `member_commands`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION
from node.cli.connect import Connection, make_client, node_options, send, signing_options
from node.cli.member_commands import (
    DEFAULT_PLAN,
    SECRET_FILE,
    parse_month,
    payer_of,
    people_of,
    send_people,
    tell_runs,
    value_of,
)

if TYPE_CHECKING:
    from node.claims.mutual_aid.application_actions import Applicant
    from node.client import Outcome

REFUSALS: Final = (
    "health-condition",
    "declaration-incomplete",
    "declaration-untrue",
    "identity-not-proven",
    "age-out-of-range",
    "not-eligible",
    "payer-not-accepted",
)
"""In the order of their numbers, from 1; a test compares them with the ledger's."""
STATUSES: Final = ("applied", "accepted", "refused", "withdrawn", "lapsed")
LISTED: Final = 100


def application_number(text: str) -> int:
    """7 for "A-000007", "a-7" or "7". Raises CommandError."""
    from node.claims.ids import application_id

    try:
        return application_id(text)
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None


def application_name(text: str) -> str:
    from node.claims.ids import application_text

    return application_text(application_number(text))


def applicant(row: Mapping[str, str], person: bytes) -> Applicant:
    """Of a row of the CSV. Raises ValueError."""
    from node.claims.mutual_aid.application_actions import Applicant

    units = row.get("units") or "1"
    if not (units.isascii() and units.isdigit() and 1 <= int(units) <= 10):
        raise ValueError("units must be 1 to 10")
    return Applicant(
        person=person,
        birth_month=parse_month(row.get("birth_month") or ""),
        declaration=value_of(row.get("declaration") or "", "declaration"),
        payer=payer_of(row),
        units=int(units),
    )


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8-sig"), required=False)
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")
@click.option("--birth-month", metavar="YYYY-MM", help="For one person, whose identity is then asked for.")
@click.option("--declaration", metavar="FILE|HEX", help="Of one person: the signed declaration to commit to.")
@click.option(
    "--secret",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(SECRET_FILE),
    show_default=True,
    help="As of `weal member enrol`.",
)
@click.option("--scheme", default="ID", show_default=True, help="Whose numbers the identities are; the same for all.")
@OPENING_OPTION
@output_options
@signing_options
def apply(
    connection: Connection,
    file: TextIO | None,
    plan: str,
    birth_month: str | None,
    declaration: str | None,
    secret: Path,
    scheme: str,
    opening: Path | None,
    wait: bool,
) -> None:
    """Record applications for membership: of the people of a CSV file, or of one person who is asked for.

    \b
    Examples:
      weal member apply people.csv --as a
      weal member apply --birth-month 1980-04 --declaration declaration.pdf --as a

    Columns of the CSV: those of `weal member enrol` but for key, which comes with the acceptance, and declaration
    (the commitment, 64 hex digits), and if wanted units.
    """  # fmt: skip
    from node.claims.mutual_aid.application_actions import Apply
    from node.cli.evidence import commit_to

    alone: dict[str, str | None] = {"birth_month": birth_month}
    if file is None and birth_month is not None:
        if declaration is None:
            raise CommandError("give --declaration", code=USAGE)
        value, kept = commit_to((declaration,), "declaration", opening)
        alone["declaration"] = value.hex()
        if kept is not None:
            connection.settings.note(f"what the commitment hides is in {kept}: keep it, it proves what was declared")
    people = people_of(file, alone, applicant)
    sending = send_people(
        connection, people, scheme, secret, lambda applicants: Apply(plan=plan, applicants=applicants), wait=wait
    )
    words = ("applied", "applications", "recorded", "application")
    tell_runs(connection, asyncio.run(sending), recorded_runs, words, len(people), wait=wait)


def recorded_runs(outcome: Outcome) -> list[tuple[str, str]]:
    """(first, last) application of each run of numbers that a receipt names."""
    from node.claims.ids import application_id, application_text

    runs = []
    for event in (outcome.receipt or {}).get("events", ()):
        if event.get("what") == "applications-recorded":
            first = application_id(event["application"])
            runs.append((application_text(first), application_text(first + int(event["count"]) - 1)))
    return runs


def _decide(connection: Connection, action: Any, name: str, done: str, wait: bool) -> None:
    async def run() -> Outcome:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    outcome = asyncio.run(run())
    events = list((outcome.receipt or {}).get("events", ()))
    member = next((event["member"] for event in events if event["what"] == "application-accepted"), None)
    document = {"application": name, "member": member, "transaction": outcome.id, "status": outcome.status}
    text = f"{name} {done}" + (f": {member}" if member else "")
    connection.settings.result(
        {**document, "block": outcome.height, "events": events},
        text if outcome.receipt else f"submitted; follow it with: weal tx wait {outcome.id}",
    )


@click.command()
@click.argument("id")
@click.option("--member-key", metavar="HEX", help="Public key with which the member may act for itself.")
@output_options
@signing_options
def accept(connection: Connection, id: str, member_key: str | None, wait: bool) -> None:
    """Accept an application: the applicant is a member from now on, and waits from today.

    \b
    Examples:
      weal member accept A-000001 --as a
    """
    from node.claims.mutual_aid.application_actions import AcceptApplication

    try:
        public = value_of(member_key, "the key") if member_key else b""
    except ValueError as error:
        raise CommandError(f"no public key: {error}", code=USAGE) from None
    action = AcceptApplication(application=application_number(id), key=public)
    _decide(connection, action, application_name(id), "is accepted", wait)


@click.command()
@click.argument("id")
@click.option("--clause", required=True, help="Clause of the plan, such as 2.1.")
@click.option("--reason", required=True, type=click.Choice(REFUSALS), help="Why.")
@output_options
@signing_options
def refuse(connection: Connection, id: str, clause: str, reason: str, wait: bool) -> None:
    """Refuse an application, with the clause of the plan and a reason. The person may apply anew.

    \b
    Examples:
      weal member refuse A-000001 --clause 2.1 --reason health-condition --as a
    """
    from node.claims.mutual_aid.application_actions import RefuseApplication

    action = RefuseApplication(application=application_number(id), clause=clause, reason=REFUSALS.index(reason) + 1)
    _decide(connection, action, application_name(id), "is refused", wait)


@click.command()
@click.argument("id")
@output_options
@signing_options
def withdraw(connection: Connection, id: str, wait: bool) -> None:
    """Take an application back, as its applicant wishes. The person may apply anew.

    \b
    Examples:
      weal member withdraw A-000001 --as a
    """
    from node.claims.mutual_aid.application_actions import WithdrawApplication

    action = WithdrawApplication(application=application_number(id))
    _decide(connection, action, application_name(id), "is withdrawn", wait)


@click.command()
@click.argument("id")
@output_options
@node_options
def application(connection: Connection, id: str) -> None:
    """Show an application: what was applied for, until when it is decided, and how it ended.

    \b
    Examples:
      weal member application A-000001
    """
    from node.cli.show import print_sheet

    name = application_name(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.application(name)

    record = asyncio.run(ask())
    connection.settings.result(record, print_sheet(application_sheet(record)))


def application_sheet(record: Mapping[str, Any]) -> Any:
    from node.cli.show import sheet, status_text, when

    refusal = record["refusal"]
    return sheet(
        [
            ("application", record["id"]),
            ("status", status_text(record["status"])),
            ("plan", record["plan"]),
            ("recorded", f"{when(record['applied_ms'])} by {record['recorded_by']}"),
            ("born", record["birth_month"]),
            ("pays through", record["pays_through"] or record["pays_through_application"]),
            ("units", str(record["units"])),
            ("lapses", when(record["deadline_ms"]) if record["deadline_ms"] else None),
            ("member", record["member"]),
            ("refused", refusal and f"{refusal['reason']}, clause {refusal['clause']} {refusal['clause_title'] or ''}"),
            ("declaration", record["declaration"]),
            ("person", record["person"]),
        ]
    )


@click.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only those in it; pending ones by deadline.")
@click.option("--plan", default="", help="Only those for this plan.")
@click.option("--by", "organisation", default="", metavar="NAME", help="Only those that it recorded.")
@output_options
@node_options
def applications(connection: Connection, status: str | None, plan: str, organisation: str) -> None:
    """List applications, the first hundred that match.

    \b
    Examples:
      weal member applications --status applied --by a
    """
    from node.cli.show import table, when

    async def ask() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with make_client(connection) as client:
            async for record in client.applications(status=status or "", plan=plan, organisation=organisation):
                found.append(record)
                if len(found) == LISTED:
                    break
        return found

    records = asyncio.run(ask())
    columns = ("application", "plan", "status", "recorded by", "applied", "lapses", "member")
    rows = [
        (
            record["id"],
            record["plan"],
            record["status"],
            record["recorded_by"],
            when(record["applied_ms"]),
            when(record["deadline_ms"]) if record["deadline_ms"] else "",
            record["member"] or "",
        )
        for record in records
    ]
    connection.settings.result({"items": records}, lambda console: console.print(table(columns, rows)))
