"""A whole cluster on one machine: real node processes on free ports, one folder each.

    with Localnet(n=4, directory=tmp_path) as net:
        net.client("a").submit(...)
        net.kill("a")

Leaving the block stops every process. `weal localnet up --detach` leaves them running and `Localnet.attach`
takes hold of them again through the state file.
"""

from node.localnet.net import Localnet
from node.localnet.processes import LocalnetError
from node.localnet.state import find_state

__all__ = ["Localnet", "LocalnetError", "find_state"]
