"""The vault over real nodes: papers go in, come back to those the chain lets, and are gone when they are erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.api import vault_shapes
from node.api.call import Answer, Page
from node.claims import keys
from node.claims.calendar import day_number
from node.claims.evidence.actions import HoldEvidence, Purpose, Recipient
from node.claims.mutual_aid.actions import Enrol, FileClaim
from node.client import Account, Client, ClientError, Rejected
from node.crypto import SigningKey
from node.link import wall_ms
from node.proofs import decode_bundle, verify_bundle
from node.vault.client import (
    Added,
    add_evidence,
    anchor_openings,
    erase_evidence,
    fetch_evidence,
    grant_evidence,
    openings_of,
    show_evidence,
)
from node.vault.sealing import Paper
from node.vault.signed import authorization, read_receipt, receipt_holds
from tests.factories import new_member
from tests.unit.api.test_api_node import check
from tests.unit.node.nodes import NAMES, Cluster, running, until

MEMBER = SigningKey(bytes([77]) * 32)
STRANGER = SigningKey(bytes([78]) * 32)
CONTENT = b"found nothing against the claim " * 9_000
DAY_MS = 86_400_000


class Net:
    """Four nodes, an account of each organisation and of a member, all of whom ask every node."""

    def __init__(self, cluster: Cluster, client: Client) -> None:
        self.cluster, self.client = cluster, client
        self.accounts = {name: Account(client, key) for name, key in zip(NAMES, cluster.account_keys, strict=True)}
        self.member = Account(client, MEMBER)

    def recipient(self, name: str, purpose: Purpose = Purpose.REVIEW, days: int = 1) -> Recipient:
        key = self.accounts[name].key.public
        now_ms = self.cluster.nodes["a"].clock.now_ms()
        return Recipient(key=key, purpose=purpose, until_ms=now_ms + days * DAY_MS if days else 0)

    async def add(self, sender: str = "a", *, content: bytes = CONTENT, claim: int = 0) -> Added:
        return await add_evidence(self.accounts[sender], [Paper("report.pdf", content)], claim=claim)

    async def everywhere(self, number: int, names: tuple[str, ...]) -> None:
        """Until these nodes have bytes and keys."""
        nodes = [self.cluster.nodes[name] for name in names]
        await until(
            lambda: all(n.vault.load(number) is not None and n.keeper.waiting == 0 for n in nodes),
            "kept by its holders",
        )
        assert all(node.vault.store.has_blob(number) for node in nodes)


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    async with running(tmp_path) as cluster:
        urls = [f"http://127.0.0.1:{node.port}" for node in cluster.nodes.values()]
        async with Client(urls, patience_s=5) as client:
            yield Net(cluster, client)


async def test_papers_go_in_and_come_back_and_the_opening_is_on_record(net: Net, tmp_path: Path) -> None:
    item = await net.add()
    (paper,) = await fetch_evidence(net.accounts["a"], item.number, tmp_path / "out")
    assert paper.name == "report.pdf" and paper.read_bytes() == CONTENT
    (entry,) = await openings_of(net.accounts["a"], item.number)
    receipt = read_receipt(bytes.fromhex(entry.receipt))
    assert receipt is not None and receipt_holds(receipt)
    assert receipt.node == net.cluster.node_keys[0].public and receipt.item == item.commitment
    assert await anchor_openings(net.accounts["a"], item.number) == 1
    assert await anchor_openings(net.accounts["a"], item.number) == 0
    path = f"/v1/vault/items/{item.id}"
    await check(net.client, path, Answer[vault_shapes.ItemDetailView])
    await check(net.client, "/v1/vault/items", Page[vault_shapes.ItemView])
    openings = await check(net.client, f"{path}/openings", Page[vault_shapes.OpeningView])
    assert (openings.data[0].receipt, openings.data[0].served_by) == (entry.digest, "a")
    standing = await check(net.client, f"{path}/standing", Answer[vault_shapes.StandingView])
    assert not standing.data.is_destroyed


async def test_grant_opens_an_item_and_its_end_closes_it(net: Net, tmp_path: Path) -> None:
    item, d = await net.add(), net.accounts["d"]
    with pytest.raises(ClientError) as caught:
        await fetch_evidence(d, item.number, tmp_path / "d")
    assert caught.value.code == "E0441"
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    (paper,) = await fetch_evidence(d, item.number, tmp_path / "d")
    assert paper.read_bytes() == CONTENT
    # A recipient has no say: it cannot let others in.
    with pytest.raises(Rejected) as refused:
        await grant_evidence(d, item.number, net.recipient("b"))
    assert refused.value.code == "E1252"
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d", days=0))
    with pytest.raises(ClientError, match="over"):
        await fetch_evidence(d, item.number, tmp_path / "again")
    assert not list((tmp_path / "again").glob("*"))


async def test_new_holder_fetches_bytes_and_keys_from_the_others(net: Net, tmp_path: Path) -> None:
    item = await net.add()
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    await net.accounts["d"].submit([HoldEvidence(item=item.number)])
    await net.everywhere(item.number, ("a", "d"))
    store = net.cluster.nodes["d"].vault.store
    assert store.blob(item.number).read_bytes() == net.cluster.nodes["a"].vault.store.blob(item.number).read_bytes()
    await net.cluster.stop("a")
    (paper,) = await fetch_evidence(net.accounts["d"], item.number, tmp_path / "d")
    assert paper.read_bytes() == CONTENT


def traces(folder: Path, *needles: bytes) -> list[tuple[str, bytes]]:
    """Where any of `needles` lies in the files below `folder`."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [(str(path), needle) for path, data in files.items() for needle in needles if needle in data]


