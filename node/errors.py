"""The rest of the error tree: failures of our own disk, configuration, keys and network."""

from __future__ import annotations

from consensus.errors import ChainError


class StoreError(ChainError):
    """Our disk failed or holds nonsense: stop before voting again. The message says the way out."""


class ConfigError(ChainError):
    """A configuration or genesis file is wrong. Names the file, the line if known, and the key."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        where = ":".join(str(part) for part in (file, line) if part is not None)
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}{key + ': ' if key else ''}{message}")
        self.file, self.line, self.key = file, line, key


class KeyFileError(ChainError):
    """A key file is missing, too open, or the passphrase is wrong."""


class PeerError(ChainError):
    """A peer connection failed, or the peer is not who it should be."""


class Unavailable(ChainError):
    """A node cannot be reached, or there is no quorum."""
