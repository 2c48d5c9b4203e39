"""Node processes: started in sessions of their own, and never left behind by a parent that dies.

A process started with `tied=True` holds the read end of a pipe whose write end only the parent has. When the
parent ends, however it ends, the pipe closes and the node stops; nothing has to be cleaned up by hand. A
detached process has no pipe and is known again by its pid together with the moment it began.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from consensus.errors import ChainError
from node.ed25519.choice import VARIABLE

LOG_FILE: Final = "node.log"
CONFIG_FILE: Final = "node.toml"
_LOG_TAIL_BYTES: Final = 8_192
_POLL_S: Final = 0.02


class LocalnetError(ChainError):
    """A node of the local cluster did not do what was asked. The message ends with its last log lines."""


class Tie:
    """The write end of the pipe that tied processes watch. Closing it, or dying, stops them."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def close(self) -> None:
        for descriptor in (self.read_end, self._write_end):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def start(folder: Path, tie: Tie | None) -> subprocess.Popen[bytes]:
    """Start the node configured in `folder`; its output goes to `node.log` there."""
    command = [sys.executable, "-m", "node.cli", "node", "start", str(folder), "--log-format", "console"]
    if tie is not None:
        command += ["--parent-fd", str(tie.read_end)]
    package_folder = str(Path(__file__).resolve().parents[2])
    # The folder of this very package comes first, so that a checkout starts its own code from anywhere.
    path = os.pathsep.join([package_folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    # What overrides a node's configuration stays here; who checks signatures is meant for all of them.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WEAL_") or key == VARIABLE}
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(tie.read_end,) if tie is not None else (),
            env={**inherited, "PYTHONPATH": path},
        )


def started_at(pid: int) -> str:
    """When the process with this pid began, in the system's words; "" if there is none (or only its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, timeout=5, check=False)
        return done.stdout.decode(errors="replace").strip()
    return ""


def is_running(pid: int, started: str) -> bool:
    """Whether the process is still the one that began at `started`."""
    return pid > 0 and started != "" and started_at(pid) == started


def send(pid: int, started: str, number: signal.Signals) -> bool:
    """Send a signal if it is still the same process; whether it was."""
    if not is_running(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def wait_gone(pid: int, started: str, timeout_s: float) -> bool:
    """Wait until the process has ended; False after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while is_running(pid, started):
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True


def log_tail(folder: Path, lines: int = 12) -> str:
    """The last lines of a node's log, indented."""
    try:
        with (folder / LOG_FILE).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (the log is empty)"
