"""Drawing a panel: the beacon's two phases, then seats.

The pool is frozen before anybody can know the seed: who qualifies or is suspended later changes nothing, and a
seat that has changed hands since is passed over. Organisations that are late are counted and left out of the next
attempt. If every attempt fails, which takes half of them, the panel is drawn from the hash of what they left, and
the draw says that it is weak: a case is never left lying.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.jury.actions import DealBeacon, OpenBeacon
from node.claims.jury.proofs import MAX_BEACON, Dealing, JuryProofs, threshold
from node.claims.jury.records import (
    CaseRecord,
    DealingRecord,
    DrawPhase,
    DrawRecord,
    DrawStep,
    OpenCase,
    Opened,
    RoundKind,
    RoundRecord,
    load_juror,
    load_jury_keys,
    load_pool,
    load_seat,
    save_case,
    save_draw,
    save_juror,
    save_round,
    the_case,
    the_draw,
    the_round,
)
from node.claims.jury.rounds import bench_of, end_early, rules_of
from node.claims.jury.sortition import shuffled
from node.claims.jury.voting import without_past_cases
from node.claims.module import InvariantBroken, Scope
from node.claims.mutual_aid.lifecycle import move
from node.claims.mutual_aid.records import ClaimRecord, load_member, the_claim
from node.claims.mutual_aid.steps import count_missed, current_claim, wrong_status
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.types import HOUR_MS, NO_ORGANISATION
from node.claims.wire import decode_trusted, encode

MAX_STEPS: Final = 1_024
"""Seats looked at for one panel. With a tenth of the seats fit to serve, some hundred jurors are found."""


def draw_context(
    chain: bytes, claim: int, round_number: int, attempt: int, draw: DrawRecord, organisation: int
) -> bytes:
    """What the proofs of one organisation in one draw are bound to."""
    bound = encode((claim, round_number, attempt, draw.parties, draw.keys, organisation))
    return sha256(b"weal/jury draw/1\0" + chain + bound).digest()


def draw_seed(chain: bytes, claim: int, round_number: int, attempt: int, result: bytes) -> bytes:
    """Seed of the panel from the beacon's result."""
    return sha256(b"weal/jury seed/1\0" + chain + encode((claim, round_number, attempt, result))).digest()


