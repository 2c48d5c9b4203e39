"""`weal localnet`: a cluster on this machine, and the ways to hurt it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import UNREACHABLE, USAGE, CommandError, Settings, output_options, pass_settings

if TYPE_CHECKING:
    from node.localnet import Localnet

_REFRESH_S: Final = 0.5
_DIRECTORY = click.option(
    "--directory", "-d", type=click.Path(path_type=Path, file_okay=False),
    help="The cluster's folder; ./localnet/ here or in a folder above unless given.",
)  # fmt: skip


@click.group()
def localnet() -> None:
    """A cluster on this machine: real node processes, one folder each, and the ways to hurt it.

    \b
    Examples:
      weal localnet up                     four nodes, a live table, Ctrl-C stops them
      weal localnet up --detach            leave them running
      weal localnet kill a                 kill -9
      weal localnet restart a              and bring it back
      weal localnet partition a,b c,d      cut the network in two
      weal localnet heal
    """


def attach(directory: Path | None) -> Localnet:
    """The cluster in a folder, or the nearest one. Raises ConfigError or CommandError."""
    from node.localnet import Localnet, find_state

    found = directory or find_state()
    if found is None:
        raise CommandError("there is no local cluster here", hint="Start one with: weal localnet up", code=USAGE)
    return Localnet.attach(found)


@localnet.command()
@click.option("--nodes", "-n", type=click.IntRange(1, 26), default=4, show_default=True, help="How many.")
@click.option("--names", metavar="A,B,...", help="Their names, instead of a, b, c, …")
@click.option("--detach", is_flag=True, help="Leave the nodes running and return.")
@click.option(
    "--base-port", type=click.IntRange(1, 65_000), help="First of the ports; free ones are found if it is left out."
)
@click.option(
    "--time-scale", type=click.IntRange(1, 10_000_000), default=1, show_default=True, help="Chain seconds per second."
)
@_DIRECTORY
@output_options
@pass_settings
def up(
    settings: Settings,
    nodes: int,
    names: str | None,
    detach: bool,
    base_port: int | None,
    time_scale: int,
    directory: Path | None,
) -> None:
    """Start a cluster in ./localnet/, or start the one that is there again.

    \b
    Examples:
      weal localnet up
      weal localnet up -n 7 --detach
      weal localnet up --names harbour,juniper,lantern,meadow --base-port 8800
    """
    from node.localnet import Localnet
    from node.localnet.state import FILE, FOLDER

    place = directory or Path(FOLDER)
    if (place / FILE).exists():
        net = Localnet.attach(place)
        settings.note(f"starting the cluster in {place}; its options stay as they were")
    else:
        wanted = [name.strip() for name in names.split(",")] if names else None
        net = Localnet(nodes, place, names=wanted, tied=False, base_port=base_port, time_scale=time_scale)
        settings.note(f"made a cluster of {len(net.names)} nodes in {place}")
    try:
        net.start()
    except BaseException:
        net.close()
        raise
    if detach:
        net.detach()
        _result(settings, net)
        settings.note("the nodes run on; next: weal localnet status, weal claim list, weal localnet down")
        return
    try:
        _watch(settings, net)
    finally:
        settings.note("stopping the nodes; their data stays, `weal localnet up` goes on with it")
        net.stop()


def _watch(settings: Settings, net: Localnet) -> None:
    """Follow the cluster until Ctrl-C: a live table on a terminal, otherwise a line for each change."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        if settings.json or not settings.out.is_terminal:
            _result(settings, net)
            _follow_lines(settings, net)
        from rich.live import Live

        with Live(console=settings.out, auto_refresh=False) as live:
            while True:
                live.update(_board(net), refresh=True)
                time.sleep(_REFRESH_S)


def _follow_lines(settings: Settings, net: Localnet) -> None:
    before: dict[str, str] = {}
    while True:
        for record in net.statuses():
            now = _state_word(record)
            if before.setdefault(record["name"], now) != now:
                settings.note(f"{record['name']}: {before[record['name']]} -> {now}")
                before[record["name"]] = now
        time.sleep(_REFRESH_S)


def _state_word(record: dict[str, Any]) -> str:
    if not record["running"]:
        return "down"
    return "ready" if record["ready"] else "not ready"


