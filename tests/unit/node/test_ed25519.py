"""Both verifiers follow the one rule; which of them a process uses is said and can be chosen."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from consensus.errors import ChainError
from node.crypto import SigningKey
from node.ed25519 import choice, library
from node.ed25519.choice import Verifier, WrongRule, choose, chosen
from node.ed25519.library import NotUsable, without_unused
from node.ed25519.multilane import LANES as LANE_COUNT
from node.ed25519.multilane import MultiLane
from node.ed25519.rule import NOT_CANONICAL, SMALL_ORDER
from node.ed25519.selftest import cases, first_difference
from node.ed25519.sodium import Sodium, verify
from node.ed25519.vectors import RFC_8032, SPECCHECK, Case
from tests.lanes import LANES, WHY_NOT

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ed25519"
WYCHEPROOF: list[dict[str, Any]] = json.loads((FIXTURES / "wycheproof.json").read_text())
KEY = SigningKey(bytes(range(32)))

needs_lanes = pytest.mark.skipif(LANES is None, reason=WHY_NOT)
verifiers = pytest.mark.parametrize(
    "verifier", [Sodium(), pytest.param(LANES, marks=needs_lanes)], ids=["libsodium", "crypto_mb"]
)


def ask(verifier: Verifier, items: Sequence[Case]) -> list[bool]:
    return verifier.verify_many([c.key for c in items], [c.signature for c in items], [c.message for c in items])


def signed(*messages: bytes) -> list[Case]:
    return [Case(KEY.public, KEY.sign(message), message) for message in messages]


def test_vectors_of_the_self_test_are_the_published_ones() -> None:
    published = json.loads((FIXTURES / "speccheck.json").read_text())
    assert [tuple(part.hex() for part in case) for case in SPECCHECK] == [
        (row["pub_key"], row["signature"], row["message"]) for row in published
    ]


@verifiers
def test_rfc_8032_vectors_are_valid(verifier: Verifier) -> None:
    assert ask(verifier, RFC_8032) == [True] * 4


@verifiers
def test_speccheck_only_the_mixed_order_case_is_accepted(verifier: Verifier) -> None:
    assert [number for number, valid in enumerate(ask(verifier, SPECCHECK)) if valid] == [3]


@verifiers
def test_wycheproof_vectors_give_the_published_results(verifier: Verifier) -> None:
    items = [Case(*(bytes.fromhex(row[name]) for name in ("pk", "sig", "msg"))) for row in WYCHEPROOF]
    assert ask(verifier, items) == [row["result"] == "valid" for row in WYCHEPROOF]


@verifiers
def test_self_test_passes(verifier: Verifier) -> None:
    assert first_difference(verifier.verify_many, verifier.lanes) is None
    assert {valid for _, valid in cases()} == {True, False}


@verifiers
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 10, 11, 16, 100])
def test_every_batch_size_is_answered_in_order(verifier: Verifier, count: int) -> None:
    items = signed(*(bytes(number) for number in range(count)))
    assert ask(verifier, items) == [True] * count
    for bad in {0, count // 2, count - 1} if count else ():
        mixed = list(items)
        mixed[bad] = Case(KEY.public, KEY.sign(b"other"), b"another")
        assert ask(verifier, mixed) == [number != bad for number in range(count)]


@verifiers
def test_a_bad_signature_does_not_spoil_its_neighbours(verifier: Verifier) -> None:
    bad = [case for case, valid in cases() if not valid]
    for number in range(len(bad)):
        items = signed(*(b"%d" % place for place in range(LANE_COUNT)))
        items[number % LANE_COUNT] = bad[number]
        assert ask(verifier, items) == [place != number % LANE_COUNT for place in range(LANE_COUNT)]


@verifiers
def test_wrong_lengths_are_invalid_not_an_error(verifier: Verifier) -> None:
    (good,) = signed(b"m")
    wrong = [
        Case(good.key[:size], good.signature[:length], good.message)
        for size, length in [(0, 64), (31, 64), (32, 0), (32, 63), (0, 0)]
    ] + [Case(good.key + b"\x00", good.signature, b"m"), Case(good.key, good.signature + b"\x00", b"m")]
    assert ask(verifier, [good, *wrong, good, good]) == [True] + [False] * len(wrong) + [True, True]
    with pytest.raises(ValueError):
        verifier.verify_many([good.key], [], [b"m"])


@verifiers
def test_messages_of_unlike_lengths_share_a_call(verifier: Verifier) -> None:
    items = signed(b"", bytes(100_000), b"x", bytes(128), bytes(127), b"", bytes(3), bytes(1_000))
    assert ask(verifier, items) == [True] * len(items)
    assert ask(verifier, signed(*[b""] * 8)) == [True] * 8


def test_lists_of_refused_encodings_are_complete() -> None:
    assert len(SMALL_ORDER) == 14
    assert len(NOT_CANONICAL) == 38
    assert len(SMALL_ORDER & NOT_CANONICAL) == 4


# What the lanes do not accept, libsodium decides


def test_what_the_library_refuses_is_asked_again() -> None:
    """A lane that is wrong about a valid signature changes no verdict."""
    refuses = MultiLane(lambda *addresses: 0xFFFF_FFFF)
    assert ask(refuses, signed(*[b"m"] * 20)) == [True] * 20


def test_what_the_rule_refuses_never_reaches_the_library() -> None:
    """A library that accepts everything: the prechecks must hold alone what they are for."""
    accepts = MultiLane(lambda *addresses: 0)
    kinds = [case for case, valid in cases() if not valid and not verify(*case)]
    refused = [
        case
        for case in kinds
        if case.key in SMALL_ORDER | NOT_CANONICAL or case.signature[:32] in SMALL_ORDER or case.signature[63] > 0x10
    ]
    assert len(refused) > 100
    assert ask(accepts, refused) == [False] * len(refused)


# The choice


def test_process_uses_lanes_wherever_they_work() -> None:
    verifier, reason = choose({})
    assert (verifier.lanes, verifier.name) == ((8, "Intel crypto_mb") if LANES else (1, "libsodium"))
    assert reason
    assert chosen() is chosen()


def test_environment_keeps_the_lanes_out() -> None:
    verifier, reason = choose({"WEAL_SIGNATURES": "libsodium"})
    assert (verifier.name, reason) == ("libsodium", "WEAL_SIGNATURES=libsodium")
    with pytest.raises(ChainError, match="the one value"):
        choose({"WEAL_SIGNATURES": "fast"})


@pytest.mark.parametrize("status", [0, 0xFFFF_FFFF, 0x1000_0000])
def test_library_that_gives_a_wrong_verdict_is_not_used(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(choice, "load", lambda: lambda *addresses: status)
    verifier, reason = choose({})
    assert verifier.name == "libsodium"
    assert "failed its test" in reason


def test_libsodium_with_another_rule_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer sources check the equation with the cofactor: speccheck 4 is then valid."""

    class Cofactored(Sodium):
        def verify_many(
            self, keys: Sequence[bytes], signatures: Sequence[bytes], messages: Sequence[bytes]
        ) -> list[bool]:
            found = super().verify_many(keys, signatures, messages)
            return [valid or item == SPECCHECK[4].signature for valid, item in zip(found, signatures, strict=True)]

    monkeypatch.setattr(choice, "Sodium", Cofactored)
    with pytest.raises(WrongRule, match="accepts an invalid signature"):
        choose({})


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "AMD64")])
def test_other_machines_have_no_lanes(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(NotUsable, match=f"no crypto_mb for {system} on {machine}"):
        library.load()


def test_unknown_build_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "libcrypto_mb.so").write_bytes(b"\x7fELF something newer")
    monkeypatch.setattr(library, "_find", lambda: tmp_path / "libcrypto_mb.so")
    with pytest.raises(NotUsable, match="not one that was tested"):
        library.load()


def test_absent_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "PACKAGE", "no-such-package-anywhere")
    with pytest.raises(NotUsable, match="is not installed"):
        library._find()


@pytest.mark.parametrize("image", [b"", b"MZ", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + bytes(200)])
def test_file_that_is_no_library_is_a_reason(image: bytes) -> None:
    with pytest.raises(NotUsable):
        without_unused(image)


@needs_lanes
def test_loaded_copy_asks_for_none_of_the_unused_libraries() -> None:
    image = library._find().read_bytes()
    copy = without_unused(image)
    changed = [place for place in range(0, len(image), 8) if image[place : place + 8] != copy[place : place + 8]]
    assert len(copy) == len(image)
    assert len(changed) == len(library.UNUSED)


def test_extra_and_lock_name_one_version() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    (extra,) = project["project"]["optional-dependencies"]["fast"]
    assert project["dependency-groups"]["fast"] == [extra]
    pin = extra.partition(";")[0].strip()
    assert f"\n{pin} ; " in (root / "requirements-fast.lock").read_text()
