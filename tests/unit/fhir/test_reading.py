"""Opening files: gzip told by its bytes, damage reported, nothing endless."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from node.fhir.reading import pieces

LINE = json.dumps({"resourceType": "Patient", "id": "p", "text": "t" * 200}).encode() + b"\n"


def test_gzip_is_recognised_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "patients.txt"
    path.write_bytes(gzip.compress(LINE * 3))
    assert [piece.kind for piece in pieces(path)] == ["resource"] * 3


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_gzip_gives_what_it_holds_and_says_that_it_is_cut(keep: float) -> None:
    # Lines that differ, so that a part of the compressed bytes is worth something.
    lines = b"".join(
        json.dumps({"resourceType": "Patient", "id": str(i * 7_919 % 10_007)}).encode() + b"\n" for i in range(5_000)
    )
    packed = gzip.compress(lines)
    found = list(pieces(io.BytesIO(packed[: int(len(packed) * keep)])))
    assert found[-1].kind == "problem" and "cut short" in found[-1].problem
    whole = [piece for piece in found if piece.kind == "resource"]
    assert 0 < len(whole) <= 5_000 and all(json.loads(piece.text)["resourceType"] == "Patient" for piece in whole)


def test_a_damaged_gzip_is_a_problem_and_no_traceback() -> None:
    packed = bytearray(gzip.compress(LINE * 1_000))
    packed[40:60] = bytes(20)
    found = list(pieces(io.BytesIO(bytes(packed))))
    assert found[-1].kind == "problem" and "damaged" in found[-1].problem


def test_an_archive_that_unpacks_to_more_than_allowed_ends() -> None:
    found = list(pieces(io.BytesIO(gzip.compress(LINE * 50_000)), most=1_000_000))
    assert found[-1].kind == "problem" and "1000000" in found[-1].problem
    assert len(found) < 50_000


def test_two_gzip_members_one_after_the_other_are_one_file() -> None:
    assert len(list(pieces(io.BytesIO(gzip.compress(LINE) + gzip.compress(LINE))))) == 2


def test_an_empty_file_holds_nothing() -> None:
    assert list(pieces(io.BytesIO(b""))) == []


def test_a_missing_file_is_an_operating_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(pieces(tmp_path / "absent"))
