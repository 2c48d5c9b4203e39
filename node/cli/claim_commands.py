"""`weal claim`: file, follow, investigate, review and pay claims."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import NOT_FINAL, USAGE, CommandError, LazyGroup, output_options
from node.cli.claim_values import about_claim, claim_values, value_options
from node.cli.connect import Connection, make_client, node_options, send, signing_options
from node.cli.member_commands import DEFAULT_PLAN, member_name

if TYPE_CHECKING:
    from node.client import Client, Outcome

ENDINGS: Final = {
    "claim-paid": "paid",
    "claim-denied": "denied",
    "objection-upheld": "denied",
    "hold-denied": "denied",
    "denial-final": "closed-denied",
    "court-refused": "closed-denied",
    "claim-lapsed": "lapsed",
    "claim-withdrawn": "withdrawn",
    "clawback-dropped": "paid",
    "clawback-expired": "paid",
    "claim-recovered": "recovered",
    "claim-written-off": "written-off",
}
"""Events after which a claim is final, or only its member can move it, and the status it then has."""
_WHOLE_BLOCK: Final = 999_999
"""As the index of a cursor: behind everything in a block."""
OPENING_OPTION = click.option(
    "--opening", type=click.Path(path_type=Path), metavar="OUT", help="Where to keep what the commitment hides."
)


_DESK: Final = {
    "investigate": ("node.cli.desk_commands:investigate", "Report an investigation that is assigned to you."),
    "review": ("node.cli.desk_commands:review", "Decide a claim whose review is assigned to you."),
    "pay": ("node.cli.desk_commands:pay", "Confirm that your organisation has paid a claim."),
    "admit": ("node.cli.life_commands:admit", "Admit a claim whose papers are complete."),
    "return": ("node.cli.life_commands:return_", "Return a claim because papers are missing."),
    "resubmit": ("node.cli.life_commands:resubmit", "Send a returned claim again."),
    "extend": ("node.cli.life_commands:extend", "Take more time for an investigation."),
    "recuse": ("node.cli.life_commands:recuse", "Give a step up because of a conflict of interest."),
    "tie": ("node.cli.life_commands:tie", "Declare a conflict of interest in advance."),
    "object": ("node.cli.life_commands:object_", "Object to a published claim."),
    "decide-objection": ("node.cli.life_commands:decide_objection", "Decide an objection assigned to you."),
    "resolve-hold": ("node.cli.life_commands:resolve_hold", "Resolve a claim held as a duplicate."),
    "withdraw": ("node.cli.life_commands:withdraw", "Take a claim back, or waive the jury."),
    "stay": ("node.cli.life_commands:stay", "Stop a claim for a time, as a regulator."),
    "lift-stay": ("node.cli.life_commands:lift_stay", "Let a stayed claim go on, or as a court decided."),
    "reopen": ("node.cli.life_commands:reopen", "Have a claim that ended unpaid investigated again."),
    "clawback": ("node.cli.clawback_commands:clawback", "Claim a payout back after fraud."),
}


@click.group(cls=LazyGroup, lazy=_DESK)
def claim() -> None:
    """File, follow, investigate, review and pay claims.

    \b
    Examples:
      weal claim file --member M-000001 --ailment S02 --diagnosed 2026-03-14 --evidence report.pdf --as a
      weal claim list --todo b                 what waits for b
      weal claim investigate C-000001 --pass --report findings.pdf --as b
      weal claim review C-000001 --accept --as c
      weal claim watch C-000001                until it is paid or denied
      weal claim fhir C-000001                 as an HL7 FHIR R4 resource
    """


def claim_number(text: str) -> int:
    """45 for "C-000045", "c-45" or "45". Raises CommandError."""
    from node.claims.ids import claim_id

    try:
        return claim_id(text)
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None


def claim_name(text: str) -> str:
    from node.claims.ids import claim_text

    return claim_text(claim_number(text))


def value_bytes(text: str) -> bytes:
    """A keyed value of 64 hex digits. Raises CommandError."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise CommandError(f"{text!r} is no value: it has 64 hex digits", code=USAGE)
    return value


