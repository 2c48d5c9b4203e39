"""`weal tx`: submit transactions, wait for them, see what became of them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options, parse_json_argument
from node.cli.connect import (
    Connection,
    make_account,
    make_client,
    node_options,
    refuse_rejected,
    send,
    signing_options,
)

if TYPE_CHECKING:
    from node.claims.transaction import Action
    from node.client import Outcome

_MAX_INPUT: Final = 64 * 1024 * 1024


@click.group()
def tx() -> None:
    """Submit transactions, wait for them, see what became of them.

    \b
    Examples:
      weal tx submit actions.json --as a       sign these actions and submit them
      weal tx wait 8c1f2ab0…                   until it is final
      weal tx show 8c1f2ab0… --proof tx.json   and keep a proof that anybody can check offline
    """


@tx.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--sign-only", type=click.Path(path_type=Path), metavar="OUT", help="Write the signed bytes here; submit nothing."
)
@output_options
@signing_options
def submit(connection: Connection, file: Any, sign_only: Path | None, wait: bool) -> None:
    """Submit what FILE holds: actions to sign, or a transaction that is signed already. `-` is standard input.

    \b
    Examples:
      weal tx submit actions.json --as a
      weal tx submit actions.json --key desk.key --sign-only signed.tx
      weal tx submit signed.tx
    \b
    Actions are a JSON object or a list of them:
      {"action": "investigate", "claim": 3, "finding": 1, "report": "9f2c…"}

    A signed transaction is its canonical bytes, as they are or in hex. Submitting the same bytes twice is safe.
    """
    data = file.read(_MAX_INPUT + 1)
    if len(data) > _MAX_INPUT:
        raise CommandError(f"more than {_MAX_INPUT} bytes", code=USAGE)
    raw = signed_bytes(data)
    if raw is not None:
        outcomes = asyncio.run(_submit_signed(connection, raw, wait))
    else:
        actions = read_actions(data)
        if sign_only is not None:
            _sign_only(connection, actions, sign_only)
            return
        outcomes = asyncio.run(_submit_actions(connection, actions, wait))
    show_outcomes(connection, outcomes)


def signed_bytes(data: bytes) -> bytes | None:
    """The canonical bytes of a signed transaction, given as they are or in hex; None if it is JSON."""
    from node.claims.transaction import decode_transaction
    from node.claims.wire import Malformed

    text = data.strip()
    if text[:1] in (b"{", b"["):
        return None
    if re.fullmatch(rb"(?:[0-9a-fA-F]{2})+", text):
        data = bytes.fromhex(text.decode())
    try:
        decode_transaction(data)
    except Malformed as error:
        raise CommandError(f"neither JSON actions nor a signed transaction: {error}", code=USAGE) from None
    return data


def read_actions(data: bytes) -> list[Action]:
    """Actions of a JSON object or list; each names its kind in `action`, such as "file-claim"."""
    from typing import get_args

    from node.claims.plain import BadValue, from_plain
    from node.claims.transaction import Action as Kinds

    document = parse_json_argument(data.decode("utf-8", errors="replace"))
    rows = document if isinstance(document, list) else [document]
    kinds = {_word(kind.__name__): kind for kind in get_args(Kinds)}
    actions = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or row.get("action") not in kinds:
            names = ", ".join(sorted(kinds))
            raise CommandError(f'action {index}: its "action" must be one of {names}', code=USAGE)
        fields = {name: value for name, value in row.items() if name != "action"}
        try:
            actions.append(from_plain(kinds[row["action"]], fields, f"action {index}"))
        except BadValue as error:
            raise CommandError(str(error), code=USAGE) from None
    if not actions:
        raise CommandError("no actions", code=USAGE)
    return actions


def _word(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _sign_only(connection: Connection, actions: list[Action], out: Path) -> None:
    from node.claims.transaction import encode_transaction

    async def sign() -> Any:
        async with make_client(connection) as client:
            return await make_account(connection, client).sign(actions)

    transaction = asyncio.run(sign())
    out.write_bytes(encode_transaction(transaction))
    id = transaction.id.hex()
    connection.settings.result(
        {"id": id, "file": str(out), "sequence": transaction.sequence},
        f"signed transaction {id}\nwritten to {out}; submit it with: weal tx submit {out}",
    )


async def _submit_signed(connection: Connection, raw: bytes, wait: bool) -> list[Outcome]:
    from node.claims.transaction import decode_transaction

    id = decode_transaction(raw).id.hex()
    connection.settings.note(f"transaction {id}\n(safe to interrupt; take it up again with: weal tx wait {id})")
    async with make_client(connection) as client:
        outcomes = await client.submit([raw], wait=wait, timeout_s=connection.timeout_s)
        refuse_rejected(outcomes[0])
        return outcomes


async def _submit_actions(connection: Connection, actions: list[Action], wait: bool) -> list[Outcome]:
    async with make_client(connection) as client:
        return await send(connection, client, [actions], wait=wait)


def show_outcomes(connection: Connection, outcomes: list[Outcome]) -> None:
    """The result of a submission: one object, or a list if there were several."""
    from node.cli.show import event_text

    lines = []
    for outcome in outcomes:
        place = f"final in block {outcome.height}" if outcome.status == "committed" else outcome.status
        lines.append(f"{outcome.id}  {place}")
        lines += [f"  {event_text(event)}" for event in (outcome.receipt or {}).get("events", ())]
    connection.settings.result(outcomes[0] if len(outcomes) == 1 else outcomes, "\n".join(lines))


def transaction_id(text: str) -> str:
    """Lower-case hex of a transaction id. Raises CommandError."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise CommandError(f"{text!r} is no transaction id: it has 64 hex digits", code=USAGE)
    return text.strip().lower()


