"""Root of the error tree: errors are sorted by whose fault they are.

ChainError              expected; handled at the edges
├─ ProtocolViolation    a peer or a client broke the rules: drop the input, count it, carry on
│  └─ DecodeError       bytes that are not the canonical form of anything we know
└─ (node.errors adds StoreError, ConfigError, ...)
InvariantBroken         a bug of ours, or a chain that forked: stop before anything worse happens
"""

from __future__ import annotations


class ChainError(Exception):
    """An expected failure. Anything else that escapes is a bug and stops the node."""


class ProtocolViolation(ChainError):
    """A peer or client broke the rules: drop the input, count it, carry on."""


class DecodeError(ProtocolViolation):
    """Bytes from outside are too long, malformed, or not in canonical form."""


class InvariantBroken(Exception):
    """Something that cannot happen happened. Outside ChainError, so that no edge swallows it."""
