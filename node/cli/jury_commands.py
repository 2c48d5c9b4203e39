"""`weal jury`: what members and jurors do, and what everybody may see. The organisations' part is beside it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import NOT_FOUND, USAGE, CommandError, LazyGroup, output_options
from node.cli.claim_commands import OPENING_OPTION, claim_name, claim_number
from node.cli.connect import Connection, make_client, node_options, send, signing_key, signing_options
from node.cli.member_commands import member_name

if TYPE_CHECKING:
    from node.claims.transaction import Action
    from node.client import Client, Outcome

STATUSES: Final = (
    "jury-open", "jury-voting", "jury-reveal", "jury-drawing", "panel-commit", "panel-reveal", "jury-failed"
)  # fmt: skip
PAY_REASONS: Final = (
    "clause-not-met-by-facts", "evidence-proves-claim", "declaration-honest", "cause-not-proven", "clause-unclear"
)  # fmt: skip
REFUSE_REASONS: Final = ("clause-applies", "evidence-insufficient", "declaration-untrue", "excluded-cause")
SALTS_FILE: Final = "weal/ballots.jsonl"

_DESK: Final = {
    "keys": ("node.cli.jury_desk_commands:keys", "Register your organisation's keys for exams and draws."),
    "bank": ("node.cli.jury_desk_commands:bank", "Publish a question bank."),
    "paper": ("node.cli.jury_desk_commands:paper", "Fix which questions candidates get."),
    "grade": ("node.cli.jury_desk_commands:grade", "Grade a candidate's paper."),
    "suspend": ("node.cli.jury_desk_commands:suspend", "Suspend a juror's credential."),
    "reinstate": ("node.cli.jury_desk_commands:reinstate", "End a suspension."),
    "answer": ("node.cli.jury_desk_commands:answer", "Lock the statement of the organisation that denied a claim."),
    "batch": ("node.cli.jury_desk_commands:batch", "Bring jurors' ballots, or what reveals them, to the ledger."),
    "draw": ("node.cli.jury_desk_commands:draw", "Do your organisation's part in the draws of panels."),
    "verify-draw": ("node.cli.jury_verify_command:verify_draw", "Do the draw of a panel again, and compare."),
}


@click.group(cls=LazyGroup, lazy=_DESK)
def jury() -> None:
    """Juries: ask for one, take the exam, vote, reveal, appeal, draw panels and check draws.

    \b
    Examples:
      weal jury request C-000045 --statement why.pdf --key member.key
      weal jury exam --key member.key               enrol as a juror, see your questions
      weal jury list                                what is before juries
      weal jury commit C-000045 --refuse --reason clause-applies --key member.key
      weal jury reveal C-000045 --key member.key
      weal jury verify-draw C-000045 2              do a draw again
    """


def salts_path(given: Path | None) -> Path:
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return given or Path(base).expanduser() / SALTS_FILE


def keep_salt(path: Path, entry: dict[str, Any]) -> None:
    """Append what reveals a ballot, for its owner's eyes only, on the disk before the ballot leaves."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CommandError(f"{path}: cannot keep the salt: {error.strerror}; nothing was sent", code=USAGE) from None


def write_line(path: Path, entry: dict[str, Any]) -> None:
    """One line for an organisation's batch; such files can be put together by `cat`."""
    try:
        path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", code=USAGE) from None


def kept_salts(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}", hint="Name the file with --salts.", code=USAGE) from None


async def own_member(connection: Connection, client: Client) -> int:
    """Number of the member whose key signs."""
    key = signing_key(connection)
    sender = (await client.get(f"/v1/senders/{key.public.hex()}"))["data"]
    if not sender["member"]:
        raise CommandError("this key is an organisation's", hint="Sign with the member's own key.", code=USAGE)
    return int(sender["member"][2:])


async def chain_of(client: Client) -> bytes:
    return bytes.fromhex((await client.status())["genesis"])


async def case_of(client: Client, claim: str) -> dict[str, Any]:
    return dict((await client.get(f"/v1/claims/{claim}/jury"))["data"])


async def current_round(client: Client, claim: str) -> int:
    rounds = (await case_of(client, claim))["rounds"]
    if not rounds:
        raise CommandError(f"no vote on {claim} has begun", code=NOT_FOUND)
    return int(rounds[-1]["round"])


