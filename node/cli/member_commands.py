"""`weal member`: enrol members, show one, show what one has to pay."""

from __future__ import annotations

import asyncio
import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import rich_click as click

from node.cli.base import USAGE, CommandError, LazyGroup, output_options
from node.cli.connect import Connection, make_client, node_options, send, signing_options

if TYPE_CHECKING:
    from node.claims.mutual_aid.actions import NewMember
    from node.client import Client, Outcome

DEFAULT_PLAN: Final = "critical-illness"
SECRET_FILE: Final = "weal-import.secret"
P = TypeVar("P")
Entry = Callable[[Mapping[str, str], bytes], P]
"""(row of the CSV, value of the person, all 0 if it is yet to be made) -> what goes to the ledger. ValueError."""
_LONGEST_LINE: Final = 10_000


_ENROLLER: Final = {
    "apply": ("node.cli.application_commands:apply", "Record applications for membership."),
    "accept": ("node.cli.application_commands:accept", "Accept an application: the applicant is a member."),
    "refuse": ("node.cli.application_commands:refuse", "Refuse an application, with clause and reason."),
    "withdraw": ("node.cli.application_commands:withdraw", "Take an application back for the applicant."),
    "application": ("node.cli.application_commands:application", "Show an application."),
    "applications": ("node.cli.application_commands:applications", "List applications."),
    "leave": ("node.cli.membership_commands:leave", "End a membership at the end of the day."),
    "move": ("node.cli.membership_commands:move", "Move a member to another plan or to other units."),
    "key": ("node.cli.membership_commands:key", "Give a member a key of its own, another one, or none."),
    "deposit": ("node.cli.membership_commands:deposit", "Record what a member has paid."),
    "arrears": ("node.cli.membership_commands:arrears", "Report or show what a member owes."),
    "close-balance": ("node.cli.membership_commands:close_balance", "Record that a balance was paid back."),
}


@click.group(cls=LazyGroup, lazy=_ENROLLER)
def member() -> None:
    """Take applications, enrol members, show one, show what one has to pay, record what it paid.

    \b
    Examples:
      weal member enrol people.csv --as a
      weal member apply people.csv --as a
      weal member accept A-000001 --as a
      weal member show M-000001
      weal member statement M-000001
      weal member deposit M-000001 --amount 100.00 --receipt slip.pdf --as a
      weal member leave M-000001 --as a
    """


@member.command()
@click.argument("file", type=click.File("r", encoding="utf-8-sig"), required=False)
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")
@click.option("--birth-month", metavar="YYYY-MM", help="For one person, whose identity is then asked for.")
@click.option(
    "--secret",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(SECRET_FILE),
    show_default=True,
    help="Where the organisations have made no key together: key of the person values, made if it is missing. "
    "Everybody who enrols for a plan must use the same one.",
)
@click.option("--scheme", default="ID", show_default=True, help="Whose numbers the identities are; the same for all.")
@output_options
@signing_options
def enrol(
    connection: Connection,
    file: TextIO | None,
    plan: str,
    birth_month: str | None,
    secret: Path,
    scheme: str,
    wait: bool,
) -> None:
    """Enrol the people of a CSV file, or one person who is asked for.

    \b
    Examples:
      weal member enrol people.csv --as a
      weal member enrol --birth-month 1980-04 --as a
      grep -v '^#' people.csv | weal member enrol - --plan hospital-reimbursement --as b

    Columns of the CSV: identity (or person, if the keyed value is known already), birth_month, and if wanted
    key (the member's own public key) and payer (a member such as M-000001 who pays for this one). Only the
    keyed value of an identity leaves this machine, never the identity.
    """  # fmt: skip
    from node.claims.mutual_aid.actions import Enrol

    people = people_of(file, {"birth_month": birth_month}, new_member)
    sending = send_people(
        connection, people, scheme, secret, lambda members: Enrol(plan=plan, members=members), wait=wait
    )
    words = ("enrolled", "members", "enrolled", "person")
    tell_runs(connection, asyncio.run(sending), enrolled_runs, words, len(people), wait=wait)


def new_member(row: Mapping[str, str], person: bytes) -> NewMember:
    from node.claims.mutual_aid.actions import NewMember

    return NewMember(
        person=person,
        birth_month=parse_month(row.get("birth_month") or ""),
        key=bytes.fromhex(row.get("key") or ""),
        payer=payer_of(row),
    )


