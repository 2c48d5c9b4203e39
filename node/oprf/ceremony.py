"""Making the key without a dealer: every organisation deals shares of a secret of its own, and all are added.

Pedersen's key generation with Feldman's commitments, over the chain: what it carries is the same for everybody
and signed, which spares the protocol its own broadcast. One dealing holds

- the commitments to the dealer's polynomial, and a proof that it knows the constant,
- an ephemeral key with a proof that it knows its secret,
- for each holder, the share sealed to the holder's node key, through the ephemeral one.

A node finds its share on the chain with the key it has anyway: there is no share file to lose or to leak. A
holder whose share does not fit the commitments opens just this one by showing the shared Diffie-Hellman element
with a proof; everybody can then tell whether the dealer or the accuser lied (`judge`). As the dealer must know
the secret of its ephemeral key, it cannot use such an opening to have somebody else's share opened.

No single dealer knows or chooses the key: the constants of the others are added. A dealer that deals last can
try several dealings and so bias a few bits of the public commitments, which gives it nothing about values.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from hashlib import sha256, sha512

import msgspec
import nacl.bindings
import nacl.exceptions

from node.oprf.group import (
    ORDER,
    NotInGroup,
    Randomness,
    add_scalars,
    check_element,
    is_element,
    multiply,
    multiply_base,
    random_scalar,
)
from node.oprf.proofs import PROOF_BYTES, prove_known, prove_same, verify_known, verify_same
from node.oprf.sharing import commitments, is_share, public_at, random_polynomial, sum_of_commitments, value_at

BOX_BYTES = 48
"""A sealed share: 32 bytes and libsodium's authenticator of 16."""
_NO_NONCE = bytes(24)
"""Each sealing key is used once."""


class Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody knows before the first dealing."""

    genesis: bytes
    epoch: int
    threshold: int
    holders: tuple[bytes, ...]
    """Node keys (Ed25519) of the share holders; holder 1 first."""

    def context(self, dealer: int, purpose: bytes) -> bytes:
        """Binds proofs and sealing keys to chain, epoch, dealer and purpose."""
        head = b"weal/oprf/ceremony/1" + self.genesis + self.epoch.to_bytes(2, "big") + dealer.to_bytes(2, "big")
        return head + self.threshold.to_bytes(2, "big") + sha256(b"".join(self.holders)).digest() + purpose


class Dealing(msgspec.Struct, frozen=True, kw_only=True):
    """What one dealer puts on the chain."""

    commitments: tuple[bytes, ...]
    ephemeral: bytes
    proofs: bytes
    """Of the constant, then of the ephemeral key."""
    boxes: tuple[bytes, ...]
    """Sealed shares, that of holder 1 first."""


class Verdict(Enum):
    """Who is at fault after an accusation."""

    DEALER = "the dealer: the share it sealed does not fit its commitments"
    ACCUSER = "the accuser: its opening is not proved, or the share fits"


def secret_of(seed: bytes) -> bytes:
    """The secret scalar of an Ed25519 key (RFC 8032, 5.1.5), reduced: times B it is the public key."""
    clamped = bytearray(sha512(seed).digest()[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 63 | 64
    return (int.from_bytes(clamped, "little") % ORDER).to_bytes(32, "little")


def deal(ceremony: Ceremony, dealer: int, randomness: Randomness) -> Dealing:
    """A fresh dealing. Raises NotInGroup if a holder's key cannot be sealed to."""
    polynomial = random_polynomial(ceremony.threshold, randomness)
    ephemeral = random_scalar(randomness)
    boxes = []
    for holder, key in enumerate(ceremony.holders, start=1):
        sealing = _sealing_key(ceremony, dealer, holder, multiply_base(ephemeral), multiply(key, ephemeral))
        boxes.append(nacl.bindings.crypto_secretbox(value_at(polynomial, holder), _NO_NONCE, sealing))
    constant = prove_known(polynomial[0], ceremony.context(dealer, b"constant"), randomness)
    return Dealing(
        commitments=commitments(polynomial),
        ephemeral=multiply_base(ephemeral),
        proofs=constant + prove_known(ephemeral, ceremony.context(dealer, b"ephemeral"), randomness),
        boxes=tuple(boxes),
    )


def _sealing_key(ceremony: Ceremony, dealer: int, holder: int, ephemeral: bytes, shared: bytes) -> bytes:
    purpose = b"seal" + holder.to_bytes(2, "big") + ephemeral + shared
    return sha256(ceremony.context(dealer, purpose)).digest()


