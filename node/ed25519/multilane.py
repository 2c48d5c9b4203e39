"""Eight signatures at a time with Intel's crypto_mb, and never another verdict than libsodium's.

crypto_mb alone accepts more than the rule: it takes some S above the group order, and points of small order. So what
the lists of `rule` refuse never reaches it, and what it accepts beyond them is what libsodium accepts: both decode A,
compute S*B - H(R, A, M)*A without the cofactor, and compare the canonical encoding with R byte for byte. What it does
not accept is no verdict yet: libsodium decides. An honest node hardly ever gets there, and a flood of bad signatures
costs one lane and one call of libsodium each, a quarter more than without lanes.

The pointers that the library wants are computed for a whole batch at once: keys, signatures and messages are joined,
and a pointer is a place in what was joined. All of it costs half a microsecond a signature, a twentieth of the check.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final

from node.ed25519.library import LaneCall
from node.ed25519.rule import HALF_BYTES, KEY_BYTES, REFUSED_KEYS, SIGNATURE_BYTES, SMALL_ORDER, has_low_s
from node.ed25519.sodium import verify

LANES: Final = 8
FEWEST: Final = 3
"""Signatures in a call from which it pays. It costs the same for one as for eight: what libsodium takes for two."""

_POINTER_BYTES: Final = 8
_CALL_BYTES: Final = LANES * _POINTER_BYTES
_ALL_VALID: Final = [True] * LANES
_R_OF: Final = itemgetter(slice(0, HALF_BYTES))
_LOW_S_TOP: Final = 0x10
"""S with a smaller top byte is below 2^252 and so below the group order. An honest S is, but for one in 2^126."""


class MultiLane:
    """A `Verifier` (choice.py) of eight lanes."""

    name: Final = "Intel crypto_mb"
    lanes: Final = LANES

    def __init__(self, call: LaneCall) -> None:
        self._call = call

    def verify_many(self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
        """As libsodium would say. Raises ValueError unless there are as many of each."""
        count = len(keys)
        if len(signatures) != count or len(messages) != count:
            raise ValueError(f"{count} keys, {len(signatures)} signatures, {len(messages)} messages")
        rest = count % LANES
        whole = count - rest if rest < FEWEST else count
        verdicts = self.accepted(keys[:whole], signatures[:whole], messages[:whole]) if whole else []
        verdicts += [False] * (count - whole)
        if False in verdicts:
            for index, is_valid in enumerate(verdicts):
                if not is_valid:
                    verdicts[index] = verify(keys[index], signatures[index], messages[index])
        return verdicts

    def accepted(self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
        """What the lanes accept. True is a verdict; False only says that libsodium has to be asked."""
        if _are_plain(keys, signatures):
            return self._run(keys, signatures, messages)
        verdicts = [False] * len(keys)
        plain = [index for index, key in enumerate(keys) if _is_plain(key, signatures[index])]
        if plain:
            chosen = itemgetter(*plain) if len(plain) > 1 else lambda items: (items[plain[0]],)
            found = self._run(chosen(keys), chosen(signatures), chosen(messages))
            for index, is_valid in zip(plain, found, strict=True):
                verdicts[index] = is_valid
        return verdicts

    def _run(self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]) -> list[bool]:
        """At least one of each, keys and signatures of the right length."""
        count = len(keys)
        # Named, so that they live until the last call: the pointers point into them.
        joined_keys, joined_signatures, joined_messages = b"".join(keys), b"".join(signatures), b"".join(messages)
        at_key, at_signature = _address(joined_keys), _address(joined_signatures)
        lengths = array("I", map(len, messages))
        to_messages = array("Q", accumulate(lengths, initial=_address(joined_messages)))
        to_messages.pop()  # where the next one would begin
        to_keys = array("Q", range(at_key, at_key + count * KEY_BYTES, KEY_BYTES))
        end = at_signature + count * SIGNATURE_BYTES
        to_r = array("Q", range(at_signature, end, SIGNATURE_BYTES))
        to_s = array("Q", range(at_signature + HALF_BYTES, end, SIGNATURE_BYTES))
        tables = (to_r, to_s, to_messages, lengths, to_keys)
        missing = -count % LANES
        if missing:
            # The library reads eight of everything. What fills up is the last one again.
            for table in tables:
                table.extend(table[-1:] * missing)
        r, s, m, n, k = (table.buffer_info()[0] for table in tables)
        call = self._call
        verdicts: list[bool] = []
        for at in range(0, len(to_r) * _POINTER_BYTES, _CALL_BYTES):
            status = call(r + at, s + at, m + at, n + at // 2, k + at)  # a length has half the bytes of a pointer
            verdicts += _ALL_VALID if status == 0 else [not status >> 4 * lane & 0xF for lane in range(LANES)]
        del verdicts[count:]
        return verdicts


def _are_plain(keys: Sequence[bytes], signatures: Sequence[bytes]) -> bool:
    """`_is_plain` of all, without a line of Python for each."""
    return (
        set(map(len, keys)) == {KEY_BYTES}
        and set(map(len, signatures)) == {SIGNATURE_BYTES}
        and max(map(itemgetter(SIGNATURE_BYTES - 1), signatures)) < _LOW_S_TOP
        and SMALL_ORDER.isdisjoint(map(_R_OF, signatures))
        and REFUSED_KEYS.isdisjoint(keys)
    )


def _is_plain(key: bytes, signature: bytes) -> bool:
    """Is this pair none of those that libsodium refuses and crypto_mb might not?"""
    return (
        len(key) == KEY_BYTES
        and len(signature) == SIGNATURE_BYTES
        and has_low_s(signature)
        and signature[:HALF_BYTES] not in SMALL_ORDER
        and key not in REFUSED_KEYS
    )


def _address(data: bytes) -> int:
    """Where the bytes lie in memory, as long as `data` lives."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
