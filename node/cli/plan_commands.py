"""`weal plan` and `weal report`: plans as they are, what is proposed about them, and what a regulator asks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.connect import Connection, make_client, node_options, send, signing_options
from node.cli.member_commands import DEFAULT_PLAN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.client import Client

_CODE = click.argument("code", default=DEFAULT_PLAN)
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


@click.group()
def plan() -> None:
    """Show plans; propose, vote on, suspend and end them.

    \b
    Examples:
      weal plan list
      weal plan check my-plan.toml             before anybody sees it
      weal plan propose my-plan.toml --as a    a new plan, or the next version of one
      weal plan vote P-000001 --yes --as b
    """


def _ask(connection: Connection, ask: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with make_client(connection) as client:
            return await ask(client)

    return asyncio.run(run())


def _act(connection: Connection, action: Any, wait: bool, text: str) -> None:
    async def run() -> Any:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    outcome = asyncio.run(run())
    events = (outcome.receipt or {}).get("events", [])
    done = text if outcome.receipt is not None else f"submitted: {text}"
    connection.settings.result(
        {"transaction": outcome.id, "status": outcome.status, "events": events},
        "\n".join([done, *(_event(event) for event in events)]),
    )


def _event(event: dict[str, Any]) -> str:
    details = ", ".join(f"{name} {value}" for name, value in event.items() if name != "what")
    return f"  {event['what']}: {details}"


def _number(text: str) -> int:
    """3 for "P-000003", "p-3" or "3"."""
    digits = text.upper().removeprefix("P-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise CommandError(f"{text!r} is no proposal: write it like P-000003", code=USAGE)
    return int(digits)


def _print(rows: list[tuple[str, Any]]) -> Any:
    def render(console: Any) -> None:
        from node.cli.show import sheet

        console.print(sheet([(name, None if value is None else str(value)) for name, value in rows]))

    return render


@plan.command("list")
@output_options
@node_options
def list_plans(connection: Connection) -> None:
    """List the plans and where each is in its life.

    \b
    Examples:
      weal plan list
    """
    records = _ask(connection, lambda client: client.plans())

    def render(console: Any) -> None:
        from node.cli.show import table, when

        rows = [
            (
                one["code"],
                str(one["version"]),
                one["lifecycle"]["status"],
                f"{one['totals']['members_sharing']:,}",
                when(one["totals"]["next_disclosure_ms"]),
            )
            for one in records
        ]
        console.print(table(("plan", "version", "status", "units sharing", "next disclosure"), rows, right=(3,)))

    connection.settings.result(records, render)


@plan.command()
@_CODE
@output_options
@node_options
def show(connection: Connection, code: str) -> None:
    """Show a plan: its life, its rules in short, its totals.

    \b
    Examples:
      weal plan show critical-illness
    """
    record = _ask(connection, lambda client: client.plan(code))
    life, totals = record["lifecycle"], record["totals"]
    rows = [
        ("plan", f"{record['code']} ({record['name']})"),
        ("status", life["status"]),
        ("cover until", life["cover_until"]),
        ("sponsor", life["sponsor"]),
        ("version", f"{record['version']} of {', '.join(str(number) for number in record['versions'])}"),
        ("units sharing", f"{totals['members_sharing']:,}"),
        ("claims", totals["claims"]),
        ("waiting days", record["waiting_days"]),
        ("fee", f"{record['fee_bps']} basis points"),
        ("refunded", life["refunded"] if life["status"] == "settled" else None),
    ]
    connection.settings.result(record, _print(rows))


@plan.command()
@_CODE
@click.option("--version", type=click.IntRange(1, 65_535), help="The version; the one in force unless given.")
@output_options
@node_options
def terms(connection: Connection, code: str, version: int | None) -> None:
    """Show the terms of a plan in full, as JSON.

    \b
    Examples:
      weal plan terms critical-illness --version 2
    """

    async def read(client: Client) -> Any:
        return await client.plan_terms(code, version or int((await client.plan(code))["version"]))

    from node.cli.base import to_json

    record = _ask(connection, read)
    connection.settings.result(record, to_json(record))


@plan.command()
@_CODE
@click.argument("first", type=click.IntRange(1, 65_535))
@click.argument("second", type=click.IntRange(1, 65_535))
@output_options
@node_options
def diff(connection: Connection, code: str, first: int, second: int) -> None:
    """Show in what two versions of a plan differ.

    \b
    Examples:
      weal plan diff critical-illness 1 2
    """

    async def read(client: Client) -> Any:
        return await client.plan_terms(code, first), await client.plan_terms(code, second)

    old, new = (flat(one) for one in _ask(connection, read))
    changes = {
        key: {"from": old.get(key), "to": new.get(key)} for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    }
    lines = [f"{key}: {change['from']} -> {change['to']}" for key, change in changes.items()]
    connection.settings.result(changes, "\n".join(lines) or "no difference")


def flat(record: Any, prefix: str = "") -> dict[str, Any]:
    """Every value of a nested record under its path, such as "calendar.cycle_days"; lists by code or number."""
    found: dict[str, Any] = {}
    if isinstance(record, dict):
        for key, value in record.items():
            found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(record, list) and record and isinstance(record[0], dict):
        for index, value in enumerate(record):
            name = value.get("code") or value.get("number") or value.get("from_age_years", index)
            found |= flat(value, f"{prefix}[{name}]")
    else:
        found[prefix] = record
    return found


@plan.command()
@_FILE
@output_options
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Check a plan's parameter file without any node: its keys, its dates, its ailment table.

    \b
    Examples:
      weal plan check configs/plans/critical-illness.toml
    """
    from node.cli.base import Settings
    from node.genesis import load_plan

    read = load_plan(file)
    record = {"code": read.code, "version": read.version, "ailments": len(read.ailments), "clauses": len(read.clauses)}
    ctx.ensure_object(Settings).result(
        record, f"{file}: {read.code} version {read.version} is in order, with {len(read.ailments)} conditions"
    )


