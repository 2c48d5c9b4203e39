"""Makes the sample of FHIR R4 patients that the project ships, `node/data/sample-fhir.ndjson`.

The shape is the one Synthea writes: one Bundle per line with a Patient, Conditions and Claims, and in a few a
Coverage, that refer to each other by urn:uuid. The content is invented here from a seed, and the same seed gives
the same bytes on every Python version: the draws come from SHA-256 in counter mode and not from `random`.

Besides people with listed and unlisted conditions the sample holds one of each kind of trouble that an
import meets: a birth year without a day, the same person under two ids, a repeated resource, a refuted
diagnosis, a past event, a carcinoma in situ, a diagnosis that is not in the file, a cancelled bill; two
families, two people covered under each other's names, a subscriber who is not in the file, and covers that
are cancelled, over, or have not begun.

    python -m node.fhir.generate > node/data/sample-fhir.ndjson
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")
Json = dict[str, Any]

SEED: Final = 1
PATIENTS: Final = 72
_EPOCH: Final = date(2019, 11, 27)
"""No record has an entry later than a year after this day."""


class Disease(NamedTuple):
    snomed: str
    name: str
    icd10: str


LISTED: Final = (
    Disease("254837009", "Malignant neoplasm of breast (disorder)", "C50.9"),
    Disease("22298006", "Myocardial Infarction", "I21.9"),
    Disease("363406005", "Malignant tumor of colon", "C18.9"),
    Disease("84757009", "Epilepsy", "G40.9"),
    Disease("254637007", "Non-small cell lung cancer (disorder)", "C34.9"),
    Disease("24700007", "Multiple sclerosis (disorder)", "G35"),
    Disease("69896004", "Rheumatoid arthritis", "M06.9"),
    Disease("363478007", "Malignant tumor of thyroid gland (disorder)", "C73"),
    Disease("49049000", "Parkinson's disease (disorder)", "G20"),
    Disease("34000006", "Crohn's disease (disorder)", "K50.9"),
    Disease("46177005", "End-stage renal disease (disorder)", "N18.5"),
    Disease("230690007", "Stroke", "I64"),
    Disease("91861009", "Acute myeloid leukemia (disorder)", "C92.0"),
    Disease("26929004", "Alzheimer's disease (disorder)", "G30.9"),
)
UNLISTED: Final = (
    Disease("444814009", "Viral sinusitis (disorder)", "J01.9"),
    Disease("10509002", "Acute bronchitis (disorder)", "J20.9"),
    Disease("195662009", "Acute viral pharyngitis (disorder)", "J02.9"),
    Disease("15777000", "Prediabetes", "R73.0"),
    Disease("38341003", "Hypertension", "I10"),
    Disease("271737000", "Anemia (disorder)", "D64.9"),
    Disease("44465007", "Sprain of ankle", "S93.4"),
    Disease("65363002", "Otitis media", "H66.9"),
    Disease("64859006", "Osteoporosis (disorder)", "M81.9"),
)
EXCLUDED: Final = (
    Disease("92691004", "Carcinoma in situ of prostate (disorder)", "D07.5"),
    Disease("399211009", "History of myocardial infarction (situation)", "I25.2"),
    Disease("431855005", "Chronic kidney disease stage 1 (disorder)", "N18.1"),
    Disease("62106007", "Concussion with no loss of consciousness", "S06.0"),
    Disease("195967001", "Asthma", "J45.9"),
    Disease("126906006", "Neoplasm of prostate", "D40.0"),
)
_GIVEN: Final = ("Ada", "Bao", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jun", "Kofi", "Lena")
_FAMILY: Final = ("Abel", "Brook", "Castell", "Dorn", "Ekberg", "Fuentes", "Gallo", "Hale", "Ivers", "Jansen")
_CITIES: Final = (("Northfield", "01001"), ("Eastham", "02642"), ("Southwick", "01077"), ("Westford", "01886"))


class Draws:
    """Whole numbers from a seed and a label; each label has a stream of its own."""

    def __init__(self, seed: int, label: str) -> None:
        self._prefix = f"weal-sample/{seed}/{label}/".encode()
        self._count = 0

    def below(self, bound: int) -> int:
        """0 <= number < bound. The bias of a 64-bit remainder does not matter for a sample."""
        self._count += 1
        return int.from_bytes(sha256(self._prefix + str(self._count).encode()).digest()[:8], "big") % bound

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def uuid(self) -> str:
        """In the form of a version 4 UUID."""
        digits = f"{self.below(1 << 32):08x}{self.below(1 << 48):012x}{self.below(1 << 48):012x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


class Person:
    """One record in the making."""

    def __init__(self, seed: int, number: int) -> None:
        self.draws = Draws(seed, f"patient {number}")
        # A stream of its own, so that families came into the sample without changing anything that was there.
        self._coverage_draws = Draws(seed, f"coverage {number}")
        self.number = number
        self.id = self.draws.uuid()
        self.born = date(1962, 1, 1) + timedelta(days=self.draws.below(365 * 38))
        self.number_text = f"999-{10 + number % 80}-{1000 + 37 * number % 9000}"
        self.entries: list[Json] = []
        self._add(self._patient())

    def _add(self, resource: Json) -> None:
        tag = {"system": "https://commonweal.example/tags", "code": "weal-sample-1"}
        self.entries.append({"fullUrl": f"urn:uuid:{resource['id']}", "resource": {**resource, "meta": {"tag": [tag]}}})

    def _patient(self) -> Json:
        city, code = self.draws.pick(_CITIES)
        record = self.draws.uuid()
        phone = f"555-01{self.number % 100:02d}"
        return {
            "resourceType": "Patient",
            "id": self.id,
            "identifier": [
                {"system": "https://commonweal.example/sample", "value": record},
                _identifier("MR", "Medical Record Number", "http://hospital.commonweal.example", record),
                _identifier("SS", "Social Security Number", "http://hl7.org/fhir/sid/us-ssn", self.number_text),
            ],
            "name": [{"use": "official", "family": self.draws.pick(_FAMILY), "given": [self.draws.pick(_GIVEN)]}],
            "telecom": [{"system": "phone", "value": phone, "use": "home"}],
            "gender": self.draws.pick(("male", "female")),
            "birthDate": self.born.isoformat(),
            "address": [{"city": city, "state": "Massachusetts", "postalCode": code, "country": "US"}],
            "multipleBirthBoolean": False,
        }

    @property
    def patient(self) -> Json:
        resource: Json = self.entries[0]["resource"]
        return resource

    def ill(self, disease: Disease, day: date, *, status: str = "confirmed", bills: int = 1) -> str:
        """Add a condition and its bills; the condition's id."""
        id, visit = self.draws.uuid(), self.draws.uuid()
        moment = _moment(day, self.draws.below(86_400))
        system = "http://terminology.hl7.org/CodeSystem/condition-"
        self._add(
            {
                "resourceType": "Condition",
                "id": id,
                "clinicalStatus": {"coding": [{"system": system + "clinical", "code": "active"}]},
                "verificationStatus": {"coding": [{"system": system + "ver-status", "code": status}]},
                "code": {
                    "coding": [
                        {"system": "http://snomed.info/sct", "code": disease.snomed, "display": disease.name},
                        {"system": "http://hl7.org/fhir/sid/icd-10", "code": disease.icd10},
                    ],
                    "text": disease.name,
                },
                "subject": {"reference": f"urn:uuid:{self.id}"},
                "encounter": {"reference": f"urn:uuid:{visit}"},
                "onsetDateTime": moment,
                "recordedDate": moment,
            }
        )
        for number in range(bills):
            self.bill(day + timedelta(days=9 * number), diagnosis=id, visit=visit)
        return id

    def bill(
        self, day: date, *, diagnosis: str = "", visit: str = "", status: str = "active", kind: str = "institutional"
    ) -> None:
        """Add a bill for care."""
        start = _moment(day, self.draws.below(80_000))
        cents = 12_500 if not diagnosis else 12_500 + self.draws.below(90_000) + 100 * self.draws.below(9_000)
        product = {"system": "http://snomed.info/sct", "code": "185349003", "display": "Encounter for check up"}
        claim: Json = {
            "resourceType": "Claim",
            "id": self.draws.uuid(),
            "status": status,
            "type": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": kind}],
            },
            "use": "claim",
            "patient": {"reference": f"urn:uuid:{self.id}"},
            "billablePeriod": {"start": start, "end": start},
            "created": start,
            "provider": {"display": "Sample hospital"},
            "priority": {"coding": [{"code": "normal"}]},
            "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "private"}}],
            "item": [
                {
                    "sequence": 1,
                    "productOrService": {"coding": [product], "text": product["display"]},
                    "encounter": [{"reference": f"urn:uuid:{visit or self.draws.uuid()}"}],
                }
            ],
            "total": {"value": cents / 100 if cents % 100 else cents // 100, "currency": "USD"},
        }
        if diagnosis:
            reference = {"reference": f"urn:uuid:{diagnosis}"}
            claim["diagnosis"] = [{"sequence": 1, "diagnosisReference": reference}]
        self._add(claim)

    def covered(
        self,
        subscriber: str,
        *,
        status: str = "active",
        first: date | None = None,
        last: date | None = None,
    ) -> None:
        """Add a coverage under somebody's name; cover begins with life unless given, and does not end."""
        relationship = "self" if subscriber == self.id else "other"
        system = "http://terminology.hl7.org/CodeSystem/subscriber-relationship"
        period = {"start": (first or self.born).isoformat()} | ({"end": last.isoformat()} if last else {})
        self._add(
            {
                "resourceType": "Coverage",
                "id": self._coverage_draws.uuid(),
                "status": status,
                "subscriber": {"reference": f"urn:uuid:{subscriber}"},
                "beneficiary": {"reference": f"urn:uuid:{self.id}"},
                "relationship": {"coding": [{"system": system, "code": relationship}]},
                "period": period,
                "payor": [{"display": "Sample mutual"}],
            }
        )

    def bundle(self) -> Json:
        return {"resourceType": "Bundle", "type": "collection", "entry": self.entries}


