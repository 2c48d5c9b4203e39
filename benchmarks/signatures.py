"""What checking a signature costs with each verifier, alone and as part of taking in transactions.

    .venv/bin/python -m benchmarks.signatures

Both verifiers take turns at the same work in one process, so that the ratios hold whatever else the machine does.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from benchmarks.load import PLAN, percentile
from node.claims.builders import build_transaction
from node.claims.mutual_aid.actions import Enrol, NewMember
from node.claims.transaction import encode_transaction
from node.crypto import SigningKey
from node.ed25519.choice import Verifier, choose
from node.ed25519.sodium import Sodium
from node.ed25519.vectors import Case
from node.verification import TransactionVerifier

SIZES: Final = (1, 2, 3, 4, 8, 9, 32, 64, 300)
MESSAGE_BYTES: Final = 250


def signed(count: int, size: int, seed: int = 1) -> list[Case]:
    """Valid signatures of messages of `size` bytes, by as many keys."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        key, message = SigningKey(draw.randbytes(32)), draw.randbytes(size)
        found.append(Case(key.public, key.sign(message), message))
    return found


def transactions(count: int) -> list[bytes]:
    """Enrolments of one person each, by one organisation."""
    key, draw = SigningKey(bytes(32)), random.Random(2)
    found = []
    for sequence in range(1, count + 1):
        action = Enrol(plan=PLAN, members=(NewMember(person=draw.randbytes(32), birth_month=23_880),))
        found.append(encode_transaction(build_transaction(bytes(32), key.public, sequence, 2**40, [action], key.sign)))
    return found


def resolve(verifier: Verifier, raws: Sequence[bytes]) -> None:
    """As the executor does with a block of which it knows nothing."""
    if None in TransactionVerifier(signatures=verifier).resolve(raws):
        raise AssertionError("a transaction of this benchmark is not valid")


def compared_us(works: Sequence[Callable[[], object]], each: int, repeat: int) -> list[float]:
    """Median microseconds of processor time for each of `each` items, by work; the works take turns."""
    times: list[list[int]] = [[] for _ in works]
    for _ in range(repeat):
        for place, work in enumerate(works):
            start_ns = time.process_time_ns()
            work()
            times[place].append(time.process_time_ns() - start_ns)
    return [percentile(sorted(taken), 50) / 1_000 / each for taken in times]


def many(verifier: Verifier, items: Sequence[Case]) -> Callable[[], object]:
    keys, signatures, messages = [c.key for c in items], [c.signature for c in items], [c.message for c in items]
    return lambda: verifier.verify_many(keys, signatures, messages)


def measure(verifiers: Sequence[Verifier], budget: int) -> list[tuple[str, list[float]]]:
    """(what, microseconds for each signature by verifier); `budget` signatures are checked for each figure."""
    found = []
    for count in SIZES:
        items = signed(count, MESSAGE_BYTES)
        works = [many(verifier, items) for verifier in verifiers]
        found.append((f"batch of {count}", compared_us(works, count, max(3, budget // count))))
    for size in (0, 1_000, 16_000):
        works = [many(verifier, signed(64, size)) for verifier in verifiers]
        found.append((f"batch of 64, messages of {size} bytes", compared_us(works, 64, max(3, budget // 64))))
    bad = [Case(case.key, case.signature, b"another") for case in signed(64, MESSAGE_BYTES)]
    works = [many(verifier, bad) for verifier in verifiers]
    found.append(("batch of 64, all bad", compared_us(works, 64, max(3, budget // 64))))
    for count in (32, 300):
        raws = transactions(count)
        works = [partial(resolve, verifier, raws) for verifier in verifiers]
        found.append((f"{count} transactions, decoded too", compared_us(works, count, max(3, budget // count))))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signatures", type=int, default=6_000, help="checked for each figure (default: 6000)")
    options = parser.parse_args()
    fast, reason = choose({})
    print(f"this machine uses {fast.name}: {reason}\n")
    verifiers: list[Verifier] = [Sodium()] + ([fast] if fast.lanes > 1 else [])
    print(f"{'us for each signature':42}" + "".join(f"{verifier.name:>17}" for verifier in verifiers) + "    ratio")
    for what, figures in measure(verifiers, options.signatures):
        ratio = f"{figures[0] / figures[-1]:9.2f}" if len(figures) > 1 else ""
        print(f"{what:42}" + "".join(f"{figure:17.1f}" for figure in figures) + ratio)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
