"""The shipped sample is what the generator makes."""

from __future__ import annotations

import json

from node.demo.run import SAMPLE
from node.fhir.generate import PATIENTS, ndjson
from tests.unit.fhir.r4 import problems


def test_the_shipped_sample_is_reproduced_byte_for_byte() -> None:
    assert b"".join(ndjson()) == SAMPLE.read_bytes(), "run: python -m node.fhir.generate > node/data/sample-fhir.ndjson"


def test_the_sample_has_the_promised_shape() -> None:
    bundles = [json.loads(line) for line in SAMPLE.read_bytes().splitlines()]
    assert len(bundles) == PATIENTS >= 60
    systems = set()
    for bundle in bundles:
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        assert bundle["resourceType"] == "Bundle" and kinds.count("Patient") == 1 and "Claim" in kinds
        for entry in bundle["entry"]:
            assert entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
            if entry["resource"]["resourceType"] == "Condition":
                systems |= {coding["system"] for coding in entry["resource"]["code"]["coding"]}
    assert systems == {"http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"}


def test_every_resource_of_the_sample_is_valid_r4() -> None:
    for line in SAMPLE.read_bytes().splitlines():
        for entry in json.loads(line)["entry"]:
            text = json.dumps(entry["resource"]).encode()
            assert problems(text, entry["resource"]) == [], entry["resource"]["id"]


def test_another_seed_makes_other_people() -> None:
    assert b"".join(ndjson(seed=2, patients=3)) != b"".join(ndjson(seed=1, patients=3))
