"""Evidence from the side of those who own and read it: add, fetch, grant, erase.

    item = await add_evidence(account, [Paper("report.pdf", Path("report.pdf"))], claim=45)
    paths = await fetch_evidence(account, item.number, Path("papers"))
    await erase_evidence(account, item.number)

Keys are made, sealed and opened here and nowhere else; a node never sees one. What a node answers is not believed:
the bytes must be those that the chain commits to. (The chain's record is the node's word unless it is proved.)
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

import msgspec

from node.api.problems import ERASED, NOT_FOUND, NOT_HOLDER
from node.api.vault_shapes import ReceiptOfOpening
from node.claims.evidence.actions import (
    MAX_OPENINGS,
    ConfirmErasure,
    EraseEvidence,
    GrantEvidence,
    Opening,
    Purpose,
    Recipient,
    RecordOpening,
    RegisterEvidence,
)
from node.claims.ids import claim_text, item_id, item_text
from node.claims.types import DAY_MS
from node.client import Account, Client, ClientError, NodeUnavailable, NotFound, Outcome
from node.client.http import decoded
from node.link import wall_ms
from node.vault.errors import DamagedBytes, SealError
from node.vault.sealing import (
    CHUNK_BYTES,
    Paper,
    Progress,
    Sealed,
    ciphertext_bytes,
    open_papers,
    seal_key,
    seal_papers,
    unseal_key,
)
from node.vault.signed import NOTHING, What, authorization, read_receipt, receipt_holds

T = TypeVar("T")
DAYS: Final = 30
"""How long a grant lasts unless told otherwise."""
PURPOSE_OF_STEP: Final = {
    "intake": Purpose.INVESTIGATION,
    "filed": Purpose.INVESTIGATION,
    "investigated": Purpose.REVIEW,
    "objected": Purpose.DISPUTE,
    "settled": Purpose.PAYMENT,
}
"""Status of a claim -> what the organisation that it waits for needs its evidence for."""
_PAUSE_S: Final = 0.1


class Added(NamedTuple):
    """A new item."""

    number: int
    commitment: bytes
    outcome: Outcome

    @property
    def id(self) -> str:
        return item_text(self.number)


class Erasure(NamedTuple):
    """How far an erasure is."""

    status: str
    destroyed: bool
    """This organisation's own copy is gone."""
    signed: bool
    """And the organisation has signed that."""
    missing: tuple[str, ...]
    """Holders that have not signed."""


async def add_evidence(
    account: Account,
    papers: Sequence[Paper],
    *,
    claim: int = 0,
    recipients: Sequence[Recipient] = (),
    progress: Progress | None = None,
    timeout_s: float = 30.0,
) -> Added:
    """Seal `papers` here, register the item, and give bytes and sealed keys to a holder.

    Without `recipients`: the sender, the claimant's own key, and the organisation that the claim waits for.
    Raises SealError, ClientError, OSError.
    """
    genesis, _ = await account.chain()
    readers = tuple(recipients) or await usual_recipients(account, claim)
    with tempfile.TemporaryFile() as file:
        sealed = await asyncio.to_thread(seal_papers, papers, genesis, file, progress)
        return await send_sealed(account, sealed, file, claim=claim, recipients=readers, timeout_s=timeout_s)


async def send_sealed(
    account: Account,
    sealed: Sealed,
    file: BinaryIO,
    *,
    claim: int = 0,
    recipients: Sequence[Recipient] = (),
    timeout_s: float = 30.0,
) -> Added:
    """As `add_evidence`, for an item that is sealed already into `file`."""
    readers = tuple(recipients) or await usual_recipients(account, claim)
    boxes = [(reader.key, seal_key(sealed.key, reader.key)) for reader in readers]
    action = RegisterEvidence(
        claim=claim,
        commitment=sealed.commitment,
        ciphertext=sealed.ciphertext,
        bucket=sealed.bucket,
        recipients=readers,
    )
    outcome = await account.submit([action], timeout_s=timeout_s)
    events = (outcome.receipt or {}).get("events", ())
    number = next(item_id(event["evidence"]) for event in events if event["what"] == "evidence-registered")
    header = await _header(account, "store", sealed.commitment, sealed.ciphertext)
    await _patiently(account.client, lambda: _upload(account.client, number, file, header))
    for recipient, box in boxes:
        await _put_key(account, number, sealed.commitment, recipient, box)
    return Added(number, sealed.commitment, outcome)


async def usual_recipients(account: Account, claim: int, *, days: int = DAYS) -> tuple[Recipient, ...]:
    """Who needs an item of this claim now; the sender first."""
    client = account.client
    until_ms = (await account.chain())[1] + days * DAY_MS
    found = {bytes(account.key.public): Purpose.OWN_ACCESS}
    if claim:
        record = await client.claim(claim_text(claim))
        purpose = PURPOSE_OF_STEP.get(record["status"])
        if record["assigned"] and purpose is not None:
            for key in (await client.organisation(record["assigned"]))["account_keys"]:
                found.setdefault(bytes.fromhex(key), purpose)
        own = (await client.member(record["member"]))["key"]
        if own:
            found.setdefault(bytes.fromhex(own), Purpose.OWN_ACCESS)
    return tuple(Recipient(key=key, purpose=purpose, until_ms=until_ms) for key, purpose in found.items())


