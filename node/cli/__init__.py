"""The command line, `weal`. Commands are imported when they are used, so that `--help` and completion are fast."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `weal` program; exits the process."""
    from node.cli.app import weal

    weal(prog_name="weal")
