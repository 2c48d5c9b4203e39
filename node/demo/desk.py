"""The claims desk of one organisation: files what its members fell ill with, and does what the ledger assigns to it.

It knows nothing but the organisation's key and the nodes' API, like the people it stands for: it follows its
worklist and takes the next step of each claim. Every sixth case is found not to meet the plan's definition, a
choice that only depends on the claim's number, so that the demonstration shows denials as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from node.claims.builders import commitment
from node.claims.ids import claim_id
from node.claims.mutual_aid.actions import (
    ConfirmPayment,
    DecideObjection,
    Decision,
    Finding,
    Investigate,
    Reason,
    Review,
)
from node.claims.transaction import Action
from node.client import Account, Client, ClientError, Outcome
from node.crypto import SigningKey
from node.fhir.importer import Importer
from node.fhir.judge import NewClaim

VALID_FOR_MS: Final = 150 * 86_400_000
"""Chain time: about 15 real seconds on the scaled clock."""
DOUBTFUL: Final = 6
CLAUSE: Final = "3.1"
"""Clause of the critical-illness plan: conditions covered, and how each is proven."""
_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 30.0


class Desk:
    """One organisation's clerk."""

    def __init__(self, name: str, urls: Sequence[str], key: SigningKey, genesis: bytes, minor_digits: int) -> None:
        self.name, self.own_url = name, urls[0]
        self.client = Client(urls, timeout_s=3.0, patience_s=_PATIENCE_S)
        self.account = Account(self.client, key, genesis=genesis, valid_for_ms=VALID_FOR_MS)
        self.latencies_ms: list[float] = []
        """From submission to finality, real time, one figure per transaction."""
        self.refused: list[str] = []
        """Refusals by the ledger that this desk did not expect."""
        self.filed: list[str] = []
        self._digits = minor_digits
        self._done: set[tuple[str, str, int]] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something happened that may concern this desk."""
        self._wake.set()

    async def close(self) -> None:
        await self.client.close()

    async def submit(self, batches: Sequence[Sequence[Action]]) -> list[Outcome]:
        """Sign and submit, one transaction per batch, and wait until all are final."""
        began = time.monotonic()
        outcomes = await self.account.submit_many(batches, timeout_s=_PATIENCE_S)
        took_ms = (time.monotonic() - began) * 1000
        self.latencies_ms += [took_ms] * len(outcomes)
        return outcomes

    async def file(self, claims: Sequence[NewClaim], importer: Importer, is_due: Callable[[NewClaim], float]) -> None:
        """File each claim when its day has come. `is_due` gives the real seconds until then."""
        for claim in claims:
            while (wait_s := is_due(claim)) > 0:
                await asyncio.sleep(min(wait_s, 1.0))
            member = importer.member_of(claim)
            if not member:
                continue
            (outcome,) = await self.submit([[importer.action(claim, member)]])
            if importer.enter_claim(claim, outcome):
                (event,) = [e for e in (outcome.receipt or {})["events"] if e["what"] == "claim-filed"]
                self.filed.append(event["claim"])
            else:
                self.refused.append(f"filing for member {member}: {outcome.result} {outcome.detail}".rstrip())

    async def work(self) -> None:
        """Do what the ledger assigns to this organisation, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._work_once()
            except ClientError as error:
                # The node may be the one that was just killed; the client asks the next one.
                if not error.retryable:
                    self.refused.append(f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_S)

    async def _work_once(self) -> None:
        steps: list[tuple[tuple[str, str, int], Action]] = []
        async for record in self.client.worklist(self.name):
            step = (record["id"], record["status"], int(record["passed_on"]))
            action = None if step in self._done else self.next_step(record)
            if action is not None:
                steps.append((step, action))
        if not steps:
            return
        outcomes = await self.submit([[action] for _, action in steps])
        for (step, _), outcome in zip(steps, outcomes, strict=True):
            if outcome.succeeded:
                self._done.add(step)
            elif (outcome.result or outcome.status) not in _OVERTAKEN:
                self._done.add(step)
                self.refused.append(f"{step[0]} in status {step[1]}: {outcome.result} {outcome.detail}")

    def next_step(self, claim: dict[str, Any]) -> Action | None:
        """What this organisation has to do about a claim that waits for it."""
        number = claim_id(claim["id"])
        paper = _paper(self.name, claim)
        if claim["status"] == "filed":
            doubtful = number % DOUBTFUL == 0
            return Investigate(
                claim=number,
                finding=Finding.FAIL if doubtful else Finding.PASS,
                report=paper,
                clause=CLAUSE if doubtful else "",
                reason=Reason.DEFINITION_NOT_MET if doubtful else 0,
            )
        if claim["status"] == "investigated":
            if claim["investigation"]["finding"] == "pass":
                return Review(claim=number, decision=Decision.ACCEPT)
            return Review(
                claim=number,
                decision=Decision.DENY,
                clause=claim["investigation"]["clause"],
                evidence=bytes.fromhex(claim["investigation"]["report"]),
                reason=Reason.DEFINITION_NOT_MET,
            )
        if claim["status"] == "objected":
            return DecideObjection(
                claim=number,
                decision=Decision.DENY,
                clause=CLAUSE,
                evidence=bytes.fromhex(claim["evidence"]),
                reason=Reason.EVIDENCE_INSUFFICIENT,
            )
        if claim["status"] == "settled":
            amount = int(claim["amount"].replace(".", "")) if self._digits else int(claim["amount"])
            return ConfirmPayment(claim=number, amount=amount, receipt=paper)
        return None


_OVERTAKEN: Final = frozenset({"not-assigned", "wrong-claim-status", "clock-behind", "expired"})
"""Ordinary when a deadline passed in the same moment: the ledger has given the step to somebody else."""


def _paper(desk: str, claim: dict[str, Any]) -> bytes:
    """A commitment that stands for the report or receipt which a real desk would hold."""
    content = f"{desk} {claim['id']} {claim['status']}".encode()
    return commitment(sha256(b"weal demo paper\0" + content).digest(), content)
