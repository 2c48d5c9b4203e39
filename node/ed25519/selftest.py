"""Does a verifier follow the rule? Asked of each one at the start, before any signature counts.

Of libsodium too: versions differ. Newer sources accept what holds with the cofactor only (speccheck 4 and 5), and a
node built with such a one would follow another chain than the rest as soon as somebody wanted it to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from node.ed25519.rule import HALF_BYTES, SMALL_ORDER
from node.ed25519.vectors import RFC_8032, SPECCHECK, SPECCHECK_VALID, Case
from node.edwards import FIELD, ORDER

Check = Callable[[Sequence[bytes], Sequence[bytes], Sequence[bytes]], list[bool]]
"""Keys, signatures, messages -> which are valid."""


def cases() -> list[tuple[Case, bool]]:
    """The known signatures and what was made of them, with the verdicts of the rule."""
    known = [(case, True) for case in RFC_8032]
    known += [(case, number == SPECCHECK_VALID) for number, case in enumerate(SPECCHECK)]
    return known + [(case, False) for valid in RFC_8032 for case in _spoiled(valid)]


def _spoiled(case: Case) -> Iterator[Case]:
    """Variants of a valid signature, none of them valid."""
    key, signature, message = case
    for place in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[place] ^= 1
        yield Case(key, bytes(changed), message)
    yield Case(bytes([key[0] ^ 1]) + key[1:], signature, message)
    yield Case(key, signature, message + b"\x00")
    s = int.from_bytes(signature[HALF_BYTES:], "little") + ORDER
    yield Case(key, signature[:HALF_BYTES] + s.to_bytes(32, "little"), message)
    for encoding in (*sorted(SMALL_ORDER), (FIELD + 3).to_bytes(32, "little")):
        yield Case(encoding, signature, message)
        yield Case(key, encoding + signature[HALF_BYTES:], message)


def first_difference(check: Check, lanes: int = 1) -> str | None:
    """None if `check` gives the rule's verdicts, else which case it gets wrong. With `lanes`, again and again, one
    place further on each time, so that every lane sees every case."""
    items = cases()
    for turn in range(lanes):
        turned = items[turn:] + items[:turn]
        found = check([c.key for c, _ in turned], [c.signature for c, _ in turned], [c.message for c, _ in turned])
        if len(found) != len(turned):
            return f"{len(found)} verdicts about {len(turned)} signatures"
        for (case, is_valid), verdict in zip(turned, found, strict=True):
            if verdict is not is_valid:
                said = "refuses a valid" if is_valid else "accepts an invalid"
                return f"it {said} signature: {case.signature.hex()} under {case.key.hex()}"
    return None
