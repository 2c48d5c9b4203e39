"""The HTTP API. `build_client_app` and `build_operator_app` give the aiohttp applications of a node.

Nothing heavy is imported with the package itself: the command line uses its problem catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from aiohttp import web

    from node.api.service import Api
    from node.node import Node

_APIS: WeakKeyDictionary[Node, Api] = WeakKeyDictionary()


def api_of(node: Node) -> Api:
    """The API of a node: one for both of its listeners, so that they share limits and metrics."""
    from node.api.adapter import NodeBackend, limits_of
    from node.api.service import Api

    held = _APIS.get(node)
    if held is None:
        held = _APIS[node] = Api(NodeBackend(node), limits=limits_of(node.config))
    return held


def build_client_app(node: Node) -> web.Application:
    """For clients; the node adds the path for its peers. Serve it with `node.api.listener.ListenerRunner`."""
    return api_of(node).application("client")


def build_operator_app(node: Node) -> web.Application:
    """For the operator alone: health, readiness, metrics, isolation, log level, stop."""
    return api_of(node).application("operator")
