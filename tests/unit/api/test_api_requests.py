"""Every answer over a fake node: reads, submissions, and what is wrong with a request."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from node.api import examples as ex
from node.api.limits import Limits
from tests.unit.api.fake import Served, serving, transaction_id, until

MSGPACK = {"Content-Type": "application/msgpack"}


async def get(served: Served, path: str, *, status: int = 200, base: str = "", **headers: str) -> Any:
    async with served.http.get((base or served.client) + path, headers=headers) as answer:
        document = await answer.json(content_type=None)
        assert answer.status == status, document
        if status >= 400:
            assert answer.content_type == "application/problem+json"
        return document


async def submit(served: Served, *raw: bytes, query: str = "", status: int = 202) -> Any:
    async with served.http.post(
        served.client + "/v1/transactions" + query, data=msgspec.msgpack.encode(list(raw)), headers=MSGPACK
    ) as answer:
        document = await answer.json(content_type=None)
        assert answer.status == status, document
        return document


async def test_every_read_names_the_block_it_is_from() -> None:
    async with serving() as served:
        served.backend.commit()
        digest = served.backend.blocks[-1].block.digest.hex()
        for path in ("/v1/status", "/v1/blocks/0", "/v1/claims", "/v1/members/M-000123", "/v1/state/01"):
            async with served.http.get(served.client + path) as answer:
                body = await answer.json()
                assert (answer.headers["Weal-Height"], answer.headers["Weal-Digest"]) == ("1", digest)
                assert (body["as_of"]["height"], body["as_of"]["digest"]) == (1, digest)


async def test_unchanged_read_is_answered_304_until_the_next_block() -> None:
    async with serving() as served:
        async with served.http.get(served.client + "/v1/claims/C-000045") as answer:
            tag = answer.headers["ETag"]
        async with served.http.get(served.client + "/v1/claims/C-000045", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        served.backend.commit()
        async with served.http.get(served.client + "/v1/claims/C-000045", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 200


async def test_submission_without_waiting_is_answered_202_with_an_outcome_each() -> None:
    async with serving() as served:
        body = await submit(served, b"one", b"bad two", b"full three")
        assert [outcome["status"] for outcome in body["data"]] == ["pending", "rejected", "refused"]
        assert [outcome["code"] for outcome in body["data"]] == ["", "E1004", ""]
        assert body["data"][0]["id"] == transaction_id(b"one").hex()


async def test_submitting_the_same_bytes_again_is_harmless() -> None:
    async with serving() as served:
        await submit(served, b"one")
        await submit(served, b"one")
        assert len(served.backend.pool) == 1
        served.backend.commit()
        body = await submit(served, b"one")
        assert body["data"][0]["status"] == "committed"


async def test_json_takes_hex_and_a_transaction_with_named_fields() -> None:
    async with serving() as served:
        url = served.client + "/v1/transactions"
        async with served.http.post(url, json={"transactions": [b"one".hex()]}) as answer:
            assert (await answer.json())["data"][0]["id"] == transaction_id(b"one").hex()
        async with served.http.post(url, json={"transaction": ex.TRANSACTION}) as answer:
            assert answer.status == 202
        for wrong in ({"sender": "ab"}, {**ex.TRANSACTION, "sequence": 0}):
            async with served.http.post(url, json={"transaction": wrong}) as answer:
                assert answer.status == 400
                assert "sequence" in (await answer.json(content_type=None))["detail"]


async def test_waiting_submission_is_answered_once_all_are_final() -> None:
    async with serving() as served:
        asked = asyncio.create_task(submit(served, b"one", b"bad", query="?wait=final", status=200))
        await until(lambda: transaction_id(b"one") in served.backend.pool, "it is in the pool")
        served.backend.commit()
        first, second = (await asked)["data"]
        assert (first["status"], first["height"], first["index"], first["result"]) == ("committed", 1, 0, "ok")
        assert first["receipt"]["code"] == 0
        assert second["status"] == "rejected"


async def test_waiting_submission_whose_time_runs_out_is_answered_202() -> None:
    async with serving() as served:
        body = await submit(served, b"one", query="?wait=final&timeout_ms=20", status=202)
        assert body["data"][0]["status"] == "pending"
        assert served.api.gate.waiting.taken == 0
        assert served.api.gate.requests.taken == 0


async def test_full_pool_is_answered_429_with_retry_after_and_outcomes() -> None:
    async with (
        serving() as served,
        served.http.post(
            served.client + "/v1/transactions", data=msgspec.msgpack.encode([b"full"]), headers=MSGPACK
        ) as answer,
    ):
        body = await answer.json(content_type=None)
        assert (answer.status, answer.headers["Retry-After"], body["code"]) == (429, "1", "E0430")
        assert body["retryable"]
        assert body["transactions"][0]["status"] == "refused"


async def test_only_rejections_are_answered_422() -> None:
    async with serving() as served:
        body = await submit(served, b"bad one", b"bad two", status=422)
        assert (body["code"], body["retryable"]) == ("E0422", False)
        assert [outcome["result"] for outcome in body["transactions"]] == ["unknown-sender", "unknown-sender"]


async def test_fate_is_unknown_then_pending_then_committed() -> None:
    async with serving() as served:
        path = f"/v1/transactions/{transaction_id(b'one').hex()}"
        assert (await get(served, path))["data"]["status"] == "unknown"
        await get(served, path + "/proof", status=404)
        await submit(served, b"one")
        assert (await get(served, path + "?wait_ms=5"))["data"]["status"] == "pending"
        asked = asyncio.create_task(get(served, path + "?wait_ms=30000"))
        await until(lambda: served.api.gate.waiting.taken, "the request waits")
        served.backend.commit()
        body = await asked
        assert body["data"]["status"] == "committed"
        assert body["data"]["transaction"]["id"] == transaction_id(b"one").hex()
        assert body["as_of"]["height"] == 1
        assert (await get(served, path + "/proof"))["data"]["format"] == "fake"


async def test_blocks_are_listed_newest_first_in_pages() -> None:
    async with serving() as served:
        for _ in range(4):
            served.backend.commit()
        page = await get(served, "/v1/blocks?limit=2")
        assert [block["height"] for block in page["data"]] == [4, 3]
        page = await get(served, f"/v1/blocks?limit=3&before={page['next']}")
        assert [block["height"] for block in page["data"]] == [2, 1, 0]
        assert "next" not in page


async def test_block_is_found_by_height_digest_and_latest() -> None:
    async with serving() as served:
        await submit(served, b"one")
        served.backend.commit()
        digest = served.backend.blocks[1].block.digest.hex()
        answers = [await get(served, f"/v1/blocks/{reference}") for reference in ("1", digest, "latest")]
        assert answers[0] == answers[1] == answers[2]
        block = answers[0]["data"]
        assert block["certificate"]["signatures"][0] == [0, "00" * 64]
        assert block["transactions"] == [transaction_id(b"one").hex()]
        assert len(block["receipts"]) == 2
        for reference in ("2", "ab" * 32):
            assert (await get(served, f"/v1/blocks/{reference}", status=404))["code"] == "E0411"


async def test_lists_go_on_where_the_cursor_says() -> None:
    async with serving(Limits(page_max=3)) as served:
        page = await get(served, "/v1/claims?limit=500")
        assert (len(page["data"]), page["next"]) == (3, "3")
        last = await get(served, "/v1/claims?cursor=6")
        assert "next" not in last


@pytest.mark.parametrize("path", ["/v1/claims/C-000045", "/v1/members/M-000123", "/v1/plans/critical-illness"])
async def test_proof_comes_only_when_asked_for(path: str) -> None:
    async with serving() as served:
        assert "proof" not in await get(served, path)
        assert (await get(served, path + "?prove=1"))["proof"]["format"] == "fake"
        assert "proof" not in await get(served, path + "?prove=false")


async def test_absent_state_record_is_an_answer_with_proof() -> None:
    async with serving() as served:
        assert (await get(served, "/v1/state/01"))["data"]["value"] == b"value".hex()
        body = await get(served, "/v1/state/02?prove=true")
        assert body["data"]["value"] is None
        assert body["proof"]["bundle"] == "02"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/claims/C-000001",
        "/v1/members/M-000001",
        "/v1/members/M-000001/statement",
        "/v1/plans/other",
        "/v1/plans/other/cycles",
        "/v1/organisations/other",
        "/v1/organisations/other/worklist",
        f"/v1/senders/{'00' * 32}",
    ],
)
async def test_missing_record_is_a_problem_with_a_hint(path: str) -> None:
    async with serving() as served:
        problem = await get(served, path, status=404)
        assert (problem["code"], problem["type"]) == ("E0411", "urn:weal:problem:not-found")
        assert problem["hint"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nothing/here", "E0404"),
        ("/v1/claims/45", "E0400"),
        ("/v1/claims?limit=-1", "E0400"),
        ("/v1/claims?limit=1&limit=2", "E0400"),
        ("/v1/claims?colour=red", "E0400"),
        ("/v1/status?colour=red", "E0400"),
        ("/v1/claims/C-000045?prove=perhaps", "E0400"),
        ("/v1/blocks/-1", "E0400"),
        ("/v1/blocks/%00", "E0400"),
        ("/v1/transactions/" + "AB" * 32, "E0400"),
        ("/v1/transactions/" + "ab" * 32 + "%0A", "E0400"),
        ("/v1/events?after=1", "E0400"),
        ("/v1/state/0", "E0400"),
    ],
)
async def test_malformed_request_is_a_problem_that_names_it(path: str, code: str) -> None:
    async with serving() as served:
        problem = await get(served, path, status=404 if code == "E0404" else 400)
        assert problem["code"] == code
        assert problem["status"] in (400, 404)


@pytest.mark.parametrize(
    ("body", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "E0401"),
        (b"", "application/json", 400, "E0401"),
        (b"[" * 100_000, "application/json", 400, "E0401"),
        (b'{"transactions":[]}', "application/json", 400, "E0401"),
        (b'{"transactions":["xyz"]}', "application/json", 400, "E0401"),
        (b'{"transactions":["a"]}', "application/json", 400, "E0401"),
        (b'{"transactions":["ab"],"transaction":{}}', "application/json", 400, "E0401"),
        (b"{}", "application/json", 400, "E0401"),
        (b'{"transactions":["\xff"]}', "application/json", 400, "E0401"),
        (b"\xc1", "application/msgpack", 400, "E0401"),
        (b"\x90", "application/msgpack", 400, "E0401"),
        (b"\xdd\xff\xff\xff\xff", "application/msgpack", 400, "E0401"),
        (b"\x91\xc6\xff\xff\xff\xff", "application/msgpack", 400, "E0401"),
        (b"\x91" * 200_000, "application/msgpack", 400, "E0401"),
        (b"\x91\x01", "application/msgpack", 400, "E0401"),
        (b"\x91\xc4\x01a\x00", "application/msgpack", 400, "E0401"),
        (b"one", "text/plain", 415, "E0415"),
    ],
)
async def test_garbage_body_is_a_problem(body: bytes, media: str, status: int, code: str) -> None:
    async with (
        serving() as served,
        served.http.post(served.client + "/v1/transactions", data=body, headers={"Content-Type": media}) as answer,
    ):
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (status, code)
        assert served.backend.submissions == 0


async def test_compressed_body_is_refused() -> None:
    async with (
        serving() as served,
        served.http.post(
            served.client + "/v1/transactions",
            data=b"\x1f\x8b" + bytes(100),
            headers={**MSGPACK, "Content-Encoding": "gzip"},
        ) as answer,
    ):
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (415, "E0415")


async def test_head_answers_like_get_without_a_body() -> None:
    async with serving() as served:
        async with served.http.head(served.client + "/v1/claims") as answer:
            assert (answer.status, answer.headers["Weal-Height"], await answer.read()) == (200, "0", b"")
        async with served.http.head(served.operator + "/livez") as answer:
            assert answer.status == 200
        async with served.http.head(served.client + "/v1/events") as answer:
            assert answer.status == 405


async def test_wrong_method_is_a_problem_with_the_right_ones() -> None:
    async with serving() as served, served.http.delete(served.client + "/v1/transactions") as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"], answer.headers["Allow"]) == (405, "E0405", "POST")


async def test_defect_is_a_problem_that_tells_nothing_of_the_machine() -> None:
    async with serving() as served:
        served.backend.broken = True
        problem = await get(served, "/v1/claims", status=500)
        assert problem["code"] == "E0500"
        assert "secret" not in repr(problem)


async def test_operator_paths_are_not_on_the_clients_listener() -> None:
    async with serving() as served:
        for path in ("/livez", "/readyz", "/metrics", "/v1/ops/heal"):
            await get(served, path, status=404)
        await get(served, "/v1/claims", status=404, base=served.operator)


async def test_ready_gives_every_reason_why_not() -> None:
    async with serving() as served:
        assert (await get(served, "/readyz?min_peers=3", base=served.operator))["ready"]
        served.backend.reasons = ["listening: the store is new"]
        served.backend.blocks_behind = 5
        problem = await get(served, "/readyz?max_behind=4&min_peers=4", status=503, base=served.operator)
        assert len(problem["reasons"]) == 3
        assert (await get(served, "/livez", base=served.operator))["live"]


async def test_metrics_hold_the_nodes_values_and_the_requests() -> None:
    async with serving() as served:
        await get(served, "/v1/claims")
        await get(served, "/nothing", status=404)
        async with served.http.get(served.operator + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        assert "weal_height 0.0" in lines
        assert 'weal_peer_frames_rejected_total{reason="oversized"} 2.0' in lines
        assert 'weal_api_requests_total{operation="listClaims",status="200"} 1.0' in lines
        assert 'weal_api_requests_total{operation="none",status="404"} 1.0' in lines


async def test_operator_isolates_heals_and_stops() -> None:
    async with serving() as served:
        async with served.http.post(served.operator + "/v1/ops/isolate", json={"peers": ["ridge"]}) as answer:
            assert (await answer.json()) == {"isolated": ["ridge"]}
        async with served.http.post(served.operator + "/v1/ops/isolate", json={"peers": ["nobody"]}) as answer:
            assert answer.status == 400
        assert served.backend.isolated == ["ridge"]
        async with served.http.post(served.operator + "/v1/ops/heal") as answer:
            assert answer.status == 200
        assert served.backend.isolated == []
        async with served.http.post(served.operator + "/v1/ops/stop") as answer:
            assert answer.status == 200
        assert served.backend.stopped


async def test_web_page_of_another_site_cannot_stop_the_node() -> None:
    async with serving() as served:
        for header in ({"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}):
            async with served.http.post(served.operator + "/v1/ops/stop", headers=header) as answer:
                assert (answer.status, (await answer.json(content_type=None))["code"]) == (403, "E0403")
        assert not served.backend.stopped


async def test_log_level_is_set_for_loggers_that_exist() -> None:
    import logging

    logger = logging.getLogger("weal.api")
    before = logger.level
    async with serving() as served:
        url = served.operator + "/v1/ops/log-level"
        async with served.http.put(url, json={"level": "DEBUG", "logger": "weal.api"}) as answer:
            assert answer.status == 200
        assert logger.level == logging.DEBUG
        logger.setLevel(before)
        async with served.http.put(url, json={"level": "DEBUG", "logger": "no.such.logger"}) as answer:
            assert answer.status == 400
        async with served.http.put(url, json={"level": "LOUD"}) as answer:
            assert answer.status == 400
