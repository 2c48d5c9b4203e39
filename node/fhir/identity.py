"""Who a patient is, without saying so: a keyed value of an identifier, made with a secret that stays here.

The value goes on chain so that a person cannot become a member of one plan twice. It is an HMAC and not a
hash, because identity numbers are few enough to try them all. Whoever holds the secret can test guesses, so
it is shared only with those who must recognise the same people, and destroying it makes the values dead.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.claims.builders import person_commitment
from node.errors import KeyFileError
from node.fhir.resources import MAX_LIST, MAX_TEXT, Identifier, Patient
from node.oprf import inputs

FORMAT: Final = "weal-import-secret/1"
SECRET_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 4096

_BY_TYPE: Final = ("NI", "SS", "NNCHN", "SB", "TAX", "PPN", "DL", "MC", "MA", "MR", "PI")
"""HL7 v2 table 0203, best first: national numbers, passport, licence, insurance, then record numbers."""


class ImportSecret:
    """Makes the keyed values of one import, or of all imports that share the secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise KeyFileError(f"an import secret has {SECRET_BYTES} bytes, not {len(secret)}")
        self._secret = secret

    def person(self, patient: Patient) -> bytes:
        """32 bytes that are the same for the same person in every file that carries the same identifier."""
        system, value = identifying(patient)
        # Lengths first, so that no two pairs give the same text.
        return person_commitment(self._secret, f"{len(system)}:{system}:{value}")

    def salt(self, person: bytes, resource: str) -> bytes:
        """32 bytes that hide one evidence item; not stored, because it can be made again from the secret."""
        return hmac.digest(self._secret, b"weal/evidence-salt/1\0" + person + resource.encode(), sha256)


def identifying(patient: Patient) -> tuple[str, str]:
    """(system, value) of the identifier that says most about who this is; the resource's own id as a last resort."""

    def rank(identifier: Identifier) -> tuple[int, str, str]:
        codes = [coding.code for coding in identifier.type.coding[:MAX_LIST]] if identifier.type else []
        best = min((_BY_TYPE.index(code) for code in codes if code in _BY_TYPE), default=len(_BY_TYPE))
        return best, identifier.system or "", identifier.value or ""

    usable = [
        identifier
        for identifier in patient.identifier[:MAX_LIST]
        if identifier.value and len(identifier.value) <= MAX_TEXT and len(identifier.system or "") <= MAX_TEXT
    ]
    if not usable:
        return "Patient.id", patient.id or ""
    best = min(usable, key=rank)
    # The same number is written with and without hyphens and spaces.
    value = "".join(character for character in (best.value or "").casefold() if character.isalnum())
    return best.system or "", value or best.value or ""


def joint_input(patient: Patient) -> bytes:
    """What the organisations make this person's value of, where they have a key (docs/duplicates.md): the system is
    the scheme. An identifier that has no such form stands for itself by its digest."""
    system, value = identifying(patient)
    try:
        return inputs.person(system or "NONE", value)
    except inputs.BadInput:
        return inputs.person("DIGEST", sha256(f"{len(system)}:{system}:{value}".encode()).hexdigest())


def load_secret(path: Path, *, create: bool) -> tuple[ImportSecret, bool]:
    """(the secret in `path`, whether it was made just now). Raises KeyFileError."""
    secret, is_new = load_secret_bytes(path, create=create)
    return ImportSecret(secret), is_new


def load_secret_bytes(path: Path, *, create: bool) -> tuple[bytes, bool]:
    """(the 32 bytes in `path`, whether they were made just now). Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileError(f"{path}: other users can open this secret; run: chmod 600 {path}")
            content = json.loads(file.read(_MAX_FILE_BYTES))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        held = bytes.fromhex(content["secret"])
        if len(held) != SECRET_BYTES:
            raise ValueError(f"{len(held)} secret bytes instead of {SECRET_BYTES}")
        return held, False
    except FileNotFoundError:
        if not create:
            raise KeyFileError(f"{path}: there is no import secret") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the import secret: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise KeyFileError(f"{path}: not an import secret ({error}); restore it from a backup") from None
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file_out:
            json.dump({"format": FORMAT, "secret": secret.hex()}, file_out)
            file_out.write("\n")
            file_out.flush()
            os.fsync(file_out.fileno())
    except OSError as error:
        raise KeyFileError(f"{path}: cannot write the import secret: {error.strerror}") from None
    return secret, True
