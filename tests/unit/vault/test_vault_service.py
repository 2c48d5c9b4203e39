"""Who is served, for how long, and what a receipt proves: without nodes, on a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from node.claims.evidence.actions import EraseEvidence, GrantEvidence, Purpose, Recipient, RegisterEvidence
from node.claims.types import DAY_MS, HOUR_MS
from node.claims.wire import encode
from node.crypto import SigningKey
from node.vault.errors import Refusal, VaultRefused
from node.vault.sealing import BOX_BYTES, ciphertext_bytes
from node.vault.service import VaultService
from node.vault.signed import (
    FRESH_MS,
    NOTHING,
    Receipt,
    What,
    authorization,
    read_authorization,
    read_receipt,
    receipt_holds,
)
from node.vault.store import VaultStore
from tests.factories import Chain, make_genesis, person

NODES = [SigningKey(bytes([11 + index]) * 32) for index in range(4)]
ACCOUNTS = [SigningKey(bytes([21 + index]) * 32) for index in range(4)]
DATA = bytes(range(256)) * 17
BOX = bytes([5]) * BOX_BYTES
BYTES = DATA.ljust(ciphertext_bytes(0), b"\1")[: ciphertext_bytes(0)]
COMMITMENT = person(1)


class Vault:
    """Node a of a chain on which account a has registered item 1, granted to a for good and to b for an hour."""

    def __init__(self, path: Path) -> None:
        genesis = make_genesis(
            node_keys=[key.public for key in NODES], account_keys=[key.public for key in ACCOUNTS], plans=()
        )
        self.chain, self.wall_ms = Chain(genesis), 1_000_000_000
        self.store = VaultStore(path, genesis.digest, 1_000_000)
        self.service = VaultService(
            self.store,
            self.chain.application.registry,
            NODES[0],
            "a",
            lambda: self.chain.state,
            lambda: self.chain.now_ms,
            lambda: self.wall_ms,
        )
        action = RegisterEvidence(
            claim=0,
            commitment=COMMITMENT,
            ciphertext=sha256(BYTES).digest(),
            bucket=0,
            recipients=(self.reader(0, 24 * 30), self.reader(1, 1)),
        )
        assert self.chain.do(ACCOUNTS[0].public, action).code == 0

    def reader(self, index: int, hours: int) -> Recipient:
        until_ms = self.chain.now_ms + hours * HOUR_MS
        return Recipient(key=ACCOUNTS[index].public, purpose=Purpose.REVIEW, until_ms=until_ms)

    def header(self, key: SigningKey, what: What, *, body: bytes = NOTHING, at_ms: int = 0) -> str:
        return authorization(key, self.chain.digest, what, COMMITMENT, at_ms or self.wall_ms, body)

    async def put(self, key: SigningKey, *parts: bytes) -> None:
        header = self.header(key, "store", body=sha256(BYTES).digest())
        await self.service.put_blob(1, header, arriving(*(parts or (BYTES,))))

    async def put_key(self, key: SigningKey, recipient: int) -> None:
        reader = bytes(ACCOUNTS[recipient].public)
        digest = sha256(reader + BOX).digest()
        await self.service.put_key(1, reader, BOX, digest, self.header(key, "put-key", body=digest))

    def open(self, key: SigningKey) -> tuple[bytes, Receipt]:
        return self.service.open(1, self.header(key, "open"))


async def arriving(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    yield made
    made.store.close()


def refusal(caught: pytest.ExceptionInfo[VaultRefused]) -> Refusal:
    return caught.value.why


async def test_grant_serves_until_its_time_and_not_a_moment_longer(vault: Vault) -> None:
    await vault.put(ACCOUNTS[0])
    await vault.put_key(ACCOUNTS[0], 1)
    until_ms = vault.chain.now_ms - 1 + HOUR_MS
    vault.chain.until(until_ms - 1)
    assert vault.open(ACCOUNTS[1])[0] == BOX
    assert vault.service.blob(1, vault.header(ACCOUNTS[1], "fetch"))[1] == len(BYTES)
    vault.chain.until(until_ms)
    for ask in (
        lambda: vault.open(ACCOUNTS[1]),
        lambda: vault.service.blob(1, vault.header(ACCOUNTS[1], "fetch")),
    ):
        with pytest.raises(VaultRefused, match="over") as caught:
            ask()
        assert refusal(caught) is Refusal.NOT_ENTITLED
    assert vault.service.blob(1, vault.header(NODES[0], "fetch"))


async def test_requests_are_fresh_for_five_minutes_both_ways(vault: Vault) -> None:
    await vault.put_key(ACCOUNTS[0], 0)
    signed = vault.header(ACCOUNTS[0], "open")
    start = vault.wall_ms
    for off, good in ((-FRESH_MS, True), (FRESH_MS, True), (-FRESH_MS - 1, False), (FRESH_MS + 1, False)):
        vault.wall_ms = start + off
        if good:
            assert vault.service.open(1, signed)[0] == BOX
        else:
            with pytest.raises(VaultRefused) as caught:
                vault.service.open(1, signed)
            assert refusal(caught) is Refusal.BAD_SIGNATURE
    assert vault.service.openings == 1


async def test_receipt_binds_recipient_node_item_and_time(vault: Vault) -> None:
    await vault.put_key(ACCOUNTS[0], 0)
    _, receipt = vault.open(ACCOUNTS[0])
    assert receipt_holds(receipt) and read_receipt(encode(receipt)) == receipt
    assert receipt.recipient == ACCOUNTS[0].public and receipt.node == NODES[0].public
    for changed in (
        replace(receipt, item=person(2)),
        replace(receipt, recipient=bytes(ACCOUNTS[1].public)),
        replace(receipt, node=bytes(NODES[1].public)),
        replace(receipt, purpose=Purpose.COURT),
        replace(receipt, opened_ms=receipt.opened_ms + 1),
        replace(receipt, asked_ms=receipt.asked_ms + 1),
        replace(receipt, genesis=person(3)),
        replace(receipt, signature=bytes(64)),
    ):
        assert not receipt_holds(changed)
    assert read_receipt(b"\x99") is None and read_receipt(encode(receipt) + b"\0") is None
    assert [entry.digest for entry in vault.service.receipts(1, vault.header(ACCOUNTS[0], "receipts"))] == [
        receipt.digest
    ]


async def test_an_item_comes_once_at_a_time(vault: Vault) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield BYTES[:10]
        with pytest.raises(VaultRefused) as caught:
            await vault.put(ACCOUNTS[0])
        assert refusal(caught) is Refusal.FULL
        yield BYTES[10:]

    item = vault.service.load(1)
    assert item is not None
    await vault.service.take_in(1, item, slow())
    assert vault.store.has_blob(1)


async def test_bytes_that_arrive_during_an_erasure_are_not_kept(vault: Vault) -> None:
    async def late() -> AsyncIterator[bytes]:
        yield BYTES
        assert vault.chain.do(ACCOUNTS[0].public, EraseEvidence(item=1)).code == 0

    item = vault.service.load(1)
    assert item is not None
    with pytest.raises(VaultRefused) as caught:
        await vault.service.take_in(1, item, late())
    assert refusal(caught) is Refusal.ERASED and not vault.store.has_blob(1)
    for ask in (vault.put(ACCOUNTS[0]), vault.put_key(ACCOUNTS[0], 0)):
        with pytest.raises(VaultRefused) as gone:
            await ask
        assert refusal(gone) is Refusal.ERASED
    await vault.service.destroy(1)
    assert vault.service.standing(1).is_destroyed


async def test_sealed_key_needs_a_live_grant(vault: Vault) -> None:
    with pytest.raises(VaultRefused, match="no grant"):
        await vault.put_key(ACCOUNTS[0], 3)
    end = GrantEvidence(item=1, recipient=replace(vault.reader(1, 1), until_ms=0))
    assert vault.chain.do(ACCOUNTS[0].public, end).code == 0
    with pytest.raises(VaultRefused, match="over"):
        await vault.put_key(ACCOUNTS[0], 1)
    vault.chain.wait(days=40)
    assert vault.chain.now_ms > 30 * DAY_MS
    with pytest.raises(VaultRefused, match="over"):
        await vault.put_key(ACCOUNTS[0], 0)


@pytest.mark.parametrize(
    "header",
    [
        *("", "Weal", "Weal ..", "Weal a.b.c", "Bearer x", "Weal " + "é" * 64 + ".1." + "0" * 128),
        *("Weal " + "0" * 64 + ".-1." + "0" * 128, "Weal " + "0" * 64 + "." + "9" * 17 + "." + "0" * 128),
        *("Weal " + "0" * 64 + ".1." + "0" * 128 + ".", "Weal " + "z" * 64 + ".1." + "0" * 128, "x" * 10_000),
    ],
)
def test_malformed_headers_are_none_of_ours(header: str) -> None:
    assert read_authorization(header) is None
