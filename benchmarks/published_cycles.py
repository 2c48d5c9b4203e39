"""What Xiang Hu Bao published about its cycles, against our settlement: two exact answers, five plausibility points.

python -m benchmarks.published_cycles            prints the report
python -m benchmarks.published_cycles --write    and puts it into docs/published-cycles.md

Exact: cases, amounts, members and the share are all known. They go through a whole chain, from filing to the
settled cycle; the members are there as the row in which enrolments add up, as millions of records would leave it.
Plausible: something is missing, so the settlement is asked what the missing figure would have to be. A point is
plausible if a whole number of cases of the plan's own amounts gives the published share, if the cap of a case
does not bind, and if the cases are neither too few nor too many for so many people.

Source of all figures: press and help pages of 2018 to 2022, as docs/published-cycles.md lists them. None is an
official ledger, and "about" and "over" are theirs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from node.claims import keys
from node.claims.money import settle
from node.claims.mutual_aid.actions import Decision, Enrol, FileClaim, Finding, Investigate, Review
from node.claims.mutual_aid.records import CycleRecord, DayChange, the_claim, the_cycle
from node.claims.mutual_aid.transitions import ClaimStatus
from node.claims.transaction import Action
from node.claims.wire import encode
from tests.factories import ORGANISATIONS, Chain, new_member, person

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "published-cycles.md"
FEE_BPS: Final = 800
CASE_CAP: Final = 10
ELDERLY_CASE_CAP: Final = 100
"""Fen that one case may cost a member."""
YUAN: Final = 100
CYCLES_A_YEAR: Final = 24
PEOPLE_AIDED, CYCLES, PAID_IN_ALL_YUAN = 179_127, 71, 26_000_000_000
"""Over the whole life of the programme."""
MEAN_YUAN: Final = PAID_IN_ALL_YUAN // PEOPLE_AIDED
CASES_A_YEAR_PER_MILLION: Final = (20, 2_000)
ELDERLY_CASES_A_YEAR: Final = 20_000
"""What is taken as possible. Wide on purpose: waiting periods and healthy joiners press it down, age up."""


class Exact(NamedTuple):
    """A cycle of which everything is known. Fen."""

    when: str
    cases: int
    members: int
    share: int


class Point(NamedTuple):
    """A cycle of which something is known. Fen; 0: not published."""

    when: str
    members: int
    cases: int
    share_low: int
    share_high: int
    money: int
    """Paid out, the fee perhaps included: that is not said."""
    light: int
    severe: int
    """The plan's amounts."""


EXACT: Final = (
    Exact("2019-01-28, 2 x 300,000, over 23 million, 0.03 each", 2, 23_000_000, 3),
    Exact("300,000, 34.86 million, 0.01 each", 1, 34_860_000, 1),
)
_ADULT: Final = (10_000_000, 30_000_000)
_ELDERLY: Final = (5_000_000, 10_000_000)
POINTS: Final = (
    Point("July 2019, 73.234 million, 0.94", 73_234_000, 0, 94, 94, 0, *_ADULT),
    Point("elderly plan, first cycle, 21 cases, 0.56", 0, 21, 56, 56, 0, *_ELDERLY),
    Point("April 2021, second cycle, 90.8967 million, about 6", 90_896_700, 0, 550, 649, 0, *_ADULT),
    Point("August 2021, first cycle, 83.822 million, over 7", 83_822_000, 0, 700, 799, 0, *_ADULT),
    Point("December 2021, about 75 million, 556 million yuan in all", 75_000_000, 0, 0, 0, 55_600_000_000, *_ADULT),
)


class Judgement(NamedTuple):
    """What the settlement says about a point."""

    point: Point
    says: str
    checks: tuple[tuple[str, bool], ...]
    per_million: int
    """Cases of the cycle per million members at the programme's mean payout; 0 if members are not published."""

    @property
    def plausible(self) -> bool:
        return all(holds for _, holds in self.checks)


