"""Result codes: why a transaction was, or was not, carried out.

Codes are part of the chain format: each replica writes the same code into the same receipt. New ones
are added at the end of their group and none is ever renumbered. If two apply, the first check wins.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ResultCode(IntEnum):
    """Numbered for ever. 1..19: not admitted, nothing changes; the rest use up the sequence number."""

    OK = 0
    # Admission. The first two are found by the node before the application sees the transaction.
    MALFORMED = 1
    BAD_SIGNATURE = 2
    WRONG_GENESIS = 3
    UNKNOWN_SENDER = 4
    SEQUENCE_USED = 5
    SEQUENCE_TOO_OLD = 6
    SEQUENCE_TOO_HIGH = 7
    EXPIRED = 8
    VALID_TOO_LONG = 9
    # Any module.
    FORBIDDEN = 20
    CLOCK_BEHIND = 21
    LIMIT_REACHED = 22
    # Consortium.
    EVIDENCE_INVALID = 40
    EVIDENCE_KNOWN = 41
    # Mutual aid: enrolment.
    UNKNOWN_PLAN = 100
    PERSON_ALREADY_MEMBER = 101
    TOO_YOUNG = 102
    TOO_OLD = 103
    KEY_IN_USE = 104
    UNKNOWN_PAYER = 105
    APPLICATION_PENDING = 106
    UNKNOWN_APPLICATION = 107
    WRONG_APPLICATION_STATUS = 108
    REFUSAL_WITHOUT_GROUNDS = 109
    PAYER_NOT_ACCEPTED = 110
    # Mutual aid: filing.
    UNKNOWN_MEMBER = 120
    NOT_THIS_MEMBER = 121
    WRONG_PLAN = 122
    UNKNOWN_AILMENT = 123
    DIAGNOSIS_IN_FUTURE = 124
    NOT_YET_COVERED = 125
    NO_LONGER_COVERED = 126
    OBSERVATION_NOT_OVER = 127
    REPORT_WINDOW_OVER = 128
    OPEN_CLAIM_EXISTS = 129
    ALREADY_PAID = 130
    BENEFIT_NOT_IN_TABLE = 131
    AMOUNT_IS_FIXED = 132
    AMOUNT_OUT_OF_RANGE = 133
    # Mutual aid: investigation, review, payment.
    UNKNOWN_CLAIM = 140
    WRONG_CLAIM_STATUS = 141
    NOT_ASSIGNED = 142
    FINDING_WITHOUT_GROUNDS = 143
    DENIAL_WITHOUT_GROUNDS = 144
    UNKNOWN_CLAUSE = 145
    UNKNOWN_REASON = 146
    WRONG_PAYMENT_AMOUNT = 147
    NOT_A_COMMITMENT = 148
    # Mutual aid: intake, objection, withdrawal, stay.
    NO_PAPER_NAMED = 150
    ALREADY_EXTENDED = 151
    EXTENSION_WITHOUT_REASON = 152
    NOBODY_ELSE = 153
    OWN_CLAIM = 154
    NO_SHARING_MEMBER = 155
    OBJECTION_USED = 156
    OBJECTIONS_EXHAUSTED = 157
    NOT_THE_FILER = 158
    NOT_STAYED_BEFORE_SETTLEMENT = 159
    # Mutual aid: juries.
    JURY_OFF = 220
    NO_QUESTION_BANK = 221
    NO_JURY_KEYS = 222
    BAD_JURY_KEY = 223
    UNKNOWN_JUROR = 224
    WRONG_JUROR_STATUS = 225
    JUROR_TOO_YOUNG = 226
    MEMBER_TOO_NEW = 227
    NO_OWN_KEY = 228
    PAST_FRAUD = 229
    NOT_THE_EXAMINER = 230
    EXAM_PROOF_INVALID = 231
    PAPER_ALREADY_ISSUED = 232
    PAPER_NOT_ISSUED = 233
    GRADE_OUT_OF_RANGE = 234
    REQUESTS_EXHAUSTED = 235
    STATEMENT_LOCKED = 236
    NOT_A_PARTY = 237
    WRONG_ROUND = 238
    BALLOT_SIGNATURE_INVALID = 239
    NOT_THIS_BALLOT = 240
    TOO_LATE_TO_STOP = 241
    NOT_IN_DRAW = 242
    DEALING_INVALID = 243
    OPENING_INVALID = 244
    ALREADY_DONE = 245
    NOT_ON_PANEL = 246
    TOO_MANY_OPEN_CASES = 247
    TIED = 248
    REASON_DOES_NOT_FIT = 249
    # Duplicates: values of claims, and the key that makes them.
    VALUES_OUT_OF_ORDER = 270
    NO_KEY_HOLDER = 271
    WRONG_KEY_EPOCH = 272
    DEALING_CLOSED = 273
    WRONG_DEALING_SHAPE = 274
    ALREADY_SAID = 275
    TOO_FEW_DEALINGS = 276
    OTHER_DEALINGS = 277
    NOTHING_TO_REFUSE = 278
    # Evidence items.
    UNKNOWN_EVIDENCE_ITEM = 250
    EVIDENCE_ITEM_KNOWN = 251
    NOT_INVOLVED = 252
    UNKNOWN_RECIPIENT = 253
    GRANT_EXPIRY_OUT_OF_RANGE = 254
    NO_SUCH_GRANT = 255
    EVIDENCE_IS_ERASED = 256
    HELD_BY_ORDER = 257
    HELD_BY_OPEN_CLAIM = 258
    HELD_BY_WINDOW = 259
    ERASURE_NOT_STARTED = 260
    ERASURE_ALREADY_SIGNED = 261
    NOT_A_HOLDER = 262
    ALREADY_HOLDER = 263
    OPENING_KNOWN = 264
    ORDER_UNCHANGED = 265
    # Mutual aid: conflicts, holds, clawback, reopening.
    TIE_TO_ONE = 160
    TIE_UNCHANGED = 161
    HOLD_WITHOUT_EXPLANATION = 163
    CLAWBACK_USED = 164
    CLAWBACK_TOO_LATE = 165
    HEARING_OVER = 166
    HEARING_NOT_OVER = 167
    NOT_ON_CLAWBACK_PANEL = 168
    HAS_VOTED = 169
    RECEIPT_KNOWN = 170
    EVIDENCE_NOT_NEW = 171
    HAD_A_PART = 172
    REOPENED_BEFORE = 173
    NOTHING_PAID = 174
    CLAIM_IS_STAYED = 175
    # Mutual aid: money and members.
    UNKNOWN_ORGANISATION = 180
    MORE_THAN_OWED = 181
    NOT_COLLECTED_YET = 182
    NOT_THE_ENROLLER = 183
    MEMBERSHIP_ENDED = 184
    DEPENDANTS_FIRST = 185
    TOO_MANY_DEPENDANTS = 186
    NOTHING_TO_CHANGE = 187
    KEY_CHANGED_TODAY = 188
    PAID_BY_ANOTHER = 189
    OWN_BALANCE = 190
    NO_BALANCE = 191
    IN_ARREARS = 192
    MEMBERSHIP_VOID = 193
    NOBODY_TO_HOLD = 266
    # Mutual aid: the life of plans.
    NOT_A_VOTER = 200
    TERMS_TOO_LARGE = 201
    TERMS_INCONSISTENT = 202
    VERSION_NOT_NEXT = 203
    FIXED_TERM_CHANGED = 204
    EFFECTIVE_DAY_OUT_OF_RANGE = 205
    PLAN_CODE_TAKEN = 206
    UNKNOWN_PROPOSAL = 207
    PROPOSAL_NOT_OPEN = 208
    VOTE_CAST = 209
    NOT_THE_PROPOSER = 210
    TOO_MANY_PROPOSALS = 211
    WRONG_PLAN_STATUS = 212
    UNKNOWN_SPONSOR = 213
    NOT_THE_SPONSOR = 214
    PLAN_TAKES_NO_MEMBERS = 215
    PLAN_RUN_OFF_OVER = 216


_DESCRIPTIONS: Final[dict[ResultCode, str]] = {
    ResultCode.OK: "Done.",
    ResultCode.MALFORMED: "These bytes are not a canonical transaction. Build it with the client library.",
    ResultCode.BAD_SIGNATURE: "The signature does not verify under the sender's key. Sign the bytes of signed_bytes().",
    ResultCode.WRONG_GENESIS: "The transaction is for another chain. Use this chain's genesis digest.",
    ResultCode.UNKNOWN_SENDER: "No organisation or member account has this key.",
    ResultCode.SEQUENCE_USED: "This sequence number has been used. Ask the node for the next free one.",
    ResultCode.SEQUENCE_TOO_OLD: "The sequence number lies too far below the highest used. Take the next free one.",
    ResultCode.SEQUENCE_TOO_HIGH: "The sequence number lies more than 1,024 above the highest used. Take a lower one.",
    ResultCode.EXPIRED: "valid_until_ms has passed. Sign it again with a later time.",
    ResultCode.VALID_TOO_LONG: "valid_until_ms lies further ahead than the chain allows. Sign it with an earlier time.",
    ResultCode.FORBIDDEN: "No role of the sender allows this action.",
    ResultCode.CLOCK_BEHIND: "Due clock work for this claim is still queued. Send it again in a later block.",
    ResultCode.LIMIT_REACHED: "The chain has reached the largest number of records of this kind.",
    ResultCode.EVIDENCE_INVALID: "The evidence does not prove that a replica signed two different votes in one slot.",
    ResultCode.EVIDENCE_KNOWN: "This evidence is already on the chain.",
    ResultCode.UNKNOWN_PLAN: "There is no plan with this code.",
    ResultCode.PERSON_ALREADY_MEMBER: "This person is already a member of the plan.",
    ResultCode.TOO_YOUNG: "The person is younger than the plan's entry age.",
    ResultCode.TOO_OLD: "The person is older than the plan's entry age.",
    ResultCode.KEY_IN_USE: "Another account has this key. Each member needs a key of their own.",
    ResultCode.UNKNOWN_PAYER: "The payer is no member of this plan that pays for itself.",
    ResultCode.APPLICATION_PENDING: "This person has applied for the plan: that application is to be decided first.",
    ResultCode.UNKNOWN_APPLICATION: "There is no application with this number.",
    ResultCode.WRONG_APPLICATION_STATUS: "The application was accepted, refused or withdrawn before, or has lapsed.",
    ResultCode.REFUSAL_WITHOUT_GROUNDS: "A refusal of an application must name a clause of the plan and a reason.",
    ResultCode.PAYER_NOT_ACCEPTED: "Who pays has applied too and is not accepted: decide that application first.",
    ResultCode.UNKNOWN_MEMBER: "There is no member with this number.",
    ResultCode.NOT_THIS_MEMBER: "A member's own key may file claims of that member only.",
    ResultCode.WRONG_PLAN: "The member belongs to another plan.",
    ResultCode.UNKNOWN_AILMENT: "The plan's ailment table, as in force on the day of diagnosis, has no such code.",
    ResultCode.DIAGNOSIS_IN_FUTURE: "The day of diagnosis has not come yet.",
    ResultCode.NOT_YET_COVERED: "Cover had not begun on the day of diagnosis; only accidents count while waiting.",
    ResultCode.NO_LONGER_COVERED: "Cover had ended on the day of diagnosis.",
    ResultCode.OBSERVATION_NOT_OVER: "This condition is assessed later; its observation days are not over.",
    ResultCode.REPORT_WINDOW_OVER: "The claim comes after the plan's reporting window.",
    ResultCode.OPEN_CLAIM_EXISTS: "The member has as many open claims as the plan allows.",
    ResultCode.ALREADY_PAID: "The plan pays its sum once, and has paid this member.",
    ResultCode.BENEFIT_NOT_IN_TABLE: "The plan's table has no benefit for this age and severity.",
    ResultCode.AMOUNT_IS_FIXED: "The plan's table fixes the amount: leave it 0.",
    ResultCode.AMOUNT_OUT_OF_RANGE: "The amount must be above 0 and within what the plan, or the claim, allows.",
    ResultCode.UNKNOWN_CLAIM: "There is no claim with this number.",
    ResultCode.WRONG_CLAIM_STATUS: "The claim is not in a status that allows this.",
    ResultCode.NOT_ASSIGNED: "This step of the claim is assigned to another organisation.",
    ResultCode.FINDING_WITHOUT_GROUNDS: "A finding against the claim must name a clause and a reason.",
    ResultCode.DENIAL_WITHOUT_GROUNDS: "A denial must name a clause, an evidence item and a reason.",
    ResultCode.UNKNOWN_CLAUSE: "The plan, in the version that counts here, has no such clause.",
    ResultCode.UNKNOWN_REASON: "There is no such reason code.",
    ResultCode.WRONG_PAYMENT_AMOUNT: "The amount paid is not the amount of the claim.",
    ResultCode.NOT_A_COMMITMENT: "An evidence item is a commitment of exactly 32 bytes; leave it empty for none.",
    ResultCode.NO_PAPER_NAMED: "A claim is returned for papers: name at least one that is missing.",
    ResultCode.ALREADY_EXTENDED: "The time for this investigation has been extended once; it cannot be again.",
    ResultCode.EXTENSION_WITHOUT_REASON: "An extension must name one of the reasons for it.",
    ResultCode.NOBODY_ELSE: "No other organisation can take this step; it stays with this one.",
    ResultCode.OWN_CLAIM: "A member cannot object to a claim of its own.",
    ResultCode.NO_SHARING_MEMBER: "Only a member who shares the plan's cost on this day may object.",
    ResultCode.OBJECTION_USED: "This member has used its objection of this cycle.",
    ResultCode.OBJECTIONS_EXHAUSTED: "Objections to this claim have been decided as often as the plan allows.",
    ResultCode.NOT_THE_FILER: "Only the member, or an organisation that filed or enrolled for it, may do this.",
    ResultCode.TIE_TO_ONE: "A tie is to one member or to one organisation: name exactly one.",
    ResultCode.TIE_UNCHANGED: "This tie is declared already, or there is none to end.",
    ResultCode.HOLD_WITHOUT_EXPLANATION: "A duplicate is cleared with a commitment to its explanation: name it.",
    ResultCode.CLAWBACK_USED: "This claim was called fraud before: once more only, and by another organisation.",
    ResultCode.CLAWBACK_TOO_LATE: "The plan's time to claim a payout back is over.",
    ResultCode.HEARING_OVER: "The member has answered, or its time to answer is over.",
    ResultCode.HEARING_NOT_OVER: "The member still has time to answer: vote when it has, or when that is over.",
    ResultCode.NOT_ON_CLAWBACK_PANEL: "Only the organisations of this clawback's panel vote.",
    ResultCode.HAS_VOTED: "This organisation has voted on this clawback.",
    ResultCode.RECEIPT_KNOWN: "This receipt was recorded for this claim before.",
    ResultCode.EVIDENCE_NOT_NEW: "A claim is reopened on new evidence: commit to all papers, the new ones included.",
    ResultCode.HAD_A_PART: "Who has decided this claim, or has a tie, cannot reopen it.",
    ResultCode.NOTHING_PAID: "The settlement left nothing for this claim: there is nothing to claim back.",
    ResultCode.CLAIM_IS_STAYED: "A regulator has stayed this claim. It goes on where it stood when the stay is over.",
    ResultCode.REOPENED_BEFORE: "Reviewers have reopened this claim as often as the plan allows.",
    ResultCode.NOT_STAYED_BEFORE_SETTLEMENT: "The cost of this claim is shared already: a stay can only be lifted.",
    ResultCode.JURY_OFF: "This plan, in the version that counts here, has no jury.",
    ResultCode.NO_QUESTION_BANK: "No question bank has been published for this plan.",
    ResultCode.NO_JURY_KEYS: "Register the organisation's jury keys first.",
    ResultCode.BAD_JURY_KEY: "Two different keys are needed, each a point of the curve's prime-order subgroup.",
    ResultCode.UNKNOWN_JUROR: "This member is no juror, or has no ballot here.",
    ResultCode.WRONG_JUROR_STATUS: "The juror's credential is not in a status, or not old enough, for this.",
    ResultCode.JUROR_TOO_YOUNG: "The member is younger than the plan lets jurors be.",
    ResultCode.MEMBER_TOO_NEW: "The member has not belonged to the plan long enough to be a juror.",
    ResultCode.NO_OWN_KEY: "A juror signs ballots: the member needs a key of its own.",
    ResultCode.PAST_FRAUD: "A fraud or a suspension stands against this member.",
    ResultCode.NOT_THE_EXAMINER: "Another organisation published the question bank, and examines this candidate.",
    ResultCode.EXAM_PROOF_INVALID: "The proof is not one by the bank's exam key for this paper.",
    ResultCode.PAPER_ALREADY_ISSUED: "This candidate has its paper.",
    ResultCode.PAPER_NOT_ISSUED: "This candidate has no paper yet: issue it first.",
    ResultCode.GRADE_OUT_OF_RANGE: "There are not that many questions.",
    ResultCode.REQUESTS_EXHAUSTED: "A jury was asked for as often as the plan allows.",
    ResultCode.STATEMENT_LOCKED: "This side's statement is locked already.",
    ResultCode.NOT_A_PARTY: "Only the two sides, the member and the organisation that denied the claim, may do this.",
    ResultCode.WRONG_ROUND: "This is not the claim's current round, or not its current draw.",
    ResultCode.BALLOT_SIGNATURE_INVALID: "The ballot is not signed by its juror for this chain, claim and round.",
    ResultCode.NOT_THIS_BALLOT: "Vote, reason and salt are not those of this juror's ballot in this round.",
    ResultCode.TOO_LATE_TO_STOP: "After the first ballot is revealed, or a verdict, a jury cannot be stopped.",
    ResultCode.NOT_IN_DRAW: "This organisation does not take part in this draw.",
    ResultCode.DEALING_INVALID: "The dealing does not verify for this draw, its keys and this organisation.",
    ResultCode.OPENING_INVALID: "The share is not this organisation's, decrypted with its beacon key.",
    ResultCode.ALREADY_DONE: "This has been done already, and the first counts.",
    ResultCode.NOT_ON_PANEL: "This juror was not drawn for the panel.",
    ResultCode.TOO_MANY_OPEN_CASES: "The juror has as many open cases as the plan allows.",
    ResultCode.TIED: "The juror is of the claimant's family, or of an organisation that had a part in the claim.",
    ResultCode.REASON_DOES_NOT_FIT: "The reason given is not one for this vote.",
    ResultCode.VALUES_OUT_OF_ORDER: "Values have 32 bytes; those of papers, at most 32, stand in rising order.",
    ResultCode.NO_KEY_HOLDER: "Only an organisation that runs a node holds a share of the key.",
    ResultCode.WRONG_KEY_EPOCH: "This is not the key epoch that is being made. Ask the node for the newest one.",
    ResultCode.DEALING_CLOSED: "A dealing of this key epoch has been confirmed: no more are taken.",
    ResultCode.WRONG_DEALING_SHAPE: "A dealing has as many commitments as the threshold and one share for each holder.",
    ResultCode.ALREADY_SAID: "This organisation has said so for this key epoch already.",
    ResultCode.TOO_FEW_DEALINGS: "A key is confirmed when as many organisations as its threshold have dealt.",
    ResultCode.OTHER_DEALINGS: "The digest is not that of the dealings on the chain. Read them again.",
    ResultCode.NOTHING_TO_REFUSE: "The organisation that is named has not dealt in this key epoch.",
    ResultCode.UNKNOWN_EVIDENCE_ITEM: "There is no evidence item with this number.",
    ResultCode.EVIDENCE_ITEM_KNOWN: "An evidence item with this commitment is registered already.",
    ResultCode.NOT_INVOLVED: "Only the claimant and the organisations that the claim involves now may do this.",
    ResultCode.UNKNOWN_RECIPIENT: "The recipient's key is no account of this chain.",
    ResultCode.GRANT_EXPIRY_OUT_OF_RANGE: "A grant must end in the future, and within 366 days.",
    ResultCode.NO_SUCH_GRANT: "There is no such grant for this key, or it is over.",
    ResultCode.EVIDENCE_IS_ERASED: "The item is erased, or its erasure has begun.",
    ResultCode.HELD_BY_ORDER: "A court order forbids the erasure until the regulator lifts it.",
    ResultCode.HELD_BY_OPEN_CLAIM: "The claim is open: its evidence is needed until it is closed.",
    ResultCode.HELD_BY_WINDOW: "The plan keeps the evidence for some time after the claim was closed; try again later.",
    ResultCode.ERASURE_NOT_STARTED: "Nobody has asked for the erasure of this item.",
    ResultCode.ERASURE_ALREADY_SIGNED: "Your organisation has signed already that its copy is destroyed.",
    ResultCode.NOT_A_HOLDER: "Your organisation does not hold this item.",
    ResultCode.ALREADY_HOLDER: "Your organisation holds this item already.",
    ResultCode.OPENING_KNOWN: "This receipt of an opening is on the chain already.",
    ResultCode.ORDER_UNCHANGED: "There is no order to lift, or this very order stands already.",
    ResultCode.UNKNOWN_ORGANISATION: "The consortium has no organisation with this name.",
    ResultCode.MORE_THAN_OWED: "The amount is more than is owed. Ask for the plan's totals.",
    ResultCode.NOT_COLLECTED_YET: "The plan pays from collected money only, and not enough has come in yet.",
    ResultCode.NOT_THE_ENROLLER: "Only the member's enroller, or its own key where that is allowed, may do this.",
    ResultCode.MEMBERSHIP_ENDED: "The membership has ended, or ends by tomorrow.",
    ResultCode.DEPENDANTS_FIRST: "Others are paid for by this member. They leave before it, or together with it.",
    ResultCode.TOO_MANY_DEPENDANTS: "A member pays for at most 32 others.",
    ResultCode.NOTHING_TO_CHANGE: "The membership is like this already.",
    ResultCode.KEY_CHANGED_TODAY: "A member's key can be changed once a day.",
    ResultCode.PAID_BY_ANOTHER: "Another member pays for this one. Name that member.",
    ResultCode.OWN_BALANCE: "The chain keeps this member's balance and finds arrears by itself.",
    ResultCode.NO_BALANCE: "The chain keeps no balance of this member.",
    ResultCode.IN_ARREARS: "Arrears have to be paid first.",
    ResultCode.MEMBERSHIP_VOID: "The membership is void, because the health declaration was untrue.",
    ResultCode.NOBODY_TO_HOLD: "Only an organisation that runs a node can hold evidence, and here is none.",
    ResultCode.NOT_A_VOTER: "Only organisations that run a node and take part in the plans vote on them.",
    ResultCode.TERMS_TOO_LARGE: "The terms are larger than the chain takes.",
    ResultCode.TERMS_INCONSISTENT: "The terms do not fit together, or not this chain; the detail names the key.",
    ResultCode.VERSION_NOT_NEXT: "The version must be the plan's last one plus 1; of a new plan, 1.",
    ResultCode.FIXED_TERM_CHANGED: "No version of a plan can change this; the detail names the key. Propose a plan.",
    ResultCode.EFFECTIVE_DAY_OUT_OF_RANGE: "The day lies in the past or more than two years ahead.",
    ResultCode.PLAN_CODE_TAKEN: "There is a plan with this code.",
    ResultCode.UNKNOWN_PROPOSAL: "There is no proposal with this number.",
    ResultCode.PROPOSAL_NOT_OPEN: "The proposal is not in a status that allows this; its time may be over.",
    ResultCode.VOTE_CAST: "This organisation has voted on the proposal, or agreed to it.",
    ResultCode.NOT_THE_PROPOSER: "Only the organisation that proposed it may do this.",
    ResultCode.TOO_MANY_PROPOSALS: "This organisation has as many open proposals as it may; withdraw one.",
    ResultCode.WRONG_PLAN_STATUS: "The plan is not in a status that allows this.",
    ResultCode.UNKNOWN_SPONSOR: "A sponsor must be named, and be an organisation of this chain.",
    ResultCode.NOT_THE_SPONSOR: "The proposal does not name this organisation as a sponsor.",
    ResultCode.PLAN_TAKES_NO_MEMBERS: "Nobody can join now: the plan is closed to new members, suspended or ending.",
    ResultCode.PLAN_RUN_OFF_OVER: "The plan has ended, and with it the time in which claims could be filed.",
}


def describe(code: int) -> str:
    """One sentence for people: what is wrong and what to do."""
    try:
        return _DESCRIPTIONS[ResultCode(code)]
    except ValueError:
        return f"Unknown result code {code}: the node is older than the chain."


def is_inadmissible(code: int) -> bool:
    """True if the transaction left no trace, so that no honest block contains it."""
    return 1 <= code <= 19
