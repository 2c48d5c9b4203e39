"""HL7 FHIR R4 out: a claim of the ledger as a ClaimResponse or an ExplanationOfBenefit.

Nothing personal is in either. Members, claims and organisations are logical references (identifier, no URL): the
value is the ledger's own id, and the system names the chain by its genesis digest, so that records of two chains
never collide in one FHIR server. Everything else is a code: benefit class, ailment, clause, reason, finding and
note are codes of the plan or of this project; there is no free text to put a name into. Grounds of a refusal are
adjudication entries of their own, because clause, evidence item and reason are three things and not three codes
for one. Amounts are decimals with their currency, exact to the last digit of the plan.

What is made depends on nothing but the records passed in, so every node gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, get_args

import msgspec

from node.claims.mutual_aid.transitions import ClaimStatus
from node.fhir.outcomes import STANDING_OF, Standing

Json = dict[str, Any]
ResourceKind = Literal["ClaimResponse", "ExplanationOfBenefit"]

RESOURCE_KINDS: Final[tuple[ResourceKind, ...]] = get_args(ResourceKind)
FHIR_JSON: Final = "application/fhir+json"
BASE: Final = "https://commonweal.example/fhir"
"""Root of the URIs that this project defines. `.example` never resolves: these are names, not addresses."""
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


fhir_json: Final = msgspec.json.Encoder(decimal_format="number").encode


def fhir_bytes(kind: ResourceKind, claim: Json, plan: Json, chain: str) -> bytes:
    """The resource as FHIR JSON. Amounts are numbers with as many digits as the plan has, such as 300000.00."""
    return fhir_json(fhir_resource(kind, claim, plan, chain))


def fhir_resource(kind: ResourceKind, claim: Json, plan: Json, chain: str) -> Json:
    """`claim` and `plan` as `node.claims.views` makes them; `chain` is the genesis digest, hex."""
    composer = _Composer(claim, plan, chain)
    return composer.claim_response() if kind == "ClaimResponse" else composer.explanation_of_benefit()


class _Composer:
    """The parts that both resources share. Order of the elements is that of the published structure."""

    def __init__(self, claim: Json, plan: Json, chain: str) -> None:
        self._claim, self._plan = claim, plan
        self._chain = f"{BASE}/chain/{chain}"
        self._standing: Standing = STANDING_OF[ClaimStatus[claim["status"].upper().replace("-", "_")]]
        self._changed = _instant(claim["changed_ms"])

    def claim_response(self) -> Json:
        claim = self._claim
        filer = {} if claim["filed_by"] == "member" else {"requestor": self._organisation(claim["filed_by"])}
        return self._head("ClaimResponse") | {
            "created": self._changed,
            "insurer": self._insurer(),
            **filer,
            "request": self._reference("Claim", "claims", claim["id"]),
            "outcome": self._standing.outcome,
            "disposition": claim["status"],
            "adjudication": list(self._adjudication()),
            "total": list(self._totals()),
            **self._payment(),
            "processNote": self._notes(),
            "insurance": [{"sequence": 1, **self._insurance()}],
            **self._errors(),
        }

    def explanation_of_benefit(self) -> Json:
        claim = self._claim
        # Who gave care is in the papers and not on the chain; the element is mandatory, so its absence is stated.
        unknown = {"extension": [{"url": _ABSENT, "valueCode": "not-applicable"}]}
        provider = unknown if claim["filed_by"] == "member" else self._organisation(claim["filed_by"])
        return self._head("ExplanationOfBenefit") | {
            "created": self._changed,
            "insurer": self._insurer(),
            "provider": provider,
            **self._related(),
            "claim": self._reference("Claim", "claims", claim["id"]),
            "claimResponse": {"reference": f"ClaimResponse/{claim['id']}"},
            "outcome": self._standing.outcome,
            "disposition": claim["status"],
            "supportingInfo": [
                {
                    "sequence": 1,
                    "category": _concept(f"{_TERMINOLOGY}/claiminformationcategory", "onset"),
                    "timingDate": claim["diagnosis_date"],
                }
            ],
            "diagnosis": [
                {"sequence": 1, "diagnosisCodeableConcept": self._of_plan("ailments", claim["ailment"]["code"])}
            ],
            "insurance": [self._insurance()],
            **({"accident": {"date": claim["diagnosis_date"]}} if claim["accident"] else {}),
            "adjudication": list(self._adjudication()),
            "total": list(self._totals()),
            **self._payment(),
            "processNote": self._notes(),
        }

    def _head(self, kind: ResourceKind) -> Json:
        claim = self._claim
        pseudonymous = {"system": f"{_TERMINOLOGY}/v3-ObservationValue", "code": "PSEUDED"}
        return {
            "resourceType": kind,
            "id": claim["id"],
            "meta": {
                "lastUpdated": self._changed,
                "source": self._chain,
                "security": [pseudonymous],
                "tag": [{"system": f"{BASE}/CodeSystem/claim-status", "code": claim["status"]}],
            },
            "identifier": [{"system": f"{self._chain}/{_SETS[kind]}", "value": claim["id"]}],
            "status": self._standing.status,
            "type": _project("benefit", self._plan["benefit"]),
            "subType": _project("tier", claim["ailment"]["tier"]),
            "use": "claim",
            "patient": self._reference("Patient", "members", claim["member"]),
        }

    # --- who

    def _reference(self, kind: str, system: str, value: str) -> Json:
        return {"type": kind, "identifier": {"system": f"{self._chain}/{system}", "value": value}}

    def _organisation(self, name: str) -> Json:
        return self._reference("Organization", "organisations", name)

    def _insurer(self) -> Json:
        """Those who pay: the members of the plan."""
        return self._reference("Organization", "plans", self._claim["plan"])

    def _insurance(self) -> Json:
        """Membership of the plan is the cover; it has the member's own number."""
        return {"focal": True, "coverage": self._reference("Coverage", "members", self._claim["member"])}

    def _related(self) -> Json:
        previous = self._claim["previous_claim"]
        if not previous:
            return {}
        prior = _concept(f"{_TERMINOLOGY}/ex-relatedclaimrelationship", "prior")
        return {"related": [{"claim": self._reference("Claim", "claims", previous), "relationship": prior}]}

    # --- what was decided

    def _of_plan(self, table: str, code: str) -> Json:
        """A code of a table of the version of the plan by which the claim is judged."""
        claim = self._claim
        return _concept(f"{self._chain}/plans/{claim['plan']}/versions/{claim['plan_version']}/{table}", code)

    def _money(self, amount: str) -> Json:
        return {"value": Decimal(amount), "currency": self._claim["currency"]}

    def _benefit(self) -> str | None:
        """Granted so far; None while nobody has decided."""
        match self._standing.benefit:
            case "undecided":
                return None
            case "granted":
                amount: str | None = self._claim["amount"]
                return amount
            case _:
                return str(Decimal(self._claim["claimed"]) * 0)

    def _totals(self) -> Iterator[Json]:
        yield {"category": _adjudication("submitted"), "amount": self._money(self._claim["claimed"])}
        benefit = self._benefit()
        if benefit is not None:
            yield {"category": _adjudication("benefit"), "amount": self._money(benefit)}

    def _adjudication(self) -> Iterator[Json]:
        claim = self._claim
        yield {"category": _adjudication("submitted"), "amount": self._money(claim["claimed"])}
        investigation, denial = claim["investigation"] or {}, claim["denial"] or {}
        if investigation:
            yield {
                "category": _project("adjudication", "finding"),
                "reason": _project("finding", investigation["finding"]),
            }
            yield from self._grounds("finding", investigation, "report")
        benefit = self._benefit()
        if benefit is not None:
            reason = {"reason": _project("reason", denial["reason"])} if denial else {}
            yield {"category": _adjudication("benefit"), **reason, "amount": self._money(benefit)}
        if self._standing.benefit == "refused":
            yield from self._grounds("denial", denial, "evidence")

    def _grounds(self, step: str, record: Json, paper: str) -> Iterator[Json]:
        """Reason, clause and paper of a finding or a denial, each as an entry of its own if it is there."""
        if step == "finding" and record.get("reason"):
            yield {
                "category": _project("adjudication", "finding-reason"),
                "reason": _project("reason", record["reason"]),
            }
        if record.get("clause"):
            clause = self._of_plan("clauses", record["clause"])
            yield {"category": _project("adjudication", f"{step}-clause"), "reason": clause}
        if record.get(paper):
            item = _project("evidence-commitment", record[paper])
            yield {"category": _project("adjudication", f"{step}-{paper}"), "reason": item}

    def _payment(self) -> Json:
        claim = self._claim
        payment, amount = claim["payment"], claim["amount"]
        if not payment or not payment["receipt"] or amount is None:
            return {}
        # Later steps of a claim that was paid change `changed_ms`: only while it is paid is it the day of payment.
        paid_on = {"date": self._changed[:10]} if claim["status"] == "paid" else {}
        return {
            "payment": {
                "type": _concept(f"{_TERMINOLOGY}/ex-paymenttype", "complete"),
                **self._adjustment(amount),
                **paid_on,
                "amount": self._money(claim["payable"] or amount),
                "identifier": {"system": f"{BASE}/receipt-commitment", "value": payment["receipt"]},
            }
        }

    def _adjustment(self, amount: str) -> Json:
        """Why less is paid than was granted: caps left a shortfall that nobody bears, or the claimant owed shares."""
        payable, deducted = self._claim["payable"], Decimal(self._claim["deducted"] or 0)
        if payable is None or payable == amount:
            return {}
        less = Decimal(amount) - Decimal(payable)
        system = f"{BASE}/CodeSystem/payment-adjustment"
        reasons = ("shortfall",) * (less != deducted) + ("arrears",) * bool(deducted)
        return {
            "adjustment": self._money(str(-less)),
            "adjustmentReason": {"coding": [{"system": system, "code": code} for code in reasons]},
        }

    def _errors(self) -> Json:
        """Why a claim cannot be judged as it was sent."""
        if self._standing.outcome != "error":
            return {}
        return {"error": [{"code": _project("error", "papers-missing")}]}

    def _notes(self) -> list[Json]:
        """Codes, one a note: R4 gives notes no coded element, so the text is the code and nothing else."""
        claim = self._claim
        codes = [f"claim-{claim['status']}"]
        codes += ["accident"] if claim["accident"] else []
        codes += ["passed-on"] * bool(claim["passed_on"])
        codes += [f"denied-{claim['denial']['reason']}"] if claim["denial"] else []
        return [{"number": number, "type": "display", "text": code} for number, code in enumerate(codes, 1)]


_SETS: Final[dict[ResourceKind, str]] = {
    "ClaimResponse": "claim-responses",
    "ExplanationOfBenefit": "explanations-of-benefit",
}


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _project(code_system: str, code: str) -> Json:
    """A code of one of this project's own lists; docs/fhir.md has them."""
    return _concept(f"{BASE}/CodeSystem/{code_system}", code)


def _adjudication(code: str) -> Json:
    return _concept(f"{_TERMINOLOGY}/adjudication", code)


def _instant(time_ms: int) -> str:
    """UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
