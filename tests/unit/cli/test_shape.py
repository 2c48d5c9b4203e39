"""The command line as a whole: help everywhere, fast, the same every time; errors, exit codes, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click as plain_click
import pytest
import rich_click as click
from click.testing import CliRunner

from node.claims.mutual_aid.actions import Reason
from node.claims.mutual_aid.application_actions import RefusalReason
from node.claims.mutual_aid.application_life import ApplicationStatus
from node.claims.results import ResultCode
from node.claims.words import word
from node.cli.app import COMMANDS, weal
from node.cli.application_commands import REFUSALS, STATUSES
from node.cli.base import CommandError, describe_error, exit_code_of
from node.cli.desk_commands import REASONS
from node.cli.explain_command import EXIT_CODES
from node.errors import ConfigError, KeyFileError, Unavailable

ROOT: Final = Path(__file__).resolve().parents[3]
SNAPSHOT: Final = Path(__file__).with_name("help.txt")


def run(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(weal, list(arguments), **options)


def commands(command: plain_click.Command | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every command that can be run, groups included."""
    command = weal if command is None else command
    yield path
    if isinstance(command, plain_click.Group):
        context = click.Context(command, **command.context_settings)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


def leaves() -> list[tuple[str, ...]]:
    paths = list(commands())
    return [path for path in paths if path and not any(other[: len(path)] == path and other != path for other in paths)]


def test_help_is_what_it_was() -> None:
    """Run with WEAL_WRITE_SNAPSHOT=1 after a wanted change, and read the difference."""
    import os

    parts = []
    for path in commands():
        result = run(*path, "--help", env={"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"})
        assert result.exit_code == 0, result.output
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        parts.append(f"$ {' '.join(('weal', *path))} --help\n{text}\n")
    text = "\n".join(parts)
    if os.environ.get("WEAL_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_begins_its_help_with_examples(path: tuple[str, ...]) -> None:
    text = run(*path, "--help").output
    assert 0 < text.index("Examples:") < text.index("--help  -h" if "--help  -h" in text else "Options")


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_every_command_has_json(path: tuple[str, ...]) -> None:
    assert "--json" in run(*path, "--help").output


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_no_command_takes_a_secret_in_a_flag(path: tuple[str, ...]) -> None:
    context = click.Context(weal, **weal.context_settings)
    command: Any = weal
    for name in path:
        command = command.get_command(context, name)
    for parameter in command.params:
        for name in ("passphrase", "secret", "password", "seed"):
            if name in (parameter.name or ""):
                assert isinstance(parameter.type, click.Path), f"{parameter.name} must be a file"


def test_the_documents_name_every_command_and_exit_code() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for path in leaves():
        assert f"weal {' '.join(path)}" in text, f"docs/cli.md does not mention weal {' '.join(path)}"
    for code in EXIT_CODES:
        assert f"| {code} |" in text


@pytest.mark.parametrize("arguments", [["--help"], ["claim", "--help"], ["--version"], ["claim", "list", "--help"]])
def test_help_imports_neither_the_http_library_nor_the_store(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom node.cli.app import weal\n"
        f"try: weal({arguments!r}, prog_name='weal')\nexcept SystemExit: pass\n"
        "found = {'aiohttp', 'plyvel', 'nacl', 'node.client', 'node.localnet.net'} & set(sys.modules)\n"
        "sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_lazy_command_exists() -> None:
    context = click.Context(weal, **weal.context_settings)
    for name, (_, help_line) in COMMANDS.items():
        command = weal.get_command(context, name)
        assert command is not None and command.help and help_line.endswith(".")


def test_an_unknown_command_is_a_usage_error_with_a_way_on() -> None:
    result = run("claimz")
    assert result.exit_code == 2 and "claimz" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_the_program(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0 and "_WEAL_COMPLETE" in result.output


def test_completion_knows_the_commands() -> None:
    result = run(env={"_WEAL_COMPLETE": "bash_complete", "COMP_WORDS": "weal localnet ", "COMP_CWORD": "2"})
    assert "partition" in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 8),
        (KeyFileError("x"), 9),
        (Unavailable("x"), 7),
        (CommandError("x", code=5), 5),
        (ValueError("x"), 1),
        (click.UsageError("x"), 2),
    ],
)
def test_errors_have_their_documented_exit_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code == describe_error(error)["exit_code"]


def test_an_error_is_a_json_object_when_json_is_asked_for() -> None:
    result = run("genesis", "show", "/absent/genesis.json", "--json")
    assert result.exit_code == 8 and result.stdout == ""
    assert json.loads(result.stderr)["error"]["exit_code"] == 8


def test_an_unexpected_failure_is_a_defect_with_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("node.cli.explain_command.look_up", broken)
    result = run("explain", "E0400")
    assert result.exit_code == 1 and "defect" in result.stderr and "RuntimeError" in result.stderr


def test_explain_knows_every_ledger_code_by_number_and_name() -> None:
    for code in ResultCode:
        if code:
            by_number = json.loads(run("explain", f"E{1000 + code}", "--json").stdout)
            by_name = json.loads(run("explain", code.name.lower().replace("_", "-"), "--json").stdout)
            assert by_number == by_name and by_number["ledger_code"] == code


@pytest.mark.parametrize("name", ["E0411", "E0429", "exit-codes"])
def test_explain_knows_api_problems_and_exit_codes(name: str) -> None:
    assert run("explain", name).exit_code == 0


def test_explain_says_so_if_there_is_no_such_code() -> None:
    assert run("explain", "E9999").exit_code == 5


def test_the_reasons_of_a_denial_are_the_ledgers() -> None:
    assert tuple(reason.name.lower().replace("_", "-") for reason in Reason) == REASONS
    assert [int(reason) for reason in Reason] == list(range(1, len(REASONS) + 1))
    assert tuple(word(reason) for reason in RefusalReason) == REFUSALS
    assert [int(reason) for reason in RefusalReason] == list(range(1, len(REFUSALS) + 1))
    assert tuple(word(status) for status in ApplicationStatus) == STATUSES
