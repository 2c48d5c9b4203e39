"""Examples of requests and answers, for the documents. A test converts each to the type it stands for."""

from __future__ import annotations

from typing import Any, Final

HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KEY: Final = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
RAW_TRANSACTION: Final = "96c420" + HASH
TIME: Final = {"time_ms": 1_764_000_000_207, "time": "2025-11-24T16:00:00.207Z"}
AS_OF: Final = {"height": 1204, "digest": HASH, **TIME}


def answer(data: object, **more: object) -> dict[str, Any]:
    return {"as_of": AS_OF, "data": data, **more}


def page(*data: object) -> dict[str, Any]:
    return {"as_of": AS_OF, "data": list(data)}


RECEIPT: Final = {
    "transaction": HASH,
    "code": 0,
    "result": "ok",
    "description": "Done.",
    "detail": "",
    "events": [
        {
            "what": "claim-filed",
            "plan": "critical-illness",
            "claim": "C-000045",
            "organisation": "meadow",
            "amount": "300000.00",
            "currency": "CNY",
        }
    ],
}
CLOCK_RECEIPT: Final = {**RECEIPT, "transaction": None, "events": []}
FILE_CLAIM: Final = {
    "action": "file-claim",
    "plan": "critical-illness",
    "member": 123,
    "ailment": "S01",
    "diagnosis_day": 20410,
    "accident": False,
    "evidence": HASH,
    "amount": 0,
}
TRANSACTION: Final = {
    "id": HASH,
    "sender": KEY,
    "sequence": 17,
    "valid_until_ms": 1_764_003_600_000,
    "actions": [FILE_CLAIM],
    "signature": HASH * 2,
}
OUTCOME: Final = {
    "id": HASH,
    "status": "committed",
    "code": "",
    "result": "ok",
    "detail": "",
    "height": 1204,
    "index": 3,
    "receipt": RECEIPT,
}
FATE: Final = {**OUTCOME, "transaction": TRANSACTION}
PROOF: Final = {"format": "weal/proof/2", "bundle": "94ac7765616c2f70726f6f662f32" + HASH}
HEADER: Final = {
    "genesis": HASH,
    "epoch": 0,
    "height": 1204,
    **TIME,
    "parent": HASH,
    "transaction_count": 2,
    "transactions_root": HASH,
    "receipts_root": HASH,
    "state_root": HASH,
    "members": HASH,
}
CERTIFICATE: Final = {"view": 0, "height": 1204, "digest": HASH, "signatures": [[0, HASH * 2], [1, HASH * 2]]}
BLOCK: Final = {
    "digest": HASH,
    "header": HEADER,
    "certificate": CERTIFICATE,
    "transactions": [HASH],
    "receipts": [CLOCK_RECEIPT, RECEIPT],
}
BLOCK_SUMMARY: Final = {
    "height": 1204,
    "digest": HASH,
    **TIME,
    "view": 0,
    "transactions": 1,
    "rejected": 0,
    "state_root": HASH,
    "signers": [0, 1, 2],
}
EVENT: Final = (
    'id: 1204.2\nevent: claim-filed\ndata: {"cursor":"1204.2","type":"claim-filed","height":1204,'
    '"time_ms":1764000000207,"time":"2025-11-24T16:00:00.207Z","data":{"claim":"C-000045"}}\n\n'
)

