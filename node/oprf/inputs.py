"""The one way to write down a person, an event or a paper, so that every organisation gets the same value.

Each field is brought to one form and written behind its length; fields keep their order. Forms:

- identifiers (id numbers, hospital and issuer codes, receipt numbers): Unicode NFKC, upper case; spaces and the
  punctuation - . / _ : , # are dropped; what is left must be letters A-Z and digits. So dashes and full-width digits
  make no difference, and no later version of Unicode can change a value;
- dates: YYYY-MM-DD;
- files: SHA-256 of the bytes.

Leading zeros count. What people may write in different ways (names, addresses) is not an input.
"""

from __future__ import annotations

import unicodedata
from datetime import date
from hashlib import sha256
from typing import Final

MAX_FIELD: Final = 200
"""Characters of a field as given."""
_DROPPED: Final = str.maketrans("", "", "-./_:,#")


class BadInput(ValueError):
    """A field that cannot be brought to its form. The message names the field, never its content."""


def identifier(name: str, text: str) -> str:
    """One form of an identifier. `name` is for the error."""
    if len(text) > MAX_FIELD:
        raise BadInput(f"{name}: at most {MAX_FIELD} characters are allowed")
    kept = "".join(unicodedata.normalize("NFKC", text).upper().translate(_DROPPED).split())
    if not (kept.isascii() and kept.isalnum()):
        raise BadInput(f"{name}: only letters A-Z, digits, spaces and - . / _ : , # are allowed, one at least")
    return kept


def day(name: str, text: str) -> str:
    """YYYY-MM-DD."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise BadInput(f"{name}: a day is written 2026-01-31") from None


def _written(*fields: str | bytes) -> bytes:
    raw = [field.encode() if isinstance(field, str) else field for field in fields]
    return b"".join(len(field).to_bytes(2, "big") + field for field in raw)


def person(scheme: str, number: str) -> bytes:
    """`scheme` says whose number it is, such as CN-RESIDENT or DE-KVNR; the consortium agrees on a list."""
    return _written("person", identifier("scheme", scheme), identifier("number", number))


def event(scheme: str, number: str, hospital: str, admitted: str, ailment: str) -> bytes:
    """One stay or diagnosis: the person, the hospital's code, the day of admission, the plan's ailment code."""
    return _written(
        "event",
        identifier("scheme", scheme),
        identifier("number", number),
        identifier("hospital", hospital),
        day("admitted", admitted),
        identifier("ailment", ailment),
    )


def receipt(issuer: str, number: str) -> bytes:
    """A paper by its number."""
    return _written("receipt", identifier("issuer", issuer), identifier("number", number))


def file_digest(digest: bytes) -> bytes:
    """A paper by the SHA-256 of its file, byte for byte: a second scan of it is another file."""
    if len(digest) != 32:
        raise BadInput("file: a SHA-256 digest has 32 bytes")
    return _written("file", digest)


def file(content: bytes) -> bytes:
    """`file_digest` of these bytes."""
    return file_digest(sha256(content).digest())
