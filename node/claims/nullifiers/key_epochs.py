"""Registration of a key that the organisations make jointly: dealing, confirming, refusing.

Any holder opens the next epoch with its dealing. Once as many as the threshold have dealt, holders confirm what
they have checked; the first confirmation closes the dealing, and the epoch is active when as many as the
threshold have confirmed. So neither an organisation that is away nor one that deals badly is waited for, while
every set of dealings holds one of an honest organisation.

Any holder may end an epoch that is being made: it is named, and an accusation can be judged by everybody. There
is no deadline, because nothing waits for a new key: the active one goes on until the next is active.
"""

from __future__ import annotations

from msgspec.structs import replace

from node.claims import keys
from node.claims.events import EventKind
from node.claims.module import Scope
from node.claims.nullifiers.actions import ConfirmKey, DealKey, RefusalReason, RefuseKey
from node.claims.nullifiers.records import (
    DealingRecord,
    KeyEpochRecord,
    KeyState,
    KeyStatus,
    RefusalRecord,
    dealings_digest,
    holders_of,
    load_dealing,
    load_key_epoch,
    load_key_state,
    threshold_of,
)
from node.claims.registry import Registry
from node.claims.results import ResultCode
from node.claims.wire import encode

_MAKING = (KeyStatus.DEALING, KeyStatus.CONFIRMING)


def deal(registry: Registry, scope: Scope, action: DealKey) -> ResultCode:
    holders, sender = holders_of(registry), scope.sender.organisation
    if sender not in holders:
        return ResultCode.NO_KEY_HOLDER
    state = load_key_state(scope.state)
    record = load_key_epoch(scope.state, state.newest)
    if record is None or record.status not in _MAKING:
        expected, record = state.newest + 1, None
    else:
        expected = state.newest
    if action.epoch != expected:
        return ResultCode.WRONG_KEY_EPOCH
    if record is None:
        record = _opened(scope, holders)
        scope.state.put(keys.key_state, encode(KeyState(newest=expected, active=state.active)))
    if record.status is not KeyStatus.DEALING:
        return ResultCode.DEALING_CLOSED
    if len(action.commitments) != record.threshold or len(action.shares) != len(record.holders):
        return ResultCode.WRONG_DEALING_SHAPE
    if sender in record.dealers:
        return ResultCode.ALREADY_SAID
    dealing = DealingRecord(
        commitments=action.commitments, ephemeral=action.ephemeral, proofs=action.proofs, shares=action.shares
    )
    scope.state.put(keys.key_dealing(expected, sender), encode(dealing))
    record = _save(scope, expected, replace(record, dealers=(*record.dealers, sender)))
    scope.emit(EventKind.KEY_DEALT, subject=expected, organisation=sender, value=len(record.dealers))
    return ResultCode.OK


def _opened(scope: Scope, holders: tuple[int, ...]) -> KeyEpochRecord:
    return KeyEpochRecord(
        status=KeyStatus.DEALING,
        threshold=threshold_of(len(holders)),
        holders=holders,
        dealers=(),
        confirmed=(),
        refused=(),
        digest=b"",
        opened_ms=scope.now_ms,
        changed_ms=scope.now_ms,
    )


def _save(scope: Scope, epoch: int, record: KeyEpochRecord) -> KeyEpochRecord:
    saved = replace(record, changed_ms=scope.now_ms)
    scope.state.put(keys.key_epoch(epoch), encode(saved))
    return saved


def confirm(registry: Registry, scope: Scope, action: ConfirmKey) -> ResultCode:
    sender = scope.sender.organisation
    record = load_key_epoch(scope.state, action.epoch)
    if record is None or record.status is KeyStatus.ABANDONED:
        return ResultCode.WRONG_KEY_EPOCH
    if sender not in record.holders:
        return ResultCode.NO_KEY_HOLDER
    if sender in record.confirmed:
        return ResultCode.ALREADY_SAID
    if len(record.dealers) < record.threshold:
        return ResultCode.TOO_FEW_DEALINGS
    digest = record.digest or _digest(registry, scope, action.epoch, record)
    if action.dealings != digest:
        return ResultCode.OTHER_DEALINGS
    confirmed = (*record.confirmed, sender)
    is_new = record.status is not KeyStatus.ACTIVE and len(confirmed) >= record.threshold
    status = KeyStatus.ACTIVE if is_new else max(record.status, KeyStatus.CONFIRMING)
    _save(scope, action.epoch, replace(record, status=KeyStatus(status), digest=digest, confirmed=confirmed))
    scope.emit(EventKind.KEY_CONFIRMED, subject=action.epoch, organisation=sender, value=len(confirmed))
    if is_new:
        state = load_key_state(scope.state)
        scope.state.put(keys.key_state, encode(replace(state, active=action.epoch)))
        scope.emit(EventKind.KEY_ACTIVE, subject=action.epoch, value=record.threshold)
    return ResultCode.OK


def _digest(registry: Registry, scope: Scope, epoch: int, record: KeyEpochRecord) -> bytes:
    found = ((number, load_dealing(scope.state, epoch, number)) for number in record.dealers)
    return dealings_digest(registry.digest, epoch, ((number, dealing) for number, dealing in found if dealing))


def refuse(registry: Registry, scope: Scope, action: RefuseKey) -> ResultCode:
    sender = scope.sender.organisation
    record = load_key_epoch(scope.state, action.epoch)
    if record is None or record.status is KeyStatus.ABANDONED:
        return ResultCode.WRONG_KEY_EPOCH
    if sender not in record.holders:
        return ResultCode.NO_KEY_HOLDER
    if sender in record.refused:
        return ResultCode.ALREADY_SAID
    accused = action.accused
    if action.reason is RefusalReason.ABANDONED:
        if record.status is KeyStatus.ACTIVE:
            return ResultCode.NOTHING_TO_REFUSE
        accused = sender
    elif accused not in record.dealers:
        return ResultCode.NOTHING_TO_REFUSE
    refusal = RefusalRecord(reason=action.reason, accused=accused, opening=action.opening, proof=action.proof)
    scope.state.put(keys.key_refusal(action.epoch, sender), encode(refusal))
    status = KeyStatus.ACTIVE if record.status is KeyStatus.ACTIVE else KeyStatus.ABANDONED
    _save(scope, action.epoch, replace(record, status=status, refused=(*record.refused, sender)))
    scope.emit(EventKind.KEY_REFUSED, subject=action.epoch, organisation=sender, value=accused)
    return ResultCode.OK
