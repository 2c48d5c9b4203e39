"""Portable proofs: what a transaction became, or what the state holds at a key, for anybody with the genesis file.

A bundle carries a header, the certificate by which a quorum made it final, and the path from the header to
the fact. Checking one needs no node, no network and no trust in whoever handed it over: only the genesis
file, which names the chain and the keys. `weal verify` does it; docs/protocol.md has the bytes.

No byte of a bundle can be changed so that it still verifies: there is one form for each statement, and whatever the
header does not commit to is left out, or bound to the question. That is the key of an absence: one page shows that
none of the keys that would lie on it is there, so which of them was asked for only the asker can say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from consensus.block import Header
from consensus.certificates import verify_commit_certificate
from consensus.codec import decode, encode
from consensus.errors import DecodeError, ProtocolViolation
from consensus.messages import CommitCertificate
from consensus.types import Wire
from node import merkle
from node.claims import keys
from node.claims.application import Receipt
from node.claims.genesis import Genesis
from node.claims.invariants import InvariantBroken
from node.claims.state import EncodedReads
from node.claims.statement import CannotFollow, recompute
from node.claims.transaction import MAX_TRANSACTION_BYTES, Transaction, decode_transaction
from node.claims.types import MAX_TIME_MS
from node.claims.wire import Malformed
from node.claims.wire import decode as decode_claims
from node.claims.words import Json
from node.crypto import verify
from node.errors import Unavailable
from node.executor import Executor
from node.genesis import domain, member_set
from node.merkle import StateProof
from node.state import StateDatabase
from node.store import BlockStore

FORMAT: Final = "weal/proof/2"
MAX_PROOF_BYTES: Final = 2 * 1024 * 1024
"""A transaction, its receipt, a certificate of 64 signatures and the paths, with room to spare."""
_FAMILY: Final = "weal/proof/"
_MAX_JSON_BYTES: Final = 5 * 1024 * 1024


class BadProof(ProtocolViolation):
    """The bundle does not prove anything on this chain. Says which step failed."""


class OtherFact(BadProof):
    """The bundle holds, but is about something else than what was asked for."""


class KeyNeeded(BadProof):
    """The bundle shows that nothing is at a key, and the key that was asked for was not given."""


class TransactionProof(Wire, frozen=True, tag=1):
    """A transaction and its receipt are in the block."""

    transaction: bytes
    """As sent, signature included."""
    receipt: bytes
    index: int
    """Position in the block; its receipt is leaf index + 1, after the clock's. The header has the trees' sizes."""
    transaction_path: tuple[bytes, ...]
    receipt_path: tuple[bytes, ...]


class RecordProof(Wire, frozen=True, tag=2):
    """The state after the block holds `value` at `key`; None: it holds nothing there."""

    key: bytes
    value: bytes | None
    proof: StateProof


class RecordsProof(Wire, frozen=True, tag=3):
    """All records that the statement of a member is computed from, and no others."""

    member: int
    records: tuple[RecordProof, ...]
    """Each once, in the order in which the computation first reads them: the member's own is the first."""


class ProofBundle(Wire, frozen=True):
    """Everything needed beside the genesis file."""

    format: str
    header: Header
    certificate: CommitCertificate
    fact: TransactionProof | RecordProof | RecordsProof


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle proved: transaction and receipt, or key and value, or a member and its statement."""

    header: Header
    transaction: Transaction | None = None
    receipt: Receipt | None = None
    index: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    member: int | None = None
    statement: Json | None = None
    """The member's statement, computed again here from the proven records."""


# -- making


def prove_transaction(executor: Executor, blocks: BlockStore, id: bytes) -> ProofBundle | None:
    """Proof of a committed transaction and its receipt, or None if it is not on the chain."""
    place = executor.locate(id)
    if place is None:
        return None
    height, index = place
    block, certificate = blocks.block_at(height), blocks.certificate_at(height)
    receipts = executor.receipt_bytes(height)
    assert block is not None and certificate is not None
    fact = TransactionProof(
        transaction=block.transactions[index],
        receipt=receipts[index + 1],
        index=index,
        transaction_path=merkle.rfc6962_proof(block.transactions, index),
        receipt_path=merkle.rfc6962_proof(receipts, index + 1),
    )
    return ProofBundle(format=FORMAT, header=block.header, certificate=certificate, fact=fact)


def prove_record(state: StateDatabase, blocks: BlockStore, key: bytes) -> ProofBundle:
    """Proof of what the state holds at `key` now. Raises Unavailable while only genesis is there."""
    tip = state.tip
    if tip is None or tip[0] == 0:
        raise Unavailable("no block is final yet, and only a final block's state can be proved: try again later")
    header, certificate = blocks.header_at(tip[0]), blocks.certificate_at(tip[0])
    assert header is not None and certificate is not None
    fact = RecordProof(key=key, value=state.record(key), proof=state.prove(key))
    return ProofBundle(format=FORMAT, header=header, certificate=certificate, fact=fact)


# -- checking


