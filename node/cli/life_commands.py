"""The rest of `weal claim`: papers, more time, conflicts, objections, withdrawal, stays, holds and reopening."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, claim_name, claim_number, paper_values, show_step
from node.cli.connect import Connection, make_client, send, signing_options
from node.cli.desk_commands import CLAUSE_OPTION, REASON_OPTION, reason_number
from node.cli.member_commands import member_name

if TYPE_CHECKING:
    from node.client import Outcome

PAPERS: Final = (
    "medical-record",
    "diagnosis-report",
    "pathology-or-imaging",
    "invoice",
    "identity",
    "accident-report",
    "consent",
)
"""In the order of their bits; a test compares them with the ledger's."""
EXTENSIONS: Final = (
    "hospital-records-outstanding",
    "field-visit-outstanding",
    "expert-opinion-outstanding",
    "claimant-unavailable",
)
"""In the order of their numbers, from 1; a test compares them with the ledger's."""
_ORDER = click.option("--order", multiple=True, required=True, metavar="FILE|HEX", help="The order to commit to.")
_EVIDENCE = click.option("--evidence", multiple=True, metavar="FILE|HEX", help="The papers to commit to; several.")
_NEXT = "weal claim show {claim}"


def act(connection: Connection, action: Any, wait: bool, done: str) -> None:
    """Send one action and say what became of the claim."""

    async def run() -> Outcome:
        async with make_client(connection) as client:
            return (await send(connection, client, [[action]], wait=wait))[0]

    show_step(connection, asyncio.run(run()), done, _NEXT)


def committed(connection: Connection, papers: tuple[str, ...], kind: str, opening: Path | None) -> bytes:
    """Commitment to files, or one made elsewhere; says where its opening is kept."""
    from node.cli.evidence import commit_to

    if not papers:
        raise CommandError(f"give what to commit to with --{kind}", code=USAGE)
    value, kept = commit_to(papers, kind, opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}: keep it")
    return value


@click.command()
@click.argument("id")
@output_options
@signing_options
def admit(connection: Connection, id: str, wait: bool) -> None:
    """Admit a claim whose papers are complete: it goes to an investigator.

    \b
    Examples:
      weal claim admit C-000001 --as a
    """
    from node.claims.mutual_aid.actions import AdmitClaim

    act(connection, AdmitClaim(claim=claim_number(id)), wait, "admitted")


@click.command("return")
@click.argument("id")
@click.option("--missing", multiple=True, required=True, type=click.Choice(PAPERS), help="A paper; several.")
@output_options
@signing_options
def return_(connection: Connection, id: str, missing: tuple[str, ...], wait: bool) -> None:
    """Return a claim to its member because papers are missing.

    \b
    Examples:
      weal claim return C-000001 --missing invoice --missing identity --as a
    """
    from node.claims.mutual_aid.actions import ReturnClaim

    bits = sum(1 << PAPERS.index(paper) for paper in dict.fromkeys(missing))
    act(connection, ReturnClaim(claim=claim_number(id), missing=bits), wait, "returned")


@click.command()
@click.argument("id")
@_EVIDENCE
@click.option("--paper-value", multiple=True, metavar="HEX", help="The value of a paper that is new; several.")
@OPENING_OPTION
@output_options
@signing_options
def resubmit(
    connection: Connection,
    id: str,
    evidence: tuple[str, ...],
    paper_value: tuple[str, ...],
    opening: Path | None,
    wait: bool,
) -> None:
    """Send a returned claim again, with all papers: as the member, its enroller, or the intake that returned it.

    \b
    Examples:
      weal claim resubmit C-000001 --evidence report.pdf --evidence invoice.pdf --as member.key
    """
    from node.claims.mutual_aid.actions import ResubmitClaim

    number, papers = claim_number(id), paper_values(paper_value)
    value = committed(connection, evidence, "evidence", opening)
    act(connection, ResubmitClaim(claim=number, evidence=value, papers=papers), wait, "sent again")


@click.command()
@click.argument("id")
@click.option("--reason", required=True, type=click.Choice(EXTENSIONS), help="Why it takes longer.")
@output_options
@signing_options
def extend(connection: Connection, id: str, reason: str, wait: bool) -> None:
    """Take more time for an investigation: once for each claim.

    \b
    Examples:
      weal claim extend C-000001 --reason hospital-records-outstanding --as b
    """
    from node.claims.mutual_aid.actions import ExtendInvestigation

    action = ExtendInvestigation(claim=claim_number(id), reason=EXTENSIONS.index(reason) + 1)
    act(connection, action, wait, "extended")