def start_panel(
    registry: Registry,
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    case: CaseRecord,
    what: EventKind,
    at_ms: int,
) -> None:
    """A new round with a panel of the size of the case's level, to be drawn."""
    rules = rules_of(registry, scope, claim)
    size = rules.panel_sizes[min(case.level, len(rules.panel_sizes) - 1)]
    case = replace(case, round=case.round + 1)
    save_case(scope, number, case)
    # More than half of the seats, whether or not that many jurors can be found.
    record = RoundRecord(kind=RoundKind.PANEL, opened_ms=at_ms, quorum=size // 2 + 1, size=size)
    _start_attempt(registry, scope, number, claim, case.round, record, what, at_ms)


def _start_attempt(
    registry: Registry,
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    round_number: int,
    record: RoundRecord,
    what: EventKind,
    at_ms: int,
) -> None:
    attempt = record.attempt + 1
    late = _late_so_far(scope, number, round_number, record.attempt)
    holders: list[tuple[int, bytes]] = []
    for organisation in range(len(registry.names)):
        own = load_jury_keys(scope.state, organisation)
        if own is not None:
            holders.append((organisation, own.beacon))
    chosen = [holder for holder in holders if holder[0] not in late] or holders
    chosen = chosen[:MAX_BEACON]
    draw = DrawRecord(
        phase=DrawPhase.DEAL,
        parties=tuple(organisation for organisation, _ in chosen),
        keys=tuple(key for _, key in chosen),
        frozen_ms=at_ms,
        seats=load_pool(scope.state, claim.plan).seats,
    )
    save_draw(scope, number, round_number, attempt, draw)
    save_round(scope, number, round_number, replace(record, attempt=attempt))
    move(
        scope,
        number,
        claim,
        what,
        deadline_ms=at_ms + rules_of(registry, scope, claim).draw_hours * HOUR_MS,
        value=round_number,
        at_ms=at_ms,
    )


def _late_so_far(scope: Scope, number: int, round_number: int, attempts: int) -> tuple[int, ...]:
    late: list[int] = []
    for attempt in range(1, attempts + 1):
        late += late_in(the_draw(scope.state, number, round_number, attempt))
    return tuple(late)


def late_in(draw: DrawRecord) -> tuple[int, ...]:
    """Organisations that did not do their part: who did not deal, and, if too few opened, who did not open."""
    if not draw.shares:
        return tuple(party for party in draw.parties if party not in draw.dealers)
    opened = [entry.place for entry in draw.opened]
    return tuple(party for place, party in enumerate(draw.parties, start=1) if place not in opened)


def _running(
    registry: Registry, scope: Scope, action: DealBeacon | OpenBeacon, phase: DrawPhase
) -> tuple[ClaimRecord, DrawRecord, ResultCode] | tuple[None, None, ResultCode]:
    claim, code = current_claim(registry, scope, action.claim)
    if claim is None:
        return None, None, code
    if claim.status is not ClaimStatus.JURY_DRAWING:
        return None, None, wrong_status(claim)
    case = the_case(scope.state, action.claim)
    record = the_round(scope.state, action.claim, case.round)
    if (action.round, action.attempt) != (case.round, record.attempt):
        return None, None, ResultCode.WRONG_ROUND
    draw = the_draw(scope.state, action.claim, case.round, record.attempt)
    if draw.phase is not phase:
        return None, None, ResultCode.WRONG_CLAIM_STATUS
    if scope.sender.organisation not in draw.parties:
        return None, None, ResultCode.NOT_IN_DRAW
    return claim, draw, ResultCode.OK


def deal(registry: Registry, proofs: JuryProofs, scope: Scope, action: DealBeacon) -> ResultCode:
    claim, draw, code = _running(registry, scope, action, DrawPhase.DEAL)
    if claim is None or draw is None:
        return code
    organisation = scope.sender.organisation
    if organisation in draw.dealers:
        return ResultCode.ALREADY_DONE
    context = draw_context(registry.digest, action.claim, action.round, action.attempt, draw, organisation)
    if not proofs.dealing_valid(context, draw.keys, action.dealing):
        return ResultCode.DEALING_INVALID
    key = keys.jury_dealing(action.claim, action.round, action.attempt, organisation)
    scope.state.put(key, encode(DealingRecord(dealing=encode(action.dealing))))
    draw = replace(draw, dealers=(*draw.dealers, organisation))
    save_draw(scope, action.claim, action.round, action.attempt, draw)
    scope.emit(EventKind.BEACON_DEALT, plan=claim.plan, subject=action.claim, organisation=organisation)
    if len(draw.dealers) == len(draw.parties):
        end_early(scope, action.claim, claim)
    return ResultCode.OK


def open_share(registry: Registry, proofs: JuryProofs, scope: Scope, action: OpenBeacon) -> ResultCode:
    claim, draw, code = _running(registry, scope, action, DrawPhase.OPEN)
    if claim is None or draw is None:
        return code
    organisation = scope.sender.organisation
    place = draw.parties.index(organisation) + 1
    if any(entry.place == place for entry in draw.opened):
        return ResultCode.ALREADY_DONE
    context = draw_context(registry.digest, action.claim, action.round, action.attempt, draw, organisation)
    key, share = draw.keys[place - 1], draw.shares[place - 1]
    if not proofs.opening_valid(context, key, share, action.share, action.proof):
        return ResultCode.OPENING_INVALID
    opened = Opened(place=place, share=action.share, proof=action.proof)
    draw = replace(draw, opened=(*draw.opened, opened))
    save_draw(scope, action.claim, action.round, action.attempt, draw)
    scope.emit(EventKind.BEACON_OPENED, plan=claim.plan, subject=action.claim, organisation=organisation)
    if len(draw.opened) == threshold(len(draw.parties)):
        end_early(scope, action.claim, claim)
    return ResultCode.OK


def draw_due(registry: Registry, proofs: JuryProofs, scope: Scope, due_ms: int, number: int) -> None:
    """A phase of the beacon is over."""
    claim, case = the_claim(scope.state, number), the_case(scope.state, number)
    record = the_round(scope.state, number, case.round)
    draw = the_draw(scope.state, number, case.round, record.attempt)
    needed = threshold(len(draw.parties))
    if draw.phase is DrawPhase.DEAL:
        _score(scope, number, claim, [party for party in draw.parties if party not in draw.dealers])
        shares = None
        # With that many dealers one of them at least is honest, unless half of the organisations are not.
        if len(draw.dealers) >= needed:
            rows = [dealing_of(scope, number, case.round, record.attempt, dealer).shares for dealer in draw.dealers]
            shares = proofs.add_up(rows)
        if shares is not None:
            fixed = replace(draw, phase=DrawPhase.OPEN, shares=shares)
            save_draw(scope, number, case.round, record.attempt, fixed)
            hours = rules_of(registry, scope, claim).draw_hours
            move(
                scope,
                number,
                claim,
                EventKind.DEALING_CLOSED,
                deadline_ms=due_ms + hours * HOUR_MS,
                value=case.round,
                at_ms=due_ms,
            )
            return
    elif len(draw.opened) >= needed:
        chosen = sorted(draw.opened, key=lambda entry: entry.place)[:needed]
        result = proofs.combine([(entry.place, entry.share) for entry in chosen])
        if result is None:
            raise InvariantBroken(f"the shares of draw {record.attempt} of claim {number} do not combine")
        seed = draw_seed(registry.digest, number, case.round, record.attempt, result)
        _seat_panel(registry, scope, number, claim, case, record, replace(draw, seed=seed), due_ms)
        return
    else:
        _score(scope, number, claim, list(late_in(draw)))
    save_draw(scope, number, case.round, record.attempt, replace(draw, phase=DrawPhase.FAILED))
    if record.attempt < rules_of(registry, scope, claim).draw_attempts_max:
        _start_attempt(registry, scope, number, claim, case.round, record, EventKind.DRAW_STARTED, due_ms)
        return
    seed = _weak_seed(registry, scope, number, case, record)
    _seat_panel(registry, scope, number, claim, case, record, replace(draw, seed=seed, weak=True), due_ms)


def finish_if_known(registry: Registry, proofs: JuryProofs, scope: Scope, number: int) -> bool:
    """Seat the panel of a claim in JURY_DRAWING now if enough shares are open, and say whether it was done.

    Its deadline is the next block; but if a stay came between, everybody would know the panel that is to be seated
    as long as the stay lasts, and could see to it that some of it cannot serve any more.
    """
    case = the_case(scope.state, number)
    record = the_round(scope.state, number, case.round)
    draw = the_draw(scope.state, number, case.round, record.attempt)
    if draw.phase is not DrawPhase.OPEN or len(draw.opened) < threshold(len(draw.parties)):
        return False
    draw_due(registry, proofs, scope, scope.now_ms, number)
    return True


def dealing_of(scope: Scope, number: int, round_number: int, attempt: int, dealer: int) -> Dealing:
    raw = scope.state.get(keys.jury_dealing(number, round_number, attempt, dealer))
    if raw is None:
        raise InvariantBroken(f"draw {attempt} of claim {number} has lost the dealing of organisation {dealer}")
    return decode_trusted(Dealing, decode_trusted(DealingRecord, raw).dealing)


def _score(scope: Scope, number: int, claim: ClaimRecord, late: list[int]) -> None:
    for organisation in late:
        count_missed(scope, organisation, "draws_missed", 1)
        scope.emit(EventKind.DRAW_MISSED, plan=claim.plan, subject=number, organisation=organisation)


def _weak_seed(registry: Registry, scope: Scope, number: int, case: CaseRecord, record: RoundRecord) -> bytes:
    """The hash of everything that was said: both statements, each attempt's dealings and openings."""
    said = sha256(b"weal/jury weak seed/1\0" + registry.digest + encode((number, case)))
    for attempt in range(1, record.attempt + 1):
        draw = the_draw(scope.state, number, case.round, attempt)
        said.update(encode(draw))
        for dealer in draw.dealers:
            said.update(encode(dealing_of(scope, number, case.round, attempt, dealer)))
    return said.digest()


def _seat_panel(
    registry: Registry,
    scope: Scope,
    number: int,
    claim: ClaimRecord,
    case: CaseRecord,
    record: RoundRecord,
    draw: DrawRecord,
    at_ms: int,
) -> None:
    """Take seats in the order that the seed gives, until the panel is full."""
    rules = rules_of(registry, scope, claim)
    until_ms = at_ms + (rules.panel_commit_hours + rules.panel_reveal_hours) * HOUR_MS
    bench = bench_of(registry, scope, claim, at_ms, panel=True)
    steps: list[DrawStep] = []
    panel: list[int] = []
    for index in shuffled(draw.seed, draw.seats):
        if len(panel) == record.size or len(steps) == MAX_STEPS:
            break
        seat = index + 1
        member_number = load_seat(scope.state, claim.plan, seat)
        juror, member = load_juror(scope.state, member_number), load_member(scope.state, member_number)
        code = ResultCode.UNKNOWN_JUROR
        if juror is not None and member is not None:
            juror = without_past_cases(scope, juror, rules.open_cases_max)
            # Fit to serve to the end: whose credential expires before it is passed over.
            code = bench.problem(member_number, juror, member, as_of_ms=draw.frozen_ms, at_ms=at_ms)
            if not code and juror.deadline_ms < until_ms:
                code = ResultCode.WRONG_JUROR_STATUS
            if not code:
                panel.append(member_number)
                sits = OpenCase(claim=number, round=case.round, until_ms=until_ms)
                save_juror(scope, member_number, replace(juror, cases=(*juror.cases, sits), drawn=juror.drawn + 1))
        steps.append(DrawStep(seat=seat, juror=member_number, code=code.value))
    done = replace(draw, phase=DrawPhase.DONE, steps=tuple(steps))
    save_draw(scope, number, case.round, record.attempt, done)
    save_round(scope, number, case.round, replace(record, panel=tuple(panel)))
    move(
        scope,
        number,
        claim,
        EventKind.PANEL_DRAWN,
        deadline_ms=at_ms + rules.panel_commit_hours * HOUR_MS,
        value=len(panel),
        actor=NO_ORGANISATION,
        at_ms=at_ms,
    )