def verify_bundle(bundle: ProofBundle, genesis: Genesis, *, key: bytes | None = None) -> Proven:
    """What the bundle proves on the chain of `genesis`. Pure.

    `key` is the state key that was asked for; it cannot be left out where the answer is that nothing is there. The
    member set is that of genesis: the header must name it. Raises BadProof; its subclass OtherFact if the bundle is
    not about `key`, and KeyNeeded.
    """
    header, certificate = bundle.header, bundle.certificate
    members = member_set(genesis)
    _check_format(bundle.format)
    if header.genesis != genesis.digest:
        raise BadProof(f"it is of the chain {header.genesis.hex()}, not of this one ({genesis.digest.hex()})")
    if header.members != members.digest or header.epoch != members.epoch:
        raise BadProof("its header names another member set than the genesis file")
    if certificate.digest != header.digest or certificate.height != header.height:
        raise BadProof("its certificate is for another block")
    if not verify_commit_certificate(certificate, members, domain(genesis, members), verify):
        raise BadProof("its certificate does not hold the valid signatures of a quorum")
    fact = bundle.fact
    if isinstance(fact, RecordProof):
        return _verify_record(header, fact, key)
    if isinstance(fact, RecordsProof):
        proven = _verify_statement(header, fact, genesis)
    else:
        proven = _verify_transaction(header, fact)
    if key is not None:
        raise OtherFact(f"it holds, but is not about the record {key.hex()}, which was asked for")
    return proven


def _verify_record(header: Header, fact: RecordProof, asked: bytes | None) -> Proven:
    if not merkle.verify_state_proof(header.state_root, fact.key, fact.value, fact.proof):
        raise BadProof("the path from the record to the state root does not fit")
    if asked is None and fact.value is None:
        raise KeyNeeded("it shows that nothing is at some keys: whether at yours, it says only if you give the key")
    if asked is not None and fact.key != asked:
        raise OtherFact(f"it holds, but is about the record {fact.key.hex()}, and {asked.hex()} was asked for")
    return Proven(header=header, key=fact.key, value=fact.value)


