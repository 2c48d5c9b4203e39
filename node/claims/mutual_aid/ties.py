"""Conflicts of interest declared in advance: an organisation's tie to a member, or to another organisation.

A claim notes who has a tie when its steps are assigned, so that a declaration that comes later changes no
outcome of the past; an organisation that learns of a tie during its own step recuses itself.
"""

from __future__ import annotations

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.mutual_aid.actions import DeclareTie
from node.claims.mutual_aid.records import TieRecord, load_member
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.state import ReadState
from node.claims.wire import decode_trusted, encode


def declare(registry: Registry, scope: Scope, action: DeclareTie) -> ResultCode:
    """For the sender only: nobody can declare a tie of another, and so shut it out."""
    sender = scope.sender.organisation
    if bool(action.member) == bool(action.organisation):
        return ResultCode.TIE_TO_ONE
    if action.member:
        member = load_member(scope.state, action.member)
        if member is None:
            return ResultCode.UNKNOWN_MEMBER
        rows = [(keys.tie_of_member(action.member), sender)]
        plan = member.plan
    else:
        other = registry.number_of.get(action.organisation)
        if other is None or other == sender:
            return ResultCode.UNKNOWN_ORGANISATION
        rows = [(keys.tie_of_organisation(other), sender), (keys.tie_of_organisation(sender), other)]
        plan = 0
    for key, organisation in rows:
        raw = scope.state.get(key)
        before = () if raw is None else decode_trusted(TieRecord, raw).organisations
        if (organisation in before) is not action.ends:
            return ResultCode.TIE_UNCHANGED
        if action.ends:
            after = tuple(number for number in before if number != organisation)
        else:
            after = tuple(sorted((*before, organisation)))
        scope.state.put(key, encode(TieRecord(organisations=after)))
    what = EventKind.TIE_ENDED if action.ends else EventKind.TIE_DECLARED
    value = 0 if action.member else registry.number_of[action.organisation]
    scope.emit(what, plan=plan, subject=action.member, organisation=sender, value=value)
    return ResultCode.OK


def ties_of_member(state: ReadState, number: int) -> tuple[int, ...]:
    """Organisations with a tie to the member."""
    raw = state.get(keys.tie_of_member(number))
    return () if raw is None else decode_trusted(TieRecord, raw).organisations


def ties_of_organisation(state: ReadState, number: int) -> tuple[int, ...]:
    """Organisations with a tie to the organisation."""
    raw = state.get(keys.tie_of_organisation(number))
    return () if raw is None else decode_trusted(TieRecord, raw).organisations


def merged(*lists: tuple[int, ...]) -> tuple[int, ...]:
    """All their numbers once, rising."""
    return tuple(sorted(dict.fromkeys(number for each in lists for number in each)))
