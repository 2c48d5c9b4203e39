"""How each status of a claim reads in FHIR R4: a table, so that a status without an entry is noticed.

A test asks for an entry for every ClaimStatus. Source of the codes: HL7 FHIR R4 (4.0.1), value sets fm-status
and remittance-outcome. `queued`: received, and nobody has judged it yet. `partial`: some of the adjudication is
done. `complete`: adjudication is over, for or against. `error`: it cannot be judged as it was sent, because
papers are missing.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from node.claims.mutual_aid.transitions import ClaimStatus


class Standing(NamedTuple):
    """What a ClaimResponse and an ExplanationOfBenefit say about a claim in one status."""

    outcome: Literal["queued", "partial", "complete", "error"]
    benefit: Literal["undecided", "granted", "none", "refused"]
    """undecided: not stated. granted: the amount of the claim. none: 0. refused: 0, with the grounds."""
    status: Literal["active", "cancelled"] = "active"


STANDING_OF: Final[dict[ClaimStatus, Standing]] = {
    ClaimStatus.FILED: Standing("queued", "undecided"),
    ClaimStatus.INVESTIGATED: Standing("partial", "undecided"),
    ClaimStatus.ACCEPTED: Standing("partial", "granted"),
    ClaimStatus.PUBLISHED: Standing("partial", "granted"),
    ClaimStatus.CONFIRMED: Standing("partial", "granted"),
    # The cost is shared and the decision stands; the payment itself is reported once it is made.
    ClaimStatus.SETTLED: Standing("complete", "granted"),
    ClaimStatus.PAID: Standing("complete", "granted"),
    ClaimStatus.DENIED: Standing("complete", "refused"),
    ClaimStatus.INTAKE: Standing("queued", "undecided"),
    ClaimStatus.RETURNED: Standing("error", "undecided"),
    ClaimStatus.OBJECTED: Standing("partial", "granted"),
    # A stayed claim may have been accepted or not; what the order leaves of it is open.
    ClaimStatus.STAYED: Standing("partial", "undecided"),
    ClaimStatus.PAYMENT_STAYED: Standing("complete", "granted"),
    ClaimStatus.LAPSED: Standing("error", "none"),
    ClaimStatus.WITHDRAWN: Standing("complete", "none", "cancelled"),
    ClaimStatus.CLOSED_DENIED: Standing("complete", "refused"),
    ClaimStatus.DUP_HOLD: Standing("queued", "undecided"),
    ClaimStatus.CLAWBACK_OPEN: Standing("complete", "granted"),
    ClaimStatus.CLAWBACK_UPHELD: Standing("complete", "granted"),
    ClaimStatus.CLAWBACK_STAYED: Standing("complete", "granted"),
    ClaimStatus.RECOVERED: Standing("complete", "none"),
    ClaimStatus.WRITTEN_OFF: Standing("complete", "granted"),
    # The denial stands or falls with the jury.
    ClaimStatus.JURY_OPEN: Standing("partial", "undecided"),
    ClaimStatus.JURY_VOTING: Standing("partial", "undecided"),
    ClaimStatus.JURY_REVEAL: Standing("partial", "undecided"),
    ClaimStatus.JURY_DRAWING: Standing("partial", "undecided"),
    ClaimStatus.PANEL_COMMIT: Standing("partial", "undecided"),
    ClaimStatus.PANEL_REVEAL: Standing("partial", "undecided"),
    ClaimStatus.JURY_FAILED: Standing("partial", "undecided"),
}
"""When a status is added, its row comes here."""