@click.command()
@click.argument("id")
@output_options
@signing_options
def recuse(connection: Connection, id: str, wait: bool) -> None:
    """Give a step up because of a conflict of interest: it goes to the next organisation, without a fault.

    \b
    Examples:
      weal claim recuse C-000001 --as b
    """
    from node.claims.mutual_aid.actions import Recuse

    act(connection, Recuse(claim=claim_number(id)), wait, "handed on")


@click.command()
@click.option("--member", default="", metavar="ID", help="The member you have a tie to.")
@click.option("--organisation", default="", metavar="ORG", help="The organisation you have a tie to.")
@click.option("--ends", is_flag=True, help="The tie is over.")
@output_options
@signing_options
def tie(connection: Connection, member: str, organisation: str, ends: bool, wait: bool) -> None:
    """Declare a conflict of interest in advance: you get no step of such claims while others can do it.

    \b
    Examples:
      weal claim tie --member M-000017 --as b
      weal claim tie --organisation harbour --ends --as b
    """
    from node.claims.mutual_aid.actions import DeclareTie

    if bool(member) == bool(organisation):
        raise CommandError("give --member or --organisation, one of them", code=USAGE)
    number = int(member_name(member)[2:]) if member else 0
    act(connection, DeclareTie(member=number, organisation=organisation, ends=ends), wait, "declared")


