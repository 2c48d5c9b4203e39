"""The side stories: what a programme meets besides claims that are found, reviewed and paid.

Each is carried out by the people it concerns, with their own keys and through the nodes' API: a member in arrears, an
objection that is upheld, a denial that a jury overturns, a payout taken back, new terms, papers erased. They run
beside each other and beside the claims of the input, and wait for what the chain tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec.structs import replace

from consensus.merkle import rfc6962_root
from node.claims.builders import commitment
from node.claims.calendar import month_index
from node.claims.genesis import Clause, PlanTerms
from node.claims.ids import claim_id, member_id, member_text
from node.claims.jury.actions import (
    BallotReason,
    CastBallots,
    EnrolJurors,
    Grade,
    GradePapers,
    IssuePapers,
    LockStatement,
    PublishBank,
    RegisterJuryKeys,
    RequestJury,
    RevealBallots,
    Vote,
)
from node.claims.mutual_aid.actions import (
    AnswerClawback,
    Enrol,
    NewMember,
    Object,
    OpenClawback,
    Reason,
    RecordContribution,
    RecordRecovery,
    VoteClawback,
    VoteWriteOff,
)
from node.claims.mutual_aid.plan_actions import ProposeTerms, VoteProposal
from node.client import Account, Client, ClientError, NodeUnavailable, Rejected
from node.crypto import SigningKey
from node.demo.desk import CLAUSE, DOUBTFUL, VALID_FOR_MS, Desk
from node.demo.moments import PATIENCE_S, Moments
from node.demo.outcome import Check
from node.jury_work import jury_public_keys, make_ballot, make_paper
from node.vault.client import add_evidence, erase_evidence, fetch_evidence, usual_recipients
from node.vault.errors import SealError
from node.vault.sealing import Paper

PEOPLE_PER_DESK: Final = 4
"""Members with a key of their own, whom the input does not have: jurors, an objector, one who pays ahead."""
HOLD_DAYS: Final = 10
"""So long after a denial is final its papers are kept."""
GRANT_DAYS: Final = 300
"""Chain time: a month is three seconds here."""
LATE_CLAIM: Final = 12
QUESTIONS: Final = 40
DEPOSIT: Final = 100
"""Minor units: less than the first share, so that the balance runs out."""
REPAYMENT: Final = 100_000_000

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Person:
    """A member with a key of their own."""

    number: int
    key: SigningKey
    desk: Desk


class Chapters:
    """The side stories of one run."""

    def __init__(self, desks: Sequence[Desk], moments: Moments, terms: PlanTerms, genesis: bytes, say: Say) -> None:
        self._desks, self._moments, self._terms = desks, moments, terms
        self._genesis, self._say = genesis, say
        self._by_name = {desk.name: desk for desk in desks}
        self.people: list[Person] = []
        self._taken: set[str] = set()
        """Claims that a chapter is about."""

    def all(self) -> list[Coroutine[Any, Any, Check]]:
        return [
            self.new_terms(),
            self.arrears(),
            self.objection(),
            self.jury(),
            self.clawback(),
            self.erasure(),
        ]

    # The people.

    async def enrol_people(self) -> None:
        """Each organisation enrols some members who have keys."""
        await asyncio.gather(*(self._enrol_at(desk) for desk in self._desks))
        self.people.sort(key=lambda person: person.number)

    async def _enrol_at(self, desk: Desk) -> None:
        keys = [SigningKey.generate() for _ in range(PEOPLE_PER_DESK)]
        entries = tuple(
            NewMember(
                person=sha256(b"weal demo person\0" + key.public).digest(),
                birth_month=month_index(1985, 4),
                key=key.public,
            )
            for key in keys
        )
        outcome = await desk.account.submit([Enrol(plan=self._terms.code, members=entries)])
        (event,) = [event for event in (outcome.receipt or {})["events"] if event["what"] == "members-enrolled"]
        first = member_id(event["member"])
        self.people += [Person(first + index, key, desk) for index, key in enumerate(keys)]

    def _account(self, person: Person) -> Account:
        return Account(person.desk.client, person.key, genesis=self._genesis, valid_for_ms=VALID_FOR_MS)

    async def _covered(self) -> None:
        """Until the first of the people share the plan's cost, and so are members in every respect."""
        while True:
            member = await self._desks[0].client.member(member_text(self.people[0].number))
            if member["status"] == "covered" or member["status"] == "active":
                return
            await asyncio.sleep(0.2)

    def _free(self, claim: str) -> bool:
        """Take a claim for a chapter, if no other is about it."""
        if claim in self._taken:
            return False
        self._taken.add(claim)
        return True

    async def _try_all(self, action: Any) -> int:
        """Every organisation sends it; those who may not are refused. Answers how many were taken."""
        taken = 0
        for desk in self._desks:
            try:
                await desk.account.submit([action])
                taken += 1
            except Rejected:
                continue
        return taken

    # The chapters.

    async def new_terms(self) -> Check:
        """The organisations vote on a second version of the plan, which takes effect at a cycle border."""
        clauses = (*self._terms.clauses, Clause(number="9.9", title="Claims are answered within thirty days"))
        proposed = replace(self._terms, version=self._terms.version + 1, clauses=clauses)
        first, *others = self._desks
        await first.account.submit([ProposeTerms(terms=proposed)])
        opened = await self._moments.first("proposal-opened")
        number = int(opened.data["proposal"].removeprefix("P-"))
        for desk in others:
            try:
                await desk.account.submit([VoteProposal(proposal=number, approve=True)])
            except Rejected:
                break  # A quorum has adopted it already.
        await self._moments.first("terms-adopted")
        self._say("version 2 of the plan is adopted by a quorum; it begins with a later cycle", "cyan")
        await self._moments.first("claim-paid", fits=lambda data: claim_id(data["claim"]) > LATE_CLAIM)
        record = await first.client.get(f"/v1/plans/{self._terms.code}")
        versions = record["data"]["versions"]
        judged = {claim["plan_version"] async for claim in first.client.claims()}
        return Check(
            what="new terms were voted with notice, and each claim is judged by those of its day of diagnosis",
            held=versions == [1, 2] and judged <= {1, 2} and 2 in judged,
            detail=f"versions {versions}, claims judged by {sorted(judged)}",
        )

    async def arrears(self) -> Check:
        """A member pays ahead, too little; the ledger finds out by itself; the member pays."""
        person = self.people[-1]
        await self._covered()
        deposit = RecordContribution(member=person.number, amount=DEPOSIT, receipt=_paper("deposit", person))
        await person.desk.account.submit([deposit])
        name = member_text(person.number)
        found = await self._moments.first("member-in-arrears", fits=lambda data: data["member"] == name)
        self._say(f"{name} is in arrears with {found.data['amount']} {found.data['currency']}", "yellow")
        payment = RecordContribution(member=person.number, amount=REPAYMENT, receipt=_paper("payment", person))
        await person.desk.account.submit([payment])
        await self._moments.first("arrears-cleared", fits=lambda data: data["member"] == name)
        self._say(f"{name} has paid, and stays a member", "green")
        return Check(what="a member in arrears was found without anybody looking, paid, and stays", held=True)

    async def objection(self) -> Check:
        """A member objects to a published claim; a reviewer without a part in it upholds the objection."""
        person = self.people[0]
        await self._covered()
        for _ in range(20):
            seen = await self._moments.first("claim-published", fits=lambda data: data["claim"] not in self._taken)
            claim = seen.data["claim"]
            if not self._free(claim):
                continue
            action = Object(claim=claim_id(claim), member=person.number, evidence=_paper("objection", person))
            try:
                await self._account(person).submit([action])
            except Rejected:
                continue  # Its disclosure period was over.
            break
        upheld = await self._moments.first("objection-upheld", "objection-refused", fits=lambda d: d["claim"] == claim)
        self._say(f"{member_text(person.number)} objected to {claim}: {upheld.type.removeprefix('objection-')}", "red")
        return Check(
            what="an objection was upheld, by a reviewer without a part", held=upheld.type == "objection-upheld"
        )

    async def jury(self) -> Check:
        """Members pass an exam, vote with hidden ballots on a denied claim, and overturn the denial."""
        await asyncio.gather(*(self._register_keys(desk) for desk in self._desks))
        bank = self._desks[0]
        leaves = [commitment(sha256(b"salt %d" % n).digest(), b"question %d" % n) for n in range(QUESTIONS)]
        answers = commitment(sha256(b"answers").digest(), b"answers")
        publish = PublishBank(plan=self._terms.code, questions=QUESTIONS, root=rfc6962_root(leaves), answers=answers)
        await bank.account.submit([publish])
        await self._covered()
        await asyncio.gather(
            *(self._account(person).submit([EnrolJurors(members=(person.number,))]) for person in self.people)
        )
        await self._examine(bank)
        self._say(f"{len(self.people)} members have passed the jurors' exam", "cyan")
        denied = await self._moments.first("claim-denied", fits=lambda data: self._free(data["claim"]))
        claim, denier = denied.data["claim"], self._by_name[denied.data["organisation"]]
        record = await denier.client.claim(claim)
        speaker = self._by_name[(await denier.client.member(record["member"]))["enrolled_by"]]
        number = claim_id(claim)
        await speaker.account.submit([RequestJury(claim=number, statement=_paper("statement", claim))])
        await denier.account.submit([LockStatement(claim=number, statement=_paper("answer", claim))])
        self._say(f"{claim}: the member asks for a jury", "cyan")
        passed = await self._vote(claim, number)
        final = await self._moments.first("claim-paid", "claim-written-off", fits=lambda data: data["claim"] == claim)
        return Check(
            what=f"a jury of {len(self.people)} overturned a denial with hidden ballots, and the claim was paid",
            held=passed and final.type == "claim-paid",
            detail=claim,
        )

    async def _register_keys(self, desk: Desk) -> None:
        exam, beacon = jury_public_keys(desk.account.key)
        await desk.account.submit([RegisterJuryKeys(exam=exam, beacon=beacon)])

    async def _examine(self, bank: Desk) -> None:
        plan = (await bank.client.plan(self._terms.code))["number"]
        papers, grades = [], []
        for person in self.people:
            juror = (await bank.client.get(f"/v1/members/{member_text(person.number)}/juror"))["data"]
            papers.append(
                make_paper(bank.account.key, self._genesis, plan, juror["bank"], person.number, juror["attempt"])
            )
            grades.append(
                Grade(juror=person.number, correct=self._terms.jury.exam_questions, paper=_paper("exam", person))
            )
        await bank.account.submit([IssuePapers(papers=tuple(papers))])
        await bank.account.submit([GradePapers(grades=tuple(grades))])

    async def _vote(self, claim: str, number: int) -> bool:
        opened = await self._moments.first("jury-vote-opened", fits=lambda data: data["claim"] == claim)
        round_number = int(opened.data["round"])
        ballots, reveals = [], []
        for index, person in enumerate(self.people):
            pays = index % 4 != 3
            vote = Vote.PAY if pays else Vote.REFUSE
            reason = BallotReason.EVIDENCE_PROVES_CLAIM if pays else BallotReason.CLAUSE_APPLIES
            ballot, reveal = make_ballot(person.key, self._genesis, number, round_number, person.number, vote, reason)
            ballots.append(ballot)
            reveals.append(reveal)
        bearer = self._desks[-1].account
        await bearer.submit([CastBallots(claim=number, round=round_number, ballots=tuple(ballots))])
        await self._moments.first("reveal-opened", fits=lambda data: data["claim"] == claim)
        await bearer.submit([RevealBallots(claim=number, round=round_number, reveals=tuple(reveals))])
        verdict = await self._moments.first("jury-passed", "verdict-failed", fits=lambda data: data["claim"] == claim)
        self._say(
            f"{claim}: the jury {'overturns the denial' if verdict.type == 'jury-passed' else 'confirms it'}", "green"
        )
        return verdict.type == "jury-passed"

    async def clawback(self) -> Check:
        """A paid claim turns out to be fraud: the member is heard, a panel decides, a part comes back."""
        paid = await self._moments.first("claim-paid", fits=lambda data: self._free(data["claim"]))
        claim = paid.data["claim"]
        number = claim_id(claim)
        record = await self._desks[0].client.claim(claim)
        opener = self._by_name[record["review"]["organisation"]]
        enroller = self._by_name[(await opener.client.member(record["member"]))["enrolled_by"]]
        fraud = OpenClawback(claim=number, report=_paper("report", claim), clause=CLAUSE, reason=Reason.EVIDENCE_FALSE)
        await opener.account.submit([fraud])
        await enroller.account.submit([AnswerClawback(claim=number, answer=_paper("hearing", claim))])
        await self._try_all(VoteClawback(claim=number, uphold=True))
        upheld = await self._moments.first("clawback-upheld", fits=lambda data: data["claim"] == claim)
        self._say(f"{claim} was fraud: {upheld.data['amount']} {upheld.data['currency']} are demanded back", "red")
        amount = _minor(record["amount"]) * 2 // 5
        back = RecordRecovery(claim=number, amount=amount, receipt=_paper("recovered", claim))
        await self._by_name[record["payment"]["organisation"]].account.submit([back])
        await self._try_all(VoteWriteOff(claim=number))
        await self._moments.first("claim-written-off", fits=lambda data: data["claim"] == claim)
        totals = (await opener.client.plan(self._terms.code))["totals"]
        return Check(
            what="a payout was taken back in part, and lowers what the others share; the rest is written off",
            held=_minor(totals["recovered"]) == amount
            and _minor(totals["written_off"]) == _minor(record["amount"]) - amount,
            detail=claim,
        )

    async def erasure(self) -> Check:
        """Papers of a denied claim: sealed, read by whom they concern, kept while the claim is open, then erased."""
        filed = await self._moments.first("claim-filed", fits=self._will_be_denied)
        claim = filed.data["claim"]
        filer = self._by_name[(await self._desks[0].client.claim(claim))["filed_by"]]
        papers = [Paper("discharge-letter.txt", b"what nobody else may read")]
        readers = await usual_recipients(filer.account, claim_id(claim), days=GRANT_DAYS)
        added = await add_evidence(filer.account, papers, claim=claim_id(claim), recipients=readers)
        refused = False
        try:
            await erase_evidence(filer.account, added.number)
        except Rejected:
            refused = True
        self._say(f"papers of {claim} are sealed with {filer.name}; they cannot be erased while it is open", "")
        await self._moments.first("denial-final", fits=lambda data: data["claim"] == claim)
        with TemporaryDirectory(prefix="weal-demo-") as folder:
            readable = bool(await fetch_evidence(filer.account, added.number, Path(folder)))
        status = await self._erase(added.number)
        gone = False
        with TemporaryDirectory(prefix="weal-demo-") as folder:
            try:
                await fetch_evidence(filer.account, added.number, Path(folder))
            except (SealError, ClientError):
                gone = True
        self._say(f"every holder has erased the papers of {claim}, and signed it", "green")
        return Check(
            what="papers were kept while their claim was open, then erased by every holder; proofs still hold",
            held=refused and readable and gone and status == "erased",
            detail=f"{status}, refused {refused}, read {readable}, gone {gone}",
        )

    async def _erase(self, item: int) -> str:
        """Every holder destroys its copy and signs that, as soon as the plan's hold is over. Answers the status."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < end:
            for desk in self._desks:
                # Its own node, and no other, knows that the copy is gone; after a failover the clerk asks elsewhere.
                async with Client([desk.own_url], timeout_s=3.0) as client:
                    account = Account(client, desk.account.key, genesis=self._genesis, valid_for_ms=VALID_FOR_MS)
                    try:
                        if (status := (await erase_evidence(account, item, timeout_s=3.0)).status) == "erased":
                            return status
                    except (Rejected, NodeUnavailable):
                        continue
            await asyncio.sleep(0.2)
        return "kept"

    def _will_be_denied(self, data: dict[str, Any]) -> bool:
        """The second doubtful claim, so that the jury has the first."""
        number = claim_id(data["claim"])
        return number % DOUBTFUL == 0 and number > DOUBTFUL and self._free(data["claim"])


def _paper(kind: str, subject: Person | str) -> bytes:
    """A commitment that stands for a paper which a real desk would hold."""
    name = subject if isinstance(subject, str) else member_text(subject.number)
    content = f"{kind} {name}".encode()
    return commitment(sha256(b"weal demo paper\0" + content).digest(), content)


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))
