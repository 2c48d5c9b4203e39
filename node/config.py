"""Configuration: commented TOML and environment overrides into frozen structs, checked before anything starts.

Each field is described once, here; `commented_toml` writes the files in `configs/` from these descriptions,
and a test keeps the two together. WEAL_SECTION_KEY in the environment overrides `key` in `[section]`, such as
WEAL_LISTEN_PORT=8801. Secrets are never configured, only where to find them.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from node.errors import ConfigError
from node.lines import find_toml_line

ENVIRONMENT_PREFIX: Final = "WEAL_"
_MAX_FILE_BYTES: Final = 1024 * 1024

Port = Annotated[int, Meta(ge=0, le=65_535)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Positive = Annotated[int, Meta(ge=1, le=2**40)]
Share = Annotated[int, Meta(ge=1, le=10_000)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class NodeSection(_Section, frozen=True, kw_only=True):
    """This node. Relative paths start at the folder of this file."""

    data_dir: Annotated[str, Meta(min_length=1, description="Folder of the databases; made if it is missing.")] = "data"
    genesis: Annotated[str, Meta(min_length=1, description="The genesis file, the same for every node.")] = (
        "genesis.json"
    )
    key: Annotated[str, Meta(min_length=1, description="The node's key file, mode 0600.")] = "node.key"
    passphrase_file: Annotated[
        str,
        Meta(
            description="File whose first line opens the key file. Empty: the systemd credential weal-passphrase, "
            "or a prompt."
        ),
    ] = ""
    allow_plain_key: Annotated[
        bool, Meta(description="Accept a key file without passphrase. For clusters on one machine only.")
    ] = False
    vote_after_data_loss: Annotated[
        bool,
        Meta(
            description="Vote at once although the store lost what this node promised. Two votes in one slot can "
            "fork the chain: only if the cluster cannot move otherwise, and for one start."
        ),
    ] = False
    state_cache_bytes: Annotated[
        int,
        Meta(
            ge=2**20,
            le=2**40,
            description="Memory for records, pages and inner nodes of the state; 128 MiB hold those of some 350,000 "
            "members. What is not in it is read from the tables on disk, but for inner nodes: what they need beyond "
            "nearly half of it comes on top.",
        ),
    ] = 134_217_728
    signature_process: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Let a second process check signatures that come in numbers: on, off, or auto: where libsodium "
            "checks them and the node may use four processors or more. It is started under load only."
        ),
    ] = "auto"


class ListenSection(_Section, frozen=True, kw_only=True):
    """Where peers and clients reach this node."""

    host: Annotated[str, Meta(min_length=1, description="Address to bind; 0.0.0.0 for all of this machine's.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="TCP port; 0 lets the system choose.")] = 8800


class OperatorSection(_Section, frozen=True, kw_only=True):
    """Health, readiness, metrics and control. No authentication: keep it on this machine."""

    host: Annotated[str, Meta(min_length=1, description="Address to bind.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port; 0 lets the system choose.")] = 8810


class ConsensusSection(_Section, frozen=True, kw_only=True):
    """Agreement. Nodes may differ, but should not."""

    window: Annotated[int, Meta(ge=1, le=64, description="Blocks in flight above the last committed one.")] = 8
    view_timeout_ms: Annotated[
        Milliseconds, Meta(description="Without progress for this long, ask for the next primary; doubles each time.")
    ] = 1_000
    view_timeout_max_ms: Annotated[Milliseconds, Meta(description="Cap of that doubling.")] = 30_000
    max_clock_ahead_ms: Annotated[
        Milliseconds, Meta(description="Refuse a proposal whose time is further ahead of this node's clock.")
    ] = 10_000
    max_clock_behind_ms: Annotated[Milliseconds, Meta(description="The same for a time that lies behind.")] = 10_000
    rotate_blocks: Annotated[
        int, Meta(ge=0, le=2**40, description="Change the primary each so many blocks; 0: only when it fails.")
    ] = 10_000
    block_transactions: Annotated[int, Meta(ge=1, le=2_000, description="Most transactions in one block.")] = 500
    block_bytes: Annotated[
        int, Meta(ge=262_144, le=1_048_576, description="Most bytes of transactions in one block.")
    ] = 1_048_576
    max_clock_skew_ms: Annotated[
        Milliseconds, Meta(description="Report not ready if this clock differs more from the middle of the peers'.")
    ] = 2_000


class MempoolSection(_Section, frozen=True, kw_only=True):
    """Transactions waiting for a block."""

    max_transactions: Annotated[int, Meta(ge=1, le=1_000_000, description="Most transactions waiting.")] = 50_000
    max_bytes: Annotated[
        int, Meta(ge=1_000_000, le=2**33, description="Most memory for them, their overhead included.")
    ] = 67_108_864
    sender_share_bps: Annotated[
        Share, Meta(description="What one sender may use of both, in hundredths of a percent.")
    ] = 4_000
    backlog_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=2**40,
            description="Refuse clients while more waits than blocks take in so long, so that what is accepted is "
            "final soon. 0: only the bounds above.",
        ),
    ] = 350


class SyncSection(_Section, frozen=True, kw_only=True):
    """Fetching blocks that others have, and serving those that others lack."""

    response_bytes: Annotated[
        int, Meta(ge=100_000, le=8_000_000, description="Most bytes in one answer; at least one block is sent.")
    ] = 1_000_000
    blocks_per_request: Annotated[int, Meta(ge=1, le=1_000, description="Blocks asked for at once.")] = 100
    request_timeout_ms: Annotated[Milliseconds, Meta(description="Ask another peer after this long.")] = 5_000
    buffered_bytes: Annotated[
        int, Meta(ge=1_000_000, le=2**33, description="Fetched blocks that may wait to be executed.")
    ] = 33_554_432
    serve_bytes_per_second: Annotated[Positive, Meta(description="Sent to one peer that catches up.")] = 16_777_216
    ready_behind_blocks: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Report not ready if more blocks are missing.")
    ] = 8


class TransportSection(_Section, frozen=True, kw_only=True):
    """Connections between nodes."""

    handshake_timeout_ms: Annotated[Milliseconds, Meta(description="A connection must be proved within.")] = 5_000
    keepalive_ms: Annotated[Milliseconds, Meta(description="Ping each peer this often.")] = 1_000
    silence_timeout_ms: Annotated[
        Milliseconds, Meta(description="End a connection on which nothing came for this long.")
    ] = 10_000
    reconnect_min_ms: Annotated[Milliseconds, Meta(description="First pause before calling again; doubles.")] = 100
    reconnect_max_ms: Annotated[Milliseconds, Meta(description="Cap of that doubling.")] = 5_000


class ApiSection(_Section, frozen=True, kw_only=True):
    """Limits for clients. What is above them is refused, mostly with 429 and Retry-After."""

    body_bytes: Annotated[int, Meta(ge=1_000, le=2**30, description="Longest request body.")] = 4_194_304
    transactions_per_request: Annotated[
        int, Meta(ge=1, le=100_000, description="Most transactions in one request.")
    ] = 1_000
    request_timeout_ms: Annotated[Milliseconds, Meta(description="Longest a request's body may take to come.")] = 10_000
    wait_timeout_ms: Annotated[Milliseconds, Meta(description="Longest a client may wait for finality.")] = 60_000
    requests_per_second: Annotated[
        int, Meta(ge=0, le=2**40, description="From one address; more get 429. 0: no limit.")
    ] = 2_000
    event_streams: Annotated[int, Meta(ge=0, le=100_000, description="Open event streams, all clients together.")] = 256


class VaultSection(_Section, frozen=True, kw_only=True):
    """Encrypted evidence that this organisation holds."""

    max_bytes: Annotated[int, Meta(ge=0, le=2**50, description="Most bytes of it on this disk; more is refused.")] = (
        10_737_418_240
    )
    upload_timeout_ms: Annotated[Milliseconds, Meta(description="Longest one item may take to come.")] = 300_000


class DuplicatesSection(_Section, frozen=True, kw_only=True):
    """Keyed values of people, events and papers, which the organisations make together."""

    values_per_day: Annotated[
        int,
        Meta(
            ge=0,
            le=2**40,
            description="Values this node helps to make for one organisation in a day (UTC). It bounds how many "
            "guesses an organisation can try; raise it for a mass enrolment.",
        ),
    ] = 20_000
    timeout_ms: Annotated[Milliseconds, Meta(description="Ask another holder of the key after this long.")] = 2_000


class LogSection(_Section, frozen=True, kw_only=True):
    """What the node writes to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="debug, info, warning or error.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="console, json, or auto: console on a terminal, JSON lines otherwise."),
    ] = "auto"


