"""Money: whole minor units, and the only place that rounds.

Rules, as in the published programme: the fee rounds down (in the members' favour), the share rounds
up, and what the rounding collects too much is the surplus of the next cycle. A shortfall that nobody
bears is spread over the cases by largest remainder; the fee part of what comes back rounds down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

BPS: Final = 10_000


class Settlement(msgspec.Struct, frozen=True):
    """What one cycle costs. Minor units."""

    fee: int
    share: int
    """Of each unit; with a yearly cap, before the cap."""
    collected: int
    surplus: int
    """Carried to the next cycle."""
    payouts: int = 0
    """What is paid out: less than what was granted if nobody bears the shortfall."""
    sponsored: int = 0
    """The shortfall that the sponsor bears."""
    charges: tuple[int, ...] = ()
    """Of each cohort: what a unit of it is charged; below `share` where the yearly cap binds."""
    capped: bool = False
    """Whether a cap kept the cycle from collecting what it needed."""


def fee_of(payouts: int, fee_bps: int) -> int:
    """The fee on `payouts`, rounded down."""
    return payouts * fee_bps // BPS


def settle(
    *,
    payouts: int,
    fee_bps: int,
    surplus: int,
    members: int,
    share_cap: int | None = None,
    cohorts: Sequence[tuple[int, int]] = (),
    year_cap: int = 0,
    sponsored: bool = False,
) -> Settlement:
    """Share `payouts` and fee, less `surplus`, equally; each share rounds up to a whole minor unit.

    `members` counts units. `share_cap` limits the share. With a `year_cap`, `cohorts` gives (units, charged
    this year) of each cohort, which add up to `members`; a unit is never charged more than the cap in a year.
    What is then missing is the sponsor's, or else the payouts shrink to what there is, and the fee with them.

    Raises ValueError if there is something to share and nobody to share it.
    """
    fee = fee_of(payouts, fee_bps)
    need = payouts + fee - surplus
    if need <= 0:
        idle = (0,) * len(cohorts)
        return Settlement(fee=fee, share=0, collected=0, surplus=-need, payouts=payouts, charges=idle)
    if members <= 0:
        raise ValueError("no members to share among")
    share = -(-need // members)
    if share_cap is not None:
        share = min(share, share_cap)
    charges = tuple(yearly_charge(charged, share, year_cap) for _, charged in cohorts)
    if year_cap:
        collected = sum(units * charge for (units, _), charge in zip(cohorts, charges, strict=True))
    else:
        collected = share * members
    short = max(0, need - collected)
    if short and not sponsored:
        payouts = payable_from(collected + surplus, fee_bps)
        fee = fee_of(payouts, fee_bps)
        need = payouts + fee - surplus
    booked = short if sponsored else 0
    return Settlement(
        fee=fee,
        share=share,
        collected=collected,
        surplus=collected + booked - need,
        payouts=payouts,
        sponsored=booked,
        charges=charges,
        capped=short > 0,
    )


def yearly_charge(charged: int, share: int, year_cap: int) -> int:
    """What a unit pays of `share` that has been charged `charged` this year; 0 as cap: there is none."""
    return min(share, max(0, year_cap - charged)) if year_cap else share


def payable_from(available: int, fee_bps: int) -> int:
    """The largest sum that `available` pays together with the fee on it."""
    payouts = available * BPS // (BPS + fee_bps)
    # Flooring the fee leaves room for a unit more at times, never for many.
    while payouts + 1 + fee_of(payouts + 1, fee_bps) <= available:
        payouts += 1
    return payouts


def pro_rata(total: int, amounts: Sequence[int]) -> list[int]:
    """`total` in proportion to `amounts`, by largest remainder; ties go to the earlier one. Sums to `total`.

    `total` is at most the sum of `amounts`, which is above 0; no part exceeds its amount.
    """
    whole = sum(amounts)
    parts = [amount * total // whole for amount in amounts]
    remainders = sorted(range(len(amounts)), key=lambda index: (-(amounts[index] * total % whole), index))
    for index in remainders[: total - sum(parts)]:
        parts[index] += 1
    return parts


def settle_by_sponsor(*, payouts: int, fee_bps: int, surplus: int) -> Settlement:
    """The sponsor bears payouts and fee, less `surplus`; members pay nothing."""
    fee = fee_of(payouts, fee_bps)
    need = payouts + fee - surplus
    return Settlement(fee=fee, share=0, collected=0, surplus=max(0, -need), payouts=payouts, sponsored=max(0, need))


def equal_parts(total: int, units: int) -> tuple[int, int]:
    """(part of each unit, remainder): whole minor units, rounded down; the remainder stays where `total` was."""
    return divmod(total, units)


def amount_text(minor_units: int, digits: int) -> str:
    """A decimal string such as "300000.00"; `digits` is the number of minor digits of the currency."""
    if digits == 0:
        return str(minor_units)
    whole, part = divmod(abs(minor_units), 10**digits)
    return f"{'-' if minor_units < 0 else ''}{whole}.{part:0{digits}d}"


def parse_amount(text: str, digits: int) -> int:
    """Minor units of a decimal string; refuses more digits than the currency has rather than rounding."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.removeprefix("-").partition(".")
    plain = (whole + part).isascii() and whole.isdigit() and (part.isdigit() or "." not in text)
    if not plain or len(part) > digits or len(whole) > 18:
        raise ValueError(f"{text!r} is no amount with at most {digits} decimal places, such as 12.34")
    minor_units = int(whole + part.ljust(digits, "0"))
    return sign * minor_units
