"""`weal node`: run a node, ask one how it is, repair its databases."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import BAD_CONFIG, UNREACHABLE, CommandError, Settings, output_options, pass_settings
from node.cli.connect import CLIENT_VARIABLES, Connection, make_client, node_options

if TYPE_CHECKING:
    from node.config import Config

CONFIG_FILE: Final = "node.toml"
_GRACE_S: Final = 10.0
"""How long a node may take to stop in good order after its parent has gone."""
_NEVER: Final = 1_000_000


@click.group("node")
def node() -> None:
    """Run a node, ask one how it is, repair its databases.

    \b
    Examples:
      weal node start harbour           run the node in the folder harbour/
      weal node status                  ask the nearest one how it is
      weal node repair harbour --check  read its databases in full
    """


def read_config(place: Path) -> Config:
    """The configuration in a folder or file, with overrides from the environment. Raises ConfigError."""
    from node.config import load_config

    path = place / CONFIG_FILE if place.is_dir() else place
    if not path.exists():
        raise CommandError(f"there is no {path}", hint="Make a node's folder with: weal init DIR", code=BAD_CONFIG)
    return load_config(path, {name: value for name, value in os.environ.items() if name not in CLIENT_VARIABLES})


@node.command()
@click.argument("place", type=click.Path(path_type=Path), default=Path("."), metavar="[DIR|FILE]")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Instead of [log] level.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="Instead of [log] format.")
@click.option("--parent-fd", type=int, hidden=True, help="Stop when this descriptor reaches its end.")
@output_options
@pass_settings
def start(
    settings: Settings, place: Path, log_level: str | None, log_format: str | None, parent_fd: int | None
) -> None:
    """Run the node configured in a folder (its node.toml) or in a file, until it is stopped.

    \b
    Examples:
      weal node start
      weal node start /srv/weal --log-level debug
      WEAL_LISTEN_PORT=8801 weal node start harbour

    The passphrase of the key comes from [node] passphrase_file, from the systemd credential
    weal-passphrase, or from a question at the terminal. SIGTERM and Ctrl-C stop the node in good order.
    """
    config = read_config(place)
    if parent_fd is not None:
        # Before anything that takes time: the parent may be gone already.
        threading.Thread(target=_stop_with_parent, args=(parent_fd,), daemon=True, name="parent watch").start()
    with _kept_for_good():
        from node.api import adapter, service  # noqa: F401 - loaded here rather than when the node begins to listen
        from node.cli.connect import passphrase_source
        from node.logs import Logging
        from node.node import Node

        key = Path(config.node.key)
        file = Path(config.node.passphrase_file) if config.node.passphrase_file else None
        running = Node(config, passphrase=passphrase_source(file, key))
    level, style = log_level or config.log.level, log_format or config.log.format
    context = {"chain": running.genesis.chain, "node": running.name}
    with Logging(level=level, format=style, context=context):  # type: ignore[arg-type]
        asyncio.run(_serve(running))


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is loaded within stays until the end: Python's collector looks through it once, not again and again."""
    before = gc.get_threshold()
    gc.set_threshold(before[0], _NEVER, _NEVER)  # only through what is new
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.set_threshold(*before)


async def _serve(running: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.request_stop, signal.Signals(number).name)
    await running.start()
    _tell_systemd("READY=1")
    try:
        await running.wait_stopped()
    finally:
        _tell_systemd("STOPPING=1")


def _stop_with_parent(descriptor: int) -> None:
    """The parent holds the other end of a pipe; when it ends, however it ends, this node stops too."""
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_S)
    os._exit(1)


def _tell_systemd(message: str) -> None:
    """Type=notify: systemd learns when the node is up. Source: sd_notify(3)."""
    import socket

    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(message.encode())
    except OSError as error:
        sys.stderr.write(f"systemd could not be told {message}: {error}\n")


@node.command()
@output_options
@node_options
def status(connection: Connection) -> None:
    """Ask a node how it is: height, view, peers, pool, and what keeps it from being ready.

    \b
    Examples:
      weal node status
      weal node status --node http://127.0.0.1:8801 --json
    """

    async def ask() -> dict[str, Any]:
        async with make_client(connection) as client:
            return await client.status()

    from node.cli.show import print_sheet, sheet, when

    record = asyncio.run(ask())
    as_of = record.get("as_of", {})
    rows: list[tuple[str, Any]] = [
        ("height", f"{as_of.get('height', 0)} ({when(as_of.get('time_ms'))})"),
        ("block", as_of.get("digest", "")),
    ]
    rows += [(name.replace("_", " "), _plain(value)) for name, value in record.items() if name != "as_of"]
    connection.settings.result(record, print_sheet(sheet(rows)))
    if record.get("reasons") or record.get("ready") is False:
        raise CommandError("the node is not ready: " + "; ".join(record.get("reasons") or ["?"]), code=UNREACHABLE)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "\n".join(_plain(inner) for inner in value)
    return "yes" if value is True else "no" if value is False else str(value)


