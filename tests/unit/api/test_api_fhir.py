"""A claim over HTTP as FHIR: media type, headers, what is refused, and that the client keeps every digit."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from click.testing import CliRunner

from node.api import examples as ex
from node.cli.app import weal
from node.client import Client, NotFound
from node.fhir.export import FHIR_JSON, RESOURCE_KINDS
from tests.unit.api.fake import serving
from tests.unit.fhir.r4 import problems


@pytest.mark.parametrize("kind", RESOURCE_KINDS)
async def test_the_answer_is_a_bare_valid_resource_with_its_origin_in_the_headers(kind: str) -> None:
    async with serving() as served, served.http.get(f"{served.client}/v1/claims/C-000045/fhir/{kind}") as answer:
        text = await answer.read()
        assert answer.status == 200 and answer.content_type == FHIR_JSON
        assert answer.headers["Weal-Height"] == "0" and answer.headers["ETag"]
    document = json.loads(text)
    assert document["resourceType"] == kind and problems(text, document) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("C-000046/fhir/ClaimResponse", 404), ("C-000045/fhir/Patient", 400), ("nonsense/fhir/ClaimResponse", 400)],
)
async def test_other_claims_and_other_resources_are_problems(path: str, status: int) -> None:
    async with serving() as served, served.http.get(f"{served.client}/v1/claims/{path}") as answer:
        assert answer.status == status and answer.content_type == "application/problem+json"


async def test_the_client_keeps_the_digits_of_an_amount() -> None:
    async with serving() as served, Client([served.client]) as client:
        document = await client.claim_fhir("C-000045", "ClaimResponse")
        with pytest.raises(NotFound):
            await client.claim_fhir("C-000046", "ClaimResponse")
    assert document["total"][0]["amount"]["value"] == Decimal("300000.00")


@pytest.mark.parametrize("flags", [[], ["--json"]])
async def test_the_command_prints_the_resource_itself(flags: list[str]) -> None:
    async with serving() as served:
        arguments = ["claim", "fhir", "45", "--resource", "ExplanationOfBenefit", "--node", served.client, *flags]
        result = await asyncio.to_thread(CliRunner().invoke, weal, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["claim"]["identifier"]["value"] == ex.CLAIM["id"] and "300000.00" in result.stdout
    assert (result.stdout.count("\n") == 1) == bool(flags)
