"""One person, event or paper is written in one way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.oprf import inputs
from node.oprf.inputs import BadInput


@pytest.mark.parametrize(
    "text", ["11010519491231002x", " 110105 19491231 002X", "110105-19491231-002X", "１１０１０５19491231００２Ｘ"]
)
def test_the_ways_to_write_a_number_are_one(text: str) -> None:
    assert inputs.person("cn-resident", text) == inputs.person("CN RESIDENT", "11010519491231002X")


def test_borders_between_fields_count() -> None:
    assert inputs.receipt("H1", "23") != inputs.receipt("H12", "3")
    assert inputs.person("A", "1") != inputs.receipt("A", "1")


def test_leading_zeros_count() -> None:
    assert inputs.receipt("H1", "007") != inputs.receipt("H1", "7")


def test_a_day_has_one_form() -> None:
    made = inputs.event("A", "1", "H", "2026-03-01", "S01")
    assert made == inputs.event("A", "1", "H", " 20260301 ", "s01")
    assert made != inputs.event("A", "1", "H", "2026-03-02", "S01")


@pytest.mark.parametrize(
    "make",
    [
        lambda: inputs.person("A", ""),
        lambda: inputs.person("A", " - / "),
        lambda: inputs.person("A", "Zoë"),
        lambda: inputs.person("A", "张三"),
        lambda: inputs.person("A", "1\x00"),
        lambda: inputs.person("A", "1" * 201),
        lambda: inputs.event("A", "1", "H", "1.3.2026", "S01"),
        lambda: inputs.file_digest(bytes(31)),
    ],
)
def test_what_has_no_form_is_refused_without_repeating_it(make: Callable[[], bytes]) -> None:
    with pytest.raises(BadInput) as caught:
        make()
    assert not any(part in str(caught.value) for part in ("Zoë", "张三", "1.3.2026", "1" * 20))


def test_a_file_is_its_bytes() -> None:
    assert inputs.file(b"scan") == inputs.file(b"scan") != inputs.file(b"scan again")
