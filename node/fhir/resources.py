"""The fields of Patient, Coverage, Condition and Claim that the import uses; everything else is not even decoded.

A resource of another kind is counted by its kind. One whose fields have the wrong type is unreadable, and
the reason names the field. Source: HL7 FHIR R4 (4.0.1), Patient, Coverage, Condition and Claim.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from node.fhir.split import Piece

MAX_LIST: Final = 1_000
"""Most identifiers, codings, diagnoses or items that are looked at in one resource."""
MAX_TEXT: Final = 512
"""Longest id, code or reference that is taken as one."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z"
)


class Coding(msgspec.Struct):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(msgspec.Struct):
    coding: list[Coding] = []
    text: str | None = None

    def has(self, code: str) -> bool:
        """Whether one of the codings is `code`, in whatever system."""
        return any(coding.code == code for coding in self.coding[:MAX_LIST])


class Reference(msgspec.Struct):
    reference: str | None = None


class Identifier(msgspec.Struct):
    system: str | None = None
    value: str | None = None
    type: Concept | None = None


class Period(msgspec.Struct):
    start: str | None = None
    end: str | None = None


class Patient(msgspec.Struct):
    id: str | None = None
    identifier: list[Identifier] = []
    birthDate: str | None = None
    deceasedDateTime: str | None = None
    deceasedBoolean: bool | None = None


class Condition(msgspec.Struct):
    id: str | None = None
    verificationStatus: Concept | None = None
    code: Concept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    onsetDateTime: str | None = None
    onsetPeriod: Period | None = None
    recordedDate: str | None = None

    @property
    def diagnosed(self) -> str | None:
        """When the condition began, or was recorded if that is not stated as a date."""
        return self.onsetDateTime or (self.onsetPeriod.start if self.onsetPeriod else None) or self.recordedDate


class Money(msgspec.Struct):
    value: Decimal | None = None
    currency: str | None = None


class Diagnosis(msgspec.Struct):
    diagnosisReference: Reference | None = None


class Item(msgspec.Struct):
    encounter: list[Reference] = []


class Claim(msgspec.Struct):
    """A bill for care, not a claim on the plan. Source: FHIR R4 Claim."""

    id: str | None = None
    status: str | None = None
    use: str | None = None
    type: Concept | None = None
    patient: Reference | None = None
    created: str | None = None
    diagnosis: list[Diagnosis] = []
    item: list[Item] = []
    total: Money | None = None


class Coverage(msgspec.Struct):
    """Who is covered under whose name, and from when to when. Source: FHIR R4 Coverage."""

    id: str | None = None
    status: str | None = None
    policyHolder: Reference | None = None
    subscriber: Reference | None = None
    beneficiary: Reference | None = None
    period: Period | None = None
    order: int | None = None
    """Of several coverages of a person, the lowest comes first."""


class Other(msgspec.Struct):
    """A resource that is not imported."""

    kind: str


class Unreadable(msgspec.Struct):
    """A resource that cannot be read."""

    kind: str
    """Its kind if that much could be read, else an empty string."""
    why: str


Resource = Patient | Coverage | Condition | Claim | Other | Unreadable


class _Kind(msgspec.Struct):
    resourceType: str | None = None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"")
    fullUrl: str | None = None


_kind = msgspec.json.Decoder(_Kind)
_entry = msgspec.json.Decoder(_Entry)
_DECODERS: Final[
    dict[
        str,
        msgspec.json.Decoder[Patient]
        | msgspec.json.Decoder[Coverage]
        | msgspec.json.Decoder[Condition]
        | msgspec.json.Decoder[Claim],
    ]
] = {
    "Patient": msgspec.json.Decoder(Patient),
    "Coverage": msgspec.json.Decoder(Coverage),
    "Condition": msgspec.json.Decoder(Condition),
    "Claim": msgspec.json.Decoder(Claim),
}


