"""The API's view of a running node's part in keyed values: for `adapter.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.api.backend import Record
from node.api.duplicates_shapes import EvaluateBody
from node.api.problems import OVERLOADED, UNAVAILABLE, VALUES_QUOTA, VALUES_REFUSED, ApiError
from node.claims.ids import claim_text, member_text
from node.claims.nullifiers.actions import RefusalReason
from node.claims.nullifiers.holders import ValueKind, load_holder, memberships
from node.claims.nullifiers.records import (
    KeyStatus,
    dealings_digest,
    load_dealing,
    load_key_epoch,
    load_key_state,
)
from node.duplicates.key import read_epoch, verdicts
from node.duplicates.messages import Evaluate, Reason
from node.duplicates.service import NoValues
from node.link import wall_ms

if TYPE_CHECKING:
    from node.node import Node


def duplicates_record(node: Node) -> Record:
    """As DuplicatesView."""
    state, service = load_key_state(node.state.view()), node.duplicates
    used, total = service.quota.used(wall_ms()), service.quota.total()
    return {
        "active_epoch": state.active,
        "newest": _epoch(node, state.newest),
        "active": _epoch(node, state.active),
        "values_per_day": service.quota.per_day,
        "used": [
            {"organisation": name, "today": used.get(name, 0), "last_31_days": total[name]} for name in sorted(total)
        ],
        "wrong_answers": dict(sorted(service.liars.items())),
    }


def _word(value: RefusalReason | KeyStatus) -> str:
    return value.name.lower().replace("_", "-")


def _epoch(node: Node, epoch: int) -> Record | None:
    view, registry = node.state.view(), node.application.registry
    record = load_key_epoch(view, epoch)
    chain = read_epoch(registry, view, epoch)
    if record is None or chain is None:
        return None
    names = registry.names
    refusals = [
        {
            "organisation": names[number],
            "reason": _word(RefusalReason(refusal.reason)),
            "accused": names[refusal.accused] if verdict is not None else "",
            "verdict": "" if verdict is None else verdict.value,
        }
        for number, (refusal, verdict) in verdicts(chain, view).items()
    ]
    return {
        "epoch": epoch,
        "status": _word(record.status),
        "threshold": record.threshold,
        "holders": [names[number] for number in record.holders],
        "dealers": [names[number] for number in record.dealers],
        "confirmed": [names[number] for number in record.confirmed],
        "refusals": refusals,
        "own": _own(node, epoch),
    }


def _own(node: Node, epoch: int) -> Record:
    view, registry = node.state.view(), node.application.registry
    key, record = node.duplicates.key_of(epoch), load_key_epoch(view, epoch)
    digest = b""
    if record is not None and len(record.dealers) >= record.threshold:
        found = ((number, load_dealing(view, epoch, number)) for number in record.dealers)
        digest = dealings_digest(registry.digest, epoch, [(number, one) for number, one in found if one is not None])
    return {
        "is_good": key is not None and key.share is not None and key.public is not None,
        "dealings": digest.hex(),
        "accusations": [
            {
                "accused": registry.names[bad.accused],
                "accused_number": bad.accused,
                "reason": _word(bad.reason),
                "opening": bad.opening.hex(),
                "proof": bad.proof.hex(),
            }
            for bad in (key.accusations if key is not None else ())
        ],
    }


def holder_record(node: Node, kind: str, value: bytes) -> Record:
    """As HolderView."""
    view, number = node.state.view(), ValueKind[kind.upper()]
    known = load_holder(view, number, value)
    plans = range(len(node.genesis.plans)) if number is ValueKind.PERSON else range(0)
    return {
        "kind": kind,
        "value": value.hex(),
        "first_claim": "" if known is None else claim_text(known.first),
        "latest_claim": "" if known is None else claim_text(known.latest),
        "claims": 0 if known is None else known.count,
        "members": [member_text(member) for _, member in memberships(view, plans, value)],
    }


async def made_record(node: Node, body: EvaluateBody) -> Record:
    """As EvaluateView. Raises ApiError."""
    request = Evaluate(
        number=0,
        epoch=body.epoch,
        sender=bytes.fromhex(body.sender),
        issued_ms=body.issued_ms,
        elements=tuple(bytes.fromhex(element) for element in body.elements),
        signature=bytes.fromhex(body.signature),
    )
    try:
        made = await node.duplicates.evaluate(request)
    except NoValues as error:
        if error.reason is Reason.QUOTA:
            raise ApiError(VALUES_QUOTA, str(error)) from None
        if error.reason is Reason.BUSY:
            raise ApiError(OVERLOADED, str(error), retry_after_s=1) from None
        if error.reason in (Reason.NOT_AN_ORGANISATION, Reason.NOT_NOW, Reason.NO_ELEMENT):
            raise ApiError(VALUES_REFUSED, str(error)) from None
        raise ApiError(UNAVAILABLE, str(error), retry_after_s=1) from None
    return {
        "epoch": made.epoch,
        "results": [result.hex() for result in made.results],
        "holders": list(made.holders),
    }
