"""Every key of the state. The first byte is the table; numbers are fixed-width big-endian.

Tables 0x01-0x1f belong to the consortium and the clock, 0x20-0x5f to mutual aid, 0x60-0x6f to evidence items,
0x70-0x77 to duplicates; later modules take further ranges. Execution scans these tables only, by ranges that hold
what is due: DEADLINE (oldest first, bounded per block), DAY_CHANGE and COHORT_EXIT (once per disclosure), CASE (once
per settlement that is short of money) and THRESHOLD (below what a settlement has reached, bounded). Queries page
through ORGANISATION, EVIDENCE, DEADLINE, PLAN_TERMS, CYCLE, MEMBER, APPLICATION, CLAIM, ITEM, GRANT, ITEM_OF_CLAIM and
OPENING. All other access is by exact key.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

ORGANISATION: Final = 0x01
TALLY: Final = 0x02
SENDER: Final = 0x03
EVIDENCE: Final = 0x04
DEADLINE: Final = 0x05
COUNTERS: Final = 0x20
PLAN_TERMS: Final = 0x21
PLAN_STATE: Final = 0x22
PLAN_TALLY: Final = 0x23
CYCLE: Final = 0x24
DAY_CHANGE: Final = 0x25
MEMBER: Final = 0x26
PERSON: Final = 0x27
CLAIM: Final = 0x28
TIE: Final = 0x29
CLAWBACK: Final = 0x2A
APPLICATION: Final = 0x2B
APPLICATION_OF: Final = 0x2C
APPLICATION_TALLY: Final = 0x2D
APPLICATION_COUNTER: Final = 0x2E
KEY_STATE: Final = 0x70
KEY_EPOCH: Final = 0x71
KEY_DEALING: Final = 0x72
KEY_REFUSAL: Final = 0x73
VALUE_HOLDER: Final = 0x74
PLAN_INDEX: Final = 0x38
PLAN_CODE: Final = 0x39
ITEM: Final = 0x60
ITEM_OF: Final = 0x61
GRANT: Final = 0x62
ITEM_OF_CLAIM: Final = 0x63
OPENING: Final = 0x64
ITEM_COUNTER: Final = 0x65
COHORTS: Final = 0x30
COHORT_EXIT: Final = 0x31
RECEIVABLES: Final = 0x32
CASE: Final = 0x33
ACCOUNT: Final = 0x34
THRESHOLD: Final = 0x35
JUROR: Final = 0x40
JURY_SEAT: Final = 0x41
JURY_POOL: Final = 0x42
JURY_FREE_SEAT: Final = 0x43
EXAM_BANK: Final = 0x44
JURY_KEYS: Final = 0x45
JURY_CASE: Final = 0x46
JURY_ROUND: Final = 0x47
JURY_TALLY: Final = 0x48
BALLOT: Final = 0x49
JURY_DRAW: Final = 0x4A
JURY_DEALING: Final = 0x4B
PROPOSAL: Final = 0x3A
PROPOSED_TERMS: Final = 0x3B
PLAN_LIFE: Final = 0x3C
PLAN_REFUND: Final = 0x3D
GOVERNANCE: Final = 0x3E

_U16 = Struct(">BH")
_U16_U16 = Struct(">BHH")
_U16_U32 = Struct(">BHI")
_U64 = Struct(">BQ")
_TIE = Struct(">BBQ")
_DAY = Struct(">BHIH")
_DAY_DAY = Struct(">BHIHI")
_U16_U64 = Struct(">BHQ")
_U16_U64_U64 = Struct(">BHQQ")
_DEADLINE = Struct(">BQBQ")
_U64_U64 = Struct(">BQQ")
_ROUND = Struct(">BQB")
_BALLOT = Struct(">BQBQ")
_DRAW = Struct(">BQBB")
_DEALING = Struct(">BQBBH")

counters: Final = bytes([COUNTERS])
governance: Final = bytes([GOVERNANCE])
key_state: Final = bytes([KEY_STATE])
item_counter: Final = bytes([ITEM_COUNTER])
application_counter: Final = bytes([APPLICATION_COUNTER])


def organisation(number: int) -> bytes:
    return _U16.pack(ORGANISATION, number)


def tally(organisation_number: int) -> bytes:
    return _U16.pack(TALLY, organisation_number)


def sender(public_key: bytes) -> bytes:
    return b"\x03" + public_key


def evidence(digest: bytes) -> bytes:
    return b"\x04" + digest


def deadline(time_ms: int, kind: int, subject: int) -> bytes:
    """Time first, then kind: of rows due at once, a plan's settlement and disclosure precede its claims."""
    return _DEADLINE.pack(DEADLINE, time_ms, kind, subject)


