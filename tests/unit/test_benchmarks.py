"""The parts of the benchmarks that need no cluster."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks import full_size, growth, soak
from benchmarks.demo_picture import excerpt, picture
from benchmarks.health_fund import FundError, cents_of, read_fund, sample_fund, totals
from benchmarks.keyed_values import parts
from benchmarks.load import LoadReport, WorkerReport, percentile
from benchmarks.report import Report
from benchmarks.signatures import SIZES, measure
from benchmarks.watch import MIB, Usage
from node.ed25519.sodium import Sodium

HEADER = "id_anon,relation,age_at_inception,amt_hospitalizations,amt_operations"


def fund_file(folder: Path, *rows: str) -> Path:
    path = folder / "fund.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows]).encode()))
    return path


def test_a_fund_is_read_to_the_cent(tmp_path: Path) -> None:
    path = fund_file(tmp_path, "A,owner,46.07,1234.56,0.0", "B,son,0.5,0.0,19.990000000000002", "C,owner,30,0.1,0.2")
    people = list(read_fund(path))
    assert [person.age_months for person in people] == [552, 6, 360]
    assert totals(people) == {"H01": 123_466, "H02": 2_019}


def test_an_amount_that_is_no_whole_cent_is_refused() -> None:
    assert cents_of("36.15") == 3_615
    with pytest.raises(FundError, match="whole number of cents"):
        cents_of("36.155")


def test_a_missing_file_and_another_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FundError, match="--sample"):
        list(read_fund(tmp_path / "none.csv.gz"))
    path = tmp_path / "other.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(FundError, match="amt_hospitalizations"):
        list(read_fund(path))


def test_the_command_says_what_to_do_without_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert full_size.main(["--data", str(tmp_path / "none.csv.gz")]) == 2
    assert "is not part of this project" in capsys.readouterr().err


def test_the_sample_is_the_same_every_time_and_has_every_path_in_it() -> None:
    people = sample_fund(400)
    assert people == sample_fund(400)
    assert min(totals(people).values()) > 0
    assert any(not sum(person.cents.values()) for person in people)
    assert len({person.identity for person in people}) == 400


def test_percentiles_are_nearest_rank() -> None:
    assert percentile([], 50) == 0
    assert [percentile([1, 2, 3, 4], percent) for percent in (1, 50, 51, 75, 100)] == [1, 2, 3, 3, 4]


def test_a_load_report_adds_up_its_workers() -> None:
    report = LoadReport(
        workers=[
            WorkerReport(worker=0, sent=2, told=[(b"a", 1, 0)], refused={"x": 1}, started_ns=0, ended_ns=2 * 10**9),
            WorkerReport(worker=1, sent=3, told=[(b"b", 1, 1)], refused={"x": 2}, started_ns=10**9, ended_ns=10**9),
        ]
    )
    assert (report.sent, report.told, report.refused) == (5, {b"a": (1, 0), b"b": (1, 1)}, {"x": 3})
    assert report.seconds == 2


def usages(rss: list[int], tasks: int = 20, pid: int = 7) -> list[Usage]:
    return [
        Usage(
            at_s=2.0 * n, node="d", pid=pid, rss_bytes=size * MIB, fds=20, threads=2, tasks=tasks, cpu_s=0.0,
            disk_bytes=0, height=n,
        )
        for n, size in enumerate(rss)
    ]  # fmt: skip


def test_the_soak_tells_growth_from_a_cache_that_fills() -> None:
    filled = usages([50, 60, 80, 100, 100, 101, 102, 101, 102, 103, 102, 103])
    assert soak.growth(filled, filled[0], filled[-1]) == []
    leaking = usages(list(range(50, 170, 10)))
    assert "memory" in soak.growth(leaking, leaking[0], leaking[-1])[0]
    more_tasks = usages([103], tasks=60)[0]
    assert "tasks" in soak.growth(filled, filled[0], more_tasks)[0]
    other_process = usages([103], pid=8)[0]
    assert "not sampled" in soak.growth(filled, filled[0], other_process)[0]


def test_a_report_shows_every_figure(tmp_path: Path) -> None:
    report = Report(title="T", command="c", machine={"cores": "2"}, figures=[("a", "1/s", "remark")], notes=["note"])
    text = report.write("t", tmp_path).read_text()
    assert "| a | 1/s | remark |" in text
    assert "- note" in text
    assert (tmp_path / "t.json").is_file()


def test_the_picture_keeps_the_end_and_asks_for_nothing_from_elsewhere() -> None:
    lines = [f"line {number}" for number in range(60)] + ["What happened", "the end"]
    lines[30] = "harbour, the primary, is killed"
    kept = excerpt(lines)
    assert kept[-1] == "the end"
    assert lines[30] in kept
    assert len(kept) < len(lines)
    svg = picture(kept)
    assert "url(" not in svg.replace("url(#", "")
    assert "@font-face" not in svg


def test_every_party_of_a_keyed_value_is_timed() -> None:
    timed = parts(holders=4, threshold=3, elements=2, repeat=1)
    assert set(timed) == {"client", "each holder", "asking node", "key: deal", "key: check"}
    assert all(value >= 0 for value in timed.values())


def test_signatures_are_measured_with_each_verifier() -> None:
    found = measure([Sodium(), Sodium()], budget=1)
    assert len(found) == len(SIZES) + 6
    assert all(len(figures) == 2 and min(figures) > 0 for _, figures in found)


def test_growth_tells_what_each_step_of_members_costs(tmp_path: Path) -> None:
    lines = list(growth.measure(tmp_path, 1_000, 800, [1 << 20, 4 << 20]))
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines[2:6]]
    assert cells == [["1", "800"], ["1", "1,000"], ["4", "800"], ["4", "1,000"]]
    assert all(line.count("|") == 9 for line in lines[:6])
    assert [line[:6] for line in lines[6:] if line] == ["1 MiB:", "4 MiB:"]
