"""Who may be a juror, and of which claim."""

from __future__ import annotations

from typing import Final

from node.claims.calendar import years_old
from node.claims.jury.records import JurorRecord, JurorStatus
from node.claims.jury.terms import JuryTerms
from node.claims.mutual_aid.actions import Reason
from node.claims.mutual_aid.records import ClaimRecord, MemberRecord, load_claim
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.types import NO_ORGANISATION

LOOK_BACK: Final = 100
"""Newest claims of a member among which a fraud is looked for."""
_CLAWED_BACK: Final = (ClaimStatus.CLAWBACK_UPHELD, ClaimStatus.RECOVERED, ClaimStatus.WRITTEN_OFF)
_FRAUD: Final = (Reason.DECLARATION_UNTRUE, Reason.EVIDENCE_FALSE)


def standing_problem(terms: JuryTerms, member: MemberRecord, today: int) -> ResultCode:
    """OK if the member may be a juror on `today` as far as its membership goes."""
    if not (member.share_day <= today and not 0 < member.until_day <= today):
        return ResultCode.NO_SHARING_MEMBER
    if years_old(member.birth_month, today) < terms.juror_age_min_years:
        return ResultCode.JUROR_TOO_YOUNG
    return ResultCode.OK if today - member.enrolled_day >= terms.membership_days else ResultCode.MEMBER_TOO_NEW


def has_defrauded(state: ReadState, member: MemberRecord) -> bool:
    """Whether a claim of the member stands denied for an untrue declaration or false evidence, or was paid and is
    to be paid back."""
    number = member.last_claim
    for _ in range(LOOK_BACK):
        claim = load_claim(state, number)
        if claim is None:
            return False
        # A stay leaves a finding standing until it is over.
        status = claim.stayed_from or claim.status
        if status in _CLAWED_BACK:
            return True
        if status in (ClaimStatus.DENIED, ClaimStatus.CLOSED_DENIED) and claim.reason in _FRAUD:
            return True
        number = claim.previous
    return False


def head_of(number: int, member: MemberRecord) -> int:
    """The member who pays the bill: families share one."""
    return member.payer or number


def involved(claim: ClaimRecord) -> tuple[int, ...]:
    """Organisations that had a part in finding the facts or in deciding."""
    parties = (claim.investigator, claim.reviewer, claim.arbiter, *(note.organisation for note in claim.reviews))
    return tuple(sorted({number for number in parties if number != NO_ORGANISATION}))


class Bench:
    """Who may vote in a round of one claim: what is the same for all jurors, looked up once."""

    __slots__ = ("_claimant_head", "_excluded", "_plan", "_terms", "_today")

    def __init__(
        self,
        terms: JuryTerms,
        claim: ClaimRecord,
        claimant: MemberRecord,
        *,
        today: int,
        excluded: tuple[int, ...] = (),
    ) -> None:
        """`excluded`: organisations whose members do not sit on it."""
        self._terms, self._today = terms, today
        self._claimant_head = head_of(claim.member, claimant)
        self._excluded, self._plan = excluded, claim.plan

    def problem(
        self, number: int, juror: JurorRecord, member: MemberRecord, *, as_of_ms: int, at_ms: int
    ) -> ResultCode:
        """OK if the juror may vote. It must have been qualified at `as_of_ms`, before which nobody knew of the vote
        (or of the draw's seed), and have room for the case at `at_ms`. Its cases are those that are not over."""
        if juror.plan != self._plan:
            return ResultCode.WRONG_PLAN
        suspended = juror.status is JurorStatus.SUSPENDED and juror.suspended_ms <= as_of_ms
        in_office = juror.status in (JurorStatus.QUALIFIED, JurorStatus.SUSPENDED) and not suspended
        if not (in_office and juror.qualified_ms <= as_of_ms and at_ms < juror.deadline_ms):
            return ResultCode.WRONG_JUROR_STATUS
        if head_of(number, member) == self._claimant_head or member.organisation in self._excluded:
            return ResultCode.TIED
        if code := standing_problem(self._terms, member, self._today):
            return code
        if len(juror.cases) >= self._terms.open_cases_max:
            return ResultCode.TOO_MANY_OPEN_CASES
        return ResultCode.OK
