"""`Localnet`: start, kill, cut and heal a cluster of node processes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from node.claims.genesis import Genesis
from node.crypto import SigningKey
from node.genesis import load_genesis
from node.keyfile import read_key
from node.localnet import layout, processes
from node.localnet.ask import ask
from node.localnet.ports import free_ports, pairs
from node.localnet.processes import LocalnetError
from node.localnet.state import NodeState, State, load_state, save_state

if TYPE_CHECKING:
    from node.client import Client, SyncClient

_POLL_S: Final = 0.05
_STOP_S: Final = 10.0
_NOT_VOTING: Final = "not voting: "
_PASSES_SOON: Final = ("waiting for the greetings", "starting")
_PORT_TRIES: Final = 3


class Localnet:
    """A cluster in one folder. Also a context manager: entering starts it, leaving stops it.

    Without `directory` it lives in a temporary folder that goes when it is closed. `tied` processes die with
    this one; pass False to leave them running. `options` are those of `layout.create`.
    """

    def __init__(
        self,
        n: int = 4,
        directory: Path | None = None,
        *,
        names: Sequence[str] | None = None,
        tied: bool = True,
        ready_timeout_s: float = 60.0,
        **options: Any,
    ) -> None:
        self.is_temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="weal-localnet-")) if directory is None else Path(directory)
        self.directory = self.directory.absolute()
        self.ready_timeout_s = ready_timeout_s
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._tie = processes.Tie() if tied else None
        self._adjust: layout.Adjust = options.get("adjust", lambda config: config)
        self._fixed_ports = options.get("base_port") is not None
        try:
            self.state: State = layout.create(self.directory, names or layout.default_names(n), **options)
        except BaseException:
            self._discard()
            raise

    @classmethod
    def attach(cls, directory: Path) -> Localnet:
        """The cluster that was left in `directory`, running or not. Raises ConfigError."""
        net = cls.__new__(cls)
        net.is_temporary, net.directory, net.ready_timeout_s = False, Path(directory).absolute(), 60.0
        net._children, net._tie, net._adjust, net._fixed_ports = {}, None, lambda config: config, True
        net.state = load_state(net.directory)
        return net

    def __enter__(self) -> Localnet:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what there is

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.state.nodes]

    def node(self, name: str) -> NodeState:
        """Raises LocalnetError for an unknown name."""
        for node in self.state.nodes:
            if node.name == name:
                return node
        raise LocalnetError(f"there is no node {name!r}; the cluster has {', '.join(self.names)}")

    def folder(self, name: str) -> Path:
        return self.directory / name

    def log(self, name: str) -> Path:
        return self.folder(name) / processes.LOG_FILE

    def urls(self) -> list[str]:
        return [node.url for node in self.state.nodes]

    def genesis(self) -> Genesis:
        return load_genesis(self.genesis_path)

    @property
    def genesis_path(self) -> Path:
        return self.directory / layout.GENESIS_FILE

    def key(self, organisation: str) -> SigningKey:
        """The organisation's account key."""
        if organisation not in self.state.organisations:
            names = ", ".join(self.state.organisations)
            raise LocalnetError(f"there is no organisation {organisation!r}; the cluster has {names}")
        return read_key(self.folder(organisation) / layout.ACCOUNT_KEY, None)

    def client(self, name: str | None = None, **options: Any) -> SyncClient:
        """A client of one node, or of all of them: then the next is asked when one dies."""
        from node.client import SyncClient

        return SyncClient(self.urls() if name is None else [self.node(name).url], **options)

    def async_client(self, name: str | None = None, **options: Any) -> Client:
        from node.client import Client

        return Client(self.urls() if name is None else [self.node(name).url], **options)

    def is_running(self, name: str) -> bool:
        node = self.node(name)
        child = self._children.get(name)
        if child is not None:
            return child.poll() is None
        return processes.is_running(node.pid, node.started)

    def running(self) -> list[str]:
        return [name for name in self.names if self.is_running(name)]

    # --- starting and stopping

    def start(self, names: Iterable[str] | None = None, *, wait: bool = True) -> None:
        """Start the nodes that do not run, and wait until they are ready. Raises LocalnetError."""
        wanted = [name for name in (self.names if names is None else names) if not self.is_running(name)]
        first_start = names is None and not any(node.pid for node in self.state.nodes)
        for attempt in range(_PORT_TRIES):
            for name in wanted:
                self._spawn(name)
            try:
                if wait:
                    self.wait_ready(wanted)
                return
            except LocalnetError:
                # Between choosing a port and binding it, another program may have taken it.
                if not first_start or self._fixed_ports or attempt + 1 == _PORT_TRIES or not self._port_was_taken():
                    raise
                self.stop(names=wanted)
                self._choose_ports()

    def _spawn(self, name: str) -> None:
        node = self.node(name)
        child = processes.start(self.folder(name), self._tie)
        self._children[name] = child
        node.pid, node.started = child.pid, processes.started_at(child.pid)
        save_state(self.directory, self.state)

    def _port_was_taken(self) -> bool:
        return any("ddress already in use" in processes.log_tail(self.folder(name), 40) for name in self.names)

    def _choose_ports(self) -> None:
        ports = pairs(free_ports(2 * len(self.state.nodes)))
        for node, pair in zip(self.state.nodes, ports, strict=True):
            node.port, node.operator_port = pair
            self.log(node.name).unlink(missing_ok=True)
        layout.write_configurations(self.directory, self.state.nodes, self._adjust)
        save_state(self.directory, self.state)

    def wait_ready(self, names: Iterable[str] | None = None, timeout_s: float | None = None) -> None:
        """Wait until the nodes say they are ready; a node with too few peers running need not be.

        Raises LocalnetError with the last log lines if one has ended, or is not ready in time.
        """
        end = time.monotonic() + (self.ready_timeout_s if timeout_s is None else timeout_s)
        waiting = list(self.names if names is None else names)
        while waiting:
            for name in list(waiting):
                reasons = self._not_ready(name)
                if not reasons:
                    waiting.remove(name)
                elif time.monotonic() >= end:
                    raise self._failure(name, f"is not ready: {reasons}")
            if waiting:
                time.sleep(_POLL_S)

    def _not_ready(self, name: str) -> str:
        """Why a node is not ready; "" if it is. Raises LocalnetError if its process has ended."""
        if not self.is_running(name):
            child = self._children.get(name)
            code = "" if child is None else f" with exit code {child.returncode}"
            raise self._failure(name, f"ended{code}")
        try:
            status, answer = ask(self.node(name).operator_port, "/readyz", timeout_s=1.0)
        except OSError as error:
            return f"it does not answer ({error})"
        reasons = [str(reason) for reason in answer.get("reasons", ())]
        # A node that lost its store listens until the chain is further; waiting for that would be waiting for others.
        if status == 200 or (reasons and all(map(_is_listening, reasons))):
            return ""
        return "; ".join(reasons) or f"HTTP {status}"

    def wait_height(self, name: str, height: int, timeout_s: float | None = None) -> None:
        """Wait until the node has committed block `height`. Raises LocalnetError if it does not in time, or ends."""
        end = time.monotonic() + (self.ready_timeout_s if timeout_s is None else timeout_s)
        reached: object = "nothing"
        while True:
            try:
                _, answer = ask(self.node(name).port, "/v1/status", timeout_s=1.0)
                reached = answer.get("as_of", {}).get("height", 0)
                if isinstance(reached, int) and reached >= height:
                    return
            except OSError:
                pass
            if not self.is_running(name) or time.monotonic() >= end:
                raise self._failure(name, f"did not reach block {height}, only {reached}")
            time.sleep(_POLL_S)

    def height(self) -> int:
        """Height of the highest running node."""
        return max((record["status"]["height"] for record in self.statuses() if "status" in record), default=0)

    def _failure(self, name: str, what: str) -> LocalnetError:
        tail = processes.log_tail(self.folder(name))
        return LocalnetError(f"node {name} {what}\nThe end of {self.log(name)}:\n{tail}")

    def kill(self, name: str) -> None:
        """SIGKILL: the node gets no chance to put anything in order."""
        self._signal(name, signal.SIGKILL)
        self._wait_gone(name, _STOP_S)

    def pause(self, name: str) -> None:
        """SIGSTOP: the process stands still until `resume`."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def restart(self, name: str, *, wait: bool = True) -> None:
        """Stop the node if it runs, and start it again; a partition it is part of stays."""
        if self.is_running(name):
            self.stop(names=[name])
        self.start([name], wait=wait and not self.state.groups)
        if self.state.groups:
            self._wait_answers(name)
            self._apply_groups([name])

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop nodes in good order (SIGTERM); one that does not end within some seconds is killed."""
        wanted = [name for name in (self.names if names is None else names) if self.is_running(name)]
        for name in wanted:
            # A process that was paused could not hear SIGTERM.
            self._signal(name, signal.SIGCONT)
            self._signal(name, signal.SIGTERM)
        for name in wanted:
            if not self._wait_gone(name, _STOP_S):
                self._signal(name, signal.SIGKILL)
                self._wait_gone(name, _STOP_S)

    def close(self) -> None:
        """Stop everything that this object started; remove the folder if it is a temporary one."""
        try:
            self.stop()
        finally:
            self._discard()

    def detach(self) -> None:
        """Leave the processes running when this object goes. Only for ones that are not tied."""
        if self._tie is not None:
            raise LocalnetError("these processes are tied to this one; make the Localnet with tied=False")
        self._children.clear()

    def _discard(self) -> None:
        if self._tie is not None:
            self._tie.close()
            self._tie = None
        if self.is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, name: str, number: signal.Signals) -> None:
        node, child = self.node(name), self._children.get(name)
        if child is not None:
            child.send_signal(number)
        elif not processes.send(node.pid, node.started, number):
            raise LocalnetError(f"node {name} does not run; start it with: weal localnet restart {name}")

    def _wait_gone(self, name: str, timeout_s: float) -> bool:
        node, child = self.node(name), self._children.pop(name, None)
        if child is not None:
            try:
                child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._children[name] = child
                return False
        elif not processes.wait_gone(node.pid, node.started, timeout_s):
            return False
        node.pid, node.started = 0, ""
        if self.directory.is_dir():
            save_state(self.directory, self.state)
        return True

    def wipe(self, name: str) -> None:
        """Remove a stopped node's databases; its keys and configuration stay."""
        if self.is_running(name):
            raise LocalnetError(f"node {name} runs; stop it first")
        shutil.rmtree(self.folder(name) / "data", ignore_errors=True)

    # --- cutting the network

    def partition(self, *groups: Sequence[str]) -> None:
        """Cut the network into groups; nodes that no group names form one more. Raises LocalnetError."""
        sides = [list(dict.fromkeys(group)) for group in groups]
        named = [name for side in sides for name in side]
        for name in named:
            self.node(name)
        if len(named) != len(set(named)):
            raise LocalnetError("a node can be on one side only")
        rest = [name for name in self.names if name not in named]
        self.state.groups = [side for side in (*sides, rest) if side]
        if len(self.state.groups) < 2:
            self.state.groups = []
            raise LocalnetError("that is one side only; name the sides like: weal localnet partition a,b c,d")
        self._apply_groups(self.names)
        save_state(self.directory, self.state)

    def heal(self) -> None:
        """Connect everything again."""
        for name in self.running():
            self._operate(name, "/v1/ops/heal", {})
        self.state.groups = []
        save_state(self.directory, self.state)

    def _apply_groups(self, names: Iterable[str]) -> None:
        for name in names:
            if self.is_running(name):
                mine = next(group for group in self.state.groups if name in group)
                others = [other for other in self.names if other not in mine]
                self._operate(name, "/v1/ops/isolate", {"peers": others})

    def _operate(self, name: str, path: str, body: dict[str, Any]) -> None:
        try:
            status, answer = ask(self.node(name).operator_port, path, method="POST", body=body, timeout_s=5.0)
        except OSError as error:
            raise self._failure(name, f"does not answer on its operator port: {error}") from None
        if status >= 400:
            raise LocalnetError(f"node {name} refused {path}: {answer.get('detail', f'HTTP {status}')}")

    def _wait_answers(self, name: str) -> None:
        end = time.monotonic() + self.ready_timeout_s
        while True:
            try:
                ask(self.node(name).operator_port, "/livez", timeout_s=1.0)
                return
            except OSError as error:
                if not self.is_running(name) or time.monotonic() >= end:
                    raise self._failure(name, f"does not answer: {error}") from None
            time.sleep(_POLL_S)

    # --- looking

    def statuses(self) -> list[dict[str, Any]]:
        """One record per node: name, url, pid, whether it runs and is ready, and what its /v1/status says."""
        found = []
        for node in self.state.nodes:
            record: dict[str, Any] = {
                "name": node.name,
                "url": node.url,
                "operator_url": node.operator_url,
                "running": self.is_running(node.name),
                "pid": node.pid if self.is_running(node.name) else None,
                "ready": False,
                "reasons": [],
                "log": os.fspath(self.log(node.name)),
            }
            if record["running"]:
                try:
                    status, ready = ask(node.operator_port, "/readyz", timeout_s=1.0)
                    record["ready"], record["reasons"] = status == 200, ready.get("reasons", [])
                    _, answer = ask(node.port, "/v1/status", timeout_s=1.0)
                    record["status"] = {"as_of": answer.get("as_of", {}), **answer.get("data", {})}
                except OSError as error:
                    record["reasons"] = [str(error)]
            found.append(record)
        return found


def _is_listening(reason: str) -> bool:
    return reason.startswith(_NOT_VOTING) and not reason.removeprefix(_NOT_VOTING).startswith(_PASSES_SOON)