async def show_evidence(client: Client, number: int) -> dict[str, Any]:
    """The chain's record of an item, with its grants."""
    record: dict[str, Any] = (await client.get(f"/v1/vault/items/{item_text(number)}"))["data"]
    return record


async def fetch_evidence(
    account: Account, number: int, folder: Path, *, progress: Progress | None = None
) -> list[Path]:
    """Open an item with the account's key and write its papers into `folder`. It leaves a receipt at the holder.

    Raises SealError if anything is not what the chain commits to, ClientError, OSError.
    """
    genesis, _ = await account.chain()
    sealed = await _opened(account, number)
    header = await _header(account, "fetch", sealed.commitment)
    http, wrong = account.client.http, SealError("no holder has the bytes that the chain commits to")
    for _ in http.urls:
        with tempfile.TemporaryFile() as file:
            fetch = partial(_download, account.client, number, file, sealed.bucket, header)
            url = await _patiently(account.client, fetch)
            file.seek(0)
            try:
                return await asyncio.to_thread(open_papers, sealed, genesis, file, folder, progress)
            except DamagedBytes as error:
                # Its disk, or its intentions: another holder may have the right ones.
                wrong = error
                http.next_node(url)
    raise wrong


async def grant_evidence(account: Account, number: int, recipient: Recipient, *, timeout_s: float = 30.0) -> Outcome:
    """Let one more key open an item: a grant on the chain, and the item's key sealed to it at a holder.

    The account must be able to open the item itself. Ending a grant (until_ms 0) takes the transaction only.
    """
    action = GrantEvidence(item=number, recipient=recipient)
    if recipient.until_ms == 0:
        return await account.submit([action], timeout_s=timeout_s)
    sealed = await _opened(account, number)
    box = seal_key(sealed.key, recipient.key)
    outcome = await account.submit([action], timeout_s=timeout_s)
    await _put_key(account, number, sealed.commitment, recipient.key, box)
    return outcome


async def erase_evidence(account: Account, number: int, *, timeout_s: float = 30.0) -> Erasure:
    """Ask for the erasure, if nobody has; and for a holder, sign once its own node has destroyed its copy.

    Safe to repeat. Raises Rejected if something holds the item, NodeUnavailable if the own node is not there.
    """
    client = account.client
    if (await show_evidence(client, number))["status"] == "kept":
        await account.submit([EraseEvidence(item=number)], timeout_s=timeout_s)
    own = (await client.get(f"/v1/senders/{account.key.public.hex()}"))["data"]
    record = await show_evidence(client, number)
    name = None if own["member"] else own["organisation"]
    destroyed = name in record["signed"]
    if name in record["missing"]:
        await _destroyed(client, number, str(name), timeout_s)
        destroyed = True
        await account.submit([ConfirmErasure(item=number)], timeout_s=timeout_s)
        record = await show_evidence(client, number)
    return Erasure(record["status"], destroyed, name in record["signed"], tuple(record["missing"]))


async def openings_of(account: Account, number: int) -> list[ReceiptOfOpening]:
    """Receipts of openings that a holder's node has signed, each checked. Raises SealError if one does not hold."""
    record = await show_evidence(account.client, number)
    header = await _header(account, "receipts", bytes.fromhex(record["commitment"]))
    answer = await account.client.http.request(
        "GET", f"/v1/vault/items/{item_text(number)}/receipts", headers={"Authorization": header}
    )
    found = msgspec.convert(answer["data"], list[ReceiptOfOpening])
    for entry in found:
        receipt = read_receipt(bytes.fromhex(entry.receipt))
        if receipt is None or not receipt_holds(receipt) or receipt.digest.hex() != entry.digest:
            raise SealError("a receipt of an opening is not signed as it should be")
    return found


async def anchor_openings(account: Account, number: int, *, timeout_s: float = 30.0) -> int:
    """Put the receipts of this organisation's node that are not on the chain yet there; answers how many."""
    known = {entry["receipt"] async for entry in account.client.pages(f"/v1/vault/items/{item_text(number)}/openings")}
    fresh = [entry for entry in await openings_of(account, number) if entry.digest not in known]
    for start in range(0, len(fresh), MAX_OPENINGS):
        openings = tuple(
            Opening(
                item=number,
                recipient=bytes.fromhex(entry.recipient),
                opened_ms=entry.opened_ms,
                receipt=bytes.fromhex(entry.digest),
            )
            for entry in fresh[start : start + MAX_OPENINGS]
        )
        await account.submit([RecordOpening(openings=openings)], timeout_s=timeout_s)
    return len(fresh)


