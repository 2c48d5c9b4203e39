"""What can become of a resource, in a word that programs compare and in words that people read."""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    # patients
    "member": "became a member",
    "known-member": "was a member already",
    "same-person": "the same person as an earlier patient of the input; joined only once",
    "no-birth-date": "no birth date that is precise to the day",
    "too-young": "younger than the plan's entry age",
    "too-old": "older than the plan's entry age",
    "deceased": "died before joining",
    "cover-ended": "every coverage of the person was over by then",
    "cover-not-begun": "no coverage of the person has begun; import again later",
    # coverages
    "payer": "its subscriber pays for its beneficiary",
    "own-coverage": "its beneficiary pays for itself",
    "payer-stands": "its beneficiary was a member already; who pays stays as it is",
    "second-coverage": "another coverage of the person decides who pays",
    "coverage-over": "ended before the person joined",
    "coverage-not-begun": "begins after the day of joining",
    "coverage-not-active": "cancelled, a draft, or entered in error",
    "unclear-period": "a period that is not precise to the day, or ends before it begins",
    "unknown-beneficiary": "its beneficiary is not in the input",
    "unknown-subscriber": "its subscriber is not in the input; its beneficiary pays for itself",
    "subscriber-not-a-member": "its subscriber did not become a member; its beneficiary pays for itself",
    "coverage-circle": "subscribers name each other in a circle; its beneficiary pays for itself",
    # conditions
    "claim": "became a claim",
    "not-listed": "not a listed ailment",
    "too-mild": "a milder or earlier form of a listed ailment",
    "in-situ": "carcinoma in situ, which the plan excludes",
    "history": "a past event, not a new one",
    "suspected": "a suspicion, not a diagnosis",
    "undetermined": "cannot be decided from the code alone",
    "codes-disagree": "its codes name different ailments",
    "no-code": "no SNOMED CT or ICD-10 code",
    "not-confirmed": "not confirmed, refuted, or entered in error",
    "not-in-plan": "an ailment that this plan does not list",
    "no-patient": "its patient is not in the input",
    "not-a-member": "its patient did not become a member",
    "no-date": "no date that is precise to the day",
    "before-joining": "began before the person joined",
    "waiting-period": "began within the waiting period",
    "over-age": "the person was too old for cover",
    "no-benefit": "the plan's table has no benefit for this age and severity",
    "in-future": "dated later than today",
    "observation": "its observation days are not over; import again later",
    "too-late": "the plan's reporting window is over",
    "claimed-already": "the plan pays once, and an earlier condition of the person is claimed",
    "refused": "refused by the ledger",
    "no-bills": "a reimbursement plan pays bills, and none in its currency belongs to the condition",
    # bills
    "claimed": "belongs to a condition that became a claim",
    "not-covered": "belongs to a condition that is not covered",
    "no-diagnosis": "names no diagnosis, and its visit has none",
    "unknown-diagnosis": "names a diagnosis that is not in the input",
    "bill-not-active": "cancelled, a draft, or entered in error",
    "not-a-bill": "a preauthorisation or an estimate",
    "no-amount": "no amount in a currency, or a finer one than hundredths",
    # any
    "duplicate": "this resource is in the input more than once",
    "unreadable": "cannot be read",
}
