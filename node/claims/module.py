"""What a module of the application is: action types, deadline kinds, invariants and tables of its own.

Mutual aid is one; the registries of insurance policies and of trade documents will be others. A module
never touches another's tables; `application.py` checks that ranges do not overlap and routes to handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappush
from typing import ClassVar

from node.claims import keys
from node.claims.events import ClaimsEvent, EventKind
from node.claims.genesis import Role
from node.claims.invariants import InvariantBroken as InvariantBroken
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import ReadState, WriteState
from node.claims.types import NO_ORGANISATION
from node.claims.wire import Wire

_QUEUED = b"\x90"
"""Value of a deadline row, an empty array: the key says everything."""


class Sender:
    """Who signed: an organisation's account, or a member with a key of their own (then member > 0)."""

    __slots__ = ("member", "organisation")

    def __init__(self, organisation: int, member: int) -> None:
        self.organisation, self.member = organisation, member


class BlockScope:
    """What all of one block share."""

    __slots__ = ("due", "height", "time_ms", "touched")

    def __init__(self, height: int, time_ms: int) -> None:
        self.height, self.time_ms = height, time_ms
        self.due: list[bytes] | None = None
        """While the clock runs: heap of rows that are due and not yet fired."""
        self.touched: dict[tuple[str, int], None] = {}
        """Records whose invariants are checked at the end of the block: (kind, number), in order."""


class Scope:
    """What a handler works with: the state it may write, the block, the sender, and a list of events."""

    __slots__ = ("block", "detail", "events", "now_ms", "sender", "state")

    def __init__(self, state: WriteState, block: BlockScope, sender: Sender) -> None:
        self.state, self.block, self.sender = state, block, sender
        self.now_ms = block.time_ms
        self.events: list[ClaimsEvent] = []
        self.detail = ""
        """Set by a handler that refuses, to say which part of the action is wrong. No personal data."""

    def emit(
        self, kind: EventKind, *, plan: int = 0, subject: int = 0, organisation: int = NO_ORGANISATION, value: int = 0
    ) -> None:
        self.events.append(ClaimsEvent(kind=kind, plan=plan, subject=subject, organisation=organisation, value=value))

    def schedule(self, kind: int, due_ms: int, subject: int) -> None:
        """Fire `kind` for `subject` in the first block at or after `due_ms`."""
        key = keys.deadline(due_ms, kind, subject)
        self.state.put(key, _QUEUED)
        # A late clock may create rows that are due already; they take their place among the others.
        if self.block.due is not None and due_ms <= self.now_ms:
            heappush(self.block.due, key)

    def cancel(self, kind: int, due_ms: int, subject: int) -> None:
        self.state.delete(keys.deadline(due_ms, kind, subject))

    def touch(self, kind: str, number: int) -> None:
        self.block.touched[kind, number] = None


ActionHandler = Callable[..., ResultCode]
"""(scope, action) -> OK or why not. If any action is refused, all writes of the transaction are dropped."""
DeadlineHandler = Callable[[Scope, int, int], None]
"""(scope, due_ms, subject). Must not fail: there is nobody to tell."""


class Module:
    """Base of all modules."""

    name: ClassVar[str]
    tables: ClassVar[range]
    """First bytes of its keys."""
    tags: ClassVar[range]
    """Tags of its action types, and numbers of its deadline kinds."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def actions(self) -> Mapping[type[Wire], ActionHandler]:
        return {}

    def deadlines(self) -> Mapping[int, DeadlineHandler]:
        return {}

    def permitted(self) -> Mapping[Role, tuple[type[Wire], ...]]:
        """Which actions each role allows. What is not listed is forbidden."""
        return {}

    def permitted_to_members(self) -> tuple[type[Wire], ...]:
        """Which actions a member's own key may sign."""
        return ()

    def initialise(self, scope: Scope) -> None:
        """Write the records that genesis begins with."""

    def check(self, state: ReadState, kind: str, number: int) -> None:
        """Raise InvariantBroken if the touched record breaks an invariant. Ignore kinds of other modules."""