async def _opened(account: Account, number: int) -> Sealed:
    """The item with its key, from a holder."""
    record = await show_evidence(account.client, number)
    commitment = bytes.fromhex(record["commitment"])
    header = await _header(account, "open", commitment)

    async def ask() -> Any:
        return await account.client.http.request(
            "POST", f"/v1/vault/items/{item_text(number)}/open", headers={"Authorization": header}
        )

    answer = (await _patiently(account.client, ask))["data"]
    key = unseal_key(bytes.fromhex(answer["sealed_key"]), account.key)
    return Sealed(commitment, bytes.fromhex(record["ciphertext"]), int(record["bucket"]), key)


async def _put_key(account: Account, number: int, commitment: bytes, recipient: bytes, box: bytes) -> None:
    header = await _header(account, "put-key", commitment, sha256(recipient + box).digest())
    path = f"/v1/vault/items/{item_text(number)}/keys/{recipient.hex()}"
    body = msgspec.json.encode({"sealed_key": box.hex()})

    async def put() -> Any:
        return await account.client.http.request("PUT", path, body=body, headers={"Authorization": header})

    await _patiently(account.client, put)


async def _header(account: Account, what: What, commitment: bytes, body: bytes = NOTHING) -> str:
    genesis, _ = await account.chain()
    return authorization(account.key, genesis, what, commitment, wall_ms(), body)


async def _destroyed(client: Client, number: int, organisation: str, timeout_s: float) -> None:
    """Wait until the node of `organisation`, one of those that the client knows, has destroyed its copy."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    path = f"/v1/vault/items/{item_text(number)}/standing"
    while True:
        seen = False
        for url in client.http.urls:
            try:
                async with client.http.session().get(url + path) as answer:
                    content = decoded(url, answer.status, answer.content_type, await answer.read())["data"]
            except (TimeoutError, ClientError, OSError):
                continue
            seen = seen or content["organisation"] == organisation
            if content["organisation"] == organisation and content["is_destroyed"]:
                return
        if loop.time() >= end_s:
            what = "has not destroyed its copy yet" if seen else "is not among the nodes asked"
            raise NodeUnavailable(
                f"the node of {organisation} {what}",
                code="",
                hint="The signature says that the copy is gone, so the organisation's own node must confirm it.",
                retryable=True,
            )
        await asyncio.sleep(_PAUSE_S)


async def _patiently(client: Client, attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat while a node is merely behind: one that has not seen the item's block, or not got its bytes."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + client.http.patience_s
    telling: ClientError | None = None
    while True:
        url = client.http.url
        try:
            return await attempt()
        except ClientError as error:
            # What a holder says is worth more than that another node is none.
            telling = error if telling is None or error.code not in (NOT_HOLDER.code, NOT_FOUND.code) else telling
            if error.code == ERASED.code:
                raise
            if not (error.retryable or isinstance(error, NotFound)) or loop.time() + _PAUSE_S >= end_s:
                raise telling from None
        client.http.next_node(url)
        await asyncio.sleep(_PAUSE_S)


async def _upload(client: Client, number: int, file: BinaryIO, header: str) -> None:
    import aiohttp

    url = client.http.url
    headers = {"Authorization": header, "Content-Type": "application/octet-stream"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=client.http.timeout_s, sock_read=60)
    size = file.seek(0, 2)
    file.seek(0)
    headers["Content-Length"] = str(size)

    async def parts() -> AsyncIterator[bytes]:
        while part := file.read(CHUNK_BYTES):
            yield part

    try:
        async with client.http.session().put(
            f"{url}/v1/vault/items/{item_text(number)}/bytes", data=parts(), headers=headers, timeout=timeout
        ) as answer:
            decoded(url, answer.status, answer.content_type, await answer.read())
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise NodeUnavailable(f"sending to {url} broke off ({type(error).__name__})", code="", retryable=True) from None


async def _download(client: Client, number: int, file: BinaryIO, bucket: int, header: str) -> str:
    """Answers which node sent the bytes."""
    import aiohttp

    url, most = client.http.url, ciphertext_bytes(bucket)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=client.http.timeout_s, sock_read=60)
    file.seek(0)
    file.truncate()
    try:
        async with client.http.session().get(
            f"{url}/v1/vault/items/{item_text(number)}/bytes", headers={"Authorization": header}, timeout=timeout
        ) as answer:
            if answer.status != 200:
                decoded(url, answer.status, answer.content_type, await answer.content.read(CHUNK_BYTES))
                raise NodeUnavailable(f"{url} answers {answer.status}", code="", retryable=True)
            async for part in answer.content.iter_chunked(CHUNK_BYTES):
                file.write(part)
                if file.tell() > most:
                    break
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise NodeUnavailable(
            f"fetching from {url} broke off ({type(error).__name__})", code="", retryable=True
        ) from None
    return url
