"""What every command shares: lazy groups, `--json`, exit codes, and how an error is shown.

Results go to standard output, everything else to standard error. With `--json` a command writes one object, or
one per line if it follows something, and an error is an object on standard error. Exit codes are stable and
documented in docs/cli.md.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import rich_click as click
from click.exceptions import Exit

from consensus.errors import ChainError

if TYPE_CHECKING:
    from rich.console import Console

OK: Final = 0
BUG: Final = 1
USAGE: Final = 2
NOT_VERIFIED: Final = 3
REJECTED: Final = 4
NOT_FOUND: Final = 5
NOT_FINAL: Final = 6
UNREACHABLE: Final = 7
BAD_CONFIG: Final = 8
BAD_KEY: Final = 9
INTERRUPTED: Final = 130

F = TypeVar("F", bound=Callable[..., Any])

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.SHOW_ARGUMENTS = True
click.rich_click.MAX_WIDTH = 110
click.rich_click.ERRORS_EPILOGUE = ""
click.rich_click.TEXT_PARAGRAPH_LINEBREAKS = "\n"
click.rich_click.PADDING_HELPTEXT_FIRST_LINE = (0, 0, 1, 0)


class CommandError(ChainError):
    """A command cannot do what was asked. `hint` says what to do, `code` is the exit code."""

    def __init__(self, message: str, *, hint: str = "", code: int = BUG) -> None:
        super().__init__(message)
        self.hint, self.exit_code = hint, code


class Settings:
    """Output choices of one invocation; the `obj` of every click context."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.colour: bool | None = None
        self._out: Console | None = None

    @property
    def out(self) -> Console:
        """Standard output as a rich console; plain when it is no terminal."""
        if self._out is None:
            self._out = self._console(sys.stdout)
        return self._out

    def _console(self, stream: Any) -> Console:
        from rich.console import Console

        forced = {True: True, False: False, None: None}[self.colour]
        # Off a terminal a table is as wide as it needs to be: a program or `less -S` reads it, not a window.
        width = None if stream.isatty() else max(int(os.environ.get("COLUMNS", "0") or 0), 160)
        return Console(file=stream, force_terminal=forced, no_color=self.colour is False, highlight=False, width=width)

    def result(self, document: Any, render: Callable[[Console], object] | str | None = None) -> None:
        """The result: `document` with --json, else what `render` prints (or the text itself)."""
        if self.json:
            sys.stdout.write(to_json(document) + "\n")
            sys.stdout.flush()
        elif callable(render):
            render(self.out)
        elif render is not None:
            self.out.print(render, soft_wrap=True)

    def note(self, text: str) -> None:
        """Something worth knowing while the command runs; not part of the result."""
        if not self.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def to_json(document: Any) -> str:
    """One line of JSON; structs and dataclasses included."""
    import msgspec

    return msgspec.json.encode(document).decode()


class LazyGroup(click.RichGroup):
    """A group whose commands are imported when one is needed.

    `lazy` names each command's attribute as "module:attribute" and its help line, so that the list of commands
    can be shown without importing any of them.
    """

    def __init__(self, *arguments: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy, *(name for name in super().list_commands(ctx) if name not in self._lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy or cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        target, help_line = self._lazy[cmd_name]
        if _shows_only_a_list(ctx):
            return click.RichCommand(name=cmd_name, help=help_line, short_help=help_line)
        module, attribute = target.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        self.add_command(command, cmd_name)
        return command


def _shows_only_a_list(ctx: click.Context) -> bool:
    """True while this group's own help is being made: a name and a line are all that is shown of a command."""
    return bool(ctx.meta.get("weal.listing"))


class Root(LazyGroup):
    """The root group: runs the command, shows errors, and ends the process with the documented exit code."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        ctx.meta["weal.listing"] = True
        super().format_help(ctx, formatter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        settings = extra.setdefault("obj", Settings())
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        try:
            value = super().main(args, prog_name, complete_var, False, **extra)
            sys.stdout.flush()
        except Exception as error:  # noqa: BLE001 - the edge of the program: everything is shown and gets a code
            _end(settings, error)
        except KeyboardInterrupt:
            _end(settings, click.Abort())
        sys.exit(value if isinstance(value, int) else OK)


def _end(settings: Settings, error: BaseException) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough. Nothing more may be written, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OK)
    if isinstance(error, Exit):
        sys.exit(error.exit_code)
    if isinstance(error, (click.Abort, EOFError)):
        settings.note("\ninterrupted")
        sys.exit(INTERRUPTED)
    document = describe_error(error)
    if settings.json:
        sys.stderr.write(to_json({"error": document}) + "\n")
    elif isinstance(error, click.ClickException):
        error.show()
    else:
        sys.stderr.write(error_text(document))
        if document["exit_code"] == BUG and not isinstance(error, ChainError):
            sys.stderr.write("".join(traceback.format_exception(error)))
    sys.exit(int(document["exit_code"]))


def exit_code_of(error: BaseException) -> int:
    """The documented exit code of an error."""
    from node.errors import ConfigError, KeyFileError, Unavailable

    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own
    if isinstance(error, ConfigError):
        return BAD_CONFIG
    if isinstance(error, KeyFileError):
        return BAD_KEY
    if isinstance(error, Unavailable):
        return UNREACHABLE
    return BUG


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as a JSON-able object: message, exit code, and code, hint and details where there are some."""
    if isinstance(error, click.ClickException):
        return {"message": error.format_message(), "exit_code": error.exit_code}
    known = isinstance(error, (ChainError, OSError))
    code = str(getattr(error, "code", "") or "")
    message = str(getattr(error, "detail", "") or error)
    document: dict[str, Any] = {"message": message if known else f"{type(error).__name__}: {message}"}
    document["exit_code"] = exit_code_of(error)
    if code:
        document["code"] = code
    hint = str(getattr(error, "hint", "") or "")
    if not known:
        hint = "This is a defect. Please report it with what stands below."
    if hint:
        document["hint"] = hint
    reasons = list(getattr(error, "reasons", ()) or ())
    if reasons:
        document["reasons"] = reasons
    return document


def error_text(document: Mapping[str, Any]) -> str:
    """An error for people: what, why, and what to do."""
    code = f"[{document['code']}]" if "code" in document else ""
    lines = [f"error{code}: {document['message']}"]
    lines += [f"  = because: {reason}" for reason in document.get("reasons", ())]
    if "hint" in document:
        lines.append(f"  = help: {document['hint']}")
    if "code" in document:
        lines.append(f"  = more: weal explain {document['code']}")
    return "\n".join(lines) + "\n"


def output_options(function: F) -> F:
    """Adds --json, --quiet and --colour; they are read through `Settings`."""

    def keep(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
        def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
            if value is not None:
                setattr(ctx.ensure_object(Settings), name, value)

        return callback

    options = (
        click.option(
            "--json", is_flag=True, default=None, is_eager=True, expose_value=False, callback=keep("json"),
            help="Write the result as JSON.",
        ),
        click.option(
            "--quiet", "-q", is_flag=True, default=None, is_eager=True, expose_value=False, callback=keep("quiet"),
            help="Write nothing but the result and errors.",
        ),
        click.option(
            "--colour/--no-colour", " /--no-color", default=None, is_eager=True, expose_value=False,
            callback=keep("colour"), help="Colour and styles; the default depends on the terminal.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def parse_json_argument(text: str) -> Any:
    """JSON from a file's text, as a command error if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"not JSON: {error}", code=USAGE) from None
