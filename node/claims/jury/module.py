"""The jury's part of the mutual-aid module: actions, deadlines, and who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from node.claims.genesis import Role
from node.claims.jury import cases, draws, exams, voting
from node.claims.jury.actions import (
    AppealVerdict,
    CastBallots,
    DealBeacon,
    EnrolJurors,
    GradePapers,
    IssuePapers,
    LockStatement,
    OpenBeacon,
    PublishBank,
    RegisterJuryKeys,
    ReinstateJuror,
    RequestJury,
    ResignJuror,
    RevealBallots,
    StopJury,
    SuspendJuror,
)
from node.claims.jury.proofs import JuryProofs
from node.claims.module import ActionHandler, DeadlineHandler
from node.claims.mutual_aid.transitions import DeadlineKind
from node.claims.registry import Registry
from node.claims.wire import Wire

_BEACON: Final = (RegisterJuryKeys, DealBeacon, OpenBeacon)
"""All organisations may take part in draws: the more do, the fewer can prevent or foresee one."""

JURY_PERMITTED: Final[dict[Role, tuple[type[Wire], ...]]] = {
    Role.ENROLLER: (
        *_BEACON,
        PublishBank,
        EnrolJurors,
        IssuePapers,
        GradePapers,
        RequestJury,
        StopJury,
        AppealVerdict,
        CastBallots,
        RevealBallots,
    ),
    Role.INTAKE: (*_BEACON, RequestJury, StopJury, AppealVerdict, CastBallots, RevealBallots),
    Role.INVESTIGATOR: _BEACON,
    Role.REVIEWER: (*_BEACON, LockStatement, AppealVerdict, SuspendJuror),
    Role.PAYMENT: _BEACON,
    Role.AUDITOR: _BEACON,
    Role.REGULATOR: (*_BEACON, SuspendJuror, ReinstateJuror),
}
"""What is not in it is forbidden."""

JURY_PERMITTED_TO_MEMBERS: Final[tuple[type[Wire], ...]] = (
    EnrolJurors,
    ResignJuror,
    RequestJury,
    StopJury,
    AppealVerdict,
    CastBallots,
    RevealBallots,
)


def jury_actions(registry: Registry, proofs: JuryProofs) -> Mapping[type[Wire], ActionHandler]:
    handlers: dict[type[Wire], ActionHandler] = {
        RegisterJuryKeys: exams.register_keys,
        PublishBank: exams.publish_bank,
        EnrolJurors: exams.enrol_jurors,
        IssuePapers: exams.issue_papers,
        GradePapers: exams.grade_papers,
        SuspendJuror: exams.suspend,
        ReinstateJuror: exams.reinstate,
        ResignJuror: exams.resign,
        RequestJury: cases.request,
        LockStatement: cases.lock_statement,
        StopJury: cases.stop,
        AppealVerdict: cases.appeal,
        CastBallots: voting.cast,
        RevealBallots: voting.reveal,
        DealBeacon: draws.deal,
        OpenBeacon: draws.open_share,
    }
    return {kind: partial(handler, registry, proofs) for kind, handler in handlers.items()}


def jury_deadlines(registry: Registry, proofs: JuryProofs) -> Mapping[int, DeadlineHandler]:
    return {
        DeadlineKind.JUROR: partial(exams.lapse, registry),
        DeadlineKind.JURY_STATEMENTS: partial(cases.statements_over, registry),
        DeadlineKind.JURY_VOTE: partial(cases.vote_over, registry),
        DeadlineKind.JURY_REVEAL: partial(cases.reveal_over, registry),
        DeadlineKind.JURY_DRAW: partial(draws.draw_due, registry, proofs),
        DeadlineKind.PANEL_COMMIT: partial(cases.panel_commit_over, registry),
        DeadlineKind.PANEL_REVEAL: partial(cases.reveal_over, registry),
        DeadlineKind.JURY_APPEAL: partial(cases.appeal_over, registry),
    }
