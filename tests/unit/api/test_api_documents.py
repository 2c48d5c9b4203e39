"""The OpenAPI document, docs/ and the routes are one thing: made from the table, and checked against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from openapi_spec_validator import validate

from node.api import problems
from node.api.__main__ import api_markdown
from node.api.openapi import document, problems_of, rendered
from node.api.routes import EVENT_STREAM, JSON, Route
from node.api.table import ROUTES
from tests.unit.api.fake import serving

ROOT = Path(__file__).parents[3]
DOCUMENT = document(ROUTES)
ROUTE_IDS = [route.name for route in ROUTES]


def test_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


async def test_every_served_path_is_in_the_document_and_the_other_way_round() -> None:
    documented = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    async with serving() as served:
        apps = [served.api.application("client"), served.api.application("operator")]
    routed = {
        (route.method, route.resource.canonical)
        for app in apps
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routed == documented == {(route.method, route.path) for route in ROUTES}


def test_operation_names_are_unique() -> None:
    assert len(set(ROUTE_IDS)) == len(ROUTE_IDS)


@pytest.mark.parametrize("route", ROUTES, ids=ROUTE_IDS)
def test_examples_are_what_the_types_say(route: Route) -> None:
    if route.answer is not None and route.media != EVENT_STREAM:
        assert route.example is not None
        msgspec.convert(route.example, route.answer, strict=True)
    if route.body_type is not None:
        msgspec.convert(route.body_example, route.body_type)
    msgspec.convert(route.path_example, route.path_type)
    msgspec.convert(route.query_example, route.query_type)
    assert set(route.path_example) == {field.name for field in msgspec.structs.fields(route.path_type)}


@pytest.mark.parametrize("route", ROUTES, ids=ROUTE_IDS)
def test_examples_are_what_the_schemas_say(route: Route) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    contents = [answer["content"] for answer in operation["responses"].values() if "content" in answer]
    contents.append(operation.get("requestBody", {}).get("content", {}))
    for content in contents:
        if JSON in content:
            _check(content[JSON]["example"], content[JSON]["schema"])
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            _check(parameter["example"], parameter["schema"])


def _check(example: Any, schema: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(example)


def test_event_example_is_an_event() -> None:
    from node.api import examples
    from node.api.events import EventView

    line = next(line for line in examples.EVENT.splitlines() if line.startswith("data: "))
    assert msgspec.json.decode(line.removeprefix("data: "), type=EventView).cursor == "1204.2"


def test_document_in_docs_is_up_to_date() -> None:
    assert (ROOT / "docs/openapi.json").read_bytes() == rendered(ROUTES), "run: python -m node.api"


def test_reference_in_docs_is_up_to_date() -> None:
    path = ROOT / "docs/api.md"
    assert path.read_text(encoding="utf-8") == api_markdown(path), "run: python -m node.api"


async def test_document_and_page_are_served_and_ask_for_nothing_else() -> None:
    async with serving() as served:
        async with served.http.get(served.client + "/openapi.json") as answer:
            assert await answer.json() == json.loads(rendered(ROUTES))
        async with served.http.get(served.client + "/docs") as answer:
            page = await answer.text()
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for route in ROUTES:
        assert route.path in page


def test_problem_codes_are_unique_and_complete() -> None:
    assert len(problems.BY_CODE) == len(problems.CATALOGUE)
    assert len({kind.slug for kind in problems.CATALOGUE}) == len(problems.CATALOGUE)
    for route in ROUTES:
        for kind in problems_of(route):
            assert problems.BY_CODE[kind.code] is kind
