"""Who pays for whom, and whose cover lasts: what the Coverage resources of an input say about its patients.

The beneficiary of a Coverage is covered under the subscriber's name (the policy holder's, where no subscriber is
given). If they are two people, the subscriber pays for the beneficiary. The ledger knows one level only: a payer
pays for itself. So a chain is followed to its head, and people who subscribe for each other in a circle each pay
for themselves.

A Coverage counts on the day of joining: one that is over by then, or has not begun, decides nothing. Somebody who
has Coverage, but none on that day, does not join; somebody who has none at all joins as before and pays alone.
"""

from __future__ import annotations

import sqlite3
from typing import Final

JOINED: Final = ("member", "known-member")
_OF_MEMBERS: Final = (
    "payer",
    "own-coverage",
    "second-coverage",
    "unknown-subscriber",
    "subscriber-not-a-member",
    "coverage-circle",
)
MAX_CHAIN: Final = 16
"""Longest chain of subscribers that is followed."""


class Families:
    """The coverage table of a spool. Rows are judged together with their leader, the first record of a person."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def begin(self) -> None:
        """Tie each Coverage to the people it names; forget what an earlier run decided."""
        run = self._database.execute
        run("UPDATE coverage SET outcome = NULLIF(reason, ''), detail = '', payer = NULL")
        run("UPDATE patient SET payer = 0")
        for column, name in (("leader", "beneficiary"), ("head", "subscriber")):
            run(
                f"UPDATE coverage SET {column} = (SELECT leader FROM patient WHERE id = coalesce((SELECT id FROM alias "
                f"WHERE kind = 'patient' AND alias = coverage.{name}), coverage.{name}))"
            )
        run("UPDATE coverage SET outcome = 'unknown-beneficiary' WHERE outcome IS NULL AND leader IS NULL")
        run("CREATE INDEX IF NOT EXISTS coverage_leader ON coverage (leader, rank, seq)")

    def lapsed(self, leader: int, day: int, shift: int) -> str:
        """Why somebody's Coverage keeps the person from joining on `day`; "" if it does not.

        `shift` is by how many days the person's record is moved.
        """
        run = self._database.execute
        open_ = "leader = ? AND outcome IS NULL"
        run(
            f"UPDATE coverage SET outcome = 'coverage-over' WHERE {open_} AND last_day + ? < ?",
            (leader, shift, day),
        )
        run(
            f"UPDATE coverage SET outcome = 'coverage-not-begun' WHERE {open_} AND first_day + ? > ?",
            (leader, shift, day),
        )
        counts = dict(
            run(
                "SELECT coalesce(outcome, ''), count(*) FROM coverage WHERE leader = ? GROUP BY 1", (leader,)
            ).fetchall()
        )
        if "" in counts:
            return ""
        if "coverage-not-begun" in counts:
            return "cover-not-begun"
        return "cover-ended" if "coverage-over" in counts else ""

    def decide(self) -> None:
        """Give every Coverage its outcome, and every patient its payer. To be called once all patients have theirs."""
        run = self._database.execute
        run(
            "UPDATE coverage SET outcome = 'not-a-member' WHERE outcome IS NULL AND leader IN "
            f"(SELECT seq FROM patient WHERE outcome NOT IN {JOINED})"
        )
        # Of several that count, the one with the lowest order decides, as FHIR has it; then the first of the input.
        run(
            "UPDATE coverage SET outcome = 'second-coverage' WHERE outcome IS NULL AND seq != (SELECT other.seq FROM "
            "coverage other WHERE other.leader = coverage.leader AND other.outcome IS NULL "
            "ORDER BY other.rank, other.seq LIMIT 1)"
        )
        rows = run("SELECT seq, leader, subscriber FROM coverage WHERE outcome IS NULL ORDER BY seq")
        decided = ((*self._payer(leader, subscriber), seq) for seq, leader, subscriber in rows)
        # Into a table of its own first: the chains must be followed over what is not decided yet.
        run("CREATE TEMP TABLE IF NOT EXISTS decided (outcome TEXT, payer INTEGER, seq INTEGER)")
        run("DELETE FROM decided")
        self._database.executemany("INSERT INTO decided VALUES (?, ?, ?)", decided)
        run("UPDATE coverage SET outcome = d.outcome, payer = d.payer FROM decided d WHERE d.seq = coverage.seq")
        run("UPDATE patient SET payer = c.payer FROM coverage c WHERE c.leader = patient.seq AND c.outcome = 'payer'")

    def _payer(self, leader: int, subscriber: str | None) -> tuple[str, int | None]:
        """(outcome, leader of who pays) of the Coverage that decides about `leader`."""
        chain = [leader]
        while (above := self._subscriber(chain[-1])) not in (None, chain[-1]):
            if above in chain or len(chain) > MAX_CHAIN:
                return "coverage-circle", None
            chain.append(above)
        if len(chain) == 1:
            return ("own-coverage" if subscriber is None or above == leader else "unknown-subscriber"), None
        # The topmost who joined: nobody above pays for that one either, so that it pays for itself.
        payer = next((person for person in reversed(chain[1:]) if self._outcome(person) in JOINED), None)
        if payer is None:
            return "subscriber-not-a-member", None
        return ("payer-stands" if self._outcome(leader) == "known-member" else "payer"), payer

    def _subscriber(self, leader: int) -> int | None:
        query = "SELECT head FROM coverage WHERE leader = ? AND outcome IS NULL"
        row = self._database.execute(query, (leader,)).fetchone()
        return None if row is None else row[0]

    def _outcome(self, leader: int) -> str:
        return str(self._database.execute("SELECT outcome FROM patient WHERE seq = ?", (leader,)).fetchone()[0])

    def refused(self, leader: int) -> None:
        """The ledger did not take this person: neither is there a cover to pay for, nor anybody to pay for others."""
        run = self._database.execute
        run(f"UPDATE coverage SET outcome = 'not-a-member' WHERE leader = ? AND outcome IN {_OF_MEMBERS}", (leader,))
        run("UPDATE coverage SET outcome = 'subscriber-not-a-member' WHERE payer = ? AND outcome = 'payer'", (leader,))
        run("UPDATE patient SET payer = 0 WHERE payer = ?", (leader,))
