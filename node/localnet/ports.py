"""Free TCP ports for a cluster on this machine."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from node.errors import ConfigError

LOWEST: Final = 20_000
HIGHEST: Final = 32_000
"""Below the range from which the system takes ports for outgoing connections: a port that is free now is not
given to some client before the node binds it."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind the port at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def free_ports(count: int) -> list[int]:
    """Ports that are free now, drawn at random so that clusters started side by side do not meet."""
    found: set[int] = set()
    for _ in range(100 * count):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if port not in found and is_free(port):
            found.add(port)
            if len(found) == count:
                return sorted(found)
    raise ConfigError(f"found no {count} free ports between {LOWEST} and {HIGHEST}; stop other programs")


def ports_from(base: int, count: int) -> list[int]:
    """`count` ports from `base` on. Raises ConfigError naming the first one that is taken."""
    ports = list(range(base, base + count))
    if ports[-1] > 65_535:
        raise ConfigError(f"ports {base} to {ports[-1]}: the highest is 65535")
    taken = [port for port in ports if not is_free(port)]
    if taken:
        raise ConfigError(
            f"port {taken[0]} is in use; choose another with --base-port, or leave it out to take free ports"
        )
    return ports


def pairs(ports: Sequence[int]) -> list[tuple[int, int]]:
    """(client port, operator port) for each node: the first half and the second half."""
    half = len(ports) // 2
    return list(zip(ports[:half], ports[half:], strict=True))