def dealing_problem(ceremony: Ceremony, dealer: int, dealing: Dealing) -> str | None:
    """What anybody can see is wrong with a dealing, in words; None if it is well formed."""
    if len(dealing.commitments) != ceremony.threshold or len(dealing.boxes) != len(ceremony.holders):
        return "it has the wrong number of commitments or shares"
    if not all(is_element(element) for element in (*dealing.commitments, dealing.ephemeral)):
        return "a commitment is no element of the group"
    first, second = dealing.proofs[:PROOF_BYTES], dealing.proofs[PROOF_BYTES:]
    if not verify_known(dealing.commitments[0], ceremony.context(dealer, b"constant"), first):
        return "the proof of its secret does not hold"
    if not verify_known(dealing.ephemeral, ceremony.context(dealer, b"ephemeral"), second):
        return "the proof of its ephemeral key does not hold"
    return None


def _unseal(ceremony: Ceremony, dealer: int, dealing: Dealing, holder: int, shared: bytes) -> bytes | None:
    """The share of a holder if it opens and fits the commitments."""
    key = _sealing_key(ceremony, dealer, holder, dealing.ephemeral, shared)
    try:
        share = nacl.bindings.crypto_secretbox_open(dealing.boxes[holder - 1], _NO_NONCE, key)
    except nacl.exceptions.CryptoError:
        return None
    return share if is_share(dealing.commitments, holder, share) else None


def open_share(ceremony: Ceremony, dealer: int, dealing: Dealing, holder: int, secret: bytes) -> bytes | None:
    """The holder's share of this dealing; None if the dealer cheated. `secret` is that of the holder's node key."""
    if dealing_problem(ceremony, dealer, dealing) is not None:
        return None
    return _unseal(ceremony, dealer, dealing, holder, multiply(dealing.ephemeral, secret))


def accuse(
    ceremony: Ceremony, dealer: int, dealing: Dealing, holder: int, secret: bytes, randomness: Randomness
) -> tuple[bytes, bytes]:
    """(opening, proof): shows this one share to everybody. Only for a dealing that `open_share` refused.

    Nothing is opened for a dealing that is malformed: that shows without an opening. Raises ValueError.
    """
    if dealing_problem(ceremony, dealer, dealing) is not None:
        raise ValueError("the dealing is malformed for all to see: no share needs to be opened")
    shared = multiply(dealing.ephemeral, secret)
    if _unseal(ceremony, dealer, dealing, holder, shared) is not None:
        raise ValueError("the share is good: opening it would give it away")
    context = ceremony.context(dealer, b"accuse" + holder.to_bytes(2, "big"))
    return shared, prove_same(secret, [dealing.ephemeral], [shared], context, randomness)


def judge(ceremony: Ceremony, dealer: int, dealing: Dealing, holder: int, opening: bytes, proof: bytes) -> Verdict:
    """Whether an accusation convicts the dealer or who raised it."""
    if dealing_problem(ceremony, dealer, dealing) is not None:
        return Verdict.DEALER
    context = ceremony.context(dealer, b"accuse" + holder.to_bytes(2, "big"))
    if not verify_same(ceremony.holders[holder - 1], [dealing.ephemeral], [opening], context, proof):
        return Verdict.ACCUSER
    is_good = _unseal(ceremony, dealer, dealing, holder, opening) is not None
    return Verdict.ACCUSER if is_good else Verdict.DEALER


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """The joint key as everybody knows it."""

    genesis: bytes
    epoch: int
    threshold: int
    commitments: tuple[bytes, ...]
    shares: tuple[bytes, ...]
    """Each holder's share times B, holder 1 first: what partial values are checked against."""


def public_key(ceremony: Ceremony, dealings: Mapping[int, Dealing]) -> PublicKey:
    """The key that these dealings add up to. Raises NotInGroup unless all are well formed."""
    for dealer, dealing in dealings.items():
        if problem := dealing_problem(ceremony, dealer, dealing):
            raise NotInGroup(f"the dealing of holder {dealer}: {problem}")
    committed = sum_of_commitments([dealing.commitments for dealing in dealings.values()])
    for element in committed:
        check_element(element)
    return PublicKey(
        genesis=ceremony.genesis,
        epoch=ceremony.epoch,
        threshold=ceremony.threshold,
        commitments=committed,
        shares=tuple(public_at(committed, holder) for holder in range(1, len(ceremony.holders) + 1)),
    )


def key_share(
    ceremony: Ceremony, dealings: Mapping[int, Dealing], holder: int, secret: bytes
) -> tuple[bytes | None, tuple[int, ...]]:
    """(share of the joint key, dealers who cheated this holder); the share is None unless nobody did."""
    opened = {number: open_share(ceremony, number, dealing, holder, secret) for number, dealing in dealings.items()}
    cheats = tuple(number for number, share in opened.items() if share is None)
    if cheats or not opened:
        return None, cheats
    return add_scalars(share for share in opened.values() if share is not None), ()