def parse_deadline(key: bytes) -> tuple[int, int, int]:
    """(time_ms, kind, subject)."""
    _, time_ms, kind, subject = _DEADLINE.unpack(key)
    return time_ms, kind, subject


def deadlines_until(time_ms: int) -> tuple[bytes, bytes]:
    """Range of the rows due at or before `time_ms`."""
    return bytes([DEADLINE]), _DEADLINE.pack(DEADLINE, time_ms + 1, 0, 0)


def plan_terms(plan: int, version: int) -> bytes:
    return _U16_U16.pack(PLAN_TERMS, plan, version)


def plan_index(plan: int) -> bytes:
    return _U16.pack(PLAN_INDEX, plan)


def plan_code(code: str) -> bytes:
    """The code itself, padded to its greatest length."""
    return bytes([PLAN_CODE]) + code.encode().ljust(32, b"\0")


def proposal(number: int) -> bytes:
    return _U64.pack(PROPOSAL, number)


def proposed_terms(number: int) -> bytes:
    return _U64.pack(PROPOSED_TERMS, number)


def plan_life(plan: int) -> bytes:
    return _U16.pack(PLAN_LIFE, plan)


def plan_refund(plan: int) -> bytes:
    return _U16.pack(PLAN_REFUND, plan)


def plan_state(plan: int) -> bytes:
    return _U16.pack(PLAN_STATE, plan)


def plan_tally(plan: int) -> bytes:
    return _U16.pack(PLAN_TALLY, plan)


def cycle(plan: int, number: int) -> bytes:
    return _U16_U32.pack(CYCLE, plan, number)


def day_change(plan: int, day: int, organisation_number: int) -> bytes:
    return _DAY.pack(DAY_CHANGE, plan, day, organisation_number)


def parse_day_change(key: bytes) -> tuple[int, int, int]:
    """(plan, day, organisation)."""
    _, plan, day, organisation_number = _DAY.unpack(key)
    return plan, day, organisation_number


def member(number: int) -> bytes:
    return _U64.pack(MEMBER, number)


def person(plan: int, commitment: bytes) -> bytes:
    return _U16.pack(PERSON, plan) + commitment


def application(number: int) -> bytes:
    return _U64.pack(APPLICATION, number)


def application_of(member_number: int) -> bytes:
    """Leads from a member to the application that was accepted."""
    return _U64.pack(APPLICATION_OF, member_number)


def application_tally(plan: int) -> bytes:
    return _U16.pack(APPLICATION_TALLY, plan)


def claim(number: int) -> bytes:
    return _U64.pack(CLAIM, number)


def key_epoch(epoch: int) -> bytes:
    return _U16.pack(KEY_EPOCH, epoch)


def key_dealing(epoch: int, organisation_number: int) -> bytes:
    return _U16_U16.pack(KEY_DEALING, epoch, organisation_number)


def key_refusal(epoch: int, organisation_number: int) -> bytes:
    return _U16_U16.pack(KEY_REFUSAL, epoch, organisation_number)


def value_holder(kind: int, value: bytes) -> bytes:
    return bytes([VALUE_HOLDER, kind]) + value


def item(number: int) -> bytes:
    return _U64.pack(ITEM, number)


def item_of(commitment: bytes) -> bytes:
    """Leads from an evidence item's commitment to its number."""
    return bytes([ITEM_OF]) + commitment


def grant(item_number: int, public_key: bytes) -> bytes:
    return _U64.pack(GRANT, item_number) + public_key


def grants_of(item_number: int) -> tuple[bytes, bytes]:
    """Range of an item's grants; the last 32 bytes of a key are the recipient's."""
    return _U64.pack(GRANT, item_number), _U64.pack(GRANT, item_number + 1)


def item_of_claim(claim_number: int, item_number: int) -> bytes:
    return _U64_U64.pack(ITEM_OF_CLAIM, claim_number, item_number)


def items_of_claim(claim_number: int) -> tuple[bytes, bytes]:
    return _U64.pack(ITEM_OF_CLAIM, claim_number), _U64.pack(ITEM_OF_CLAIM, claim_number + 1)


def opening(item_number: int, receipt: bytes) -> bytes:
    return _U64.pack(OPENING, item_number) + receipt


def openings_of(item_number: int) -> tuple[bytes, bytes]:
    """Range of an item's anchored openings; the last 32 bytes of a key are the receipt's digest."""
    return _U64.pack(OPENING, item_number), _U64.pack(OPENING, item_number + 1)


def cohorts(plan: int) -> bytes:
    return _U16.pack(COHORTS, plan)


