"""How two nodes prove to each other who they are when a connection opens.

    dialer -> acceptor   Hello(version, genesis, own key, expected key, fresh X25519 key)
    acceptor -> dialer   Answer(fresh X25519 key, signature)
    dialer -> acceptor   Proof(signature)

Both sign the same transcript with their node keys: protocol version, genesis digest, both node keys, both fresh
keys, and which of the two is speaking. The fresh keys make every handshake different, so a recorded one proves
nothing later; naming both identities and the role, one made for somebody else cannot be passed on. The shared
secret of the fresh keys becomes one key per direction for the frames (`frames.py`).

Identity is the key in the member set, never the address: a relay, a tunnel or NAT may lie between.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
import nacl.bindings
from nacl.exceptions import CryptoError

from consensus.codec import decode, encode
from consensus.errors import DecodeError
from consensus.types import Digest, PublicKey, Signature, Wire
from node.crypto import SigningKey, verify
from node.errors import PeerError
from node.frames import Seal

VERSION: Final = 3
"""Of all that peers say to each other, the headers in their messages included. 2: a header has a transaction count.
3: proposals may be compact."""
MAX_HANDSHAKE_BYTES: Final = 1_024
_FRESH_BYTES: Final = 32

T = TypeVar("T")


class Refusal(PeerError):
    """The handshake failed. `reason` is one of a small closed set, for counters; the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Hello(Wire, frozen=True, tag=1):
    version: int
    genesis: bytes
    key: bytes
    expected: bytes
    """Whom the dialer wants to reach: an acceptor that is somebody else says so."""
    fresh: bytes


class Answer(Wire, frozen=True, tag=2):
    fresh: bytes
    signature: bytes


class Proof(Wire, frozen=True, tag=3):
    signature: bytes


class Secrets(msgspec.Struct, frozen=True):
    """What a finished handshake gives: seals for both directions, as seen from this side."""

    outgoing: Seal
    incoming: Seal


class _Side:
    def __init__(self, key: SigningKey, genesis: Digest) -> None:
        self._key = key
        self._genesis = genesis
        self._secret = secrets.token_bytes(_FRESH_BYTES)
        self._fresh = nacl.bindings.crypto_scalarmult_base(self._secret)

    def _transcript(self, role: str, hello: Hello, answer_fresh: bytes) -> bytes:
        fields = ("weal/peer/1", role, hello.version, hello.genesis, hello.key, hello.expected)
        return msgspec.msgpack.encode((*fields, hello.fresh, answer_fresh))

    def _secrets(self, other_fresh: bytes, transcript: bytes, *, is_dialer: bool) -> Secrets:
        try:
            shared = nacl.bindings.crypto_scalarmult(self._secret, other_fresh)
        except CryptoError as error:  # libsodium refuses keys of small order
            raise Refusal("bad handshake", f"unusable fresh key: {error}") from None
        bound = sha256(transcript).digest()
        from_dialer = sha256(b"weal/peer/1/from-dialer" + shared + bound).digest()
        from_acceptor = sha256(b"weal/peer/1/from-acceptor" + shared + bound).digest()
        outgoing, incoming = (from_dialer, from_acceptor) if is_dialer else (from_acceptor, from_dialer)
        return Secrets(Seal(outgoing), Seal(incoming))


class Dialer(_Side):
    """The side that opened the connection, to reach the node with key `expected`."""

    def __init__(self, key: SigningKey, genesis: Digest, expected: PublicKey) -> None:
        super().__init__(key, genesis)
        self._hello = Hello(version=VERSION, genesis=genesis, key=key.public, expected=expected, fresh=self._fresh)

    def hello(self) -> bytes:
        return encode(self._hello)

    def prove(self, data: bytes) -> tuple[bytes, Secrets]:
        """Check the acceptor's answer; gives the proof to send. Raises Refusal."""
        answer = _decode(Answer, data)
        transcript = self._transcript("acceptor", self._hello, answer.fresh)
        if len(answer.fresh) != _FRESH_BYTES or not verify(self._hello.expected, answer.signature, transcript):
            raise Refusal("bad signature", "whoever answers there does not hold the key of the expected peer")
        own = self._transcript("dialer", self._hello, answer.fresh)
        secrets = self._secrets(answer.fresh, own, is_dialer=True)
        return encode(Proof(signature=self._key.sign(own))), secrets


class Acceptor(_Side):
    """The side that was called. `is_peer` says whether a key is another replica of the member set."""

    def __init__(self, key: SigningKey, genesis: Digest, is_peer: Callable[[PublicKey], bool]) -> None:
        super().__init__(key, genesis)
        self._is_peer = is_peer
        self._hello: Hello | None = None

    def answer(self, data: bytes) -> tuple[bytes, PublicKey]:
        """Check the dialer's hello; gives the answer to send and who the dialer claims to be. Raises Refusal."""
        hello = _decode(Hello, data)
        if hello.version != VERSION:
            text = f"peer protocol {hello.version} where this node speaks {VERSION}: update the older of the two"
            raise Refusal("wrong version", text)
        if hello.genesis != self._genesis:
            raise Refusal("wrong genesis", f"the peer's genesis is {hello.genesis.hex()}, ours {self._genesis.hex()}")
        if not self._is_peer(PublicKey(hello.key)):
            raise Refusal("unknown key", f"key {hello.key.hex()} is not another replica of this chain")
        if hello.expected != self._key.public:
            raise Refusal("wrong address", f"the peer looks for {hello.expected.hex()}, which is not this node")
        if len(hello.fresh) != _FRESH_BYTES:
            raise Refusal("bad handshake", f"a fresh key of {len(hello.fresh)} bytes")
        self._hello = hello
        signature = self._key.sign(self._transcript("acceptor", hello, self._fresh))
        return encode(Answer(fresh=self._fresh, signature=signature)), PublicKey(hello.key)

    def finish(self, data: bytes) -> Secrets:
        """Check the dialer's proof. Raises Refusal."""
        if self._hello is None:
            raise Refusal("bad handshake", "a proof before a hello")
        proof = _decode(Proof, data)
        transcript = self._transcript("dialer", self._hello, self._fresh)
        if not verify(self._hello.key, Signature(proof.signature), transcript):
            raise Refusal("bad signature", "the peer does not hold the key it claims")
        return self._secrets(self._hello.fresh, transcript, is_dialer=False)


def _decode(kind: type[T], data: bytes) -> T:
    try:
        return decode(kind, data, MAX_HANDSHAKE_BYTES)
    except DecodeError as error:
        raise Refusal("bad handshake", f"not a handshake message: {error}") from None
