"""Who the members are: person, age and enroller follow from the member's number alone.

So a claimant can be chosen without a look into the database, which would bring its records into the caches
before the block that is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Final

from node.claims.builders import build_transaction, person_commitment
from node.claims.calendar import month_of
from node.claims.genesis import Genesis, Organisation
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import Transaction
from node.claims.types import DAY_MS, HOUR_MS
from node.crypto import SigningKey
from node.genesis import build_genesis
from node.localnet.layout import DESK_ROLES
from node.resources import config_file

PLAN: Final = "critical-illness"
ORGANISATIONS: Final = ("harbour", "juniper", "lantern", "meadow")
BATCH: Final = 1_000
"""Members in one enrolling transaction, the most that fit."""
GENESIS_MS: Final = 1_767_225_600_000
"""2026-01-01."""
ENROLMENT_MS: Final = 30 * DAY_MS
"""All members enrol within this time, evenly spread."""
OLDEST_YEARS: Final = 59
"""Of every sixteenth member: some reach the age limit while the benchmark runs, and leave."""

NODE_KEYS: Final = tuple(SigningKey(sha256(f"scale node {name}".encode()).digest()) for name in ORGANISATIONS)
ACCOUNT_KEYS: Final = tuple(SigningKey(sha256(f"scale account {name}".encode()).digest()) for name in ORGANISATIONS)
_PERSON_KEY: Final = sha256(b"weal/benchmark/scale").digest()


@cache
def scale_genesis() -> Genesis:
    """Four organisations that may do everything, and the plan as it is shipped."""
    organisations = [
        Organisation(name=name, node_key=node.public, account_keys=(account.public,), roles=DESK_ROLES)
        for name, node, account in zip(ORGANISATIONS, NODE_KEYS, ACCOUNT_KEYS, strict=True)
    ]
    plans = [config_file(f"plans/{PLAN}.toml")]
    return build_genesis(chain="scale", time_ms=GENESIS_MS, time_scale=1, organisations=organisations, plans=plans)


_FIRST_MONTH: Final = month_of(GENESIS_MS // DAY_MS)


def is_old(number: int) -> bool:
    """Whether this member is near the plan's age limit, and no claimant of the benchmark."""
    return number % 16 == 0


def new_member(number: int, *, young: bool = False) -> NewMember:
    """Ages of 20 to 50 years at genesis, and every sixteenth at the limit unless all are to be `young`."""
    months = OLDEST_YEARS * 12 + number // 16 % 12 if is_old(number) and not young else 240 + number * 7 % 360
    return NewMember(person=person_commitment(_PERSON_KEY, f"member {number}"), birth_month=_FIRST_MONTH - months)


def enrolments(count: int, *, signed: bool = True) -> Iterator[tuple[int, Transaction]]:
    """(block time, transaction) that enrol members 1 to `count`, each organisation in turn.

    Not `signed`, the signatures are zeros: the application never looks at them, and no record holds them.
    """
    genesis = scale_genesis()
    transactions = -(-count // BATCH)
    for index in range(transactions):
        first = index * BATCH + 1
        entries = tuple(new_member(number) for number in range(first, min(first + BATCH, count + 1)))
        time_ms = GENESIS_MS + (index + 1) * ENROLMENT_MS // transactions
        account = ACCOUNT_KEYS[index % len(ACCOUNT_KEYS)]
        transaction = build_transaction(
            genesis.digest,
            account.public,
            index // len(ACCOUNT_KEYS) + 1,
            time_ms + HOUR_MS,
            [Enrol(plan=PLAN, members=entries)],
            account.sign if signed else _no_signature,
        )
        yield time_ms, transaction


def _no_signature(_: bytes) -> bytes:
    return bytes(64)
