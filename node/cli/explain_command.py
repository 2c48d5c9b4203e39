"""`weal explain`: what an error code means and what to do about it."""

from __future__ import annotations

import re
from typing import Any, Final

import rich_click as click

from node.cli.base import NOT_FOUND, CommandError, Settings, output_options, pass_settings

EXIT_CODES: Final = {
    0: "Done.",
    1: "An unexpected failure: a defect of the program, or a disk that fails.",
    2: "The command line is wrong.",
    3: "A verification failed: do not trust what was checked.",
    4: "The ledger rejected the transaction; nothing was changed.",
    5: "There is no such record.",
    6: "Not final before the timeout. Running the same command again is safe.",
    7: "No node can be reached, or there is no quorum.",
    8: "A configuration, genesis or input file is invalid.",
    9: "A key file cannot be used, or the passphrase is wrong.",
    130: "Interrupted.",
}


@click.command()
@click.argument("code")
@output_options
@pass_settings
def explain(settings: Settings, code: str) -> None:
    """Say what an error code means and what to do about it.

    \b
    Examples:
      weal explain E1125
      weal explain NOT_YET_COVERED
      weal explain exit-codes
    """
    entry = look_up(code)
    if entry is None:
        raise CommandError(
            f"there is no code {code!r}",
            hint="Codes look like E0429 or E1125; `weal explain exit-codes` lists the exit codes.",
            code=NOT_FOUND,
        )
    settings.result(entry, "\n".join(f"{name}: {value}" for name, value in entry.items()))


def look_up(code: str) -> dict[str, Any] | None:
    """The entry of an API problem, of a ledger result by code or name, or all exit codes."""
    from node.api.problems import BY_CODE, LEDGER_BASE
    from node.claims.results import ResultCode, describe

    wanted = code.strip().upper().replace("-", "_")
    if wanted in ("EXIT_CODES", "EXIT"):
        return {str(number): text for number, text in EXIT_CODES.items()}
    if wanted in BY_CODE:
        kind = BY_CODE[wanted]
        return {
            "code": kind.code,
            "name": kind.slug,
            "meaning": kind.title + ".",
            "help": kind.hint,
            "http_status": kind.status,
            "retryable": kind.retryable,
            "exit_code": kind.exit_code,
        }
    number = re.fullmatch(r"E?(\d{1,4})", wanted)
    for result in ResultCode:
        if result and (wanted == result.name or (number and int(number[1]) in (result, LEDGER_BASE + result))):
            return {
                "code": f"E{LEDGER_BASE + result:04d}",
                "name": result.name.lower().replace("_", "-"),
                "meaning": describe(result),
                "ledger_code": int(result),
                "exit_code": 4,
            }
    return None