def _identifier(code: str, text: str, system: str, value: str) -> Json:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code, "display": text}
    return {"type": {"coding": [coding], "text": text}, "system": system, "value": value}


def _moment(day: date, second: int) -> str:
    return f"{day.isoformat()}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}+00:00"


def _life(person: Person) -> None:
    """What happens to most people: a few visits, and for one in three a listed condition."""
    draws = person.draws
    for _ in range(1 + draws.below(2)):
        day = min(person.born + timedelta(days=365 + draws.below(365 * 35)), _EPOCH)
        person.ill(draws.pick(UNLISTED), day)
    person.bill(_EPOCH - timedelta(days=draws.below(700)), kind=draws.pick(("institutional", "pharmacy")))
    if person.number % 3 == 0:
        disease = LISTED[person.number // 3 % len(LISTED)]
        first = max(person.born + timedelta(days=365 * 19), date(2010, 1, 1))
        latest = min(person.born + timedelta(days=365 * 58), _EPOCH)
        day = first + timedelta(days=draws.below(max(1, (latest - first).days)))
        person.ill(disease, day, bills=2 + draws.below(2))
    if person.number % 12 == 7:
        person.ill(EXCLUDED[person.number // 12 % len(EXCLUDED)], _EPOCH - timedelta(days=draws.below(900)))


def _trouble(person: Person) -> None:
    """The cases that an import must report and not trip over; each lies with one person of the sample."""
    day = _EPOCH - timedelta(days=40 + person.draws.below(300))
    match person.number:
        case 5:
            person.patient["birthDate"] = str(person.born.year)
        case 10:
            person.ill(LISTED[0], day, status="refuted")
        case 15:
            person.ill(LISTED[5], day + timedelta(days=365), bills=1)
        case 20:
            person.entries.append(person.entries[1])
        case 25:
            person.bill(day, status="cancelled")
        case 35:
            person.patient["birthDate"] = "1944-05-17"
            person.ill(LISTED[13], day)
        case 40:
            person.bill(day, diagnosis="00000000-0000-4000-a000-000000000000")
        case 50:
            person.patient["identifier"] = Person(SEED, 49).patient["identifier"]
        case 55:
            person.patient["deceasedDateTime"] = _moment(_EPOCH, 0)


def _family(person: Person, seed: int) -> None:
    """Who is covered under whose name: two families, and each kind of trouble that coverages make."""

    def id_of(number: int) -> str:
        return Person(seed, number).id

    match person.number:
        case 1 | 2 | 3:
            person.covered(id_of(1))
        case 20 | 21 | 22:  # 22 under the name of 21, 21 under that of 20: the head pays for both
            person.covered(id_of(max(20, person.number - 1)))
        case 11 | 12:  # each under the other's name
            person.covered(id_of(23 - person.number))
        case 14:
            person.covered("00000000-0000-4000-a000-000000000001")
        case 16:
            person.covered(id_of(1), status="cancelled")
        case 17:
            person.covered(id_of(1), last=person.born + timedelta(days=400))
            person.covered(id_of(17))
        case 18:
            person.covered(id_of(18))
            person.covered(id_of(1), first=person.born + timedelta(days=365 * 95))


def bundles(seed: int = SEED, patients: int = PATIENTS) -> Iterator[Json]:
    """One Bundle per patient."""
    for number in range(patients):
        person = Person(seed, number)
        _life(person)
        _trouble(person)
        _family(person, seed)
        yield person.bundle()


def ndjson(seed: int = SEED, patients: int = PATIENTS) -> Iterator[bytes]:
    """One line per Bundle, each with its line end."""
    for bundle in bundles(seed, patients):
        yield json.dumps(bundle, separators=(",", ":")).encode() + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.writelines(ndjson())