@click.command("object")
@click.argument("id")
@click.option("--member", required=True, metavar="ID", help="Who objects.")
@_EVIDENCE
@OPENING_OPTION
@output_options
@signing_options
def object_(
    connection: Connection, id: str, member: str, evidence: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Object to a published claim, as a member who shares its cost: once in each cycle.

    \b
    Examples:
      weal claim object C-000001 --member M-000017 --evidence photo.jpg --as member.key
    """
    from node.claims.mutual_aid.actions import Object

    number, objector = claim_number(id), int(member_name(member)[2:])
    value = committed(connection, evidence, "evidence", opening)
    act(connection, Object(claim=number, member=objector, evidence=value), wait, "objected to")


def _decision(upheld: bool | None, yes: str, no: str) -> bool:
    if upheld is None:
        raise CommandError(f"give --{yes} or --{no}", code=USAGE)
    return upheld


async def _cited(connection: Connection, id: str, evidence: tuple[str, ...], opening: Path | None) -> bytes:
    """The item that a denial cites: the claim's own evidence unless another is given."""
    if evidence:
        return committed(connection, evidence, "evidence", opening)
    async with make_client(connection) as client:
        return bytes.fromhex((await client.claim(claim_name(id)))["evidence"])


@click.command("decide-objection")
@click.argument("id")
@click.option("--uphold", "upheld", flag_value=True, type=bool, help="The claim is denied: name clause and reason.")
@click.option("--refuse", "upheld", flag_value=False, type=bool, help="The claim is published again.")
@_EVIDENCE
@CLAUSE_OPTION
@REASON_OPTION
@OPENING_OPTION
@output_options
@signing_options
def decide_objection(
    connection: Connection,
    id: str,
    upheld: bool | None,
    evidence: tuple[str, ...],
    clause: str,
    reason: str | None,
    opening: Path | None,
    wait: bool,
) -> None:
    """Decide an objection that is assigned to your organisation.

    \b
    Examples:
      weal claim decide-objection C-000001 --refuse --as c
      weal claim decide-objection C-000001 --uphold --clause 3.1 --reason evidence-false --as c
    """
    from node.claims.mutual_aid.actions import DecideObjection, Decision

    denied = _decision(upheld, "uphold", "refuse")
    number = claim_number(id)
    cited = asyncio.run(_cited(connection, id, evidence, opening)) if denied else b""
    action = DecideObjection(
        claim=number,
        decision=Decision.DENY if denied else Decision.ACCEPT,
        clause=clause,
        evidence=cited,
        reason=reason_number(reason),
    )
    act(connection, action, wait, "denied" if denied else "to be published again")


@click.command("resolve-hold")
@click.argument("id")
@click.option("--explained", "denied", flag_value=False, type=bool, help="Commit to the explanation with --evidence.")
@click.option("--deny", "denied", flag_value=True, type=bool, help="Deny the claim: name clause and reason.")
@_EVIDENCE
@CLAUSE_OPTION
@REASON_OPTION
@OPENING_OPTION
@output_options
@signing_options
def resolve_hold(
    connection: Connection,
    id: str,
    denied: bool | None,
    evidence: tuple[str, ...],
    clause: str,
    reason: str | None,
    opening: Path | None,
    wait: bool,
) -> None:
    """Resolve a claim that is held because its event or a paper was filed before.

    \b
    Examples:
      weal claim resolve-hold C-000002 --explained --evidence letter.pdf --as c
      weal claim resolve-hold C-000002 --deny --clause 3.1 --reason already-reimbursed --as c
    """
    from node.claims.mutual_aid.actions import Decision, ResolveHold

    refused = _decision(denied, "explained", "deny")
    number = claim_number(id)
    if refused:
        cited = asyncio.run(_cited(connection, id, evidence, opening))
    else:
        cited = committed(connection, evidence, "evidence", opening)
    action = ResolveHold(
        claim=number,
        decision=Decision.DENY if refused else Decision.ACCEPT,
        clause=clause,
        evidence=cited,
        reason=reason_number(reason),
    )
    act(connection, action, wait, "denied" if refused else "cleared")


@click.command()
@click.argument("id")
@output_options
@signing_options
def withdraw(connection: Connection, id: str, wait: bool) -> None:
    """Take a claim back, until its disclosure period is over; or waive the jury after a denial, as the member.

    \b
    Examples:
      weal claim withdraw C-000001 --as member.key
    """
    from node.claims.mutual_aid.actions import WithdrawClaim

    act(connection, WithdrawClaim(claim=claim_number(id)), wait, "withdrawn")


@click.command()
@click.argument("id")
@_ORDER
@click.option("--days", required=True, type=click.IntRange(1, 180), help="How long; then the claim goes on by itself.")
@OPENING_OPTION
@output_options
@signing_options
def stay(connection: Connection, id: str, order: tuple[str, ...], days: int, opening: Path | None, wait: bool) -> None:
    """Stop a claim for a time, as a regulator. It may be stayed again.

    \b
    Examples:
      weal claim stay C-000001 --order order.pdf --days 30 --as regulator
    """
    from node.claims.mutual_aid.actions import StayClaim

    number = claim_number(id)
    action = StayClaim(claim=number, order=committed(connection, order, "order", opening), days=days)
    act(connection, action, wait, "stayed")


@click.command("lift-stay")
@click.argument("id")
@click.option("--resume", "end", flag_value="RESUME", help="The claim goes on where it was.")
@click.option("--grant", "end", flag_value="GRANT", help="A court has granted it.")
@click.option("--refuse", "end", flag_value="REFUSE", help="A court has refused it: name the clause.")
@_ORDER
@CLAUSE_OPTION
@OPENING_OPTION
@output_options
@signing_options
def lift_stay(
    connection: Connection,
    id: str,
    end: str | None,
    order: tuple[str, ...],
    clause: str,
    opening: Path | None,
    wait: bool,
) -> None:
    """Let a stayed claim go on, or carry out what a court has decided, as a regulator.

    \b
    Examples:
      weal claim lift-stay C-000001 --resume --order order.pdf --as regulator
      weal claim lift-stay C-000001 --refuse --clause 4.1 --order judgment.pdf --as regulator
    """
    from node.claims.mutual_aid.actions import LiftStay, StayEnd

    if end is None:
        raise CommandError("give --resume, --grant or --refuse", code=USAGE)
    number = claim_number(id)
    value = committed(connection, order, "order", opening)
    action = LiftStay(claim=number, end=StayEnd[end], order=value, clause=clause)
    act(connection, action, wait, "goes on" if end == "RESUME" else "decided by a court")


@click.command()
@click.argument("id")
@_EVIDENCE
@click.option("--order", multiple=True, metavar="FILE|HEX", help="A court's order; as a regulator.")
@OPENING_OPTION
@output_options
@signing_options
def reopen(
    connection: Connection, id: str, evidence: tuple[str, ...], order: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Have a claim that ended unpaid investigated again: as a reviewer without a part in it, on new evidence.

    \b
    Examples:
      weal claim reopen C-000001 --evidence all-papers.pdf --as d
      weal claim reopen C-000001 --evidence all-papers.pdf --order judgment.pdf --as regulator
    """
    from node.claims.mutual_aid.actions import ReopenClaim

    number = claim_number(id)
    value = committed(connection, evidence, "evidence", opening)
    ordered = committed(connection, order, "order", None) if order else b""
    act(connection, ReopenClaim(claim=number, evidence=value, order=ordered), wait, "reopened")
