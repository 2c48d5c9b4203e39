"""Builds the CometBFT peer: a Go program of ours around the released module, pinned by go.mod and go.sum.

The binary is kept under build/ by the hash of its sources and of the Go version, so that a changed line is never
measured with yesterday's binary and an unchanged one costs no build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

from benchmarks.peers.peer import PeerUnavailable

SOURCE: Final = Path(__file__).resolve().parent / "cometbft"
BUILD: Final = Path(__file__).resolve().parents[2] / "build" / "peers"
_BUILD_TIMEOUT_S: Final = 1_200.0


def version() -> str:
    """The CometBFT release that go.mod pins."""
    found = re.search(r"github\.com/cometbft/cometbft (v\S+)", (SOURCE / "go.mod").read_text(encoding="utf-8"))
    return found[1] if found else "(no version in go.mod)"


def go_command() -> str:
    """Path of the Go toolchain. Raises PeerUnavailable."""
    go = shutil.which("go")
    if go is None:
        raise PeerUnavailable(
            f"CometBFT {version()} is left out: there is no `go` in PATH. "
            "With Go 1.25 or later (https://go.dev/dl) the same command measures it too."
        )
    return go


def build() -> Path:
    """The peer's binary, built if there is none for these sources. Raises PeerUnavailable."""
    go = go_command()
    target = BUILD / f"cometbft-{_fingerprint(go)}"
    if target.is_file():
        return target
    BUILD.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    # Modules come through Go's own proxy and are compared with go.sum; -mod=readonly lets a build change neither.
    command = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(unfinished), "."]
    try:
        subprocess.run(command, cwd=SOURCE, check=True, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S)
        unfinished.replace(target)
    except subprocess.CalledProcessError as error:
        tail = "\n".join(f"  {line}" for line in error.stderr.strip().splitlines()[-8:])
        raise PeerUnavailable(f"CometBFT {version()} is left out: it could not be built.\n{tail}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(
            f"CometBFT {version()} is left out: the build took longer than {_BUILD_TIMEOUT_S:.0f} s."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _fingerprint(go: str) -> str:
    digest = sha256(subprocess.run([go, "version"], check=True, capture_output=True, timeout=60).stdout)
    sources = [path for path in SOURCE.glob("*.go") if not path.name.endswith("_test.go")]
    for path in sorted([*sources, SOURCE / "go.mod", SOURCE / "go.sum"]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