@plan.command()
@_FILE
@click.option("--draft", is_flag=True, help="For reading only, until `weal plan open`.")
@output_options
@signing_options
def propose(connection: Connection, file: Path, draft: bool, wait: bool) -> None:
    """Propose the terms of a parameter file: a new plan, or the next version of one that the chain has.

    \b
    Examples:
      weal plan propose critical-illness-2.toml --as a
      weal plan propose other.toml --draft --as a
    """
    from node.claims.mutual_aid.plan_actions import ProposePlan, ProposeTerms
    from node.genesis import load_plan

    read = load_plan(file)
    codes = [one["code"] for one in _ask(connection, lambda client: client.plans())]
    kind = ProposeTerms if read.code in codes else ProposePlan
    _act(connection, kind(terms=read, draft=draft), wait, f"proposed {read.code} version {read.version}")


@plan.command()
@output_options
@node_options
def proposals(connection: Connection) -> None:
    """List what is, and was, proposed, newest first.

    \b
    Examples:
      weal plan proposals
    """

    async def read(client: Client) -> Any:
        return [one async for one in client.proposals()]

    records = _ask(connection, read)

    def render(console: Any) -> None:
        from node.cli.show import table, when

        rows = [
            (
                one["id"],
                one["kind"],
                one["plan"],
                one["status"],
                f"{len(one['yes'])} of {one['votes_needed']}",
                when(one["ends_ms"]),
            )
            for one in records
        ]
        console.print(table(("proposal", "kind", "plan", "status", "yes", "ends"), rows))

    connection.settings.result(records, render)


@plan.command("open")
@click.argument("proposal")
@output_options
@signing_options
def open_vote(connection: Connection, proposal: str, wait: bool) -> None:
    """Put your organisation's draft to the vote.

    \b
    Examples:
      weal plan open P-000001 --as a
    """
    from node.claims.mutual_aid.plan_actions import OpenVote

    _act(connection, OpenVote(proposal=_number(proposal)), wait, f"the vote on {proposal} is open")


@plan.command()
@click.argument("proposal")
@click.option("--yes/--no", "approve", default=None, help="Your organisation's vote, once and for all.")
@output_options
@signing_options
def vote(connection: Connection, proposal: str, approve: bool | None, wait: bool) -> None:
    """Vote on a proposal.

    \b
    Examples:
      weal plan vote P-000001 --yes --as b
    """
    from node.claims.mutual_aid.plan_actions import VoteProposal

    if approve is None:
        raise CommandError("give --yes or --no", code=USAGE)
    action = VoteProposal(proposal=_number(proposal), approve=approve)
    _act(connection, action, wait, f"voted {'yes' if approve else 'no'} on {proposal}")