@node.command()
@click.argument("place", type=click.Path(path_type=Path), default=Path("."), metavar="[DIR|FILE]")
@click.option("--check", "way", flag_value="check", help="Read both databases in full; change nothing. The default.")
@click.option("--rebuild-state", "way", flag_value="rebuild", help="Compute the state again from the blocks.")
@click.option("--salvage-state", "way", flag_value="state", help="LevelDB's repair of the state, then a full check.")
@click.option(
    "--salvage-blocks",
    "way",
    flag_value="blocks",
    help="LevelDB's repair of the blocks. What this node promised is lost: it listens before it votes again.",
)
@output_options
@pass_settings
def repair(settings: Settings, place: Path, way: str | None) -> None:
    """Check a node's databases, or bring a damaged one back. The node must not run.

    \b
    Examples:
      weal node repair harbour --check
      weal node repair harbour --rebuild-state
      weal node repair harbour --salvage-blocks && weal node repair harbour --rebuild-state
    """  # fmt: skip
    config = read_config(place)
    work = _Repair(config, settings)
    document = {
        "check": work.check,
        "rebuild": work.rebuild,
        "state": work.salvage_state,
        "blocks": work.salvage_blocks,
    }
    found = document[way or "check"]()
    settings.result(found, "\n".join(f"{name}: {value}" for name, value in found.items()))


class _Repair:
    """The parts of a node that its databases can be read with."""

    def __init__(self, config: Config, settings: Settings) -> None:
        from node.claims.application import Application
        from node.evidence import evidence_check
        from node.genesis import domain, genesis_header, genesis_state_root, load_genesis, member_set
        from node.jury_proofs import Proofs

        self._settings = settings
        self._folder = Path(config.node.data_dir)
        genesis = load_genesis(Path(config.node.genesis))
        self._members = member_set(genesis)
        self._domain = domain(genesis, self._members)
        self._application = Application(genesis, evidence=evidence_check(self._members, self._domain), proofs=Proofs())
        self._header = genesis_header(genesis, self._members, genesis_state_root(self._application))

    def check(self) -> dict[str, Any]:
        from node.crypto import verify
        from node.executor import Executor
        from node.repair import check_chain, check_state
        from node.state import StateDatabase
        from node.store import BlockStore
        from node.verification import TransactionVerifier

        blocks = BlockStore.open(self._folder / "blocks", self._domain.genesis)
        try:
            height = check_chain(blocks, self._members, self._domain, verify)
            state = StateDatabase.open(self._folder / "state", self._domain.genesis)
            try:
                executor = Executor(self._application, state, blocks, self._header, TransactionVerifier())
                return {"blocks": f"whole up to {height}", "state": f"whole up to {check_state(state, executor)}"}
            finally:
                state.close()
        finally:
            blocks.close()

    def rebuild(self) -> dict[str, Any]:
        from node.repair import rebuild_state
        from node.store import BlockStore
        from node.verification import TransactionVerifier

        def progress(reached: int, top: int) -> None:
            if reached % 1_000 == 0 or reached == top:
                self._settings.note(f"computed up to block {reached} of {top}")

        blocks = BlockStore.open(self._folder / "blocks", self._domain.genesis)
        try:
            height = rebuild_state(
                self._folder / "state",
                blocks,
                self._application,
                self._header,
                TransactionVerifier(),
                progress=progress,
            )
            return {"state": f"computed again up to block {height}"}
        finally:
            blocks.close()

    def salvage_state(self) -> dict[str, Any]:
        from node.repair import salvage_state
        from node.store import BlockStore
        from node.verification import TransactionVerifier

        blocks = BlockStore.open(self._folder / "blocks", self._domain.genesis)
        try:
            height = salvage_state(
                self._folder / "state", blocks, self._application, self._header, TransactionVerifier()
            )
            return {"state": f"whole up to block {height}"}
        finally:
            blocks.close()

    def salvage_blocks(self) -> dict[str, Any]:
        from node.repair import salvage_blocks

        found = salvage_blocks(self._folder / "blocks", self._domain.genesis)
        self._settings.note("the journal is gone: the node will listen before it votes; next: --rebuild-state")
        return {"blocks": f"whole up to {found.height}", "dropped": found.dropped}