def through_the_chain(cases: int, members: int) -> CycleRecord:
    """The settled cycle of a chain with so many members, of whom so many fell ill. At most ten cases."""
    chain = Chain()
    code = chain.genesis.plans[0].code
    people = tuple(new_member(number) for number in range(1, cases + 1))
    _done(chain, "a", Enrol(plan=code, members=people))
    chain.wait(days=91)
    today = chain.application.registry.plan(chain.state, 0).day_of(chain.now_ms)
    chain.state.put(keys.day_change(0, today, 1), encode(DayChange(change=members - cases)))
    for number in range(1, cases + 1):
        filing = FileClaim(
            plan=code, member=number, ailment="S01", diagnosis_day=today, accident=False, evidence=person(number)
        )
        _done(chain, "c", filing)
        _step(chain, number, ClaimStatus.FILED, Investigate(claim=number, finding=Finding.PASS, report=person(1)))
        _step(chain, number, ClaimStatus.INVESTIGATED, Review(claim=number, decision=Decision.ACCEPT))
    for _ in range(60):
        claim = the_claim(chain.state, 1)
        if claim.status is ClaimStatus.SETTLED:
            return the_cycle(chain.state, 0, claim.cycle)
        chain.wait(days=1)
    raise AssertionError(f"the claim is still {claim.status.name}")


def _step(chain: Chain, number: int, status: ClaimStatus, action: Action) -> None:
    """Take a step as often as the claim stays in this status: a review may need more than one reviewer."""
    while (claim := the_claim(chain.state, number)).status is status:
        _done(chain, ORGANISATIONS[claim.assigned], action)


def _done(chain: Chain, sender: str, action: Action) -> None:
    receipt = chain.do(sender, action)
    if receipt.code:
        raise AssertionError(f"{action}: {receipt}")


def share_of(payouts: int, members: int) -> int:
    return settle(payouts=payouts, fee_bps=FEE_BPS, surplus=0, members=members).share


def least(holds: Callable[[int], bool], top: int) -> int:
    """The least number up to `top` for which a rising condition holds."""
    low, high = 0, top
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def payouts_for(share_low: int, share_high: int, members: int) -> tuple[int, int]:
    """(least, most) payouts of a cycle that cost each member share_low to share_high fen, no surplus before it."""
    top = members * (share_high + 2)
    low = least(lambda payouts: share_of(payouts, members) >= share_low, top)
    return low, least(lambda payouts: share_of(payouts, members) > share_high, top) - 1


def members_for(share: int, payouts: int) -> tuple[int, int]:
    """(least, most) members among whom `payouts` cost each exactly `share` fen."""
    top = 10**10
    low = least(lambda members: members > 0 and share_of(payouts, members) <= share, top)
    return low, least(lambda members: members > 0 and share_of(payouts, members) < share, top) - 1


