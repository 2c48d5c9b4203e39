"""The group: what is let in, and that it is the group it says it is."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha512

import pytest

from node.crypto import SigningKey
from node.oprf import group
from node.oprf.ceremony import secret_of
from node.oprf.group import NotInGroup, scalar
from tests.unit.oprf import reference
from tests.unit.oprf.keys import stream


def torsion_points() -> list[bytes]:
    """The eight points of small order, the neutral one among them."""
    y = 3
    while True:
        x = reference.root((y * y - 1) * pow(reference.D * y * y + 1, -1, reference.P) % reference.P)
        if x is not None:
            point = reference.multiply((x, y), reference.L)
            if reference.multiply(point, 4) != reference.NEUTRAL:
                return [reference.encode(reference.multiply(point, number)) for number in range(8)]
        y += 1


BASE_POINT = reference.map_to_curve(b"1" * 32)
TORSION = torsion_points()


def decode(data: bytes) -> reference.Point:
    number = int.from_bytes(data, "little")
    y = number % 2**255
    x = reference.root((y * y - 1) * pow(reference.D * y * y + 1, -1, reference.P) % reference.P)
    assert x is not None
    return (x if x & 1 == number >> 255 else -x % reference.P, y)


BAD = {
    **{f"small order {number}": point for number, point in enumerate(TORSION)},
    **{
        f"mixed order {number}": reference.encode(reference.add(BASE_POINT, decode(point)))
        for number, point in enumerate(TORSION)
        if number
    },
    "not on the curve": (2).to_bytes(32, "little"),
    "y is the prime": reference.P.to_bytes(32, "little"),
    "y above the prime": (reference.P + 3).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
    "all zeros": bytes(32),
    "short": group.BASE[:31],
    "long": group.BASE + b"\0",
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_element_of_prime_order_is_refused_everywhere(name: str) -> None:
    assert not group.is_element(BAD[name])
    uses: list[Callable[[bytes], bytes]] = [
        group.check_element,
        lambda point: group.multiply(point, scalar(8)),
        lambda point: group.linear([(point, scalar(16))]),
    ]
    for use in uses:
        with pytest.raises(NotInGroup):
            use(BAD[name])


@pytest.mark.parametrize("name", ["not on the curve", "short", "long", "empty"])
def test_what_is_no_point_cannot_be_added(name: str) -> None:
    with pytest.raises(NotInGroup):
        group.add([group.BASE, BAD[name]])


@pytest.mark.parametrize("number", [0, group.ORDER, group.ORDER + 1, 2**255, 2**256 - 1])
def test_a_scalar_is_below_the_order_and_not_zero(number: int) -> None:
    with pytest.raises(NotInGroup):
        group.check_scalar(number.to_bytes(32, "little"))
    with pytest.raises(NotInGroup):
        group.multiply(group.BASE, number.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_scalar_has_32_bytes(size: int) -> None:
    with pytest.raises(NotInGroup):
        group.check_scalar(b"\1" * size)


@pytest.mark.parametrize("number", [1, 2, 3, 8, 2**200 + 5, group.ORDER - 1])
def test_multiplication_is_that_of_the_curve(number: int) -> None:
    assert group.multiply(reference.encode(BASE_POINT), scalar(number)) == reference.encode(
        reference.multiply(BASE_POINT, number)
    )


def test_hashing_into_the_group_is_two_cleared_elligator_maps_added() -> None:
    digest = sha512(reference.framed(b"tag", b"one", b"two")).digest()
    point = reference.add(reference.map_to_curve(digest[:32]), reference.map_to_curve(digest[32:]))
    assert group.hash_to_element(b"tag", b"one", b"two") == reference.encode(point)


def test_hashing_keeps_the_borders_between_its_parts() -> None:
    lists = [(b"t", b"ab", b"c"), (b"t", b"a", b"bc"), (b"ta", b"b", b"c"), (b"t", b"abc"), (b"t", b"ab", b"c", b"")]
    assert len({group.hash_to_element(*parts) for parts in lists}) == len(lists)


def test_the_secret_of_a_node_key_belongs_to_its_public_key() -> None:
    for number in range(8):
        seed = bytes([number]) * 32
        assert group.multiply_base(secret_of(seed)) == SigningKey(seed).public


def test_scalars_add_subtract_and_invert() -> None:
    read = stream("scalars")
    left, right = group.random_scalar(read), group.random_scalar(read)
    assert group.subtract_scalars(group.add_scalars([left, right]), right) == left
    assert group.multiply_scalars(group.multiply_scalars(left, right), group.invert_scalar(right)) == left
