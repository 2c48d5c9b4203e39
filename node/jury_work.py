"""The client's side of juries: keys, papers, ballots, shares of a draw, and doing a draw again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from itertools import islice
from typing import Final

from node import beacon, ecvrf
from node.claims.jury.actions import Ballot, BallotReason, DealBeacon, ExamPaper, OpenBeacon, Reveal, Vote
from node.claims.jury.ballots import ballot_commitment, ballot_message
from node.claims.jury.draws import MAX_STEPS, draw_context, draw_seed
from node.claims.jury.exams import exam_alpha
from node.claims.jury.proofs import Dealing, threshold
from node.claims.jury.records import DrawPhase, DrawRecord
from node.claims.jury.sortition import shuffled
from node.crypto import SigningKey

EXAM: Final = b"weal/jury exam key/1\0"
BEACON: Final = b"weal/jury beacon key/1\0"


def jury_seed(account: SigningKey, purpose: bytes) -> bytes:
    """Seed of an organisation's exam or beacon key: derived from its account key, so that there is no further
    file to keep. Whoever changes the account key registers anew."""
    return sha256(purpose + account.seed).digest()


def jury_public_keys(account: SigningKey) -> tuple[bytes, bytes]:
    """(exam, beacon)."""
    return ecvrf.public_key(jury_seed(account, EXAM)), beacon.beacon_public_key(jury_seed(account, BEACON))


def make_paper(account: SigningKey, chain: bytes, plan: int, bank: int, juror: int, attempt: int) -> ExamPaper:
    alpha = exam_alpha(chain, plan, bank, juror, attempt)
    return ExamPaper(juror=juror, proof=ecvrf.prove(jury_seed(account, EXAM), alpha))


def make_ballot(
    key: SigningKey, chain: bytes, claim: int, round_number: int, juror: int, vote: Vote, reason: BallotReason
) -> tuple[Ballot, Reveal]:
    """A hidden ballot with a fresh salt, and what reveals it: store that before the ballot leaves the house."""
    salt = secrets.token_bytes(32)
    commitment = ballot_commitment(chain, claim, round_number, juror, vote, reason, salt)
    signature = key.sign(ballot_message(chain, claim, round_number, juror, commitment))
    ballot = Ballot(juror=juror, commitment=commitment, signature=signature)
    return ballot, Reveal(juror=juror, vote=vote, reason=reason, salt=salt)


def draw_duty(
    account: SigningKey, chain: bytes, organisation: int, claim: int, round_number: int, attempt: int, draw: DrawRecord
) -> DealBeacon | OpenBeacon | None:
    """What this organisation owes a draw now, if anything."""
    if organisation not in draw.parties:
        return None
    seed, place = jury_seed(account, BEACON), draw.parties.index(organisation) + 1
    context = draw_context(chain, claim, round_number, attempt, draw, organisation)
    if draw.phase is DrawPhase.DEAL and organisation not in draw.dealers:
        dealing = beacon.deal(seed, context, draw.keys)
        return DealBeacon(claim=claim, round=round_number, attempt=attempt, dealing=dealing)
    if draw.phase is DrawPhase.OPEN and all(entry.place != place for entry in draw.opened):
        share, proof = beacon.open_share(seed, context, draw.shares[place - 1])
        return OpenBeacon(claim=claim, round=round_number, attempt=attempt, share=share, proof=proof)
    return None


class BadDraw(Exception):
    """A draw that does not follow from its own records."""


def check_draw(
    chain: bytes, claim: int, round_number: int, attempt: int, draw: DrawRecord, dealings: Mapping[int, Dealing]
) -> tuple[int, ...]:
    """Do a draw again from its record and its dealings (by organisation). Answers the panel; raises BadDraw.

    Checked: each dealing by its proof, that the shares are their sum, each opened share by its proof, that they
    give the seed, and that the seed gives these seats in this order. That the record is the chain's, and who sat in
    which seat when, is what the proof of the record says: check it too.
    """
    if draw.phase is not DrawPhase.DONE:
        raise BadDraw("the draw is not done")
    if draw.weak:
        raise BadDraw("the draw is weak: its seed is the hash of what failed attempts left, and no beacon's result")
    _check_beacon(chain, claim, round_number, attempt, draw, dealings)
    seats = [index + 1 for index in islice(shuffled(draw.seed, draw.seats), len(draw.steps))]
    if seats != [step.seat for step in draw.steps] or len(seats) > MAX_STEPS:
        raise BadDraw("the seats are not those that the seed gives")
    return tuple(step.juror for step in draw.steps if not step.code)


def _check_beacon(
    chain: bytes, claim: int, round_number: int, attempt: int, draw: DrawRecord, dealings: Mapping[int, Dealing]
) -> None:
    rows = []
    for dealer in draw.dealers:
        dealing = dealings.get(dealer)
        context = draw_context(chain, claim, round_number, attempt, draw, dealer)
        if dealing is None or not beacon.dealing_valid(context, draw.keys, dealing):
            raise BadDraw(f"the dealing of organisation {dealer} does not verify")
        rows.append(dealing.shares)
    if len(rows) < threshold(len(draw.parties)) or beacon.add_up(rows) != draw.shares:
        raise BadDraw("the shares are not the sum of the dealings")
    for entry in draw.opened:
        place = entry.place - 1
        context = draw_context(chain, claim, round_number, attempt, draw, draw.parties[place])
        if not beacon.opening_valid(context, draw.keys[place], draw.shares[place], entry.share, entry.proof):
            raise BadDraw(f"the share of organisation {draw.parties[place]} was not opened with its key")
    chosen = sorted(draw.opened, key=lambda entry: entry.place)[: threshold(len(draw.parties))]
    if len(chosen) < threshold(len(draw.parties)):
        raise BadDraw("too few shares were opened")
    result = beacon.combine([(entry.place, entry.share) for entry in chosen])
    if result is None or draw_seed(chain, claim, round_number, attempt, result) != draw.seed:
        raise BadDraw("the opened shares do not give the seed")
