"""The keyed values that go with a claim: of its event, its receipts and its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import rich_click as click

from node.cli.base import USAGE, CommandError
from node.cli.connect import Connection, signing_key
from node.cli.duplicates_commands import SCHEME, needed_epoch, read_number
from node.cli.person_values import joint_values

if TYPE_CHECKING:
    from node.claims.nullifiers.holders import ValueKind
    from node.client import Client

F = TypeVar("F", bound=Callable[..., Any])
Values = tuple[bytes, tuple[bytes, ...]]
"""Of an event, or b""; and of papers, rising."""
MAX_PAPERS: Final = 32
"""As the ledger's, which is not imported before it is needed."""


class About(NamedTuple):
    """What the command line says about a claim that values can be made of."""

    hospital: str | None
    admitted: str
    ailment: str
    scheme: str
    number: str
    receipts: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    """Papers as given: those that are files are known by their bytes."""


_OPTIONS: Final = (
    click.option("--hospital", help="Code of the hospital: has the event's value made, of the number asked for."),
    click.option("--admitted", metavar="DATE", help="Day of admission, if it is not the day of diagnosis."),
    click.option("--scheme", default=SCHEME, show_default=True, help="Whose identity number it is."),
    click.option("--number", default="-", metavar="TEXT", help="Identity number; - asks for it, or reads one line."),
    click.option(
        "--receipt",
        type=(str, str),
        multiple=True,
        metavar="ISSUER NUMBER",
        help="Has a receipt's value made; several.",
    ),
    click.option("--values/--no-values", default=True, help="Have values made of the files too, if there is a key."),
)


def value_options(function: F) -> F:
    """Adds what `About` is made of to a command."""
    result: Any = function
    for option in reversed(_OPTIONS):
        result = option(result)
    return result  # type: ignore[no-any-return]


def about_claim(options: dict[str, Any], diagnosed: str, ailment: str, files: tuple[str, ...]) -> About:
    """`options` are those of `value_options`, without `values`."""
    return About(
        hospital=options["hospital"],
        admitted=options["admitted"] or diagnosed,
        ailment=ailment,
        scheme=options["scheme"],
        number=options["number"],
        receipts=options["receipt"],
        files=files,
    )


async def claim_values(connection: Connection, client: Client, about: About, given: Values, *, values: bool) -> Values:
    """(event, papers) of a claim: what is given, and what can be made. Raises CommandError.

    Only an organisation can have values made: a member files without them.
    """
    event, papers = await _made(connection, client, about, values=values)
    if event and given[0]:
        raise CommandError("give --event-value or --hospital, not both", code=USAGE)
    together = tuple(sorted({*papers, *given[1]}))
    if len(together) > MAX_PAPERS:
        raise CommandError(
            f"{len(together)} papers have values, at most {MAX_PAPERS} are kept",
            hint="Add --no-values and name the ones that matter with --receipt or --paper-value.",
            code=USAGE,
        )
    return event or given[0], together


async def _made(connection: Connection, client: Client, about: About, *, values: bool) -> Values:
    wanted = _wanted(about)
    if wanted:
        epoch = await needed_epoch(client)
    elif not values or not await _is_organisation(connection, client):
        return b"", ()
    else:
        from node.client.duplicates import active_epoch

        epoch = await active_epoch(client)
        if not epoch:
            return b"", ()
    if values:
        wanted += _of_files(about.files)
    if not wanted:
        return b"", ()
    from node.claims.nullifiers.holders import ValueKind

    made = await joint_values(connection, client, epoch, wanted)
    pairs = list(zip((kind for kind, _ in wanted), made, strict=True))
    event = next((value for kind, value in pairs if kind is ValueKind.EVENT), b"")
    return event, tuple(sorted({value for kind, value in pairs if kind is ValueKind.PAPER}))


def _wanted(about: About) -> list[tuple[ValueKind, bytes]]:
    from node.claims.nullifiers.holders import ValueKind
    from node.oprf import inputs

    wanted = []
    try:
        if about.hospital is not None:
            number = read_number(about.number)
            text = inputs.event(about.scheme, number, about.hospital, about.admitted, about.ailment)
            wanted.append((ValueKind.EVENT, text))
        wanted += [(ValueKind.PAPER, inputs.receipt(*receipt)) for receipt in about.receipts]
    except inputs.BadInput as error:
        raise CommandError(str(error), code=USAGE) from None
    return wanted


def _of_files(papers: Sequence[str]) -> list[tuple[ValueKind, bytes]]:
    from node.claims.nullifiers.holders import ValueKind
    from node.cli.evidence import digest_of
    from node.oprf import inputs

    files = (Path(paper) for paper in papers)
    return [(ValueKind.PAPER, inputs.file_digest(digest_of(path))) for path in files if path.is_file()]


async def _is_organisation(connection: Connection, client: Client) -> bool:
    record = (await client.get(f"/v1/senders/{signing_key(connection).public.hex()}"))["data"]
    return not record["member"]