async def test_erasure_destroys_every_copy_and_leaves_state_and_proofs(net: Net, tmp_path: Path) -> None:
    item = await net.add()
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    await net.accounts["d"].submit([HoldEvidence(item=item.number)])
    await net.everywhere(item.number, ("a", "d"))
    nodes = [net.cluster.nodes[name] for name in ("a", "d")]
    boxes = [box for node in nodes for _, box in node.vault.store.boxes(item.number)]
    blob = nodes[0].vault.store.blob(item.number).read_bytes()
    needles = (*boxes, blob[100_000:100_032])
    assert len({path.split("/data/")[0] for path, _ in traces(tmp_path, *needles)}) == 2

    first = await erase_evidence(net.accounts["a"], item.number)
    assert (first.status, first.destroyed, first.signed, first.missing) == ("erasing", True, True, ("d",))
    # Nothing brings it back, so however patient a client is, it hears so at once.
    net.accounts["d"].client.http.patience_s = 86_400.0
    with pytest.raises(ClientError) as caught:
        await fetch_evidence(net.accounts["d"], item.number, tmp_path / "late")
    assert caught.value.code == "E0443"
    last = await erase_evidence(net.accounts["d"], item.number)
    assert (last.status, last.missing) == ("erased", ())
    assert await erase_evidence(net.accounts["d"], item.number) == last
    assert traces(tmp_path, *needles) == []
    assert all(node.vault.store.used_bytes == node.vault.store.items == 0 for node in nodes)

    answer = await net.client.get(f"/v1/vault/items/{item.id}", prove=True)
    proven = verify_bundle(decode_bundle(bytes.fromhex(answer["proof"]["bundle"])), net.cluster.genesis)
    assert proven.key == keys.item(item.number) and proven.value is not None and item.commitment in proven.value
    # A node that comes back has nothing to do, and one that was away would destroy its copy now.
    await net.cluster.stop("d")
    await net.cluster.start("d")
    await until(lambda: net.cluster.nodes["d"].keeper.waiting == 0, "settled")
    assert net.cluster.nodes["d"].vault.store.is_destroyed(item.number)


async def test_node_that_was_away_destroys_its_copy_when_it_is_back(net: Net) -> None:
    item = await net.add()
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    await net.accounts["d"].submit([HoldEvidence(item=item.number)])
    await net.everywhere(item.number, ("a", "d"))
    await net.cluster.stop("d")
    await erase_evidence(net.accounts["a"], item.number)
    await net.cluster.start("d")
    d = net.cluster.nodes["d"]
    await until(lambda: d.vault.store.is_destroyed(item.number), "destroyed after the start")
    assert not d.vault.store.has_blob(item.number) and not d.vault.store.boxes(item.number)
    last = await erase_evidence(net.accounts["d"], item.number)
    assert last.status == "erased"


