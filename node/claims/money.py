"""Money: whole minor units, and the only place that rounds.

Rules, as in the published programme: the fee rounds down (in the members' favour), the share rounds
up, and what the rounding collects too much is the surplus of the next cycle.
"""

from __future__ import annotations

from typing import Final

import msgspec

BPS: Final = 10_000


class Settlement(msgspec.Struct, frozen=True):
    """What one cycle costs. Minor units."""

    fee: int
    share: int
    collected: int
    surplus: int
    """Carried to the next cycle."""


def fee_of(payouts: int, fee_bps: int) -> int:
    """The fee on `payouts`, rounded down."""
    return payouts * fee_bps // BPS


def settle(*, payouts: int, fee_bps: int, surplus: int, members: int) -> Settlement:
    """Share `payouts` and fee, less `surplus`, equally; each share rounds up to a whole minor unit.

    Raises ValueError if there is something to share and nobody to share it.
    """
    fee = fee_of(payouts, fee_bps)
    need = payouts + fee - surplus
    if need <= 0:
        return Settlement(fee=fee, share=0, collected=0, surplus=-need)
    if members <= 0:
        raise ValueError("no members to share among")
    share = -(-need // members)
    collected = share * members
    return Settlement(fee=fee, share=share, collected=collected, surplus=collected - need)


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
