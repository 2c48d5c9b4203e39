"""edwards25519 and the value function in slow, obvious Python, from the papers and not from node/oprf.

Affine arithmetic over the field, Elligator 2 as in RFC 9380 (6.7.1 and appendix D.1 for the birational map),
and the whole computation with the joint key known: what the threshold protocol must give without it.
"""

from __future__ import annotations

from hashlib import sha256, sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
A = 486662
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def root(square: int) -> int | None:
    """A square root, or None."""
    candidate = pow(square, (P + 3) // 8, P)
    for one in (candidate, candidate * pow(2, (P - 1) // 4, P) % P):
        if one * one % P == square % P:
            return one
    return None


def add(left: Point, right: Point) -> Point:
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def multiply(point: Point, factor: int) -> Point:
    total = NEUTRAL
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def map_to_curve(data: bytes) -> Point:
    """32 bytes: the low 255 bits are the field element, the top bit is the sign of x. Cofactor cleared."""
    number = int.from_bytes(data, "little")
    sign, r = number >> 255, number % 2**255 % P
    u = -A * pow(1 + 2 * r * r, -1, P) % P
    if root(u * (u * u + A * u + 1) % P) is None:
        u = -u - A
    u %= P
    y = (u - 1) * pow(u + 1, -1, P) % P
    x = root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    assert x is not None
    return multiply((x if x & 1 == sign else -x % P, y), 8)


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def value(genesis: bytes, epoch: int, kind: int, text: bytes, key: int) -> bytes:
    """What the holders of `key` make together of an input."""
    scope = genesis + epoch.to_bytes(2, "big")
    digest = sha512(framed(b"weal/oprf/input/1", scope, bytes([kind]), text)).digest()
    point = add(map_to_curve(digest[:32]), map_to_curve(digest[32:]))
    result = encode(multiply(point, key))
    return sha256(framed(b"weal/oprf/value/1", scope, bytes([kind]), text, result)).digest()
