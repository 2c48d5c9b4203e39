"""The state file of a local cluster: what runs where. Found upward from the current folder by the command line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from node.errors import ConfigError

FILE: Final = "localnet.json"
FOLDER: Final = "localnet"
FORMAT: Final = "weal-localnet/1"
_MAX_BYTES: Final = 1024 * 1024


class NodeState(msgspec.Struct, kw_only=True):
    """One node of the cluster."""

    name: str
    port: int
    operator_port: int
    pid: int = 0
    """0: it does not run."""
    started: str = ""
    """When the process began, as the system tells it: a pid alone may have been given to another process."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def operator_url(self) -> str:
        return f"http://127.0.0.1:{self.operator_port}"


class State(msgspec.Struct, kw_only=True):
    """All of the file. Field names are part of its format."""

    format: str = FORMAT
    chain: str
    genesis: str
    """Digest of the genesis, hex."""
    time_scale: int = 1
    nodes: list[NodeState]
    groups: list[list[str]] = []
    """The sides of a partition, if there is one."""
    organisations: list[str]
    """Those with an account key in their folder; one that runs no node is here, too."""


def load_state(directory: Path) -> State:
    """Raises ConfigError if there is no cluster in `directory`, or its file is damaged."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            state = msgspec.json.decode(file.read(_MAX_BYTES), type=State)
    except FileNotFoundError:
        raise ConfigError(f"there is no cluster in {directory}; start one with: weal localnet up") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"damaged: {error}; remove the folder and run: weal localnet up", file=str(path)) from None
    if state.format != FORMAT:
        raise ConfigError(f"format {state.format!r}: another version of weal wrote it", file=str(path))
    return state


def save_state(directory: Path, state: State) -> None:
    """Replace the file as a whole: a reader sees the old state or the new one."""
    text = msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n"
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=f".{FILE}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        os.replace(name, directory / FILE)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def find_state(start: Path | None = None) -> Path | None:
    """The folder of the nearest cluster: `localnet/` here or in a folder above, or the current folder itself."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        for candidate in (folder / FOLDER, folder):
            if (candidate / FILE).is_file():
                return candidate
    return None
