"""`weal member apply` and what goes with it: the CSV, the sheet, and the names of numbers."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from node.claims.calendar import month_index
from node.claims.mutual_aid.application_actions import RefuseApplication
from node.claims.queries import Queries
from node.cli.application_commands import applicant, application_name, application_number, application_sheet
from node.cli.base import CommandError
from node.cli.member_commands import people_of
from node.cli.show import event_text
from tests.factories import person
from tests.unit.claims.application_desk import applied, run

DECLARED = person(9).hex()
HEAD = "identity,birth_month,declaration,payer,units"


def test_a_file_names_who_applies_with_which_declaration() -> None:
    rows = (HEAD, f"123,1980-04,{DECLARED},,", f"456,1990-01-31,{DECLARED},M-000007,3")
    (first, one), (second, two) = people_of(StringIO("\n".join(rows)), {}, applicant)
    assert (first, second) == ("123", "456")
    assert (one.birth_month, one.declaration, one.payer, one.units) == (month_index(1980, 4), person(9), 0, 1)
    assert (two.payer, two.units) == (7, 3)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("123,1980-04,,,", "declaration must have 64 hex digits"),
        (f"123,1980-04,{DECLARED},,11", "units must be 1 to 10"),
        (f"123,1980-13,{DECLARED},,", "is no month"),
        (f",1980-04,{DECLARED},,", "no identity"),
    ],
)
def test_a_bad_line_is_named(row: str, wrong: str) -> None:
    with pytest.raises(CommandError, match="line 2: ") as caught:
        people_of(StringIO(f"{HEAD}\n{row}\n"), {}, applicant)
    assert wrong in str(caught.value)


def test_nobody_is_named_is_an_error() -> None:
    for file, alone in ((StringIO("identity,birth_month\n"), {}), (None, {"birth_month": None})):
        with pytest.raises(CommandError):
            people_of(file, alone, applicant)


def test_an_application_is_named_as_people_write_it() -> None:
    assert [application_number(text) for text in ("A-000007", "a-7", "7")] == [7, 7, 7]
    assert application_name("7") == "A-000007"
    with pytest.raises(CommandError, match="is no application number"):
        application_number("M-000007")


def test_the_sheet_of_a_refused_application_says_why() -> None:
    chain = applied(1)
    queries = Queries(chain.genesis)

    def shown() -> str:
        record = queries.application(chain.state, 1)
        assert record is not None
        console = Console(width=200)
        with console.capture() as capture:
            console.print(application_sheet(record))
        return capture.get()

    assert "lapses" in shown()
    assert run(chain, "a", RefuseApplication(application=1, clause="2.1", reason=1)) == 0
    text = shown()
    assert "health-condition, clause 2.1 Who may join" in text
    assert "lapses" not in text
    events = [queries.event(chain.state, event) for event in chain.results[-1].receipts[0].events]
    assert "A-000001" in event_text(events[0])
