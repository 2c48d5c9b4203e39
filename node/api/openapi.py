"""OpenAPI 3.1 document and Markdown reference, made from the route table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from node.api.call import DIGEST_HEADER, HEIGHT_HEADER
from node.api.problems import CATALOGUE, GENERAL, PROBLEM_MEDIA, Kind, Problem
from node.api.routes import EVENT_STREAM, JSON, MSGPACK, WEBSOCKET, Route
from node.api.shapes import Nothing

API_VERSION: Final = "1.0.0"
REF: Final = "#/components/schemas/{name}"
HEADERS: Final = {
    HEIGHT_HEADER: {"description": "Height of the block read from.", "schema": {"type": "integer"}},
    DIGEST_HEADER: {"description": "Its digest, hex.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}
SIGNATURE: Final = {
    "description": "`Weal key.at_ms.signature`: account key, UTC milliseconds, signature; see docs/evidence.md.",
    "schema": {"type": "string", "maxLength": 300},
}
TITLES: Final = {
    "transactions": "Submitting, and asking what became of it.",
    "chain": "Blocks, state and live events.",
    "claims": "Records of the claims application.",
    "vault": "Evidence items, and the encrypted bytes and sealed keys that holders keep.",
    "duplicates": "Keyed values of people, events and papers, and the key that makes them.",
    "juries": "Exams, ballots, panels and verdicts.",
    "documents": "This description.",
    "operator": "Operator's listener; on the loopback address unless configured otherwise.",
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document. Deterministic: the same table gives the same bytes."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    responses: dict[str, Any] = {}
    for route in routes:
        operation = _operation(route, by_type, components)
        operation["responses"] |= _failures(route, responses)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for route in routes:
        # Parameters are described where they are used.
        for kind in (route.path_type, route.query_type):
            components.pop(kind.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commonweal node",
            "version": API_VERSION,
            "summary": "Submit signed claim transactions, read the chain and the claims, follow events.",
            "description": (
                "Every answer of the chain names the block it was read from (`as_of`, and the headers "
                f"{HEIGHT_HEADER} and {DIGEST_HEADER}). Money is a decimal string, bytes are lower-case hex, times "
                "are UTC milliseconds with an ISO 8601 twin. Errors are RFC 9457 problem documents with a stable code."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TITLES.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": dict(sorted(responses.items())),
            "headers": HEADERS,
        },
    }


def _key(kind: Any) -> Any:
    return kind if isinstance(kind, type) else repr(kind)


def _types(routes: Sequence[Route]) -> list[Any]:
    seen: dict[Any, Any] = {_key(Problem): Problem}
    for route in routes:
        for kind in (route.path_type, route.query_type, route.body_type, route.answer):
            if kind is not None:
                seen.setdefault(_key(kind), kind)
    return list(seen.values())


def _operation(route: Route, by_type: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.name, "tags": [route.tag], "summary": route.summary}
    if route.description:
        operation["description"] = route.description
    parameters = [
        *_parameters(route.path_type, "path", route.path_example, components),
        *_parameters(route.query_type, "query", route.query_example, components),
    ]
    if route.last_event_id:
        schema = {"type": "string", "pattern": r"^[0-9]{1,18}\.[0-9]{1,18}$"}
        parameters.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": schema})
    if route.is_signed:
        parameters.append({"name": "Authorization", "in": "header", "required": False, **SIGNATURE})
    if parameters:
        operation["parameters"] = parameters
    if route.body_type is not None:
        operation["requestBody"] = {"required": True, "content": _request_content(route, by_type)}
    if route.streamed_media:
        content = {route.streamed_media: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _successes(route, by_type)
    if route.listener == "operator":
        operation["x-listener"] = "operator"
    return operation


def _parameters(
    kind: type, place: str, example: dict[str, Any], components: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    if kind is Nothing:
        return
    schema = components[kind.__name__]
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": place, "required": name in required}
        field = dict(field)
        if "description" in field:
            parameter["description"] = field.pop("description")
        parameter["schema"] = field
        if name in example:
            parameter["example"] = example[name]
        yield parameter


def _request_content(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": by_type[_key(route.body_type)], "example": route.body_example}}
    if MSGPACK in route.body_media:
        content[MSGPACK] = {
            "schema": {
                "type": "string",
                "contentMediaType": MSGPACK,
                "description": "msgpack array of byte strings of at most 262144 bytes: canonical transactions",
            }
        }
    return content


def _successes(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    if route.media == WEBSOCKET:
        return {"101": {"description": "The connection speaks WebSocket from here on."}}
    if route.answer is None:
        content: dict[str, Any] = {route.media: {"schema": {"type": "string"}}}
    elif route.media == EVENT_STREAM:
        schema = {"type": "string", "description": "Events whose data is an EventView."}
        content = {EVENT_STREAM: {"schema": schema, "example": route.example}}
    else:
        content = {route.media: {"schema": by_type[_key(route.answer)], "example": route.example}}
    text = {200: "The answer.", 202: "Accepted; not all fates are final yet."}
    answers: dict[str, Any] = {}
    for status in route.statuses:
        answers[str(status)] = {"description": text[status], "content": content}
        if route.listener == "client" and route.tag != "documents":
            answers[str(status)]["headers"] = {
                name: {"$ref": f"#/components/headers/{name}"} for name in (HEIGHT_HEADER, DIGEST_HEADER)
            }
    if route.versioned:
        answers["304"] = {"description": "No block was committed since the version in If-None-Match."}
    return answers


def problems_of(route: Route) -> list[Kind]:
    general = [kind for kind in GENERAL if route.listener == "client" or kind.status not in (429, 503)]
    return sorted({kind.code: kind for kind in (*route.problems, *general)}.values(), key=lambda kind: kind.code)


def _failures(route: Route, responses: dict[str, Any]) -> dict[str, Any]:
    """References to shared responses, one for each set of problems that share a status."""
    by_status: dict[int, list[Kind]] = {}
    for kind in problems_of(route):
        by_status.setdefault(kind.status, []).append(kind)
    answers = {}
    for status, kinds in sorted(by_status.items()):
        name = "_".join(kind.code for kind in kinds)
        answers[str(status)] = {"$ref": f"#/components/responses/{name}"}
        responses[name] = {
            "description": "; ".join(f"{kind.code} {kind.title}" for kind in kinds),
            "content": {PROBLEM_MEDIA: {"schema": {"$ref": REF.format(name="Problem")}}},
        }
        if any(kind.retryable for kind in kinds):
            responses[name]["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return answers


def rendered(routes: Sequence[Route]) -> bytes:
    """docs/openapi.json."""
    return msgspec.json.format(msgspec.json.encode(document(routes)), indent=2) + b"\n"


def markdown_tables(routes: Sequence[Route]) -> str:
    """The generated part of docs/api.md: one table per tag, then the problems."""
    parts = []
    for tag, text in TITLES.items():
        parts.append(f"### {tag.capitalize()}\n\n{text}\n\n| | | Parameters | Problems of its own |\n|---|---|---|---|")
        for route in routes:
            if route.tag == tag:
                names = [field.encode_name for field in msgspec.structs.fields(route.query_type)]
                own = " ".join(kind.code for kind in sorted(route.problems, key=lambda kind: kind.code))
                path = re.sub(r"\|", r"\\|", route.path)
                query = ", ".join(f"`{name}`" for name in names)
                parts.append(f"| `{route.method} {path}` | {route.summary} | {query} | {own} |")
        parts.append("")
    parts.append(
        "### Problems\n\n| Code | Status | Title | Again? | Exit code | What to do |\n|---|---|---|---|---|---|"
    )
    for kind in CATALOGUE:
        again = "yes" if kind.retryable else "no"
        parts.append(f"| {kind.code} | {kind.status} | {kind.title} | {again} | {kind.exit_code} | {kind.hint} |")
    return "\n".join(parts) + "\n"
