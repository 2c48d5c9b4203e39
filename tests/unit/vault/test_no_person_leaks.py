"""Nothing that a node stores, logs or answers can identify a person.

Marker strings are put into every personal field that clients accept: papers and their names, the identity numbers
of a list of members, names, numbers, addresses and notes of FHIR records, and into requests that are wrong. They go
through the real command line to real nodes. Then every row and file of every node, their logs, their metrics and
everything their API answers are searched for the markers, and for their plain hashes. Strings that must be found
are planted as well, so that a search that finds nothing cannot pass.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from hashlib import blake2b, blake2s, md5, sha1, sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from click.testing import CliRunner

from node.claims.wire import encode
from node.cli.app import weal
from node.keyfile import write_key
from node.leveldb import Database
from node.logs import ConsoleFormatter, JsonFormatter
from tests.unit.node.nodes import Cluster, running

PAPER, PAPER_NAME, SECOND_NAME = "Qx7paperContent", "Qx7fileNameZhang", "Qx7fileNameLi"
REPORT, REPORT_NAME = "Qx7reportContent", "Qx7reportName"
IDENTITY, FAMILY, GIVEN, NUMBER = "Qx7id110101198503", "Qx7Familyname", "Qx7Givenname", "Qx7mrn4471"
STREET, PHONE, NOTE, DISPLAY = "Qx7Street12", "Qx7+4915112345", "Qx7noteAboutPatient", "Qx7displayText"
PATIENT_ID, BIRTH_DATE = "Qx7patientResourceId", "1987-03-14"
WRONG_PATH, WRONG_QUERY, WRONG_VALUE, WRONG_HEADER = "Qx7inPath", "Qx7inQuery", "Qx7inBody", "Qx7inHeader"
MARKERS: Final = (
    *(PAPER, PAPER_NAME, SECOND_NAME, REPORT, REPORT_NAME, IDENTITY, FAMILY, GIVEN, NUMBER, STREET, PHONE, NOTE),
    *(DISPLAY, PATIENT_ID, BIRTH_DATE, WRONG_PATH, WRONG_QUERY, WRONG_VALUE, WRONG_HEADER),
)
CONTROL: Final = "Qx7controlThatMustBeFound"


def forms(text: str) -> Iterator[bytes]:
    """How `text` could show: as it is, encoded, and as a plain hash of it, with and without a line's end."""
    for data in (text.encode(), text.encode() + b"\n", text.lower().encode(), text.upper().encode()):
        digests = [make(data).digest() for make in (sha256, sha1, md5, blake2b, blake2s)]
        digests.append(blake2b(data, digest_size=32).digest())
        digests.append(sha256(sha256(data).digest()).digest())
        for value in (data.rstrip(b"\n"), *digests):
            yield value
            yield value.hex().encode()
            yield value.hex().upper().encode()
            yield b64encode(value).rstrip(b"=")[:-1]


NEEDLES: Final = {needle: marker for marker in MARKERS for needle in forms(marker)}


class Haystack:
    """Everything that was seen, by where it was."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, bytes]] = []

    def add(self, where: str, data: bytes) -> None:
        self.parts.append((where, data))

    def find(self, text: str) -> set[str]:
        """Where `text` shows in any form."""
        needles = set(forms(text))
        return {where for where, data in self.parts if any(needle in data for needle in needles)}

    def leaks(self) -> list[str]:
        return [
            f"{marker} in {where}" for where, data in self.parts for needle, marker in NEEDLES.items() if needle in data
        ]

    def folder(self, name: str, path: Path) -> None:
        """Every file as it lies on the disk, and every row of the databases among them."""
        for file in sorted(path.rglob("*")):
            if file.is_file():
                self.add(
                    f"{name} file {file.relative_to(path).parts[0]}", bytes(str(file), "utf-8") + file.read_bytes()
                )
        for where in ("blocks", "state", "vault/index"):
            database = open_database(path / where)
            for key, value in database.scan(b"", b"\xff" * 80):
                self.add(f"{name} rows {where}", key + b"|" + value)
            database.close()


def open_database(path: Path) -> Database:
    return Database(path, name=path.name, way_out="none", write_buffer_bytes=1 << 16, cache_bytes=1 << 16)


class LogLines(logging.Handler):
    """What the node would write, in both of its formats, debug lines included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(ConsoleFormatter(colour=False).format(record))
        self.lines.append(JsonFormatter().format(record))


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    handler = LogLines()
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in ("weal", "aiohttp", "asyncio")]
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def fhir_records() -> str:
    patient = {
        "resourceType": "Patient",
        "id": PATIENT_ID,
        "identifier": [{"system": "urn:oid:1.2.3", "value": NUMBER}],
        "name": [{"family": FAMILY, "given": [GIVEN], "text": f"{GIVEN} {FAMILY}"}],
        "telecom": [{"system": "phone", "value": PHONE}],
        "address": [{"line": [STREET], "city": STREET}],
        "birthDate": BIRTH_DATE,
        "gender": "female",
    }
    condition = {
        "resourceType": "Condition",
        "id": "condition-1",
        "subject": {"reference": f"Patient/{PATIENT_ID}", "display": DISPLAY},
        "code": {
            "coding": [{"system": "http://snomed.info/sct", "code": "22298006", "display": DISPLAY}],
            "text": NOTE,
        },
        "note": [{"text": NOTE}],
        "onsetDateTime": "2026-01-02",
    }
    return "\n".join(json.dumps(resource) for resource in (patient, condition)) + "\n"


