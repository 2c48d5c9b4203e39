"""The genesis file: JSON that people read and sign off, one to one with the application's `Genesis`.

Bytes are hex, enums words. The digest names the chain and is computed from the canonical bytes, not from
the file, so its layout does not matter. Errors name the file, the line and the key.
"""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from consensus.block import Header
from consensus.merkle import rfc6962_root
from consensus.messages import Domain
from consensus.quorum import Member, MemberSet
from consensus.types import Digest, Height, PublicKey
from node.claims.application import Application
from node.claims.genesis import Genesis, Organisation, PlanTerms, read_ailments
from node.claims.genesis_checks import check_genesis, plan_from_mapping
from node.claims.plain import BadValue, from_plain, to_plain
from node.claims.state import EncodedState
from node.errors import ConfigError
from node.lines import find_json_line, find_toml_line
from node.merkle import state_root

FORMAT: Final = "weal-genesis/1"
_MAX_FILE_BYTES: Final = 64 * 1024 * 1024


def load_genesis(path: Path) -> Genesis:
    """The genesis in a JSON file. Raises ConfigError naming file, line and key."""
    text = _read_text(path)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error.msg}", file=str(path), line=error.lineno) from None
    except RecursionError:
        raise ConfigError("not a genesis file: nested too deeply", file=str(path)) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError(f'not a genesis file: it must be an object with "format": "{FORMAT}"', file=str(path))
    stated = document.pop("digest", None)
    del document["format"]
    try:
        genesis = from_plain(Genesis, document)
        check_genesis(genesis)
        member_set(genesis)
    except BadValue as error:
        raise _at(path, error, find_json_line(text, error.path)) from None
    except ValueError as error:
        raise ConfigError(str(error), file=str(path), key="organisations") from None
    if stated is not None and stated != genesis.digest.hex():
        raise ConfigError(
            f"the content has digest {genesis.digest.hex()}, the file says {stated}: it was changed after it was made",
            file=str(path),
            line=find_json_line(text, "digest"),
            key="digest",
        )
    return genesis


def dump_genesis(genesis: Genesis) -> str:
    """The text of a genesis file. Its digest is stated, so that a change by accident is noticed."""
    document = {"format": FORMAT, "digest": genesis.digest.hex(), **to_plain(genesis)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def member_set(genesis: Genesis) -> MemberSet:
    """The replicas of epoch 0: the organisations that run a node, in the order of the file.

    Raises ValueError if there is none, or too many.
    """
    members = [Member(name=o.name, key=PublicKey(o.node_key)) for o in genesis.organisations if o.node_key]
    return MemberSet(epoch=0, members=tuple(members))


def domain(genesis: Genesis, members: MemberSet) -> Domain:
    """What everything signed between the replicas begins with."""
    return Domain(genesis=Digest(genesis.digest), epoch=members.epoch, members=members.digest)


def genesis_header(genesis: Genesis, members: MemberSet, state_root: bytes) -> Header:
    """The header of height 0, the parent of block 1. `state_root` is that of the initialised state."""
    empty = rfc6962_root(())
    return Header(
        genesis=Digest(genesis.digest),
        epoch=members.epoch,
        height=Height(0),
        time_ms=genesis.time_ms,
        parent=Digest(bytes(32)),
        transaction_count=0,
        transactions_root=empty,
        receipts_root=empty,
        state_root=Digest(state_root),
        members=members.digest,
    )


class _EmptyState(EncodedState):
    """A state in memory, for the records of block 0."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.records.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value

    def delete(self, key: bytes) -> None:
        self.records.pop(key, None)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self.records if start <= key < end):
            yield key, self.records[key]


def genesis_state_root(application: Application) -> Digest:
    """Root of the state that block 1 builds on."""
    state = _EmptyState()
    application.initialise(state)
    return Digest(state_root(state.records.items()))


def load_plan(path: Path) -> PlanTerms:
    """Plan terms from a TOML file; `ailments_file` names its ailment table, a CSV beside it.

    Raises ConfigError naming file, line and key.
    """
    text = _read_text(path)
    document = _parse_toml(path, text)
    name = document.get("ailments_file")
    if not isinstance(name, str):
        line = find_toml_line(text, "ailments_file")
        raise ConfigError("name the CSV with the plan's ailments", file=str(path), line=line, key="ailments_file")
    table = path.parent / name
    try:
        ailments = read_ailments(_read_text(table))
    except BadValue as error:
        raise ConfigError(str(error), file=str(table)) from None
    except csv.Error as error:
        raise ConfigError(f"not a CSV file: {error}", file=str(table)) from None
    try:
        return plan_from_mapping(document, ailments)
    except BadValue as error:
        raise _at(path, error, find_toml_line(text, error.path)) from None


def build_genesis(
    *,
    chain: str,
    time_ms: int,
    time_scale: int,
    organisations: Sequence[Organisation],
    plans: Sequence[Path],
) -> Genesis:
    """A new genesis from organisations and plan files. Raises ConfigError, or BadValue for the rest."""
    genesis = from_plain(
        Genesis,
        {
            "chain": chain,
            "time_ms": time_ms,
            "time_scale": time_scale,
            "organisations": to_plain(tuple(organisations)),
            "plans": [to_plain(load_plan(path)) for path in plans],
        },
    )
    check_genesis(genesis)
    member_set(genesis)
    return genesis


def load_organisations(path: Path, read_key: Callable[[Path], bytes]) -> tuple[Organisation, ...]:
    """Organisations from a TOML file with one `[[organisations]]` table each.

    A key is hex, or the name of a key file beside it, of which `read_key` gives the public half.
    Raises ConfigError naming file, line and key.
    """
    text = _read_text(path)
    rows = _parse_toml(path, text).get("organisations")
    if not isinstance(rows, list) or not rows:
        raise ConfigError("add an [[organisations]] table for each organisation", file=str(path), key="organisations")
    found: list[Organisation] = []
    for index, row in enumerate(rows):
        where = f"organisations[{index}]"
        try:
            found.append(from_plain(Organisation, _with_keys(row, path.parent, read_key), where))
        except BadValue as error:
            raise _at(path, error, find_toml_line(text, error.path)) from None
    return tuple(found)


def _with_keys(row: object, folder: Path, read_key: Callable[[Path], bytes]) -> object:
    if not isinstance(row, dict):
        return row
    fields: dict[str, Any] = {"node_key": "", "account_keys": []} | row
    if isinstance(fields["node_key"], str):
        fields["node_key"] = _as_hex(fields["node_key"], folder, read_key)
    if isinstance(fields["account_keys"], list):
        keys = fields["account_keys"]
        fields["account_keys"] = [_as_hex(k, folder, read_key) if isinstance(k, str) else k for k in keys]
    return fields


def _as_hex(value: str, folder: Path, read_key: Callable[[Path], bytes]) -> str:
    is_file = value and not re.fullmatch(r"[0-9a-fA-F]*", value)
    return read_key(folder / value).hex() if is_file else value


def _parse_toml(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", file=str(path)) from None
    except RecursionError:
        raise ConfigError("not TOML: nested too deeply", file=str(path)) from None


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ConfigError("too large", file=str(path))
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("not a text file in UTF-8", file=str(path)) from None


def _at(path: Path, error: BadValue, line: int | None) -> ConfigError:
    return ConfigError(error.message, file=str(path), line=line, key=error.path or None)
