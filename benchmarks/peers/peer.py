"""The interface that a load harness needs of a network under test, ours or another."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from consensus.errors import ChainError


class PeerUnavailable(ChainError):
    """This machine cannot build or run the peer: leave it out, and show the message, which says why."""


class PeerFailed(ChainError):
    """A node of the peer did not do what was asked. The message ends with its last log lines."""


class Peer(Protocol):
    """A network of nodes on this machine. Index i means the same node in every list."""

    @property
    def name(self) -> str:
        """Product, version and setting, as a table shows them."""

    @property
    def endpoints(self) -> list[str]:
        """Base URL of each node, without a slash at the end; what is behind it is the peer's own."""

    @property
    def pids(self) -> list[int]:
        """Process of each node, for /proc; 0 where it does not run."""

    @property
    def directories(self) -> list[Path]:
        """Where each node keeps everything it writes."""

    def start(self) -> None:
        """Start every node; returns when all of them are connected and take transactions."""

    def stop(self) -> None:
        """Stop every node in an orderly way; a second call does nothing."""

    def kill(self, index: int) -> None:
        """End one node at once, as a power cut would end its process."""
