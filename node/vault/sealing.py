"""Client-side encryption of papers: one random key per item, chunks in a stream, padded to a bucket.

Plain bytes: length of the manifest (4 bytes), the manifest (salt, and name, size and SHA-256 of each paper), the
papers, zeros up to the bucket's size. They are encrypted with libsodium's secretstream (XChaCha20-Poly1305) in
chunks of 64 KiB, so that a chunk cannot be changed, left out, repeated, moved or cut off without notice. The
genesis digest is authenticated with each chunk: bytes of one chain mean nothing on another.

The commitment on the chain covers the papers and the encrypted bytes, with a salt that is inside them. So no
second key can open the bytes as other papers, and without the item's key the commitment says nothing.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple

import nacl.bindings as sodium
from msgspec import Meta
from nacl.exceptions import CryptoError

from node.claims.builders import EVIDENCE_SCHEMA, evidence_commitment
from node.claims.evidence.actions import MAX_BUCKET
from node.claims.wire import Malformed, Wire, decode, encode
from node.crypto import SigningKey
from node.vault.errors import DamagedBytes, SealError

KEY_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES
BOX_BYTES: Final = KEY_BYTES + 48
"""A sealed key: an ephemeral X25519 key, a tag, the key."""
CHUNK_BYTES: Final = 65_536
MAX_PAPERS: Final = 64
_HEADER_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_EXTRA_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_MESSAGE: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_LENGTH: Final = struct.Struct(">I")
_MAX_MANIFEST: Final = 32_768

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""


class Paper(NamedTuple):
    """A paper to seal: its name, and its content or the file that has it."""

    name: str
    content: bytes | Path


class PaperEntry(Wire, frozen=True, kw_only=True):
    """One paper in a manifest."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    size: Annotated[int, Meta(ge=0, le=2**40)]
    sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Manifest(Wire, frozen=True, kw_only=True):
    """What is in an item. It exists inside the encryption only."""

    schema: int
    salt: Annotated[bytes, Meta(min_length=32, max_length=32)]
    papers: Annotated[tuple[PaperEntry, ...], Meta(min_length=1, max_length=MAX_PAPERS)]

    @property
    def root(self) -> bytes:
        """As every commitment to papers has it: the digest of their digests."""
        return sha256(b"".join(paper.sha256 for paper in self.papers)).digest()


class Sealed(NamedTuple):
    """An encrypted item: what goes on the chain, and the key that does not."""

    commitment: bytes
    ciphertext: bytes
    bucket: int
    key: bytes


def bucket_bytes(bucket: int) -> int:
    """Plain bytes of an item in this bucket."""
    return 4_096 << bucket


def ciphertext_bytes(bucket: int) -> int:
    """Exact length of the encrypted bytes."""
    chunks = max(1, bucket_bytes(bucket) // CHUNK_BYTES)
    return _HEADER_BYTES + bucket_bytes(bucket) + chunks * _EXTRA_BYTES


def seal_papers(papers: Sequence[Paper], genesis: bytes, out: BinaryIO, progress: Progress | None = None) -> Sealed:
    """Encrypt `papers` into `out`. Raises SealError if they are too large or change meanwhile, OSError."""
    if not 1 <= len(papers) <= MAX_PAPERS:
        raise SealError(f"an item takes 1 to {MAX_PAPERS} papers, not {len(papers)}")
    manifest = Manifest(
        schema=EVIDENCE_SCHEMA, salt=secrets.token_bytes(32), papers=tuple(_entry(paper) for paper in papers)
    )
    head = encode(manifest)
    total = _LENGTH.size + len(head) + sum(paper.size for paper in manifest.papers)
    bucket = next((b for b in range(MAX_BUCKET + 1) if total <= bucket_bytes(b)), None)
    if bucket is None or len(head) > _MAX_MANIFEST:
        raise SealError(f"{total} bytes where at most {bucket_bytes(MAX_BUCKET)} fit into one item: make several items")
    key, digest = secrets.token_bytes(KEY_BYTES), sha256()

    def write(data: bytes) -> None:
        digest.update(data)
        out.write(data)

    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    write(sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key))
    size, done = bucket_bytes(bucket), 0
    for chunk in _chunks(_plain(head, papers, manifest), size):
        done += len(chunk)
        tag = _FINAL if done == size else _MESSAGE
        write(sodium.crypto_secretstream_xchacha20poly1305_push(state, chunk, _bound_to(genesis), tag))
        if progress is not None:
            progress(done, size)
    ciphertext = digest.digest()
    return Sealed(evidence_commitment(manifest.salt, manifest.root, ciphertext), ciphertext, bucket, key)


