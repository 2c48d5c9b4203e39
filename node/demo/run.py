"""The demonstration itself: a cluster, four desks, a scaled clock, a killed primary, and a verdict at the end.

The chain clock runs nine days a second, so the plan's waiting period of 90 days takes ten seconds and a cycle two.
Everything goes through the nodes' API; nothing is arranged behind the ledger's back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from node.claims.calendar import date_text, start_of
from node.claims.genesis import PlanTerms
from node.claims.jury.terms import JuryMode, JuryTerms
from node.claims.mutual_aid.transitions import DEADLINE_OF, ClaimStatus
from node.claims.registry import GenesisPlans, Plan, Registry
from node.client import Client, ClientError
from node.config import Config
from node.demo.chapters import HOLD_DAYS, Chapters
from node.demo.clockwork import TIME_SCALE, Clock, DemoFailed, background, until
from node.demo.desk import Desk
from node.demo.moments import Moments
from node.demo.outcome import Check, Figures, Report, chain_totals, check_proof, percentile, state_roots
from node.demo.screen import CLAIM_ORDER, Screen
from node.fhir.identity import ImportSecret
from node.fhir.importer import Importer
from node.fhir.judge import Judge, Moved, NewClaim, NewMember
from node.fhir.mapping import shipped
from node.fhir.reading import pieces
from node.fhir.report import Totals, totals
from node.fhir.spool import Spool
from node.localnet import Localnet
from node.resources import config_file

NAMES: Final = ("harbour", "juniper", "lantern", "meadow", "orchard", "quarry", "ridge", "spruce", "thicket", "valley")
JOINING_DAYS: Final = 30
"""Enrolling takes a moment, and on a busy machine a moment is a month of this clock."""
DAYS: Final = 310
"""Days after joining in which claims are filed: waiting period, observation of the slowest ailment, and some."""
GRACE_DAYS: Final = 400
"""The latest day by which every claim has to be final; it is usually 340."""
KILL_AT_DAY: Final = 160
DOWN_DAYS: Final = 45
MAX_VALIDITY_MS: Final = 366 * 86_400_000
PLAN: Final = "critical-illness"
SAMPLE: Final = Path(__file__).resolve().parent.parent / "data" / "sample-fhir.ndjson"
SAMPLE_SECRET: Final = sha256(b"weal demo: the people of the sample are invented").digest()
"""A public secret, for invented people only: so the demonstration runs the same way each time."""
FINAL: Final = tuple(status.name.lower().replace("_", "-") for status in ClaimStatus if status not in DEADLINE_OF)
"""Statuses that a claim ends in."""
_STARTUP_MS: Final = 1_500
"""Genesis lies a little in the future, so that the days before anybody can join do not go by unused."""


class Options(msgspec.Struct, kw_only=True):
    """What `weal demo` was asked for."""

    fhir: Path | None = None
    nodes: int = 4
    keep: bool = False
    directory: Path | None = None


class Demo:
    """One run. `tell` does all of it and answers the report."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self.options, self.screen = options, screen
        self.names = NAMES[: options.nodes]
        self.figures = Figures()
        self.checks: list[Check] = []
        self._desks: list[Desk] = []
        self._watchers: dict[str, Client] = {}
        self._down: set[str] = set()
        self._moments = Moments()
        self._extra = 0
        """Members whom the input does not have."""

    # --- beginning

    def tell(self) -> Report:
        """Run everything. Raises ChainError if it cannot be carried through; children are stopped in any case."""
        secret = ImportSecret(SAMPLE_SECRET) if self.options.fhir is None else _fresh_secret()
        with Spool(secret, shipped()) as spool:
            self._read(spool)
            began = time.monotonic()
            net = self._cluster()
            is_kept = False
            try:
                self._start(net)
                report = asyncio.run(self._story(net, spool, secret, began))
                if self.options.keep:
                    net.detach()
                    is_kept = True
                    report.api, report.directory = net.urls(), str(net.directory)
                return report
            finally:
                if not is_kept:
                    net.close()

    def _read(self, spool: Spool) -> None:
        source = self.options.fhir or SAMPLE
        self.screen.board.step = "reading the patients"
        try:
            for count in spool.fill(pieces(source)):
                self.screen.board.date = f"{count} resources read"
        except OSError as error:
            raise DemoFailed(f"{source}: {error.strerror or error}") from None
        if spool.damaged:
            raise DemoFailed(f"{source} is damaged: {spool.damaged}")
        (patients,) = next(spool.rows("SELECT count(*) FROM patient"))
        if not patients:
            raise DemoFailed(f"{source} holds no patient; give a file of HL7 FHIR R4 Bundles or resources")
        self.screen.say(f"read {patients} patients from {source.name}")

    def _cluster(self) -> Localnet:
        return Localnet(
            directory=self.options.directory,
            names=self.names,
            tied=not self.options.keep,
            chain="commonweal-demo",
            time_ms=time.time_ns() // 1_000_000 + _STARTUP_MS,
            time_scale=TIME_SCALE,
            max_validity_ms=MAX_VALIDITY_MS,
            plans=[config_file(f"plans/{PLAN}.toml")],
            adjust=_adjust,
            amend=_amend,
        )

    def _start(self, net: Localnet) -> None:
        self.screen.board.step = "starting the nodes"
        self.screen.board.nodes = [{"name": name, "height": 0, "up": False, "starting": True} for name in self.names]
        net.start()
        self.screen.say(f"{len(self.names)} nodes run, each its own process: {', '.join(self.names)}")

    async def _story(self, net: Localnet, spool: Spool, secret: ImportSecret, began: float) -> Report:
        genesis = net.genesis()
        registry = Registry(genesis)
        plan = registry.find(GenesisPlans(registry), PLAN)
        assert plan is not None
        terms = plan.versions[-1].plan
        clock = Clock(genesis.time_ms)
        async with contextlib.AsyncExitStack() as stack:
            for name in self.names:
                own = net.node(name).url
                urls = [own, *(url for url in net.urls() if url != own)]
                desk = Desk(name, urls, net.key(name), genesis.digest, terms.minor_digits)
                stack.push_async_callback(desk.close)
                self._desks.append(desk)
                self._watchers[name] = net.async_client(name, timeout_s=2.0, patience_s=1.0)
                stack.push_async_callback(self._watchers[name].close)
            await clock.wait(genesis.time_ms)
            first_day = plan.day_of(clock.now_ms())
            importer = Importer(spool, plan)
            judge = Judge(
                spool, plan, Moved(first_day, first_day + DAYS, joining_takes_days=JOINING_DAYS), secret, importer.known
            )
            judge.run()
            chapters = Chapters(self._desks, self._moments, terms, genesis.digest, self.screen.say)
            await asyncio.gather(self._enrol(judge, importer), chapters.enrol_people())
            self._extra = len(chapters.people)
            # Enrolling took some days of this fast clock, and cover counts from the day on which each really joined.
            judge.run()
            await self._live_through(net, spool, judge, importer, plan, clock, first_day, chapters)
            return await self._conclude(net, spool, totals(spool), clock, genesis.time_ms, began)

    async def _enrol(self, judge: Judge, importer: Importer) -> None:
        self.screen.board.step = "members join"
        shares: list[list[NewMember]] = [[] for _ in self._desks]
        for member in judge.members():
            # A family joins together, because whoever pays must be there first.
            shares[(member.payer_row or member.row) % len(shares)].append(member)

        async def enrol(desk: Desk, share: list[NewMember]) -> None:
            count = await importer.enrol(desk.account, share)
            self.screen.board.members += count
            self.screen.say(f"{desk.name} enrols {count} members in one transaction")

        await asyncio.gather(*(enrol(desk, share) for desk, share in zip(self._desks, shares, strict=True) if share))

    # --- the months that follow

    async def _live_through(
        self,
        net: Localnet,
        spool: Spool,
        judge: Judge,
        importer: Importer,
        plan: Plan,
        clock: Clock,
        first_day: int,
        chapters: Chapters,
    ) -> None:
        claims = sorted(judge.claims(), key=lambda claim: (claim.filing_day, claim.row))
        self.screen.board.step = "months go by: claims are filed, investigated, reviewed, published, settled, paid"
        self.screen.say(
            f"{len(claims)} conditions qualify; cover begins after {plan.versions[-1].plan.waiting_days} days"
        )

        def seconds_until(claim: NewClaim) -> float:
            return clock.seconds_until(start_of(claim.filing_day, plan.utc_offset_minutes))

        async with background() as start:
            for index, desk in enumerate(self._desks):
                own = [claim for claim in claims if claim.member_row % len(self._desks) == index]
                start(desk.work())
                start(desk.file(own, importer, seconds_until), must_end=True)
            start(self._follow_events())
            start(self._follow_nodes(net, plan, clock))
            failover = start(self._fail_over(net, plan, clock, first_day), must_end=True)
            stories = [start(chapter, must_end=True) for chapter in chapters.all()]
            await self._until_all_final(plan, clock, first_day, len(claims), [failover, *stories])
            self.checks += [await story for story in stories]
        self.checks.append(self._imported(spool))

    async def _until_all_final(
        self, plan: Plan, clock: Clock, first_day: int, expected: int, stories: Sequence[asyncio.Task[Any]]
    ) -> None:
        """Until every claim is final, the killed node is back and all chapters are told, or the last day has passed."""
        limit_ms = start_of(first_day + GRACE_DAYS, plan.utc_offset_minutes)
        earliest_ms = start_of(first_day + DAYS, plan.utc_offset_minutes)
        while clock.now_ms() < limit_ms:
            counts = self.screen.board.claims
            final = sum(counts.get(name, 0) for name in FINAL)
            refused = sum(len(desk.refused) for desk in self._desks)
            is_told = all(story.done() for story in stories)
            if clock.now_ms() >= earliest_ms and is_told and final + refused >= expected:
                return
            await asyncio.sleep(0.1)

    async def _follow_events(self) -> None:
        """Wake the desk that an event concerns, and tell the story's turning points."""
        client = self._desks[-1].client
        by_name = {desk.name: desk for desk in self._desks}
        async for event in client.events(after="0.0"):
            data = event.data
            self._moments.saw(event)
            if event.type.startswith("claim-") and data.get("organisation") in by_name:
                by_name[data["organisation"]].wake()
            if event.type == "claim-denied":
                self.screen.say(f"{data['claim']} denied by {data['organisation']}: {data['reason']}", "red")
            elif event.type == "cycle-settled" and data.get("amount", "0.00") not in ("0", "0.00"):
                self.screen.say(
                    f"cycle {data['cycle']} settled: each member shares {data['amount']} {data['currency']}", "cyan"
                )
            elif event.type.endswith("-missed"):
                self.screen.say(
                    f"{data['late']} missed a deadline of {data['claim']}: it goes to {data['organisation']}"
                )

    async def _follow_nodes(self, net: Localnet, plan: Plan, clock: Clock) -> None:
        board = self.screen.board
        while True:
            for node in board.nodes:
                node["up"] = net.is_running(node["name"])
                node["starting"] = False
                if not node["up"]:
                    node["primary"], node["behind"] = False, 0
                    continue
                with contextlib.suppress(ClientError):
                    status = await self._watchers[node["name"]].status()
                    node["height"], node["behind"] = status["height"], status["sync"]["behind"]
                    node["primary"] = status["primary"] == node["name"] and status["active"]
                    self.figures.view_changes = max(self.figures.view_changes, int(status["view"]))
            with contextlib.suppress(ClientError):
                plan_totals = (await self._desks[-1].client.plan(PLAN))["totals"]
                board.claims = dict(plan_totals["claims_by_status"])
                board.paid = f"{plan_totals['paid']} {plan_totals['currency']}"
                board.share = f"{plan_totals['share_since_start']} {plan_totals['currency']}"
            board.date = date_text(plan.day_of(clock.now_ms()))
            self.screen.tick()
            await asyncio.sleep(0.25)

    async def _fail_over(self, net: Localnet, plan: Plan, clock: Clock, first_day: int) -> None:
        """Kill the primary half way, see that the others go on, bring it back, see that it catches up."""
        await clock.wait(start_of(first_day + KILL_AT_DAY, plan.utc_offset_minutes))
        survivors = [name for name in self.names if name != self.names[0]]
        status = await self._watchers[survivors[-1]].status()
        killed, before = str(status["primary"]), int(status["height"])
        watcher = self._watchers[next(name for name in reversed(self.names) if name != killed)]
        await asyncio.to_thread(net.kill, killed)
        self.screen.say(f"{killed}, the primary, is killed (SIGKILL) at block {before}", "bold red")
        began = time.monotonic()
        status = await until(watcher, lambda now: now["primary"] != killed and now["height"] > before)
        self.figures.failover_s = time.monotonic() - began
        self.screen.say(
            f"{status['primary']} is primary now, view {status['view']}: block {status['height']} "
            f"{self.figures.failover_s:.1f} s later",
            "bold green",
        )
        await clock.wait(start_of(first_day + KILL_AT_DAY + DOWN_DAYS, plan.utc_offset_minutes))
        missed = int((await watcher.status())["height"]) - before
        began = time.monotonic()
        await asyncio.to_thread(net.restart, killed)
        await until(self._watchers[killed], lambda now: now["ready"] and now["height"] >= before + missed)
        self.figures.catch_up_s, self.figures.caught_up_blocks = time.monotonic() - began, missed
        self.screen.say(f"{killed} is back and has caught up {missed} blocks", "bold green")
        went_on = missed > 0
        self.checks.append(
            Check(
                what=f"with its primary {killed} killed, the cluster went on", held=went_on, detail=f"{missed} blocks"
            )
        )
        self.checks.append(Check(what=f"{killed} came back and caught up", held=True))

    # --- the end

    def _imported(self, spool: Spool) -> Check:
        result = totals(spool)
        detail = f"{result.accounted} of {sum(result.read.values())}"
        kinds = ", ".join(f"{count} {kind}" for kind, count in result.read.items())
        held = result.accounted == sum(result.read.values())
        return Check(what=f"every resource of the input is accounted for: {kinds}", held=held, detail=detail)

    async def _conclude(
        self, net: Localnet, spool: Spool, imported: Totals, clock: Clock, genesis_ms: int, began: float
    ) -> Report:
        self.screen.board.step = "checking"
        figures, client = self.figures, self._desks[-1].client
        figures.chain_days = (clock.now_ms() - genesis_ms) // 86_400_000
        figures.state_roots_height, figures.state_roots = await state_roots(self._watchers)
        figures.height = figures.state_roots_height
        figures.transactions, figures.transactions_refused = await chain_totals(client, figures.height)
        latencies = [value for desk in self._desks for value in desk.latencies_ms]
        figures.commit_p50_ms, figures.commit_p99_ms = percentile(latencies, 50), percentile(latencies, 99)
        plan = (await client.plan(PLAN))["totals"]
        figures.members, figures.currency = int(plan["members_enrolled"]), plan["currency"]
        figures.claims = {name: plan["claims_by_status"][name] for name in CLAIM_ORDER}
        figures.paid, figures.share_per_member = plan["paid"], plan["share_since_start"]
        cycles = [cycle async for cycle in client.cycles(PLAN) if cycle["share"] is not None and cycle["cases"]]
        figures.cycles_settled = len(cycles)
        self._check_ledger(imported, plan)
        self.checks += await check_proof(net, client, await self._a_paid_claim(client))
        figures.seconds = time.monotonic() - began
        document = msgspec.to_builtins(imported) | {"accounted": imported.accounted}
        return Report(
            held=all(check.held for check in self.checks), figures=figures, checks=self.checks, imported=document
        )

    def _check_ledger(self, imported: Totals, plan: dict[str, Any]) -> None:
        figures = self.figures
        final = sum(figures.claims[name] for name in FINAL)
        filed = sum(figures.claims.values())
        refused = [text for desk in self._desks for text in desk.refused]
        roots = set(figures.state_roots.values())
        money_in = _minor(plan["shared"]) + _minor(plan["recovered"])
        money_left = money_in - _minor(plan["settled"]) - _minor(plan["fees"]) - _minor(plan["surplus"])
        self.checks += [
            Check(
                what=f"{imported.members} patients and {self._extra} others joined {len(self.names)} organisations",
                held=figures.members == imported.members + self._extra > 0,
                detail=f"the ledger has {figures.members}",
            ),
            Check(
                what=f"all {imported.claims} qualifying conditions became claims, and every claim came to its end",
                held=filed == imported.claims == final > 0,
                detail=f"{filed} filed, {final} final; " + "; ".join(refused[:3]),
            ),
            Check(
                what="at least two settlement cycles shared the cost of cases",
                held=figures.cycles_settled >= 2,
                detail=f"{figures.cycles_settled}",
            ),
            Check(
                what="what members were charged and what came back equals payouts, fees and surplus, to the fen",
                held=money_left == 0 and _minor(plan["paid"]) == _minor(plan["settled"]) > 0,
                detail=f"difference {money_left}, paid {plan['paid']} of {plan['settled']}",
            ),
            Check(
                what=f"all {len(self.names)} nodes have the same state root",
                held=len(roots) == 1 and len(figures.state_roots) == len(self.names),
                detail=f"{len(roots)} different",
            ),
        ]

    async def _a_paid_claim(self, client: Client) -> str:
        async for claim in client.claims(status="paid"):
            return str(claim["id"])
        raise DemoFailed("no claim was paid, so there is nothing to prove; see the nodes' logs with --keep")


