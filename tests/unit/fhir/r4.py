"""The published structure of FHIR R4, as a check for tests.

`fhirkit` is generated from the official 4.0.1 definitions: it knows every element, its cardinality and its type.
It does not look at value sets, so the required ones of the two resources are here, with the pattern of an id and
the kinds that a reference may point to, as the definitions state them.
Source: https://hl7.org/fhir/R4/claimresponse.html and explanationofbenefit.html, "Detailed Descriptions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import fhirkit

REQUIRED_CODES: Final = {
    # element path without indices -> value set
    "status": ("active", "cancelled", "draft", "entered-in-error"),
    "use": ("claim", "preauthorization", "predetermination"),
    "outcome": ("queued", "complete", "error", "partial"),
    "processNote.type": ("display", "print", "printoper"),
}
REFERENCES: Final = {
    "patient": ("Patient",),
    "insurer": ("Organization",),
    "requestor": ("Practitioner", "PractitionerRole", "Organization"),
    "provider": ("Practitioner", "PractitionerRole", "Organization"),
    "request": ("Claim",),
    "claim": ("Claim",),
    "claimResponse": ("ClaimResponse",),
    "insurance.coverage": ("Coverage",),
    "related.claim": ("Claim",),
}


def problems(text: bytes, document: Any) -> list[str]:
    """What the published structure has against a resource; nothing if it is valid."""
    assert fhirkit.FHIR_VERSION == "4.0.1"
    found = [str(issue) for issue in fhirkit.validate(text)]
    if not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", document["id"]):
        found.append(f"id: {document['id']}")
    for path, value in elements(document):
        if path in REQUIRED_CODES and value not in REQUIRED_CODES[path]:
            found.append(f"{path}: {value!r} is not in its value set")
        if path in REFERENCES and isinstance(value, dict):
            kind = value.get("type") or value.get("reference", "").split("/")[0]
            # A URN and a mere display name do not say what they refer to, and R4 does not ask them to.
            is_open = "extension" in value or "display" in value or kind.startswith("urn:")
            if kind not in REFERENCES[path] and not is_open:
                found.append(f"{path}: may not refer to {kind!r}")
        if path.endswith("currency") and not re.fullmatch("[A-Z]{3}", value):
            found.append(f"{path}: {value!r} is no ISO 4217 code")
    return found


def elements(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every element with its path, indices left out."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            for item in inner if isinstance(inner, list) else [inner]:
                yield from elements(item, f"{path}.{name}".lstrip("."))
