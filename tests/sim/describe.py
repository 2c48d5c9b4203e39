"""Messages as one readable line, for traces and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consensus.messages import (
    BlockReply,
    BlockRequest,
    CommitCertificate,
    Evidence,
    Greeting,
    NewView,
    Notice,
    Phase,
    PreparedCertificate,
    Proposal,
    Status,
    ViewChange,
    Vote,
)
from consensus.types import Digest

NAMES = {Phase.PRE_PREPARE: "pre-prepare", Phase.PREPARE: "prepare", Phase.COMMIT: "commit"}
Name = Callable[[Digest], str]


def short(digest: Digest) -> str:
    return digest.hex()[:6]


def kind_of(message: Any) -> str:
    """The word for a kind of message, as transcripts use it."""
    match message:
        case Vote(phase=phase):
            return NAMES[phase]
        case Proposal():
            return "pre-prepare"
        case ViewChange():
            return "view-change"
        case NewView():
            return "new-view"
        case BlockRequest():
            return "block-request"
        case BlockReply():
            return "block"
        case Notice():
            return "certificate"
        case _:
            return type(message).__name__.lower()


def describe(message: Any, name: Name = short) -> str:
    """What a message says. Block digests are shown by `name`."""
    kind = kind_of(message)
    match message:
        case Vote():
            return f"{kind} v{message.view} h{message.height} {name(message.digest)}"
        case Proposal(vote=vote):
            return f"{kind} v{vote.view} h{vote.height} {name(vote.digest)} with the block"
        case ViewChange():
            return f"{kind} v{message.view} {_reports(message, name)}"
        case NewView():
            said = "; ".join(f"{change.replica} {_reports(change, name)}" for change in message.view_changes)
            return f"{kind} v{message.view} [{said}]"
        case BlockRequest(digest=digest):
            return f"{kind} {name(digest)}"
        case BlockReply(block=block):
            return f"{kind} {name(block.digest)}"
        case Notice(certificate=certificate):
            return f"{kind} {_certificate(certificate, name)}"
        case Status():
            return f"{kind} v{message.view} h{message.height}{'' if message.active else ' waiting'}"
        case Greeting():
            held = ", ".join(f"{NAMES[v.phase]} v{v.view} h{v.height} {name(v.digest)}" for v in message.held)
            tip = "genesis" if message.certificate is None else _certificate(message.certificate, name)
            change = message.held_view_change
            parts = [f"v{message.view} {tip}"]
            if held:
                parts.append(f"holds {held}")
            if change is not None:
                parts.append(f"holds view-change v{change.view}")
            if message.asks:
                parts.append("asks for one")
            return f"{kind} " + "; ".join(parts)
        case Evidence(first=first, second=second):
            slot = f"{NAMES[first.phase]} v{first.view} h{first.height}"
            return f"{kind} {first.replica} signed {slot} {name(first.digest)} and {name(second.digest)}"
        case _:
            return kind


def _certificate(certificate: CommitCertificate, name: Name) -> str:
    signers = ",".join(str(replica) for replica, _ in certificate.signatures)
    return f"h{certificate.height} {name(certificate.digest)} signed by {signers}"


def _prepared(certificate: PreparedCertificate, name: Name) -> str:
    return f"h{certificate.header.height} {name(certificate.header.digest)} of v{certificate.view}"


def _reports(change: ViewChange, name: Name) -> str:
    base = "genesis" if change.committed is None else f"h{change.committed.height} {name(change.committed.digest)}"
    prepared = ", ".join(_prepared(certificate, name) for certificate in change.prepared)
    return f"(final {base}; prepared {prepared or 'nothing'})"