CLAIM: Final = {
    "id": "C-000045",
    "plan": "critical-illness",
    "plan_version": 1,
    "member": "M-000123",
    "status": "investigated",
    "ailment": {"code": "S01", "name": "Malignant tumour, severe", "tier": "severe"},
    "diagnosis_date": "2025-11-18",
    "accident": False,
    "currency": "CNY",
    "claimed": "300000.00",
    "amount": None,
    "payable": None,
    "deducted": None,
    "evidence": HASH,
    "filed_ms": 1_763_900_000_000,
    "filed_by": "harbour",
    "changed_ms": 1_764_000_000_207,
    "assigned": "ridge",
    "passed_on": 0,
    "deadline_ms": 1_764_864_000_207,
    "investigation": {
        "organisation": "meadow",
        "finding": "pass",
        "report": HASH,
        "clause": None,
        "reason": None,
    },
    "review": None,
    "denial": None,
    "cycle": None,
    "payment": None,
    "previous_claim": None,
    "intake": {"organisation": "harbour", "missing": []},
    "extension": None,
    "duplicate": None,
    "conflicted": [],
    "reviews": [
        {
            "organisation": "meadow",
            "decision": "accept",
            "amount": "300000.00",
            "clause": None,
            "evidence": None,
            "reason": None,
        }
    ],
    "objection": None,
    "stay": None,
    "refusal": None,
    "reopened": 0,
    "clawback": None,
    "next": [
        {"step": "clawback opened and answered", "actions": ["open-clawback", "answer-clawback"], "who": ["reviewer"]}
    ],
    "if_late": [],
}
CLAIM_RESPONSE: Final = {
    "resourceType": "ClaimResponse",
    "id": "C-000045",
    "status": "active",
    "outcome": "partial",
    "use": "claim",
    "patient": {
        "type": "Patient",
        "identifier": {"system": f"https://commonweal.example/fhir/chain/{HASH}/members", "value": "M-000123"},
    },
}
"""Shortened."""
MEMBER: Final = {
    "id": "M-000123",
    "plan": "critical-illness",
    "status": "active",
    "enrolled_by": "harbour",
    "person": HASH,
    "birth_month": "1984-05",
    "age_years": 41,
    "enrolled_on": "2025-08-01",
    "cover_from": "2025-10-30",
    "cover_until": None,
    "pays_through": None,
    "key": None,
    "open_claims": 1,
    "paid_claims": 0,
    "last_claim": "C-000045",
    "currency": "CNY",
    "units": 1,
    "billed": "0.06",
    "balance": None,
    "dependants": 0,
    "moved_to": None,
    "came_from": None,
    "application": "A-000007",
}
APPLICATION: Final = {
    "id": "A-000007",
    "plan": "critical-illness",
    "status": "refused",
    "recorded_by": "harbour",
    "person": HASH,
    "birth_month": "1984-05",
    "declaration": HASH,
    "pays_through": None,
    "pays_through_application": None,
    "units": 1,
    "applied_ms": 1_754_006_400_000,
    "changed_ms": 1_754_092_800_000,
    "deadline_ms": None,
    "member": None,
    "refusal": {
        "clause": "2.1",
        "clause_title": "Who may join, and what must be declared",
        "reason": "health-condition",
    },
}
CYCLE: Final = {
    "plan": "critical-illness",
    "cycle": 1,
    "status": "settled",
    "plan_version": 1,
    "disclosure_ms": 1_762_444_800_000,
    "disclosure_date": "2025-11-07",
    "settlement_ms": 1_763_049_600_000,
    "members": 23_000_000,
    "members_of": {"harbour": 12_000_000, "meadow": 11_000_000},
    "currency": "CNY",
    "cases": 2,
    "granted": "600000.00",
    "payouts": "600000.00",
    "fee": "48000.00",
    "surplus_before": "0.00",
    "surplus_after": "42000.00",
    "share": "0.03",
    "collected": "690000.00",
    "sponsored": "0.00",
}
STATEMENT: Final = {
    "member": "M-000123",
    "plan": "critical-illness",
    "pays_through": None,
    "currency": "CNY",
    "units": 1,
    "total": "0.03",
    "dependants": [],
    "family_total": "0.03",
    "balance": None,
    "refund": None,
    "items": [{**CYCLE, "charged": "0.03", "running_total": "0.03"}],
    "next": None,
}
STATUSES: Final = {
    "filed": 0,
    "investigated": 1,
    "accepted": 0,
    "published": 0,
    "confirmed": 0,
    "settled": 0,
    "paid": 2,
    "denied": 0,
    "intake": 0,
    "returned": 0,
    "objected": 0,
    "stayed": 0,
    "payment-stayed": 0,
    "lapsed": 0,
    "withdrawn": 0,
    "closed-denied": 0,
    "dup-hold": 0,
    "clawback-open": 0,
    "clawback-upheld": 0,
    "recovered": 0,
    "written-off": 0,
    "jury-open": 0,
    "jury-voting": 1,
    "jury-reveal": 0,
    "jury-drawing": 0,
    "panel-commit": 0,
    "panel-reveal": 0,
    "jury-failed": 0,
    "clawback-stayed": 0,
}
TOTALS: Final = {
    "members_enrolled": 23_000_000,
    "members_sharing": 23_000_000,
    "members_sharing_of": {"harbour": 12_000_000, "meadow": 11_000_000},
    "applications_by_status": {"applied": 2, "accepted": 1, "refused": 1, "withdrawn": 0, "lapsed": 0},
    "claims": 3,
    "claims_by_status": STATUSES,
    "open_cycle": 2,
    "next_disclosure_ms": 1_763_654_400_000,
    "next_settlement_ms": 1_764_259_200_000,
    "currency": "CNY",
    "shared": "690000.00",
    "settled": "600000.00",
    "fees": "48000.00",
    "surplus": "42000.00",
    "payable": "0.00",
    "paid": "600000.00",
    "confirmed": "0.00",
    "share_since_start": "0.03",
    "sponsored": "0.00",
    "sponsor_receipts": "0.00",
    "receipts": "690000.00",
    "receivable_of": {"harbour": "0.00", "meadow": "0.00"},
    "recovered": "0.00",
    "to_recover": "0.00",
    "written_off": "0.00",
    "cash": "90000.00",
}
TERMS: Final = {
    "code": "critical-illness",
    "version": 1,
    "name": "Critical illness",
    "effective_day": 0,
    "currency": "CNY",
    "minor_digits": 2,
    "benefit": "fixed",
    "utc_offset_minutes": 480,
    "waiting_days": 90,
    "waiting_members_share": False,
    "entry_age_min_months": 1,
    "entry_age_max_years": 59,
    "cover_until_age_years": 60,
    "report_window_days": 180,
    "open_claims_max": 1,
    "exit_after_payout": True,
    "fee_bps": 800,
    "calendar": {"disclosure_days_of_month": [7, 21], "settlement_days_of_month": [14, 28]},
    "deadlines": {"investigation_hours": 720, "review_hours": 240, "disclosure_hours": 72, "payment_hours": 72},
    "objections_max": 2,
    "claim_rules": {
        "jury_request_days": 30,
        "reviewers": 1,
        "hold_hours": 240,
        "clawback_window_days": 730,
        "clawback_days": 60,
        "hearing_days": 14,
        "recovery_days": 730,
        "reopenings_max": 1,
    },
    "costs": {"case_cap_minor_units": 10, "year_cap_minor_units": 18800, "sponsor": "harbour"},
    "jury": {"mode": "open", "quorum": 1_000, "pass_bps": 5_000, "vote_hours": 24, "panel_sizes": [7, 15, 31]},
    "age_bands": [{"from_age_years": 0, "to_age_years": 39, "severe_minor_units": 30_000_000}],
    "clauses": [{"number": "4.1", "title": "What is covered"}],
    "ailments": [{"code": "S01", "name": "Malignant tumour, severe", "tier": "severe"}],
    "evidence": {"hold_after_payment_days": 730, "hold_after_denial_days": 365},
    "life": {"notice_days": 14, "voting_days": 14, "min_units": 0, "run_off_days": 180},
}
LIFECYCLE: Final = {
    "status": "open",
    "since_ms": 1_754_000_000_000,
    "until_ms": None,
    "order": None,
    "end_announced_ms": None,
    "cover_until": None,
    "claims_until_ms": None,
    "sponsor": None,
    "refunded": "0.00",
}
PLAN: Final = {**TERMS, "number": 0, "versions": [1], "totals": TOTALS, "lifecycle": LIFECYCLE}
PROPOSAL: Final = {
    "id": "P-000003",
    "kind": "terms",
    "status": "voting",
    "plan": "critical-illness",
    "version": 2,
    "proposed_by": "harbour",
    "ends_ms": 1_765_000_000_000,
    "yes": ["harbour"],
    "no": [],
    "votes_needed": 3,
    "sponsors": [],
    "sponsors_agreed": [],
    "date": None,
}
CELL: Final = {"count": "12", "claimed": "3600000.00", "granted": "2700000.00"}
REPORT: Final = {
    "plan": "critical-illness",
    "from": "2025-01-01",
    "to": "2025-11-24",
    "currency": "CNY",
    "small_cell": 5,
    "total": CELL,
    "by_status": {"paid": CELL, "denied": {"count": "<5", "claimed": None, "granted": None}},
    "by_tier": {"severe": CELL},
    "by_age_band": {"0-39": CELL},
    "by_decision_time": {"up to 30 days": CELL},
    "missed_deadlines": {"harbour": {"investigations_missed": 1}},
}
ORGANISATION: Final = {
    "number": 0,
    "name": "harbour",
    "node_key": KEY,
    "account_keys": [KEY],
    "roles": ["enroller", "intake", "reviewer"],
    "investigations_missed": 0,
    "reviews_missed": 0,
    "payments_missed": 0,
    "intakes_missed": 0,
    "objections_missed": 0,
    "erasures_missed": 0,
    "holds_missed": 0,
    "ties": [],
    "draws_missed": 0,
}
PROGRAMME: Final = {
    "chain": "commonweal-demo",
    "members_enrolled": 23_000_000,
    "claims": 3,
    "claims_by_status": STATUSES,
    "plans": [{"plan": "critical-illness", **TOTALS}],
}
SENDER: Final = {
    "key": KEY,
    "organisation": "harbour",
    "member": None,
    "highest_sequence": 17,
    "next_sequence": 18,
}
EVIDENCE: Final = {"digest": HASH, "organisation": "ridge", "height": 1100, "evidence": "92c420" + HASH}
