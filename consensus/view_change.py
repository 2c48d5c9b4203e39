"""View changes: what is reported, what is chosen, and how both are checked. Pure functions only.

Source: Castro & Liskov 1999, section 4.4, with a prepared prefix in place of null requests: blocks are
linked by digest, so what lies above a lost block is dropped (docs/protocol.md, "View change").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from consensus.block import Header
from consensus.certificates import verify_commit_certificate, verify_prepared_certificate
from consensus.messages import CommitCertificate, Domain, NewView, PreparedCertificate, ViewChange
from consensus.quorum import MemberSet
from consensus.types import Digest, Height, Verify

MAX_WINDOW: Final = 64
"""Largest window a replica may be configured with."""
PREFIX_MAX: Final = 2 * MAX_WINDOW
"""Longest prepared prefix. Part of the protocol, not of the configuration: replicas with different windows, as
during a rolling change, still have to accept each other's view changes."""


def prepared_prefix(tip: Header, locks: Mapping[Height, PreparedCertificate]) -> tuple[PreparedCertificate, ...]:
    """The prepared certificates above `tip`, as far as they are contiguous and linked by parent.

    A certificate whose parent was replaced in a later view is worthless and ends the prefix.
    """
    prefix: list[PreparedCertificate] = []
    height, parent = Height(tip.height + 1), tip.digest
    while (lock := locks.get(height)) is not None and lock.header.parent == parent:
        prefix.append(lock)
        height, parent = Height(height + 1), lock.header.digest
    return tuple(prefix)


def verify_view_change(
    message: ViewChange, *, genesis: Digest, members: MemberSet, domain: Domain, verify: Verify, prefix_max: int
) -> str | None:
    """None if the view change is valid, else what is wrong with it.

    Each certificate is checked by itself, so one bad sender never hides what others report (trap 6).
    """
    if message.view < 1 or not members.holds(message.replica):
        return "view or replica out of range"
    if len(message.prepared) > prefix_max:
        return "prepared prefix too long"
    committed = message.committed
    height, parent = (0, genesis) if committed is None else (committed.height, committed.digest)
    for certificate in message.prepared:
        header = certificate.header
        if header.height != height + 1 or header.parent != parent:
            return "prepared prefix has a hole"
        if certificate.view >= message.view:
            return "prepared in a view that is not over"
        height, parent = header.height, header.digest
    if not verify(members.key(message.replica), message.signature, domain.view_change(message)):
        return "bad signature"
    if committed is not None and not verify_commit_certificate(committed, members, domain, verify):
        return "bad commit certificate"
    if not all(verify_prepared_certificate(c, members, domain, verify) for c in message.prepared):
        return "bad prepared certificate"
    return None


def choose(view_changes: Sequence[ViewChange], genesis: Digest) -> tuple[CommitCertificate | None, tuple[Header, ...]]:
    """Where the new view starts, and the headers it proposes again, from one height above that upwards.

    The start is the highest commit certificate. At each next height the prepared certificate of the
    highest view is taken; the first height without one, or whose block is not the child of the one chosen
    below, ends it. Every replica recomputes this from the new view's view changes.
    """
    base: CommitCertificate | None = None
    for change in view_changes:
        if change.committed is not None and (base is None or change.committed.height > base.height):
            base = change.committed
    best: dict[int, PreparedCertificate] = {}
    for change in view_changes:
        for certificate in change.prepared:
            known = best.get(certificate.header.height)
            if known is None or certificate.view > known.view:
                best[certificate.header.height] = certificate
    height, parent = (0, genesis) if base is None else (base.height, base.digest)
    chosen: list[Header] = []
    while (certificate_above := best.get(height + 1)) is not None and certificate_above.header.parent == parent:
        chosen.append(certificate_above.header)
        height, parent = height + 1, certificate_above.header.digest
    return base, tuple(chosen)


def verify_new_view(
    message: NewView, *, genesis: Digest, members: MemberSet, domain: Domain, verify: Verify, prefix_max: int
) -> str | None:
    """None if the new view is valid, else what is wrong with it. `choose` then says what follows from it."""
    if message.view < 1 or message.replica != members.primary(message.view):
        return "not from the primary of its view"
    senders = [change.replica for change in message.view_changes]
    if senders != sorted(set(senders)) or len(senders) < members.quorum:
        return "no quorum of view changes"
    if any(change.view != message.view for change in message.view_changes):
        return "a view change for another view"
    if not verify(members.key(message.replica), message.signature, domain.new_view(message)):
        return "bad signature"
    for change in message.view_changes:
        fault = verify_view_change(
            change, genesis=genesis, members=members, domain=domain, verify=verify, prefix_max=prefix_max
        )
        if fault is not None:
            return f"view change of replica {change.replica}: {fault}"
    return None
