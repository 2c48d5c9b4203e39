"""Which node to ask and with which key to sign: flags, then environment, then profile, then a local cluster.

Secrets are never given in flags or variables, only the files they are in.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import rich_click as click

from node.cli.base import BAD_CONFIG, USAGE, CommandError, Settings
from node.errors import ConfigError, KeyFileError

if TYPE_CHECKING:
    from node.claims.transaction import Action
    from node.client import Account, Client, Outcome
    from node.crypto import SigningKey
    from node.keyfile import PassphraseSource
    from node.localnet.state import State

F = TypeVar("F", bound=Callable[..., Any])

PROFILE_FILE: Final = "weal/profiles.toml"
_PROFILE_KEYS: Final = frozenset({"node", "key", "passphrase_file", "genesis"})
CLIENT_VARIABLES: Final = ("WEAL_NODE", "WEAL_KEY", "WEAL_PROFILE")
"""Read by commands that talk to a node. The node's own configuration must not see them."""


class Connection(NamedTuple):
    """What the flags of one command say."""

    settings: Settings
    nodes: tuple[str, ...]
    timeout_s: float
    profile: str | None
    key: Path | None = None
    organisation: str | None = None
    passphrase_file: Path | None = None


def node_options(function: F) -> F:
    """Adds --node, --profile and --timeout; the command gets a `connection`."""
    return _with_connection(function, _NODE_OPTIONS)


def signing_options(function: F) -> F:
    """As `node_options`, with --key, --as and --passphrase-file, and --no-wait as `wait`."""
    return _with_connection(function, (*_NODE_OPTIONS, *_SIGNING_OPTIONS))


_NODE_OPTIONS = (
    click.option(
        "--node", "node", multiple=True, metavar="URL", envvar="WEAL_NODE", show_envvar=True,
        help="Node to ask; give several and the next is asked when one dies.",
    ),
    click.option("--profile", envvar="WEAL_PROFILE", show_envvar=True, help="Node and key from your profiles file."),
    click.option(
        "--timeout", type=click.FloatRange(0.1, 3600), default=30.0, show_default=True, metavar="SECONDS",
        help="How long to wait for an answer or for finality.",
    ),
)  # fmt: skip
_SIGNING_OPTIONS = (
    click.option(
        "--key", type=click.Path(path_type=Path, dir_okay=False), envvar="WEAL_KEY", show_envvar=True,
        help="Key file to sign with.",
    ),
    click.option("--as", "organisation", metavar="ORG", help="Sign as this organisation of the local cluster."),
    click.option(
        "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False),
        help="File whose first line opens the key; else you are asked.",
    ),
    click.option("--wait/--no-wait", default=True, help="Wait until the transaction is final (the default)."),
)  # fmt: skip


def _with_connection(function: F, options: tuple[Callable[[Any], Any], ...]) -> F:
    @click.pass_context
    def wrapped(ctx: click.Context, *arguments: Any, **values: Any) -> Any:
        given = values.pop("node"), values.pop("timeout"), values.pop("profile")
        connection = Connection(
            ctx.ensure_object(Settings),
            *given,
            key=values.pop("key", None),
            organisation=values.pop("organisation", None) if len(options) > len(_NODE_OPTIONS) else None,
            passphrase_file=values.pop("passphrase_file", None),
        )
        return ctx.invoke(function, *arguments, connection=connection, **values)

    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    # Options and arguments that were declared below this decorator belong to the command as well.
    wrapped.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    result: Any = wrapped
    for option in reversed(options):
        result = option(result)
    return result  # type: ignore[no-any-return]