class Reading(NamedTuple):
    """What a piece holds."""

    resource: Resource
    url: str
    """Full URL under which its Bundle lists it, "" if none."""
    text: bytes
    """The resource's own JSON text."""


def read(piece: Piece) -> Reading:
    """The resource in a piece."""
    if piece.kind == "problem":
        return Reading(Unreadable("", piece.problem), "", b"")
    url, text = "", piece.text
    try:
        if piece.kind == "entry":
            entry = _entry.decode(piece.text)
            url = (entry.fullUrl or "")[:MAX_TEXT]
            if not bytes(entry.resource):
                return Reading(Unreadable("", "a Bundle entry without a resource"), url, b"")
            text = bytes(entry.resource)
        return Reading(_decode(text), url, text)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        return Reading(Unreadable("", str(error)[:200]), url, text)


def _decode(text: bytes) -> Resource:
    kind = _kind.decode(text).resourceType or ""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        # The name of a kind is a word; anything else would only clutter the report.
        return Other(kind) if re.fullmatch(r"[A-Za-z]{1,64}", kind) else Unreadable("", "no resourceType")
    try:
        resource: Patient | Coverage | Condition | Claim = decoder.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        return Unreadable(kind, str(error)[:200])
    if not resource.id or len(resource.id) > MAX_TEXT:
        return Unreadable(kind, "no usable id")
    return resource


def local_id(reference: Reference | None) -> str | None:
    """The id a reference points to: `urn:uuid:X`, `Kind/X`, `http://host/Kind/X/_history/1` and `#X` give X."""
    if reference is None or not reference.reference or len(reference.reference) > MAX_TEXT:
        return None
    text = reference.reference.split("/_history/")[0]
    return text.rsplit("/", 1)[-1].removeprefix("urn:uuid:").removeprefix("urn:oid:").removeprefix("#") or None


def patient_id(reference: Reference | None) -> str | None:
    """The id of a patient that a reference points to; None if it names a record of another kind."""
    found = local_id(reference)
    if found is None or reference is None:
        return None
    before = (reference.reference or "").split("/_history/")[0].split("/")[:-1]
    return found if not before or before[-1] == "Patient" else None


def parse_date(text: str | None) -> date | None:
    """A FHIR date or dateTime as the day it names; None if it is missing, malformed or not precise to the day."""
    time_ms = parse_time(text)
    return None if time_ms is None else (_EPOCH + timedelta(milliseconds=time_ms)).date()


def parse_time(text: str | None) -> int | None:
    """A FHIR date or dateTime in UTC milliseconds; a day is its midnight. None as for `parse_date`."""
    match = _DATE.match(text or "")
    if match is None or match[3] is None:
        return None
    try:
        clock = (int(match[4] or 0), int(match[5] or 0), min(int(match[6] or 0), 59))
        moment = datetime(int(match[1]), int(match[2]), int(match[3]), *clock, tzinfo=UTC)
    except ValueError:
        return None
    days, seconds = divmod(int((moment - _EPOCH) / timedelta(seconds=1)), 86_400)
    time_ms = days * _DAY_MS + seconds * 1_000 + int((match[7] or "0")[:3].ljust(3, "0"))
    if match[8] and match[8] != "Z":
        offset_ms = (int(match[8][1:3]) * 60 + int(match[8][4:6])) * 60_000
        time_ms += -offset_ms if match[8][0] == "+" else offset_ms
    return time_ms


def minor_units(money: Money | None) -> tuple[int, str] | None:
    """An amount in hundredths of its currency; None if it is missing, negative, finer or beyond reason."""
    if money is None or money.value is None or not re.fullmatch(r"[A-Z]{3}", money.currency or ""):
        return None
    value = money.value
    if not value.is_finite() or value < 0 or not -12 <= value.adjusted() <= 12:
        return (0, money.currency or "") if value == 0 and value.is_finite() else None
    cents = value.scaleb(2)
    whole = int(cents)
    return (whole, money.currency or "") if whole == cents else None
