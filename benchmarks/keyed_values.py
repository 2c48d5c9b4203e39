"""What a keyed value costs, at each party and end to end, and what making the key costs.

    .venv/bin/python -m benchmarks.keyed_values

The parts are timed in this process, on one core; the whole on four node processes of this machine, first all
alive, then with one killed. Nodes that share two cores with the client do the work of four machines, so the whole
is slower here than four machines would be, and a network's round trip is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.joint_key import make_joint_key
from benchmarks.load import percentile
from node.claims.nullifiers.holders import ValueKind
from node.client.duplicates import make_values
from node.crypto import SigningKey
from node.duplicates.messages import MAX_ELEMENTS
from node.localnet import Localnet
from node.oprf import inputs
from node.oprf.ceremony import Ceremony, deal, key_share, public_key, secret_of
from node.oprf.values import blind, combine, evaluate, finish, is_honest

GENESIS = bytes(32)


def timed_ms(work: Callable[[], object], repeat: int) -> float:
    """Median of `repeat` runs, milliseconds of processor time: what else the machine does counts little."""
    times = []
    for _ in range(repeat):
        start_ns = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - start_ns) / 1e6)
    return percentile(sorted(times), 50)


def parts(holders: int, threshold: int, elements: int, repeat: int) -> dict[str, float]:
    """Processor milliseconds for each value, by party; for the key, for each holder."""
    seeds = [secrets.token_bytes(32) for _ in range(holders)]
    ceremony = Ceremony(
        genesis=GENESIS, epoch=1, threshold=threshold, holders=tuple(SigningKey(seed).public for seed in seeds)
    )
    dealings = {number: deal(ceremony, number, secrets.token_bytes) for number in range(1, threshold + 1)}
    secret = secret_of(seeds[0])
    shares = {}
    for number in range(1, threshold + 1):
        share, _ = key_share(ceremony, dealings, number, secret_of(seeds[number - 1]))
        assert share is not None
        shares[number] = share
    key = public_key(ceremony, dealings)
    texts = [inputs.receipt("H", str(number)) for number in range(elements)]

    def blinded_all() -> list[object]:
        return [blind(GENESIS, 1, ValueKind.PAPER, text, secrets.token_bytes) for text in texts]

    blinded = [blind(GENESIS, 1, ValueKind.PAPER, text, secrets.token_bytes) for text in texts]
    sent = [one.element for one in blinded]
    made = {number: evaluate(GENESIS, 1, share, sent, secrets.token_bytes) for number, share in shares.items()}
    partials = {number: results for number, (results, _) in made.items()}
    results, proof = made[2] if threshold > 1 else made[1]
    whose = 2 if threshold > 1 else 1
    joint = combine(key, partials)
    return {
        "client": (
            timed_ms(blinded_all, repeat)
            + timed_ms(lambda: [finish(GENESIS, 1, *pair) for pair in zip(blinded, joint, strict=True)], repeat)
        )
        / elements,
        "each holder": timed_ms(lambda: evaluate(GENESIS, 1, shares[1], sent, secrets.token_bytes), repeat) / elements,
        "asking node": (
            (threshold - 1) * timed_ms(lambda: is_honest(key, whose, sent, results, proof), repeat)
            + timed_ms(lambda: combine(key, partials), repeat)
        )
        / elements,
        "key: deal": timed_ms(lambda: deal(ceremony, 1, secrets.token_bytes), 3),
        "key: check": timed_ms(lambda: (key_share(ceremony, dealings, 1, secret), public_key(ceremony, dealings)), 3),
    }


async def whole(net: Localnet, at: str, epoch: int, count: int) -> dict[str, float]:
    """One value at a time, then full requests one after the other, then 32 of them at once."""
    genesis, key = net.genesis().digest, net.key(net.names[0])

    def fresh(size: int) -> list[tuple[ValueKind, bytes]]:
        return [(ValueKind.PAPER, inputs.receipt("H", secrets.token_hex(8))) for _ in range(size)]

    async with net.async_client(at) as client:
        await make_values(client, key, genesis, epoch, fresh(1))

        async def timed(size: int) -> float:
            start_ns = time.perf_counter_ns()
            await make_values(client, key, genesis, epoch, fresh(size))
            return (time.perf_counter_ns() - start_ns) / 1e6

        single = sorted([await timed(1) for _ in range(count)])
        batch = sorted([await timed(MAX_ELEMENTS) for _ in range(count // 4)])
        start_ns = time.perf_counter_ns()
        await asyncio.gather(*(timed(MAX_ELEMENTS) for _ in range(32)))
        many_s = (time.perf_counter_ns() - start_ns) / 1e9
    return {
        "one value, p50 ms": percentile(single, 50),
        "one value, p99 ms": percentile(single, 99),
        f"{MAX_ELEMENTS} values, p50 ms": percentile(batch, 50),
        "values per second": 32 * MAX_ELEMENTS / many_s,
    }


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """A Markdown table."""
    names = list(next(iter(rows.values())))
    print(f"\n| {title} | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for row, values in rows.items():
        print(f"| {row} | " + " | ".join(f"{value:.2f}" for value in values.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=40, help="runs of each part")
    parser.add_argument("--count", type=int, default=200, help="values end to end")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON as well")
    options = parser.parse_args()
    by_part = {
        f"{threshold} of {holders}, {elements} at once": parts(holders, threshold, elements, options.repeat)
        for holders, threshold, elements in ((4, 3, 1), (4, 3, MAX_ELEMENTS), (10, 7, MAX_ELEMENTS))
    }
    show("processor ms per value", by_part)
    with tempfile.TemporaryDirectory() as folder, Localnet(n=4, directory=Path(folder) / "net") as net:
        start_ns = time.perf_counter_ns()
        epoch = make_joint_key(net)
        made_ms = (time.perf_counter_ns() - start_ns) / 1e6
        by_net = {"four nodes": asyncio.run(whole(net, net.names[0], epoch, options.count))}
        net.kill(net.names[-1])
        by_net["one killed"] = asyncio.run(whole(net, net.names[0], epoch, options.count))
    show("end to end", by_net)
    print(f"\nthe key, 8 transactions one after the other: {made_ms:.0f} ms")
    if options.json:
        options.json.write_text(json.dumps({"parts": by_part, "net": by_net, "key_ms": made_ms}, indent=2) + "\n")


if __name__ == "__main__":
    main()
