"""Names and descriptions of the ledger's result codes, for people."""

from __future__ import annotations

from node.claims.results import ResultCode, describe

_NAMES = {int(code): code.name.lower().replace("_", "-") for code in ResultCode}


def result_name(code: int) -> str:
    return _NAMES.get(code, f"result-{code}")


def result_description(code: int) -> str:
    return describe(ResultCode(code)) if code in _NAMES else ""
