"""`weal verify`: check an exported proof with nothing but the genesis file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import rich_click as click

from node.cli.base import NOT_VERIFIED, USAGE, CommandError, Settings, output_options, pass_settings

_MAX_FILE: Final = 8 * 1024 * 1024


@click.command()
@click.argument("proof", type=click.File("rb"))
@click.option(
    "--genesis",
    type=click.Path(path_type=Path, dir_okay=False),
    required=False,
    help="The genesis file you trust; the local cluster's if there is one.",
)
@click.option("--claim", metavar="ID", help="Insist that the proof is about this claim.")
@click.option("--transaction", metavar="ID", help="Insist that the proof is about this transaction.")
@click.option("--state-key", metavar="HEX", help="Insist that the proof is about this state key.")
@click.option("--statement", is_flag=True, help="Insist that it is a member's statement, and show it.")
@output_options
@pass_settings
def verify(
    settings: Settings,
    proof: Any,
    genesis: Path | None,
    claim: str | None,
    transaction: str | None,
    state_key: str | None,
    statement: bool,
) -> None:
    """Check a proof offline: no node is asked, and nobody but the genesis file is trusted.

    \b
    Examples:
      weal claim show C-000001 --proof claim.json
      weal verify claim.json --genesis genesis.json --claim C-000001
      weal member statement M-000001 --proof bill.json && weal verify bill.json --statement
      weal tx show 8c1f2ab0… --proof tx.json && weal verify tx.json --genesis genesis.json

    A proof that something is not there holds for what you asked for: name it with --claim or --state-key.

    Exits with 3 if the proof does not hold.
    """  # fmt: skip
    from node.genesis import load_genesis

    path = genesis or local_genesis()
    data = proof.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise CommandError(f"more than {_MAX_FILE} bytes: no proof is that long", code=NOT_VERIFIED)
    document = check_proof(data, load_genesis(path), claim=claim, transaction=transaction, key=_state_key(state_key))
    if statement and "statement" not in document:
        raise CommandError("the proof holds, but is not about a member's statement", code=NOT_VERIFIED)
    settings.result({**document, "genesis_file": str(path)}, _text(document, path))


def local_genesis() -> Path:
    from node.cli.connect import local_cluster
    from node.localnet.layout import GENESIS_FILE

    cluster = local_cluster()
    if cluster is None:
        raise CommandError("which chain?", hint="Give --genesis FILE, one that you did not get with the proof.", code=2)
    return cluster[0] / GENESIS_FILE


def check_proof(
    data: bytes, genesis: Any, *, claim: str | None = None, transaction: str | None = None, key: bytes | None = None
) -> dict[str, Any]:
    """What the proof shows, as a JSON-able object. If a claim, transaction or state key is named, it must be about it.

    Raises CommandError with exit code 3 if it does not hold or is about something else, and with 2 if it shows that
    nothing is at a key and none was named.
    """
    from node.claims.queries import Queries
    from node.claims.registry import GenesisPlans
    from node.proofs import BadProof, KeyNeeded, OtherFact, parse_bundle, verify_bundle

    if sum(asked is not None for asked in (claim, transaction, key)) > 1:
        raise CommandError(
            "a proof is about one thing", hint="Give one of --claim, --transaction and --state-key.", code=USAGE
        )
    asked_key = _claim_key(claim) if claim is not None else key
    try:
        proven = verify_bundle(parse_bundle(data), genesis, key=asked_key)
    except OtherFact as error:
        raise CommandError(f"the proof is about something else: {error}", code=NOT_VERIFIED) from None
    except KeyNeeded as error:
        raise CommandError(
            str(error), hint="Say what you asked for: --claim ID or --state-key HEX.", code=USAGE
        ) from None
    except BadProof as error:
        raise CommandError(
            f"the proof does not hold: {error}",
            hint="Do not trust it, nor whoever gave it to you; ask another node for a proof.",
            code=NOT_VERIFIED,
        ) from None
    header = proven.header
    document: dict[str, Any] = {
        "verified": True,
        "chain": genesis.chain,
        "genesis": genesis.digest.hex(),
        "block": {"height": header.height, "digest": header.digest.hex(), "time_ms": header.time_ms},
    }
    found = None
    if proven.statement is not None:
        document["statement"] = proven.statement
    elif proven.transaction is not None:
        assert proven.receipt is not None
        queries = Queries(genesis)
        found = proven.transaction.id.hex()
        document["transaction"] = queries.transaction(proven.transaction)
        document["receipt"] = queries.receipt(GenesisPlans(queries.registry), proven.receipt)
    else:
        assert proven.key is not None
        document["record"] = _record(genesis, proven.key, proven.value)
    if transaction is not None and transaction.lower() != found:
        raise CommandError(
            f"the proof holds, but is about {found or 'no transaction'} and not about {transaction}", code=NOT_VERIFIED
        )
    return document


def _claim_key(text: str) -> bytes:
    from node.claims import keys
    from node.claims.ids import claim_id

    try:
        return keys.claim(claim_id(text))
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None


def _state_key(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise CommandError(f"{text!r} is no state key: it is hex digits", code=USAGE) from None


def _record(genesis: Any, key: bytes, value: bytes | None) -> dict[str, Any]:
    """What the state holds at a key, readable."""
    from node.claims import keys, views
    from node.claims.ids import claim_text
    from node.claims.mutual_aid.records import ClaimRecord
    from node.claims.plain import to_plain
    from node.claims.registry import GenesisPlans, Registry
    from node.claims.wire import Malformed, decode
    from node.claims.words import word

    plain: dict[str, Any] = {"key": key.hex(), "value": None if value is None else value.hex()}
    if key[:1] != bytes([keys.CLAIM]) or len(key) != 9:
        return plain
    name = claim_text(keys.number_of(key))
    if value is None:
        return {"claim": name, "exists": False, **plain}
    try:
        record = decode(ClaimRecord, value, 65_536)
    except Malformed as error:
        raise CommandError(
            f"the proven record is not one that this version reads: {error}", code=NOT_VERIFIED
        ) from None
    registry = Registry(genesis)
    plans = GenesisPlans(registry)
    plan = registry.plan_or_none(plans, record.plan)
    if plan is None or plan.version(record.version) is None:
        # Judged by terms that were adopted after genesis: proven all the same, and shown as the chain has it.
        bare = to_plain(record)
        bare |= {"status": word(record.status), "amount_minor_units": bare.pop("amount")}
        return {"claim": name, "exists": True, **bare, **plain}
    return {
        "claim": name,
        "exists": True,
        **views.claim_view(registry, plans, keys.number_of(key), record),
        **plain,
    }


def _text(document: dict[str, Any], genesis: Path) -> str:
    block = document["block"]
    lines = [
        "verified: a quorum of the consortium signed block "
        f"{block['height']}, and the path from it to the fact is complete",
        f"  chain    {document['chain']} ({document['genesis'][:16]}…, from {genesis})",
    ]
    record = document.get("record")
    if "statement" in document:
        lines += _statement_lines(document["statement"])
    elif record is None:
        receipt, transaction = document["receipt"], document["transaction"]
        lines += [f"  transaction {transaction['id']}", f"  result   {receipt['result']}"]
    elif "claim" in record and record["exists"]:
        lines.append(f"  {record['claim']} is {record['status']}, member {record['member']}")
        if record.get("amount"):
            lines.append(f"  amount   {record['amount']} {record['currency']}")
    elif "claim" in record:
        lines.append(f"  {record['claim']} did not exist")
    else:
        lines.append(f"  record   {record['key']} = {record['value'] or 'nothing'}")
    return "\n".join(lines)


def _statement_lines(statement: dict[str, Any]) -> list[str]:
    """Each share as it was computed again here, and how."""
    currency = statement["currency"]
    lines = [f"  statement of {statement['member']} in {statement['plan']}, {statement['units']} units, recomputed:"]
    for row in statement["items"]:
        if row["share"] is None:
            lines.append(f"  cycle {row['cycle']} of {row['disclosure_date']}: {row['status']}")
            continue
        lines.append(
            f"  cycle {row['cycle']} of {row['disclosure_date']}: {row['cases']} cases {row['granted']} + fee "
            f"{row['fee']} - surplus {row['surplus_before']} among {row['members']}: share {row['share']}, charged "
            f"{row['charged']}, so far {row['running_total']}"
        )
    lines.append(f"  total    {statement['total']} {currency}, with dependants {statement['family_total']} {currency}")
    if statement["balance"] is not None:
        balance = statement["balance"]
        lines.append(f"  balance  {balance['balance']} {currency}, in arrears {balance['arrears'] or 'nothing'}")
    return lines


def write_proof(settings: Settings, path: Path, bundle: bytes) -> None:
    """Write a proof as readable JSON and say how to check it."""
    from node.proofs import decode_bundle, to_json

    path.write_text(json.dumps(to_json(decode_bundle(bundle)), indent=1) + "\n", encoding="utf-8")
    settings.note(f"proof written to {path}; check it with: weal verify {path} --genesis GENESIS-FILE")
