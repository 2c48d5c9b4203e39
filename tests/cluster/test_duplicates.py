"""Keyed values in four real processes, one of which is killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.joint_key import make_joint_key
from node.claims.nullifiers.holders import ValueKind
from node.client.duplicates import key_state, make_values
from node.fhir.generate import ndjson
from node.localnet import Localnet
from node.oprf import inputs
from tests.cluster.promises import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PAPERS = [(ValueKind.PAPER, inputs.receipt("H-001", str(number))) for number in range(40)]


def test_values_outlive_the_kill_of_any_organisation(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        *others, away = net.names
        # The last one is killed before it deals: neither the ceremony nor its own share needs it.
        net.kill(away)
        epoch = make_joint_key(net, others)
        genesis, key = net.genesis().digest, net.key(others[0])

        def values(at: str) -> list[bytes]:
            async def ask() -> list[bytes]:
                async with net.async_client(at) as client:
                    return await make_values(client, key, genesis, epoch, PAPERS)

            return asyncio.run(ask())

        first = values(others[0])
        assert len(set(first)) == len(PAPERS)
        net.restart(away)
        for victim in others:
            net.kill(victim)
            assert values(away) == first
            net.restart(victim)
        with net.client(away) as client:
            shown = client.run(key_state)
        assert shown["active"]["own"]["is_good"] and not shown["wrong_answers"]


def weal(net: Localnet, organisation: str, *arguments: str, text: str = "", code: int = 0) -> Any:
    """Run the command as this organisation, at its own node; its result, or its error, as JSON."""
    key = net.folder(organisation) / "account.key"
    where = ("--node", net.node(organisation).url, "--key", str(key), "--json")
    command = [sys.executable, "-m", "node.cli", *arguments, *where]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout if not code else done.stderr.splitlines()[-1])


def test_desks_make_the_key_and_know_a_person_again_by_the_command_line(tmp_path: Path) -> None:
    with Localnet(n=4, directory=tmp_path / "net") as net:
        first, second, *_ = net.names
        person = ("member", "enrol", "--birth-month", "1980-04", "--secret")
        # Without a key, two desks with secrets of their own do not recognise each other's people.
        for name in (first, second):
            weal(net, name, *person, str(tmp_path / f"{name}.secret"), text="1101051949\n")
        weal(net, first, "duplicates", "value", "person", text="1101051949\n", code=5)
        for name in net.names[:3]:
            weal(net, name, "duplicates", "deal")
        answers = []
        for name in net.names[:3]:
            net.wait_height(name, net.height())
            answers.append(weal(net, name, "duplicates", "confirm")["active"])
        assert answers == [False, False, True]
        weal(net, first, *person, str(tmp_path / "unused.secret"), text="110105 1950\n")
        assert not (tmp_path / "unused.secret").exists()
        net.kill(net.names[-1])
        refused = weal(net, second, *person, str(tmp_path / "unused.secret"), text="1101051950\n", code=4)
        assert "E1101" in json.dumps(refused)
        known = weal(net, second, "duplicates", "value", "person", text="1101051950\n")
        assert known["members"] == ["M-000003"]
        unknown = weal(net, second, "duplicates", "value", "receipt", "--issuer", "H-1", "--number", "7")
        assert (unknown["first_claim"], unknown["members"]) == ("", [])
        used = net.client(first).run(key_state)["used"]
        assert {one["organisation"] for one in used} == {first, second}


def test_an_import_recognises_the_people_whom_another_organisation_imported(tmp_path: Path) -> None:
    """Each desk has a secret of its own, which the values of people no longer depend on."""
    patients = tmp_path / "patients.ndjson"
    patients.write_bytes(b"".join(ndjson(patients=12)))
    with Localnet(n=4, directory=tmp_path / "net") as net:
        make_joint_key(net)
        first, second, *_ = net.names
        results = [
            weal(net, name, "import", "fhir", str(patients), "--secret", str(tmp_path / f"{name}.secret"))
            for name in (first, second)
        ]
        enrolled = [sum(one["count"] for one in result["outcomes"] if one["outcome"] == "member") for result in results]
        with net.client(first) as client:
            members = len(client.get("/v1/members", limit=1_000)["data"])
        assert enrolled[0] == members > 0


def test_a_receipt_that_another_organisation_filed_holds_the_claim(tmp_path: Path) -> None:
    paper = tmp_path / "report.txt"
    # A day in 2.5 seconds: cover begins the day after enrolment.
    with Localnet(n=4, directory=tmp_path / "net", time_scale=34_560) as net:
        make_joint_key(net)
        first, second, *_ = net.names
        for name, number in ((first, "1101051949"), (second, "1101051950")):
            weal(net, name, "member", "enrol", "--birth-month", "1990-04", text=number + "\n")
        with net.client(first) as client:
            enrolled_ms = int(client.status()["chain_now_ms"])
            wait_until("five days have gone", lambda: client.status()["chain_now_ms"] > enrolled_ms + 5 * 86_400_000)
            day = datetime.fromtimestamp(client.status()["chain_now_ms"] / 1000 - 86_400, UTC).date().isoformat()
        claims = []
        for name, member in ((first, "1"), (second, "2")):
            paper.write_text(f"report about {member}")
            options = ("--ailment", "S01", "--diagnosed", day, "--accident", "--evidence", str(paper))
            opening = ("--opening", str(tmp_path / f"{member}.json"))
            receipt = ("--receipt", "H-001", "2026/7" if name == first else "2026-7")
            claims.append(weal(net, name, "claim", "file", "--member", member, *options, *opening, *receipt)["claim"])
        with net.client(first) as client:
            states = [client.claim(claim)["status"] for claim in claims]
        assert states[0] != "dup-hold" and states[1] == "dup-hold"
        known = weal(net, second, "duplicates", "value", "receipt", "--issuer", "h001", "--number", "20267")
        assert (known["first_claim"], known["latest_claim"]) == tuple(claims)
