"""The genesis file: readable, one to one with the application's terms, strict about mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from node.claims.application import Application
from node.claims.genesis import Role
from node.claims.plain import BadValue
from node.crypto import SigningKey
from node.errors import ConfigError
from node.genesis import (
    build_genesis,
    domain,
    dump_genesis,
    genesis_header,
    genesis_state_root,
    load_genesis,
    load_organisations,
    load_plan,
    member_set,
)
from node.keyfile import read_public, write_key
from tests.factories import CONFIGS, MemoryState, make_genesis

GENESIS = make_genesis()


def damaged(folder: Path, change: Any) -> ConfigError:
    document = json.loads(dump_genesis(GENESIS))
    del document["digest"]
    change(document)
    path = folder / "genesis.json"
    path.write_text(json.dumps(document, indent=2))
    with pytest.raises(ConfigError) as caught:
        load_genesis(path)
    assert caught.value.file == str(path)
    return caught.value


def test_genesis_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(dump_genesis(GENESIS))
    loaded = load_genesis(path)
    assert loaded == GENESIS
    assert loaded.digest == GENESIS.digest
    # Layout does not matter.
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert load_genesis(path).digest == GENESIS.digest


def test_change_after_it_was_made_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(dump_genesis(GENESIS).replace('"chain": "test"', '"chain": "tset"'))
    with pytest.raises(ConfigError, match="was changed after it was made") as caught:
        load_genesis(path)
    assert caught.value.line == 3


def test_mistake_is_named_with_line_and_key(tmp_path: Path) -> None:
    def shorten(document: Any) -> None:
        document["organisations"][1]["node_key"] = "00ff"

    error = damaged(tmp_path, shorten)
    assert error.key == "organisations[1].node_key"
    lines = (tmp_path / "genesis.json").read_text().splitlines()
    assert error.line is not None and "00ff" in lines[error.line - 1]

    def rename(document: Any) -> None:
        document["plans"][0]["calendar"]["cycle_dayz"] = 1

    error = damaged(tmp_path, rename)
    assert error.key == "plans[0].calendar.cycle_dayz"
    lines = (tmp_path / "genesis.json").read_text().splitlines()
    assert error.line is not None and "cycle_dayz" in lines[error.line - 1]


def test_genesis_without_a_node_is_refused(tmp_path: Path) -> None:
    def remove_nodes(document: Any) -> None:
        for organisation in document["organisations"]:
            organisation["node_key"] = ""

    assert "replicas" in str(damaged(tmp_path, remove_nodes))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "weal-genesis/2"}', "[" * 3000, "\x00"])
def test_something_else_is_not_a_genesis_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "genesis.json").write_text(text)
    with pytest.raises(ConfigError):
        load_genesis(tmp_path / "genesis.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_genesis(tmp_path / "absent.json")


def test_member_set_has_the_nodes_in_file_order_and_the_header_names_it() -> None:
    members = member_set(GENESIS)
    assert [member.name for member in members.members] == ["a", "b", "c", "d"]
    state = MemoryState()
    application = Application(GENESIS)
    application.initialise(state)
    header = genesis_header(GENESIS, members, genesis_state_root(application))
    assert header.height == 0
    assert header.genesis == domain(GENESIS, members).genesis == GENESIS.digest
    assert header.members == members.digest
    assert genesis_state_root(application) == header.state_root


def test_organisations_file_takes_keys_from_key_files(tmp_path: Path) -> None:
    node, account = SigningKey.generate(), SigningKey.generate()
    write_key(tmp_path / "node.key", node, None)
    path = tmp_path / "organisations.toml"
    path.write_text(
        '[[organisations]]\nname = "north"\nnode_key = "node.key"\n'
        f'account_keys = ["{account.public.hex()}"]\nroles = ["enroller", "reviewer"]\n'
    )
    (north,) = load_organisations(path, read_public)
    assert north.node_key == node.public
    assert north.account_keys == (account.public,)
    assert north.roles == (Role.ENROLLER, Role.REVIEWER)
    path.write_text(
        '[[organisations]]\nname = "north"\nroles = []\n\n[[organisations]]\nname = "south"\nroles = ["king"]\n'
    )
    with pytest.raises(ConfigError, match="king") as caught:
        load_organisations(path, read_public)
    assert (caught.value.line, caught.value.key) == (7, "organisations[1].roles[0]")
    path.write_text("")
    with pytest.raises(ConfigError, match="add an"):
        load_organisations(path, read_public)


def test_genesis_is_built_from_organisations_and_plan_files() -> None:
    plans = sorted((CONFIGS / "plans").glob("*.toml"))
    genesis = build_genesis(
        chain="test", time_ms=GENESIS.time_ms, time_scale=60, organisations=GENESIS.organisations, plans=plans
    )
    assert [plan.code for plan in genesis.plans] == [path.stem for path in plans]
    assert genesis.time_scale == 60
    with pytest.raises(BadValue):
        build_genesis(chain="", time_ms=0, time_scale=1, organisations=GENESIS.organisations, plans=plans)


def test_mistake_in_a_plan_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = (CONFIGS / "plans" / "critical-illness.toml").read_text()
    table = next(line for line in text.splitlines() if line.startswith("ailments_file")).split('"')[1]
    target = tmp_path / "x" / "plan.toml"
    target.parent.mkdir()
    (target.parent / table).parent.mkdir(parents=True, exist_ok=True)
    (target.parent / table).write_text((CONFIGS / "plans" / table).read_text())
    target.write_text(text)
    assert load_plan(target).code == "critical-illness"
    target.write_text(text.replace("fee_bps = ", "fee_bps = 99"))
    with pytest.raises(ConfigError) as caught:
        load_plan(target)
    assert caught.value.key == "fee_bps"
    assert caught.value.line is not None
    assert target.read_text().splitlines()[caught.value.line - 1].startswith("fee_bps")
    target.write_text("waiting_days = 1\n")
    with pytest.raises(ConfigError, match="ailments"):
        load_plan(target)
