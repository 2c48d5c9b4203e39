"""Answers that need not be believed: each is checked against the genesis file before it is returned.

The genesis file must come from a source you trust, never from the node that is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.claims.genesis import Genesis
from node.client.client import Client
from node.client.errors import VerificationFailed

if TYPE_CHECKING:
    from node.proofs import Proven


async def verified_transaction(client: Client, id: str | bytes, genesis: Genesis) -> Proven:
    """The transaction and its receipt, proved to be final on the chain of `genesis`.

    Raises NotFound if the node says that it is not committed, VerificationFailed if what it says is not proved.
    """
    name = id.hex() if isinstance(id, bytes) else id
    proven = _verified(await client.transaction_proof(name), genesis)
    if proven.transaction is None or proven.transaction.id.hex() != name:
        raise VerificationFailed("the node sent a valid proof of something else than this transaction", code="")
    return proven


async def verified_record(client: Client, key: bytes, genesis: Genesis) -> Proven:
    """What the state holds at `key`, or that it holds nothing, as of a final block named in the result.

    How recent that block is, the proof cannot say: compare `header.height` with what other nodes say.
    Raises VerificationFailed.
    """
    answer = await client.get(f"/v1/state/{key.hex()}", prove=True)
    return _verified(bytes.fromhex(answer["proof"]["bundle"]), genesis, key)


def _verified(bundle: bytes, genesis: Genesis, key: bytes | None = None) -> Proven:
    from node.proofs import BadProof, OtherFact, decode_bundle, verify_bundle

    try:
        return verify_bundle(decode_bundle(bundle), genesis, key=key)
    except OtherFact:
        raise VerificationFailed("the node sent a valid proof of another record", code="") from None
    except BadProof as error:
        raise VerificationFailed(
            str(error), code="", hint="Do not trust this node's answers; ask another one, and tell its operator."
        ) from error