@tx.command()
@click.argument("id")
@output_options
@node_options
def wait(connection: Connection, id: str) -> None:
    """Wait until a transaction is final and say what became of it.

    \b
    Examples:
      weal tx wait 8c1f2ab0…
      weal tx wait 8c1f2ab0… --timeout 120

    Exits with 6 if it is not final in time; asking again is safe.
    """
    name = transaction_id(id)

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.wait_final(name, timeout_s=connection.timeout_s)

    _show_fate(connection, asyncio.run(ask()))


@tx.command()
@click.argument("id")
@click.option("--proof", type=click.Path(path_type=Path), metavar="OUT", help="Write a proof for `weal verify`.")
@output_options
@node_options
def show(connection: Connection, id: str, proof: Path | None) -> None:
    """Show where a transaction stands, what it says and what it caused.

    \b
    Examples:
      weal tx show 8c1f2ab0…
      weal tx show 8c1f2ab0… --proof tx.json
    """
    name = transaction_id(id)

    async def ask() -> tuple[dict[str, Any], bytes]:
        async with make_client(connection) as client:
            fate = await client.fate(name)
            return fate, await client.transaction_proof(name) if proof is not None else b""

    fate, bundle = asyncio.run(ask())
    if proof is not None:
        from node.cli.verify_command import write_proof

        write_proof(connection.settings, proof, bundle)
    _show_fate(connection, fate)


def _show_fate(connection: Connection, fate: dict[str, Any]) -> None:
    from node.cli.show import event_text, print_sheet, sheet, status_text

    status = fate["status"]
    rows: list[tuple[str, Any]] = [("transaction", fate["id"]), ("status", status_text(status))]
    if "height" in fate:
        rows.append(("block", f"{fate['height']}, position {fate.get('index', 0)}"))
    rows.append(("result", f"{fate.get('result', '')} {fate.get('code', '')}".strip()))
    rows.append(("detail", fate.get("detail", "")))
    transaction = fate.get("transaction") or {}
    rows.append(("sender", transaction.get("sender")))
    rows += [("action", action.get("action", "")) for action in transaction.get("actions", ())]
    rows += [("happened", event_text(event)) for event in (fate.get("receipt") or {}).get("events", ())]
    connection.settings.result(fate, print_sheet(sheet(rows)))
    if status == "unknown":
        raise CommandError(
            "the node does not know this transaction", hint="Ask another node, or submit it again.", code=5
        )
    if status in ("rejected", "expired") or fate.get("code"):
        raise CommandError(f"the transaction was not carried out: {fate.get('result') or status}", code=4)