async def test_evidence_of_an_open_claim_cannot_be_erased(net: Net, tmp_path: Path) -> None:
    people = (new_member(1, key=MEMBER.public),)
    await net.accounts["a"].submit([Enrol(plan="hospital-reimbursement", members=people)])
    claim = FileClaim(
        plan="hospital-reimbursement",
        member=1,
        ailment="H01",
        diagnosis_day=day_number(2020, 1, 1),
        accident=False,
        evidence=bytes(32),
        amount=100,
    )
    with pytest.raises(Rejected):
        await net.accounts["a"].submit([claim])
    # Cover begins tomorrow: what a claim does is shown in tests/unit/claims; here an item stands alone.
    item = await net.add()
    assert (await show_evidence(net.client, item.number))["status"] == "kept"


# --- attacks on the API


async def ask(net: Net, name: str, method: str, path: str, **request: object) -> tuple[int, bytes]:
    node = net.cluster.nodes[name]
    session = net.client.http.session()
    async with session.request(method, f"http://127.0.0.1:{node.port}{path}", **request) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.read()


def signed(
    net: Net, key: SigningKey, what: str, item: bytes, at_ms: int = 0, body: bytes | None = None
) -> dict[str, str]:
    more = () if body is None else (body,)
    genesis = net.cluster.genesis.digest
    return {"Authorization": authorization(key, genesis, what, item, at_ms or wall_ms(), *more)}  # type: ignore[arg-type]


async def test_requests_that_are_not_signed_as_they_should_be_are_refused(net: Net) -> None:
    item = await net.add()
    key, path = net.accounts["a"].key, f"/v1/vault/items/{item.id}"
    good = signed(net, key, "open", item.commitment)
    assert (await ask(net, "a", "POST", f"{path}/open", headers=good))[0] == 200
    for headers in (
        {},
        {"Authorization": "Bearer abc"},
        {"Authorization": good["Authorization"][:-2] + ("00" if good["Authorization"][-2:] != "00" else "01")},
        {"Authorization": "Weal " + "00" * 32 + ".1." + "00" * 64},
        {"Authorization": "x" * 5_000},
        signed(net, key, "fetch", item.commitment),
        signed(net, key, "open", bytes(32)),
        signed(net, key, "open", item.commitment, at_ms=wall_ms() - 600_000),
        signed(net, key, "open", item.commitment, at_ms=wall_ms() + 600_000),
    ):
        status, body = await ask(net, "a", "POST", f"{path}/open", headers=headers)
        assert status == 401, body
    status, body = await ask(net, "a", "POST", f"{path}/open", headers=signed(net, STRANGER, "open", item.commitment))
    assert status == 403
    assert (await ask(net, "b", "POST", f"{path}/open", headers=good))[0] == 421
    assert (await ask(net, "a", "POST", "/v1/vault/items/E-000099/open", headers=good))[0] == 404
    # The same signed request is one opening, however often it is sent.
    assert (await ask(net, "a", "POST", f"{path}/open", headers=good))[0] == 200
    assert len(await openings_of(net.accounts["a"], item.number)) == 1


async def test_nobody_but_recipients_and_holders_gets_bytes_keys_or_receipts(net: Net) -> None:
    item = await net.add()
    path = f"/v1/vault/items/{item.id}"
    nodes, accounts = net.cluster.node_keys, net.accounts
    for key, what, end, wanted in (
        (accounts["a"].key, "fetch", "bytes", 200),
        (nodes[0], "fetch", "bytes", 200),
        (nodes[1], "fetch", "bytes", 403),
        (accounts["b"].key, "fetch", "bytes", 403),
        (nodes[0], "keys", "keys", 200),
        (nodes[1], "keys", "keys", 403),
        (accounts["a"].key, "keys", "keys", 403),
        (accounts["a"].key, "receipts", "receipts", 200),
        (accounts["b"].key, "receipts", "receipts", 403),
    ):
        status, _ = await ask(net, "a", "GET", f"{path}/{end}", headers=signed(net, key, what, item.commitment))
        assert status == wanted, (what, key)


