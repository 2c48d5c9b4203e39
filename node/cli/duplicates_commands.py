"""`weal duplicates`: make the key of keyed values, see who used it, have values made."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import NOT_FOUND, USAGE, CommandError, output_options
from node.cli.connect import Connection, make_client, node_options, send, signing_key, signing_options

if TYPE_CHECKING:
    from node.claims.nullifiers.holders import ValueKind
    from node.client import Client, Outcome

SCHEME: Final = "ID"
"""Scheme of an identity number where none is named."""
_LONGEST_LINE: Final = 1_000
NUMBER_OPTION = click.option(
    "--number", default="-", metavar="TEXT", help="Identity number; - (the default) asks for it, or reads one line."
)
SCHEME_OPTION = click.option(
    "--scheme", default=SCHEME, show_default=True, help="Whose number it is; every organisation writes the same."
)


@click.group()
def duplicates() -> None:
    """Keyed values by which a person, an event or a paper is known again, and the key that makes them.

    \b
    Examples:
      weal duplicates deal --as a          each organisation, once, to make the key
      weal duplicates confirm --as a       each organisation, when enough have dealt
      weal duplicates status
      weal duplicates value receipt --issuer H-001 --number 2026/000123 --as a
    """


@duplicates.command()
@output_options
@node_options
def status(connection: Connection) -> None:
    """Show the key, who holds it, what was refused, and how many values were made for whom.

    \b
    Examples:
      weal duplicates status
      weal duplicates status --node http://127.0.0.1:8801 --json
    """
    from node.client.duplicates import key_state

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await key_state(client)

    record = asyncio.run(ask())
    connection.settings.result(record, lambda console: console.print(_status(record)))


def _status(record: dict[str, Any]) -> Any:
    from rich.console import Group

    from node.cli.show import sheet, table

    parts: list[Any] = []
    shown = [record["active"]] + [record["newest"]] * (record["newest"] != record["active"])
    for key in filter(None, shown):
        refusals = [
            f"{one['organisation']}: {one['reason']} {one['accused']} {one['verdict']}".strip()
            for one in key["refusals"]
        ]
        parts.append(
            sheet(
                [
                    ("key epoch", f"{key['epoch']}, {key['status']}"),
                    ("needs", f"{key['threshold']} of {', '.join(key['holders'])}"),
                    ("dealt", ", ".join(key["dealers"])),
                    ("confirmed", ", ".join(key["confirmed"])),
                    ("this node's share", "good" if key["own"]["is_good"] else "missing"),
                    ("it accuses", ", ".join(bad["accused"] for bad in key["own"]["accusations"])),
                    ("refused", "\n".join(refusals)),
                ]
            )
        )
    if not parts:
        parts.append("no key has been made: people are known by an import secret, events and papers are not")
    rows = [(one["organisation"], str(one["today"]), str(one["last_31_days"])) for one in record["used"]]
    if rows:
        parts += [
            "",
            table(("values made for", f"today (of {record['values_per_day']})", "31 days"), rows, right=(1, 2)),
        ]
    for name, count in record["wrong_answers"].items():
        parts.append(f"{name} gave {count} wrong answers")
    return Group(*parts)


# --- the key


@duplicates.command()
@output_options
@signing_options
def deal(connection: Connection, wait: bool) -> None:
    """Deal your organisation's part of a new key; the first dealing opens a new key epoch.

    \b
    Examples:
      weal duplicates deal --as a

    The secret of the dealing exists in this process only and is gone when it ends.
    """
    from node.cli.import_commands import chain_genesis
    from node.client.duplicates import key_state, next_dealing

    async def run() -> tuple[int, Outcome]:
        async with make_client(connection) as client:
            genesis = await chain_genesis(connection, client)
            name = await _own_name(connection, client)
            action = next_dealing(genesis, (await key_state(client))["newest"], name)
            return action.epoch, (await send(connection, client, [[action]], wait=wait))[0]

    epoch, outcome = asyncio.run(run())
    _said(connection, outcome, epoch, "dealt for", "weal duplicates confirm, when enough have dealt")


@duplicates.command()
@output_options
@signing_options
def confirm(connection: Connection, wait: bool) -> None:
    """Confirm the newest key, if your own node finds all dealings good.

    \b
    Examples:
      weal duplicates confirm --as a

    Only your own node can check its shares: the command asks no other.
    """
    from node.client.duplicates import confirmation

    async def run() -> tuple[int, Outcome]:
        async with make_client(connection) as client:
            action = confirmation(await _newest_of_own_node(connection, client))
            return action.epoch, (await send(connection, client, [[action]], wait=wait))[0]

    epoch, outcome = asyncio.run(run())
    _said(connection, outcome, epoch, "confirmed", "weal duplicates status")


@duplicates.command()
@click.option("--abandon", is_flag=True, help="Accuse nobody: only begin again.")
@output_options
@signing_options
def refuse(connection: Connection, abandon: bool, wait: bool) -> None:
    """End the making of the newest key: accuse who dealt badly, with the proof, or begin again.

    \b
    Examples:
      weal duplicates refuse --as a
      weal duplicates refuse --abandon --as a

    The accusation opens one bad share on the ledger. Everybody can check it, and it convicts you if it is false.
    """
    from node.claims.nullifiers.actions import RefusalReason, RefuseKey
    from node.client.duplicates import accusation

    async def run() -> tuple[int, Outcome]:
        async with make_client(connection) as client:
            newest = await _newest_of_own_node(connection, client)
            begin_again = RefuseKey(epoch=newest["epoch"], reason=RefusalReason.ABANDONED)
            action = begin_again if abandon else accusation(newest)
            return action.epoch, (await send(connection, client, [[action]], wait=wait))[0]

    epoch, outcome = asyncio.run(run())
    _said(connection, outcome, epoch, "refused", "weal duplicates deal")


async def _own_name(connection: Connection, client: Client) -> str:
    """Name of the organisation whose key signs."""
    record = (await client.get(f"/v1/senders/{signing_key(connection).public.hex()}"))["data"]
    if record["member"]:
        raise CommandError("this is a member's key; an organisation's is needed", code=USAGE)
    return str(record["organisation"])


async def _newest_of_own_node(connection: Connection, client: Client) -> dict[str, Any]:
    """The newest key as the signer's own node sees it. Raises CommandError if another node answers."""
    from node.client.duplicates import key_state

    name, node = await _own_name(connection, client), (await client.status())["node"]
    if node != name:
        raise CommandError(
            f"the node that answers is {node}'s, and only {name}'s own can check its share",
            hint="Name your own node with --node URL.",
            code=USAGE,
        )
    newest: dict[str, Any] | None = (await key_state(client))["newest"]
    if newest is None:
        raise CommandError("nobody has dealt yet", hint="Begin with: weal duplicates deal", code=NOT_FOUND)
    return newest


