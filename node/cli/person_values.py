"""The values of people and claims that a command needs: made jointly where the chain has a key, else with a secret."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.cli.base import USAGE, CommandError
from node.cli.connect import Connection, signing_key

if TYPE_CHECKING:
    from node.claims.nullifiers.holders import ValueKind
    from node.client import Client

_AT_ONCE: Final = 4
"""Requests for values under way at the same time."""


async def joint_values(
    connection: Connection, client: Client, epoch: int, wanted: Sequence[tuple[ValueKind, bytes]]
) -> list[bytes]:
    """The values of many inputs, in order, several requests at a time."""
    from node.cli.import_commands import chain_genesis
    from node.client.duplicates import make_values
    from node.duplicates.messages import MAX_ELEMENTS

    genesis = (await chain_genesis(connection, client)).digest
    key, slots = signing_key(connection), asyncio.Semaphore(_AT_ONCE)

    async def some(chunk: Sequence[tuple[ValueKind, bytes]]) -> list[bytes]:
        async with slots:
            return await make_values(client, key, genesis, epoch, chunk)

    starts = range(0, len(wanted), MAX_ELEMENTS)
    chunks = await asyncio.gather(*(some(wanted[start : start + MAX_ELEMENTS]) for start in starts))
    return [value for chunk in chunks for value in chunk]


async def person_values(
    connection: Connection, client: Client, scheme: str, identities: Sequence[str], secret: Path
) -> list[bytes]:
    """The value of each identity. Raises CommandError naming the first that cannot be written in its form."""
    from node.claims.nullifiers.holders import ValueKind
    from node.client.duplicates import active_epoch
    from node.oprf import inputs

    if not identities:
        return []
    epoch = await active_epoch(client)
    if not epoch:
        return values_by_secret(identities, secret)
    wanted = []
    for number, identity in enumerate(identities, start=1):
        try:
            wanted.append((ValueKind.PERSON, inputs.person(scheme, identity)))
        except inputs.BadInput as error:
            raise CommandError(f"identity {number}: {error}", code=USAGE) from None
    return await joint_values(connection, client, epoch, wanted)


def values_by_secret(identities: Sequence[str], secret: Path) -> list[bytes]:
    """Without a joint key: who holds the secret can test guesses."""
    from node.claims.builders import person_commitment
    from node.fhir.identity import load_secret_bytes

    key, _ = load_secret_bytes(secret, create=True)
    return [person_commitment(key, identity) for identity in identities]
