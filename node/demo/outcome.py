"""The end of the demonstration: the figures, and whether each thing it promises was so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from node.client import Client
from node.localnet import Localnet

_SETTLE_S: Final = 20.0


class Check(msgspec.Struct, kw_only=True):
    """One promise of the demonstration."""

    what: str
    held: bool
    detail: str = ""


class Figures(msgspec.Struct, kw_only=True):
    """What is shown at the end; all of it is read from the nodes, except latencies, which the desks measured."""

    height: int = 0
    view_changes: int = 0
    transactions: int = 0
    transactions_refused: int = 0
    commit_p50_ms: float = 0.0
    commit_p99_ms: float = 0.0
    members: int = 0
    claims: dict[str, int] = {}
    cycles_settled: int = 0
    """Settlement cycles in which cases were shared."""
    paid: str = ""
    share_per_member: str = ""
    currency: str = ""
    chain_days: int = 0
    seconds: float = 0.0
    failover_s: float = 0.0
    catch_up_s: float = 0.0
    caught_up_blocks: int = 0
    state_roots: dict[str, str] = {}
    """State root of the same block on every node."""
    state_roots_height: int = 0


class Report(msgspec.Struct, kw_only=True):
    """The whole outcome."""

    held: bool
    figures: Figures
    checks: list[Check]
    imported: dict[str, Any]
    api: list[str] = []
    directory: str = ""


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of the values lie (nearest rank); 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


async def state_roots(clients: dict[str, Client]) -> tuple[int, dict[str, str]]:
    """(height, state root on each node) of the highest block that all nodes have by now.

    A node's header of a block carries the root that it computed itself: it does not sign another.
    """
    heights = [int((await client.status())["height"]) for client in clients.values()]
    height = max(heights)
    roots = {}
    for name, client in clients.items():
        await _reach(client, height)
        roots[name] = (await client.block(height))["header"]["state_root"]
    return height, roots


async def _reach(client: Client, height: int) -> None:
    async with asyncio.timeout(_SETTLE_S):
        while int((await client.status())["height"]) < height:
            await asyncio.sleep(0.05)


async def chain_totals(client: Client, height: int) -> tuple[int, int]:
    """(transactions in all blocks up to `height`, how many of them the ledger refused)."""
    total = refused = 0
    async for block in client.blocks():
        total += int(block["transactions"])
        refused += int(block["rejected"])
    return total, refused


async def check_proof(net: Localnet, client: Client, claim: str) -> tuple[Check, Check]:
    """Export a claim's proof and let another process verify it with only the genesis file; then once more with one
    digit of the proven record changed, which must fail."""
    answer = await client.get(f"/v1/claims/{claim}", prove=True)
    bundle: str = answer["proof"]["bundle"]
    value = (await client.get(f"/v1/state/{_claim_key(claim)}"))["data"]["value"]
    place = bundle.index(value)
    digit = "0" if bundle[place + 8] != "0" else "1"
    forged = bundle[: place + 8] + digit + bundle[place + 9 :]
    codes = []
    for name, text in (("claim", bundle), ("forged", forged)):
        path = net.directory / f"{name}.proof"
        path.write_bytes(bytes.fromhex(text))
        codes.append(await asyncio.to_thread(_verify, path, net.genesis_path, claim))
    good, bad = codes
    return (
        Check(
            what=f"the proof of {claim} holds offline, with only the genesis file",
            held=good == 0,
            detail=f"exit {good}",
        ),
        Check(what="the same proof with one digit changed is refused", held=bad == 3, detail=f"exit {bad}"),
    )


def _claim_key(claim: str) -> str:
    from node.claims import keys
    from node.claims.ids import claim_id

    return keys.claim(claim_id(claim)).hex()


def _verify(proof: Path, genesis: Path, claim: str) -> int:
    command = [sys.executable, "-m", "node.cli", "verify", str(proof), "--genesis", str(genesis), "--claim", claim]
    package_folder = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=package_folder, capture_output=True, timeout=30, check=False)
    return done.returncode


def show(console: Console, report: Report) -> None:
    """The table at the end."""
    figures = report.figures
    table = Table(title="What happened", title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    claims = ", ".join(f"{count} {name}" for name, count in figures.claims.items() if count)
    views = f"{figures.view_changes} view change" + ("s" if figures.view_changes != 1 else "")
    rows = [
        ("chain", f"{figures.height} blocks, {views}, {figures.chain_days} days in "
                  f"{figures.seconds:.0f} s"),
        ("transactions", f"{figures.transactions} final, {figures.transactions_refused} refused by the ledger"),
        ("commit latency", f"p50 {figures.commit_p50_ms:.0f} ms, p99 {figures.commit_p99_ms:.0f} ms "
                           "(the failover included)"),
        ("primary killed", f"a new one after {figures.failover_s:.1f} s; the old one was back "
                           f"{figures.catch_up_s:.1f} s after its restart, {figures.caught_up_blocks} blocks later"),
        ("members", str(figures.members)),
        ("claims", claims),
        ("settled", f"{figures.cycles_settled} cycles with cases"),
        ("paid", f"{figures.paid} {figures.currency}"),
        ("share per member", f"{figures.share_per_member} {figures.currency}, for one who shared from the start"),
    ]  # fmt: skip
    for name, text in rows:
        table.add_row(name, text)
    for index, (name, root) in enumerate(figures.state_roots.items()):
        title = f"state at {figures.state_roots_height}" if index == 0 else ""
        table.add_row(title, f"{root}  {name}")
    checks = [
        Text("✓ " if check.held else "✗ ", style="green" if check.held else "bold red").append(
            check.what + (f" ({check.detail})" if check.detail and not check.held else ""), style=""
        )
        for check in report.checks
    ]
    console.print(Group("", table, "", *checks), soft_wrap=True)
