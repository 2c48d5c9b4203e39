"""The verifiable random function, against the vectors of RFC 9381, appendix B.3 (examples 16 to 18)."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node import ecvrf
from node.crypto import SigningKey
from node.edwards import FIELD, ORDER, is_canonical, is_point

VECTORS = [
    # seed, public key, alpha, H, pi, beta
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "91bbed02a99461df1ad4c6564a5f5d829d0b90cfc7903e7a5797bd658abf3318",
        "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d97"
        "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
        "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af02679"
        "8e8f81cd2e333de5cdf4f3e140fdd8ae",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "5b659fc3d4e9263fd9a4ed1d022d75eaacc20df5e09f9ea937502396598dc551",
        "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465"
        "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
        "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848"
        "a0bef4553a41befc57663b56373a5031",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "bf4339376f5542811de615e3313d2b36f6f53c0acfebb482159711201192576a",
        "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0"
        "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
        "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241"
        "578be7217ba85a2687f7a0310b2df19f",
    ),
]


@pytest.mark.parametrize(("seed", "key", "alpha", "point", "proof", "output"), VECTORS)
def test_the_vectors_of_the_rfc(seed: str, key: str, alpha: str, point: str, proof: str, output: str) -> None:
    seed_bytes, key_bytes, alpha_bytes = bytes.fromhex(seed), bytes.fromhex(key), bytes.fromhex(alpha)
    assert ecvrf.public_key(seed_bytes) == key_bytes == SigningKey(seed_bytes).public
    assert ecvrf.encode_to_curve(key_bytes, alpha_bytes).hex() == point
    assert ecvrf.prove(seed_bytes, alpha_bytes).hex() == proof
    assert ecvrf.output_of(bytes.fromhex(proof)).hex() == output
    verified = ecvrf.verify(key_bytes, alpha_bytes, bytes.fromhex(proof))
    assert verified is not None and verified.hex() == output


def test_a_proof_with_any_bit_changed_is_refused() -> None:
    seed, _, alpha, _, proof, _ = VECTORS[2]
    key, good = ecvrf.public_key(bytes.fromhex(seed)), bytes.fromhex(proof)
    for bit in range(0, 8 * len(good), 3):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert ecvrf.verify(key, bytes.fromhex(alpha), bytes(bad)) is None


def test_a_proof_holds_for_its_key_and_input_only() -> None:
    seeds = [sha256(bytes([number])).digest() for number in range(2)]
    proof = ecvrf.prove(seeds[0], b"one")
    assert ecvrf.verify(ecvrf.public_key(seeds[0]), b"one", proof)
    assert ecvrf.verify(ecvrf.public_key(seeds[1]), b"one", proof) is None
    assert ecvrf.verify(ecvrf.public_key(seeds[0]), b"two", proof) is None


@pytest.mark.parametrize(
    "key", [b"", bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\xec" + b"\xff" * 30 + b"\x7f"], ids=bytes.hex
)
def test_keys_of_small_order_or_no_point_are_refused(key: bytes) -> None:
    """With such a key an output would not depend on the input."""
    assert not is_point(key)
    assert ecvrf.verify(key, b"", bytes(80)) is None


def test_a_scalar_at_or_above_the_order_is_refused() -> None:
    """Else each proof would have a second form."""
    seed, proof = VECTORS[0][0], VECTORS[0][4]
    good = bytes.fromhex(proof)
    scalar = int.from_bytes(good[48:], "little") + ORDER
    assert ecvrf.verify(ecvrf.public_key(bytes.fromhex(seed)), b"", good[:48] + scalar.to_bytes(32, "little")) is None


def test_decoding_takes_canonical_points_only() -> None:
    assert is_canonical((FIELD - 2).to_bytes(32, "little"))
    assert not is_canonical(FIELD.to_bytes(32, "little"))
    assert not is_canonical((1 | 1 << 255).to_bytes(32, "little"))
