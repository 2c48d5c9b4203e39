"""The part of the driver that enrols families, lets members leave and move, and pays their bills or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.claims import keys
from node.claims.calendar import month_index
from node.claims.mutual_aid.accounts import balance_of
from node.claims.mutual_aid.actions import (
    CloseBalance,
    Enrol,
    Leave,
    MoveMember,
    NewMember,
    RecordContribution,
    ReportArrears,
)
from node.claims.mutual_aid.records import load_account, the_member
from node.claims.results import ResultCode
from node.claims.transaction import Action
from tests.factories import ORGANISATIONS, person
from tests.property.members_oracle import OracleMember

if TYPE_CHECKING:
    from random import Random

    from tests.factories import Chain
    from tests.property.claims_oracle import Oracle

Step = tuple[str, Action, Callable[[int], ResultCode]]


class MemberSteps:
    """Mixed into the driver, which has the rest."""

    random: Random
    oracle: Oracle
    chain: Chain

    if TYPE_CHECKING:

        def next_person(self, plan_number: int) -> int: ...

    def member_step(self) -> Step:
        """Something that an enroller does for one of its members, or for somebody else's."""
        member = self.random.choice(self.oracle.members)
        mine = ORGANISATIONS[member.organisation]
        action, done = self._member_action(member)
        if self.random.random() < 0.05:
            other = self.random.choice([name for name in "abd" if name != mine])
            return other, action, lambda _: ResultCode.NOT_THE_ENROLLER
        return mine, action, done

    def _member_action(self, member: OracleMember) -> tuple[Action, Callable[[int], ResultCode]]:
        number, oracle, random = member.number, self.oracle, self.random
        choice = random.random()
        if choice < 0.12:
            family = random.random() < 0.5
            return Leave(member=number, family=family), lambda now: oracle.leave(member, family, now)
        if choice < 0.24:
            target = random.randrange(2)
            units = random.choice([0, 1, 3])
            move = MoveMember(member=number, plan=oracle.plans[target].terms.code, units=units)
            return move, lambda now: oracle.move(member, target, units, now)
        owed = sum(one.billed() for one in member.family())
        arrears = member.arrears()
        if choice < 0.75:
            amount = random.choice([1, 50, 100, 3_000, 1_000_000, 20_000_000, max(1, arrears), max(1, arrears - 1)])
            paid = RecordContribution(member=number, amount=amount, receipt=person(number))
            return paid, lambda _: oracle.contribute(member, amount)
        if choice < 0.95:
            reported = random.choice([1, max(1, owed), owed + 1])
            return (
                ReportArrears(member=number, amount=reported),
                lambda now: oracle.report(member, reported, now),
            )
        return CloseBalance(member=number, receipt=person(number)), lambda _: oracle.close_balance(member)

    def enrol_relative(self) -> Step:
        """Somebody for whom another member pays, or somebody who was a member before."""
        known = self.random.choice(self.oracle.members)
        oracle, plan = self.oracle, known.plan
        terms = oracle.plans[plan].terms
        again = self.random.random() < 0.4
        payer = None if again and self.random.random() < 0.7 else known
        if again:
            identity, birth = known.person, known.birth
        else:
            identity, birth = self.next_person(plan), (self.random.choice([1966, 1980]), self.random.randrange(1, 13))
        entry = NewMember(
            person=person(identity),
            birth_month=month_index(*birth),
            payer=0 if payer is None else payer.number,
            units=self.random.choice([1, 4]),
        )
        organisation = self.random.choice("abd")

        def predict(now: int) -> ResultCode:
            if oracle.is_pending(plan, identity):
                return ResultCode.APPLICATION_PENDING
            index = ORGANISATIONS.index(organisation)
            joined = oracle.join(plan, index, identity, birth, entry.units, payer, now)
            return joined if isinstance(joined, ResultCode) else ResultCode.OK

        return organisation, Enrol(plan=terms.code, members=(entry,)), predict

    def compare_members(self) -> list[tuple[int, int, int]]:
        """Every member, balance and threshold; returns the deadline rows that removals must have."""
        state, rows, watched = self.chain.state, [], 0
        for member in self.oracle.members:
            stored = the_member(state, member.number)
            assert (stored.until_day, stored.exit.name) == (member.until or 0, member.exit)
            assert (stored.cover_day, stored.share_day) == (member.covered, member.shares_from)
            assert stored.payer == (0 if member.payer is None else member.payer.number)
            account, expected = load_account(state, member.number), member.account
            assert (account is None) == (expected is None)
            if account is None or expected is None:
                continue
            assert (account.paid_in, account.own, account.failures) == (
                expected.paid_in,
                expected.own,
                expected.failures,
            )
            assert (account.failed_cycle, account.removal_ms, account.owed) == (
                expected.failed_cycle,
                expected.removal or 0,
                expected.owed,
            )
            assert balance_of(self.chain.application.registry, state, member.number, account) == member.balance()
            if expected.removal is not None:
                rows.append((expected.removal, 96, member.number))
            if account.threshold >= 0:
                watched += 1
                assert state.get(keys.threshold(account.plan, account.threshold, member.number)) is not None
        assert watched == sum(1 for _ in state.scan(*keys.table(keys.THRESHOLD)))
        return rows
