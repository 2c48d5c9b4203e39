"""The root command and the list of everything below it. Nothing else is imported here."""

from __future__ import annotations

from typing import Final

import rich_click as click

from node.cli.base import LazyGroup, Root

COMMANDS: Final = {
    "demo": ("node.cli.demo_command:demo", "Four organisations agree on real claims, in a minute."),
    "localnet": ("node.cli.localnet_commands:localnet", "A cluster on this machine: up, down, kill, partition."),
    "init": ("node.cli.setup_commands:init", "Make the folder of a node: keys and a commented configuration."),
    "genesis": ("node.cli.setup_commands:genesis", "Assemble, show and check the file that a chain begins with."),
    "keys": ("node.cli.setup_commands:keys", "Make and show key files, change their passphrase."),
    "node": ("node.cli.node_commands:node", "Run a node, ask one how it is, repair its databases."),
    "claim": ("node.cli.claim_commands:claim", "File, follow, investigate, review and pay claims."),
    "member": ("node.cli.member_commands:member", "Enrol members, show one, show what one has to pay."),
    "money": ("node.cli.money_commands:money", "What came in, what each cycle cost, who owes what."),
    "evidence": ("node.cli.evidence_commands:evidence", "Papers of claims: sealed, kept, opened by grant, erased."),
    "jury": ("node.cli.jury_commands:jury", "Juries: ask for one, take the exam, vote, draw panels, check draws."),
    "plan": ("node.cli.plan_commands:plan", "Show plans; propose, vote on, suspend and end them."),
    "report": ("node.cli.report_command:report", "Aggregates of a plan for a regulator, with nothing about a person."),
    "import": ("node.cli.import_commands:import_group", "Bring in records of other systems: HL7 FHIR R4."),
    "duplicates": ("node.cli.duplicates_commands:duplicates", "Know people, events and papers again; make the key."),
    "tx": ("node.cli.tx_commands:tx", "Submit transactions, wait for them, see what became of them."),
    "block": ("node.cli.block_commands:block", "Show blocks."),
    "verify": ("node.cli.verify_command:verify", "Check a proof offline, with nothing but the genesis file."),
    "audit": ("node.cli.audit_command:audit", "Count everything again and compare it with the ledger."),
    "explain": ("node.cli.explain_command:explain", "What an error code means and what to do about it."),
    "completion": ("node.cli.completion_command:completion", "Completion for bash, zsh or fish."),
}

click.rich_click.COMMAND_GROUPS = {
    "weal": [
        {"name": "Try it", "commands": ["demo", "localnet"]},
        {"name": "Run a node", "commands": ["init", "genesis", "keys", "node"]},
        {"name": "Claims desk", "commands": ["claim", "evidence", "jury", "member", "money", "import", "duplicates"]},
        {"name": "Plans", "commands": ["plan", "report"]},
        {"name": "Look and check", "commands": ["tx", "block", "verify", "audit"]},
        {"name": "Help", "commands": ["explain", "completion"]},
    ]
}


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"weal {version('commonweal')}")
        except PackageNotFoundError:
            click.echo("weal (not installed, run from its source folder)")
        ctx.exit()


@click.group(
    cls=Root,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command has its own --help with examples. Exit codes: docs/cli.md, or `weal explain exit-codes`.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def weal() -> None:
    """A ledger for mutual-aid claims that no single organisation can alter, hide or reorder.

    \b
    Examples:
      weal demo                        see a claim's whole life in a minute
      weal localnet up                 run four nodes on this machine
      weal claim list                  what is on their ledger
      weal claim show C-000001         one claim, with who did what and when
    """


__all__ = ["LazyGroup", "weal"]