def _adjust(config: Config) -> Config:
    """A shorter view timeout than over a wide-area network: the demonstration has no time to spare."""
    consensus = msgspec.structs.replace(config.consensus, view_timeout_ms=500, view_timeout_max_ms=4_000)
    return msgspec.structs.replace(config, consensus=consensus)


def _amend(terms: PlanTerms) -> PlanTerms:
    """Juries for a plan with a hundred members, and periods that leave a clerk on this clock a moment to act: an hour
    of the chain is five milliseconds here."""
    return msgspec.structs.replace(
        terms,
        deadlines=msgspec.structs.replace(terms.deadlines, disclosure_hours=144),
        jury=JuryTerms(
            mode=JuryMode.OPEN, quorum=8, vote_hours=360, reveal_hours=360, statement_days=15, exam_questions=20
        ),
        claim_rules=msgspec.structs.replace(terms.claim_rules, jury_request_days=30),
        evidence=msgspec.structs.replace(terms.evidence, hold_after_denial_days=HOLD_DAYS),
    )


def _fresh_secret() -> ImportSecret:
    """For patients of a file that somebody brings: nobody can test guesses against this chain later."""
    import secrets

    return ImportSecret(secrets.token_bytes(32))


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))


def tell(options: Options, screen: Screen) -> Report:
    """Run the demonstration."""
    return Demo(options, screen).tell()


__all__: Sequence[str] = ("Demo", "DemoFailed", "Options", "tell")