@plan.command()
@click.argument("proposal")
@output_options
@signing_options
def withdraw(connection: Connection, proposal: str, wait: bool) -> None:
    """Take your organisation's proposal back.

    \b
    Examples:
      weal plan withdraw P-000001 --as a
    """
    from node.claims.mutual_aid.plan_actions import WithdrawProposal

    _act(connection, WithdrawProposal(proposal=_number(proposal)), wait, f"withdrew {proposal}")


@plan.command()
@click.argument("proposal")
@output_options
@signing_options
def sponsor(connection: Connection, proposal: str, wait: bool) -> None:
    """Agree to bear the cost that a proposal names your organisation for.

    \b
    Examples:
      weal plan sponsor P-000002 --as d
    """
    from node.claims.mutual_aid.plan_actions import AgreeToSponsor

    _act(connection, AgreeToSponsor(proposal=_number(proposal)), wait, f"agreed to sponsor {proposal}")


@plan.command()
@click.argument("code")
@output_options
@signing_options
def close(connection: Connection, code: str, wait: bool) -> None:
    """Propose to close a plan to new members.

    \b
    Examples:
      weal plan close critical-illness --as a
    """
    from node.claims.mutual_aid.plan_actions import PlanChange, ProposeChange

    _act(connection, ProposeChange(plan=code, change=PlanChange.CLOSE), wait, f"proposed to close {code}")


@plan.command()
@click.argument("code")
@output_options
@signing_options
def reopen(connection: Connection, code: str, wait: bool) -> None:
    """Propose to open a plan to new members again.

    \b
    Examples:
      weal plan reopen critical-illness --as a
    """
    from node.claims.mutual_aid.plan_actions import PlanChange, ProposeChange

    _act(connection, ProposeChange(plan=code, change=PlanChange.REOPEN), wait, f"proposed to reopen {code}")


@plan.command("wind-down")
@click.argument("code")
@click.option("--sponsor", "by", required=True, metavar="ORG", help="Who bears the cost; it has to agree itself.")
@click.option("--closing", metavar="DATE", help="First day without cover wanted; the plan's notice counts anyway.")
@output_options
@signing_options
def wind_down(connection: Connection, code: str, by: str, closing: str | None, wait: bool) -> None:
    """Propose to end a plan. From the adoption on its members pay nothing any more.

    \b
    Examples:
      weal plan wind-down critical-illness --sponsor d --closing 2026-12-31 --as a
    """
    from node.claims.calendar import parse_date
    from node.claims.mutual_aid.plan_actions import PlanChange, ProposeChange

    try:
        day = parse_date(closing) if closing else 0
    except ValueError as error:
        raise CommandError(str(error), code=USAGE) from None
    action = ProposeChange(plan=code, change=PlanChange.WIND_DOWN, closing_day=day, sponsor=by)
    _act(connection, action, wait, f"proposed to wind {code} down; {by} has to agree: weal plan sponsor")


@plan.command()
@click.argument("code")
@click.option("--order", multiple=True, required=True, metavar="FILE|HEX", help="The order to commit to.")
@click.option("--days", type=click.IntRange(1, 180), required=True, help="Then the plan goes on by itself.")
@output_options
@signing_options
def suspend(connection: Connection, code: str, order: tuple[str, ...], days: int, wait: bool) -> None:
    """Suspend a plan for a time, as a regulator. Claims go on; nobody joins and no cost is shared.

    \b
    Examples:
      weal plan suspend critical-illness --order order.pdf --days 30 --as r
    """
    from node.claims.mutual_aid.plan_actions import SuspendPlan
    from node.cli.evidence import commit_to

    value, kept = commit_to(order, "order", None)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    _act(connection, SuspendPlan(plan=code, order=value, days=days), wait, f"suspended {code} for {days} days")


@plan.command()
@click.argument("code")
@click.option("--order", multiple=True, required=True, metavar="FILE|HEX", help="The order to commit to.")
@output_options
@signing_options
def lift(connection: Connection, code: str, order: tuple[str, ...], wait: bool) -> None:
    """End a plan's suspension before its time, as a regulator.

    \b
    Examples:
      weal plan lift critical-illness --order order.pdf --as r
    """
    from node.claims.mutual_aid.plan_actions import LiftSuspension
    from node.cli.evidence import commit_to

    value, kept = commit_to(order, "order", None)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    _act(connection, LiftSuspension(plan=code, order=value), wait, f"lifted the suspension of {code}")
