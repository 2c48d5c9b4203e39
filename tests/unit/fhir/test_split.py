"""Cutting a stream of JSON into resources: every shape, every chunk size, and damage that stays where it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.fhir.split import Piece, Splitter, split

PATIENT = {"resourceType": "Patient", "id": "p"}
CONDITION = {"resourceType": "Condition", "id": "c", "note": 'a "quoted" {bracket] \\ and ünïcode'}


def bundle(*resources: object) -> dict[str, object]:
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources], "total": 2}


def cut(text: str | bytes, size: int = 7, limit: int = 10_000) -> list[Piece]:
    data = text.encode() if isinstance(text, str) else text
    return list(split((data[at : at + size] for at in range(0, len(data), size)), limit))


def texts(pieces: list[Piece]) -> list[object]:
    return [json.loads(piece.text) for piece in pieces]


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 16, 100_000])
def test_a_bundle_gives_its_entries_however_it_is_written_and_chunked(indent: int | None, size: int) -> None:
    pieces = cut(json.dumps(bundle(PATIENT, CONDITION), indent=indent), size)
    assert [piece.kind for piece in pieces] == ["entry", "entry"]
    assert texts(pieces) == [{"resource": PATIENT}, {"resource": CONDITION}]


def test_lines_of_bundles_and_of_resources_may_be_mixed() -> None:
    lines = [json.dumps(bundle(PATIENT)), json.dumps(CONDITION), "", json.dumps(bundle()), json.dumps(PATIENT)]
    pieces = cut("\n".join(lines))
    assert [(piece.kind, piece.line) for piece in pieces] == [("entry", 1), ("resource", 2), ("resource", 5)]


def test_entry_before_the_resource_type_is_streamed_as_well() -> None:
    pieces = cut('{"entry" : [ {"resource":{"a":1}} , {"resource":{"b":[{}]}}], "resourceType":"Bundle"}')
    assert texts(pieces) == [{"resource": {"a": 1}}, {"resource": {"b": [{}]}}]


def test_a_field_called_entry_inside_a_resource_is_left_alone() -> None:
    resource = {"resourceType": "Patient", "x": {"entry": [{"y": 1}]}}
    assert texts(cut(json.dumps(resource))) == [resource]


@pytest.mark.parametrize("size", [1, 5, 4_096])
@pytest.mark.parametrize(
    "garbage",
    [
        "not json at all",
        '{"resourceType":"Patient","id":"unterminated',
        '{"resourceType":"Patient","name":"ends in a backslash\\',
        '{"resourceType":"Patient","id":',
        '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"',
        "]]]",
        "[1, 2]",
        "\x00\x01",
    ],
)
def test_garbage_ends_with_its_line(garbage: str, size: int) -> None:
    good = json.dumps(PATIENT, separators=(",", ":"))
    pieces = cut(f"{good}\n{garbage}\n{good}\n", size)
    assert [piece.kind for piece in pieces] == ["resource", "problem", "resource"]
    assert pieces[1].line == 2


def test_an_input_that_ends_within_a_resource_is_reported() -> None:
    assert [piece.kind for piece in cut('{"resourceType":"Patient"')] == ["problem"]


def test_something_else_between_entries_is_reported_not_lost() -> None:
    pieces = cut('{"entry":[{"resource":{}}, 17, {"resource":{}}, "text"]}')
    assert [piece.kind for piece in pieces] == ["entry", "problem", "entry", "problem"]


def test_a_resource_above_the_limit_is_skipped_and_the_rest_read() -> None:
    huge = {"resourceType": "Patient", "photo": "x" * 5_000}
    pieces = cut(json.dumps(bundle(PATIENT, huge, CONDITION)), 64, limit=1_000)
    assert [piece.kind for piece in pieces] == ["entry", "problem", "entry"]
    assert "5" in pieces[1].problem and "1000" in pieces[1].problem


def test_a_huge_resource_is_not_held_in_memory() -> None:
    splitter = Splitter(limit=1_000)
    list(splitter.feed(b'{"resourceType":"Patient","photo":"'))
    for _ in range(200):
        list(splitter.feed(b"x" * 10_000))
        assert splitter.held_bytes <= 1_000
    (piece,) = splitter.feed(b'"}')
    assert piece.kind == "problem" and "2000037" in piece.problem


def test_a_byte_order_mark_does_no_harm() -> None:
    assert texts(cut(b"\xef\xbb\xbf" + json.dumps(PATIENT).encode(), 50)) == [PATIENT]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
resources = st.dictionaries(st.text(max_size=8).filter(lambda key: key != "entry"), json_values, max_size=5)


@given(st.lists(resources, max_size=6), st.integers(1, 50), st.booleans(), st.sampled_from([None, 1]))
def test_every_resource_comes_out_once_and_in_order(
    values: list[dict[str, object]], size: int, as_bundle: bool, indent: int | None
) -> None:
    if as_bundle:
        text = json.dumps(bundle(*values), indent=indent)
        assert texts(cut(text, size)) == [{"resource": value} for value in values]
    else:
        assert texts(cut("\n".join(map(json.dumps, values)), size)) == values


@given(st.binary(max_size=400), st.integers(1, 60))
def test_any_bytes_at_all_end_in_pieces_or_problems(data: bytes, size: int) -> None:
    for piece in cut(data, size, limit=100):
        assert (piece.kind == "problem") == bool(piece.problem) and len(piece.text) <= 100
