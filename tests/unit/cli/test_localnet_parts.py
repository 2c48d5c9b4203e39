"""The parts of a local cluster that need no running node: ports, state file, processes, layout."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.base import Settings
from node.cli.connect import Connection, node_urls, signing_key, trusted_genesis
from node.config import load_config
from node.errors import ConfigError
from node.genesis import load_genesis
from node.localnet import Localnet, LocalnetError, find_state
from node.localnet.layout import create, default_names
from node.localnet.ports import HIGHEST, LOWEST, free_ports, is_free, pairs, ports_from
from node.localnet.processes import is_running, log_tail, send, started_at, wait_gone
from node.localnet.state import FILE, load_state
from node.node import Node


def connection(**values: object) -> Connection:
    fields = {"settings": Settings(), "nodes": (), "timeout_s": 1.0, "profile": None} | values
    return Connection(**fields)  # type: ignore[arg-type]


def test_free_ports_are_free_different_and_out_of_the_systems_way() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20 and all(LOWEST <= port < HIGHEST and is_free(port) for port in ports)
    assert pairs(ports)[0] == (ports[0], ports[10])


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            ports_from(port, 2)


def test_a_cluster_is_laid_out_so_that_every_node_can_read_its_configuration(tmp_path: Path) -> None:
    state = create(tmp_path, default_names(4))
    genesis = load_genesis(tmp_path / "genesis.json")
    assert state.genesis == genesis.digest.hex() and load_state(tmp_path) == state
    for node in state.nodes:
        config = load_config(tmp_path / node.name / "node.toml", {})
        assert config.listen.port == node.port and set(config.peers) == set("abcd") - {node.name}
        assert Node(config).name == node.name
        assert (tmp_path / node.name / "node.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="already"):
        create(tmp_path, default_names(4))


def test_a_cluster_of_one_has_somebody_to_review(tmp_path: Path) -> None:
    state = create(tmp_path, default_names(1))
    assert len(state.nodes) == 1 and len(state.organisations) == 2


@pytest.mark.parametrize("count", [0, 27])
def test_a_cluster_has_a_sensible_size(count: int) -> None:
    with pytest.raises(ConfigError, match="1 to 26"):
        default_names(count)


def test_the_state_file_is_found_from_below(tmp_path: Path) -> None:
    create(tmp_path / "localnet", default_names(4))
    below = tmp_path / "some" / "where"
    below.mkdir(parents=True)
    assert find_state(below) == tmp_path / "localnet"
    assert find_state(tmp_path / "localnet" / "a") == tmp_path / "localnet"


OTHER_FORMAT = '{"format":"weal-localnet/9","chain":"x","genesis":"","nodes":[],"organisations":[]}'


@pytest.mark.parametrize("content", ["", "{}", OTHER_FORMAT])
def test_a_damaged_state_file_is_refused_with_a_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ConfigError, match="weal"):
        load_state(tmp_path)


def test_a_local_cluster_gives_node_key_and_genesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = create(tmp_path / "localnet", default_names(4))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert node_urls(connection(organisation="c"))[0] == state.nodes[2].url
    assert len(node_urls(connection())) == 4
    assert trusted_genesis(connection()).hex() == state.genesis
    key = signing_key(connection(organisation="c"))
    assert key.public in load_genesis(tmp_path / "localnet" / "genesis.json").organisations[2].account_keys
    with pytest.raises(Exception, match="whose key"):
        signing_key(connection())
    with pytest.raises(Exception, match="no organisation 'x'"):
        signing_key(connection(organisation="x"))


def test_flags_come_before_profiles_and_profiles_before_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "localnet", default_names(4))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profiles = tmp_path / "weal" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text('[default]\nnode = "one:1"\n[other]\nnode = "https://two"\n')
    assert node_urls(connection()) == ["http://one:1"]
    assert node_urls(connection(profile="other")) == ["https://two"]
    assert node_urls(connection(nodes=("three:3/",))) == ["http://three:3"]
    assert trusted_genesis(connection()) == b""
    with pytest.raises(Exception, match="no profile 'absent'"):
        node_urls(connection(profile="absent"))
    profiles.write_text('[default]\nnod = "one:1"\n')
    with pytest.raises(ConfigError, match="known keys"):
        node_urls(connection())


def test_without_anything_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(Exception, match="no node to ask") as caught:
        node_urls(connection())
    assert "weal localnet up" in caught.value.hint  # type: ignore[attr-defined]


def test_a_process_is_known_by_pid_and_beginning() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        began = started_at(child.pid)
        assert began and is_running(child.pid, began) and not is_running(child.pid, "1")
        assert not send(child.pid, "1", signal.SIGKILL) and child.poll() is None
        assert send(child.pid, began, signal.SIGKILL)
        assert wait_gone(child.pid, began, 10)
    finally:
        child.kill()
        child.wait()
    assert not is_running(child.pid, began)


def test_a_node_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    net = Localnet(1, tmp_path)
    (tmp_path / "a" / "node.toml").write_text("nonsense = [")
    with pytest.raises(LocalnetError, match=r"(?s)node a ended.*not TOML"):
        net.start()
    net.close()
    assert "TOML" in log_tail(tmp_path / "a")


def test_unknown_names_and_one_sided_partitions_are_refused(tmp_path: Path) -> None:
    net = Localnet(4, tmp_path)
    with pytest.raises(LocalnetError, match="no node 'x'"):
        net.kill("x")
    with pytest.raises(LocalnetError, match="one side only"):
        net.partition(["a", "b", "c", "d"])
    with pytest.raises(LocalnetError, match="one side only"):
        net.partition(["a"], ["a"])
    with pytest.raises(LocalnetError, match="does not run"):
        net.kill("a")
    net.close()
    assert tmp_path.exists()


def test_a_temporary_cluster_leaves_no_folder() -> None:
    net = Localnet(4)
    assert os.path.isdir(net.directory)
    net.close()
    assert not os.path.exists(net.directory)