def texts(paths: list[str]) -> list[str]:
    return [Path(path).read_text(encoding="utf-8") for path in paths]


class People:
    """What clients do, through the command line, each command as its own user would give it."""

    def __init__(self, cluster: Cluster, folder: Path, hay: Haystack) -> None:
        self._cluster, self._folder, self._hay = cluster, folder, hay
        folder.mkdir()
        self._keys = [folder / f"{name}.key" for name in "abcd"]
        for path, key in zip(self._keys, cluster.account_keys, strict=True):
            write_key(path, key, None)

    def file(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    async def run(self, who: int, *arguments: str) -> Any:
        """The command's answer. What it shows its own user is not searched: they gave it."""
        urls = [f"http://127.0.0.1:{node.port}" for node in self._cluster.nodes.values()]
        nodes = [part for url in urls for part in ("--node", url)]
        full = [*arguments, "--json", *nodes, "--key", str(self._keys[who])]
        result = await asyncio.to_thread(CliRunner().invoke, weal, full)
        assert result.exit_code == 0, f"{arguments}: {result.output}"
        return json.loads(result.stdout)

    async def do_everything(self) -> None:
        secret = str(self._folder / "secret")
        people = self.file("people.csv", f"identity,birth_month\n{IDENTITY},1987-03\n")
        await self.run(0, "member", "enrol", people, "--secret", secret)
        await self.run(0, "import", "fhir", self.file("records.ndjson", fhir_records()), "--secret", secret)
        papers = [self.file(f"{PAPER_NAME}.pdf", PAPER * 3), self.file(f"{SECOND_NAME}.pdf", PAPER)]
        item = (await self.run(0, "evidence", "add", *papers))["evidence"]
        await self.run(0, "evidence", "grant", item, "--to", "d", "--purpose", "audit")
        found = await self.run(3, "evidence", "get", item, "--out", str(self._folder / "out"))
        assert texts(found["papers"]) == [PAPER * 3, PAPER]
        await self.run(3, "evidence", "hold", item)
        await self.run(0, "evidence", "openings", item, "--anchor")
        other = (await self.run(0, "evidence", "add", self.file(f"{REPORT_NAME}.txt", REPORT)))["evidence"]
        erased = await self.run(0, "evidence", "erase", other)
        assert erased["status"] == "erased"

    async def ask_wrongly(self) -> None:
        """Requests with a person's data where none belongs. The answers are searched too."""
        member = {"person": "00" * 32, "birth_month": 23_000}
        wrong = [
            {"action": "enrol", "plan": "critical-illness", "members": [{**member, **change}]}
            for change in ({WRONG_VALUE: 1}, {"person": WRONG_VALUE}, {"birth_month": WRONG_VALUE}, {"key": 7})
        ]
        wrong += [{"action": "enrol", "plan": WRONG_VALUE, "members": [member]}, {"action": WRONG_VALUE}]
        wrong += [{"action": "enrol", "plan": "critical-illness", "members": WRONG_VALUE}, {"name": WRONG_VALUE}]
        rest = {"sender": "00", "sequence": 1, "valid_until_ms": 1, "signature": "00"}
        item = "/v1/vault/items/E-000001"
        async with aiohttp.ClientSession() as session:
            for node in self._cluster.nodes.values():
                for method, path, options in (
                    ("GET", f"/v1/members/{WRONG_PATH}", {}),
                    ("GET", f"/{WRONG_PATH}", {}),
                    ("GET", f"/v1/vault/items/{WRONG_PATH}", {}),
                    ("GET", f"/v1/claims?member={WRONG_QUERY}", {}),
                    ("GET", f"/v1/claims?name={WRONG_QUERY}", {}),
                    ("GET", f"/v1/vault/items?cursor={WRONG_QUERY}", {}),
                    *(
                        ("POST", "/v1/transactions", {"json": {"transaction": {**rest, "actions": [action]}}})
                        for action in wrong
                    ),
                    ("POST", "/v1/transactions", {"json": {"transaction": {**rest, WRONG_VALUE: WRONG_VALUE}}}),
                    ("POST", "/v1/transactions", {"json": {"transactions": [WRONG_VALUE]}}),
                    ("POST", "/v1/transactions", {"data": WRONG_VALUE}),
                    ("PUT", f"{item}/keys/{'00' * 32}", {"json": {"sealed_key": WRONG_VALUE}}),
                    ("PUT", f"{item}/bytes", {"data": WRONG_VALUE.encode()}),
                    ("POST", f"{item}/open", {"headers": {"Authorization": f"Weal {WRONG_HEADER}.1.{WRONG_HEADER}"}}),
                ):
                    url = f"http://127.0.0.1:{node.port}{path}"
                    async with session.request(method, url, **options) as answer:  # type: ignore[arg-type]
                        assert answer.status >= 400
                        self._hay.add(f"answer to {method} {path.split('?')[0]}", await answer.read())

    async def read_everything(self) -> None:
        """All that the API gives out, from every node."""
        async with aiohttp.ClientSession() as session:
            for node in self._cluster.nodes.values():
                client, operator = f"http://127.0.0.1:{node.port}", f"http://127.0.0.1:{node.operator_port}"
                paths = ["status", "members", "claims", "plans", "organisations", "programme", "blocks", "evidence"]
                paths += ["vault/items", "vault/items/E-000001", "vault/items/E-000001/openings", "genesis"]
                paths += [f"blocks/{height}" for height in range(node.executor.tip.height + 1)]
                for url in (*(f"{client}/v1/{path}" for path in paths), f"{operator}/metrics"):
                    async with session.get(url) as answer:
                        assert answer.status == 200
                        body = await answer.read()
                    self._hay.add("metrics" if url.endswith("/metrics") else "API", body)
                    if url.endswith("/programme"):
                        assert json.loads(body)["data"]["members_enrolled"] == 2, "of the list and of the FHIR records"
                async with session.get(f"{client}/v1/events?after=0.0") as answer:
                    seen = b""
                    while b"\nid: %d.0" % node.executor.tip.height not in seen:
                        seen += await answer.content.readany()
                    self._hay.add("API", seen)


async def test_no_marker_and_no_hash_of_one_is_anywhere(tmp_path: Path, log_lines: LogLines) -> None:
    hay = Haystack()
    nodes_folder = tmp_path / "nodes"
    nodes_folder.mkdir()
    async with running(nodes_folder) as cluster:
        people = People(cluster, tmp_path / "people", hay)
        await people.do_everything()
        await people.ask_wrongly()
        await people.read_everything()
        logging.getLogger("weal.test").debug("planted: %s", CONTROL)
        known = cluster.account_keys[0].public.hex()
    for name in "abcd":
        for where in ("blocks", "state", "vault/index"):
            database = open_database(nodes_folder / name / "data" / where)
            database.write([(b"\xfe" + where.encode(), encode((sha256(CONTROL.encode()).digest(),)))], sync=True)
            database.close()
        (nodes_folder / name / "data" / "vault" / "blobs" / "planted").write_text(CONTROL)
        hay.folder(name, nodes_folder / name / "data")
    hay.add("logs", "\n".join(log_lines.lines).encode())

    assert any(known.encode() in data for where, data in hay.parts if where == "API"), "the answers are searched"
    assert any(b"weal_vault_items" in data for where, data in hay.parts if where == "metrics")
    assert len(log_lines.lines) > 20
    planted = hay.find(CONTROL)
    assert "logs" in planted
    for name in "abcd":
        assert {f"{name} rows {where}" for where in ("blocks", "state", "vault/index")} <= planted
        assert f"{name} file vault" in planted
    assert hay.leaks() == []


@pytest.mark.parametrize("marker", MARKERS)
def test_search_finds_a_marker_however_it_is_written(marker: str) -> None:
    for needle in (marker.encode(), sha256(marker.encode()).digest(), sha1(marker.encode()).hexdigest().encode()):
        hay = Haystack()
        hay.add("here", b"before" + needle + b"behind")
        assert hay.leaks() and hay.find(marker) == {"here"}
    clean = Haystack()
    clean.add("here", b"nothing to see")
    assert clean.leaks() == []
