"""`weal completion`: completion for the shells that people use."""

from __future__ import annotations

import rich_click as click

from node.cli.base import output_options


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_options
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      weal completion bash > ~/.local/share/bash-completion/completions/weal
      weal completion zsh > ~/.zfunc/_weal
      weal completion fish > ~/.config/fish/completions/weal.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "weal", "_WEAL_COMPLETE").source())
