"""Finds Intel's crypto_mb, which the optional package `ipp-crypto` brings, and loads it without what it does not need.

The library is linked against four runtime libraries of Intel's compiler (41 MB, under a licence of their own) and
uses not one symbol of them. They are left out by loading a copy that lives in memory only, in which those four names
are replaced by the name of the C library, needed anyway. Nothing can go missing unnoticed: the library asks the
loader to resolve every symbol at once, so a copy that lacked one would not load. Stand-in libraries with the four
names would do as well, but whatever else this process loads would then find them instead of the real ones.

Only builds known here are loaded, by their SHA-256: a verifier that differs forks the chain, so the one that runs is
the one that was tested, byte for byte.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from consensus.errors import ChainError

PACKAGE: Final = "ipp-crypto"
_FILE: Final = "libcrypto_mb.so"

KNOWN_BUILDS: Final = frozenset(
    {
        "75adfaef19bd54503b1403b34b00a885fb3690235839559ca8119cc608745d0c",  # ipp-crypto 2026.2.0
    }
)
"""SHA-256 of the library files that were compared with libsodium (tests/property/test_ed25519.py)."""

UNUSED: Final = frozenset({b"libsvml.so", b"libirng.so", b"libimf.so", b"libintlc.so.5"})
_C_LIBRARY: Final = b"libc.so.6"

LaneCall = Callable[[int, int, int, int, int], int]
"""Addresses of 8 pointers to R, 8 to S, 8 to messages, 8 lengths (uint32), 8 pointers to keys -> status, four bits a
lane from the lowest, 0 where the signature holds."""

_LOAD, _DYNAMIC = 1, 2  # segment types
_NEEDED, _STRING_TABLE = 1, 5  # tags of the dynamic section
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_ENTRY: Final = struct.Struct("<QQ")


class NotUsable(ChainError):
    """crypto_mb cannot be used here; the message says why. Never a failure: libsodium does the work."""


def load() -> LaneCall:
    """The eight-lane verification of an installed and known crypto_mb, on a processor that has what it needs.

    Raises NotUsable.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 2**32:
        raise NotUsable(f"there is no crypto_mb for {sys.platform} on {platform.machine()}")
    image = _find().read_bytes()
    digest = sha256(image).hexdigest()
    if digest not in KNOWN_BUILDS:
        raise NotUsable(f"this build of crypto_mb is not one that was tested (SHA-256 {digest})")
    # PyDLL: these calls keep the interpreter lock. They run inline, 80 us each; a lock given up after every one comes
    # back only after the switch interval, 5 ms, whenever another thread is busy.
    library = _load_image(without_unused(image))
    try:
        is_applicable, call = library.mbx_is_crypto_mb_applicable, library.mbx_ed25519_verify_mb8
    except AttributeError as error:
        raise NotUsable(f"crypto_mb lacks a function: {error}") from error
    is_applicable.argtypes, is_applicable.restype = [ctypes.c_uint64], ctypes.c_int
    if not is_applicable(0):
        raise NotUsable("the processor has no AVX-512 IFMA")
    call.argtypes, call.restype = [ctypes.c_void_p] * 5, ctypes.c_uint32
    lanes: LaneCall = call
    return lanes


def _find() -> Path:
    """Where the package manager put the library. Raises NotUsable."""
    # Here and not above: it takes 20 ms to import, and most commands check no signatures in numbers.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise NotUsable(f"the package {PACKAGE} is not installed") from None
    for file in files:
        path = Path(str(file.locate()))
        if path.name == _FILE and path.is_file():
            return path
    raise NotUsable(f"the package {PACKAGE} holds no {_FILE}")


def without_unused(image: bytes) -> bytes:
    """A copy of a 64-bit little-endian shared library that does not ask for the libraries in `UNUSED`.

    Raises NotUsable if it is not such a library. Source: System V ABI, "Object Files" and "Dynamic Linking".
    """
    patched = bytearray(image)
    try:
        if image[:6] != b"\x7fELF\x02\x01":
            raise NotUsable("crypto_mb is no 64-bit ELF file")
        (first,), (count,) = struct.unpack_from("<Q", image, 32), struct.unpack_from("<H", image, 56)
        headers = [_PROGRAM_HEADER.unpack_from(image, first + number * _PROGRAM_HEADER.size) for number in range(count)]
        start, size = next((header[2], header[5]) for header in headers if header[0] == _DYNAMIC)
        places = range(start, start + size, _ENTRY.size)
        entries = [(place, *_ENTRY.unpack_from(image, place)) for place in places]
        address = next(value for _, tag, value in entries if tag == _STRING_TABLE)
        # An address in memory, as the segments are laid out there; `strings` is its place in the file.
        strings = next(
            address - header[3] + header[2]
            for header in headers
            if header[0] == _LOAD and header[3] <= address < header[3] + header[5]
        )
        needed = {
            place: (value, image[strings + value : image.index(0, strings + value)])
            for place, tag, value in entries
            if tag == _NEEDED
        }
        stand_in = next(value for value, name in needed.values() if name == _C_LIBRARY)
        for place, (_, name) in needed.items():
            if name in UNUSED:
                _ENTRY.pack_into(patched, place, _NEEDED, stand_in)
    except (struct.error, StopIteration, ValueError) as error:
        raise NotUsable(f"crypto_mb is no library that can be read: {error!r}") from error
    return bytes(patched)


def _load_image(image: bytes) -> ctypes.PyDLL:
    """Load a library from memory. Raises NotUsable, for example without OpenSSL 3 on the machine."""
    try:
        handle = os.memfd_create(_FILE)
        try:
            with open(handle, "wb", closefd=False) as file:
                file.write(image)
            return ctypes.PyDLL(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
    except OSError as error:
        raise NotUsable(f"crypto_mb does not load: {error}") from error