def cohort_exit(plan: int, until_day: int, organisation_number: int, share_day: int) -> bytes:
    return _DAY_DAY.pack(COHORT_EXIT, plan, until_day, organisation_number, share_day)


def parse_cohort_exit(key: bytes) -> tuple[int, int, int, int]:
    """(plan, until_day, organisation, share_day)."""
    _, plan, until_day, organisation_number, share_day = _DAY_DAY.unpack(key)
    return plan, until_day, organisation_number, share_day


def receivables(plan: int) -> bytes:
    return _U16.pack(RECEIVABLES, plan)


def case(plan: int, claim_number: int) -> bytes:
    return _U16_U64.pack(CASE, plan, claim_number)


def cases(plan: int) -> tuple[bytes, bytes]:
    """Range of a plan's cases."""
    return _U16.pack(CASE, plan), _U16.pack(CASE, plan + 1)


def parse_case(key: bytes) -> tuple[int, int]:
    """(plan, claim)."""
    _, plan, claim_number = _U16_U64.unpack(key)
    return plan, claim_number


def account(member_number: int) -> bytes:
    return _U64.pack(ACCOUNT, member_number)


def threshold(plan: int, accumulated: int, member_number: int) -> bytes:
    return _U16_U64_U64.pack(THRESHOLD, plan, accumulated, member_number)


def thresholds_below(plan: int, accumulated: int) -> tuple[bytes, bytes]:
    """Range of the balances of a plan that run out before its shares add up to `accumulated`."""
    return _U16_U64_U64.pack(THRESHOLD, plan, 0, 0), _U16_U64_U64.pack(THRESHOLD, plan, accumulated, 0)


def parse_threshold(key: bytes) -> tuple[int, int, int]:
    """(plan, accumulated, member)."""
    _, plan, accumulated, member_number = _U16_U64_U64.unpack(key)
    return plan, accumulated, member_number


def tie_of_member(number: int) -> bytes:
    return _TIE.pack(TIE, 0, number)


def tie_of_organisation(number: int) -> bytes:
    return _TIE.pack(TIE, 1, number)


def clawback(claim_number: int) -> bytes:
    return _U64.pack(CLAWBACK, claim_number)


def juror(member_number: int) -> bytes:
    return _U64.pack(JUROR, member_number)


def jury_seat(plan: int, seat: int) -> bytes:
    return _U16_U32.pack(JURY_SEAT, plan, seat)


def jury_pool(plan: int) -> bytes:
    return _U16.pack(JURY_POOL, plan)


def jury_free_seat(plan: int, index: int) -> bytes:
    return _U16_U32.pack(JURY_FREE_SEAT, plan, index)


def exam_bank(plan: int, version: int) -> bytes:
    return _U16_U16.pack(EXAM_BANK, plan, version)


def jury_keys(organisation_number: int) -> bytes:
    return _U16.pack(JURY_KEYS, organisation_number)


def jury_case(claim_number: int) -> bytes:
    return _U64.pack(JURY_CASE, claim_number)


def jury_round(claim_number: int, number: int) -> bytes:
    return _ROUND.pack(JURY_ROUND, claim_number, number)


def jury_tally(claim_number: int, number: int) -> bytes:
    return _ROUND.pack(JURY_TALLY, claim_number, number)


def ballot(claim_number: int, number: int, juror_number: int) -> bytes:
    return _BALLOT.pack(BALLOT, claim_number, number, juror_number)


def parse_ballot(key: bytes) -> tuple[int, int, int]:
    """(claim, round, juror)."""
    _, claim_number, number, juror_number = _BALLOT.unpack(key)
    return claim_number, number, juror_number


def ballots_of(claim_number: int, number: int) -> tuple[bytes, bytes]:
    """Range of the ballots of a round."""
    return _ROUND.pack(BALLOT, claim_number, number), _ROUND.pack(BALLOT, claim_number, number) + b"\xff" * 9


def jury_draw(claim_number: int, number: int, attempt: int) -> bytes:
    return _DRAW.pack(JURY_DRAW, claim_number, number, attempt)


def jury_dealing(claim_number: int, number: int, attempt: int, organisation_number: int) -> bytes:
    return _DEALING.pack(JURY_DEALING, claim_number, number, attempt, organisation_number)


def number_of(key: bytes) -> int:
    """The number in a member's or claim's key."""
    return int.from_bytes(key[1:], "big")


def last_number_of(key: bytes) -> int:
    """The number at the end of a key of an index."""
    return int.from_bytes(key[-8:], "big")


def table(first_byte: int) -> tuple[bytes, bytes]:
    """Range of a whole table."""
    return bytes([first_byte]), bytes([first_byte + 1])
