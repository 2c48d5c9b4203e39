"""What happened, for the event stream and for the table of claim transitions.

Numbers are part of the chain format (events are in receipts): add at the end of a group, never renumber.
"""

from __future__ import annotations

from enum import IntEnum

from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire


class EventKind(IntEnum):
    """Says what `subject`, `organisation` and `value` of an event are."""

    EVIDENCE_RECORDED = 1
    """organisation: the accused; value: block height."""
    MEMBERS_ENROLLED = 20
    """subject: first member of a run of numbers; organisation: enroller; value: how many."""
    MEMBER_LEFT = 21
    """subject: member; organisation: enroller; value: first day without cover."""
    CLAIM_FILED = 30
    """subject: claim; organisation: investigator assigned; value: amount asked for."""
    CLAIM_INVESTIGATED = 31
    """subject: claim; organisation: reviewer assigned; value: the finding."""
    INVESTIGATION_MISSED = 32
    """subject: claim; organisation: the next investigator; value: the one that missed the deadline."""
    CLAIM_ACCEPTED = 33
    """subject: claim; organisation: reviewer; value: amount."""
    CLAIM_DENIED = 34
    """subject: claim; organisation: reviewer; value: reason code."""
    REVIEW_MISSED = 35
    """subject: claim; organisation: the next reviewer; value: the one that missed the deadline."""
    CLAIM_PUBLISHED = 36
    """subject: claim; value: cycle."""
    CLAIM_CONFIRMED = 37
    """subject: claim; value: amount."""
    CLAIM_SETTLED = 38
    """subject: claim; organisation: payment organisation assigned; value: amount payable."""
    CLAIM_CARRIED = 39
    """subject: claim; value: the next cycle. The cycle had nobody to share its cost."""
    PAYMENT_MISSED = 40
    """subject: claim; organisation: the next payment organisation; value: the one that missed the deadline."""
    CLAIM_PAID = 41
    """subject: claim; organisation: payment organisation; value: amount."""
    CYCLE_DISCLOSED = 50
    """subject: cycle; value: members who share it."""
    CYCLE_SETTLED = 51
    """subject: cycle; value: share per member."""
    CYCLE_CARRIED = 52
    """subject: cycle; value: amount carried, because there was nobody to share it."""
    CLAIM_RECEIVED = 60
    """subject: claim; organisation: intake assigned; value: amount asked for. Filed with the member's own key."""
    CLAIM_ADMITTED = 61
    """subject: claim; organisation: investigator assigned."""
    INTAKE_MISSED = 62
    """subject: claim; organisation: investigator assigned; value: the intake organisation that was late."""
    CLAIM_RETURNED = 63
    """subject: claim; organisation: intake; value: bits of the missing papers (actions.Paper)."""
    CLAIM_RESUBMITTED = 64
    """subject: claim; organisation: intake assigned."""
    CLAIM_LAPSED = 65
    """subject: claim."""
    INVESTIGATION_EXTENDED = 66
    """subject: claim; organisation: investigator; value: reason code of the extension."""
    STEP_RECUSED = 67
    """subject: claim; organisation: the next one; value: the one that has a conflict of interest."""
    CLAIM_OBJECTED = 68
    """subject: claim; organisation: reviewer assigned; value: the member who objects."""
    OBJECTION_REFUSED = 69
    """subject: claim; organisation: reviewer; value: the cycle in which the claim is published again."""
    OBJECTION_MISSED = 70
    """As OBJECTION_REFUSED, because the reviewer was late."""
    OBJECTION_UPHELD = 71
    """subject: claim; organisation: reviewer; value: reason code."""
    CLAIM_WITHDRAWN = 72
    """subject: claim; organisation: for whom, or -1: the member's own key."""
    CLAIM_STAYED = 73
    """subject: claim; organisation: regulator; value: when the stay ends by itself, ms."""
    INTAKE_RESUMED = 74
    """As the five that follow. subject: claim; organisation: whose step it is; value: 0."""
    PAPERS_RESUMED = 75
    INVESTIGATION_RESUMED = 76
    REVIEW_RESUMED = 77
    PUBLICATION_RESUMED = 78
    OBJECTION_RESUMED = 79
    PAYMENT_RESUMED = 80
    COURT_GRANTED = 81
    """subject: claim; organisation: regulator; value: amount."""
    COURT_REFUSED = 82
    """subject: claim; organisation: regulator; value: reason code."""
    DENIAL_FINAL = 90
    """subject: claim; value: reason code of the denial. Nobody went to a jury in time, or the member waived it."""
    DENIAL_RESUMED = 91
    """As INTAKE_RESUMED: the time to ask for a jury runs on."""
    REVIEW_GIVEN = 92
    """subject: claim; organisation: the next reviewer; value: the reviewer that has decided. Another is to come."""
    CLAIM_HELD = 93
    """subject: claim; organisation: reviewer assigned; value: the earlier claim with the same event or paper."""
    HOLD_CLEARED = 94
    """subject: claim; organisation: investigator assigned; value: the reviewer."""
    HOLD_MISSED = 95
    """As HOLD_CLEARED, because the reviewer was late: the claim goes on unexplained."""
    HOLD_DENIED = 96
    """subject: claim; organisation: reviewer; value: reason code."""
    HOLD_RESUMED = 97
    """As INTAKE_RESUMED."""
    TIE_DECLARED = 98
    """subject: member, or 0; organisation: who declares it; value: the other organisation if it is to one."""
    TIE_ENDED = 99
    """As TIE_DECLARED."""
    CLAWBACK_OPENED = 100
    """subject: claim; organisation: the reviewer that opened it; value: reason code."""
    CLAWBACK_ANSWERED = 101
    """subject: claim; organisation: for whom, or -1: the member's own key."""
    CLAWBACK_VOTED = 102
    """subject: claim; organisation: who voted; value: 1 uphold, 0 drop, 2 write off. It decides nothing yet."""
    CLAWBACK_UPHELD = 103
    """subject: claim; value: amount to be paid back."""
    CLAWBACK_DROPPED = 104
    """subject: claim; value: votes to drop it."""
    CLAWBACK_EXPIRED = 105
    """subject: claim. The panel did not decide in time: as dropped."""
    RECOVERY_RECORDED = 106
    """subject: claim; organisation: payment organisation; value: amount that came back. More is to come."""
    CLAIM_RECOVERED = 107
    """subject: claim; organisation: payment organisation; value: the last amount that came back."""
    CLAIM_WRITTEN_OFF = 108
    """subject: claim; value: amount given up."""
    CLAIM_REOPENED = 109
    """subject: claim; organisation: investigator assigned; value: who reopened it."""
    JUROR_ENROLLED = 150
    """As the seven that follow. subject: member; value: version of the question bank."""
    EXAM_ISSUED = 151
    """organisation: examiner; value: how many questions."""
    JUROR_QUALIFIED = 152
    """organisation: examiner; value: right answers."""
    EXAM_FAILED = 153
    """organisation: examiner; value: right answers."""
    JUROR_LAPSED = 154
    """value: 0."""
    JUROR_RESIGNED = 155
    """value: 0."""
    JUROR_SUSPENDED = 156
    """organisation: who did it; value: reason code."""
    JUROR_REINSTATED = 157
    """organisation: who did it; value: 0."""
    BANK_PUBLISHED = 158
    """subject: 0; organisation: examiner; value: version of the question bank."""
    JURY_KEYS_REGISTERED = 159
    """Of no plan. organisation: whose keys."""
    JURY_REQUESTED = 160
    """As all that follow. subject: claim; organisation: that denied the claim; value: which request."""
    STATEMENT_LOCKED = 161
    """organisation: whose statement; value: 0."""
    JURY_VOTE_OPENED = 162
    """value: round."""
    VOTE_EXTENDED = 163
    """value: round."""
    REVEAL_OPENED = 164
    """value: round."""
    DRAW_STARTED = 165
    """value: round."""
    DEALING_CLOSED = 166
    """value: round. From now the panel is fixed, and nobody knows it."""
    PANEL_DRAWN = 167
    """value: how many jurors were found."""
    PANEL_REVEAL_OPENED = 168
    """value: round."""
    JURY_PASSED = 169
    """value: amount."""
    VERDICT_FAILED = 170
    """value: round. The denial stands."""
    JURY_STOPPED = 171
    """organisation: for whom, or -1: the member's own key; value: which request."""
    BALLOTS_CAST = 172
    """organisation: who brought them; value: how many were accepted, never what they say."""
    BALLOTS_REVEALED = 173
    """organisation: who brought them; value: how many were accepted, never what they say."""
    BEACON_DEALT = 174
    """organisation: the dealer; value: 0."""
    BEACON_OPENED = 175
    """organisation: whose share; value: 0."""
    DRAW_MISSED = 176
    """organisation: who was late; value: 0."""
    VERDICT_APPEALED = 177
    """value: round."""
    ENDS_EARLY = 178
    """organisation: whose transaction made it so; value: 0. Nothing is left to wait for in this status."""
    STATEMENTS_RESUMED = 210
    """As the eight that follow, and as INTAKE_RESUMED: a stay is over, and the case goes on where it stood."""
    VOTE_RESUMED = 211
    REVEAL_RESUMED = 212
    DRAW_RESUMED = 213
    PANEL_VOTE_RESUMED = 214
    PANEL_REVEAL_RESUMED = 215
    APPEAL_RESUMED = 216
    CLAWBACK_RESUMED = 217
    RECOVERY_RESUMED = 218
    KEY_DEALT = 190
    """subject: key epoch; organisation: who dealt; value: dealings so far."""
    KEY_CONFIRMED = 191
    """subject: key epoch; organisation: who confirmed; value: confirmations so far."""
    KEY_ACTIVE = 192
    """subject: key epoch; value: the threshold."""
    KEY_REFUSED = 193
    """subject: key epoch; organisation: who refuses; value: the organisation it accuses, or its own number."""
    EVIDENCE_REGISTERED = 180
    """subject: evidence item; organisation: that registered it, or -1: the member; value: claim, or 0."""
    EVIDENCE_HELD = 181
    """subject: evidence item; organisation: new holder; value: claim, or 0."""
    EVIDENCE_GRANTED = 182
    """subject: evidence item; organisation: that granted, or -1: the member; value: purpose, or 0: it is over."""
    EVIDENCE_OPENED = 183
    """subject: evidence item; organisation: that served the opening; value: purpose."""
    ERASURE_STARTED = 184
    """subject: evidence item; organisation: that asked, or -1: the member; value: claim, or 0."""
    ERASURE_SIGNED = 185
    """subject: evidence item; organisation: holder; value: claim, or 0."""
    EVIDENCE_ERASED = 186
    """subject: evidence item; value: claim, or 0. Every holder has signed."""
    ERASURE_LATE = 187
    """subject: evidence item; organisation: holder that has not signed in time; value: claim, or 0."""
    ERASURE_RESTRAINED = 188
    """subject: evidence item; organisation: regulator; value: claim, or 0."""
    ERASURE_RELEASED = 189
    """subject: evidence item; organisation: regulator; value: claim, or 0."""
    RECEIPT_RECORDED = 110
    """organisation: who handed the money over; value: amount."""
    SPONSOR_RECEIPT_RECORDED = 111
    """organisation: the sponsor; value: amount."""
    MONEY_RECOVERED = 112
    """value: amount of a payout that came back."""
    MONEY_WRITTEN_OFF = 113
    """value: amount that will not come back."""
    MEMBER_MOVED = 114
    """subject: the member's record before; organisation: enroller; value: the record in which it goes on."""
    KEY_CHANGED = 115
    """subject: member; organisation: enroller."""
    CONTRIBUTION_RECORDED = 116
    """subject: member; organisation: enroller; value: amount."""
    MEMBER_IN_ARREARS = 117
    """subject: member who pays; organisation: enroller; value: amount."""
    ARREARS_CLEARED = 118
    """subject: member who pays; organisation: enroller."""
    BALANCE_CLOSED = 119
    """subject: member; organisation: enroller; value: amount that is paid back."""
    MEMBER_REMOVED = 120
    """subject: member who pays and is in arrears; organisation: enroller; value: how many of the family are removed."""
    APPLICATIONS_RECORDED = 121
    """subject: first application of a run of numbers; organisation: enroller; value: how many."""
    APPLICATION_ACCEPTED = 122
    """subject: application; organisation: enroller; value: the member's number."""
    APPLICATION_REFUSED = 123
    """subject: application; organisation: enroller; value: reason code."""
    APPLICATION_WITHDRAWN = 124
    """subject: application; organisation: enroller."""
    APPLICATION_LAPSED = 125
    """subject: application; organisation: enroller, who did not decide in time."""
    PROPOSAL_DRAFTED = 130
    """subject: proposal; organisation: proposer; value: its kind. Nobody votes on it yet."""
    PROPOSAL_OPENED = 131
    """subject: proposal; organisation: proposer; value: when the vote ends, ms."""
    PROPOSAL_VOTED = 132
    """subject: proposal; organisation: who votes; value: 1 yes, 0 no."""
    SPONSOR_AGREED = 133
    """subject: proposal; organisation: the sponsor."""
    PROPOSAL_ADOPTED = 134
    """subject: proposal; organisation: proposer; value: number of the plan."""
    PROPOSAL_REJECTED = 135
    """subject: proposal; organisation: proposer."""
    PROPOSAL_LAPSED = 136
    """subject: proposal; organisation: proposer."""
    PROPOSAL_WITHDRAWN = 137
    """subject: proposal; organisation: proposer."""
    TERMS_ADOPTED = 138
    """subject: version; value: first day in force."""
    PLAN_OPENED = 139
    """subject: version."""
    PLAN_CLOSED_TO_NEW = 140
    """subject: 0."""
    PLAN_REOPENED = 141
    """subject: 0."""
    PLAN_SUSPENDED = 142
    """organisation: regulator; value: when the suspension ends by itself, ms."""
    PLAN_RESUMED_OPEN = 143
    """organisation: the regulator that lifted the suspension, or -1: its time is over."""
    PLAN_RESUMED_CLOSED = 144
    """As PLAN_RESUMED_OPEN, of a plan that is closed to new members."""
    PLAN_END_ANNOUNCED = 145
    """organisation: the sponsor; value: the closing day."""
    PLAN_COVER_ENDED = 146
    """value: until when claims can be filed, ms."""
    PLAN_CLAIMS_OPEN = 147
    """value: claims that keep the plan from being settled; it looks again a day later."""
    PLAN_SETTLED = 148
    """value: what members and organisations get back, minor units."""


class ClaimsEvent(Wire, frozen=True, kw_only=True):
    """One thing that happened. Fields that a kind does not use are 0, organisation is -1."""

    kind: EventKind
    plan: int = 0
    """Plan number: position among the plan codes of the genesis."""
    subject: int = 0
    organisation: int = NO_ORGANISATION
    """Organisation number: position in the genesis."""
    value: int = 0