def _profile(connection: Connection) -> dict[str, str]:
    """The chosen profile, or the one called `default` if there is a profiles file."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    path = Path(base).expanduser() / PROFILE_FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(error), file=str(path)) from None
    name = connection.profile or "default"
    found = document.get(name)
    if found is None:
        if connection.profile:
            raise CommandError(
                f"there is no profile {name!r} in {path}", hint=f"Add a table [{name}].", code=BAD_CONFIG
            )
        return {}
    if not isinstance(found, dict) or set(found) - _PROFILE_KEYS or not all(isinstance(v, str) for v in found.values()):
        raise ConfigError(f"known keys are {', '.join(sorted(_PROFILE_KEYS))}, all text", file=str(path), key=name)
    return {key: str(value) for key, value in found.items()}


def local_cluster() -> tuple[Path, State] | None:
    """The nearest local cluster, if there is one."""
    from node.localnet.state import find_state, load_state

    folder = find_state()
    return None if folder is None else (folder, load_state(folder))


def node_urls(connection: Connection) -> list[str]:
    """URLs of the nodes to ask, in order. Raises CommandError if none is known."""
    if connection.nodes:
        return [_url(text) for text in connection.nodes]
    profile = _profile(connection)
    if "node" in profile:
        return [_url(profile["node"])]
    cluster = local_cluster()
    if cluster is None:
        raise CommandError(
            "no node to ask",
            hint="Give --node URL, set WEAL_NODE, add a profile, or run: weal localnet up",
            code=USAGE,
        )
    # The organisation's own node first; the others stand in when it is down.
    nodes = sorted(cluster[1].nodes, key=lambda node: node.name != connection.organisation)
    return [node.url for node in nodes]


def _url(text: str) -> str:
    text = text.strip().rstrip("/")
    return text if "://" in text else f"http://{text}"


def trusted_genesis(connection: Connection) -> bytes:
    """Digest of the chain to sign for, from a file of our own; b"" if only the node can say."""
    from node.genesis import load_genesis

    profile = _profile(connection)
    if "genesis" in profile:
        return load_genesis(Path(profile["genesis"]).expanduser()).digest
    if not connection.nodes and "node" not in profile and (cluster := local_cluster()):
        return bytes.fromhex(cluster[1].genesis)
    return b""


def signing_key(connection: Connection) -> SigningKey:
    """The key to sign with. Raises KeyFileError, or CommandError if none is named."""
    from node.keyfile import read_key
    from node.localnet.layout import ACCOUNT_KEY

    profile = _profile(connection)
    path = connection.key
    if path is None and connection.organisation is None and "key" in profile:
        path = Path(profile["key"]).expanduser()
    if path is not None:
        given = connection.passphrase_file
        if given is None and "passphrase_file" in profile:
            given = Path(profile["passphrase_file"]).expanduser()
        return read_key(path, passphrase_source(given, path))
    cluster = local_cluster()
    if cluster is None:
        raise CommandError("no key to sign with", hint="Give --key FILE, or set WEAL_KEY to its path.", code=USAGE)
    folder, state = cluster
    names = ", ".join(state.organisations)
    if connection.organisation is None:
        raise CommandError("whose key?", hint=f"Give --as ORG; the local cluster has {names}.", code=USAGE)
    if connection.organisation not in state.organisations:
        raise CommandError(
            f"the local cluster has no organisation {connection.organisation!r}", hint=f"It has {names}.", code=USAGE
        )
    return read_key(folder / connection.organisation / ACCOUNT_KEY, None)


def passphrase_source(file: Path | None, key: Path) -> PassphraseSource:
    """The file, else the systemd credential, else a question at the terminal."""
    from node.keyfile import find_passphrase, prompt_passphrase

    found = find_passphrase(file)
    if found is not None:
        return found

    def ask() -> bytes:
        if not sys.stdin.isatty():
            raise KeyFileError(f"{key}: the key is sealed and nobody can be asked here; give --passphrase-file")
        return prompt_passphrase(f"Passphrase of {key}: ")

    return ask


def make_client(connection: Connection) -> Client:
    from node.client import Client

    return Client(node_urls(connection), timeout_s=connection.timeout_s, patience_s=min(15.0, connection.timeout_s))


def make_account(connection: Connection, client: Client) -> Account:
    from node.client import Account

    return Account(client, signing_key(connection), genesis=trusted_genesis(connection))


async def send(
    connection: Connection, client: Client, batches: list[list[Action]], *, wait: bool, account: Account | None = None
) -> list[Outcome]:
    """Sign and submit one transaction per batch. Its id is shown before waiting begins, so that an interrupted
    command can be taken up again. Raises Rejected for the first that the ledger refuses, NotFinal."""
    import msgspec

    account = account or make_account(connection, client)
    outcomes: list[Outcome] = []
    for start in range(0, len(batches), 500):
        signed = [await account.sign(actions) for actions in batches[start : start + 500]]
        if len(batches) == 1:
            id = signed[0].id.hex()
            connection.settings.note(f"transaction {id}\n(safe to interrupt; take it up again with: weal tx wait {id})")
        try:
            raw = [msgspec.msgpack.encode(transaction) for transaction in signed]
            outcomes += await client.submit(raw, wait=wait, timeout_s=connection.timeout_s)
        finally:
            await account.release(transaction.sequence for transaction in signed)
        for outcome in outcomes[start:]:
            refuse_rejected(outcome)
    return outcomes


def refuse_rejected(outcome: Outcome) -> None:
    """Raises Rejected, with the ledger's reason in words, unless the transaction was or may still be carried out."""
    if outcome.status not in ("rejected", "expired") and not outcome.code:
        return
    import msgspec

    from node.cli.explain_command import look_up
    from node.client import Rejected

    entry = look_up(outcome.code) if outcome.code else None
    raise Rejected(
        f"{outcome.result or outcome.status}: {outcome.detail}".rstrip(": "),
        code=outcome.code,
        hint=f"{entry['meaning'] if entry else ''} Nothing was changed.".strip(),
        transactions=[msgspec.to_builtins(outcome)],
    )