async def test_only_the_right_bytes_from_the_right_sender_are_taken(net: Net) -> None:
    item = await net.add()
    node = net.cluster.nodes["a"]
    record = node.vault.load(item.number)
    assert record is not None
    right = node.vault.store.blob(item.number).read_bytes()
    node.vault.store._db.write([(b"\x01" + item.number.to_bytes(8, "big"), None)], sync=True)
    path = f"/v1/vault/items/{item.id}/bytes"
    own = signed(net, net.accounts["a"].key, "store", item.commitment, body=record.ciphertext)
    octets = {"Content-Type": "application/octet-stream"}

    async def put(data: bytes, headers: dict[str, str]) -> int:
        return (await ask(net, "a", "PUT", path, data=data, headers={**octets, **headers}))[0]

    assert await put(right, {}) == 401
    assert await put(right, signed(net, net.accounts["b"].key, "store", item.commitment, body=record.ciphertext)) == 403
    assert await put(right, {**own, "Content-Type": "application/json"}) == 415
    assert await put(right, {**own, "Content-Encoding": "gzip"}) == 415
    assert await put(right[:-1], own) == 422
    assert await put(right + b"\0", own) == 422
    assert await put(right[:-1] + bytes([right[-1] ^ 1]), own) == 422
    assert await put(bytes(20_000_000), own) == 422
    assert await put(b"", own) == 422
    assert not list((net.cluster.folder / "a" / "data" / "vault" / "incoming").iterdir())
    assert await put(right, own) == 200
    assert node.vault.store.has_blob(item.number)
    assert await put(right, own) == 200


async def test_vault_that_is_full_takes_no_more_and_forgets_nothing(net: Net) -> None:
    item = await net.add()
    store = net.cluster.nodes["a"].vault.store
    store._max = store.used_bytes + 5_000
    with pytest.raises(ClientError) as caught:
        await net.add()
    assert caught.value.code == "E0507"
    assert store.has_blob(item.number) and store.items == 1
    await net.add(content=b"small")
    assert store._reserved == 0


async def test_sealed_keys_are_taken_from_the_granter_only(net: Net) -> None:
    item = await net.add()
    path = f"/v1/vault/items/{item.id}/keys/{net.accounts['d'].key.public.hex()}"
    from hashlib import sha256

    box = bytes(80)
    digest = sha256(net.accounts["d"].key.public + box).digest()

    async def put(key: SigningKey, body: dict[str, str] | None = None) -> int:
        headers = signed(net, key, "put-key", item.commitment, body=digest)
        return (await ask(net, "a", "PUT", path, json=body or {"sealed_key": box.hex()}, headers=headers))[0]

    assert await put(net.accounts["a"].key) == 403
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    assert await put(net.accounts["d"].key) == 403
    assert await put(STRANGER) == 403
    assert await put(net.accounts["a"].key, {"sealed_key": "zz"}) == 400
    assert await put(net.accounts["a"].key, {"sealed_key": (b"\1" * 80).hex()}) == 401
    assert await put(net.accounts["a"].key) == 200
    # Garbage from the granter harms nobody but its own grant: the recipient's client says so.
    with pytest.raises(Exception, match="cannot open the sealed key"):
        await fetch_evidence(net.accounts["d"], item.number, net.cluster.folder / "never")


async def test_bytes_tampered_with_on_a_holders_disk_are_noticed_by_the_reader(net: Net, tmp_path: Path) -> None:
    item = await net.add()
    blob = net.cluster.nodes["a"].vault.store.blob(item.number)
    data = blob.read_bytes()
    for wrong in (data[:-1] + bytes([data[-1] ^ 1]), data[:-100], data[65_577:] + data[:65_577]):
        blob.write_bytes(wrong)
        with pytest.raises(Exception, match="encrypted bytes"):
            await fetch_evidence(net.accounts["a"], item.number, tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    # With a second holder the reader gets the right ones from there.
    blob.write_bytes(data)
    await grant_evidence(net.accounts["a"], item.number, net.recipient("d"))
    await net.accounts["d"].submit([HoldEvidence(item=item.number)])
    await net.everywhere(item.number, ("a", "d"))
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for name in ("a", "d", "a"):
        (paper,) = await fetch_evidence(net.accounts[name], item.number, tmp_path / "right")
        assert paper.read_bytes() == CONTENT
        paper.unlink()