def _said(connection: Connection, outcome: Outcome, epoch: int, done: str, following: str) -> None:
    events = (outcome.receipt or {}).get("events", ())
    active = any(event.get("what") == "key-active" for event in events)
    document = {"epoch": epoch, "transaction": outcome.id, "status": outcome.status, "active": active}
    connection.settings.result(document, f"{done} key epoch {epoch}" + (": it is active" if active else ""))
    if not active:
        connection.settings.note(f"next: {following}")


# --- values


@duplicates.group()
def value() -> None:
    """Have the organisations make the value of a person, an event or a paper. Counts against your daily quota.

    \b
    Examples:
      weal duplicates value person --scheme CN-RESIDENT --as a
      weal duplicates value event --hospital H-001 --admitted 2026-03-01 --ailment S01 --as a
      weal duplicates value receipt --issuer H-001 --number 2026/000123 --as a
      weal duplicates value file scan.pdf --as a
    """


@value.command()
@SCHEME_OPTION
@NUMBER_OPTION
@output_options
@signing_options
def person(connection: Connection, scheme: str, number: str, wait: bool) -> None:
    """The value of a person, by an identity number.

    \b
    Examples:
      weal duplicates value person --scheme CN-RESIDENT --as a
    """
    from node.claims.nullifiers.holders import ValueKind
    from node.oprf import inputs

    _make(connection, ValueKind.PERSON, lambda: inputs.person(scheme, read_number(number)))


