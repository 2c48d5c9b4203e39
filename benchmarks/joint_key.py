"""The key of keyed values, made on a local cluster as its operators would make it."""

from __future__ import annotations

from collections.abc import Sequence

from node.client.duplicates import confirmation, key_state, next_dealing
from node.localnet import Localnet


def make_joint_key(net: Localnet, names: Sequence[str] | None = None) -> int:
    """All of `names`, or all organisations with a node, deal and confirm; answers the epoch, which is active then."""
    names, genesis = list(names or net.names), net.genesis()
    epoch = 0
    for name in names:
        with net.client(name) as client:
            newest = client.run(key_state)["newest"]
            action = next_dealing(genesis, newest, name)
            epoch = action.epoch
            client.account(net.key(name), genesis=genesis.digest).submit([action])
    for name in names:
        with net.client(name) as client:
            # Its own node may be a block behind the one that told the last dealing.
            net.wait_height(name, net.height())
            action_of = confirmation(client.run(key_state)["newest"])
            client.account(net.key(name), genesis=genesis.digest).submit([action_of])
    return epoch
