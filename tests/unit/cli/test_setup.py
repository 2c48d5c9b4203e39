"""Keys, node folders and genesis files, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node.cli.app import weal
from node.cli.node_commands import read_config
from node.genesis import load_genesis
from node.keyfile import is_sealed, passphrase_from_file, read_key, read_public


def run(*arguments: object, **options: Any) -> Any:
    return CliRunner().invoke(weal, [str(argument) for argument in arguments], **options)


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def organisations(tmp_path: Path) -> list[Path]:
    for name in ("harbour", "juniper", "lantern", "meadow"):
        assert run("init", tmp_path / name, "--name", name, "--plain").exit_code == 0
    return sorted(tmp_path.glob("*/organisation.toml"))


def test_a_new_key_is_sealed_and_its_passphrase_can_change(tmp_path: Path, passphrase: Path) -> None:
    path, other = tmp_path / "desk.key", tmp_path / "other"
    result = run("keys", "new", path, "--passphrase-file", passphrase, "--json")
    assert result.exit_code == 0 and is_sealed(path) and path.stat().st_mode & 0o777 == 0o600
    assert json.loads(result.stdout)["public_key"] == read_public(path).hex()
    other.write_text("battery staple\n")
    other.chmod(0o600)
    changed = run("keys", "change-passphrase", path, "--passphrase-file", passphrase, "--new-passphrase-file", other)
    assert changed.exit_code == 0
    assert read_key(path, passphrase_from_file(other)).public == read_public(path)
    wrong = run("keys", "change-passphrase", path, "--passphrase-file", passphrase, "--new-passphrase-file", other)
    assert wrong.exit_code == 9 and "wrong passphrase" in wrong.stderr


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "desk.key"
    assert run("keys", "new", path, "--plain").exit_code == 0
    before = path.read_bytes()
    assert run("keys", "new", path, "--plain").exit_code == 9
    assert path.read_bytes() == before


def test_a_key_without_passphrase_says_so(tmp_path: Path) -> None:
    run("keys", "new", tmp_path / "k", "--plain")
    assert "NOT sealed" in run("keys", "show", tmp_path / "k").stdout


def test_without_a_terminal_a_passphrase_must_come_from_a_file(tmp_path: Path) -> None:
    result = run("keys", "new", tmp_path / "k", input="secret\nsecret\n")
    assert result.exit_code == 9 and "--passphrase-file" in result.stderr and not (tmp_path / "k").exists()


def test_init_makes_a_folder_that_a_node_can_be_configured_from(tmp_path: Path, passphrase: Path) -> None:
    folder = tmp_path / "harbour"
    result = run("init", folder, "--name", "harbour", "--port", 8805, "--passphrase-file", passphrase, "--json")
    assert result.exit_code == 0, result.output
    config = read_config(folder)
    assert config.listen.port == 8805 and not config.node.allow_plain_key
    assert config.node.passphrase_file == str(passphrase)
    assert json.loads(result.stdout)["node_key"] == read_public(folder / "node.key").hex()
    assert is_sealed(folder / "node.key") and is_sealed(folder / "account.key")
    again = run("init", folder, "--name", "harbour", "--plain")
    assert again.exit_code == 8 and "already" in again.stderr


@pytest.mark.parametrize("name", ["Harbour", "a b", "", "-x", "ä"])
def test_a_name_that_no_genesis_takes_is_refused_at_once(tmp_path: Path, name: str) -> None:
    assert run("init", tmp_path / "x", "--name", name, "--plain").exit_code == 2


def test_a_genesis_is_assembled_shown_and_checked(tmp_path: Path, organisations: list[Path]) -> None:
    path = tmp_path / "genesis.json"
    made = run("genesis", "assemble", *organisations, "--chain", "test-1", "-o", path, "--json")
    assert made.exit_code == 0, made.output
    genesis = load_genesis(path)
    document = json.loads(made.stdout)
    assert document["digest"] == genesis.digest.hex() and document["nodes"] == 4
    assert {plan["code"] for plan in document["plans"]} == {"critical-illness", "hospital-reimbursement"}
    shown = run("genesis", "show", path)
    assert shown.exit_code == 0 and "of which 1 may fail" in shown.stdout and genesis.digest.hex() in shown.stdout
    assert run("genesis", "check", path, "--digest", genesis.digest.hex()).exit_code == 0
    assert run("genesis", "check", path, "--digest", "00" * 32).exit_code == 3
    assert run("genesis", "assemble", *organisations, "--chain", "x", "-o", path).exit_code == 8


def test_a_changed_genesis_names_file_and_line(tmp_path: Path, organisations: list[Path]) -> None:
    path = tmp_path / "genesis.json"
    run("genesis", "assemble", *organisations, "--chain", "test-1", "--time", "2026-11-23T12:00:00Z", "-o", path)
    path.write_text(path.read_text().replace('"test-1"', '"test-2"'))
    result = run("genesis", "check", path)
    assert result.exit_code == 8 and str(path) in result.stderr and "changed" in result.stderr


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "2026"])
def test_a_genesis_time_that_is_none_is_refused(tmp_path: Path, organisations: list[Path], moment: str) -> None:
    result = run("genesis", "assemble", *organisations, "--chain", "x", "--time", moment, "-o", tmp_path / "g")
    assert result.exit_code == 2 and "2026-11-23T12:00:00Z" in result.stderr


def test_one_organisation_alone_cannot_review_itself(tmp_path: Path, organisations: list[Path]) -> None:
    result = run("genesis", "assemble", organisations[0], "--chain", "x", "-o", tmp_path / "g")
    assert result.exit_code == 8 and "reviewer" in result.stderr


def test_the_client_variables_do_not_disturb_a_nodes_configuration(
    tmp_path: Path, organisations: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAL_NODE", "http://127.0.0.1:1")
    monkeypatch.setenv("WEAL_LISTEN_PORT", "9999")
    assert read_config(organisations[0].parent).listen.port == 9999


def test_a_node_without_a_configuration_says_how_to_make_one(tmp_path: Path) -> None:
    result = run("node", "start", tmp_path)
    assert result.exit_code == 8 and "weal init" in result.stderr
