"""A transaction given with named fields, as people send it, in its canonical bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from node.api.backend import Record
from node.api.claims_shapes import TransactionView
from node.claims.plain import BadValue, from_plain
from node.claims.transaction import Action, Transaction, decode_transaction, encode_transaction
from node.claims.wire import Wire
from node.claims.words import action_word

ACTIONS: Final[Mapping[str, type[Wire]]] = {action_word(kind): kind for kind in get_args(Action)}


def canonical(fields: TransactionView, genesis: bytes) -> bytes:
    """The bytes; `genesis` names the chain where the fields do not. Raises ValueError naming the wrong field."""
    actions = tuple(_action(index, entry) for index, entry in enumerate(fields.actions))
    transaction = Transaction(
        genesis=_hex("genesis", fields.genesis) if isinstance(fields.genesis, str) else genesis,
        sender=_hex("sender", fields.sender),
        sequence=fields.sequence,
        valid_until_ms=fields.valid_until_ms,
        actions=actions,  # type: ignore[arg-type]
        signature=_hex("signature", fields.signature),
    )
    raw = encode_transaction(transaction)
    # Only decoding checks the limits of every field.
    decode_transaction(raw)
    return raw


def _hex(name: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{name}: hex digits are needed") from None


def _action(index: int, entry: Record) -> Wire:
    word = entry.get("action")
    kind = ACTIONS.get(word) if isinstance(word, str) else None
    if kind is None:
        raise ValueError(f"actions[{index}].action: one of {', '.join(ACTIONS)} is needed")
    fields = {name: value for name, value in entry.items() if name != "action"}
    try:
        return from_plain(kind, fields, f"actions[{index}]")
    except BadValue as error:
        # An answer may end up in somebody's log: it repeats nothing that was given.
        raise ValueError(error.quiet) from None