def open_papers(
    sealed: Sealed, genesis: bytes, source: BinaryIO, folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Decrypt an item into files in `folder`; none appears before all of it is proved to be what the chain has.

    Raises SealError if anything is wrong, or a file of that name is there already; OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".weal-{secrets.token_hex(8)}"
    draft.mkdir(mode=0o700)
    try:
        names = _write_out(sealed, genesis, source, draft, progress)
        taken = [name for name in names if (folder / name).exists()]
        if taken:
            raise SealError("a file of the same name is in that folder already: choose another folder")
        for name in names:
            os.rename(draft / name, folder / name)
        return [folder / name for name in names]
    finally:
        for left in draft.iterdir():
            left.unlink()
        draft.rmdir()


def _write_out(sealed: Sealed, genesis: bytes, source: BinaryIO, draft: Path, progress: Progress | None) -> list[str]:
    plain = _Plain(_decrypted(sealed, genesis, source, progress))
    (length,) = _LENGTH.unpack(plain.take(_LENGTH.size))
    try:
        manifest = decode(Manifest, plain.take(length) if length <= _MAX_MANIFEST else b"", _MAX_MANIFEST)
    except Malformed:
        raise SealError("the item has no readable manifest") from None
    if manifest.schema != EVIDENCE_SCHEMA:
        raise SealError("the item is packed in a way that this version does not know")
    if evidence_commitment(manifest.salt, manifest.root, sealed.ciphertext) != sealed.commitment:
        raise SealError("the item's manifest is not the one that the chain commits to")
    names: list[str] = []
    for number, paper in enumerate(manifest.papers, start=1):
        names.append(_safe_name(paper.name, number, names))
        digest, left = sha256(), paper.size
        with open(draft / names[-1], "xb", opener=_private) as file:
            while left:
                part = plain.take(min(left, CHUNK_BYTES))
                digest.update(part)
                file.write(part)
                left -= len(part)
        if digest.digest() != paper.sha256:
            raise SealError("a paper is not the one that the chain commits to")
    plain.finish()
    return names


def _decrypted(sealed: Sealed, genesis: bytes, source: BinaryIO, progress: Progress | None) -> Iterator[bytes]:
    """Plain chunks, each authenticated; after the last, the whole is compared with the chain's hash."""
    size, done, digest = bucket_bytes(sealed.bucket), 0, sha256()

    def read(count: int) -> bytes:
        data = source.read(count)
        if len(data) != count:
            raise DamagedBytes("the encrypted bytes are cut short")
        digest.update(data)
        return data

    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, read(_HEADER_BYTES), sealed.key)
    while done < size:
        part = min(CHUNK_BYTES, size - done)
        try:
            chunk, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(
                state, read(part + _EXTRA_BYTES), _bound_to(genesis)
            )
        except (CryptoError, RuntimeError, ValueError):
            raise DamagedBytes("the encrypted bytes were changed, or this is not their key") from None
        done += part
        if (tag == _FINAL) != (done == size):
            raise DamagedBytes("the encrypted bytes end where they should not")
        if progress is not None:
            progress(done, size)
        yield chunk
    if source.read(1) or digest.digest() != sealed.ciphertext:
        raise DamagedBytes("the encrypted bytes are not those that the chain commits to")


class _Plain:
    """Decrypted chunks as a stream that is read by length."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._buffer = chunks, b""

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise SealError("the item holds less than its manifest says")
            self._buffer += chunk
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def finish(self) -> None:
        """Reads the rest, which must be padding. Raises SealError."""
        if self._buffer.strip(b"\0") or any(chunk.strip(b"\0") for chunk in self._chunks):
            raise SealError("the item holds more than its manifest says")


def seal_key(key: bytes, recipient: bytes) -> bytes:
    """`key` for the owner of the Ed25519 account key `recipient` alone: a sealed box to the X25519 key that
    follows from it. Raises SealError if `recipient` is no usable public key."""
    try:
        return sodium.crypto_box_seal(key, sodium.crypto_sign_ed25519_pk_to_curve25519(recipient))
    except (CryptoError, RuntimeError, ValueError, TypeError):
        raise SealError("the recipient's key cannot be sealed to") from None


def unseal_key(box: bytes, owner: SigningKey) -> bytes:
    """The key in a sealed box. Raises SealError if it is not for `owner`."""
    try:
        public = sodium.crypto_sign_ed25519_pk_to_curve25519(owner.public)
        secret = sodium.crypto_sign_ed25519_sk_to_curve25519(owner.seed + owner.public)
        key = sodium.crypto_box_seal_open(box, public, secret)
    except (CryptoError, RuntimeError, ValueError, TypeError):
        raise SealError("this key cannot open the sealed key") from None
    if len(key) != KEY_BYTES:
        raise SealError("the sealed key has a wrong length")
    return key


def _bound_to(genesis: bytes) -> bytes:
    return b"weal/evidence/1\0" + genesis


def _entry(paper: Paper) -> PaperEntry:
    digest, size = sha256(), 0
    for part in _parts(paper):
        digest.update(part)
        size += len(part)
    return PaperEntry(name=paper.name[-255:] or "paper", size=size, sha256=digest.digest())


def _parts(paper: Paper) -> Iterator[bytes]:
    if isinstance(paper.content, bytes):
        yield paper.content
        return
    with paper.content.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            yield part


def _plain(head: bytes, papers: Sequence[Paper], manifest: Manifest) -> Iterator[bytes]:
    yield _LENGTH.pack(len(head)) + head
    for paper, entry in zip(papers, manifest.papers, strict=True):
        digest, size = sha256(), 0
        for part in _parts(paper):
            digest.update(part)
            size += len(part)
            if size > entry.size:
                break
            yield part
        if size != entry.size or digest.digest() != entry.sha256:
            raise SealError("a paper changed while it was read: try again")


def _chunks(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """`parts` padded with zeros to `size` bytes, in chunks."""
    step, left, buffer = min(CHUNK_BYTES, size), size, bytearray()
    for part in parts:
        buffer += part
        while len(buffer) >= step:
            yield bytes(buffer[:step])
            del buffer[:step]
            left -= step
    while left:
        yield bytes(buffer).ljust(step, b"\0")
        buffer.clear()
        left -= step


def _safe_name(name: str, number: int, taken: Sequence[str]) -> str:
    """A name that stays in its folder, whoever made the item."""
    base = "".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).lstrip(".")
    base = base.encode()[-200:].decode(errors="ignore") or f"paper-{number}"
    return base if base not in taken else f"{number}-{base}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