def examine(point: Point) -> Judgement:
    """What the formula says about a point, and whether that can be."""
    if point.cases:
        return _members_unknown(point)
    if point.money:
        return _share_unknown(point)
    low, high = payouts_for(point.share_low, point.share_high, point.members)
    fewest, most = -(-low // point.severe), high // point.light
    says = (
        f"payouts of {_millions(low)} to {_millions(high)} million, so {fewest:,} to {most:,} cases; "
        f"at the mean of {MEAN_YUAN:,} about {_mean_cases(low):,} to {_mean_cases(high):,}"
    )
    return _finding(point, says, fewest, most, _mean_cases(high), point.members, point.share_high)


def _members_unknown(point: Point) -> Judgement:
    fewest, _ = members_for(point.share_low, point.cases * point.light)
    _, most = members_for(point.share_low, point.cases * point.severe)
    says = f"{_millions(fewest, 1)} to {_millions(most, 1)} million members, by how many of the 21 are light"
    cap = ("the cap of a case does not bind", point.share_high <= ELDERLY_CASE_CAP * point.cases)
    fits = ("there are members enough at every mix of amounts", 0 < fewest <= most)
    yearly = point.cases * CYCLES_A_YEAR * 10**6 // fewest
    few = (f"at most {ELDERLY_CASES_A_YEAR:,} cases a year in a million: {yearly:,}", yearly <= ELDERLY_CASES_A_YEAR)
    return Judgement(point, says, (fits, cap, few), 0)


def _share_unknown(point: Point) -> Judgement:
    with_fee, without = share_of(point.money, point.members), -(-point.money // point.members)
    before_fee = point.money * 10_000 // (10_000 + FEE_BPS)
    says = (
        f"a share of {_yuan(with_fee)} if the fee comes on top, {_yuan(without)} if it is in the sum; "
        f"at the mean of {MEAN_YUAN:,} about {_mean_cases(before_fee):,} to {_mean_cases(point.money):,} cases"
    )
    fewest, most = -(-before_fee // point.severe), point.money // point.light
    return _finding(point, says, fewest, most, _mean_cases(point.money), point.members, with_fee)


def _finding(point: Point, says: str, fewest: int, most: int, mean: int, members: int, share: int) -> Judgement:
    low, high = CASES_A_YEAR_PER_MILLION
    yearly = mean * CYCLES_A_YEAR * 10**6 // members
    checks = (
        ("a whole number of cases of the plan's amounts fits", 0 < fewest <= most),
        ("the mean payout of the programme lies within", fewest <= mean <= most),
        ("the cap of a case does not bind", share <= CASE_CAP * fewest),
        (f"{low} to {high:,} cases a year in a million: {yearly:,}", low <= yearly <= high),
    )
    return Judgement(point, says, checks, mean * 10**6 // members)


def _mean_cases(payouts: int) -> int:
    return payouts // (MEAN_YUAN * YUAN)


def _millions(units: int, scale: int = YUAN) -> str:
    hundredths = units // (scale * 10_000)
    return f"{hundredths // 100:,}.{hundredths % 100:02d}"


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def report() -> Iterator[str]:
    """The report in Markdown, line by line. Deterministic."""
    yield "| published | members, cases | our settlement | |"
    yield "|---|---|---|---|"
    for exact in EXACT:
        cycle = through_the_chain(exact.cases, exact.members)
        same = "equal" if cycle.share == exact.share else "**NOT EQUAL**"
        yield (
            f"| {exact.when} | {cycle.members:,}, {cycle.cases} | share {_yuan(cycle.share)}, fee {_yuan(cycle.fee)}, "
            f"surplus {_yuan(cycle.surplus_after)} | {same} |"
        )
    yield ""
    yield "| published | the formula says | checks | |"
    yield "|---|---|---|---|"
    found = [examine(point) for point in POINTS]
    for finding in found:
        checks = "; ".join(text if holds else f"**not:** {text}" for text, holds in finding.checks)
        verdict = "plausible" if finding.plausible else "**not plausible**"
        yield f"| {finding.point.when} | {finding.says} | {checks} | {verdict} |"
    yield ""
    growth = ", ".join(f"{finding.per_million}" for finding in found if finding.per_million)
    yield f"Cases per million members and cycle, in the order of time: {growth}."
    mean = PEOPLE_AIDED // CYCLES
    yield f"Over the whole programme {PEOPLE_AIDED:,} people in {CYCLES} cycles: {mean:,} a cycle."


HEADING: Final = """# The published cycles

Written by `make published-cycles` (`python -m benchmarks.published_cycles --write`); a test fails when it is out of
date. Amounts in yuan.

"""
REMARKS: Final = """
## What does not fit together

Not everything that was published can be true at once. The average bill of 2021 is given as 91, which is 3.79 a cycle,
yet single cycles of that year as about 6 and over 7; and the average bills of 2020 and 2021 (29 and 91) times the
members of those years come to about 11 billion, where 26 billion were paid in all. The points above agree with one
another and with the 26 billion; we know no reading under which the average bills do too.

## Where the figures come from

Press and help pages of 2018 to 2022, read as stored copies: the cycle of 28 January 2019 (Chongqing press, 21 January
2019), the single case at 34.86 million and the bills of July 2019 (finance blogs of 2019), the elderly plan's first
cycle (2019), April and August 2021 (finance press of those months), December 2021 and the totals (reports on the
closing, 28 December 2021). The members "from before 2018-12-31" were exempt in January 2019 and paid for by the
operator; the share is the same.
"""


def document() -> str:
    return HEADING + "\n".join(report()) + "\n" + REMARKS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What was published about cycles, against our settlement.")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args(arguments)
    text = document()
    if options.write:
        DOCUMENT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if "**" not in text else 1


if __name__ == "__main__":
    raise SystemExit(main())
