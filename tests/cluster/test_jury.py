"""A denied claim before a drawn panel, everybody at the command line: four real nodes, real keys, a fast clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node.claims.calendar import day_number
from node.claims.mutual_aid.actions import Decision, Enrol, FileClaim, Finding, Investigate, Review
from node.cli.app import weal
from node.crypto import SigningKey
from node.keyfile import write_key
from node.localnet import Localnet
from tests.factories import CONFIGS, new_member, person

PLAN = "critical-illness"
SCALE = 20_000
"""A day in 4.3 seconds."""
JURY = """
[jury]
mode = "panel"
panel_sizes = [3, 5]
membership_days = 0
exam_questions = 3
statement_days = 30
draw_hours = 720
panel_commit_hours = 720
panel_reveal_hours = 720
"""


class Desk:
    """The command line, on one local cluster."""

    def __init__(self, net: Localnet, folder: Path) -> None:
        self.net, self.folder = net, folder

    def run(self, *words: str, by: str | Path = "", code: int = 0) -> Any:
        """The result of a command, which ends with `code`."""
        signed = () if not by else ("--key", str(by)) if isinstance(by, Path) else ("--key", self._account(by))
        nodes = [part for url in self.net.urls() for part in ("--node", url)]
        environment = {"XDG_DATA_HOME": str(self.folder / "data"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        result = CliRunner().invoke(weal, ["jury", *words, "--json", *nodes, *signed], env=environment)
        assert result.exit_code == code, (words, result.output)
        return json.loads(result.stdout) if code == 0 else result.output

    def _account(self, name: str) -> str:
        return str(self.net.folder(name) / "account.key")

    def member(self, number: int) -> Path:
        return self.folder / f"member-{number}.key"

    def until(self, what: str) -> None:
        """Wait until this has happened to the claim."""
        with self.net.client() as client:
            for event in client.events(after="0.0", claim="C-000001"):
                if event.type == what:
                    return


def plan_file(folder: Path) -> Path:
    """The plan of configs/, without a waiting period and with panels of three."""
    source = CONFIGS / "plans" / f"{PLAN}.toml"
    text = source.read_text(encoding="utf-8").replace("waiting_days = 90", "waiting_days = 0")
    text = text.replace("../ailments.csv", str(CONFIGS / "ailments.csv"))
    (folder / "plan.toml").write_text(text.split("\n[jury]\n")[0] + "\n" + JURY, encoding="utf-8")
    return folder / "plan.toml"


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_a_refusal_is_overturned_by_a_panel_that_anybody_can_draw_again(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net", time_scale=SCALE, plans=[plan_file(tmp_path)]) as net:
        desk, names = Desk(net, tmp_path), net.names
        for name in names:
            desk.run("keys", by=name)
        _enrol(net, desk)
        questions = [{"question": f"question {number}", "answer": f"answer {number}"} for number in range(5)]
        (tmp_path / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
        desk.run("bank", str(tmp_path / "questions.json"), by="a")
        for number in range(2, JURORS + 2):
            name = f"M-{number:06d}"
            desk.run("exam", by=desk.member(number))
            desk.run("paper", name, by="a")
            assert len(desk.run("exam", by=desk.member(number))["questions"]) == 3
            desk.run("grade", name, "3", "--paper", "11" * 32, by="a")
            assert desk.run("show", name)["status"] == "qualified"
        _deny(net)
        desk.run("request", "C-000001", "--statement", "22" * 32, by=desk.member(1))
        denier = desk.run("show", "C-000001")["denied_by"]
        desk.run("answer", "C-000001", "--statement", "33" * 32, by=denier)
        desk.until("draw-started")
        assert [row["id"] for row in desk.run("list")] == ["C-000001"]
        for name in names:
            assert [one["did"] for one in desk.run("draw", by=name)] == ["DealBeacon"]
        desk.until("dealing-closed")
        for name in names[:3]:
            assert [one["did"] for one in desk.run("draw", by=name)] == ["OpenBeacon"]
        desk.until("panel-drawn")
        panel = [int(name[2:]) for name in desk.run("show", "1")["rounds"][0]["panel"]]
        assert len(panel) == 3
        _vote(desk, panel)
        desk.until("jury-passed")
        (verdict,) = desk.run("show", "C-000001")["rounds"]
        assert (verdict["outcome"], verdict["pay"], verdict["refuse"]) == ("passed", 2, 1)
        genesis = ("--genesis", str(net.genesis_path))
        proofs = tmp_path / "draw.json"
        shown = desk.run("verify-draw", "C-000001", "1", *genesis, "--out", str(proofs))
        assert shown["verified"] and shown["panel"] == [f"M-{number:06d}" for number in panel]
        assert desk.run("verify-draw", "C-000001", "1", *genesis, "--proof", str(proofs)) == shown
        document = json.loads(proofs.read_text(encoding="utf-8"))
        proofs.write_text(json.dumps(document | {"bundles": document["bundles"][:-1]}), encoding="utf-8")
        desk.run("verify-draw", "C-000001", "1", *genesis, "--proof", str(proofs), code=3)


JURORS = 8


def _enrol(net: Localnet, desk: Desk) -> None:
    """The claimant and the jurors, of all four organisations, each with a key file."""
    with net.client() as client:
        for number in range(1, JURORS + 2):
            key = SigningKey.generate()
            write_key(desk.member(number), key, None)
            member = new_member(number, key=key.public)
            account = client.account(net.key(net.names[number % 4]))
            account.submit([Enrol(plan=PLAN, members=(member,))])
        # Members share the cost, and may be jurors, from the day after.
        _next_day(net)


def _next_day(net: Localnet) -> None:
    with net.client() as client:
        start = client.status()["chain_now_ms"]
        while client.status()["chain_now_ms"] < start + 86_400_000:
            client.fate("00" * 32, wait_s=0.5)


def _deny(net: Localnet) -> None:
    with net.client() as client:
        accounts = {name: client.account(net.key(name)) for name in net.names}
        member = client.member("M-000001")
        year, month, day = (int(part) for part in member["cover_from"].split("-"))
        filed = FileClaim(
            plan=PLAN,
            member=1,
            ailment="S01",
            diagnosis_day=day_number(year, month, day),
            accident=False,
            evidence=person(9),
        )
        accounts[net.names[0]].submit([filed])
        investigated = Investigate(claim=1, finding=Finding.PASS, report=person(3))
        accounts[client.claim("C-000001")["assigned"]].submit([investigated])
        while (claim := client.claim("C-000001"))["status"] == "investigated":
            denial = Review(claim=1, decision=Decision.DENY, clause="3.1", evidence=person(4), reason=1)
            accounts[claim["assigned"]].submit([denial])
        assert claim["status"] == "denied"


def _vote(desk: Desk, panel: list[int]) -> None:
    """One juror by itself, the others through an organisation; each is revealed from the file with the salts."""
    desk.run("commit", "1", "--refuse", "--reason", "clause-applies", by=desk.member(panel[0]))
    for number in panel[1:]:
        words = ("--pay", "--reason", "evidence-proves-claim", "--out", str(desk.folder / f"ballot-{number}"))
        desk.run("commit", "1", *words, by=desk.member(number))
    salts = desk.folder / "data" / "weal" / "ballots.jsonl"
    assert salts.stat().st_mode & 0o777 == 0o600
    batch = desk.folder / "batch.jsonl"
    batch.write_text("".join((desk.folder / f"ballot-{number}").read_text() for number in panel[1:]), encoding="utf-8")
    assert desk.run("batch", str(batch), by="b") | {"transactions": []} == {
        "transactions": [],
        "accepted": 2,
        "left_out": 0,
    }
    desk.until("panel-reveal-opened")
    assert desk.run("show", "1")["rounds"][0]["pay"] is None
    for number in panel:
        desk.run("reveal", "1", by=desk.member(number))
