"""Puts the judged content of an input on the ledger: looks up who is a member, enrols, files, enters the answers.

The spool keeps what the ledger said: numbers of members and claims, and refusals with their reason. So an import
can be run again over the same file: people who are members are known by their keyed value, and what is claimed is
not claimed twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from node.claims import keys
from node.claims.calendar import parse_date
from node.claims.ids import claim_id, member_id, member_text
from node.claims.mutual_aid.actions import MAX_BATCH, Enrol, FileClaim
from node.claims.mutual_aid.actions import NewMember as NewMemberAction
from node.claims.mutual_aid.persons import read_person
from node.claims.registry import Plan
from node.client import Account, Client, Outcome
from node.fhir.families import Families
from node.fhir.judge import Known, NewClaim, NewMember
from node.fhir.spool import Spool

_LOOKUPS: Final = 16
"""Questions to the node at a time."""
_CLAIM_BATCH: Final = 100


class Importer:
    """Submits for one spool and one plan."""

    def __init__(self, spool: Spool, plan: Plan) -> None:
        self._spool, self._plan = spool, plan
        self._database = spool.database
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS known (person BLOB PRIMARY KEY, number INTEGER, joined INTEGER, "
            "birth_month INTEGER, claimed INTEGER, is_new INTEGER DEFAULT 0, payer INTEGER DEFAULT 0)"
        )
        self._families = Families(spool.database)

    # --- before judging

    async def look_up(self, client: Client) -> int:
        """Find out who of the input is a member already; answers how many."""
        persons = (person for (person,) in self._spool.rows("SELECT DISTINCT person FROM patient"))
        found = 0
        while batch := list(islice(persons, _LOOKUPS)):
            for known in await asyncio.gather(*(self._look_up_one(client, person) for person in batch)):
                if known is not None:
                    found += 1
                    self._database.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, 0, ?)", known)
        return found

    async def _look_up_one(self, client: Client, person: bytes) -> tuple[bytes, int, int, int, int, int] | None:
        key = keys.person(self._plan.number, person).hex()
        value = (await client.get(f"/v1/state/{key}"))["data"]["value"]
        if value is None:
            return None
        number = read_person(bytes.fromhex(value)).member
        if not number:
            return None
        member = await client.member(member_text(number))
        year, month = (int(part) for part in member["birth_month"].split("-"))
        claimed = bool(member["open_claims"] or member["paid_claims"])
        payer = member_id(member["pays_through"]) if member["pays_through"] else 0
        return person, number, parse_date(member["enrolled_on"]), year * 12 + month - 1, int(claimed), payer

    def known(self, person: bytes) -> Known | None:
        """For the judge: what `look_up` found, and whom `enrol` has enrolled."""
        row = self._database.execute(
            "SELECT number, joined, birth_month, claimed, is_new FROM known WHERE person = ?", (person,)
        ).fetchone()
        return None if row is None else Known(row[0], row[1], row[2], bool(row[3]), bool(row[4]))

    # --- after judging

    def enter_known(self) -> None:
        """Write the numbers of those who are members already into the spool."""
        self._database.execute(
            "UPDATE patient SET member = (SELECT number FROM known WHERE known.person = patient.person) "
            "WHERE outcome = 'known-member'"
        )

    async def enrol(self, account: Account, members: Iterable[NewMember], timeout_s: float = 60.0) -> int:
        """Enrol people, in batches that are carried out all or none; a person whom the ledger refuses is taken out
        and the rest of the batch sent again. Answers how many became members."""
        enrolled = 0
        pending = iter(members)
        while batch := list(islice(pending, MAX_BATCH)):
            while batch:
                outcome = await self._enrol_once(account, batch, timeout_s)
                if outcome.succeeded:
                    block = await account.client.block(outcome.height)
                    self._enrolled(batch, outcome, self._plan.day_of(int(block["header"]["time_ms"])))
                    enrolled += len(batch)
                    break
                self._take_out(batch, outcome)
        return enrolled

    async def _enrol_once(self, account: Account, batch: Sequence[NewMember], timeout_s: float) -> Outcome:
        place = {member.row: index for index, member in enumerate(batch)}
        people = tuple(
            NewMemberAction(
                person=member.person, birth_month=member.birth_month, payer=self._payer(member.payer_row, place)
            )
            for member in batch
        )
        action = Enrol(plan=self._plan.code, members=people)
        return (await account.submit_many([[action]], timeout_s=timeout_s))[0]

    def _payer(self, row: int, place: dict[int, int]) -> int:
        """Who pays, as the ledger counts: -(position in the batch + 1), or a member's number; 0 if nobody else does."""
        if not row or row in place:
            return -(place[row] + 1) if row else 0
        number, head = self._database.execute(
            "SELECT p.member, coalesce(k.payer, 0) FROM patient p LEFT JOIN known k ON k.person = p.person "
            "WHERE p.seq = ? AND p.outcome IS NOT 'refused'",
            (row,),
        ).fetchone() or (0, 0)
        # A member of old may have a payer of its own, and the ledger knows one level only.
        return int(head or number)

    def _enrolled(self, batch: Sequence[NewMember], outcome: Outcome, joined_day: int) -> None:
        (event,) = [e for e in (outcome.receipt or {})["events"] if e["what"] == "members-enrolled"]
        first = member_id(event["member"])
        for number, member in enumerate(batch, first):
            self._database.execute("UPDATE patient SET member = ? WHERE seq = ?", (number, member.row))
            self._database.execute(
                "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, 0, 1, 0)",
                (member.person, number, joined_day, member.birth_month),
            )

    def _take_out(self, batch: list[NewMember], outcome: Outcome) -> None:
        """Enter the refusal of the one person that the ledger names; of all, if it names none."""
        named = re.fullmatch(r"member (\d+)", outcome.detail)
        index = int(named[1]) if named and int(named[1]) < len(batch) else None
        refused = list(batch) if index is None else [batch[index]]
        del batch[0 if index is None else index : len(batch) if index is None else index + 1]
        why = outcome.result or outcome.status
        for member in refused:
            self._database.execute(
                "UPDATE patient SET outcome = 'refused', detail = ? WHERE seq = ?", (why, member.row)
            )
            self._database.execute(
                "UPDATE condition SET outcome = 'not-a-member' WHERE leader = ? AND outcome = 'claim'", (member.row,)
            )
            self._families.refused(member.row)
        self._unclaim_bills()

    async def file(self, account: Account, claims: Iterable[NewClaim], timeout_s: float = 60.0) -> int:
        """File claims, one transaction each, and enter the ledger's answers; answers how many were taken."""
        taken = 0
        pending = iter(claims)
        while batch := list(islice(pending, _CLAIM_BATCH)):
            ready = [(claim, number) for claim in batch if (number := self.member_of(claim))]
            actions = [[self.action(claim, number)] for claim, number in ready]
            outcomes = await account.submit_many(actions, timeout_s=timeout_s)
            for (claim, _), outcome in zip(ready, outcomes, strict=True):
                taken += self.enter_claim(claim, outcome)
        self._unclaim_bills()
        return taken

    def member_of(self, claim: NewClaim) -> int:
        """The member whose condition is claimed; 0 if the ledger refused the person."""
        query = "SELECT member FROM patient WHERE seq = ?"
        return int(self._database.execute(query, (claim.member_row,)).fetchone()[0])

    def action(self, claim: NewClaim, member: int) -> FileClaim:
        return FileClaim(
            plan=self._plan.code,
            member=member,
            ailment=claim.ailment,
            diagnosis_day=claim.diagnosed_day,
            accident=False,
            evidence=claim.evidence,
            amount=claim.amount,
        )

    def enter_claim(self, claim: NewClaim, outcome: Outcome) -> bool:
        """Write what the ledger said about a claim; whether it was taken."""
        if outcome.succeeded:
            (event,) = [e for e in (outcome.receipt or {})["events"] if e["what"] == "claim-filed"]
            number = claim_id(event["claim"])
            self._database.execute("UPDATE condition SET claim = ? WHERE seq = ?", (number, claim.row))
            return True
        self._database.execute(
            "UPDATE condition SET outcome = 'refused', detail = ? WHERE seq = ?",
            (outcome.result or outcome.status, claim.row),
        )
        self._unclaim_bills()
        return False

    def _unclaim_bills(self) -> None:
        """Bills of a condition that is no claim after all are not covered."""
        self._database.execute(
            "UPDATE bill SET outcome = 'not-covered', detail = (SELECT outcome FROM condition WHERE "
            "condition.seq = bill.condition) WHERE outcome = 'claimed' AND condition IN "
            "(SELECT seq FROM condition WHERE outcome != 'claim')"
        )
