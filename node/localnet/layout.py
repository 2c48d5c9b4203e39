"""What a local cluster consists of before it runs: keys, one genesis, one folder and configuration per node.

Keys are plain files here: the folder is for one machine and one user, and a cluster that asks for four
passphrases is started by nobody. `weal keys new` and `weal init` make sealed ones.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from node.claims.genesis import Genesis, Organisation, PlanTerms, Role
from node.claims.genesis_checks import check_genesis
from node.config import Config, ListenSection, NodeSection, OperatorSection, commented_toml
from node.crypto import SigningKey
from node.errors import ConfigError
from node.genesis import build_genesis, dump_genesis
from node.keyfile import mark_unused, write_key
from node.localnet.ports import free_ports, pairs, ports_from
from node.localnet.processes import CONFIG_FILE
from node.localnet.state import FILE, NodeState, State, save_state
from node.resources import config_file

GENESIS_FILE: Final = "genesis.json"
ACCOUNT_KEY: Final = "account.key"
NODE_KEY: Final = "node.key"
MAX_NODES: Final = 26
PLANS: Final = ("plans/critical-illness.toml", "plans/hospital-reimbursement.toml")
DESK_ROLES: Final = (Role.ENROLLER, Role.INTAKE, Role.INVESTIGATOR, Role.REVIEWER, Role.PAYMENT)
SECOND_REVIEWER: Final = "second-reviewer"
"""With one node there is one organisation, and what it investigates somebody else has to review."""

Adjust = Callable[[Config], Config]
Amend = Callable[[PlanTerms], PlanTerms]


def default_names(count: int) -> tuple[str, ...]:
    """a, b, c, ..."""
    if not 1 <= count <= MAX_NODES:
        raise ConfigError(f"{count} nodes: a cluster on one machine has 1 to {MAX_NODES}")
    return tuple(string.ascii_lowercase[:count])


def create(
    directory: Path,
    names: Sequence[str],
    *,
    chain: str = "localnet",
    time_ms: int | None = None,
    time_scale: int = 1,
    max_validity_ms: int | None = None,
    plans: Sequence[Path] | None = None,
    base_port: int | None = None,
    account_keys: int = 1,
    adjust: Adjust = lambda config: config,
    amend: Amend = lambda terms: terms,
) -> State:
    """Write everything into `directory`. Raises ConfigError if a cluster is there already, or a port is taken.

    `time_ms` is the chain time of genesis (now if None); `adjust` may change each node's configuration, `amend` the
    terms of each plan. Of `account_keys` above 1 each organisation has so many: account.key, account-2.key, ...
    """
    if (directory / FILE).exists():
        raise ConfigError(f"{directory} holds a cluster already; remove it with: weal localnet down --remove")
    ports = ports_from(base_port, 2 * len(names)) if base_port is not None else free_ports(2 * len(names))
    directory.mkdir(parents=True, exist_ok=True)
    organisations = [_organisation(directory / name, name, account_keys, runs_node=True) for name in names]
    if len(names) == 1:
        organisations.append(_organisation(directory / SECOND_REVIEWER, SECOND_REVIEWER, account_keys, runs_node=False))
    genesis = build_genesis(
        chain=chain,
        time_ms=time.time_ns() // 1_000_000 if time_ms is None else time_ms,
        time_scale=time_scale,
        organisations=organisations,
        plans=[config_file(name) for name in PLANS] if plans is None else list(plans),
    )
    genesis = _amended(genesis, amend, max_validity_ms)
    (directory / GENESIS_FILE).write_text(dump_genesis(genesis), encoding="utf-8")
    nodes = [
        NodeState(name=name, port=port, operator_port=operator_port)
        for name, (port, operator_port) in zip(names, pairs(ports), strict=True)
    ]
    write_configurations(directory, nodes, adjust)
    state = State(
        chain=chain,
        genesis=genesis.digest.hex(),
        time_scale=time_scale,
        nodes=nodes,
        organisations=[organisation.name for organisation in organisations],
    )
    save_state(directory, state)
    return state


def write_configurations(directory: Path, nodes: Sequence[NodeState], adjust: Adjust = lambda config: config) -> None:
    """One commented TOML per node; every node knows the addresses of all others."""
    addresses = {node.name: f"127.0.0.1:{node.port}" for node in nodes}
    for node in nodes:
        config = Config(
            # All of them share the cores: none has one to spare for signatures.
            node=NodeSection(
                genesis=f"../{GENESIS_FILE}", key=NODE_KEY, allow_plain_key=True, signature_process="off"
            ),
            listen=ListenSection(port=node.port),
            operator=OperatorSection(port=node.operator_port),
            peers={name: address for name, address in addresses.items() if name != node.name},
        )
        (directory / node.name / CONFIG_FILE).write_text(commented_toml(adjust(config)), encoding="utf-8")


def account_file(number: int) -> str:
    """File of an organisation's account key, from 1."""
    return ACCOUNT_KEY if number == 1 else ACCOUNT_KEY.replace(".", f"-{number}.")


def _organisation(folder: Path, name: str, account_keys: int, *, runs_node: bool) -> Organisation:
    folder.mkdir(parents=True, exist_ok=True)
    accounts = [SigningKey.generate() for _ in range(account_keys)]
    for number, account in enumerate(accounts, start=1):
        write_key(folder / account_file(number), account, None)
    node_key = b""
    if runs_node:
        key = SigningKey.generate()
        write_key(folder / NODE_KEY, key, None)
        mark_unused(folder / NODE_KEY, key)
        node_key = key.public
    return Organisation(name=name, node_key=node_key, account_keys=tuple(account.public for account in accounts), roles=DESK_ROLES)


def _amended(genesis: Genesis, amend: Amend, max_validity_ms: int | None) -> Genesis:
    import msgspec

    changed = msgspec.structs.replace(
        genesis,
        plans=tuple(amend(terms) for terms in genesis.plans),
        max_validity_ms=genesis.max_validity_ms if max_validity_ms is None else max_validity_ms,
    )
    check_genesis(changed)
    return changed