def payer_of(row: Mapping[str, str]) -> int:
    """Number of the member in the column `payer`, or 0. Raises ValueError."""
    from node.claims.ids import member_id

    return member_id(row["payer"]) if row.get("payer") else 0


async def send_people(
    connection: Connection,
    people: Sequence[tuple[str, Any]],
    scheme: str,
    secret: Path,
    action: Callable[[tuple[Any, ...]], Any],
    *,
    wait: bool,
) -> list[Outcome]:
    """Give each person its keyed value and send all of them, as many in one `action` as fit."""
    from node.claims.mutual_aid.actions import MAX_BATCH

    async with make_client(connection) as client:
        entries = await with_values(connection, client, people, scheme, secret)
        batches = [[action(tuple(entries[at : at + MAX_BATCH]))] for at in range(0, len(entries), MAX_BATCH)]
        return await send(connection, client, batches, wait=wait)


def tell_runs(
    connection: Connection,
    outcomes: Sequence[Outcome],
    runs_of: Callable[[Outcome], Sequence[tuple[str, str]]],
    words: tuple[str, str, str, str],
    people: int,
    *,
    wait: bool,
) -> None:
    """Which numbers people got. `words`: the key of how many, the key of the numbers, what was done, to one what."""
    counted, listed, done, one = words
    runs = [run for outcome in outcomes for run in runs_of(outcome)]
    names = ", ".join(first if first == last else f"{first} to {last}" for first, last in runs)
    count = f"{people} {one}" + ("s" if people > 1 else "")
    connection.settings.result(
        {
            counted: people if wait else None,
            listed: [{"first": first, "last": last} for first, last in runs],
            "transactions": [outcome.id for outcome in outcomes],
        },
        f"{done} {count}: {names}" if wait else f"submitted {count}",
    )


async def with_values(
    connection: Connection, client: Client, people: Sequence[tuple[str, Any]], scheme: str, secret: Path
) -> list[Any]:
    """The entries, each with the keyed value of its person. The identities stay here."""
    from msgspec.structs import replace

    from node.cli.person_values import person_values

    unknown = [identity for identity, _ in people if identity]
    values = iter(await person_values(connection, client, scheme, unknown, secret))
    return [replace(one, person=next(values)) if identity else one for identity, one in people]


def people_of(file: TextIO | None, alone: Mapping[str, str | None], entry: Entry[P]) -> list[tuple[str, P]]:
    """(identity, entry) of each row of the file; without one, of the person of `alone`, whose identity is asked for.

    The identity is "" where the value of the person is known already. Raises CommandError.
    """
    if file is not None:
        people = list(read_people(file, entry))
        if not people:
            raise CommandError("nobody is in the file", code=USAGE)
        return people
    if alone.get("birth_month") is None:
        raise CommandError("nobody is named", hint="Give a CSV file, or --birth-month for one person.", code=USAGE)
    if sys.stdin.isatty():
        identity = click.prompt("Identity number", err=True, hide_input=True)
    else:
        identity = sys.stdin.readline(_LONGEST_LINE).strip()
    return list(_people([{"identity": identity, **alone}], entry))


def read_people(file: TextIO, entry: Entry[P]) -> Iterator[tuple[str, P]]:
    """(identity or "", entry) from CSV text. Raises CommandError naming the line."""
    reader = csv.DictReader(_bounded(file))
    try:
        names = set(reader.fieldnames or ())
        if "birth_month" not in names or not names & {"identity", "person"}:
            raise CommandError("the first line must name the columns identity (or person) and birth_month", code=USAGE)
        yield from _people(reader, entry)
    except csv.Error as error:
        raise CommandError(f"line {reader.line_num}: {error}", code=USAGE) from None


