"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    try:
        return version("commonweal")
    except PackageNotFoundError:
        return "unknown"