def paper_values(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    """In the one order in which they are written. Raises CommandError."""
    return tuple(sorted(dict.fromkeys(value_bytes(text) for text in texts)))


def minor_units(text: str, digits: int) -> int:
    """Minor units of "123.45". Raises CommandError."""
    from decimal import Decimal, InvalidOperation

    try:
        scaled = Decimal(text).scaleb(digits)
    except InvalidOperation:
        raise CommandError(f"{text!r} is no amount: write it like 12500.00", code=USAGE) from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or not 0 <= scaled < 10**18:
        raise CommandError(f"{text!r} is no amount with at most {digits} decimals", code=USAGE)
    return int(scaled)


async def plan_digits(client: Client, plan: str) -> int:
    return int((await client.plan(plan))["minor_digits"])


@claim.command()
@click.option("--member", required=True, metavar="ID", help="Who claims, such as M-000001.")
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")
@click.option("--ailment", required=True, metavar="CODE", help="Code in the plan's table, such as S02.")
@click.option("--diagnosed", required=True, metavar="DATE", help="Day of diagnosis or accident, YYYY-MM-DD.")
@click.option("--accident", is_flag=True, help="An accident: covered during the waiting period too.")
@click.option("--amount", help="What the receipts add up to; in reimbursement plans only.")
@click.option(
    "--evidence",
    multiple=True,
    required=True,
    metavar="FILE|HEX",
    help="Papers to commit to; several. Only the commitment goes to the ledger.",
)
@click.option("--event-value", metavar="HEX", help="The event's value, from `weal duplicates value event`.")
@click.option("--paper-value", multiple=True, metavar="HEX", help="A paper's value, made likewise; several.")
@click.option("--vault", is_flag=True, help="Put the papers into the vault, encrypted; see `weal evidence`.")
@value_options
@OPENING_OPTION
@output_options
@signing_options
def file(
    connection: Connection,
    member: str,
    plan: str,
    ailment: str,
    diagnosed: str,
    accident: bool,
    amount: str | None,
    evidence: tuple[str, ...],
    event_value: str | None,
    paper_value: tuple[str, ...],
    vault: bool,
    values: bool,
    opening: Path | None,
    wait: bool,
    **about: Any,
) -> None:
    """File a member's claim.

    \b
    Examples:
      weal claim file --member M-000001 --ailment S02 --diagnosed 2026-03-14 --evidence report.pdf --as a
      weal claim file --member 7 --plan hospital-reimbursement --ailment H01 --diagnosed 2026-03-14 \\
        --amount 1250.00 --evidence bill.pdf --evidence receipt.pdf --as a
      weal claim file --member 7 --ailment S02 --diagnosed 2026-03-14 --evidence report.pdf --vault --as a
      weal claim file --member 7 --ailment S02 --diagnosed 2026-03-14 --evidence report.pdf \\
        --hospital H-001 --receipt H-001 2026/000123 --as a

    If the organisations have made a key, they make the values by which the event, the receipts and the files are
    known again; a claim with one that was filed before is held. See docs/duplicates.md.
    """  # fmt: skip
    from node.claims.calendar import parse_date
    from node.claims.mutual_aid.actions import FileClaim
    from node.cli.evidence import commit_to

    number = int(member_name(member)[2:])
    given = value_bytes(event_value) if event_value else b"", paper_values(paper_value)
    try:
        day = parse_date(diagnosed)
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None

    async def run() -> Outcome:
        async with make_client(connection) as client:
            asked = 0 if amount is None else minor_units(amount, await plan_digits(client, plan))
            event, papers = await claim_values(
                connection, client, about_claim(about, diagnosed, ailment, evidence), given, values=values
            )
            value, kept = (bytes(32), None) if vault else commit_to(evidence, "evidence", opening)
            if kept is not None:
                connection.settings.note(f"what the commitment hides is in {kept}: keep it, it proves what was filed")
            action = FileClaim(
                plan=plan,
                member=number,
                ailment=ailment,
                diagnosis_day=day,
                accident=accident,
                evidence=value,
                amount=asked,
                event=event,
                papers=papers,
            )
            if vault:
                from node.cli.evidence_commands import file_with_papers

                return await file_with_papers(connection, client, action, evidence)
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_step(connection, asyncio.run(run()), "filed", "weal claim watch {claim}")


def show_step(connection: Connection, outcome: Outcome, done: str, next_command: str) -> None:
    events = (outcome.receipt or {}).get("events", ())
    name = next((event["claim"] for event in events if "claim" in event), "")
    document = {"claim": name, "transaction": outcome.id, "status": outcome.status, "block": outcome.height}
    if not name:
        connection.settings.result(document, f"submitted; follow it with: weal tx wait {outcome.id}")
        return
    waits = next((f"; next is {event['organisation']}" for event in events if event.get("organisation")), "")
    text = f"{name} {done} in block {outcome.height}{waits}"
    connection.settings.result(document, text)
    if next_command:
        connection.settings.note("next: " + next_command.format(claim=name))


@claim.command()
@click.argument("id")
@click.option("--proof", type=click.Path(path_type=Path), metavar="OUT", help="Write a proof for `weal verify`.")
@output_options
@node_options
def show(connection: Connection, id: str, proof: Path | None) -> None:
    """Show a claim: where it stands, for whom it waits, who did what and why.

    \b
    Examples:
      weal claim show C-000001
      weal claim show 1 --proof claim.json && weal verify claim.json --genesis genesis.json
    """
    from node.cli.show import claim_sheet, print_sheet
    from node.cli.verify_command import write_proof

    name = claim_name(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.get(f"/v1/claims/{name}", prove=proof is not None)

    answer = asyncio.run(ask())
    if proof is not None:
        write_proof(connection.settings, proof, bytes.fromhex(answer["proof"]["bundle"]))
    connection.settings.result(answer["data"], print_sheet(claim_sheet(answer["data"])))


@claim.command()
@click.argument("id")
@click.option(
    "--resource",
    type=click.Choice(["ClaimResponse", "ExplanationOfBenefit"]),
    default="ClaimResponse",
    show_default=True,
    help="Which of the two.",
)
@output_options
@node_options
def fhir(connection: Connection, id: str, resource: str) -> None:
    """Print a claim as an HL7 FHIR R4 resource: what was decided, why, and what was paid. No personal data is in it.

    \b
    Examples:
      weal claim fhir C-000001 > claim-response.json
      weal claim fhir 1 --resource ExplanationOfBenefit | jq .payment
    """
    import msgspec

    name = claim_name(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.claim_fhir(name, resource)

    text = msgspec.json.Encoder(decimal_format="number").encode(asyncio.run(ask()))
    click.echo(text if connection.settings.json else msgspec.json.format(text, indent=2))


@claim.command("list")
@click.option("--status", default="", help="Only claims in this status, such as filed or paid.")
@click.option("--plan", default="", help="Only claims in this plan.")
@click.option("--member", default="", metavar="ID", help="Only this member's.")
@click.option("--organisation", default="", metavar="ORG", help="Only claims that it has a part in.")
@click.option("--todo", default="", metavar="ORG", help="What waits for this organisation, most urgent first.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@output_options
@node_options
def list_(
    connection: Connection, status: str, plan: str, member: str, organisation: str, todo: str, limit: int
) -> None:
    """List claims in the order of their numbers, or what waits for an organisation.

    \b
    Examples:
      weal claim list
      weal claim list --status denied
      weal claim list --todo b
    """
    if todo and (status or plan or member or organisation):
        raise CommandError("--todo stands alone", code=USAGE)

    async def ask() -> list[dict[str, Any]]:
        async with make_client(connection) as client:
            name = member_name(member) if member else ""
            found = (
                client.worklist(todo)
                if todo
                else client.claims(status=status, plan=plan, member=name, organisation=organisation)
            )
            rows: list[dict[str, Any]] = []
            async for record in found:
                rows.append(record)
                if len(rows) == limit:
                    break
            return rows

    rows = asyncio.run(ask())
    connection.settings.result(rows, lambda console: console.print(_claims_table(rows)))
    if len(rows) == limit:
        connection.settings.note(f"only the first {limit}; see more with --limit")


def _claims_table(rows: list[dict[str, Any]]) -> Any:
    from node.cli.show import money, status_text, table, when

    if rows and "ailment" not in rows[0]:
        columns = list(rows[0])
        cells: list[list[Any]] = [
            [when(row[name]) if name.endswith("_ms") else str(row.get(name, "")) for name in columns] for row in rows
        ]
        return table([name.removesuffix("_ms").replace("_", " ") for name in columns], cells)
    columns = ["claim", "status", "member", "plan", "ailment", "diagnosed", "amount", "waits for"]
    cells = [
        [
            row["id"],
            status_text(row["status"]),
            row["member"],
            row["plan"],
            f"{row['ailment']['code']} {row['ailment']['name']}",
            row["diagnosis_date"],
            money(row, "amount") or money(row, "claimed"),
            row.get("assigned") or "",
        ]
        for row in rows
    ]
    return table(columns, cells, right=(6,))


@claim.command()
@click.argument("id")
@output_options
@node_options
def watch(connection: Connection, id: str) -> None:
    """Follow a claim until it is paid, denied or otherwise at its end: how it stands, then one line for each event.

    \b
    Examples:
      weal claim watch C-000001 --timeout 600
      weal claim watch C-000001 --json | jq .data

    Exits with 6 if --timeout (30 seconds unless given) ends first.
    """
    name = claim_name(id)

    async def follow() -> str:
        async with make_client(connection) as client:
            answer = await client.get(f"/v1/claims/{name}")
            _print_now(connection, answer["data"])
            if answer["data"]["status"] in ENDINGS.values():
                return str(answer["data"]["status"])
            # From the block that this answer was read from: nothing that happens meanwhile is missed.
            height = int(answer["as_of"]["height"])
            after = f"{height - 1}.{_WHOLE_BLOCK}" if height else "0.0"
            async with asyncio.timeout(connection.timeout_s):
                async for event in client.events(after=after, claim=name):
                    _print_event(connection, event)
                    if event.type in ENDINGS:
                        return ENDINGS[event.type]
        raise CommandError("the stream of events ended", code=NOT_FINAL)

    try:
        status = asyncio.run(follow())
    except TimeoutError:
        raise CommandError(
            f"{name} is not final after {connection.timeout_s:g} seconds", hint="Run it again.", code=NOT_FINAL
        ) from None
    connection.settings.note(f"{name} is {status}")


def _print_now(connection: Connection, record: dict[str, Any]) -> None:
    from node.cli.base import to_json
    from node.cli.show import when

    if connection.settings.json:
        click.echo(to_json({"type": "claim", "data": record}))
        return
    waits = f", waits for {record['assigned']}" if record.get("assigned") else ""
    click.echo(f"{when(record['changed_ms'])}  {record['id']} is {record['status']}{waits}")


def _print_event(connection: Connection, event: Any) -> None:
    from node.cli.base import to_json
    from node.cli.show import event_text, when

    if connection.settings.json:
        click.echo(to_json(event))
    else:
        click.echo(f"{when(event.time_ms)}  block {event.height}  {event_text({'what': event.type, **event.data})}")
