"""Which verifier this process uses, and why. Asked for once, when the first signature is to be checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple, Protocol

from consensus.errors import ChainError
from node.ed25519.library import NotUsable, load
from node.ed25519.multilane import MultiLane
from node.ed25519.selftest import first_difference
from node.ed25519.sodium import Sodium

VARIABLE: Final = "WEAL_SIGNATURES"
"""Environment variable; "libsodium" keeps the lanes out, for comparisons and for whoever distrusts them."""


class Verifier(Protocol):
    """Checks signatures by the one rule; two verifiers never differ."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def lanes(self) -> int:
        """How many signatures it checks at once."""
        ...

    def verify_many(self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
        """Is `signatures[i]` valid for `messages[i]` under `keys[i]`? Wrong lengths of keys and signatures are simply
        invalid. Raises ValueError unless there are as many of each."""
        ...


class Choice(NamedTuple):
    """A verifier and, for people, why it is this one."""

    verifier: Verifier
    reason: str


class WrongRule(ChainError):
    """The libsodium on this machine does not follow the rule of the protocol."""


def choose(environ: Mapping[str, str]) -> Choice:
    """The fastest verifier that works here and gives the right verdicts. Takes some milliseconds.

    Raises WrongRule if libsodium itself does not: nothing is left to check signatures with.
    """
    sodium = Sodium()
    fault = first_difference(sodium.verify_many)
    if fault is not None:
        raise WrongRule(f"the libsodium that PyNaCl brings does not follow the protocol's rule: {fault}")
    wanted = environ.get(VARIABLE, "")
    if wanted == "libsodium":
        return Choice(sodium, f"{VARIABLE}=libsodium")
    if wanted:
        raise ChainError(f'{VARIABLE}="{wanted}": the one value it can have is "libsodium"')
    try:
        lanes = MultiLane(load())
    except NotUsable as why:
        return Choice(sodium, str(why))
    # Before libsodium would correct anything: the lanes must neither accept too much nor refuse what is valid.
    fault = first_difference(lanes.accepted, lanes.lanes)
    if fault is not None:
        return Choice(sodium, f"crypto_mb failed its test: {fault}")
    return Choice(lanes, "the processor has AVX-512 IFMA")


@cache
def chosen() -> Choice:
    """The choice of this process."""
    return choose(os.environ)
