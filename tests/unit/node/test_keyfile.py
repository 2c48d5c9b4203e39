"""Key files: sealed by default, private, atomic, and clear about what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from node.crypto import SigningKey
from node.errors import KeyFileError
from node.keyfile import (
    Strength,
    find_passphrase,
    is_sealed,
    passphrase_from_fd,
    passphrase_from_file,
    read_key,
    read_public,
    write_key,
)

KEY = SigningKey(bytes(range(32)))


def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "node.key"
    write_key(path, KEY, b"correct horse", strength=Strength.INTERACTIVE)
    return path


def test_sealed_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    path = sealed(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert KEY.seed.hex() not in path.read_text()
    assert is_sealed(path)
    assert read_public(path) == KEY.public
    assert read_key(path, lambda: b"correct horse").seed == KEY.seed
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        read_key(path, lambda: b"wrong")
    with pytest.raises(KeyFileError, match="no passphrase"):
        read_key(path, None)


def test_default_strength_is_moderate(tmp_path: Path) -> None:
    write_key(tmp_path / "k", KEY, b"p")
    content = json.loads((tmp_path / "k").read_text())
    assert (content["passes"], content["memory_bytes"]) == Strength.MODERATE.value


def test_plain_key_needs_no_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "plain.key"
    write_key(path, KEY, None)
    assert not is_sealed(path)
    assert read_key(path, None).public == KEY.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    write_key(path, KEY, None)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key(path, None)


def test_existing_key_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    write_key(path, KEY, None)
    other = SigningKey.generate()
    with pytest.raises(KeyFileError, match="exists already"):
        write_key(path, other, None)
    assert read_public(path) == KEY.public
    write_key(path, other, None, overwrite=True)
    assert read_public(path) == other.public
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.key"]


@pytest.mark.parametrize(
    "damage",
    [
        {"secret": "zz"},
        {"secret": "00"},
        {"secret": 5},
        {"public_key": "00" * 32},
        {"encryption": "rot13"},
        {"format": "other"},
    ],
)
def test_damaged_plain_key_is_refused(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "node.key"
    write_key(path, KEY, None)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(KeyFileError):
        read_key(path, None)


@pytest.mark.parametrize("damage", [{"passes": 10**9}, {"memory_bytes": 2**40}, {"salt": "00"}, {"passes": "x"}])
def test_sealed_key_with_senseless_parameters_is_refused_quickly(tmp_path: Path, damage: dict[str, object]) -> None:
    path = sealed(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(KeyFileError, match="damaged"):
        read_key(path, lambda: b"correct horse")


@pytest.mark.parametrize("text", ["", "[]", "{", "x" * 5000, "[" * 4000])
def test_something_else_is_not_a_key_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a key file"):
        read_key(path, None)


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="absent.key"):
        read_key(tmp_path / "absent.key", None)
    with pytest.raises(KeyFileError, match="cannot write"):
        write_key(tmp_path / "absent" / "node.key", KEY, None)


def test_passphrase_comes_from_file_credential_or_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "weal-passphrase"
    path.write_bytes(b"secret words\r\nsecond line\n")
    path.chmod(0o600)
    assert passphrase_from_file(path)() == b"secret words"
    source = find_passphrase(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert source is not None and source() == b"secret words"
    assert find_passphrase(None, {}) is None
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe\n")
    os.close(writing)
    assert passphrase_from_fd(reading)() == b"from a pipe"
    os.close(reading)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        passphrase_from_file(path)()
    path.chmod(0o600)
    path.write_bytes(b"\n")
    with pytest.raises(KeyFileError, match="0 bytes"):
        passphrase_from_file(path)()
