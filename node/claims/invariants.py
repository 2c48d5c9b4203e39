"""What stops a node: a state that no valid history leads to."""

from __future__ import annotations


class InvariantBroken(Exception):
    """State that no valid history leads to. A bug or corruption: stop the node, do not carry on."""
