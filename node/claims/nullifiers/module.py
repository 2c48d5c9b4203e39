"""Duplicates as a module: the making of the key. Its value tables are written by whoever files claims."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from node.claims.genesis import Role
from node.claims.module import ActionHandler, Module
from node.claims.nullifiers import key_epochs
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefuseKey
from node.claims.wire import Wire

PERMITTED: Final[tuple[type[Wire], ...]] = (DealKey, ConfirmKey, RefuseKey)
"""Of every role: what counts is whether the organisation runs a node, which the handlers check."""


class Nullifiers(Module):
    """Key epochs."""

    name: ClassVar[str] = "duplicates"
    tables: ClassVar[range] = range(0x70, 0x78)
    tags: ClassVar[range] = range(140, 150)

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {
            DealKey: partial(key_epochs.deal, self.registry),
            ConfirmKey: partial(key_epochs.confirm, self.registry),
            RefuseKey: partial(key_epochs.refuse, self.registry),
        }

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        return dict.fromkeys(Role, PERMITTED)
