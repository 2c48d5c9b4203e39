"""Commitments to papers: what goes on chain hides them, and the opening kept here shows what was meant.

A commitment is SHA-256 over a random salt and the digest of the papers. The opening (salt, names and digests of
the files) goes into a file of mode 0600; destroying it makes the commitment on chain say nothing for ever.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.claims.builders import commitment
from node.cli.base import USAGE, CommandError

FORMAT: Final = "weal-opening/1"
_CHUNK: Final = 1 << 20


def commit_to(papers: Sequence[str], kind: str, opening: Path | None) -> tuple[bytes, Path | None]:
    """(commitment, where its opening was written). A single paper of 64 hex digits is a commitment already.

    Raises CommandError if a file cannot be read or the opening exists.
    """
    if len(papers) == 1 and re.fullmatch(r"[0-9a-fA-F]{64}", papers[0]):
        return bytes.fromhex(papers[0]), None
    digests = [digest_of(Path(paper)) for paper in papers]
    salt = secrets.token_bytes(32)
    value = commitment(salt, sha256(b"".join(digests)).digest())
    path = opening or Path(f"{kind}-{value.hex()[:12]}.opening.json")
    document = {
        "format": FORMAT,
        "kind": kind,
        "commitment": value.hex(),
        "salt": salt.hex(),
        "papers": [
            {"name": Path(paper).name, "sha256": digest.hex()} for paper, digest in zip(papers, digests, strict=True)
        ],
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CommandError(f"{path}: cannot write the opening: {error.strerror}", code=USAGE) from None
    return value, path


def digest_of(paper: Path) -> bytes:
    """SHA-256 of a file. Raises CommandError."""
    digest = sha256()
    try:
        with paper.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CommandError(
            f"{paper}: {error.strerror}", hint="Give a file, or the commitment as 64 hex digits.", code=USAGE
        ) from None
    return digest.digest()