@value.command()
@SCHEME_OPTION
@NUMBER_OPTION
@click.option("--hospital", required=True, help="Code of the hospital.")
@click.option("--admitted", required=True, metavar="DATE", help="Day of admission, YYYY-MM-DD.")
@click.option("--ailment", required=True, help="Code in the plan's table.")
@output_options
@signing_options
def event(
    connection: Connection, scheme: str, number: str, hospital: str, admitted: str, ailment: str, wait: bool
) -> None:
    """The value of an event: person, hospital, day of admission and ailment.

    \b
    Examples:
      weal duplicates value event --hospital H-001 --admitted 2026-03-01 --ailment S01 --as a
    """
    from node.claims.nullifiers.holders import ValueKind
    from node.oprf import inputs

    _make(connection, ValueKind.EVENT, lambda: inputs.event(scheme, read_number(number), hospital, admitted, ailment))


@value.command()
@click.option("--issuer", required=True, help="Code of who issued it.")
@click.option("--number", required=True, help="Number of the receipt.")
@output_options
@signing_options
def receipt(connection: Connection, issuer: str, number: str, wait: bool) -> None:
    """The value of a paper, by issuer and number.

    \b
    Examples:
      weal duplicates value receipt --issuer H-001 --number 2026/000123 --as a
    """
    from node.claims.nullifiers.holders import ValueKind
    from node.oprf import inputs

    _make(connection, ValueKind.PAPER, lambda: inputs.receipt(issuer, number))


@value.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@output_options
@signing_options
def file(connection: Connection, path: Path, wait: bool) -> None:
    """The value of a file, byte for byte.

    \b
    Examples:
      weal duplicates value file scan.pdf --as a
    """
    from node.claims.nullifiers.holders import ValueKind
    from node.cli.evidence import digest_of
    from node.oprf import inputs

    _make(connection, ValueKind.PAPER, lambda: inputs.file_digest(digest_of(path)))


def read_number(given: str) -> str:
    """What was given; for -, what is typed or the first line of standard input."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt("Identity number", err=True, hide_input=True))
    return sys.stdin.readline(_LONGEST_LINE).strip()


def _make(connection: Connection, kind: ValueKind, make_input: Any) -> None:
    from node.cli.import_commands import chain_genesis
    from node.client.duplicates import holder_of, make_values
    from node.oprf.inputs import BadInput

    try:
        text = make_input()
    except BadInput as error:
        raise CommandError(str(error), code=USAGE) from None

    async def run() -> dict[str, Any]:
        async with make_client(connection) as client:
            genesis = await chain_genesis(connection, client)
            epoch = await needed_epoch(client)
            made = await make_values(client, signing_key(connection), genesis.digest, epoch, [(kind, text)])
            return {"epoch": epoch, **await holder_of(client, kind, made[0])}

    record = asyncio.run(run())
    known = ", ".join([record["first_claim"], *record["members"]]).strip(", ")
    text_of = f"known from {known}" if known else "not known yet"
    connection.settings.result(record, f"{record['value']}\n{text_of}")


async def needed_epoch(client: Client) -> int:
    """The active key. Raises CommandError if there is none."""
    from node.client.duplicates import active_epoch

    epoch = await active_epoch(client)
    if not epoch:
        raise CommandError(
            "this chain has no key for such values", hint="The organisations make one: weal duplicates --help", code=5
        )
    return epoch