def _bounded(file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise CommandError(f"line {number} has more than {_LONGEST_LINE} characters", code=USAGE)
        yield line


def _people(rows: Any, entry: Entry[P]) -> Iterator[tuple[str, P]]:
    for number, row in enumerate(rows, 2):
        identity, person = "", bytes(32)
        try:
            if row.get("person"):
                person = value_of(row["person"], "person")
            else:
                identity = (row.get("identity") or "").strip()
                if not identity:
                    raise ValueError("no identity")
            yield identity, entry(row, person)
        except ValueError as error:
            raise CommandError(f"line {number}: {error}", code=USAGE) from None


def value_of(text: str, column: str) -> bytes:
    """32 bytes from 64 hex digits. Raises ValueError."""
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError(f"{column} must have 64 hex digits")
    return value


def parse_month(text: str) -> int:
    """Month index of "1980-04" or of a whole date. Raises ValueError."""
    from node.claims.calendar import month_index

    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])(-\d\d)?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no month: write YYYY-MM")
    return month_index(int(found[1]), int(found[2]))


def enrolled_runs(outcome: Outcome) -> list[tuple[str, str]]:
    """(first, last) member of each run of numbers that an enrolment's receipt names."""
    from node.claims.ids import member_id, member_text

    runs = []
    for event in (outcome.receipt or {}).get("events", ()):
        if event.get("what") == "members-enrolled":
            first = member_id(event["member"])
            runs.append((member_text(first), member_text(first + int(event["count"]) - 1)))
    return runs


def member_name(text: str) -> str:
    """M-000123 for "M-000123", "m-123" or "123". Raises CommandError."""
    from node.claims.ids import member_id, member_text

    try:
        return member_text(member_id(text))
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None


@member.command()
@click.argument("id")
@click.option("--proof", type=click.Path(path_type=Path), metavar="OUT", help="Write a proof for `weal verify`.")
@output_options
@node_options
def show(connection: Connection, id: str, proof: Path | None) -> None:
    """Show a member: plan, cover, claims and what has been billed.

    \b
    Examples:
      weal member show M-000001
      weal member show 1 --json
    """
    from node.cli.show import member_sheet, print_sheet
    from node.cli.verify_command import write_proof

    name = member_name(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.get(f"/v1/members/{name}", prove=proof is not None)

    answer = asyncio.run(ask())
    if proof is not None:
        write_proof(connection.settings, proof, bytes.fromhex(answer["proof"]["bundle"]))
    connection.settings.result(answer["data"], print_sheet(member_sheet(answer["data"])))


@member.command()
@click.argument("id")
@click.option("--proof", type=click.Path(path_type=Path), metavar="OUT", help="Write a proof for `weal verify`.")
@output_options
@node_options
def statement(connection: Connection, id: str, proof: Path | None) -> None:
    """Show what a member has to pay, cycle by cycle, in a form that the member can check.

    \b
    Examples:
      weal member statement M-000001
      weal member statement M-000001 --proof bill.json
      weal verify bill.json --statement --genesis genesis.json
    """
    from node.cli.verify_command import write_proof

    name = member_name(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.get(f"/v1/members/{name}/statement", prove=proof is not None)

    answer = asyncio.run(ask())
    if proof is not None:
        write_proof(connection.settings, proof, bytes.fromhex(answer["proof"]["bundle"]))
    record = answer["data"]
    connection.settings.result(record, lambda console: console.print(statement_sheet(record)))


def statement_sheet(record: dict[str, Any]) -> Any:
    from rich.console import Group

    from node.cli.show import money, sheet, table

    columns = ("cycle", "disclosed", "units", "cases", "payouts", "fee", "share", "charged", "total so far")
    rows = [
        (
            str(row["cycle"]),
            row["disclosure_date"],
            str(row["members"]),
            str(row["cases"]),
            row["payouts"],
            row["fee"],
            row["share"] or row["status"],
            row["charged"] or "",
            row["running_total"],
        )
        for row in record.get("items", ())
    ]
    about = sheet(
        [
            ("member", record["member"]),
            ("plan", record["plan"]),
            ("pays through", record.get("pays_through")),
            ("units", str(record["units"])),
            ("total", money(record, "total")),
            ("with dependants", money(record, "family_total") if record["dependants"] else None),
            ("given back", money(record, "refund") if record.get("refund") else None),
            ("balance", record["balance"] and f"{record['balance']['balance']} {record['currency']}"),
            ("in arrears", record["balance"] and record["balance"]["arrears"]),
        ]
    )
    more = ["more cycles follow; see them with --json"] if record.get("next") else []
    return Group(about, "", table(columns, rows, right=(0, 2, 3, 4, 5, 6, 7, 8)), *more)
