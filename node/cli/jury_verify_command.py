"""`weal jury verify-draw`: do the draw of a panel again, from a node's answers or from a file of proofs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import NOT_FOUND, NOT_VERIFIED, USAGE, CommandError, output_options
from node.cli.claim_commands import claim_name, claim_number
from node.cli.connect import Connection, make_client, node_options

if TYPE_CHECKING:
    from node.claims.genesis import Genesis
    from node.client import Client

FORMAT: Final = "weal/draw/1"
_MAX_FILE: Final = 32 * 1024 * 1024


@click.command()
@click.argument("id")
@click.argument("round", type=click.IntRange(1, 255), metavar="ROUND")
@click.option("--genesis", type=click.Path(path_type=Path, dir_okay=False), help="The genesis file you trust.")
@click.option("--proof", type=click.Path(path_type=Path, dir_okay=False), help="Check this file, and ask no node.")
@click.option("--out", type=click.Path(path_type=Path), metavar="OUT", help="Write the proofs for somebody else.")
@output_options
@node_options
def verify_draw(
    connection: Connection, id: str, round: int, genesis: Path | None, proof: Path | None, out: Path | None
) -> None:
    """Do the draw of a panel again: every dealing and share by its proof, the seed, and each seat it gives.

    Each record comes with a proof that it is the chain's, checked with the genesis file alone.

    \b
    Examples:
      weal jury verify-draw C-000045 2 --genesis genesis.json
      weal jury verify-draw C-000045 2 --out draw.json
      weal jury verify-draw C-000045 2 --proof draw.json --genesis genesis.json

    Exits with 3 if the draw does not follow from its records.
    """
    from node.cli.verify_command import local_genesis
    from node.genesis import load_genesis

    path = genesis or local_genesis()
    trusted, number = load_genesis(path), claim_number(id)
    if proof is not None:
        bundles = _read(proof)
    else:
        bundles = asyncio.run(_fetch(connection, trusted, number, round))
    document = check_bundles(trusted, bundles, number, round)
    if out is not None:
        out.write_text(json.dumps(_document(bundles)), encoding="utf-8")
    panel = ", ".join(document["panel"]) or "nobody"
    text = f"the draw of round {round} of {claim_name(id)} holds: {panel}"
    connection.settings.note(f"attempt {document['attempt']}, from {document['seats']} seats")
    connection.settings.result({**document, "genesis_file": str(path)}, text)


def _document(bundles: list[bytes]) -> dict[str, Any]:
    return {"format": FORMAT, "bundles": [one.hex() for one in bundles]}


def _read(path: Path) -> list[bytes]:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_FILE:
            raise ValueError(f"more than {_MAX_FILE} bytes")
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError(f"not of the format {FORMAT}")
        bundles = [bytes.fromhex(bundle) for bundle in document["bundles"]]
        if document != _document(bundles):
            raise ValueError("it has more than proofs in lower-case hex")
        return bundles
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path}: {error}", code=USAGE) from None


async def _fetch(connection: Connection, genesis: Genesis, claim: int, round_number: int) -> list[bytes]:
    """Proofs of the round, of its last draw, and of each dealing."""
    from node.claims import keys
    from node.claims.jury.records import DrawRecord, RoundRecord
    from node.claims.wire import decode_trusted

    async with make_client(connection) as client:
        key = keys.jury_round(claim, round_number)
        bundles = [await _proof(client, key)]
        raw = _proven(genesis, bundles[0], key)
        if raw is None:
            raise CommandError(f"claim {claim} has no round {round_number}", code=NOT_FOUND)
        attempt = decode_trusted(RoundRecord, raw).attempt
        if not attempt:
            raise CommandError(f"round {round_number} is an open vote: no panel was drawn", code=NOT_FOUND)
        key = keys.jury_draw(claim, round_number, attempt)
        bundles.append(await _proof(client, key))
        raw = _proven(genesis, bundles[1], key)
        dealers = () if raw is None else decode_trusted(DrawRecord, raw).dealers
        for dealer in dealers:
            bundles.append(await _proof(client, keys.jury_dealing(claim, round_number, attempt, dealer)))
        return bundles


async def _proof(client: Client, key: bytes) -> bytes:
    return bytes.fromhex((await client.get(f"/v1/state/{key.hex()}", prove=True))["proof"]["bundle"])


def _proven(genesis: Genesis, bundle: bytes, key: bytes) -> bytes | None:
    """The record at `key` that a bundle proves; None: it proves that there is none. Raises CommandError."""
    from node.proofs import BadProof, parse_bundle, verify_bundle

    try:
        return verify_bundle(parse_bundle(bundle), genesis, key=key).value
    except BadProof as error:
        raise CommandError(f"a proof does not hold: {error}", code=NOT_VERIFIED) from None


def check_bundles(genesis: Genesis, bundles: list[bytes], claim: int, round_number: int) -> dict[str, Any]:
    """What the proofs show, as a JSON-able object: of the round, of its last draw, and of the dealings in the order
    of the draw's dealers. Raises CommandError with exit code 3 if they do not hold, or are not exactly these."""
    from node.claims import keys
    from node.claims.ids import claim_text, member_text
    from node.claims.jury.proofs import Dealing
    from node.claims.jury.records import DealingRecord, DrawRecord, RoundRecord
    from node.claims.wire import decode_trusted
    from node.jury_work import BadDraw, check_draw

    rest = iter(bundles)

    def record(key: bytes, name: str) -> bytes:
        bundle = next(rest, None)
        raw = None if bundle is None else _proven(genesis, bundle, key)
        if raw is None:
            raise CommandError(f"the proofs do not have {name}", code=NOT_VERIFIED)
        return raw

    round_record = decode_trusted(RoundRecord, record(keys.jury_round(claim, round_number), "this round"))
    attempt = round_record.attempt
    draw = decode_trusted(DrawRecord, record(keys.jury_draw(claim, round_number, attempt), "the draw"))
    dealings: dict[int, Dealing] = {}
    for dealer in draw.dealers:
        raw = record(keys.jury_dealing(claim, round_number, attempt, dealer), f"the dealing of organisation {dealer}")
        dealings[dealer] = decode_trusted(Dealing, decode_trusted(DealingRecord, raw).dealing)
    if next(rest, None) is not None:
        raise CommandError("there are proofs that the draw does not need", code=NOT_VERIFIED)
    try:
        panel = check_draw(genesis.digest, claim, round_number, attempt, draw, dealings)
    except BadDraw as error:
        raise CommandError(f"the draw does not hold: {error}", code=NOT_VERIFIED) from None
    if panel != round_record.panel:
        raise CommandError("the panel is not the one that was drawn", code=NOT_VERIFIED)
    return {
        "verified": True,
        "claim": claim_text(claim),
        "round": round_number,
        "attempt": attempt,
        "organisations": [genesis.organisations[party].name for party in draw.parties],
        "opened": [genesis.organisations[draw.parties[entry.place - 1]].name for entry in draw.opened],
        "seats": draw.seats,
        "seed": draw.seed.hex(),
        "panel": [member_text(member) for member in panel],
        "passed_over": sum(bool(step.code) for step in draw.steps),
    }
