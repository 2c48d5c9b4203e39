"""Limits of the application, and the shapes that its wire types share.

The limits keep every total inside 64 bits: 10^8 claims of at most 10^10 minor units with a fee of at
most the same again give 2 * 10^18, and rounding adds less than one unit per member and cycle.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

MAX_AMOUNT: Final = 10**10
"""Largest amount of one claim, minor units."""
MAX_CLAIMS: Final = 10**8
MAX_MEMBERS: Final = 10**9
MAX_ORGANISATIONS: Final = 64
MAX_PLANS: Final = 64
MAX_TIME_MS: Final = 2**53 - 1
"""Largest time, so that JSON readers that keep numbers as doubles stay exact."""
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000

NO_ORGANISATION: Final = -1

Commitment = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""SHA-256 over a tag, a 32-byte salt or key, and content that stays off the chain."""
OptionalCommitment = Annotated[bytes, Meta(max_length=32)]
"""A Commitment, or b"" for none; other lengths are refused by the handler that reads it."""
PublicKeyBytes = Annotated[bytes, Meta(min_length=32, max_length=32)]
SignatureBytes = Annotated[bytes, Meta(min_length=64, max_length=64)]
Unsigned = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
Amount = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Days = Annotated[int, Meta(ge=0, le=3_660)]
Hours = Annotated[int, Meta(ge=1, le=8_784)]
PlanCode = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
AilmentCode = Annotated[str, Meta(pattern=r"^[A-Z0-9]{1,8}\Z")]
ClauseNumber = Annotated[str, Meta(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){0,3})?\Z", max_length=15)]
"""Such as "4.2.1", or "" for none. Digits only: there is no room for a name or any free text."""
MonthIndex = Annotated[int, Meta(ge=1850 * 12, le=2400 * 12)]
"""year * 12 + month - 1."""
DayNumber = Annotated[int, Meta(ge=0, le=160_000)]
"""Days since 1970-01-01 in the plan's own time zone."""
