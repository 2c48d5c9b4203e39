"""Where the files shipped with the program are: plan parameters, ailments, samples, commented configurations.

A checkout has them in configs/ beside the package; a wheel carries the same folder as node/_configs (see
pyproject.toml). One function knows both places, so nobody else guesses paths.
"""

from __future__ import annotations

from pathlib import Path

from node.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


class ResourceMissing(ConfigError):
    """A shipped file is not where the program was installed. The attribute `name` is the missing file."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(f"{name} is not in {folder}: the installation is incomplete, install commonweal again")
        self.name = name


def configs() -> Path:
    """The folder with the shipped configuration and data files. Raises ResourceMissing."""
    installed = _PACKAGE / "_configs"
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent / "configs"
    if checkout.is_dir():
        return checkout
    raise ResourceMissing("configs", _PACKAGE)


def config_file(name: str) -> Path:
    """The shipped file `name`, a path relative to configs/. Raises ResourceMissing, which names it."""
    folder = configs()
    path = folder / name
    if not path.is_file():
        raise ResourceMissing(name, folder)
    return path