def _board(net: Localnet) -> Any:
    """The table of `up` and `status`."""
    from rich.console import Group
    from rich.text import Text

    from node.cli.show import table, when

    rows, chain_time = [], 0
    for record in net.statuses():
        found = record.get("status", {})
        as_of = found.get("as_of", {})
        chain_time = max(chain_time, as_of.get("time_ms", 0))
        word = _state_word(record)
        style = {"ready": "green", "not ready": "yellow", "down": "red"}[word]
        role = "primary" if found.get("primary") == record["name"] else ""
        rows.append(
            (
                record["name"],
                str(as_of.get("height", "")),
                str(found.get("view", "")),
                role,
                record["url"],
                str(record["pid"] or ""),
                Text(word, style=style),
                Text("; ".join(record["reasons"])[:70], style="dim"),
            )
        )
    columns = ("node", "height", "view", "role", "API", "pid", "state", "")
    lines = [f"chain {net.state.chain}, last block {when(chain_time)}"]
    if net.state.groups:
        lines.append("cut into " + " | ".join(", ".join(group) for group in net.state.groups))
    return Group(table(columns, rows, right=(1, 2)), Text("\n".join(lines), style="dim"))


def _result(settings: Settings, net: Localnet) -> None:
    document = {
        "directory": str(net.directory),
        "chain": net.state.chain,
        "genesis": net.state.genesis,
        "groups": net.state.groups,
        "nodes": net.statuses(),
    }
    settings.result(document, lambda console: console.print(_board(net)))


@localnet.command()
@_DIRECTORY
@output_options
@pass_settings
def status(settings: Settings, directory: Path | None) -> None:
    """Show what runs, how high each node is, and what keeps one from being ready.

    \b
    Examples:
      weal localnet status
      weal localnet status --json

    Exits with 7 if a node is down or not ready.
    """
    net = attach(directory)
    _result(settings, net)
    bad = [record["name"] for record in net.statuses() if not record["ready"]]
    if bad:
        raise CommandError(
            f"not ready: {', '.join(bad)}",
            hint=f"weal localnet restart {bad[0]}, or weal localnet heal",
            code=UNREACHABLE,
        )


@localnet.command()
@click.option("--remove", is_flag=True, help="Remove the folder with keys and data as well.")
@_DIRECTORY
@output_options
@pass_settings
def down(settings: Settings, remove: bool, directory: Path | None) -> None:
    """Stop all nodes. Their data stays unless --remove is given.

    \b
    Examples:
      weal localnet down
      weal localnet down --remove
    """
    net = attach(directory)
    stopped = net.running()
    net.stop()
    if remove:
        shutil.rmtree(net.directory)
    text = f"stopped {', '.join(stopped)}" if stopped else "nothing was running"
    settings.result({"stopped": stopped, "removed": remove}, text + (f"; removed {net.directory}" if remove else ""))


@localnet.command()
@click.argument("name")
@_DIRECTORY
@output_options
@pass_settings
def kill(settings: Settings, name: str, directory: Path | None) -> None:
    """Kill a node with SIGKILL: it gets no chance to put anything in order.

    \b
    Examples:
      weal localnet kill a
    """
    attach(directory).kill(name)
    settings.result({"killed": name}, f"killed {name}; bring it back with: weal localnet restart {name}")


@localnet.command()
@click.argument("name")
@click.option("--wipe", is_flag=True, help="Remove its databases first: it fetches everything from the others.")
@_DIRECTORY
@output_options
@pass_settings
def restart(settings: Settings, name: str, wipe: bool, directory: Path | None) -> None:
    """Start a node again, after stopping it if it runs.

    \b
    Examples:
      weal localnet restart a
      weal localnet restart a --wipe
    """
    net = attach(directory)
    if wipe:
        if net.is_running(name):
            net.stop([name])
        net.wipe(name)
    height = net.height()
    net.restart(name)
    if not net.state.groups:
        net.wait_height(name, height)
    net.detach()
    text = f"{name} runs and has all {height} blocks"
    if wipe:
        text += "; it listens and does not vote until the chain is two windows further, as it may have voted before"
    settings.result({"restarted": name, "wiped": wipe, "height": height}, text)


@localnet.command()
@click.argument("groups", nargs=-1, required=True, metavar="A,B C,D")
@_DIRECTORY
@output_options
@pass_settings
def partition(settings: Settings, groups: tuple[str, ...], directory: Path | None) -> None:
    """Cut the network: nodes of different groups do not hear each other. Nodes not named form a group of their own.

    \b
    Examples:
      weal localnet partition a,b c,d      two and two: neither side can go on
      weal localnet partition a            a alone: the others go on without it
    """
    net = attach(directory)
    net.partition(*([name for name in group.split(",") if name] for group in groups))
    sides = " | ".join(", ".join(group) for group in net.state.groups)
    settings.result({"groups": net.state.groups}, f"cut into {sides}; undo it with: weal localnet heal")


@localnet.command()
@_DIRECTORY
@output_options
@pass_settings
def heal(settings: Settings, directory: Path | None) -> None:
    """Connect everything again.

    \b
    Examples:
      weal localnet heal
    """
    attach(directory).heal()
    settings.result({"healed": True}, "all nodes hear each other again")
