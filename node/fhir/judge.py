"""Decides about every resource of an input: member, claim, or a reason why not.

The rules are those of the plan (`node.claims`), so that the ledger will agree; where it does not, its answer
is what counts and the report says so. A FHIR Claim is a bill for care and not a claim on the plan: it is
accounted to the condition that it treats, and its amount with it.

Outcomes are words of the fixed list in `reasons`, so that totals can be made and compared between imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from node.claims.builders import commitment
from node.claims.calendar import birthday, date_of, date_text, month_index, months_old, years_old
from node.claims.genesis import Benefit
from node.claims.registry import Plan, Terms
from node.claims.types import MAX_AMOUNT
from node.fhir.families import Families
from node.fhir.identity import ImportSecret
from node.fhir.spool import Spool


class Known(NamedTuple):
    """Somebody who is a member already."""

    number: int
    joined_day: int
    birth_month: int
    claimed: bool
    """Has a claim that is open or was paid."""
    is_new: bool = False
    """Joined in this very import."""


class Record(NamedTuple):
    """What a timeline knows of a person."""

    person: bytes
    birth_day: int
    last_day: int
    """The day of death, else of the last condition, else far ahead."""
    illnesses: list[tuple[int, int]]
    """(day, observation days) of conditions that the plan lists, rising."""


class Timeline(Protocol):
    """When people join and when their claims are filed. Days are day numbers of the plan."""

    last_day: int
    """No claim is filed later."""

    def place(self, record: Record, terms: Terms) -> tuple[int, int]:
        """(day of joining, days to move the person's whole record)."""
        ...

    def filing_day(self, diagnosed: int, observation_days: int) -> int: ...


class Today:
    """The ordinary case: people join today, and nothing is moved."""

    def __init__(self, today: int) -> None:
        self.last_day = today

    def place(self, record: Record, terms: Terms) -> tuple[int, int]:
        return self.last_day, 0

    def filing_day(self, diagnosed: int, observation_days: int) -> int:
        return self.last_day


class Moved:
    """For demonstrations: each record is moved in time as a whole, so that its first listed condition that
    the plan can cover falls into the months that the demonstration shows. Ages and distances between dates
    stay as they are. One record in eight is put into the waiting period on purpose."""

    def __init__(
        self, first_day: int, last_day: int, *, joining_takes_days: int = 0, filing_delay_days: int = 2
    ) -> None:
        """People join on `first_day` or up to `joining_takes_days` later; nothing is filed after `last_day`."""
        self._first_day, self.last_day = first_day, last_day
        self._joining, self._delay = joining_takes_days, filing_delay_days

    def place(self, record: Record, terms: Terms) -> tuple[int, int]:
        plan, birth = terms.plan, record.birth_day
        chance = int.from_bytes(sha256(b"weal/demo-place\0" + record.person).digest()[:8], "big")
        waiting = max(1, plan.waiting_days)
        early = chance % 8 == 7 and waiting > 2
        # Ages count from the first of a month, and moving a record changes which day that is: a month of slack.
        youngest = _months_later(birth, plan.entry_age_min_months + 1)
        oldest = max(youngest, _months_later(birth, 12 * plan.entry_age_max_years))
        until = _months_later(birth, 12 * plan.cover_until_age_years - 1) if plan.cover_until_age_years else None
        for day, observation in record.illnesses:
            covered = waiting + self._joining
            room = max(1, self.last_day - self._first_day - covered - max(self._delay, observation))
            offset = self._joining + (chance >> 3) % (waiting - 1) if early else covered + (chance >> 3) % room
            if youngest <= day - offset <= oldest and (until is None or day < until):
                return self._first_day, self._first_day + offset - day
        joining = max(youngest, min(record.last_day, oldest))
        return self._first_day, self._first_day - joining

    def filing_day(self, diagnosed: int, observation_days: int) -> int:
        return diagnosed + max(self._delay, observation_days)


def _months_later(day: int, months: int) -> int:
    """The first day of the month that lies `months` after the month of `day`."""
    return birthday(_month(day) + months, 0)


class NewMember(NamedTuple):
    """A patient who joins. `row` is the patient's row in the spool, `payer_row` that of who pays, or 0."""

    row: int
    person: bytes
    birth_month: int
    payer_row: int = 0


class NewClaim(NamedTuple):
    """A condition that is claimed. `row` is its row in the spool, `member_row` that of its patient."""

    row: int
    member_row: int
    ailment: str
    diagnosed_day: int
    filing_day: int
    amount: int
    """Minor units; 0 in a plan with fixed sums."""
    evidence: bytes


class Judge:
    """Goes through a filled spool and writes an outcome to every row."""

    def __init__(
        self,
        spool: Spool,
        plan: Plan,
        timeline: Timeline,
        secret: ImportSecret,
        known: Callable[[bytes], Known | None] = lambda person: None,
    ) -> None:
        self._spool, self._plan, self._timeline = spool, plan, timeline
        self._secret, self._known = secret, known
        self._database = spool.database
        self._families = Families(spool.database)

    def run(self) -> None:
        """Decide about everything. Deterministic: the same input, plan and day give the same outcomes.

        May be run again, once it is known on which day people really joined; what the ledger refused stays so.
        """
        self._database.execute("BEGIN")
        self._database.execute("UPDATE condition SET outcome = NULL WHERE outcome IS NOT 'refused'")
        self._database.execute("UPDATE bill SET outcome = NULL, condition = NULL")
        self._join_records()
        self._families.begin()
        for row, person, birth, died, dead in self._spool.rows(
            "SELECT seq, person, birth_day, death_day, dead FROM patient WHERE leader = seq "
            "AND outcome IS NOT 'refused' ORDER BY seq"
        ):
            self._patient(row, person, birth, died, bool(dead))
        self._database.execute(
            "UPDATE condition SET outcome = CASE reason WHEN '' THEN 'not-a-member' ELSE reason END WHERE leader IN "
            "(SELECT seq FROM patient WHERE outcome = 'refused')"
        )
        self._database.execute(
            "UPDATE condition SET outcome = 'no-patient', detail = '' WHERE outcome IS NULL AND leader IS NULL"
        )
        self._families.decide()
        self._bills()
        self._database.execute("COMMIT")

    def members(self) -> Iterator[NewMember]:
        """Those to enrol, in the order of the input, but nobody before the one who pays."""
        query = (
            "SELECT seq, person, birth_day, shift, payer FROM patient WHERE outcome = 'member' ORDER BY payer != 0, seq"
        )
        for row, person, birth, shift, payer in self._spool.rows(query):
            yield NewMember(row, person, _month(birth + shift), payer)

    def _patient(self, row: int, person: bytes, birth: int | None, died: int | None, dead: bool) -> None:
        terms = self._plan.terms_on(self._timeline.last_day)
        known = self._known(person)
        if birth is None:
            self._set_patient(row, "no-birth-date", "", 0)
            self._conditions_of(row, None, 0, 0, 0, known)
            return
        last = died if died is not None else self._last_day(row)
        record = Record(person, birth, birth + 100_000 if last is None else last, self._illnesses(row))
        joined, shift = self._timeline.place(record, terms)
        outcome = self._entry(terms, birth + shift, joined, None if died is None else died + shift, dead)
        if known is not None:
            joined, outcome = known.joined_day, "member" if known.is_new else "known-member"
        lapsed = self._families.lapsed(row, joined, shift)
        if lapsed and known is None and outcome == "member":
            outcome = lapsed
        self._set_patient(row, outcome, str(joined), shift)
        month = known.birth_month if known else _month(birth + shift)
        self._conditions_of(row, outcome, month, joined, shift, known)

    def _join_records(self) -> None:
        """Records of one person are judged together under the first of them, the leader, oldest condition first."""
        self._database.execute(
            "UPDATE patient SET leader = (SELECT min(seq) FROM patient first WHERE first.person = patient.person)"
        )
        self._database.execute("UPDATE patient SET outcome = 'same-person' WHERE leader != seq")
        self._database.execute(
            "UPDATE condition SET leader = (SELECT leader FROM patient WHERE id = coalesce("
            "(SELECT id FROM alias WHERE kind = 'patient' AND alias = condition.patient), condition.patient))"
        )
        self._database.execute("CREATE INDEX IF NOT EXISTS condition_leader ON condition (leader, day, seq)")

    def _illnesses(self, leader: int) -> list[tuple[int, int]]:
        ailments = self._plan.terms_on(self._timeline.last_day).ailments
        query = (
            "SELECT day, ailment FROM condition WHERE leader = ? AND reason = '' AND day IS NOT NULL "
            "ORDER BY day, seq LIMIT 1000"
        )
        listed = [(day, ailments.get(ailment)) for day, ailment in self._spool.rows(query, leader)]
        return [(day, ailment.observation_days) for day, ailment in listed if ailment is not None]

    def _last_day(self, leader: int) -> int | None:
        day = self._database.execute("SELECT max(day) FROM condition WHERE leader = ?", (leader,)).fetchone()[0]
        return None if day is None else int(day)

    def _entry(self, terms: Terms, birth: int, joined: int, died: int | None, dead: bool) -> str:
        if dead and (died is None or died < joined):
            return "deceased"
        month = _month(birth)
        if months_old(month, joined) < terms.plan.entry_age_min_months:
            return "too-young"
        if years_old(month, joined) > terms.plan.entry_age_max_years:
            return "too-old"
        return "member"

    def _set_patient(self, row: int, outcome: str, detail: str, shift: int) -> None:
        self._database.execute(
            "UPDATE patient SET outcome = ?, detail = ?, shift = ? WHERE seq = ?", (outcome, detail, shift, row)
        )

    def _conditions_of(
        self, leader: int, patient: str | None, month: int, joined: int, shift: int, known: Known | None
    ) -> None:
        rows = self._database.execute(
            "SELECT seq, day, ailment, reason FROM condition WHERE leader = ? AND outcome IS NULL ORDER BY day, seq",
            (leader,),
        ).fetchall()
        claimed = bool(known and known.claimed)
        for seq, day, ailment, reason in rows:
            detail = ""
            if not reason:
                if patient not in ("member", "known-member"):
                    reason = "not-a-member"
                elif day is None:
                    reason = "no-date"
                else:
                    reason, detail = self._cover(ailment, day + shift, month, joined)
                    if reason == "claim" and claimed and self._pays_once(day + shift):
                        reason, detail = "claimed-already", ""
                    claimed |= reason == "claim"
            self._database.execute("UPDATE condition SET outcome = ?, detail = ? WHERE seq = ?", (reason, detail, seq))

    def _pays_once(self, day: int) -> bool:
        plan = self._plan.terms_on(day).plan
        return plan.benefit is Benefit.FIXED or plan.open_claims_max == 1

    def _cover(self, code: str, day: int, month: int, joined: int) -> tuple[str, str]:
        """(outcome, detail) of a listed ailment that began on `day`."""
        terms = self._plan.terms_on(day)
        plan, ailment = terms.plan, terms.ailments.get(code)
        if ailment is None:
            return "not-in-plan", code
        begins = joined + max(1, plan.waiting_days)
        if day < joined:
            return "before-joining", date_text(day)
        if plan.cover_until_age_years and day >= birthday(month, plan.cover_until_age_years):
            return "over-age", f"{years_old(month, day)} years, covered until {plan.cover_until_age_years}"
        if day < begins:
            return "waiting-period", f"{date_text(day)}, cover began {date_text(begins)}"
        band = terms.band(years_old(month, day))
        if band is None or not band.benefit(ailment.tier):
            return "no-benefit", f"{years_old(month, day)} years, {ailment.tier.value}"
        filing = self._timeline.filing_day(day, ailment.observation_days)
        if day > min(filing, self._timeline.last_day):
            return "in-future", date_text(day)
        if filing > self._timeline.last_day or filing < day + ailment.observation_days:
            return "observation", f"until {date_text(day + ailment.observation_days)}"
        if filing > day + ailment.observation_days + plan.report_window_days:
            return "too-late", date_text(day)
        return "claim", ""

    def _bills(self) -> None:
        """Account each bill: to the condition it names, else to one of the same visit, else to a reason."""
        database = self._database
        database.execute("UPDATE bill SET outcome = reason WHERE reason != ''")
        for row, patient in self._spool.rows("SELECT seq, patient FROM bill WHERE outcome IS NULL ORDER BY seq"):
            named = database.execute("SELECT count(*) FROM diagnosis WHERE bill = ?", (row,)).fetchone()[0]
            found = database.execute(
                "SELECT c.seq, c.outcome FROM diagnosis d LEFT JOIN alias a ON a.kind = 'condition' AND a.alias = "
                "d.condition JOIN condition c ON c.id = coalesce(a.id, d.condition) WHERE d.bill = ? "
                "ORDER BY c.outcome != 'claim', c.seq",
                (row,),
            ).fetchone()
            if found is None:
                found = database.execute(
                    "SELECT c.seq, c.outcome FROM visit v JOIN condition c ON c.encounter = v.encounter "
                    "AND c.patient IS ? WHERE v.bill = ? ORDER BY c.outcome != 'claim', c.seq",
                    (patient, row),
                ).fetchone()
            if found is None:
                outcome, detail, condition = ("unknown-diagnosis" if named else "no-diagnosis"), "", None
            elif found[1] == "claim":
                outcome, detail, condition = "claimed", "", found[0]
            else:
                outcome, detail, condition = "not-covered", found[1], found[0]
            database.execute(
                "UPDATE bill SET outcome = ?, detail = ?, condition = ? WHERE seq = ?",
                (outcome, detail, condition, row),
            )
        if self._plan.terms_on(self._timeline.last_day).plan.benefit is Benefit.REIMBURSEMENT:
            self._drop_claims_without_bills()

    def _drop_claims_without_bills(self) -> None:
        for row in [row for (row,) in self._spool.rows("SELECT seq FROM condition WHERE outcome = 'claim'")]:
            if not self._amount(row):
                self._database.execute("UPDATE condition SET outcome = 'no-bills' WHERE seq = ?", (row,))
                self._database.execute(
                    "UPDATE bill SET outcome = 'not-covered', detail = 'no-bills' WHERE condition = ?", (row,)
                )

    def _amount(self, condition: int) -> int:
        plan = self._plan.terms_on(self._timeline.last_day).plan
        if plan.benefit is not Benefit.REIMBURSEMENT:
            return 0
        (cents,) = self._database.execute(
            "SELECT coalesce(sum(amount), 0) FROM bill WHERE condition = ? AND currency = ?", (condition, plan.currency)
        ).fetchone()
        return int(min(cents * 10**plan.minor_digits // 100, MAX_AMOUNT))

    def claims(self) -> Iterator[NewClaim]:
        """Claims to file, in the order of the input."""
        query = (
            "SELECT c.seq, c.leader, c.id, c.ailment, c.day + p.shift, c.digest, p.person FROM condition c "
            "JOIN patient p ON p.seq = c.leader WHERE c.outcome = 'claim' ORDER BY c.seq"
        )
        for row, leader, id, ailment, day, digest, person in self._spool.rows(query):
            observation = self._plan.terms_on(day).ailments[ailment].observation_days
            filing = self._timeline.filing_day(day, observation)
            evidence = self._evidence(row, id, digest, person)
            yield NewClaim(row, leader, ailment, day, filing, self._amount(row), evidence)

    def _evidence(self, row: int, id: str, digest: bytes, person: bytes) -> bytes:
        """Commitment to the condition and its bills: to the digest over their digests, in order of the input."""
        bills: Any = self._spool.rows("SELECT digest FROM bill WHERE condition = ? ORDER BY seq", row)
        content = sha256(b"".join((digest, *(bill for (bill,) in bills)))).digest()
        return commitment(self._secret.salt(person, id), content)


def _month(day: int) -> int:
    year, month, _ = date_of(day)
    return month_index(year, month)
