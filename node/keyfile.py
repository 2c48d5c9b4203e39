"""Key files: an Ed25519 seed in a small JSON file, mode 0600, sealed with a passphrase unless asked otherwise.

The passphrase is stretched with argon2id (salt and cost stand in the file) and the seed sealed with
libsodium's SecretBox. A passphrase comes from a file, a systemd credential, a file descriptor or a prompt;
never from a command-line flag or an environment variable, which other processes can read.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import nacl.exceptions
import nacl.secret
from nacl.pwhash import argon2id

from consensus.types import PublicKey
from node.crypto import SEED_BYTES, SigningKey
from node.errors import KeyFileError

FORMAT: Final = "weal-key/1"
CREDENTIAL_NAME: Final = "weal-passphrase"
_MAX_FILE_BYTES: Final = 4096
_MAX_PASSPHRASE_BYTES: Final = 1024
_SALT_BYTES: Final = argon2id.SALTBYTES

PassphraseSource = Callable[[], bytes]


class Strength(Enum):
    """Cost of one guess at the passphrase: (argon2id passes, memory in bytes)."""

    INTERACTIVE = (argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)
    """About 0.1 s and 64 MiB: for clusters on one machine that start often."""
    MODERATE = (argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
    """About 0.5 s and 256 MiB: the default."""
    SENSITIVE = (argon2id.OPSLIMIT_SENSITIVE, argon2id.MEMLIMIT_SENSITIVE)
    """About 5 s and 1 GiB."""


def write_key(
    path: Path,
    key: SigningKey,
    passphrase: bytes | None,
    *,
    strength: Strength = Strength.MODERATE,
    overwrite: bool = False,
) -> None:
    """Write `key` to `path`, sealed with `passphrase`; None writes it in the clear, for local clusters only.

    The file appears complete or not at all. Raises KeyFileError if it exists (unless `overwrite`), if the
    passphrase is empty, or if the folder cannot be written.
    """
    content: dict[str, Any] = {"format": FORMAT, "public_key": key.public.hex()}
    if passphrase is None:
        content |= {"encryption": "none", "secret": key.seed.hex()}
    else:
        if not 1 <= len(passphrase) <= _MAX_PASSPHRASE_BYTES:
            raise KeyFileError(f"the passphrase has {len(passphrase)} bytes; use 1 to {_MAX_PASSPHRASE_BYTES}")
        passes, memory = strength.value
        salt = secrets.token_bytes(_SALT_BYTES)
        box = nacl.secret.SecretBox(_stretch(passphrase, salt, passes, memory))
        content |= {
            "encryption": "argon2id-secretbox",
            "passes": passes,
            "memory_bytes": memory,
            "salt": salt.hex(),
            "secret": bytes(box.encrypt(key.seed)).hex(),
        }
    _write_atomically(path, (json.dumps(content, indent=2) + "\n").encode(), overwrite)


def read_key(path: Path, passphrase: PassphraseSource | None) -> SigningKey:
    """The key in `path`. `passphrase` is called only if the file is sealed.

    Raises KeyFileError if the file is missing, readable by others, damaged, or the passphrase is wrong.
    """
    content = _read(path, private=True)
    try:
        sealed = bytes.fromhex(content["secret"])
        if content["encryption"] == "none":
            seed = sealed
        elif content["encryption"] == "argon2id-secretbox":
            if passphrase is None:
                raise KeyFileError(f"{path}: the key is sealed and no passphrase was given; use --passphrase-file")
            seed = _unseal(path, content, sealed, passphrase())
        else:
            raise KeyFileError(f"{path}: unknown encryption {content['encryption']!r}; a newer version wrote this file")
        if len(seed) != SEED_BYTES:
            raise ValueError(f"{len(seed)} secret bytes instead of {SEED_BYTES}")
        key = SigningKey(seed)
        if key.public.hex() != content["public_key"]:
            raise ValueError("the public key does not belong to the secret one")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeyFileError(f"{path}: damaged key file ({error}); restore it from a backup") from None
    return key


def mark_unused(path: Path, key: SigningKey) -> None:
    """Note beside a node key's file that it has never signed a vote. Only whoever makes the key can know.

    With the note a node may join a chain that has begun; without it, a new store beside an old key looks like
    a lost disk, and the node listens before it votes. The note goes with the first vote: see `mark_used`.
    """
    _write_atomically(_unused_note(path), key.public.hex().encode() + b"\n", overwrite=True)


def is_unused(path: Path, key: SigningKey) -> bool:
    try:
        return _unused_note(path).read_bytes().strip() == key.public.hex().encode()
    except OSError:
        return False


def mark_used(path: Path) -> None:
    """Remove the note, durably. Call it before the first vote leaves the machine."""
    note = _unused_note(path)
    try:
        note.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyFileError(f"{note}: cannot remove it: {error.strerror}; remove it by hand and start again") from None


def _unused_note(path: Path) -> Path:
    return path.with_name(path.name + ".unused")


def read_public(path: Path) -> PublicKey:
    """The public key in a key file, without its passphrase. Raises KeyFileError."""
    try:
        public = bytes.fromhex(_read(path, private=False)["public_key"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeyFileError(f"{path}: damaged key file ({error}); restore it from a backup") from None
    if len(public) != 32:
        raise KeyFileError(f"{path}: damaged key file (a public key of {len(public)} bytes)")
    return PublicKey(public)


def is_sealed(path: Path) -> bool:
    """Does reading this key need a passphrase? Raises KeyFileError."""
    return bool(_read(path, private=False).get("encryption") != "none")


def passphrase_from_file(path: Path) -> PassphraseSource:
    """The first line of a file that nobody but its owner and group can read."""

    def source() -> bytes:
        try:
            if path.stat().st_mode & stat.S_IRWXO:
                raise KeyFileError(f"{path}: any user can read this passphrase file; run: chmod 600 {path}")
            with path.open("rb") as file:
                return _first_line(file.read(_MAX_PASSPHRASE_BYTES + 2), str(path))
        except OSError as error:
            raise KeyFileError(f"{path}: cannot read the passphrase file: {error.strerror}") from None

    return source


def passphrase_from_fd(descriptor: int) -> PassphraseSource:
    """The first line of an open file descriptor, such as a pipe from a password manager."""

    def source() -> bytes:
        try:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return _first_line(file.readline(_MAX_PASSPHRASE_BYTES + 2), f"file descriptor {descriptor}")
        except OSError as error:
            raise KeyFileError(f"cannot read the passphrase from file descriptor {descriptor}: {error}") from None

    return source


def prompt_passphrase(prompt: str = "Passphrase: ", *, confirm: bool = False) -> bytes:
    """Ask at the terminal, twice if `confirm`. Raises KeyFileError if the two differ."""
    first = getpass.getpass(prompt).encode()
    if confirm and getpass.getpass("Again: ").encode() != first:
        raise KeyFileError("the two passphrases differ")
    return first


def find_passphrase(file: Path | None, environ: Mapping[str, str] | None = None) -> PassphraseSource | None:
    """Where an unattended node gets its passphrase: the configured file, else the systemd credential
    `weal-passphrase` in $CREDENTIALS_DIRECTORY, else nowhere (None)."""
    if file is not None:
        return passphrase_from_file(file)
    folder = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL_NAME).exists():
        return passphrase_from_file(Path(folder) / CREDENTIAL_NAME)
    return None


def _stretch(passphrase: bytes, salt: bytes, passes: int, memory: int) -> bytes:
    return argon2id.kdf(nacl.secret.SecretBox.KEY_SIZE, passphrase, salt, opslimit=passes, memlimit=memory)


def _unseal(path: Path, content: dict[str, Any], sealed: bytes, passphrase: bytes) -> bytes:
    passes, memory = content["passes"], content["memory_bytes"]
    highest_passes, highest_memory = Strength.SENSITIVE.value
    # A file from elsewhere must not make this machine compute for hours or run out of memory.
    if not (1 <= passes <= 4 * highest_passes and argon2id.MEMLIMIT_MIN <= memory <= highest_memory):
        raise ValueError("a cost out of range")
    box = nacl.secret.SecretBox(_stretch(passphrase, bytes.fromhex(content["salt"]), passes, memory))
    try:
        return bytes(box.decrypt(sealed))
    except nacl.exceptions.CryptoError:
        raise KeyFileError(f"{path}: wrong passphrase") from None


def _read(path: Path, *, private: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileError(f"{path}: other users can open this key file; run: chmod 600 {path}")
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the key file: {error.strerror}") from None
    try:
        if len(data) > _MAX_FILE_BYTES:
            raise ValueError("too long")
        content = json.loads(data)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except (ValueError, RecursionError) as error:
        raise KeyFileError(f"{path}: not a key file ({error})") from None
    return content


def _first_line(data: bytes, where: str) -> bytes:
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    if not 1 <= len(line) <= _MAX_PASSPHRASE_BYTES:
        raise KeyFileError(f"{where}: the passphrase has {len(line)} bytes; use 1 to {_MAX_PASSPHRASE_BYTES}")
    return line


def _write_atomically(path: Path, data: bytes, overwrite: bool) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                os.replace(draft, path)
            else:
                os.link(draft, path)  # unlike a rename this fails if the name is taken
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise KeyFileError(f"{path}: exists already; a key is never overwritten unless asked") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot write the key file: {error.strerror}") from None


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