class Config(_Section, frozen=True, kw_only=True):
    """All of one node's configuration."""

    node: NodeSection = NodeSection()
    listen: ListenSection = ListenSection()
    operator: OperatorSection = OperatorSection()
    peers: dict[str, Annotated[str, Meta(min_length=1, max_length=300)]] = {}
    """Organisation name -> where this node reaches it. An organisation left out is not called; it may call."""
    consensus: ConsensusSection = ConsensusSection()
    mempool: MempoolSection = MempoolSection()
    sync: SyncSection = SyncSection()
    transport: TransportSection = TransportSection()
    api: ApiSection = ApiSection()
    vault: VaultSection = VaultSection()
    duplicates: DuplicatesSection = DuplicatesSection()
    log: LogSection = LogSection()

    def resolve(self, folder: Path) -> Config:
        """The same with paths made absolute, starting at `folder`."""
        node = self.node
        paths = {name: str(folder / getattr(node, name)) for name in ("data_dir", "genesis", "key")}
        if node.passphrase_file:
            paths["passphrase_file"] = str(folder / node.passphrase_file)
        return msgspec.structs.replace(self, node=msgspec.structs.replace(node, **paths))


_SECTIONS: Final[dict[str, type[_Section]]] = {
    name: kind for name, kind in get_type_hints(Config).items() if isinstance(kind, type) and issubclass(kind, _Section)
}
_PEERS: Final = "peers"
_PEERS_COMMENT: Final = (
    'How this node reaches the others: organisation name = "host:port" or a URL. A relay, a tunnel or NAT may lie '
    "between: a peer proves who it is with its key, never by its address. One that is left out is not called."
)


