"""The organisations' part of `weal jury`: exams, statements, batches of ballots, draws."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from node.cli.base import REJECTED, USAGE, CommandError, output_options
from node.cli.claim_commands import OPENING_OPTION, claim_name, claim_number
from node.cli.connect import Connection, make_client, send, signing_key, signing_options
from node.cli.jury_commands import case_of, chain_of, show_outcome, submit
from node.cli.member_commands import DEFAULT_PLAN, member_name

if TYPE_CHECKING:
    from node.claims.transaction import Action
    from node.client import Client, Outcome

SUSPENSIONS: Final = ("fraud", "ballot-disclosed", "exam-irregular", "tie-concealed")


@click.command()
@output_options
@signing_options
def keys(connection: Connection, wait: bool) -> None:
    """Register your organisation's keys for exams and draws. They are derived from its account key.

    \b
    Examples:
      weal jury keys --as a
    """
    from node.claims.jury.actions import RegisterJuryKeys
    from node.jury_work import jury_public_keys

    exam, beacon = jury_public_keys(signing_key(connection))
    action = RegisterJuryKeys(exam=exam, beacon=beacon)
    submit(connection, action, wait, "jury keys registered", {"exam": exam.hex(), "beacon": beacon.hex()})


@click.command()
@click.argument("questions", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Code of the plan.")
@OPENING_OPTION
@output_options
@signing_options
def bank(connection: Connection, questions: Path, plan: str, opening: Path | None, wait: bool) -> None:
    """Publish a question bank: only commitments to its questions and answers go to the ledger.

    QUESTIONS is a JSON list of {"question": "...", "answer": "..."}. What the commitments hide is kept in a file;
    give a candidate the questions of its paper with their salts, and publish the answers when the bank is retired.

    \b
    Examples:
      weal jury bank questions.json --plan critical-illness --as a
    """
    from consensus.merkle import rfc6962_root
    from node.claims.builders import commitment
    from node.claims.jury.actions import MAX_QUESTIONS, PublishBank

    try:
        entries = json.loads(questions.read_text(encoding="utf-8"))
        pairs = [(str(entry["question"]), str(entry["answer"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{questions}: {error!r}", hint='A list of {"question", "answer"}.', code=USAGE) from None
    if not 0 < len(pairs) <= MAX_QUESTIONS:
        raise CommandError(f"a bank has 1 to {MAX_QUESTIONS} questions", code=USAGE)
    salts = [secrets.token_bytes(32) for _ in pairs]
    leaves = [commitment(salt, question.encode()) for salt, (question, _) in zip(salts, pairs, strict=True)]
    answers_salt = secrets.token_bytes(32)
    hidden = json.dumps([right for _, right in pairs], ensure_ascii=False).encode()
    document = {
        "format": "weal/question bank/1",
        "plan": plan,
        "questions": [
            {"question": question, "answer": right, "salt": salt.hex()}
            for salt, (question, right) in zip(salts, pairs, strict=True)
        ],
        "answers_salt": answers_salt.hex(),
    }
    path = opening or questions.with_suffix(".opening.json")
    _write_secret(path, document)
    connection.settings.note(f"what the commitments hide is in {path}: keep it")
    action = PublishBank(
        plan=plan, questions=len(pairs), root=rfc6962_root(leaves), answers=commitment(answers_salt, hidden)
    )
    submit(connection, action, wait, f"a bank of {len(pairs)} questions published", {"plan": plan})


def _write_secret(path: Path, document: dict[str, Any]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; nothing was sent", code=USAGE) from None


@click.command()
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@output_options
@signing_options
def paper(connection: Connection, members: tuple[str, ...], wait: bool) -> None:
    """Fix which questions candidates get: your organisation's verifiable random function chooses, not you.

    \b
    Examples:
      weal jury paper M-000007 M-000011 --as a
    """
    from node.claims.jury.actions import IssuePapers
    from node.jury_work import make_paper

    account = signing_key(connection)

    async def run() -> Outcome:
        async with make_client(connection) as client:
            chain, papers = await chain_of(client), []
            for text in members:
                name = member_name(text)
                juror = (await client.get(f"/v1/members/{name}/juror"))["data"]
                number = (await client.plan(juror["plan"]))["number"]
                papers.append(make_paper(account, chain, number, juror["bank"], int(name[2:]), juror["attempt"]))
            return (await send(connection, client, [[IssuePapers(papers=tuple(papers))]], wait=wait))[0]

    outcome = asyncio.run(run())
    show_outcome(connection, outcome, f"papers of {len(members)} fixed", {"members": list(members)})


@click.command()
@click.argument("member")
@click.argument("correct", type=click.IntRange(0, 10_000))
@click.option("--paper", "answers", multiple=True, required=True, metavar="FILE|HEX", help="The answers as graded.")
@OPENING_OPTION
@output_options
@signing_options
def grade(
    connection: Connection, member: str, correct: int, answers: tuple[str, ...], opening: Path | None, wait: bool
) -> None:
    """Grade a candidate's paper: how many answers were right. The ledger decides whether that is enough.

    \b
    Examples:
      weal jury grade M-000007 18 --paper answers.json --as a
    """
    from node.claims.jury.actions import Grade, GradePapers
    from node.cli.evidence import commit_to

    value, kept = commit_to(answers, "paper", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    name = member_name(member)
    action = GradePapers(grades=(Grade(juror=int(name[2:]), correct=correct, paper=value),))
    submit(connection, action, wait, f"{name} graded", {"member": name, "correct": correct})


@click.command()
@click.argument("member")
@click.option("--reason", type=click.Choice(SUSPENSIONS), required=True)
@output_options
@signing_options
def suspend(connection: Connection, member: str, reason: str, wait: bool) -> None:
    """Suspend a juror's credential. Votes and draws that have begun are not touched by it.

    \b
    Examples:
      weal jury suspend M-000007 --reason ballot-disclosed --as d
    """
    from node.claims.jury.actions import SuspendJuror, SuspensionReason

    name = member_name(member)
    action = SuspendJuror(juror=int(name[2:]), reason=SuspensionReason[reason.upper().replace("-", "_")])
    submit(connection, action, wait, f"{name} suspended", {"member": name})


@click.command()
@click.argument("member")
@output_options
@signing_options
def reinstate(connection: Connection, member: str, wait: bool) -> None:
    """End a suspension; a regulator does.

    \b
    Examples:
      weal jury reinstate M-000007 --as d
    """
    from node.claims.jury.actions import ReinstateJuror

    name = member_name(member)
    submit(connection, ReinstateJuror(juror=int(name[2:])), wait, f"{name} reinstated", {"member": name})


@click.command()
@click.argument("id")
@click.option("--statement", multiple=True, required=True, metavar="FILE|HEX", help="Your redacted statement.")
@OPENING_OPTION
@output_options
@signing_options
def answer(connection: Connection, id: str, statement: tuple[str, ...], opening: Path | None, wait: bool) -> None:
    """Lock the statement of the organisation that denied a claim; then the vote begins.

    \b
    Examples:
      weal jury answer C-000045 --statement grounds.pdf --as c
    """
    from node.claims.jury.actions import LockStatement
    from node.cli.evidence import commit_to

    value, kept = commit_to(statement, "statement", opening)
    if kept is not None:
        connection.settings.note(f"what the commitment hides is in {kept}")
    name = claim_name(id)
    action = LockStatement(claim=claim_number(id), statement=value)
    submit(connection, action, wait, f"the statement on {name} is locked", {"claim": name})


@click.command()
@click.argument("file", type=click.File("r"))
@output_options
@signing_options
def batch(connection: Connection, file: Any, wait: bool) -> None:
    """Bring many ballots, or what reveals them, to the ledger, a thousand to a transaction.

    FILE holds a line for each, as `weal jury commit --out` and `weal jury reveal --out` write them. Ballots that
    are not signed by the key they name, or are for another chain, are left out and told of.

    \b
    Examples:
      cat ballots/*.jsonl | weal jury batch - --as a
    """
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(file, start=1):
        try:
            entries.append({**json.loads(line), "line": number})
        except (ValueError, TypeError) as error:
            raise CommandError(f"line {number}: {error}", code=USAGE) from None

    async def run() -> tuple[list[Outcome], int]:
        async with make_client(connection) as client:
            chain = (await chain_of(client)).hex()
            groups, left_out = _actions([entry for entry in entries if entry.get("chain") == chain])
            left_out += sum(entry.get("chain") != chain for entry in entries)
            if not groups:
                raise CommandError("no line of this file is a ballot of this chain", code=REJECTED)
            return await send(connection, client, [[action] for action in groups], wait=wait), left_out

    outcomes, left_out = asyncio.run(run())
    if left_out:
        connection.settings.note(f"{left_out} of {len(entries)} lines were left out")
    brought = [
        event["ballots"] for one in outcomes for event in (one.receipt or {}).get("events", ()) if "ballots" in event
    ]
    document = {"transactions": [one.id for one in outcomes], "accepted": sum(brought), "left_out": left_out}
    connection.settings.result(document, f"{sum(brought)} ballots accepted in {len(outcomes)} transactions")


def _actions(entries: list[dict[str, Any]]) -> tuple[list[Action], int]:
    """Actions with at most a thousand ballots, each of one claim and round; and how many lines were no good."""
    from node.claims.jury.actions import MAX_BALLOTS, Ballot, BallotReason, CastBallots, Reveal, RevealBallots, Vote
    from node.claims.jury.ballots import ballot_message
    from node.crypto import verify

    ballots: dict[tuple[int, int], list[Ballot]] = {}
    reveals: dict[tuple[int, int], list[Reveal]] = {}
    left_out = 0
    for entry in entries:
        try:
            place, juror = (int(entry["claim"]), int(entry["round"])), int(entry["juror"])
            if "salt" in entry:
                said = Vote(entry["vote"]), BallotReason(entry["reason"])
                opened = Reveal(juror=juror, vote=said[0], reason=said[1], salt=bytes.fromhex(entry["salt"]))
                reveals.setdefault(place, []).append(opened)
                continue
            commitment, signature = bytes.fromhex(entry["commitment"]), bytes.fromhex(entry["signature"])
            message = ballot_message(bytes.fromhex(entry["chain"]), *place, juror, commitment)
            if not verify(bytes.fromhex(entry["key"]), signature, message):
                raise ValueError("not signed by that key")
            ballots.setdefault(place, []).append(Ballot(juror=juror, commitment=commitment, signature=signature))
        except (KeyError, ValueError, TypeError):
            left_out += 1
    actions: list[Action] = []
    for (claim, number), cast in sorted(ballots.items()):
        for start in range(0, len(cast), MAX_BALLOTS):
            actions.append(CastBallots(claim=claim, round=number, ballots=tuple(cast[start : start + MAX_BALLOTS])))
    for (claim, number), shown in sorted(reveals.items()):
        for start in range(0, len(shown), MAX_BALLOTS):
            actions.append(RevealBallots(claim=claim, round=number, reveals=tuple(shown[start : start + MAX_BALLOTS])))
    return actions, left_out


@click.command()
@click.argument("ids", nargs=-1, metavar="[CLAIM]...")
@click.option("--watch", type=click.FloatRange(0.1, 3_600), metavar="SECONDS", help="Look again and again.")
@output_options
@signing_options
def draw(connection: Connection, ids: tuple[str, ...], watch: float | None, wait: bool) -> None:
    """Do your organisation's part in draws: deal, and later open your share. All claims that are being drawn for,
    unless some are named. Run it with --watch beside the node: who is late is counted and left out.

    \b
    Examples:
      weal jury draw --as a
      weal jury draw --as a --watch 60
    """
    account = signing_key(connection)
    names = [claim_name(text) for text in ids]

    async def run() -> None:
        async with make_client(connection) as client:
            while True:
                await _do_duties(connection, client, account, names, wait)
                if watch is None:
                    return
                await asyncio.sleep(watch)

    asyncio.run(run())


async def _do_duties(connection: Connection, client: Client, account: Any, names: list[str], wait: bool) -> None:
    from node.claims import keys as state_keys
    from node.claims.jury.records import DrawRecord
    from node.claims.wire import decode_trusted
    from node.jury_work import draw_duty

    chain = await chain_of(client)
    sender = (await client.get(f"/v1/senders/{account.public.hex()}"))["data"]
    number = next(one["number"] for one in await client.organisations() if one["name"] == sender["organisation"])
    drawing = names or [row["id"] async for row in client.claims(status="jury-drawing")]
    done: list[dict[str, Any]] = []
    for name in drawing:
        last = (await case_of(client, name))["rounds"][-1]
        key = state_keys.jury_draw(claim_number(name), last["round"], last["draws"])
        raw = (await client.get(f"/v1/state/{key.hex()}"))["data"]["value"]
        if raw is None:
            continue
        record = decode_trusted(DrawRecord, bytes.fromhex(raw))
        action = draw_duty(account, chain, number, claim_number(name), last["round"], last["draws"], record)
        if action is not None:
            outcome = (await send(connection, client, [[action]], wait=wait))[0]
            done.append({"claim": name, "did": type(action).__name__, "transaction": outcome.id})
    text = "\n".join(f"{one['claim']}: {one['did']}" for one in done) or "nothing to do"
    connection.settings.result(done, text)