def submit(connection: Connection, action: Action, wait: bool, done: str, document: dict[str, Any]) -> None:
    """One action in a transaction of its own."""

    async def run() -> Outcome:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_outcome(connection, asyncio.run(run()), done, document)


def show_outcome(connection: Connection, outcome: Outcome, done: str, document: dict[str, Any]) -> None:
    found = {**document, "transaction": outcome.id, "status": outcome.status, "block": outcome.height}
    where = f" in block {outcome.height}" if outcome.height else f"; follow it with: weal tx wait {outcome.id}"
    connection.settings.result(found, done + where)


@jury.command()
@click.argument("id")
@click.option("--statement", multiple=True, required=True, metavar="FILE|HEX", help="Your redacted statement.")
@OPENING_OPTION
@output_options
@signing_options
def request(connection: Connection, id: str, statement: tuple[str, ...], opening: Path | None, wait: bool) -> None:
    """Ask for a jury on a denied claim: the member, or who filed or enrolled for it.

    \b
    Examples:
      weal jury request C-000045 --statement why.pdf --key member.key
      weal jury request 45 --statement why.pdf --as a
    """
    from node.claims.jury.actions import RequestJury
    from node.cli.evidence import commit_to

    value, kept = commit_to(statement, "statement", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    name = claim_name(id)
    action = RequestJury(claim=claim_number(id), statement=value)
    submit(connection, action, wait, f"a jury is asked for on {name}", {"claim": name})


@jury.command()
@click.argument("id")
@output_options
@signing_options
def stop(connection: Connection, id: str, wait: bool) -> None:
    """Take the request for a jury back, before the first ballot is revealed.

    \b
    Examples:
      weal jury stop C-000045 --key member.key
    """
    from node.claims.jury.actions import StopJury

    name = claim_name(id)
    submit(connection, StopJury(claim=claim_number(id)), wait, f"the jury on {name} is stopped", {"claim": name})


@jury.command()
@click.argument("id")
@click.option("--ground", type=click.Choice(["new-evidence", "error-of-rule"]), required=True)
@click.option("--evidence", multiple=True, required=True, metavar="FILE|HEX", help="What shows it.")
@OPENING_OPTION
@output_options
@signing_options
def appeal(
    connection: Connection, id: str, ground: str, evidence: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Ask for a larger panel after a verdict: either side, naming new evidence or an error of rule.

    \b
    Examples:
      weal jury appeal C-000045 --ground new-evidence --evidence report.pdf --key member.key
    """
    from node.claims.jury.actions import AppealGround, AppealVerdict
    from node.cli.evidence import commit_to

    value, kept = commit_to(evidence, "appeal", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    chosen = AppealGround.NEW_EVIDENCE if ground == "new-evidence" else AppealGround.ERROR_OF_RULE
    name = claim_name(id)
    action = AppealVerdict(claim=claim_number(id), ground=chosen, evidence=value)
    submit(connection, action, wait, f"the verdict on {name} is appealed against", {"claim": name})


@jury.command()
@click.option("--member", metavar="ID", help="Enrol this member, as its enroller; else the one whose key signs.")
@output_options
@signing_options
def exam(connection: Connection, member: str | None, wait: bool) -> None:
    """Enrol for the juror's exam; later, see which questions were drawn for you and how you did.

    \b
    Examples:
      weal jury exam --key member.key
      weal jury exam --member M-000007 --as a
    """
    from node.claims.jury.actions import EnrolJurors
    from node.client import NotFound

    async def run() -> tuple[dict[str, Any], Outcome | None]:
        async with make_client(connection) as client:
            number = int(member_name(member)[2:]) if member else await own_member(connection, client)
            path = f"/v1/members/M-{number:06d}/juror"
            try:
                found = (await client.get(path))["data"]
            except NotFound:
                found = {"status": "lapsed"}
            if found["status"] != "lapsed":
                return await with_questions(client, found), None
            outcome = (await send(connection, client, [[EnrolJurors(members=(number,))]], wait=wait))[0]
            return (await client.get(path))["data"] if wait else {}, outcome

    document, outcome = asyncio.run(run())
    if outcome is not None:
        show_outcome(connection, outcome, "enrolled for the exam", document)
    else:
        from node.cli.show import print_sheet, sheet

        connection.settings.result(document, print_sheet(sheet(flat(document))))


async def with_questions(client: Client, juror: dict[str, Any]) -> dict[str, Any]:
    """The juror with the numbers of its questions, once they are drawn."""
    from node.claims.jury.exams import questions_of

    bank = (await client.get(f"/v1/plans/{juror['plan']}/jury"))["data"]["bank"]
    if not juror["exam_seed"] or bank is None or bank["version"] != juror["bank"]:
        return juror
    drawn = questions_of(bytes.fromhex(juror["exam_seed"]), bank["questions"], juror["asked"])
    return {**juror, "questions": [number + 1 for number in drawn]}


@jury.command()
@click.argument("id")
@click.option("--pay", "pays", flag_value=True, type=bool, help="The claim is to be paid.")
@click.option("--refuse", "pays", flag_value=False, type=bool, help="The denial is to stand.")
@click.option("--reason", type=click.Choice([*PAY_REASONS, *REFUSE_REASONS]), required=True, help="Why.")
@click.option("--salts", type=click.Path(path_type=Path), metavar="FILE", help="Where to keep what reveals the ballot.")
@click.option("--out", type=click.Path(path_type=Path), metavar="OUT", help="Write the ballot for an organisation.")
@output_options
@signing_options
def commit(
    connection: Connection, id: str, pays: bool | None, reason: str, salts: Path | None, out: Path | None, wait: bool
) -> None:
    """Cast a hidden ballot with your member key; nobody can read it before you reveal it.

    \b
    Examples:
      weal jury commit C-000045 --refuse --reason clause-applies --key member.key
      weal jury commit 45 --pay --reason evidence-proves-claim --key member.key --out ballot.jsonl

    What reveals it is kept in a file that only you can read: without it the ballot never counts.
    """
    from node.claims.jury.actions import BallotReason, CastBallots, Vote
    from node.jury_work import make_ballot

    if pays is None:
        raise CommandError("give --pay or --refuse", code=USAGE)
    if (reason in PAY_REASONS) is not pays:
        raise CommandError(f"{reason} is no reason for that vote", code=USAGE)
    name, path, key = claim_name(id), salts_path(salts), signing_key(connection)
    vote, grounds = Vote.PAY if pays else Vote.REFUSE, BallotReason[reason.upper().replace("-", "_")]

    async def run() -> tuple[dict[str, Any], Outcome | None]:
        async with make_client(connection) as client:
            number, chain = await own_member(connection, client), await chain_of(client)
            round_number = await current_round(client, name)
            ballot, opened = make_ballot(key, chain, claim_number(id), round_number, number, vote, grounds)
            place = {"chain": chain.hex(), "claim": claim_number(id), "round": round_number, "juror": number}
            secret = {"vote": vote.value, "reason": grounds.value, "salt": opened.salt.hex()}
            keep_salt(path, {**place, "commitment": ballot.commitment.hex(), **secret})
            shown = {**place, "commitment": ballot.commitment.hex(), "salts": str(path)}
            if out is not None:
                signed = {"key": key.public.hex(), "signature": ballot.signature.hex()}
                write_line(out, {**place, "commitment": ballot.commitment.hex(), **signed})
                return shown, None
            action = CastBallots(claim=claim_number(id), round=round_number, ballots=(ballot,))
            return shown, (await send(connection, client, [[action]], wait=wait))[0]

    document, outcome = asyncio.run(run())
    connection.settings.note(
        f"what reveals it is in {path}: keep it, and reveal in time with `weal jury reveal {name}`"
    )
    if outcome is None:
        connection.settings.result(document, f"the ballot for an organisation to bring is in {out}")
    else:
        show_outcome(connection, outcome, f"a hidden ballot on {name} is cast", document)


@jury.command()
@click.argument("id")
@click.option("--salts", type=click.Path(path_type=Path), metavar="FILE", help="Where what reveals the ballot is kept.")
@click.option("--out", type=click.Path(path_type=Path), metavar="OUT", help="Write it for an organisation to bring.")
@output_options
@signing_options
def reveal(connection: Connection, id: str, salts: Path | None, out: Path | None, wait: bool) -> None:
    """Reveal your ballot, once the time to cast them is over.

    \b
    Examples:
      weal jury reveal C-000045 --key member.key
      weal jury reveal 45 --key member.key --out reveal.jsonl
    """
    from node.claims.jury.actions import BallotReason, Reveal, RevealBallots, Vote

    name, entries = claim_name(id), kept_salts(salts_path(salts))

    async def run() -> tuple[dict[str, Any], Outcome | None]:
        async with make_client(connection) as client:
            number, chain = await own_member(connection, client), await chain_of(client)
            round_number = await current_round(client, name)
            place = {"chain": chain.hex(), "claim": claim_number(id), "round": round_number, "juror": number}
            # A ballot that was made twice is on the ledger once: its commitment says which it is.
            ballot = (await client.get(f"/v1/claims/{name}/jury/{round_number}/ballots/M-{number:06d}"))["data"]
            mine = [
                entry
                for entry in entries
                if entry.items() >= place.items() and ballot["commitment"] in (None, entry["commitment"])
            ]
            if not mine:
                raise CommandError(
                    f"{salts_path(salts)} has no ballot of round {round_number} of {name}", code=NOT_FOUND
                )
            entry = mine[-1]
            if out is not None:
                secret = {part: entry[part] for part in ("vote", "reason", "salt")}
                write_line(out, {**place, **secret})
                return place, None
            opened = Reveal(
                juror=number,
                vote=Vote(entry["vote"]),
                reason=BallotReason(entry["reason"]),
                salt=bytes.fromhex(entry["salt"]),
            )
            action = RevealBallots(claim=claim_number(id), round=round_number, reveals=(opened,))
            return place, (await send(connection, client, [[action]], wait=wait))[0]

    document, outcome = asyncio.run(run())
    if outcome is None:
        connection.settings.result(document, f"what an organisation needs to reveal it is in {out}")
    else:
        show_outcome(connection, outcome, f"the ballot on {name} is revealed", document)


@jury.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@output_options
@node_options
def list_(connection: Connection, status: str | None) -> None:
    """List the claims that are before juries, those first whose deadline comes first.

    \b
    Examples:
      weal jury list
      weal jury list --status jury-voting --json
    """

    async def ask() -> list[dict[str, Any]]:
        async with make_client(connection) as client:
            rows = [row for one in ([status] if status else STATUSES) async for row in client.claims(status=one)]
            return sorted(rows, key=lambda row: (row["deadline_ms"] or 0, row["id"]))

    from node.cli.show import status_text, table, when

    rows = asyncio.run(ask())
    cells = [[row["id"], status_text(row["status"]), row["plan"], when(row["deadline_ms"])] for row in rows]
    connection.settings.result(
        rows, lambda console: console.print(table(["claim", "status", "plan", "deadline"], cells))
    )


@jury.command()
@click.argument("id")
@output_options
@node_options
def show(connection: Connection, id: str) -> None:
    """Show the jury of a claim (C-…), a juror (M-…), or the pool of a plan (its code).

    \b
    Examples:
      weal jury show C-000045
      weal jury show M-000007
      weal jury show critical-illness
    """
    text = id.strip().upper()
    if text.startswith("M-"):
        path = f"/v1/members/{member_name(id)}/juror"
    elif text.startswith("C-") or text.isdigit():
        path = f"/v1/claims/{claim_name(id)}/jury"
    else:
        path = f"/v1/plans/{id}/jury"

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return dict((await client.get(path))["data"])

    from node.cli.show import print_sheet, sheet

    document = asyncio.run(ask())
    connection.settings.result(document, print_sheet(sheet(flat(document))))


def flat(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """A record as a sheet of lines: lists and parts below their name."""
    lines: list[tuple[str, Any]] = []
    for name, value in document.items():
        label = name.replace("_", " ")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, part in enumerate(value, start=1):
                shown = ", ".join(f"{key} {part[key]}" for key in part if part[key] not in (None, [], {}))
                lines.append((f"{label} {number}", shown))
        elif value not in (None, [], {}):
            lines.append((label, json.dumps(value) if isinstance(value, dict) else str(value)))
    return lines