def load_config(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in a TOML file, overridden by the environment; paths in it are made absolute.

    Raises ConfigError naming file, line and key, or the variable.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"not TOML: {error}", file=str(path)) from None
    _check_names(path, text, document)
    _override(document, os.environ if environ is None else environ)
    try:
        config = msgspec.convert(document, Config)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`").replace("[...]", "")
        raise ConfigError(message, file=str(path), line=find_toml_line(text, key), key=key or None) from None
    _check_sense(path, text, config)
    return config.resolve(path.parent.absolute())


def _check_names(path: Path, text: str, document: dict[str, Any]) -> None:
    for name, table in document.items():
        if name not in (*_SECTIONS, _PEERS):
            raise _unknown(path, text, name, name, (*_SECTIONS, _PEERS), "section")
        if not isinstance(table, dict):
            line = find_toml_line(text, name)
            raise ConfigError(f"must be a table, written [{name}]", file=str(path), line=line, key=name)
        for key in table if name != _PEERS else ():
            known = _SECTIONS[name].__struct_fields__
            if key not in known:
                raise _unknown(path, text, f"{name}.{key}", key, known, "key")


def _unknown(path: Path, text: str, where: str, name: str, known: tuple[str, ...], what: str) -> ConfigError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
    return ConfigError(f"unknown {what}{hint}", file=str(path), line=find_toml_line(text, where), key=where)


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("_")
        if not variable.startswith(ENVIRONMENT_PREFIX) or section not in (*_SECTIONS, _PEERS):
            continue  # other WEAL_ variables belong to other parts of the program
        if section == _PEERS:
            document.setdefault(_PEERS, {})[key.replace("_", "-")] = environ[variable]
            continue
        known = _SECTIONS[section].__struct_fields__
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {ENVIRONMENT_PREFIX}{section.upper()}_{close[0].upper()}?" if close else ""
            raise ConfigError(f"there is no key {key} in [{section}]{hint}", key=variable)
        kind = get_type_hints(_SECTIONS[section])[key]
        try:
            value = msgspec.convert(environ[variable], kind, strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), key=variable) from None
        document.setdefault(section, {})[key] = value


def _check_sense(path: Path, text: str, config: Config) -> None:
    """What no single value shows."""
    consensus, transport = config.consensus, config.transport
    pairs = (
        ("consensus.view_timeout_max_ms", consensus.view_timeout_ms, consensus.view_timeout_max_ms),
        ("transport.reconnect_max_ms", transport.reconnect_min_ms, transport.reconnect_max_ms),
        ("transport.silence_timeout_ms", 2 * transport.keepalive_ms, transport.silence_timeout_ms),
    )
    for key, low, high in pairs:
        if high < low:
            raise ConfigError(f"must be at least {low}", file=str(path), line=find_toml_line(text, key), key=key)


def commented_toml(config: Config) -> str:
    """A configuration file with every key, its description above it."""
    parts: list[str] = []
    for name in Config.__struct_fields__:
        section = getattr(config, name)
        if name == _PEERS:
            lines = [*_comment(_PEERS_COMMENT), "[peers]"]
            lines += [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in section.items()]
        else:
            kind = _SECTIONS[name]
            lines = [*_comment(kind.__doc__ or ""), f"[{name}]"]
            for key, hint in get_type_hints(kind, include_extras=True).items():
                lines += [*_comment(_description(hint)), f"{key} = {_toml_value(getattr(section, key))}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _description(hint: Any) -> str:
    return next((meta.description for meta in get_args(hint)[1:] if meta.description), "")


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > 100:
            lines.append(line)
            line = "#"
        line += " " + word
    return [*lines, line] if line != "#" else lines


def _toml_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _toml_value(key)


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if value >= 10_000 else str(value)
    # A JSON string is a TOML basic string, once the characters that only JSON leaves alone are escaped.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