class _Given(EncodedReads):
    """The records of a proof as a state, and nothing else. Notes in what order they are first read."""

    def __init__(self, records: dict[bytes, bytes | None]) -> None:
        self._records = records
        self.read: dict[bytes, None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key not in self._records:
            raise BadProof(f"it lacks the record {key.hex()}, which the statement needs")
        self.read[key] = None
        return self._records[key]

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        raise InvariantBroken("a statement reads records by their keys only")


def _verify_statement(header: Header, fact: RecordsProof, genesis: Genesis) -> Proven:
    records: dict[bytes, bytes | None] = {}
    for one in fact.records:
        if not merkle.verify_state_proof(header.state_root, one.key, one.value, one.proof):
            raise BadProof(f"the path from record {one.key.hex()} to the state root does not fit")
        records[one.key] = one.value
    if not 0 <= fact.member <= MAX_TIME_MS or keys.member(fact.member) not in records:
        raise BadProof(f"it lacks the record of member {fact.member}, which the statement needs")
    given = _Given(records)
    try:
        statement = recompute(genesis, given, fact.member)
    except (CannotFollow, InvariantBroken) as error:
        raise BadProof(f"the statement does not follow from its records: {error}") from error
    if statement is None:
        raise BadProof("there is no such member")
    # What is read depends on the member alone, so another member, or an absence of another key, does not fit in.
    if [one.key for one in fact.records] != list(given.read):
        raise BadProof("its records are not those of the statement, each once and in the order of reading")
    return Proven(header=header, member=fact.member, statement=statement)


def _verify_transaction(header: Header, fact: TransactionProof) -> Proven:
    leaf, path, count = fact.transaction, fact.transaction_path, header.transaction_count
    if not merkle.verify_rfc6962(header.transactions_root, leaf, fact.index, count, path):
        raise BadProof("the path from the transaction to the transactions root does not fit")
    leaf, path = fact.receipt, fact.receipt_path
    if not merkle.verify_rfc6962(header.receipts_root, leaf, fact.index + 1, count + 1, path):
        raise BadProof("the path from the receipt to the receipts root does not fit")
    try:
        transaction = decode_transaction(fact.transaction)
        receipt = decode_claims(Receipt, fact.receipt, MAX_PROOF_BYTES)
    except Malformed as error:
        raise BadProof(f"transaction or receipt cannot be read: {error}") from error
    if receipt.transaction != transaction.id:
        raise BadProof("the receipt is of another transaction")
    return Proven(header=header, transaction=transaction, receipt=receipt, index=fact.index)


# -- bytes and JSON


def encode_bundle(bundle: ProofBundle) -> bytes:
    return encode(bundle)


def decode_bundle(data: bytes) -> ProofBundle:
    """Raises BadProof."""
    try:
        return decode(ProofBundle, data, MAX_PROOF_BYTES)
    except DecodeError as error:
        # Another version's bundle has other fields; its name comes first in each, after two bytes of lengths.
        name = data[2 : 2 + len(FORMAT)].decode("ascii", "replace")
        if name.startswith(_FAMILY):
            _check_format(name)
        raise BadProof(f"it cannot be read: {error}") from error


def _check_format(name: object) -> None:
    if name != FORMAT:
        raise BadProof(
            f"its format is {name!r}, this version reads {FORMAT!r}: ask a node for the proof again, or check it with "
            "the version of weal that made it"
        )


def parse_bundle(data: bytes) -> ProofBundle:
    """A bundle from a file: its bytes, its JSON form, or an API answer with these bytes as hex in "bundle".

    Raises BadProof.
    """
    if data.lstrip()[:1] != b"{":
        return decode_bundle(data)
    if len(data) > _MAX_JSON_BYTES:
        raise BadProof(f"{len(data)} bytes where a proof in JSON has at most {_MAX_JSON_BYTES}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadProof(f"it is not JSON: {error}") from error
    for part in (document, document.get("proof"), document.get("data")):
        if isinstance(part, dict) and "bundle" in part:
            return decode_bundle(_bytes(part, "bundle"))
    return from_json(document)


def to_json(bundle: ProofBundle) -> dict[str, Any]:
    """Readable form: bytes as lower-case hex, named fields. `from_json` gives the same bundle back."""
    document: dict[str, Any] = {
        "format": bundle.format,
        "header": _named(bundle.header),
        "certificate": _named(bundle.certificate),
    }
    fact = bundle.fact
    if isinstance(fact, TransactionProof):
        document["transaction"] = _named(fact)
    elif isinstance(fact, RecordsProof):
        records = [{**_named(one), "proof": _named(one.proof)} for one in fact.records]
        document["statement"] = {"member": fact.member, "records": records}
    else:
        document["record"] = {**_named(fact), "proof": _named(fact.proof)}
    return document


def from_json(document: Mapping[str, Any]) -> ProofBundle:
    """Inverse of `to_json`, of which it takes exactly the output. Raises BadProof."""
    _check_format(document.get("format"))
    header = _part(document, "header")
    certificate = _part(document, "certificate")
    fact: TransactionProof | RecordProof | RecordsProof
    try:
        if sum(name in document for name in ("transaction", "record", "statement")) != 1:
            raise BadProof('it must have one of "transaction", "record" and "statement"')
        if "transaction" in document:
            part = _part(document, "transaction")
            paths = {name: _hashes(part, name) for name in ("transaction_path", "receipt_path")}
            raw, receipt = _bytes(part, "transaction"), _bytes(part, "receipt")
            if len(raw) > MAX_TRANSACTION_BYTES:
                raise BadProof(f"its transaction has {len(raw)} bytes, allowed are {MAX_TRANSACTION_BYTES}")
            fact = TransactionProof(transaction=raw, receipt=receipt, index=part["index"], **paths)
        elif "statement" in document:
            part = _part(document, "statement")
            fact = RecordsProof(member=part["member"], records=tuple(_record(one) for one in part["records"]))
        else:
            fact = _record(_part(document, "record"))
        numbers = ("epoch", "height", "time_ms", "transaction_count")
        signatures = tuple((replica, bytes.fromhex(signature)) for replica, signature in certificate["signatures"])
        fields = [header[name] if name in numbers else _bytes(header, name) for name in Header.__struct_fields__]
        digest = _bytes(certificate, "digest")
        bundle = (document["format"], fields, (certificate["view"], certificate["height"], digest, signatures), fact)
        # Encoding and decoding checks every type once more, so that JSON cannot bring in what bytes cannot.
        read = decode_bundle(encode(bundle))
        if to_json(read) != document:
            raise BadProof("it has fields that a proof does not have")
        return read
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadProof(f"it cannot be read: {error!r}") from error


def _record(part: Mapping[str, Any]) -> RecordProof:
    inner = _part(part, "proof")
    proof = StateProof(page=_bytes(inner, "page"), path=_hashes(inner, "path"))
    value = None if part["value"] is None else _bytes(part, "value")
    return RecordProof(key=_bytes(part, "key"), value=value, proof=proof)


def _named(struct: Wire | Header) -> dict[str, Any]:
    return {name: _plain(getattr(struct, name)) for name in struct.__struct_fields__}


def _plain(value: object) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    if not isinstance(part, dict):
        raise BadProof(f'it has no object "{name}"')
    return part


def _bytes(document: Mapping[str, Any], name: str) -> bytes:
    text = document.get(name)
    try:
        if isinstance(text, str) and (data := bytes.fromhex(text)).hex() == text:
            return data
    except ValueError:
        pass
    raise BadProof(f'"{name}" must be lower-case hex digits')


def _hashes(document: Mapping[str, Any], name: str) -> tuple[bytes, ...]:
    items = document.get(name)
    if not isinstance(items, list) or len(items) > merkle.MAX_DEPTH:
        raise BadProof(f'"{name}" must be a list of at most {merkle.MAX_DEPTH} hex strings')
    return tuple(_bytes({name: item}, name) for item in items)
